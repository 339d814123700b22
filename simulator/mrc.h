// SPDX-License-Identifier: Apache-2.0
/* `emuv-sim mrc`: miss-ratio curves of plain reference strings, every reference one page, every page one size. */
#ifndef EMUV_SIMULATOR_MRC_H
#define EMUV_SIMULATOR_MRC_H

/* The whole command: argv[0] is the name to show in messages ("emuv-sim mrc"), the rest its arguments. Prints, and
 * returns the exit status: 0 ok, 1 run time, 2 usage, 3 invalid trace. May exit for --help and unusable arguments
 * (argp). Once per process. */
int emuv_mrc_main(int argc, char **argv);

#endif
