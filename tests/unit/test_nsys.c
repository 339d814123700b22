// SPDX-License-Identifier: Apache-2.0
/* Nsight Systems' SQLite tables: import of databases made from SQL (data/nsys), of bad ones, and of what the exporter
 * wrote. */
#include "trace_decode.h"

#include "tracer/format/export/export.h"
#include "tracer/format/export/kernel_name.h"
#include "tracer/format/load.h"
#include "tracer/format/ranges.h"

#include <sqlite3.h>

/* A database from a file of SQL, or from SQL itself. */
static char *database(char path[64], const char *file, const char *sql)
{
  char name[512];
  size_t n = 0;
  sqlite3 *db;
  char *text = NULL;
  snprintf(name, sizeof name, "%s/unit/data/nsys/%s", EMUV_TEST_DIR, file ? file : "");
  if (file) {
    text = (char *)fixture_slurp(name, &n);
    text[n] = '\0';
    sql = text;
  }
  assert_int_equal(sqlite3_open(fixture_path(path), &db), SQLITE_OK);
  char *error = NULL;
  if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK) fail_msg("%s", error);
  sqlite3_close(db);
  free(text);
  return path;
}

static struct emuv_nsys_counts import(const char *path, struct emuv_trace_data *d)
{
  char trace[64];
  struct emuv_nsys_counts counts;
  struct emuv_err err = {0};
  if (emuv_import_nsys(path, 0, fixture_path(trace), &counts, &err) != 0) fail_msg("%s", err.text);
  if (emuv_trace_load(trace, d, &err) != 0) fail_msg("%s", err.text);
  unlink(trace);
  unlink(path);
  return counts;
}

static void refused(const char *path, uint32_t pid, int code, const char *text)
{
  char trace[64];
  struct emuv_err err = {0};
  unlink(fixture_path(trace));
  assert_int_equal(emuv_import_nsys(path, pid, trace, NULL, &err), code);
  if (!strstr(err.text, text)) fail_msg("'%s' does not say '%s'", err.text, text);
  assert_int_not_equal(access(trace, F_OK), 0);
}

static void launches_have_names_times_and_no_operands(void **state)
{
  (void)state;
  char path[64];
  struct emuv_trace_data d;
  struct emuv_nsys_counts n = import(database(path, "recent.sql", NULL), &d);
  assert_int_equal(n.launches, 3);
  assert_int_equal(n.dropped, 0);
  assert_int_equal(d.n_launches, 3);
  assert_int_equal(d.n_operands, 0);
  assert_int_equal(d.untimed, 0);
  const struct emuv_trace_launch *l = d.launches;
  assert_string_equal(emuv_trace_data_kernel(&d, l[0].kernel), "_Z5scalePf");
  assert_string_equal(emuv_trace_data_kernel(&d, l[1].kernel), "copy_kernel");
  assert_int_equal(l[0].enter_ns, 400); /* of two calls with this number the outer one */
  assert_int_equal(l[0].exit_ns, 420);
  assert_int_equal(l[0].start_ns, 430);
  assert_int_equal(l[0].end_ns, 480);
  assert_int_equal(l[0].tid, 4242);
  assert_int_equal(l[0].grid[1], 2);
  assert_int_equal(l[0].block[0], 256);
  assert_int_equal(l[0].shared_bytes, 2048);
  assert_int_equal(l[0].flags, 0);
  assert_int_equal(l[2].tid, 4250);
  assert_int_equal(l[2].enter_ns, 500);
  assert_int_equal(l[2].graph_node, 12);
  assert_int_equal(l[2].flags, EMUV_TRACE_FLAG_GRAPH);
  for (int i = 0; i < 3; i++) assert_int_equal(l[i].cls, EMUV_TRACE_CLASS_GAP);
  const struct emuv_trace_kernel *k = emuv_trace_reader_kernel(d.reader, l[0].kernel);
  assert_int_equal(k->registers, 32);
  assert_int_equal(k->shared_bytes, 1024);
  assert_int_equal(k->local_bytes, 16);
  assert_int_equal(d.gaps[0].count, 3);
  assert_int_equal(d.gaps[0].why, EMUV_TRACE_GAP_NO_PARAMS);
  emuv_trace_data_free(&d);
}

