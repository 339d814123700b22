// SPDX-License-Identifier: Apache-2.0
/* Comparison of two results databases: two versions of emuV, or a prediction and a measurement of it. */
#include "simulator/compare.h"

#include "runtime/core/units.h"
#include "simulator/results.h"

#include <argp.h>
#include <jansson.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

struct options {
  const char *file[2];
  int n_files;
  double threshold; /* share */
  bool csv, json, all;
};

struct totals {
  long rows, same, faster, slower, only_a, only_b;
};

static const struct argp_option argp_options[] = {
    {"threshold", 't', "PERCENT", 0, "Differences of total_s up to this are called the same (default 1)", 0},
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

static const char join[] =
    "SELECT a.kind, b.kind, a.scenario, a.strategy, a.policy, a.prefetch, a.page_bytes, a.vram_bytes, a.hardware, "
    "a.context_tokens, "
    "a.total_s, b.total_s, a.faults, b.faults, a.h2d_bytes, b.h2d_bytes, a.status, b.status, a.config_hash "
    "FROM main.runs AS a JOIN other.runs AS b ON a.config_hash = b.config_hash AND a.repetition = b.repetition "
    "ORDER BY a.hardware, a.context_tokens, a.vram_bytes, a.strategy, a.policy, a.prefetch, a.page_bytes, "
    "a.config_hash, a.kind, b.kind";

static const char *verdict_of(const struct options *o, sqlite3_stmt *s, struct totals *t)
{
  double a = sqlite3_column_double(s, 10), b = sqlite3_column_double(s, 11);
  bool has_a = sqlite3_column_type(s, 10) != SQLITE_NULL, has_b = sqlite3_column_type(s, 11) != SQLITE_NULL;
  bool same_kind = strcmp((const char *)sqlite3_column_text(s, 0), (const char *)sqlite3_column_text(s, 1)) == 0;
  bool more_faults = same_kind && sqlite3_column_int64(s, 13) > sqlite3_column_int64(s, 12);
  t->rows++;
  if (!has_a && !has_b) return t->same++, "same";
  if (has_a && !has_b) return t->slower++, "stopped working";
  if (!has_a) return t->faster++, "works now";
  if (b > a * (1 + o->threshold)) return t->slower++, "slower";
  if (more_faults) return t->slower++, "more faults";
  if (b < a * (1 - o->threshold)) return t->faster++, "faster";
  return t->same++, "same";
}

static double error_percent(sqlite3_stmt *s)
{
  double a = sqlite3_column_double(s, 10), b = sqlite3_column_double(s, 11);
  return a > 0 ? 100 * (b - a) / a : 0;
}

static const char *column(sqlite3_stmt *s, int i)
{
  const char *t = (const char *)sqlite3_column_text(s, i);
  return t ? t : "";
}

static void print_text(sqlite3_stmt *s, const char *verdict, bool first)
{
  char page[32], vram[32];
  if (first)
    printf("%-11s %-14s %-8s %-8s %8s %8s %12s %12s %8s  %s\n", "hardware", "strategy", "policy", "prefetch", "page",
           "VRAM", "A total_s", "B total_s", "change", "verdict");
  printf("%-11s %-14s %-8s %-8s %8s %8s %12.6g %12.6g %+7.2f%%  %s\n", column(s, 8), column(s, 3), column(s, 4),
         column(s, 5), emuv_units_format_bytes((uint64_t)sqlite3_column_int64(s, 6), page, sizeof page),
         emuv_units_format_bytes((uint64_t)sqlite3_column_int64(s, 7), vram, sizeof vram), sqlite3_column_double(s, 10),
         sqlite3_column_double(s, 11), error_percent(s), verdict);
}

static void print_csv(sqlite3_stmt *s, const char *verdict, bool first)
{
  if (first)
    puts("config_hash,kind_a,kind_b,hardware,strategy,policy,prefetch,page_bytes,vram_bytes,total_s_a,total_s_b,faults_"
         "a,faults_b,h2d_bytes_a,h2d_bytes_b,change_percent,verdict");
  static const int order[] = {18, 0, 1, 8, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15};
  for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) printf("%s,", column(s, order[i]));
  printf("%.4f,%s\n", error_percent(s), verdict);
}

static json_t *json_line(sqlite3_stmt *s, const char *verdict)
{
  return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:f,s:f,s:I,s:I,s:f,s:s}", "config_hash", column(s, 18),
                   "kind_a", column(s, 0), "kind_b", column(s, 1), "hardware", column(s, 8), "strategy", column(s, 3),
                   "policy", column(s, 4), "prefetch", column(s, 5), "page_bytes",
                   (json_int_t)sqlite3_column_int64(s, 6), "vram_bytes", (json_int_t)sqlite3_column_int64(s, 7),
                   "total_s_a", sqlite3_column_double(s, 10), "total_s_b", sqlite3_column_double(s, 11), "faults_a",
                   (json_int_t)sqlite3_column_int64(s, 12), "faults_b", (json_int_t)sqlite3_column_int64(s, 13),
                   "change_percent", error_percent(s), "verdict", verdict);
}

static void walk(const struct options *o, sqlite3_stmt *s, struct totals *t, json_t *lines)
{
  bool first = true;
  while (sqlite3_step(s) == SQLITE_ROW) {
    const char *verdict = verdict_of(o, s, t);
    if (o->json)
      json_array_append_new(lines, json_line(s, verdict));
    else if (o->csv)
      print_csv(s, verdict, first);
    else if (o->all || strcmp(verdict, "same") != 0)
      print_text(s, verdict, first);
    else
      continue;
    first = false;
  }
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

static int attach(struct emuv_results *a, const char *other, struct emuv_err *err)
{
  struct emuv_results b;
  int rc = emuv_results_open_read(other, &b, err); /* its schema is checked */
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
  fprintf(o->csv || o->json ? stderr : stdout,
          "%ld rows compared: %ld same, %ld faster, %ld worse; %ld only in %s, %ld only in %s\n", t->rows, t->same,
          t->faster, t->slower, t->only_a, o->file[0], t->only_b, o->file[1]);
}

static int compare(const struct options *o, struct totals *t, struct emuv_err *err)
{
  struct emuv_results a;
  sqlite3_stmt *s = NULL;
  json_t *lines = json_array();
  int rc = emuv_results_open_read(o->file[0], &a, err);
  if (!rc) rc = attach(&a, o->file[1], err);
  if (!rc && sqlite3_prepare_v2(a.db, join, -1, &s, NULL) != SQLITE_OK)
    rc = emuv_err_set(err, EMUV_ERR_IO, "%s: %s", o->file[0], sqlite3_errmsg(a.db));
  if (!rc) {
    walk(o, s, t, lines);
    if (o->json) json_dumpf(lines, stdout, JSON_INDENT(1)), putchar('\n');
    summarise(o, &a, t);
  }
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
      "Examples:\n  emuv-sim compare before.sqlite after.sqlite\n  emuv-sim compare predicted.sqlite measured.sqlite "
      "--all --csv\n\n"
      "Exit status 4: some row is slower beyond the threshold, has more faults, or stopped working.",
      NULL,
      NULL,
      NULL};
  argp_err_exit_status = 2;
  argp_parse(&argp, argc, argv, 0, NULL, &o);
  int rc = compare(&o, &t, &err);
  if (rc) {
    emuv_err_print(&err, stderr);
    return emuv_err_exit_status(rc);
  }
  return t.slower ? 4 : 0;
}
