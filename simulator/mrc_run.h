// SPDX-License-Identifier: Apache-2.0
/* Runs policies over a reference string: rows of a miss-ratio curve. Deterministic at any number of threads. */
#ifndef EMUV_SIMULATOR_MRC_RUN_H
#define EMUV_SIMULATOR_MRC_RUN_H

#include "runtime/policy/policy.h"
#include "simulator/mrc_trace.h"

/* A capacity as given: pages, or a share of the distinct pages. */
struct emuv_mrc_capacity {
  uint64_t pages; /* 0 = share */
  double share;
};

struct emuv_mrc_row {
  const struct emuv_policy_ops *policy;
  uint64_t capacity_pages, accesses, misses;
};

/* Frames that a capacity means for this trace: at least 1, shares rounded down. */
uint64_t emuv_mrc_capacity_pages(const struct emuv_mrc_capacity *c, uint32_t n_pages);
/* Fills misses and accesses of all rows, on `jobs` threads. Rows of one policy stand together. */
int emuv_mrc_run(const struct emuv_mrc_trace *t, struct emuv_mrc_row *rows, size_t n, uint64_t seed, unsigned jobs,
                 struct emuv_err *err);

#endif
