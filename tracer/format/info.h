// SPDX-License-Identifier: Apache-2.0
/* What a trace holds, in numbers: for reports. Computed from a loaded trace; pure, any thread. */
#ifndef EMUV_FORMAT_INFO_H
#define EMUV_FORMAT_INFO_H

#include "tracer/format/load.h"
#include "tracer/format/steps.h"

struct emuv_trace_kernel_use {
  const char *name; /* belongs to the loaded trace */
  uint64_t launches, device_ns;
  uint64_t exact_bytes, bounded_bytes; /* of operands, each launch counted */
  uint64_t gaps;                       /* launches of class gap or unknown */
};

struct emuv_trace_info {
  uint64_t begin_ns, end_ns;                       /* first and last call */
  uint64_t device_busy_ns;                         /* time in which at least one call ran */
  uint64_t launches, exact, bounded, gap, unknown; /* by class */
  uint64_t h2d_bytes, d2h_bytes, other_copy_bytes;
  uint64_t allocations, allocated_bytes, peak_bytes, live_bytes; /* device memory; live at the end */
  uint64_t touched_bytes;                                        /* distinct, all of the run */
  uint64_t gaps, drops;                                          /* as told by GAP and DROP records */
  struct emuv_trace_kernel_use *kernels;                         /* by device time, longest first */
  size_t n_kernels;
  /* Steps; medians over all of them, 0 without steps. */
  enum emuv_trace_steps_how how;
  const char *unit;
  size_t steps, period;
  double step_ns;
  uint64_t step_bytes, step_exact_bytes; /* distinct bytes; those of exact operands alone */
  uint64_t step_launches;
};

int emuv_trace_info_compute(const struct emuv_trace_data *d, struct emuv_trace_info *info, struct emuv_err *err);
void emuv_trace_info_free(struct emuv_trace_info *info);

#endif
