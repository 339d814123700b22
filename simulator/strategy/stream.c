// SPDX-License-Identifier: Apache-2.0
/* Layer streaming with double buffering (FlexGen, ZeRO-Inference, vLLM's prefetching offloader): as many layers as fit
 * stay in VRAM; the others are copied from pinned memory, one layer ahead, into two buffers, beside the computation.
 * The KV cache stays in VRAM when it fits beside two buffers; otherwise each layer's part travels with the layer. */
#include "simulator/strategy/strategy.h"
#include "simulator/strategy/units.h"
#include "simulator/timeline.h"

#include "runtime/core/units.h"
#include "runtime/tier/tier.h"

#include <stdlib.h>

enum { BUFFERS = 2 };

struct stream {
  struct emuv_units u;
  bool kv_moves;
  double disk_share;
  struct emuv_channel link, disk;
  double *ready_ns; /* per unit: when its copy for the coming use is there; < 0 = not asked for */
  double buffer_free_ns[BUFFERS];
  uint32_t next_buffer;
  uint32_t *order; /* streamed units in the order of use */
  size_t n_streamed, cursor;
  bool started;
};

static uint64_t moved_bytes(const struct stream *s, const struct emuv_unit *unit)
{
  return (unit->offloaded ? unit->weight_bytes : 0) + (s->kv_moves ? unit->kv_bytes : 0);
}

static uint64_t unit_size(const struct stream *s, const struct emuv_unit *unit)
{
  return unit->weight_bytes + (s->kv_moves ? unit->kv_bytes : 0);
}

static uint64_t largest_unit(const struct stream *s)
{
  uint64_t most = 0;
  for (size_t i = 0; i < s->u.n_layers; i++)
    if (unit_size(s, &s->u.unit[i]) > most) most = unit_size(s, &s->u.unit[i]);
  return most;
}

static uint64_t outside_layers(const struct stream *s)
{
  uint64_t sum = s->u.other_bytes;
  for (size_t i = s->u.n_layers; i < s->u.n; i++) sum += s->u.unit[i].weight_bytes;
  return sum;
}

static int does_not_fit(const struct emuv_config *c, uint64_t need_bytes, struct emuv_err *err)
{
  char need[32], have[32];
  return emuv_err_set(err, EMUV_ERR_NOSPACE,
                      "stream needs %s in VRAM (two layer buffers and what is outside the layers) and has %s",
                      emuv_units_human_bytes((double)need_bytes, need, sizeof need),
                      emuv_units_human_bytes((double)c->vram, have, sizeof have));
}

/* Which layers stay, which travel. */
static int place(struct stream *s, const struct emuv_config *c, const struct emuv_workload *w, struct emuv_err *err)
{
  uint64_t fixed = outside_layers(s), offloaded = 0;
  if (w->address_bytes <= c->vram) return 0;
  s->kv_moves = fixed + s->u.kv_bytes + BUFFERS * s->u.largest > c->vram;
  if (!s->kv_moves) fixed += s->u.kv_bytes;
  uint64_t buffers = BUFFERS * largest_unit(s);
  if (fixed + buffers > c->vram) return does_not_fit(c, fixed + buffers, err);
  uint64_t left = c->vram - fixed - buffers;
  for (size_t i = 0; i < s->u.n_layers; i++) {
    struct emuv_unit *unit = &s->u.unit[i];
    unit->offloaded = unit->weight_bytes > left;
    if (!unit->offloaded) left -= unit->weight_bytes;
    offloaded += moved_bytes(s, unit);
  }
  return emuv_units_disk_share(c, offloaded, &s->disk_share, err);
}

static int make_order(struct stream *s, struct emuv_err *err)
{
  s->ready_ns = calloc(s->u.n + 1, sizeof *s->ready_ns);
  s->order = calloc(s->u.n_layers + 1, sizeof *s->order);
  if (!s->ready_ns || !s->order) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %zu layers", s->u.n_layers);
  for (size_t i = 0; i < s->u.n_layers; i++) {
    s->ready_ns[i] = -1;
    if (moved_bytes(s, &s->u.unit[i])) s->order[s->n_streamed++] = (uint32_t)i;
  }
  return 0;
}

/* Asks for the next layer in the order of use: into the buffer that is free first. */
static void ask_next(struct stream *s, const struct emuv_timeline *t, struct emuv_metrics *m)
{
  const struct emuv_hardware *hw = &t->config->hw;
  uint32_t at = s->order[s->cursor];
  const struct emuv_unit *unit = &s->u.unit[at];
  uint64_t bytes = moved_bytes(s, unit), disk_bytes = (uint64_t)((double)bytes * s->disk_share);
  double start = s->buffer_free_ns[s->next_buffer];
  s->cursor = s->cursor + 1 == s->n_streamed ? 0 : s->cursor + 1;
  s->next_buffer = (s->next_buffer + 1) % BUFFERS;
  if (disk_bytes) start = emuv_channel_move(&s->disk, &hw->nvme_read, disk_bytes, 0, hw->nvme_latency, start);
  s->ready_ns[at] = emuv_channel_move(&s->link, &hw->h2d, bytes, bytes / (unit->tensors ? unit->tensors : 1), 0, start);
  if (!t->timed) return;
  m->prefetch_bytes += bytes;
  m->h2d_bytes += bytes;
  m->nvme_read_bytes += disk_bytes;
}

