// SPDX-License-Identifier: Apache-2.0
/* Merging a capture of pages with a default one: the same program in two runs with other addresses, extra launches, and
 * wrong pairings. */
#include "trace_fixture.h"

#include "tracer/format/align.h"
#include "tracer/format/load.h"
#include "tracer/format/merge.h"

enum { LAUNCHES = 60, MIB = 1 << 20, PAGE = 65536 };

static char default_path[64], pages_path[64], merged_path[64];

/* One of the two runs. */
struct run {
  struct emuv_trace_writer *w;
  uint64_t shift; /* of addresses */
  bool pages;
  uint64_t sequence;
};

static void begin(struct run *r, char path[64], bool pages)
{
  *r = (struct run){.pages = pages, .shift = pages ? 0x100000000 : 0};
  assert_int_equal(emuv_trace_writer_open(&r->w, fixture_path(path), NULL, NULL), 0);
  if (pages) emuv_trace_writer_environment(r->w, "page_bytes", "65536");
}

static void end(struct run *r)
{
  assert_int_equal(emuv_trace_writer_close(r->w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, NULL), 0);
}

static void allocate(struct run *r, uint64_t id, uint64_t bytes)
{
  const struct emuv_trace_allocation a = {
      .id = id, .address = 0x7f0000000000 + r->shift + id * 64 * MIB, .bytes = bytes, .kind = EMUV_TRACE_MEMORY_DEVICE};
  emuv_trace_writer_allocation(r->w, &a);
}

static void launch(struct run *r, const char *name, uint32_t grid, uint32_t cls, const struct emuv_trace_operand *o,
                   uint32_t n)
{
  const struct emuv_trace_kernel kernel = {.name = emuv_trace_writer_string(r->w, name),
                                           .registers = r->pages ? 0 : 32};
  struct emuv_trace_launch l = {.sequence = ++r->sequence, .grid = {grid, 1, 1}, .block = {128, 1, 1}, .cls = cls};
  l.kernel = emuv_trace_writer_kernel(r->w, &kernel);
  l.enter_ns = 1000 * r->sequence;
  l.start_ns = r->pages ? 0 : 1000 * r->sequence + 10;
  l.end_ns = r->pages ? 0 : 1000 * r->sequence + 20;
  l.operands = o;
  l.n_operands = n;
  emuv_trace_writer_launch(r->w, &l);
}

static struct emuv_trace_operand page_operand(uint64_t allocation, uint64_t page, uint64_t n, uint32_t access)
{
  return (struct emuv_trace_operand){.allocation = allocation,
                                     .offset = page * PAGE,
                                     .bytes = n * PAGE,
                                     .access = access,
                                     .provenance = EMUV_TRACE_FROM_PAGE,
                                     .cls = EMUV_TRACE_CLASS_EXACT};
}

static struct emuv_trace_operand own_operand(uint64_t allocation, uint64_t offset, uint64_t bytes, uint32_t provenance)
{
  return (struct emuv_trace_operand){.allocation = allocation,
                                     .offset = offset,
                                     .bytes = bytes,
                                     .provenance = provenance,
                                     .cls = EMUV_TRACE_CLASS_BOUNDED};
}

/* Step i of the program: three kinds of kernels. The page run has one more allocation, in front. */
static void step(struct run *r, uint32_t i)
{
  const uint64_t weight = r->pages ? 2 : 1, state = weight + 1;
  const struct emuv_trace_operand seen[] = {page_operand(weight, i % 16, 2, EMUV_TRACE_ACCESS_READ),
                                            page_operand(state, 0, 1, EMUV_TRACE_ACCESS_BOTH)};
  const struct emuv_trace_operand own[] = {own_operand(weight, i % 16 * PAGE, 2 * PAGE, EMUV_TRACE_FROM_TENSORMAP),
                                           own_operand(state, 0, 4 * MIB, EMUV_TRACE_FROM_PARAM)};
  if (i % 3 == 0) /* observed */
    launch(r, "add", 8 + i % 5, r->pages ? EMUV_TRACE_CLASS_EXACT : EMUV_TRACE_CLASS_BOUNDED, r->pages ? seen : own + 1,
           r->pages ? 2 : 1);
  else if (i % 3 == 1) /* tensors: the page run sees the state alone */
    launch(r, "matmul", 32, r->pages ? EMUV_TRACE_CLASS_GAP : EMUV_TRACE_CLASS_EXACT, r->pages ? seen + 1 : own,
           r->pages ? 1 : 2);
  else
    launch(r, "scale", i, r->pages ? EMUV_TRACE_CLASS_EXACT : EMUV_TRACE_CLASS_BOUNDED, r->pages ? seen + 1 : own + 1,
           1);
}

