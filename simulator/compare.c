// SPDX-License-Identifier: Apache-2.0
/* Comparison of two results databases, row by row of the same kind: two versions of emuV, two machines. Predictions
 * beside measurements are in fidelity.c. */
#include "simulator/compare.h"

#include "simulator/compare_internal.h"
#include "simulator/rows.h"

#include <argp.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct totals {
  long rows, same, faster, worse, only_a, only_b;
  double largest; /* difference in percent, of either sign */
};

static const struct argp_option argp_options[] = {
    {"threshold", 't', "PERCENT", 0, "Differences of time and faults up to this are called the same (default 1)", 0},
    {"all", 'a', NULL, 0, "List rows that are the same, too", 0},
    {"max-error", 3, "PERCENT", 0, "Predictions and measurements: a larger error of a time is a failure", 0},
    {"exact", 4, NULL, 0, "Predictions and measurements: faults, hits or bytes that differ are a failure", 0},
    {"csv", 1, NULL, 0, "CSV on stdout", 0},
    {"json", 2, NULL, 0, "JSON on stdout", 0},
    {0},
};

/* A share from "5" or "5%". */
static double percentage(const char *name, const char *arg, struct argp_state *state)
{
  char *end = NULL;
  double share = strtod(arg, &end) / 100;
  if (end == arg || (*end && strcmp(end, "%") != 0) || !(share >= 0))
    argp_error(state, "%s %s: give a percentage, e.g. 2", name, arg);
  return share;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct emuv_compare_options *o = state->input;
  switch (key) {
  case 't': o->threshold = percentage("--threshold", arg, state); return 0;
  case 'a': o->all = true; return 0;
  case 1: o->csv = true; return 0;
  case 2: o->json = true; return 0;
  case 3: o->max_error = percentage("--max-error", arg, state); return 0;
  case 4: o->exact = true; return 0;
  case ARGP_KEY_ARG:
    if (o->n_files == 2) argp_error(state, "give one database or two");
    o->file[o->n_files++] = arg;
    return 0;
  case ARGP_KEY_END:
    if (o->n_files < 1) argp_error(state, "give one database or two");
    return 0;
  default: return ARGP_ERR_UNKNOWN;
  }
}

/* All columns that describe a row come first, then what is compared. */
static const char join[] =
    "SELECT "
#define COLUMN(name, type, value) "a." #name ", "
#define MCOLUMN(name, type, value)
#include "simulator/results_columns.h"
#undef COLUMN
#undef MCOLUMN
    "a.repetition, a.total_s AS total_s_a, b.total_s AS total_s_b, "
    "a.faults AS faults_a, b.faults AS faults_b, a.h2d_bytes AS h2d_bytes_a, b.h2d_bytes AS h2d_bytes_b, "
    "a.status AS status_a, b.status AS status_b FROM runs_main AS a JOIN runs_other AS b "
    "ON a.config_hash = b.config_hash AND a.repetition = b.repetition AND a.kind = b.kind "
    "ORDER BY a.hardware, a.workload, a.context_tokens, a.batch, a.vram_bytes, a.ram_bytes, a.strategy, a.policy, "
    "a.prefetch, a.page_bytes, a.config_hash, a.kind, a.repetition";

/* Columns of the join after those of the table. */
enum {
#define COLUMN(name, type, value) LABEL_##name,
#define MCOLUMN(name, type, value)
#include "simulator/results_columns.h"
#undef COLUMN
#undef MCOLUMN
  REPETITION,
  TOTAL_A,
  TOTAL_B,
  FAULTS_A,
  FAULTS_B
};

static double change_percent(sqlite3_stmt *s)
{
  double a = sqlite3_column_double(s, TOTAL_A), b = sqlite3_column_double(s, TOTAL_B);
  return a > 0 ? 100 * (b - a) / a : 0;
}

static bool more_faults(const struct emuv_compare_options *o, sqlite3_stmt *s)
{
  double a = sqlite3_column_double(s, FAULTS_A), b = sqlite3_column_double(s, FAULTS_B);
  return b > a * (1 + o->threshold);
}

static const char *verdict_of(const struct emuv_compare_options *o, sqlite3_stmt *s, struct totals *t)
{
  double change = change_percent(s) / 100;
  t->rows++;
  if (!emuv_compare_has(s, TOTAL_A) && !emuv_compare_has(s, TOTAL_B)) return t->same++, "same";
  if (!emuv_compare_has(s, TOTAL_B)) return t->worse++, "stopped working";
  if (!emuv_compare_has(s, TOTAL_A)) return t->faster++, "works now";
  if (fabs(100 * change) > fabs(t->largest)) t->largest = 100 * change;
  if (change > o->threshold) return t->worse++, "slower";
  if (change < -o->threshold) return t->faster++, "faster";
  if (more_faults(o, s)) return t->worse++, "more faults";
  return t->same++, "same";
}

enum { MAX_SHOWN = FAULTS_B + 1 };

