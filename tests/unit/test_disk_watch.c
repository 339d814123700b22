// SPDX-License-Identifier: Apache-2.0
/* When a row says that its disk was not what it was calibrated to be (runtime/replay/disk_watch.h). */
#include "runtime/replay/disk_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void says(double before, double after, double calibrated, const char *wanted)
{
  char text[128] = "left";
  emuv_disk_watch_note(before * 1e9, after * 1e9, calibrated * 1e9, text, sizeof text);
  assert_string_equal(text, wanted);
}

static void notes_what_differs_by_more_than_a_tenth(void **state)
{
  (void)state;
  says(2.44, 2.40, 2.41, "");
  says(2.25, 2.26, 2.44, "");
  says(2.41, 2.02, 2.44, "disk: 2.41 GB/s before, 2.02 after (calibrated 2.44)");
  says(2.1, 2.1, 2.44, "disk: 2.10 GB/s before, 2.10 after (calibrated 2.44)");
  says(2.3, 2.75, 2.5, "disk: 2.30 GB/s before, 2.75 after (calibrated 2.50)"); /* each within a tenth of that */
}

static void what_is_not_known_is_not_compared(void **state)
{
  (void)state;
  says(0, 2, 2.5, "");
  says(2, 0, 2.5, "");
  says(2, 2.1, 0, "");
  says(1, 2, 0, "disk: 1.00 GB/s before, 2.00 after");
}

static void a_short_text_ends(void **state)
{
  (void)state;
  char text[12];
  emuv_disk_watch_note(1e9, 2e9, 2e9, text, sizeof text);
  assert_int_equal(strlen(text), sizeof text - 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(notes_what_differs_by_more_than_a_tenth),
      cmocka_unit_test(what_is_not_known_is_not_compared),
      cmocka_unit_test(a_short_text_ends),
  };
  return cmocka_run_group_tests_name("disk_watch", tests, NULL, NULL);
}
