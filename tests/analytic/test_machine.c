// SPDX-License-Identifier: Apache-2.0
/* The paging loop and the machine that it drives, in closed form: the order of the calls and what they cover, what the
 * kernels of a replay cost. */
#include "runtime/core/program.h"
#include "simulator/machine_virtual.h"
#include "simulator/scenario.h"
#include "simulator/simulate.h"
#include "simulator/strategy/planner.h"
#include "simulator/strategy/strategy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t PAGE = UINT64_C(1) << 20;

/* One launch of `pages` pages a reference, 1 us per page at 1 TiB/s, in slices of `slice` pages. */
static struct emuv_config launches(uint64_t objects, uint64_t pages, uint64_t references, uint64_t slice,
                                   uint64_t frames)
{
  struct emuv_config c;
  struct emuv_err err = {0};
  if (emuv_config_defaults(&c, &err) || emuv_preset_load_hardware("rtx-4090", &c, &err)) fail_msg("%s", err.text);
  strcpy(c.source, "pattern");
  strcpy(c.policy, "lru");
  strcpy(c.prefetch, "none");
  strcpy(c.pattern.kind, "cyclic");
  c.page_size = PAGE;
  c.pattern.object = pages * PAGE;
  c.pattern.objects = objects;
  c.pattern.references = references;
  c.slice = slice * PAGE;
  c.vram = frames * PAGE;
  c.tokens = 1;
  c.warmup = 0;
  c.launch_host = 0;
  c.hw.launch = 0;
  c.hw.vram_efficiency = 1;
  c.hw.vram_rate = (double)PAGE * 1e6;
  c.hw.h2d = c.hw.d2h = (struct emuv_curve){.n = 1, .point = {{PAGE, (double)PAGE * 1e5}}}; /* 10 us a page */
  c.hw.duplex_rate = 0;
  c.hw.fault = 0;
  return c;
}

/* Wraps the virtual machine and checks the contract of machine.h. */
struct watch {
  struct emuv_machine machine; /* first */
  struct emuv_machine_virtual inner;
  const struct emuv_machine_run *run;
  enum { CLOSED, OPEN, PLACED, IN_STEP, REACHED, REPORTED } state;
  uint32_t slice, refs_done, parts;
  double share;
};

static struct watch *watch(struct emuv_machine *machine)
{
  return (struct watch *)machine;
}

static int watch_open(struct emuv_machine *machine, const struct emuv_machine_run *run, struct emuv_err *err)
{
  struct watch *w = watch(machine);
  assert_int_equal(w->state, CLOSED);
  w->run = run;
  w->state = OPEN;
  int rc = w->inner.machine.ops->open(&w->inner.machine, run, err);
  machine->ram = w->inner.machine.ram;
  machine->nvme = w->inner.machine.nvme;
  return rc;
}

static void watch_close(struct emuv_machine *machine)
{
  struct watch *w = watch(machine);
  assert_int_not_equal(w->state, CLOSED);
  w->state = CLOSED;
  w->inner.machine.ops->close(&w->inner.machine);
}

static int watch_placed(struct emuv_machine *machine, struct emuv_err *err)
{
  struct watch *w = watch(machine);
  (void)err;
  assert_int_equal(w->state, OPEN);
  w->state = PLACED;
  for (uint32_t i = 0; i < w->run->program->n_pages; i++)
    if (w->run->program->initial[i]) assert_true(w->run->pager->state[i] & (EMUV_PAGE_RAM | EMUV_PAGE_NVME));
  return 0;
}

static int watch_step_begin(struct emuv_machine *machine, size_t step, struct emuv_err *err)
{
  struct watch *w = watch(machine);
  assert_int_equal(w->state, PLACED);
  w->state = IN_STEP;
  assert_int_equal(w->slice, w->run->program->step_first_slice[step]);
  return w->inner.machine.ops->step_begin(&w->inner.machine, step, err);
}

static int watch_step_end(struct emuv_machine *machine, size_t step, struct emuv_metrics *m, struct emuv_err *err)
{
  struct watch *w = watch(machine);
  assert_int_equal(w->state, IN_STEP);
  w->state = PLACED;
  return w->inner.machine.ops->step_end(&w->inner.machine, step, m, err);
}

static int watch_reach(struct emuv_machine *machine, uint32_t slice, double *start_ns, struct emuv_err *err)
{
  struct watch *w = watch(machine);
  assert_int_equal(w->state, IN_STEP);
  assert_int_equal(slice, w->slice);
  w->state = REACHED;
  w->refs_done = 0;
  w->share = 0;
  w->inner.machine.ram = machine->ram; /* the pager calls these */
  int rc = w->inner.machine.ops->reach(&w->inner.machine, slice, start_ns, err);
  machine->ram = w->inner.machine.ram;
  machine->issued_ns = w->inner.machine.issued_ns;
  return rc;
}

