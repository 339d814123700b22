// SPDX-License-Identifier: Apache-2.0
/* Is the disk as fast as it was calibrated? A virtual disk's speed can drift by itself, and a prediction cannot be
 * better than that. So a row with a disk reads its slots for a moment before its clock starts, and once more when it
 * has stopped; where both rates and the calibrated one are not the same, the row says so in its remark. */
#ifndef EMUV_REPLAY_DISK_WATCH_H
#define EMUV_REPLAY_DISK_WATCH_H

#include "runtime/replay/machine.h"

/* Reads what lies on the disk by the pager of m->run, for how->watch_disk_s; 0 in *bytes_per_s: not to be watched, or
 * too little lies there to tell. */
int emuv_disk_watch(const struct emuv_replay_machine *m, double *bytes_per_s, struct emuv_err *err);
/* "disk: 2.41 GB/s before, 2.02 after (calibrated 2.44)" into text, where two of these differ by more than a tenth;
 * else "". Rates that are 0 are not known. */
void emuv_disk_watch_note(double before, double after, double calibrated, char *text, size_t size);

#endif
