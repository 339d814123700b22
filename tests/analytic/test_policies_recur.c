// SPDX-License-Identifier: Apache-2.0
/* Policy `recur` on programs that repeat themselves, against the optimum: it may lose what it needs to see the first
 * repetition, and little after that. And on references that nothing can be learned from. */
#include "runtime/core/rng.h"
#include "runtime/policy/policy.h"
#include "tests/golden/trace_gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 400000 };

struct string {
  uint32_t pages, n;
  uint32_t *refs, *next;
};

static struct string string_new(uint32_t pages)
{
  struct string s = {.pages = pages, .refs = malloc(MOST * sizeof(uint32_t)), .next = malloc(MOST * sizeof(uint32_t))};
  assert_non_null(s.refs);
  assert_non_null(s.next);
  return s;
}

static void put(struct string *s, uint32_t page)
{
  assert_true(s->n < MOST);
  s->refs[s->n++] = page;
}

static void string_free(struct string *s)
{
  free(s->refs);
  free(s->next);
}

static uint64_t misses(struct string *s, const char *policy, uint32_t capacity)
{
  const struct emuv_policy_ops *ops = emuv_policy_find(policy);
  const struct emuv_policy_env env = {.n_pages = s->pages, .capacity = capacity, .n_refs = s->n};
  size_t bytes = (ops->state_bytes(&env) + 63) & ~(size_t)63;
  void *state = aligned_alloc(64, bytes);
  uint32_t *seen = malloc(s->pages * sizeof *seen);
  assert_non_null(state);
  assert_non_null(seen);
  memset(state, 0, bytes);
  memset(seen, 0xff, s->pages * sizeof *seen);
  for (uint32_t i = s->n; i-- > 0; seen[s->refs[i]] = i) s->next[i] = seen[s->refs[i]];
  ops->init(state, &env);
  uint64_t result = ops->replay(state, s->refs, s->next, s->n);
  free(seen);
  free(state);
  return result;
}

/* Not more than `most` times the optimum and `more` misses, for all shares of the pages in eighths. */
static void near_optimum(struct string *s, double most, uint32_t more)
{
  for (uint32_t eighth = 1; eighth < 8; eighth++) {
    uint32_t capacity = s->pages * eighth / 8;
    uint64_t optimum = misses(s, "belady", capacity), recur = misses(s, "recur", capacity);
    if ((double)recur > most * (double)optimum + more)
      fail_msg("%u of %u frames: %lu misses, optimum %lu", capacity, s->pages, (unsigned long)recur,
               (unsigned long)optimum);
  }
  string_free(s);
}

/* Of every N-1 re-references of the scan C-1 can hit: N + (R-1) N (N-C)/(N-1) misses in R rounds. */
static void test_cyclic_closed_form(void **unused)
{
  (void)unused;
  enum { ROUNDS = 100 };
  struct string s = string_new(301);
  for (uint32_t i = 0; i < ROUNDS * s.pages; i++) put(&s, i % s.pages);
  for (uint32_t capacity = 4; capacity < s.pages; capacity += 9) {
    double again = (double)(s.n - s.pages) * (s.pages - capacity) / (s.pages - 1);
    uint64_t counted = misses(&s, "recur", capacity);
    if ((double)counted > 1.01 * again + 2 * s.pages)
      fail_msg("%u frames: %lu misses, optimum %f", capacity, (unsigned long)counted, s.pages + again);
  }
  assert_int_equal(misses(&s, "recur", s.pages), s.pages);
  string_free(&s);
}

/* Training: forward through the layers and back, each layer with its weights twice and what it saved for the way back.
 */
static void test_forward_and_backward(void **unused)
{
  (void)unused;
  struct string s = string_new(400);
  for (uint32_t step = 0; step < 60; step++) {
    for (uint32_t layer = 0; layer < 200; layer++) put(&s, layer), put(&s, 200 + layer), put(&s, layer);
    for (uint32_t layer = 200; layer-- > 0;) put(&s, 200 + layer), put(&s, layer);
  }
  near_optimum(&s, 1.02, 3 * s.pages);
}

