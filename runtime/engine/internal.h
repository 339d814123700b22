// SPDX-License-Identifier: Apache-2.0
/* Parts of the engine (internal to it): engine.c opens and closes; transfer.c moves pages; launch.c runs kernels and
 * waits; books.c knows versions and paths; damage.c takes reports and repairs; flip.c does harm on purpose; fill.c and
 * audit.c write and check everything in parallel; save.c serves checkpoints; disk_rate.c tries the disk out; times.c
 * adds up how long things took.
 *
 * All but `failed` and `failure` belongs to the calling thread; the disk's queue has a thread of its own, and fill.c
 * and audit.c run threads that end before they return. */
#ifndef EMUV_ENGINE_INTERNAL_H
#define EMUV_ENGINE_INTERNAL_H

#include "runtime/engine/books.h"
#include "runtime/engine/disk_queue.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/scoreboard.h"
#include "runtime/tier/peer.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
  EMUV_ENGINE_N_LINKS = 3,      /* EMUV_STREAM_UP, _STAGED, _DOWN */
  EMUV_ENGINE_PIECES = 1024,    /* pages of one copy at most */
  EMUV_ENGINE_IN_FLIGHT = 1024, /* copies of a link in flight at most */
  EMUV_ENGINE_HISTORY = 4096,   /* kernels and copies whose times are known */
  EMUV_ENGINE_DAMAGE = 1024,    /* reports kept for the caller */
};

/* Copies of one direction that go to the device as one piece of work, number board.given[stream]. */
struct emuv_engine_batch {
  struct emuv_copy *piece;
  struct emuv_after after;
  uint32_t n;
  uint64_t bytes;
};

/* What is in flight on a link. */
struct emuv_engine_link {
  uint64_t bytes, submitted[EMUV_ENGINE_IN_FLIGHT];
  uint64_t oldest; /* number of the oldest that is not known to have finished */
};

/* The copies whose data a kernel waits for; 0: none of that stream. */
struct emuv_engine_launched {
  uint64_t seq, up, staged;
};

/* Adds up the times of one or two streams that share a link. */
struct emuv_engine_clock {
  uint64_t next[2]; /* first number that is not counted */
  double covered_ns, busy_ns;
};

enum emuv_engine_place { EMUV_PLACE_VRAM, EMUV_PLACE_RAM, EMUV_PLACE_NVME, EMUV_N_PLACES };

/* A bit that was inverted on purpose and has neither been found nor overwritten. */
struct emuv_engine_flip {
  uint32_t page, version;
  uint64_t offset;
};

struct emuv_engine_wrong {
  uint32_t page, version;
};

struct emuv_engine {
  struct emuv_engine_env env;
  const struct emuv_device_ops *ops;
  struct emuv_device *device;
  struct emuv_disk *disk;
  struct emuv_disk_queue *queue;
  char *ram;  /* frames of host memory: of RAM, bounce frames, scratch pages */
  char *peer; /* frames of RAM in another GPU's memory, which the CPU cannot reach */
  struct emuv_peer_layout layout;
  uint32_t scratch_first; /* frame */
  uint32_t scratch_pages;
  uint32_t reserved_slots;
  bool skim;
  uint64_t gate, merge_bytes[EMUV_ENGINE_N_LINKS];
  struct emuv_scoreboard board;
  struct emuv_books books;
  struct emuv_engine_batch batch[EMUV_ENGINE_N_LINKS];
  struct emuv_engine_link *link; /* EMUV_ENGINE_N_LINKS */
  struct emuv_touch *touch;
  uint32_t touch_room;
  struct emuv_engine_launched *launched; /* EMUV_ENGINE_HISTORY */
  struct emuv_engine_clock compute, up, down, peer_up;
  struct emuv_engine_stats stats;
  struct emuv_damage *damage; /* EMUV_ENGINE_DAMAGE, a ring */
  uint64_t damage_taken, damage_given;
  struct emuv_engine_wrong *wrong; /* reported and not repaired yet */
  uint32_t n_wrong, wrong_room;
  struct emuv_engine_flip *flip;
  uint32_t n_flips, flip_room;
  pthread_mutex_t mutex; /* failure */
  atomic_bool failed;
  struct emuv_err failure;
};

static inline bool emuv_engine_is_peer(const struct emuv_engine *engine, uint32_t frame)
{
  return emuv_peer_holds(&engine->layout, frame);
}

/* Address of a frame, for copies: where emuv_engine_is_peer, the CPU cannot reach it. */
static inline char *emuv_engine_ram(const struct emuv_engine *engine, uint32_t frame)
{
  char *memory = emuv_engine_is_peer(engine, frame) ? engine->peer : engine->ram;
  return memory + (uint64_t)emuv_peer_place(&engine->layout, frame) * engine->env.page_bytes;
}

