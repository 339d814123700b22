// SPDX-License-Identifier: Apache-2.0
/* What the simulator does with the access of a trace's operands: written pages become dirty and are written back, read
 * ones are not, and unknown ones follow the key unknown_access. */
#include "trace_scan.h"

#include "simulator/scenario_internal.h"
#include "simulator/simulate.h"

enum { OBJECTS = 8, ROUNDS = 6, OBJECT_BYTES = 4 << 20 };

/* OBJECTS buffers, one after the other, ROUNDS times; half of them fit. */
static void write_scan(char path[64], uint32_t access, uint32_t provenance)
{
  struct scan s;
  struct emuv_err err;
  scan_begin(&s);
  scan_allocate(&s, 1, (uint64_t)OBJECTS * OBJECT_BYTES, EMUV_TRACE_MEMORY_DEVICE);
  for (uint64_t i = 0; i < OBJECTS * ROUNDS; i++) {
    struct emuv_trace_operand o = scan_operand(1, i % OBJECTS * OBJECT_BYTES, OBJECT_BYTES);
    o.access = access;
    o.provenance = provenance;
    scan_launch(&s, (uint32_t)i, 1000 + i * 10000, 1000 + i * 10000 + 5000, &o, 1);
  }
  strcpy(path, s.path);
  if (emuv_trace_writer_close(s.w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, &err)) fail_msg("%s", err.text);
}

static struct emuv_metrics simulate(uint32_t access, uint32_t provenance, const char *key)
{
  char path[64], text[512];
  struct emuv_scenario s;
  struct emuv_workload w = {0};
  struct emuv_metrics m;
  struct emuv_err err = {0};
  write_scan(path, access, provenance);
  int n = snprintf(text, sizeof text, "trace: \"%s\"\nhardware: h200\ntokens: 100\nvram: 16MiB\npage_size: 2MiB\n%s",
                   path, key);
  if (emuv_scenario_parse("test.yaml", text, (size_t)n, NULL, 0, &s, &err)) fail_msg("%s: %s", err.text, err.hint);
  if (emuv_workload_build(&s.configs[0], &w, &err)) fail_msg("%s", err.text);
  if (emuv_simulate(&s.configs[0], &w, &m, &err)) fail_msg("%s", err.text);
  emuv_workload_free(&w);
  emuv_scenario_free(&s);
  unlink(path);
  return m;
}

static void written_pages_are_written_back(void **state)
{
  (void)state;
  struct emuv_metrics read = simulate(EMUV_TRACE_ACCESS_READ, EMUV_TRACE_FROM_TENSORMAP, "");
  struct emuv_metrics write = simulate(EMUV_TRACE_ACCESS_WRITE, EMUV_TRACE_FROM_TENSORMAP, "");
  struct emuv_metrics both = simulate(EMUV_TRACE_ACCESS_BOTH, EMUV_TRACE_FROM_TENSORMAP, "");
  uint64_t timed = (read.accesses + 1) * ((uint64_t)2 << 20) / 2; /* more than half of what passes */
  assert_int_equal(read.d2h_bytes, 0);
  assert_true(read.h2d_bytes > timed);
  assert_true(write.d2h_bytes > timed && both.d2h_bytes > timed);
  assert_true(both.h2d_bytes > timed);
}

/* A page that was seen to be written may keep what it held elsewhere. */
static void pages_seen_to_be_written_are_brought_in(void **state)
{
  (void)state;
  struct emuv_metrics page = simulate(EMUV_TRACE_ACCESS_WRITE, EMUV_TRACE_FROM_PAGE, "");
  struct emuv_metrics both = simulate(EMUV_TRACE_ACCESS_BOTH, EMUV_TRACE_FROM_PAGE, "");
  assert_int_equal(page.h2d_bytes, both.h2d_bytes);
  assert_int_equal(page.d2h_bytes, both.d2h_bytes);
  assert_true(page.h2d_bytes > 0 && page.d2h_bytes > 0);
}

static void unknown_access_follows_the_key(void **state)
{
  (void)state;
  struct emuv_metrics read = simulate(EMUV_TRACE_ACCESS_READ, EMUV_TRACE_FROM_PARAM, "");
  struct emuv_metrics both = simulate(EMUV_TRACE_ACCESS_BOTH, EMUV_TRACE_FROM_PARAM, "");
  struct emuv_metrics unset = simulate(EMUV_TRACE_ACCESS_UNKNOWN, EMUV_TRACE_FROM_PARAM, "");
  struct emuv_metrics clean = simulate(EMUV_TRACE_ACCESS_UNKNOWN, EMUV_TRACE_FROM_PARAM, "unknown_access: read\n");
  struct emuv_metrics dirty =
      simulate(EMUV_TRACE_ACCESS_UNKNOWN, EMUV_TRACE_FROM_PARAM, "unknown_access: read-write\n");
  assert_int_equal(unset.d2h_bytes, read.d2h_bytes);
  assert_int_equal(clean.d2h_bytes, read.d2h_bytes);
  assert_int_equal(unset.h2d_bytes, read.h2d_bytes);
  assert_int_equal(dirty.d2h_bytes, both.d2h_bytes);
  assert_int_equal(dirty.h2d_bytes, both.h2d_bytes);
}

/* Rows of before the key existed keep their identity; other values have one of their own. */
static void the_default_is_not_hashed(void **state)
{
  (void)state;
  char hash[3][33], canonical[8192];
  for (int i = 0; i < 3; i++) {
    struct emuv_config c;
    struct emuv_err err;
    assert_int_equal(emuv_config_defaults(&c, &err), 0);
    strcpy(c.source, "trace");
    strcpy(c.unknown_access, i == 2 ? "read-write" : "read");
    emuv_config_canonical(&c);
    emuv_config_text(&c, canonical, sizeof canonical);
    assert_int_equal(strstr(canonical, "unknown_access") != NULL, i == 2);
    emuv_config_hash(&c, 1, hash[i]);
  }
  assert_string_equal(hash[0], hash[1]);
  assert_string_not_equal(hash[0], hash[2]);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(written_pages_are_written_back),
      cmocka_unit_test(pages_seen_to_be_written_are_brought_in),
      cmocka_unit_test(unknown_access_follows_the_key),
      cmocka_unit_test(the_default_is_not_hashed),
  };
  return cmocka_run_group_tests_name("access of a trace's operands", tests, NULL, NULL);
}
