// SPDX-License-Identifier: Apache-2.0
/* What the tests of source `transformer` share: a small model, and sums over what its workload touches. */
#ifndef EMUV_TESTS_UNIT_TEST_TRANSFORMER_H
#define EMUV_TESTS_UNIT_TEST_TRANSFORMER_H

#include "simulator/source/shape.h"
#include "simulator/source/source.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LAYERS = 3, HIDDEN = 64, HEADS = 8, KV_HEADS = 2, HEAD_DIM = 8, INNER = 160, VOCAB = 512 };
enum { KV_TOKEN = 2 * KV_HEADS * HEAD_DIM * 2 };

static inline struct emuv_config small(void)
{
  struct emuv_config c = {.weight_bits = 16, .kv_bits = 16, .batch = 1, .context = 100, .tokens = 2, .seed = 3};
  c.model = (struct emuv_model){.layers = LAYERS,
                                .hidden = HIDDEN,
                                .heads = HEADS,
                                .kv_heads = KV_HEADS,
                                .head_dim = HEAD_DIM,
                                .intermediate = INNER,
                                .vocab = VOCAB,
                                .experts = 1,
                                .experts_per_token = 1,
                                .mlp_matrices = 3};
  c.activation_scale = 1.0;
  c.launches_per_layer = 42;
  return c;
}

static inline struct emuv_config small_moe(uint64_t experts, uint64_t per_token)
{
  struct emuv_config c = small();
  c.model.experts = experts;
  c.model.experts_per_token = per_token;
  return c;
}

static inline struct emuv_workload build(const struct emuv_config *c)
{
  struct emuv_workload w = {0};
  struct emuv_err err = {0};
  int rc = emuv_source_find("transformer")->build(c, &w, &err);
  if (rc != 0) fail_msg("%s", err.text);
  return w;
}

static inline const struct emuv_segment *segment(const struct emuv_workload *w, const char *name)
{
  for (size_t i = 0; i < w->n_segments; i++)
    if (strcmp(w->segments[i].name, name) == 0) return &w->segments[i];
  return NULL;
}

static inline const struct emuv_op *op_of(const struct emuv_workload *w, size_t step, int32_t layer, const char *name)
{
  const struct emuv_step *s = &w->steps[step];
  for (uint32_t i = s->first_op; i < s->first_op + s->n_ops; i++)
    if (w->ops[i].layer == layer && strcmp(w->ops[i].name, name) == 0) return &w->ops[i];
  fail_msg("no op %s in layer %d of step %zu", name, layer, step);
  return NULL;
}

/* Bytes of an op's ranges in segments of a kind with any of the flags. */
static inline uint64_t op_bytes(const struct emuv_workload *w, const struct emuv_op *op, int kind, uint32_t flags)
{
  uint64_t sum = 0;
  for (uint32_t i = op->first_range; i < op->first_range + op->n_ranges; i++)
    if ((int)w->segments[w->ranges[i].segment].kind == kind && (w->ranges[i].flags & flags)) sum += w->ranges[i].bytes;
  return sum;
}

static inline uint64_t step_bytes(const struct emuv_workload *w, size_t step, int kind, uint32_t flags)
{
  uint64_t sum = 0;
  for (uint32_t i = 0; i < w->steps[step].n_ops; i++)
    sum += op_bytes(w, &w->ops[w->steps[step].first_op + i], kind, flags);
  return sum;
}

#endif
