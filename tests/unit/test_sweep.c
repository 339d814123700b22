// SPDX-License-Identifier: Apache-2.0
/* The sweep: rows do not depend on the number of threads, nor on how often it was interrupted; what cannot run becomes
 * a row that says why; errors of the database end it. */
#include "simulator/scenario.h"
#include "simulator/sweep.h"

#include "runtime/core/rng.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char scenario_text[] = "hardware: rtx-4060\n"
                                    "page_size: 256KiB\n"
                                    "slice: 1MiB\n"
                                    "ram: 64MiB\n"
                                    "warmup: 1\n"
                                    "tokens: 2\n"
                                    "vram: [8MiB, 20MiB]\n"
                                    "source: pattern\n"
                                    "pattern: {kind: [cyclic, zipf], object: 256KiB, objects: 160, references: 300}\n"
                                    "sweep:\n"
                                    "  - strategy: paged\n"
                                    "    policy: [lru, random, belady]\n"
                                    "    prefetch: [none, oracle]\n"
                                    "  - strategy: [um, uva, resident, emuv]\n"
                                    "  - strategy: paged\n"
                                    "    ram: 1MiB\n"; /* cannot hold the data */
enum { CONFIGS = 2 * 2 * (3 * 2 + 4 + 1), INFEASIBLE = 4 };

struct world {
  char folder[64];
  struct emuv_scenario scenario;
};

static int open_world(void **state)
{
  struct world *w = calloc(1, sizeof *w);
  struct emuv_err err = {0};
  if (!w) return -1;
  strcpy(w->folder, "/tmp/emuv-sweep-XXXXXX");
  if (!mkdtemp(w->folder)) return -1;
  int rc = emuv_scenario_parse("sweep.yaml", scenario_text, strlen(scenario_text), NULL, 0, &w->scenario, &err);
  if (rc) print_error("%s\n", err.text);
  *state = w;
  return rc;
}

static char *path_of(const struct world *w, const char *name, char path[128])
{
  snprintf(path, 128, "%s/%s.sqlite", w->folder, name);
  return path;
}

static int close_world(void **state)
{
  struct world *w = *state;
  char path[160];
  static const char *const names[] = {"a", "b"}, *const endings[] = {"", "-wal", "-shm"};
  for (size_t i = 0; i < 2; i++)
    for (size_t k = 0; k < 3; k++) {
      snprintf(path, sizeof path, "%s/%s.sqlite%s", w->folder, names[i], endings[k]);
      unlink(path);
    }
  rmdir(w->folder);
  emuv_scenario_free(&w->scenario);
  free(w);
  return 0;
}

/* What the callbacks saw; asks for a stop after `stop_after` rows. */
struct watch {
  atomic_bool stop;
  size_t announced, done, stop_after;
  double cost, cost_done;
};

static void on_begin(void *arg, size_t n, double cost)
{
  struct watch *w = arg;
  w->announced = n;
  w->cost = cost;
}

static void on_done(void *arg, double cost)
{
  struct watch *w = arg;
  w->cost_done += cost;
  if (++w->done == w->stop_after) w->stop = true;
}

static int sweep(const struct world *w, const char *name, int jobs, struct watch *watch,
                 struct emuv_sweep_summary *summary)
{
  struct emuv_results results;
  struct emuv_err err = {0};
  char path[128];
  if (emuv_results_open(path_of(w, name, path), &results, &err)) fail_msg("%s", err.text);
  struct emuv_sweep_options options = {
      .jobs = jobs, .stop = &watch->stop, .begin = on_begin, .done = on_done, .arg = watch};
  int rc = emuv_sweep_run(&w->scenario, &results, &options, summary, &err);
  emuv_results_close(&results);
  if (rc && rc != EMUV_ERR_INTERRUPTED) fail_msg("%s", err.text);
  return rc;
}

static int64_t ask(const struct world *w, const char *sql)
{
  sqlite3 *db = NULL;
  sqlite3_stmt *s = NULL;
  char path[128], attach[256];
  assert_int_equal(sqlite3_open(path_of(w, "a", path), &db), SQLITE_OK);
  snprintf(attach, sizeof attach, "ATTACH '%s/b.sqlite' AS b", w->folder);
  assert_int_equal(sqlite3_exec(db, attach, NULL, NULL, NULL), SQLITE_OK);
  if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
  assert_int_equal(sqlite3_step(s), SQLITE_ROW);
  int64_t value = sqlite3_column_int64(s, 0);
  sqlite3_finalize(s);
  sqlite3_close(db);
  return value;
}

/* All columns but the one that names the machine's environment. */
static void check_same_rows(const struct world *w)
{
  char columns[4096] = "", sql[9000];
  sqlite3 *db = NULL;
  sqlite3_stmt *s = NULL;
  char path[128];
  assert_int_equal(sqlite3_open(path_of(w, "a", path), &db), SQLITE_OK);
  assert_int_equal(sqlite3_prepare_v2(db,
                                      "SELECT group_concat(name) FROM pragma_table_info('runs') "
                                      "WHERE name <> 'environment'",
                                      -1, &s, NULL),
                   SQLITE_OK);
  assert_int_equal(sqlite3_step(s), SQLITE_ROW);
  snprintf(columns, sizeof columns, "%s", (const char *)sqlite3_column_text(s, 0));
  sqlite3_finalize(s);
  sqlite3_close(db);
  snprintf(sql, sizeof sql, "SELECT count(*) FROM (SELECT %s FROM main.runs EXCEPT SELECT %s FROM b.runs)", columns,
           columns);
  assert_int_equal(ask(w, sql), 0);
  assert_int_equal(ask(w, "SELECT count(*) FROM main.runs"), CONFIGS);
  assert_int_equal(ask(w, "SELECT count(*) FROM b.runs"), CONFIGS);
}

