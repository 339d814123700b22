// SPDX-License-Identifier: Apache-2.0
/* Hardware presets: each loads, and its figures agree with each other and with the link that it names. */
#include "simulator/scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Bytes per second of a link in one direction: lanes x 16 or 32 GT/s x 128/130 / 8. */
static const struct {
  const char *link;
  double bytes_per_s;
} links[] = {{"PCIe 4.0 x8", 15.75e9}, {"PCIe 4.0 x16", 31.5e9}, {"PCIe 5.0 x16", 63.0e9}};

static double link_rate(const char *link)
{
  for (size_t i = 0; i < sizeof links / sizeof *links; i++)
    if (strcmp(links[i].link, link) == 0) return links[i].bytes_per_s;
  fail_msg("link \"%s\" is not known here", link);
  return 0;
}

/* Copies get faster with size, and the largest reach 80 to 100 % of the link. */
static void check_link_curve(const char *name, const struct emuv_curve *curve, double link)
{
  assert_true(curve->n >= 2);
  for (uint32_t i = 1; i < curve->n; i++)
    if (curve->point[i].bytes_per_s < curve->point[i - 1].bytes_per_s)
      fail_msg("%s: the curve falls at point %u", name, i);
  double peak = emuv_curve_rate(curve, (uint64_t)1 << 30);
  if (peak < 0.8 * link || peak > link) fail_msg("%s: %.3g B/s over a link of %.3g B/s", name, peak, link);
  assert_true(emuv_curve_rate(curve, 4096) < 0.1 * link + 0.5e9);
}

static void check_preset(const char *name)
{
  struct emuv_config c;
  struct emuv_err err = {0};
  int rc = emuv_config_defaults(&c, &err);
  if (rc == 0) rc = emuv_preset_load_hardware(name, &c, &err);
  if (rc != 0) fail_msg("%s: %s", name, err.text);
  const struct emuv_hardware *hw = &c.hw;
  double link = link_rate(hw->link);
  check_link_curve(name, &hw->h2d, link);
  check_link_curve(name, &hw->d2h, link);
  double peak = emuv_curve_rate(&hw->h2d, (uint64_t)1 << 30);
  assert_true(hw->duplex_rate > peak && hw->duplex_rate <= 2 * link);
  assert_true(hw->zero_copy_rate > 0.8 * peak && hw->zero_copy_rate <= peak);
  assert_true(hw->pageable_rate > 0.1 * peak && hw->pageable_rate < peak);
  assert_true(hw->vram >= (uint64_t)8 << 30 && hw->vram < (uint64_t)200 << 30);
  assert_true(hw->vram_rate > 5 * link && hw->vram_efficiency > 0.7 && hw->vram_efficiency <= 0.95);
  assert_true(hw->flops > 20e12 && hw->flops < 1000e12 && hw->flops_efficiency >= 0.5 && hw->flops_efficiency <= 0.9);
  assert_true(hw->copy_sync > 1e3 && hw->copy_sync < 1e5 && hw->fault >= 1e3 && hw->um_fault_batch >= 20e3);
  assert_int_equal(hw->um_batch_bytes, 2 << 20);
  assert_true(emuv_curve_rate(&hw->nvme_read, 1 << 20) < link);
  assert_true(emuv_curve_rate(&hw->nvme_write, 1 << 20) < emuv_curve_rate(&hw->nvme_read, 1 << 20));
  assert_true(hw->nvme_latency > 10e3 && hw->nvme_latency < 1e6);
  assert_true(hw->power_idle > 0 && hw->power_busy > 4 * hw->power_idle);
  assert_true(strlen(hw->gpu) > 0);
}

static void presets_are_consistent(void **state)
{
  (void)state;
  char **names = NULL;
  size_t n = 0;
  assert_int_equal(emuv_preset_names("hardware", &names, NULL), 0);
  for (; names[n]; n++) check_preset(names[n]);
  assert_int_equal(n, 7);
  emuv_preset_free_names(names);
}

/* Cards are ordered as their owners expect. */
static void faster_cards_are_faster(void **state)
{
  (void)state;
  static const char *const order[] = {"rtx-4060", "rtx-4070", "a10", "rtx-4090", "a100-80gb", "h100-80gb", "h200"};
  double before = 0;
  for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
    struct emuv_config c;
    assert_int_equal(emuv_config_defaults(&c, NULL), 0);
    assert_int_equal(emuv_preset_load_hardware(order[i], &c, NULL), 0);
    double rate = c.hw.vram_rate * c.hw.vram_efficiency;
    if (rate <= before) fail_msg("%s reads its memory slower than the card before it", order[i]);
    before = rate;
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(presets_are_consistent),
      cmocka_unit_test(faster_cards_are_faster),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
