// SPDX-License-Identifier: Apache-2.0
/* Pages loaded ahead of their use (internal to the pager): pinned until used, or until it is late enough to give them
 * up. Decided by numbers of slices alone, so that every run of the same references decides alike. */
#ifndef EMUV_CORE_PAGER_AHEAD_H
#define EMUV_CORE_PAGER_AHEAD_H

#include "runtime/core/pager.h"

/* Pages first .. +n-1, with the bit AHEAD and pinned, are on their way since `slice`. */
void emuv_pager_ahead_issued(struct emuv_pager *pager, uint32_t first, uint32_t n, uint32_t slice, double ready_ns,
                             bool from_nvme);
/* The pages have been referenced: those loaded ahead are ordinary pages now, and *out waits for them. */
void emuv_pager_ahead_used(struct emuv_pager *pager, uint32_t first, uint32_t n, struct emuv_pager_outcome *out);
/* The page leaves VRAM without having been used; its state is the caller's. */
void emuv_pager_ahead_wasted(struct emuv_pager *pager, uint32_t page);
/* Slice `slice` has begun: pages that are late are cancelled. */
void emuv_pager_ahead_cancel(struct emuv_pager *pager, uint32_t slice);

#endif
