// SPDX-License-Identifier: Apache-2.0
/* Every policy of the registry (and the skeleton) keeps the contract of policy.h. No policy is named here: a new one is
 * tested as it stands in policies.def.
 *
 * Two instances of a policy live through the same random life: one is driven by runs, the other page by page. They must
 * agree in every victim; pages, pins and counts are compared with a plain model after each step. */
#include "runtime/core/rng.h"
#include "runtime/policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern const struct emuv_policy_ops emuv_policy_skeleton;

enum { PAGES = 97, REFS = 3000, MAX_RUN = 24 };

struct life {
  const struct emuv_policy_ops *ops;
  struct emuv_policy_env env;
  struct emuv_rng rng;
  void *runs, *singles;
  uint8_t resident[PAGES], pinned[PAGES];
  uint32_t n_resident;
  uint32_t refs[REFS], next[REFS];
  uint64_t misses;
};

static void *state_new(const struct emuv_policy_ops *ops, const struct emuv_policy_env *env)
{
  size_t bytes = (ops->state_bytes(env) + 63) & ~(size_t)63;
  void *state = aligned_alloc(64, bytes);
  assert_non_null(state);
  memset(state, 0, bytes);
  ops->init(state, env);
  return state;
}

/* Runs of consecutive pages, as launches make them, with hot and cold starts. */
static void make_string(struct life *l)
{
  for (uint32_t i = 0; i < REFS;) {
    uint32_t hot = (uint32_t)emuv_rng_below(&l->rng, 3) != 0;
    uint32_t first = (uint32_t)emuv_rng_below(&l->rng, hot ? PAGES / 3 : PAGES);
    uint32_t n = 1 + (uint32_t)emuv_rng_below(&l->rng, MAX_RUN);
    for (uint32_t k = 0; k < n && first + k < PAGES && i < REFS; k++) l->refs[i++] = first + k;
  }
  uint32_t seen[PAGES];
  for (uint32_t p = 0; p < PAGES; p++) seen[p] = EMUV_NEVER;
  for (uint32_t i = REFS; i-- > 0;) {
    l->next[i] = seen[l->refs[i]];
    seen[l->refs[i]] = i;
  }
}

static struct life *life_new(const struct emuv_policy_ops *ops, uint32_t capacity, uint64_t seed)
{
  struct life *l = calloc(1, sizeof *l);
  assert_non_null(l);
  emuv_rng_seed(&l->rng, seed);
  l->ops = ops;
  l->env = (struct emuv_policy_env){
      .n_pages = PAGES, .capacity = capacity, .n_refs = REFS, .pinned = l->pinned, .seed = seed};
  make_string(l);
  l->runs = state_new(ops, &l->env);
  l->singles = state_new(ops, &l->env);
  return l;
}

static void life_free(struct life *l)
{
  free(l->runs);
  free(l->singles);
  free(l);
}

static void check_both(struct life *l)
{
  struct emuv_err err = {0};
  if (l->ops->check(l->runs, &err) || l->ops->check(l->singles, &err)) fail_msg("%s: %s", l->ops->name, err.text);
  assert_int_equal(l->ops->size(l->runs), l->n_resident);
  assert_int_equal(l->ops->size(l->singles), l->n_resident);
  assert_true(l->n_resident <= l->env.capacity);
}

static uint32_t fill_singles(struct life *l, uint32_t first, uint32_t n, uint32_t n_free, const uint32_t *next,
                             uint32_t *victims)
{
  for (uint32_t i = 0; i < n; i++) {
    bool is_free = i < n_free;
    uint32_t done = l->ops->fill(l->singles, first + i, 1, is_free ? 1 : 0, next ? next + i : NULL, victims);
    if (done == 0) return i;
    victims += !is_free;
  }
  return n;
}

/* Victims leave in order, each for one insertion; the model checks that each was there and not pinned. */
static void apply_fill(struct life *l, uint32_t first, uint32_t done, uint32_t n_free, const uint32_t *victims)
{
  for (uint32_t i = 0; i < done; i++) {
    if (i >= n_free) {
      uint32_t v = victims[i - n_free];
      assert_true(v < PAGES && l->resident[v] && !l->pinned[v]);
      l->resident[v] = 0;
      l->n_resident--;
    }
    assert_false(l->resident[first + i]);
    l->resident[first + i] = 1;
    l->n_resident++;
  }
}

static void fill(struct life *l, uint32_t first, uint32_t n, const uint32_t *next)
{
  uint32_t victims[2][MAX_RUN], room = l->env.capacity - l->n_resident, n_free = room < n ? room : n;
  if (!(l->ops->flags & EMUV_POLICY_NEEDS_FUTURE)) next = NULL;
  uint32_t done = l->ops->fill(l->runs, first, n, n_free, next, victims[0]);
  assert_int_equal(fill_singles(l, first, n, n_free, next, victims[1]), done);
  if (done > n_free) assert_memory_equal(victims[0], victims[1], (done - n_free) * sizeof **victims);
  apply_fill(l, first, done, n_free, victims[0]);
  if (done < n) {
    for (uint32_t p = 0; p < PAGES; p++) assert_true(!l->resident[p] || l->pinned[p]);
  }
}

