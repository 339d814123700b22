// SPDX-License-Identifier: Apache-2.0
/* Device times of launches that a capture left out on purpose (environment "kernel_times": it timed a part of them).
 * Internal to the trace library; one thread. */
#ifndef EMUV_FORMAT_SAMPLED_H
#define EMUV_FORMAT_SAMPLED_H

#include "tracer/format/load.h"

/* Estimates them, after the times that there are have been joined: a launch lasts as long as the median of its twins
 * (twins.h), or else as the timed launch of the same kernel whose number of threads is nearest, and starts when its
 * call returned or when its stream was done, whichever is later. Such launches get EMUV_TRACE_FLAG_ESTIMATED and count
 * in d->estimated; those of kernels that were never timed stay without times. Does nothing for captures that timed
 * everything. False when memory is short. */
bool emuv_times_sampled(struct emuv_trace_data *d);

#endif
