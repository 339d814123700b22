// SPDX-License-Identifier: Apache-2.0
/* The engine carries out on real memory what the pager decides: the transfer scheduler. It is the two tiers that the
 * pager calls (RAM: copies between RAM and VRAM; NVMe: requests to a disk), and it launches kernels over pages.
 *
 * The pager calls in the order of the data and never waits; the engine keeps, for each frame of VRAM, each frame of RAM
 * and each slot of the disk, which work read and wrote it last (a scoreboard, Thornton 1964), and makes each new piece
 * of work come after those that it must not overtake: reads after the write, writes after the reads and the write. So
 * any order of calls gives right data, and links, disk and kernels overlap as far as the data allow.
 *
 * Contents are known (runtime/device/content.h): the engine counts versions, kernels check what they read, and a page
 * that is wrong is reported with the tiers that it has passed since it was last seen to be right.
 *
 * No globals, no prints, no exits. One thread calls; the engine has threads of its own for the disk and for filling. */
#ifndef EMUV_ENGINE_ENGINE_H
#define EMUV_ENGINE_ENGINE_H

#include "runtime/core/pager.h"
#include "runtime/device/device.h"
#include "runtime/device/disk.h"
#include "runtime/tier/tier.h"

#include <stdatomic.h>

struct emuv_engine; /* opaque */

enum emuv_verify {
  EMUV_VERIFY_OFF,    /* kernels read, and compare nothing */
  EMUV_VERIFY_SAMPLE, /* what a launch reads is checked; volumes are as recorded */
  EMUV_VERIFY_FULL,   /* and each page whole at its first use after it was moved or written */
};

struct emuv_engine_env {
  const struct emuv_device_ops *device;
  int device_index;
  enum emuv_mapping mapping;
  uint64_t page_bytes;
  uint32_t n_pages, vram_frames, ram_frames, bounce_frames, nvme_slots;
  const char *disk_path; /* folder, file or block device; NULL: no disk */
  /* VRAM of GPU number peer_index that holds frames of RAM, as many as emuv_peer_layout (runtime/tier/peer.h) says; the
   * others are in host memory. 0 = none. Not together with a disk: its requests need memory that the CPU can reach. */
  uint64_t peer_bytes;
  int peer_index;
  enum emuv_verify verify;
  int threads;                /* for filling and pinning; 0 = all cores, at most 32 */
  uint64_t in_flight_bytes;   /* per link at most; 0 = no limit but the device's own */
  struct emuv_curve up, down; /* device `host`: the modelled link */
  struct emuv_curve peer;     /* device `host`: the modelled link to the other GPU */
  struct emuv_inject *inject;
  const atomic_bool *stop; /* true: open and fill give up with EMUV_ERR_INTERRUPTED; may be NULL */
};

/* One use of a page by a kernel. */
struct emuv_use {
  uint32_t page, frame;
  bool read, write, fresh; /* fresh: written whole, the old contents do not matter */
  uint64_t bytes;          /* read or written by the launch (its recorded volume); at most page_bytes */
};

/* A wrong page, as a user wants to hear of it. */
struct emuv_damage {
  uint32_t page, version;
  uint64_t offset, expected, found, kernel;
  char path[96]; /* tiers passed since the page was last right: "nvme > ram > vram" */
};

struct emuv_engine_stats {
  uint64_t up_bytes, staged_bytes, down_bytes, disk_read_bytes, disk_write_bytes; /* up includes staged */
  uint64_t peer_up_bytes, peer_down_bytes;                                        /* parts of up and down */
  uint64_t peer_ups, peer_downs;                             /* pages, counted while skimming too */
  double up_busy_ns, down_busy_ns, disk_busy_ns, compute_ns; /* up: the link to the host */
  double peer_busy_ns;                                       /* towards VRAM */
  uint64_t launches, checked_bytes, mismatches;
  uint64_t flipped, flips_found, flips_overwritten; /* injected bit flips */
  uint64_t errors_injected;
  bool pinned;      /* RAM frames are pinned */
  char remark[512]; /* what had to be done without; "" = nothing */
  struct emuv_device_costs device;
  struct emuv_disk_info disk;
};

/* Opens device, RAM frames and disk. EMUV_ERR_UNSUPPORTED (another GPU's memory with a disk, or on a device that has
 * none), EMUV_ERR_NODEV, EMUV_ERR_NOMEM, EMUV_ERR_NOSPACE (with how much there is),
 * EMUV_ERR_IO, EMUV_ERR_INTERRUPTED. On failure everything is given back. */
