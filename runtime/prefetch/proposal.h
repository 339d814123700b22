// SPDX-License-Identifier: Apache-2.0
/* What prefetchers share: collecting absent pages within a budget, and walking slices ahead of a position. */
#ifndef EMUV_PREFETCH_PROPOSAL_H
#define EMUV_PREFETCH_PROPOSAL_H

#include "runtime/core/pager.h"
#include "runtime/prefetch/prefetch.h"

struct proposal {
  const struct emuv_prefetch_env *env;
  struct emuv_page_run *out;
  uint32_t n, max_runs, budget;
};

/* Absent, and somewhere below VRAM there is something to load. */
static inline bool proposal_wants(const struct emuv_prefetch_env *env, uint32_t page)
{
  uint8_t s = env->state[page];
  return !(s & EMUV_PAGE_VRAM) && (s & (EMUV_PAGE_RAM | EMUV_PAGE_NVME));
}

/* Proposed by this call already: a page that comes twice within the look-ahead must not use up the budget twice. */
static inline bool proposal_has(const struct proposal *p, uint32_t page)
{
  for (uint32_t r = p->n; r-- > 0;)
    if (page - p->out[r].first < p->out[r].n) return true;
  return false;
}

static inline bool proposal_full(const struct proposal *p)
{
  return p->n == p->max_runs || p->budget == 0;
}

/* Adds the absent pages of first .. first+n-1 (cut at the end of memory). Returns how many pages of the run were looked
 * at: n unless the proposal became full. */
static inline uint32_t proposal_add(struct proposal *p, uint32_t first, uint32_t n)
{
  uint32_t i = 0, end = first + n < p->env->program->n_pages ? n : p->env->program->n_pages - first;
  while (i < end && !proposal_full(p)) {
    if (!proposal_wants(p->env, first + i) || proposal_has(p, first + i)) {
      i++;
      continue;
    }
    uint32_t m = 1;
    while (i + m < end && m < p->budget && proposal_wants(p->env, first + i + m) && !proposal_has(p, first + i + m))
      m++;
    p->out[p->n++] = (struct emuv_page_run){.first = first + i, .n = m};
    p->budget -= m;
    i += m;
  }
  return i < end ? i : n;
}

/* A place in the program from which slices are proposed in order. */
struct proposal_cursor {
  uint32_t slice, run, page; /* next page of the run to look at */
};

/* Proposes from *at up to (not including) slice `end`, at most depth pages further than the start of slice `from`;
 * leaves *at where it stopped. */
static inline void proposal_walk(struct proposal *p, struct proposal_cursor *at, uint32_t from, uint32_t end)
{
  const struct emuv_program *program = p->env->program;
  uint64_t limit = (uint64_t)program->slices[from].first_ref + p->env->depth_pages;
  while (at->slice < end && !proposal_full(p)) {
    const struct emuv_slice *slice = &program->slices[at->slice];
    if (slice->first_ref > limit) return;
    if (at->run == slice->n_runs) {
      *at = (struct proposal_cursor){.slice = at->slice + 1};
      continue;
    }
    const struct emuv_page_run *run = &program->runs[slice->first_run + at->run];
    bool skip = p->env->skip_dynamic && (run->flags & EMUV_RUN_DYNAMIC);
    at->page += skip ? run->n : proposal_add(p, run->first + at->page, run->n - at->page);
    if (at->page < run->n) return;
    at->run++;
    at->page = 0;
  }
}

#endif
