// SPDX-License-Identifier: Apache-2.0
/* The lower tiers of the pager (internal to it): RAM frames and NVMe slots. Where RAM holds every page there is nothing
 * to choose and each call is a few bit operations. Elsewhere RAM holds pages that are not in VRAM, chosen by the
 * eviction policy, and "shadows" of pages that are, as long as there is room. */
#ifndef EMUV_CORE_PAGER_HOME_H
#define EMUV_CORE_PAGER_HOME_H

#include "runtime/core/pager.h"

/* Absent pages first .. +n-1, all in RAM or all on NVMe only, go up: brings NVMe ones into RAM. *start_ns: in, the
 * earliest time; out, when they can be copied from RAM. */
int emuv_pager_home_fetch(struct emuv_pager *pager, uint32_t first, uint32_t n, double *start_ns, struct emuv_err *err);
/* Makes RAM frames for pages that are about to be copied down; older copies below become invalid. *start_ns as above.
 */
int emuv_pager_home_reserve(struct emuv_pager *pager, uint32_t first, uint32_t n, double *start_ns,
                            struct emuv_err *err);
/* Copies pages of a run, all with frames in VRAM and RAM, up or down. */
int emuv_pager_home_up(struct emuv_pager *pager, uint32_t first, uint32_t n, double start_ns, double *done_ns,
                       struct emuv_err *err);
int emuv_pager_home_down(struct emuv_pager *pager, uint32_t first, uint32_t n, double start_ns, double *done_ns,
                         struct emuv_err *err);
/* A clean page left VRAM without a copy: its RAM copy, if there is one, becomes an ordinary RAM page. */
void emuv_pager_home_left(struct emuv_pager *pager, uint32_t page);
/* Spreads the pages that have data over RAM and NVMe. */
int emuv_pager_home_place(struct emuv_pager *pager, struct emuv_err *err);

#endif
