// SPDX-License-Identifier: Apache-2.0
/* The machine of the simulator: a virtual clock (timeline.h) and a tier `model` for the link and one for the disk. It
 * computes when everything that the paging loop asks for would be done, and moves nothing. */
#ifndef EMUV_SIMULATOR_MACHINE_VIRTUAL_H
#define EMUV_SIMULATOR_MACHINE_VIRTUAL_H

#include "runtime/tier/schedule.h"
#include "simulator/kernels.h"
#include "simulator/machine.h"
#include "simulator/timeline.h"

struct emuv_machine_virtual {
  struct emuv_machine machine; /* what the loop is given */
  const struct emuv_machine_run *run;
  struct emuv_timeline t;
  struct emuv_schedule *link, *disk; /* with a disk */
  uint8_t *staging;                  /* per page, with a disk: it has come from the disk and is to go up */
  struct emuv_tier_host host;        /* now_ns: when it has submitted what it was asked for */
  struct emuv_kernels kernels;       /* calibrated hardware alone */
  double link_start_ns, disk_start_ns, peer_start_ns; /* time for which they had worked when the timed part began */
  uint64_t peer_read_start, peer_write_start;         /* bytes by then */
};

/* Ready to be opened by the loop; belongs to the caller and to one thread. */
void emuv_machine_virtual_init(struct emuv_machine_virtual *v);

#endif
