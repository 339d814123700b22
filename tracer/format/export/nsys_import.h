// SPDX-License-Identifier: Apache-2.0
/* Importing Nsight Systems' tables: state that nsys_import.c (what the database has, merging) and nsys_rows.c (a row
 * to a record) share. Internal to them; one thread per import. */
#ifndef EMUV_FORMAT_EXPORT_NSYS_IMPORT_H
#define EMUV_FORMAT_EXPORT_NSYS_IMPORT_H

#include "tracer/format/export/export.h"
#include "tracer/format/writer.h"

#include <sqlite3.h>

enum nsys_row { NSYS_USE, NSYS_SKIP, NSYS_DROP }; /* SKIP: not ours, or counted elsewhere */

struct nsys_import;

enum { EMUV_NSYS_CURSORS = 6 };
struct nsys_cursor {
  const char *table;
  uint32_t type; /* of the records */
  sqlite3_stmt *s;
  /* Fills c->record (zeroed, type set) and c->key from the current row. */
  enum nsys_row (*read)(struct nsys_import *in, sqlite3_stmt *s, struct nsys_cursor *c);
  struct emuv_trace_record record;
  uint64_t key; /* time to sort by */
  uint64_t dropped;
  bool live;
};

struct nsys_live; /* an allocation by its address */

struct nsys_import {
  const char *name;
  sqlite3 *db;
  struct emuv_trace_writer *w;
  struct emuv_err *err;
  int64_t pid; /* -1 = rows do not tell */
  int64_t shift_ns;
  struct nsys_cursor cursors[EMUV_NSYS_CURSORS];
  struct nsys_live *live;
  uint64_t allocations; /* ids given out */
  uint64_t without_call, migrations;
  struct emuv_nsys_counts counts;
};

/* Sets the error that SQLite reports. */
int emuv_nsys_damaged(const struct nsys_import *in);
bool emuv_nsys_has_table(const struct nsys_import *in, const char *table);
bool emuv_nsys_has_column(const struct nsys_import *in, const char *table, const char *column);
/* A time of the current row; false when it is none. */
bool emuv_nsys_time(const struct nsys_import *in, sqlite3_stmt *s, int column, uint64_t *ns);
/* Prepares the queries of all tables that are there. */
int emuv_nsys_open_cursors(struct nsys_import *in);
/* What depends on the records written before: sequence numbers, ids of allocations. */
void emuv_nsys_finish_record(struct nsys_import *in, struct emuv_trace_record *r);
void emuv_nsys_forget(struct nsys_import *in);

#endif
