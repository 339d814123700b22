// SPDX-License-Identifier: Apache-2.0
/* FIFO: evicts the page that was loaded the longest ago (Belady, "A study of replacement algorithms for virtual-storage
 * computers", IBM Systems Journal 1966). References change nothing. State: two 32-bit links per page. A pinned page
 * that reaches the end of the queue goes to its start. */
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
  (void)s, (void)page, (void)next;
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
  return emuv_list_check(&s->list, "fifo", err);
}

/* The memory holds what the last `capacity` misses loaded, so the ordinal of the miss that loaded a page tells whether
 * it is still there: no queue at all. Ordinals start above the capacity, so that 0 reads as "long gone". */
static uint64_t replay_string(struct state *s, const uint32_t *refs, const uint32_t *next, size_t n)
{
  (void)next;
  uint32_t *loaded = (void *)s->list.link, frames = emuv_policy_frames(s->env), ordinal = frames;
  memset(loaded, 0, (size_t)s->env->n_pages * sizeof *loaded);
  for (size_t i = 0; i < n; i++) {
    if (i + EMUV_POLICY_AHEAD < n) __builtin_prefetch(&loaded[refs[i + EMUV_POLICY_AHEAD]], 1);
    uint32_t at = loaded[refs[i]];
    bool miss = ordinal - at >= frames;
    ordinal += miss;
    loaded[refs[i]] = miss ? ordinal : at;
  }
  return ordinal - frames;
}

#define POLICY fifo
#define POLICY_SUMMARY "first in, first out (Belady 1966)"
#define POLICY_FLAGS 0
#define POLICY_REPLAY
#include "runtime/policy/instantiate.h"
