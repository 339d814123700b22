// SPDX-License-Identifier: Apache-2.0
/* Source `transformer`: decode and prefill of decoder-only models (Llama and Mixtral families), from their shapes.
 *
 * Steps, in this order: `warmup` decode steps, one prefill step if prompt > 0 (it completes `batch` tokens: the first
 * of each sequence), `tokens` decode steps. `context` is the length of the KV cache at the first timed decode step:
 * prompt = 0 means that the cache holds `context` tokens when the clock starts; prompt > 0 that it holds
 * context - prompt (an earlier turn or a shared prefix; none when prompt >= context) and the prefill adds the prompt.
 *
 * Ops of a layer: qkv, attention, o, gate_up, down; with experts qkv, attention, o, router, then gate_up and down of
 * each distinct expert that the step's tokens use. Norms, rotary embedding, activation functions and residual sums are
 * folded into the op that follows or precedes them. A step starts with the embedding look-up and ends with the head.
 *
 * FLOPs: 2 x tokens x in x out per matrix; attention 4 x heads x head_dim per pair of a new token and a token that it
 * sees. A prefill counts the pairs under the causal mask only, because today's attention kernels skip masked blocks:
 * T new tokens after P have T x P + T (T + 1) / 2 pairs. Bytes: all that the op's ranges say (a matrix is read once per
 * op, whatever the batch). The new tokens' keys and values are written before attention reads the cache.
 *
 * Tokens are drawn from a Zipf distribution (skew 1) over the vocabulary in its own order: byte-pair vocabularies list
 * frequent merges first. Deterministic in config->seed; one thread per build. */
#include "simulator/source/layout.h"
#include "simulator/source/routing.h"
#include "simulator/source/shape.h"
#include "simulator/source/source.h"
#include "simulator/source/zipf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct emuv_source_ops emuv_source_transformer;

/* Shares of a layer's launches, counted in the eager PyTorch code of the Hugging Face Llama layer: two norms of eight
 * kernels, seven products, rotary embedding ten, cache append two, attention three, two residual sums, gate two. */
enum { SHARE_QKV = 21, SHARE_ATTENTION = 5, SHARE_O = 2, SHARE_GATE_UP = 12, SHARE_DOWN = 2 };
/* With experts the norm goes to the router. */
enum { SHARE_ROUTER = 10, SHARE_EXPERT_GATE_UP = 4, SHARE_EXPERT_DOWN = 2 };

enum { VALUE_BYTES = 2 };
static const double MAX_OPS = 0x1p24;
static const double TOKEN_SKEW = 1.0;

struct builder {
  const struct emuv_config *config;
  const struct emuv_model *model;
  struct emuv_workload *w;
  struct emuv_err *err;
  struct emuv_layout layout;
  struct emuv_routing *routing; /* NULL for a dense model */
  uint64_t *counts;             /* [expert]: tokens of this step in this layer */
  struct emuv_rng rng;          /* tokens */
  struct emuv_zipf vocabulary;
  uint8_t *row_used;                               /* [vocab], scratch */
  uint64_t position;                               /* tokens of each sequence in the KV cache before this step */
  uint64_t width;                                  /* new tokens of each sequence in this step */
  uint32_t input;                                  /* which activation buffer holds the input of the next op */
  uint64_t share_done, share_total, launches_done; /* of the layer in work */
  int rc;                                          /* the first failure; later calls do nothing */
};

/* Begins an op; ranges and FLOPs that follow belong to it. */
static void begin_op(struct builder *b, const char *name, int32_t layer, uint64_t launches)
{
  struct emuv_op op = {.layer = layer, .launches = (uint32_t)launches};
  strncpy(op.name, name, sizeof op.name - 1);
  if (b->rc == 0) b->rc = emuv_workload_op(b->w, &op, b->err);
}

static void touch(struct builder *b, uint32_t segment, uint64_t offset, uint64_t bytes, uint32_t flags)
{
  if (b->rc == 0) b->rc = emuv_workload_range(b->w, segment, offset, bytes, flags, b->err);
  if (b->rc == 0) b->w->ops[b->w->n_ops - 1].bytes += (double)bytes;
}

static void read_segment(struct builder *b, uint32_t segment, uint32_t flags)
{
  touch(b, segment, 0, b->w->segments[segment].bytes, EMUV_RANGE_READ | flags);
}

static void add_flops(struct builder *b, double flops)
{
  if (b->rc == 0) b->w->ops[b->w->n_ops - 1].flops += flops;
}

