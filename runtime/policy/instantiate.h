// SPDX-License-Identifier: Apache-2.0
/* Turns one policy's small inline functions into its vtable. Included once, as the last line of a policy's file.
 *
 * Before the include the file defines POLICY (its name in policies.def), POLICY_SUMMARY, POLICY_FLAGS, `struct state`
 * (whose field `env` is set here) and these static functions:
 *
 *   size_t state_bytes(env)              header plus arrays, emuv_policy_round() on each part
 *   void init(s, env)                    memory is zeroed; carve the arrays
 *   bool is_resident(s, page)            used by replay and checks only
 *   void touch1(s, page, next)           page is resident and was referenced
 *   void insert1(s, page, next)          page is not resident and becomes so
 *   uint32_t victim(s, pinned, cursor)   chooses a page, forgets it, returns it; EMUV_NO_PAGE if all are pinned.
 *                                        pinned may be NULL. *cursor is EMUV_NO_PAGE in the first call of one fill and
 *                                        belongs to the policy after that: between two calls with the same cursor pins
 *                                        do not change and exactly one page was inserted, so a search can resume.
 *   void remove1(s, page)                page is resident and is forgotten
 *   uint32_t size(s)
 *   int check(s, err)
 *
 * With POLICY_REPLAY defined the file gives its own `uint64_t replay_string(s, refs, next, n)`.
 * Everything is inlined into the loops here: one indirect call per run, none per page; the copy of the loop without
 * pins has no test for them. */
#include "runtime/policy/state.h"

#if !defined(POLICY) || !defined(POLICY_SUMMARY) || !defined(POLICY_FLAGS)
#error "define POLICY, POLICY_SUMMARY and POLICY_FLAGS first"
#endif

enum { NEEDS_FUTURE = ((POLICY_FLAGS)&EMUV_POLICY_NEEDS_FUTURE) != 0 };

static void ops_init(void *state, const struct emuv_policy_env *env)
{
  struct state *s = state;
  s->env = env;
  init(s, env);
}

static void ops_touch(void *state, uint32_t first, uint32_t n, const uint32_t *next)
{
  for (uint32_t i = 0; i < n; i++) touch1(state, first + i, NEEDS_FUTURE ? next[i] : EMUV_NEVER);
}

static inline __attribute__((always_inline)) uint32_t fill_run(struct state *s, uint32_t first, uint32_t n,
                                                               uint32_t n_free, const uint32_t *next, uint32_t *victims,
                                                               const uint8_t *pinned)
{
  uint32_t cursor = EMUV_NO_PAGE;
  for (uint32_t i = 0; i < n; i++) {
    if (i >= n_free) {
      uint32_t page = victim(s, pinned, &cursor);
      if (page == EMUV_NO_PAGE) return i;
      *victims++ = page;
    }
    insert1(s, first + i, NEEDS_FUTURE ? next[i] : EMUV_NEVER);
  }
  return n;
}

static uint32_t ops_fill(void *state, uint32_t first, uint32_t n, uint32_t n_free, const uint32_t *next,
                         uint32_t *victims)
{
  struct state *s = state;
  if (s->env->pinned) return fill_run(s, first, n, n_free, next, victims, s->env->pinned);
  return fill_run(s, first, n, n_free, next, victims, NULL);
}

static void ops_drop(void *state, uint32_t page)
{
  remove1(state, page);
}

#ifndef POLICY_REPLAY
static uint64_t replay_string(struct state *s, const uint32_t *refs, const uint32_t *next, size_t n)
{
  uint64_t misses = 0;
  uint32_t room = s->env->capacity;
  for (size_t i = 0; i < n; i++) {
    uint32_t page = refs[i], use = NEEDS_FUTURE ? next[i] : EMUV_NEVER;
    if (is_resident(s, page)) {
      touch1(s, page, use);
      continue;
    }
    misses++;
    uint32_t cursor = EMUV_NO_PAGE;
    if (room > 0) {
      room--;
    } else {
      victim(s, NULL, &cursor);
    }
    insert1(s, page, use);
  }
  return misses;
}
#endif

static uint64_t ops_replay(void *state, const uint32_t *refs, const uint32_t *next, size_t n)
{
  return replay_string(state, refs, next, n);
}

static uint32_t ops_size(const void *state)
{
  return size(state);
}

static int ops_check(const void *state, struct emuv_err *err)
{
  const struct state *s = state;
  uint32_t resident = 0;
  for (uint32_t page = 0; page < s->env->n_pages; page++) resident += is_resident(s, page);
  if (resident != size(s) || resident > s->env->capacity) {
    return emuv_err_set(err, EMUV_ERR_INTERNAL, "%s: %u pages resident, size %u, capacity %u",
                        EMUV_POLICY_STRING(POLICY), resident, size(s), s->env->capacity);
  }
  return check(s, err);
}

extern const struct emuv_policy_ops EMUV_POLICY_SYMBOL(POLICY);
const struct emuv_policy_ops EMUV_POLICY_SYMBOL(POLICY) = {
    .name = EMUV_POLICY_STRING(POLICY),
    .summary = POLICY_SUMMARY,
    .flags = POLICY_FLAGS,
    .state_bytes = state_bytes,
    .init = ops_init,
    .touch = ops_touch,
    .fill = ops_fill,
    .drop = ops_drop,
    .replay = ops_replay,
    .size = ops_size,
    .check = ops_check,
};
