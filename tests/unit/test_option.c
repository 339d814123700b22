// SPDX-License-Identifier: Apache-2.0
/* Option tables: every row of the configuration's table holds what its header promises, random values of every row read
 * back from their canonical text, and bad values are refused with words that say what to write. */
#include "runtime/core/option.h"
#include "runtime/core/rng.h"
#include "simulator/config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct emuv_option *row(const char *key)
{
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n), *opt = emuv_option_find(table, n, key);
  if (opt == NULL) fail_msg("no key %s", key);
  return opt;
}

static void assert_refused(const char *key, const char *text, int code, const char *message, const char *hint)
{
  struct emuv_config config, before;
  struct emuv_err err;
  assert_int_equal(emuv_config_defaults(&config, NULL), 0);
  before = config;
  assert_int_equal(emuv_option_parse(row(key), &config, text, &err), code);
  assert_string_equal(err.text, message);
  if (hint != NULL) assert_string_equal(err.hint, hint);
  assert_memory_equal(&config, &before, sizeof config);
}

static void every_row_is_sound(void **state)
{
  (void)state;
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  struct emuv_config config;
  struct emuv_err err;
  for (size_t i = 0; i < n; i++) {
    assert_true(strlen(table[i].help) > 0 && strchr(table[i].help, '\n') == NULL);
    assert_ptr_equal(emuv_option_find(table, n, table[i].key), &table[i]);
    assert_true(table[i].offset < sizeof config);
    assert_true((table[i].names != NULL) == (table[i].type == EMUV_OPTION_NAME));
    if (emuv_option_parse(&table[i], &config, table[i].def, &err) != 0) fail_msg("%s", err.text);
    for (size_t j = 0; j < i; j++) assert_true(table[i].offset != table[j].offset);
  }
}

static void documented_defaults(void **state)
{
  (void)state;
  struct emuv_config c;
  assert_int_equal(emuv_config_defaults(&c, NULL), 0);
  assert_string_equal(c.source, "transformer");
  assert_string_equal(c.model.preset, "llama-2-7b");
  assert_string_equal(c.hw.preset, "rtx-4090");
  assert_string_equal(c.strategy, "paged");
  assert_string_equal(c.policy, "recur");
  assert_string_equal(c.prefetch, "learned");
  assert_int_equal(c.page_size, 2 << 20);
  assert_int_equal(c.context, 4096);
  assert_int_equal(c.ram, UINT64_C(256) << 30);
  assert_true(c.launch_host == 5000);
}

/* A random text that the row accepts. */
static void random_text(const struct emuv_option *opt, struct emuv_rng *rng, char *buf, size_t size)
{
  double low = opt->max > opt->min ? opt->min : 0, high = opt->max > opt->min ? opt->max : 1e18;
  double x = low > 0 ? low * pow(high / low, emuv_rng_unit(rng)) : high * pow(emuv_rng_unit(rng), 8);
  unsigned long long a = 1 + emuv_rng_below(rng, 1 << 20), b = a + 1 + emuv_rng_below(rng, 1 << 20);
  size_t n = 0;
  switch (opt->type) {
  case EMUV_OPTION_BYTES:
  case EMUV_OPTION_U64: (void)snprintf(buf, size, "%.0f", floor(x)); break;
  case EMUV_OPTION_RATE: (void)snprintf(buf, size, "%.17gB/s", x); break;
  case EMUV_OPTION_TIME: (void)snprintf(buf, size, "%.17gns", x); break;
  case EMUV_OPTION_FLOPS: (void)snprintf(buf, size, "%.17gFLOP/s", x); break;
  case EMUV_OPTION_DOUBLE: (void)snprintf(buf, size, "%.17g", x); break;
  case EMUV_OPTION_BOOL: (void)snprintf(buf, size, "%s", a % 2 ? "yes" : "OFF"); break;
  case EMUV_OPTION_STRING: (void)snprintf(buf, size, "text %llu", a); break;
  case EMUV_OPTION_NAME:
    while (opt->names()[n] != NULL) n++;
    (void)snprintf(buf, size, "%s", opt->names()[emuv_rng_below(rng, n)]);
    break;
  case EMUV_OPTION_CURVE: (void)snprintf(buf, size, "%llu=%.17gB/s  %llu=1.1e9B/s", a, 1 + x, b); break;
  }
}

