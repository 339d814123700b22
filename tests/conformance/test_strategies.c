// SPDX-License-Identifier: Apache-2.0
/* Every strategy of the registry on every kind of workload, through memories from too little to plenty: it runs and its
 * books balance, or it says why it cannot. No strategy is named but where the registry's own flags are checked. */
#include "runtime/policy/policy.h"
#include "runtime/prefetch/prefetch.h"
#include "simulator/scenario.h"
#include "simulator/simulate.h"
#include "simulator/source/source.h"
#include "simulator/strategy/strategy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../unit/trace_decode.h"

enum { MiB = 1 << 20 };

static void test_registry(void **unused)
{
  (void)unused;
  const char *const *names = emuv_strategy_names();
  size_t n = 0;
  for (; emuv_strategies[n]; n++) {
    const struct emuv_strategy_ops *ops = emuv_strategies[n];
    assert_string_equal(names[n], ops->name);
    assert_ptr_equal(emuv_strategy_find(ops->name), ops);
    assert_true(ops->summary && ops->summary[0] && !strchr(ops->summary, '\n') && strlen(ops->summary) <= 110);
    assert_non_null(ops->run);
  }
  assert_true(n >= 6);
  assert_null(names[n]);
  assert_null(emuv_strategy_find("hope"));
}

static struct emuv_config base(const char *source)
{
  struct emuv_config c;
  struct emuv_err err = {0};
  if (emuv_config_defaults(&c, &err) || emuv_preset_load_hardware("rtx-4060", &c, &err)) fail_msg("%s", err.text);
  strcpy(c.source, source);
  c.page_size = 256 << 10;
  c.slice = 2 * MiB;
  c.warmup = 1;
  c.tokens = 2;
  return c;
}

static struct emuv_config dense(void)
{
  struct emuv_config c = base("transformer");
  c.model = (struct emuv_model){.layers = 8,
                                .hidden = 512,
                                .heads = 8,
                                .kv_heads = 4,
                                .head_dim = 64,
                                .intermediate = 1536,
                                .vocab = 4000,
                                .experts = 1,
                                .experts_per_token = 1,
                                .mlp_matrices = 3};
  c.context = 2000;
  return c;
}

static struct emuv_config experts(void)
{
  struct emuv_config c = dense();
  c.model.experts = 8;
  c.model.experts_per_token = 2;
  c.routing_skew = 1;
  c.batch = 2;
  return c;
}

static struct emuv_config prefill(void)
{
  struct emuv_config c = dense();
  c.context = c.warmup = 0;
  c.prompt = 300;
  strcpy(c.write, "through");
  return c;
}

static struct emuv_config zipf(void)
{
  struct emuv_config c = base("pattern");
  strcpy(c.pattern.kind, "zipf");
  c.pattern.object = 300000;
  c.pattern.objects = 200;
  c.pattern.references = 800;
  c.pattern.write_ratio = 0.3;
  return c;
}

static char trace_path[64];

static struct emuv_config captured(void)
{
  struct decode d = {.layers = 6, .tokens = 6, .matrix_bytes = 4 * MiB, .launch_host_ns = 12000, .kernel_ns = 6000};
  struct emuv_config c = base("trace");
  decode_write(&d, fixture_path(trace_path));
  strcpy(c.trace, trace_path);
  return c;
}

static struct emuv_config (*const cases[])(void) = {dense, experts, prefill, zipf, captured};
enum { CASES = sizeof cases / sizeof *cases };

struct scene {
  struct emuv_config config;
  struct emuv_workload workload;
};

static void open_scene(struct scene *s, size_t i)
{
  struct emuv_err err = {0};
  s->config = cases[i]();
  if (emuv_workload_build(&s->config, &s->workload, &err)) fail_msg("%s", err.text);
  if (trace_path[0]) unlink(trace_path);
  trace_path[0] = 0;
}

static void close_scene(struct scene *s)
{
  emuv_workload_free(&s->workload);
}

/* Runs it twice: the same both times, and the books balance or a reason is given. Returns whether it ran. */
static bool run(const struct scene *s, const struct emuv_config *c, struct emuv_metrics *m)
{
  struct emuv_metrics again;
  struct emuv_err err = {0};
  int rc = emuv_simulate(c, &s->workload, m, &err);
  if (rc && rc != EMUV_ERR_NOSPACE && rc != EMUV_ERR_RANGE)
    fail_msg("%s on %s, VRAM %.1f MiB: %s", c->strategy, s->workload.name, (double)c->vram / MiB, err.text);
  if (rc) {
    assert_true(err.text[0]);
    return false;
  }
  if (emuv_metrics_check(m, &err)) fail_msg("%s on %s: %s", c->strategy, s->workload.name, err.text);
  assert_true(m->total_s > 0 && m->compute_s > 0 && m->bound_s > 0 && m->steps > 0 && m->tokens > 0);
  assert_true(m->bound_by && m->bound_by[0] && m->accesses > 0);
  assert_int_equal(emuv_simulate(c, &s->workload, &again, &err), 0);
  assert_true(again.total_s == m->total_s && again.faults == m->faults && again.h2d_bytes == m->h2d_bytes);
  return true;
}

