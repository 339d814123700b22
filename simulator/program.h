// SPDX-License-Identifier: Apache-2.0
/* From a workload in bytes to the reference program of one page size. */
#ifndef EMUV_SIMULATOR_PROGRAM_H
#define EMUV_SIMULATOR_PROGRAM_H

#include "runtime/core/program.h"
#include "simulator/workload.h"

/* Cuts each launch into slices of at most slice_bytes (at least one page), in the order of its ranges; a page that two
 * neighbouring ranges share is referenced once. Pages that are first written whole hold no data at the start; all
 * others do. EMUV_ERR_RANGE when there are 2^31 page references or more: use larger pages or fewer steps. */
int emuv_program_build(const struct emuv_workload *workload, uint64_t page_bytes, uint64_t slice_bytes,
                       struct emuv_program *program, struct emuv_err *err);

#endif
