// SPDX-License-Identifier: Apache-2.0
/* Object ids to dense ids, appended to a trace in batches: while one batch is looked up, the slots of the next are on
 * their way from memory. Open addressing, linear probing, 12 bytes per slot, at most 3/4 full: 16 to 32 bytes per
 * object, 48 for a moment while the table grows. One thread. */
#ifndef EMUV_SIMULATOR_MRC_IDS_H
#define EMUV_SIMULATOR_MRC_IDS_H

#include "simulator/mrc_trace.h"

struct emuv_mrc_slot;

struct emuv_mrc_ids {
  struct emuv_mrc_slot *slots;
  unsigned bits; /* 2^bits slots */
  struct emuv_mrc_trace *trace;
};

/* References go to *trace. expected: references to come, 0 if unknown. */
int emuv_mrc_ids_init(struct emuv_mrc_ids *ids, struct emuv_mrc_trace *trace, uint64_t expected, struct emuv_err *err);
/* Appends n references. EMUV_ERR_NOMEM, or EMUV_ERR_UNSUPPORTED beyond EMUV_MRC_MAX_REFS. */
int emuv_mrc_ids_append(struct emuv_mrc_ids *ids, const uint64_t *objects, size_t n, struct emuv_err *err);
void emuv_mrc_ids_free(struct emuv_mrc_ids *ids);

#endif
