// SPDX-License-Identifier: Apache-2.0
/* What the kernels of a replay do, for the virtual machine: which bytes they read and write, and what they wait for.
 *
 * A replay's kernel (runtime/engine/launch.c, --verify full) reads its recorded volume, spread over its pages; a page
 * that has come or has been written since it was last read whole, it reads whole; a page that it writes, it reads and
 * writes whole, or only writes where the old contents do not matter. */
#ifndef EMUV_SIMULATOR_KERNELS_H
#define EMUV_SIMULATOR_KERNELS_H

#include "simulator/machine.h"

struct emuv_kernels {
  const struct emuv_machine_run *run;
  struct emuv_tier_frame *frame; /* of VRAM, shared with the tier that moves pages; NULL: nobody asks */
  uint8_t *has_data;             /* per page */
  uint32_t *touched_by;          /* per page: number of the last kernel that touched it */
  uint32_t n;                    /* kernels up to now */
};

/* Of one kernel. */
struct emuv_touched {
  double bytes, written_bytes; /* read; read and written, of pages that are written */
  bool wide;                   /* more than one block's work */
  uint32_t n_waits;            /* streams of copies that it has to wait for, as far as known at its submission */
};

/* EMUV_ERR_NOMEM. */
int emuv_kernels_init(struct emuv_kernels *kernels, const struct emuv_machine_run *run, struct emuv_err *err);
void emuv_kernels_free(struct emuv_kernels *kernels);
/* The next kernel, submitted at now_ns: `part` of a launch of op_bytes. */
void emuv_kernels_touch(struct emuv_kernels *kernels, const struct emuv_part *part, double op_bytes, double now_ns,
                        struct emuv_touched *touched);

#endif
