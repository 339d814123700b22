// SPDX-License-Identifier: Apache-2.0
/* The results database: its columns and versions, what replaces what, and every way in which a file can refuse: newer,
 * foreign, damaged, read-only, locked, full. What was stored must stay readable. */
#include "simulator/results.h"

#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
  char folder[64], path[96];
};

static int make_place(void **state)
{
  struct place *p = calloc(1, sizeof *p);
  if (!p) return -1;
  strcpy(p->folder, "/tmp/emuv-results-XXXXXX");
  if (!mkdtemp(p->folder)) return -1;
  snprintf(p->path, sizeof p->path, "%s/r.sqlite", p->folder);
  *state = p;
  return 0;
}

static int remove_place(void **state)
{
  struct place *p = *state;
  char path[128];
  static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
  chmod(p->folder, 0700);
  for (size_t i = 0; i < 4; i++) {
    snprintf(path, sizeof path, "%s%s", p->path, endings[i]);
    unlink(path);
  }
  rmdir(p->folder);
  free(p);
  return 0;
}

static struct emuv_config config;
static struct emuv_metrics metrics;
static struct emuv_workload workload;

static struct emuv_result row(const char *hash)
{
  struct emuv_err err = {0};
  assert_int_equal(emuv_config_defaults(&config, &err), 0);
  strcpy(config.scenario, "here");
  strcpy(workload.name, "pattern:cyclic");
  strcpy(workload.work_unit, "access");
  metrics = (struct emuv_metrics){.total_s = 3,
                                  .compute_s = 1,
                                  .stall_s = 2,
                                  .tokens = 6,
                                  .steps = 2,
                                  .accesses = 10,
                                  .hits = 7,
                                  .births = 1,
                                  .faults = 2,
                                  .bound_s = 2,
                                  .bound_by = "link",
                                  .energy_j = -1,
                                  .prefetch_issued = 4,
                                  .prefetch_used = 3};
  return (struct emuv_result){.config = &config,
                              .workload = &workload,
                              .metrics = &metrics,
                              .config_hash = hash,
                              .kind = "sim",
                              .status = "ok"};
}

static void open_or_fail(const char *path, struct emuv_results *r)
{
  struct emuv_err err = {0};
  if (emuv_results_open(path, r, &err)) fail_msg("%s", err.text);
}

static void store(struct emuv_results *r, const char *hash)
{
  struct emuv_err err = {0};
  struct emuv_result line = row(hash);
  if (emuv_results_store(r, &line, &err)) fail_msg("%s", err.text);
}

static int64_t ask(const char *path, const char *sql)
{
  sqlite3 *db = NULL;
  sqlite3_stmt *s = NULL;
  assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
  if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
  int step = sqlite3_step(s);
  if (step != SQLITE_ROW) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
  int64_t value = sqlite3_column_int64(s, 0);
  sqlite3_finalize(s);
  sqlite3_close(db);
  return value;
}

static void execute(const char *path, const char *sql)
{
  sqlite3 *db = NULL;
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
  sqlite3_close(db);
}

static int64_t count_rows(const char *path)
{
  return ask(path, "SELECT count(*) FROM runs");
}

