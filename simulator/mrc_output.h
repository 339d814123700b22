// SPDX-License-Identifier: Apache-2.0
/* Writes the rows of a miss-ratio curve. */
#ifndef EMUV_SIMULATOR_MRC_OUTPUT_H
#define EMUV_SIMULATOR_MRC_OUTPUT_H

#include "simulator/mrc_run.h"

#include <stdio.h>

enum emuv_mrc_style { EMUV_MRC_TABLE, EMUV_MRC_CSV, EMUV_MRC_JSON };

/* Columns policy, capacity_pages, accesses, misses, miss_ratio in every style. EMUV_ERR_IO when it cannot be written.
 */
int emuv_mrc_write(FILE *out, enum emuv_mrc_style style, const char *path, const struct emuv_mrc_trace *t,
                   const struct emuv_mrc_row *rows, size_t n, struct emuv_err *err);

#endif
