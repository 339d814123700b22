// SPDX-License-Identifier: Apache-2.0
/* The trace source on a synthetic decode whose steps, bytes and times are known, and the period finder. */
#include "trace_decode.h"

#include "simulator/source/source.h"
#include "simulator/source/trace.h"
#include "tracer/format/steps.h"

#include <math.h>

static struct decode host_bound(void)
{
  return (struct decode){
      .layers = 6, .tokens = 12, .matrix_bytes = 8 << 20, .launch_host_ns = 12000, .kernel_ns = 6000};
}

static struct decode device_bound(void)
{
  struct decode d = host_bound();
  d.launch_host_ns = 3000;
  d.kernel_ns = 40000;
  return d;
}

static struct emuv_config config_for(const char *path, uint64_t warmup, uint64_t tokens)
{
  struct emuv_config c = {.warmup = warmup, .tokens = tokens};
  snprintf(c.trace, sizeof c.trace, "%s", path);
  return c;
}

static struct emuv_workload build(struct decode *d, uint64_t warmup, uint64_t tokens)
{
  char path[64];
  decode_write(d, fixture_path(path));
  struct emuv_config c = config_for(path, warmup, tokens);
  struct emuv_workload w = {0};
  struct emuv_err err = {0};
  const struct emuv_source_ops *source = emuv_source_find("trace");
  assert_non_null(source);
  if (source->build(&c, &w, &err) != 0) fail_msg("%s", err.text);
  unlink(path);
  return w;
}

static uint64_t step_bytes(const struct emuv_workload *w, size_t step, int kind)
{
  uint64_t bytes = 0;
  const struct emuv_step *s = &w->steps[step];
  for (uint32_t i = s->first_op; i < s->first_op + s->n_ops; i++)
    for (uint32_t r = 0; r < w->ops[i].n_ranges; r++) {
      const struct emuv_range *range = &w->ranges[w->ops[i].first_range + r];
      if ((int)w->segments[range->segment].kind == kind) bytes += range->bytes;
    }
  return bytes;
}

/* Host and device clocks as the cost model runs them, everything resident. Seconds per step in ns[]. */
static void play(const struct emuv_workload *w, double *ns)
{
  double host = 0, device = 0;
  for (size_t s = 0; s < w->n_steps; s++) {
    double begin = host;
    for (uint32_t i = w->steps[s].first_op; i < w->steps[s].first_op + w->steps[s].n_ops; i++) {
      const struct emuv_op *op = &w->ops[i];
      assert_true(op->host_ns > 0 && op->kernel_ns > 0);
      host += op->host_ns;
      device = (host > device ? host : device) + op->kernel_ns;
      if (op->sync && device > host) host = device;
    }
    ns[s] = host - begin;
  }
}

static void check_decode(struct decode d)
{
  struct emuv_workload w = build(&d, 0, 0);
  assert_int_equal(w.warmup_steps, 1);
  assert_int_equal(w.n_steps, 1 + d.tokens);
  assert_string_equal(w.work_unit, "token");
  assert_int_equal(w.steps[0].tokens, 0);
  assert_int_equal(w.weight_bytes, d.weight_bytes);
  assert_true(w.content_hash != 0);
  double ns[300];
  play(&w, ns);
  for (uint32_t t = 0; t < d.tokens; t++) {
    uint64_t end = t + 1 < d.tokens ? d.token_begin_ns[t + 1] : d.end_ns;
    double truth = (double)(end - d.token_begin_ns[t]);
    assert_int_equal(w.steps[1 + t].tokens, 1);
    assert_int_equal(step_bytes(&w, 1 + t, EMUV_SEGMENT_WEIGHT), d.weight_bytes);
    if (fabs(ns[1 + t] - truth) > 0.01 * truth)
      fail_msg("token %u: played %.0f ns, captured %.0f ns", t, ns[1 + t], truth);
  }
  emuv_workload_free(&w);
}

static void decode_with_ranges(void **state)
{
  (void)state;
  struct decode d = host_bound();
  d.nvtx = true;
  check_decode(d);
  d = device_bound();
  d.nvtx = true;
  check_decode(d);
}

static void decode_by_period(void **state)
{
  (void)state;
  check_decode(host_bound());
  check_decode(device_bound());
  struct decode d = host_bound();
  d.late_times = true;
  check_decode(d);
  d.layers = 1;
  check_decode(d);
}

static void only_touched_memory_counts(void **state)
{
  (void)state;
  struct decode d = host_bound();
  d.growing_cache = true;
  struct emuv_workload w = build(&d, 0, 0);
  /* two weights per layer, three parts of the activations, and one new object per token */
  assert_int_equal(w.n_segments, 2 * d.layers + 3 + d.tokens);
  uint64_t others = 0;
  for (size_t i = 0; i < w.n_segments; i++)
    if (w.segments[i].kind != EMUV_SEGMENT_WEIGHT) others += w.segments[i].bytes;
  /* a bounded operand ends where the next one starts; the last one known starts at 64 KiB and has 4 bytes */
  assert_int_equal(others, 65536 + 4 + (uint64_t)d.tokens * 4096);
  assert_true(w.address_bytes < d.weight_bytes + others + 512 * w.n_segments);
  emuv_workload_free(&w);
}