static void test_columns(void **state)
{
  static const char *const columns[] = {"run_id",
                                        "config_hash",
                                        "kind",
                                        "scenario",
                                        "workload",
                                        "model",
                                        "strategy",
                                        "hardware",
                                        "policy",
                                        "prefetch",
                                        "page_bytes",
                                        "vram_bytes",
                                        "ram_bytes",
                                        "nvme_bytes",
                                        "context_tokens",
                                        "batch",
                                        "tokens",
                                        "work_unit",
                                        "seed",
                                        "version",
                                        "total_s",
                                        "compute_s",
                                        "stall_s",
                                        "tokens_per_s",
                                        "ttft_s",
                                        "itl_s",
                                        "accesses",
                                        "hits",
                                        "faults",
                                        "faults_per_1k_tokens",
                                        "hit_ratio",
                                        "h2d_bytes",
                                        "d2h_bytes",
                                        "nvme_read_bytes",
                                        "nvme_write_bytes",
                                        "prefetch_issued",
                                        "prefetch_used",
                                        "bound_s",
                                        "bound_by",
                                        "energy_j",
                                        "status"};
  struct place *p = *state;
  struct emuv_results r;
  open_or_fail(p->path, &r);
  store(&r, "aa");
  emuv_results_close(&r);
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
    char sql[256];
    bool unknown = strcmp(columns[i], "energy_j") == 0; /* no power model: unknown is NULL, never 0 */
    snprintf(sql, sizeof sql, "SELECT count(*) FROM runs WHERE %s IS %sNULL", columns[i], unknown ? "" : "NOT ");
    if (ask(p->path, sql) != 1) fail_msg("column %s", columns[i]);
  }
  assert_int_equal(ask(p->path, "PRAGMA user_version"), EMUV_RESULTS_SCHEMA);
  assert_int_equal(ask(p->path, "SELECT count(*) FROM environments WHERE cores > 0 AND started <> ''"), 1);
  assert_int_equal(ask(p->path, "SELECT count(*) FROM runs JOIN environments USING (environment)"), 1);
  assert_int_equal(ask(p->path, "SELECT hits = 8 AND tokens_per_s = 2 AND hit_ratio = 0.8 AND total_s = 3 FROM runs"),
                   1);
  assert_true(ask(p->path, "SELECT count(*) FROM sqlite_master WHERE type = 'view'") > 0);
}

static void test_a_row_that_cannot_run_says_why(void **state)
{
  struct place *p = *state;
  struct emuv_results r;
  struct emuv_err err = {0};
  open_or_fail(p->path, &r);
  struct emuv_result line = row("aa");
  line.metrics = NULL;
  line.workload = NULL;
  line.status = "does not fit";
  assert_int_equal(emuv_results_store(&r, &line, &err), 0);
  emuv_results_close(&r);
  assert_int_equal(ask(p->path, "SELECT total_s IS NULL AND faults IS NULL AND status = 'does not fit' FROM runs"), 1);
}

static void test_run_ids(void **state)
{
  (void)state;
  char a[EMUV_HASH_HEX], b[EMUV_HASH_HEX];
  emuv_results_run_id("aa", "sim", 0, a);
  assert_int_equal(strlen(a), EMUV_HASH_HEX - 1);
  emuv_results_run_id("aa", "sim", 0, b);
  assert_string_equal(a, b);
  emuv_results_run_id("ab", "sim", 0, b);
  assert_string_not_equal(a, b);
  emuv_results_run_id("aa", "replay", 0, b);
  assert_string_not_equal(a, b);
  emuv_results_run_id("aa", "sim", 1, b);
  assert_string_not_equal(a, b);
  assert_non_null(strchr(emuv_results_version(), '.'));
}

static void test_has_and_replace(void **state)
{
  struct place *p = *state;
  struct emuv_results r;
  struct emuv_err err = {0};
  char id[EMUV_HASH_HEX];
  emuv_results_run_id("aa", "sim", 0, id);
  open_or_fail(p->path, &r);
  assert_int_equal(emuv_results_has(&r, id, &err), 0);
  store(&r, "aa");
  assert_int_equal(emuv_results_has(&r, id, &err), 1);
  store(&r, "aa"); /* again: the same row */
  store(&r, "bb");
  emuv_results_close(&r);
  assert_int_equal(count_rows(p->path), 2);
  /* As if another version had written one of them, and another repetition of it. */
  execute(p->path, "UPDATE runs SET run_id = 'old', version = '0.0.1' WHERE config_hash = 'aa'");
  open_or_fail(p->path, &r);
  assert_int_equal(emuv_results_has(&r, id, &err), 0);
  struct emuv_result line = row("aa");
  line.repetition = 1;
  assert_int_equal(emuv_results_store(&r, &line, &err), 0);
  emuv_results_close(&r);
  assert_int_equal(count_rows(p->path), 3); /* a repetition replaces nothing */
  open_or_fail(p->path, &r);
  store(&r, "aa");
  emuv_results_close(&r);
  assert_int_equal(count_rows(p->path), 3);
  assert_int_equal(ask(p->path, "SELECT count(*) FROM runs WHERE run_id = 'old'"), 0);
}

