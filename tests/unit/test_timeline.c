// SPDX-License-Identifier: Apache-2.0
/* The virtual clock, the lower bounds and the check of a result's books, in numbers that can be added up by hand. */
#include "simulator/simulate.h"
#include "simulator/timeline.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void check(double value, double expected)
{
  if (fabs(value - expected) > 1e-9 * fabs(expected) + 1e-15) fail_msg("%.12g, %.12g expected", value, expected);
}

/* 1 byte and 2 operations per ns at half efficiency, 10 ns per launch, 100 ns of the host for each. */
static struct emuv_config config(void)
{
  struct emuv_config c = {.vram = 1000, .ram = 2000, .page_size = 100, .launch_host = 100};
  c.hw = (struct emuv_hardware){.vram_rate = 2e9, .vram_efficiency = 0.5, .flops = 4e9, .flops_efficiency = 0.5};
  c.hw.launch = 10;
  c.hw.h2d = (struct emuv_curve){.n = 2, .point = {{1, 1e8}, {100, 5e8}}};
  c.hw.nvme_read = (struct emuv_curve){.n = 1, .point = {{1, 1e8}}};
  return c;
}

static void test_kernel_and_host_time(void **unused)
{
  (void)unused;
  struct emuv_config c = config();
  struct emuv_op op = {.launches = 3, .bytes = 1000, .flops = 200};
  check(emuv_timeline_kernel_ns(&c, &op), 30 + 1000); /* memory decides */
  op.flops = 6000;
  check(emuv_timeline_kernel_ns(&c, &op), 30 + 3000); /* arithmetic decides */
  op.kernel_ns = 77;
  check(emuv_timeline_kernel_ns(&c, &op), 77); /* measured */
  check(emuv_timeline_host_ns(&c, &op), 300);
  op.host_ns = 5;
  check(emuv_timeline_host_ns(&c, &op), 5);
}

static void test_gpu_waits_for_the_host(void **unused)
{
  (void)unused;
  struct emuv_config c = config();
  struct emuv_timeline t;
  struct emuv_op op = {.launches = 1, .kernel_ns = 40};
  emuv_timeline_init(&t, &c);
  emuv_timeline_mark(&t);
  for (int i = 0; i < 5; i++) {
    check(emuv_timeline_issue(&t, &op), 100 * (i + 1));
    emuv_timeline_run(&t, 0, false, 40, 0);
    emuv_timeline_finish(&t, &op);
  }
  check(t.gpu_ns, 540);
  check(t.compute_ns, 200);
  check(t.stall_host_ns, 340);
}

static void test_host_runs_ahead(void **unused)
{
  (void)unused;
  struct emuv_config c = config();
  struct emuv_timeline t;
  struct emuv_op op = {.launches = 1, .kernel_ns = 400};
  emuv_timeline_init(&t, &c);
  for (int i = 0; i < 5; i++) {
    emuv_timeline_issue(&t, &op);
    emuv_timeline_run(&t, 0, false, 400, 0);
  }
  check(t.gpu_ns, 100 + 5 * 400);
  check(t.host_ns, 500);
  op.sync = true;
  emuv_timeline_finish(&t, &op);
  check(t.host_ns, t.gpu_ns); /* and now it waits */
}

/* An op of many launches starts with the first of them and cannot end before its last one was issued. */
static void test_many_launches(void **unused)
{
  (void)unused;
  struct emuv_config c = config();
  struct emuv_timeline t;
  struct emuv_op op = {.launches = 10, .kernel_ns = 200};
  emuv_timeline_init(&t, &c);
  check(emuv_timeline_issue(&t, &op), 100);
  emuv_timeline_run(&t, 0, false, 200, 0);
  check(t.gpu_ns, 300);
  emuv_timeline_finish(&t, &op);
  check(t.gpu_ns, 1000 + 20);
  check(t.stall_host_ns, 100 + 720);
}

static void test_waiting_for_data(void **unused)
{
  (void)unused;
  struct emuv_config c = config();
  struct emuv_timeline t;
  struct emuv_metrics m = {0};
  struct emuv_op op = {.launches = 1};
  c.hw.power_idle = 10;
  c.hw.power_busy = 110;
  emuv_timeline_init(&t, &c);
  emuv_timeline_issue(&t, &op);
  emuv_timeline_run(&t, 600, false, 50, 0);
  emuv_timeline_run(&t, 1000, true, 50, 25);
  emuv_timeline_run(&t, 900, true, 50, 0); /* was there already */
  emuv_timeline_block(&t, 1500);
  check(t.host_ns, 1500);
  emuv_timeline_block(&t, 1200); /* long past */
  check(t.host_ns, 1500);
  emuv_timeline_report(&t, &m);
  check(m.stall_host_s, 100e-9);
  check(m.stall_disk_s, 350e-9);
  check(m.stall_link_s, (500 + 25 + 375) * 1e-9);
  check(m.compute_s, 150e-9);
  check(m.total_s, t.gpu_ns * 1e-9);
  check(m.energy_j, 10 * 1500e-9 + 100 * 150e-9);
  c.hw.power_busy = 0;
  emuv_timeline_report(&t, &m);
  assert_true(m.energy_j < 0);
}