/* Reads matrices first .. last (of expert e for the MLP) and counts their FLOPs for `tokens` tokens. */
static void multiply(struct builder *b, int first, int last, uint32_t segment, uint64_t tokens, uint32_t flags)
{
  for (int id = first; id <= last; id++) {
    struct emuv_matrix m = emuv_model_matrix(b->model, (enum emuv_matrix_id)id);
    if (m.in == 0) continue;
    read_segment(b, segment++, flags);
    add_flops(b, 2.0 * (double)tokens * (double)m.in * (double)m.out);
  }
}

/* Bytes of `tokens` vectors of `values` in an activation buffer, never more than it has. */
static uint64_t activation_bytes(const struct builder *b, uint64_t tokens, uint64_t values)
{
  double bytes = ceil(b->config->activation_scale * (double)tokens * (double)values * VALUE_BYTES);
  return bytes < (double)b->layout.activation_bytes ? (uint64_t)bytes : b->layout.activation_bytes;
}

static void read_input(struct builder *b, uint64_t tokens, uint64_t values)
{
  touch(b, b->layout.activations[b->input], 0, activation_bytes(b, tokens, values), EMUV_RANGE_READ);
}

/* Writes the other buffer, which becomes the input of the next op. */
static void write_output(struct builder *b, uint64_t tokens, uint64_t values)
{
  b->input ^= 1;
  touch(b, b->layout.activations[b->input], 0, activation_bytes(b, tokens, values), EMUV_RANGE_WRITE | EMUV_RANGE_NEW);
}

static void begin_layer_launches(struct builder *b, uint64_t share_total)
{
  b->share_done = b->launches_done = 0;
  b->share_total = share_total;
}

/* This op's part of launches_per_layer; rounding is carried on, so that a layer's parts sum to it. */
static uint64_t take_launches(struct builder *b, uint64_t share)
{
  b->share_done += share;
  uint64_t until = b->config->launches_per_layer * b->share_done / b->share_total;
  uint64_t launches = until - b->launches_done;
  b->launches_done = until;
  return launches;
}

/* Token-level work (look-up, masks, positions; final norm, head, choice of the token) is launched about as often as one
 * layer's: a third before the layers, the rest after them, at least one each. */
static uint64_t embedding_launches(const struct builder *b)
{
  return b->config->launches_per_layer >= 3 ? b->config->launches_per_layer / 3 : 1;
}

static uint64_t head_launches(const struct builder *b)
{
  uint64_t n = b->config->launches_per_layer;
  return n > embedding_launches(b) ? n - embedding_launches(b) : 1;
}

/* Reads the embedding rows of the step's tokens, each distinct row once, in address order. */
static void read_rows(struct builder *b, uint64_t tokens)
{
  uint64_t vocab = b->model->vocab, row = b->w->segments[b->layout.embedding].bytes / vocab;
  memset(b->row_used, 0, vocab);
  for (uint64_t i = 0; i < tokens; i++) b->row_used[emuv_zipf_next(&b->vocabulary, &b->rng)] = 1;
  for (uint64_t first = 0, end; first < vocab; first = end) {
    for (end = first; end < vocab && b->row_used[end] == b->row_used[first]; end++) continue;
    if (b->row_used[first]) touch(b, b->layout.embedding, first * row, (end - first) * row, EMUV_RANGE_READ);
  }
}

static void add_embedding(struct builder *b)
{
  uint64_t tokens = b->config->batch * b->width;
  begin_op(b, "embedding", -1, embedding_launches(b));
  read_rows(b, tokens);
  write_output(b, tokens, b->model->hidden);
}

static void add_qkv(struct builder *b, int32_t layer, uint64_t tokens)
{
  const struct emuv_layout_layer *l = &b->layout.layers[layer];
  uint64_t d = emuv_model_head_dim(b->model);
  begin_op(b, "qkv", layer, take_launches(b, SHARE_QKV));
  read_input(b, tokens, b->model->hidden);
  read_segment(b, l->norm_attention, 0);
  multiply(b, EMUV_MATRIX_Q, EMUV_MATRIX_V, l->attention, tokens, 0);
  write_output(b, tokens, (b->model->heads + 2 * b->model->kv_heads) * d);
}

static void add_attention(struct builder *b, int32_t layer, uint64_t tokens)
{
  uint64_t d = emuv_model_head_dim(b->model), kv = b->layout.kv_token_bytes;
  uint32_t segment = b->layout.layers[layer].kv;
  double n = (double)b->width, pairs = n * (double)b->position + n * (n + 1) / 2;
  begin_op(b, "attention", layer, take_launches(b, SHARE_ATTENTION));
  read_input(b, tokens, (b->model->heads + 2 * b->model->kv_heads) * d);
  touch(b, segment, b->position * kv, b->width * kv, EMUV_RANGE_WRITE | EMUV_RANGE_NEW);
  touch(b, segment, 0, (b->position + b->width) * kv, EMUV_RANGE_READ);
  write_output(b, tokens, b->model->heads * d);
  add_flops(b, 4.0 * (double)b->config->batch * pairs * (double)(b->model->heads * d));
}

