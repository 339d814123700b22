// SPDX-License-Identifier: Apache-2.0
/* From a workload in bytes to page runs, slices, layers and next uses, on workloads small enough to check by eye. */
#include "simulator/program.h"

#include "runtime/policy/policy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PAGE = 100 };

static uint32_t add_segment(struct emuv_workload *w, uint64_t bytes, int32_t layer)
{
  uint32_t index;
  assert_int_equal(emuv_workload_segment(w, "s", bytes, EMUV_SEGMENT_WEIGHT, layer, 1, &index, NULL), 0);
  return index;
}

static void add_op(struct emuv_workload *w, int32_t layer)
{
  struct emuv_op op = {.layer = layer, .launches = 1};
  assert_int_equal(emuv_workload_op(w, &op, NULL), 0);
}

static void add_range(struct emuv_workload *w, uint32_t segment, uint64_t offset, uint64_t bytes, uint32_t flags)
{
  assert_int_equal(emuv_workload_range(w, segment, offset, bytes, flags, NULL), 0);
}

static struct emuv_program build(const struct emuv_workload *w, uint64_t slice_bytes)
{
  struct emuv_program p;
  struct emuv_err err = {0};
  if (emuv_program_build(w, PAGE, slice_bytes, &p, &err)) fail_msg("%s", err.text);
  return p;
}

static void check_run(const struct emuv_program *p, size_t i, uint32_t first, uint32_t n, uint32_t flags)
{
  assert_true(i < p->n_runs);
  assert_int_equal(p->runs[i].first, first);
  assert_int_equal(p->runs[i].n, n);
  assert_int_equal(p->runs[i].flags, flags);
}

static void test_bytes_become_pages(void **unused)
{
  (void)unused;
  struct emuv_workload w = {0};
  uint32_t s = add_segment(&w, 1050, -1);
  assert_int_equal(emuv_workload_step(&w, 1, false, NULL), 0);
  add_op(&w, -1);
  add_range(&w, s, 250, 1, EMUV_RANGE_READ);
  add_range(&w, s, 399, 2, EMUV_RANGE_READ);
  add_range(&w, s, 1000, 50, EMUV_RANGE_READ | EMUV_RANGE_WRITE);
  struct emuv_program p = build(&w, 100000);
  assert_int_equal(p.n_pages, 11);
  assert_int_equal(p.n_runs, 3);
  assert_int_equal(p.n_refs, 4);
  check_run(&p, 0, 2, 1, 0);
  check_run(&p, 1, 3, 2, 0);
  check_run(&p, 2, 10, 1, EMUV_RUN_WRITE);
  emuv_program_free(&p);
  emuv_workload_free(&w);
}

/* A page that two neighbouring ranges share is referenced once, unless the second one writes it. */
static void test_a_shared_page_is_referenced_once(void **unused)
{
  (void)unused;
  struct emuv_workload w = {0};
  uint32_t s = add_segment(&w, 1000, -1);
  assert_int_equal(emuv_workload_step(&w, 1, false, NULL), 0);
  add_op(&w, -1);
  add_range(&w, s, 0, 150, EMUV_RANGE_READ);
  add_range(&w, s, 150, 100, EMUV_RANGE_READ); /* pages 1 and 2, 1 was there */
  add_range(&w, s, 250, 10, EMUV_RANGE_READ);  /* page 2 again: nothing */
  add_range(&w, s, 260, 10, EMUV_RANGE_WRITE); /* page 2, written */
  add_op(&w, -1);
  add_range(&w, s, 260, 10, EMUV_RANGE_READ); /* another launch: again */
  struct emuv_program p = build(&w, 100000);
  assert_int_equal(p.n_runs, 4);
  check_run(&p, 0, 0, 2, 0);
  check_run(&p, 1, 2, 1, 0);
  check_run(&p, 2, 2, 1, EMUV_RUN_WRITE);
  check_run(&p, 3, 2, 1, 0);
  emuv_program_free(&p);
  emuv_workload_free(&w);
}

