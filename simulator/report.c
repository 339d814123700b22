// SPDX-License-Identifier: Apache-2.0
/* The rows of a sweep; see report.h. The selection is a temporary table: it is seen by this connection only. */
#include "simulator/report.h"

#include "simulator/rows.h"
#include "simulator/workload_cache.h"

static const char make_selection[] =
    "PRAGMA temp_store = MEMORY; DROP TABLE IF EXISTS temp.selected;"
    "CREATE TEMP TABLE selected (ordinal INTEGER PRIMARY KEY, config_hash TEXT NOT NULL)";

static const char selected_rows[] =
    "SELECT r.* FROM temp.selected AS s JOIN runs AS r ON r.config_hash = s.config_hash "
    "ORDER BY s.ordinal, r.kind, r.repetition";

static int sql_error(struct emuv_results *r, struct emuv_err *err)
{
  return emuv_err_set(err, EMUV_ERR_IO, "%s: cannot read: %s", r->path, sqlite3_errmsg(r->db));
}

static int insert_hashes(struct emuv_results *r, const struct emuv_scenario *s, sqlite3_stmt *insert,
                         struct emuv_workload_cache *cache, struct emuv_err *err)
{
  for (size_t i = 0; i < s->n_configs; i++) {
    char hex[EMUV_HASH_HEX];
    uint64_t trace_hash;
    int rc = emuv_workload_cache_hash(cache, &s->configs[i], &trace_hash, err);
    if (rc) return rc;
    emuv_config_hash(&s->configs[i], trace_hash, hex);
    sqlite3_bind_int64(insert, 1, (sqlite3_int64)i);
    sqlite3_bind_text(insert, 2, hex, -1, SQLITE_TRANSIENT);
    if (sqlite3_step(insert) != SQLITE_DONE) return sql_error(r, err);
    sqlite3_reset(insert);
  }
  return 0;
}

int emuv_report_select(struct emuv_results *results, const struct emuv_scenario *scenario, struct emuv_err *err)
{
  static const char insert[] = "INSERT INTO temp.selected VALUES (?, ?)";
  struct emuv_workload_cache cache;
  sqlite3_stmt *s = NULL;
  int rc = emuv_workload_cache_init(&cache, 0, err);
  if (rc) return rc;
  if (sqlite3_exec(results->db, make_selection, NULL, NULL, NULL) != SQLITE_OK ||
      sqlite3_prepare_v2(results->db, insert, -1, &s, NULL) != SQLITE_OK)
    rc = sql_error(results, err);
  if (!rc) rc = insert_hashes(results, scenario, s, &cache, err);
  sqlite3_finalize(s);
  emuv_workload_cache_free(&cache);
  return rc;
}

/* The end of reading; what went wrong with reading or writing is an error. */
static int finish(struct emuv_results *r, sqlite3_stmt *s, FILE *out, struct emuv_err *err)
{
  int rc = sqlite3_finalize(s) == SQLITE_OK ? 0 : sql_error(r, err);
  if (!rc && (fflush(out) != 0 || ferror(out))) rc = emuv_err_errno(err, EMUV_ERR_IO, "cannot write the rows");
  return rc;
}

int emuv_report_csv(struct emuv_results *results, FILE *out, struct emuv_err *err)
{
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(results->db, selected_rows, -1, &s, NULL) != SQLITE_OK) return sql_error(results, err);
  emuv_rows_csv_names(s, out);
  fputc('\n', out);
  while (sqlite3_step(s) == SQLITE_ROW) {
    emuv_rows_csv(s, out);
    fputc('\n', out);
  }
  return finish(results, s, out, err);
}

int emuv_report_json(struct emuv_results *results, FILE *out, struct emuv_err *err)
{
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(results->db, selected_rows, -1, &s, NULL) != SQLITE_OK) return sql_error(results, err);
  json_t *rows = json_array();
  bool complete = rows != NULL;
  while (complete && sqlite3_step(s) == SQLITE_ROW) complete = json_array_append_new(rows, emuv_rows_json(s)) == 0;
  if (complete) json_dumpf(rows, out, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
  fputc('\n', out);
  json_decref(rows);
  int rc = finish(results, s, out, err);
  return rc || complete ? rc : emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the rows");
}
