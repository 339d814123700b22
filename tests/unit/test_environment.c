// SPDX-License-Identifier: Apache-2.0
/* Environment capture from a made-up machine, from an empty one, and from this one. */
#include "runtime/core/environment.h"

#include "emuv_version.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MACHINE EMUV_TEST_DIR "/unit/data/machine"

static void a_machine_with_two_gpus_is_read(void **state)
{
  (void)state;
  struct emuv_environment e;
  emuv_environment_capture_from(MACHINE, &e);
  assert_string_equal(e.cpu, "AMD EPYC 9654 96-Core Processor");
  assert_int_equal(e.ram_bytes, UINT64_C(131072000) * 1024);
  assert_string_equal(e.kernel, "6.18.1-test");
  assert_string_equal(e.os, "Debian GNU/Linux 12 (bookworm)");
  assert_int_equal(e.gpus, 2);
  assert_string_equal(e.gpu, "NVIDIA H200"); /* the lower bus address */
  assert_string_equal(e.driver, "580.159.03");
  assert_string_equal(e.link, "32.0 GT/s PCIe x16");
}

static void what_is_not_there_is_unknown(void **state)
{
  (void)state;
  struct emuv_environment e;
  memset(&e, 'x', sizeof e);
  emuv_environment_capture_from("/nonexistent", &e);
  assert_string_equal(e.cpu, "");
  assert_int_equal(e.ram_bytes, 0);
  assert_string_equal(e.kernel, "");
  assert_string_equal(e.os, "");
  assert_int_equal(e.gpus, 0);
  assert_string_equal(e.gpu, "");
  assert_string_equal(e.driver, "");
  assert_string_equal(e.link, "");
}

static void this_machine_and_build_are_known(void **state)
{
  (void)state;
  struct emuv_environment e;
  int year, month, day, hour, minute, second, length = 0;
  emuv_environment_capture(&e);
  assert_true(e.cores > 0);
  assert_true(e.ram_bytes > 0);
  assert_true(e.kernel[0] != '\0');
  assert_string_equal(e.version, EMUV_VERSION);
  assert_string_equal(e.revision, EMUV_GIT_REVISION);
  assert_int_equal(
      sscanf(e.started, "%4d-%2d-%2dT%2d:%2d:%2dZ%n", &year, &month, &day, &hour, &minute, &second, &length), 6);
  assert_int_equal(length, strlen(e.started));
  assert_true(year >= 2024 && month >= 1 && month <= 12 && day >= 1 && day <= 31);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_machine_with_two_gpus_is_read),
      cmocka_unit_test(what_is_not_there_is_unknown),
      cmocka_unit_test(this_machine_and_build_are_known),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
