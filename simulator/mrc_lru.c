// SPDX-License-Identifier: Apache-2.0
/* LRU at several capacities in one pass, both ways exact.
 *
 * Ends: the reference string is the queue. With last[p] the position (from 1) of p's last reference, the memory of C
 * frames holds the pages with last[p] > end(C), where end(C) moves to the oldest position that is still somebody's last
 * whenever a miss needs a frame. By inclusion a larger memory has the smaller end, so a reference is looked up once and
 * only the ends that it misses move. Every end passes every position at most once.
 *
 * Distances: see mrc_distance.c. */
#include "simulator/mrc_lru.h"

#include "runtime/policy/policy.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { AHEAD = 24, MAX_ENDS = 12 };

struct end {
  uint32_t capacity, used;
  uint32_t at; /* positions up to here were evicted or passed */
  size_t row;
  uint64_t misses;
};

static int by_capacity_down(const void *a, const void *b)
{
  const struct end *x = a, *y = b;
  return x->capacity < y->capacity ? 1 : x->capacity > y->capacity ? -1 : 0;
}

static inline void make_room(struct end *e, const uint32_t *refs, const uint32_t *last)
{
  uint32_t at = e->at;
  e->misses++;
  if (e->used < e->capacity) {
    e->used++;
    return;
  }
  while (last[refs[at]] != at + 1) at++;
  e->at = at + 1;
}

/* Ends stand in order of falling capacity, so the first that hits makes all before it hit. */
static void pass(const struct emuv_mrc_trace *t, struct end *ends, size_t n, uint32_t *last)
{
  const uint32_t *refs = t->refs;
  for (size_t i = 0; i < t->n; i++) {
    if (i + AHEAD < t->n) __builtin_prefetch(&last[refs[i + AHEAD]], 1);
    uint32_t before = last[refs[i]];
    last[refs[i]] = (uint32_t)i + 1;
    for (size_t k = n; k-- > 0 && before <= ends[k].at;) make_room(&ends[k], refs, last);
  }
}

int emuv_mrc_lru_ends(const struct emuv_mrc_trace *t, const uint32_t *capacity, size_t n, uint64_t *misses,
                      struct emuv_err *err)
{
  struct end *ends = calloc(n + 1, sizeof *ends);
  uint32_t *last = emuv_mrc_alloc(t->n_pages * sizeof *last);
  bool enough = ends && last;
  if (enough) {
    for (size_t k = 0; k < n; k++) ends[k] = (struct end){.capacity = capacity[k], .row = k};
    qsort(ends, n, sizeof *ends, by_capacity_down);
    pass(t, ends, n, last);
    for (size_t k = 0; k < n; k++) misses[ends[k].row] = ends[k].misses;
  }
  free(ends);
  emuv_mrc_free(last, t->n_pages * sizeof *last);
  return enough ? 0 : emuv_err_set(err, EMUV_ERR_NOMEM, "not enough memory for policy lru");
}

int emuv_mrc_lru(const struct emuv_mrc_trace *t, const uint32_t *capacity, size_t n, uint64_t *misses,
                 struct emuv_err *err)
{
  return n <= MAX_ENDS ? emuv_mrc_lru_ends(t, capacity, n, misses, err)
                       : emuv_mrc_lru_distances(t, capacity, n, misses, err);
}
