// SPDX-License-Identifier: Apache-2.0
/* Option tables: one const table describes every key of a struct; it feeds scenario parsing, `--set key=value`,
 * `--help`, `--list`, the JSON schema and every message. Keys are dotted: "vram", "model.layers", "hw.h2d_rate".
 *
 * A table row names the key, its type, where the value lies in the struct, its default as text, bounds and one line of
 * help. Tables are const and shared by all threads; the struct they fill belongs to the caller. */
#ifndef EMUV_CORE_OPTION_H
#define EMUV_CORE_OPTION_H

#include "runtime/core/err.h"

#include <stddef.h>
#include <stdint.h>

enum emuv_option_type {
  EMUV_OPTION_BYTES,  /* uint64_t, emuv_units_parse_bytes */
  EMUV_OPTION_RATE,   /* double, bytes per second */
  EMUV_OPTION_TIME,   /* double, nanoseconds */
  EMUV_OPTION_FLOPS,  /* double, FLOP per second */
  EMUV_OPTION_U64,    /* uint64_t; a digit group suffix "K" or "Ki" is refused as for bytes */
  EMUV_OPTION_DOUBLE, /* double */
  EMUV_OPTION_BOOL,   /* bool: true false yes no on off */
  EMUV_OPTION_STRING, /* char[EMUV_OPTION_STRING_SIZE] */
  EMUV_OPTION_NAME,   /* char[EMUV_OPTION_STRING_SIZE], one of names() */
  EMUV_OPTION_CURVE,  /* struct emuv_curve: "4KiB=1.7GB/s 64KiB=18GB/s ..." sizes ascending */
};

enum { EMUV_OPTION_STRING_SIZE = 192, EMUV_CURVE_POINTS = 16 };

/* Bandwidth by transfer size; between points log-linear in size, flat outside. n = 0: not given. */
struct emuv_curve {
  uint32_t n;
  struct {
    uint64_t bytes;
    double bytes_per_s;
  } point[EMUV_CURVE_POINTS];
};

enum emuv_option_flag {
  EMUV_OPTION_REQUIRED = 1, /* no default: must be given */
  EMUV_OPTION_NO_SWEEP = 2, /* a list is an error here */
  EMUV_OPTION_NO_HASH = 4,  /* does not identify the configuration (names, descriptions) */
  EMUV_OPTION_ADDED = 8, /* hashed only when it is not the default: added later, and older rows keep their identity */
};

struct emuv_option {
  const char *key;
  enum emuv_option_type type;
  unsigned flags;
  size_t offset;
  const char *def;                   /* default as text, NULL with REQUIRED; "" for STRING */
  double min, max;                   /* bounds for numbers, checked when max > min */
  const char *const *(*names)(void); /* NAME: NULL-terminated list of valid names */
  const char *help;                  /* one line, with the unit */
};

/* Row of a key, NULL if there is none. */
const struct emuv_option *emuv_option_find(const struct emuv_option *table, size_t n, const char *key);
/* The closest key (edit distance), for "did you mean"; NULL if none is near. */
const char *emuv_option_suggest(const struct emuv_option *table, size_t n, const char *key);
/* The closest of a NULL-terminated list, or NULL. */
const char *emuv_option_suggest_name(const char *const *names, const char *given);
/* Parses text into the field of `base` that `opt` names; checks bounds. EMUV_ERR_INPUT or EMUV_ERR_RANGE without a
 * place: the caller adds file, line and column with emuv_err_at. */
int emuv_option_parse(const struct emuv_option *opt, void *base, const char *text, struct emuv_err *err);
/* Writes every default into `base`. */
int emuv_option_defaults(const struct emuv_option *table, size_t n, void *base, struct emuv_err *err);
/* The canonical text of a field: parses back to the same value; used for hashing and for `--dry-run`. Returns buf. */
char *emuv_option_format(const struct emuv_option *opt, const void *base, char *buf, size_t size);
/* Bytes per second for a transfer of `bytes`. */
double emuv_curve_rate(const struct emuv_curve *curve, uint64_t bytes);

#endif
