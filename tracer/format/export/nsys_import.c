// SPDX-License-Identifier: Apache-2.0
/* Nsight Systems' SQLite export to a trace: see export.h and nsys.h.
 *
 * One cursor per table, each sorted by SQLite; their rows are merged by time and written as they come, so memory does
 * not grow with the database. Columns differ between versions: those that a table lacks read as NULL. Nothing in the
 * database is trusted: only real tables are read (no views), rows with values that cannot be are counted and dropped.
 */
#include "tracer/format/export/nsys_import.h"

#include "tracer/format/export/export.h"
#include "tracer/format/export/nsys.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int64_t TIME_LIMIT = INT64_C(1) << 61;

int emuv_nsys_damaged(const struct nsys_import *in)
{
  int code = sqlite3_errcode(in->db) & 0xff;
  return emuv_err_set(in->err, code == SQLITE_NOMEM ? EMUV_ERR_NOMEM : EMUV_ERR_INPUT, "%s: %s", in->name,
                      sqlite3_errmsg(in->db));
}

/* ---- what the database has ---- */

/* First value of the first row of a query with one text parameter; `otherwise` when there is none. */
static int64_t query_number(const struct nsys_import *in, const char *sql, const char *text, int64_t otherwise)
{
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(in->db, sql, -1, &s, NULL) == SQLITE_OK) {
    if (text) sqlite3_bind_text(s, 1, text, -1, SQLITE_STATIC);
    if (sqlite3_step(s) == SQLITE_ROW && sqlite3_column_type(s, 0) == SQLITE_INTEGER)
      otherwise = sqlite3_column_int64(s, 0);
  }
  sqlite3_finalize(s);
  return otherwise;
}

bool emuv_nsys_has_table(const struct nsys_import *in, const char *table)
{
  return query_number(in,
                      "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1 AND sql NOT LIKE "
                      "'create virtual%'",
                      table, 0) == 1;
}

bool emuv_nsys_has_column(const struct nsys_import *in, const char *table, const char *column)
{
  sqlite3_stmt *s = NULL;
  bool found = false;
  if (sqlite3_prepare_v2(in->db, "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2", -1, &s, NULL) == SQLITE_OK) {
    sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, column, -1, SQLITE_STATIC);
    found = sqlite3_step(s) == SQLITE_ROW;
  }
  sqlite3_finalize(s);
  return found;
}

static int need_table(const struct nsys_import *in, const char *table)
{
  if (emuv_nsys_has_table(in, table)) return 0;
  emuv_err_set(in->err, EMUV_ERR_INPUT, "%s: table %s is missing", in->name, table);
  return emuv_err_hint(in->err, "made by: nsys profile --trace=cuda,nvtx --cuda-memory-usage=true COMMAND; "
                                "nsys export --type sqlite REPORT.nsys-rep");
}

