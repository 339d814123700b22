// SPDX-License-Identifier: Apache-2.0
/* Frames of RAM of which some lie in the memory of another GPU. To the pager they are all alike: this says which is
 * where, so that the engine's addresses and the model's times agree. Frames of both kinds alternate in grains, as
 * evenly as they can, so that a scan draws on both links at the same time; a grain is large enough for neighbours to be
 * one copy. Plain data; {0} = none lies there. */
#ifndef EMUV_TIER_PEER_H
#define EMUV_TIER_PEER_H

#include <stdbool.h>
#include <stdint.h>

enum { EMUV_PEER_GRAIN_BYTES = 16 << 20 };

struct emuv_peer_layout {
  uint32_t n_frames;       /* of RAM, both kinds; frames beyond (bounce frames) lie in host memory */
  uint32_t grain;          /* frames */
  uint32_t n_grains, peer; /* all, those of the other GPU */
};

/* peer_bytes: capacity there; less than a grain is a smaller grain, more than a multiple of grains is not used. */
static inline struct emuv_peer_layout emuv_peer_layout(uint32_t n_frames, uint64_t peer_bytes, uint64_t page_bytes)
{
  uint64_t room = peer_bytes / page_bytes, grain = EMUV_PEER_GRAIN_BYTES / page_bytes;
  struct emuv_peer_layout l = {.n_frames = n_frames};
  if (room == 0 || n_frames == 0) return l;
  if (grain < 1) grain = 1;
  l.grain = (uint32_t)(room < grain ? room : grain);
  l.n_grains = (n_frames - 1) / l.grain + 1;
  l.peer = room / l.grain < l.n_grains ? (uint32_t)(room / l.grain) : l.n_grains;
  return l;
}

/* Grains of the other GPU before number `grain`. */
static inline uint32_t emuv_peer_before(const struct emuv_peer_layout *l, uint32_t grain)
{
  return (uint32_t)((uint64_t)grain * l->peer / l->n_grains);
}

static inline bool emuv_peer_holds(const struct emuv_peer_layout *l, uint32_t frame)
{
  if (l->peer == 0 || frame >= l->n_frames) return false;
  uint32_t grain = frame / l->grain;
  return emuv_peer_before(l, grain + 1) > emuv_peer_before(l, grain);
}

/* Frames that each memory needs, those beyond n_frames left out. */
static inline uint32_t emuv_peer_frames(const struct emuv_peer_layout *l)
{
  return l->peer * l->grain;
}

static inline uint32_t emuv_peer_host_frames(const struct emuv_peer_layout *l)
{
  return l->peer ? (l->n_grains - l->peer) * l->grain : l->n_frames;
}

/* The place of a frame in its memory, in frames. */
static inline uint32_t emuv_peer_place(const struct emuv_peer_layout *l, uint32_t frame)
{
  if (l->peer == 0) return frame;
  if (frame >= l->n_frames) return emuv_peer_host_frames(l) + (frame - l->n_frames);
  uint32_t grain = frame / l->grain, before = emuv_peer_before(l, grain);
  return (emuv_peer_holds(l, frame) ? before : grain - before) * l->grain + frame % l->grain;
}

#endif
