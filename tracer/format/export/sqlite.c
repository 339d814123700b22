// SPDX-License-Identifier: Apache-2.0
/* Traces to SQLite: see export.h. Tables come from the schema (schema.h): a field is a column; enumerations, strings
 * and kernels are stored as text. Beside them the tables of Nsight Systems (nsys.h). One transaction. */
#include "tracer/format/export/export.h"
#include "tracer/format/export/nsys.h"
#include "tracer/format/schema.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct output {
  sqlite3 *db;
  const struct emuv_trace_data *d;
  struct emuv_err *err;
};

static int failed(const struct output *o)
{
  return emuv_err_set(o->err, EMUV_ERR_IO, "cannot write the database: %s", sqlite3_errmsg(o->db));
}

static int run(const struct output *o, const char *sql)
{
  return sqlite3_exec(o->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed(o);
}

static bool is_text(const struct emuv_trace_field *f)
{
  return f->show == EMUV_SHOW_NAME || f->show == EMUV_SHOW_STRING || f->show == EMUV_SHOW_KERNEL;
}

/* CREATE TABLE and INSERT of a schema; `key` is a first column of integers, NULL for none. */
static int prepare(const struct output *o, const struct emuv_trace_schema *schema, const char *key,
                   sqlite3_stmt **insert)
{
  sqlite3_str *create = sqlite3_str_new(o->db), *values = sqlite3_str_new(o->db);
  sqlite3_str_appendf(create, "CREATE TABLE \"%w\"(", schema->name);
  sqlite3_str_appendf(values, "INSERT INTO \"%w\" VALUES(", schema->name);
  if (key) sqlite3_str_appendf(create, "\"%w\" INTEGER", key);
  if (key) sqlite3_str_appendall(values, "?");
  for (uint32_t i = 0; i < schema->n_fields; i++) {
    const char *comma = i || key ? "," : "";
    const struct emuv_trace_field *f = &schema->fields[i];
    sqlite3_str_appendf(create, "%s\"%w\" %s", comma, f->name, is_text(f) ? "TEXT" : "INTEGER");
    sqlite3_str_appendf(values, "%s?", comma);
  }
  sqlite3_str_appendall(create, ")");
  sqlite3_str_appendall(values, ")");
  char *create_sql = sqlite3_str_finish(create), *insert_sql = sqlite3_str_finish(values);
  int code = create_sql && insert_sql ? run(o, create_sql) : emuv_err_set(o->err, EMUV_ERR_NOMEM, "out of memory");
  if (code == 0 && sqlite3_prepare_v2(o->db, insert_sql, -1, insert, NULL) != SQLITE_OK) code = failed(o);
  sqlite3_free(create_sql);
  sqlite3_free(insert_sql);
  return code;
}

static void bind(const struct output *o, sqlite3_stmt *s, int column, const struct emuv_trace_field *f,
                 const void *base)
{
  uint64_t v = emuv_trace_field_get(f, base);
  char buf[24];
  if (f->show == EMUV_SHOW_NAME)
    sqlite3_bind_text(s, column, emuv_trace_field_name(f, v, buf), -1, SQLITE_TRANSIENT);
  else if (f->show == EMUV_SHOW_STRING)
    sqlite3_bind_text(s, column, emuv_trace_data_string(o->d, (uint32_t)v), -1, SQLITE_STATIC);
  else if (f->show == EMUV_SHOW_KERNEL)
    sqlite3_bind_text(s, column, emuv_trace_data_kernel(o->d, (uint32_t)v), -1, SQLITE_STATIC);
  else
    sqlite3_bind_int64(s, column, (sqlite3_int64)v);
}

static int insert_row(const struct output *o, sqlite3_stmt *s, const struct emuv_trace_schema *schema, const void *base,
                      bool key, uint64_t key_value)
{
  if (key) sqlite3_bind_int64(s, 1, (sqlite3_int64)key_value);
  for (uint32_t i = 0; i < schema->n_fields; i++) bind(o, s, (int)i + 1 + key, &schema->fields[i], base);
  int rc = sqlite3_step(s);
  sqlite3_reset(s);
  return rc == SQLITE_DONE ? 0 : failed(o);
}

static int insert_table(const struct output *o, const struct emuv_trace_schema *schema, const void *rows, size_t n,
                        size_t stride)
{
  sqlite3_stmt *s = NULL;
  int code = prepare(o, schema, NULL, &s);
  for (size_t i = 0; i < n && code == 0; i++)
    code = insert_row(o, s, schema, (const char *)rows + i * stride, false, 0);
  sqlite3_finalize(s);
  return code;
}

/* launch_id is the rowid of the launch. */
static int insert_operands(const struct output *o)
{
  sqlite3_stmt *s = NULL;
  int code = prepare(o, &emuv_trace_schema_operand, "launch_id", &s);
  for (size_t i = 0; i < o->d->n_launches && code == 0; i++)
    for (uint32_t k = 0; k < o->d->launches[i].n_operands && code == 0; k++)
      code = insert_row(o, s, &emuv_trace_schema_operand, &o->d->launches[i].operands[k], true, i + 1);
  sqlite3_finalize(s);
  return code;
}

static int insert_all(const struct output *o)
{
  const struct emuv_trace_data *d = o->d;
#define TABLE(type, array)                                                                                             \
  {                                                                                                                    \
    type, d->array, d->n_##array, sizeof *d->array                                                                     \
  }
  const struct {
    uint32_t type;
    const void *rows;
    size_t n, stride;
  } tables[] = {
      TABLE(EMUV_TRACE_ENVIRONMENT, environment),
      TABLE(EMUV_TRACE_PROCESS, processes),
      TABLE(EMUV_TRACE_THREAD, threads),
      TABLE(EMUV_TRACE_ALLOCATION, allocations),
      TABLE(EMUV_TRACE_FREE, frees),
      TABLE(EMUV_TRACE_COPY, copies),
      TABLE(EMUV_TRACE_SET, sets),
      TABLE(EMUV_TRACE_LAUNCH, launches),
      TABLE(EMUV_TRACE_RANGE, ranges),
      TABLE(EMUV_TRACE_SYNC, syncs),
      TABLE(EMUV_TRACE_GAP, gaps),
      TABLE(EMUV_TRACE_DROP, drops),
      TABLE(EMUV_TRACE_TAG, tags),
  };
#undef TABLE
  int code = 0;
  for (size_t i = 0; i < sizeof tables / sizeof *tables && code == 0; i++)
    code = insert_table(o, &emuv_trace_schemas[tables[i].type], tables[i].rows, tables[i].n, tables[i].stride);
  if (code == 0) code = insert_operands(o);
  if (code == 0)
    code =
        insert_table(o, &emuv_trace_schema_verdict, &d->state.verdict, d->state.has_verdict, sizeof d->state.verdict);
  return code ? code : run(o, "CREATE INDEX operand_launch ON operand(launch_id)");
}

int emuv_export_sqlite(const struct emuv_trace_data *d, const char *path, bool nsys_only, struct emuv_err *err)
{
  struct output o = {.d = d, .err = err};
  if (access(path, F_OK) == 0) return emuv_err_set(err, EMUV_ERR_USAGE, "%s exists; it is not overwritten", path);
  int code = 0;
  if (sqlite3_open(path, &o.db) != SQLITE_OK ||
      sqlite3_exec(o.db, "PRAGMA journal_mode=OFF", NULL, NULL, NULL) != SQLITE_OK)
    code = emuv_err_set(err, EMUV_ERR_IO, "cannot create %s: %s", path, sqlite3_errmsg(o.db));
  if (code == 0) code = run(&o, "BEGIN");
  if (code == 0 && !nsys_only) code = insert_all(&o);
  if (code == 0) code = emuv_nsys_write(d, o.db, err);
  if (code == 0) code = run(&o, "COMMIT");
  sqlite3_close(o.db);
  if (code) unlink(path);
  return code;
}
