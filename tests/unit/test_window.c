// SPDX-License-Identifier: Apache-2.0
/* When a capture records (window.h), and which names its files have (names.h). */
#include "tracer/inject/names.h"
#include "tracer/inject/window.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static bool at(struct emuv_window *w, uint64_t ns)
{
  emuv_window_update(w, ns);
  return atomic_load(&w->recording);
}

static void without_options_everything_is_recorded(void **state)
{
  (void)state;
  struct emuv_window w = {0};
  assert_false(emuv_window_is_set(&w));
  assert_true(at(&w, 5));
  assert_int_equal(emuv_window_next_ns(&w, 5), 0);
  assert_true(emuv_window_contains(&w, 5));
  assert_false(emuv_window_contains(&w, 0)); /* a call whose begin was not seen */
}

static void times_bound_the_window(void **state)
{
  (void)state;
  struct emuv_window w = {.start_at_ns = 100, .duration_ns = 50};
  assert_true(emuv_window_is_set(&w));
  assert_false(at(&w, 99));
  assert_int_equal(emuv_window_next_ns(&w, 99), 100);
  assert_false(emuv_window_contains(&w, 0));
  assert_true(at(&w, 110)); /* late: the duration counts from here */
  assert_int_equal(emuv_window_next_ns(&w, 110), 160);
  assert_false(emuv_window_contains(&w, 109));
  assert_true(emuv_window_contains(&w, 110));
  assert_true(at(&w, 159));
  assert_false(at(&w, 160));
  assert_true(w.over);
  assert_int_equal(emuv_window_next_ns(&w, 160), 0);
  assert_false(at(&w, 170));
}

static void a_duration_begins_with_the_first_range(void **state)
{
  (void)state;
  struct emuv_window w = {.trigger = EMUV_WINDOW_PROFILER, .start_at_ns = 10, .duration_ns = 50};
  emuv_window_profiler(&w, true);
  assert_false(at(&w, 5));
  emuv_window_profiler(&w, false);
  assert_false(at(&w, 20));
  assert_int_equal(emuv_window_next_ns(&w, 20), 0);
  emuv_window_profiler(&w, true);
  emuv_window_profiler(&w, true); /* does not nest */
  assert_true(at(&w, 30));
  emuv_window_profiler(&w, false);
  assert_false(at(&w, 40));
  emuv_window_profiler(&w, true);
  assert_true(at(&w, 60)); /* each range counts */
  assert_false(emuv_window_contains(&w, 35));
  assert_int_equal(emuv_window_next_ns(&w, 60), 80);
  assert_false(at(&w, 80));
  emuv_window_profiler(&w, false);
  emuv_window_profiler(&w, true);
  assert_false(at(&w, 90));
}

static void ranges_nest_per_thread_and_domain(void **state)
{
  (void)state;
  struct emuv_window w = {0};
  struct emuv_err err = {0};
  struct emuv_window_thread a = {0}, b = {0};
  const int domain = 0;
  assert_int_equal(emuv_window_parse_range("nvtx:step 1", &w, &err), 0);
  assert_true(emuv_window_matches(&w, "step 1"));
  assert_false(emuv_window_matches(&w, "step 11"));
  assert_false(emuv_window_matches(&w, NULL));
  assert_int_equal(emuv_window_push(&w, &a, NULL, "other"), 0);
  assert_int_equal(emuv_window_push(&w, &a, NULL, "step 1"), 1);
  assert_int_equal(emuv_window_push(&w, &a, NULL, "step 1"), 0); /* the outermost counts */
  assert_int_equal(emuv_window_push(&w, &a, &domain, "step 1"), 1);
  assert_int_equal(emuv_window_pop(&a, NULL), 0);
  assert_int_equal(emuv_window_push(&w, &a, NULL, "inside"), 0);
  assert_int_equal(emuv_window_pop(&b, NULL), 0); /* another thread has none */
  assert_int_equal(emuv_window_pop(&a, NULL), 0);
  assert_int_equal(emuv_window_pop(&a, NULL), -1);
  assert_int_equal(emuv_window_pop(&a, NULL), 0); /* of "other" */
  assert_int_equal(emuv_window_pop(&a, NULL), 0); /* one too many */
  assert_int_equal(emuv_window_pop(&a, &domain), -1);
}

static void ranges_are_named_in_one_of_two_ways(void **state)
{
  (void)state;
  struct emuv_window w = {0};
  char long_name[400] = "nvtx:";
  static const char *const bad[] = {"", "nvtx", "nvtx:", "NVTX:x", "cudaProfilerAPI", "cudaProfilerApi "};
  memset(long_name + 5, 'x', sizeof long_name - 6);
  for (size_t i = 0; i < sizeof bad / sizeof *bad + 1; i++) {
    struct emuv_err err = {0};
    const char *text = i < sizeof bad / sizeof *bad ? bad[i] : long_name;
    assert_int_equal(emuv_window_parse_range(text, &w, &err), EMUV_ERR_USAGE);
    assert_non_null(strstr(err.hint, "cudaProfilerApi"));
    assert_int_equal(w.trigger, EMUV_WINDOW_NO_RANGE);
  }
  assert_int_equal(emuv_window_parse_range("cudaProfilerApi", &w, NULL), 0);
  assert_int_equal(w.trigger, EMUV_WINDOW_PROFILER);
}

