// SPDX-License-Identifier: Apache-2.0
/* Source `pattern` against the definitions of its kinds, and the Zipf sampler against its distribution. */
#include "simulator/source/source.h"
#include "simulator/source/zipf.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct emuv_config config_of(const char *kind, uint64_t objects, uint64_t references)
{
  struct emuv_config c = {.tokens = 1, .seed = 7};
  strcpy(c.source, "pattern");
  strcpy(c.pattern.kind, kind);
  c.pattern.object = 4096;
  c.pattern.objects = objects;
  c.pattern.references = references;
  c.pattern.stride = 1;
  c.pattern.skew = 1.0;
  return c;
}

static struct emuv_workload build(const struct emuv_config *c)
{
  struct emuv_workload w = {0};
  struct emuv_err err = {0};
  int rc = emuv_source_find("pattern")->build(c, &w, &err);
  if (rc != 0) fail_msg("%s", err.text);
  return w;
}

static uint64_t object_of(const struct emuv_workload *w, size_t reference)
{
  return w->ranges[reference].offset / 4096;
}

static void one_op_per_reference(void **state)
{
  (void)state;
  struct emuv_config c = config_of("cyclic", 5, 12);
  c.warmup = 1;
  struct emuv_workload w = build(&c);
  assert_int_equal(w.n_segments, 1);
  assert_int_equal(w.segments[0].bytes, 5 * 4096);
  assert_int_equal(w.n_steps, 2);
  assert_int_equal(w.warmup_steps, 1);
  assert_int_equal(w.n_ops, 24);
  assert_int_equal(w.n_ranges, 24);
  assert_int_equal(w.steps[1].tokens, 12);
  assert_string_equal(w.work_unit, "access");
  assert_string_equal(w.name, "pattern:cyclic");
  for (size_t i = 0; i < w.n_ops; i++) {
    assert_int_equal(object_of(&w, i), i % 5);
    assert_int_equal(w.ranges[i].bytes, 4096);
    assert_int_equal(w.ranges[i].flags, EMUV_RANGE_READ);
    assert_true(w.ops[i].bytes == 4096.0);
    assert_int_equal(w.ops[i].sync, i % 12 == 11);
  }
  emuv_workload_free(&w);
}

/* 10 objects in rows of 4: columns 0 4 8, 1 5 9, 2 6, 3 7. */
static void stride_walks_columns(void **state)
{
  (void)state;
  static const uint64_t expected[] = {0, 4, 8, 1, 5, 9, 2, 6, 3, 7};
  struct emuv_config c = config_of("stride", 10, 20);
  c.pattern.stride = 4;
  struct emuv_workload w = build(&c);
  for (size_t i = 0; i < 20; i++) assert_int_equal(object_of(&w, i), expected[i % 10]);
  emuv_workload_free(&w);
}

static void stride_beyond_the_end_is_a_scan(void **state)
{
  (void)state;
  struct emuv_config c = config_of("stride", 6, 13);
  c.pattern.stride = 100;
  struct emuv_workload w = build(&c);
  for (size_t i = 0; i < 13; i++) assert_int_equal(object_of(&w, i), i % 6);
  emuv_workload_free(&w);
}

/* Chi-square of counts against expected; the 1 - 1e-9 quantile is below dof + 6 sqrt(2 dof) + 24 for the sizes here. */
static void assert_fits(const double *expected, const uint64_t *counts, size_t n)
{
  double chi = 0, dof = (double)n - 1;
  for (size_t i = 0; i < n; i++)
    chi += ((double)counts[i] - expected[i]) * ((double)counts[i] - expected[i]) / expected[i];
  if (chi > dof + 6 * sqrt(2 * dof) + 24) fail_msg("chi-square %.1f with %.0f degrees of freedom", chi, dof);
}

static void zipf_sampler_is_exact(void **state)
{
  (void)state;
  enum { N = 50, DRAWS = 400000 };
  static const double skews[] = {0.0, 0.3, 0.99, 1.0, 1.01, 2.5};
  for (size_t s = 0; s < sizeof skews / sizeof *skews; s++) {
    struct emuv_zipf z;
    struct emuv_rng rng;
    double expected[N], sum = 0;
    uint64_t counts[N] = {0};
    emuv_rng_seed(&rng, 11 + s);
    emuv_zipf_init(&z, N, skews[s]);
    for (int i = 0; i < DRAWS; i++) counts[emuv_zipf_next(&z, &rng)]++;
    for (int i = 0; i < N; i++) sum += pow(i + 1, -skews[s]);
    for (int i = 0; i < N; i++) expected[i] = DRAWS * pow(i + 1, -skews[s]) / sum;
    assert_fits(expected, counts, N);
  }
}

static void zipf_sampler_takes_extremes(void **state)
{
  (void)state;
  struct emuv_zipf z;
  struct emuv_rng rng;
  emuv_rng_seed(&rng, 1);
  emuv_zipf_init(&z, 1, 1.0);
  for (int i = 0; i < 100; i++) assert_int_equal(emuv_zipf_next(&z, &rng), 0);
  emuv_zipf_init(&z, (uint64_t)1 << 40, 0.5);
  for (int i = 0; i < 10000; i++) assert_true(emuv_zipf_next(&z, &rng) < (uint64_t)1 << 40);
  emuv_zipf_init(&z, 1000, 100.0);
  for (int i = 0; i < 10000; i++) assert_int_equal(emuv_zipf_next(&z, &rng), 0);
}

