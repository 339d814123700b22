// SPDX-License-Identifier: Apache-2.0
/* Predictions beside measurements of the same configurations: the error of each predicted time, relative to the
 * measured one, and whether what does not depend on time (faults, hits, bytes per link) is equal, exactly. */
#include "simulator/compare_internal.h"
#include "simulator/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What must be equal. */
#define COUNTS(X)                                                                                                      \
  X(faults)                                                                                                            \
  X(hits) X(h2d_bytes) X(d2h_bytes) X(peer_read_bytes) X(peer_write_bytes) X(nvme_read_bytes) X(nvme_write_bytes)

/* The labels are the measurement's. */
static const char columns[] =
    "SELECT "
#define COLUMN(name, type, value) "m." #name " AS " #name ", "
#define MCOLUMN(name, type, value)
#include "simulator/results_columns.h"
#undef COLUMN
#undef MCOLUMN
#define PAIR(name) ", p." #name " AS predicted_" #name ", m." #name " AS measured_" #name
    "m.repetition AS repetition, p.plan AS predicted_plan, m.plan AS measured_plan, p.total_s AS predicted_total_s, "
    "m.total_s AS measured_total_s" COUNTS(PAIR) ", m.remark AS remark";

static const char pairs[] = " WHERE p.kind = 'sim' AND p.repetition = 0 AND m.kind <> 'sim'";
static const char order[] =
    " ORDER BY hardware, workload, context_tokens, batch, vram_bytes, ram_bytes, nvme_bytes, strategy, policy, "
    "prefetch, page_bytes, config_hash, repetition";

enum {
#define COLUMN(name, type, value) LABEL_##name,
#define MCOLUMN(name, type, value)
#include "simulator/results_columns.h"
#undef COLUMN
#undef MCOLUMN
  REPETITION,
  PREDICTED_PLAN,
  MEASURED_PLAN,
  PREDICTED,
  MEASURED,
  FIRST_COUNT,
#define TWO(name) PREDICTED_##name, MEASURED_##name,
  BEFORE_COUNTS = FIRST_COUNT - 1,
  COUNTS(TWO) REMARK,
  N_COLUMNS
};

struct fidelity {
  const struct emuv_compare_options *o;
  sqlite3_stmt *s;
  struct emuv_table table;
  json_t *lines;
  double *errors; /* shares, absolute */
  size_t n_errors;
  long rows, equal, failed; /* failed: a prediction or a measurement is missing */
  long drifted;             /* the disk's speed was not the calibrated one */
  double largest;           /* with its sign */
};

static int prepare(struct fidelity *f, struct emuv_results *a, bool two, struct emuv_err *err)
{
  static const char from[] = " FROM runs_%s AS p JOIN runs_%s AS m ON p.config_hash = m.config_hash";
  char one[128], other[128] = "", sql[16384];
  (void)snprintf(one, sizeof one, from, "main", two ? "other" : "main");
  if (two) (void)snprintf(other, sizeof other, from, "other", "main");
  (void)snprintf(sql, sizeof sql, "%s%s%s%s%s%s%s%s", columns, one, pairs, two ? " UNION ALL " : "", two ? columns : "",
                 other, two ? pairs : "", order);
  if (sqlite3_prepare_v2(a->db, sql, -1, &f->s, NULL) == SQLITE_OK) return 0;
  return emuv_err_set(err, EMUV_ERR_IO, "%s: %s", f->o->file[0], sqlite3_errmsg(a->db));
}

static bool both_known(sqlite3_stmt *s)
{
  return emuv_compare_has(s, PREDICTED) && emuv_compare_has(s, MEASURED) && sqlite3_column_double(s, MEASURED) > 0;
}

static double error_of(sqlite3_stmt *s)
{
  double measured = sqlite3_column_double(s, MEASURED);
  return (sqlite3_column_double(s, PREDICTED) - measured) / measured;
}