static inline uint32_t emuv_engine_ram_step(const struct emuv_engine *engine, uint32_t frame)
{
  return emuv_engine_is_peer(engine, frame) ? EMUV_STEP_PEER : EMUV_STEP_RAM;
}

/* engine.c. fail: notes the first failure, releases everything that waits, and hands that failure to err; its code.
 * check: 0, or the failure. */
int emuv_engine_fail(struct emuv_engine *engine, const struct emuv_err *why, struct emuv_err *err);
int emuv_engine_check(struct emuv_engine *engine, struct emuv_err *err);

/* transfer.c. Submits the copies that are being gathered: those of links that have little to do; all, when one of them
 * is among what work comes after. */
int emuv_engine_flush_idle(struct emuv_engine *engine, struct emuv_err *err);
int emuv_engine_flush_before(struct emuv_engine *engine, const struct emuv_after *after, struct emuv_err *err);
/* Room for slots up to `slot`. EMUV_ERR_NOSPACE. */
int emuv_engine_reserve(struct emuv_engine *engine, uint32_t slot, struct emuv_err *err);
/* One slot, at once, when nothing is in flight that concerns it: starts it (*seq), or waits for it. */
int emuv_engine_disk_start(struct emuv_engine *engine, bool write, uint32_t slot, void *memory, uint64_t *seq,
                           struct emuv_err *err);
int emuv_engine_disk_wait(struct emuv_engine *engine, bool write, uint64_t seq, struct emuv_err *err);
int emuv_engine_disk_now(struct emuv_engine *engine, bool write, uint32_t slot, void *memory, struct emuv_err *err);
/* One page between a frame of VRAM and memory of the engine; waits. */
int emuv_engine_copy_now(struct emuv_engine *engine, bool up, uint32_t frame, void *memory, struct emuv_err *err);

/* Bytes of a frame of RAM, wherever it lies, and memory of the CPU; waits. Nothing is in flight that concerns it. */
int emuv_engine_ram_read(struct emuv_engine *engine, uint32_t frame, uint64_t offset, void *into, uint64_t bytes,
                         struct emuv_err *err);
int emuv_engine_ram_write(struct emuv_engine *engine, uint32_t frame, uint64_t offset, const void *from, uint64_t bytes,
                          struct emuv_err *err);

/* launch.c. A kernel that checks whole pages in VRAM and takes no time; `touch` as for the device. */
int emuv_engine_submit(struct emuv_engine *engine, const struct emuv_kernel *kernel, const struct emuv_after *after,
                       struct emuv_err *err);

/* damage.c. note: a wrong word; take: reports of the device; repair: rewrites wrong pages (drained, pager at rest). */
int emuv_engine_note_damage(struct emuv_engine *engine, const struct emuv_damage *damage, struct emuv_err *err);
int emuv_engine_take_reports(struct emuv_engine *engine, struct emuv_err *err);
int emuv_engine_repair(struct emuv_engine *engine, const struct emuv_pager *pager, struct emuv_err *err);

/* flip.c. found: forgets the flip that a report belongs to. settle: flips in contents that are gone were overwritten;
 * all: those that an audit has not found, too. */
void emuv_engine_flip_found(struct emuv_engine *engine, const struct emuv_damage *damage);
void emuv_engine_flips_settle(struct emuv_engine *engine, bool all);
bool emuv_engine_flips_due(struct emuv_engine *engine, bool due[EMUV_N_PLACES]);
int emuv_engine_flip(struct emuv_engine *engine, const struct emuv_pager *pager, const bool due[EMUV_N_PLACES],
                     struct emuv_err *err);

/* fill.c. Has the user asked to stop? Takes the engine: for devices to call. */
bool emuv_engine_stopped(void *engine);
/* Is there a copy of the newest contents of a page there? */
bool emuv_engine_has_copy(const struct emuv_pager *pager, uint32_t page, enum emuv_engine_place place);
/* The whole contents of a page; check returns the offset of the first wrong word, or page_bytes. */
void emuv_engine_write_contents(const struct emuv_engine *engine, void *memory, uint32_t page, uint32_t version);
uint64_t emuv_engine_check_contents(const struct emuv_engine *engine, const void *memory, uint32_t page,
                                    uint32_t version);
int emuv_engine_threads(const struct emuv_engine *engine);
/* Calls fn(arg, i) for i below n from several threads. */
void emuv_engine_parallel(const struct emuv_engine *engine, uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg);

/* times.c. Counts finished work before its times are forgotten. */
void emuv_engine_count_times(struct emuv_engine *engine, bool now);

#endif