static int descending(const void *a, const void *b)
{
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? 1 : x > y ? -1 : 0;
}

static void zipf_is_scattered_over_addresses(void **state)
{
  (void)state;
  enum { N = 100, REFS = 100000 };
  struct emuv_config c = config_of("zipf", N, REFS);
  struct emuv_workload w = build(&c);
  uint64_t counts[N] = {0};
  double expected[N], sum = 0;
  for (size_t i = 0; i < REFS; i++) counts[object_of(&w, i)]++;
  uint64_t first_half = 0;
  for (int i = 0; i < N / 2; i++) first_half += counts[i];
  /* In popularity order the first half of the addresses would have 87 % of the references. */
  assert_in_range(first_half, REFS / 5, REFS * 4 / 5);
  qsort(counts, N, sizeof *counts, descending);
  for (int i = 0; i < N; i++) sum += 1.0 / (i + 1);
  for (int i = 0; i < 10; i++) expected[i] = REFS / sum / (i + 1);
  assert_fits(expected, counts, 10);
  emuv_workload_free(&w);
}

static void random_is_uniform(void **state)
{
  (void)state;
  enum { N = 64, REFS = 200000 };
  struct emuv_config c = config_of("random", N, REFS);
  struct emuv_workload w = build(&c);
  uint64_t counts[N] = {0};
  double expected[N];
  for (size_t i = 0; i < REFS; i++) counts[object_of(&w, i)]++;
  for (int i = 0; i < N; i++) expected[i] = (double)REFS / N;
  assert_fits(expected, counts, N);
  emuv_workload_free(&w);
}

static void writes_do_not_change_the_order(void **state)
{
  (void)state;
  enum { REFS = 20000 };
  struct emuv_config c = config_of("zipf", 100, REFS);
  struct emuv_workload reads = build(&c);
  c.pattern.write_ratio = 0.25;
  struct emuv_workload mixed = build(&c);
  size_t writes = 0;
  for (size_t i = 0; i < REFS; i++) {
    assert_int_equal(reads.ranges[i].offset, mixed.ranges[i].offset);
    writes += (mixed.ranges[i].flags & EMUV_RANGE_WRITE) != 0;
  }
  assert_in_range(writes, REFS / 4 - 400, REFS / 4 + 400); /* 6.5 standard deviations */
  emuv_workload_free(&reads);
  emuv_workload_free(&mixed);
}

static void seeds_decide(void **state)
{
  (void)state;
  struct emuv_config c = config_of("random", 1000, 500);
  struct emuv_workload a = build(&c), b = build(&c);
  c.seed++;
  struct emuv_workload other = build(&c);
  assert_memory_equal(a.ranges, b.ranges, 500 * sizeof *a.ranges);
  assert_memory_not_equal(a.ranges, other.ranges, 500 * sizeof *a.ranges);
  emuv_workload_free(&a);
  emuv_workload_free(&b);
  emuv_workload_free(&other);
}

static void assert_refused(struct emuv_config c, int code, const char *word)
{
  struct emuv_workload w = {0};
  struct emuv_err err = {0};
  assert_int_equal(emuv_source_find("pattern")->build(&c, &w, &err), code);
  if (!strstr(err.text, word)) fail_msg("\"%s\" does not say \"%s\"", err.text, word);
  assert_null(w.segments);
  assert_null(w.ops);
}

static void nonsense_is_refused(void **state)
{
  (void)state;
  struct emuv_config c = config_of("spiral", 10, 10);
  assert_refused(c, EMUV_ERR_INPUT, "spiral");
  assert_refused(config_of("cyclic", 0, 10), EMUV_ERR_RANGE, "positive");
  assert_refused(config_of("cyclic", UINT64_MAX / 2, 10), EMUV_ERR_RANGE, "2^62");
  assert_refused(config_of("cyclic", 10, (uint64_t)1 << 32), EMUV_ERR_RANGE, "2^25");
  c = config_of("stride", 10, 10);
  c.pattern.stride = 0;
  assert_refused(c, EMUV_ERR_RANGE, "stride");
  c = config_of("zipf", 10, 10);
  c.pattern.skew = (double)NAN;
  assert_refused(c, EMUV_ERR_RANGE, "skew");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_op_per_reference),
      cmocka_unit_test(stride_walks_columns),
      cmocka_unit_test(stride_beyond_the_end_is_a_scan),
      cmocka_unit_test(zipf_sampler_is_exact),
      cmocka_unit_test(zipf_sampler_takes_extremes),
      cmocka_unit_test(zipf_is_scattered_over_addresses),
      cmocka_unit_test(random_is_uniform),
      cmocka_unit_test(writes_do_not_change_the_order),
      cmocka_unit_test(seeds_decide),
      cmocka_unit_test(nonsense_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