/* "equal", or the names of what differs; "" where one of the two has not run. */
static const char *counts_text(sqlite3_stmt *s, char *text, size_t size)
{
  size_t used = 0;
  text[0] = '\0';
  if (!both_known(s)) return text;
  for (int at = FIRST_COUNT; at < REMARK; at += 2) {
    if (strcmp(emuv_rows_text(s, at), emuv_rows_text(s, at + 1)) == 0) continue;
    const char *name = sqlite3_column_name(s, at) + strlen("predicted_");
    if (used < size) used += (size_t)snprintf(text + used, size - used, "%s%s", used ? " " : "", name);
  }
  if (!used) (void)snprintf(text, size, "equal");
  return text;
}

/* emuv-replay has found the disk slower or faster than calibrated, or changing (runtime/replay/disk_watch.h). */
static bool disk_drifted(sqlite3_stmt *s)
{
  return strstr(emuv_rows_text(s, REMARK), "disk: ") != NULL;
}

static int keep_error(struct fidelity *f, double error, struct emuv_err *err)
{
  if ((f->n_errors & (f->n_errors - 1)) == 0) { /* full, or empty */
    double *more = realloc(f->errors, (f->n_errors ? 2 * f->n_errors : 1) * sizeof *more);
    if (!more) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %zu rows", f->n_errors);
    f->errors = more;
  }
  f->errors[f->n_errors++] = fabs(error);
  if (fabs(error) > fabs(f->largest)) f->largest = error;
  return 0;
}

static int count_row(struct fidelity *f, const char *counts, struct emuv_err *err)
{
  f->rows++;
  f->equal += strcmp(counts, "equal") == 0;
  f->drifted += disk_drifted(f->s);
  if (both_known(f->s)) return keep_error(f, error_of(f->s), err);
  f->failed++;
  return 0;
}

static void print_csv(sqlite3_stmt *s, const char *counts, bool first)
{
  if (first) {
    emuv_rows_csv_names(s, stdout);
    puts(",error_percent,counts");
  }
  emuv_rows_csv(s, stdout);
  putchar(',');
  if (both_known(s)) printf("%.6g", 100 * error_of(s));
  printf(",%s\n", counts);
}

static int add_json(sqlite3_stmt *s, const char *counts, json_t *lines, struct emuv_err *err)
{
  json_t *line = emuv_rows_json(s);
  int bad = line
                ? json_object_set_new(line, "error_percent", both_known(s) ? json_real(100 * error_of(s)) : json_null())
                : -1;
  if (!bad) bad = json_object_set_new(line, "counts", json_string(counts));
  if (!bad) return json_array_append_new(lines, line) ? emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for rows") : 0;
  json_decref(line);
  return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for rows");
}

static size_t begin(struct fidelity *f, const bool *varies, struct emuv_compare_column *shown)
{
  size_t n = emuv_compare_labels(f->s, varies, REPETITION, shown);
  if (varies[PREDICTED_PLAN]) shown[n++] = (struct emuv_compare_column){PREDICTED_PLAN, EMUV_CELL_TEXT, "plan"};
  shown[n++] = (struct emuv_compare_column){PREDICTED, EMUV_CELL_SECONDS, "predicted_s"};
  shown[n++] = (struct emuv_compare_column){MEASURED, EMUV_CELL_SECONDS, "measured_s"};
  emuv_compare_begin(shown, n, &f->table);
  emuv_table_column(&f->table, "error", EMUV_TABLE_RIGHT);
  emuv_table_column(&f->table, "counts", 0);
  return n;
}

