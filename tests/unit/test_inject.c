// SPDX-License-Identifier: Apache-2.0
/* Faults on purpose: rules and their messages, when they fire, and that threads count as one does. */
#include "runtime/core/inject.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct emuv_inject *open_rules(const char *const *rules, size_t n, uint64_t seed)
{
  struct emuv_inject *inject;
  struct emuv_err err = {0};
  int rc = emuv_inject_open(rules, n, seed, &inject, &err);
  if (rc != EMUV_OK) print_error("%s\n", err.text);
  assert_int_equal(rc, EMUV_OK);
  return inject;
}

static struct emuv_inject *open_rule(const char *rule)
{
  return open_rules(&rule, 1, 1);
}

/* Calls of 1 to n at which `rule` fires, as "3 6 9". */
static void expect_calls(const char *rule, int n, const char *expected)
{
  char calls[256] = "";
  struct emuv_inject *inject = open_rule(rule);
  uint64_t asked, fired, counted = 0;
  for (int i = 1; i <= n; i++) {
    if (!emuv_inject_now(inject, EMUV_INJECT_COPY_ERROR)) continue;
    (void)snprintf(calls + strlen(calls), sizeof calls - strlen(calls), counted++ ? " %d" : "%d", i);
  }
  assert_string_equal(calls, expected);
  emuv_inject_counts(inject, EMUV_INJECT_COPY_ERROR, &asked, &fired);
  assert_int_equal(asked, n);
  assert_int_equal(fired, counted);
  emuv_inject_close(inject);
}

static void test_when(void **state)
{
  (void)state;
  expect_calls("copy-error", 4, "1 2 3 4");
  expect_calls("copy-error:once", 4, "1");
  expect_calls("copy-error:every=3", 10, "3 6 9");
  expect_calls("copy-error:every=3,once", 10, "3");
  expect_calls("copy-error:after=5", 8, "6 7 8");
  expect_calls("copy-error:after=5,every=2", 10, "7 9");
  expect_calls("copy-error:after=5,once", 10, "6");
  expect_calls("copy-error:every=2,times=3", 20, "2 4 6");
  expect_calls("copy-error:times=2,after=1", 20, "2 3");
  expect_calls("copy-error:rate=1,times=2", 20, "1 2");
  expect_calls("copy-error:rate=0", 20, "");
}

/* Share of 100000 calls; the bounds are 8 standard deviations wide. */
static void test_rate(void **state)
{
  (void)state;
  static const char *const rules[] = {"copy-error:rate=0.01,seed=3"}, *const other[] = {"copy-error:rate=0.01,seed=4"};
  struct emuv_inject *a = open_rules(rules, 1, 1), *b = open_rules(rules, 1, 2), *c = open_rules(other, 1, 1);
  uint64_t fired = 0, differ = 0;
  for (int i = 0; i < 100000; i++) {
    bool now = emuv_inject_now(a, EMUV_INJECT_COPY_ERROR);
    fired += now;
    assert_int_equal(now, emuv_inject_now(b, EMUV_INJECT_COPY_ERROR)); /* the rule's own seed counts */
    differ += now != emuv_inject_now(c, EMUV_INJECT_COPY_ERROR);
  }
  assert_in_range(fired, 750, 1250);
  assert_in_range(differ, 1500, 2500);
  emuv_inject_close(a);
  emuv_inject_close(b);
  emuv_inject_close(c);
}

