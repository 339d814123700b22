// SPDX-License-Identifier: Apache-2.0
/* Runs a command with the capture library in it: the part of emuv-trace that is a launcher.
 *
 *   emuv-trace [OPTION...] [--] COMMAND [ARGUMENT ...]
 *
 * Options end at the first word that is none: what follows belongs to the command. stdin, stdout and stderr are the
 * command's own, untouched; its exit status is passed on, and when a signal ends it the launcher ends by the same
 * signal. SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 are passed to it; SIGINT and SIGQUIT too when somebody sends them (the
 * terminal sends them to the command itself). */
#ifndef EMUV_INJECT_LAUNCH_H
#define EMUV_INJECT_LAUNCH_H

#include <stdio.h>

/* argv as given to the program, argv[0] included. Returns the exit status: the command's, 2 for wrong usage, 77 when
 * the capture library is not there, 126 or 127 when the command cannot be run. Prints to stderr only (help: stdout). */
int emuv_trace_run(int argc, char **argv);
/* The help of the whole program. */
void emuv_trace_help(FILE *out);

#endif