/* extra: launches that only this run has, in front and in the middle. */
static void write_run(struct run *r, char path[64], bool pages, uint32_t n, uint32_t extra)
{
  begin(r, path, pages);
  if (pages) allocate(r, 1, 512);
  allocate(r, pages ? 2 : 1, 16 * MIB);
  allocate(r, pages ? 3 : 2, 4 * MIB);
  for (uint32_t i = 0; i < extra; i++) launch(r, "tune", 1 + i, EMUV_TRACE_CLASS_GAP, NULL, 0);
  for (uint32_t i = 0; i < n; i++) {
    if (i == n / 2)
      for (uint32_t k = 0; k < extra; k++) launch(r, "tune", 100 + k, EMUV_TRACE_CLASS_GAP, NULL, 0);
    step(r, i);
  }
  end(r);
}

static int remove_files(void **state)
{
  (void)state;
  unlink(default_path);
  unlink(pages_path);
  unlink(merged_path);
  return 0;
}

static const struct emuv_merge_kernel *kernel(const struct emuv_merge *m, const char *name)
{
  for (size_t i = 0; i < m->n_kernels; i++)
    if (strcmp(m->kernels[i].name, name) == 0) return &m->kernels[i];
  fail_msg("no kernel %s", name);
  return NULL;
}

static void check_launch(const struct emuv_trace_launch *l, uint32_t i)
{
  const struct emuv_trace_operand *o = l->operands;
  assert_true(l->end_ns > l->start_ns);
  if (i % 3 == 1) { /* its own, as they were */
    assert_int_equal(l->cls, EMUV_TRACE_CLASS_EXACT);
    assert_int_equal(l->n_operands, 2);
    assert_int_equal(o[0].provenance, EMUV_TRACE_FROM_TENSORMAP);
    assert_int_equal(o[1].provenance, EMUV_TRACE_FROM_PARAM);
    return;
  }
  assert_int_equal(l->cls, EMUV_TRACE_CLASS_EXACT);
  assert_int_equal(l->n_operands, i % 3 ? 1 : 2);
  if (i % 3 == 0) {
    assert_int_equal(o[0].allocation, 1);
    assert_int_equal(o[0].offset, i % 16 * PAGE);
    assert_int_equal(o[0].bytes, 2 * PAGE);
    assert_int_equal(o[0].access, EMUV_TRACE_ACCESS_READ);
    o++;
  }
  assert_int_equal(o[0].allocation, 2);
  assert_int_equal(o[0].access, EMUV_TRACE_ACCESS_BOTH);
  assert_int_equal(o[0].provenance, EMUV_TRACE_FROM_PAGE);
}

/* Reads the merged trace: `extra` tuning launches in front and in the middle, LAUNCHES of the steps. */
static void check_merged(uint32_t extra)
{
  struct emuv_trace_reader *r;
  struct emuv_trace_record record;
  uint32_t i = 0, tuning = 0;
  assert_int_equal(emuv_trace_reader_open(&r, merged_path, NULL), 0);
  while (emuv_trace_reader_next(r, &record, NULL) > 0) {
    if (record.type != EMUV_TRACE_LAUNCH) continue;
    const struct emuv_trace_kernel *k = emuv_trace_reader_kernel(r, record.u.launch.kernel);
    assert_int_equal(k->registers, 32);
    if (strcmp(emuv_trace_reader_string(r, k->name), "tune") == 0)
      tuning++;
    else
      check_launch(&record.u.launch, i++);
  }
  assert_int_equal(i, LAUNCHES);
  assert_int_equal(tuning, 2 * extra);
  assert_false(emuv_trace_reader_state(r)->truncated);
  emuv_trace_reader_close(r);
}