static void test_choose(void **state)
{
  (void)state;
  static const char *const rules[] = {"flip-vram:every=2", "flip-ram:every=2"};
  struct emuv_inject *a = open_rules(rules, 2, 7), *b = open_rules(rules, 2, 7), *c = open_rules(rules, 2, 8);
  uint64_t seen = 0, same_seed = 0, same_point = 0;
  for (int i = 0; i < 128; i++) {
    uint64_t chosen = emuv_inject_choose(a, EMUV_INJECT_FLIP_VRAM, 64);
    assert_in_range(chosen, 0, 63);
    assert_int_equal(chosen, emuv_inject_choose(a, EMUV_INJECT_FLIP_VRAM, 64));
    assert_int_equal(chosen, emuv_inject_choose(b, EMUV_INJECT_FLIP_VRAM, 64));
    same_seed += chosen == emuv_inject_choose(c, EMUV_INJECT_FLIP_VRAM, 64);
    same_point += chosen == emuv_inject_choose(a, EMUV_INJECT_FLIP_RAM, 64);
    seen |= 1ull << chosen;
    for (int call = 0; call < 2; call++) {
      (void)emuv_inject_now(a, EMUV_INJECT_FLIP_VRAM);
      (void)emuv_inject_now(b, EMUV_INJECT_FLIP_VRAM);
      (void)emuv_inject_now(c, EMUV_INJECT_FLIP_VRAM);
      (void)emuv_inject_now(a, EMUV_INJECT_FLIP_RAM);
    }
  }
  assert_true(__builtin_popcountll(seen) > 40); /* 128 throws into 64: 55 expected */
  assert_true(same_seed < 16 && same_point < 16);
  emuv_inject_close(a);
  emuv_inject_close(b);
  emuv_inject_close(c);
}

static void test_delay(void **state)
{
  (void)state;
  struct emuv_inject *inject = open_rule("nvme-slow:every=10,for=5ms"), *plain = open_rule("nvme-slow");
  assert_int_equal(emuv_inject_delay_ns(inject, EMUV_INJECT_NVME_SLOW), 5000000);
  assert_int_equal(emuv_inject_delay_ns(plain, EMUV_INJECT_NVME_SLOW), 10000000);
  assert_int_equal(emuv_inject_delay_ns(NULL, EMUV_INJECT_NVME_SLOW), 10000000);
  emuv_inject_close(inject);
  emuv_inject_close(plain);
}

static void test_nothing(void **state)
{
  (void)state;
  uint64_t asked = 1, fired = 1;
  struct emuv_inject *inject = open_rules(NULL, 0, 1);
  assert_null(inject);
  assert_false(emuv_inject_now(inject, EMUV_INJECT_DEVICE_LOST));
  emuv_inject_counts(inject, EMUV_INJECT_DEVICE_LOST, &asked, &fired);
  assert_int_equal(asked + fired, 0);
  emuv_inject_close(inject);
  inject = open_rule("copy-error");
  assert_false(emuv_inject_now(inject, EMUV_INJECT_DEVICE_LOST)); /* no rule names it */
  emuv_inject_close(inject);
}

