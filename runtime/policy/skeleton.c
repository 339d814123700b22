// SPDX-License-Identifier: Apache-2.0
/* A policy to copy. It works and is compiled and tested with the others, but is not registered, so nobody can choose
 * it.
 *
 * To add a policy: copy this file to NAME.c, change POLICY to NAME, write your rule, and add EMUV_POLICY(NAME) to
 * policies.def. Parsing, --list, help and the conformance tests take it from there. Say here what the policy does, the
 * paper, the memory per page, and what happens to pinned pages.
 *
 * The rule of this one: evict the page with the highest id below the last victim, starting again from the top. */
#include "runtime/policy/ordered_set.h"

/* Everything that the policy knows. The field `env` is required: instantiate.h sets and reads it. */
struct state {
  const struct emuv_policy_env *env;
  struct emuv_set resident;
  uint32_t n;
  uint32_t hand; /* the last victim */
};

/* The caller allocates this much, zeroed and aligned to 64 bytes. Arrays follow the header, each rounded up to whole
 * cache lines. Keep it small: a workload has millions of pages. */
static size_t state_bytes(const struct emuv_policy_env *env)
{
  return emuv_policy_round(sizeof(struct state)) + emuv_set_bytes(env->n_pages);
}

/* Cuts the block into arrays. env is set already. Nothing else may be allocated, here or later. */
static void init(struct state *s, const struct emuv_policy_env *env)
{
  char *at = (char *)s + emuv_policy_round(sizeof *s);
  emuv_set_init(&s->resident, emuv_policy_carve(&at, emuv_set_bytes(env->n_pages)), env->n_pages);
}

static inline bool is_resident(const struct state *s, uint32_t page)
{
  return emuv_set_has(&s->resident, page);
}

/* A hit. This is the hottest function: it is inlined into a loop over a run of pages. `next` is the position of the
 * next reference to the page when POLICY_FLAGS has EMUV_POLICY_NEEDS_FUTURE, else EMUV_NEVER. */
static inline void touch1(struct state *s, uint32_t page, uint32_t next)
{
  (void)s, (void)page, (void)next;
}

/* A page becomes resident; the frame is there. */
static inline void insert1(struct state *s, uint32_t page, uint32_t next)
{
  (void)next;
  emuv_set_add(&s->resident, page);
  s->n++;
}

/* A page leaves by somebody else's decision (freed memory). victim() below uses it too. */
static inline void remove1(struct state *s, uint32_t page)
{
  emuv_set_remove(&s->resident, page);
  s->n--;
}

/* The rule. Chooses a page, forgets it and returns it. Pinned pages must not be chosen (pinned is NULL when there are
 * none, and the test then costs nothing). Give up with EMUV_NO_PAGE when everything is pinned. If a search can meet
 * many pinned pages, keep its place in *cursor for the next call of the same fill (mru.c), or move what it passes
 * (lru.c); here the hand remembers. */
static inline uint32_t victim(struct state *s, const uint8_t *pinned, uint32_t *cursor)
{
  (void)cursor;
  for (uint32_t left = s->n; left > 0; left--) {
    uint64_t page = s->hand > 0 ? emuv_set_at_most(&s->resident, s->hand - 1) : EMUV_SET_NONE;
    if (page == EMUV_SET_NONE) page = emuv_set_max(&s->resident);
    s->hand = (uint32_t)page;
    if (!pinned || !pinned[page]) {
      remove1(s, (uint32_t)page);
      return (uint32_t)page;
    }
  }
  return EMUV_NO_PAGE;
}

/* Resident pages. */
static inline uint32_t size(const struct state *s)
{
  return s->n;
}

/* Walks everything. The number of resident pages was compared with size() and the capacity already. */
static int check(const struct state *s, struct emuv_err *err)
{
  if (s->n > 0 && emuv_set_max(&s->resident) == EMUV_SET_NONE) {
    return emuv_err_set(err, EMUV_ERR_INTERNAL, "skeleton: the set is empty, %u pages expected", s->n);
  }
  return 0;
}

/* The name that users type, one line for --list, and flags (policy.h). Then the vtable, made from the functions above.
 */
#define POLICY skeleton
#define POLICY_SUMMARY "descending page ids, round and round: an example"
#define POLICY_FLAGS 0
#include "runtime/policy/instantiate.h"
