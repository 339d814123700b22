// SPDX-License-Identifier: Apache-2.0
/* The results database; see results.h. SQL text is made from the one list of columns in results_columns.h. */
#include "simulator/results.h"

#include "runtime/core/environment.h"

#include <emuv_version.h>
#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

enum { BUSY_MS = 5000 };

static const char create_runs[] = "CREATE TABLE IF NOT EXISTS runs ("
#define COLUMN(name, type, value) #name " " #type ", "
#define MCOLUMN(name, type, value) #name " " #type ", "
#include "simulator/results_columns.h"
#undef COLUMN
#undef MCOLUMN
                                  "repetition INTEGER, environment INTEGER REFERENCES environments(environment), "
                                  "PRIMARY KEY (run_id)) WITHOUT ROWID";

enum {
#define COLUMN(name, type, value) AT_##name,
#define MCOLUMN(name, type, value) AT_##name,
#include "simulator/results_columns.h"
#undef COLUMN
#undef MCOLUMN
  AT_repetition,
  AT_environment,
  N_COLUMNS
};

static const char create_rest[] =
    "CREATE TABLE IF NOT EXISTS environments (environment INTEGER PRIMARY KEY, started TEXT, emuv_version TEXT, "
    "git_revision TEXT, git_dirty INTEGER, gpu TEXT, driver TEXT, link TEXT, cpu TEXT, cores INTEGER, ram_bytes "
    "INTEGER, "
    "kernel TEXT, os TEXT, trace_hash TEXT);"
    "CREATE INDEX IF NOT EXISTS runs_by_config ON runs (config_hash, kind);";

static const char insert_run[] = "INSERT OR REPLACE INTO runs ("
#define COLUMN(name, type, value) #name ", "
#define MCOLUMN(name, type, value) #name ", "
#include "simulator/results_columns.h"
#undef COLUMN
#undef MCOLUMN
                                 "repetition, environment) VALUES ("
#define COLUMN(name, type, value) "?, "
#define MCOLUMN(name, type, value) "?, "
#include "simulator/results_columns.h"
#undef COLUMN
#undef MCOLUMN
                                 "?, ?)";

static const char *const views =
#include "results_views.inc"
    ;

const char *emuv_results_version(void)
{
  return EMUV_GIT_DIRTY ? EMUV_VERSION "+g" EMUV_GIT_REVISION "-dirty" : EMUV_VERSION "+g" EMUV_GIT_REVISION;
}

