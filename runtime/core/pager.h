// SPDX-License-Identifier: Apache-2.0
/* The pager: which page lies in which tier, who leaves when a frame is needed, what has to be copied. The simulator
 * runs it on a virtual clock with modelled tiers; the same code drives real tiers on a monotonic clock.
 *
 * States of a page (bits of state[page]; a page has one newest copy, clean copies below it may stay):
 *
 *   unborn    no bit            never written: takes a frame without a copy on its first use
 *   RAM       RAM               home in host memory            --fault, prefetch--> VRAM+RAM
 *   NVMe      NVME              home on disk                   --fault, prefetch--> VRAM+RAM+NVME (staged through RAM)
 *   clean     VRAM + RAM|NVME   a copy below is as new         --evict: frame reused, nothing copied
 *   dirty     VRAM + DIRTY      newer than every copy below    --evict, write-through: copied back first
 *   ahead     VRAM + AHEAD      loaded (or being loaded) before use, pinned until used; in flight until ready_ns[page]
 *   late      VRAM + LATE       was ahead, and not used in time (env.ahead_slices): evicted like any other, or used
 *
 * Invariants (emuv_pager_check): pages with VRAM = the policy's size <= frames; RAM copies <= RAM frames; a page with
 * no bit below VRAM is dirty; AHEAD implies VRAM and pinned; no page loses its newest copy; a frame belongs to one page
 * or is free.
 *
 * Tiers and the hook `evict` are called in the order of the data: whoever carries out each move when it is asked for
 * has right contents at any time. A page leaves its frame (hook, then its copy down) before anything is moved into it;
 * a frame of RAM is written to disk, or its page has gone up, before it is overwritten. An access that is longer than
 * VRAM loses pages that it has referenced itself: when the hook is called, pages first .. first + `reached` - 1 of the
 * access have been referenced, and a machine must run that part of the work first.
 *
 * RAM keeps copies of pages that are in VRAM ("shadows") only while it has room: they are reclaimed first, in the order
 * in which they went up, so that VRAM and RAM together hold as many distinct pages as they can.
 *
 * With fixed homes (env.on_disk) RAM is not managed: a page of NVMe passes through a bounce frame. A planner that
 * knows what VRAM keeps gives RAM to other pages, and spreads both so that link and disk work at the same time.
 *
 * A lower tier that is full (by its size, or because it says so) stops demotion: copies that another tier has as well
 * are given up instead, then a page that has a copy below leaves VRAM in place of one that has none. Only where that
 * fails too a call ends with EMUV_ERR_NOSPACE: what it has brought stays, what it could not do is undone, and the pager
 * goes on. After any other error of a tier or of the hook a pager can only be freed.
 *
 * No allocation after init; one thread at a time; several pagers may live in one process. */
#ifndef EMUV_CORE_PAGER_H
#define EMUV_CORE_PAGER_H

#include "runtime/core/err.h"
#include "runtime/policy/list.h"
#include "runtime/policy/policy.h"
#include "runtime/tier/tier.h"

#include <stdbool.h>
#include <stdint.h>

enum emuv_page_bit {
  EMUV_PAGE_VRAM = 1,
  EMUV_PAGE_RAM = 2,
  EMUV_PAGE_NVME = 4,
  EMUV_PAGE_DIRTY = 8,
  EMUV_PAGE_AHEAD = 16,
  EMUV_PAGE_LATE = 32,
};

