// SPDX-License-Identifier: Apache-2.0
/* Sizes of decoder-only transformers (Llama and Mixtral families): parameters and bytes of each part, from the shapes
 * in the model's configuration. No state; any thread.
 *
 * Number formats. weight_bits >= 16: every weight has that many bits. Below 16: the matrices of attention and MLP are
 * quantised as in GPTQ checkpoints (Frantar et al., "GPTQ", ICLR 2023): packed values, and for each group of
 * weight_group values along the input one 16-bit scale and one zero point of weight_bits; embedding, norms, head and
 * the router of experts stay at 16 bits. weight_group = 0 means that scales are too few to count. */
#ifndef EMUV_SIMULATOR_SOURCE_SHAPE_H
#define EMUV_SIMULATOR_SOURCE_SHAPE_H

#include "simulator/config.h"

struct emuv_matrix {
  uint64_t in, out; /* a token's vector of `in` values becomes one of `out` values */
};

enum emuv_matrix_id {
  EMUV_MATRIX_Q,
  EMUV_MATRIX_K,
  EMUV_MATRIX_V,
  EMUV_MATRIX_O,
  EMUV_MATRIX_GATE,
  EMUV_MATRIX_UP,
  EMUV_MATRIX_DOWN
};

/* Shape of one matrix of a decoder layer (of one expert for gate, up and down). GATE of an ungated MLP is 0 x 0. */
struct emuv_matrix emuv_model_matrix(const struct emuv_model *model, enum emuv_matrix_id id);
/* hidden / heads where the configuration does not say. */
uint64_t emuv_model_head_dim(const struct emuv_model *model);
/* All parameters: embedding, layers with all experts, router and norms, final norm, and the head unless it is tied. */
uint64_t emuv_model_parameters(const struct emuv_model *model);
/* Parameters that one token is multiplied with: all matrices, of experts only experts_per_token; the head, not the
 * embedding table. Decode FLOPs per token = 2 x this + 4 x context x heads x head_dim x layers. */
uint64_t emuv_model_active_parameters(const struct emuv_model *model);
/* Bytes of one matrix in the given format. */
uint64_t emuv_matrix_bytes(struct emuv_matrix matrix, uint64_t weight_bits, uint64_t weight_group);
/* Bits of a weight that is never quantised below 16. */
uint64_t emuv_model_plain_bits(uint64_t weight_bits);
/* Bytes of all weights. */
uint64_t emuv_model_bytes(const struct emuv_model *model, uint64_t weight_bits, uint64_t weight_group);
/* Keys and values of one token in one layer. */
uint64_t emuv_model_kv_bytes(const struct emuv_model *model, uint64_t kv_bits);
/* 0, or EMUV_ERR_RANGE: shapes that no model has (zero, or so large that sizes would overflow). */
int emuv_model_check(const struct emuv_model *model, struct emuv_err *err);

#endif
