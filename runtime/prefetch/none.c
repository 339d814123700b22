// SPDX-License-Identifier: Apache-2.0
/* No prefetch: pure demand paging. */
#include "runtime/prefetch/prefetch.h"

static size_t none_state_bytes(const struct emuv_prefetch_env *env)
{
  (void)env;
  return 0;
}

static void none_init(void *state, const struct emuv_prefetch_env *env)
{
  (void)state;
  (void)env;
}

static uint32_t none_propose(void *state, uint32_t slice, uint32_t missed, uint32_t budget, struct emuv_page_run *out,
                             uint32_t max_runs)
{
  (void)state;
  (void)slice;
  (void)missed;
  (void)budget;
  (void)out;
  (void)max_runs;
  return 0;
}

const struct emuv_prefetch_ops emuv_prefetch_none = {
    .name = "none",
    .summary = "demand paging only",
    .state_bytes = none_state_bytes,
    .init = none_init,
    .propose = none_propose,
};