static void enter_layer(struct stream *s, struct emuv_timeline *t, int32_t layer, struct emuv_metrics *m)
{
  if (layer < 0 || !moved_bytes(s, &s->u.unit[layer])) return;
  if (!s->started) /* fill the buffers */
    for (uint32_t i = 1; i < BUFFERS && i < s->n_streamed; i++) ask_next(s, t, m);
  s->started = true;
  while (s->ready_ns[layer] < 0) ask_next(s, t, m);
}

/* The layer is done: its buffer is free, and the layer after the next can be copied into it. */
static void leave_layer(struct stream *s, struct emuv_timeline *t, int32_t layer, struct emuv_metrics *m)
{
  if (layer < 0 || !moved_bytes(s, &s->u.unit[layer])) return;
  s->ready_ns[layer] = -1;
  s->buffer_free_ns[s->next_buffer] = t->gpu_ns;
  ask_next(s, t, m);
}

static uint64_t kv_written(const struct emuv_workload *w, const struct emuv_op *op)
{
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < op->n_ranges; i++) {
    const struct emuv_range *r = &w->ranges[op->first_range + i];
    if ((r->flags & EMUV_RANGE_WRITE) && w->segments[r->segment].kind == EMUV_SEGMENT_KV) bytes += r->bytes;
  }
  return bytes;
}

static void run_op(struct stream *s, struct emuv_timeline *t, const struct emuv_workload *w, const struct emuv_op *op,
                   struct emuv_metrics *m)
{
  double ready = op->layer >= 0 && s->n_streamed ? s->ready_ns[op->layer] : 0;
  emuv_timeline_issue(t, op);
  emuv_timeline_run(t, ready, s->disk.free_ns > s->link.free_ns, emuv_timeline_kernel_ns(t->config, op), 0);
  emuv_timeline_finish(t, op);
  if (!t->timed) return;
  m->accesses += emuv_units_pages(w, op, t->config->page_size);
  if (!s->kv_moves) return;
  m->d2h_bytes += kv_written(w, op);
  m->writeback_bytes += kv_written(w, op);
}

static void run_step(struct stream *s, struct emuv_timeline *t, const struct emuv_workload *w, size_t step,
                     int32_t *layer, struct emuv_metrics *m)
{
  if (step == w->warmup_steps) s->link.busy_ns = s->disk.busy_ns = 0;
  emuv_timeline_step_begin(t, w, step);
  for (uint32_t i = 0; i < w->steps[step].n_ops; i++) {
    const struct emuv_op *op = &w->ops[w->steps[step].first_op + i];
    if (op->layer != *layer && s->n_streamed) {
      leave_layer(s, t, *layer, m);
      enter_layer(s, t, op->layer, m);
    }
    *layer = op->layer;
    run_op(s, t, w, op, m);
  }
  emuv_timeline_step_end(t, w, step, m);
}

static void report(const struct stream *s, const struct emuv_timeline *t, struct emuv_metrics *m)
{
  const struct emuv_config *c = t->config;
  m->prefetch_issued = m->prefetch_used = (m->prefetch_bytes + c->page_size - 1) / c->page_size;
  m->hits = m->accesses;
  m->peak_vram_bytes = c->vram;
  m->link_busy_s = s->link.busy_ns * 1e-9;
  m->disk_busy_s = s->disk.busy_ns * 1e-9;
  emuv_timeline_report(t, m);
}

static int run_all(struct stream *s, const struct emuv_config *c, const struct emuv_workload *w, struct emuv_metrics *m,
                   struct emuv_err *err)
{
  struct emuv_timeline t;
  int32_t layer = -1;
  int rc = emuv_units_build(w, &s->u, err);
  if (!rc) rc = place(s, c, w, err);
  if (!rc) rc = make_order(s, err);
  if (rc) return rc;
  emuv_timeline_init(&t, c);
  for (size_t i = 0; i < w->n_steps; i++) run_step(s, &t, w, i, &layer, m);
  report(s, &t, m);
  return emuv_bound_compute(c, w, false, m, err);
}

static int stream_run(const struct emuv_config *c, const struct emuv_workload *w, struct emuv_metrics *m,
                      struct emuv_err *err)
{
  struct stream s = {0};
  int rc = run_all(&s, c, w, m, err);
  emuv_units_free(&s.u);
  free(s.ready_ns);
  free(s.order);
  return rc;
}

const struct emuv_strategy_ops emuv_strategy_stream = {
    .name = "stream",
    .summary = "layers that do not fit are copied one ahead into two buffers, beside the computation",
    .run = stream_run,
};