int emuv_engine_open(const struct emuv_engine_env *env, struct emuv_engine **engine, struct emuv_err *err);
/* Waits for what is in flight, or gives up on it when something has failed; gives everything back. */
void emuv_engine_close(struct emuv_engine *engine);
/* Sets up the tiers that the pager of this engine calls; they live as long as the engine. */
void emuv_engine_tiers(struct emuv_engine *engine, struct emuv_tier *ram, struct emuv_tier *nvme);
/* Writes the contents of version 0 (or of its present version) of every page that has data to where `pager` says it
 * lies in RAM and on NVMe. All cores; returns when done. After EMUV_ERR_INTERRUPTED nothing but close may follow. */
int emuv_engine_fill(struct emuv_engine *engine, const struct emuv_pager *pager, struct emuv_err *err);
/* Copies to VRAM that are asked for from now on do not start before kernel `seq` has ended: demand paging, where the
 * need is known only when computation comes to it. 0 = no gate. */
void emuv_engine_gate(struct emuv_engine *engine, uint64_t seq);
/* A kernel of duration_ns over the pages in `use` (each at most once). *seq: its number. Submits and returns; waits
 * only when too much is in flight. EMUV_ERR_IO when the device or the disk has failed before. */
int emuv_engine_launch(struct emuv_engine *engine, const struct emuv_use *use, uint32_t n, double duration_ns,
                       uint64_t *seq, struct emuv_err *err);
/* Submits copies that are still being gathered; to be called before the caller sleeps. Waiting calls do it anyway. */
int emuv_engine_flush(struct emuv_engine *engine, struct emuv_err *err);
/* To be called after each slice, when the pager is at rest: sees to it that no link goes idle for copies that are still
 * being gathered, takes reports of wrong pages and repairs them, and does harm where it was asked for (flip-vram,
 * flip-ram, flip-nvme). Costs next to nothing when there is nothing to do. Launches may come from within the pager's
 * calls (its evict hook), this not. */
int emuv_engine_tend(struct emuv_engine *engine, const struct emuv_pager *pager, struct emuv_err *err);
/* Waits for one kernel, or (drain) for everything. */
int emuv_engine_wait(struct emuv_engine *engine, uint64_t seq, struct emuv_err *err);
int emuv_engine_drain(struct emuv_engine *engine, struct emuv_err *err);
/* When a kernel ran, and when the last byte that it waited for was there (0 = it waited for none; from_disk: that came
 * from the disk). False when not known (any more). */
bool emuv_engine_span(struct emuv_engine *engine, uint64_t seq, struct emuv_span *span, double *data_ns,
                      bool *from_disk);
/* Reports of wrong pages since the last call, at most max. */
uint32_t emuv_engine_damage(struct emuv_engine *engine, struct emuv_damage *out, uint32_t max);
/* Checks the newest copy of every page with data, and every clean copy, wherever it lies. Drains first. *pages: how
 * many copies were checked. Wrong ones are reported like any other. */
int emuv_engine_audit(struct emuv_engine *engine, const struct emuv_pager *pager, uint64_t *pages,
                      struct emuv_err *err);
void emuv_engine_stats(struct emuv_engine *engine, struct emuv_engine_stats *stats);
/* Drains, then reads those slots of the disk in turn for about `seconds`: bytes per second, 0 without a disk. Counts in
 * no statistics but the time for which the disk was busy. */
int emuv_engine_disk_rate(struct emuv_engine *engine, const uint32_t *slots, uint32_t n, double seconds,
                          double *bytes_per_s, struct emuv_err *err);

/* For measuring beside the engine, after a drain: its device, and the address of a frame of RAM. The engine does not
 * know of work that is put on its device like this: nothing but closing it may follow. */
struct emuv_device *emuv_engine_device(struct emuv_engine *engine);
void *emuv_engine_memory(struct emuv_engine *engine, uint32_t frame);

/* For checkpoints, after a drain: version and newest contents of a page, out and in (in: to every place where `pager`
 * says that it lies). memory: page_bytes. */
uint32_t emuv_engine_version(const struct emuv_engine *engine, uint32_t page);
int emuv_engine_save(struct emuv_engine *engine, const struct emuv_pager *pager, uint32_t page, void *memory,
                     struct emuv_err *err);
int emuv_engine_load(struct emuv_engine *engine, const struct emuv_pager *pager, uint32_t page, uint32_t version,
                     const void *memory, struct emuv_err *err);
/* While on, tiers and launches only keep the books (versions, places) and move nothing: going forward to the state of a
 * checkpoint. */
void emuv_engine_skim(struct emuv_engine *engine, bool on);

#endif
