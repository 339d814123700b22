// SPDX-License-Identifier: Apache-2.0
/* Log lines (log.h). The level is set once before threads start and read-only from then on; lines longer than the
 * buffer are cut. Writes go through terminal.h, whose mutex keeps lines whole. */
#include "runtime/core/log.h"

#include "runtime/core/terminal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static enum emuv_log_level wanted = EMUV_LOG_INFO;

void emuv_log_verbosity(int quiet, int verbose)
{
  int level = EMUV_LOG_INFO + verbose - quiet;
  if (level < EMUV_LOG_ERROR) level = EMUV_LOG_ERROR;
  if (level > EMUV_LOG_DEBUG) level = EMUV_LOG_DEBUG;
  wanted = (enum emuv_log_level)level;
}

enum emuv_log_level emuv_log_level(void)
{
  return wanted;
}

static const char *prefix(enum emuv_log_level level, int colour)
{
  static const char *const plain[] = {"error: ", "warning: ", "", "debug: "};
  static const char *const coloured[] = {"\033[1;31merror:\033[0m ", "\033[1;35mwarning:\033[0m ", "",
                                         "\033[2mdebug:\033[0m "};
  return colour ? coloured[level] : plain[level];
}

void emuv_log(enum emuv_log_level level, const char *fmt, ...)
{
  if (level > wanted) return;
  char line[2048];
  (void)snprintf(line, sizeof line, "%s", prefix(level, emuv_terminal_colour(stderr)));
  size_t used = strlen(line);
  va_list args;
  va_start(args, fmt);
  (void)vsnprintf(line + used, sizeof line - used, fmt, args);
  va_end(args);
  emuv_terminal_line(line);
}
