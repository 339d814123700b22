// SPDX-License-Identifier: Apache-2.0
/* The configurations of a scenario on a real machine, one after the other, each as often as asked, each stored as it is
 * done. What is stored already is skipped, so an interrupted series goes on where it stopped; with a checkpoint, in the
 * middle of a row. */
#ifndef EMUV_REPLAY_SERIES_H
#define EMUV_REPLAY_SERIES_H

#include "runtime/replay/machine.h"
#include "simulator/results.h"
#include "simulator/scenario.h"

struct emuv_series_options {
  struct emuv_replay_how how; /* on_step, on_share and arg are the series' own */
  int repeat;                 /* rows per configuration, >= 1 */
  uint64_t inject_seed;
  const char *checkpoint, *restore; /* files; NULL = none */
  double checkpoint_every_ns;
  uint64_t checkpoint_every_steps;
  /* begin: how many rows there are to run; step: this share of a row is done; done: a row is stored; restored: a row
   * goes on at this step, so long after its machine was opened. NULL: nobody asks. */
  void (*begin)(void *arg, size_t rows);
  void (*step)(void *arg, double share);
  void (*done)(void *arg, const struct emuv_metrics *m);
  void (*restored)(void *arg, uint64_t step, double seconds);
  void *arg;
};

struct emuv_series_summary {
  size_t total, computed, skipped, infeasible, damaged_rows;
  uint64_t damages, kernels, checked_bytes, checkpoints;
  uint64_t flipped, flips_found, flips_overwritten; /* in rows that are done */
  char first_infeasible[512];
};

/* EMUV_ERR_INTERRUPTED; EMUV_ERR_IO when something failed on the way or a page was wrong and `stop_on_damage` is set;
 * EMUV_ERR_INPUT for a checkpoint that is damaged or of something else. Rows stored before stay. */
int emuv_series_run(const struct emuv_scenario *scenario, struct emuv_results *results,
                    const struct emuv_series_options *options, struct emuv_series_summary *summary,
                    struct emuv_err *err);

#endif
