// SPDX-License-Identifier: Apache-2.0
/* What a captured run says about time, in the simulator's terms: how long the host worked before it issued each call,
 * how long the device was occupied by it, and after which calls the host waited for the device.
 *
 * The simulator plays back: host += host_ns; start = max(host, device); device = start + device_ns; after a waiting
 * call host = max(host, device). So
 * - host_ns is the time from the end of the call before (or from the end of a wait) to the end of this call; time in
 * which the host waited for the device is left out, but what a wait lasts after the device has finished is kept;
 * - device_ns is the part of the call's device time in which nothing earlier ran, so calls that overlap on several
 *   streams are not counted twice; where the device was never idle for lack of work (the call was issued before the one
 *   before it ended), the short pause between the two belongs to it.
 * Calls without device times get those of their like (trace_estimate.h).
 * Built from a loaded trace; pure; any thread. */
#ifndef EMUV_SIMULATOR_SOURCE_TRACE_TIME_H
#define EMUV_SIMULATOR_SOURCE_TRACE_TIME_H

#include "tracer/format/order.h"

struct emuv_trace_cost {
  double host_ns, device_ns; /* 0 = not known */
  bool sync;                 /* the host waits for the device after the call */
};

/* costs has order->n entries. Those of a reference string (load.h) are all unknown. EMUV_ERR_NOMEM. */
int emuv_trace_time_costs(const struct emuv_trace_data *d, const struct emuv_trace_order *order,
                          struct emuv_trace_cost *costs, struct emuv_err *err);

#endif
