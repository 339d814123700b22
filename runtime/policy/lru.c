// SPDX-License-Identifier: Apache-2.0
/* LRU: evicts the page whose last reference is the longest ago (Mattson, Gecsei, Slutz, Traiger, "Evaluation techniques
 * for storage hierarchies", IBM Systems Journal 1970). State: two 32-bit links per page. */
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

static inline uint32_t victim(struct state *s, const uint8_t *pinned, uint32_t *cursor)
{
  (void)cursor;
  return emuv_list_take_oldest(&s->list, pinned);
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
  return emuv_list_check(&s->list, "lru", err);
}

/* The reference string is its own queue: with last[p] the position (from 1) of p's last reference and `tail` the
 * position up to which everything was evicted, p is resident exactly when last[p] > tail, and the oldest page is the
 * first position behind tail that is still somebody's last. Four bytes of state per page and no links to mend. */
static uint64_t replay_string(struct state *s, const uint32_t *refs, const uint32_t *next, size_t n)
{
  (void)next;
  uint32_t *last = (void *)s->list.link, room = s->env->capacity;
  uint64_t misses = 0;
  size_t tail = 0;
  memset(last, 0, (size_t)s->env->n_pages * sizeof *last);
  for (size_t i = 0; i < n; i++) {
    if (i + EMUV_POLICY_AHEAD < n) __builtin_prefetch(&last[refs[i + EMUV_POLICY_AHEAD]], 1);
    uint32_t page = refs[i];
    bool miss = last[page] <= tail;
    last[page] = (uint32_t)i + 1;
    if (!miss) continue;
    misses++;
    if (room > 0) {
      room--;
    } else {
      while (last[refs[tail]] != tail + 1) tail++;
      tail++;
    }
  }
  return misses;
}

#define POLICY lru
#define POLICY_SUMMARY "least recently used (Mattson et al. 1970)"
#define POLICY_FLAGS EMUV_POLICY_STACK
#define POLICY_REPLAY
#include "runtime/policy/instantiate.h"
