// SPDX-License-Identifier: Apache-2.0
/* Bringing absent pages into VRAM (internal to the pager). */
#ifndef EMUV_CORE_PAGER_BRING_H
#define EMUV_CORE_PAGER_BRING_H

#include "runtime/core/pager.h"

enum { EMUV_PAGE_BELOW = EMUV_PAGE_RAM | EMUV_PAGE_NVME };

/* What the pages are brought for, and what came of it. */
struct emuv_bring {
  const uint32_t *next; /* as in policy.h */
  double now_ns;
  uint8_t bits;   /* become part of their states: EMUV_PAGE_DIRTY for a writing access, EMUV_PAGE_AHEAD */
  uint32_t slice; /* that references them, or loads them ahead */
  struct emuv_pager_outcome *out;
};

/* Gives frames to pages first .. +n-1, which are absent and of one kind (of RAM, of NVMe alone, or without contents),
 * and brings their contents. Returns how many: less than n where frames are pinned. On failure some may have come, the
 * others are as before, and so are the pages that would have made room. */
int64_t emuv_pager_bring(struct emuv_pager *pager, uint32_t first, uint32_t n, const struct emuv_bring *how,
                         struct emuv_err *err);
/* Copies `next` for pages that have been referenced. */
void emuv_pager_remember_next(struct emuv_pager *pager, uint32_t first, uint32_t n, const uint32_t *next);

#endif
