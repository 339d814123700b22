// SPDX-License-Identifier: Apache-2.0
/* BELADY, also called MIN or OPT: evicts the page whose next use is the farthest away; no policy misses less (Belady
 * 1966; Mattson et al. 1970). It needs the future and is the yardstick for the others.
 *
 * Every position of the reference string belongs to one page, so the resident set, keyed by next use, is a bitmap over
 * positions with summaries (ordered_set.h), and no two pages can have the same key. Keys lie in [0, n_refs); a page
 * that is not used again has the key n_refs + page, so such pages leave first, the highest id first. A page loaded
 * ahead of its use has that use as its key. Memory: 4 bytes per page, and 4 bytes and 1/8 per reference. A pinned page
 * is skipped and keeps its key; one fill passes it once. */
#include "runtime/policy/ordered_set.h"

#define ABSENT UINT32_MAX

struct state {
  const struct emuv_policy_env *env;
  struct emuv_set keys;
  uint32_t n;
  uint32_t newest; /* the key that was inserted last */
  uint32_t *key;   /* by page, ABSENT when not resident */
  uint32_t *owner; /* by position, valid where the bit is set; unused by replay */
};

static inline uint64_t key_count(const struct emuv_policy_env *env)
{
  return (uint64_t)env->n_refs + env->n_pages;
}

static size_t state_bytes(const struct emuv_policy_env *env)
{
  return emuv_policy_round(sizeof(struct state)) + emuv_set_bytes(key_count(env)) +
         emuv_policy_round((size_t)env->n_pages * sizeof(uint32_t)) +
         emuv_policy_round((size_t)env->n_refs * sizeof(uint32_t));
}

static void init(struct state *s, const struct emuv_policy_env *env)
{
  char *at = (char *)s + emuv_policy_round(sizeof *s);
  emuv_set_init(&s->keys, emuv_policy_carve(&at, emuv_set_bytes(key_count(env))), key_count(env));
  s->key = emuv_policy_carve(&at, (size_t)env->n_pages * sizeof(uint32_t));
  s->owner = emuv_policy_carve(&at, (size_t)env->n_refs * sizeof(uint32_t));
  for (uint32_t page = 0; page < env->n_pages; page++) s->key[page] = ABSENT;
}

static inline bool is_resident(const struct state *s, uint32_t page)
{
  return s->key[page] != ABSENT;
}

static inline void set_key(struct state *s, uint32_t page, uint32_t next)
{
  bool used = next < s->env->n_refs;
  uint32_t key = used ? next : s->env->n_refs + page;
  if (used) s->owner[key] = page;
  s->key[page] = key;
  emuv_set_add(&s->keys, key);
}

static inline void touch1(struct state *s, uint32_t page, uint32_t next)
{
  emuv_set_remove(&s->keys, s->key[page]);
  set_key(s, page, next);
}

static inline void insert1(struct state *s, uint32_t page, uint32_t next)
{
  set_key(s, page, next);
  s->newest = s->key[page];
  s->n++;
}

static inline void remove1(struct state *s, uint32_t page)
{
  emuv_set_remove(&s->keys, s->key[page]);
  s->key[page] = ABSENT;
  s->n--;
}

static inline uint32_t page_of(const struct state *s, uint64_t key)
{
  return key < s->env->n_refs ? s->owner[key] : (uint32_t)(key - s->env->n_refs);
}

/* The cursor is the key where the last search of this fill ended: of the keys above it only the newest, inserted since,
 * can belong to an unpinned page. */
static uint32_t unpinned(struct state *s, const uint8_t *pinned, uint32_t *cursor)
{
  uint64_t key = emuv_set_max(&s->keys);
  if (*cursor != EMUV_NO_PAGE) {
    if (s->newest > *cursor && !pinned[page_of(s, s->newest)]) return page_of(s, s->newest);
    key = emuv_set_at_most(&s->keys, *cursor);
  }
  while (key != EMUV_SET_NONE && pinned[page_of(s, key)]) {
    key = key > 0 ? emuv_set_at_most(&s->keys, key - 1) : EMUV_SET_NONE;
  }
  *cursor = key != EMUV_SET_NONE ? (uint32_t)key : 0;
  return key != EMUV_SET_NONE ? page_of(s, key) : EMUV_NO_PAGE;
}

static inline uint32_t victim(struct state *s, const uint8_t *pinned, uint32_t *cursor)
{
  if (s->n == 0) return EMUV_NO_PAGE;
  uint32_t page = pinned ? unpinned(s, pinned, cursor) : page_of(s, emuv_set_max(&s->keys));
  if (page != EMUV_NO_PAGE) remove1(s, page);
  return page;
}

static inline uint32_t size(const struct state *s)
{
  return s->n;
}

static int check(const struct state *s, struct emuv_err *err)
{
  uint32_t n = 0;
  for (uint64_t key = emuv_set_max(&s->keys); key != EMUV_SET_NONE; n++) {
    if (s->key[page_of(s, key)] != key) {
      return emuv_err_set(err, EMUV_ERR_INTERNAL, "belady: key %llu does not lead back to itself",
                          (unsigned long long)key);
    }
    key = key > 0 ? emuv_set_at_most(&s->keys, key - 1) : EMUV_SET_NONE;
  }
  if (n != s->n) return emuv_err_set(err, EMUV_ERR_INTERNAL, "belady: %u keys for %u pages", n, s->n);
  return 0;
}

/* A resident page's key is the position of its next reference, so bit i tells whether reference i hits: no state per
 * page is read. Bits behind i are left where they are: a full memory always holds a key ahead of i. No key is above
 * `top`. */
static uint64_t replay_string(struct state *s, const uint32_t *refs, const uint32_t *next, size_t n)
{
  (void)refs;
  uint64_t misses = 0, unused = 0, top = 0; /* unused: resident pages without a next use */
  uint32_t room = s->env->capacity;
  for (size_t i = 0; i < n; i++) {
    if (i + EMUV_POLICY_AHEAD < n) emuv_set_prefetch(&s->keys, next[i + EMUV_POLICY_AHEAD]);
    if (!emuv_set_has(&s->keys, i)) {
      misses++;
      if (room > 0) {
        room--;
      } else if (unused > 0) {
        unused--;
      } else {
        top = emuv_set_at_most(&s->keys, top);
        emuv_set_remove(&s->keys, top);
      }
    }
    if (next[i] == EMUV_NEVER) {
      unused++;
      continue;
    }
    emuv_set_add(&s->keys, next[i]);
    top = next[i] > top ? next[i] : top;
  }
  return misses;
}

#define POLICY belady
#define POLICY_SUMMARY "the page whose next use is the farthest; needs the future (Belady 1966)"
#define POLICY_FLAGS (EMUV_POLICY_NEEDS_FUTURE | EMUV_POLICY_STACK)
#define POLICY_REPLAY
#include "runtime/policy/instantiate.h"
