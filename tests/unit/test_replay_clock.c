// SPDX-License-Identifier: Apache-2.0
/* The measured timeline: gaps are put down to what they waited for, total = compute + stalls, steps end with their last
 * kernel, warm-up is not counted; what a kernel does with pages. */
#include "runtime/replay/clock.h"
#include "runtime/replay/uses.h"
#include "simulator/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PAGE = 4096 };

/* Two launches per step, three steps of which the first is warm-up, the second a prefill. */
static void make_workload(struct emuv_workload *w)
{
  struct emuv_err err = {0};
  uint32_t a, b;
  *w = (struct emuv_workload){.warmup_steps = 1};
  assert_int_equal(emuv_workload_segment(w, "a", 8 * PAGE, EMUV_SEGMENT_WEIGHT, -1, PAGE, &a, &err), 0);
  assert_int_equal(emuv_workload_segment(w, "b", 4 * PAGE, EMUV_SEGMENT_KV, -1, PAGE, &b, &err), 0);
  for (int s = 0; s < 3; s++) {
    struct emuv_op op = {.launches = 1, .kernel_ns = 1000, .bytes = 6 * PAGE};
    assert_int_equal(emuv_workload_step(w, 1, s == 1, &err), 0);
    assert_int_equal(emuv_workload_op(w, &op, &err), 0);
    assert_int_equal(emuv_workload_range(w, a, 0, 6 * PAGE, EMUV_RANGE_READ, &err), 0);
    assert_int_equal(emuv_workload_range(w, a, 5 * PAGE, PAGE, EMUV_RANGE_READ | EMUV_RANGE_WRITE, &err), 0);
    op.bytes = 0;
    assert_int_equal(emuv_workload_op(w, &op, &err), 0);
    assert_int_equal(emuv_workload_range(w, b, 0, 2 * PAGE, EMUV_RANGE_WRITE | EMUV_RANGE_NEW, &err), 0);
  }
}

static void run_kernel(struct emuv_clock *c, uint64_t seq, double issue, double start, double end, double data,
                       bool disk)
{
  struct emuv_span span = {start, end};
  emuv_clock_launched(c, seq, issue);
  assert_true(emuv_clock_wants(c) == seq);
  emuv_clock_take(c, &span, data, disk);
}

static void test_gaps(void **unused)
{
  (void)unused;
  struct emuv_workload w;
  struct emuv_clock c;
  struct emuv_err err = {0};
  struct emuv_metrics m = {0};
  make_workload(&w);
  w.warmup_steps = 0;
  assert_int_equal(emuv_clock_init(&c, &w, 10, &err), 0);
  emuv_clock_start(&c, 0, 1000);
  run_kernel(&c, 1, 1200, 1210, 2210, 0, false);    /* 200 host, 10 of the launch */
  run_kernel(&c, 2, 1300, 2215, 3000, 0, false);    /* back to back: all compute */
  run_kernel(&c, 3, 1300, 3500, 4000, 3480, false); /* 480 link, 10 launch, 10 more of the link */
  run_kernel(&c, 4, 4100, 4700, 5000, 4690, true);  /* 100 host, 590 disk, 10 launch */
  run_kernel(&c, 5, 5600, 6000, 6100, 5100, false); /* 600 host (data came before), 10 launch, 390 host */
  emuv_clock_report(&c, 0, 0, &m);
  assert_float_equal(m.stall_host_s * 1e9, 200 + 100 + 600 + 390, 1e-3);
  assert_float_equal(m.stall_link_s * 1e9, 490, 1e-3);
  assert_float_equal(m.stall_disk_s * 1e9, 590, 1e-3);
  assert_float_equal(m.total_s * 1e9, 6100 - 1000, 1e-3);
  assert_float_equal(m.compute_s + m.stall_s, m.total_s, 1e-15);
  assert_true(m.energy_j < 0);
  emuv_clock_report(&c, 10, 100, &m);
  assert_float_equal(m.energy_j, 10 * m.total_s + 90 * m.compute_s, 1e-15);
  emuv_clock_free(&c);
  emuv_workload_free(&w);
}

static void test_steps(void **unused)
{
  (void)unused;
  struct emuv_workload w;
  struct emuv_clock c;
  struct emuv_err err = {0};
  struct emuv_metrics m = {0};
  make_workload(&w);
  assert_int_equal(emuv_clock_init(&c, &w, 0, &err), 0);
  emuv_clock_start(&c, 0, 0);
  emuv_clock_launched(&c, 1, 0);
  emuv_clock_launched(&c, 2, 0);
  emuv_clock_step_end(&c, 2);
  emuv_clock_launched(&c, 3, 0); /* of the next step, launched before the first one ended */
  assert_false(c.timed);
  emuv_clock_take(&c, &(struct emuv_span){0, 100}, 0, false);
  emuv_clock_take(&c, &(struct emuv_span){100, 300}, 0, false);
  assert_true(c.timed);
  emuv_clock_take(&c, &(struct emuv_span){300, 700}, 0, false);
  emuv_clock_step_end(&c, 3);
  emuv_clock_launched(&c, 4, 700);
  emuv_clock_step_end(&c, 4);
  emuv_clock_take(&c, &(struct emuv_span){700, 800}, 0, false);
  emuv_clock_report(&c, 0, 0, &m);
  assert_int_equal(m.steps, 2);
  assert_int_equal(m.tokens, 2);
  assert_int_equal(m.decode_steps, 1);
  assert_float_equal(m.first_s * 1e9, 400, 1e-3);
  assert_float_equal(m.prefill_s * 1e9, 400, 1e-3);
  assert_float_equal(m.decode_s * 1e9, 100, 1e-3);
  assert_float_equal(m.total_s * 1e9, 500, 1e-3);
  for (uint64_t i = 0; i < EMUV_CLOCK_PENDING; i++) emuv_clock_launched(&c, 5 + i, 0);
  assert_true(emuv_clock_full(&c) && emuv_clock_middle(&c) == 5 + EMUV_CLOCK_PENDING / 2);
  emuv_clock_start(&c, 2, 5000); /* after a pause that is nobody's; sums stay */
  assert_true(emuv_clock_wants(&c) == 0 && c.timed && c.sum.steps == 2);
  emuv_clock_free(&c);
  emuv_workload_free(&w);
}

