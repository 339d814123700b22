// SPDX-License-Identifier: Apache-2.0
/* What the parts of a trace's summary share: info.c (sums, kernels, steps), info_ranges.c (over time, by range, gaps).
 * Internal to the trace library. */
#ifndef EMUV_FORMAT_INFO_PARTS_H
#define EMUV_FORMAT_INFO_PARTS_H

#include "tracer/format/info.h"
#include "tracer/format/working_set.h"

struct emuv_info_parts {
  const struct emuv_trace_data *d;
  struct emuv_trace_space space;
  struct emuv_trace_order order;
  struct emuv_trace_touches touches;
  struct emuv_trace_atoms atoms;
  struct emuv_trace_steps steps;
};

/* Sorts values. */
uint64_t emuv_info_median(uint64_t *values, size_t n);

/* Each fills its part of *info; false when memory is short. */
bool emuv_info_intervals(const struct emuv_info_parts *p, struct emuv_trace_info *info);
bool emuv_info_ranges(const struct emuv_info_parts *p, struct emuv_trace_info *info);
bool emuv_info_gaps(const struct emuv_info_parts *p, struct emuv_trace_info *info);
bool emuv_info_threads(const struct emuv_info_parts *p, struct emuv_trace_info *info);

#endif