static void touch(struct life *l, uint32_t first, uint32_t n, const uint32_t *next)
{
  if (!(l->ops->flags & EMUV_POLICY_NEEDS_FUTURE)) next = NULL;
  l->ops->touch(l->runs, first, n, next);
  for (uint32_t i = 0; i < n; i++) l->ops->touch(l->singles, first + i, 1, next ? next + i : NULL);
}

/* References at..end-1 are consecutive pages: stretches that hit and stretches that miss alternate. */
static void refer(struct life *l, uint32_t at, uint32_t end)
{
  while (at < end) {
    bool hit = l->resident[l->refs[at]];
    uint32_t n = 1;
    while (at + n < end && l->resident[l->refs[at + n]] == hit) n++;
    if (hit) {
      touch(l, l->refs[at], n, &l->next[at]);
    } else {
      l->misses += n;
      fill(l, l->refs[at], n, &l->next[at]);
    }
    check_both(l);
    at += n;
  }
}

static uint32_t run_end(const struct life *l, uint32_t at)
{
  uint32_t end = at + 1;
  while (end < REFS && end - at < MAX_RUN && l->refs[end] == l->refs[end - 1] + 1) end++;
  return end;
}

static void prefetch_some(struct life *l, uint32_t now)
{
  uint32_t page = (uint32_t)emuv_rng_below(&l->rng, PAGES), use = now;
  while (use < REFS && l->refs[use] != page) use++;
  if (!l->resident[page]) fill(l, page, 1, &(uint32_t){use < REFS ? use : EMUV_NEVER});
}

static void drop_some(struct life *l)
{
  uint32_t page = (uint32_t)emuv_rng_below(&l->rng, PAGES);
  if (!l->resident[page]) return;
  l->ops->drop(l->runs, page);
  l->ops->drop(l->singles, page);
  l->resident[page] = 0;
  l->n_resident--;
}

/* percent of the pages become pinned; 100 pins whole memories. */
static void pin_some(struct life *l, uint32_t percent)
{
  for (uint32_t p = 0; p < PAGES; p++) l->pinned[p] = emuv_rng_below(&l->rng, 100) < percent;
}

static void live(struct life *l, bool disturb)
{
  static const uint8_t percents[] = {0, 5, 30, 60, 95, 100};
  for (uint32_t at = 0; at < REFS;) {
    uint32_t end = run_end(l, at);
    refer(l, at, end);
    at = end;
    if (!disturb) continue;
    if (emuv_rng_below(&l->rng, 4) == 0) pin_some(l, percents[emuv_rng_below(&l->rng, sizeof percents)]);
    if (emuv_rng_below(&l->rng, 3) == 0) drop_some(l);
    if (emuv_rng_below(&l->rng, 3) == 0) prefetch_some(l, at);
    check_both(l);
  }
}

static const struct emuv_policy_ops *policy_at(size_t i)
{
  static size_t n;
  if (n == 0) {
    while (emuv_policies[n]) n++;
  }
  return i < n ? emuv_policies[i] : i == n ? &emuv_policy_skeleton : NULL;
}

static const uint32_t capacities[] = {1, 2, 7, 31, 60, 96, PAGES, 4 * PAGES};

#define FOR_EACH(ops, c)                                                                                               \
  for (size_t i_ = 0; policy_at(i_); i_++)                                                                             \
    for (size_t c = 0; c < sizeof capacities / sizeof *capacities; c++)                                                \
      for (const struct emuv_policy_ops *ops = policy_at(i_); ops; ops = NULL)

static void test_runs_equal_replay(void **unused)
{
  (void)unused;
  FOR_EACH(ops, c)
  {
    struct life *l = life_new(ops, capacities[c], 11 + c);
    void *fresh = state_new(ops, &l->env);
    live(l, false);
    uint64_t misses = ops->replay(fresh, l->refs, ops->flags & EMUV_POLICY_NEEDS_FUTURE ? l->next : NULL, REFS);
    if (misses != l->misses) {
      fail_msg("%s, capacity %u: %lu misses by runs, %lu by replay", ops->name, capacities[c], (unsigned long)l->misses,
               (unsigned long)misses);
    }
    free(fresh);
    life_free(l);
  }
}

static void test_pins_drops_prefetch(void **unused)
{
  (void)unused;
  FOR_EACH(ops, c)
  {
    for (uint64_t seed = 0; seed < 4; seed++) {
      struct life *l = life_new(ops, capacities[c], 100 * seed + c);
      live(l, true);
      life_free(l);
    }
  }
}

