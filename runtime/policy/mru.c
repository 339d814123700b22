// SPDX-License-Identifier: Apache-2.0
/* MRU: evicts the page whose last reference is the most recent (Chou and DeWitt, "An evaluation of buffer management
 * strategies for relational database systems", VLDB 1985). It keeps a stable part of a cyclic scan. State: two 32-bit
 * links per page. Pinned pages keep their place and are skipped; one fill passes them once. */
#include "runtime/policy/list.h"

struct state {
  const struct emuv_policy_env *env;
  struct emuv_list list;
};

static size_t state_bytes(const struct emuv_policy_env *env)
{
  return emuv_policy_round(sizeof(struct state)) + emuv_policy_round(emuv_list_bytes(env->n_pages));
}

static void init(struct state *s, const struct emuv_policy_env *env)
{
  emuv_list_init(&s->list, (char *)s + emuv_policy_round(sizeof *s), env->n_pages);
}

static inline bool is_resident(const struct state *s, uint32_t page)
{
  return emuv_list_has(&s->list, page);
}

static inline void touch1(struct state *s, uint32_t page, uint32_t next)
{
  (void)next;
  emuv_list_renew(&s->list, page);
}

static inline void insert1(struct state *s, uint32_t page, uint32_t next)
{
  (void)next;
  emuv_list_push(&s->list, page);
}

/* The cursor is where the last search of this fill ended: of the pages in front of it only the newest, loaded since,
 * can be unpinned. */
static inline uint32_t victim(struct state *s, const uint8_t *pinned, uint32_t *cursor)
{
  uint32_t page = emuv_list_newest(&s->list);
  if (pinned && page != s->list.end && pinned[page]) {
    page = *cursor != EMUV_NO_PAGE ? *cursor : page;
    while (page != s->list.end && pinned[page]) page = s->list.link[page].older;
    *cursor = page != s->list.end ? s->list.link[page].older : page;
  }
  if (page == s->list.end) return EMUV_NO_PAGE;
  emuv_list_remove(&s->list, page);
  return page;
}

static inline void remove1(struct state *s, uint32_t page)
{
  emuv_list_remove(&s->list, page);
}

static inline uint32_t size(const struct state *s)
{
  return s->list.n;
}

static int check(const struct state *s, struct emuv_err *err)
{
  return emuv_list_check(&s->list, "mru", err);
}

#define POLICY mru
#define POLICY_SUMMARY "most recently used (Chou and DeWitt 1985)"
#define POLICY_FLAGS 0
#include "runtime/policy/instantiate.h"
