// SPDX-License-Identifier: Apache-2.0
/* Builders of workloads: layout of segments, ownership of ops and ranges, refusals. */
#include "simulator/source/source.h"
#include "simulator/workload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void segments_are_aligned_and_in_order(void **state)
{
  (void)state;
  struct emuv_workload w = {0};
  uint32_t a = 9, b = 9;
  assert_int_equal(emuv_workload_segment(&w, "a", 100, EMUV_SEGMENT_WEIGHT, 0, 512, &a, NULL), 0);
  assert_int_equal(emuv_workload_segment(&w, "b", 1000, EMUV_SEGMENT_KV, -1, 256, &b, NULL), 0);
  assert_int_equal(emuv_workload_segment(&w, "c", 7, EMUV_SEGMENT_WEIGHT, 3, 1, NULL, NULL), 0);
  assert_int_equal(a, 0);
  assert_int_equal(b, 1);
  assert_int_equal(w.segments[1].offset, 256);
  assert_int_equal(w.segments[2].offset, 1256);
  assert_int_equal(w.segments[2].layer, 3);
  assert_int_equal(w.address_bytes, 1263);
  assert_int_equal(w.weight_bytes, 107);
  emuv_workload_free(&w);
  assert_null(w.segments);
  assert_int_equal(w.n_segments, 0);
}

static void long_names_are_cut(void **state)
{
  (void)state;
  struct emuv_workload w = {0};
  char name[200];
  memset(name, 'x', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  assert_int_equal(emuv_workload_segment(&w, name, 1, EMUV_SEGMENT_OTHER, -1, 1, NULL, NULL), 0);
  assert_int_equal(strlen(w.segments[0].name), sizeof w.segments[0].name - 1);
  emuv_workload_free(&w);
}

static void address_space_ends_at_2_62(void **state)
{
  (void)state;
  struct emuv_workload w = {0};
  struct emuv_err err;
  const uint64_t half = (uint64_t)1 << 61;
  assert_int_equal(emuv_workload_segment(&w, "a", half, EMUV_SEGMENT_OTHER, -1, 512, NULL, &err), 0);
  assert_int_equal(emuv_workload_segment(&w, "b", half, EMUV_SEGMENT_OTHER, -1, 512, NULL, &err), 0);
  assert_int_equal(emuv_workload_segment(&w, "c", 1, EMUV_SEGMENT_OTHER, -1, 512, NULL, &err), EMUV_ERR_RANGE);
  assert_int_equal(emuv_workload_segment(&w, "d", UINT64_MAX, EMUV_SEGMENT_OTHER, -1, 1, NULL, &err), EMUV_ERR_RANGE);
  assert_int_equal(emuv_workload_segment(&w, "e", 1, EMUV_SEGMENT_OTHER, -1, 24, NULL, &err), EMUV_ERR_INTERNAL);
  assert_int_equal(w.n_segments, 2);
  emuv_workload_free(&w);
}

/* 1000 steps of 3 ops of 2 ranges, so that every array is moved several times. */
static void ops_and_ranges_belong_to_the_last(void **state)
{
  (void)state;
  struct emuv_workload w = {0};
  assert_int_equal(emuv_workload_segment(&w, "pad", 1, EMUV_SEGMENT_OTHER, -1, 1, NULL, NULL), 0);
  assert_int_equal(emuv_workload_segment(&w, "s", 6000, EMUV_SEGMENT_OTHER, -1, 512, NULL, NULL), 0);
  for (uint64_t i = 0; i < 1000; i++) {
    assert_int_equal(emuv_workload_step(&w, i, i % 2 == 0, NULL), 0);
    for (uint64_t k = 0; k < 3; k++) {
      struct emuv_op op = {.first_range = 77, .n_ranges = 77, .step = 77, .layer = (int32_t)k};
      assert_int_equal(emuv_workload_op(&w, &op, NULL), 0);
      assert_int_equal(emuv_workload_range(&w, 1, 6 * i + 2 * k, 1, EMUV_RANGE_READ, NULL), 0);
      assert_int_equal(emuv_workload_range(&w, 1, 6 * i + 2 * k + 1, 1, EMUV_RANGE_WRITE, NULL), 0);
    }
  }
  assert_int_equal(w.n_ops, 3000);
  assert_int_equal(w.n_ranges, 6000);
  for (uint32_t i = 0; i < 3000; i++) {
    assert_int_equal(w.ops[i].first_range, 2 * i);
    assert_int_equal(w.ops[i].n_ranges, 2);
    assert_int_equal(w.ops[i].step, i / 3);
    assert_int_equal(w.ops[i].layer, i % 3);
    assert_int_equal(w.ranges[2 * i].offset, 512 + 2 * i);
    assert_int_equal(w.ranges[2 * i + 1].flags, EMUV_RANGE_WRITE);
  }
  assert_int_equal(w.steps[999].first_op, 2997);
  assert_int_equal(w.steps[999].n_ops, 3);
  assert_int_equal(w.steps[999].tokens, 999);
  emuv_workload_free(&w);
}

static void misplaced_parts_are_refused(void **state)
{
  (void)state;
  struct emuv_workload w = {0};
  struct emuv_op op = {0};
  assert_int_equal(emuv_workload_op(&w, &op, NULL), EMUV_ERR_INTERNAL);
  assert_int_equal(emuv_workload_segment(&w, "s", 100, EMUV_SEGMENT_OTHER, -1, 1, NULL, NULL), 0);
  assert_int_equal(emuv_workload_range(&w, 0, 0, 1, EMUV_RANGE_READ, NULL), EMUV_ERR_INTERNAL);
  assert_int_equal(emuv_workload_step(&w, 1, false, NULL), 0);
  assert_int_equal(emuv_workload_op(&w, &op, NULL), 0);
  assert_int_equal(emuv_workload_range(&w, 1, 0, 1, EMUV_RANGE_READ, NULL), EMUV_ERR_INTERNAL);
  assert_int_equal(emuv_workload_range(&w, 0, 1, 100, EMUV_RANGE_READ, NULL), EMUV_ERR_INTERNAL);
  assert_int_equal(emuv_workload_range(&w, 0, UINT64_MAX, 2, EMUV_RANGE_READ, NULL), EMUV_ERR_INTERNAL);
  assert_int_equal(emuv_workload_range(&w, 0, 0, 100, EMUV_RANGE_READ, NULL), 0);
  assert_int_equal(emuv_workload_range(&w, 0, 50, 0, EMUV_RANGE_READ, NULL), 0);
  assert_int_equal(w.n_ranges, 1);
  emuv_workload_free(&w);
}

static void every_source_is_registered_under_its_name(void **state)
{
  (void)state;
  const char *const *names = emuv_source_names();
  size_t n = 0;
  for (; emuv_sources[n]; n++) {
    assert_string_equal(emuv_sources[n]->name, names[n]);
    assert_ptr_equal(emuv_source_find(names[n]), emuv_sources[n]);
    assert_true(strlen(emuv_sources[n]->summary) > 10);
    assert_non_null(emuv_sources[n]->build);
  }
  assert_null(names[n]);
  assert_true(n >= 2);
  assert_null(emuv_source_find("nosuch"));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(segments_are_aligned_and_in_order), cmocka_unit_test(long_names_are_cut),
      cmocka_unit_test(address_space_ends_at_2_62),        cmocka_unit_test(ops_and_ranges_belong_to_the_last),
      cmocka_unit_test(misplaced_parts_are_refused),       cmocka_unit_test(every_source_is_registered_under_its_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