/* Each page of the part is in VRAM, in a frame that no other page of it has. */
static void check_pages(const struct watch *w, const struct emuv_part *part)
{
  const struct emuv_program *p = w->run->program;
  const struct emuv_slice *s = &p->slices[part->slice];
  uint32_t ref = 0, *owner = malloc(w->run->vram_frames * sizeof *owner);
  assert_non_null(owner);
  memset(owner, 0xff, w->run->vram_frames * sizeof *owner);
  for (uint32_t r = 0; r < s->n_runs; r++)
    for (uint32_t i = 0; i < p->runs[s->first_run + r].n; i++, ref++) {
      if (ref < part->first_ref || ref >= part->first_ref + part->n_refs) continue;
      uint32_t page = p->runs[s->first_run + r].first + i, frame = w->run->pager->vram_frame[page];
      assert_true(w->run->pager->state[page] & EMUV_PAGE_VRAM);
      assert_true(frame < w->run->vram_frames);
      assert_true(owner[frame] == UINT32_MAX || owner[frame] == page);
      owner[frame] = page;
    }
  free(owner);
}

static uint32_t refs_of(const struct emuv_program *p, uint32_t slice)
{
  uint32_t n = 0;
  for (uint32_t r = 0; r < p->slices[slice].n_runs; r++) n += p->runs[p->slices[slice].first_run + r].n;
  return n;
}

static int watch_run(struct emuv_machine *machine, const struct emuv_part *part,
                     const struct emuv_pager_outcome *outcome, double *end_ns, struct emuv_err *err)
{
  struct watch *w = watch(machine);
  const struct emuv_program *p = w->run->program;
  assert_int_equal(w->state, REACHED);
  assert_int_equal(part->slice, w->slice);
  assert_int_equal(part->first_ref, w->refs_done);
  check_pages(w, part);
  w->refs_done += part->n_refs;
  w->share += part->share;
  w->parts++;
  if (w->refs_done == refs_of(p, part->slice)) {
    bool last = part->slice + 1 == p->n_slices;
    assert_true(part->closes == (last || p->slices[part->slice + 1].opens_op));
    assert_true(fabs(w->share - (double)p->slices[part->slice].share) < 1e-6);
    w->slice++;
    w->state = IN_STEP;
  } else {
    assert_false(part->closes);
  }
  w->inner.machine.ram = machine->ram;
  int rc = w->inner.machine.ops->run(&w->inner.machine, part, outcome, end_ns, err);
  machine->ram = w->inner.machine.ram;
  return rc;
}

static int watch_evict(struct emuv_machine *machine, uint32_t page, uint32_t frame, struct emuv_err *err)
{
  struct watch *w = watch(machine);
  (void)err;
  assert_true(w->state == REACHED || w->state == IN_STEP);
  assert_int_equal(w->run->pager->vram_frame[page], frame);
  return 0;
}

static int watch_report(struct emuv_machine *machine, struct emuv_metrics *m, struct emuv_err *err)
{
  struct watch *w = watch(machine);
  assert_int_equal(w->state, PLACED);
  assert_int_equal(w->slice, w->run->program->n_slices);
  w->state = REPORTED;
  w->inner.machine.ram = machine->ram; /* the pager called these */
  w->inner.machine.nvme = machine->nvme;
  return w->inner.machine.ops->report(&w->inner.machine, m, err);
}

static const struct emuv_machine_ops watch_ops = {
    .name = "watch",
    .open = watch_open,
    .close = watch_close,
    .placed = watch_placed,
    .step_begin = watch_step_begin,
    .step_end = watch_step_end,
    .reach = watch_reach,
    .run = watch_run,
    .evict = watch_evict,
    .report = watch_report,
};

/* Runs it on the simulator's machine and on the watched one: the same. Returns the parts that ran. */
static uint32_t run(const struct emuv_config *c, struct emuv_metrics *m)
{
  struct emuv_workload workload;
  struct emuv_plan plan;
  struct emuv_err err = {0};
  struct emuv_metrics plain = {.bound_by = "compute"};
  struct watch w = {.machine.ops = &watch_ops};
  emuv_machine_virtual_init(&w.inner);
  *m = plain;
  if (emuv_workload_build(c, &workload, &err) || emuv_strategy_plan(c, &workload, &plan, &err) ||
      emuv_paging_run(c, &workload, &plan.paging, NULL, &plain, &err) ||
      emuv_paging_run(c, &workload, &plan.paging, &w.machine, m, &err) || emuv_metrics_check(m, &err))
    fail_msg("%s", err.text);
  assert_int_equal(w.state, CLOSED);
  assert_true(m->total_s == plain.total_s && m->hits == plain.hits && m->h2d_bytes == plain.h2d_bytes);
  emuv_workload_free(&workload);
  return w.parts;
}

