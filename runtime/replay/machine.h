// SPDX-License-Identifier: Apache-2.0
/* The real machine: carries out what the paging loop decides (simulator/machine.h) on the memory of a device, of the
 * host and of a disk, through the engine, at the recorded pace, and measures. One row is one machine: init, then the
 * paging loop, then result and free.
 *
 *   host     issues a launch after the time that the program recorded for it, waits where the program waited
 *   kernels  one per part of a slice; it takes the recorded time, less what a launch costs the compute stream
 *   copies   on demand, not before the compute stream comes to the slice that needs them; ahead, at the same moment
 *
 * Nothing is printed; the owner is told of wrong pages and of each step through calls. One thread. */
#ifndef EMUV_REPLAY_MACHINE_H
#define EMUV_REPLAY_MACHINE_H

#include "runtime/engine/engine.h"
#include "runtime/replay/clock.h"
#include "runtime/replay/uses.h"
#include "simulator/machine.h"
#include "simulator/results.h"

#include <stdatomic.h>

struct emuv_resume;
struct emuv_status_page;

/* How rows are run; borrowed by the machine. */
struct emuv_replay_how {
  const struct emuv_device_ops *device;
  int gpu, peer_gpu, threads; /* peer_gpu < 0: the next one */
  enum emuv_mapping mapping;
  enum emuv_verify verify;
  const char *disk_path; /* NULL: no disk */
  double time_scale;     /* kernels, host and modelled links take this share of their time */
  double watch_disk_s;   /* for so long the disk is read before and after a row (disk_watch.h); 0 = not */
  bool stop_on_damage;   /* a wrong page ends the run */
  struct emuv_inject *inject;
  struct emuv_status_page *status; /* for emuv-top; may be NULL */
  const atomic_bool *stop;         /* true: leave as soon as possible with EMUV_ERR_INTERRUPTED */
  void (*on_damage)(void *arg, const struct emuv_damage *damage);
  void (*on_step)(void *arg, size_t step);   /* a step has been launched */
  void (*on_share)(void *arg, double share); /* so much more of the row has been launched; may be NULL */
  void *arg;
};

/* Number of the GPU whose memory is `peer`. */
static inline int emuv_replay_peer(const struct emuv_replay_how *how)
{
  return how->peer_gpu >= 0 ? how->peer_gpu : how->gpu ? how->gpu - 1 : 1;
}

/* The NVMe tier had no room: such answers change decisions, so a checkpoint keeps them. */
struct emuv_refusals {
  uint64_t *call; /* numbers of the refused writes, ascending */
  size_t n, capacity, next;
  uint64_t calls;
};

struct emuv_replay_machine {
  struct emuv_machine machine; /* what the loop is given */
  const struct emuv_replay_how *how;
  const struct emuv_machine_run *run;
  struct emuv_resume *resume; /* checkpoints to write at ends of steps and to go on from; NULL = neither */
  struct emuv_engine *engine;
  struct emuv_tier disk; /* the engine's; machine.nvme counts what it refuses */
  struct emuv_uses uses;
  struct emuv_clock clock;
  struct emuv_refusals refusals;
  struct emuv_engine_stats start; /* when the timed part began, or what this process does of it */
  struct emuv_engine_stats timed; /* when the timed part began: what is counted while skimming too */
  double host_ns;                 /* when the host can issue the next launch */
  double issue_ns;                /* when it issued this one */
  double tail_ns, tail_at_ns;     /* what is left of a launch of many kernels, and when its last kernel is issued */
  uint64_t last_seq;              /* of the last kernel */
  bool opened, started, skimming, placed; /* placed: the tiers hold the data, as the pager wanted */
  const char *phase;                      /* opening filling running checking done */
  double opened_ns, published_ns;         /* status page */
  double disk_before, disk_after;         /* bytes per second, outside of the row's time */
  size_t step;
  uint32_t shown; /* slices that on_share has been told of */
  uint64_t damages, audited;
  struct emuv_measured measured;                    /* after the loop's report */
  uint64_t flipped, flips_found, flips_overwritten; /* bits inverted on purpose, and what became of them */
  char remark[512];
};

void emuv_replay_machine_init(struct emuv_replay_machine *m, const struct emuv_replay_how *how,
                              struct emuv_resume *resume);

#endif