static void merge_with_extras(uint32_t in_default, uint32_t in_pages)
{
  struct run d, p;
  struct emuv_merge m;
  struct emuv_err err = {0};
  write_run(&d, default_path, false, LAUNCHES, in_default);
  write_run(&p, pages_path, true, LAUNCHES, in_pages);
  assert_int_equal(emuv_merge(default_path, pages_path, fixture_path(merged_path), &m, &err), 0);
  assert_int_equal(m.launches, LAUNCHES + 2 * in_default);
  assert_int_equal(m.page_launches, LAUNCHES + 2 * in_pages);
  assert_int_equal(m.joined, LAUNCHES);
  assert_int_equal(m.observed, LAUNCHES / 3 * 2);
  assert_int_equal(m.joined_allocations, 2);
  assert_int_equal(kernel(&m, "add")->joined, LAUNCHES / 3);
  assert_int_equal(kernel(&m, "add")->pages, LAUNCHES / 3 * 3);
  assert_int_equal(kernel(&m, "add")->uncovered, LAUNCHES / 3 * 2); /* the default run did not know the weight */
  assert_int_equal(kernel(&m, "add")->uncovered_launches, LAUNCHES / 3);
  assert_int_equal(kernel(&m, "matmul")->unobserved, LAUNCHES / 3);
  assert_int_equal(kernel(&m, "matmul")->uncovered, 0);
  assert_int_equal(kernel(&m, "scale")->uncovered, 0);
  assert_string_equal(m.kernels[0].name, "add");
  assert_int_equal(m.uncovered, LAUNCHES / 3 * 2);
  check_merged(in_default);
  emuv_merge_free(&m);
}

static void the_same_order(void **state)
{
  (void)state;
  merge_with_extras(0, 0);
}

static void launches_that_only_one_run_has(void **state)
{
  (void)state;
  merge_with_extras(7, 0);
  remove_files(NULL);
  merge_with_extras(0, 7);
}

/* Pages of a launch that was not fully observed, which its operands leave out, are added to it. */
static void unobserved_launches_gain_pages(void **state)
{
  (void)state;
  struct run d, p;
  struct emuv_merge m;
  const struct emuv_trace_operand own = own_operand(1, 0, PAGE, EMUV_TRACE_FROM_TENSORMAP);
  const struct emuv_trace_operand seen[] = {page_operand(1, 0, 2, EMUV_TRACE_ACCESS_READ),
                                            page_operand(9, 0, 1, EMUV_TRACE_ACCESS_READ)};
  begin(&d, default_path, false);
  allocate(&d, 1, MIB);
  launch(&d, "k", 1, EMUV_TRACE_CLASS_BOUNDED, &own, 1);
  end(&d);
  begin(&p, pages_path, true);
  allocate(&p, 1, MIB);
  allocate(&p, 9, 3 * MIB); /* without a partner */
  launch(&p, "k", 1, EMUV_TRACE_CLASS_EXACT, seen, 2);
  end(&p);
  assert_int_equal(emuv_merge(default_path, pages_path, fixture_path(merged_path), &m, NULL), 0);
  assert_int_equal(m.observed, 0);
  assert_int_equal(m.pages, 3);
  assert_int_equal(m.uncovered, 2);
  assert_int_equal(m.kernels[0].unmapped, 1);
  emuv_merge_free(&m);
  struct emuv_trace_reader *r;
  struct emuv_trace_record record;
  assert_int_equal(emuv_trace_reader_open(&r, merged_path, NULL), 0);
  do assert_int_equal(emuv_trace_reader_next(r, &record, NULL), 1);
  while (record.type != EMUV_TRACE_LAUNCH);
  assert_int_equal(record.u.launch.cls, EMUV_TRACE_CLASS_BOUNDED);
  assert_int_equal(record.u.launch.n_operands, 2);
  assert_int_equal(record.u.launch.operands[1].offset, PAGE);
  assert_int_equal(record.u.launch.operands[1].bytes, PAGE);
  emuv_trace_reader_close(r);
}

