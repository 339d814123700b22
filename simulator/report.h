// SPDX-License-Identifier: Apache-2.0
/* The terminal answer: what a sweep found, as a short table, CSV or JSON on a stream. */
#ifndef EMUV_SIMULATOR_REPORT_H
#define EMUV_SIMULATOR_REPORT_H

#include "simulator/results.h"

#include <stdio.h>

/* For each machine, model, context and VRAM size: the best row, its bound, how far it is from it and what limits it;
 * what everything in VRAM would give; configurations that cannot run. */
int emuv_report_table(struct emuv_results *results, const char *scenario, FILE *out, struct emuv_err *err);
/* All rows of a scenario, all columns, ordered by run_id. */
int emuv_report_csv(struct emuv_results *results, const char *scenario, FILE *out, struct emuv_err *err);
int emuv_report_json(struct emuv_results *results, const char *scenario, FILE *out, struct emuv_err *err);

#endif
