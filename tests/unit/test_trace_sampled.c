// SPDX-License-Identifier: Apache-2.0
/* Times of launches that a capture did not measure on purpose. */
#include "trace_fixture.h"
#include "tracer/format/load.h"

static char path[64];

static struct emuv_trace_launch launch(uint64_t correlation, uint32_t kernel, uint32_t blocks, uint64_t exit_ns)
{
  return (struct emuv_trace_launch){.sequence = correlation,
                                    .correlation = correlation,
                                    .kernel = kernel,
                                    .grid = {blocks, 1, 1},
                                    .block = {128, 1, 1},
                                    .enter_ns = exit_ns - 100,
                                    .exit_ns = exit_ns,
                                    .stream = 7};
}

/* Kernel 1: 1000 ns with 4 blocks, 9000 ns with 64; kernel 2 is never timed. */
static void write_trace(bool sampled)
{
  struct emuv_trace_writer *w;
  assert_int_equal(emuv_trace_writer_open(&w, fixture_path(path), NULL, NULL), 0);
  if (sampled) emuv_trace_writer_environment(w, "kernel_times", "sampled, 1 of 4");
  const struct emuv_trace_launch launches[] = {launch(1, 1, 4, 10000), launch(2, 1, 64, 20000), launch(3, 1, 4, 40000),
                                               launch(4, 1, 4, 40100), launch(5, 1, 60, 60000), launch(6, 2, 4, 70000),
                                               launch(7, 1, 2, 200000)};
  for (size_t i = 0; i < sizeof launches / sizeof *launches; i++) emuv_trace_writer_launch(w, &launches[i]);
  const struct emuv_trace_gpu_time times[] = {
      {.correlation = 1, .start_ns = 11000, .end_ns = 12000, .stream = 7},
      {.correlation = 2, .start_ns = 21000, .end_ns = 30000, .stream = 7},
  };
  assert_int_equal(emuv_trace_writer_gpu_times(w, times, 2), 0);
  assert_int_equal(emuv_trace_writer_gpu_times(w, times, 0), 0);
  assert_int_equal(emuv_trace_writer_close(w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, NULL), 0);
}

static void check(const struct emuv_trace_launch *l, uint64_t start, uint64_t ns, bool estimated)
{
  assert_int_equal(l->start_ns, start);
  assert_int_equal(l->end_ns, start ? start + ns : 0);
  assert_int_equal(!!(l->flags & EMUV_TRACE_FLAG_ESTIMATED), estimated);
}

static void missing_times_are_estimated(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  write_trace(true);
  assert_int_equal(emuv_trace_load(path, &d, NULL), 0);
  check(&d.launches[0], 11000, 1000, false);
  check(&d.launches[1], 21000, 9000, false);
  check(&d.launches[2], 40000, 1000, true); /* alike */
  check(&d.launches[3], 41000, 1000, true); /* waits for the one before */
  check(&d.launches[4], 60000, 9000, true); /* the nearest number of threads */
  check(&d.launches[5], 0, 0, false);       /* nothing is known about its kernel */
  check(&d.launches[6], 200000, 1000, true);
  assert_int_equal(d.estimated, 4);
  assert_int_equal(d.untimed, 1);
  emuv_trace_data_free(&d);
  unlink(path);
}

static void times_lost_otherwise_stay_missing(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  write_trace(false);
  assert_int_equal(emuv_trace_load(path, &d, NULL), 0);
  assert_int_equal(d.estimated, 0);
  assert_int_equal(d.untimed, 5);
  emuv_trace_data_free(&d);
  unlink(path);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(missing_times_are_estimated),
                                     cmocka_unit_test(times_lost_otherwise_stay_missing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
