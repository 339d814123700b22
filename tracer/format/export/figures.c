// SPDX-License-Identifier: Apache-2.0
/* Figures to SQLite: see figures.h. One transaction; a file that could not be finished is removed. */
#include "tracer/format/export/figures.h"

#include "emuv_version.h"
#include "tracer/format/schema.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char SCHEMA[] =
    "PRAGMA user_version = 1; BEGIN;"
    "CREATE TABLE trace(key TEXT PRIMARY KEY, value);"
    "CREATE TABLE heat_view(view TEXT PRIMARY KEY, begin INTEGER, time_bin INTEGER, n_times INTEGER,"
    " space_bin_bytes INTEGER, n_spaces INTEGER);"
    "CREATE TABLE heat(view TEXT, time INTEGER, space INTEGER, bytes INTEGER);"
    "CREATE TABLE working_set(window INTEGER, i INTEGER, bytes INTEGER);"
    "CREATE TABLE live(window INTEGER, i INTEGER, bytes INTEGER);"
    "CREATE TABLE step(step INTEGER, prefill INTEGER, begin INTEGER, end INTEGER, calls INTEGER, bytes INTEGER);"
    "CREATE TABLE reuse(low REAL, high REAL, distance_bytes INTEGER, time_bytes INTEGER, mean_window_bytes REAL);"
    "CREATE TABLE miss(capacity_bytes INTEGER, miss_bytes INTEGER);"
    "CREATE TABLE life(allocation INTEGER, kind TEXT, device INTEGER, bytes INTEGER, begin_ns INTEGER, end_ns INTEGER,"
    " touched_bytes INTEGER);";

struct output {
  sqlite3 *db;
  const struct emuv_trace_figures *f;
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

static int prepare(const struct output *o, const char *sql, sqlite3_stmt **s)
{
  return sqlite3_prepare_v2(o->db, sql, -1, s, NULL) == SQLITE_OK ? 0 : failed(o);
}

/* One row; types: i = uint64_t, d = double, s = text. */
static int insert(const struct output *o, sqlite3_stmt *s, const char *types, ...)
{
  va_list values;
  va_start(values, types);
  for (int i = 0; types[i]; i++) {
    if (types[i] == 'i') sqlite3_bind_int64(s, i + 1, (sqlite3_int64)va_arg(values, uint64_t));
    if (types[i] == 'd') sqlite3_bind_double(s, i + 1, va_arg(values, double));
    if (types[i] == 's') sqlite3_bind_text(s, i + 1, va_arg(values, const char *), -1, SQLITE_STATIC);
  }
  va_end(values);
  int rc = sqlite3_step(s);
  sqlite3_reset(s);
  return rc == SQLITE_DONE ? 0 : failed(o);
}

/* ---- what the trace is ---- */

static const char *how_name(enum emuv_trace_steps_how how)
{
  if (how == EMUV_TRACE_STEPS_RANGES) return "ranges";
  return how == EMUV_TRACE_STEPS_PERIOD ? "period" : "none";
}

static const char *text_of(const struct emuv_trace_data *d, const char *key)
{
  const char *value = emuv_trace_data_environment(d, key);
  return value ? value : "";
}

static int insert_trace(const struct output *o)
{
  const struct emuv_trace_figures *f = o->f;
  const char *path = f->data->path, *slash = strrchr(path, '/');
  sqlite3_stmt *s = NULL;
  int code = prepare(o, "INSERT INTO trace VALUES(?, ?)", &s);
  const struct {
    const char *key, *text;
  } texts[] = {{"name", slash ? slash + 1 : path}, {"emuv_version", EMUV_VERSION " (" EMUV_GIT_REVISION ")"},
               {"gpu", text_of(f->data, "gpu")},   {"time_unit", f->touches.timed ? "ns" : "call"},
               {"work_unit", f->steps.unit},       {"steps_from", how_name(f->steps.how)}};
  const struct {
    const char *key;
    uint64_t value;
  } numbers[] = {{"calls", f->order.n},
                 {"launches", f->data->n_launches},
                 {"steps", f->steps.n - 1},
                 {"end", f->touches.last},
                 {"origin_ns", f->touches.origin_ns},
                 {"space_bytes", f->space.bytes},
                 {"touched_bytes", f->touches.bytes},
                 {"distinct_bytes", f->reuse.distinct_bytes},
                 {"grain_bytes", f->atoms.grain},
                 {"counted_step", f->counted_step},
                 {"counted_steps", f->counted_step ? f->steps.n - f->counted_step : 0},
                 {"counted_begin", f->reuse.begin},
                 {"counted_bytes", f->reuse.bytes},
                 {"first_touch_bytes", f->reuse.first_bytes},
                 {"dropped", f->data->state.has_verdict ? f->data->state.verdict.dropped : 0},
                 {"truncated", f->data->state.truncated}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts && code == 0; i++)
    code = insert(o, s, "ss", texts[i].key, texts[i].text);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers && code == 0; i++)
    code = insert(o, s, "si", numbers[i].key, numbers[i].value);
  sqlite3_finalize(s);
  return code;
}