static void test_errors(void **state)
{
  (void)state;
  static const struct {
    const char *rule, *text, *hint;
  } cases[] = {
      {"nvme-raed-eio", "fault 'nvme-raed-eio': unknown fault 'nvme-raed-eio'", "did you mean 'nvme-read-eio'?"},
      {"", "fault '': unknown fault ''", "known: nvme-open "},
      {"gremlins:once", "fault 'gremlins:once': unknown fault 'gremlins'", "known: nvme-open "},
      {"copy-error:evry=2", "fault 'copy-error:evry=2': unknown key 'evry'", "did you mean 'every'?"},
      {"copy-error:frequently", "fault 'copy-error:frequently': unknown key 'frequently'",
       "known: every after times once rate seed for"},
      {"copy-error:", "fault 'copy-error:': unknown key ''", "known: every"},
      {"copy-error:every", "fault 'copy-error:every': 'every' needs a value", ""},
      {"copy-error:once=1", "fault 'copy-error:once=1': 'once' takes no value", ""},
      {"copy-error:every=0", "fault 'copy-error:every=0': every: \"0\" is too small: the least is 1", ""},
      {"copy-error:every=x", "fault 'copy-error:every=x': every: \"x\" is not a whole number", ""},
      {"copy-error:rate=2", "fault 'copy-error:rate=2': rate: \"2\" is too large: the most is 1", ""},
      {"nvme-slow:for=5x", "fault 'nvme-slow:for=5x': for: ", ""},
      {"copy-error:every=2,rate=0.5", "fault 'copy-error:every=2,rate=0.5': 'every' and 'rate' exclude each other", ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct emuv_inject *inject;
    struct emuv_err err = {0};
    assert_int_equal(emuv_inject_open(&cases[i].rule, 1, 1, &inject, &err), EMUV_ERR_USAGE);
    assert_null(inject);
    assert_int_equal(err.code, EMUV_ERR_USAGE);
    if (strncmp(err.text, cases[i].text, strlen(cases[i].text)) != 0) assert_string_equal(err.text, cases[i].text);
    if (strncmp(err.hint, cases[i].hint, strlen(cases[i].hint)) != 0) assert_string_equal(err.hint, cases[i].hint);
    assert_int_equal(emuv_inject_open(&cases[i].rule, 1, 1, &inject, NULL), EMUV_ERR_USAGE);
  }
  static const char *const twice[] = {"copy-error", "nvme-slow", "copy-error:once"};
  struct emuv_inject *inject;
  struct emuv_err err = {0};
  assert_int_equal(emuv_inject_open(twice, 3, 1, &inject, &err), EMUV_ERR_USAGE);
  assert_string_equal(err.text, "fault 'copy-error:once': 'copy-error' is given twice");
  char longer[600];
  const char *rule = longer;
  memset(longer, 'x', sizeof longer - 1);
  longer[sizeof longer - 1] = '\0';
  assert_int_equal(emuv_inject_open(&rule, 1, 1, &inject, &err), EMUV_ERR_USAGE);
}

static void test_names(void **state)
{
  (void)state;
  for (int i = 0; i < EMUV_INJECT_N_POINTS; i++) {
    const char *name = emuv_inject_name((enum emuv_inject_point)i);
    struct emuv_inject *inject = open_rule(name);
    assert_true(strlen(emuv_inject_summary((enum emuv_inject_point)i)) > 10);
    for (int j = 0; j < EMUV_INJECT_N_POINTS; j++)
      assert_int_equal(emuv_inject_now(inject, (enum emuv_inject_point)j), i == j);
    emuv_inject_close(inject);
  }
}

enum { THREADS = 8, CALLS = 20000 };

static void *ask(void *argument)
{
  struct emuv_inject *inject = argument;
  uintptr_t fired = 0;
  for (int i = 0; i < CALLS; i++) fired += emuv_inject_now(inject, EMUV_INJECT_COPY_ERROR);
  return (void *)fired;
}

/* However calls fall on threads, the same number fires. */
static void expect_fired_by_threads(const char *rule, uint64_t expected)
{
  struct emuv_inject *inject = open_rule(rule);
  pthread_t threads[THREADS];
  uint64_t asked, fired, sum = 0;
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, ask, inject), 0);
  for (int i = 0; i < THREADS; i++) {
    void *count;
    pthread_join(threads[i], &count);
    sum += (uintptr_t)count;
  }
  emuv_inject_counts(inject, EMUV_INJECT_COPY_ERROR, &asked, &fired);
  assert_int_equal(asked, THREADS * CALLS);
  assert_int_equal(fired, expected);
  assert_int_equal(sum, expected);
  emuv_inject_close(inject);
}

static void test_threads(void **state)
{
  (void)state;
  expect_fired_by_threads("copy-error:every=7", THREADS * CALLS / 7);
  expect_fired_by_threads("copy-error:after=100,times=123", 123);
  expect_fired_by_threads("copy-error:once", 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_when),  cmocka_unit_test(test_rate),    cmocka_unit_test(test_choose),
      cmocka_unit_test(test_delay), cmocka_unit_test(test_nothing), cmocka_unit_test(test_errors),
      cmocka_unit_test(test_names), cmocka_unit_test(test_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
