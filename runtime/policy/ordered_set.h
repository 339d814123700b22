// SPDX-License-Identifier: Apache-2.0
/* A set of integers 0 .. n-1 as a bitmap with a 64-ary tree of summaries above it: a bit of level k+1 says that the
 * word below it is not zero. Insert, remove and "largest member at or below x" take one step per level: 4 levels for
 * 16 million integers, 6 for 2^32. Memory: n/8 bytes and 1/63 more. One thread; the memory is the caller's.
 * This is a van Emde Boas tree with fixed fan-out 64 (van Emde Boas 1975). */
#ifndef EMUV_POLICY_ORDERED_SET_H
#define EMUV_POLICY_ORDERED_SET_H

#include "runtime/policy/state.h"

#define EMUV_SET_NONE UINT64_MAX

enum { EMUV_SET_LEVELS = 6 };

struct emuv_set {
  uint64_t *level[EMUV_SET_LEVELS]; /* level[0] is the bitmap; the top level is one word */
  unsigned levels;
};

static inline size_t emuv_set_words(uint64_t n)
{
  return (size_t)((n + 63) / 64);
}

static inline size_t emuv_set_bytes(uint64_t n)
{
  size_t bytes = 0;
  do {
    n = emuv_set_words(n);
    bytes += emuv_policy_round(n * sizeof(uint64_t));
  } while (n > 1);
  return bytes;
}

/* Memory is zeroed: the set is empty. n >= 1, below 2^36. */
static inline void emuv_set_init(struct emuv_set *set, void *memory, uint64_t n)
{
  char *at = memory;
  set->levels = 0;
  do {
    n = emuv_set_words(n);
    set->level[set->levels++] = emuv_policy_carve(&at, n * sizeof(uint64_t));
  } while (n > 1);
}

static inline bool emuv_set_has(const struct emuv_set *set, uint64_t x)
{
  return set->level[0][x >> 6] >> (x & 63) & 1;
}

/* Announces that x will be added or looked up; any x is allowed. */
static inline void emuv_set_prefetch(const struct emuv_set *set, uint64_t x)
{
  __builtin_prefetch(&set->level[0][x >> 6], 1);
}

static inline void emuv_set_add(struct emuv_set *set, uint64_t x)
{
  for (unsigned k = 0; k < set->levels; k++, x >>= 6) {
    uint64_t *word = &set->level[k][x >> 6], before = *word;
    *word = before | (uint64_t)1 << (x & 63);
    if (before != 0) return;
  }
}

static inline void emuv_set_remove(struct emuv_set *set, uint64_t x)
{
  for (unsigned k = 0; k < set->levels; k++, x >>= 6) {
    uint64_t *word = &set->level[k][x >> 6];
    *word &= ~((uint64_t)1 << (x & 63));
    if (*word != 0) return;
  }
}

/* The largest member below word x of level k; the words on the way down are not zero. */
static inline uint64_t emuv_set_descend(const struct emuv_set *set, unsigned k, uint64_t x)
{
  while (k-- > 0) x = x << 6 | (uint64_t)(63 - __builtin_clzll(set->level[k][x]));
  return x;
}

/* EMUV_SET_NONE when empty. */
static inline uint64_t emuv_set_max(const struct emuv_set *set)
{
  return set->level[set->levels - 1][0] != 0 ? emuv_set_descend(set, set->levels, 0) : EMUV_SET_NONE;
}

/* The largest member <= x, EMUV_SET_NONE if there is none. */
static inline uint64_t emuv_set_at_most(const struct emuv_set *set, uint64_t x)
{
  for (unsigned k = 0; k < set->levels; k++) {
    uint64_t low = set->level[k][x >> 6] & (~(uint64_t)0 >> (63 - (x & 63)));
    if (low != 0) return emuv_set_descend(set, k, (x >> 6) << 6 | (uint64_t)(63 - __builtin_clzll(low)));
    if (x >> 6 == 0) return EMUV_SET_NONE;
    x = (x >> 6) - 1;
  }
  return EMUV_SET_NONE;
}

/* The smallest member >= x, EMUV_SET_NONE if there is none. n: as given to emuv_set_init. */
static inline uint64_t emuv_set_at_least(const struct emuv_set *set, uint64_t x, uint64_t n)
{
  for (unsigned k = 0; k < set->levels && x < n; k++) {
    uint64_t high = set->level[k][x >> 6] & (~(uint64_t)0 << (x & 63));
    if (high != 0) {
      x = (x >> 6) << 6 | (uint64_t)__builtin_ctzll(high);
      while (k-- > 0) x = x << 6 | (uint64_t)__builtin_ctzll(set->level[k][x]);
      return x;
    }
    x = (x >> 6) + 1;
    n = emuv_set_words(n);
  }
  return EMUV_SET_NONE;
}

#endif
