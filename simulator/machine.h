// SPDX-License-Identifier: Apache-2.0
/* Machines: what the paging loop (strategy/paging.h) drives. The loop decides, through the pager, which page is
 * brought, kept and given up; a machine carries that out and says what time it took. The virtual machine
 * (machine_virtual.h) computes times; emuv-replay's moves real bytes. Decisions depend on the order of launches alone,
 * never on time, so both make the same ones.
 *
 * Calls come in this order, from one thread:
 *   open, placed; for each step: step_begin, for each slice: reach, [tiers and evict, through the pager], run, [tiers:
 *   written through, loaded ahead], step_end; report; close (always, when open succeeded)
 * A slice runs as one part, or as several where VRAM cannot hold what it references (struct emuv_part): then `run`
 * comes between calls of the tiers, before a frame that the part uses is filled anew. The pager calls the tiers and
 * evict in the order of the data: a frame is given up before it is filled anew. */
#ifndef EMUV_SIMULATOR_MACHINE_H
#define EMUV_SIMULATOR_MACHINE_H

#include "runtime/core/pager.h"
#include "runtime/core/program.h"
#include "runtime/tier/peer.h"
#include "runtime/tier/tier.h"
#include "simulator/config.h"
#include "simulator/metrics.h"
#include "simulator/workload.h"

struct emuv_machine;

/* What a run consists of; valid from open to close. */
struct emuv_machine_run {
  const struct emuv_config *config;
  const struct emuv_workload *workload;
  const struct emuv_program *program;
  const struct emuv_pager *pager; /* initialised after open; its frames say where pages lie */
  uint64_t page_bytes, coalesce_bytes;
  uint32_t vram_frames, ram_frames, bounce_frames, nvme_frames;
  struct emuv_peer_layout peer; /* which of the RAM frames lie in another GPU's memory */
  double fault_ns;              /* cost of one batch of demand faults, for machines that compute times */
  uint64_t fault_batch_bytes;   /* bytes that one batch covers; 0 = all faults of a part are one batch */
};

/* A kernel: page references first_ref .. first_ref + n_refs - 1 of a slice, counted from the slice's first. All of them
 * lie in VRAM now, in the frames of run->pager, or are on their way. */
struct emuv_part {
  uint32_t slice, first_ref, n_refs;
  double share; /* of the launch's work */
  bool closes;  /* the last part of its launch */
};

struct emuv_machine_ops {
  const char *name;
  /* Makes machine->ram and machine->nvme usable by the pager. */
  int (*open)(struct emuv_machine *machine, const struct emuv_machine_run *run, struct emuv_err *err);
  void (*close)(struct emuv_machine *machine);
  /* The pager stands: every page with data is in its first place (state and frames of run->pager). Real machines fill
   * the tiers here. May be NULL. */
  int (*placed)(struct emuv_machine *machine, struct emuv_err *err);
  int (*step_begin)(struct emuv_machine *machine, size_t step, struct emuv_err *err);
  int (*step_end)(struct emuv_machine *machine, size_t step, struct emuv_metrics *m, struct emuv_err *err);
  /* The host issues the launch if the slice opens it; the pager is at rest. *start_ns: when the compute stream comes to
   * the slice. */
  int (*reach)(struct emuv_machine *machine, uint32_t slice, double *start_ns, struct emuv_err *err);
  /* The part runs when its pages are there. outcome: of bringing them. *end_ns: when it ends. */
  int (*run)(struct emuv_machine *machine, const struct emuv_part *part, const struct emuv_pager_outcome *outcome,
             double *end_ns, struct emuv_err *err);
  /* A page leaves its frame; what has referenced it there has been given to `run`. May be NULL. */
  int (*evict)(struct emuv_machine *machine, uint32_t page, uint32_t frame, struct emuv_err *err);
  /* Times of links for the timed steps, and the bytes that came from and went to another GPU's memory, into *m (the
   * loop fills in the pager's counts). */
  int (*report)(struct emuv_machine *machine, struct emuv_metrics *m, struct emuv_err *err);
};

struct emuv_machine {
  const struct emuv_machine_ops *ops;
  struct emuv_tier ram, nvme; /* what the pager calls: read = towards VRAM */
  double issued_ns;           /* machines that compute times: when the host issued what was reached last */
  uint64_t bounce_bytes;      /* RAM for pages on their way, beside that of the row; 0 = as much as wanted (virtual) */
};

#endif