/* What the table shows, in order. Returns how many columns. */
static size_t choose_columns(sqlite3_stmt *s, const bool *varies, struct emuv_compare_column *shown)
{
  static const struct emuv_compare_column compared[] = {{TOTAL_A, EMUV_CELL_SECONDS, "A total_s"},
                                                        {TOTAL_B, EMUV_CELL_SECONDS, "B total_s"},
                                                        {FAULTS_A, EMUV_CELL_NUMBER, "A faults"},
                                                        {FAULTS_B, EMUV_CELL_NUMBER, "B faults"}};
  size_t n = emuv_compare_labels(s, varies, REPETITION, shown);
  for (size_t i = 0; i < sizeof compared / sizeof compared[0]; i++) shown[n++] = compared[i];
  return n;
}

static void add_line(sqlite3_stmt *s, const char *verdict, const struct emuv_compare_column *shown, size_t n,
                     struct emuv_table *t)
{
  char text[32];
  bool both = emuv_compare_has(s, TOTAL_A) && emuv_compare_has(s, TOTAL_B);
  emuv_compare_cells(s, shown, n, t);
  emuv_table_cell(t, "%s", emuv_compare_number(both, "%+.2f%%", change_percent(s), text));
  emuv_table_cell(t, "%s", verdict);
}

static void begin_table(const struct emuv_compare_column *shown, size_t n, struct emuv_table *t)
{
  emuv_compare_begin(shown, n, t);
  emuv_table_column(t, "change", EMUV_TABLE_RIGHT);
  emuv_table_column(t, "verdict", 0);
}

static void print_csv(sqlite3_stmt *s, const char *verdict, bool first)
{
  if (first) {
    emuv_rows_csv_names(s, stdout);
    puts(",change_percent,verdict");
  }
  emuv_rows_csv(s, stdout);
  printf(",%.6g,%s\n", change_percent(s), verdict);
}

static int add_json(sqlite3_stmt *s, const char *verdict, json_t *lines)
{
  json_t *line = emuv_rows_json(s);
  if (!line) return -1;
  json_object_set_new(line, "change_percent", json_real(change_percent(s)));
  json_object_set_new(line, "verdict", json_string(verdict));
  return json_array_append_new(lines, line);
}

/* Judges every row; prints CSV at once, keeps the others. */
static int walk(const struct emuv_compare_options *o, sqlite3_stmt *s, struct totals *t, struct emuv_table *table,
                json_t *lines, struct emuv_err *err)
{
  struct emuv_compare_column shown[MAX_SHOWN];
  bool varies[MAX_SHOWN] = {false};
  size_t n = 0;
  int rc = emuv_compare_varying(s, MAX_SHOWN, varies, err);
  if (rc) return rc;
  while (sqlite3_step(s) == SQLITE_ROW) {
    if (!t->rows) begin_table(shown, n = choose_columns(s, varies, shown), table);
    const char *verdict = verdict_of(o, s, t);
    if (o->json && add_json(s, verdict, lines)) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the rows");
    if (o->csv) print_csv(s, verdict, t->rows == 1);
    if (!o->json && !o->csv && (o->all || strcmp(verdict, "same") != 0)) add_line(s, verdict, shown, n, table);
  }
  return 0;
}

static long count(sqlite3 *db, const char *sql)
{
  sqlite3_stmt *s = NULL;
  long n = 0;
  if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
    n = (long)sqlite3_column_int64(s, 0);
  sqlite3_finalize(s);
  return n;
}

/* The name first: a database that is not there gets a plain message, and its schema is checked. */
static int open_one(const char *path, struct emuv_results *r, struct emuv_err *err)
{
  if (access(path, R_OK) != 0) return emuv_err_errno(err, EMUV_ERR_IO, "cannot read %s", path);
  return emuv_results_open_read(path, r, err);
}

static int attach(struct emuv_results *a, const char *other, struct emuv_err *err)
{
  struct emuv_results b;
  int rc = open_one(other, &b, err);
  if (rc) return rc;
  emuv_results_close(&b);
  sqlite3_stmt *s = NULL;
  bool ok = sqlite3_prepare_v2(a->db, "ATTACH DATABASE ?1 AS other", -1, &s, NULL) == SQLITE_OK;
  if (ok) sqlite3_bind_text(s, 1, other, -1, SQLITE_TRANSIENT);
  ok = ok && sqlite3_step(s) == SQLITE_DONE;
  sqlite3_finalize(s);
  return ok ? 0 : emuv_err_set(err, EMUV_ERR_IO, "%s: %s", other, sqlite3_errmsg(a->db));
}

