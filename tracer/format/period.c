// SPDX-License-Identifier: Apache-2.0
/* The period of a sequence of symbols (steps.h). Candidates are distances between occurrences of the same symbol, for
 * rare symbols: a kernel that runs once or a few times per step. Cost: candidates x n. */
#include "tracer/format/steps.h"

#include <stdlib.h>
#include <string.h>

enum {
  RARE = 4096,     /* symbols with more occurrences do not propose */
  REACH = 48,      /* occurrences ahead that are paired */
  CANDIDATES = 96, /* that are tried, the most frequent ones */
  MISMATCH = -19,  /* so that a stretch must agree in 95 % */
  REPEATS = 3,
  PERIOD_MIN = 2
};

struct occurrence {
  uint32_t symbol, place;
};

struct candidate {
  size_t distance, votes;
};

static int by_symbol(const void *a, const void *b)
{
  const struct occurrence *x = a, *y = b;
  if (x->symbol != y->symbol) return x->symbol < y->symbol ? -1 : 1;
  return (x->place > y->place) - (x->place < y->place);
}

static int by_votes(const void *a, const void *b)
{
  const struct candidate *x = a, *y = b;
  if (x->votes != y->votes) return x->votes > y->votes ? -1 : 1;
  return (x->distance > y->distance) - (x->distance < y->distance);
}

static void vote(const struct occurrence *o, size_t n, uint32_t *votes)
{
  if (n > RARE) return;
  for (size_t i = 0; i < n; i++)
    for (size_t j = i + 1; j < n && j <= i + REACH; j++) votes[o[j].place - o[i].place]++;
}

/* Votes for each distance below n. */
static uint32_t *count_distances(const uint32_t *symbols, size_t n)
{
  struct occurrence *o = malloc(n * sizeof *o);
  uint32_t *votes = calloc(n, sizeof *votes);
  if (!o || !votes) {
    free(o);
    free(votes);
    return NULL;
  }
  for (size_t i = 0; i < n; i++) o[i] = (struct occurrence){symbols[i], (uint32_t)i};
  qsort(o, n, sizeof *o, by_symbol);
  for (size_t i = 0, j; i < n; i = j) {
    for (j = i; j < n && o[j].symbol == o[i].symbol; j++)
      ;
    vote(o + i, j - i, votes);
  }
  free(o);
  return votes;
}

/* The distances with the most votes, in candidates[0 .. result). A distance that repeats m times weighs m x distance,
 * the length that it explains; else short loops inside a step would crowd out the step. */
static size_t choose(const uint32_t *votes, size_t n, struct candidate *candidates)
{
  size_t count = 0;
  for (size_t d = PERIOD_MIN; d <= n / REPEATS; d++) {
    if (votes[d] < REPEATS - 1) continue;
    struct candidate c = {.distance = d, .votes = (size_t)votes[d] * d};
    if (count == CANDIDATES && c.votes <= candidates[count - 1].votes) continue;
    if (count < CANDIDATES) count++;
    candidates[count - 1] = c;
    for (size_t i = count - 1; i > 0 && by_votes(&candidates[i], &candidates[i - 1]) < 0; i--) {
      struct candidate swap = candidates[i];
      candidates[i] = candidates[i - 1];
      candidates[i - 1] = swap;
    }
  }
  return count;
}

/* Best score of a stretch in which symbols repeat after p; begin..end includes its first repetition. */
static long best_stretch(const uint32_t *symbols, size_t n, size_t p, size_t *begin, size_t *end)
{
  long best = 0, run = 0;
  size_t start = p;
  for (size_t i = p; i < n; i++) {
    if (run == 0) start = i;
    run += symbols[i] == symbols[i - p] ? 1 : MISMATCH;
    if (run < 0) run = 0;
    if (run > best) {
      best = run;
      *begin = start - p;
      *end = i + 1;
    }
  }
  return best;
}

size_t emuv_trace_period(const uint32_t *symbols, size_t n, size_t *begin, size_t *end)
{
  *begin = *end = 0;
  if (n < (size_t)REPEATS * PERIOD_MIN || n > UINT32_MAX) return 0;
  uint32_t *votes = count_distances(symbols, n);
  if (!votes) return 0;
  struct candidate candidates[CANDIDATES];
  size_t count = choose(votes, n, candidates), period = 0;
  free(votes);
  long best = 0;
  for (size_t i = 0; i < count; i++) {
    size_t from = 0, to = 0, p = candidates[i].distance;
    long score = best_stretch(symbols, n, p, &from, &to);
    if (to - from < REPEATS * p) continue;
    if (score < best || (score == best && p > period)) continue;
    best = score;
    period = p;
    *begin = from;
    *end = to;
  }
  return period;
}
