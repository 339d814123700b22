// SPDX-License-Identifier: Apache-2.0
/* The numbers of `emuv-trace info` on traces whose answers are known, its forms, and the JSON exports, which must
 * parse. */
#include "trace_decode.h"

#include "tracer/format/export/export.h"
#include "tracer/format/info.h"
#include "tracer/format/ranges.h"

#include <jansson.h>
#include <time.h>

enum { MS = 1000000, A = 1, B = 2 };

struct built {
  struct emuv_trace_writer *w;
  uint64_t sequence;
  uint32_t kernel[2];
};

static void open_trace(struct built *b, const char *path)
{
  struct emuv_trace_writer_options options = {.reproducible = true};
  *b = (struct built){0};
  assert_int_equal(emuv_trace_writer_open(&b->w, path, &options, NULL), 0);
  b->kernel[0] =
      emuv_trace_writer_kernel(b->w, &(struct emuv_trace_kernel){.name = emuv_trace_writer_string(b->w, "k0")});
  b->kernel[1] =
      emuv_trace_writer_kernel(b->w, &(struct emuv_trace_kernel){.name = emuv_trace_writer_string(b->w, "k1")});
  for (uint64_t id = A; id <= B; id++)
    emuv_trace_writer_allocation(
        b->w, &(struct emuv_trace_allocation){
                  .id = id, .address = id << 40, .bytes = 1 << 20, .ns = MS, .kind = EMUV_TRACE_MEMORY_DEVICE});
}

static void launch(struct built *b, uint64_t at, unsigned kernel, uint32_t tid, const struct emuv_trace_operand *o,
                   uint32_t n, uint32_t cls)
{
  struct emuv_trace_launch l = {.sequence = ++b->sequence, .kernel = b->kernel[kernel], .cls = cls, .tid = tid};
  l.enter_ns = at;
  l.exit_ns = at + 1000;
  l.start_ns = at + 2000;
  l.end_ns = at + 2000 + MS / 10;
  l.operands = o;
  l.n_operands = n;
  assert_int_equal(emuv_trace_writer_launch(b->w, &l), 0);
}

static void range(struct built *b, uint64_t at, uint32_t kind, uint32_t tid, const char *text, uint64_t id)
{
  struct emuv_trace_range r = {.ns = at, .kind = kind, .tid = tid, .id = id};
  r.text = emuv_trace_writer_string(b->w, text);
  assert_int_equal(emuv_trace_writer_range(b->w, &r), 0);
}

static struct emuv_trace_operand operand(uint64_t allocation, uint64_t offset, uint64_t bytes, uint32_t cls,
                                         uint32_t access)
{
  return (struct emuv_trace_operand){
      .allocation = allocation, .offset = offset, .bytes = bytes, .cls = cls, .access = access};
}

/* Two ranges "part" of two launches each, the second on another thread, in one range "all". In each part one launch
 * touches 4096 exact bytes, and the other the same again and 1000 bytes of B, bounded. */
