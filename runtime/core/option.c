// SPDX-License-Identifier: Apache-2.0
/* Option tables (option.h): finding, suggesting, parsing and formatting of one row.
 * Invariant, tested over the whole table: parsing what emuv_option_format wrote gives the same bytes in the field.
 * Tables are const; nothing is allocated; any thread. Edit distance: optimal string alignment (Damerau 1964). */
#include "runtime/core/option.h"

#include "runtime/core/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { NEAR_TEXT = 64 };

const struct emuv_option *emuv_option_find(const struct emuv_option *table, size_t n, const char *key)
{
  for (size_t i = 0; i < n; i++)
    if (strcmp(table[i].key, key) == 0) return &table[i];
  return NULL;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
  unsigned m = a < b ? a : b;
  return m < c ? m : c;
}

/* Insertions, deletions, substitutions and swaps of neighbours; case and "-" for "_" cost nothing. */
static unsigned distance(const char *a, const char *b)
{
  unsigned rows[3][NEAR_TEXT + 1], *before = rows[0], *last = rows[1], *now = rows[2];
  char x[NEAR_TEXT], y[NEAR_TEXT];
  size_t n = strnlen(a, NEAR_TEXT), m = strnlen(b, NEAR_TEXT);
  if (n == NEAR_TEXT || m == NEAR_TEXT) return NEAR_TEXT;
  for (size_t i = 0; i < n; i++) x[i] = a[i] == '-' ? '_' : (char)tolower((unsigned char)a[i]);
  for (size_t j = 0; j < m; j++) y[j] = b[j] == '-' ? '_' : (char)tolower((unsigned char)b[j]);
  for (size_t j = 0; j <= m; j++) last[j] = (unsigned)j;
  for (size_t i = 1; i <= n; i++) {
    now[0] = (unsigned)i;
    for (size_t j = 1; j <= m; j++) {
      now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (x[i - 1] != y[j - 1]));
      if (i > 1 && j > 1 && x[i - 1] == y[j - 2] && x[i - 2] == y[j - 1] && before[j - 2] + 1 < now[j])
        now[j] = before[j - 2] + 1;
    }
    unsigned *spare = before;
    before = last;
    last = now;
    now = spare;
  }
  return last[m];
}

/* How far a suggestion may be from what was typed. */
static unsigned tolerance(const char *given)
{
  size_t n = strlen(given);
  return n <= 3 ? 1 : n <= 6 ? 2 : 3;
}

/* Keeps the better of *best and `name`. */
static void consider(const char *name, unsigned d, const char **best, unsigned *best_distance)
{
  if (d < *best_distance) {
    *best = name;
    *best_distance = d;
  }
}

const char *emuv_option_suggest(const struct emuv_option *table, size_t n, const char *key)
{
  const char *best = NULL;
  unsigned best_distance = tolerance(key) + 1;
  for (size_t i = 0; i < n; i++) {
    consider(table[i].key, distance(table[i].key, key), &best, &best_distance);
    const char *dot = strrchr(table[i].key, '.');
    if (dot != NULL && strchr(key, '.') == NULL)
      consider(table[i].key, distance(dot + 1, key) + 1, &best, &best_distance);
  }
  return best;
}

const char *emuv_option_suggest_name(const char *const *names, const char *given)
{
  const char *best = NULL;
  unsigned best_distance = tolerance(given) + 1;
  for (; *names != NULL; names++) consider(*names, distance(*names, given), &best, &best_distance);
  return best;
}

static void *field_of(const struct emuv_option *opt, void *base)
{
  return (char *)base + opt->offset;
}

/* Puts "key: " before the text that a parser of units left (the text for names has the key already). */
static int prefix_key(const struct emuv_option *opt, int rc, struct emuv_err *err)
{
  if (rc == EMUV_OK || err == NULL || opt->type == EMUV_OPTION_NAME) return rc;
  char text[sizeof err->text];
  (void)snprintf(text, sizeof text, "%s", err->text);
  (void)snprintf(err->text, sizeof err->text, "%.64s: %.440s", opt->key, text);
  return rc;
}

