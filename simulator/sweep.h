// SPDX-License-Identifier: Apache-2.0
/* Runs the configurations of a scenario on several threads and stores each as it is done, in one transaction. What is
 * stored already is skipped, so an interrupted sweep goes on where it stopped. Rows do not depend on the number of
 * threads. */
#ifndef EMUV_SIMULATOR_SWEEP_H
#define EMUV_SIMULATOR_SWEEP_H

#include "simulator/results.h"
#include "simulator/scenario.h"

#include <stdatomic.h>

struct emuv_sweep_options {
  int jobs;                /* threads, >= 1 */
  const atomic_bool *stop; /* true: finish nothing new, return EMUV_ERR_INTERRUPTED; a signal may set it; may be NULL */
  /* begin: how many configurations there are to run and their whole cost (emuv_simulate_cost); done: one is stored.
   * Both are called by one thread at a time; may be NULL. */
  void (*begin)(void *arg, size_t n, double cost);
  void (*done)(void *arg, double cost);
  void *arg;
};

struct emuv_sweep_summary {
  size_t total, computed, skipped;
  size_t infeasible;          /* rows that say why the configuration cannot run */
  char first_infeasible[512]; /* what the first of them says */
};

/* EMUV_ERR_INTERRUPTED, or the first error of storing or of a configuration that failed for another reason than space.
 */
int emuv_sweep_run(const struct emuv_scenario *scenario, struct emuv_results *results,
                   const struct emuv_sweep_options *options, struct emuv_sweep_summary *summary, struct emuv_err *err);

#endif
