// SPDX-License-Identifier: Apache-2.0
/* Sizes of decoder-only transformers, see shape.h. Shapes are those of the Hugging Face Llama and Mixtral
 * configurations: no biases, two RMS norms per layer, one final norm. */
#include "simulator/source/shape.h"

uint64_t emuv_model_head_dim(const struct emuv_model *model)
{
  return model->head_dim ? model->head_dim : model->hidden / model->heads;
}

struct emuv_matrix emuv_model_matrix(const struct emuv_model *model, enum emuv_matrix_id id)
{
  uint64_t h = model->hidden, q = model->heads * emuv_model_head_dim(model);
  uint64_t kv = model->kv_heads * emuv_model_head_dim(model);
  switch (id) {
  case EMUV_MATRIX_Q: return (struct emuv_matrix){h, q};
  case EMUV_MATRIX_K:
  case EMUV_MATRIX_V: return (struct emuv_matrix){h, kv};
  case EMUV_MATRIX_O: return (struct emuv_matrix){q, h};
  case EMUV_MATRIX_UP: return (struct emuv_matrix){h, model->intermediate};
  case EMUV_MATRIX_DOWN: return (struct emuv_matrix){model->intermediate, h};
  case EMUV_MATRIX_GATE: break;
  }
  return model->mlp_matrices >= 3 ? (struct emuv_matrix){h, model->intermediate} : (struct emuv_matrix){0, 0};
}

uint64_t emuv_model_plain_bits(uint64_t weight_bits)
{
  return weight_bits < 16 ? 16 : weight_bits;
}

static uint64_t plain_bytes(uint64_t values, uint64_t weight_bits)
{
  return (values * emuv_model_plain_bits(weight_bits) + 7) / 8;
}

uint64_t emuv_matrix_bytes(struct emuv_matrix matrix, uint64_t weight_bits, uint64_t weight_group)
{
  uint64_t bytes = (matrix.in * matrix.out * weight_bits + 7) / 8;
  if (weight_bits >= 16 || weight_group == 0) return bytes;
  uint64_t groups = (matrix.in + weight_group - 1) / weight_group * matrix.out;
  return bytes + groups * 2 + (groups * weight_bits + 7) / 8;
}

static uint64_t matrix_parameters(const struct emuv_model *model, int first, int last)
{
  uint64_t sum = 0;
  for (int id = first; id <= last; id++) {
    struct emuv_matrix m = emuv_model_matrix(model, (enum emuv_matrix_id)id);
    sum += m.in * m.out;
  }
  return sum;
}

static uint64_t router_parameters(const struct emuv_model *model)
{
  return model->experts > 1 ? model->experts * model->hidden : 0;
}

/* Embedding, norms and router, and the head unless it is the embedding: everything that GPTQ leaves alone. */
static uint64_t plain_parameters(const struct emuv_model *model)
{
  uint64_t tables = model->vocab * model->hidden * (model->tied_embeddings ? 1 : 2);
  return tables + model->layers * (2 * model->hidden + router_parameters(model)) + model->hidden;
}

uint64_t emuv_model_parameters(const struct emuv_model *model)
{
  uint64_t attention = matrix_parameters(model, EMUV_MATRIX_Q, EMUV_MATRIX_O);
  uint64_t mlp = matrix_parameters(model, EMUV_MATRIX_GATE, EMUV_MATRIX_DOWN);
  return plain_parameters(model) + model->layers * (attention + model->experts * mlp);
}

uint64_t emuv_model_active_parameters(const struct emuv_model *model)
{
  uint64_t attention = matrix_parameters(model, EMUV_MATRIX_Q, EMUV_MATRIX_O);
  uint64_t mlp = matrix_parameters(model, EMUV_MATRIX_GATE, EMUV_MATRIX_DOWN);
  uint64_t layer = attention + model->experts_per_token * mlp + router_parameters(model);
  return model->layers * layer + model->vocab * model->hidden;
}

uint64_t emuv_model_bytes(const struct emuv_model *model, uint64_t weight_bits, uint64_t weight_group)
{
  uint64_t layer = 0;
  for (int id = EMUV_MATRIX_Q; id <= EMUV_MATRIX_DOWN; id++) {
    uint64_t bytes = emuv_matrix_bytes(emuv_model_matrix(model, (enum emuv_matrix_id)id), weight_bits, weight_group);
    layer += bytes * (id >= EMUV_MATRIX_GATE ? model->experts : 1);
  }
  return plain_bytes(plain_parameters(model), weight_bits) + model->layers * layer;
}

uint64_t emuv_model_kv_bytes(const struct emuv_model *model, uint64_t kv_bits)
{
  return (2 * model->kv_heads * emuv_model_head_dim(model) * kv_bits + 7) / 8;
}

static int check_count(const char *key, uint64_t value, uint64_t max, struct emuv_err *err)
{
  if (value >= 1 && value <= max) return 0;
  return emuv_err_set(err, EMUV_ERR_RANGE, "%s = %llu must lie between 1 and %llu", key, (unsigned long long)value,
                      (unsigned long long)max);
}

/* In floating point, where nothing overflows. */
static double approximate_parameters(const struct emuv_model *model)
{
  double h = (double)model->hidden, q = (double)model->heads * (double)emuv_model_head_dim(model);
  double mlp = (double)model->experts * 3 * h * (double)model->intermediate;
  return (double)model->layers * (4 * h * q + mlp) + 2 * (double)model->vocab * h;
}

int emuv_model_check(const struct emuv_model *model, struct emuv_err *err)
{
  const struct {
    const char *key;
    uint64_t value, max;
  } rows[] = {
      {"model.layers", model->layers, 1u << 14},
      {"model.hidden", model->hidden, 1u << 20},
      {"model.heads", model->heads, 1u << 14},
      {"model.kv_heads", model->kv_heads, model->heads},
      {"model.intermediate", model->intermediate, 1u << 22},
      {"model.vocab", model->vocab, 1u << 26},
      {"model.experts", model->experts, 1u << 16},
      {"model.experts_per_token", model->experts_per_token, model->experts},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    int rc = check_count(rows[i].key, rows[i].value, rows[i].max, err);
    if (rc != 0) return rc;
  }
  int rc = check_count("head_dim (hidden / heads where it is not given)", emuv_model_head_dim(model), 1u << 14, err);
  if (rc != 0) return rc;
  if (model->mlp_matrices != 2 && model->mlp_matrices != 3)
    return emuv_err_set(err, EMUV_ERR_RANGE, "model.mlp_matrices must be 3 (gated) or 2 (plain)");
  if (approximate_parameters(model) < 0x1p56) return 0;
  return emuv_err_set(err, EMUV_ERR_RANGE, "the model has more than 2^56 parameters");
}
