// SPDX-License-Identifier: Apache-2.0
/* The lower tiers of the pager (internal to it): who owns frames of RAM and slots of NVMe. Where RAM holds every page
 * there is nothing to choose and each call is a few bit operations. Elsewhere RAM holds pages that are not in VRAM,
 * chosen by the eviction policy, and "shadows" of pages that are, as long as there is room. */
#ifndef EMUV_CORE_PAGER_HOME_H
#define EMUV_CORE_PAGER_HOME_H

#include "runtime/core/pager.h"

/* The pages of the group go up: those of NVMe get places in RAM as far as it has any, those of RAM become shadows.
 * *start_ns: in, the earliest time; out, when what had to make room is on the disk. */
int emuv_pager_home_fetch(struct emuv_pager *pager, double *start_ns, struct emuv_err *err);
/* A place and a frame of RAM for a page that is about to be copied down; older copies below become invalid. *start_ns
 * as above. EMUV_ERR_NOSPACE: there is none, and nothing has changed but that older copies below may be gone. */
int emuv_pager_home_reserve(struct emuv_pager *pager, uint32_t page, double *start_ns, struct emuv_err *err);
/* A clean page left VRAM without a copy: its RAM copy, if there is one, becomes an ordinary RAM page. */
void emuv_pager_home_left(struct emuv_pager *pager, uint32_t page);
/* The reverse of fetch for a page of the group that has not gone up. */
void emuv_pager_home_stays(struct emuv_pager *pager, uint32_t page);
/* VRAM alone holds the page from now on. */
void emuv_pager_home_forget(struct emuv_pager *pager, uint32_t page);
/* A slot for the page (which has none). */
int emuv_pager_home_slot(struct emuv_pager *pager, uint32_t page, struct emuv_err *err);
/* The disk had no room for the page's slot: the tier is as large as what is in use. */
void emuv_pager_home_refused(struct emuv_pager *pager, uint32_t page);
/* Spreads the pages that have data over RAM and NVMe. */
int emuv_pager_home_place(struct emuv_pager *pager, struct emuv_err *err);

#endif
