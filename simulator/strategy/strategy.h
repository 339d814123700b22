// SPDX-License-Identifier: Apache-2.0
/* Strategies: named ways to run a workload that may not fit in VRAM. One file ending in a const vtable and one line in
 * strategies.def. Each runs the workload on a virtual clock: a discrete-event simulation of the host that issues
 * launches, one compute stream, one copy engine per direction and one disk (timeline.h). Those that page also say how,
 * as a plan that any machine can carry out (machine.h); the others are models of what other systems do. */
#ifndef EMUV_SIMULATOR_STRATEGY_H
#define EMUV_SIMULATOR_STRATEGY_H

#include "simulator/config.h"
#include "simulator/metrics.h"
#include "simulator/strategy/planner.h"
#include "simulator/workload.h"

enum emuv_strategy_flag {
  EMUV_STRATEGY_POLICY = 1,    /* looks at `policy` and `prefetch` */
  EMUV_STRATEGY_UNLIMITED = 2, /* everything is in VRAM, whatever its size */
};

struct emuv_strategy_ops {
  const char *name;
  const char *summary;
  unsigned flags;
  /* Runs all steps of the workload; *m is zeroed, and filled for the steps after the warm-up. EMUV_ERR_NOSPACE when the
   * tiers cannot hold the data. */
  int (*run)(const struct emuv_config *config, const struct emuv_workload *workload, struct emuv_metrics *m,
             struct emuv_err *err);
  /* How a machine runs it: *plan is of kind EMUV_PLAN_PAGING. NULL: it only exists as a model. */
  int (*plan)(const struct emuv_config *config, const struct emuv_workload *workload, struct emuv_plan *plan,
              struct emuv_err *err);
};

extern const struct emuv_strategy_ops *const emuv_strategies[]; /* NULL-terminated */
const struct emuv_strategy_ops *emuv_strategy_find(const char *name);
const char *const *emuv_strategy_names(void);
/* The plan of config->strategy for a machine. EMUV_ERR_UNSUPPORTED, with the names of those that a machine can run. */
int emuv_strategy_plan(const struct emuv_config *config, const struct emuv_workload *workload, struct emuv_plan *plan,
                       struct emuv_err *err);

#endif
