// SPDX-License-Identifier: Apache-2.0
/* Runs a command with the capture library in it: the part of emuv-trace that is a launcher.
 *
 *   emuv-trace [-o FILE] [--max-size SIZE] [-q] [--] COMMAND [ARGUMENT ...]
 *
 * stdin, stdout and stderr are the command's own, untouched; its exit status is passed on, and when a signal ends it
 * the launcher ends by the same signal. SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 are passed to it. */
#ifndef EMUV_INJECT_LAUNCH_H
#define EMUV_INJECT_LAUNCH_H

/* argv as given to the program, argv[0] included. Returns the exit status: the command's, 2 for wrong usage, 77 when
 * the capture library is not there, 126 or 127 when the command cannot be run. Prints to stderr only. */
int emuv_trace_run(int argc, char **argv);

#endif