struct emuv_pager_env {
  uint32_t n_pages;
  uint64_t page_bytes;
  uint32_t vram_frames, ram_frames, nvme_frames; /* vram_frames >= 1 */
  const struct emuv_policy_ops *policy;          /* for VRAM, and for RAM where RAM does not hold everything */
  uint64_t seed;
  uint32_t n_refs;        /* length of the reference string (policies that need the future) */
  bool write_through;     /* dirty pages are copied back right after the slice that wrote them */
  bool always_write_back; /* an evicted page is copied back even when clean (CUDA unified memory moves, not copies) */
  const uint8_t *initial; /* per page: 1 = has data at the start */
  const uint8_t *on_disk; /* per page: 1 = its home is NVMe, 0 = RAM, for good; NULL = RAM is managed like VRAM */
  const uint32_t *first_use; /* per page: index of its first reference (policies that need the future), else NULL */
  /* Pages loaded ahead that have not been used `ahead_slices` slices after the one in which they were asked for are
   * ordinary pages from then on: not pinned any more. 0 = never. Should be longer than the prefetcher looks ahead. */
  uint32_t ahead_slices;
  /* Frames of RAM beyond ram_frames, for pages on their way: those that pass through RAM without staying (no RAM, fixed
   * homes, RAM full), or that change places. 0 = as many as wanted (tiers that only compute times); else at least 2. */
  uint32_t bounce_frames;
  struct emuv_tier *ram;  /* read: RAM -> VRAM, write: VRAM -> RAM */
  struct emuv_tier *nvme; /* read: NVMe -> RAM, write: RAM -> NVMe; may be NULL when nvme_frames is 0 */
  /* A page leaves its VRAM frame: called before it is written back and before anything is moved into the frame. NULL =
   * nobody asks. Not 0: the call of the pager fails with it. Where a disk turns out to be full the page may stay in its
   * frame after all. */
  int (*evict)(void *arg, uint32_t page, uint32_t frame, struct emuv_err *err);
  void *evict_arg;
};

/* Runs loaded ahead, the oldest first; pager_ahead.h. */
struct emuv_issue {
  uint32_t first, n, slice, number;
};

struct emuv_issues {
  struct emuv_issue *ring; /* NULL: never cancelled */
  uint32_t head, n, size, next_number;
  uint32_t *number; /* per AHEAD page: of its issue */
};

/* Free frames of a tier; pager_frames.h. */
struct emuv_frames {
  uint32_t *ring; /* NULL: each page has the frame of its own number */
  uint32_t head, n, size;
};

/* What happened, in pages. */
struct emuv_pager_counts {
  uint64_t accesses, hits, faults, births;         /* accesses = hits + faults + births */
  uint64_t faults_nvme;                            /* faults served from NVMe, part of faults */
  uint64_t ahead_issued, ahead_used, ahead_wasted; /* wasted: evicted unused */
  uint64_t ahead_cancelled;                        /* not used in time; may be used or wasted later */
  uint64_t up, down;                               /* pages copied into and out of VRAM */
  uint64_t fault_up, ahead_up;                     /* up = fault_up + ahead_up */
  uint64_t evicted, written_back, written_through; /* down = written_back + written_through */
  uint64_t nvme_read, nvme_write;
  uint64_t demotions_refused; /* times that a lower tier had no room for a page, and something else was given up */
};

/* Outcome of one access or prefetch. */
struct emuv_pager_outcome {
  uint32_t faults;     /* pages that were absent and had to be copied in */
  double ready_ns;     /* when the last page is there */
  bool waits_for_nvme; /* the last one came from NVMe */
};

/* Pages that come together, within one call (pager_move.h). Indices count from the first of them. */
struct emuv_group {
  uint32_t first, n;
  uint32_t n_free;          /* of the frames for them that are free; the others are those of victims */
  const uint32_t *victims;  /* n - n_free pages */
  uint32_t n_left;          /* victims that have been dealt with */
  uint32_t staged, up;      /* pages that are in RAM, in VRAM */
  bool from_nvme, has_data; /* has_data false: their first use */
  double start_ns, staged_ns, frames_ns, ready_ns; /* frames_ns: when all frames are free */
};

/* Neighbours that are to be copied down in one call. */
struct emuv_gathered {
  uint32_t first, n;
  bool through;             /* they stay in VRAM */
  double start_ns, done_ns; /* done_ns: of all copies down since the group began */
};

