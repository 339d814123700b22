// SPDX-License-Identifier: Apache-2.0
/* LRU misses at many capacities from one pass over the reference string. No state between calls: any thread. */
#ifndef EMUV_SIMULATOR_MRC_LRU_H
#define EMUV_SIMULATOR_MRC_LRU_H

#include "simulator/mrc_trace.h"

/* misses[i] for capacity[i] frames, in any order. EMUV_ERR_NOMEM. Chooses the faster of the two below. */
int emuv_mrc_lru(const struct emuv_mrc_trace *t, const uint32_t *capacity, size_t n, uint64_t *misses,
                 struct emuv_err *err);

/* One queue end per capacity; time grows with n. */
int emuv_mrc_lru_ends(const struct emuv_mrc_trace *t, const uint32_t *capacity, size_t n, uint64_t *misses,
                      struct emuv_err *err);
/* Stack distances; time does not depend on n. */
int emuv_mrc_lru_distances(const struct emuv_mrc_trace *t, const uint32_t *capacity, size_t n, uint64_t *misses,
                           struct emuv_err *err);

#endif