static void test_threads_change_nothing(void **state)
{
  struct world *w = *state;
  struct watch one = {0}, many = {0};
  struct emuv_sweep_summary summary;
  assert_int_equal(sweep(w, "a", 1, &one, &summary), 0);
  assert_int_equal(summary.total, CONFIGS);
  assert_int_equal(summary.computed, CONFIGS);
  assert_int_equal(summary.skipped, 0);
  assert_int_equal(summary.infeasible, INFEASIBLE);
  assert_non_null(strstr(summary.first_infeasible, "cannot hold"));
  assert_int_equal(sweep(w, "b", 8, &many, &summary), 0);
  check_same_rows(w);
  assert_int_equal(one.announced, CONFIGS);
  assert_int_equal(one.done, CONFIGS);
  assert_true(one.cost_done > one.cost * 0.999999 && one.cost_done < one.cost * 1.000001);
  assert_int_equal(ask(w, "SELECT count(*) FROM runs WHERE status <> 'ok' AND total_s IS NULL"), INFEASIBLE);
  assert_int_equal(ask(w, "SELECT count(*) FROM runs WHERE status = 'ok' AND total_s >= bound_s * 0.999999"),
                   CONFIGS - INFEASIBLE);
}

static void test_stored_rows_are_skipped(void **state)
{
  struct world *w = *state;
  struct watch first = {0}, second = {0};
  struct emuv_sweep_summary summary;
  assert_int_equal(sweep(w, "a", 1000, &first, &summary), 0);
  assert_int_equal(sweep(w, "a", 2, &second, &summary), 0);
  assert_int_equal(summary.skipped, CONFIGS);
  assert_int_equal(summary.computed, 0);
  assert_int_equal(second.done, 0);
}

static void test_interrupted_and_resumed(void **state)
{
  struct world *w = *state;
  struct emuv_rng rng;
  struct emuv_sweep_summary summary;
  struct watch whole = {0};
  size_t stored = 0;
  int rc = EMUV_ERR_INTERRUPTED;
  emuv_rng_seed(&rng, 4);
  for (int i = 0; i < 20 && rc; i++) {
    struct watch watch = {.stop_after = 1 + emuv_rng_below(&rng, 3)};
    rc = sweep(w, "a", 1 + i % 4, &watch, &summary);
    assert_true(rc == 0 || summary.computed >= watch.stop_after);
    stored += summary.computed;
    assert_int_equal(summary.skipped + summary.computed, stored);
  }
  struct watch rest = {0};
  if (rc) assert_int_equal(sweep(w, "a", 2, &rest, &summary), 0);
  assert_int_equal(sweep(w, "b", 2, &whole, &summary), 0);
  check_same_rows(w);
}

static void test_stopped_before_it_began(void **state)
{
  struct world *w = *state;
  struct watch watch = {.stop = true};
  struct emuv_sweep_summary summary;
  assert_int_equal(sweep(w, "a", 3, &watch, &summary), EMUV_ERR_INTERRUPTED);
  assert_int_equal(summary.computed, 0);
}

static void test_a_database_that_refuses(void **state)
{
  struct world *w = *state;
  struct emuv_results results;
  struct emuv_err err = {0};
  struct emuv_sweep_summary summary;
  struct emuv_sweep_options options = {.jobs = 3};
  char path[128];
  assert_int_equal(emuv_results_open(path_of(w, "a", path), &results, &err), 0);
  assert_int_equal(sqlite3_exec(results.db, "PRAGMA query_only = 1", NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(emuv_sweep_run(&w->scenario, &results, &options, &summary, &err), EMUV_ERR_IO);
  assert_true(err.text[0]);
  assert_int_equal(summary.computed, 0);
  emuv_results_close(&results);
}

static void test_a_trace_that_is_not_there(void **state)
{
  struct world *w = *state;
  struct emuv_results results;
  struct emuv_err err = {0};
  struct emuv_sweep_summary summary;
  struct emuv_sweep_options options = {.jobs = 2};
  char path[128];
  strcpy(w->scenario.configs[0].source, "trace");
  snprintf(w->scenario.configs[0].trace, sizeof w->scenario.configs[0].trace, "%s/none.emuv", w->folder);
  assert_int_equal(emuv_results_open(path_of(w, "a", path), &results, &err), 0);
  assert_int_equal(emuv_sweep_run(&w->scenario, &results, &options, &summary, &err), EMUV_ERR_IO);
  assert_non_null(strstr(err.text, "none.emuv"));
  emuv_results_close(&results);
}

int main(void)
{
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)
  const struct CMUnitTest tests[] = {
      WITH_WORLD(test_threads_change_nothing),  WITH_WORLD(test_stored_rows_are_skipped),
      WITH_WORLD(test_interrupted_and_resumed), WITH_WORLD(test_stopped_before_it_began),
      WITH_WORLD(test_a_database_that_refuses), WITH_WORLD(test_a_trace_that_is_not_there),
  };
  return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}
