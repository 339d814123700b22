// SPDX-License-Identifier: Apache-2.0
/* Units: what is read exactly, what is refused and with which words, and that formatted sizes read back. */
#include "runtime/core/rng.h"
#include "runtime/core/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define KiB UINT64_C(1024)

static void sizes_are_exact(void **state)
{
  (void)state;
  static const struct {
    const char *text;
    uint64_t bytes;
  } cases[] = {
      {"0", 0},
      {"512", 512},
      {"512B", 512},
      {"64KiB", 64 * KiB},
      {" 64 KiB ", 64 * KiB},
      {"2MiB", 2 * KiB * KiB},
      {"12GiB", 12 * KiB * KiB * KiB},
      {"1TiB", KiB * KiB * KiB * KiB},
      {"4096PiB", UINT64_C(1) << 62},
      {"1.5GiB", 3 * KiB * KiB * KiB / 2},
      {"0.5KiB", 512},
      {"1.50KiB", 1536},
      {"2.MiB", 2 * KiB * KiB},
      {"64kB", 64000},
      {"64KB", 64000},
      {"2.4GB", UINT64_C(2400000000)},
      {"80GB", UINT64_C(80000000000)},
      {"1TB", UINT64_C(1000000000000)},
      {"0.001kB", 1},
      {"4611686018427387904", UINT64_C(1) << 62},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint64_t bytes = 1;
    struct emuv_err err;
    if (emuv_units_parse_bytes(cases[i].text, &bytes, &err) != 0) fail_msg("%s: %s", cases[i].text, err.text);
    assert_int_equal(bytes, cases[i].bytes);
  }
}

struct bad {
  const char *text;
  int code;
  const char *message, *hint;
};

#define SIZES "sizes are written 4KiB 2MiB 12GiB 1TiB (or kB MB GB TB for powers of 1000)"
#define EXAMPLE "write a number and a unit, e.g. 2MiB"

