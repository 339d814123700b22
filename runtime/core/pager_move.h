// SPDX-License-Identifier: Apache-2.0
/* What the pager asks of the tiers, in the order of the data (internal to it). Decisions about a group of pages that
 * come (struct emuv_group) are made first, as one batch; the copies that follow from them are asked for here:
 *
 *   down    pages that leave VRAM, neighbours gathered into one call; they are copied before anything that needs their
 *           frame in RAM, or that drops their copy there (emuv_move_flush)
 *   staged  pages of the group from NVMe into frames of RAM, at most half of the bounce frames at a time
 *   up      pages of the group from RAM into VRAM, once the pages that had the frames are down
 *
 * A page of the group may lose its place in RAM to a page that comes down before it has gone up itself: it keeps its
 * frame until then, and the other one takes a bounce frame. So two pages can change places without a third. */
#ifndef EMUV_CORE_PAGER_MOVE_H
#define EMUV_CORE_PAGER_MOVE_H

#include "runtime/core/pager.h"

#define EMUV_NO_FRAME UINT32_MAX

/* A page of the group that has not gone up yet. */
static inline bool emuv_group_waits(const struct emuv_pager *p, uint32_t page)
{
  return page - p->group.first < p->group.n && page - p->group.first >= p->group.up;
}

/* A free frame of RAM for the page; copies what waits where none is free. Nothing to do where RAM holds everything. */
int emuv_move_take_ram(struct emuv_pager *pager, uint32_t page, struct emuv_err *err);
/* The page's frame of RAM is free again. */
void emuv_move_give_ram(struct emuv_pager *pager, uint32_t page);
/* The page, which has a frame of RAM, is to be copied down, not before start_ns. through: it stays in VRAM. */
int emuv_move_down(struct emuv_pager *pager, uint32_t page, bool through, double start_ns, struct emuv_err *err);
/* Pages gathered are copied down, those without a place in RAM on to NVMe. */
int emuv_move_flush(struct emuv_pager *pager, struct emuv_err *err);
/* True when the page is gathered and not copied yet. */
static inline bool emuv_move_is_gathered(const struct emuv_pager *p, uint32_t page)
{
  return page - p->down.first < p->down.n;
}
/* Brings one page of the group, or its first ones as far as bounce frames go, from NVMe into RAM. */
int emuv_move_stage_one(struct emuv_pager *pager, uint32_t page, struct emuv_err *err);
int emuv_move_stage(struct emuv_pager *pager, struct emuv_err *err);
/* The first `to` pages of the group go up. */
int emuv_move_up(struct emuv_pager *pager, uint32_t to, struct emuv_err *err);
/* Writes a page that is in RAM to its slot. */
int emuv_move_to_disk(struct emuv_pager *pager, uint32_t first, uint32_t n, double *start_ns, struct emuv_err *err);

#endif