/* Two small allocations: in the page run both lie in one page, which the launch is seen to touch in each. */
static void write_neighbours(char path[64], bool pages)
{
  struct run r;
  const struct emuv_trace_operand own = own_operand(1, 0, PAGE / 2, EMUV_TRACE_FROM_PARAM);
  struct emuv_trace_operand seen[] = {page_operand(1, 0, 1, EMUV_TRACE_ACCESS_WRITE),
                                      page_operand(2, 0, 1, EMUV_TRACE_ACCESS_WRITE)};
  begin(&r, path, pages);
  for (uint64_t id = 1; id <= 2; id++) {
    const struct emuv_trace_allocation a = {.id = id,
                                            .address =
                                                0x7f0000000000 + r.shift + (id - 1) * (pages ? PAGE / 2 : 64 * PAGE),
                                            .bytes = id == 1 ? PAGE / 2 : PAGE / 4,
                                            .kind = EMUV_TRACE_MEMORY_DEVICE};
    emuv_trace_writer_allocation(r.w, &a);
    seen[id - 1].bytes = a.bytes;
  }
  launch(&r, "fill", 1, pages ? EMUV_TRACE_CLASS_EXACT : EMUV_TRACE_CLASS_BOUNDED, pages ? seen : &own, pages ? 2 : 1);
  launch(&r, "other", 1, pages ? EMUV_TRACE_CLASS_EXACT : EMUV_TRACE_CLASS_BOUNDED, pages ? seen + 1 : &own, 1);
  end(&r);
}

static void pages_of_several_allocations(void **state)
{
  struct emuv_merge result;
  struct emuv_err err = {0};
  (void)state;
  write_neighbours(default_path, false);
  write_neighbours(pages_path, true);
  assert_int_equal(emuv_merge(default_path, pages_path, NULL, &result, &err), 0);
  assert_int_equal(result.pages, 3);
  assert_int_equal(result.uncovered, 1); /* "other" touches the second allocation alone, and does not list it */
  assert_string_equal(result.kernels[0].name, "other");
  assert_int_equal(result.kernels[0].uncovered, 1);
  emuv_merge_free(&result);
}

/* A graph of two nodes in the default run, which is one record there; in the page run each node is a launch. */
static void write_graph(struct run *r, const struct emuv_trace_operand *own)
{
  struct emuv_trace_record record = {.type = EMUV_TRACE_GRAPH_NODE};
  struct emuv_trace_graph_node *const n = &record.u.graph_node;
  const struct emuv_trace_kernel kernel = {.name = emuv_trace_writer_string(r->w, "node"), .registers = 32};
  struct emuv_trace_launch l = {.sequence = r->sequence + 1, .graph = 1, .flags = EMUV_TRACE_FLAG_GRAPH};
  for (uint32_t i = 0; i < 2; i++) {
    *n = (struct emuv_trace_graph_node){.graph = 1, .node = 50 + i, .index = i, .nodes = 2};
    n->kind = EMUV_TRACE_NODE_LAUNCH;
    n->kernel = emuv_trace_writer_kernel(r->w, &kernel);
    n->grid[0] = 1 + i;
    n->grid[1] = n->grid[2] = n->block[1] = n->block[2] = 1;
    n->block[0] = 128;
    n->operands = own;
    n->n_operands = 1;
    emuv_trace_writer_append(r->w, &record);
  }
  emuv_trace_writer_launch(r->w, &l);
  r->sequence += 2;
}

static void launches_of_graphs_are_judged(void **state)
{
  (void)state;
  struct run d, p;
  struct emuv_merge m;
  struct emuv_trace_data data;
  const struct emuv_trace_operand own = own_operand(1, 0, 2 * PAGE, EMUV_TRACE_FROM_PARAM);
  const struct emuv_trace_operand seen = page_operand(1, 0, 3, EMUV_TRACE_ACCESS_READ);
  begin(&d, default_path, false);
  allocate(&d, 1, MIB);
  launch(&d, "before", 1, EMUV_TRACE_CLASS_BOUNDED, &own, 1);
  write_graph(&d, &own);
  launch(&d, "after", 1, EMUV_TRACE_CLASS_BOUNDED, &own, 1);
  end(&d);
  begin(&p, pages_path, true);
  allocate(&p, 1, MIB);
  launch(&p, "before", 1, EMUV_TRACE_CLASS_EXACT, &seen, 1);
  launch(&p, "node", 1, EMUV_TRACE_CLASS_EXACT, &seen, 1);
  launch(&p, "node", 2, EMUV_TRACE_CLASS_EXACT, &seen, 1);
  launch(&p, "after", 1, EMUV_TRACE_CLASS_EXACT, &seen, 1);
  end(&p);
  assert_int_equal(emuv_merge(default_path, pages_path, fixture_path(merged_path), &m, NULL), 0);
  assert_int_equal(m.launches, 4);
  assert_int_equal(m.joined, 4);
  assert_int_equal(m.in_graphs, 2);
  assert_int_equal(m.uncovered, 4);
  assert_int_equal(kernel(&m, "node")->uncovered, 2);
  emuv_merge_free(&m);
  assert_int_equal(emuv_trace_load(merged_path, &data, NULL), 0);
  assert_int_equal(data.n_launches, 4);
  assert_int_equal(data.launches[0].operands[0].provenance, EMUV_TRACE_FROM_PAGE);
  assert_int_equal(data.launches[1].operands[0].provenance, EMUV_TRACE_FROM_PARAM);
  assert_int_equal(data.launches[2].grid[0], 2);
  assert_int_equal(data.launches[3].operands[0].provenance, EMUV_TRACE_FROM_PAGE);
  emuv_trace_data_free(&data);
}

