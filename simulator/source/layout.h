// SPDX-License-Identifier: Apache-2.0
/* Where a transformer's weights, KV cache and activations lie: the segments that source `transformer` makes, in the
 * order in which a token uses them (embedding, layers, final norm, head), then the KV cache of each layer, then the
 * activation workspace. The layout belongs to its builder; freed with emuv_layout_free. */
#ifndef EMUV_SIMULATOR_SOURCE_LAYOUT_H
#define EMUV_SIMULATOR_SOURCE_LAYOUT_H

#include "simulator/config.h"
#include "simulator/workload.h"

/* Indices of segments. Attention is q, k, v, o in this order; an expert (a dense layer has one) is gate, up, down, or
 * up, down where the MLP is not gated, so expert e starts at mlp + e x mlp_matrices. */
struct emuv_layout_layer {
  uint32_t norm_attention, attention, norm_mlp, router, mlp, kv;
};

struct emuv_layout {
  struct emuv_layout_layer *layers;
  uint32_t embedding, final_norm, head; /* head = embedding where it is tied */
  uint32_t activations[2], logits;
  uint64_t kv_token_bytes;   /* one position of one layer, all sequences of the batch */
  uint64_t kv_tokens;        /* positions that the cache has room for */
  uint64_t activation_bytes; /* of each of the two buffers */
};

/* Positions: the first timed step appends at *start; warm-up steps append just before it (at 0 .. warmup-1 when there
 * is no room before it: they are then work of an earlier request, whose cache is overwritten). */
uint64_t emuv_layout_start(const struct emuv_config *config);
uint64_t emuv_layout_warmup_start(const struct emuv_config *config);
/* Appends all segments to *w. EMUV_ERR_NOMEM or EMUV_ERR_RANGE; free the layout in any case. */
int emuv_layout_build(const struct emuv_config *config, struct emuv_workload *w, struct emuv_layout *layout,
                      struct emuv_err *err);
void emuv_layout_free(struct emuv_layout *layout);

#endif