static void copies_memory_and_machine_are_kept(void **state)
{
  (void)state;
  char path[64];
  struct emuv_trace_data d;
  struct emuv_nsys_counts n = import(database(path, "recent.sql", NULL), &d);
  assert_int_equal(n.copies, 2); /* the third is a migration */
  assert_int_equal(d.copies[0].kind, EMUV_TRACE_COPY_H2D);
  assert_int_equal(d.copies[0].bytes, 1048576);
  assert_int_equal(d.copies[0].flags, EMUV_TRACE_FLAG_PAGEABLE);
  assert_int_equal(d.copies[1].kind, EMUV_TRACE_COPY_D2H);
  assert_int_equal(d.copies[1].flags, 0);
  assert_int_equal(d.n_sets, 1);
  assert_int_equal(d.sets[0].value, 7);
  assert_int_equal(d.sets[0].bytes, 512);
  assert_int_equal(d.n_allocations, 2);
  assert_int_equal(d.allocations[0].a.address, 139637976727552);
  assert_int_equal(d.allocations[0].a.kind, EMUV_TRACE_MEMORY_DEVICE);
  assert_int_equal(d.allocations[0].free_ns, 900);
  assert_int_equal(d.allocations[1].a.kind, EMUV_TRACE_MEMORY_HOST);
  assert_false(d.allocations[1].freed);
  assert_string_equal(emuv_trace_data_environment(&d, "gpu"), "NVIDIA H100");
  assert_string_equal(emuv_trace_data_environment(&d, "gpu_compute_capability"), "9.0");
  assert_int_equal(d.processes[0].pid, 4242);
  assert_string_equal(emuv_trace_data_string(&d, d.processes[0].command), "program --with arguments");
  assert_int_equal(d.threads[0].tid, 4250);
  assert_string_equal(emuv_trace_data_string(&d, d.threads[0].name), "worker");
  assert_int_equal(d.n_syncs, 1);
  assert_int_equal(d.syncs[0].kind, EMUV_TRACE_SYNC_STREAM);
  assert_int_equal(d.syncs[0].tid, 4242);
  assert_int_equal(d.n_gaps, 2);
  assert_non_null(strstr(emuv_trace_data_string(&d, d.gaps[1].text), "managed memory"));
  emuv_trace_data_free(&d);
}

static void ranges_nest(void **state)
{
  (void)state;
  static const struct {
    const char *text;
    uint64_t begin, end;
  } want[] = {{"outer", 190, 890}, {"inner", 190, 350}, {"empty", 350, 350}, {"registered", 495, 660}};
  char path[64];
  struct emuv_trace_data d;
  struct emuv_trace_spans spans;
  import(database(path, "recent.sql", NULL), &d);
  assert_int_equal(emuv_trace_spans_find(&d, &spans, NULL), 0);
  assert_int_equal(spans.n, 4);
  for (size_t i = 0; i < spans.n; i++) {
    const struct emuv_trace_range *r = &d.ranges[spans.span[i].range];
    assert_string_equal(emuv_trace_data_string(&d, r->text), want[i].text);
    assert_int_equal(spans.span[i].begin_ns, want[i].begin);
    assert_int_equal(spans.span[i].end_ns, want[i].end);
    assert_string_equal(emuv_trace_data_string(&d, r->domain), i == 1 ? "library" : "");
  }
  assert_int_equal(d.n_ranges, 9); /* four with two ends, and a mark */
  emuv_trace_spans_free(&spans);
  emuv_trace_data_free(&d);
}

static void older_columns_do(void **state)
{
  (void)state;
  char path[64];
  struct emuv_trace_data d;
  struct emuv_nsys_counts n = import(database(path, "old.sql", NULL), &d);
  assert_int_equal(n.launches, 2);
  assert_string_equal(emuv_trace_data_kernel(&d, d.launches[0].kernel), "void add<int>(int *)");
  assert_string_equal(emuv_trace_data_kernel(&d, d.launches[1].kernel), "add"); /* string 9 is missing */
  assert_string_equal(emuv_trace_data_environment(&d, "nsys_time_shift_ns"), "61");
  assert_int_equal(d.launches[0].enter_ns, 1); /* 0 would say: not known */
  assert_int_equal(d.launches[0].start_ns, 21);
  assert_int_equal(d.launches[1].start_ns, 81);
  assert_int_equal(d.launches[1].enter_ns, 0); /* its API call is missing */
  assert_int_equal(d.n_gaps, 2);
  assert_int_equal(d.gaps[1].why, EMUV_TRACE_GAP_TIMESTAMP);
  assert_int_equal(d.gaps[1].count, 1);
  emuv_trace_data_free(&d);
}

