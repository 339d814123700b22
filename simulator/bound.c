// SPDX-License-Identifier: Apache-2.0
/* Lower bounds on the time of a run, whatever the strategy.
 *
 * A step begins with at most V bytes in VRAM. Of the D distinct bytes that it uses and that existed before it, D - V
 * must cross the link while it runs, and D - V - R must come from the disk where RAM holds R. Where another GPU holds P
 * of them, D - V - P must cross the host's link, and D - V the two links together. Its kernels run one after
 * another; when the step before ended with a synchronisation, all its launches are issued inside it. Steps do not
 * overlap on the compute stream, so the bounds of the steps add up. */
#include "simulator/timeline.h"

#include <stdlib.h>

struct span {
  uint64_t from, to;
};

static int compare_span(const void *a, const void *b)
{
  const struct span *x = a, *y = b;
  return (x->from > y->from) - (x->from < y->from);
}

static uint64_t union_bytes(struct span *s, size_t n)
{
  uint64_t sum = 0, end = 0;
  qsort(s, n, sizeof *s, compare_span);
  for (size_t i = 0; i < n; i++) {
    uint64_t from = s[i].from > end ? s[i].from : end;
    if (s[i].to <= from) continue;
    sum += s[i].to - from;
    end = s[i].to;
  }
  return sum;
}

static size_t ranges_of_step(const struct emuv_workload *w, const struct emuv_step *step, size_t *first)
{
  if (!step->n_ops) return 0;
  const struct emuv_op *last = &w->ops[step->first_op + step->n_ops - 1];
  *first = w->ops[step->first_op].first_range;
  return last->first_range + last->n_ranges - *first;
}

/* Distinct bytes that the step uses, less those that it makes itself. */
static uint64_t bytes_used(const struct emuv_workload *w, const struct emuv_step *step, struct span *scratch)
{
  size_t first = 0, n = ranges_of_step(w, step, &first), m = 0;
  uint64_t made = 0;
  for (size_t i = first; i < first + n; i++) {
    const struct emuv_range *r = &w->ranges[i];
    if (r->flags & EMUV_RANGE_NEW)
      made += r->bytes;
    else
      scratch[m++] = (struct span){r->offset, r->offset + r->bytes};
  }
  uint64_t used = union_bytes(scratch, m);
  return used > made ? used - made : 0;
}

static double best_rate(const struct emuv_curve *c)
{
  double best = 0;
  for (uint32_t i = 0; i < c->n; i++)
    if (c->point[i].bytes_per_s > best) best = c->point[i].bytes_per_s;
  return best;
}

static double larger(double a, double b)
{
  return a > b ? a : b;
}

static double seconds(uint64_t bytes, uint64_t held, double rate)
{
  return bytes > held && rate > 0 ? (double)(bytes - held) / rate : 0;
}

struct rates {
  double link, peer, disk;
};

static struct rates best_rates(const struct emuv_hardware *hw)
{
  struct rates r = {.link = best_rate(&hw->h2d), .peer = best_rate(&hw->peer), .disk = best_rate(&hw->nvme_read)};
  if (hw->zero_copy_rate > r.link) r.link = hw->zero_copy_rate;
  if (hw->pageable_rate > r.link) r.link = hw->pageable_rate;
  return r;
}

static double work_seconds(const struct emuv_config *c, const struct emuv_workload *w, size_t step)
{
  double gpu = 0, host = 0;
  const struct emuv_step *s = &w->steps[step];
  for (uint32_t i = 0; i < s->n_ops; i++) {
    gpu += emuv_timeline_kernel_ns(c, &w->ops[s->first_op + i]);
    host += emuv_timeline_host_ns(c, &w->ops[s->first_op + i]);
  }
  bool synced = step && w->ops[s->first_op ? s->first_op - 1 : 0].sync;
  return (synced && host > gpu ? host : gpu) * 1e-9;
}

struct shares {
  double compute, link, disk;
};

static void add_step(const struct emuv_config *c, const struct emuv_workload *w, size_t step, bool unlimited,
                     const struct rates *rate, struct span *scratch, struct emuv_metrics *m, struct shares *by)
{
  uint64_t used = bytes_used(w, &w->steps[step], scratch);
  m->used_bytes += used;
  if (unlimited) used = 0;
  double work = work_seconds(c, w, step), link = seconds(used, c->vram + c->peer, rate->link);
  if (c->peer) link = larger(link, seconds(used, c->vram, rate->link + rate->peer));
  double disk = c->nvme ? seconds(used, c->vram + c->ram, rate->disk) : 0;
  double bound = larger(work, larger(link, disk));
  m->bound_compute_s += work;
  m->bound_link_s += link;
  m->bound_disk_s += disk;
  m->bound_s += bound;
  *(bound == work ? &by->compute : bound == link ? &by->link : &by->disk) += bound;
}

int emuv_bound_compute(const struct emuv_config *c, const struct emuv_workload *w, bool unlimited,
                       struct emuv_metrics *m, struct emuv_err *err)
{
  struct span *scratch = calloc(w->n_ranges + 1, sizeof *scratch);
  if (!scratch) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %zu ranges", w->n_ranges);
  struct rates rate = best_rates(&c->hw);
  struct shares by = {0};
  for (size_t s = w->warmup_steps; s < w->n_steps; s++) add_step(c, w, s, unlimited, &rate, scratch, m, &by);
  m->bound_by = by.compute >= by.link && by.compute >= by.disk ? "compute" : by.link >= by.disk ? "link" : "disk";
  free(scratch);
  return 0;
}
