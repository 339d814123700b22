// SPDX-License-Identifier: Apache-2.0
/* Object ids to dense ids, appended to a trace in batches.
 *
 * A hash table of buckets that are one cache line each: five objects are compared without a branch, so a look-up seldom
 * costs a misprediction, and the lines of a whole batch are on their way from memory together. Ids are given in the
 * order of first appearance, so a repeated scan has consecutive ids: it is recognised by comparing with the next id's
 * object, without the table. At most 4/5 full: 16 to 32 bytes per object and 8 for the list of objects; 56 for a
 * moment while the table grows. One thread. */
#ifndef EMUV_SIMULATOR_MRC_IDS_H
#define EMUV_SIMULATOR_MRC_IDS_H

#include "simulator/mrc_trace.h"

struct emuv_mrc_bucket;

struct emuv_mrc_ids {
  struct emuv_mrc_bucket *buckets;
  unsigned bits;     /* 2^bits buckets */
  uint64_t *objects; /* by dense id */
  size_t allocated;  /* entries of objects */
  struct emuv_mrc_trace *trace;
};

/* References go to *trace. expected: references to come, 0 if unknown. */
int emuv_mrc_ids_init(struct emuv_mrc_ids *ids, struct emuv_mrc_trace *trace, uint64_t expected, struct emuv_err *err);
/* Appends n references. EMUV_ERR_NOMEM, or EMUV_ERR_UNSUPPORTED beyond EMUV_MRC_MAX_REFS. */
int emuv_mrc_ids_append(struct emuv_mrc_ids *ids, const uint64_t *objects, size_t n, struct emuv_err *err);
void emuv_mrc_ids_free(struct emuv_mrc_ids *ids);

#endif