static void through_memories(const struct scene *s, const char *strategy)
{
  static const double shares[] = {2, 1, 0.8, 0.5, 0.25, 0.1, 0.01};
  struct emuv_metrics m, best = {0};
  double bytes = (double)s->workload.address_bytes;
  for (size_t v = 0; v < sizeof shares / sizeof *shares; v++)
    for (int low = 0; low < 3; low++) {
      struct emuv_config c = s->config;
      strcpy(c.strategy, strategy);
      c.vram = (uint64_t)(bytes * shares[v]) + c.page_size;
      if (low) c.ram = (uint64_t)(bytes * 0.3);
      if (low == 2) c.nvme = (uint64_t)(bytes * 2);
      bool ran = run(s, &c, &m);
      if (v == 0 && low == 0 && !ran) fail_msg("%s cannot run %s with all in VRAM", strategy, s->workload.name);
      if (v == 0 && low == 0) best = m;
      if (ran && m.total_s < best.total_s * (1 - 1e-9)) fail_msg("%s: faster with less memory", strategy);
    }
}

static void test_every_strategy_on_every_workload(void **unused)
{
  (void)unused;
  for (size_t i = 0; i < CASES; i++) {
    struct scene s = {0};
    open_scene(&s, i);
    for (size_t k = 0; emuv_strategies[k]; k++) through_memories(&s, emuv_strategies[k]->name);
    close_scene(&s);
  }
}

/* The planner against each thing that it competes with, at one size of memory. */
static void planner_at(const struct scene *s, struct emuv_config *c)
{
  static const char *const others[] = {"stream", "uva", "layer-offload"};
  struct emuv_metrics planned, other;
  strcpy(c->strategy, "emuv");
  bool planner_ran = run(s, c, &planned);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    strcpy(c->strategy, others[i]);
    if (!run(s, c, &other)) continue;
    if (!planner_ran || planned.total_s > other.total_s * (1 + 1e-9))
      fail_msg("%s, VRAM %.1f MiB: %s takes %g s, the planner %g s (%s)", s->workload.name, (double)c->vram / MiB,
               others[i], other.total_s, planner_ran ? planned.total_s : -1, planned.plan);
  }
}

static void test_the_planner_is_never_slower(void **unused)
{
  (void)unused;
  for (size_t i = 0; i < CASES; i++) {
    struct scene s = {0};
    open_scene(&s, i);
    for (uint64_t tenths = 1; tenths < 12; tenths++)
      for (int low = 0; low < 2; low++) {
        struct emuv_config c = s.config;
        c.vram = s.workload.address_bytes * tenths / 10 + c.page_size;
        if (low) c.ram = s.workload.address_bytes / 2;
        if (low) c.nvme = 2 * s.workload.address_bytes;
        planner_at(&s, &c);
      }
    close_scene(&s);
  }
}

static void with_policies(const struct scene *s)
{
  for (size_t p = 0; emuv_policies[p]; p++)
    for (size_t f = 0; emuv_prefetchers[f]; f++)
      for (int tight = 0; tight < 2; tight++) {
        struct emuv_config c = s->config;
        struct emuv_metrics m;
        strcpy(c.strategy, "paged");
        strcpy(c.policy, emuv_policies[p]->name);
        strcpy(c.prefetch, emuv_prefetchers[f]->name);
        c.vram = s->workload.address_bytes / 3 + c.page_size;
        if (tight) c.ram = s->workload.address_bytes / 3;
        if (tight) c.nvme = 2 * s->workload.address_bytes;
        if (!run(s, &c, &m)) fail_msg("%s with %s cannot run %s", c.policy, c.prefetch, s->workload.name);
      }
}

static void test_every_policy_with_every_prefetcher(void **unused)
{
  (void)unused;
  for (size_t i = 0; i < CASES; i++) {
    struct scene s = {0};
    open_scene(&s, i);
    with_policies(&s);
    close_scene(&s);
  }
}

/* What the flags say: who looks at the policy, who at the size of VRAM. */
static void test_flags(void **unused)
{
  (void)unused;
  struct scene s = {0};
  open_scene(&s, 0);
  for (size_t k = 0; emuv_strategies[k]; k++) {
    const struct emuv_strategy_ops *ops = emuv_strategies[k];
    struct emuv_config c = s.config;
    struct emuv_metrics a, b;
    strcpy(c.strategy, ops->name);
    strcpy(c.policy, "lru");
    strcpy(c.prefetch, "none");
    c.vram = s.workload.address_bytes * 2 / 3;
    assert_true(run(&s, &c, &a));
    strcpy(c.policy, "belady");
    assert_true(run(&s, &c, &b));
    assert_int_equal((ops->flags & EMUV_STRATEGY_POLICY) != 0, a.total_s != b.total_s);
    c.vram = s.workload.address_bytes * 2;
    assert_true(run(&s, &c, &a));
    assert_int_equal((ops->flags & EMUV_STRATEGY_UNLIMITED) != 0, a.total_s == b.total_s);
  }
  close_scene(&s);
}

