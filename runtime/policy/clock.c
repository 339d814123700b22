// SPDX-License-Identifier: Apache-2.0
/* CLOCK, also called second chance or FIFO with reinsertion: a queue with one bit per page that a reference sets and
 * that loading leaves clear; at the end of the queue a page whose bit is set goes back to the start with the bit
 * cleared, the first other one is evicted (Corbato, "A paging experiment with the Multics system", 1968). State: two
 * 32-bit links and one byte per page. A pinned page at the end of the queue goes back to the start too. */
#include "runtime/policy/list.h"

struct state {
  const struct emuv_policy_env *env;
  struct emuv_list list;
  uint8_t *referenced;
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

static inline uint32_t victim(struct state *s, const uint8_t *pinned, uint32_t *cursor)
{
  (void)cursor;
  for (uint64_t left = 2 * (uint64_t)(s->list.n - s->list.n_aside); left > 0; left--) {
    uint32_t page = emuv_list_oldest(&s->list);
    if (!s->referenced[page] && (!pinned || !pinned[page])) {
      emuv_list_remove(&s->list, page);
      return page;
    }
    s->referenced[page] = 0;
    emuv_list_pass(&s->list, page, pinned ? pinned[page] : 0);
  }
  return EMUV_NO_PAGE;
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
  return emuv_list_check(&s->list, "clock", err);
}

/* Without drops and pins the queue is a ring of frames and the hand its end: the textbook form. One byte per page says
 * absent, loaded or referenced; the ring lies in the memory of the links. */
static uint64_t replay_string(struct state *s, const uint32_t *refs, const uint32_t *next, size_t n)
{
  enum { ABSENT, LOADED, REFERENCED };
  (void)next;
  uint8_t *mark = s->referenced;
  uint32_t *ring = (void *)s->list.link, frames = emuv_policy_frames(s->env), used = 0, hand = 0;
  uint64_t misses = 0;
  for (size_t i = 0; i < n; i++) {
    if (i + EMUV_POLICY_AHEAD < n) __builtin_prefetch(&mark[refs[i + EMUV_POLICY_AHEAD]], 1);
    uint32_t page = refs[i];
    if (mark[page] != ABSENT) {
      mark[page] = REFERENCED;
      continue;
    }
    misses++;
    mark[page] = LOADED;
    if (used < frames) {
      ring[used++] = page;
      continue;
    }
    while (mark[ring[hand]] == REFERENCED) {
      mark[ring[hand]] = LOADED;
      hand = hand + 1 < frames ? hand + 1 : 0;
    }
    mark[ring[hand]] = ABSENT;
    ring[hand] = page;
    hand = hand + 1 < frames ? hand + 1 : 0;
  }
  return misses;
}

#define POLICY clock
#define POLICY_SUMMARY "second chance: FIFO with one reference bit (Corbato 1968)"
#define POLICY_FLAGS 0
#define POLICY_REPLAY
#include "runtime/policy/instantiate.h"