static void random_values_of_every_row_read_back(void **state)
{
  (void)state;
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  struct emuv_rng rng;
  emuv_rng_seed(&rng, 42);
  for (int round = 0; round < 2000; round++)
    for (size_t i = 0; i < n; i++) {
      struct emuv_config a = {0}, b = {0};
      char text[256], canonical[2048], again[2048];
      struct emuv_err err;
      random_text(&table[i], &rng, text, sizeof text);
      if (emuv_option_parse(&table[i], &a, text, &err) != 0) fail_msg("%s", err.text);
      (void)emuv_option_format(&table[i], &a, canonical, sizeof canonical);
      if (emuv_option_parse(&table[i], &b, canonical, &err) != 0) fail_msg("%s -> %s: %s", text, canonical, err.text);
      if (memcmp(&a, &b, sizeof a) != 0) fail_msg("%s: %s -> %s is another value", table[i].key, text, canonical);
      assert_string_equal(canonical, emuv_option_format(&table[i], &b, again, sizeof again));
    }
}

static void assert_canonical(const char *key, const char *text, const char *expected)
{
  struct emuv_config config = {0};
  struct emuv_err err;
  char buf[2048];
  if (emuv_option_parse(row(key), &config, text, &err) != 0) fail_msg("%s", err.text);
  assert_string_equal(emuv_option_format(row(key), &config, buf, sizeof buf), expected);
}

static void equal_values_have_one_text(void **state)
{
  (void)state;
  assert_canonical("vram", "12288 MiB", "12GiB");
  assert_canonical("hw.vram_rate", "1008000 MB/s", "1.008TB/s");
  assert_canonical("hw.vram_rate", "0", "0B/s");
  assert_canonical("hw.fault", "0.0025ms", "2.5us");
  assert_canonical("hw.flops", "82600 GFLOP/s", "82.6TFLOP/s");
  assert_canonical("pattern.skew", "1.10", "1.1");
  assert_canonical("pattern.skew", "-0", "0");
  assert_canonical("context", " 007", "7");
  assert_canonical("model.tied_embeddings", "On", "true");
  assert_canonical("hw.h2d", " 4KiB=1.7GB/s\n 65536=18000MB/s ", "4KiB=1.7GB/s 64KiB=18GB/s");
  assert_canonical("hw.h2d", "25GB/s", "25GB/s");
  assert_canonical("hw.h2d", "", "");
}

static void bad_values_are_refused_with_words(void **state)
{
  (void)state;
  assert_refused("page_size", "64K", EMUV_ERR_INPUT, "page_size: \"64K\": unknown unit \"K\" of a size",
                 "write 64KiB (1024-based) or 64kB (1000-based)");
  assert_refused("page_size", "1KiB", EMUV_ERR_RANGE, "page_size: \"1KiB\" is too small: the least is 4KiB", "");
  assert_refused("vram", "65TiB", EMUV_ERR_RANGE, "vram: \"65TiB\" is too large: the most is 64TiB", "");
  assert_refused("hw.vram_efficiency", "1.5", EMUV_ERR_RANGE, "hw.vram_efficiency: \"1.5\" is too large: the most is 1",
                 "");
  assert_refused("context", "64K", EMUV_ERR_INPUT, "context: \"64K\" is not a whole number",
                 "write the digits, e.g. 65536 for 64K in powers of 1024");
  assert_refused("context", "-1", EMUV_ERR_RANGE, "context: \"-1\": must not be negative", "");
  assert_refused("context", "1e3", EMUV_ERR_INPUT, "context: \"1e3\" is not a whole number", "");
  assert_refused("seed", "18446744073709551616", EMUV_ERR_RANGE, "seed: \"18446744073709551616\" is an absurd number",
                 "");
  assert_refused("pattern.skew", "nan", EMUV_ERR_INPUT, "pattern.skew: \"nan\" is not a number", "");
  assert_refused("pattern.skew", "0x1p3", EMUV_ERR_INPUT, "pattern.skew: \"0x1p3\" is not a number", "");
  assert_refused("pattern.skew", "1e999", EMUV_ERR_RANGE, "pattern.skew: \"1e999\" is an absurd number", "");
  assert_refused("pattern.skew", "", EMUV_ERR_INPUT, "pattern.skew: \"\" is not a number", "");
  assert_refused("model.tied_embeddings", "maybe", EMUV_ERR_INPUT,
                 "model.tied_embeddings: \"maybe\" is neither true nor false", "write true or false");
  assert_refused("write", "bakc", EMUV_ERR_INPUT, "unknown write \"bakc\"",
                 "did you mean \"back\"? valid: back through");
  assert_refused("pin", "everything", EMUV_ERR_INPUT, "unknown pin \"everything\"", "valid: none kv weights");
}