static void check_time(double seconds, double expected_us)
{
  if (fabs(seconds * 1e6 - expected_us) > 1e-4 * expected_us) fail_msg("%g us, not %g", seconds * 1e6, expected_us);
}

static void test_the_order_of_calls(void **unused)
{
  (void)unused;
  static const char *const prefetchers[] = {"none", "oracle"};
  for (int through = 0; through < 2; through++)
    for (int disk = 0; disk < 2; disk++)
      for (int p = 0; p < 2; p++) {
        struct emuv_config c = launches(20, 8, 100, 4, 50);
        struct emuv_metrics m;
        strcpy(c.prefetch, prefetchers[p]);
        strcpy(c.write, through ? "through" : "back");
        c.pattern.write_ratio = 0.3;
        c.warmup = 1;
        if (disk) c.ram = 30 * PAGE, c.nvme = 1000 * PAGE, c.hw.nvme_read = c.hw.nvme_write = c.hw.h2d;
        /* A window of one page (a 64th of what VRAM lacks) holds no two slices, so each page is one. */
        assert_int_equal(run(&c, &m), p ? 2 * 100 * 8 : 2 * 100 * 2);
        strcpy(c.strategy, "emuv");
        strcpy(c.plans, "paging");
        run(&c, &m);
      }
}

/* All in VRAM: 50 references of 8 pages. A kernel is a slice of 4 pages. */
static void test_what_kernels_cost(void **unused)
{
  (void)unused;
  struct emuv_config c = launches(5, 8, 50, 4, 100);
  struct emuv_metrics m;
  c.warmup = 1;
  run(&c, &m);
  check_time(m.total_s, 50 * 8);
  c.hw.kernel_gap = 500;
  run(&c, &m);
  check_time(m.total_s, 50 * 2 * 4.5);
  c.hw.kernel_min = 6000; /* beside the 4 us in which it reads its pages */
  run(&c, &m);
  check_time(m.total_s, 50 * 2 * 10.5);
  check_time(m.compute_s, 50 * 2 * 10.5);
  c.hw.kernel_host = 2000; /* hidden, but for the first after the warm-up: the host is faster */
  run(&c, &m);
  check_time(m.total_s, 2 + 50 * 2 * 10.5);
  c.hw.page_host = 3000; /* 14 us a kernel: the host is the limit */
  run(&c, &m);
  check_time(m.total_s, 50 * 2 * 14 + 10.5);
  check_time(m.stall_host_s, 50 * 2 * 3.5 + 10.5);
  c.pattern.write_ratio = 1; /* pages are read and written whole: 8 us */
  c.hw.kernel_host = c.hw.page_host = 0;
  run(&c, &m);
  check_time(m.total_s, 50 * 2 * 14.5);
  c.hw.kernel_write_rate = (double)PAGE * 0.5e6; /* half as fast */
  run(&c, &m);
  check_time(m.total_s, 50 * 2 * 22.5);
  c.pattern.write_ratio = 0;
  c.hw.kernel_wide = 2500; /* more than a block's work */
  run(&c, &m);
  check_time(m.total_s, 50 * 2 * 13);
}

/* Pages come on demand, each over the link in no time: one batch of one piece for each of 100 kernels. */
static void test_what_the_host_does_for_copies(void **unused)
{
  (void)unused;
  struct emuv_config c = launches(20, 1, 100, 1, 10);
  struct emuv_metrics m;
  c.hw.h2d = c.hw.d2h = (struct emuv_curve){.n = 1, .point = {{PAGE, (double)PAGE * 1e9}}}; /* 1 ns */
  run(&c, &m);
  check_time(m.total_s, 100 * 1.001);
  c.hw.copy_host = 4000;
  c.hw.piece_host = 500;
  run(&c, &m);
  check_time(m.total_s, 100 * 4.5 + 1.001); /* the last kernel behind the last copy */
  assert_int_equal(m.faults, 100);
  c.hw.kernel_host = 3000; /* the same thread submits both */
  run(&c, &m);
  check_time(m.total_s, 100 * 7.5 + 1);
  c.pattern.write_ratio = 1; /* and the page that leaves, from the 11th on: a batch of its own, before that */
  run(&c, &m);
  check_time(m.total_s, 100 * 7.5 + 90 * 4.5 + 1);
  assert_int_equal(m.d2h_bytes, 90 * PAGE);
  c.hw.h2d = c.hw.d2h = (struct emuv_curve){.n = 1, .point = {{PAGE, (double)PAGE * 1e4}}}; /* 100 us: it is hidden */
  c.pattern.write_ratio = 0;
  run(&c, &m);
  check_time(m.total_s, 4.5 + 100 * 101);
}

