// SPDX-License-Identifier: Apache-2.0
/* Errors: filling and printing struct emuv_err (err.h). Nothing is allocated, so an error can always be reported.
 * Every text is cut to its field, never overrun. Thread safety: as err.h says, one thread per struct. */
#include "runtime/core/err.h"

#include "runtime/core/terminal.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Overlong texts are cut; that they may be is why the result of vsnprintf is not looked at. */
static void set_text(struct emuv_err *err, int code, const char *fmt, va_list args)
{
  memset(err, 0, sizeof *err);
  err->code = code;
  (void)vsnprintf(err->text, sizeof err->text, fmt, args);
}

int emuv_err_set(struct emuv_err *err, int code, const char *fmt, ...)
{
  if (err == NULL) return code;
  va_list args;
  va_start(args, fmt);
  set_text(err, code, fmt, args);
  va_end(args);
  return code;
}

int emuv_err_errno(struct emuv_err *err, int code, const char *fmt, ...)
{
  int saved = errno;
  if (err == NULL) return code;
  va_list args;
  va_start(args, fmt);
  set_text(err, code, fmt, args);
  va_end(args);
  size_t used = strlen(err->text);
  char buf[128];
  (void)snprintf(err->text + used, sizeof err->text - used, ": %s", strerror_r(saved, buf, sizeof buf));
  return code;
}

int emuv_err_at(struct emuv_err *err, const char *file, long line, long column)
{
  if (err == NULL) return EMUV_OK;
  (void)snprintf(err->file, sizeof err->file, "%s", file != NULL ? file : "");
  err->line = line;
  err->column = column;
  return err->code;
}

int emuv_err_hint(struct emuv_err *err, const char *fmt, ...)
{
  if (err == NULL) return EMUV_OK;
  va_list args;
  va_start(args, fmt);
  (void)vsnprintf(err->hint, sizeof err->hint, fmt, args);
  va_end(args);
  return err->code;
}

static void print_place(const struct emuv_err *err, FILE *out)
{
  if (err->file[0] == '\0') return;
  fprintf(out, "%s:", err->file);
  if (err->line > 0) fprintf(out, "%ld:", err->line);
  if (err->column > 0) fprintf(out, "%ld:", err->column);
  fputc(' ', out);
}

/* The caret stands under character `column`; tabs are repeated so that it lines up at any tab width. */
static void print_excerpt(const struct emuv_err *err, FILE *out, bool colour)
{
  if (err->excerpt[0] == '\0') return;
  fprintf(out, " %5ld | %s\n", err->line, err->excerpt);
  if (err->column <= 0) return;
  fputs("       | ", out);
  const char *p = err->excerpt;
  for (long i = 1; i < err->column && *p != '\0'; i++) {
    fputc(*p == '\t' ? '\t' : ' ', out);
    p++;
    while (((unsigned char)*p & 0xc0u) == 0x80u) p++;
  }
  fputs(colour ? "\033[1;32m^\033[0m\n" : "^\n", out);
}

static void print_hint(const char *hint, FILE *out)
{
  for (const char *line = hint; *line != '\0';) {
    size_t n = strcspn(line, "\n");
    fprintf(out, "hint: %.*s\n", (int)n, line);
    line += n + (line[n] == '\n');
  }
}

void emuv_err_print(const struct emuv_err *err, FILE *out)
{
  bool colour = emuv_terminal_colour(out);
  print_place(err, out);
  fputs(colour ? "\033[1;31merror:\033[0m " : "error: ", out);
  fprintf(out, "%s\n", err->text);
  print_excerpt(err, out, colour);
  print_hint(err->hint, out);
}

int emuv_err_exit_status(int code)
{
  switch (code) {
  case EMUV_OK: return 0;
  case EMUV_ERR_USAGE: return 2;
  case EMUV_ERR_INPUT:
  case EMUV_ERR_RANGE: return 3;
  case EMUV_ERR_REGRESSION: return 4;
  case EMUV_ERR_NODEV: return 77;
  case EMUV_ERR_INTERRUPTED: return 130;
  default: return 1;
  }
}
