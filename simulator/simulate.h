// SPDX-License-Identifier: Apache-2.0
/* One configuration through its strategy, with the books checked afterwards. Any thread; no state. */
#ifndef EMUV_SIMULATOR_SIMULATE_H
#define EMUV_SIMULATOR_SIMULATE_H

#include "simulator/config.h"
#include "simulator/metrics.h"
#include "simulator/workload.h"

/* Runs `config` over `workload` into *m. EMUV_ERR_NOSPACE or EMUV_ERR_RANGE when this configuration cannot run (a
 * finding, not a failure of the program); EMUV_ERR_INTERNAL when the result contradicts itself (emuv_metrics_check). */
int emuv_simulate(const struct emuv_config *config, const struct emuv_workload *workload, struct emuv_metrics *m,
                  struct emuv_err *err);
/* What must hold for every result: total = compute + stalls, not below the bound; accesses = hits + births + faults +
 * remote; bytes up = faulted + loaded ahead + read in place; bytes down = written back; loaded ahead >= used. */
int emuv_metrics_check(const struct emuv_metrics *m, struct emuv_err *err);
/* The same without the bound, which is of the model: a measurement that beats it is a finding about the model. */
int emuv_metrics_check_books(const struct emuv_metrics *m, struct emuv_err *err);
/* The workload that a configuration asks for, by its source. */
int emuv_workload_build(const struct emuv_config *config, struct emuv_workload *workload, struct emuv_err *err);
/* Work of simulating it, in arbitrary but additive units: for time estimates. */
double emuv_simulate_cost(const struct emuv_config *config);

#endif
