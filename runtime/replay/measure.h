// SPDX-License-Identifier: Apache-2.0
/* emuv-replay --calibrate and --links: what the command line asks for, and where the answers go. */
#ifndef EMUV_REPLAY_MEASURE_H
#define EMUV_REPLAY_MEASURE_H

#include "runtime/replay/options.h"

/* The preset goes to -o FILE and the table to stdout; without -o the preset goes to stdout and the table to stderr.
 * Device host: its link has the speed of --hardware, if that is given. */
int emuv_measure_calibrate(const struct emuv_replay_arguments *a, struct emuv_err *err);
/* The table of links on stdout. EMUV_ERR_REGRESSION when a link is used less than it should be. */
int emuv_measure_links(const struct emuv_replay_arguments *a, struct emuv_err *err);

#endif