struct emuv_pager {
  struct emuv_pager_env env;
  uint8_t *state, *pinned;
  uint8_t *from_nvme; /* per AHEAD page: it came from NVMe */
  double *ready_ns;   /* valid for AHEAD pages */
  /* Frame of each page in each tier, valid where the state says that the page is there. RAM frames are below ram_frames
   * + bounce_frames. Where a tier holds everything from the start, frames of RAM and slots are the pages' numbers. */
  uint32_t *vram_frame, *ram_frame, *nvme_slot;
  struct emuv_frames vram_free, ram_free, nvme_free;
  bool slots_own;                 /* a page's slot has its own number; nvme_free is not used */
  struct emuv_move *moves;        /* scratch, n_pages */
  uint32_t *used_in;              /* per page: slice that used it last */
  uint32_t *next_use;             /* per page: index of its next reference; NULL unless the policy needs the future */
  uint32_t *victims;              /* scratch, n_pages */
  void *vram_policy, *ram_policy; /* ram_policy NULL: RAM holds every page */
  struct emuv_list shadows;       /* pages in VRAM that have a RAM copy, where RAM is tight */
  uint32_t nvme_cursor;           /* where to look next for an NVMe copy that can be given up */
  struct emuv_policy_env vram_env, ram_env;
  uint32_t vram_used, ram_used, nvme_used, n_ahead, n_late, n_pinned, peak_used;
  uint32_t reached; /* pages of the running access that have been referenced */
  struct emuv_group group;
  struct emuv_gathered down;
  struct emuv_issues issues; /* of loading ahead, where it is cancelled */
  uint32_t frame_wait_slice; /* slice whose pages are busy until frame_wait_ns */
  double frame_wait_ns;
  /* Where times are computed: a page that leaves is copied down as soon as that is decided (decided_ns, which may lie
   * before now_ns) and its last slice has ended (slice_end_ns by slice), not only when its frame is needed. NULL: at
   * now_ns. Both are the caller's. */
  const double *slice_end_ns;
  double decided_ns;
  struct emuv_pager_counts count;
  void *block; /* the one allocation */
};

/* Bytes that emuv_pager_init will allocate. */
size_t emuv_pager_bytes(const struct emuv_pager_env *env);
/* EMUV_ERR_NOMEM, EMUV_ERR_RANGE (no frame), EMUV_ERR_NOSPACE when the tiers together cannot hold the pages with data.
 */
int emuv_pager_init(struct emuv_pager *pager, const struct emuv_pager_env *env, struct emuv_err *err);
void emuv_pager_free(struct emuv_pager *pager);

/* References pages first .. first+n-1 in order, in slice `slice`, at time now_ns (all earlier slices have finished).
 * write: they become dirty. next: as in policy.h, or NULL. Absent pages are faulted in.
 * EMUV_ERR_NOSPACE when a dirty page has nowhere to go; EMUV_ERR_INTERNAL when every frame is pinned; what tiers and
 * the hook return. `reached` then tells how many pages have been referenced. */
int emuv_pager_access(struct emuv_pager *pager, uint32_t first, uint32_t n, bool write, uint32_t slice,
                      const uint32_t *next, double now_ns, struct emuv_pager_outcome *out, struct emuv_err *err);
/* Loads absent pages ahead of use: stops early when every frame is pinned. issue_ns: now; pages of slice `busy_slice`
 * are in use until busy_ns, so a frame taken from one of them is free only then. Returns pages issued, or < 0. */
int64_t emuv_pager_prefetch(struct emuv_pager *pager, uint32_t first, uint32_t n, uint32_t busy_slice, double busy_ns,
                            double issue_ns, struct emuv_err *err);
/* Copies the dirty pages of a run back (write-through) at end_ns; they stay resident and clean. A page for which there
 * is no place below stays dirty. */
int emuv_pager_write_through(struct emuv_pager *pager, uint32_t first, uint32_t n, double end_ns, struct emuv_err *err);
/* Pins resident pages of a run for good (until free); never more than all frames but `leave`. Returns pages pinned. */
uint32_t emuv_pager_pin(struct emuv_pager *pager, uint32_t first, uint32_t n, uint32_t leave);
/* While held, the pages of a run, there or to come, are not given up: a launch is using them. Not counted as pinned. */
void emuv_pager_hold(struct emuv_pager *pager, uint32_t first, uint32_t n, bool on);
/* Every invariant above: 0, or EMUV_ERR_INTERNAL and what is wrong. Slow. */
int emuv_pager_check(const struct emuv_pager *pager, struct emuv_err *err);

#endif
