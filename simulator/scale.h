// SPDX-License-Identifier: Apache-2.0
/* Times measured on one GPU, made into times of another. Any thread. */
#ifndef EMUV_SIMULATOR_SCALE_H
#define EMUV_SIMULATOR_SCALE_H

#include "simulator/config.h"
#include "simulator/workload.h"

#include <stdbool.h>

/* Name of the hardware preset of the GPU that a trace was captured on; "" when no preset is of that GPU. */
int emuv_scale_trace_hardware(const char *trace_path, emuv_text preset, struct emuv_err *err);
/* Scales the measured kernel times of a captured workload (w->gpu says where) to config->hw by roofline: the part of a
 * kernel's time that its memory traffic explains goes with the memory bandwidth, the rest stays. Nothing changes when
 * the GPU is the same, or no preset describes the one that was captured on. */
int emuv_scale_times(const struct emuv_config *config, struct emuv_workload *w, struct emuv_err *err);

#endif