static void add_o(struct builder *b, int32_t layer, uint64_t tokens)
{
  begin_op(b, "o", layer, take_launches(b, SHARE_O));
  read_input(b, tokens, b->model->heads * emuv_model_head_dim(b->model));
  multiply(b, EMUV_MATRIX_O, EMUV_MATRIX_O, b->layout.layers[layer].attention + EMUV_MATRIX_O, tokens, 0);
  write_output(b, tokens, b->model->hidden);
}

static void add_gate_up(struct builder *b, int32_t layer, uint32_t segment, uint64_t tokens, uint64_t share,
                        uint32_t flags)
{
  begin_op(b, "gate_up", layer, take_launches(b, share));
  read_input(b, tokens, b->model->hidden);
  if (!b->routing) read_segment(b, b->layout.layers[layer].norm_mlp, 0);
  multiply(b, EMUV_MATRIX_GATE, EMUV_MATRIX_UP, segment, tokens, flags);
  write_output(b, tokens, b->model->intermediate);
}

static void add_down(struct builder *b, int32_t layer, uint32_t segment, uint64_t tokens, uint64_t share,
                     uint32_t flags)
{
  begin_op(b, "down", layer, take_launches(b, share));
  read_input(b, tokens, b->model->intermediate);
  multiply(b, EMUV_MATRIX_DOWN, EMUV_MATRIX_DOWN, segment + (uint32_t)b->model->mlp_matrices - 1, tokens, flags);
  write_output(b, tokens, b->model->hidden);
}

static void add_router(struct builder *b, int32_t layer, uint64_t tokens)
{
  begin_op(b, "router", layer, take_launches(b, SHARE_ROUTER));
  read_input(b, tokens, b->model->hidden);
  read_segment(b, b->layout.layers[layer].norm_mlp, 0);
  read_segment(b, b->layout.layers[layer].router, 0);
  add_flops(b, 2.0 * (double)tokens * (double)b->model->experts * (double)b->model->hidden);
}

static uint64_t distinct_experts(const struct builder *b)
{
  uint64_t n = 0;
  for (uint64_t e = 0; e < b->model->experts; e++) n += b->counts[e] > 0;
  return n;
}

static void add_experts(struct builder *b, int32_t layer)
{
  uint32_t matrices = (uint32_t)b->model->mlp_matrices;
  for (uint32_t e = 0; e < b->model->experts; e++) {
    uint32_t segment = b->layout.layers[layer].mlp + e * matrices;
    if (b->counts[e] == 0) continue;
    add_gate_up(b, layer, segment, b->counts[e], SHARE_EXPERT_GATE_UP, EMUV_RANGE_DYNAMIC);
    add_down(b, layer, segment, b->counts[e], SHARE_EXPERT_DOWN, EMUV_RANGE_DYNAMIC);
  }
}

static uint64_t mlp_share(const struct builder *b)
{
  if (!b->routing) return SHARE_GATE_UP + SHARE_DOWN;
  return SHARE_ROUTER + distinct_experts(b) * (SHARE_EXPERT_GATE_UP + SHARE_EXPERT_DOWN);
}

static void add_layer(struct builder *b, int32_t layer)
{
  uint64_t tokens = b->config->batch * b->width;
  uint32_t mlp = b->layout.layers[layer].mlp;
  if (b->routing) emuv_routing_next(b->routing, (uint64_t)layer, b->width, b->counts);
  begin_layer_launches(b, SHARE_QKV + SHARE_ATTENTION + SHARE_O + mlp_share(b));
  add_qkv(b, layer, tokens);
  add_attention(b, layer, tokens);
  add_o(b, layer, tokens);
  if (b->routing) {
    add_router(b, layer, tokens);
    add_experts(b, layer);
  } else {
    add_gate_up(b, layer, mlp, tokens, SHARE_GATE_UP, 0);
    add_down(b, layer, mlp, tokens, SHARE_DOWN, 0);
  }
}

/* Logits of the last position of each sequence; the host waits for the chosen tokens. */
static void add_head(struct builder *b)
{
  uint64_t batch = b->config->batch, vocab = b->model->vocab, hidden = b->model->hidden;
  begin_op(b, "head", -1, head_launches(b));
  read_input(b, batch, hidden);
  read_segment(b, b->layout.final_norm, 0);
  read_segment(b, b->layout.head, 0);
  touch(b, b->layout.logits, 0, batch * vocab * VALUE_BYTES, EMUV_RANGE_WRITE | EMUV_RANGE_NEW);
  add_flops(b, 2.0 * (double)batch * (double)vocab * (double)hidden);
  if (b->rc == 0) b->w->ops[b->w->n_ops - 1].sync = true;
}

