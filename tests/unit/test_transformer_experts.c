// SPDX-License-Identifier: Apache-2.0
/* Source `transformer` with experts, and expert routing against its distribution. */
#include "simulator/source/routing.h"
#include "tests/unit/test_transformer.h"

/* Bytes of distinct experts per layer, each read once, in gate_up and down ops of their own. */
static void experts_are_read_when_routed_to(void **state)
{
  (void)state;
  struct emuv_config c = small_moe(8, 2);
  c.tokens = 20;
  struct emuv_workload w = build(&c);
  for (size_t step = 0; step < 20; step++) {
    assert_int_equal(w.steps[step].n_ops, 2 + LAYERS * (4 + 2 * 2));
    assert_int_equal(step_bytes(&w, step, EMUV_SEGMENT_WEIGHT, EMUV_RANGE_DYNAMIC),
                     LAYERS * 2 * 3 * HIDDEN * INNER * 2);
    assert_true(op_of(&w, step, 1, "router")->flops == 2.0 * 8 * HIDDEN);
    assert_true(op_of(&w, step, 1, "gate_up")->flops == 4.0 * HIDDEN * INNER);
  }
  assert_int_equal(w.weight_bytes, 2 * w.parameters);
  assert_non_null(segment(&w, "layers.2.experts.7.down"));
  emuv_workload_free(&w);
}

static void expert_flops_follow_the_tokens(void **state)
{
  (void)state;
  struct emuv_config c = small_moe(8, 2);
  c.prompt = 50;
  struct emuv_workload w = build(&c);
  double gate_up = 0, down = 0;
  for (uint32_t i = 0; i < w.steps[0].n_ops; i++) {
    if (strcmp(w.ops[i].name, "gate_up") == 0) gate_up += w.ops[i].flops;
    if (strcmp(w.ops[i].name, "down") == 0) down += w.ops[i].flops;
  }
  assert_true(gate_up == 50.0 * 2 * LAYERS * 4 * HIDDEN * INNER);
  assert_true(down == 50.0 * 2 * LAYERS * 2 * HIDDEN * INNER);
  emuv_workload_free(&w);
}

static uint64_t distinct(const uint64_t *counts, uint64_t n)
{
  uint64_t d = 0;
  for (uint64_t i = 0; i < n; i++) d += counts[i] > 0;
  return d;
}

/* E (1 - (1 - k/E)^n) distinct experts in the mean for uniform, independent routing of n tokens. */
static void uniform_routing_has_the_expected_union(void **state)
{
  (void)state;
  enum { ROUNDS = 20000 };
  struct emuv_config c = small_moe(8, 2);
  c.batch = 3;
  struct emuv_routing *r = emuv_routing_new(&c);
  uint64_t counts[8], sum = 0, used = 0;
  for (int i = 0; i < ROUNDS; i++) {
    emuv_routing_next(r, 1, 1, counts);
    sum += distinct(counts, 8);
    for (int e = 0; e < 8; e++) used += counts[e];
  }
  assert_int_equal(used, ROUNDS * 3 * 2);
  assert_true(fabs((double)sum / ROUNDS - 8 * (1 - pow(0.75, 3))) < 0.04);
  emuv_routing_free(r);
}

static void repeats_keep_the_experts(void **state)
{
  (void)state;
  enum { ROUNDS = 20000 };
  struct emuv_config c = small_moe(16, 1);
  c.routing_repeat = 0.6;
  struct emuv_routing *r = emuv_routing_new(&c);
  uint64_t counts[16], before[16], same = 0;
  emuv_routing_next(r, 0, 1, before);
  for (int i = 0; i < ROUNDS; i++) {
    emuv_routing_next(r, 0, 1, counts);
    same += memcmp(counts, before, sizeof counts) == 0;
    memcpy(before, counts, sizeof counts);
  }
  /* kept, or drawn again by chance */
  assert_true(fabs((double)same / ROUNDS - (0.6 + 0.4 / 16)) < 0.02);
  emuv_routing_free(r);
}

static void skewed_routing_has_zipf_popularity(void **state)
{
  (void)state;
  enum { ROUNDS = 40000 };
  struct emuv_config c = small_moe(4, 1);
  c.routing_skew = 1.0;
  struct emuv_routing *r = emuv_routing_new(&c);
  uint64_t counts[4], total[LAYERS][4] = {{0}};
  for (int i = 0; i < ROUNDS; i++)
    for (uint64_t l = 0; l < LAYERS; l++) {
      emuv_routing_next(r, l, 1, counts);
      for (int e = 0; e < 4; e++) total[l][e] += counts[e];
    }
  for (int l = 0; l < LAYERS; l++) {
    uint64_t most = 0;
    for (int e = 0; e < 4; e++) most = total[l][e] > most ? total[l][e] : most;
    assert_true(fabs((double)most / ROUNDS - 12.0 / 25) < 0.015);
  }
  emuv_routing_free(r);
}

static void extreme_skew_still_gives_distinct_experts(void **state)
{
  (void)state;
  struct emuv_config c = small_moe(64, 8);
  c.routing_skew = 100;
  struct emuv_routing *r = emuv_routing_new(&c);
  uint64_t counts[64];
  for (int i = 0; i < 100; i++) {
    emuv_routing_next(r, 0, 1, counts);
    assert_int_equal(distinct(counts, 64), 8);
  }
  emuv_routing_free(r);
}

static void same_seed_same_workload(void **state)
{
  (void)state;
  struct emuv_config c = small_moe(8, 2);
  c.tokens = 5;
  struct emuv_workload a = build(&c), b = build(&c);
  c.seed++;
  struct emuv_workload other = build(&c);
  assert_int_equal(a.n_ranges, b.n_ranges);
  assert_memory_equal(a.ranges, b.ranges, a.n_ranges * sizeof *a.ranges);
  bool differs = a.n_ranges != other.n_ranges || memcmp(a.ranges, other.ranges, a.n_ranges * sizeof *a.ranges) != 0;
  assert_true(differs);
  emuv_workload_free(&a);
  emuv_workload_free(&b);
  emuv_workload_free(&other);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(experts_are_read_when_routed_to),
      cmocka_unit_test(expert_flops_follow_the_tokens),
      cmocka_unit_test(uniform_routing_has_the_expected_union),
      cmocka_unit_test(repeats_keep_the_experts),
      cmocka_unit_test(skewed_routing_has_zipf_popularity),
      cmocka_unit_test(extreme_skew_still_gives_distinct_experts),
      cmocka_unit_test(same_seed_same_workload),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
