// SPDX-License-Identifier: Apache-2.0
/* Errors: a code, a place (file:line:column), a text and a hint.
 *
 * A function that can fail returns 0 or a negative enum emuv_errc and takes a
 * `struct emuv_err *` last (NULL is allowed: the caller wants the code only).
 * Libraries never print, exit or abort; programs call emuv_err_print once.
 * Thread safety: an emuv_err belongs to one thread at a time. */
#ifndef EMUV_CORE_ERR_H
#define EMUV_CORE_ERR_H

#include <stdarg.h>
#include <stdio.h>

enum emuv_errc {
  EMUV_OK = 0,
  EMUV_ERR_NOMEM = -1,       /* memory could not be allocated */
  EMUV_ERR_IO = -2,          /* the operating system refused a file operation */
  EMUV_ERR_USAGE = -3,       /* command line */
  EMUV_ERR_INPUT = -4,       /* invalid scenario, preset or trace */
  EMUV_ERR_RANGE = -5,       /* a value outside what is meaningful */
  EMUV_ERR_UNSUPPORTED = -6, /* valid, but this build or version cannot */
  EMUV_ERR_NODEV = -7,       /* hardware not available */
  EMUV_ERR_BUSY = -8,        /* somebody else holds a lock */
  EMUV_ERR_NOSPACE = -9,     /* disk, tier or table full */
  EMUV_ERR_INTERRUPTED = -10,
  EMUV_ERR_REGRESSION = -11, /* a comparison found one */
  EMUV_ERR_INTERNAL = -12,   /* an invariant does not hold: a bug in emuV */
};

struct emuv_err {
  int code;          /* enum emuv_errc */
  long line, column; /* 1-based, 0 = unknown; line may be 0 with a byte offset in column for binary files */
  char file[256];    /* "" = no place */
  char text[512];
  char hint[512];    /* "" = none: what to do, e.g. a "did you mean" */
  char excerpt[256]; /* the source line for the caret, "" = none */
};

/* Sets code and text (printf-style), clears the place. Returns code. */
int emuv_err_set(struct emuv_err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* As emuv_err_set with errno's message appended. */
int emuv_err_errno(struct emuv_err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Sets the place of an error already set; returns its code. */
int emuv_err_at(struct emuv_err *err, const char *file, long line, long column);
/* Adds the hint (printf-style); returns the error's code. */
int emuv_err_hint(struct emuv_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "file:line:column: error: text", the excerpt with a caret under column, and "hint: ..." lines. */
void emuv_err_print(const struct emuv_err *err, FILE *out);
/* Exit status of a command for a code: 0 ok, 1 run time, 2 usage, 3 invalid input, 4 regression, 77 no hardware, 130
 * interrupted. */
int emuv_err_exit_status(int code);

#endif