static void test_forget(void **state)
{
  struct place *p = *state;
  struct emuv_results r;
  struct emuv_err err = {0};
  open_or_fail(p->path, &r);
  store(&r, "aa");
  assert_int_equal(emuv_results_forget(&r, "elsewhere", "sim", &err), 0);
  assert_int_equal(emuv_results_forget(&r, "here", "replay", &err), 0);
  assert_int_equal(count_rows(p->path), 1);
  assert_int_equal(emuv_results_forget(&r, "here", "sim", &err), 0);
  assert_int_equal(count_rows(p->path), 0);
  emuv_results_close(&r);
}

static void refuses(const char *path, int code, const char *text)
{
  struct emuv_results r;
  struct emuv_err err = {0};
  assert_int_equal(emuv_results_open(path, &r, &err), code);
  if (!strstr(err.text, text)) fail_msg("'%s' does not say '%s'", err.text, text);
  assert_null(r.db);
  memset(&err, 0, sizeof err);
  int rc = emuv_results_open_read(path, &r, &err);
  assert_true(rc < 0);
  assert_null(r.db);
}

static void test_a_newer_schema(void **state)
{
  struct place *p = *state;
  struct emuv_results r;
  open_or_fail(p->path, &r);
  store(&r, "aa");
  emuv_results_close(&r);
  execute(p->path, "PRAGMA user_version = 99");
  refuses(p->path, EMUV_ERR_UNSUPPORTED, "newer");
  assert_int_equal(count_rows(p->path), 1);
  assert_int_equal(ask(p->path, "PRAGMA user_version"), 99);
}

static void test_a_foreign_database(void **state)
{
  struct place *p = *state;
  execute(p->path, "CREATE TABLE songs (title TEXT); INSERT INTO songs VALUES ('x')");
  refuses(p->path, EMUV_ERR_INPUT, "not one of emuV's");
  assert_int_equal(ask(p->path, "SELECT count(*) FROM sqlite_master"), 1); /* nothing was added */
}

static void test_not_a_database(void **state)
{
  struct place *p = *state;
  FILE *f = fopen(p->path, "w");
  assert_non_null(f);
  for (int i = 0; i < 4096; i++) fputs("this is a text, ", f);
  fclose(f);
  refuses(p->path, EMUV_ERR_INPUT, "not a database");
  struct stat st;
  assert_int_equal(stat(p->path, &st), 0);
  assert_int_equal(st.st_size, 4096 * 16);
}

static void test_reading(void **state)
{
  struct place *p = *state;
  struct emuv_results r;
  struct emuv_err err = {0};
  assert_int_equal(emuv_results_open_read(p->path, &r, &err), EMUV_ERR_IO); /* there is none */
  assert_int_equal(access(p->path, F_OK), -1);
  FILE *f = fopen(p->path, "w");
  assert_non_null(f);
  fclose(f);
  assert_int_equal(emuv_results_open_read(p->path, &r, &err), EMUV_ERR_INPUT);
  assert_non_null(strstr(err.text, "empty"));
  open_or_fail(p->path, &r); /* an empty file becomes one */
  store(&r, "aa");
  emuv_results_close(&r);
  assert_int_equal(emuv_results_open_read(p->path, &r, &err), 0);
  emuv_results_close(&r);
  assert_int_equal(emuv_results_open("/nowhere/at/all.sqlite", &r, &err), EMUV_ERR_IO);
  assert_non_null(strstr(err.hint, "--output"));
}

/* Another connection holds the write lock. */
static void test_locked(void **state)
{
  struct place *p = *state;
  struct emuv_results r;
  struct emuv_err err = {0};
  sqlite3 *other = NULL;
  open_or_fail(p->path, &r);
  store(&r, "aa");
  sqlite3_busy_timeout(r.db, 20);
  assert_int_equal(sqlite3_open(p->path, &other), SQLITE_OK);
  assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
  struct emuv_result line = row("bb");
  assert_int_equal(emuv_results_store(&r, &line, &err), EMUV_ERR_BUSY);
  assert_non_null(strstr(err.hint, "another program"));
  assert_int_equal(emuv_results_forget(&r, "here", "sim", &err), EMUV_ERR_BUSY);
  assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(other);
  store(&r, "bb"); /* the same handle goes on */
  emuv_results_close(&r);
  assert_int_equal(count_rows(p->path), 2);
}

static char *hash_of(int i, char *hash)
{
  snprintf(hash, EMUV_HASH_HEX, "%032x", i);
  return hash;
}