/* ---- tables ---- */

static int insert_heat(const struct output *o, const char *view, const struct emuv_trace_heat *h)
{
  sqlite3_stmt *s = NULL;
  if (!h->bytes) return 0;
  int code = prepare(o, "INSERT INTO heat_view VALUES(?, ?, ?, ?, ?, ?)", &s);
  if (code == 0)
    code =
        insert(o, s, "siiiii", view, h->from, h->time_bin, (uint64_t)h->n_times, h->space_bin, (uint64_t)h->n_spaces);
  sqlite3_finalize(s);
  if (code == 0) code = prepare(o, "INSERT INTO heat VALUES(?, ?, ?, ?)", &s);
  for (uint64_t i = 0; i < (uint64_t)h->n_times * h->n_spaces && code == 0; i++)
    if (h->bytes[i]) code = insert(o, s, "siii", view, i / h->n_spaces, i % h->n_spaces, h->bytes[i]);
  sqlite3_finalize(s);
  return code;
}

static int insert_series(const struct output *o, const char *sql, const struct emuv_trace_series *series)
{
  sqlite3_stmt *s = NULL;
  int code = prepare(o, sql, &s);
  for (uint64_t i = 0; i < series->n && code == 0; i++) code = insert(o, s, "iii", series->length, i, series->bytes[i]);
  sqlite3_finalize(s);
  return code;
}

static int insert_steps(const struct output *o)
{
  const struct emuv_trace_figures *f = o->f;
  sqlite3_stmt *s = NULL;
  int code = prepare(o, "INSERT INTO step VALUES(?, ?, ?, ?, ?, ?)", &s);
  for (uint64_t i = 0; i < f->steps.n && code == 0; i++)
    code = insert(o, s, "iiiiii", i, (uint64_t)f->steps.step[i].prefill, f->step_time[i], f->step_time[i + 1],
                  (uint64_t)f->steps.step[i].n, f->step_bytes[i]);
  sqlite3_finalize(s);
  return code;
}

/* Bins up to the longest time that was counted and the largest distance. */
static int insert_reuse(const struct output *o)
{
  const struct emuv_trace_reuse *r = &o->f->reuse;
  sqlite3_stmt *s = NULL;
  int code = prepare(o, "INSERT INTO reuse VALUES(?, ?, ?, ?, ?)", &s);
  uint32_t n = emuv_trace_bin(r->end - r->begin) + 1;
  for (uint32_t i = 0; i < EMUV_TRACE_BINS; i++)
    if ((r->distance[i] || r->time[i]) && i >= n) n = i + 1;
  for (uint32_t i = 0; i < n && code == 0; i++) {
    double low = emuv_trace_bin_low(i), high = emuv_trace_bin_low(i + 1);
    code = insert(o, s, "ddiid", low, high, r->distance[i], r->time[i], r->window[i]);
  }
  sqlite3_finalize(s);
  return code;
}