static void bad_curves_are_refused_with_words(void **state)
{
  (void)state;
  assert_refused("hw.h2d", "64KiB=18GB/s 4KiB=1GB/s", EMUV_ERR_INPUT, "hw.h2d: point 2 of the curve: sizes must ascend",
                 "");
  assert_refused("hw.h2d", "4KiB=1GB/s 4KiB=1GB/s", EMUV_ERR_INPUT, "hw.h2d: point 2 of the curve: sizes must ascend",
                 "");
  assert_refused("hw.h2d", "4KiB=0", EMUV_ERR_RANGE, "hw.h2d: point 1 of the curve has no speed", "");
  assert_refused("hw.h2d", "0=1GB/s", EMUV_ERR_RANGE, "hw.h2d: point 1 of the curve has size 0", "");
  assert_refused("hw.h2d", "4KiB=1GB/s 64KiB", EMUV_ERR_INPUT, "hw.h2d: malformed point \"64KiB\" of a curve",
                 "write SIZE=RATE pairs without inner spaces, e.g. 4KiB=1.7GB/s 2MiB=52GB/s");
  assert_refused("hw.h2d", "4K=1GB/s", EMUV_ERR_INPUT, "hw.h2d: \"4K\": unknown unit \"K\" of a size",
                 "write 4KiB (1024-based) or 4kB (1000-based)");
  assert_refused("hw.h2d", "4KiB=1", EMUV_ERR_INPUT, "hw.h2d: \"1\": a rate needs a unit", NULL);
  char many[400] = "";
  for (int i = 1; i <= EMUV_CURVE_POINTS + 1; i++) (void)snprintf(many + strlen(many), 20, "%d=1GB/s ", i);
  assert_refused("hw.h2d", many, EMUV_ERR_INPUT, "hw.h2d: a curve has at most 16 points", "");
}

static void overlong_strings_are_refused(void **state)
{
  (void)state;
  char text[EMUV_OPTION_STRING_SIZE + 1];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  assert_refused("description", text, EMUV_ERR_INPUT, "description: text of 192 bytes is too long (at most 191)", "");
}

static void curves_are_log_linear_between_points_and_flat_outside(void **state)
{
  (void)state;
  struct emuv_config c = {0};
  assert_true(emuv_curve_rate(&c.hw.h2d, 4096) == 0);
  assert_int_equal(emuv_option_parse(row("hw.h2d"), &c, "4KiB=1GB/s 64KiB=5GB/s 1MiB=20GB/s", NULL), 0);
  assert_true(emuv_curve_rate(&c.hw.h2d, 1) == 1e9);
  assert_true(emuv_curve_rate(&c.hw.h2d, 4096) == 1e9);
  assert_true(fabs(emuv_curve_rate(&c.hw.h2d, 16384) - 3e9) < 1); /* half way: 4 KiB x 4 = 64 KiB / 4 */
  assert_true(emuv_curve_rate(&c.hw.h2d, 65536) == 5e9);
  assert_true(fabs(emuv_curve_rate(&c.hw.h2d, 131072) - (5e9 + 15e9 / 4)) < 1);
  assert_true(emuv_curve_rate(&c.hw.h2d, 1 << 20) == 20e9);
  assert_true(emuv_curve_rate(&c.hw.h2d, UINT64_C(1) << 40) == 20e9);
}

static void suggestions_are_near_or_none(void **state)
{
  (void)state;
  static const char *const names[] = {"lru", "fifo", "clock", "belady", NULL};
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  static const char *const keys[][2] = {
      {"page-size", "page_size"},
      {"pagesize", "page_size"},
      {"polciy", "policy"},
      {"Vram", "vram"},
      {"layers", "model.layers"},
      {"h2d", "hw.h2d"},
      {"model.layer", "model.layers"},
      {"contxt", "context"},
  };
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
    assert_string_equal(emuv_option_suggest(table, n, keys[i][0]), keys[i][1]);
  assert_null(emuv_option_suggest(table, n, "bananas"));
  assert_string_equal(emuv_option_suggest_name(names, "LRU"), "lru");
  assert_string_equal(emuv_option_suggest_name(names, "bleady"), "belady");
  assert_null(emuv_option_suggest_name(names, "arc"));
  char longer[200];
  memset(longer, 'l', sizeof longer - 1);
  longer[sizeof longer - 1] = '\0';
  assert_null(emuv_option_suggest_name(names, longer));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row_is_sound),
      cmocka_unit_test(documented_defaults),
      cmocka_unit_test(random_values_of_every_row_read_back),
      cmocka_unit_test(equal_values_have_one_text),
      cmocka_unit_test(bad_values_are_refused_with_words),
      cmocka_unit_test(bad_curves_are_refused_with_words),
      cmocka_unit_test(overlong_strings_are_refused),
      cmocka_unit_test(curves_are_log_linear_between_points_and_flat_outside),
      cmocka_unit_test(suggestions_are_near_or_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
