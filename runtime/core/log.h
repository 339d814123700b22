// SPDX-License-Identifier: Apache-2.0
/* Log lines on stderr, for programs only: libraries report through emuv_err and never print.
 * The level comes from -q and -v. Any thread may call. */
#ifndef EMUV_CORE_LOG_H
#define EMUV_CORE_LOG_H

enum emuv_log_level { EMUV_LOG_ERROR, EMUV_LOG_WARNING, EMUV_LOG_INFO, EMUV_LOG_DEBUG };

/* The level that `quiet` times -q and `verbose` times -v ask for: warnings and errors by -q, only errors by -qq,
 * everything by -v. Call before other threads start. */
void emuv_log_verbosity(int quiet, int verbose);
enum emuv_log_level emuv_log_level(void);
/* One line "warning: text" (printf-style) above a progress bar, if the level is wanted; lines of level INFO have no
 * prefix. */
void emuv_log(enum emuv_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
