// SPDX-License-Identifier: Apache-2.0
/* Eviction policies: which resident page leaves when a frame is needed.
 *
 * A policy is one file ending in a const vtable, and one line in policies.def. State is one block of state_bytes()
 * bytes that the caller allocates zeroed and frees: no allocation, no hashing and no I/O on the hot path. Pages are
 * dense ids 0 .. n_pages-1. The hot calls take runs of consecutive pages, so that one indirect call serves many pages.
 *
 * Order of references is program order and is exact: `fill` chooses each victim immediately before the insertion that
 * needs its frame, so counts equal those of a simulator that handles one reference at a time.
 * Pins may change between calls. What a policy does with a pinned page that it would have chosen is its own business
 * and stands in its file: lru, fifo and clock treat it as just used, the others skip it. Limits: n_pages >= 1, and
 * n_pages + n_refs below UINT32_MAX. A state belongs to one thread. Write a new one by copying skeleton.c. */
#ifndef EMUV_POLICY_POLICY_H
#define EMUV_POLICY_POLICY_H

#include "runtime/core/err.h"

#include <stddef.h>
#include <stdint.h>

#define EMUV_NO_PAGE UINT32_MAX
#define EMUV_NEVER UINT32_MAX /* "next use" of a page that is not referenced again */

enum emuv_policy_flag {
  EMUV_POLICY_NEEDS_FUTURE = 1,    /* the `next` arguments are required (belady) */
  EMUV_POLICY_STACK = 2,           /* has the inclusion property: a larger memory holds what a smaller one holds */
  EMUV_POLICY_RANDOMISED = 4,      /* depends on the seed */
  EMUV_POLICY_GIVES_UP_NEWEST = 8, /* what has just been used may leave first: a running launch's pages must be held */
};

enum emuv_policy_pin {
  EMUV_PIN = 1,  /* kept by the user's wish, or loaded ahead of its use */
  EMUV_HELD = 2, /* used by the running launch, or about to be */
  EMUV_KEPT = 4, /* beside EMUV_PIN: for good, until the page is dropped, so nobody needs to look at it again */
};

struct emuv_policy_env {
  uint32_t n_pages;      /* ids are below this */
  uint32_t capacity;     /* frames; at most this many pages are resident; >= 1 */
  uint32_t n_refs;       /* length of the reference string where it is known (NEEDS_FUTURE), else 0 */
  const uint8_t *pinned; /* one byte per page, bits of emuv_policy_pin: not 0 = must not be chosen; NULL = never */
  uint64_t seed;
};

struct emuv_policy_ops {
  const char *name;
  const char *summary; /* one line: what it does, and the paper */
  unsigned flags;
  size_t (*state_bytes)(const struct emuv_policy_env *env);
  /* `state` is zeroed and 64-byte aligned. `env` outlives it. */
  void (*init)(void *state, const struct emuv_policy_env *env);
  /* Pages first .. first+n-1 are resident and were referenced, in order.
   * next[i] = index in the reference string of the reference to page first+i that follows, EMUV_NEVER if none;
   * next is NULL when the policy does not need the future. */
  void (*touch)(void *state, uint32_t first, uint32_t n, const uint32_t *next);
  /* Pages first .. first+n-1 are not resident and become so, in order. The first n_free of them take free frames; each
   * later one evicts a victim first (unpinned; it may be a page that this very call inserted). Victims go to
   * victims[0..]. Stops early when nothing can be evicted. Returns how many pages were inserted; the number of victims
   * is max(0, inserted - n_free). For a page loaded ahead of its use, next[i] is that coming use; as each position of
   * the reference string belongs to one page, no two resident pages ever have the same next use. */
  uint32_t (*fill)(void *state, uint32_t first, uint32_t n, uint32_t n_free, const uint32_t *next, uint32_t *victims);
  /* Forgets a resident page (freed, or taken away by the pager). */
  void (*drop)(void *state, uint32_t page);
  /* The whole reference string with `capacity` frames, nothing pinned: hit or insert with eviction. Returns misses.
   * next as in touch, one per reference; with NEEDS_FUTURE n is env->n_refs. State must be fresh, and can only be freed
   * afterwards. n + n_pages is below UINT32_MAX. This is the path that `emuv-sim mrc` times. */
  uint64_t (*replay)(void *state, const uint32_t *refs, const uint32_t *next, size_t n);
  /* Pages that the policy holds resident. */
  uint32_t (*size)(const void *state);
  /* Walks the whole structure: 0, or EMUV_ERR_INTERNAL and what is wrong. Slow; debug builds and tests. */
  int (*check)(const void *state, struct emuv_err *err);
};

/* All policies in the order of policies.def, NULL-terminated. */
extern const struct emuv_policy_ops *const emuv_policies[];
/* By name, NULL if there is none. */
const struct emuv_policy_ops *emuv_policy_find(const char *name);
/* Names, NULL-terminated (for option tables and --list). */
const char *const *emuv_policy_names(void);

#endif