static void write_known(const char *path)
{
  struct built b;
  open_trace(&b, path);
  struct emuv_trace_operand o[] = {operand(A, 0, 4096, EMUV_TRACE_CLASS_EXACT, EMUV_TRACE_ACCESS_READ),
                                   operand(B, 0, 1 << 20, EMUV_TRACE_CLASS_BOUNDED, 0)};
  struct emuv_trace_operand next = operand(B, 1000, 24, EMUV_TRACE_CLASS_EXACT, EMUV_TRACE_ACCESS_WRITE);
  range(&b, 10 * MS, EMUV_TRACE_RANGE_START, 1, "all", 9);
  for (uint32_t i = 0; i < 2; i++) {
    char name[16];
    snprintf(name, sizeof name, "part %u", i);
    range(&b, (20 + 20 * i) * MS, EMUV_TRACE_RANGE_PUSH, 1 + i, name, 0);
    launch(&b, (21 + 20 * i) * MS, 0, 1 + i, o, 1, EMUV_TRACE_CLASS_EXACT);
    launch(&b, (22 + 20 * i) * MS, 1, 1 + i, o, 2, EMUV_TRACE_CLASS_BOUNDED);
    range(&b, (30 + 20 * i) * MS, EMUV_TRACE_RANGE_POP, 1 + i, NULL, 0);
  }
  launch(&b, 60 * MS, 1, 1, &next, 1, EMUV_TRACE_CLASS_GAP);
  range(&b, 100 * MS, EMUV_TRACE_RANGE_END, 3, NULL, 9);
  range(&b, 101 * MS, EMUV_TRACE_RANGE_POP, 1, NULL, 0); /* of a range before the trace */
  for (int i = 0; i < 3; i++)
    emuv_trace_writer_gap(b.w, &(struct emuv_trace_gap){.why = EMUV_TRACE_GAP_UNSUPPORTED,
                                                        .count = 2,
                                                        .text = emuv_trace_writer_string(b.w, "cuSomething")});
  assert_int_equal(emuv_trace_writer_close(b.w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, NULL), 0);
}

static struct emuv_trace_info known(struct emuv_trace_data *d)
{
  char path[64];
  struct emuv_trace_info info;
  struct emuv_err err = {0};
  write_known(fixture_path(path));
  if (emuv_trace_load(path, d, &err) != 0) fail_msg("%s", err.text);
  unlink(path);
  if (emuv_trace_info_compute(d, &info, &err) != 0) fail_msg("%s", err.text);
  return info;
}

static void ranges_are_measured(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  struct emuv_trace_info info = known(&d);
  assert_int_equal(info.n_ranges, 2);
  assert_string_equal(info.ranges[0].name, "all");
  assert_int_equal(info.ranges[0].count, 1);
  assert_int_equal(info.ranges[0].launches, 5);
  assert_int_equal(info.ranges[0].device_ns, 5 * MS / 10);
  assert_int_equal(info.ranges[0].bytes, 4096 + 1000 + 24);
  assert_string_equal(info.ranges[1].name, "part");
  assert_int_equal(info.ranges[1].count, 2);
  assert_int_equal(info.ranges[1].launches, 4);
  assert_int_equal(info.ranges[1].exact_launches, 2);
  assert_int_equal(info.ranges[1].bytes, 4096 + 1000);
  assert_int_equal(info.ranges_skipped, 0);
  emuv_trace_info_free(&info);
  emuv_trace_data_free(&d);
}

static void extents_access_and_gaps_are_counted(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  struct emuv_trace_info info = known(&d);
  assert_int_equal(info.exact_bytes, 4 * 4096 + 24);
  assert_int_equal(info.bounded_recorded, 2 << 20);
  assert_int_equal(info.bounded_next, 2 * 1000);
  assert_int_equal(info.bounded_bytes, 2 * 1000);
  assert_int_equal(info.access_bytes[EMUV_TRACE_ACCESS_READ], 4 * 4096);
  assert_int_equal(info.access_bytes[EMUV_TRACE_ACCESS_WRITE], 24);
  assert_int_equal(info.access_bytes[EMUV_TRACE_ACCESS_UNKNOWN], 2 * 1000);
  assert_int_equal(info.threads, 2);
  assert_int_equal(info.n_gap_uses, 1);
  assert_int_equal(info.gap_uses[0].count, 6);
  assert_string_equal(info.gap_uses[0].text, "cuSomething");
  emuv_trace_info_free(&info);
  emuv_trace_data_free(&d);
}

static void memory_over_time(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  struct emuv_trace_info info = known(&d);
  uint64_t sum = 0;
  assert_true(info.timed);
  assert_true(info.intervals >= 2 && info.intervals <= EMUV_TRACE_INFO_INTERVALS);
  for (size_t i = 0; i < info.intervals; i++) sum += info.touched[i];
  assert_in_range(sum, 2 * (4096 + 1000) + 24, 2 * (2 * 4096 + 1000) + 48); /* a call may lie in two intervals */
  for (size_t i = 0; i < info.intervals; i++) assert_int_equal(info.allocated[i], 2 << 20);
  emuv_trace_info_free(&info);
  emuv_trace_data_free(&d);
}

