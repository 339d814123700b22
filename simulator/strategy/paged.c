// SPDX-License-Identifier: Apache-2.0
/* Demand paging with the policy and the prefetcher that the user chose: what a policy does by itself. */
#include "simulator/strategy/strategy.h"

static int paged_plan(const struct emuv_config *c, const struct emuv_workload *w, struct emuv_plan *plan,
                      struct emuv_err *err)
{
  (void)w;
  *plan = (struct emuv_plan){.kind = EMUV_PLAN_PAGING,
                             .paging = {.policy = emuv_policy_find(c->policy),
                                        .prefetch = emuv_prefetch_find(c->prefetch),
                                        .page_bytes = c->page_size,
                                        .lookahead_bytes = c->lookahead,
                                        .coalesce_bytes = c->coalesce,
                                        .fault_ns = c->hw.fault}};
  if (plan->paging.policy && plan->paging.prefetch) return 0;
  return emuv_err_set(err, EMUV_ERR_INPUT, "no policy '%s' or no prefetcher '%s'", c->policy, c->prefetch);
}

static int paged_run(const struct emuv_config *c, const struct emuv_workload *w, struct emuv_metrics *m,
                     struct emuv_err *err)
{
  struct emuv_plan plan;
  int rc = paged_plan(c, w, &plan, err);
  return rc ? rc : emuv_paging_run(c, w, &plan.paging, NULL, m, err);
}

const struct emuv_strategy_ops emuv_strategy_paged = {
    .name = "paged",
    .summary = "demand paging with the given eviction policy and prefetcher",
    .flags = EMUV_STRATEGY_POLICY,
    .run = paged_run,
    .plan = paged_plan,
};
