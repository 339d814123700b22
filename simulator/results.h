// SPDX-License-Identifier: Apache-2.0
/* The results database (SQLite): table `runs`, one row per configuration and kind; table `environments`; views for
 * plots.
 *
 * One row is one transaction, so a program that is killed loses at most the row that it was writing. WAL mode while
 * a sweep writes, so that readers may look; one plain file afterwards, which can be read from a read-only place. PRAGMA
 * user_version is the schema version; a newer one is refused. A handle may be used from several threads, one at a time
 * (the sweep holds a lock). */
#ifndef EMUV_SIMULATOR_RESULTS_H
#define EMUV_SIMULATOR_RESULTS_H

#include "simulator/config.h"
#include "simulator/metrics.h"
#include "simulator/workload.h"

#include <stdbool.h>
#include <stdint.h>

enum { EMUV_RESULTS_SCHEMA = 1, EMUV_HASH_HEX = 33 };

struct sqlite3;
struct sqlite3_stmt;

struct emuv_results {
  struct sqlite3 *db;
  struct sqlite3_stmt *insert, *replace_old, *find;
  int64_t environment; /* row of table environments for this program run; 0 until the first row is stored */
  char path[512];
};

/* How a row was measured (emuv-replay). */
struct emuv_measured {
  const char *device;  /* cuda host */
  const char *mapping; /* table remap */
  const char *verify;  /* full sample off */
  const char *remark;  /* what had to be done without; "" = nothing */
  double time_scale;   /* share of their recorded time that kernels and host took; 1 = all of it */
  uint64_t kernels, checked_bytes, mismatches;
  double map_s, unmap_s; /* host time in the driver's calls */
};

/* One row. Strings are borrowed for the call. */
struct emuv_result {
  const struct emuv_config *config;
  const struct emuv_workload *workload; /* NULL when it could not be built */
  const struct emuv_metrics *metrics;   /* NULL when the run failed: its columns are NULL */
  const struct emuv_measured *measured; /* NULL: predicted */
  const char *config_hash;              /* 32 hex digits */
  const char *kind;                     /* sim replay run */
  const char *status;                   /* "ok", or why there are no metrics */
  int repetition;
};

/* "0.1.0+g1234567890ab", with "-dirty" appended when the tree was. */
const char *emuv_results_version(void);
/* run_id of a row: hash of config_hash, kind, repetition and version, 32 hex digits. */
void emuv_results_run_id(const char *config_hash, const char *kind, int repetition, char hex[EMUV_HASH_HEX]);

/* Opens or creates. EMUV_ERR_BUSY: locked by another program. EMUV_ERR_UNSUPPORTED: newer schema. EMUV_ERR_INPUT: not a
 * results database. EMUV_ERR_IO: cannot be written. */
int emuv_results_open(const char *path, struct emuv_results *r, struct emuv_err *err);
/* As open, for reading only; the file must exist. */
int emuv_results_open_read(const char *path, struct emuv_results *r, struct emuv_err *err);
/* results_older.c. Adds the columns that have come since the table was made (their values: NULL); EMUV_ERR_UNSUPPORTED
 * when it has others. view: a temporary view of the table `runs` of a database (main, or one that is attached) which
 * has all columns of this version. */
int emuv_results_add_columns(struct emuv_results *r, struct emuv_err *err);
int emuv_results_view(struct emuv_results *r, const char *schema, const char *view, struct emuv_err *err);
/* Is the row stored already? 1 yes, 0 no, negative error. */
int emuv_results_has(struct emuv_results *r, const char *run_id, struct emuv_err *err);
/* Stores a row; a row of the same configuration, kind and repetition from another version is replaced.
 * EMUV_ERR_NOSPACE: disk full (what was stored before stays). */
int emuv_results_store(struct emuv_results *r, const struct emuv_result *row, struct emuv_err *err);
/* Deletes the rows of a scenario and kind. */
int emuv_results_forget(struct emuv_results *r, const char *scenario, const char *kind, struct emuv_err *err);
void emuv_results_close(struct emuv_results *r);

#endif