/* Launches next to each other share a page, and all use a small workspace. */
static void test_bursts_and_workspace(void **unused)
{
  (void)unused;
  struct string s = string_new(512);
  for (uint32_t step = 0; step < 60; step++)
    for (uint32_t op = 0; op < 500; op += 5)
      for (uint32_t i = 0; i <= 5; i++) put(&s, op + i), put(&s, 508 + (i & 1));
  near_optimum(&s, 1.05, 3 * s.pages);
}

/* Two programs in turn, each for many steps: what was learned must be given up, and is found again. */
static void test_phases(void **unused)
{
  (void)unused;
  struct string s = string_new(600);
  for (uint32_t phase = 0; phase < 8; phase++)
    for (uint32_t step = 0; step < 20; step++)
      for (uint32_t i = 0; i < 300; i++) put(&s, phase % 2 ? 300 + (i * 7) % 300 : i);
  near_optimum(&s, 1.1, 8 * s.pages);
}

/* A part of each step is chosen anew: two of eight groups of 20 pages after every 40 pages of the fixed scan. No online
 * policy can hit more of the chosen pages than the share of them that it holds; all the rest it can know. */
static void test_chosen_experts(void **unused)
{
  (void)unused;
  enum { LAYERS = 6, FIXED = 40, GROUPS = 8, GROUP = 20, STEPS = 300 };
  struct emuv_rng rng;
  emuv_rng_seed(&rng, 5);
  struct string s = string_new(LAYERS * (FIXED + GROUPS * GROUP));
  for (uint32_t step = 0; step < STEPS; step++)
    for (uint32_t layer = 0; layer < LAYERS; layer++) {
      uint32_t base = layer * (FIXED + GROUPS * GROUP), a = (uint32_t)emuv_rng_below(&rng, GROUPS),
               b = (a + 1 + (uint32_t)emuv_rng_below(&rng, GROUPS - 1)) % GROUPS;
      for (uint32_t i = 0; i < FIXED; i++) put(&s, base + i);
      for (uint32_t i = 0; i < 2 * GROUP; i++) put(&s, base + FIXED + (i < GROUP ? a : b) * GROUP + i % GROUP);
    }
  assert_int_equal(misses(&s, "lru", 400), s.n);
  for (uint32_t capacity = 400; capacity < s.pages; capacity += 200) {
    double share = (double)(capacity - LAYERS * FIXED) / (LAYERS * GROUPS * GROUP);
    double expected = (1 - share) * LAYERS * 2 * GROUP * STEPS;
    uint64_t counted = misses(&s, "recur", capacity);
    if ((double)counted > 1.04 * expected + 2 * s.pages)
      fail_msg("%u of %u frames: %lu misses, %f expected", capacity, s.pages, (unsigned long)counted, expected);
  }
  string_free(&s);
}

/* Nothing repeats itself here; popularity is all there is. */
static void test_zipf_no_worse_than_lru(void **unused)
{
  (void)unused;
  struct string s = string_new(5000);
  assert_int_equal(trace_gen_zipf(s.refs, s.n = 200000, s.pages, 7), 0);
  for (uint32_t capacity = 50; capacity < s.pages; capacity *= 2)
    assert_true((double)misses(&s, "recur", capacity) < 1.02 * (double)misses(&s, "lru", capacity));
  string_free(&s);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cyclic_closed_form),   cmocka_unit_test(test_forward_and_backward),
      cmocka_unit_test(test_bursts_and_workspace), cmocka_unit_test(test_phases),
      cmocka_unit_test(test_chosen_experts),       cmocka_unit_test(test_zipf_no_worse_than_lru),
  };
  return cmocka_run_group_tests_name("policy recur", tests, NULL, NULL);
}