static void kernels_sort_by_what_is_asked(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  struct emuv_trace_info info = known(&d);
  assert_int_equal(info.n_kernels, 2);
  assert_string_equal(info.kernels[0].name, "k1"); /* 3 launches to 2 */
  emuv_trace_info_sort(&info, EMUV_TRACE_BY_BYTES);
  assert_string_equal(info.kernels[0].name, "k1");
  assert_int_equal(info.kernels[0].exact_bytes, 2 * 4096 + 24);
  assert_int_equal(info.kernels[0].bounded_bytes, 2 * 1000);
  info.kernels[1].gaps = 7;
  emuv_trace_info_sort(&info, EMUV_TRACE_BY_GAP);
  assert_string_equal(info.kernels[0].name, "k0");
  emuv_trace_info_sort(&info, EMUV_TRACE_BY_LAUNCHES);
  assert_string_equal(info.kernels[0].name, "k1");
  emuv_trace_info_free(&info);
  emuv_trace_data_free(&d);
}

/* ---- forms ---- */

static char *report(const struct emuv_trace_data *d, const struct emuv_trace_info *info,
                    const struct emuv_export_report *form)
{
  char *text;
  size_t n;
  FILE *out = open_memstream(&text, &n);
  assert_int_equal(emuv_export_info(d, info, form, out, NULL), 0);
  fclose(out);
  return text;
}

static void text_fits_and_names_everything(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  struct emuv_trace_info info = known(&d);
  char *text = report(&d, &info, &(struct emuv_export_report){.top = 10, .width = 80});
  char *copy = strdup(text);
  for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n"))
    if (strlen(line) > 80) fail_msg("%zu columns: %s", strlen(line), line);
  free(copy);
  assert_non_null(strstr(text, "gap unsupported, 6x: cuSomething"));
  assert_non_null(strstr(text, "gap launches may touch memory that is not listed"));
  assert_non_null(strstr(text, "2 MiB to the ends of the allocations"));
  assert_null(strstr(text, "█"));
  free(text);
  text = report(&d, &info, &(struct emuv_export_report){.top = 10, .utf8 = true});
  assert_non_null(strstr(text, "█"));
  free(text);
  emuv_trace_info_free(&info);
  emuv_trace_data_free(&d);
}

static json_int_t number(const json_t *o, const char *key)
{
  const json_t *v = json_object_get(o, key);
  if (!json_is_integer(v)) fail_msg("no number %s", key);
  return json_integer_value(v);
}

static void json_is_complete(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  struct emuv_trace_info info = known(&d);
  char *text = report(&d, &info, &(struct emuv_export_report){.style = EMUV_EXPORT_JSON, .top = 1});
  json_error_t error;
  json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &error);
  if (!o) fail_msg("%s", error.text);
  assert_int_equal(number(o, "launches"), 5);
  assert_int_equal(number(o, "launches_gap"), 1);
  assert_int_equal(number(json_object_get(o, "operand_bytes"), "bounded_to_next_address"), 2000);
  assert_int_equal(number(json_array_get(json_object_get(o, "ranges"), 1), "median_bytes"), 5096);
  assert_int_equal(json_array_size(json_object_get(json_object_get(o, "over_time"), "touched_bytes")), info.intervals);
  assert_int_equal(json_array_size(json_object_get(o, "kernels")), 1);
  assert_string_equal(json_string_value(json_object_get(json_object_get(o, "verdict"), "status")), "complete");
  json_decref(o);
  free(text);
  emuv_trace_info_free(&info);
  emuv_trace_data_free(&d);
}

/* ---- losses ---- */

