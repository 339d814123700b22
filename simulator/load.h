// SPDX-License-Identifier: Apache-2.0
/* From the command line to checked configurations, and from there to the answer: what emuv-sim and emuv-replay do
 * before and after they run anything. For programs: remarks go to the log. */
#ifndef EMUV_SIMULATOR_LOAD_H
#define EMUV_SIMULATOR_LOAD_H

#include "runtime/core/err.h"
#include "simulator/arguments.h"
#include "simulator/results.h"
#include "simulator/scenario.h"

/* The scenario file, or the whole of a trace (--trace, or a file named *.emuv) on the card that it was captured on
 * unless another is asked for. Errors as emuv_scenario_load. */
int emuv_load_scenario(const struct emuv_arguments *a, struct emuv_scenario *s, struct emuv_err *err);
/* Reads every trace that the scenario names, and logs what it lacks: a damaged one must be known before anything is
 * written. */
int emuv_load_check_traces(const struct emuv_scenario *s, struct emuv_err *err);
/* Remarks on configurations that are valid but may surprise. */
void emuv_load_notes(const struct emuv_scenario *s);
/* --output, or results/NAME.sqlite in the current folder, which is made. EMUV_ERR_IO: not possible there. */
int emuv_load_output(const struct emuv_arguments *a, const char *name, char *path, size_t size, struct emuv_err *err);
/* The configurations on stdout, for --dry-run. */
int emuv_load_dry_run(const struct emuv_arguments *a, const struct emuv_scenario *s, struct emuv_err *err);
/* The rows of the scenario's configurations on stdout: CSV or JSON of all, or a table of one kind ("sim", "replay"). */
int emuv_load_answer(const struct emuv_arguments *a, const struct emuv_scenario *s, const char *kind,
                     struct emuv_results *r, struct emuv_err *err);

#endif
