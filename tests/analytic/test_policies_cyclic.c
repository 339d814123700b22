// SPDX-License-Identifier: Apache-2.0
/* Closed forms on the cyclic scan of N pages with C frames. */
#include "runtime/policy/policy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct scan {
  uint32_t pages, rounds, n;
  uint32_t *refs, *next;
};

static struct scan scan_new(uint32_t pages, uint32_t rounds)
{
  struct scan s = {.pages = pages, .rounds = rounds, .n = pages * rounds};
  s.refs = malloc(s.n * sizeof *s.refs);
  s.next = malloc(s.n * sizeof *s.next);
  assert_non_null(s.refs);
  assert_non_null(s.next);
  for (uint32_t i = 0; i < s.n; i++) {
    s.refs[i] = i % pages;
    s.next[i] = i + pages < s.n ? i + pages : EMUV_NEVER;
  }
  return s;
}

static void scan_free(struct scan *s)
{
  free(s->refs);
  free(s->next);
}

static uint64_t misses(const struct scan *s, const char *policy, uint32_t capacity, uint64_t seed)
{
  const struct emuv_policy_ops *ops = emuv_policy_find(policy);
  assert_non_null(ops);
  const struct emuv_policy_env env = {.n_pages = s->pages, .capacity = capacity, .n_refs = s->n, .seed = seed};
  size_t bytes = (ops->state_bytes(&env) + 63) & ~(size_t)63;
  void *state = aligned_alloc(64, bytes);
  assert_non_null(state);
  memset(state, 0, bytes);
  ops->init(state, &env);
  uint64_t result = ops->replay(state, s->refs, s->next, s->n);
  free(state);
  return result;
}

/* Queues and recency lose every page just before its use; so does LFU with ties by recency, and SIEVE with no bit set.
 */
static void test_scan_resistant_to_nothing(void **unused)
{
  (void)unused;
  static const char *const policies[] = {"lru", "fifo", "clock", "lfu", "sieve"};
  struct scan s = scan_new(100, 50);
  for (size_t p = 0; p < sizeof policies / sizeof *policies; p++) {
    for (uint32_t capacity = 1; capacity < s.pages; capacity += 7) {
      assert_int_equal(misses(&s, policies[p], capacity, 0), s.n);
    }
    assert_int_equal(misses(&s, policies[p], s.pages, 0), s.pages);
    assert_int_equal(misses(&s, policies[p], s.pages + 1, 0), s.pages);
  }
  scan_free(&s);
}

/* Of every N-1 re-references C-1 hit; the ends of a finite scan shift that by less than one round. */
static void test_belady_closed_form(void **unused)
{
  (void)unused;
  struct scan s = scan_new(101, 2000);
  for (uint32_t capacity = 1; capacity <= s.pages; capacity += 5) {
    double again = (double)s.n - s.pages;
    double expected = s.pages + again * (s.pages - capacity) / (s.pages - 1);
    uint64_t counted = misses(&s, "belady", capacity, 0);
    if (fabs((double)counted - expected) > s.pages)
      fail_msg("%u frames: %lu misses, %f expected", capacity, counted, expected);
  }
  scan_free(&s);
}

/* MRU is optimal on the scan: from the last loaded page on it gives up only what was just used. */
static void test_mru_is_optimal_here(void **unused)
{
  (void)unused;
  struct scan s = scan_new(64, 300);
  for (uint32_t capacity = 2; capacity < s.pages; capacity += 3) {
    double optimum = (double)misses(&s, "belady", capacity, 0), mru = (double)misses(&s, "mru", capacity, 0);
    assert_true(fabs(mru - optimum) <= s.pages);
  }
  scan_free(&s);
}

/* A page survives one eviction with 1 - 1/C, and M = N (1 - h) evictions pass between its uses: h = (1 - 1/C)^M. */
static void test_random_fixed_point(void **unused)
{
  (void)unused;
  struct scan s = scan_new(1000, 400);
  for (uint32_t capacity = 100; capacity < 1000; capacity += 200) {
    double h = 0.5;
    for (int i = 0; i < 10000; i++) h += 0.1 * (pow(1 - 1.0 / capacity, s.pages * (1 - h)) - h);
    double expected = (1 - h) * s.n, counted = (double)misses(&s, "random", capacity, 17);
    if (fabs(counted / expected - 1) > 0.02) fail_msg("%u frames: %f misses, %f expected", capacity, counted, expected);
  }
  scan_free(&s);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_scan_resistant_to_nothing),
      cmocka_unit_test(test_belady_closed_form),
      cmocka_unit_test(test_mru_is_optimal_here),
      cmocka_unit_test(test_random_fixed_point),
  };
  return cmocka_run_group_tests_name("policies on the cyclic scan", tests, NULL, NULL);
}
