// SPDX-License-Identifier: Apache-2.0
/* Oracle: the absent pages of the slices that really come next, in order. The yardstick for every other prefetcher. */
#include "runtime/prefetch/proposal.h"

struct oracle {
  const struct emuv_prefetch_env *env;
  struct proposal_cursor at;
};

static size_t oracle_state_bytes(const struct emuv_prefetch_env *env)
{
  (void)env;
  return sizeof(struct oracle);
}

static void oracle_init(void *state, const struct emuv_prefetch_env *env)
{
  ((struct oracle *)state)->env = env;
}

static uint32_t oracle_propose(void *state, uint32_t slice, uint32_t missed, uint32_t budget, struct emuv_page_run *out,
                               uint32_t max_runs)
{
  struct oracle *st = state;
  struct proposal p = {.env = st->env, .out = out, .max_runs = max_runs, .budget = budget};
  uint32_t end = (uint32_t)st->env->program->n_slices;
  (void)missed;
  if (slice + 1 >= end) return 0;
  if (st->at.slice <= slice) st->at = (struct proposal_cursor){.slice = slice + 1};
  proposal_walk(&p, &st->at, slice, end);
  return p.n;
}

const struct emuv_prefetch_ops emuv_prefetch_oracle = {
    .name = "oracle",
    .summary = "what really comes next: the yardstick (needs the future)",
    .flags = EMUV_PREFETCH_NEEDS_FUTURE,
    .state_bytes = oracle_state_bytes,
    .init = oracle_init,
    .propose = oracle_propose,
};
