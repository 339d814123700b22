// SPDX-License-Identifier: Apache-2.0
/* The virtual clock: a host that issues launches in order, a compute stream that runs them in order, copies that
 * overlap with both. All times in nanoseconds since the start of the run.
 *
 * Each gap on the compute stream is put down to what it waited for, so that total = compute + stalls, exactly. */
#ifndef EMUV_SIMULATOR_TIMELINE_H
#define EMUV_SIMULATOR_TIMELINE_H

#include "simulator/config.h"
#include "simulator/metrics.h"
#include "simulator/workload.h"

#include <stdbool.h>

struct emuv_timeline {
  const struct emuv_config *config;
  double host_ns;                                                 /* when the host can issue the next launch */
  double gpu_ns;                                                  /* when the compute stream is free */
  double issue_ns;                                                /* when the current launch was issued */
  double compute_ns, stall_link_ns, stall_disk_ns, stall_host_ns; /* sums since emuv_timeline_mark */
  double mark_ns, step_ns; /* start of the timed part, start of the current step */
  bool timed;
};

void emuv_timeline_init(struct emuv_timeline *t, const struct emuv_config *config);
/* GPU time of a launch with all its data in VRAM: measured, or roofline (Williams et al., CACM 2009):
 * launches x launch + max(flops / (peak x efficiency), bytes / (bandwidth x efficiency)). */
double emuv_timeline_kernel_ns(const struct emuv_config *config, const struct emuv_op *op);
/* Host time that it takes to issue a launch. */
double emuv_timeline_host_ns(const struct emuv_config *config, const struct emuv_op *op);
/* Starts the timed part: sums and counters begin here. */
void emuv_timeline_mark(struct emuv_timeline *t);
/* The host issues `op`. Returns the earliest start on the compute stream. */
double emuv_timeline_issue(struct emuv_timeline *t, const struct emuv_op *op);
/* Runs a part of the issued launch: not before ready_ns (its data), for kernel_ns of work plus extra_ns in which it
 * waits for bytes that it reads in place. */
void emuv_timeline_run(struct emuv_timeline *t, double ready_ns, bool disk, double kernel_ns, double extra_ns);
/* The host blocks until until_ns (a synchronous copy); the compute stream idles too. */
void emuv_timeline_block(struct emuv_timeline *t, double until_ns);
/* The launch is complete: its last kernel cannot end before it was issued; a synchronising launch holds the host. */
void emuv_timeline_finish(struct emuv_timeline *t, const struct emuv_op *op);
/* Step boundaries; step_end adds the step's time and tokens to the metrics when it is timed. */
void emuv_timeline_step_begin(struct emuv_timeline *t, const struct emuv_workload *w, size_t step);
void emuv_timeline_step_end(struct emuv_timeline *t, const struct emuv_workload *w, size_t step,
                            struct emuv_metrics *m);
/* Times of the timed part into *m, and the lower bounds that hold whatever the strategy does (bound.c). */
void emuv_timeline_report(const struct emuv_timeline *t, struct emuv_metrics *m);

/* Lower bound on total_s for this workload: per step the largest of GPU work, host work (where the step before ended
 * with a synchronisation), bytes used that VRAM cannot hold over the link, and bytes that VRAM and RAM cannot hold over
 * the disk. unlimited: everything is in VRAM. EMUV_ERR_NOMEM. */
int emuv_bound_compute(const struct emuv_config *config, const struct emuv_workload *w, bool unlimited,
                       struct emuv_metrics *m, struct emuv_err *err);

#endif
