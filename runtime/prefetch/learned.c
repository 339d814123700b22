// SPDX-License-Identifier: Apache-2.0
/* Learned: the launch sequence of a step repeats, so what followed the last time a place was reached is loaded again.
 * Uses history only: for each page, the slice at which it was last entered; the slices after that one are the
 * prediction. In the manner of a first-order Markov prefetcher with a long successor list (Joseph and Grunwald, ISCA
 * 1997). */
#include "runtime/prefetch/proposal.h"

struct learned {
  const struct emuv_prefetch_env *env;
  uint32_t match; /* slice of the past that corresponds to the current one; NONE = unknown */
  uint32_t page;  /* first page of the slice before */
  struct proposal_cursor at;
  uint32_t entered[]; /* per page: 1 + slice at which it was last entered, 0 = never */
};

enum { REACH = 8 }; /* slices that may be skipped in the past before the match counts as lost */
static const uint32_t NONE = UINT32_MAX;

static size_t learned_state_bytes(const struct emuv_prefetch_env *env)
{
  return sizeof(struct learned) + sizeof(uint32_t) * env->program->n_pages;
}

static void learned_init(void *state, const struct emuv_prefetch_env *env)
{
  struct learned *st = state;
  st->env = env;
  st->match = st->page = NONE;
}

static uint32_t first_page(const struct learned *st, uint32_t slice)
{
  const struct emuv_slice *s = &st->env->program->slices[slice];
  return s->n_runs ? st->env->program->runs[s->first_run].first : NONE;
}

/* The past slice that corresponds to `slice`, which starts with `page`. */
static uint32_t follow(const struct learned *st, uint32_t slice, uint32_t page)
{
  if (st->match != NONE) {
    for (uint32_t i = st->match + 1; i < slice && i <= st->match + REACH; i++)
      if (first_page(st, i) == page) return i;
    if (page == st->page) return st->match; /* still in the same page, longer than last time */
  }
  return st->entered[page] ? st->entered[page] - 1 : NONE;
}

static uint32_t learned_propose(void *state, uint32_t slice, uint32_t missed, uint32_t budget,
                                struct emuv_page_run *out, uint32_t max_runs)
{
  struct learned *st = state;
  struct proposal p = {.env = st->env, .out = out, .max_runs = max_runs, .budget = budget};
  uint32_t page = first_page(st, slice);
  (void)missed;
  if (page == NONE) return 0;
  uint32_t match = follow(st, slice, page);
  if (page != st->page) st->entered[page] = slice + 1;
  bool lost = st->match == NONE || match < st->match || match > st->match + REACH;
  st->match = match;
  st->page = page;
  if (match == NONE || match + 1 >= slice) return 0;
  if (lost || st->at.slice <= match) st->at = (struct proposal_cursor){.slice = match + 1};
  proposal_walk(&p, &st->at, match, slice);
  return p.n;
}

const struct emuv_prefetch_ops emuv_prefetch_learned = {
    .name = "learned",
    .summary = "what followed the last time this place was reached",
    .state_bytes = learned_state_bytes,
    .init = learned_init,
    .propose = learned_propose,
};
