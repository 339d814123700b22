// SPDX-License-Identifier: Apache-2.0
/* `emuv-sim mrc` behind the readers: the one-pass LRU curves against plain replays, rows at any number of threads, and
 * the command from its arguments to its output and exit status. */
#include "trace_fixture.h"

#include "simulator/mrc.h"
#include "simulator/mrc_lru.h"
#include "simulator/mrc_run.h"
#include "tests/golden/trace_gen.h"

#include <jansson.h>

static struct emuv_mrc_trace zipf(uint32_t pages, size_t n, uint64_t seed)
{
  struct emuv_mrc_trace t = {.n = n, .allocated = n, .n_pages = pages};
  t.refs = emuv_mrc_alloc(n * sizeof *t.refs);
  assert_non_null(t.refs);
  assert_int_equal(trace_gen_zipf(t.refs, n, pages, seed), 0);
  return t;
}

static uint64_t replay_lru(const struct emuv_mrc_trace *t, uint32_t capacity)
{
  const struct emuv_policy_ops *ops = emuv_policy_find("lru");
  const struct emuv_policy_env env = {.n_pages = t->n_pages, .capacity = capacity};
  void *state = emuv_mrc_alloc(ops->state_bytes(&env));
  assert_non_null(state);
  ops->init(state, &env);
  uint64_t misses = ops->replay(state, t->refs, NULL, t->n);
  emuv_mrc_free(state, ops->state_bytes(&env));
  return misses;
}

/* Small strings at every capacity; large ones, whose window has several groups and is moved together often. */
static void check_lru(uint32_t pages, size_t n, const uint32_t *capacity, size_t n_capacities)
{
  struct emuv_mrc_trace t = zipf(pages, n, pages);
  uint64_t ends[64], distances[64], chosen[64];
  struct emuv_err err = {0};
  assert_int_equal(emuv_mrc_lru_ends(&t, capacity, n_capacities, ends, &err), 0);
  assert_int_equal(emuv_mrc_lru_distances(&t, capacity, n_capacities, distances, &err), 0);
  assert_int_equal(emuv_mrc_lru(&t, capacity, n_capacities, chosen, &err), 0);
  for (size_t i = 0; i < n_capacities; i++) {
    uint64_t expected = replay_lru(&t, capacity[i]);
    assert_int_equal(ends[i], expected);
    assert_int_equal(distances[i], expected);
    assert_int_equal(chosen[i], expected);
  }
  emuv_mrc_trace_free(&t);
}

static void test_lru_curves(void **unused)
{
  (void)unused;
  uint32_t all[50];
  for (uint32_t i = 0; i < 50; i++) all[i] = 50 - i;
  check_lru(50, 30000, all, 50);
  check_lru(20000, 600000, (const uint32_t[]){7, 20000, 1, 500, 500, 19999, 12000, 8191, 8193, 30000}, 10);
  check_lru(1, 100, (const uint32_t[]){1, 2}, 2);
}

static void test_capacities(void **unused)
{
  (void)unused;
  struct emuv_mrc_capacity share = {0, 0.1}, pages = {77, 0};
  assert_int_equal(emuv_mrc_capacity_pages(&share, 1000), 100);
  assert_int_equal(emuv_mrc_capacity_pages(&share, 1009), 100);
  assert_int_equal(emuv_mrc_capacity_pages(&share, 3), 1);
  assert_int_equal(emuv_mrc_capacity_pages(&pages, 3), 77);
}

static void test_threads_change_nothing(void **unused)
{
  (void)unused;
  struct emuv_mrc_trace t = zipf(3000, 100000, 4);
  struct emuv_mrc_row one[64], many[64];
  size_t n = 0;
  for (size_t p = 0; emuv_policies[p]; p++) {
    for (uint32_t capacity = 10; capacity < 3000 && n < 64; capacity *= 6) {
      one[n] = many[n] = (struct emuv_mrc_row){.policy = emuv_policies[p], .capacity_pages = capacity};
      n++;
    }
  }
  assert_int_equal(emuv_mrc_run(&t, one, n, 9, 1, NULL), 0);
  assert_int_equal(emuv_mrc_run(&t, many, n, 9, 5, NULL), 0);
  for (size_t i = 0; i < n; i++) {
    assert_int_equal(one[i].misses, many[i].misses);
    assert_int_equal(one[i].accesses, 100000);
    assert_true(one[i].misses >= 2000 && one[i].misses < 100000);
  }
  emuv_mrc_trace_free(&t);
}

static int command(const char *const *arguments)
{
  char *argv[24] = {"emuv-sim mrc"};
  int argc = 1;
  for (; arguments[argc - 1]; argc++) {
    assert_true(argc < 23);
    argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
  }
  return emuv_mrc_main(argc, argv);
}