static void add_step(struct emuv_workload *w, uint64_t tokens, bool prefill, uint64_t from, uint64_t bytes)
{
  struct emuv_op op = {.launches = 1, .kernel_ns = 1000, .sync = true};
  assert_int_equal(emuv_workload_step(w, tokens, prefill, NULL), 0);
  assert_int_equal(emuv_workload_op(w, &op, NULL), 0);
  assert_int_equal(emuv_workload_range(w, 0, from, bytes, EMUV_RANGE_READ, NULL), 0);
}

static struct emuv_workload workload(void)
{
  struct emuv_workload w = {.warmup_steps = 1};
  assert_int_equal(emuv_workload_segment(&w, "s", 10000, EMUV_SEGMENT_OTHER, -1, 1, NULL, NULL), 0);
  add_step(&w, 1, false, 0, 100);
  add_step(&w, 1, true, 0, 3000);
  add_step(&w, 2, false, 2000, 8000);
  return w;
}

static void test_steps(void **unused)
{
  (void)unused;
  struct emuv_config c = config();
  struct emuv_workload w = workload();
  struct emuv_timeline t;
  struct emuv_metrics m = {0};
  emuv_timeline_init(&t, &c);
  for (size_t s = 0; s < 3; s++) {
    emuv_timeline_step_begin(&t, &w, s);
    emuv_timeline_issue(&t, &w.ops[s]);
    emuv_timeline_run(&t, 0, false, 1000, 0);
    emuv_timeline_finish(&t, &w.ops[s]);
    emuv_timeline_step_end(&t, &w, s, &m);
  }
  emuv_timeline_report(&t, &m);
  check(m.total_s, 2200e-9); /* the warm-up is left out; each step waits 100 ns for its launch */
  check(m.compute_s, 2000e-9);
  check(m.prefill_s, 1100e-9);
  check(m.decode_s, 1100e-9);
  check(m.first_s, 1100e-9);
  assert_int_equal(m.tokens, 3);
  assert_int_equal(m.steps, 2);
  assert_int_equal(m.decode_steps, 1);
  assert_int_equal(m.decode_tokens, 2);
  emuv_workload_free(&w);
}

static struct emuv_metrics bound(const struct emuv_config *c, const struct emuv_workload *w, bool unlimited)
{
  struct emuv_metrics m = {0};
  struct emuv_err err = {0};
  assert_int_equal(emuv_bound_compute(c, w, unlimited, &m, &err), 0);
  return m;
}

/* 3000 and 8000 bytes in the timed steps, 1000 stay; the link moves 0.5 bytes per ns, the disk 0.1. */
static void test_bounds(void **unused)
{
  (void)unused;
  struct emuv_config c = config();
  struct emuv_workload w = workload();
  struct emuv_metrics m = bound(&c, &w, false);
  check(m.bound_compute_s, 2000e-9);
  check(m.bound_link_s, (4000 + 14000) * 1e-9);
  check(m.bound_disk_s, 0);
  check(m.bound_s, 18000e-9);
  assert_string_equal(m.bound_by, "link");
  c.nvme = 1 << 20; /* 3000 are held by VRAM and RAM */
  m = bound(&c, &w, false);
  check(m.bound_disk_s, 50000e-9);
  check(m.bound_s, (4000 + 50000) * 1e-9); /* step by step the largest */
  assert_string_equal(m.bound_by, "disk");
  m = bound(&c, &w, true);
  check(m.bound_s, 2000e-9);
  assert_string_equal(m.bound_by, "compute");
  c.launch_host = 3000; /* the step before ended with a synchronisation */
  check(bound(&c, &w, true).bound_s, 6000e-9);
  c.hw.zero_copy_rate = 1e9; /* the best way up counts */
  c.nvme = 0;
  check(bound(&c, &w, false).bound_link_s, 9000e-9);
  c.hw.pageable_rate = 2e9;
  check(bound(&c, &w, false).bound_link_s, 4500e-9);
  emuv_workload_free(&w);
}

/* Bytes used twice count once, bytes made in the step do not count. */
static void test_bound_counts_distinct_bytes(void **unused)
{
  (void)unused;
  struct emuv_config c = config();
  struct emuv_workload w = {0};
  struct emuv_op op = {.launches = 1};
  c.vram = 0;
  assert_int_equal(emuv_workload_segment(&w, "s", 10000, EMUV_SEGMENT_OTHER, -1, 1, NULL, NULL), 0);
  assert_int_equal(emuv_workload_step(&w, 1, false, NULL), 0);
  assert_int_equal(emuv_workload_op(&w, &op, NULL), 0);
  assert_int_equal(emuv_workload_range(&w, 0, 5000, 1000, EMUV_RANGE_READ, NULL), 0);
  assert_int_equal(emuv_workload_range(&w, 0, 0, 600, EMUV_RANGE_READ, NULL), 0);
  assert_int_equal(emuv_workload_op(&w, &op, NULL), 0);
  assert_int_equal(emuv_workload_range(&w, 0, 5500, 1000, EMUV_RANGE_READ, NULL), 0);
  assert_int_equal(emuv_workload_range(&w, 0, 9000, 100, EMUV_RANGE_WRITE | EMUV_RANGE_NEW, NULL), 0);
  assert_int_equal(emuv_workload_range(&w, 0, 9000, 100, EMUV_RANGE_READ, NULL), 0);
  check(bound(&c, &w, false).bound_link_s, 2100 / 5e8);
  emuv_workload_free(&w);
}

