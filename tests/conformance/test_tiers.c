// SPDX-License-Identifier: Apache-2.0
/* Every tier of the registry keeps the contract of tier.h under random requests: a copy ends no sooner than it may
 * start, one direction serves its requests in order, bytes and requests are counted. No tier is named here. */
#include "runtime/core/rng.h"
#include "runtime/tier/tier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_registry(void **unused)
{
  (void)unused;
  const char *const *names = emuv_tier_names();
  size_t n = 0;
  for (; emuv_tiers[n]; n++) {
    const struct emuv_tier_ops *ops = emuv_tiers[n];
    assert_string_equal(names[n], ops->name);
    assert_ptr_equal(emuv_tier_find(ops->name), ops);
    assert_true(ops->summary && ops->summary[0] && !strchr(ops->summary, '\n') && strlen(ops->summary) <= 100);
    assert_true(ops->read && ops->write);
  }
  assert_true(n >= 2);
  assert_null(names[n]);
  assert_null(emuv_tier_find("nowhere"));
}

static struct emuv_tier random_tier(const struct emuv_tier_ops *ops, struct emuv_rng *rng)
{
  struct emuv_tier t = {.ops = ops};
  t.env.page_bytes = 4096u << emuv_rng_below(rng, 10);
  t.env.coalesce_bytes = emuv_rng_below(rng, 2) ? 16u << 20 : 0;
  t.env.read = (struct emuv_curve){.n = 2, .point = {{4096, 1e9}, {1 << 20, 2e10}}};
  t.env.write = (struct emuv_curve){.n = 1, .point = {{4096, 3e9}}};
  t.env.latency_ns = (double)emuv_rng_below(rng, 5000);
  t.env.duplex_rate = emuv_rng_below(rng, 2) ? 2.1e10 : 0;
  t.env.half_duplex = emuv_rng_below(rng, 2);
  return t;
}

static void check_tier(const struct emuv_tier_ops *ops, uint64_t seed)
{
  struct emuv_rng rng;
  emuv_rng_seed(&rng, seed);
  struct emuv_tier t = random_tier(ops, &rng);
  struct emuv_move moves[100] = {{0}};
  struct emuv_err err = {0};
  double now = 0, last[2] = {0};
  uint64_t bytes[2] = {0};
  for (int i = 0; i < 2000; i++) {
    int way = (int)emuv_rng_below(&rng, 2);
    uint32_t n = 1 + (uint32_t)emuv_rng_below(&rng, 100);
    now += (double)emuv_rng_below(&rng, 200000);
    double done = -1;
    assert_int_equal((way ? ops->write : ops->read)(&t, moves, n, now, &done, &err), 0);
    bytes[way] += n * t.env.page_bytes;
    assert_true(done >= now && done < 1e18);
    assert_true(done >= last[way] && t.read.busy_ns >= 0);
    last[way] = done;
  }
  assert_int_equal(t.read.bytes, bytes[0]);
  assert_int_equal(t.write.bytes, bytes[1]);
  assert_true(t.read.requests > 0 && t.write.requests > 0);
  assert_true(t.read.busy_ns <= t.read.free_ns * (1 + 1e-12));
}

static void test_random_requests(void **unused)
{
  (void)unused;
  for (size_t i = 0; emuv_tiers[i]; i++)
    for (uint64_t seed = 0; seed < 50; seed++) check_tier(emuv_tiers[i], seed);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_registry),
      cmocka_unit_test(test_random_requests),
  };
  return cmocka_run_group_tests_name("tiers", tests, NULL, NULL);
}