/* One pass of `width` new tokens per sequence at `position`. */
static void add_step(struct builder *b, uint64_t position, uint64_t width, bool prefill)
{
  b->position = position;
  b->width = width;
  if (b->rc == 0) b->rc = emuv_workload_step(b->w, b->config->batch, prefill, b->err);
  if (b->rc != 0) return;
  add_embedding(b);
  for (uint64_t l = 0; b->rc == 0 && l < b->model->layers; l++) add_layer(b, (int32_t)l);
  add_head(b);
}

static void add_steps(struct builder *b)
{
  const struct emuv_config *c = b->config;
  uint64_t position = emuv_layout_start(c), warmup = emuv_layout_warmup_start(c);
  for (uint64_t i = 0; b->rc == 0 && i < c->warmup; i++) add_step(b, warmup + i, 1, false);
  if (c->prompt > 0) add_step(b, position, c->prompt, true);
  position += c->prompt;
  for (uint64_t i = 0; b->rc == 0 && i < c->tokens; i++) add_step(b, position + i, 1, false);
}

static int check(const struct emuv_config *c, struct emuv_err *err)
{
  const uint64_t max_batch = 1u << 20, max_tokens = (uint64_t)1 << 40, max_prompt = 1u << 26;
  int rc = emuv_model_check(&c->model, err);
  if (rc != 0) return rc;
  if (c->batch == 0 || c->batch > max_batch)
    return emuv_err_set(err, EMUV_ERR_RANGE, "batch must lie between 1 and 2^20");
  if (c->context > max_tokens) return emuv_err_set(err, EMUV_ERR_RANGE, "context must not be more than 2^40 tokens");
  if (c->prompt > max_prompt / c->batch)
    return emuv_err_set(err, EMUV_ERR_RANGE, "batch x prompt must not be more than 2^26 tokens");
  if (c->weight_bits == 0 || c->weight_bits > 64 || c->kv_bits == 0 || c->kv_bits > 64)
    return emuv_err_set(err, EMUV_ERR_RANGE, "weight_bits and kv_bits must lie between 1 and 64");
  if (!(c->routing_skew >= 0 && c->routing_skew <= 100) || !(c->routing_repeat >= 0 && c->routing_repeat <= 1))
    return emuv_err_set(err, EMUV_ERR_RANGE, "routing_skew must lie between 0 and 100, routing_repeat between 0 and 1");
  double experts = fmin((double)c->model.experts, (double)c->model.experts_per_token * (double)c->batch);
  double layer_ops = c->model.experts > 1 ? 4 + 2 * experts : 5;
  double ops = ((double)c->warmup + (double)c->tokens + 1) * (double)c->model.layers * layer_ops;
  if (ops > MAX_OPS)
    return emuv_err_set(err, EMUV_ERR_RANGE,
                        "%.0f steps of %llu layers are more launches than fit in memory; lower tokens",
                        (double)c->warmup + (double)c->tokens, (unsigned long long)c->model.layers);
  return 0;
}

static int builder_init(struct builder *b, const struct emuv_config *config, struct emuv_workload *w,
                        struct emuv_err *err)
{
  const struct emuv_model *m = &config->model;
  *b = (struct builder){.config = config, .model = m, .w = w, .err = err};
  emuv_rng_seed(&b->rng, ~config->seed);
  emuv_zipf_init(&b->vocabulary, m->vocab, TOKEN_SKEW);
  b->row_used = calloc(m->vocab, 1);
  b->counts = calloc(m->experts, sizeof *b->counts);
  if (m->experts > 1) b->routing = emuv_routing_new(config);
  if (!b->row_used || !b->counts || (m->experts > 1 && !b->routing))
    return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory to build the workload");
  return emuv_layout_build(config, w, &b->layout, err);
}

static int build(const struct emuv_config *config, struct emuv_workload *w, struct emuv_err *err)
{
  struct builder b;
  int rc = check(config, err);
  if (rc != 0) return rc;
  snprintf(w->name, sizeof w->name, "transformer:%.48s", config->model.preset[0] ? config->model.preset : "custom");
  strcpy(w->work_unit, "token");
  w->warmup_steps = config->warmup;
  w->parameters = emuv_model_parameters(&config->model);
  b.rc = builder_init(&b, config, w, err);
  add_steps(&b);
  emuv_layout_free(&b.layout);
  emuv_routing_free(b.routing);
  free(b.row_used);
  free(b.counts);
  if (b.rc != 0) emuv_workload_free(w);
  return b.rc;
}

const struct emuv_source_ops emuv_source_transformer = {
    .name = "transformer",
    .summary = "decode and prefill of Llama and Mixtral models, from their shapes",
    .build = build,
};