static void summarise(const struct emuv_compare_options *o, struct emuv_results *a, struct totals *t)
{
  t->only_a =
      count(a->db, "SELECT count(*) FROM runs_main WHERE config_hash NOT IN (SELECT config_hash FROM runs_other)");
  t->only_b =
      count(a->db, "SELECT count(*) FROM runs_other WHERE config_hash NOT IN (SELECT config_hash FROM runs_main)");
  FILE *out = o->csv || o->json ? stderr : stdout;
  fprintf(out, "%ld rows compared: %ld same, %ld faster, %ld worse; largest change %+.2f%%\n", t->rows, t->same,
          t->faster, t->worse, t->largest);
  if (t->only_a) fprintf(out, "%ld rows only in %s\n", t->only_a, o->file[0]);
  if (t->only_b) fprintf(out, "%ld rows only in %s\n", t->only_b, o->file[1]);
}

static int report(const struct emuv_compare_options *o, struct emuv_results *a, struct totals *t,
                  const struct emuv_table *table, json_t *lines, struct emuv_err *err)
{
  int rc = 0;
  if (o->json) json_dumpf(lines, stdout, JSON_INDENT(1)), putchar('\n');
  if (!o->json && !o->csv) rc = emuv_table_print(table, stdout, 0, err);
  if (!rc) summarise(o, a, t);
  if (!rc && (fflush(stdout) != 0 || ferror(stdout))) rc = emuv_err_errno(err, EMUV_ERR_IO, "cannot write");
  if (rc || t->rows) return rc;
  emuv_err_set(err, EMUV_ERR_INPUT, "nothing to compare: no configuration is in both databases");
  return emuv_err_hint(err, "rows are matched by config_hash: same workload, hardware, memory, policy and seed");
}

static int compare_kinds_alike(const struct emuv_compare_options *o, struct emuv_results *a, struct totals *t,
                               struct emuv_err *err)
{
  struct emuv_table table = {0};
  sqlite3_stmt *s = NULL;
  json_t *lines = json_array();
  int rc = 0;
  if (sqlite3_prepare_v2(a->db, join, -1, &s, NULL) != SQLITE_OK)
    rc = emuv_err_set(err, EMUV_ERR_IO, "%s: %s", o->file[0], sqlite3_errmsg(a->db));
  if (!rc) rc = walk(o, s, t, &table, lines, err);
  if (!rc) rc = report(o, a, t, &table, lines, err);
  emuv_table_free(&table);
  json_decref(lines);
  sqlite3_finalize(s);
  return rc;
}

/* Two databases without a kind in common, for any configuration: one has predictions, the other measurements. */
static bool kinds_differ(struct emuv_results *a)
{
  return count(a->db,
               "SELECT EXISTS (SELECT 1 FROM runs_main AS a JOIN runs_other AS b USING (config_hash) WHERE a.kind "
               "<> b.kind) AND NOT EXISTS (SELECT 1 FROM runs_main AS a JOIN runs_other AS b USING (config_hash) "
               "WHERE a.kind = b.kind)") > 0;
}

static int compare(const struct emuv_compare_options *o, bool *failed, struct emuv_err *err)
{
  struct emuv_results a = {0};
  struct totals t = {0};
  bool two = o->n_files == 2;
  int rc = open_one(o->file[0], &a, err);
  if (!rc) rc = emuv_results_view(&a, "main", "runs_main", err);
  if (!rc && two) rc = attach(&a, o->file[1], err);
  if (!rc && two) rc = emuv_results_view(&a, "other", "runs_other", err);
  if (!rc && (!two || o->exact || o->max_error >= 0 || kinds_differ(&a)))
    rc = emuv_fidelity_compare(o, &a, two, failed, err);
  else if (!rc) {
    rc = compare_kinds_alike(o, &a, &t, err);
    *failed = t.worse > 0;
  }
  emuv_results_close(&a);
  return rc;
}

int emuv_compare_main(int argc, char **argv)
{
  struct emuv_compare_options o = {.threshold = 0.01, .max_error = -1};
  struct emuv_err err = {0};
  bool failed = false;
  static const struct argp argp = {
      argp_options,
      parse,
      "A.sqlite [B.sqlite]",
      "Joins two results databases on configuration and judges B against A. Where one has predictions (kind sim) and "
      "the other measurements (kind replay), or one database has both: the error of each prediction, and whether "
      "faults, hits and bytes are equal.\v"
      "Examples:\n"
      "  emuv-sim compare before.sqlite after.sqlite\n"
      "  emuv-sim compare predicted.sqlite measured.sqlite\n"
      "  emuv-sim compare both.sqlite --max-error 15 --exact\n\n"
      "Exit status: 0 no regression, 1 run-time failure, 2 usage, 3 not results that can be compared, 4 a row is "
      "slower or has more faults than the threshold allows, or stopped working; or --max-error or --exact does not "
      "hold.",
      NULL,
      NULL,
      NULL};
  argp_err_exit_status = 2;
  argp_parse(&argp, argc, argv, 0, NULL, &o);
  int rc = compare(&o, &failed, &err);
  if (rc) emuv_err_print(&err, stderr);
  return rc ? emuv_err_exit_status(rc) : failed ? 4 : 0;
}
