// SPDX-License-Identifier: Apache-2.0
/* Results of older versions of emuV: columns that have been added since are NULL in their rows. Reading, a temporary
 * view says so; writing, the columns are added first. Columns that this version does not know are those of a newer one.
 */
#include "simulator/results.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct column {
  const char *name, *type;
};

static const struct column columns[] = {
#define COLUMN(name, type, value) {#name, #type},
#define MCOLUMN(name, type, value) {#name, #type},
#include "simulator/results_columns.h"
#undef COLUMN
#undef MCOLUMN
    {"repetition", "INTEGER"},
    {"environment", "INTEGER"},
};
enum { N_COLUMNS = sizeof columns / sizeof columns[0] };

static int sql_failed(struct emuv_results *r, struct emuv_err *err)
{
  return emuv_err_set(err, EMUV_ERR_IO, "%s: %s", r->path, sqlite3_errmsg(r->db));
}

static int known(const char *name)
{
  for (int i = 0; i < N_COLUMNS; i++)
    if (strcmp(columns[i].name, name) == 0) return i;
  return -1;
}

/* Which columns the table has; *n: all of them, *unknown: those that this version does not have. */
static int find_columns(struct emuv_results *r, const char *schema, bool has[N_COLUMNS], int *n, int *unknown,
                        struct emuv_err *err)
{
  sqlite3_stmt *s = NULL;
  memset(has, 0, N_COLUMNS);
  *n = *unknown = 0;
  if (sqlite3_prepare_v2(r->db, "SELECT name FROM pragma_table_info('runs', ?)", -1, &s, NULL) != SQLITE_OK)
    return sql_failed(r, err);
  sqlite3_bind_text(s, 1, schema, -1, SQLITE_TRANSIENT);
  for (; sqlite3_step(s) == SQLITE_ROW; ++*n) {
    const int at = known((const char *)sqlite3_column_text(s, 0));
    if (at < 0)
      ++*unknown;
    else
      has[at] = true;
  }
  return sqlite3_finalize(s) == SQLITE_OK ? 0 : sql_failed(r, err);
}

int emuv_results_add_columns(struct emuv_results *r, struct emuv_err *err)
{
  bool has[N_COLUMNS];
  int n, unknown;
  char sql[160];
  int rc = find_columns(r, "main", has, &n, &unknown, err);
  if (rc || n == 0) return rc;
  if (unknown) {
    emuv_err_set(err, EMUV_ERR_UNSUPPORTED, "%s: made by another version of emuV (%d columns that are not known here)",
                 r->path, unknown);
    return emuv_err_hint(err, "use --output with another file, or remove this one");
  }
  for (int i = 0; i < N_COLUMNS; i++) {
    if (has[i]) continue;
    (void)snprintf(sql, sizeof sql, "ALTER TABLE runs ADD COLUMN %s %s", columns[i].name, columns[i].type);
    if (sqlite3_exec(r->db, sql, NULL, NULL, NULL) != SQLITE_OK) return sql_failed(r, err);
  }
  return 0;
}

int emuv_results_view(struct emuv_results *r, const char *schema, const char *view, struct emuv_err *err)
{
  bool has[N_COLUMNS];
  int n, unknown;
  char *sql = NULL;
  size_t size = 0;
  int rc = find_columns(r, schema, has, &n, &unknown, err);
  FILE *text = rc ? NULL : open_memstream(&sql, &size);
  if (!text) return rc ? rc : emuv_err_set(err, EMUV_ERR_NOMEM, "no memory");
  (void)fprintf(text, "CREATE TEMP VIEW %s AS SELECT ", view);
  for (int i = 0; i < N_COLUMNS; i++)
    (void)fprintf(text, "%s%s%s", i ? ", " : "", has[i] ? "" : "NULL AS ", columns[i].name);
  (void)fprintf(text, " FROM %s.runs", schema);
  (void)fclose(text);
  if (sqlite3_exec(r->db, sql, NULL, NULL, NULL) != SQLITE_OK) rc = sql_failed(r, err);
  free(sql);
  return rc;
}
