// SPDX-License-Identifier: Apache-2.0
/* Segments of a transformer, see layout.h. One segment per weight matrix (a quantised one with its scales and zero
 * points), as frameworks allocate them.
 *
 * KV cache: one segment per layer, position-major: the sequences of a batch grow together, so a paged cache hands out
 * their blocks in turn, and the tokens 0 .. S-1 of all sequences are one run of bytes.
 * Activations: two buffers (the input and the output of a launch), each activation_scale x batch x tokens of the
 * largest step x (hidden + intermediate) x 2 bytes; and the logits of the last position of each sequence. */
#include "simulator/source/layout.h"

#include "simulator/source/shape.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ALIGN_BYTES = 512, ACTIVATION_VALUE_BYTES = 2 };

uint64_t emuv_layout_start(const struct emuv_config *config)
{
  return config->context > config->prompt ? config->context - config->prompt : 0;
}

uint64_t emuv_layout_warmup_start(const struct emuv_config *config)
{
  uint64_t start = emuv_layout_start(config);
  return start > config->warmup ? start - config->warmup : 0;
}

struct target {
  struct emuv_workload *w;
  const struct emuv_config *config;
  struct emuv_err *err;
  int rc; /* the first failure; later calls do nothing */
};

static uint32_t add(struct target *t, uint64_t bytes, enum emuv_segment_kind kind, int32_t layer, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

static uint32_t add(struct target *t, uint64_t bytes, enum emuv_segment_kind kind, int32_t layer, const char *fmt, ...)
{
  char name[sizeof t->w->segments->name];
  uint32_t index = 0;
  va_list args;
  va_start(args, fmt);
  vsnprintf(name, sizeof name, fmt, args);
  va_end(args);
  if (t->rc == 0) t->rc = emuv_workload_segment(t->w, name, bytes, kind, layer, ALIGN_BYTES, &index, t->err);
  return index;
}

/* Weights that GPTQ leaves at 16 bits. */
static uint64_t plain_bytes(const struct target *t, uint64_t values)
{
  return values * emuv_model_plain_bits(t->config->weight_bits) / 8;
}

static uint64_t matrix_bytes(const struct target *t, enum emuv_matrix_id id)
{
  return emuv_matrix_bytes(emuv_model_matrix(&t->config->model, id), t->config->weight_bits, t->config->weight_group);
}

static uint32_t add_attention(struct target *t, int32_t layer)
{
  static const char *const names[] = {"q", "k", "v", "o"};
  uint32_t first = 0;
  for (int i = 0; i < 4; i++) {
    uint64_t bytes = matrix_bytes(t, (enum emuv_matrix_id)(EMUV_MATRIX_Q + i));
    uint32_t index = add(t, bytes, EMUV_SEGMENT_WEIGHT, layer, "layers.%d.attn.%s", layer, names[i]);
    if (i == 0) first = index;
  }
  return first;
}

/* Matrices of expert e, or of the only MLP. Returns the first. */
static uint32_t add_expert(struct target *t, int32_t layer, uint64_t e)
{
  static const char *const names[] = {"gate", "up", "down"};
  int skip = t->config->model.mlp_matrices == 3 ? 0 : 1;
  uint32_t first = 0;
  for (int i = skip; i < 3; i++) {
    uint64_t bytes = matrix_bytes(t, (enum emuv_matrix_id)(EMUV_MATRIX_GATE + i));
    uint32_t index = t->config->model.experts > 1
                         ? add(t, bytes, EMUV_SEGMENT_WEIGHT, layer, "layers.%d.experts.%llu.%s", layer,
                               (unsigned long long)e, names[i])
                         : add(t, bytes, EMUV_SEGMENT_WEIGHT, layer, "layers.%d.mlp.%s", layer, names[i]);
    if (i == skip) first = index;
  }
  return first;
}

static void add_layer(struct target *t, struct emuv_layout_layer *l, int32_t layer)
{
  const struct emuv_model *m = &t->config->model;
  l->norm_attention = add(t, plain_bytes(t, m->hidden), EMUV_SEGMENT_WEIGHT, layer, "layers.%d.attn.norm", layer);
  l->attention = add_attention(t, layer);
  l->norm_mlp = add(t, plain_bytes(t, m->hidden), EMUV_SEGMENT_WEIGHT, layer, "layers.%d.mlp.norm", layer);
  if (m->experts > 1)
    l->router = add(t, plain_bytes(t, m->experts * m->hidden), EMUV_SEGMENT_WEIGHT, layer, "layers.%d.router", layer);
  for (uint64_t e = 0; e < m->experts; e++) {
    uint32_t first = add_expert(t, layer, e);
    if (e == 0) l->mlp = first;
  }
}

static void add_weights(struct target *t, struct emuv_layout *layout)
{
  const struct emuv_model *m = &t->config->model;
  uint64_t table = plain_bytes(t, m->vocab * m->hidden);
  layout->embedding = add(t, table, EMUV_SEGMENT_WEIGHT, -1, "embedding");
  for (uint64_t l = 0; l < m->layers; l++) add_layer(t, &layout->layers[l], (int32_t)l);
  layout->final_norm = add(t, plain_bytes(t, m->hidden), EMUV_SEGMENT_WEIGHT, -1, "norm");
  layout->head = m->tied_embeddings ? layout->embedding : add(t, table, EMUV_SEGMENT_WEIGHT, -1, "head");
}

static void add_kv(struct target *t, struct emuv_layout *layout)
{
  const struct emuv_config *c = t->config;
  uint64_t tokens = emuv_layout_start(c) + c->prompt + c->tokens, bytes;
  layout->kv_tokens = tokens > c->warmup ? tokens : c->warmup;
  layout->kv_token_bytes = c->batch * emuv_model_kv_bytes(&c->model, c->kv_bits);
  if (t->rc == 0 && __builtin_mul_overflow(layout->kv_tokens, layout->kv_token_bytes, &bytes))
    t->rc = emuv_err_set(t->err, EMUV_ERR_RANGE, "the KV cache of one layer is more than 2^64 bytes");
  for (uint64_t l = 0; t->rc == 0 && l < c->model.layers; l++)
    layout->layers[l].kv = add(t, bytes, EMUV_SEGMENT_KV, (int32_t)l, "layers.%llu.kv", (unsigned long long)l);
}

static void add_activations(struct target *t, struct emuv_layout *layout)
{
  const struct emuv_config *c = t->config;
  const struct emuv_model *m = &c->model;
  double tokens = (double)c->batch * (double)(c->prompt > 1 ? c->prompt : 1);
  double bytes = ceil(c->activation_scale * tokens * (double)(m->hidden + m->intermediate) * ACTIVATION_VALUE_BYTES);
  if (t->rc == 0 && !(bytes >= 0 && bytes < 0x1p60))
    t->rc = emuv_err_set(t->err, EMUV_ERR_RANGE, "the activation workspace is negative or more than 2^60 bytes");
  if (t->rc != 0) return;
  layout->activation_bytes = (uint64_t)bytes;
  for (int i = 0; i < 2; i++)
    layout->activations[i] = add(t, layout->activation_bytes, EMUV_SEGMENT_ACTIVATION, -1, "activations.%d", i);
  layout->logits = add(t, c->batch * m->vocab * ACTIVATION_VALUE_BYTES, EMUV_SEGMENT_ACTIVATION, -1, "logits");
}

int emuv_layout_build(const struct emuv_config *config, struct emuv_workload *w, struct emuv_layout *layout,
                      struct emuv_err *err)
{
  *layout = (struct emuv_layout){.layers = calloc(config->model.layers, sizeof *layout->layers)};
  if (!layout->layers) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the layers of the model");
  struct target t = {.w = w, .config = config, .err = err};
  add_weights(&t, layout);
  add_kv(&t, layout);
  add_activations(&t, layout);
  return t.rc;
}

void emuv_layout_free(struct emuv_layout *layout)
{
  free(layout->layers);
  layout->layers = NULL;
}
