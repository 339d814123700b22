// SPDX-License-Identifier: Apache-2.0
/* The captured Llama decode in results/traces without its NVTX ranges, and without most of its device times. */
#include "../unit/trace_copy.h"

#include "simulator/source/trace_estimate.h"
#include "tracer/format/atoms.h"
#include "tracer/format/steps.h"
#include "tracer/format/working_set.h"

#include <math.h>

enum { TOKENS = 32 };
static const char TRACE[] = EMUV_SOURCE_DIR "/results/traces/llama-1.1b-decode.emuv";

struct opened {
  struct emuv_trace_data d;
  struct emuv_trace_space space;
  struct emuv_trace_order order;
  struct emuv_trace_steps steps;
  uint64_t *bytes; /* distinct, by step */
};

static void open_trace(const char *path, struct opened *o)
{
  struct emuv_trace_touches touches;
  struct emuv_trace_atoms atoms;
  struct emuv_err err;
  if (emuv_trace_load(path, &o->d, &err)) fail_msg("%s", err.text);
  assert_int_equal(emuv_trace_space_build(&o->d, &o->space, NULL), 0);
  assert_int_equal(emuv_trace_order_build(&o->d, &o->order, NULL), 0);
  assert_int_equal(emuv_trace_steps_find(&o->d, &o->order, &o->steps, NULL), 0);
  assert_int_equal(emuv_trace_touches_build(&o->d, &o->space, &o->order, &touches, NULL), 0);
  assert_int_equal(emuv_trace_atoms_build(&touches, EMUV_TRACE_REFERENCES_MOST, &atoms, NULL), 0);
  o->bytes = calloc(o->steps.n, sizeof *o->bytes);
  assert_int_equal(emuv_trace_working_set_steps(&touches, &atoms, &o->steps, o->bytes, NULL), 0);
  emuv_trace_atoms_free(&atoms);
  emuv_trace_touches_free(&touches);
}

static void close_trace(struct opened *o)
{
  free(o->bytes);
  emuv_trace_steps_free(&o->steps);
  emuv_trace_order_free(&o->order);
  emuv_trace_space_free(&o->space);
  emuv_trace_data_free(&o->d);
}

static bool no_ranges(struct emuv_trace_record *r)
{
  return r->type != EMUV_TRACE_RANGE;
}

/* The program decodes four tokens to warm up, prefills, and decodes 32. The ranges cover the prefill, too. */
static void steps_without_ranges(void **state)
{
  (void)state;
  char path[64];
  struct opened ranges, period;
  trace_copy(TRACE, fixture_path(path), no_ranges);
  open_trace(TRACE, &ranges);
  open_trace(path, &period);
  unlink(path);
  assert_int_equal(ranges.steps.how, EMUV_TRACE_STEPS_RANGES);
  assert_int_equal(period.steps.how, EMUV_TRACE_STEPS_PERIOD);
  assert_true(ranges.steps.step[1].prefill);
  assert_int_equal(ranges.steps.n, 1 + 1 + TOKENS);
  assert_int_equal(period.steps.n, 1 + TOKENS);
  for (size_t i = 1; i <= TOKENS; i++) {
    assert_int_equal(period.steps.step[i].first, ranges.steps.step[i + 1].first);
    assert_int_equal(period.steps.step[i].n, ranges.steps.step[i + 1].n);
    assert_int_equal(period.bytes[i], ranges.bytes[i + 1]);
  }
  close_trace(&ranges);
  close_trace(&period);
}

/* ---- device times ---- */

/* Of three launches one keeps its time; which one does not repeat with the tokens. */
static bool keeps_time(uint64_t correlation)
{
  return (correlation * UINT64_C(0x9E3779B97F4A7C15) >> 32) % 3 == 0;
}

static bool a_third_of_the_times(struct emuv_trace_record *r)
{
  struct emuv_trace_launch *l = &r->u.launch;
  if (r->type == EMUV_TRACE_LAUNCH && !keeps_time(l->correlation)) l->start_ns = l->end_ns = 0;
  return r->type != EMUV_TRACE_GPU_TIME || keeps_time(r->u.gpu_time.correlation);
}

static bool no_times(struct emuv_trace_record *r)
{
  if (r->type == EMUV_TRACE_LAUNCH) r->u.launch.start_ns = r->u.launch.end_ns = 0;
  return r->type != EMUV_TRACE_GPU_TIME;
}

/* Device time of the launches of the last steps, in ns; *missing of them have none. */
static double device_ns(const struct opened *o, size_t *estimated, size_t *missing)
{
  struct emuv_trace_cost *costs = calloc(o->order.n, sizeof *costs);
  double sum = 0;
  assert_non_null(costs);
  assert_int_equal(emuv_trace_time_costs(&o->d, &o->order, costs, NULL), 0);
  assert_int_equal(emuv_trace_estimate_times(&o->d, &o->order, costs, estimated, NULL), 0);
  *missing = 0;
  for (size_t i = o->steps.step[o->steps.n - TOKENS].first; i < o->order.n; i++) {
    if (o->order.calls[i].type != EMUV_TRACE_LAUNCH) continue;
    sum += costs[i].device_ns;
    *missing += costs[i].device_ns == 0;
  }
  free(costs);
  return sum;
}

static void missing_times_are_those_of_their_like(void **state)
{
  (void)state;
  char path[64];
  struct opened whole, third, none;
  size_t estimated, missing;
  open_trace(TRACE, &whole);
  trace_copy(TRACE, fixture_path(path), a_third_of_the_times);
  open_trace(path, &third);
  trace_copy(TRACE, path, no_times);
  open_trace(path, &none);
  unlink(path);
  double truth = device_ns(&whole, &estimated, &missing);
  assert_int_equal(estimated, 0);
  assert_int_equal(missing, 0);
  double guess = device_ns(&third, &estimated, &missing);
  print_message("device time of 32 tokens: %.3f ms, with %zu launches estimated %.3f ms\n", truth * 1e-6, estimated,
                guess * 1e-6);
  assert_true(estimated > third.d.n_launches / 2 && estimated < third.d.n_launches);
  assert_int_equal(missing, 0);
  assert_true(fabs(guess / truth - 1) < 0.05);
  assert_true(device_ns(&none, &estimated, &missing) == 0);
  assert_int_equal(estimated, 0);
  close_trace(&whole);
  close_trace(&third);
  close_trace(&none);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(steps_without_ranges),
      cmocka_unit_test(missing_times_are_those_of_their_like),
  };
  return cmocka_run_group_tests_name("steps and times of a captured decode", tests, NULL, NULL);
}
