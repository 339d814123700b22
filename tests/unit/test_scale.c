// SPDX-License-Identifier: Apache-2.0
/* Measured times made into times of another card: by roofline, only where both cards are known, and never by a name
 * that is only the beginning of another. */
#include "simulator/scale.h"
#include "simulator/scenario.h"

#include "trace_fixture.h"

#include <math.h>

static struct emuv_config config_of(const char *preset)
{
  struct emuv_config c;
  struct emuv_err err = {0};
  if (emuv_config_defaults(&c, &err) || emuv_preset_load_hardware(preset, &c, &err)) fail_msg("%s", err.text);
  return c;
}

/* One launch of 10 ms that reads 1 GB, simulated on `preset`. */
static double scaled(const char *captured_on, const char *preset)
{
  struct emuv_op op = {.kernel_ns = 10e6, .bytes = 1e9};
  struct emuv_workload w = {.ops = &op, .n_ops = 1};
  struct emuv_config c = config_of(preset);
  struct emuv_err err = {0};
  snprintf(w.gpu, sizeof w.gpu, "%s", captured_on);
  if (emuv_scale_times(&c, &w, &err)) fail_msg("%s", err.text);
  return op.kernel_ns;
}

static double traffic_ns(const char *preset)
{
  struct emuv_config c = config_of(preset);
  return 1e9 / (c.hw.vram_rate * c.hw.vram_efficiency) * 1e9;
}

static void check(double value, double expected)
{
  if (fabs(value / expected - 1) > 1e-9) fail_msg("%f, %f expected", value, expected);
}

static void test_same_or_unknown_card(void **unused)
{
  (void)unused;
  assert_true(scaled("NVIDIA H200", "h200") == 10e6);
  assert_true(scaled("NVIDIA GeForce RTX 4090", "rtx-4090") == 10e6); /* the preset leaves the maker out */
  assert_true(scaled("", "a10") == 10e6);
  assert_true(scaled("Voodoo2", "a10") == 10e6);
  assert_true(scaled("NVIDIA GeForce RTX 4070 Ti", "a10") == 10e6); /* no preset is of that one */
}

static void test_roofline(void **unused)
{
  (void)unused;
  check(scaled("NVIDIA H200", "rtx-4090"), 10e6 - traffic_ns("h200") + traffic_ns("rtx-4090"));
  check(scaled("NVIDIA GeForce RTX 4060", "h200"), 10e6 - traffic_ns("rtx-4060") + traffic_ns("h200"));
}

/* "NVIDIA A100 80GB PCIe" begins with "NVIDIA A10". */
static void test_a_name_that_begins_another(void **unused)
{
  (void)unused;
  check(scaled("NVIDIA A100 80GB PCIe", "a10"), 10e6 - traffic_ns("a100-80gb") + traffic_ns("a10"));
  check(scaled("NVIDIA A10", "a100-80gb"), 10e6 - traffic_ns("a10") + traffic_ns("a100-80gb"));
}

/* A kernel cannot have spent more time on its traffic than it took. */
static void test_more_traffic_than_time(void **unused)
{
  (void)unused;
  struct emuv_op ops[] = {{.kernel_ns = 10, .bytes = 1e9}, {.kernel_ns = 0, .bytes = 1e9}};
  struct emuv_workload w = {.ops = ops, .n_ops = 2, .gpu = "NVIDIA H200"};
  struct emuv_config c = config_of("a10");
  struct emuv_err err = {0};
  assert_int_equal(emuv_scale_times(&c, &w, &err), 0);
  check(ops[0].kernel_ns, 10 * traffic_ns("a10") / traffic_ns("h200"));
  assert_true(ops[1].kernel_ns == 0); /* not measured */
}

static void write_trace(const char *path, const char *gpu)
{
  struct emuv_trace_writer *w = NULL;
  struct emuv_trace_writer_options options = {.reproducible = true};
  struct emuv_err err = {0};
  if (emuv_trace_writer_open(&w, path, &options, &err)) fail_msg("%s", err.text);
  if (gpu) emuv_trace_writer_environment(w, "gpu", gpu);
  if (emuv_trace_writer_close(w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, &err)) fail_msg("%s", err.text);
}

static void test_the_card_of_a_trace(void **unused)
{
  (void)unused;
  static const struct {
    const char *gpu, *preset;
  } cases[] = {{"NVIDIA A100 80GB PCIe", "a100-80gb"}, {"NVIDIA A10", "a10"}, {"Voodoo2", ""}, {NULL, ""}};
  for (size_t i = 0; i < 4; i++) {
    char path[64];
    emuv_text preset;
    struct emuv_err err = {0};
    write_trace(fixture_path(path), cases[i].gpu);
    if (emuv_scale_trace_hardware(path, preset, &err)) fail_msg("%s", err.text);
    assert_string_equal(preset, cases[i].preset);
    unlink(path);
    assert_int_equal(emuv_scale_trace_hardware(path, preset, &err), EMUV_ERR_IO);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_same_or_unknown_card),       cmocka_unit_test(test_roofline),
      cmocka_unit_test(test_a_name_that_begins_another), cmocka_unit_test(test_more_traffic_than_time),
      cmocka_unit_test(test_the_card_of_a_trace),
  };
  return cmocka_run_group_tests_name("scaling of measured times", tests, NULL, NULL);
}
