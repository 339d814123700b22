// SPDX-License-Identifier: Apache-2.0
/* One configuration; see simulate.h. */
#include "simulator/simulate.h"

#include "simulator/scale.h"
#include "simulator/source/shape.h"
#include "simulator/source/source.h"
#include "simulator/strategy/strategy.h"

#include <math.h>
#include <string.h>

static int contradiction(struct emuv_err *err, const char *what, double left, double right)
{
  return emuv_err_set(err, EMUV_ERR_INTERNAL, "%s does not hold: %.17g and %.17g", what, left, right);
}

static int check_counts(const struct emuv_metrics *m, struct emuv_err *err)
{
  if (m->accesses != m->hits + m->births + m->faults + m->remote)
    return contradiction(err, "accesses = hits + births + faults + remote", (double)m->accesses,
                         (double)(m->hits + m->births + m->faults + m->remote));
  if (m->h2d_bytes + m->peer_read_bytes != m->fault_bytes + m->prefetch_bytes + m->remote_bytes)
    return contradiction(err, "bytes up = faulted + loaded ahead + read in place",
                         (double)(m->h2d_bytes + m->peer_read_bytes),
                         (double)(m->fault_bytes + m->prefetch_bytes + m->remote_bytes));
  if (m->d2h_bytes + m->peer_write_bytes != m->writeback_bytes)
    return contradiction(err, "bytes down = written back", (double)(m->d2h_bytes + m->peer_write_bytes),
                         (double)m->writeback_bytes);
  return 0;
}

int emuv_metrics_check_books(const struct emuv_metrics *m, struct emuv_err *err)
{
  const double slack = 1e-9; /* rounding of sums */
  int rc = check_counts(m, err);
  if (rc) return rc;
  if (fabs(m->total_s - m->compute_s - m->stall_s) > slack * m->total_s)
    return contradiction(err, "total = compute + stalls", m->total_s, m->compute_s + m->stall_s);
  if (!isfinite(m->total_s)) return contradiction(err, "a finite time", m->total_s, 0);
  return 0;
}

int emuv_metrics_check(const struct emuv_metrics *m, struct emuv_err *err)
{
  const double slack = 1e-9;
  int rc = emuv_metrics_check_books(m, err);
  if (rc || m->total_s >= m->bound_s * (1 - slack)) return rc;
  return contradiction(err, "total >= bound", m->total_s, m->bound_s);
}

int emuv_simulate(const struct emuv_config *config, const struct emuv_workload *workload, struct emuv_metrics *m,
                  struct emuv_err *err)
{
  const struct emuv_strategy_ops *strategy = emuv_strategy_find(config->strategy);
  if (!strategy) return emuv_err_set(err, EMUV_ERR_INPUT, "no strategy '%s'", config->strategy);
  *m = (struct emuv_metrics){.bound_by = "compute", .energy_j = -1};
  int rc = strategy->run(config, workload, m, err);
  return rc ? rc : emuv_metrics_check(m, err);
}

int emuv_workload_build(const struct emuv_config *config, struct emuv_workload *workload, struct emuv_err *err)
{
  const struct emuv_source_ops *source = emuv_source_find(config->source);
  if (!source) return emuv_err_set(err, EMUV_ERR_INPUT, "no source '%s'", config->source);
  *workload = (struct emuv_workload){0};
  int rc = source->build(config, workload, err);
  if (!rc) rc = emuv_scale_times(config, workload, err);
  return rc;
}

static double bytes_per_step(const struct emuv_config *c)
{
  if (strcmp(c->source, "transformer") == 0)
    return (double)emuv_model_bytes(&c->model, c->weight_bits, c->weight_group) +
           (double)emuv_model_kv_bytes(&c->model, c->kv_bits) * (double)(c->model.layers * c->context * c->batch);
  if (strcmp(c->source, "pattern") == 0) return (double)c->pattern.references * (double)c->pattern.object;
  return 0x1p32; /* a trace: the same for all configurations of a sweep, so any number will do */
}

static double footprint_bytes(const struct emuv_config *c)
{
  if (strcmp(c->source, "pattern") == 0) return (double)c->pattern.objects * (double)c->pattern.object;
  return bytes_per_step(c);
}

/* Nanoseconds for one page reference, as measured over the scenarios; only their ratios matter. */
static double reference_cost(const struct emuv_config *c, double footprint)
{
  bool planner = strcmp(c->strategy, "emuv") == 0;
  double share = fmin((double)c->vram / footprint, 0.35);
  /* The planner tries several plans; skipping what it keeps takes the longer the more that is. */
  if (planner) return (double)c->vram >= footprint ? 150 : 400 + 6500 * share;
  double policy = strcmp(c->policy, "belady") == 0   ? 40
                  : strcmp(c->policy, "random") == 0 ? 60
                  : strcmp(c->policy, "lfu") == 0    ? 30
                                                     : 22;
  return policy + (strcmp(c->prefetch, "none") == 0 || strcmp(c->prefetch, "layer") == 0 ? 0 : 25);
}

double emuv_simulate_cost(const struct emuv_config *c)
{
  enum { PER_SLICE = 180, PER_SLICE_PLANNER = 1500, PER_RUN = 600000 };
  double bytes = bytes_per_step(c), steps = (double)(c->warmup + c->tokens + (c->prompt > 0));
  double references = bytes / (double)c->page_size,
         slices = bytes / (double)(c->slice > c->page_size ? c->slice : c->page_size);
  bool planner = strcmp(c->strategy, "emuv") == 0,
       paged = strcmp(c->strategy, "paged") == 0 || strcmp(c->strategy, "um") == 0;
  if (!planner && !paged) return PER_RUN;
  return PER_RUN + steps * (references * reference_cost(c, footprint_bytes(c)) +
                            slices * (planner ? PER_SLICE_PLANNER : PER_SLICE));
}
