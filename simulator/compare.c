// SPDX-License-Identifier: Apache-2.0
/* Comparison of two results databases: two versions of emuV, or a prediction and a measurement of it. */
#include "simulator/compare.h"

#include "runtime/core/units.h"
#include "simulator/results.h"
#include "simulator/rows.h"
#include "simulator/table.h"

#include <argp.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
  const char *file[2];
  int n_files;
  double threshold; /* share */
  bool csv, json, all;
};

struct totals {
  long rows, same, faster, worse, only_a, only_b;
  double largest; /* difference in percent, of either sign */
};

static const struct argp_option argp_options[] = {
    {"threshold", 't', "PERCENT", 0, "Differences of time and faults up to this are called the same (default 1)", 0},
    {"all", 'a', NULL, 0, "List rows that are the same, too", 0},
    {"csv", 1, NULL, 0, "CSV on stdout", 0},
    {"json", 2, NULL, 0, "JSON on stdout", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct options *o = state->input;
  char *end = NULL;
  switch (key) {
  case 't':
    o->threshold = strtod(arg, &end) / 100;
    if (end == arg || (*end && strcmp(end, "%") != 0) || !(o->threshold >= 0))
      argp_error(state, "--threshold %s: give a percentage, e.g. 2", arg);
    return 0;
  case 'a': o->all = true; return 0;
  case 1: o->csv = true; return 0;
  case 2: o->json = true; return 0;
  case ARGP_KEY_ARG:
    if (o->n_files == 2) argp_error(state, "give two databases");
    o->file[o->n_files++] = arg;
    return 0;
  case ARGP_KEY_END:
    if (o->n_files < 2) argp_error(state, "give two databases");
    return 0;
  default: return ARGP_ERR_UNKNOWN;
  }
}

/* Rows of the same kind are compared; a prediction with a measurement where either database has but one of the two.
 * All columns that describe a row come first, then what is compared. */
static const char join[] =
    "SELECT "
#define COLUMN(name, type, value) "a." #name ", "
#define MCOLUMN(name, type, value)
#include "simulator/results_columns.h"
#undef COLUMN
#undef MCOLUMN
    "a.repetition, a.kind AS kind_a, b.kind AS kind_b, a.total_s AS total_s_a, b.total_s AS total_s_b, "
    "a.faults AS faults_a, b.faults AS faults_b, a.h2d_bytes AS h2d_bytes_a, b.h2d_bytes AS h2d_bytes_b, "
    "a.status AS status_a, b.status AS status_b FROM main.runs AS a JOIN other.runs AS b "
    "ON a.config_hash = b.config_hash AND a.repetition = b.repetition "
    "WHERE a.kind = b.kind OR NOT (EXISTS (SELECT 1 FROM main.runs AS x WHERE x.config_hash = a.config_hash AND x.kind "
    "= "
    "b.kind) OR EXISTS (SELECT 1 FROM other.runs AS x WHERE x.config_hash = a.config_hash AND x.kind = a.kind)) "
    "ORDER BY a.hardware, a.workload, a.context_tokens, a.batch, a.vram_bytes, a.ram_bytes, a.strategy, a.policy, "
    "a.prefetch, a.page_bytes, a.config_hash, a.kind, b.kind, a.repetition";

/* Columns of the join after those of the table. */
enum {
#define COLUMN(name, type, value) LABEL_##name,
#define MCOLUMN(name, type, value)
#include "simulator/results_columns.h"
#undef COLUMN
#undef MCOLUMN
  REPETITION,
  KIND_A,
  KIND_B,
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

static bool has(sqlite3_stmt *s, int column)
{
  return sqlite3_column_type(s, column) != SQLITE_NULL;
}

static bool more_faults(const struct options *o, sqlite3_stmt *s)
{
  double a = sqlite3_column_double(s, FAULTS_A), b = sqlite3_column_double(s, FAULTS_B);
  bool same_kind = strcmp(emuv_rows_text(s, KIND_A), emuv_rows_text(s, KIND_B)) == 0;
  return same_kind && b > a * (1 + o->threshold);
}

static const char *verdict_of(const struct options *o, sqlite3_stmt *s, struct totals *t)
{
  double change = change_percent(s) / 100;
  t->rows++;
  if (!has(s, TOTAL_A) && !has(s, TOTAL_B)) return t->same++, "same";
  if (!has(s, TOTAL_B)) return t->worse++, "stopped working";
  if (!has(s, TOTAL_A)) return t->faster++, "works now";
  if (fabs(100 * change) > fabs(t->largest)) t->largest = 100 * change;
  if (change > o->threshold) return t->worse++, "slower";
  if (change < -o->threshold) return t->faster++, "faster";
  if (more_faults(o, s)) return t->worse++, "more faults";
  return t->same++, "same";
}

enum cell { TEXT, SIZE, NUMBER, SECONDS };

struct shown {
  int column;
  enum cell type;
  char name[EMUV_TABLE_NAME];
};
enum { MAX_SHOWN = FAULTS_B + 1 };

/* Columns by which rows differ, over all rows that are compared: they identify a row. A first walk over the rows. */
static int find_varying(sqlite3_stmt *s, bool *varies, struct emuv_err *err)
{
  char *first[MAX_SHOWN] = {NULL};
  int rc = 0;
  for (bool begun = false; !rc && sqlite3_step(s) == SQLITE_ROW; begun = true)
    for (int i = 0; i < MAX_SHOWN && !rc; i++) {
      if (begun)
        varies[i] |= strcmp(first[i], emuv_rows_text(s, i)) != 0;
      else if (!(first[i] = strdup(emuv_rows_text(s, i))))
        rc = emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the rows");
    }
  for (int i = 0; i < MAX_SHOWN; i++) free(first[i]);
  sqlite3_reset(s);
  return rc;
}

/* Labels that say nothing about why two rows differ. */
static bool is_quiet(const char *name)
{
  static const char *const names[] = {"run_id", "config_hash", "kind",      "scenario",        "model",
                                      "status", "version",     "work_unit", "footprint_bytes", "weight_bytes"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(names[i], name) == 0) return true;
  return false;
}

/* "vram_bytes" becomes a size under "vram". */
static struct shown label(sqlite3_stmt *s, int column)
{
  struct shown c = {.column = column, .type = TEXT};
  (void)snprintf(c.name, sizeof c.name, "%s", sqlite3_column_name(s, column));
  char *unit = strstr(c.name, "_bytes");
  if (sqlite3_column_type(s, column) == SQLITE_INTEGER || sqlite3_column_type(s, column) == SQLITE_FLOAT)
    c.type = NUMBER;
  if (unit && !unit[6]) {
    c.type = SIZE;
    *unit = '\0';
  }
  return c;
}

/* What the table shows, in order. Returns how many columns. */
static size_t choose_columns(sqlite3_stmt *s, const bool *varies, struct shown *shown)
{
  static const struct shown compared[] = {{KIND_A, TEXT, "A"},
                                          {KIND_B, TEXT, "B"},
                                          {TOTAL_A, SECONDS, "A total_s"},
                                          {TOTAL_B, SECONDS, "B total_s"},
                                          {FAULTS_A, NUMBER, "A faults"},
                                          {FAULTS_B, NUMBER, "B faults"}};
  size_t n = 0;
  for (int i = 0; i <= REPETITION; i++)
    if (varies[i] && !is_quiet(sqlite3_column_name(s, i))) shown[n++] = label(s, i);
  bool kinds = varies[KIND_A] || varies[KIND_B] || strcmp(emuv_rows_text(s, KIND_A), emuv_rows_text(s, KIND_B)) != 0;
  for (size_t i = 0; i < sizeof compared / sizeof compared[0]; i++)
    if (compared[i].type != TEXT || kinds) shown[n++] = compared[i];
  return n;
}

/* "" for what is not known. */
static const char *number(bool known, const char *format, double value, char text[32])
{
  text[0] = '\0';
  if (known) (void)snprintf(text, 32, format, value);
  return text;
}

static void add_line(sqlite3_stmt *s, const char *verdict, const struct shown *shown, size_t n, struct emuv_table *t)
{
  char text[32];
  for (size_t i = 0; i < n; i++) {
    int at = shown[i].column;
    if (shown[i].type == SECONDS)
      emuv_table_cell(t, "%s", number(has(s, at), "%.6g", sqlite3_column_double(s, at), text));
    else if (shown[i].type == SIZE)
      emuv_table_cell(t, "%s", emuv_units_format_bytes((uint64_t)sqlite3_column_int64(s, at), text, sizeof text));
    else
      emuv_table_cell(t, "%s", emuv_rows_text(s, at));
  }
  emuv_table_cell(t, "%s", number(has(s, TOTAL_A) && has(s, TOTAL_B), "%+.2f%%", change_percent(s), text));
  emuv_table_cell(t, "%s", verdict);
}

static void begin_table(const struct shown *shown, size_t n, struct emuv_table *t)
{
  for (size_t i = 0; i < n; i++) emuv_table_column(t, shown[i].name, shown[i].type == TEXT ? 0 : EMUV_TABLE_RIGHT);
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
static int walk(const struct options *o, sqlite3_stmt *s, struct totals *t, struct emuv_table *table, json_t *lines,
                struct emuv_err *err)
{
  struct shown shown[MAX_SHOWN];
  bool varies[MAX_SHOWN] = {false};
  size_t n = 0;
  int rc = find_varying(s, varies, err);
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

static void summarise(const struct options *o, struct emuv_results *a, struct totals *t)
{
  t->only_a =
      count(a->db, "SELECT count(*) FROM main.runs WHERE config_hash NOT IN (SELECT config_hash FROM other.runs)");
  t->only_b =
      count(a->db, "SELECT count(*) FROM other.runs WHERE config_hash NOT IN (SELECT config_hash FROM main.runs)");
  FILE *out = o->csv || o->json ? stderr : stdout;
  fprintf(out, "%ld rows compared: %ld same, %ld faster, %ld worse; largest change %+.2f%%\n", t->rows, t->same,
          t->faster, t->worse, t->largest);
  if (t->only_a) fprintf(out, "%ld rows only in %s\n", t->only_a, o->file[0]);
  if (t->only_b) fprintf(out, "%ld rows only in %s\n", t->only_b, o->file[1]);
}

static int report(const struct options *o, struct emuv_results *a, struct totals *t, const struct emuv_table *table,
                  json_t *lines, struct emuv_err *err)
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

static int compare(const struct options *o, struct totals *t, struct emuv_err *err)
{
  struct emuv_results a = {0};
  struct emuv_table table = {0};
  sqlite3_stmt *s = NULL;
  json_t *lines = json_array();
  int rc = open_one(o->file[0], &a, err);
  if (!rc) rc = attach(&a, o->file[1], err);
  if (!rc && sqlite3_prepare_v2(a.db, join, -1, &s, NULL) != SQLITE_OK)
    rc = emuv_err_set(err, EMUV_ERR_IO, "%s: %s", o->file[0], sqlite3_errmsg(a.db));
  if (!rc) rc = walk(o, s, t, &table, lines, err);
  if (!rc) rc = report(o, &a, t, &table, lines, err);
  emuv_table_free(&table);
  json_decref(lines);
  sqlite3_finalize(s);
  emuv_results_close(&a);
  return rc;
}

int emuv_compare_main(int argc, char **argv)
{
  struct options o = {.threshold = 0.01};
  struct totals t = {0};
  struct emuv_err err = {0};
  static const struct argp argp = {
      argp_options,
      parse,
      "A.sqlite B.sqlite",
      "Joins two results databases on configuration and judges B against A.\v"
      "Examples:\n"
      "  emuv-sim compare before.sqlite after.sqlite\n"
      "  emuv-sim compare predicted.sqlite measured.sqlite --threshold 5 --all\n\n"
      "Exit status: 0 no regression, 1 run-time failure, 2 usage, 3 not results that can be compared, 4 a row is "
      "slower or has more faults than the threshold allows, or stopped working.",
      NULL,
      NULL,
      NULL};
  argp_err_exit_status = 2;
  argp_parse(&argp, argc, argv, 0, NULL, &o);
  int rc = compare(&o, &t, &err);
  if (rc) emuv_err_print(&err, stderr);
  return rc ? emuv_err_exit_status(rc) : t.worse ? 4 : 0;
}
