// SPDX-License-Identifier: Apache-2.0
/* Layers as units of placement; see units.h. */
#include "simulator/strategy/units.h"

#include "runtime/core/units.h"

#include <stdlib.h>

static size_t count_layers(const struct emuv_workload *w)
{
  size_t n = 0;
  for (size_t i = 0; i < w->n_segments; i++)
    if (w->segments[i].layer >= 0 && (size_t)w->segments[i].layer >= n) n = (size_t)w->segments[i].layer + 1;
  return n;
}

static void add_weight(struct emuv_units *u, size_t segment, const struct emuv_segment *s)
{
  size_t at = s->layer >= 0 ? (size_t)s->layer : u->n++;
  u->unit_of_segment[segment] = (uint32_t)at;
  u->unit[at].weight_bytes += s->bytes;
  u->unit[at].tensors++;
}

static void add_segment(struct emuv_units *u, size_t i, const struct emuv_segment *s)
{
  u->unit_of_segment[i] = UINT32_MAX;
  if (s->kind == EMUV_SEGMENT_WEIGHT) {
    add_weight(u, i, s);
  } else if (s->kind == EMUV_SEGMENT_KV) {
    u->kv_bytes += s->bytes;
    if (s->layer >= 0) u->unit[s->layer].kv_bytes += s->bytes;
  } else {
    u->other_bytes += s->bytes;
  }
}

int emuv_units_build(const struct emuv_workload *w, struct emuv_units *u, struct emuv_err *err)
{
  *u = (struct emuv_units){.n_layers = count_layers(w)};
  u->unit = calloc(u->n_layers + w->n_segments + 1, sizeof *u->unit);
  u->unit_of_segment = calloc(w->n_segments + 1, sizeof *u->unit_of_segment);
  if (!u->unit || !u->unit_of_segment) {
    emuv_units_free(u);
    return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %zu segments", w->n_segments);
  }
  u->n = u->n_layers;
  for (size_t i = 0; i < w->n_segments; i++) add_segment(u, i, &w->segments[i]);
  for (size_t i = 0; i < u->n_layers; i++)
    if (u->unit[i].weight_bytes > u->largest) u->largest = u->unit[i].weight_bytes;
  return 0;
}

void emuv_units_free(struct emuv_units *u)
{
  free(u->unit);
  free(u->unit_of_segment);
  *u = (struct emuv_units){0};
}

uint64_t emuv_units_pages(const struct emuv_workload *w, const struct emuv_op *op, uint64_t page_bytes)
{
  uint64_t n = 0;
  for (uint32_t r = 0; r < op->n_ranges; r++) {
    const struct emuv_range *range = &w->ranges[op->first_range + r];
    n += (range->offset + range->bytes - 1) / page_bytes - range->offset / page_bytes + 1;
  }
  return n;
}

int emuv_units_disk_share(const struct emuv_config *c, uint64_t offloaded, double *share, struct emuv_err *err)
{
  char need[32], have[32];
  *share = 0;
  if (offloaded <= c->ram) return 0;
  if (offloaded - c->ram > c->nvme)
    return emuv_err_set(err, EMUV_ERR_NOSPACE, "%s outside VRAM do not fit in %s of RAM and NVMe",
                        emuv_units_human_bytes((double)offloaded, need, sizeof need),
                        emuv_units_human_bytes((double)(c->ram + c->nvme), have, sizeof have));
  *share = (double)(offloaded - c->ram) / (double)offloaded;
  return 0;
}