static void the_environment_sets_the_window(void **state)
{
  (void)state;
  struct emuv_window w;
  setenv("EMUV_TRACE_START_AT_NS", "123456789012", 1);
  setenv("EMUV_TRACE_DURATION_NS", "77", 1);
  setenv("EMUV_TRACE_CAPTURE_RANGE", "nvtx:a:b", 1);
  emuv_window_from_environment(&w);
  assert_int_equal(w.start_at_ns, 123456789012);
  assert_int_equal(w.duration_ns, 77);
  assert_string_equal(w.name, "a:b");
  setenv("EMUV_TRACE_START_AT_NS", "12s", 1);
  setenv("EMUV_TRACE_DURATION_NS", "", 1);
  setenv("EMUV_TRACE_CAPTURE_RANGE", "nonsense", 1);
  emuv_window_from_environment(&w);
  assert_false(emuv_window_is_set(&w));
}

static void names_hold_the_pid_before_the_extension(void **state)
{
  (void)state;
  static const struct {
    const char *wanted, *first, *second;
  } cases[] = {{"/a.b/infer.emuv", "/a.b/infer.7.emuv", "/a.b/infer.7.2.emuv"},
               {"/a.b/infer", "/a.b/infer.7", "/a.b/infer.7.2"},
               {"x.y.emuv", "x.y.7.emuv", "x.y.7.2.emuv"},
               {"/d/.emuv", "/d/.emuv.7", "/d/.emuv.7.2"}};
  char path[PATH_MAX];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *slash = strrchr(cases[i].wanted, '/'), *base = slash ? slash + 1 : cases[i].wanted;
    const size_t folder = (size_t)(base - cases[i].wanted);
    assert_int_equal(emuv_names_make(cases[i].wanted, 7, 0, path), 0);
    assert_string_equal(path, cases[i].wanted);
    assert_false(emuv_names_belongs(base, path + folder));
    assert_int_equal(emuv_names_make(cases[i].wanted, 7, 1, path), 0);
    assert_string_equal(path, cases[i].first);
    assert_true(emuv_names_belongs(base, path + folder));
    assert_int_equal(emuv_names_make(cases[i].wanted, 7, 2, path), 0);
    assert_string_equal(path, cases[i].second);
    assert_true(emuv_names_belongs(base, path + folder));
  }
}

static void other_names_do_not_belong(void **state)
{
  (void)state;
  static const char *const bad[] = {
      "infer.emuv",    "infer..emuv",    "infer.x.emuv",     "infer.7x.emuv",   "infer.7.emuv2",
      "infer.7..emuv", "infer.7.x.emuv", "infer.7.2.3.emuv", "inferior.7.emuv", "infer.7",
      "infer.7.",      "Xinfer.7.emuv",  "infer.-7.emuv",    "infer.7.2x.emuv", ""};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (emuv_names_belongs("infer.emuv", bad[i])) fail_msg("'%s' belongs", bad[i]);
}

static void names_are_claimed_one_after_the_other(void **state)
{
  (void)state;
  char folder[] = "/tmp/emuv-names-XXXXXX", wanted[64], path[PATH_MAX], expected[PATH_MAX];
  assert_non_null(mkdtemp(folder));
  snprintf(wanted, sizeof wanted, "%s/t.emuv", folder);
  for (unsigned nth = 0; nth < 4; nth++) {
    assert_int_equal(emuv_names_claim(wanted, 9, path), 0);
    assert_int_equal(emuv_names_make(wanted, 9, nth, expected), 0);
    assert_string_equal(path, expected);
  }
  assert_int_equal(emuv_names_claim(wanted, 10, path), 0);
  assert_non_null(strstr(path, "/t.10.emuv"));
  unlink(path);
  for (unsigned nth = 0; nth < 4; nth++) {
    emuv_names_make(wanted, 9, nth, path);
    assert_int_equal(unlink(path), 0);
  }
  rmdir(folder);
  assert_int_equal(emuv_names_claim(wanted, 9, path), EMUV_ERR_IO);
  assert_int_equal(errno, ENOENT);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_options_everything_is_recorded),  cmocka_unit_test(times_bound_the_window),
      cmocka_unit_test(a_duration_begins_with_the_first_range),  cmocka_unit_test(ranges_nest_per_thread_and_domain),
      cmocka_unit_test(ranges_are_named_in_one_of_two_ways),     cmocka_unit_test(the_environment_sets_the_window),
      cmocka_unit_test(names_hold_the_pid_before_the_extension), cmocka_unit_test(other_names_do_not_belong),
      cmocka_unit_test(names_are_claimed_one_after_the_other),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
