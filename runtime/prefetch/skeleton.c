// SPDX-License-Identifier: Apache-2.0
/* Skeleton of a prefetcher: copy this file to NAME.c, replace "skeleton", and add one line to prefetch.def. The build,
 * the
 * --list output, the scenario keys and the conformance tests then know it. It is compiled as it stands, not registered.
 *
 * Say here what is predicted and from what, and where the method was published. */
#include "runtime/prefetch/proposal.h"

/* Everything remembered between calls. Only slices up to the current one may be read, unless the vtable says
 * EMUV_PREFETCH_NEEDS_FUTURE. */
struct skeleton {
  const struct emuv_prefetch_env *env;
};

/* Called once, before init; the caller gives that much zeroed memory. Add arrays per page here when you need them. */
static size_t skeleton_state_bytes(const struct emuv_prefetch_env *env)
{
  (void)env;
  return sizeof(struct skeleton);
}

static void skeleton_init(void *state, const struct emuv_prefetch_env *env)
{
  ((struct skeleton *)state)->env = env;
}

/* Called after each slice. Propose what will be needed first, first. proposal_add leaves out what is resident and keeps
 * to the budget. This one proposes the page after each run of the slice. */
static uint32_t skeleton_propose(void *state, uint32_t slice, uint32_t missed, uint32_t budget,
                                 struct emuv_page_run *out, uint32_t max_runs)
{
  const struct emuv_prefetch_env *env = ((struct skeleton *)state)->env;
  const struct emuv_slice *s = &env->program->slices[slice];
  struct proposal p = {.env = env, .out = out, .max_runs = max_runs, .budget = budget};
  (void)missed;
  for (uint32_t r = 0; r < s->n_runs && !proposal_full(&p); r++) {
    const struct emuv_page_run *run = &env->program->runs[s->first_run + r];
    if (run->first + run->n < env->program->n_pages) proposal_add(&p, run->first + run->n, 1);
  }
  return p.n;
}

extern const struct emuv_prefetch_ops emuv_prefetch_skeleton;
const struct emuv_prefetch_ops emuv_prefetch_skeleton = {
    .name = "skeleton",
    .summary = "one line: what it loads ahead",
    .state_bytes = skeleton_state_bytes,
    .init = skeleton_init,
    .propose = skeleton_propose,
};