static int walk(struct fidelity *f, struct emuv_err *err)
{
  struct emuv_compare_column shown[N_COLUMNS];
  bool varies[N_COLUMNS] = {false};
  char counts[160], text[32];
  size_t n = 0;
  int rc = emuv_compare_varying(f->s, N_COLUMNS, varies, err);
  while (!rc && sqlite3_step(f->s) == SQLITE_ROW) {
    if (!f->rows) n = begin(f, varies, shown);
    counts_text(f->s, counts, sizeof counts);
    rc = count_row(f, counts, err);
    if (!rc && f->o->json) rc = add_json(f->s, counts, f->lines, err);
    if (!rc && f->o->csv) print_csv(f->s, counts, f->rows == 1);
    if (rc || f->o->json || f->o->csv) continue;
    emuv_compare_cells(f->s, shown, n, &f->table);
    bool known = both_known(f->s);
    emuv_table_cell(&f->table, "%s", emuv_compare_number(known, "%+.2f%%", known ? 100 * error_of(f->s) : 0, text));
    emuv_table_cell(&f->table, "%s%s", counts, disk_drifted(f->s) ? " *" : "");
  }
  return rc;
}

static int by_size(const void *a, const void *b)
{
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

/* Of the absolute errors; sorts them. */
static double median(struct fidelity *f)
{
  size_t half = f->n_errors / 2;
  if (!f->n_errors) return 0;
  qsort(f->errors, f->n_errors, sizeof *f->errors, by_size);
  return f->n_errors % 2 ? f->errors[half] : (f->errors[half - 1] + f->errors[half]) / 2;
}

static void summarise(const struct fidelity *f, double middle, FILE *out)
{
  fprintf(out, "%ld rows predicted and measured: error of the time %.2f%% in the median, %+.2f%% at most; ", f->rows,
          100 * middle, 100 * f->largest);
  fprintf(out, "faults, hits and bytes equal in %ld\n", f->equal);
  if (f->drifted)
    fprintf(out, "%ld rows (*) on a disk whose speed was not the calibrated one, or changed: column remark\n",
            f->drifted);
  if (f->failed) fprintf(out, "%ld rows without a predicted or a measured time\n", f->failed);
}

static int print_json(const struct fidelity *f, double middle, struct emuv_err *err)
{
  json_t *all =
      json_pack("{s:O, s:{s:i, s:i, s:i, s:i, s:f, s:f}}", "rows", f->lines, "summary", "rows", (int)f->rows,
                "equal_counts", (int)f->equal, "without_time", (int)f->failed, "disk_drifted", (int)f->drifted,
                "median_error_percent", 100 * middle, "largest_error_percent", 100 * f->largest);
  if (!all) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for rows");
  json_dumpf(all, stdout, JSON_INDENT(1));
  putchar('\n');
  json_decref(all);
  return 0;
}

static int report(struct fidelity *f, bool *failed, struct emuv_err *err)
{
  const struct emuv_compare_options *o = f->o;
  double middle = median(f);
  int rc = 0;
  if (!f->rows) {
    emuv_err_set(err, EMUV_ERR_INPUT, "nothing to compare: no configuration is both predicted and measured");
    return emuv_err_hint(err, "rows are matched by config_hash; predictions have the kind sim, measurements replay");
  }
  if (o->json) rc = print_json(f, middle, err);
  if (!o->json && !o->csv) rc = emuv_table_print(&f->table, stdout, 0, err);
  if (!rc) summarise(f, middle, o->json || o->csv ? stderr : stdout);
  if (!rc && (fflush(stdout) != 0 || ferror(stdout))) rc = emuv_err_errno(err, EMUV_ERR_IO, "cannot write");
  if (o->max_error >= 0) *failed = fabs(f->largest) > o->max_error || f->failed;
  if (o->exact) *failed |= f->equal < f->rows;
  return rc;
}

int emuv_fidelity_compare(const struct emuv_compare_options *o, struct emuv_results *a, bool two, bool *failed,
                          struct emuv_err *err)
{
  struct fidelity f = {.o = o, .lines = json_array()};
  int rc = prepare(&f, a, two, err);
  if (!rc) rc = walk(&f, err);
  if (!rc) rc = report(&f, failed, err);
  sqlite3_finalize(f.s);
  emuv_table_free(&f.table);
  json_decref(f.lines);
  free(f.errors);
  return rc;
}
