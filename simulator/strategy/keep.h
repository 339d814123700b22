// SPDX-License-Identifier: Apache-2.0
/* Which pages to keep in VRAM for good. Results are flags per page (1 = keep); any thread. */
#ifndef EMUV_SIMULATOR_STRATEGY_KEEP_H
#define EMUV_SIMULATOR_STRATEGY_KEEP_H

#include "runtime/core/program.h"
#include "simulator/workload.h"

/* All pages that hold a part of a segment of this kind. */
void emuv_keep_kind(const struct emuv_workload *w, uint64_t page_bytes, enum emuv_segment_kind kind, uint8_t *keep);
/* `room` pages of those that the last step uses: first the ones that it comes back to after more than `window` page
 * references, then the others, in groups of `group` pages at even distances in the order of use. On a scan that does
 * not fit any choice moves the same bytes; even distances keep the link busy all the time. Sets flags, clears none.
 * EMUV_ERR_NOMEM. */
int emuv_keep_spread(const struct emuv_program *program, uint32_t room, uint32_t window, uint32_t group, uint8_t *keep,
                     struct emuv_err *err);

/* Homes for a machine whose RAM cannot hold everything: the kept pages live on NVMe (they are loaded once), RAM gets
 * `room` of the others, in groups at even distances, NVMe the rest. on_disk[page] = 1 for NVMe. */
int emuv_keep_homes(const struct emuv_program *program, const uint8_t *keep, uint32_t room, uint32_t group,
                    uint8_t *on_disk, struct emuv_err *err);

#endif
