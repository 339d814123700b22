// SPDX-License-Identifier: Apache-2.0
/* RANDOM: evicts a resident page chosen uniformly by the seeded generator. State: the resident pages in an array, and
 * each page's place in it; removal moves the last one into the gap. */
#include "runtime/core/rng.h"
#include "runtime/policy/state.h"

enum { TRIES = 32 }; /* draws before the search for an unpinned page turns into a walk */

struct state {
  const struct emuv_policy_env *env;
  struct emuv_rng rng;
  uint32_t n;
  uint32_t *resident; /* n pages */
  uint32_t *place;    /* index in resident + 1, 0 = not resident */
};

static size_t state_bytes(const struct emuv_policy_env *env)
{
  return emuv_policy_round(sizeof(struct state)) +
         emuv_policy_round((size_t)emuv_policy_frames(env) * sizeof(uint32_t)) +
         emuv_policy_round((size_t)env->n_pages * sizeof(uint32_t));
}

static void init(struct state *s, const struct emuv_policy_env *env)
{
  char *at = (char *)s + emuv_policy_round(sizeof *s);
  s->resident = emuv_policy_carve(&at, (size_t)emuv_policy_frames(env) * sizeof(uint32_t));
  s->place = emuv_policy_carve(&at, (size_t)env->n_pages * sizeof(uint32_t));
  emuv_rng_seed(&s->rng, env->seed);
}

static inline bool is_resident(const struct state *s, uint32_t page)
{
  return s->place[page] != 0;
}

static inline void touch1(struct state *s, uint32_t page, uint32_t next)
{
  (void)s, (void)page, (void)next;
}

static inline void insert1(struct state *s, uint32_t page, uint32_t next)
{
  (void)next;
  s->resident[s->n++] = page;
  s->place[page] = s->n;
}

static inline void remove1(struct state *s, uint32_t page)
{
  uint32_t at = s->place[page] - 1, moved = s->resident[--s->n];
  s->resident[at] = moved;
  s->place[moved] = at + 1;
  s->place[page] = 0;
}

/* Draws until an unpinned page comes up; when nearly everything is pinned, walks on from the last draw. */
static uint32_t unpinned(struct state *s, const uint8_t *pinned)
{
  uint32_t at = 0;
  for (int i = 0; i < TRIES; i++) {
    at = (uint32_t)emuv_rng_below(&s->rng, s->n);
    if (!pinned[s->resident[at]]) return s->resident[at];
  }
  for (uint32_t left = s->n; left > 0; left--) {
    at = at + 1 < s->n ? at + 1 : 0;
    if (!pinned[s->resident[at]]) return s->resident[at];
  }
  return EMUV_NO_PAGE;
}

static inline uint32_t victim(struct state *s, const uint8_t *pinned, uint32_t *cursor)
{
  (void)cursor;
  if (s->n == 0) return EMUV_NO_PAGE;
  uint32_t page = pinned ? unpinned(s, pinned) : s->resident[emuv_rng_below(&s->rng, s->n)];
  if (page != EMUV_NO_PAGE) remove1(s, page);
  return page;
}

static inline uint32_t size(const struct state *s)
{
  return s->n;
}

static int check(const struct state *s, struct emuv_err *err)
{
  for (uint32_t i = 0; i < s->n; i++) {
    if (s->resident[i] >= s->env->n_pages || s->place[s->resident[i]] != i + 1) {
      return emuv_err_set(err, EMUV_ERR_INTERNAL, "random: entry %u does not lead back to itself", i);
    }
  }
  return 0;
}

#define POLICY random
#define POLICY_SUMMARY "a uniformly chosen page"
#define POLICY_FLAGS EMUV_POLICY_RANDOMISED
#include "runtime/policy/instantiate.h"
