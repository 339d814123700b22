// SPDX-License-Identifier: Apache-2.0
/* What the trace source exports beside its vtable. */
#ifndef EMUV_SIMULATOR_SOURCE_TRACE_H
#define EMUV_SIMULATOR_SOURCE_TRACE_H

#include "simulator/config.h"
#include "simulator/workload.h"
#include "tracer/format/load.h"

/* Builds the workload of a loaded trace (which may be freed afterwards); content_hash is left 0. Same contract as
 * emuv_source_ops.build. */
int emuv_source_trace_convert(const struct emuv_config *config, const struct emuv_trace_data *data,
                              struct emuv_workload *w, struct emuv_err *err);

#endif