static struct emuv_metrics sound(void)
{
  return (struct emuv_metrics){.total_s = 3,
                               .compute_s = 1,
                               .stall_s = 2,
                               .bound_s = 2,
                               .accesses = 10,
                               .hits = 4,
                               .faults = 3,
                               .births = 2,
                               .remote = 1,
                               .h2d_bytes = 60,
                               .fault_bytes = 30,
                               .prefetch_bytes = 20,
                               .remote_bytes = 10,
                               .d2h_bytes = 5,
                               .writeback_bytes = 5};
}

static void test_the_books_are_checked(void **unused)
{
  (void)unused;
  struct emuv_metrics m = sound();
  struct emuv_err err = {0};
  assert_int_equal(emuv_metrics_check(&m, &err), 0);
  uint64_t *const counts[] = {&m.accesses,     &m.hits,      &m.faults,         &m.births,
                              &m.remote,       &m.h2d_bytes, &m.fault_bytes,    &m.prefetch_bytes,
                              &m.remote_bytes, &m.d2h_bytes, &m.writeback_bytes};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    m = sound();
    *counts[i] += 1;
    assert_int_equal(emuv_metrics_check(&m, &err), EMUV_ERR_INTERNAL);
  }
  double *const times[] = {&m.total_s, &m.compute_s, &m.stall_s, &m.bound_s};
  const double wrong[] = {3.001, 1.001, 1.999, 3.001};
  for (size_t i = 0; i < 4; i++) {
    m = sound();
    *times[i] = wrong[i];
    assert_int_equal(emuv_metrics_check(&m, &err), EMUV_ERR_INTERNAL);
  }
  m = sound();
  m.total_s = m.stall_s = (double)INFINITY;
  assert_int_equal(emuv_metrics_check(&m, &err), EMUV_ERR_INTERNAL);
  m.total_s = m.stall_s = (double)NAN;
  assert_int_equal(emuv_metrics_check(&m, &err), EMUV_ERR_INTERNAL);
}

static void test_unknown_names(void **unused)
{
  (void)unused;
  struct emuv_config c = config();
  struct emuv_workload w = {0};
  struct emuv_metrics m;
  struct emuv_err err = {0};
  strcpy(c.strategy, "nothing");
  strcpy(c.source, "nowhere");
  assert_int_equal(emuv_simulate(&c, &w, &m, &err), EMUV_ERR_INPUT);
  assert_int_equal(emuv_workload_build(&c, &w, &err), EMUV_ERR_INPUT);
  strcpy(c.strategy, "paged");
  strcpy(c.policy, "nobody");
  assert_int_equal(emuv_simulate(&c, &w, &m, &err), EMUV_ERR_INPUT);
}

/* More references, steps and candidates cost more: what time estimates rest on. */
static void test_cost_estimates(void **unused)
{
  (void)unused;
  struct emuv_config c = config();
  struct emuv_err err = {0};
  assert_int_equal(emuv_config_defaults(&c, &err), 0);
  strcpy(c.source, "pattern");
  double base = emuv_simulate_cost(&c);
  struct emuv_config d = c;
  d.pattern.references *= 10;
  assert_true(emuv_simulate_cost(&d) > 5 * base);
  d = c;
  d.page_size /= 4;
  assert_true(emuv_simulate_cost(&d) > base);
  d = c;
  strcpy(d.policy, "belady");
  assert_true(emuv_simulate_cost(&d) > base);
  strcpy(c.strategy, "emuv");
  assert_true(emuv_simulate_cost(&c) > base);
  strcpy(c.strategy, "uva");
  assert_true(emuv_simulate_cost(&c) < base);
  strcpy(c.strategy, "paged");
  strcpy(c.source, "trace");
  assert_true(emuv_simulate_cost(&c) > 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_kernel_and_host_time),
      cmocka_unit_test(test_gpu_waits_for_the_host),
      cmocka_unit_test(test_host_runs_ahead),
      cmocka_unit_test(test_many_launches),
      cmocka_unit_test(test_waiting_for_data),
      cmocka_unit_test(test_steps),
      cmocka_unit_test(test_bounds),
      cmocka_unit_test(test_bound_counts_distinct_bytes),
      cmocka_unit_test(test_the_books_are_checked),
      cmocka_unit_test(test_unknown_names),
      cmocka_unit_test(test_cost_estimates),
  };
  return cmocka_run_group_tests_name("timeline and bounds", tests, NULL, NULL);
}