/* Only the pages that a new range covers whole are new. */
static void test_the_ends_of_a_new_range(void **unused)
{
  (void)unused;
  struct emuv_workload w = {0};
  uint32_t s = add_segment(&w, 1000, -1), fresh = EMUV_RANGE_WRITE | EMUV_RANGE_NEW;
  assert_int_equal(emuv_workload_step(&w, 1, false, NULL), 0);
  add_op(&w, -1);
  add_range(&w, s, 150, 300, fresh);
  add_op(&w, -1);
  add_range(&w, s, 710, 50, fresh | EMUV_RANGE_DYNAMIC); /* no page whole */
  struct emuv_program p = build(&w, 100000);
  assert_int_equal(p.n_runs, 4);
  check_run(&p, 0, 1, 1, EMUV_RUN_WRITE);
  check_run(&p, 1, 2, 2, EMUV_RUN_WRITE | EMUV_RUN_NEW);
  check_run(&p, 2, 4, 1, EMUV_RUN_WRITE);
  check_run(&p, 3, 7, 1, EMUV_RUN_WRITE | EMUV_RUN_DYNAMIC);
  emuv_program_free(&p);
  emuv_workload_free(&w);
}

/* A page holds data at the start when some of it is read before the run has written it. */
static void test_which_pages_hold_data(void **unused)
{
  (void)unused;
  struct emuv_workload w = {0};
  uint32_t weights = add_segment(&w, 200, 0), cache = add_segment(&w, 400, 0),
           fresh = EMUV_RANGE_WRITE | EMUV_RANGE_NEW;
  assert_int_equal(emuv_workload_step(&w, 1, false, NULL), 0);
  add_op(&w, 0);
  add_range(&w, weights, 0, 200, EMUV_RANGE_READ);
  add_range(&w, cache, 0, 60, EMUV_RANGE_READ); /* 60 bytes of old cache, then appended tokens */
  add_range(&w, cache, 60, 90, fresh);
  add_range(&w, cache, 60, 90, EMUV_RANGE_READ);
  add_range(&w, cache, 150, 90, fresh);
  add_range(&w, cache, 60, 180, EMUV_RANGE_READ);
  add_range(&w, cache, 320, 10, EMUV_RANGE_WRITE); /* changed, not made: there was something */
  struct emuv_program p = build(&w, 100000);
  const uint8_t expected[] = {1, 1, 1, 0, 0, 1};
  assert_int_equal(p.n_pages, 6);
  assert_memory_equal(p.initial, expected, sizeof expected);
  emuv_program_free(&p);
  emuv_workload_free(&w);
}

static void test_slices(void **unused)
{
  (void)unused;
  struct emuv_workload w = {0};
  uint32_t s = add_segment(&w, 1000, -1);
  assert_int_equal(emuv_workload_step(&w, 1, false, NULL), 0);
  add_op(&w, 4);
  add_range(&w, s, 0, 500, EMUV_RANGE_READ);
  add_range(&w, s, 700, 200, EMUV_RANGE_READ);
  add_op(&w, -1); /* touches nothing: one slice all the same */
  assert_int_equal(emuv_workload_step(&w, 1, false, NULL), 0);
  add_op(&w, 5);
  add_range(&w, s, 0, 100, EMUV_RANGE_READ);
  struct emuv_program p = build(&w, 350); /* three pages */
  assert_int_equal(p.n_slices, 5);
  const uint32_t runs[] = {1, 2, 1, 0, 1}, refs[] = {0, 3, 6, 7, 7}, ops[] = {0, 0, 0, 1, 2};
  const double shares[] = {3.0 / 7, 3.0 / 7, 1.0 / 7, 1, 1};
  const int32_t layers[] = {4, 4, 4, -1, 5};
  for (size_t i = 0; i < 5; i++) {
    assert_int_equal(p.slices[i].n_runs, runs[i]);
    assert_int_equal(p.slices[i].first_ref, refs[i]);
    assert_int_equal(p.slices[i].op, ops[i]);
    assert_int_equal(p.slice_layer[i], layers[i]);
    assert_int_equal(p.slices[i].opens_op, i == 0 || i >= 3);
    assert_true(fabs((double)p.slices[i].share - shares[i]) < 1e-6);
  }
  assert_int_equal(p.n_steps, 2);
  assert_int_equal(p.step_first_slice[1], 4);
  assert_int_equal(p.step_first_slice[2], 5);
  emuv_program_free(&p);
  p = build(&w, 1); /* less than a page: one page */
  assert_int_equal(p.n_slices, 9);
  emuv_program_free(&p);
  emuv_workload_free(&w);
}

