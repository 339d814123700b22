// SPDX-License-Identifier: Apache-2.0
/* CUDA unified memory: 2 MiB blocks, least recently used first, a fault batch of tens of microseconds for each block of
 * a sequential scan (the tree prefetcher fills a block from its first faults), blocks move rather than copy: an evicted
 * block is written back even when clean. Sources: Allen and Ge, "In-depth analyses of unified virtual memory system for
 * GPU accelerated computing", SC 2021; costs are inputs (hw.um_fault_batch, hw.um_batch_bytes). No disk tier. */
#include "simulator/strategy/paging.h"
#include "simulator/strategy/strategy.h"

enum { BLOCK_BYTES = 2 << 20 };

static int um_run(const struct emuv_config *c, const struct emuv_workload *w, struct emuv_metrics *m,
                  struct emuv_err *err)
{
  struct emuv_config no_disk = *c;
  no_disk.nvme = 0;
  no_disk.hw.kernel_gap = no_disk.hw.kernel_min = no_disk.hw.kernel_wide = 0; /* whole launches */
  no_disk.hw.kernel_wait = no_disk.hw.kernel_busy = no_disk.hw.kernel_write_rate = 0;
  no_disk.hw.kernel_host = no_disk.hw.page_host = no_disk.hw.copy_host = no_disk.hw.piece_host = 0;
  struct emuv_paging how = {.policy = emuv_policy_find("lru"),
                            .prefetch = emuv_prefetch_find("none"),
                            .page_bytes = BLOCK_BYTES,
                            .fault_ns = c->hw.um_fault_batch,
                            .fault_batch_bytes = c->hw.um_batch_bytes,
                            .always_write_back = true};
  return emuv_paging_run(&no_disk, w, &how, NULL, m, err);
}

const struct emuv_strategy_ops emuv_strategy_um = {
    .name = "um",
    .summary = "CUDA unified memory: 2 MiB blocks, LRU, fault batches, evicted blocks written back",
    .run = um_run,
};
