// SPDX-License-Identifier: Apache-2.0
/* `emuv-sim compare A [B]`: rows of results databases joined on configuration. */
#ifndef EMUV_SIMULATOR_COMPARE_H
#define EMUV_SIMULATOR_COMPARE_H

/* The whole command; argv[0] is the name to show. Returns the exit status: 0, 1, 2, 3, or 4 when a row of B is slower
 * than its row of A beyond the threshold, or has more faults. */
int emuv_compare_main(int argc, char **argv);

#endif
