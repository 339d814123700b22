// SPDX-License-Identifier: Apache-2.0
/* Stride prefetch: when the distance between the first pages of successive slices repeats, the same step is taken
 * further (reference prediction with a two-match confirmation; Chen and Baer, IEEE Trans. Computers 1995). */
#include "runtime/prefetch/proposal.h"

struct stride {
  const struct emuv_prefetch_env *env;
  int64_t last, step;
  uint32_t matches;
};

enum { CONFIRM = 2 };

static size_t stride_state_bytes(const struct emuv_prefetch_env *env)
{
  (void)env;
  return sizeof(struct stride);
}

static void stride_init(void *state, const struct emuv_prefetch_env *env)
{
  struct stride *st = state;
  st->env = env;
  st->last = -1;
}

static void observe(struct stride *st, int64_t page)
{
  int64_t step = page - st->last;
  if (st->last >= 0) st->matches = step == st->step && step ? st->matches + 1 : 0;
  st->step = step;
  st->last = page;
}

static uint32_t stride_propose(void *state, uint32_t slice, uint32_t missed, uint32_t budget, struct emuv_page_run *out,
                               uint32_t max_runs)
{
  struct stride *st = state;
  const struct emuv_program *program = st->env->program;
  const struct emuv_slice *s = &program->slices[slice];
  struct proposal p = {.env = st->env, .out = out, .max_runs = max_runs, .budget = budget};
  (void)missed;
  if (!s->n_runs) return 0;
  const struct emuv_page_run *run = &program->runs[s->first_run];
  observe(st, run->first);
  if (st->matches < CONFIRM) return 0;
  uint32_t looked = 0;
  for (int64_t at = run->first + st->step; at >= 0 && at < (int64_t)program->n_pages && looked < st->env->depth_pages;
       at += st->step) {
    if (proposal_full(&p)) break;
    proposal_add(&p, (uint32_t)at, run->n);
    looked += run->n;
  }
  return p.n;
}

const struct emuv_prefetch_ops emuv_prefetch_stride = {
    .name = "stride",
    .summary = "repeats a confirmed distance between successive accesses",
    .state_bytes = stride_state_bytes,
    .init = stride_init,
    .propose = stride_propose,
};
