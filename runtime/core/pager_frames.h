// SPDX-License-Identifier: Apache-2.0
/* Free frames of one tier (internal to the pager): a ring, so that the frame that has been free longest is taken next.
 * Frames that pages only pass through are thus used in turn, and a copy into one rarely waits for the copy out of it.
 * Each frame is in the ring at most once; the caller counts. */
#ifndef EMUV_CORE_PAGER_FRAMES_H
#define EMUV_CORE_PAGER_FRAMES_H

#include "runtime/core/pager.h"

static inline void emuv_frames_give(struct emuv_frames *f, uint32_t frame)
{
  uint32_t at = f->head + f->n;
  f->ring[at < f->size ? at : at - f->size] = frame;
  f->n++;
}

/* n >= 1. */
static inline uint32_t emuv_frames_take(struct emuv_frames *f)
{
  uint32_t frame = f->ring[f->head];
  f->head = f->head + 1 < f->size ? f->head + 1 : 0;
  f->n--;
  return frame;
}

#endif