static void test_full_database(void **state)
{
  struct place *p = *state;
  struct emuv_results r;
  struct emuv_err err = {0};
  char hash[EMUV_HASH_HEX];
  int rc = 0, stored = 0;
  open_or_fail(p->path, &r);
  store(&r, hash_of(0, hash));
  assert_int_equal(sqlite3_exec(r.db, "PRAGMA max_page_count = 40", NULL, NULL, NULL), SQLITE_OK);
  for (stored = 1; !rc && stored < 10000; stored++) {
    struct emuv_result line = row(hash_of(stored, hash));
    rc = emuv_results_store(&r, &line, &err);
  }
  assert_int_equal(rc, EMUV_ERR_NOSPACE);
  assert_non_null(strstr(err.hint, "kept"));
  emuv_results_close(&r);
  assert_int_equal(count_rows(p->path), stored - 1);
  open_or_fail(p->path, &r); /* there is room again: the row that failed */
  store(&r, hash);
  emuv_results_close(&r);
  assert_int_equal(count_rows(p->path), stored);
}

/* In a process of its own, whose files may not grow: exit 10 + the number of the case that went wrong. */
static int fill_the_disk(const char *path)
{
  struct emuv_results r;
  struct emuv_err err = {0};
  char hash[EMUV_HASH_HEX];
  struct rlimit limit = {.rlim_cur = 300000, .rlim_max = 300000};
  signal(SIGXFSZ, SIG_IGN);
  if (emuv_results_open(path, &r, &err)) return 10;
  struct emuv_result line = row(hash_of(0, hash));
  if (emuv_results_store(&r, &line, &err)) return 11;
  if (setrlimit(RLIMIT_FSIZE, &limit)) return 12;
  int rc = 0;
  for (int i = 1; !rc && i < 10000; i++) {
    line = row(hash_of(i, hash));
    rc = emuv_results_store(&r, &line, &err);
  }
  if (rc != EMUV_ERR_IO && rc != EMUV_ERR_NOSPACE) return 13;
  if (!err.text[0]) return 14;
  _exit(0); /* as a program that gives up: the database is not closed in order */
}

static void test_full_disk(void **state)
{
  struct place *p = *state;
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) _exit(fill_the_disk(p->path));
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  assert_true(count_rows(p->path) > 1);
  assert_int_equal(ask(p->path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
}

static void test_read_only(void **state)
{
  struct place *p = *state;
  struct emuv_results r;
  struct emuv_err err = {0};
  open_or_fail(p->path, &r);
  store(&r, "aa");
  emuv_results_close(&r);
  if (geteuid() == 0) { /* nothing is read-only for root; SQLite's own switch is the next best */
    open_or_fail(p->path, &r);
    assert_int_equal(sqlite3_exec(r.db, "PRAGMA query_only = 1", NULL, NULL, NULL), SQLITE_OK);
    struct emuv_result line = row("bb");
    int rc = emuv_results_store(&r, &line, &err);
    emuv_results_close(&r);
    assert_int_equal(rc, EMUV_ERR_IO);
  } else {
    assert_int_equal(chmod(p->path, 0400), 0);
    assert_int_equal(chmod(p->folder, 0500), 0);
    assert_int_equal(emuv_results_open(p->path, &r, &err), EMUV_ERR_IO);
    chmod(p->folder, 0700);
    chmod(p->path, 0600);
  }
  assert_non_null(strstr(err.hint, "--output"));
  assert_int_equal(count_rows(p->path), 1);
}

int main(void)
{
#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)
  const struct CMUnitTest tests[] = {
      WITH_PLACE(test_columns),
      WITH_PLACE(test_a_row_that_cannot_run_says_why),
      cmocka_unit_test(test_run_ids),
      WITH_PLACE(test_has_and_replace),
      WITH_PLACE(test_forget),
      WITH_PLACE(test_a_newer_schema),
      WITH_PLACE(test_a_foreign_database),
      WITH_PLACE(test_not_a_database),
      WITH_PLACE(test_reading),
      WITH_PLACE(test_locked),
      WITH_PLACE(test_full_database),
      WITH_PLACE(test_full_disk),
      WITH_PLACE(test_read_only),
  };
  return cmocka_run_group_tests_name("results", tests, NULL, NULL);
}