void emuv_results_run_id(const char *config_hash, const char *kind, int repetition, char hex[EMUV_HASH_HEX])
{
  char text[256];
  int n = snprintf(text, sizeof text, "%s|%s|%d|%s", config_hash, kind, repetition, emuv_results_version());
  XXH128_hash_t h = XXH3_128bits(text, (size_t)n);
  snprintf(hex, EMUV_HASH_HEX, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}

/* Our error for SQLite's last one. */
static int sql_error(struct emuv_results *r, const char *what, struct emuv_err *err)
{
  int code = r->db ? sqlite3_errcode(r->db) & 0xff : SQLITE_NOMEM;
  const char *text = r->db ? sqlite3_errmsg(r->db) : "out of memory";
  int rc = code == SQLITE_BUSY || code == SQLITE_LOCKED ? EMUV_ERR_BUSY
           : code == SQLITE_FULL                        ? EMUV_ERR_NOSPACE
           : code == SQLITE_NOTADB                      ? EMUV_ERR_INPUT
                                                        : EMUV_ERR_IO;
  emuv_err_set(err, rc, "%s: cannot %s: %s", r->path, what, text);
  if (rc == EMUV_ERR_BUSY)
    emuv_err_hint(err, "another program holds the database; wait for it, or use --output with another file");
  if (rc == EMUV_ERR_NOSPACE)
    emuv_err_hint(err, "rows stored so far are kept; free some space and run the same command again");
  if (code == SQLITE_READONLY || code == SQLITE_CANTOPEN)
    emuv_err_hint(err, "use --output with a file in a folder that you can write");
  return rc;
}

static int execute(struct emuv_results *r, const char *sql, const char *what, struct emuv_err *err)
{
  return sqlite3_exec(r->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sql_error(r, what, err);
}

static int read_int(struct emuv_results *r, const char *sql, int64_t *value, struct emuv_err *err)
{
  sqlite3_stmt *s = NULL;
  int rc = sqlite3_prepare_v2(r->db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW
               ? 0
               : sql_error(r, "read", err);
  if (!rc) *value = sqlite3_column_int64(s, 0);
  sqlite3_finalize(s);
  return rc;
}

static int check_schema(struct emuv_results *r, bool may_be_new, struct emuv_err *err)
{
  int64_t schema = 0, tables = 0, ours = 0;
  int rc = read_int(r, "PRAGMA user_version", &schema, err);
  if (!rc) rc = read_int(r, "SELECT count(*) FROM sqlite_master WHERE type = 'table'", &tables, err);
  if (!rc) rc = read_int(r, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'runs'", &ours, err);
  if (rc) return rc;
  if (schema > EMUV_RESULTS_SCHEMA) {
    emuv_err_set(err, EMUV_ERR_UNSUPPORTED, "%s: schema version %lld is newer than this emuV knows (%d)", r->path,
                 (long long)schema, EMUV_RESULTS_SCHEMA);
    return emuv_err_hint(err, "use a newer emuV, or --output with another file");
  }
  if (tables && !ours)
    return emuv_err_set(err, EMUV_ERR_INPUT, "%s: a database, but not one of emuV's results", r->path);
  if (!tables && !may_be_new) return emuv_err_set(err, EMUV_ERR_INPUT, "%s: an empty database", r->path);
  return 0;
}

static int create_schema(struct emuv_results *r, struct emuv_err *err)
{
  char version[64];
  snprintf(version, sizeof version, "PRAGMA user_version = %d", EMUV_RESULTS_SCHEMA);
  int rc = execute(r, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", "write", err);
  if (!rc) rc = execute(r, "BEGIN IMMEDIATE", "write", err);
  if (rc) return rc;
  rc = execute(r, create_runs, "make the table runs", err);
  if (!rc) rc = execute(r, create_rest, "make the tables", err);
  if (!rc) rc = execute(r, views, "make the views", err);
  if (!rc) rc = execute(r, version, "set the schema version", err);
  if (!rc) return execute(r, "COMMIT", "write", err);
  sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
  return rc;
}

static int prepare(struct emuv_results *r, const char *sql, sqlite3_stmt **s, struct emuv_err *err)
{
  return sqlite3_prepare_v2(r->db, sql, -1, s, NULL) == SQLITE_OK ? 0 : sql_error(r, "prepare a statement", err);
}

static int open_file(const char *path, int flags, struct emuv_results *r, struct emuv_err *err)
{
  *r = (struct emuv_results){0};
  snprintf(r->path, sizeof r->path, "%s", path);
  if (sqlite3_open_v2(path, &r->db, flags, NULL) != SQLITE_OK) return sql_error(r, "open", err);
  sqlite3_busy_timeout(r->db, BUSY_MS);
  return 0;
}

static int refuse_read_only(struct emuv_results *r, struct emuv_err *err)
{
  if (sqlite3_db_readonly(r->db, "main") != 1) return 0;
  emuv_err_set(err, EMUV_ERR_IO, "%s: read-only", r->path);
  return emuv_err_hint(err, "use --output with a file in a folder that you can write");
}

static int open_to_write(const char *path, struct emuv_results *r, struct emuv_err *err)
{
  int rc = open_file(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, r, err);
  if (!rc) rc = refuse_read_only(r, err);
  if (!rc) rc = check_schema(r, true, err);
  if (!rc) rc = emuv_results_add_columns(r, err);
  if (!rc) rc = create_schema(r, err);
  if (!rc) rc = prepare(r, insert_run, &r->insert, err);
  if (!rc)
    rc = prepare(r, "DELETE FROM runs WHERE config_hash = ? AND kind = ? AND repetition = ? AND run_id <> ?",
                 &r->replace_old, err);
  if (!rc) rc = prepare(r, "SELECT 1 FROM runs WHERE run_id = ?", &r->find, err);
  return rc;
}

int emuv_results_open(const char *path, struct emuv_results *r, struct emuv_err *err)
{
  int rc = open_to_write(path, r, err);
  if (rc) emuv_results_close(r);
  return rc;
}

int emuv_results_open_read(const char *path, struct emuv_results *r, struct emuv_err *err)
{
  int rc = open_file(path, SQLITE_OPEN_READONLY, r, err);
  if (!rc) rc = check_schema(r, false, err);
  if (rc) emuv_results_close(r);
  return rc;
}

int emuv_results_has(struct emuv_results *r, const char *run_id, struct emuv_err *err)
{
  sqlite3_reset(r->find);
  sqlite3_bind_text(r->find, 1, run_id, -1, SQLITE_TRANSIENT);
  int step = sqlite3_step(r->find);
  sqlite3_reset(r->find);
  if (step == SQLITE_ROW) return 1;
  return step == SQLITE_DONE ? 0 : sql_error(r, "read", err);
}

static void bind_TEXT(sqlite3_stmt *s, int at, const char *value)
{
  sqlite3_bind_text(s, at, value, -1, SQLITE_TRANSIENT);
}

#define UNKNOWN UINT64_MAX /* an integer that becomes NULL */

static void bind_INTEGER(sqlite3_stmt *s, int at, uint64_t value)
{
  if (value == UNKNOWN)
    sqlite3_bind_null(s, at);
  else
    sqlite3_bind_int64(s, at, (int64_t)value);
}

/* NAN, "unknown", becomes NULL. */
static void bind_REAL(sqlite3_stmt *s, int at, double value)
{
  if (isnan(value))
    sqlite3_bind_null(s, at);
  else
    sqlite3_bind_double(s, at, value);
}

static double per(uint64_t n, double d)
{
  return d > 0 ? (double)n / d : 0;
}

static void bind_row(struct emuv_results *results, const struct emuv_result *r, const char *run_id)
{
  const struct emuv_config *c = r->config;
  const struct emuv_metrics *m = r->metrics;
  const struct emuv_workload *w = r->workload;
  const struct emuv_measured *d = r->measured;
  sqlite3_stmt *s = results->insert;
  int at = 1;
#define COLUMN(name, type, value) bind_##type(s, at++, value);
#define MCOLUMN(name, type, value)                                                                                     \
  if (m)                                                                                                               \
    bind_##type(s, at++, value);                                                                                       \
  else                                                                                                                 \
    sqlite3_bind_null(s, at++);
#include "simulator/results_columns.h"
#undef COLUMN
#undef MCOLUMN
  sqlite3_bind_int(s, at++, r->repetition);
  sqlite3_bind_int64(s, at, results->environment);
}

static int store_environment(struct emuv_results *r, uint64_t trace_hash, struct emuv_err *err)
{
  struct emuv_environment e;
  char hash[20] = "";
  sqlite3_stmt *s = NULL;
  if (r->environment) return 0;
  emuv_environment_capture(&e);
  int rc = prepare(r, "INSERT INTO environments VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?,?,?)", &s, err);
  if (rc) return rc;
  if (trace_hash) snprintf(hash, sizeof hash, "%016llx", (unsigned long long)trace_hash);
  const char *text[] = {e.started, emuv_results_version(), EMUV_GIT_REVISION};
  for (int i = 0; i < 3; i++) bind_TEXT(s, i + 1, text[i]);
  bind_INTEGER(s, 4, EMUV_GIT_DIRTY);
  bind_TEXT(s, 5, e.gpu);
  bind_TEXT(s, 6, e.driver);
  bind_TEXT(s, 7, e.link);
  bind_TEXT(s, 8, e.cpu);
  bind_INTEGER(s, 9, (uint64_t)e.cores);
  bind_INTEGER(s, 10, e.ram_bytes);
  bind_TEXT(s, 11, e.kernel);
  bind_TEXT(s, 12, e.os);
  bind_TEXT(s, 13, hash);
  if (sqlite3_step(s) != SQLITE_DONE) rc = sql_error(r, "write", err);
  sqlite3_finalize(s);
  if (!rc) r->environment = sqlite3_last_insert_rowid(r->db);
  return rc;
}

static int replace_old(struct emuv_results *r, const struct emuv_result *row, const char *run_id, struct emuv_err *err)
{
  sqlite3_reset(r->replace_old);
  bind_TEXT(r->replace_old, 1, row->config_hash);
  bind_TEXT(r->replace_old, 2, row->kind);
  sqlite3_bind_int(r->replace_old, 3, row->repetition);
  bind_TEXT(r->replace_old, 4, run_id);
  int step = sqlite3_step(r->replace_old);
  int rc = step == SQLITE_DONE ? 0 : sql_error(r, "write", err);
  sqlite3_reset(r->replace_old);
  return rc;
}

static int insert(struct emuv_results *r, const struct emuv_result *row, const char *run_id, struct emuv_err *err)
{
  int rc = store_environment(r, row->workload ? row->workload->content_hash : 0, err);
  if (!rc) rc = replace_old(r, row, run_id, err);
  if (rc) return rc;
  sqlite3_reset(r->insert);
  bind_row(r, row, run_id);
  rc = sqlite3_step(r->insert) == SQLITE_DONE ? 0 : sql_error(r, "write", err);
  sqlite3_reset(r->insert);
  return rc;
}

int emuv_results_store(struct emuv_results *r, const struct emuv_result *row, struct emuv_err *err)
{
  char run_id[EMUV_HASH_HEX];
  int64_t environment = r->environment;
  emuv_results_run_id(row->config_hash, row->kind, row->repetition, run_id);
  int rc = execute(r, "BEGIN IMMEDIATE", "write", err);
  if (rc) return rc;
  rc = insert(r, row, run_id, err);
  if (!rc) rc = execute(r, "COMMIT", "write", err);
  if (!rc) return 0;
  r->environment = environment;
  sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
  return rc;
}

int emuv_results_forget(struct emuv_results *r, const char *scenario, const char *kind, struct emuv_err *err)
{
  sqlite3_stmt *s = NULL;
  int rc = prepare(r, "DELETE FROM runs WHERE scenario = ? AND kind = ?", &s, err);
  if (rc) return rc;
  bind_TEXT(s, 1, scenario);
  bind_TEXT(s, 2, kind);
  if (sqlite3_step(s) != SQLITE_DONE) rc = sql_error(r, "write", err);
  sqlite3_finalize(s);
  return rc;
}

void emuv_results_close(struct emuv_results *r)
{
  sqlite3_finalize(r->insert);
  sqlite3_finalize(r->replace_old);
  sqlite3_finalize(r->find);
  /* A file in WAL mode cannot be read where nothing can be written; nobody else has it open, or it stays as it is. */
  if (r->insert) {
    sqlite3_busy_timeout(r->db, 0);
    sqlite3_exec(r->db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
  }
  sqlite3_close(r->db);
  *r = (struct emuv_results){0};
}
