// SPDX-License-Identifier: Apache-2.0
/* The traces that one run of the launcher writes: removing those of the run before, and listing those of this one.
 * Which file belongs to which run is written in it (names.h), so nothing else is ever touched. One thread. */
#ifndef EMUV_INJECT_LAUNCH_FILES_H
#define EMUV_INJECT_LAUNCH_FILES_H

#include <stdio.h>

/* Removes `output`, and beside it what other processes of an earlier run with this output wrote. */
void emuv_launch_files_remove(const char *output);
/* One line for each trace of this run: name and size, and whether it ends early. Returns how many there are.
 * `shown`: `output` as the user wrote it. out may be NULL: counts only. */
int emuv_launch_files_list(const char *output, const char *shown, const char *run, FILE *out);

#endif