static int parse_u64(const char *text, uint64_t *value, struct emuv_err *err)
{
  const char *s = text + strspn(text, " \t");
  if (*s == '-') return emuv_err_set(err, EMUV_ERR_RANGE, "\"%.48s\": must not be negative", text);
  size_t digits = strspn(s, "0123456789");
  const char *rest = s + digits + strspn(s + digits, " \t");
  if (digits == 0) return emuv_err_set(err, EMUV_ERR_INPUT, "\"%.48s\" is not a whole number", text);
  errno = 0;
  uint64_t v = strtoull(s, NULL, 10);
  if (*rest != '\0') {
    (void)emuv_err_set(err, EMUV_ERR_INPUT, "\"%.48s\" is not a whole number", text);
    static const char suffixes[] = "kmgKMG";
    if (strchr(suffixes, *rest) != NULL && v < 1000000)
      (void)emuv_err_hint(err, "write the digits, e.g. %" PRIu64 " for %" PRIu64 "K in powers of 1024", v * 1024, v);
    return EMUV_ERR_INPUT;
  }
  if (errno == ERANGE) return emuv_err_set(err, EMUV_ERR_RANGE, "\"%.48s\" is an absurd number", text);
  *value = v;
  return EMUV_OK;
}

static int parse_double(const char *text, double *value, struct emuv_err *err)
{
  static const char allowed[] = "0123456789.eE+- \t";
  locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (c == (locale_t)0) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory");
  char *end = NULL;
  double v = strtod_l(text, &end, c);
  freelocale(c);
  bool empty = end == text;
  end += strspn(end, " \t");
  if (empty || *end != '\0' || text[strspn(text, allowed)] != '\0')
    return emuv_err_set(err, EMUV_ERR_INPUT, "\"%.48s\" is not a number", text);
  if (!isfinite(v)) return emuv_err_set(err, EMUV_ERR_RANGE, "\"%.48s\" is an absurd number", text);
  *value = v == 0 ? 0 : v;
  return EMUV_OK;
}

static int parse_bool(const char *text, bool *value, struct emuv_err *err)
{
  static const char *const words[] = {"false", "no", "off", "true", "yes", "on"};
  for (size_t i = 0; i < 6; i++)
    if (strcasecmp(text, words[i]) == 0) {
      *value = i >= 3;
      return EMUV_OK;
    }
  (void)emuv_err_set(err, EMUV_ERR_INPUT, "\"%.48s\" is neither true nor false", text);
  return emuv_err_hint(err, "write true or false");
}

static int parse_string(const char *text, char *value, struct emuv_err *err)
{
  size_t n = strlen(text);
  if (n >= EMUV_OPTION_STRING_SIZE)
    return emuv_err_set(err, EMUV_ERR_INPUT, "text of %zu bytes is too long (at most %d)", n,
                        EMUV_OPTION_STRING_SIZE - 1);
  memset(value, 0, EMUV_OPTION_STRING_SIZE);
  memcpy(value, text, n + 1);
  return EMUV_OK;
}

/* "did you mean" or the whole list of names. */
static void hint_names(const char *const *names, const char *given, struct emuv_err *err)
{
  const char *near = emuv_option_suggest_name(names, given);
  char list[400] = "";
  for (size_t used = 0; *names != NULL && used < sizeof list; names++)
    used += (size_t)snprintf(list + used, sizeof list - used, " %s", *names);
  if (near != NULL)
    (void)emuv_err_hint(err, "did you mean \"%s\"? valid:%s", near, list);
  else
    (void)emuv_err_hint(err, "valid:%s", list);
}