static int open_database(struct nsys_import *in)
{
  if (access(in->name, R_OK) != 0) return emuv_err_errno(in->err, EMUV_ERR_IO, "cannot open %s", in->name);
  if (sqlite3_open_v2(in->name, &in->db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
    return emuv_err_set(in->err, EMUV_ERR_IO, "cannot open %s: %s", in->name, sqlite3_errmsg(in->db));
  sqlite3_db_config(in->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_exec(in->db, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON", NULL, NULL, NULL);
  if (sqlite3_exec(in->db, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL) != SQLITE_OK) {
    if ((sqlite3_errcode(in->db) & 0xff) != SQLITE_NOTADB) return emuv_nsys_damaged(in);
    emuv_err_set(in->err, EMUV_ERR_INPUT, "%s is not an SQLite database", in->name);
    return emuv_err_hint(in->err, "a report (.nsys-rep) becomes one by: nsys export --type sqlite REPORT.nsys-rep");
  }
  int code = need_table(in, "CUPTI_ACTIVITY_KIND_KERNEL");
  return code ? code : need_table(in, "StringIds");
}

/* ---- one process ---- */

/* The process of a row, as SQL; NULL when the table does not tell. */
static void list_processes(const struct nsys_import *in, char *list, size_t size, uint64_t *n)
{
  sqlite3_stmt *s = NULL;
  size_t at = 0;
  list[0] = '\0';
  *n = 0;
  if (sqlite3_prepare_v2(in->db,
                         "SELECT DISTINCT (globalPid >> 24) & 0xffffff FROM CUPTI_ACTIVITY_KIND_KERNEL"
                         " WHERE globalPid IS NOT NULL ORDER BY 1",
                         -1, &s, NULL) == SQLITE_OK)
    while (sqlite3_step(s) == SQLITE_ROW) {
      if (at < size) at += (size_t)snprintf(list + at, size - at, " %lld", (long long)sqlite3_column_int64(s, 0));
      (*n)++;
    }
  sqlite3_finalize(s);
}

static int choose_process(struct nsys_import *in, uint32_t pid)
{
  char list[200], wanted[16];
  uint64_t n;
  in->pid = -1;
  if (!emuv_nsys_has_column(in, "CUPTI_ACTIVITY_KIND_KERNEL", "globalPid")) {
    if (pid == 0) return 0;
    return emuv_err_set(in->err, EMUV_ERR_INPUT, "%s does not say which process its rows belong to", in->name);
  }
  list_processes(in, list, sizeof list, &n);
  snprintf(wanted, sizeof wanted, " %" PRIu32, pid);
  const char *at = pid ? strstr(list, wanted) : NULL;
  bool listed = at && (at[strlen(wanted)] == ' ' || at[strlen(wanted)] == '\0');
  if (pid && n && !listed && strlen(list) + 1 < sizeof list)
    return emuv_err_set(in->err, EMUV_ERR_INPUT, "%s holds no kernel of process %" PRIu32 ", but of:%s", in->name, pid,
                        list);
  if (!pid && n > 1) {
    emuv_err_set(in->err, EMUV_ERR_USAGE, "%s holds %" PRIu64 " processes:%s", in->name, n, list);
    return emuv_err_hint(in->err, "a trace is of one process: choose it with --pid");
  }
  if (pid)
    in->pid = pid;
  else if (n == 1)
    in->pid = strtoll(list, NULL, 10);
  return 0;
}

/* ---- times ---- */

/* Times before the zero of the session's clock exist; then all are shifted by as much. */
static int find_shift(struct nsys_import *in)
{
  static const char *const tables[] = {"CUPTI_ACTIVITY_KIND_KERNEL",   "CUPTI_ACTIVITY_KIND_RUNTIME",
                                       "CUPTI_ACTIVITY_KIND_MEMCPY",   "CUPTI_ACTIVITY_KIND_MEMSET",
                                       "CUDA_GPU_MEMORY_USAGE_EVENTS", "NVTX_EVENTS"};
  int64_t least = 0;
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    char sql[160];
    if (!emuv_nsys_has_table(in, tables[i])) continue;
    snprintf(sql, sizeof sql, "SELECT min(start) FROM %s WHERE typeof(start) = 'integer' AND start > %" PRId64,
             tables[i], -TIME_LIMIT);
    int64_t first = query_number(in, sql, NULL, 0);
    if (first < least) least = first;
  }
  in->shift_ns = least < 0 ? 1 - least : 0; /* 0 would say that a time is not known */
  return 0;
}

bool emuv_nsys_time(const struct nsys_import *in, sqlite3_stmt *s, int column, uint64_t *ns)
{
  *ns = 0;
  if (sqlite3_column_type(s, column) != SQLITE_INTEGER) return false;
  int64_t value = sqlite3_column_int64(s, column);
  if (value <= -TIME_LIMIT || value >= TIME_LIMIT) return false;
  *ns = (uint64_t)(value + in->shift_ns);
  return true;
}

/* ---- what stands at the beginning ---- */

static void copy_setting(const struct nsys_import *in, const char *sql, const char *key)
{
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(in->db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW &&
      sqlite3_column_type(s, 0) != SQLITE_NULL && sqlite3_column_text(s, 0))
    emuv_trace_writer_environment(in->w, key, (const char *)sqlite3_column_text(s, 0));
  sqlite3_finalize(s);
}

static void write_environment(const struct nsys_import *in)
{
  char shift[24];
  emuv_trace_writer_environment(in->w, "import", "nsys");
  copy_setting(in, "SELECT value FROM META_DATA_EXPORT WHERE name = 'EXPORT_PRODUCT_VERSION'", "nsys_version");
  copy_setting(in, "SELECT value FROM META_DATA_EXPORT WHERE name = 'EXPORT_SCHEMA_VERSION'", "nsys_schema");
  copy_setting(in, "SELECT utcEpochNs FROM TARGET_INFO_SESSION_START_TIME", "nsys_utc_epoch_ns");
  copy_setting(in, "SELECT name FROM TARGET_INFO_GPU ORDER BY id", "gpu");
  copy_setting(in, "SELECT totalMemory FROM TARGET_INFO_GPU ORDER BY id", "gpu_memory_bytes");
  copy_setting(in, "SELECT smCount FROM TARGET_INFO_GPU ORDER BY id", "gpu_multiprocessors");
  copy_setting(in, "SELECT computeMajor || '.' || computeMinor FROM TARGET_INFO_GPU ORDER BY id",
               "gpu_compute_capability");
  snprintf(shift, sizeof shift, "%" PRId64, in->shift_ns);
  if (in->shift_ns) emuv_trace_writer_environment(in->w, "nsys_time_shift_ns", shift);
}

static uint32_t text_id(const struct nsys_import *in, sqlite3_stmt *s, int column)
{
  return emuv_trace_writer_string(in->w, (const char *)sqlite3_column_text(s, column));
}

static void write_process(const struct nsys_import *in)
{
  sqlite3_stmt *s = NULL;
  struct emuv_trace_process p = {.pid = in->pid > 0 ? (uint32_t)in->pid : 0};
  if (in->pid < 0) return;
  if (sqlite3_prepare_v2(in->db, "SELECT name FROM PROCESSES WHERE pid = ?1", -1, &s, NULL) == SQLITE_OK) {
    sqlite3_bind_int64(s, 1, in->pid);
    if (sqlite3_step(s) == SQLITE_ROW) p.command = text_id(in, s, 0);
  }
  sqlite3_finalize(s);
  emuv_trace_writer_process(in->w, &p);
}

static void write_threads(const struct nsys_import *in)
{
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(in->db,
                         "SELECT globalTid, (SELECT value FROM StringIds WHERE id = nameId) FROM ThreadNames"
                         " WHERE ?1 < 0 OR (globalTid >> 24 & 0xffffff) = ?1",
                         -1, &s, NULL) == SQLITE_OK) {
    sqlite3_bind_int64(s, 1, in->pid);
    while (sqlite3_step(s) == SQLITE_ROW) {
      struct emuv_trace_thread r = {.tid = (uint32_t)(sqlite3_column_int64(s, 0) & EMUV_NSYS_ID_MASK)};
      r.name = text_id(in, s, 1);
      emuv_trace_writer_thread(in->w, &r);
    }
  }
  sqlite3_finalize(s);
}

/* ---- what is lost ---- */

static void tell_gap(const struct nsys_import *in, uint64_t count, uint32_t why, const char *text)
{
  if (count == 0) return;
  struct emuv_trace_gap g = {.why = why, .count = count, .text = emuv_trace_writer_string(in->w, text)};
  emuv_trace_writer_gap(in->w, &g);
}

static void tell_losses(const struct nsys_import *in)
{
  tell_gap(in, in->counts.launches, EMUV_TRACE_GAP_NO_PARAMS,
           "Nsight Systems records no kernel arguments: no launch has operands");
  tell_gap(in, in->without_call, EMUV_TRACE_GAP_TIMESTAMP,
           "launches, copies and sets whose API call the database does not have: no host times");
  tell_gap(in, in->migrations, EMUV_TRACE_GAP_UNSUPPORTED,
           "migrations of managed memory, which are no calls: left out");
  int64_t graphs = 0;
  if (emuv_nsys_has_table(in, "CUPTI_ACTIVITY_KIND_GRAPH_TRACE"))
    graphs = query_number(in, "SELECT count(*) FROM CUPTI_ACTIVITY_KIND_GRAPH_TRACE", NULL, 0);
  tell_gap(in, (uint64_t)graphs, EMUV_TRACE_GAP_UNSUPPORTED,
           "CUDA graphs recorded as a whole, without their kernels (nsys profile --cuda-graph-trace=node has them)");
  for (size_t i = 0; i < EMUV_NSYS_CURSORS; i++) {
    char text[160];
    const struct nsys_cursor *c = &in->cursors[i];
    if (c->dropped == 0) continue;
    snprintf(text, sizeof text, "%s: rows with missing or impossible values", c->table);
    struct emuv_trace_drop d = {.count = c->dropped, .what = c->type, .text = emuv_trace_writer_string(in->w, text)};
    emuv_trace_writer_drop(in->w, &d);
  }
}

/* ---- merging ---- */

/* The next row that can be used: in->cursors[i].record and .key, or .live false at the end. */
static int advance(struct nsys_import *in, struct nsys_cursor *c)
{
  for (;;) {
    int rc = c->s ? sqlite3_step(c->s) : SQLITE_DONE;
    c->live = rc == SQLITE_ROW;
    if (rc == SQLITE_DONE) return 0;
    if (rc != SQLITE_ROW) return emuv_nsys_damaged(in);
    memset(&c->record, 0, sizeof c->record);
    c->record.type = c->type;
    enum nsys_row row = c->read(in, c->s, c);
    if (row == NSYS_USE) return 0;
    c->dropped += row == NSYS_DROP;
    in->counts.dropped += row == NSYS_DROP;
  }
}

static struct nsys_cursor *earliest(struct nsys_import *in)
{
  struct nsys_cursor *best = NULL;
  for (size_t i = 0; i < EMUV_NSYS_CURSORS; i++)
    if (in->cursors[i].live && (!best || in->cursors[i].key < best->key)) best = &in->cursors[i];
  return best;
}

static int merge(struct nsys_import *in)
{
  int code = 0;
  for (size_t i = 0; i < EMUV_NSYS_CURSORS && code == 0; i++) code = advance(in, &in->cursors[i]);
  for (struct nsys_cursor *c; code == 0 && (c = earliest(in));) {
    emuv_nsys_finish_record(in, &c->record);
    code = emuv_trace_writer_append(in->w, &c->record);
    if (code == 0) code = advance(in, c);
  }
  return code;
}

static int write_trace(struct nsys_import *in, const char *path)
{
  struct emuv_trace_writer_options options = {.reproducible = true};
  int code = emuv_trace_writer_open(&in->w, path, &options, in->err);
  if (code) return code;
  write_environment(in);
  write_process(in);
  write_threads(in);
  code = merge(in);
  if (code == 0) tell_losses(in);
  int closed = emuv_trace_writer_close(in->w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, code ? NULL : in->err);
  if (code || closed) unlink(path);
  return code ? code : closed;
}

int emuv_import_nsys(const char *database, uint32_t pid, const char *path, struct emuv_nsys_counts *counts,
                     struct emuv_err *err)
{
  struct nsys_import in = {.name = database, .err = err};
  int code = open_database(&in);
  if (code == 0) code = choose_process(&in, pid);
  if (code == 0) code = find_shift(&in);
  if (code == 0) code = emuv_nsys_open_cursors(&in);
  if (code == 0) code = write_trace(&in, path);
  for (size_t i = 0; i < EMUV_NSYS_CURSORS; i++) sqlite3_finalize(in.cursors[i].s);
  sqlite3_close(in.db);
  emuv_nsys_forget(&in);
  if (counts) *counts = in.counts;
  return code;
}