/* A kernel of 4 pages is 4 us, its copies are 40: the link is the limit, and all kernels but the first find it busy. */
static void test_what_kernels_lose_by_copies(void **unused)
{
  (void)unused;
  struct emuv_config c = launches(5, 4, 100, 4, 100);
  struct emuv_metrics plain, m;
  strcpy(c.prefetch, "oracle");
  c.hw.kernel_min = 10;
  run(&c, &plain);
  c.hw.kernel_busy = 300; /* while the 20 pages come, all asked for at once; then nothing comes */
  run(&c, &m);
  assert_true(m.total_s > plain.total_s && m.total_s < plain.total_s + 5 * 0.3e-6 + 1e-12);
  c.hw.kernel_busy = 0;
  c.hw.kernel_wait = 300; /* the host is far ahead: kernels that it submits before their pages have come */
  run(&c, &m);
  assert_true(m.total_s > plain.total_s + 20 * 0.3e-6);
}

/* 20 launches of 8 pages each, all absent: 10 us a page over the link, 1 us of work. With fewer frames than pages the
 * launch runs in parts, and each waits for its pages and its predecessor's frames: nothing overlaps, so the time is the
 * same, but for what each part's faults cost. */
static void test_launches_larger_than_vram(void **unused)
{
  (void)unused;
  static const uint64_t frames[] = {1, 2, 3, 4, 5, 7, 8, 20};
  for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
    struct emuv_config c = launches(5, 8, 20, 8, frames[i]);
    struct emuv_metrics m;
    uint64_t parts = (8 + frames[i] - 1) / frames[i];
    c.hw.fault = 500;
    assert_int_equal(run(&c, &m), 20 * parts);
    check_time(m.total_s, 20 * (8 * 11 + 0.5 * (double)parts));
    check_time(m.compute_s, 20 * 8);
    assert_int_equal(m.faults, 160);
    assert_int_equal(m.h2d_bytes, 160 * PAGE);
  }
}

/* As above, and each page is written: it goes down, 10 us, before the next can take its only frame. */
static void test_one_frame_and_writes(void **unused)
{
  (void)unused;
  struct emuv_config c = launches(5, 8, 20, 8, 1);
  struct emuv_metrics m;
  c.pattern.write_ratio = 1;
  assert_int_equal(run(&c, &m), 160);
  check_time(m.total_s, 160 * 21 - 10); /* the last one stays */
  assert_int_equal(m.d2h_bytes, 159 * PAGE);
}

/* Most recently used first, in two frames: one page stays while the others push each other out, until it is met again,
 * 39 references later: references 40, 79, 118 and 157 hit. */
static void test_parts_of_mru(void **unused)
{
  (void)unused;
  struct emuv_config c = launches(5, 8, 20, 8, 2);
  struct emuv_metrics m;
  strcpy(c.policy, "mru");
  run(&c, &m);
  assert_int_equal(m.hits, 4);
  check_time(m.total_s, 156 * 11 + 4);
}

/* Any order of eviction, any VRAM: the contract holds (struct watch), and each reference runs once. */
static void test_parts_of_every_policy(void **unused)
{
  (void)unused;
  for (size_t i = 0; emuv_policies[i]; i++)
    for (uint64_t frames = 1; frames < 14; frames += 2)
      for (int disk = 0; disk < 2; disk++) {
        struct emuv_config c = launches(6, 7, 60, 5, frames);
        struct emuv_metrics m;
        strcpy(c.policy, emuv_policies[i]->name);
        strcpy(c.prefetch, "oracle");
        strcpy(c.pattern.kind, "zipf");
        strcpy(c.write, frames % 4 == 1 ? "through" : "back");
        c.pattern.write_ratio = 0.4;
        if (disk) c.ram = 9 * PAGE, c.nvme = 1000 * PAGE, c.hw.nvme_read = c.hw.nvme_write = c.hw.h2d;
        uint32_t parts = run(&c, &m);
        assert_true(parts >= 60 * 2 && parts <= 60 * 7);
        check_time(m.compute_s, 60 * 7);
      }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_order_of_calls),
      cmocka_unit_test(test_what_kernels_cost),
      cmocka_unit_test(test_what_the_host_does_for_copies),
      cmocka_unit_test(test_what_kernels_lose_by_copies),
      cmocka_unit_test(test_launches_larger_than_vram),
      cmocka_unit_test(test_one_frame_and_writes),
      cmocka_unit_test(test_parts_of_mru),
      cmocka_unit_test(test_parts_of_every_policy),
  };
  return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
