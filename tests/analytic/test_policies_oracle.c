// SPDX-License-Identifier: Apache-2.0
/* Each policy against the plainest program for its definition, which looks at every frame for every victim. */
#include "runtime/core/rng.h"
#include "runtime/policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PAGES = 60, REFS = 4000 };

struct frame {
  uint32_t page;
  uint64_t loaded, last, count, next;
  bool referenced;
};

struct memory {
  struct frame frame[PAGES]; /* clock and sieve: in order of the queue, oldest first */
  uint32_t used, capacity, hand;
};

typedef uint32_t choose(struct memory *m);

static uint32_t least(const struct memory *m, uint64_t (*key)(const struct frame *))
{
  uint32_t best = 0;
  for (uint32_t i = 1; i < m->used; i++) {
    if (key(&m->frame[i]) < key(&m->frame[best])) best = i;
  }
  return best;
}

static uint64_t key_lru(const struct frame *f)
{
  return f->last;
}

static uint64_t key_mru(const struct frame *f)
{
  return UINT64_MAX - f->last;
}

static uint64_t key_fifo(const struct frame *f)
{
  return f->loaded;
}

static uint64_t key_lfu(const struct frame *f)
{
  return f->count * REFS + f->last;
}

static uint64_t key_belady(const struct frame *f)
{
  return UINT64_MAX - f->next;
}

static uint32_t choose_lru(struct memory *m)
{
  return least(m, key_lru);
}

static uint32_t choose_mru(struct memory *m)
{
  return least(m, key_mru);
}

static uint32_t choose_fifo(struct memory *m)
{
  return least(m, key_fifo);
}

static uint32_t choose_lfu(struct memory *m)
{
  return least(m, key_lfu);
}

static uint32_t choose_belady(struct memory *m)
{
  return least(m, key_belady);
}

static uint32_t choose_clock(struct memory *m)
{
  while (m->frame[0].referenced) {
    struct frame again = m->frame[0];
    again.referenced = false;
    memmove(&m->frame[0], &m->frame[1], (m->used - 1) * sizeof *m->frame);
    m->frame[m->used - 1] = again;
  }
  return 0;
}

static uint32_t choose_sieve(struct memory *m)
{
  while (m->frame[m->hand].referenced) {
    m->frame[m->hand].referenced = false;
    m->hand = (m->hand + 1) % m->used;
  }
  uint32_t at = m->hand;
  if (m->hand == m->used - 1) m->hand = 0;
  return at;
}

static void refer(struct memory *m, uint32_t page, uint64_t now, uint64_t next, choose *victim, uint64_t *misses)
{
  uint32_t i = 0;
  while (i < m->used && m->frame[i].page != page) i++;
  if (i == m->used) {
    ++*misses;
    if (m->used == m->capacity) {
      uint32_t v = victim(m);
      memmove(&m->frame[v], &m->frame[v + 1], (m->used - v - 1) * sizeof *m->frame);
      m->used--;
    }
    i = m->used++;
    m->frame[i] = (struct frame){.page = page, .loaded = now};
  } else {
    m->frame[i].referenced = true;
  }
  m->frame[i].last = now;
  m->frame[i].next = next;
  m->frame[i].count++;
}

static void next_uses(const uint32_t *refs, uint32_t *next)
{
  for (uint32_t i = 0; i < REFS; i++) {
    uint32_t k = i + 1;
    while (k < REFS && refs[k] != refs[i]) k++;
    next[i] = k < REFS ? k : EMUV_NEVER;
  }
}

/* Three kinds of strings: uniform, skewed, and scans with jumps. */
static void make_string(uint32_t *refs, uint64_t seed)
{
  struct emuv_rng rng;
  emuv_rng_seed(&rng, seed);
  uint32_t at = 0;
  for (uint32_t i = 0; i < REFS; i++) {
    uint32_t a = (uint32_t)emuv_rng_below(&rng, PAGES), b = (uint32_t)emuv_rng_below(&rng, a + 1);
    at = emuv_rng_below(&rng, 9) == 0 ? a : (at + 1) % PAGES;
    refs[i] = seed % 3 == 0 ? a : seed % 3 == 1 ? b : at;
  }
}

static uint64_t replay(const struct emuv_policy_ops *ops, uint32_t capacity, const uint32_t *refs, const uint32_t *next)
{
  const struct emuv_policy_env env = {.n_pages = PAGES, .capacity = capacity, .n_refs = REFS, .seed = 1};
  size_t bytes = (ops->state_bytes(&env) + 63) & ~(size_t)63;
  void *state = aligned_alloc(64, bytes);
  assert_non_null(state);
  memset(state, 0, bytes);
  ops->init(state, &env);
  uint64_t misses = ops->replay(state, refs, next, REFS);
  free(state);
  return misses;
}

static void compare(const char *name, choose *victim)
{
  const struct emuv_policy_ops *ops = emuv_policy_find(name);
  uint32_t refs[REFS], next[REFS];
  assert_non_null(ops);
  for (uint64_t seed = 0; seed < 9; seed++) {
    make_string(refs, seed);
    next_uses(refs, next);
    for (uint32_t capacity = 1; capacity <= PAGES; capacity += 1 + capacity / 4) {
      struct memory m = {.capacity = capacity};
      uint64_t expected = 0;
      for (uint32_t i = 0; i < REFS; i++) refer(&m, refs[i], i, next[i], victim, &expected);
      uint64_t misses = replay(ops, capacity, refs, next);
      if (misses != expected) fail_msg("%s, %u frames: %lu misses, not %lu", name, capacity, misses, expected);
    }
  }
}

#define TEST_ORACLE(name)                                                                                              \
  static void test_##name(void **unused)                                                                               \
  {                                                                                                                    \
    (void)unused;                                                                                                      \
    compare(#name, choose_##name);                                                                                     \
  }
TEST_ORACLE(lru)
TEST_ORACLE(mru)
TEST_ORACLE(fifo)
TEST_ORACLE(lfu)
TEST_ORACLE(clock)
TEST_ORACLE(sieve)
TEST_ORACLE(belady)

static void test_belady_is_the_least(void **unused)
{
  (void)unused;
  uint32_t refs[REFS], next[REFS];
  for (uint64_t seed = 20; seed < 26; seed++) {
    make_string(refs, seed);
    next_uses(refs, next);
    for (uint32_t capacity = 1; capacity <= PAGES; capacity += 3) {
      uint64_t least_misses = replay(emuv_policy_find("belady"), capacity, refs, next);
      for (size_t i = 0; emuv_policies[i]; i++) {
        assert_true(replay(emuv_policies[i], capacity, refs, next) >= least_misses);
      }
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lru),    cmocka_unit_test(test_mru),
      cmocka_unit_test(test_fifo),   cmocka_unit_test(test_lfu),
      cmocka_unit_test(test_clock),  cmocka_unit_test(test_sieve),
      cmocka_unit_test(test_belady), cmocka_unit_test(test_belady_is_the_least),
  };
  return cmocka_run_group_tests_name("policies against plain programs", tests, NULL, NULL);
}
