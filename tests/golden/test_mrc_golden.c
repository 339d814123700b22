// SPDX-License-Identifier: Apache-2.0
/* Miss counts of mrc_counts.csv, by the way that `emuv-sim mrc` takes: one pass for lru, replay for the others. */
#include "simulator/mrc_run.h"
#include "tests/golden/trace_gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { REFS = 200000, MAX_ROWS = 64 };

struct golden {
  char trace[16];
  struct emuv_mrc_row row;
  uint64_t misses;
};

static void make(struct emuv_mrc_trace *t, const char *name)
{
  bool zipf = strcmp(name, "zipf") == 0;
  *t = (struct emuv_mrc_trace){.n = REFS, .allocated = REFS, .n_pages = zipf ? 5000 : 3000};
  t->refs = emuv_mrc_alloc(REFS * sizeof *t->refs);
  assert_non_null(t->refs);
  if (zipf) {
    assert_int_equal(trace_gen_zipf(t->refs, REFS, t->n_pages, 7), 0);
  } else {
    trace_gen_cyclic(t->refs, REFS, t->n_pages);
  }
}

static size_t load(struct golden *golden)
{
  char line[128], policy[32];
  size_t n = 0;
  FILE *in = fopen(EMUV_TEST_DIR "/golden/mrc_counts.csv", "r");
  assert_non_null(in);
  assert_non_null(fgets(line, sizeof line, in));
  while (fgets(line, sizeof line, in)) {
    struct golden *g = &golden[n++];
    assert_true(n <= MAX_ROWS);
    assert_int_equal(sscanf(line, "%15[^,],%31[^,],%lu,%lu", g->trace, policy, &g->row.capacity_pages, &g->misses), 4);
    g->row.policy = emuv_policy_find(policy);
    assert_non_null(g->row.policy);
  }
  fclose(in);
  return n;
}

static void check_trace(const struct golden *golden, size_t n, const char *name)
{
  struct emuv_mrc_row rows[MAX_ROWS];
  uint64_t misses[MAX_ROWS];
  struct emuv_mrc_trace t;
  struct emuv_err err = {0};
  size_t found = 0;
  for (size_t i = 0; i < n; i++) {
    if (strcmp(golden[i].trace, name) != 0) continue;
    misses[found] = golden[i].misses;
    rows[found++] = golden[i].row;
  }
  assert_true(found >= 20);
  make(&t, name);
  assert_int_equal(emuv_mrc_run(&t, rows, found, 1, 1, &err), 0);
  for (size_t i = 0; i < found; i++) {
    if (rows[i].misses != misses[i]) {
      fail_msg("%s, %s, %lu pages: %lu misses, not %lu", name, rows[i].policy->name, rows[i].capacity_pages,
               rows[i].misses, misses[i]);
    }
  }
  emuv_mrc_trace_free(&t);
}

static void test_counts(void **unused)
{
  (void)unused;
  struct golden golden[MAX_ROWS];
  size_t n = load(golden);
  check_trace(golden, n, "zipf");
  check_trace(golden, n, "cyclic");
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts)};
  return cmocka_run_group_tests_name("mrc golden", tests, NULL, NULL);
}