static int parse_name(const struct emuv_option *opt, const char *text, char *value, struct emuv_err *err)
{
  const char *const *names = opt->names();
  for (size_t i = 0; names[i] != NULL; i++)
    if (strcmp(names[i], text) == 0) return parse_string(text, value, err);
  (void)emuv_err_set(err, EMUV_ERR_INPUT, "unknown %s \"%.48s\"", opt->key, text);
  if (err != NULL) hint_names(names, text, err);
  return EMUV_ERR_INPUT;
}

static int check_ascending(const struct emuv_curve *curve, struct emuv_err *err)
{
  for (uint32_t i = 0; i < curve->n; i++) {
    if (!(curve->point[i].bytes_per_s > 0))
      return emuv_err_set(err, EMUV_ERR_RANGE, "point %u of the curve has no speed", i + 1);
    if (curve->point[i].bytes == 0) return emuv_err_set(err, EMUV_ERR_RANGE, "point %u of the curve has size 0", i + 1);
    if (i > 0 && curve->point[i].bytes <= curve->point[i - 1].bytes)
      return emuv_err_set(err, EMUV_ERR_INPUT, "point %u of the curve: sizes must ascend", i + 1);
  }
  return EMUV_OK;
}

/* One "64KiB=18GB/s" of `length` characters. */
static int parse_point(const char *text, size_t length, struct emuv_curve *curve, struct emuv_err *err)
{
  char word[96];
  if (length >= sizeof word) return emuv_err_set(err, EMUV_ERR_INPUT, "malformed point \"%.48s\" of a curve", text);
  memcpy(word, text, length);
  word[length] = '\0';
  char *equals = strchr(word, '=');
  if (equals == NULL) {
    (void)emuv_err_set(err, EMUV_ERR_INPUT, "malformed point \"%.48s\" of a curve", word);
    return emuv_err_hint(err, "write SIZE=RATE pairs without inner spaces, e.g. 4KiB=1.7GB/s 2MiB=52GB/s");
  }
  if (curve->n == EMUV_CURVE_POINTS)
    return emuv_err_set(err, EMUV_ERR_INPUT, "a curve has at most %d points", EMUV_CURVE_POINTS);
  *equals = '\0';
  int rc = emuv_units_parse_bytes(word, &curve->point[curve->n].bytes, err);
  if (rc == EMUV_OK) rc = emuv_units_parse_rate(equals + 1, &curve->point[curve->n].bytes_per_s, err);
  if (rc == EMUV_OK) curve->n++;
  return rc;
}

/* Points, nothing (no curve), or one rate for all sizes, which is stored as a single point at 1 byte. */
static int parse_curve(const char *text, struct emuv_curve *curve, struct emuv_err *err)
{
  struct emuv_curve c = {0};
  const char *s = text + strspn(text, " \t\n");
  if (*s != '\0' && strchr(s, '=') == NULL) {
    c.n = 1;
    c.point[0].bytes = 1;
    int rc = emuv_units_parse_rate(s, &c.point[0].bytes_per_s, err);
    if (rc != EMUV_OK) return rc;
    s = "";
  }
  while (*s != '\0') {
    size_t length = strcspn(s, " \t\n");
    int rc = parse_point(s, length, &c, err);
    if (rc != EMUV_OK) return rc;
    s += length;
    s += strspn(s, " \t\n");
  }
  int rc = check_ascending(&c, err);
  if (rc == EMUV_OK) *curve = c;
  return rc;
}

/* A field of any type, large enough and aligned. */
union value {
  uint64_t u64;
  double number;
  bool flag;
  char text[EMUV_OPTION_STRING_SIZE];
  struct emuv_curve curve;
};