#define COMMAND(...) command((const char *const[]){__VA_ARGS__, NULL})

static void write_trace(char path[64])
{
  FILE *out = fopen(fixture_path(path), "w");
  assert_non_null(out);
  fputs("object\n1\n2\n3\n1\n2\n3\n1\n2\n3\n1\n", out);
  fclose(out);
}

static void test_output(void **unused)
{
  (void)unused;
  char path[64], result[64];
  size_t n;
  write_trace(path);
  fixture_path(result);
  assert_int_equal(COMMAND(path, "-p", "lru,belady", "-c", "2,100%", "--csv", "-o", result), 0);
  char *text = (char *)fixture_slurp(result, &n);
  text[n] = '\0';
  assert_string_equal(text, "policy,capacity_pages,accesses,misses,miss_ratio\n"
                            "lru,2,10,10,1.000000000\n"
                            "lru,3,10,3,0.300000000\n"
                            "belady,2,10,6,0.600000000\n"
                            "belady,3,10,3,0.300000000\n");
  free(text);
  assert_int_equal(COMMAND(path, "--policy=fifo", "--capacity=33.4%", "--output", result), 0);
  text = (char *)fixture_slurp(result, &n);
  text[n] = '\0';
  assert_string_equal(text, "policy  capacity_pages      accesses        misses  miss_ratio\n"
                            "fifo                 1            10            10    1.000000\n");
  free(text);
  unlink(path);
  unlink(result);
}

static void test_json(void **unused)
{
  (void)unused;
  char path[64], result[64];
  write_trace(path);
  fixture_path(result);
  assert_int_equal(COMMAND(path, "--policy", "all", "-c", "2", "--json", "--jobs", "2", "-o", result), 0);
  json_t *root = json_load_file(result, 0, NULL);
  assert_non_null(root);
  assert_int_equal(json_integer_value(json_object_get(root, "accesses")), 10);
  assert_int_equal(json_integer_value(json_object_get(root, "pages")), 3);
  const json_t *rows = json_object_get(root, "rows"), *first = json_array_get(rows, 0);
  size_t n = 0;
  while (emuv_policies[n]) n++;
  assert_int_equal(json_array_size(rows), n);
  assert_string_equal(json_string_value(json_object_get(first, "policy")), emuv_policies[0]->name);
  assert_int_equal(json_integer_value(json_object_get(first, "capacity_pages")), 2);
  assert_int_equal(json_integer_value(json_object_get(first, "misses")), 10);
  assert_true(json_real_value(json_object_get(first, "miss_ratio")) == 1.0);
  json_decref(root);
  unlink(path);
  unlink(result);
}

static void test_status(void **unused)
{
  (void)unused;
  char path[64], result[64];
  write_trace(path);
  fixture_path(result);
  assert_int_equal(COMMAND(path, "-o", result), 0);
  static const char *const usage[][3] = {
      {"--policy", "lur"},     {"--policy", "lru,,fifo"}, {"--capacity", "0"},
      {"--capacity", "12K"},   {"--capacity", "101%"},    {"--capacity", "0%"},
      {"--capacity", "-5"},    {"--capacity", "nan%"},    {"--capacity", "99999999999999999999"},
      {"--format", "parquet"}, {"--jobs", "0"},           {"--jobs", "65"},
      {"--jobs", "2x"},        {"--seed", "-1"},          {"--polcy", "lru"},
      {"--page-size", "64K"},  {"--page-size", "64KiB"},  {"--page-size", "1B"},
  };
  for (size_t i = 0; i < sizeof usage / sizeof *usage; i++) {
    int status = COMMAND(path, usage[i][0], usage[i][1], "-o", result);
    if (status != 2) fail_msg("%s %s: status %d", usage[i][0], usage[i][1], status);
  }
  assert_int_equal(COMMAND(path, path, "-o", result), 2);
  assert_int_equal(COMMAND("--csv"), 2);
  assert_int_equal(COMMAND(path, "--format", "oracleGeneral", "-o", result), 3);
  assert_int_equal(COMMAND("/nonexistent/trace.csv", "-o", result), 1);
  assert_int_equal(COMMAND(path, "-o", "/nonexistent/out"), 1);
  unlink(path);
  unlink(result);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lru_curves),
      cmocka_unit_test(test_capacities),
      cmocka_unit_test(test_threads_change_nothing),
      cmocka_unit_test(test_output),
      cmocka_unit_test(test_json),
      cmocka_unit_test(test_status),
  };
  return cmocka_run_group_tests_name("mrc", tests, NULL, NULL);
}
