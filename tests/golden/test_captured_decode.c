// SPDX-License-Identifier: Apache-2.0
/* The captured Llama decode in results/traces through the simulator: what it touches, how long it takes with everything
 * in VRAM, and what half the VRAM does to `lru` and `belady`. The reference values come from the program that was
 * traced (its parameters) and from the trace's own NVTX ranges, not from the simulator. */
#include "simulator/scenario.h"
#include "simulator/simulate.h"
#include "tracer/format/load.h"
#include "tracer/format/steps.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* From results/traces/llama-1.1b-decode.parameters.json: all parameters but the embedding table, fp16. */
static const double PARAMETER_BYTES = 2069024768.0;
static const char TRACE[] = EMUV_SOURCE_DIR "/results/traces/llama-1.1b-decode.emuv";

static struct emuv_config config_of(const char *strategy, const char *policy, uint64_t vram)
{
  char text[1024], a[64], b[64], c[64];
  struct emuv_scenario s;
  struct emuv_err err = {0};
  int n = snprintf(text, sizeof text, "trace: \"%s\"\nhardware: h200\ntokens: 1000000\n", TRACE);
  snprintf(a, sizeof a, "strategy=%s", strategy);
  snprintf(b, sizeof b, "policy=%s", policy);
  snprintf(c, sizeof c, "vram=%llu", (unsigned long long)vram);
  const char *overrides[] = {a, b, c};
  assert_int_equal(emuv_scenario_parse("test.yaml", text, (size_t)n, overrides, 3, &s, &err), 0);
  assert_int_equal(s.n_configs, 1);
  struct emuv_config config = s.configs[0];
  emuv_scenario_free(&s);
  return config;
}

static struct emuv_metrics run(const struct emuv_config *config, const struct emuv_workload *w)
{
  struct emuv_metrics m;
  struct emuv_err err = {0};
  int rc = emuv_simulate(config, w, &m, &err);
  if (rc) fail_msg("%s", err.text);
  return m;
}

struct fixture {
  struct emuv_workload w;
  struct emuv_config resident;
};

static int setup(void **state)
{
  static struct fixture f;
  struct emuv_err err = {0};
  f.resident = config_of("resident", "lru", (uint64_t)4 << 30);
  *state = &f;
  return emuv_workload_build(&f.resident, &f.w, &err);
}

static int teardown(void **state)
{
  emuv_workload_free(&((struct fixture *)*state)->w);
  return 0;
}

/* Bytes of weight segments that a step's launches read, each byte once. */
static double weight_bytes_of_step(const struct emuv_workload *w, size_t step)
{
  double sum = 0;
  for (size_t i = 0; i < w->n_segments; i++) {
    uint64_t used = 0;
    if (w->segments[i].kind != EMUV_SEGMENT_WEIGHT) continue;
    const struct emuv_step *s = &w->steps[step];
    const struct emuv_op *first = &w->ops[s->first_op], *last = &w->ops[s->first_op + s->n_ops - 1];
    for (size_t r = first->first_range; r < last->first_range + last->n_ranges; r++)
      if (w->ranges[r].segment == i && w->ranges[r].bytes > used) used = w->ranges[r].bytes;
    sum += (double)used;
  }
  return sum;
}

static void weights_of_a_token(void **state)
{
  const struct fixture *f = *state;
  double bytes = weight_bytes_of_step(&f->w, f->w.n_steps - 1);
  assert_true(fabs(bytes / PARAMETER_BYTES - 1) < 0.05);
}

static double captured_seconds_per_token(void)
{
  struct emuv_trace_data d;
  struct emuv_trace_order order;
  struct emuv_trace_steps steps;
  double sum = 0;
  size_t n = 0;
  assert_int_equal(emuv_trace_load(TRACE, &d, NULL), 0);
  assert_int_equal(emuv_trace_order_build(&d, &order, NULL), 0);
  assert_int_equal(emuv_trace_steps_find(&d, &order, &steps, NULL), 0);
  for (size_t i = 1; i < steps.n; i++) {
    if (steps.step[i].prefill) continue;
    sum += (double)(steps.step[i].end_ns - steps.step[i].begin_ns) * 1e-9;
    n++;
  }
  emuv_trace_steps_free(&steps);
  emuv_trace_order_free(&order);
  emuv_trace_data_free(&d);
  assert_int_equal(n, 32);
  return sum / (double)n;
}

static void resident_time_is_the_captured_time(void **state)
{
  const struct fixture *f = *state;
  struct emuv_metrics m = run(&f->resident, &f->w);
  assert_int_equal(m.tokens, 32);
  assert_int_equal(m.faults, 0);
  double captured = captured_seconds_per_token(), simulated = m.total_s / (double)m.tokens;
  print_message("s per token: captured %.6f, simulated %.6f\n", captured, simulated);
  assert_true(fabs(simulated / captured - 1) < 0.05);
}

static void half_the_vram(void **state)
{
  const struct fixture *f = *state;
  uint64_t half = f->w.address_bytes / 2;
  struct emuv_config lru = config_of("paged", "lru", half), belady = config_of("paged", "belady", half);
  struct emuv_metrics l = run(&lru, &f->w), b = run(&belady, &f->w);
  double of_lru = (double)l.fault_bytes / (double)l.tokens / PARAMETER_BYTES;
  double of_belady = (double)b.fault_bytes / (double)b.tokens / PARAMETER_BYTES;
  print_message("reloaded per token, of the weights: lru %.3f, belady %.3f\n", of_lru, of_belady);
  assert_true(of_lru > 0.95 && of_lru < 1.05);
  assert_true(of_belady > 0.4 && of_belady < 0.55);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(weights_of_a_token),
      cmocka_unit_test(resident_time_is_the_captured_time),
      cmocka_unit_test(half_the_vram),
  };
  return cmocka_run_group_tests_name("captured decode", tests, setup, teardown);
}