static int parse_any(const struct emuv_option *opt, const char *text, union value *v, struct emuv_err *err)
{
  switch (opt->type) {
  case EMUV_OPTION_BYTES: return emuv_units_parse_bytes(text, &v->u64, err);
  case EMUV_OPTION_RATE: return emuv_units_parse_rate(text, &v->number, err);
  case EMUV_OPTION_TIME: return emuv_units_parse_time(text, &v->number, err);
  case EMUV_OPTION_FLOPS: return emuv_units_parse_flops(text, &v->number, err);
  case EMUV_OPTION_U64: return parse_u64(text, &v->u64, err);
  case EMUV_OPTION_DOUBLE: return parse_double(text, &v->number, err);
  case EMUV_OPTION_BOOL: return parse_bool(text, &v->flag, err);
  case EMUV_OPTION_STRING: return parse_string(text, v->text, err);
  case EMUV_OPTION_NAME: return parse_name(opt, text, v->text, err);
  case EMUV_OPTION_CURVE: return parse_curve(text, &v->curve, err);
  }
  return emuv_err_set(err, EMUV_ERR_INTERNAL, "option of unknown type %d", (int)opt->type);
}

static size_t type_size(enum emuv_option_type type)
{
  switch (type) {
  case EMUV_OPTION_BYTES:
  case EMUV_OPTION_U64: return sizeof(uint64_t);
  case EMUV_OPTION_BOOL: return sizeof(bool);
  case EMUV_OPTION_STRING:
  case EMUV_OPTION_NAME: return EMUV_OPTION_STRING_SIZE;
  case EMUV_OPTION_CURVE: return sizeof(struct emuv_curve);
  default: return sizeof(double);
  }
}

/* A bound in the unit of the type, for messages: the field's own formatting. */
static char *format_bound(const struct emuv_option *opt, double bound, char *buf, size_t size)
{
  struct emuv_option row = *opt;
  union value v;
  row.offset = 0;
  if (type_size(opt->type) == sizeof(uint64_t) && (opt->type == EMUV_OPTION_BYTES || opt->type == EMUV_OPTION_U64))
    v.u64 = (uint64_t)bound;
  else
    v.number = bound;
  return emuv_option_format(&row, &v, buf, size);
}

static int check_bounds(const struct emuv_option *opt, const union value *v, const char *text, struct emuv_err *err)
{
  double x;
  if (!(opt->max > opt->min)) return EMUV_OK;
  switch (opt->type) {
  case EMUV_OPTION_BYTES:
  case EMUV_OPTION_U64: x = (double)v->u64; break;
  case EMUV_OPTION_BOOL:
  case EMUV_OPTION_STRING:
  case EMUV_OPTION_NAME:
  case EMUV_OPTION_CURVE: return EMUV_OK;
  default: x = v->number;
  }
  if (x >= opt->min && x <= opt->max) return EMUV_OK;
  char bound[64];
  return emuv_err_set(err, EMUV_ERR_RANGE, "\"%.48s\" is too %s: %s is %s", text, x < opt->min ? "small" : "large",
                      x < opt->min ? "the least" : "the most",
                      format_bound(opt, x < opt->min ? opt->min : opt->max, bound, sizeof bound));
}

int emuv_option_parse(const struct emuv_option *opt, void *base, const char *text, struct emuv_err *err)
{
  union value v;
  memset(&v, 0, sizeof v);
  int rc = parse_any(opt, text, &v, err);
  if (rc == EMUV_OK) rc = check_bounds(opt, &v, text, err);
  if (rc != EMUV_OK) return prefix_key(opt, rc, err);
  memcpy(field_of(opt, base), &v, type_size(opt->type));
  return EMUV_OK;
}

int emuv_option_defaults(const struct emuv_option *table, size_t n, void *base, struct emuv_err *err)
{
  for (size_t i = 0; i < n; i++) {
    if (table[i].def == NULL) {
      memset((char *)base + table[i].offset, 0, type_size(table[i].type));
      continue;
    }
    int rc = emuv_option_parse(&table[i], base, table[i].def, err);
    if (rc != EMUV_OK) return rc;
  }
  return EMUV_OK;
}

/* The fewest digits that read back as the same double: any decimal of 15 digits survives, 17 always suffice. */
static void shortest(double v, char *buf, size_t size)
{
  locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  locale_t old = uselocale(c);
  for (int digits = 15; digits <= 17; digits++) {
    (void)snprintf(buf, size, "%.*g", digits, v);
    if (strtod(buf, NULL) == v) break;
  }
  (void)uselocale(old);
  freelocale(c);
}

