// SPDX-License-Identifier: Apache-2.0
/* Checkpoints of a running machine: when one is due, what goes into it, and going on from one. Also the tier that
 * stands between the pager and the disk: it remembers which writes were refused for lack of space, since they change
 * decisions, and refuses the same ones again while decisions are made anew. One thread. */
#ifndef EMUV_REPLAY_RESUME_H
#define EMUV_REPLAY_RESUME_H

#include "runtime/replay/checkpoint.h"
#include "runtime/replay/machine.h"

/* Of one row. */
struct emuv_resume {
  const char *path;                     /* NULL: no checkpoints are written */
  double every_ns;                      /* 0: by steps alone */
  uint64_t every_steps;                 /* 0: by time alone */
  struct emuv_checkpoint_key key;       /* page_bytes and n_pages are filled in by the machine */
  struct emuv_checkpoint_file *restore; /* of this row; NULL: starts at the beginning */
  double last_ns;                       /* when the last one was written */
  double opened_ns, restored_s;         /* recovery: from opening the machine to the first step that runs */
  uint64_t written, bytes;              /* checkpoints, and bytes of the last */
};

/* Does the file to go on from fit the run? EMUV_ERR_INPUT. Starts the clock of recovery. */
int emuv_resume_check(struct emuv_replay_machine *m, struct emuv_err *err);
/* Sets up machine->ram and machine->nvme. */
void emuv_resume_tiers(struct emuv_replay_machine *m);
/* The step that runs first; 0 = from the beginning. */
size_t emuv_resume_first_step(const struct emuv_replay_machine *m);
/* The decisions have been made again up to that step: compares counts, loads pages. */
int emuv_resume_load(struct emuv_replay_machine *m, struct emuv_err *err);
/* What was summed up before the checkpoint; zeros without one. */
const struct emuv_checkpoint_sums *emuv_resume_sums(const struct emuv_replay_machine *m);
bool emuv_resume_due(const struct emuv_replay_machine *m, size_t next_step);
/* Writes a checkpoint; nothing is in flight. */
int emuv_resume_save(struct emuv_replay_machine *m, size_t next_step, struct emuv_err *err);
void emuv_refusals_free(struct emuv_refusals *r);

#endif
