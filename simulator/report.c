// SPDX-License-Identifier: Apache-2.0
/* The terminal answer; see report.h. */
#include "simulator/report.h"

#include "runtime/core/units.h"

#include <jansson.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TABLE_ROWS = 24 };

/* Groups are what the user has; the best row of each is what to do with it. */
static const char best_rows[] =
    "SELECT hardware, CASE model WHEN '' THEN workload ELSE model END AS what, weight_bits, context_tokens, batch, "
    "vram_bytes, "
    "ram_bytes, nvme_bytes, strategy, policy, prefetch, page_bytes, plan, max(tokens_per_s), tokens / bound_s, "
    "bound_by, work_unit, "
    "footprint_bytes "
    "FROM runs WHERE scenario = ?1 AND kind = 'sim' AND status = 'ok' AND strategy <> 'resident' "
    "GROUP BY hardware, what, weight_bits, context_tokens, batch, vram_bytes, ram_bytes, nvme_bytes "
    "ORDER BY hardware, what, weight_bits, context_tokens, batch, vram_bytes, ram_bytes, nvme_bytes";

static const char resident_rows[] =
    "SELECT hardware, CASE model WHEN '' THEN workload ELSE model END AS what, context_tokens, max(tokens_per_s), "
    "max(footprint_bytes), work_unit FROM runs WHERE scenario = ?1 AND kind = 'sim' AND status = 'ok' AND strategy = "
    "'resident' "
    "GROUP BY hardware, what, context_tokens ORDER BY hardware, what, context_tokens";

static const char failed_rows[] =
    "SELECT count(*), min(status) FROM runs WHERE scenario = ?1 AND kind = 'sim' AND status <> 'ok'";

static int query(struct emuv_results *r, const char *sql, const char *scenario, sqlite3_stmt **s, struct emuv_err *err)
{
  if (sqlite3_prepare_v2(r->db, sql, -1, s, NULL) != SQLITE_OK)
    return emuv_err_set(err, EMUV_ERR_IO, "%s: %s", r->path, sqlite3_errmsg(r->db));
  sqlite3_bind_text(*s, 1, scenario, -1, SQLITE_TRANSIENT);
  return 0;
}

static const char *text(sqlite3_stmt *s, int column)
{
  const unsigned char *t = sqlite3_column_text(s, column);
  return t ? (const char *)t : "";
}

/* "paged belady+oracle" or "emuv (stream-ahead 96MiB, belady)". */
static void describe(sqlite3_stmt *s, char *buf, size_t size)
{
  const char *strategy = text(s, 8), *plan = text(s, 12);
  if (strcmp(strategy, "paged") == 0)
    snprintf(buf, size, "%s %s, prefetch %s", strategy, text(s, 9), text(s, 10));
  else if (plan[0])
    snprintf(buf, size, "%s: %s", strategy, plan);
  else
    snprintf(buf, size, "%s", strategy);
}

static void print_best_row(sqlite3_stmt *s, FILE *out)
{
  char vram[32], page[32], how[128], rate[32], bound[32];
  double got = sqlite3_column_double(s, 13), limit = sqlite3_column_double(s, 14);
  describe(s, how, sizeof how);
  snprintf(rate, sizeof rate, "%.4g", got);
  snprintf(bound, sizeof bound, "%.4g", limit);
  fprintf(out, "%-11s %-16.16s %8lld %9s  %-38.38s %8s %9s %9s %6.1f%%  %s\n", text(s, 0), text(s, 1),
          (long long)sqlite3_column_int64(s, 3),
          emuv_units_format_bytes((uint64_t)sqlite3_column_int64(s, 5), vram, sizeof vram), how,
          emuv_units_format_bytes((uint64_t)sqlite3_column_int64(s, 11), page, sizeof page), rate, bound,
          limit > 0 ? 100 * got / limit : 100, text(s, 15));
}

static int print_best(struct emuv_results *r, const char *scenario, FILE *out, struct emuv_err *err)
{
  sqlite3_stmt *s = NULL;
  int shown = 0, more = 0, rc = query(r, best_rows, scenario, &s, err);
  if (rc) return rc;
  while (sqlite3_step(s) == SQLITE_ROW) {
    char unit[32];
    snprintf(unit, sizeof unit, "%ss/s", text(s, 16));
    if (!shown)
      fprintf(out, "%-11s %-16s %8s %9s  %-38s %8s %9s %9s %7s  %s\n", "hardware", "model", "context", "VRAM",
              "best way to run it", "page", unit, "bound", "of it", "limit");
    if (shown < MAX_TABLE_ROWS) {
      print_best_row(s, out);
      shown++;
    } else {
      more++;
    }
  }
  sqlite3_finalize(s);
  if (more) fprintf(out, "... and %d more groups in the database\n", more);
  return 0;
}

