// SPDX-License-Identifier: Apache-2.0
/* Demand paging with the policy and the prefetcher that the user chose: what a policy does by itself. */
#include "simulator/strategy/paging.h"
#include "simulator/strategy/strategy.h"

static int paged_run(const struct emuv_config *c, const struct emuv_workload *w, struct emuv_metrics *m,
                     struct emuv_err *err)
{
  struct emuv_paging how = {.policy = emuv_policy_find(c->policy),
                            .prefetch = emuv_prefetch_find(c->prefetch),
                            .page_bytes = c->page_size,
                            .lookahead_bytes = c->lookahead,
                            .coalesce_bytes = c->coalesce,
                            .fault_ns = c->hw.fault};
  if (!how.policy || !how.prefetch)
    return emuv_err_set(err, EMUV_ERR_INPUT, "no policy '%s' or no prefetcher '%s'", c->policy, c->prefetch);
  return emuv_paging_run(c, w, &how, NULL, m, err);
}

const struct emuv_strategy_ops emuv_strategy_paged = {
    .name = "paged",
    .summary = "demand paging with the given eviction policy and prefetcher",
    .flags = EMUV_STRATEGY_POLICY,
    .run = paged_run,
};