static void rows_that_cannot_be_are_dropped_and_told(void **state)
{
  (void)state;
  char path[64];
  struct emuv_trace_data d;
  struct emuv_nsys_counts n = import(database(path, "damaged.sql", NULL), &d);
  assert_int_equal(n.launches, 3);
  assert_string_equal(emuv_trace_data_kernel(&d, d.launches[0].kernel), "good");
  assert_string_equal(emuv_trace_data_kernel(&d, d.launches[1].kernel), "(string 98 is missing)");
  assert_int_equal(d.n_copies, 2);
  assert_int_equal(d.n_sets, 0); /* a view is not read */
  assert_int_equal(d.n_allocations, 2);
  assert_int_equal(d.allocations[1].a.kind, EMUV_TRACE_MEMORY_UNKNOWN);
  assert_int_equal(d.frees[0].id, 0);
  assert_int_equal(n.ranges, 2);
  uint64_t told = 0;
  for (size_t i = 0; i < d.n_drops; i++) told += d.drops[i].count;
  assert_int_equal(told, n.dropped);
  assert_int_equal(n.dropped, 7 + 2 + 3 + 1);
  emuv_trace_data_free(&d);
}

static void bad_databases_are_refused(void **state)
{
  (void)state;
  char path[64];
  FILE *f = fopen(fixture_path(path), "w");
  fputs("this is no database, but long enough to have a header: 1234567890 1234567890 1234567890 1234567890\n", f);
  fclose(f);
  refused(path, 0, EMUV_ERR_INPUT, "is not an SQLite database");
  refused(database(path, NULL, ""), 0, EMUV_ERR_INPUT, "table CUPTI_ACTIVITY_KIND_KERNEL is missing");
  refused(database(path, NULL, "CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL(start)"), 0, EMUV_ERR_INPUT,
          "table StringIds is missing");
  refused(database(path, NULL, "CREATE TABLE StringIds(id, value); CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL(start)"), 0,
          EMUV_ERR_INPUT, "table CUPTI_ACTIVITY_KIND_KERNEL has no column end");
  refused(database(path, NULL, "CREATE VIEW CUPTI_ACTIVITY_KIND_KERNEL AS SELECT 1 AS start, 2 AS end"), 0,
          EMUV_ERR_INPUT, "table CUPTI_ACTIVITY_KIND_KERNEL is missing");
  refused("/nonexistent.sqlite", 0, EMUV_ERR_IO, "cannot open");
}

static void one_process_at_a_time(void **state)
{
  (void)state;
  static const char sql[] = "CREATE TABLE StringIds(id, value);"
                            "CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL(start, end, globalPid, shortName);"
                            "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES(1, 2, 12 << 24, 1), (3, 4, 123 << 24, 1)";
  char path[64], trace[64];
  database(path, NULL, sql);
  refused(path, 0, EMUV_ERR_USAGE, "holds 2 processes: 12 123");
  refused(path, 2, EMUV_ERR_INPUT, "no kernel of process 2, but of: 12 123");
  struct emuv_nsys_counts n;
  assert_int_equal(emuv_import_nsys(path, 123, fixture_path(trace), &n, NULL), 0);
  assert_int_equal(n.launches, 1);
  unlink(trace);
  unlink(path);
}

/* Every byte of a small database changed in turn, and every cut: no crash, an error or a trace. */
static void damage_does_no_harm(void **state)
{
  (void)state;
  char path[64], trace[64];
  size_t n;
  uint8_t *data = fixture_slurp(database(path, "old.sql", NULL), &n);
  fixture_path(trace);
  for (size_t i = 0; i < n; i += 1 + i / 100) {
    data[i] ^= 0x55;
    FILE *f = fopen(path, "wb");
    fwrite(data, 1, i % 2 ? n : i, f);
    fclose(f);
    data[i] ^= 0x55;
    struct emuv_err err = {0};
    int code = emuv_import_nsys(path, 0, trace, NULL, &err);
    assert_true(code == 0 || err.text[0]);
  }
  free(data);
  unlink(path);
  unlink(trace);
}

