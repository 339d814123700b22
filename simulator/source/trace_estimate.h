// SPDX-License-Identifier: Apache-2.0
/* Device times of calls of which the trace has none, from calls that are like them. Pure; any thread. */
#ifndef EMUV_SIMULATOR_SOURCE_TRACE_ESTIMATE_H
#define EMUV_SIMULATOR_SOURCE_TRACE_ESTIMATE_H

#include "simulator/source/trace_time.h"

/* Fills device_ns of launches without a device time: the median of the launches of the same kernel, grid and block that
 * have one. Other launches, copies and sets keep 0: the cost model then takes the roofline of the bytes that they
 * touch. *estimated (may be NULL) counts those filled. EMUV_ERR_NOMEM. */
int emuv_trace_estimate_times(const struct emuv_trace_data *d, const struct emuv_trace_order *order,
                              struct emuv_trace_cost *costs, size_t *estimated, struct emuv_err *err);

#endif