static json_t *check(const char *path, bool *whole)
{
  char *text;
  size_t n;
  FILE *out = open_memstream(&text, &n);
  struct emuv_err err = {0};
  if (emuv_export_check(path, EMUV_EXPORT_JSON, out, whole, &err) != 0) fail_msg("%s", err.text);
  fclose(out);
  json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
  assert_non_null(o);
  free(text);
  return o;
}

static void losses_have_a_time(void **state)
{
  (void)state;
  char path[64];
  bool whole = true;
  struct built b;
  struct emuv_trace_operand o = operand(A, 0, 4096, EMUV_TRACE_CLASS_EXACT, 0);
  open_trace(&b, fixture_path(path));
  launch(&b, 11 * MS, 0, 1, &o, 1, EMUV_TRACE_CLASS_EXACT);
  emuv_trace_writer_drop(b.w, &(struct emuv_trace_drop){.ns = 31 * MS,
                                                        .count = 5,
                                                        .what = EMUV_TRACE_LAUNCH,
                                                        .text = emuv_trace_writer_string(b.w, "queue full")});
  assert_int_equal(emuv_trace_writer_close(b.w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, NULL), 0);
  json_t *c = check(path, &whole);
  const json_t *loss = json_array_get(json_object_get(c, "losses"), 0);
  assert_false(whole);
  assert_int_equal(number(c, "dropped"), 5);
  assert_string_equal(json_string_value(json_object_get(loss, "what")), "launch");
  assert_string_equal(json_string_value(json_object_get(loss, "text")), "queue full");
  assert_float_equal(json_number_value(json_object_get(loss, "begin_ms")), 10, 1e-6);
  assert_float_equal(json_number_value(json_object_get(loss, "end_ms")), 30, 1e-6);
  json_decref(c);
  write_known(path);
  c = check(path, &whole);
  assert_true(whole);
  assert_int_equal(json_array_size(json_object_get(c, "losses")), 0);
  json_decref(c);
  unlink(path);
}

/* A file that reached its limit: what came later is counted, in records and in time. */
static void what_a_limit_cost_is_told(void **state)
{
  (void)state;
  char path[64];
  bool whole = true;
  struct emuv_trace_writer_options options = {.max_bytes = 4096, .block_bytes = 1024};
  struct built b = {0};
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  uint64_t ns = (uint64_t)now.tv_sec * 1000 * MS - 20000 * (uint64_t)MS;
  assert_int_equal(emuv_trace_writer_open(&b.w, fixture_path(path), &options, NULL), 0);
  for (uint64_t i = 0; i < 5000; i++) {
    struct emuv_trace_set set = {
        .sequence = i, .enter_ns = ns + i, .exit_ns = ns + i, .address = i * 0x9e3779b97f4a7c15};
    emuv_trace_writer_set(b.w, &set);
  }
  emuv_trace_writer_close(b.w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, NULL);
  json_t *c = check(path, &whole);
  assert_false(whole);
  assert_string_equal(json_string_value(json_object_get(c, "status")), "size-limit");
  assert_true(number(c, "dropped") > 0);
  assert_int_equal(number(c, "dropped") + number(c, "records"), 5000);
  assert_true(json_number_value(json_object_get(c, "unrecorded_ms")) > 10000);
  json_decref(c);
  unlink(path);
}

/* ---- dump ---- */

static size_t dumped(const char *path, const struct emuv_export_selection *selection)
{
  char *text;
  size_t n, lines = 0;
  FILE *out = open_memstream(&text, &n);
  assert_int_equal(emuv_export_dump(path, EMUV_EXPORT_JSON, selection, out, NULL), 0);
  fclose(out);
  for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, lines++) {
    json_t *o = json_loadb(line, (size_t)(end - line), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(o);
    json_decref(o);
  }
  free(text);
  return lines;
}

