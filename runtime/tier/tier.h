// SPDX-License-Identifier: Apache-2.0
/* Tiers: places that hold pages, and the channel to the next faster one. A tier is one file ending in a const vtable
 * and one line in tiers.def. The virtual tier `model` computes times from bandwidth curves; `null` takes no time. Times
 * are nanoseconds on the pager's clock. A tier object belongs to one thread. */
#ifndef EMUV_TIER_TIER_H
#define EMUV_TIER_TIER_H

#include "runtime/core/option.h"
#include "runtime/tier/peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct emuv_tier_env {
  uint64_t page_bytes;
  uint64_t coalesce_bytes; /* adjacent pages are copied together up to this size; 0 = one copy per page */
  struct emuv_curve read, write;
  /* By size of the pieces of a batch of 64 (pages that adjoin in both memories are one piece); n = 0: no batches. */
  struct emuv_curve read_batched, write_batched;
  uint64_t batch_bytes, staged_batch_bytes; /* at most this much is one batch; 0 = any number */
  struct emuv_peer_layout peer; /* frames of this tier that lie in another GPU's memory, and the link to there */
  struct emuv_curve peer_curve;
  double latency_ns;  /* added to each request before its bytes flow; does not occupy the channel */
  double duplex_rate; /* both directions at once, sum, bytes per second; 0 = both at full speed */
  bool half_duplex;   /* reads and writes share one channel (a disk) */
};

/* One direction of a channel: requests are served in order. */
struct emuv_channel {
  double free_ns, busy_ns;
  uint64_t bytes, requests;
  uint64_t copy_bytes; /* size of the last copy, and what its curve says; 0 = none yet */
  double copy_rate;
  uint64_t gathered_bytes; /* of the batch that the next request may still join; 0 = none */
  uint64_t batches;        /* that have been begun */
  uint32_t gathered_after; /* the kernel that this batch waits for */
};

/* The host's part in copies: it needs a while for each batch that it submits and for each piece of it, and no copy
 * starts before that. Shared with whoever submits kernels. */
struct emuv_tier_host {
  double batch_ns, piece_ns;
  double now_ns; /* when it has done what it was asked for up to now */
};

/* Of the faster tier, for tiers that compute times: when the last copy into a frame, and from it, is done; whether its
 * page has come, or been written, since it was last read whole; the number of the last kernel that wrote it. Whoever
 * runs kernels keeps the last two. */
struct emuv_tier_frame {
  double in_ns, out_ns;
  uint32_t written_by;
  bool is_new;
};

struct emuv_schedule;

struct emuv_tier {
  const struct emuv_tier_ops *ops;
  struct emuv_tier_env env;
  struct emuv_channel read, write;
  /* Tier `model`, both NULL or both given. staged: reads of pages that have come from the disk for that (staging[page],
   * shared with the disk's tier, which sets it), a queue of its own beside `read` on the same link. */
  struct emuv_channel staged;
  struct emuv_channel peer_read, peer_write; /* tier `model`: to and from another GPU's memory */
  struct emuv_schedule *schedule; /* of the link up, of the disk: work that must wait lets other work go first */
  uint8_t *staging;
  /* Tier `model`, each may be NULL: who submits copies, and the frames of the faster tier. */
  struct emuv_tier_host *host;
  struct emuv_tier_frame *frames;
  void *owner; /* real tiers: what they belong to */
};

/* A page between a frame of the faster tier and a frame (disk: slot) of this one. */
struct emuv_move {
  uint32_t page, upper, lower;
};

struct emuv_tier_ops {
  const char *name;
  const char *summary;
  /* Moves n pages up (read) or down (write), not before earliest_ns; calls come in the order of the data. *done_ns:
   * when the last byte is there (tiers that compute times; real ones return at once and leave earliest_ns).
   * EMUV_ERR_NOSPACE from a write, before anything of the call is moved: this tier has no room for a frame that was not
   * used before. */
  int (*read)(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns, double *done_ns,
              struct emuv_err *err);
  int (*write)(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns, double *done_ns,
               struct emuv_err *err);
};

/* How much one piece of work of a link holds at most, where there is enough to do. Each costs the link some
 * microseconds (H200: 6 us, so 16 MiB reach 54.3 of 55.3 GB/s, and both ways 96 of 100); but one that is a large part
 * of VRAM makes frames wait for each other. */
static inline uint64_t emuv_tier_batch_bytes(uint64_t vram_bytes)
{
  const uint64_t least = UINT64_C(16) << 20, most = UINT64_C(64) << 20, share = vram_bytes / 32;
  return share < least ? least : share > most ? most : share;
}

extern const struct emuv_tier_ops *const emuv_tiers[]; /* NULL-terminated */
const struct emuv_tier_ops *emuv_tier_find(const char *name);
const char *const *emuv_tier_names(void);

/* Occupies one direction of a tier for `bytes` moved in copies of `copy_bytes`, not before earliest_ns; used by
 * strategies that copy tensors rather than pages. Returns when done. */
double emuv_channel_move(struct emuv_channel *channel, const struct emuv_curve *curve, uint64_t bytes,
                         uint64_t copy_bytes, double latency_ns, double earliest_ns);

#endif