/* ---- export ---- */

static void export_and_back(void **state)
{
  (void)state;
  char path[64], base[64];
  struct decode decode = {.layers = 3,
                          .tokens = 5,
                          .matrix_bytes = 1 << 20,
                          .launch_host_ns = 5000,
                          .kernel_ns = 20000,
                          .nvtx = true,
                          .late_times = true,
                          .growing_cache = true};
  struct emuv_trace_data a, b;
  struct emuv_err err = {0};
  decode_write(&decode, fixture_path(path));
  assert_int_equal(emuv_trace_load(path, &a, &err), 0);
  unlink(path);
  unlink(fixture_path(base));
  if (emuv_export_sqlite(&a, base, true, &err) != 0) fail_msg("%s", err.text);
  import(base, &b);
  assert_int_equal(a.n_launches, b.n_launches);
  for (size_t i = 0; i < a.n_launches; i++) {
    const struct emuv_trace_launch *x = &a.launches[i], *y = &b.launches[i];
    assert_string_equal(emuv_trace_data_kernel(&a, x->kernel), emuv_trace_data_kernel(&b, y->kernel));
    assert_int_equal(x->sequence, y->sequence);
    assert_int_equal(x->correlation, y->correlation);
    assert_int_equal(x->enter_ns, y->enter_ns);
    assert_int_equal(x->exit_ns, y->exit_ns);
    assert_int_equal(x->start_ns, y->start_ns);
    assert_int_equal(x->end_ns, y->end_ns);
    assert_int_equal(x->stream, y->stream);
    assert_int_equal(x->tid, y->tid);
  }
  assert_int_equal(a.n_copies, b.n_copies);
  for (size_t i = 0; i < a.n_copies; i++) {
    assert_int_equal(a.copies[i].kind, b.copies[i].kind);
    assert_int_equal(a.copies[i].bytes, b.copies[i].bytes);
    assert_int_equal(a.copies[i].flags, b.copies[i].flags);
    assert_int_equal(a.copies[i].end_ns, b.copies[i].end_ns);
  }
  assert_int_equal(a.n_allocations, b.n_allocations);
  for (size_t i = 0; i < a.n_allocations; i++)
    assert_memory_equal(&a.allocations[i].a.address, &b.allocations[i].a.address, 3 * sizeof(uint64_t));
  for (size_t i = 0; i < a.n_allocations; i++) assert_int_equal(a.allocations[i].free_ns, b.allocations[i].free_ns);
  assert_int_equal(a.n_ranges, b.n_ranges);
  for (size_t i = 0; i < a.n_ranges; i++) {
    assert_int_equal(a.ranges[i].ns, b.ranges[i].ns);
    assert_int_equal(a.ranges[i].kind, b.ranges[i].kind);
    assert_string_equal(emuv_trace_data_string(&a, a.ranges[i].text), emuv_trace_data_string(&b, b.ranges[i].text));
  }
  assert_int_equal(a.n_syncs, b.n_syncs);
  assert_int_equal(a.syncs[1].exit_ns, b.syncs[1].exit_ns);
  emuv_trace_data_free(&a);
  emuv_trace_data_free(&b);
}

