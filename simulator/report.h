// SPDX-License-Identifier: Apache-2.0
/* What a sweep found: the answer on the terminal (answer.c), all rows as CSV or JSON (report.c). */
#ifndef EMUV_SIMULATOR_REPORT_H
#define EMUV_SIMULATOR_REPORT_H

#include "simulator/results.h"
#include "simulator/scenario.h"

#include <stdio.h>

/* Says which rows the other calls are about: those of this scenario's configurations, in its order, and not others that
 * the database holds (of an older text of the scenario, or of other settings). */
int emuv_report_select(struct emuv_results *results, const struct emuv_scenario *scenario, struct emuv_err *err);
/* For each situation (machine, work, memory) the best way to run the work, its speed and the bound, how far it is from
 * the bound, and what limits it; the ways side by side where there are few of them. kind: of the rows, "sim" or
 * "replay" (their first repetition). width: of the terminal, in columns. */
int emuv_report_table(struct emuv_results *results, const struct emuv_scenario *scenario, const char *kind, FILE *out,
                      int width, struct emuv_err *err);
/* All columns of the rows; measurements of the same configurations, too. */
int emuv_report_csv(struct emuv_results *results, FILE *out, struct emuv_err *err);
int emuv_report_json(struct emuv_results *results, FILE *out, struct emuv_err *err);

#endif
