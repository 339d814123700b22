// SPDX-License-Identifier: Apache-2.0
/* Units (units.h): a number, optional spaces, a unit. Sizes are computed in integers and must be whole bytes, so that
 * "1.5GiB" is exact and "0.3KiB" is an error rather than a rounding. Rates, times and FLOP rates are doubles.
 * Numbers are read in the C locale whatever the program's locale is. No state; any thread. */
#include "runtime/core/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { UNIT_TEXT = 48 };
#define MAX_BYTES (UINT64_C(1) << 62)
__extension__ typedef unsigned __int128 u128;

struct unit {
  const char *name;
  double scale;
};

static const struct unit byte_units[] = {
    {"B", 1},    {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}, {"PiB", 0x1p50}, {"kB", 1e3},
    {"KB", 1e3}, {"MB", 1e6},     {"GB", 1e9},     {"TB", 1e12},    {"PB", 1e15},    {NULL, 0},
};
static const struct unit rate_units[] = {
    {"B/s", 1},    {"KiB/s", 0x1p10}, {"MiB/s", 0x1p20}, {"GiB/s", 0x1p30}, {"TiB/s", 0x1p40}, {"kB/s", 1e3},
    {"KB/s", 1e3}, {"MB/s", 1e6},     {"GB/s", 1e9},     {"TB/s", 1e12},    {NULL, 0},
};
static const struct unit time_units[] = {{"ns", 1},     {"us", 1e3},   {"ms", 1e6}, {"s", 1e9},
                                         {"min", 6e10}, {"h", 3.6e12}, {NULL, 0}};
static const struct unit flops_units[] = {
    {"FLOP/s", 1},     {"kFLOP/s", 1e3},  {"MFLOP/s", 1e6}, {"GFLOP/s", 1e9},
    {"TFLOP/s", 1e12}, {"PFLOP/s", 1e15}, {NULL, 0},
};

static const struct unit *find_unit(const struct unit *units, const char *name, size_t length)
{
  for (; units->name != NULL; units++)
    if (strlen(units->name) == length && memcmp(units->name, name, length) == 0) return units;
  return NULL;
}

/* The parts of "12.5 GiB" without leading and trailing spaces. */
struct parts {
  const char *number, *unit;
  size_t number_length, unit_length;
};

static size_t number_length(const char *s)
{
  size_t n = strspn(s, "0123456789.");
  if (n > 0 && (s[n] == 'e' || s[n] == 'E')) {
    size_t sign = s[n + 1] == '+' || s[n + 1] == '-';
    size_t digits = strspn(s + n + 1 + sign, "0123456789");
    if (digits > 0) n += 1 + sign + digits;
  }
  return n;
}

static int split(const char *text, const char *what, const char *example, struct parts *out, struct emuv_err *err)
{
  const char *s = text + strspn(text, " \t");
  if (*s == '-') {
    (void)emuv_err_set(err, EMUV_ERR_RANGE, "\"%.*s\": a %s must not be negative", UNIT_TEXT, text, what);
    return EMUV_ERR_RANGE;
  }
  size_t n = number_length(s);
  if (n == 0) {
    (void)emuv_err_set(err, EMUV_ERR_INPUT, "\"%.*s\" is not a %s", UNIT_TEXT, text, what);
    (void)emuv_err_hint(err, "write a number and a unit, e.g. %s", example);
    return EMUV_ERR_INPUT;
  }
  out->number = s;
  out->number_length = n;
  s += n;
  s += strspn(s, " \t");
  size_t end = strlen(s);
  while (end > 0 && (s[end - 1] == ' ' || s[end - 1] == '\t')) end--;
  out->unit = s;
  out->unit_length = end;
  return EMUV_OK;
}

static double read_double(const char *number, size_t length, bool *ok)
{
  char buf[400];
  *ok = false;
  if (length >= sizeof buf) return 0;
  memcpy(buf, number, length);
  buf[length] = '\0';
  locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (c == (locale_t)0) return 0;
  char *end;
  double v = strtod_l(buf, &end, c);
  freelocale(c);
  *ok = *end == '\0' && end != buf && isfinite(v);
  return v;
}

