// SPDX-License-Identifier: Apache-2.0
/* What a trace holds, in numbers: for reports. Computed from a loaded trace; pure, any thread. */
#ifndef EMUV_FORMAT_INFO_H
#define EMUV_FORMAT_INFO_H

#include "tracer/format/load.h"
#include "tracer/format/steps.h"

#include <stdbool.h>

struct emuv_trace_kernel_use {
  const char *name; /* belongs to the loaded trace */
  uint64_t launches, device_ns;
  uint64_t exact_bytes, bounded_bytes; /* of operands, each launch counted */
  uint64_t gaps;                       /* launches of class gap or unknown */
};

/* What the NVTX ranges of one name did; numbers at the end of a name do not count. A range has the calls that any
 * thread made while it was open, those of the ranges in it included. */
struct emuv_trace_range_use {
  char name[64];
  uint64_t count, launches, device_ns; /* device_ns: sum over its calls */
  uint64_t bytes;                      /* distinct bytes touched by one range: median */
  uint64_t exact_launches;
};

/* Gap records of one kind and text. */
struct emuv_trace_gap_use {
  uint32_t why;     /* enum emuv_trace_gap_why */
  const char *text; /* belongs to the loaded trace */
  uint64_t count;
};

enum { EMUV_TRACE_INFO_INTERVALS = 56 };

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
  /* Operands of all launches, each launch counted. A bounded one is recorded up to the end of its allocation
   * (bounded_recorded); it is taken to end where the next address begins that any call uses (bounded_next), and to hold
   * no more than its kernel's time allows to read (bounded_bytes). */
  uint64_t exact_bytes, bounded_recorded, bounded_next, bounded_bytes;
  uint64_t access_bytes[EMUV_TRACE_ACCESS_KINDS]; /* of operands of launches, copies and sets */
  uint64_t threads;                               /* that made launches, copies or sets */
  /* Memory over time, in intervals of device time, or of calls when not `timed`. */
  bool timed;
  uint64_t interval; /* ns or calls */
  size_t intervals;
  uint64_t touched[EMUV_TRACE_INFO_INTERVALS], allocated[EMUV_TRACE_INFO_INTERVALS]; /* distinct bytes; the most */
  struct emuv_trace_range_use *ranges;                                               /* by device time, longest first */
  size_t n_ranges;
  uint64_t ranges_skipped;             /* ranges that were not measured: too many calls in ranges in ranges */
  struct emuv_trace_gap_use *gap_uses; /* most frequent first */
  size_t n_gap_uses;
};

int emuv_trace_info_compute(const struct emuv_trace_data *d, struct emuv_trace_info *info, struct emuv_err *err);
void emuv_trace_info_free(struct emuv_trace_info *info);

enum emuv_trace_kernel_sort { EMUV_TRACE_BY_TIME, EMUV_TRACE_BY_BYTES, EMUV_TRACE_BY_LAUNCHES, EMUV_TRACE_BY_GAP };
void emuv_trace_info_sort(struct emuv_trace_info *info, enum emuv_trace_kernel_sort by);

#endif