static void test_no_pin_table_equals_no_pins(void **unused)
{
  (void)unused;
  FOR_EACH(ops, c)
  {
    struct life *with = life_new(ops, capacities[c], 5), *without = life_new(ops, capacities[c], 5);
    without->env.pinned = NULL;
    live(with, false);
    live(without, false);
    assert_int_equal(with->misses, without->misses);
    assert_memory_equal(with->resident, without->resident, sizeof with->resident);
    life_free(with);
    life_free(without);
  }
}

/* Every third resident page, half of the memory at most, is pinned until it is dropped. */
static void keep_some(struct life *l, uint8_t bits)
{
  uint32_t kept = 0;
  for (uint32_t p = 0; p < PAGES; p++) {
    if (!l->resident[p]) l->pinned[p] = 0;
    kept += l->pinned[p] != 0;
  }
  for (uint32_t p = 0; p < PAGES && kept < l->env.capacity / 2; p += 3) {
    kept += l->resident[p] && !l->pinned[p];
    if (l->resident[p]) l->pinned[p] = bits;
  }
}

/* That a pin is for good is a hint: it changes no victim. */
static void test_kept_pages_equal_pinned_ones(void **unused)
{
  (void)unused;
  FOR_EACH(ops, c)
  {
    struct life *kept = life_new(ops, capacities[c], 9), *pinned = life_new(ops, capacities[c], 9);
    for (uint32_t at = 0, end; at < REFS; at = end) {
      end = run_end(kept, at);
      refer(kept, at, end);
      refer(pinned, at, end);
      assert_memory_equal(kept->resident, pinned->resident, sizeof kept->resident);
      if (at % 5 == 0) drop_some(kept), drop_some(pinned);
      keep_some(kept, EMUV_PIN | EMUV_KEPT);
      keep_some(pinned, EMUV_PIN);
    }
    assert_int_equal(kept->misses, pinned->misses);
    life_free(kept);
    life_free(pinned);
  }
}

static void test_all_pinned_stops(void **unused)
{
  (void)unused;
  FOR_EACH(ops, c)
  {
    if (capacities[c] + 2 > PAGES || capacities[c] > MAX_RUN) continue;
    struct life *l = life_new(ops, capacities[c], 1);
    uint32_t victims[MAX_RUN + 2], never[MAX_RUN + 2];
    memset(never, 0xff, sizeof never);
    memset(l->pinned, 1, sizeof l->pinned);
    assert_int_equal(ops->fill(l->runs, 0, capacities[c] + 2, capacities[c], never, victims), capacities[c]);
    assert_int_equal(ops->fill(l->runs, capacities[c], 1, 0, never, victims), 0);
    l->pinned[capacities[c] / 2] = 0;
    assert_int_equal(ops->fill(l->runs, capacities[c], 2, 0, never, victims), 1);
    assert_int_equal(victims[0], capacities[c] / 2);
    life_free(l);
  }
}

static void test_same_seed_same_counts(void **unused)
{
  (void)unused;
  FOR_EACH(ops, c)
  {
    struct life *a = life_new(ops, capacities[c], 77), *b = life_new(ops, capacities[c], 77);
    live(a, true);
    live(b, true);
    assert_int_equal(a->misses, b->misses);
    assert_memory_equal(a->resident, b->resident, sizeof a->resident);
    life_free(a);
    life_free(b);
  }
}

static void test_stack_policies_never_lose_by_memory(void **unused)
{
  (void)unused;
  for (size_t i = 0; policy_at(i); i++) {
    const struct emuv_policy_ops *ops = policy_at(i);
    if (!(ops->flags & EMUV_POLICY_STACK)) continue;
    uint64_t before = UINT64_MAX;
    for (uint32_t capacity = 1; capacity <= PAGES; capacity++) {
      struct life *l = life_new(ops, capacity, 3);
      uint64_t misses = ops->replay(l->runs, l->refs, l->next, REFS);
      assert_true(misses <= before);
      before = misses;
      life_free(l);
    }
  }
}

static void test_registry(void **unused)
{
  (void)unused;
  const char *const *names = emuv_policy_names();
  size_t n = 0;
  for (; emuv_policies[n]; n++) {
    assert_string_equal(names[n], emuv_policies[n]->name);
    assert_ptr_equal(emuv_policy_find(names[n]), emuv_policies[n]);
    assert_true(strlen(emuv_policies[n]->summary) > 0);
  }
  assert_true(n >= 7);
  assert_null(names[n]);
  assert_null(emuv_policy_find("skeleton"));
  assert_null(emuv_policy_find(""));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_registry),
      cmocka_unit_test(test_runs_equal_replay),
      cmocka_unit_test(test_pins_drops_prefetch),
      cmocka_unit_test(test_no_pin_table_equals_no_pins),
      cmocka_unit_test(test_kept_pages_equal_pinned_ones),
      cmocka_unit_test(test_all_pinned_stops),
      cmocka_unit_test(test_same_seed_same_counts),
      cmocka_unit_test(test_stack_policies_never_lose_by_memory),
  };
  return cmocka_run_group_tests_name("policies", tests, NULL, NULL);
}
