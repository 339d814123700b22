// SPDX-License-Identifier: Apache-2.0
/* Calibration (runtime/replay/calibrate.h) of the device `host`, whose link is modelled: every figure is there, none is
 * better than the model, and the preset that is written reads back as what was measured. */
#include "runtime/replay/calibrate.h"
#include "simulator/scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KIB = 1024 };

static struct emuv_calibrate_options options(void)
{
  struct emuv_calibrate_options o = {.device = emuv_device_find("host"),
                                     .largest_copy = 256 * KIB,
                                     .series_bytes = 512 * KIB,
                                     .disk_seconds = 0.01,
                                     .threads = 2};
  o.up = o.down = (struct emuv_curve){.n = 2};
  o.up.point[0].bytes = o.down.point[0].bytes = 4 * KIB;
  o.up.point[1].bytes = o.down.point[1].bytes = 1024 * KIB;
  o.up.point[0].bytes_per_s = 1000e6;
  o.up.point[1].bytes_per_s = 8000e6;
  o.down.point[0].bytes_per_s = 500e6;
  o.down.point[1].bytes_per_s = 4000e6;
  assert_non_null(o.device);
  return o;
}

/* A link is never faster than its model; how much slower depends on how busy this machine is. */
static void check_curve(const struct emuv_figures *f, const struct emuv_curve *model)
{
  assert_true(f->n >= 3);
  for (uint32_t i = 0; i < f->n; i++) {
    assert_true(f->at[i].rate.n >= 3 && f->at[i].rate.spread >= 0);
    assert_true(f->at[i].rate.value > 0);
    assert_true(f->at[i].rate.value <= emuv_curve_rate(model, f->at[i].bytes) * 1.02);
    if (i > 0) assert_true(f->at[i].bytes > f->at[i - 1].bytes);
  }
}

static void check_disk(const struct emuv_calibration *c)
{
  assert_int_equal(c->nvme_read.n, 2);
  assert_int_equal(c->nvme_write.n, 2);
  for (uint32_t i = 0; i < 2; i++) {
    assert_true(c->nvme_read.at[i].rate.value > 0);
    assert_true(c->nvme_write.at[i].rate.value > 0);
  }
  assert_true(c->nvme_latency.n > 0);
}

/* What they are depends on this machine alone. */
static void check_costs(const struct emuv_calibration *c)
{
  const struct emuv_figure *const costs[] = {&c->shortest,    &c->wide,      &c->wait,      &c->busy,
                                             &c->kernel_host, &c->page_host, &c->copy_host, &c->piece_host};
  for (size_t i = 0; i < sizeof costs / sizeof costs[0]; i++) assert_true(costs[i]->n > 0 && costs[i]->value >= 0);
  assert_true(c->kernel_host.value > 0 && c->copy_host.value + c->piece_host.value > 0);
}

static void figures_are_there_and_within_the_model(void **state)
{
  (void)state;
  struct emuv_calibrate_options o = options();
  struct emuv_calibration c;
  struct emuv_err err;
  o.nvme_path = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
  o.nvme_bytes = 8192 * KIB; /* 32 requests of 256 KiB */
  if (emuv_calibrate_measure(&o, &c, &err) != 0) fail_msg("%s", err.text);
  check_curve(&c.h2d, &o.up);
  check_curve(&c.d2h, &o.down);
  check_curve(&c.h2d_batched, &o.up);
  check_curve(&c.d2h_batched, &o.down);
  assert_true(c.duplex.value > 0 && c.duplex.value <= 12000e6 * 1.02);
  assert_true(c.pageable.value > 0 && c.pageable.value <= 8000e6 * 1.02);
  assert_true(c.copy_sync.value >= 4 * KIB / 1000e6 * 1e9);
  assert_true(c.vram.value > 0 && c.writing.value > 0 && c.launch.n > 0 && c.fault.n > 0);
  check_costs(&c);
  check_disk(&c);
  assert_int_equal(c.disk_bytes, o.nvme_bytes);
}

static void near(double got, double wanted)
{
  if (fabs(got - wanted) > 0.002 * wanted + 1) fail_msg("%g instead of %g", got, wanted);
}

static struct emuv_figure figure(double value)
{
  return (struct emuv_figure){.value = value, .spread = 0.01, .n = 7};
}

static struct emuv_calibration made_up(const char *gpu)
{
  struct emuv_calibration c = {.duplex = figure(101e9), .launch = figure(2512), .copy_sync = figure(7300)};
  (void)snprintf(c.device.name, sizeof c.device.name, "%s", gpu);
  (void)snprintf(c.link, sizeof c.link, "PCIe 5.0 x16");
  c.device.total_bytes = 143771ull << 20;
  c.vram = figure(4.08e12);
  c.fault = figure(12345);
  c.shortest = figure(3479);
  c.wide = figure(1180);
  c.wait = figure(321);
  c.busy = figure(432);
  c.writing = figure(3.87e12);
  c.kernel_host = figure(5363);
  c.page_host = figure(12);
  c.copy_host = figure(3912);
  c.piece_host = figure(456);
  for (c.h2d.n = 0; c.h2d.n < 3; c.h2d.n++) {
    c.h2d.at[c.h2d.n].bytes = 4096ull << 4 * c.h2d.n;
    c.h2d.at[c.h2d.n].rate = figure(1.5e9 * (1 + c.h2d.n));
  }
  c.d2h = c.nvme_read = c.nvme_write = c.h2d;
  c.d2h.at[2].rate.value = 0.75e9;
  c.nvme_latency = figure(254321);
  c.n_warnings = 1;
  (void)snprintf(c.warnings[0], sizeof c.warnings[0], "noise: # of colons: 3 \"quoted\"");
  return c;
}