/* A plan run by the paging loop gives what the strategy itself predicts. */
static void check_plan(const struct scene *s, const struct emuv_config *c)
{
  struct emuv_metrics predicted, planned = {.bound_by = "compute"};
  struct emuv_plan plan;
  struct emuv_err err = {0};
  assert_true(run(s, c, &predicted));
  if (emuv_strategy_plan(c, &s->workload, &plan, &err)) fail_msg("%s: %s", c->strategy, err.text);
  assert_int_equal(plan.kind, EMUV_PLAN_PAGING);
  if (emuv_paging_run(c, &s->workload, &plan.paging, NULL, &planned, &err)) fail_msg("%s", err.text);
  if (fabs(planned.total_s - predicted.total_s) > 1e-6 * predicted.total_s) /* shares of slices are floats */
    fail_msg("%s on %s: the plan takes %.9g s, not %.9g", c->strategy, s->workload.name, planned.total_s,
             predicted.total_s);
  assert_true(planned.faults == predicted.faults && planned.h2d_bytes == predicted.h2d_bytes);
  assert_true(planned.d2h_bytes == predicted.d2h_bytes && planned.nvme_read_bytes == predicted.nvme_read_bytes);
  if (!plan.paging.all_resident) assert_int_equal(planned.hits, predicted.hits);
  if (plan.paging.all_resident) assert_int_equal(planned.faults, 0);
}

static void test_plans(void **unused)
{
  (void)unused;
  for (size_t i = 0; i < CASES; i++) {
    struct scene s = {0};
    open_scene(&s, i);
    for (size_t k = 0; emuv_strategies[k]; k++) {
      struct emuv_config c = s.config;
      struct emuv_plan plan;
      struct emuv_err err = {0};
      strcpy(c.strategy, emuv_strategies[k]->name);
      strcpy(c.plans, "paging");
      c.vram = s.workload.address_bytes / 2;
      c.ram = s.workload.address_bytes * 2;
      if (emuv_strategies[k]->plan) {
        check_plan(&s, &c);
        continue;
      }
      assert_int_equal(emuv_strategy_plan(&c, &s.workload, &plan, &err), EMUV_ERR_UNSUPPORTED);
      assert_non_null(strstr(err.text, c.strategy));
      assert_non_null(strstr(err.hint, "paged"));
    }
    close_scene(&s);
  }
}

/* With all of the card the planner of a machine still pages, where it would otherwise read in place. */
static void test_plans_that_no_machine_can_run(void **unused)
{
  (void)unused;
  struct scene s = {0};
  open_scene(&s, 0);
  struct emuv_config c = s.config;
  struct emuv_plan plan;
  struct emuv_err err = {0};
  strcpy(c.strategy, "emuv");
  c.vram = s.workload.address_bytes / 2;
  c.hw.h2d = c.hw.d2h = (struct emuv_curve){.n = 1, .point = {{.bytes = MiB, .bytes_per_s = 1e8}}};
  assert_int_equal(emuv_strategy_plan(&c, &s.workload, &plan, &err), EMUV_ERR_UNSUPPORTED);
  assert_int_equal(plan.kind, EMUV_PLAN_IN_PLACE);
  assert_non_null(strstr(err.hint, "plans: paging"));
  strcpy(c.plans, "paging");
  assert_int_equal(emuv_strategy_plan(&c, &s.workload, &plan, &err), 0);
  assert_int_equal(plan.kind, EMUV_PLAN_PAGING);
  close_scene(&s);
}

static void test_sources(void **unused)
{
  (void)unused;
  const char *const *names = emuv_source_names();
  for (size_t i = 0; emuv_sources[i]; i++) {
    assert_string_equal(names[i], emuv_sources[i]->name);
    assert_ptr_equal(emuv_source_find(names[i]), emuv_sources[i]);
    assert_true(emuv_sources[i]->summary[0] && !strchr(emuv_sources[i]->summary, '\n'));
  }
  assert_null(emuv_source_find("skeleton"));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_registry),
      cmocka_unit_test(test_sources),
      cmocka_unit_test(test_every_strategy_on_every_workload),
      cmocka_unit_test(test_the_planner_is_never_slower),
      cmocka_unit_test(test_every_policy_with_every_prefetcher),
      cmocka_unit_test(test_flags),
      cmocka_unit_test(test_plans),
      cmocka_unit_test(test_plans_that_no_machine_can_run),
  };
  return cmocka_run_group_tests_name("strategies", tests, NULL, NULL);
}