/* Queries as NVIDIA's documentation and its users write them. */
static void known_queries_work(void **state)
{
  (void)state;
  static const char *const queries[] = {
      "SELECT s.value, count(*), sum(k.end - k.start) FROM CUPTI_ACTIVITY_KIND_KERNEL k JOIN StringIds s"
      " ON s.id = k.shortName GROUP BY 1 ORDER BY 3 DESC",
      "SELECT r.start, k.start - r.end, n.value FROM CUPTI_ACTIVITY_KIND_RUNTIME r JOIN CUPTI_ACTIVITY_KIND_KERNEL k"
      " ON r.correlationId = k.correlationId AND r.globalTid / 0x1000000 = k.globalPid / 0x1000000"
      " JOIN StringIds n ON n.id = r.nameId WHERE n.value LIKE '%Launch%'",
      "SELECT o.label, sum(m.bytes), sum(m.end - m.start) FROM CUPTI_ACTIVITY_KIND_MEMCPY m"
      " JOIN ENUM_CUDA_MEMCPY_OPER o ON o.id = m.copyKind GROUP BY 1",
      "SELECT coalesce(n.text, s.value), n.end - n.start FROM NVTX_EVENTS n LEFT JOIN StringIds s ON s.id = n.textId"
      " WHERE n.eventType = 59 AND n.end > n.start",
      "SELECT k.label, o.label, sum(e.bytes) FROM CUDA_GPU_MEMORY_USAGE_EVENTS e JOIN ENUM_CUDA_MEM_KIND k"
      " ON k.id = e.memKind JOIN ENUM_CUDA_DEV_MEM_EVENT_OPER o ON o.id = e.memoryOperationType GROUP BY 1, 2",
      "SELECT t.label, count(*) FROM CUPTI_ACTIVITY_KIND_SYNCHRONIZATION s JOIN ENUM_CUPTI_SYNC_TYPE t"
      " ON t.id = s.syncType GROUP BY 1",
      "SELECT name, smCount FROM TARGET_INFO_GPU",
      "SELECT count(*) FROM launch JOIN operand ON launch_id = launch.rowid"};
  char path[64], base[64];
  struct decode decode = {.layers = 2,
                          .tokens = 3,
                          .matrix_bytes = 1 << 20,
                          .launch_host_ns = 5000,
                          .kernel_ns = 20000,
                          .nvtx = true,
                          .growing_cache = true};
  struct emuv_trace_data d;
  decode_write(&decode, fixture_path(path));
  assert_int_equal(emuv_trace_load(path, &d, NULL), 0);
  unlink(fixture_path(base));
  assert_int_equal(emuv_export_sqlite(&d, base, false, NULL), 0);
  sqlite3 *db;
  assert_int_equal(sqlite3_open(base, &db), SQLITE_OK);
  for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
    sqlite3_stmt *s;
    if (sqlite3_prepare_v2(db, queries[i], -1, &s, NULL) != SQLITE_OK) fail_msg("%s", sqlite3_errmsg(db));
    if (sqlite3_step(s) != SQLITE_ROW) fail_msg("no row: %s", queries[i]);
    sqlite3_finalize(s);
  }
  sqlite3_close(db);
  emuv_trace_data_free(&d);
  unlink(path);
  unlink(base);
}

static void kernels_have_short_names(void **state)
{
  (void)state;
  static const char *const names[][3] = {
      {"_Z5scalePf", "scale", "scale"},
      {"nvjet_sm90_hsh_64x8", "nvjet_sm90_hsh_64x8", "nvjet_sm90_hsh_64x8"},
      {"_ZN2at6native18elementwise_kernelILi128ELi4EZNS0_22gpu_kernel_impl_nocastINS0_13BinaryFunctorIN3c104HalfE",
       "elementwise_kernel", "elementwise_kernel BinaryFunctor Half"},
      {"_Z99short", "_Z99short", "_Z99short"},
      {"_ZN", "_ZN", "_ZN"},
      {"", "", ""},
  };
  char buf[128];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    assert_string_equal(emuv_kernel_base_name(names[i][0], buf, sizeof buf), names[i][1]);
    assert_string_equal(emuv_kernel_short_name(names[i][0], buf, sizeof buf), names[i][2]);
  }
  assert_string_equal(emuv_kernel_short_name(names[2][0], buf, 10), "elementwi");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(launches_have_names_times_and_no_operands),
      cmocka_unit_test(copies_memory_and_machine_are_kept),
      cmocka_unit_test(ranges_nest),
      cmocka_unit_test(older_columns_do),
      cmocka_unit_test(rows_that_cannot_be_are_dropped_and_told),
      cmocka_unit_test(bad_databases_are_refused),
      cmocka_unit_test(one_process_at_a_time),
      cmocka_unit_test(damage_does_no_harm),
      cmocka_unit_test(export_and_back),
      cmocka_unit_test(known_queries_work),
      cmocka_unit_test(kernels_have_short_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