/* Writes the preset, and reads it as emuv-sim does. */
static void write_and_load(const struct emuv_calibration *c, struct emuv_config *config)
{
  char path[] = "/tmp/emuv-preset-XXXXXX.yaml";
  const int fd = mkstemps(path, 5);
  struct emuv_err err;
  assert_true(fd >= 0);
  FILE *file = fdopen(fd, "w");
  assert_non_null(file);
  assert_int_equal(emuv_calibrate_write(c, file, &err), 0);
  assert_int_equal(fclose(file), 0);
  assert_int_equal(emuv_config_defaults(config, &err), 0);
  if (emuv_preset_load_hardware(path, config, &err) != 0) fail_msg("%s:%ld: %s", path, err.line, err.text);
  assert_int_equal(unlink(path), 0);
}

static void presets_read_back_as_what_was_measured(void **state)
{
  (void)state;
  const struct emuv_calibration c = made_up("host memory");
  struct emuv_config config;
  write_and_load(&c, &config);
  const struct emuv_hardware *hw = &config.hw;
  assert_string_equal(hw->gpu, "host memory");
  assert_string_equal(hw->link, "PCIe 5.0 x16");
  assert_int_equal(hw->vram, c.device.total_bytes);
  assert_int_equal(hw->h2d.n, 3);
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(hw->h2d.point[i].bytes, c.h2d.at[i].bytes);
    near(hw->h2d.point[i].bytes_per_s, c.h2d.at[i].rate.value);
    near(hw->d2h.point[i].bytes_per_s, c.d2h.at[i].rate.value);
    near(hw->nvme_read.point[i].bytes_per_s, c.nvme_read.at[i].rate.value);
  }
  near(hw->duplex_rate, 101e9);
  near(hw->launch, 2512);
  near(hw->fault, 12345);
  near(hw->copy_sync, 7300);
  near(hw->kernel_min, 3479);
  near(hw->kernel_wide, 1180);
  near(hw->kernel_wait, 321);
  near(hw->kernel_busy, 432);
  near(hw->kernel_write_rate, 3.87e12);
  near(hw->kernel_host, 5363);
  near(hw->page_host, 12);
  near(hw->copy_host, 3912);
  near(hw->piece_host, 456);
  near(hw->nvme_latency, 254321);
  near(hw->vram_rate * hw->vram_efficiency, 4.08e12);
  assert_true(hw->flops == 0); /* nobody knows */
}

/* What cannot be measured comes from the shipped preset of the same GPU. */
static void known_gpus_keep_what_is_not_measured(void **state)
{
  (void)state;
  struct emuv_config shipped, config;
  struct emuv_err err;
  assert_int_equal(emuv_config_defaults(&shipped, &err), 0);
  assert_int_equal(emuv_preset_load_hardware("h200", &shipped, &err), 0);
  const struct emuv_calibration c = made_up(shipped.hw.gpu);
  write_and_load(&c, &config);
  near(config.hw.flops, shipped.hw.flops);
  near(config.hw.vram_rate, shipped.hw.vram_rate);
  near(config.hw.vram_rate * config.hw.vram_efficiency, 4.08e12);
  near(config.hw.power_busy, shipped.hw.power_busy);
  near(config.hw.zero_copy_rate, shipped.hw.zero_copy_rate); /* not measured here */
  near(config.hw.duplex_rate, 101e9);
}

static void tables_have_a_line_for_each_figure(void **state)
{
  (void)state;
  const struct emuv_calibration c = made_up("NVIDIA H200");
  char *text = NULL;
  size_t length = 0;
  struct emuv_err err;
  FILE *file = open_memstream(&text, &length);
  assert_non_null(file);
  assert_int_equal(emuv_calibrate_print(&c, file, &err), 0);
  assert_int_equal(fclose(file), 0);
  assert_non_null(strstr(text, "NVIDIA H200, PCIe 5.0 x16\n"));
  assert_non_null(strstr(text, "host to device                         4KiB       1.50GB/s  spread  1.0 %\n"));
  assert_non_null(strstr(text, "warning: noise"));
  assert_null(strstr(text, "in place")); /* not measured: no line */
  free(text);
}

static void odd_options_are_refused(void **state)
{
  (void)state;
  struct emuv_calibrate_options o = options();
  struct emuv_calibration c;
  struct emuv_err err;
  o.largest_copy = 3 << 20;
  assert_int_equal(emuv_calibrate_measure(&o, &c, &err), EMUV_ERR_RANGE);
  o = options();
  o.device_index = 7;
  assert_int_equal(emuv_calibrate_measure(&o, &c, &err), EMUV_ERR_NODEV);
  o = options();
  o.nvme_path = "/tmp";
  o.nvme_bytes = 64 * KIB;
  assert_int_equal(emuv_calibrate_measure(&o, &c, &err), EMUV_ERR_RANGE);
  o.nvme_path = "/nowhere/at/all";
  o.nvme_bytes = 8192 * KIB;
  assert_int_equal(emuv_calibrate_measure(&o, &c, &err), EMUV_ERR_IO);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(figures_are_there_and_within_the_model),
      cmocka_unit_test(presets_read_back_as_what_was_measured),
      cmocka_unit_test(known_gpus_keep_what_is_not_measured),
      cmocka_unit_test(tables_have_a_line_for_each_figure),
      cmocka_unit_test(odd_options_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
