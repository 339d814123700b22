// SPDX-License-Identifier: Apache-2.0
/* emuV: the plan that the planner finds to be the fastest (planner.c). */
#include "simulator/strategy/planner.h"
#include "simulator/strategy/strategy.h"

static int emuv_run(const struct emuv_config *c, const struct emuv_workload *w, struct emuv_metrics *m,
                    struct emuv_err *err)
{
  struct emuv_plan plan;
  return emuv_planner_choose(c, w, &plan, m, err);
}

static int emuv_plan(const struct emuv_config *c, const struct emuv_workload *w, struct emuv_plan *plan,
                     struct emuv_err *err)
{
  struct emuv_metrics m;
  int rc = emuv_planner_choose(c, w, plan, &m, err);
  if (rc || plan->kind == EMUV_PLAN_PAGING) return rc;
  emuv_err_set(err, EMUV_ERR_UNSUPPORTED, "the fastest plan of strategy emuv is '%s', which only exists as a model",
               plan->text);
  return emuv_err_hint(err,
                       "plans: paging (--set plans=paging) leaves the planner what can be run, here and in emuv-sim");
}

const struct emuv_strategy_ops emuv_strategy_emuv = {
    .name = "emuv",
    .summary = "emuV's planner: keep what Belady keeps, stream the rest ahead, read in place what pays",
    .run = emuv_run,
    .plan = emuv_plan,
};
