// SPDX-License-Identifier: Apache-2.0
/* Layer offload as Hugging Face Accelerate does it (infer_auto_device_map + dispatch_model): modules are given to the
 * GPU in order while they fit, with room kept for the largest layer; from the first that does not fit on, all stay in
 * pageable host memory. When an offloaded layer is called, each of its tensors is copied synchronously, the layer runs,
 * its copy is dropped. Nothing overlaps. */
#include "simulator/strategy/strategy.h"
#include "simulator/strategy/units.h"
#include "simulator/timeline.h"

#include "runtime/core/units.h"

struct offload {
  struct emuv_units u;
  double disk_share; /* of the offloaded bytes */
  uint32_t loaded;   /* unit whose copy is on the GPU, UINT32_MAX = none */
};

/* Modules in the order in which the model lists them: embedding, layers, head. A weight outside the layers comes before
 * them when its segment does. */
static uint64_t offload_from(struct emuv_units *u, const struct emuv_workload *w, uint64_t budget)
{
  uint64_t used = 0, offloaded = 0;
  bool full = false;
  uint32_t last = UINT32_MAX;
  for (size_t i = 0; i < w->n_segments; i++) {
    uint32_t at = u->unit_of_segment[i];
    if (at == UINT32_MAX || at == last) continue;
    last = at;
    full = full || used + u->unit[at].weight_bytes > budget;
    if (full && !u->unit[at].offloaded) offloaded += u->unit[at].weight_bytes;
    u->unit[at].offloaded = full;
    used += u->unit[at].weight_bytes;
  }
  return offloaded;
}

static int place(struct offload *o, const struct emuv_config *c, const struct emuv_workload *w, struct emuv_err *err)
{
  char need[32], have[32];
  uint64_t fixed = o->u.kv_bytes + o->u.other_bytes;
  if (w->address_bytes <= c->vram) return 0;
  if (fixed + o->u.largest > c->vram)
    return emuv_err_set(err, EMUV_ERR_NOSPACE,
                        "layer-offload needs %s in VRAM (KV cache, activations and one layer) and has %s",
                        emuv_units_human_bytes((double)(fixed + o->u.largest), need, sizeof need),
                        emuv_units_human_bytes((double)c->vram, have, sizeof have));
  uint64_t offloaded = offload_from(&o->u, w, c->vram - fixed - o->u.largest);
  return emuv_units_disk_share(c, offloaded, &o->disk_share, err);
}

static void load_unit(struct offload *o, struct emuv_timeline *t, uint32_t at, struct emuv_metrics *m)
{
  const struct emuv_hardware *hw = &t->config->hw;
  const struct emuv_unit *unit = &o->u.unit[at];
  double bytes = (double)unit->weight_bytes, start = t->host_ns > t->gpu_ns ? t->host_ns : t->gpu_ns;
  double copy_ns = bytes / hw->pageable_rate * 1e9 + unit->tensors * hw->copy_sync;
  double disk_ns =
      o->disk_share > 0 ? bytes * o->disk_share / emuv_curve_rate(&hw->nvme_read, unit->weight_bytes) * 1e9 : 0;
  o->loaded = at;
  if (disk_ns > 0) emuv_timeline_run(t, start + disk_ns, true, 0, 0);
  emuv_timeline_block(t, start + disk_ns + copy_ns);
  if (!t->timed) return;
  m->fault_bytes += unit->weight_bytes;
  m->h2d_bytes += unit->weight_bytes;
  m->nvme_read_bytes += (uint64_t)(bytes * o->disk_share);
  m->link_busy_s += copy_ns * 1e-9;
  m->disk_busy_s += disk_ns * 1e-9;
}

static void run_op(struct offload *o, struct emuv_timeline *t, const struct emuv_workload *w, const struct emuv_op *op,
                   struct emuv_metrics *m)
{
  uint64_t absent = 0;
  for (uint32_t i = 0; i < op->n_ranges; i++) {
    const struct emuv_range *r = &w->ranges[op->first_range + i];
    uint32_t at = o->u.unit_of_segment[r->segment];
    if (at == UINT32_MAX || !o->u.unit[at].offloaded) continue;
    if (at == o->loaded) continue;
    load_unit(o, t, at, m);
    absent += (o->u.unit[at].weight_bytes + t->config->page_size - 1) / t->config->page_size;
  }
  emuv_timeline_issue(t, op);
  emuv_timeline_run(t, 0, false, emuv_timeline_kernel_ns(t->config, op), 0);
  emuv_timeline_finish(t, op);
  if (!t->timed) return;
  m->accesses += emuv_units_pages(w, op, t->config->page_size);
  m->faults += absent;
}

static void run_steps(struct offload *o, struct emuv_timeline *t, const struct emuv_workload *w, struct emuv_metrics *m)
{
  for (size_t s = 0; s < w->n_steps; s++) {
    emuv_timeline_step_begin(t, w, s);
    for (uint32_t i = 0; i < w->steps[s].n_ops; i++) run_op(o, t, w, &w->ops[w->steps[s].first_op + i], m);
    emuv_timeline_step_end(t, w, s, m);
  }
}

static int layer_offload_run(const struct emuv_config *c, const struct emuv_workload *w, struct emuv_metrics *m,
                             struct emuv_err *err)
{
  struct offload o = {.loaded = UINT32_MAX};
  struct emuv_timeline t;
  emuv_timeline_init(&t, c);
  int rc = emuv_units_build(w, &o.u, err);
  if (!rc) rc = place(&o, c, w, err);
  if (!rc) run_steps(&o, &t, w, m);
  emuv_units_free(&o.u);
  if (rc) return rc;
  if (m->accesses < m->faults) m->accesses = m->faults; /* a layer is copied whole even where little of it is used */
  m->hits = m->accesses - m->faults;
  m->peak_vram_bytes = c->vram < w->address_bytes ? c->vram : w->address_bytes;
  emuv_timeline_report(&t, m);
  return emuv_bound_compute(c, w, false, m, err);
}

const struct emuv_strategy_ops emuv_strategy_layer_offload = {
    .name = "layer-offload",
    .summary = "whole layers from pageable host memory, copied when called, no overlap (Accelerate)",
    .run = layer_offload_run,
};
