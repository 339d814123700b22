// SPDX-License-Identifier: Apache-2.0
/* emuV's planner; see planner.h. The launch sequence of a step is known after the first one, so what to keep, what to
 * stream ahead and what to read in place can be planned. The planner runs its candidates through the cost model and
 * takes the fastest:
 *
 *   keep + stream W  a fixed set of pages stays, as many as fit beside W bytes, spread evenly over the step so that the
 *                    link never rests; the others are loaded W bytes ahead of their use in merged copies
 *   belady + W       the pager keeps what Belady keeps over the known sequence and loads W bytes ahead
 *   POLICY + W       where operands are known only at launch (experts) no future is assumed: an online policy
 *                    evicts, and only the known part is loaded ahead
 *   layers           whole layers with double buffering (as `stream`)
 *   in-place         a fixed part in VRAM, the rest read over the link by the kernels (as `uva`)
 *
 * The key `lookahead` fixes W; `plans: paging` leaves out the last two. */
#include "simulator/strategy/planner.h"
#include "simulator/strategy/strategy.h"

#include "runtime/core/units.h"

#include <stdio.h>
#include <string.h>

enum { MERGED_COPY_BYTES = 16 << 20 };

struct choice {
  struct emuv_metrics best;
  struct emuv_plan plan;
  int rc; /* of the best so far; not 0 = none yet */
  struct emuv_err err;
};

static void offer(struct choice *ch, int rc, const struct emuv_metrics *m, const struct emuv_err *e,
                  const struct emuv_plan *plan)
{
  if (rc) {
    if (ch->rc) {
      ch->rc = rc;
      ch->err = *e;
    }
    return;
  }
  if (!ch->rc && ch->best.total_s <= m->total_s) return;
  ch->rc = 0;
  ch->best = *m;
  ch->plan = *plan;
  snprintf(ch->best.plan, sizeof ch->best.plan, "%s", plan->text);
}

static void try_strategy(struct choice *ch, const struct emuv_config *c, const struct emuv_workload *w,
                         const char *name, enum emuv_plan_kind kind, const char *text)
{
  struct emuv_metrics m = {0};
  struct emuv_err e = {0};
  struct emuv_plan plan = {.kind = kind};
  snprintf(plan.text, sizeof plan.text, "%s", text);
  int rc = emuv_strategy_find(name)->run(c, w, &m, &e);
  offer(ch, rc, &m, &e, &plan);
}

static void try_paging(struct choice *ch, const struct emuv_config *c, const struct emuv_workload *w,
                       const char *policy, bool keep, uint64_t window)
{
  struct emuv_metrics m = {0};
  struct emuv_err e = {0};
  char size[32];
  struct emuv_plan plan = {.kind = EMUV_PLAN_PAGING,
                           .paging = {.policy = emuv_policy_find(policy),
                                      .prefetch = emuv_prefetch_find("oracle"),
                                      .page_bytes = c->page_size,
                                      .lookahead_bytes = window,
                                      .coalesce_bytes = MERGED_COPY_BYTES,
                                      .fault_ns = c->hw.fault,
                                      .keep_spread = keep,
                                      .skip_dynamic = true}};
  snprintf(plan.text, sizeof plan.text, "%s + %s ahead", keep ? "keep" : policy,
           emuv_units_format_bytes(window, size, sizeof size));
  int rc = emuv_paging_run(c, w, &plan.paging, NULL, &m, &e);
  offer(ch, rc, &m, &e, &plan);
}

static bool has_dynamic(const struct emuv_workload *w)
{
  for (size_t i = 0; i < w->n_ranges; i++)
    if (w->ranges[i].flags & EMUV_RANGE_DYNAMIC) return true;
  return false;
}

static uint64_t window_bytes(const struct emuv_config *c, uint64_t slices)
{
  uint64_t bytes = slices * c->slice;
  if (c->lookahead) return c->lookahead;
  return bytes > c->page_size ? bytes : c->page_size;
}

static void try_known_sequence(struct choice *ch, const struct emuv_config *c, const struct emuv_workload *w)
{
  static const uint64_t slices[] = {2, 4, 8, 16};
  uint64_t last = 0;
  for (size_t i = 0; i < sizeof slices / sizeof slices[0]; i++) {
    uint64_t window = window_bytes(c, slices[i]);
    if (window != last) try_paging(ch, c, w, "fifo", true, window);
    last = window;
  }
  try_paging(ch, c, w, "belady", false, last);
}

static void try_unknown_operands(struct choice *ch, const struct emuv_config *c, const struct emuv_workload *w)
{
  static const char *const online[] = {"lru", "lfu", "mru", "recur"};
  for (size_t i = 0; i < sizeof online / sizeof online[0]; i++)
    try_paging(ch, c, w, online[i], false, window_bytes(c, 4));
}

int emuv_planner_choose(const struct emuv_config *c, const struct emuv_workload *w, struct emuv_plan *plan,
                        struct emuv_metrics *m, struct emuv_err *err)
{
  struct choice ch = {.rc = EMUV_ERR_NOSPACE};
  if (has_dynamic(w))
    try_unknown_operands(&ch, c, w);
  else
    try_known_sequence(&ch, c, w);
  if (strcmp(c->plans, "all") == 0) {
    try_strategy(&ch, c, w, "uva", EMUV_PLAN_IN_PLACE, "in-place");
    try_strategy(&ch, c, w, "stream", EMUV_PLAN_LAYERS, "layers");
  }
  if (ch.rc && err) *err = ch.err;
  *plan = ch.plan;
  *m = ch.best;
  return ch.rc;
}
