// SPDX-License-Identifier: Apache-2.0
/* Zero copy (what vLLM's cpu_offload_gb does): VRAM holds a fixed part, page by page, activations and KV cache first,
 * then the weights in address order; kernels read the rest in place over the link, each launch taking the longer of its
 * own work and its reads over the link. Nothing is moved and nothing is reused. */
#include "simulator/strategy/strategy.h"
#include "simulator/strategy/units.h"
#include "simulator/timeline.h"

#include <stdlib.h>

struct placement {
  uint64_t *held; /* per segment: bytes from its start that are in VRAM */
  uint64_t left;  /* VRAM not given away yet */
};

static void hold(struct placement *p, const struct emuv_workload *w, bool (*wanted)(const struct emuv_segment *))
{
  for (size_t i = 0; i < w->n_segments; i++) {
    if (!wanted(&w->segments[i])) continue;
    p->held[i] = w->segments[i].bytes < p->left ? w->segments[i].bytes : p->left;
    p->left -= p->held[i];
  }
}

static bool is_buffer(const struct emuv_segment *s)
{
  return s->kind == EMUV_SEGMENT_ACTIVATION || s->kind == EMUV_SEGMENT_OTHER;
}

static bool is_kv(const struct emuv_segment *s)
{
  return s->kind == EMUV_SEGMENT_KV;
}

static bool is_weight(const struct emuv_segment *s)
{
  return s->kind == EMUV_SEGMENT_WEIGHT;
}

static uint64_t range_remote(const struct placement *p, const struct emuv_workload *w, const struct emuv_range *r)
{
  uint64_t end = r->offset + r->bytes - w->segments[r->segment].offset;
  uint64_t beyond = end > p->held[r->segment] ? end - p->held[r->segment] : 0;
  return beyond < r->bytes ? beyond : r->bytes;
}

struct traffic {
  uint64_t read, written, pages;
};

static struct traffic remote_traffic(const struct placement *p, const struct emuv_workload *w, const struct emuv_op *op,
                                     uint64_t page)
{
  struct traffic t = {0};
  for (uint32_t i = 0; i < op->n_ranges; i++) {
    const struct emuv_range *r = &w->ranges[op->first_range + i];
    uint64_t bytes = range_remote(p, w, r);
    *(r->flags & EMUV_RANGE_WRITE ? &t.written : &t.read) += bytes;
    t.pages += (bytes + page - 1) / page;
  }
  return t;
}

static void run_op(struct emuv_timeline *t, const struct placement *p, const struct emuv_workload *w,
                   const struct emuv_op *op, struct emuv_metrics *m)
{
  const struct emuv_config *c = t->config;
  struct traffic far = remote_traffic(p, w, op, c->page_size);
  double kernel = emuv_timeline_kernel_ns(c, op);
  double link = (double)(far.read > far.written ? far.read : far.written) / c->hw.zero_copy_rate * 1e9;
  emuv_timeline_issue(t, op);
  emuv_timeline_run(t, 0, false, kernel, link > kernel ? link - kernel : 0);
  emuv_timeline_finish(t, op);
  if (!t->timed) return;
  uint64_t pages = emuv_units_pages(w, op, c->page_size);
  uint64_t remote = far.pages < pages ? far.pages : pages;
  m->accesses += pages;
  m->remote += remote;
  m->hits += pages - remote;
  m->remote_bytes += far.read;
  m->h2d_bytes += far.read;
  m->d2h_bytes += far.written;
  m->writeback_bytes += far.written;
  m->link_busy_s += link * 1e-9;
}

static int place(struct placement *p, const struct emuv_config *c, const struct emuv_workload *w, struct emuv_err *err)
{
  p->held = calloc(w->n_segments + 1, sizeof *p->held);
  if (!p->held) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %zu segments", w->n_segments);
  p->left = c->vram / c->page_size * c->page_size;
  hold(p, w, is_buffer);
  hold(p, w, is_kv);
  hold(p, w, is_weight);
  return 0;
}

static int check_host(const struct emuv_config *c, const struct emuv_workload *w, const struct placement *p,
                      struct emuv_err *err)
{
  struct emuv_config no_disk = *c;
  double share;
  uint64_t held = c->vram / c->page_size * c->page_size - p->left;
  no_disk.nvme = 0; /* kernels cannot read a disk in place */
  return emuv_units_disk_share(&no_disk, w->address_bytes > held ? w->address_bytes - held : 0, &share, err);
}

static int uva_run(const struct emuv_config *c, const struct emuv_workload *w, struct emuv_metrics *m,
                   struct emuv_err *err)
{
  struct placement p = {0};
  struct emuv_timeline t;
  int rc = place(&p, c, w, err);
  if (!rc) rc = check_host(c, w, &p, err);
  emuv_timeline_init(&t, c);
  for (size_t s = 0; !rc && s < w->n_steps; s++) {
    emuv_timeline_step_begin(&t, w, s);
    for (uint32_t i = 0; i < w->steps[s].n_ops; i++) run_op(&t, &p, w, &w->ops[w->steps[s].first_op + i], m);
    emuv_timeline_step_end(&t, w, s, m);
  }
  m->peak_vram_bytes = c->vram / c->page_size * c->page_size - p.left;
  free(p.held);
  if (rc) return rc;
  emuv_timeline_report(&t, m);
  return emuv_bound_compute(c, w, false, m, err);
}

const struct emuv_strategy_ops emuv_strategy_uva = {
    .name = "uva",
    .summary = "zero copy: a fixed part in VRAM, kernels read the rest from host memory in place",
    .run = uva_run,
};