static void test_uses(void **unused)
{
  (void)unused;
  struct emuv_workload w;
  struct emuv_program p;
  struct emuv_uses u;
  struct emuv_err err = {0};
  uint32_t frame[16];
  make_workload(&w);
  for (uint32_t i = 0; i < 16; i++) frame[i] = 100 + i;
  assert_int_equal(emuv_program_build(&w, PAGE, 64 * PAGE, &p, &err), 0);
  struct emuv_machine_run run = {.workload = &w, .program = &p, .page_bytes = PAGE};
  assert_int_equal(emuv_uses_init(&u, &run, &err), 0);

  /* Pages 0-5 read, page 5 referenced again and written: once, as read and written. */
  struct emuv_part part = {.slice = 0, .n_refs = 7, .share = 1, .closes = true};
  emuv_uses_build(&u, &run, &part, frame);
  assert_int_equal(u.n, 6);
  for (uint32_t i = 0; i < 6; i++) {
    assert_int_equal(u.use[i].page, i);
    assert_int_equal(u.use[i].frame, 100 + i);
    assert_true(u.use[i].read && !u.use[i].fresh && u.use[i].write == (i == 5));
    assert_true(u.use[i].bytes == PAGE);
  }
  /* A part of it: two of the references, at their share of the volume. */
  part = (struct emuv_part){.slice = 0, .first_ref = 4, .n_refs = 2, .share = 0.25};
  emuv_uses_build(&u, &run, &part, frame);
  assert_int_equal(u.n, 2);
  assert_int_equal(u.use[0].page, 4);
  assert_int_equal(u.use[1].page, 5);
  assert_true(u.use[0].bytes == 6 * PAGE / 4 / 2 && !u.use[1].write);
  /* Written whole: nothing is read; no volume recorded: that of the range. */
  part = (struct emuv_part){.slice = 1, .n_refs = 2, .share = 1, .closes = true};
  emuv_uses_build(&u, &run, &part, frame);
  assert_int_equal(u.n, 2);
  assert_int_equal(u.use[0].page, 8);
  assert_true(u.use[0].fresh && u.use[0].write && !u.use[0].read && u.use[0].bytes == PAGE);
  emuv_uses_free(&u);
  emuv_program_free(&p);
  emuv_workload_free(&w);
}

/* A page without data is written whole by whoever uses it first, and read from then on. */
static void test_births(void **unused)
{
  (void)unused;
  struct emuv_workload w = {0};
  struct emuv_program p;
  struct emuv_uses u;
  struct emuv_err err = {0};
  uint32_t frame[4] = {7}, a;
  struct emuv_op op = {.launches = 1, .kernel_ns = 1};
  assert_int_equal(emuv_workload_segment(&w, "a", PAGE, EMUV_SEGMENT_KV, -1, PAGE, &a, &err), 0);
  assert_int_equal(emuv_workload_step(&w, 1, false, &err), 0);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(emuv_workload_op(&w, &op, &err), 0);
    assert_int_equal(emuv_workload_range(&w, a, 0, 100, i ? EMUV_RANGE_READ : EMUV_RANGE_WRITE | EMUV_RANGE_NEW, &err),
                     0);
  }
  assert_int_equal(emuv_program_build(&w, PAGE, PAGE, &p, &err), 0);
  assert_int_equal(p.initial[0], 0);
  struct emuv_machine_run run = {.workload = &w, .program = &p, .page_bytes = PAGE};
  assert_int_equal(emuv_uses_init(&u, &run, &err), 0);
  struct emuv_part part = {.slice = 0, .n_refs = 1, .share = 1};
  emuv_uses_build(&u, &run, &part, frame);
  assert_true(u.n == 1 && u.use[0].fresh && u.use[0].write && !u.use[0].read && u.use[0].frame == 7);
  assert_int_equal(u.use[0].bytes, 112); /* 100, in units of 16 */
  part.slice = 1;
  emuv_uses_build(&u, &run, &part, frame);
  assert_true(u.n == 1 && !u.use[0].fresh && !u.use[0].write && u.use[0].read);
  emuv_uses_free(&u);
  emuv_program_free(&p);
  emuv_workload_free(&w);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gaps),
      cmocka_unit_test(test_steps),
      cmocka_unit_test(test_uses),
      cmocka_unit_test(test_births),
  };
  return cmocka_run_group_tests_name("replay_clock", tests, NULL, NULL);
}
