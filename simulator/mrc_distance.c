// SPDX-License-Identifier: Apache-2.0
/* Exact LRU stack distances (Mattson et al. 1970): a reference hits in C frames exactly when fewer than C other pages
 * were referenced since the page's last reference.
 *
 * Positions of last references are bits of a window; the distance is the number of bits set behind the page's own. They
 * are counted in three steps, words to the end of a block, blocks to the end of a group, groups to the newest (as
 * Bennett and Kruskal, "LRU stack processing", IBM J. R&D 1975, with a wider fan-out). When the window is full the bits
 * are moved together: a page's new position is the number of bits below its old one. The window has four bits per page,
 * so that is one visit per page for every three references per page.
 * Memory: 4 bytes per page for positions, 8 for the histogram, under 1 for the window. */
#include "simulator/mrc_lru.h"

#include <stdlib.h>
#include <string.h>

/* The population count instruction is chosen at run time where the compiler can do that. */
#if defined(__x86_64__) && defined(__ELF__) && !defined(__SANITIZE_THREAD__)
#define POPCOUNT_CLONES __attribute__((target_clones("popcnt", "default")))
#else
#define POPCOUNT_CLONES
#endif

enum { BLOCK_WORDS = 8, BLOCK_BITS = 64 * BLOCK_WORDS, GROUP_BLOCKS = 32, GROUP_BITS = BLOCK_BITS * GROUP_BLOCKS };

struct window {
  uint64_t *words;
  uint16_t *blocks; /* bits set per block */
  uint32_t *groups; /* bits set per group */
  uint32_t *place;  /* by page: position + 1, 0 = not referenced yet */
  uint64_t *hits;   /* by distance 0 .. n_pages-1 */
  uint32_t bits;    /* positions; a multiple of GROUP_BITS */
  uint32_t now;     /* next free position */
  uint32_t n_pages;
};

static inline void window_set(struct window *w, uint32_t at, uint32_t by)
{
  w->words[at / 64] ^= (uint64_t)1 << at % 64;
  w->blocks[at / BLOCK_BITS] = (uint16_t)(w->blocks[at / BLOCK_BITS] + by);
  w->groups[at / GROUP_BITS] += by;
}

/* Bits set behind position `at`; nothing is set at or behind `now`. */
static inline __attribute__((always_inline)) uint32_t count_behind(const struct window *w, uint32_t at)
{
  uint32_t word = at / 64, block = at / BLOCK_BITS, group = at / GROUP_BITS;
  uint32_t n = (uint32_t)__builtin_popcountll(w->words[word] >> at % 64 >> 1);
  while (++word % BLOCK_WORDS != 0) n += (uint32_t)__builtin_popcountll(w->words[word]);
  while (++block % GROUP_BLOCKS != 0) n += w->blocks[block];
  for (uint32_t last = w->now / GROUP_BITS; ++group <= last;) n += w->groups[group];
  return n;
}

/* Moves the bits together at the low end, in order. */
static POPCOUNT_CLONES void compact(struct window *w)
{
  uint32_t total = 0;
  for (uint32_t g = 0; g < w->bits / GROUP_BITS; g++) total += w->groups[g];
  for (uint32_t p = 0; p < w->n_pages; p++) {
    if (w->place[p] != 0) w->place[p] = total - count_behind(w, w->place[p] - 1);
  }
  memset(w->words, 0, w->bits / 8);
  memset(w->blocks, 0, w->bits / BLOCK_BITS * sizeof *w->blocks);
  memset(w->groups, 0, w->bits / GROUP_BITS * sizeof *w->groups);
  for (uint32_t at = 0; at < total; at++) window_set(w, at, 1);
  w->now = total;
}

static POPCOUNT_CLONES void pass(struct window *w, const uint32_t *refs, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    if (w->now + 1 == w->bits) compact(w);
    uint32_t *place = &w->place[refs[i]];
    if (*place != 0) {
      w->hits[count_behind(w, *place - 1)]++;
      window_set(w, *place - 1, UINT32_MAX);
    }
    window_set(w, w->now++, 1);
    *place = w->now;
  }
}

static int no_memory(struct emuv_err *err)
{
  emuv_err_set(err, EMUV_ERR_NOMEM, "not enough memory for policy lru");
  return EMUV_ERR_NOMEM;
}

static void window_free(struct window *w)
{
  free(w->words);
  free(w->blocks);
  free(w->groups);
  free(w->place);
  free(w->hits);
}

static int window_init(struct window *w, uint32_t n_pages, struct emuv_err *err)
{
  uint64_t groups = ((uint64_t)n_pages * 4 + GROUP_BITS) / GROUP_BITS;
  *w = (struct window){.n_pages = n_pages};
  if (groups > UINT32_MAX / GROUP_BITS) return no_memory(err);
  w->bits = (uint32_t)groups * GROUP_BITS;
  w->words = calloc(w->bits / 64, sizeof *w->words);
  w->blocks = calloc(w->bits / BLOCK_BITS, sizeof *w->blocks);
  w->groups = calloc(groups, sizeof *w->groups);
  w->place = calloc(n_pages, sizeof *w->place);
  w->hits = calloc(n_pages, sizeof *w->hits);
  if (w->words && w->blocks && w->groups && w->place && w->hits) return 0;
  window_free(w);
  return no_memory(err);
}

int emuv_mrc_lru_distances(const struct emuv_mrc_trace *t, const uint32_t *capacity, size_t n, uint64_t *misses,
                           struct emuv_err *err)
{
  struct window w;
  int rc = window_init(&w, t->n_pages, err);
  if (rc) return rc;
  pass(&w, t->refs, t->n);
  for (uint32_t d = 1; d < t->n_pages; d++) w.hits[d] += w.hits[d - 1];
  for (size_t k = 0; k < n; k++) {
    uint32_t frames = capacity[k] < t->n_pages ? capacity[k] : t->n_pages;
    misses[k] = t->n - (frames > 0 ? w.hits[frames - 1] : 0);
  }
  window_free(&w);
  return 0;
}
