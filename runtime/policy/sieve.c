// SPDX-License-Identifier: Apache-2.0
/* SIEVE: a queue in order of loading and one bit per page that a reference sets. A hand walks from the oldest towards
 * the newest, clears set bits and evicts the first page whose bit is clear; unlike CLOCK it leaves pages where they
 * are, so new pages are tested soon (Zhang, Yang, Yue, Vigfusson, Rashmi, "SIEVE is simpler than LRU", NSDI 2024).
 * State: two 32-bit links and one byte per page. Pinned pages are passed as if their bit were set, and keep it. */
#include "runtime/policy/list.h"

struct state {
  const struct emuv_policy_env *env;
  struct emuv_list list;
  uint8_t *referenced;
  uint32_t hand; /* next page to test; the list's end = start from the oldest */
};

static size_t state_bytes(const struct emuv_policy_env *env)
{
  return emuv_policy_round(sizeof(struct state)) + emuv_policy_round(emuv_list_bytes(env->n_pages)) +
         emuv_policy_round(env->n_pages);
}

static void init(struct state *s, const struct emuv_policy_env *env)
{
  char *at = (char *)s + emuv_policy_round(sizeof *s);
  emuv_list_init(&s->list, emuv_policy_carve(&at, emuv_list_bytes(env->n_pages)), env->n_pages);
  s->referenced = emuv_policy_carve(&at, env->n_pages);
  s->hand = s->list.end;
}

static inline bool is_resident(const struct state *s, uint32_t page)
{
  return emuv_list_has(&s->list, page);
}

static inline void touch1(struct state *s, uint32_t page, uint32_t next)
{
  (void)next;
  s->referenced[page] = 1;
}

static inline void insert1(struct state *s, uint32_t page, uint32_t next)
{
  (void)next;
  s->referenced[page] = 0;
  emuv_list_push(&s->list, page);
}

static inline void remove1(struct state *s, uint32_t page)
{
  if (s->hand == page) s->hand = s->list.link[page].newer;
  emuv_list_remove(&s->list, page);
}

/* Two rounds are enough: the first clears every bit of a page that could leave. */
static inline uint32_t victim(struct state *s, const uint8_t *pinned, uint32_t *cursor)
{
  (void)cursor;
  for (uint64_t left = 2 * (uint64_t)s->list.n + 1; s->list.n > 0 && left > 0; left--) {
    if (s->hand == s->list.end) s->hand = emuv_list_oldest(&s->list);
    uint32_t page = s->hand;
    bool fixed = pinned && pinned[page];
    if (!fixed && !s->referenced[page]) {
      remove1(s, page);
      return page;
    }
    if (!fixed) s->referenced[page] = 0;
    s->hand = s->list.link[page].newer;
  }
  return EMUV_NO_PAGE;
}

static inline uint32_t size(const struct state *s)
{
  return s->list.n;
}

static int check(const struct state *s, struct emuv_err *err)
{
  if (s->hand != s->list.end && !emuv_list_has(&s->list, s->hand)) {
    return emuv_err_set(err, EMUV_ERR_INTERNAL, "sieve: the hand is at page %u, which is not resident", s->hand);
  }
  return emuv_list_check(&s->list, "sieve", err);
}

#define POLICY sieve
#define POLICY_SUMMARY "FIFO queue with a moving hand and lazy promotion (Zhang et al. 2024)"
#define POLICY_FLAGS 0
#include "runtime/policy/instantiate.h"