static void copies_write_whole_ranges(void **state)
{
  (void)state;
  struct decode d = host_bound();
  struct emuv_workload w = build(&d, 0, 0);
  uint64_t fresh = 0;
  for (uint32_t i = 0; i < w.steps[0].n_ops; i++) {
    const struct emuv_op *op = &w.ops[i];
    if (strcmp(op->name, "copy h2d") != 0) continue;
    assert_int_equal(op->n_ranges, 1);
    assert_int_equal(w.ranges[op->first_range].flags, EMUV_RANGE_WRITE | EMUV_RANGE_NEW);
    assert_true(op->sync);
    fresh += w.ranges[op->first_range].bytes;
  }
  assert_int_equal(fresh, d.weight_bytes);
  const struct emuv_step *s = &w.steps[3];
  const struct emuv_op *last = &w.ops[s->first_op + s->n_ops - 1];
  assert_string_equal(last->name, "copy d2h");
  assert_int_equal(w.ranges[last->first_range].flags, EMUV_RANGE_READ);
  assert_true(last->sync);
  assert_string_equal(w.ops[s->first_op].name, "kernel_3");
  assert_false(w.ops[s->first_op].sync);
  emuv_workload_free(&w);
}

static void warmup_and_tokens_select_steps(void **state)
{
  (void)state;
  struct decode d = host_bound();
  struct emuv_workload w = build(&d, 2, 5);
  assert_int_equal(w.warmup_steps, 3);
  assert_int_equal(w.n_steps, 3 + 5);
  assert_int_equal(w.weight_bytes, d.weight_bytes);
  emuv_workload_free(&w);
  d = host_bound();
  w = build(&d, 1000, 5);
  assert_int_equal(w.n_steps, 1 + d.tokens);
  assert_int_equal(w.warmup_steps, d.tokens);
  emuv_workload_free(&w);
}

/* Each layer's two matrices belong to one layer, whichever way the cut falls; what all layers share belongs to none. */
static void layers_are_found(void **state)
{
  (void)state;
  struct decode d = host_bound();
  struct emuv_workload w = build(&d, 0, 0);
  uint32_t matrices[64] = {0}, in_layers = 0;
  for (size_t i = 0; i < w.n_segments; i++) {
    const struct emuv_segment *s = &w.segments[i];
    if (s->kind != EMUV_SEGMENT_WEIGHT) assert_int_equal(s->layer, -1);
    assert_in_range(s->layer + 1, 0, d.layers);
    if (s->layer >= 0) matrices[s->layer]++;
  }
  for (uint32_t l = 0; l < d.layers; l++) {
    assert_int_equal(matrices[l], 2);
    in_layers += matrices[l];
  }
  assert_int_equal(in_layers, 2 * d.layers);
  for (uint32_t i = 0; i < w.steps[0].n_ops; i++) assert_int_equal(w.ops[i].layer, -1);
  for (uint32_t i = 1; i < w.steps[2].n_ops; i++) {
    const struct emuv_op *op = &w.ops[w.steps[2].first_op + i];
    if (op->layer >= 0 && op[-1].layer >= 0) assert_in_range(op->layer - op[-1].layer, 0, 1);
  }
  emuv_workload_free(&w);
}

static void without_steps_everything_is_timed(void **state)
{
  (void)state;
  struct decode d = host_bound();
  d.tokens = 0;
  d.layers = 1;
  struct emuv_workload w = build(&d, 1, 1);
  assert_int_equal(w.n_steps, 1);
  assert_int_equal(w.warmup_steps, 0);
  assert_int_equal(w.steps[0].tokens, w.n_ops);
  assert_string_equal(w.work_unit, "access");
  emuv_workload_free(&w);
}

static void empty_trace_is_refused(void **state)
{
  (void)state;
  char path[64];
  struct emuv_trace_writer *writer;
  assert_int_equal(emuv_trace_writer_open(&writer, fixture_path(path), NULL, NULL), 0);
  assert_int_equal(emuv_trace_writer_close(writer, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, NULL), 0);
  struct emuv_config c = config_for(path, 0, 0);
  struct emuv_workload w = {0};
  struct emuv_err err;
  assert_int_equal(emuv_source_find("trace")->build(&c, &w, &err), EMUV_ERR_INPUT);
  unlink(path);
  assert_int_equal(emuv_source_find("trace")->build(&c, &w, &err), EMUV_ERR_IO);
  assert_null(w.ops);
}

static void periods_are_found(void **state)
{
  (void)state;
  enum { N = 9000 };
  static uint32_t symbols[N];
  struct emuv_rng rng;
  emuv_rng_seed(&rng, 3);
  size_t begin, end;
  for (size_t i = 0; i < N; i++) symbols[i] = (uint32_t)emuv_rng_below(&rng, 50);
  assert_int_equal(emuv_trace_period(symbols, N, &begin, &end), 0);
  /* noise, then a step of 13 loops of 20 and a tail of 7; one symbol in 100 is wrong */
  for (size_t i = 2000; i < N; i++) {
    size_t phase = (i - 2000) % 267;
    symbols[i] = 100 + (uint32_t)(phase < 260 ? phase % 20 : phase);
    if (emuv_rng_below(&rng, 200) == 0) symbols[i] = 7;
  }
  assert_int_equal(emuv_trace_period(symbols, N, &begin, &end), 267);
  assert_in_range(begin, 1800, 2300);
  assert_in_range(end, N - 300, N);
  assert_int_equal(emuv_trace_period(symbols, 0, &begin, &end), 0);
  assert_int_equal(emuv_trace_period(symbols, 3, &begin, &end), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(decode_with_ranges),
      cmocka_unit_test(decode_by_period),
      cmocka_unit_test(only_touched_memory_counts),
      cmocka_unit_test(copies_write_whole_ranges),
      cmocka_unit_test(warmup_and_tokens_select_steps),
      cmocka_unit_test(layers_are_found),
      cmocka_unit_test(without_steps_everything_is_timed),
      cmocka_unit_test(empty_trace_is_refused),
      cmocka_unit_test(periods_are_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