static int bad_number(const char *text, const char *what, struct emuv_err *err)
{
  return emuv_err_set(err, EMUV_ERR_INPUT, "\"%.*s\" is not a %s: malformed number", UNIT_TEXT, text, what);
}

/* number x scale as whole bytes. EMUV_ERR_RANGE above the bound, EMUV_ERR_INPUT when bytes would be cut in pieces. */
static int whole_bytes(const char *number, size_t length, uint64_t scale, uint64_t *bytes)
{
  u128 whole = 0, fraction = 0, denominator = 1;
  size_t i = 0;
  for (; i < length && isdigit((unsigned char)number[i]); i++) {
    whole = whole * 10 + (unsigned)(number[i] - '0');
    if (whole > MAX_BYTES) return EMUV_ERR_RANGE;
  }
  if (i < length && number[i] == '.') {
    size_t end = length;
    while (end > i + 1 && number[end - 1] == '0') end--;
    for (i++; i < end && isdigit((unsigned char)number[i]); i++) {
      if (denominator >= UINT64_C(1000000000000000000)) return EMUV_ERR_INPUT;
      fraction = fraction * 10 + (unsigned)(number[i] - '0');
      denominator *= 10;
    }
    if (i == end) i = length;
  }
  if (i != length) return EMUV_ERR_UNSUPPORTED;
  u128 part = fraction * scale;
  if (part % denominator != 0) return EMUV_ERR_INPUT;
  u128 total = whole * scale + part / denominator;
  if (total > MAX_BYTES) return EMUV_ERR_RANGE;
  *bytes = (uint64_t)total;
  return EMUV_OK;
}

/* Units that people write and that are ambiguous or in another case: the hint says what to write. */
static int bad_byte_unit(const char *text, const struct parts *p, struct emuv_err *err)
{
  static const char letters[] = "KMGTP";
  (void)emuv_err_set(err, EMUV_ERR_INPUT, "\"%.*s\": unknown unit \"%.*s\" of a size", UNIT_TEXT, text,
                     (int)(p->unit_length < UNIT_TEXT ? p->unit_length : UNIT_TEXT), p->unit);
  const char *letter = p->unit_length > 0 ? strchr(letters, toupper((unsigned char)p->unit[0])) : NULL;
  if (letter == NULL || *letter == '\0' || p->unit_length > 3)
    (void)emuv_err_hint(err, "sizes are written 4KiB 2MiB 12GiB 1TiB (or kB MB GB TB for powers of 1000)");
  else
    (void)emuv_err_hint(err, "write %.*s%ciB (1024-based) or %.*s%cB (1000-based)", (int)p->number_length, p->number,
                        *letter, (int)p->number_length, p->number, *letter == 'K' ? 'k' : *letter);
  return EMUV_ERR_INPUT;
}

int emuv_units_parse_bytes(const char *text, uint64_t *bytes, struct emuv_err *err)
{
  struct parts p;
  int rc = split(text, "size", "2MiB", &p, err);
  if (rc != EMUV_OK) return rc;
  const struct unit *unit = p.unit_length == 0 ? byte_units : find_unit(byte_units, p.unit, p.unit_length);
  if (unit == NULL) return bad_byte_unit(text, &p, err);
  rc = whole_bytes(p.number, p.number_length, (uint64_t)unit->scale, bytes);
  if (rc == EMUV_ERR_RANGE)
    return emuv_err_set(err, rc, "\"%.*s\" is an absurd size: the most that is accepted is 4096PiB", UNIT_TEXT, text);
  if (rc == EMUV_ERR_INPUT) return emuv_err_set(err, rc, "\"%.*s\" is not a whole number of bytes", UNIT_TEXT, text);
  return rc == EMUV_OK ? rc : bad_number(text, "size", err);
}

static int bad_unit(const char *text, const char *what, const char *example, const struct parts *p,
                    struct emuv_err *err)
{
  if (p->unit_length == 0)
    (void)emuv_err_set(err, EMUV_ERR_INPUT, "\"%.*s\": a %s needs a unit", UNIT_TEXT, text, what);
  else
    (void)emuv_err_set(err, EMUV_ERR_INPUT, "\"%.*s\": unknown unit \"%.*s\" of a %s", UNIT_TEXT, text,
                       (int)(p->unit_length < UNIT_TEXT ? p->unit_length : UNIT_TEXT), p->unit, what);
  (void)emuv_err_hint(err, "write e.g. %s", example);
  return EMUV_ERR_INPUT;
}