static int print_resident(struct emuv_results *r, const char *scenario, FILE *out, struct emuv_err *err)
{
  sqlite3_stmt *s = NULL;
  int shown = 0, rc = query(r, resident_rows, scenario, &s, err);
  if (rc) return rc;
  while (sqlite3_step(s) == SQLITE_ROW && shown++ < MAX_TABLE_ROWS) {
    char size[32];
    fprintf(out, "%-11s %-16.16s %8lld all in VRAM (it takes %s): %.4g %ss/s\n", text(s, 0), text(s, 1),
            (long long)sqlite3_column_int64(s, 2),
            emuv_units_human_bytes((double)sqlite3_column_int64(s, 4), size, sizeof size), sqlite3_column_double(s, 3),
            text(s, 5));
  }
  sqlite3_finalize(s);
  return 0;
}

static int print_failed(struct emuv_results *r, const char *scenario, FILE *out, struct emuv_err *err)
{
  sqlite3_stmt *s = NULL;
  int rc = query(r, failed_rows, scenario, &s, err);
  if (rc) return rc;
  if (sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int64(s, 0))
    fprintf(out, "%lld configurations cannot run (column status says why), e.g.: %s\n",
            (long long)sqlite3_column_int64(s, 0), text(s, 1));
  sqlite3_finalize(s);
  return 0;
}

int emuv_report_table(struct emuv_results *r, const char *scenario, FILE *out, struct emuv_err *err)
{
  int rc = print_best(r, scenario, out, err);
  if (!rc) rc = print_resident(r, scenario, out, err);
  return rc ? rc : print_failed(r, scenario, out, err);
}

static const char all_rows[] = "SELECT * FROM runs WHERE scenario = ?1 ORDER BY run_id";

static void print_csv_text(FILE *out, const char *t)
{
  if (!strpbrk(t, ",\"\n\r")) {
    fputs(t, out);
    return;
  }
  fputc('"', out);
  for (; *t; t++) {
    if (*t == '"') fputc('"', out);
    fputc(*t, out);
  }
  fputc('"', out);
}

int emuv_report_csv(struct emuv_results *r, const char *scenario, FILE *out, struct emuv_err *err)
{
  sqlite3_stmt *s = NULL;
  int rc = query(r, all_rows, scenario, &s, err);
  if (rc) return rc;
  int columns = sqlite3_column_count(s);
  for (int i = 0; i < columns; i++) fprintf(out, "%s%s", i ? "," : "", sqlite3_column_name(s, i));
  fputc('\n', out);
  while (sqlite3_step(s) == SQLITE_ROW) {
    for (int i = 0; i < columns; i++) {
      if (i) fputc(',', out);
      print_csv_text(out, text(s, i));
    }
    fputc('\n', out);
  }
  sqlite3_finalize(s);
  return 0;
}

static json_t *json_value(sqlite3_stmt *s, int i)
{
  switch (sqlite3_column_type(s, i)) {
  case SQLITE_INTEGER: return json_integer(sqlite3_column_int64(s, i));
  case SQLITE_FLOAT: return json_real(sqlite3_column_double(s, i));
  case SQLITE_NULL: return json_null();
  default: return json_string(text(s, i));
  }
}

static json_t *json_row(sqlite3_stmt *s)
{
  json_t *row = json_object();
  for (int i = 0; row && i < sqlite3_column_count(s); i++)
    json_object_set_new(row, sqlite3_column_name(s, i), json_value(s, i));
  return row;
}

int emuv_report_json(struct emuv_results *r, const char *scenario, FILE *out, struct emuv_err *err)
{
  sqlite3_stmt *s = NULL;
  json_t *rows = json_array();
  int rc = rows ? query(r, all_rows, scenario, &s, err) : emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the rows");
  while (!rc && sqlite3_step(s) == SQLITE_ROW) json_array_append_new(rows, json_row(s));
  sqlite3_finalize(s);
  if (!rc && json_dumpf(rows, out, JSON_INDENT(1))) rc = emuv_err_set(err, EMUV_ERR_IO, "cannot write JSON");
  if (!rc) fputc('\n', out);
  json_decref(rows);
  return rc;
}
