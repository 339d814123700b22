// SPDX-License-Identifier: Apache-2.0
/* Everything in VRAM, whatever its size: what the GPU and the host's launches alone allow. */
#include "simulator/strategy/strategy.h"
#include "simulator/strategy/units.h"
#include "simulator/timeline.h"

static void run_step(struct emuv_timeline *t, const struct emuv_workload *w, size_t step, uint64_t page,
                     struct emuv_metrics *m)
{
  emuv_timeline_step_begin(t, w, step);
  for (uint32_t i = 0; i < w->steps[step].n_ops; i++) {
    const struct emuv_op *op = &w->ops[w->steps[step].first_op + i];
    emuv_timeline_issue(t, op);
    emuv_timeline_run(t, 0, false, emuv_timeline_kernel_ns(t->config, op), 0);
    emuv_timeline_finish(t, op);
    if (t->timed) m->accesses += emuv_units_pages(w, op, page);
  }
  emuv_timeline_step_end(t, w, step, m);
}

static int resident_run(const struct emuv_config *config, const struct emuv_workload *w, struct emuv_metrics *m,
                        struct emuv_err *err)
{
  struct emuv_timeline t;
  emuv_timeline_init(&t, config);
  for (size_t s = 0; s < w->n_steps; s++) run_step(&t, w, s, config->page_size, m);
  m->hits = m->accesses;
  m->peak_vram_bytes = w->address_bytes;
  emuv_timeline_report(&t, m);
  return emuv_bound_compute(config, w, true, m, err);
}

/* A machine pages as well, with VRAM for all pages, filled before the first step. */
static int resident_plan(const struct emuv_config *c, const struct emuv_workload *w, struct emuv_plan *plan,
                         struct emuv_err *err)
{
  (void)w;
  (void)err;
  *plan = (struct emuv_plan){.kind = EMUV_PLAN_PAGING,
                             .paging = {.policy = emuv_policy_find("fifo"),
                                        .prefetch = emuv_prefetch_find("none"),
                                        .page_bytes = c->page_size,
                                        .all_resident = true}};
  return 0;
}

const struct emuv_strategy_ops emuv_strategy_resident = {
    .name = "resident",
    .summary = "all in VRAM, however much that takes: the speed of light of the GPU and its host",
    .flags = EMUV_STRATEGY_UNLIMITED,
    .run = resident_run,
    .plan = resident_plan,
};