static void truncated_traces_are_merged_as_far_as_they_go(void **state)
{
  (void)state;
  struct run d, p;
  struct emuv_merge m;
  size_t n;
  write_run(&d, default_path, false, LAUNCHES, 0);
  write_run(&p, pages_path, true, LAUNCHES / 2, 0);
  uint8_t *bytes = fixture_slurp(pages_path, &n);
  assert_int_equal(truncate(pages_path, (off_t)n - 10), 0);
  assert_int_equal(emuv_merge(default_path, pages_path, NULL, &m, NULL), 0);
  assert_true(m.page_truncated);
  assert_false(m.truncated);
  assert_int_equal(m.joined, LAUNCHES / 2);
  free(bytes);
  emuv_merge_free(&m);
}

static void wrong_pairings_are_refused(void **state)
{
  (void)state;
  struct run d, p;
  struct emuv_merge m;
  struct emuv_err err = {0};
  write_run(&d, default_path, false, LAUNCHES, 0);
  begin(&p, pages_path, true);
  for (uint32_t i = 0; i < LAUNCHES; i++) launch(&p, "another", i, EMUV_TRACE_CLASS_GAP, NULL, 0);
  end(&p);
  assert_int_equal(emuv_merge(default_path, pages_path, NULL, &m, &err), EMUV_ERR_INPUT);
  assert_non_null(strstr(err.text, "not of the same program: 0 of 60"));
  assert_int_equal(emuv_merge(default_path, default_path, NULL, &m, &err), EMUV_ERR_INPUT);
  assert_non_null(strstr(err.text, "is not a capture of pages"));
  assert_int_equal(emuv_merge(pages_path, pages_path, NULL, &m, &err), EMUV_ERR_INPUT);
  assert_non_null(strstr(err.text, "capture of pages itself"));
  assert_int_equal(emuv_merge("/nonexistent", pages_path, NULL, &m, &err), EMUV_ERR_IO);
}

static void sequences_are_aligned(void **state)
{
  (void)state;
  const uint64_t a[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, b[] = {1, 2, 50, 51, 3, 4, 5, 6, 8, 9};
  size_t pair[9];
  assert_int_equal(emuv_align(a, 9, b, 10, pair), 8);
  assert_int_equal(pair[1], 1);
  assert_int_equal(pair[2], 4);
  assert_true(pair[6] == SIZE_MAX);
  assert_int_equal(pair[8], 9);
  assert_int_equal(emuv_align(a, 9, b, 0, pair), 0);
  assert_int_equal(emuv_align(a, 0, b, 10, pair), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(the_same_order, remove_files),
      cmocka_unit_test_teardown(launches_that_only_one_run_has, remove_files),
      cmocka_unit_test_teardown(unobserved_launches_gain_pages, remove_files),
      cmocka_unit_test_teardown(pages_of_several_allocations, remove_files),
      cmocka_unit_test_teardown(launches_of_graphs_are_judged, remove_files),
      cmocka_unit_test_teardown(truncated_traces_are_merged_as_far_as_they_go, remove_files),
      cmocka_unit_test_teardown(wrong_pairings_are_refused, remove_files),
      cmocka_unit_test(sequences_are_aligned),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