static void bad_sizes_say_what_to_write(void **state)
{
  (void)state;
  static const struct bad cases[] = {
      {"64K", EMUV_ERR_INPUT, "\"64K\": unknown unit \"K\" of a size", "write 64KiB (1024-based) or 64kB (1000-based)"},
      {"64k", EMUV_ERR_INPUT, "\"64k\": unknown unit \"k\" of a size", "write 64KiB (1024-based) or 64kB (1000-based)"},
      {"12 G", EMUV_ERR_INPUT, "\"12 G\": unknown unit \"G\" of a size",
       "write 12GiB (1024-based) or 12GB (1000-based)"},
      {"1.5m", EMUV_ERR_INPUT, "\"1.5m\": unknown unit \"m\" of a size",
       "write 1.5MiB (1024-based) or 1.5MB (1000-based)"},
      {"3gib", EMUV_ERR_INPUT, "\"3gib\": unknown unit \"gib\" of a size",
       "write 3GiB (1024-based) or 3GB (1000-based)"},
      {"3T", EMUV_ERR_INPUT, "\"3T\": unknown unit \"T\" of a size", "write 3TiB (1024-based) or 3TB (1000-based)"},
      {"3 bananas", EMUV_ERR_INPUT, "\"3 bananas\": unknown unit \"bananas\" of a size", SIZES},
      {"-1GiB", EMUV_ERR_RANGE, "\"-1GiB\": a size must not be negative", ""},
      {"", EMUV_ERR_INPUT, "\"\" is not a size", EXAMPLE},
      {"GiB", EMUV_ERR_INPUT, "\"GiB\" is not a size", EXAMPLE},
      {"0.3KiB", EMUV_ERR_INPUT, "\"0.3KiB\" is not a whole number of bytes", ""},
      {"1e3KiB", EMUV_ERR_INPUT, "\"1e3KiB\" is not a size: malformed number", ""},
      {"1.2.3KiB", EMUV_ERR_INPUT, "\"1.2.3KiB\" is not a size: malformed number", ""},
      {"4097PiB", EMUV_ERR_RANGE, "\"4097PiB\" is an absurd size: the most that is accepted is 4096PiB", ""},
      {"99999999999999999999999999999999999999", EMUV_ERR_RANGE,
       "\"99999999999999999999999999999999999999\" is an absurd size: the most that is accepted is 4096PiB", ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint64_t bytes = 77;
    struct emuv_err err;
    assert_int_equal(emuv_units_parse_bytes(cases[i].text, &bytes, &err), cases[i].code);
    assert_int_equal(err.code, cases[i].code);
    assert_string_equal(err.text, cases[i].message);
    assert_string_equal(err.hint, cases[i].hint);
    assert_int_equal(bytes, 77);
  }
}

typedef int parse_double(const char *, double *, struct emuv_err *);

static void rates_times_and_flops_have_units(void **state)
{
  (void)state;
  static const struct {
    parse_double *parse;
    const char *text;
    double value;
  } cases[] = {
      {emuv_units_parse_rate, "55.5GB/s", 55.5e9},
      {emuv_units_parse_rate, "7.5 GB/s", 7.5e9},
      {emuv_units_parse_rate, "51GiB/s", 51 * 0x1p30},
      {emuv_units_parse_rate, "400MB/s", 400e6},
      {emuv_units_parse_rate, "1e9B/s", 1e9},
      {emuv_units_parse_rate, "0", 0},
      {emuv_units_parse_time, "2.5us", 2500},
      {emuv_units_parse_time, "30ns", 30},
      {emuv_units_parse_time, "1ms", 1e6},
      {emuv_units_parse_time, "0.5s", 5e8},
      {emuv_units_parse_time, "1.5 min", 9e10},
      {emuv_units_parse_time, "2h", 7.2e12},
      {emuv_units_parse_flops, "989TFLOP/s", 989e12},
      {emuv_units_parse_flops, "82.6 TFLOP/s", 82.6e12},
      {emuv_units_parse_flops, "500GFLOP/s", 500e9},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    double value = -1;
    struct emuv_err err;
    if (cases[i].parse(cases[i].text, &value, &err) != 0) fail_msg("%s: %s", cases[i].text, err.text);
    assert_true(value == cases[i].value);
  }
}

static void bad_rates_times_and_flops_say_why(void **state)
{
  (void)state;
  static const struct {
    parse_double *parse;
    struct bad bad;
  } cases[] = {
      {emuv_units_parse_rate,
       {"25Gb/s", EMUV_ERR_INPUT, "\"25Gb/s\": unknown unit \"Gb/s\" of a rate", "write e.g. 25GB/s or 24GiB/s"}},
      {emuv_units_parse_rate, {"25", EMUV_ERR_INPUT, "\"25\": a rate needs a unit", "write e.g. 25GB/s or 24GiB/s"}},
      {emuv_units_parse_rate, {"-1GB/s", EMUV_ERR_RANGE, "\"-1GB/s\": a rate must not be negative", ""}},
      {emuv_units_parse_time,
       {"3", EMUV_ERR_INPUT, "\"3\": a time needs a unit", "write e.g. 30ns 2.5us 1ms 0.5s 2min"}},
      {emuv_units_parse_time,
       {"3 m", EMUV_ERR_INPUT, "\"3 m\": unknown unit \"m\" of a time", "write e.g. 30ns 2.5us 1ms 0.5s 2min"}},
      {emuv_units_parse_time, {"1.2.3us", EMUV_ERR_INPUT, "\"1.2.3us\" is not a time: malformed number", ""}},
      {emuv_units_parse_time, {"1e999s", EMUV_ERR_INPUT, "\"1e999s\" is not a time: malformed number", ""}},
      {emuv_units_parse_time, {"1e308s", EMUV_ERR_RANGE, "\"1e308s\" is an absurd time", ""}},
      {emuv_units_parse_flops,
       {"82TFLOPS", EMUV_ERR_INPUT, "\"82TFLOPS\": unknown unit \"TFLOPS\" of a FLOP rate", "write e.g. 82.6TFLOP/s"}},
      {emuv_units_parse_flops,
       {"nan", EMUV_ERR_INPUT, "\"nan\" is not a FLOP rate", "write a number and a unit, e.g. 82.6TFLOP/s"}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct bad *bad = &cases[i].bad;
    double value = 77;
    struct emuv_err err;
    assert_int_equal(cases[i].parse(bad->text, &value, &err), bad->code);
    assert_string_equal(err.text, bad->message);
    assert_string_equal(err.hint, bad->hint);
    assert_true(value == 77);
  }
}

static void formatted_sizes_read_back(void **state)
{
  (void)state;
  struct emuv_rng rng;
  emuv_rng_seed(&rng, 1);
  for (int i = 0; i < 100000; i++) {
    uint64_t bytes = emuv_rng_next(&rng) >> (2 + emuv_rng_below(&rng, 62)), back = 1;
    bytes &= ~UINT64_C(0) << emuv_rng_below(&rng, 50);
    char buf[32];
    assert_int_equal(emuv_units_parse_bytes(emuv_units_format_bytes(bytes, buf, sizeof buf), &back, NULL), 0);
    assert_int_equal(back, bytes);
  }
}

static void canonical_sizes_use_the_largest_unit(void **state)
{
  (void)state;
  char buf[32];
  assert_string_equal(emuv_units_format_bytes(0, buf, sizeof buf), "0B");
  assert_string_equal(emuv_units_format_bytes(1000, buf, sizeof buf), "1000B");
  assert_string_equal(emuv_units_format_bytes(1536 * KiB, buf, sizeof buf), "1536KiB");
  assert_string_equal(emuv_units_format_bytes(2048 * KiB, buf, sizeof buf), "2MiB");
  assert_string_equal(emuv_units_format_bytes(UINT64_C(1) << 62, buf, sizeof buf), "4096PiB");
}

static void people_read_three_digits(void **state)
{
  (void)state;
  static const struct {
    double value;
    const char *bytes, *time;
  } cases[] = {
      {0, "0 B", "0 s"},
      {12, "12 B", "12 s"},
      {1.894, "1.89 B", "1.89 s"},
      {0.35, "0.35 B", "350 ms"},
      {12e-6, "0 B", "12 us"},
      {1.234e-9, "0 B", "1.23 ns"},
      {0.0009996, "0 B", "1 ms"},
      {999.4, "999 B", "16 min 39 s"},
      {999.6, "0.98 KiB", "16 min 40 s"},
      {13207024435, "12.3 GiB", "3668617 h 53 min"},
      {100, "100 B", "100 s"},
      {125, "125 B", "2 min 05 s"},
      {7500, "7.32 KiB", "2 h 05 min"},
      {-1, "0 B", "0 s"},
  };
  char buf[40];
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_string_equal(emuv_units_human_bytes(cases[i].value, buf, sizeof buf), cases[i].bytes);
    assert_string_equal(emuv_units_human_time(cases[i].value, buf, sizeof buf), cases[i].time);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sizes_are_exact),
      cmocka_unit_test(bad_sizes_say_what_to_write),
      cmocka_unit_test(rates_times_and_flops_have_units),
      cmocka_unit_test(bad_rates_times_and_flops_say_why),
      cmocka_unit_test(formatted_sizes_read_back),
      cmocka_unit_test(canonical_sizes_use_the_largest_unit),
      cmocka_unit_test(people_read_three_digits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
