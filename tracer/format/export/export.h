// SPDX-License-Identifier: Apache-2.0
/* Traces to other forms: text, JSON, CSV, Chrome's trace format, SQLite. Everything goes to a FILE or to a database
 * that the caller names. One thread per call. */
#ifndef EMUV_FORMAT_EXPORT_H
#define EMUV_FORMAT_EXPORT_H

#include "tracer/format/info.h"
#include "tracer/format/load.h"
#include "tracer/format/merge.h"

#include <stdio.h>

enum emuv_export_style { EMUV_EXPORT_TEXT, EMUV_EXPORT_JSON };

/* Which records to write. */
struct emuv_export_selection {
  uint64_t types;          /* bit t selects records of type t; 0 = all */
  uint64_t limit;          /* records; 0 = all */
  uint64_t from_ns, to_ns; /* since the first time in the file; to_ns 0 = to the end. Selects records with times */
  const char *kernel;      /* launches of kernels with this in their symbol, or matching it (*, ?, [a-z]); NULL = all */
};

/* Records in file order, one per line: `launch sequence=1 ... kernel="name"` and a line per operand, or one JSON object
 * each. Reads the file as a stream. */
int emuv_export_dump(const char *path, enum emuv_export_style style, const struct emuv_export_selection *selection,
                     FILE *out, struct emuv_err *err);
/* Reads a whole trace and writes how it ended and what was lost, in records and in time. *whole: it is complete and
 * nothing was lost. The reader's errors when it is damaged. */
int emuv_export_check(const char *path, enum emuv_export_style style, FILE *out, bool *whole, struct emuv_err *err);
struct emuv_export_report {
  enum emuv_export_style style;
  size_t top;       /* kernels, ranges and kinds of gap to list at most */
  const char *sort; /* what the kernels are sorted by, to be named; NULL = "device time" */
  int width;        /* columns; 0 = 80 */
  bool utf8;        /* curves of block characters, else of ASCII */
};

/* The report of `emuv-trace info`. */
int emuv_export_info(const struct emuv_trace_data *d, const struct emuv_trace_info *info,
                     const struct emuv_export_report *report, FILE *out, struct emuv_err *err);
/* One row per operand of each launch, copy and set, in the order of the calls. */
int emuv_export_csv(const struct emuv_trace_data *d, FILE *out, struct emuv_err *err);
/* Trace Event Format (JSON object form), for chrome://tracing and ui.perfetto.dev: device work by stream, API calls by
 * thread, NVTX ranges, allocated bytes as a counter. */
int emuv_export_chrome(const struct emuv_trace_data *d, FILE *out, struct emuv_err *err);
/* A table per record type with the names of its fields as columns (names and strings as text), `operand` with
 * launch_id, and `verdict`; and the tables that Nsight Systems exports, under its names (nsys.h), so that queries
 * written for those work. nsys_only: the latter alone. The file must not exist. */
int emuv_export_sqlite(const struct emuv_trace_data *d, const char *path, bool nsys_only, struct emuv_err *err);

struct emuv_nsys_counts {
  uint64_t launches, copies, sets, allocations, ranges, syncs;
  uint64_t dropped; /* rows that could not be used; the trace says which */
};

/* Makes a trace of a database that `nsys export --type sqlite` wrote (or emuv_export_sqlite). Launches have times and
 * names, and no operands: Nsight Systems records none, so they are of class gap. A database of several processes needs
 * pid; 0 = the only one. EMUV_ERR_INPUT names the table that is missing. counts may be NULL. */
int emuv_import_nsys(const char *database, uint32_t pid, const char *path, struct emuv_nsys_counts *counts,
                     struct emuv_err *err);

/* What a merge found: launches joined, pages that the default capture's operands do not cover and launches that were
 * not observed, by kernel; at most `top` of each as text, all as JSON. */
int emuv_export_merge(const struct emuv_merge *m, enum emuv_export_style style, size_t top, FILE *out,
                      struct emuv_err *err);

/* Flushes; the error of any write before, too. */
int emuv_export_finish(FILE *out, struct emuv_err *err);

#endif
