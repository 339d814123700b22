// SPDX-License-Identifier: Apache-2.0
/* Names of the traces of one run, of which each process writes its own.
 *
 * The first process that uses CUDA takes the name that was asked for, "infer.emuv"; each other one puts its pid before
 * the extension, "infer.4711.emuv". A program that replaces itself (exec) keeps its pid: the traces of what follows are
 * "infer.4711.emuv", "infer.4711.2.emuv", ... Names are claimed by creating the file, so no two writers share one.
 *
 * Each trace says in environment records which run it belongs to (EMUV_NAMES_RUN, an id that the launcher invents) and
 * which name was asked for (EMUV_NAMES_OUTPUT): so the launcher can tell traces of this run from those of an earlier
 * one, and may remove the latter. Any thread. */
#ifndef EMUV_INJECT_NAMES_H
#define EMUV_INJECT_NAMES_H

#include <limits.h>
#include <stdbool.h>

#define EMUV_NAMES_RUN "run"
#define EMUV_NAMES_OUTPUT "run_output"

/* Name number `nth` (0: the one asked for) of the process. EMUV_ERR_RANGE when it is too long. */
int emuv_names_make(const char *wanted, long pid, unsigned nth, char path[PATH_MAX]);
/* Creates the first name of the process that does not exist, empty. EMUV_ERR_IO with errno, EMUV_ERR_RANGE. */
int emuv_names_claim(const char *wanted, long pid, char path[PATH_MAX]);
/* `name` is one that emuv_names_make gives for `wanted` and nth > 0; both without folders. */
bool emuv_names_belongs(const char *wanted, const char *name);

#endif
