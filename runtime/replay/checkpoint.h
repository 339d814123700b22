// SPDX-License-Identifier: Apache-2.0
/* Checkpoints: everything that a replay needs to go on after it was killed. The decisions of the pager are
 * deterministic, so its state is not stored: a restore makes them again without moving anything, compares the counts,
 * and puts the stored contents where they belong.
 *
 * The file, little endian, written at the end of a step when nothing is in flight:
 *   struct emuv_checkpoint_head (magic, sizes, identity, state, its own XXH3)
 *   u64[n_refusals]             numbers of the disk writes that were refused for lack of space, then their XXH3
 *   per page with data          u32 page, u32 version, u64 XXH3 of page, version and contents; page_bytes of contents
 *   u64                         XXH3 of all the hashes of pages: the end
 * It is written without a name, synchronised, linked as FILE.next and renamed to FILE, so that FILE is always whole.
 *
 * A damaged, cut or foreign file is EMUV_ERR_INPUT. One thread. */
#ifndef EMUV_REPLAY_CHECKPOINT_H
#define EMUV_REPLAY_CHECKPOINT_H

#include "runtime/engine/engine.h"
#include "runtime/replay/clock.h"

#include <stdint.h>

/* What a checkpoint is of. */
struct emuv_checkpoint_key {
  char config_hash[40];
  uint64_t trace_hash, inject_seed;
  uint64_t page_bytes;
  uint32_t n_pages;
  int32_t repetition;
};

/* Sums of the row so far that do not come out of the decisions. */
struct emuv_checkpoint_sums {
  struct emuv_clock_sums clock;
  double up_busy_ns, peer_busy_ns, disk_busy_ns, map_ns, unmap_ns;
  uint64_t checked_bytes, mismatches;
};

struct emuv_checkpoint_state {
  uint64_t step; /* the next one */
  struct emuv_pager_counts counts;
  struct emuv_checkpoint_sums sums;
};

struct emuv_checkpoint_head {
  char magic[8];
  uint32_t version, head_bytes;
  char emuv_version[64];
  struct emuv_checkpoint_key key;
  struct emuv_checkpoint_state state;
  uint64_t n_refusals, n_records;
  uint64_t hash; /* of everything before it */
};

struct emuv_checkpoint_file; /* an open one; opaque */

/* Writes the newest contents of every page. EMUV_ERR_IO, EMUV_ERR_NOSPACE: what FILE held before stays. *bytes: of the
 * file. */
int emuv_checkpoint_write(const char *path, const struct emuv_checkpoint_key *key,
                          const struct emuv_checkpoint_state *state, const uint64_t *refusals, uint64_t n_refusals,
                          struct emuv_engine *engine, const struct emuv_pager *pager, uint64_t *bytes,
                          struct emuv_err *err);
/* Removes what a killed writer left beside the file. */
void emuv_checkpoint_clean(const char *path);
/* Reads and checks all but the pages. */
int emuv_checkpoint_open(const char *path, struct emuv_checkpoint_file **file, struct emuv_err *err);
void emuv_checkpoint_close(struct emuv_checkpoint_file *file);
const struct emuv_checkpoint_head *emuv_checkpoint_head(const struct emuv_checkpoint_file *file);
const uint64_t *emuv_checkpoint_refusals(const struct emuv_checkpoint_file *file);
/* Puts every page's contents where `pager` says that it lies; pager and engine have been brought to the stored state.
 */
int emuv_checkpoint_load(struct emuv_checkpoint_file *file, struct emuv_engine *engine, const struct emuv_pager *pager,
                         struct emuv_err *err);

#endif
