// SPDX-License-Identifier: Apache-2.0
/* Expert routing, see routing.h. */
#include "simulator/source/routing.h"

#include "runtime/core/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct emuv_routing {
  struct emuv_rng rng;
  uint64_t layers, experts, per_token, batch;
  double repeat;
  double *weight;   /* [rank] */
  uint16_t *expert; /* [layer][rank]: popularity order */
  uint16_t *last;   /* [layer][sequence][per_token]: ranks that the sequence used last */
  uint8_t *started; /* [layer][sequence] */
  uint8_t *taken;   /* [rank], scratch */
};

static void shuffle(uint16_t *values, uint64_t n, struct emuv_rng *rng)
{
  for (uint64_t i = 0; i < n; i++) {
    uint64_t j = emuv_rng_below(rng, i + 1);
    values[i] = values[j];
    values[j] = (uint16_t)i;
  }
}

static int allocate(struct emuv_routing *r)
{
  r->weight = calloc(r->experts, sizeof *r->weight);
  r->expert = calloc(r->layers * r->experts, sizeof *r->expert);
  r->last = calloc(r->layers * r->batch * r->per_token, sizeof *r->last);
  r->started = calloc(r->layers * r->batch, 1);
  r->taken = calloc(r->experts, 1);
  return r->weight && r->expert && r->last && r->started && r->taken ? 0 : EMUV_ERR_NOMEM;
}

struct emuv_routing *emuv_routing_new(const struct emuv_config *config)
{
  struct emuv_routing *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  r->layers = config->model.layers;
  r->experts = config->model.experts;
  r->per_token = config->model.experts_per_token;
  r->batch = config->batch;
  r->repeat = config->routing_repeat;
  emuv_rng_seed(&r->rng, config->seed);
  if (allocate(r) != 0) {
    emuv_routing_free(r);
    return NULL;
  }
  for (uint64_t i = 0; i < r->experts; i++) r->weight[i] = pow((double)(i + 1), -config->routing_skew);
  for (uint64_t l = 0; l < r->layers; l++) shuffle(r->expert + l * r->experts, r->experts, &r->rng);
  return r;
}

void emuv_routing_free(struct emuv_routing *routing)
{
  if (!routing) return;
  free(routing->weight);
  free(routing->expert);
  free(routing->last);
  free(routing->started);
  free(routing->taken);
  free(routing);
}

/* One rank that is not taken; `left` is the sum of the weights of those. Rounding may leave the loop at its end: then
 * the last free rank is it. */
static uint16_t draw_rank(struct emuv_routing *r, double left)
{
  double u = emuv_rng_unit(&r->rng) * left;
  uint64_t found = 0;
  for (uint64_t i = 0; i < r->experts; i++) {
    if (r->taken[i]) continue;
    found = i;
    if (u < r->weight[i]) break;
    u -= r->weight[i];
  }
  return (uint16_t)found;
}

static void draw_experts(struct emuv_routing *r, uint16_t *ranks)
{
  memset(r->taken, 0, r->experts);
  for (uint64_t k = 0; k < r->per_token; k++) {
    double left = 0;
    for (uint64_t i = 0; i < r->experts; i++) left += r->taken[i] ? 0 : r->weight[i];
    ranks[k] = draw_rank(r, left);
    r->taken[ranks[k]] = 1;
  }
}

void emuv_routing_next(struct emuv_routing *r, uint64_t layer, uint64_t tokens, uint64_t *counts)
{
  const uint16_t *expert = r->expert + layer * r->experts;
  memset(counts, 0, r->experts * sizeof *counts);
  for (uint64_t b = 0; b < r->batch; b++) {
    uint16_t *ranks = r->last + (layer * r->batch + b) * r->per_token;
    uint8_t *started = r->started + layer * r->batch + b;
    for (uint64_t t = 0; t < tokens; t++) {
      bool keep = emuv_rng_unit(&r->rng) < r->repeat && *started;
      if (!keep) draw_experts(r, ranks);
      *started = 1;
      for (uint64_t k = 0; k < r->per_token; k++) counts[expert[ranks[k]]]++;
    }
  }
}
