// SPDX-License-Identifier: Apache-2.0
/* Errors: what is stored, what is printed, and the exit status of each code. */
#include "runtime/core/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What emuv_err_print writes to something that is no terminal; the caller frees it. */
static char *printed(const struct emuv_err *err)
{
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  assert_non_null(out);
  emuv_err_print(err, out);
  (void)fclose(out);
  return text;
}

static void assert_printed(const struct emuv_err *err, const char *expected)
{
  char *text = printed(err);
  assert_string_equal(text, expected);
  free(text);
}

static void set_fills_code_and_text_and_clears_the_rest(void **state)
{
  (void)state;
  struct emuv_err err;
  memset(&err, 'x', sizeof err);
  assert_int_equal(emuv_err_set(&err, EMUV_ERR_RANGE, "%d is %s", 7, "odd"), EMUV_ERR_RANGE);
  assert_int_equal(err.code, EMUV_ERR_RANGE);
  assert_string_equal(err.text, "7 is odd");
  assert_string_equal(err.hint, "");
  assert_string_equal(err.file, "");
  assert_int_equal(err.line, 0);
}

static void a_text_without_a_place_is_one_line(void **state)
{
  (void)state;
  struct emuv_err err;
  (void)emuv_err_set(&err, EMUV_ERR_USAGE, "no such option");
  assert_printed(&err, "error: no such option\n");
}

static void the_caret_stands_under_the_column(void **state)
{
  (void)state;
  struct emuv_err err;
  (void)emuv_err_set(&err, EMUV_ERR_INPUT, "unknown key");
  assert_int_equal(emuv_err_at(&err, "a.yaml", 12, 4), EMUV_ERR_INPUT);
  (void)strcpy(err.excerpt, "\t\xc3\xa9 key");
  assert_int_equal(emuv_err_hint(&err, "one\n%s", "two"), EMUV_ERR_INPUT);
  assert_printed(&err, "a.yaml:12:4: error: unknown key\n"
                       "    12 | \t\xc3\xa9 key\n"
                       "       | \t  ^\n"
                       "hint: one\nhint: two\n");
}

static void a_byte_offset_is_printed_without_a_line(void **state)
{
  (void)state;
  struct emuv_err err;
  (void)emuv_err_set(&err, EMUV_ERR_INPUT, "bad block");
  (void)emuv_err_at(&err, "t.emuv", 0, 4096);
  assert_printed(&err, "t.emuv:4096: error: bad block\n");
}

static void errno_is_appended(void **state)
{
  (void)state;
  struct emuv_err err;
  errno = ENOENT;
  assert_int_equal(emuv_err_errno(&err, EMUV_ERR_IO, "cannot open %s", "f"), EMUV_ERR_IO);
  assert_string_equal(err.text, "cannot open f: No such file or directory");
}

static void overlong_texts_are_cut_not_overrun(void **state)
{
  (void)state;
  struct emuv_err err;
  char text[2000];
  memset(text, 'a', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  (void)emuv_err_set(&err, EMUV_ERR_INPUT, "%s", text);
  (void)emuv_err_at(&err, text, 1, 1);
  (void)emuv_err_hint(&err, "%s", text);
  assert_int_equal(strlen(err.text), sizeof err.text - 1);
  assert_int_equal(strlen(err.file), sizeof err.file - 1);
  assert_int_equal(strlen(err.hint), sizeof err.hint - 1);
  errno = ENOENT;
  (void)emuv_err_errno(&err, EMUV_ERR_IO, "%s", text);
  assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

static void no_struct_still_gives_the_code(void **state)
{
  (void)state;
  assert_int_equal(emuv_err_set(NULL, EMUV_ERR_BUSY, "x"), EMUV_ERR_BUSY);
  assert_int_equal(emuv_err_errno(NULL, EMUV_ERR_IO, "x"), EMUV_ERR_IO);
  assert_int_equal(emuv_err_at(NULL, "f", 1, 1), EMUV_OK);
  assert_int_equal(emuv_err_hint(NULL, "x"), EMUV_OK);
}

static void codes_have_the_documented_exit_status(void **state)
{
  (void)state;
  static const int expected[][2] = {
      {EMUV_OK, 0},
      {EMUV_ERR_NOMEM, 1},
      {EMUV_ERR_IO, 1},
      {EMUV_ERR_USAGE, 2},
      {EMUV_ERR_INPUT, 3},
      {EMUV_ERR_RANGE, 3},
      {EMUV_ERR_NODEV, 77},
      {EMUV_ERR_UNSUPPORTED, 1},
      {EMUV_ERR_BUSY, 1},
      {EMUV_ERR_NOSPACE, 1},
      {EMUV_ERR_INTERRUPTED, 130},
      {EMUV_ERR_INTERNAL, 1},
      {EMUV_ERR_REGRESSION, 4},
  };
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
    assert_int_equal(emuv_err_exit_status(expected[i][0]), expected[i][1]);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(set_fills_code_and_text_and_clears_the_rest),
      cmocka_unit_test(a_text_without_a_place_is_one_line),
      cmocka_unit_test(the_caret_stands_under_the_column),
      cmocka_unit_test(a_byte_offset_is_printed_without_a_line),
      cmocka_unit_test(errno_is_appended),
      cmocka_unit_test(overlong_texts_are_cut_not_overrun),
      cmocka_unit_test(no_struct_still_gives_the_code),
      cmocka_unit_test(codes_have_the_documented_exit_status),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
