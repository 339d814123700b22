// SPDX-License-Identifier: Apache-2.0
/* What is drawn of a trace (figures.h), as an SQLite database: what emuv-plot reads, and what a user queries for
 * figures of their own. */
#ifndef EMUV_FORMAT_EXPORT_FIGURES_H
#define EMUV_FORMAT_EXPORT_FIGURES_H

#include "tracer/format/figures.h"

/* Computes and writes. Times are in ns since the first call, or in calls: row 'time_unit' of the table `trace` says
 * which. Tables: trace (key, value), heat_view and heat (bins that are not empty; view 'run' is the whole trace,
 * 'steps' its last steps), working_set (window: its length), live, step, reuse (bins, see reuse.h), miss (LRU), life
 * (allocations of device memory). The file must not exist. One thread. EMUV_ERR_USAGE, EMUV_ERR_IO, and what
 * emuv_trace_figures_compute returns. */
int emuv_export_figures(const struct emuv_trace_data *d, const char *path, struct emuv_err *err);

#endif