/* A double with a unit; zero needs none. */
static int parse_scaled(const char *text, const struct unit *units, const char *what, const char *example,
                        double *value, struct emuv_err *err)
{
  struct parts p;
  int rc = split(text, what, example, &p, err);
  if (rc != EMUV_OK) return rc;
  bool ok;
  double v = read_double(p.number, p.number_length, &ok);
  if (!ok) return bad_number(text, what, err);
  const struct unit *unit = p.unit_length == 0 && v == 0 ? units : find_unit(units, p.unit, p.unit_length);
  if (unit == NULL) return bad_unit(text, what, example, &p, err);
  v *= unit->scale;
  if (!isfinite(v)) return emuv_err_set(err, EMUV_ERR_RANGE, "\"%.*s\" is an absurd %s", UNIT_TEXT, text, what);
  *value = v;
  return EMUV_OK;
}

int emuv_units_parse_rate(const char *text, double *bytes_per_s, struct emuv_err *err)
{
  return parse_scaled(text, rate_units, "rate", "25GB/s or 24GiB/s", bytes_per_s, err);
}

int emuv_units_parse_time(const char *text, double *ns, struct emuv_err *err)
{
  return parse_scaled(text, time_units, "time", "30ns 2.5us 1ms 0.5s 2min", ns, err);
}

int emuv_units_parse_flops(const char *text, double *flop_per_s, struct emuv_err *err)
{
  return parse_scaled(text, flops_units, "FLOP rate", "82.6TFLOP/s", flop_per_s, err);
}

char *emuv_units_format_bytes(uint64_t bytes, char *buf, size_t size)
{
  static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t i = 0;
  while (i < 5 && bytes != 0 && bytes % 1024 == 0) {
    bytes /= 1024;
    i++;
  }
  (void)snprintf(buf, size, "%" PRIu64 "%s", bytes, names[i]);
  return buf;
}

/* Three digits, e.g. 1.89, 12.3, 350: the decimal point is put by hand so that the locale does not matter. */
static char *three_digits(double v, const char *unit, char *buf, size_t size)
{
  int decimals = v < 9.995 ? 2 : v < 99.95 ? 1 : 0;
  static const unsigned powers[] = {1, 10, 100};
  uint64_t scaled = (uint64_t)(v * powers[decimals] + 0.5);
  uint64_t whole = scaled / powers[decimals];
  unsigned part = (unsigned)(scaled % powers[decimals]);
  if (part == 0)
    (void)snprintf(buf, size, "%" PRIu64 " %s", whole, unit);
  else
    (void)snprintf(buf, size, "%" PRIu64 ".%0*u %s", whole, decimals, part, unit);
  return buf;
}

char *emuv_units_human_bytes(double bytes, char *buf, size_t size)
{
  static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  if (!(bytes >= 0) || bytes >= 0x1p63) bytes = bytes > 0 ? 0x1p63 : 0;
  size_t i = 0;
  while (i < 5 && bytes >= 999.5) {
    bytes /= 1024;
    i++;
  }
  return three_digits(bytes, names[i], buf, size);
}

char *emuv_units_human_time(double seconds, char *buf, size_t size)
{
  if (!(seconds >= 0) || seconds >= 1e12) seconds = seconds > 0 ? 1e12 : 0;
  if (seconds >= 119.5) {
    uint64_t s = (uint64_t)(seconds + 0.5);
    if (s >= 5400)
      (void)snprintf(buf, size, "%" PRIu64 " h %02u min", s / 3600, (unsigned)(s % 3600 / 60));
    else
      (void)snprintf(buf, size, "%" PRIu64 " min %02u s", s / 60, (unsigned)(s % 60));
    return buf;
  }
  if (seconds >= 0.9995 || seconds == 0) return three_digits(seconds, "s", buf, size);
  if (seconds >= 0.9995e-3) return three_digits(seconds * 1e3, "ms", buf, size);
  if (seconds >= 0.9995e-6) return three_digits(seconds * 1e6, "us", buf, size);
  return three_digits(seconds * 1e9, "ns", buf, size);
}