static void dumps_select(void **state)
{
  (void)state;
  char path[64];
  write_known(fixture_path(path));
  assert_int_equal(dumped(path, &(struct emuv_export_selection){.kernel = "k0"}), 2);
  assert_int_equal(dumped(path, &(struct emuv_export_selection){.kernel = "k?"}), 5);
  assert_int_equal(dumped(path, &(struct emuv_export_selection){.kernel = "?"}), 0);
  assert_int_equal(dumped(path, &(struct emuv_export_selection){.kernel = "k1", .limit = 2}), 2);
  /* The first time is that of the allocations: 1 ms. Launches at 21, 22, 41, 42, 60 ms. */
  struct emuv_export_selection part = {.types = 1 << EMUV_TRACE_LAUNCH, .from_ns = 21 * MS, .to_ns = 41 * MS};
  assert_int_equal(dumped(path, &part), 2);
  part.to_ns = 0;
  assert_int_equal(dumped(path, &part), 4);
  unlink(path);
}

/* ---- Chrome, Perfetto ---- */

struct counts {
  size_t spans, counters, names, flow_begins, flow_ends;
  json_int_t most_allocated;
};

static void count_event(const json_t *e, struct counts *c)
{
  const char *phase = json_string_value(json_object_get(e, "ph"));
  assert_non_null(phase);
  assert_non_null(json_string_value(json_object_get(e, "name")));
  c->spans += *phase == 'X';
  c->counters += *phase == 'C';
  c->names += *phase == 'M';
  c->flow_begins += *phase == 's';
  c->flow_ends += *phase == 'f';
  if (*phase == 's' || *phase == 'f') number(e, "id");
  if (*phase != 'M') assert_true(json_number_value(json_object_get(e, "ts")) >= 0);
  const json_t *allocated = json_object_get(json_object_get(e, "args"), "allocated_bytes");
  if (allocated && json_integer_value(allocated) > c->most_allocated) c->most_allocated = json_integer_value(allocated);
}

static void viewers_can_read_the_events(void **state)
{
  (void)state;
  char path[64], *text;
  size_t n;
  struct decode decode = {.layers = 2,
                          .tokens = 4,
                          .matrix_bytes = 1 << 20,
                          .launch_host_ns = 5000,
                          .kernel_ns = 20000,
                          .nvtx = true,
                          .growing_cache = true};
  struct emuv_trace_data d;
  decode_write(&decode, fixture_path(path));
  assert_int_equal(emuv_trace_load(path, &d, NULL), 0);
  unlink(path);
  FILE *out = open_memstream(&text, &n);
  assert_int_equal(emuv_export_chrome(&d, out, NULL), 0);
  fclose(out);
  json_error_t error;
  json_t *o = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error), *event;
  if (!o) fail_msg("%s", error.text);
  struct counts c = {0};
  size_t i;
  json_array_foreach(json_object_get(o, "traceEvents"), i, event) count_event(event, &c);
  size_t calls = d.n_launches + d.n_copies;
  assert_int_equal(c.spans, 2 * calls + d.n_syncs);
  assert_int_equal(c.flow_begins, calls);
  assert_int_equal(c.flow_ends, calls);
  assert_true(c.counters >= d.n_allocations + d.n_frees);
  assert_int_equal(c.most_allocated, (2 * 4 << 20) + (2 << 20) + (1 << 20));
  assert_int_equal(c.names, 3); /* process, GPU, stream; the thread has no name */
  json_decref(o);
  free(text);
  emuv_trace_data_free(&d);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ranges_are_measured),
      cmocka_unit_test(extents_access_and_gaps_are_counted),
      cmocka_unit_test(memory_over_time),
      cmocka_unit_test(kernels_sort_by_what_is_asked),
      cmocka_unit_test(text_fits_and_names_everything),
      cmocka_unit_test(json_is_complete),
      cmocka_unit_test(losses_have_a_time),
      cmocka_unit_test(what_a_limit_cost_is_told),
      cmocka_unit_test(dumps_select),
      cmocka_unit_test(viewers_can_read_the_events),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
