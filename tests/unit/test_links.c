// SPDX-License-Identifier: Apache-2.0
/* The table of links (runtime/replay/links.h) on the device `host`: rows, and that nothing is faster than its model. */
#include "runtime/replay/links.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { KIB = 1024 };

static struct emuv_links_options options(void)
{
  struct emuv_links_options o = {.device = emuv_device_find("host"),
                                 .n_pages = 1,
                                 .page_bytes = {64 * KIB},
                                 .vram_bytes = 1024 * KIB,
                                 .data_bytes = 4096 * KIB,
                                 .seconds = 0.02,
                                 .nvme_path = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp",
                                 .nvme_bytes = 8192 * KIB,
                                 .threads = 2};
  o.up.n = o.down.n = 1;
  o.up.point[0].bytes = o.down.point[0].bytes = 64 * KIB;
  o.up.point[0].bytes_per_s = 1e9;
  o.down.point[0].bytes_per_s = 0.5e9;
  assert_non_null(o.device);
  return o;
}

static void every_link_has_its_rows(void **state)
{
  (void)state;
  static const char *const names[] = {"host to device",
                                      "device to host",
                                      "both at once, of both alone",
                                      "both at once, of both plain",
                                      "the same, plain in same memory",
                                      "another GPU to device",
                                      "disk to device",
                                      "disk, reads and writes"};
  static const double fastest[] = {1e9, 0.5e9, 1.5e9, 1.5e9, 1.5e9, 3e9, 1e9, 1e12};
  struct emuv_links_options o = options();
  struct emuv_links_row rows[EMUV_LINKS_ROWS];
  struct emuv_err err;
  uint32_t n = 0;
  o.with_peer = true;
  o.peer = o.up;
  o.peer.point[0].bytes_per_s = 3e9;
  if (emuv_links_measure(&o, rows, &n, &err) != 0) fail_msg("%s", err.text);
  assert_int_equal(n, 8);
  for (uint32_t i = 0; i < n; i++) {
    assert_string_equal(rows[i].what, names[i]);
    assert_int_equal(rows[i].page_bytes, 64 * KIB);
    assert_true(rows[i].plain > 0 && rows[i].engine > 0);
    assert_true(rows[i].engine <= fastest[i] * 1.02);
  }
  assert_true(rows[0].busy > 0 && rows[1].busy > 0);
  assert_true(rows[0].plain <= 1e9 * 1.02 && rows[1].plain <= 0.5e9 * 1.02);
}

static void tables_say_what_is_less_than_it_should_be(void **state)
{
  (void)state;
  const struct emuv_links_row rows[] = {{"host to device", 2048 * KIB, 55e9, 54e9, 54.5e9, 0.95, 0},
                                        {"disk to device", 2048 * KIB, 5e9, 4e9, 0, 0.9, 0.81}};
  char *text = NULL;
  size_t length = 0;
  FILE *file = open_memstream(&text, &length);
  assert_non_null(file);
  emuv_links_print(rows, 2, file);
  assert_int_equal(fclose(file), 0);
  assert_non_null(strstr(text, "2MiB            55.00        54.00          54.50   98.2 %           \n"));
  assert_non_null(strstr(text, "2MiB             5.00         4.00                  80.0 %     81.0 %  (less"));
  free(text);
}

static void too_little_data_is_refused(void **state)
{
  (void)state;
  struct emuv_links_options o = options();
  struct emuv_links_row rows[EMUV_LINKS_ROWS];
  struct emuv_err err;
  uint32_t n = 0;
  o.data_bytes = o.vram_bytes;
  assert_int_equal(emuv_links_measure(&o, rows, &n, &err), EMUV_ERR_RANGE);
  o = options();
  o.vram_bytes = 128 * KIB;
  assert_int_equal(emuv_links_measure(&o, rows, &n, &err), EMUV_ERR_RANGE);
  o = options();
  o.nvme_path = "/nowhere/at/all";
  assert_int_equal(emuv_links_measure(&o, rows, &n, &err), EMUV_ERR_IO);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_link_has_its_rows),
      cmocka_unit_test(tables_say_what_is_less_than_it_should_be),
      cmocka_unit_test(too_little_data_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
