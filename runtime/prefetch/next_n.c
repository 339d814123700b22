// SPDX-License-Identifier: Apache-2.0
/* Next-N-pages: what follows the last page touched, as far as the look-ahead reaches (sequential prefetch; A. J. Smith,
 * "Cache Memories", ACM Computing Surveys 1982). */
#include "runtime/prefetch/proposal.h"

struct next_n {
  const struct emuv_prefetch_env *env;
};

static size_t next_n_state_bytes(const struct emuv_prefetch_env *env)
{
  (void)env;
  return sizeof(struct next_n);
}

static void next_n_init(void *state, const struct emuv_prefetch_env *env)
{
  ((struct next_n *)state)->env = env;
}

static uint32_t next_n_propose(void *state, uint32_t slice, uint32_t missed, uint32_t budget, struct emuv_page_run *out,
                               uint32_t max_runs)
{
  const struct emuv_prefetch_env *env = ((struct next_n *)state)->env;
  const struct emuv_program *program = env->program;
  const struct emuv_slice *s = &program->slices[slice];
  struct proposal p = {.env = env, .out = out, .max_runs = max_runs, .budget = budget};
  (void)missed;
  if (!s->n_runs) return 0;
  const struct emuv_page_run *last = &program->runs[s->first_run + s->n_runs - 1];
  uint32_t after = last->first + last->n;
  if (after < program->n_pages) proposal_add(&p, after, env->depth_pages);
  return p.n;
}

const struct emuv_prefetch_ops emuv_prefetch_next_n = {
    .name = "next-n",
    .summary = "the pages that follow the last one touched, up to the look-ahead",
    .state_bytes = next_n_state_bytes,
    .init = next_n_init,
    .propose = next_n_propose,
};
