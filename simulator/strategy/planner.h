// SPDX-License-Identifier: Apache-2.0
/* Plans: how a strategy runs a workload, as data, so that the simulator and emuv-replay run the same one; and emuV's
 * planner, which finds one. No state; any thread. */
#ifndef EMUV_SIMULATOR_STRATEGY_PLANNER_H
#define EMUV_SIMULATOR_STRATEGY_PLANNER_H

#include "simulator/strategy/paging.h"

enum emuv_plan_kind {
  EMUV_PLAN_PAGING,   /* emuv_paging_run with `paging`: what every machine can carry out */
  EMUV_PLAN_IN_PLACE, /* as strategy `uva` */
  EMUV_PLAN_LAYERS,   /* as strategy `stream` */
};

struct emuv_plan {
  enum emuv_plan_kind kind;
  struct emuv_paging paging; /* EMUV_PLAN_PAGING */
  char text[96];             /* for the column `plan` */
};

/* Runs the candidates for `config` on the virtual machine and takes the fastest: into *plan, its result into *m
 * (m->plan is the text). With `plans: paging` the only candidates are plans that page. When none can run, the error of
 * the last that could not. */
int emuv_planner_choose(const struct emuv_config *config, const struct emuv_workload *workload, struct emuv_plan *plan,
                        struct emuv_metrics *m, struct emuv_err *err);

#endif