static int insert_misses(const struct output *o)
{
  const struct emuv_trace_reuse *r = &o->f->reuse;
  sqlite3_stmt *s = NULL;
  int code = prepare(o, "INSERT INTO miss VALUES(?, ?)", &s);
  if (code == 0) code = insert(o, s, "ii", (uint64_t)0, r->bytes);
  for (uint32_t i = 0; i < EMUV_TRACE_CAPACITIES && code == 0; i++)
    code = insert(o, s, "ii", (i + 1) * r->capacity_bin, emuv_trace_reuse_misses(r, i));
  sqlite3_finalize(s);
  return code;
}

static int insert_lives(const struct output *o)
{
  const struct emuv_trace_figures *f = o->f;
  char number[24];
  sqlite3_stmt *s = NULL;
  int code = prepare(o, "INSERT INTO life VALUES(?, ?, ?, ?, ?, ?, ?)", &s);
  for (size_t i = 0; i < f->data->n_allocations && code == 0; i++) {
    const struct emuv_trace_life *l = &f->data->allocations[i];
    uint64_t touched = 0;
    if (!emuv_trace_memory_on_device(l->a.kind)) continue;
    for (size_t e = f->space.first_extent[i]; e < f->space.first_extent[i + 1]; e++)
      touched += f->space.extents[e].bytes;
    code = insert(o, s, "isiiiii", l->a.id,
                  emuv_trace_name(emuv_trace_memory_names, EMUV_TRACE_MEMORY_KINDS, l->a.kind, number),
                  (uint64_t)l->a.device, l->a.bytes, l->a.ns, l->free_ns, touched);
  }
  sqlite3_finalize(s);
  return code;
}

static int insert_all(const struct output *o)
{
  const struct emuv_trace_figures *f = o->f;
  int code = run(o, SCHEMA);
  if (code == 0) code = insert_trace(o);
  if (code == 0) code = insert_heat(o, "run", &f->heat);
  if (code == 0) code = insert_heat(o, "steps", &f->step_heat);
  for (int i = 0; i < EMUV_TRACE_WINDOWS && code == 0; i++)
    code = insert_series(o, "INSERT INTO working_set VALUES(?, ?, ?)", &f->window[i]);
  if (code == 0) code = insert_series(o, "INSERT INTO live VALUES(?, ?, ?)", &f->live);
  if (code == 0) code = insert_steps(o);
  if (code == 0) code = insert_reuse(o);
  if (code == 0) code = insert_misses(o);
  if (code == 0) code = insert_lives(o);
  return code ? code : run(o, "COMMIT");
}

static int write_database(const struct emuv_trace_figures *f, const char *path, struct emuv_err *err)
{
  struct output o = {.f = f, .err = err};
  int code = 0;
  if (sqlite3_open(path, &o.db) != SQLITE_OK ||
      sqlite3_exec(o.db, "PRAGMA journal_mode=OFF", NULL, NULL, NULL) != SQLITE_OK)
    code = emuv_err_set(err, EMUV_ERR_IO, "cannot create %s: %s", path, sqlite3_errmsg(o.db));
  if (code == 0) code = insert_all(&o);
  sqlite3_close(o.db);
  if (code) unlink(path);
  return code;
}

int emuv_export_figures(const struct emuv_trace_data *d, const char *path, struct emuv_err *err)
{
  struct emuv_trace_figures f;
  if (access(path, F_OK) == 0) return emuv_err_set(err, EMUV_ERR_USAGE, "%s exists; it is not overwritten", path);
  int code = emuv_trace_figures_compute(d, &f, err);
  if (code) return code;
  code = write_database(&f, path, err);
  emuv_trace_figures_free(&f);
  return code;
}
