// SPDX-License-Identifier: Apache-2.0
/* What strategies that move tensors or layers, not pages, share: sizes of layers, what is always in VRAM, page counts.
 */
#ifndef EMUV_SIMULATOR_STRATEGY_UNITS_H
#define EMUV_SIMULATOR_STRATEGY_UNITS_H

#include "simulator/config.h"
#include "simulator/workload.h"

#include <stdbool.h>

/* Weights of one layer, or of the parts outside the layers, as a framework moves them: as a whole. */
struct emuv_unit {
  uint64_t weight_bytes, kv_bytes;
  uint32_t tensors; /* weight tensors */
  bool offloaded;
};

struct emuv_units {
  struct emuv_unit *unit; /* n_layers entries, then one for each weight segment outside the layers (in address order) */
  uint32_t *unit_of_segment;
  size_t n, n_layers;
  uint64_t kv_bytes, other_bytes; /* other: activations and whatever is no weight and no KV */
  uint64_t largest;               /* weight bytes of the largest layer */
};

int emuv_units_build(const struct emuv_workload *w, struct emuv_units *u, struct emuv_err *err);
void emuv_units_free(struct emuv_units *u);
/* Pages that a launch touches, each range counted by itself. */
uint64_t emuv_units_pages(const struct emuv_workload *w, const struct emuv_op *op, uint64_t page_bytes);
/* Share of `offloaded` bytes that RAM cannot hold and the disk must; EMUV_ERR_NOSPACE when that cannot hold them
 * either. */
int emuv_units_disk_share(const struct emuv_config *c, uint64_t offloaded, double *share, struct emuv_err *err);

#endif