static const char *const rate_names[] = {"TB/s", "GB/s", "MB/s", "kB/s", "B/s", NULL};
static const char *const time_names[] = {"s", "ms", "us", "ns", NULL};
static const char *const flops_names[] = {"PFLOP/s", "TFLOP/s", "GFLOP/s", "MFLOP/s", "kFLOP/s", "FLOP/s", NULL};

/* The largest unit that is not above the value and reads back exactly; the base unit always does. */
static void format_scaled(double v, const char *const *units, int (*parse)(const char *, double *, struct emuv_err *),
                          char *buf, size_t size)
{
  double scale = 1;
  for (size_t i = 1; units[i] != NULL; i++) scale *= 1e3;
  for (; *units != NULL; units++, scale /= 1e3) {
    if (v < scale && units[1] != NULL) continue;
    char number[40];
    double back;
    shortest(v / scale, number, sizeof number);
    (void)snprintf(buf, size, "%s%s", number, *units);
    if (parse(buf, &back, NULL) == EMUV_OK && back == v) return;
  }
}

static void format_curve(const struct emuv_curve *curve, char *buf, size_t size)
{
  char bytes[32], rate[48];
  size_t used = 0;
  buf[0] = '\0';
  if (curve->n == 1 && curve->point[0].bytes == 1) {
    format_scaled(curve->point[0].bytes_per_s, rate_names, emuv_units_parse_rate, buf, size);
    return;
  }
  for (uint32_t i = 0; i < curve->n && used < size; i++) {
    format_scaled(curve->point[i].bytes_per_s, rate_names, emuv_units_parse_rate, rate, sizeof rate);
    used += (size_t)snprintf(buf + used, size - used, "%s%s=%s", i > 0 ? " " : "",
                             emuv_units_format_bytes(curve->point[i].bytes, bytes, sizeof bytes), rate);
  }
}

char *emuv_option_format(const struct emuv_option *opt, const void *base, char *buf, size_t size)
{
  union value v;
  memcpy(&v, (const char *)base + opt->offset, type_size(opt->type));
  switch (opt->type) {
  case EMUV_OPTION_BYTES: return emuv_units_format_bytes(v.u64, buf, size);
  case EMUV_OPTION_RATE: format_scaled(v.number, rate_names, emuv_units_parse_rate, buf, size); break;
  case EMUV_OPTION_TIME: format_scaled(v.number, time_names, emuv_units_parse_time, buf, size); break;
  case EMUV_OPTION_FLOPS: format_scaled(v.number, flops_names, emuv_units_parse_flops, buf, size); break;
  case EMUV_OPTION_U64: (void)snprintf(buf, size, "%" PRIu64, v.u64); break;
  case EMUV_OPTION_DOUBLE: shortest(v.number, buf, size); break;
  case EMUV_OPTION_BOOL: (void)snprintf(buf, size, "%s", v.flag ? "true" : "false"); break;
  case EMUV_OPTION_STRING:
  case EMUV_OPTION_NAME: (void)snprintf(buf, size, "%s", v.text); break;
  case EMUV_OPTION_CURVE: format_curve(&v.curve, buf, size); break;
  }
  return buf;
}

double emuv_curve_rate(const struct emuv_curve *curve, uint64_t bytes)
{
  if (curve->n == 0) return 0;
  uint32_t i = 0;
  while (i < curve->n && curve->point[i].bytes <= bytes) i++;
  if (i == 0) return curve->point[0].bytes_per_s;
  if (i == curve->n) return curve->point[curve->n - 1].bytes_per_s;
  double low = log((double)curve->point[i - 1].bytes), high = log((double)curve->point[i].bytes);
  double share = (log((double)bytes) - low) / (high - low);
  double a = curve->point[i - 1].bytes_per_s, b = curve->point[i].bytes_per_s;
  return a + (b - a) * share;
}