static void test_layers(void **unused)
{
  (void)unused;
  struct emuv_workload w = {0};
  add_segment(&w, 250, -1);
  add_segment(&w, 100, 1); /* pages 2, 3 */
  add_segment(&w, 300, 0); /* pages 3 to 6 */
  add_segment(&w, 50, 1);  /* page 6 */
  add_segment(&w, 120, 1); /* pages 7, 8: adjoins */
  assert_int_equal(emuv_workload_step(&w, 1, false, NULL), 0);
  struct emuv_program p = build(&w, PAGE);
  assert_int_equal(p.n_layers, 2);
  assert_int_equal(p.layers[0].n_runs, 1);
  const struct emuv_page_run *run = &p.layer_runs[p.layers[0].first_run];
  assert_int_equal(run->first, 3);
  assert_int_equal(run->n, 4);
  assert_int_equal(p.layers[1].n_runs, 2);
  run = &p.layer_runs[p.layers[1].first_run];
  assert_int_equal(run[0].first, 2);
  assert_int_equal(run[0].n, 2);
  assert_int_equal(run[1].first, 6);
  assert_int_equal(run[1].n, 3);
  emuv_program_free(&p);
  emuv_workload_free(&w);
}

static void test_next_uses(void **unused)
{
  (void)unused;
  struct emuv_page_run runs[] = {{.first = 0, .n = 3}, {.first = 1, .n = 1}, {.first = 0, .n = 2}};
  struct emuv_program p = {.n_pages = 4, .n_refs = 6, .runs = runs, .n_runs = 3};
  uint32_t next[6], first[4];
  emuv_program_next_uses(&p, next, first);
  const uint32_t expected[] = {4, 3, EMUV_NEVER, 5, EMUV_NEVER, EMUV_NEVER}, firsts[] = {0, 1, 2, EMUV_NEVER};
  assert_memory_equal(next, expected, sizeof expected);
  assert_memory_equal(first, firsts, sizeof firsts);
}

static void test_too_many_pages(void **unused)
{
  (void)unused;
  struct emuv_workload w = {0};
  struct emuv_program p;
  struct emuv_err err = {0};
  assert_int_equal(emuv_program_build(&w, PAGE, PAGE, &p, &err), EMUV_ERR_RANGE); /* none */
  uint32_t s = add_segment(&w, UINT64_C(1) << 40, -1);
  assert_int_equal(emuv_program_build(&w, PAGE, PAGE, &p, &err), EMUV_ERR_RANGE);
  assert_int_equal(emuv_workload_step(&w, 1, false, NULL), 0);
  for (int i = 0; i < 3; i++) {
    add_op(&w, -1);
    add_range(&w, s, 0, UINT64_C(1) << 40, EMUV_RANGE_READ);
  }
  assert_int_equal(emuv_program_build(&w, 1024, UINT64_C(1) << 40, &p, &err), EMUV_ERR_RANGE); /* references */
  assert_non_null(strstr(err.text, "larger pages"));
  assert_null(p.runs);
  emuv_workload_free(&w);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bytes_become_pages),
      cmocka_unit_test(test_a_shared_page_is_referenced_once),
      cmocka_unit_test(test_the_ends_of_a_new_range),
      cmocka_unit_test(test_which_pages_hold_data),
      cmocka_unit_test(test_slices),
      cmocka_unit_test(test_layers),
      cmocka_unit_test(test_next_uses),
      cmocka_unit_test(test_too_many_pages),
  };
  return cmocka_run_group_tests_name("program", tests, NULL, NULL);
}
