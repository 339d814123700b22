// SPDX-License-Identifier: Apache-2.0
/* A workload through the pager: what `paged`, `um` and emuV's planner have in common, on the virtual machine of the
 * simulator or on any other (simulator/machine.h). */
#ifndef EMUV_SIMULATOR_STRATEGY_PAGING_H
#define EMUV_SIMULATOR_STRATEGY_PAGING_H

#include "runtime/policy/policy.h"
#include "runtime/prefetch/prefetch.h"
#include "simulator/config.h"
#include "simulator/machine.h"
#include "simulator/metrics.h"
#include "simulator/workload.h"

#include <stdbool.h>

struct emuv_paging {
  const struct emuv_policy_ops *policy;
  const struct emuv_prefetch_ops *prefetch;
  uint64_t page_bytes;
  uint64_t lookahead_bytes; /* 0 = default: 8 slices, at most a quarter of VRAM */
  uint64_t coalesce_bytes;
  double fault_ns;            /* cost of one batch of demand faults */
  uint64_t fault_batch_bytes; /* bytes that one batch covers; 0 = all faults of a slice are one batch */
  bool always_write_back;
  bool keep_spread;  /* keep a fixed set of pages, spread evenly over a step, and stream the others (keep.h) */
  bool all_resident; /* VRAM has room for every page, whatever config->vram says, and has them before the first step */
  bool skip_dynamic; /* the prefetcher does not see runs that are known only at launch */
};

/* Runs all steps on `machine`; NULL = the virtual machine. EMUV_ERR_RANGE when VRAM holds no page, EMUV_ERR_NOSPACE
 * when RAM and NVMe cannot hold the data; a machine's own errors. */
int emuv_paging_run(const struct emuv_config *config, const struct emuv_workload *workload,
                    const struct emuv_paging *paging, struct emuv_machine *machine, struct emuv_metrics *m,
                    struct emuv_err *err);

#endif
