// SPDX-License-Identifier: Apache-2.0
/* Readers of `emuv-sim mrc`: what each format gives, and what each broken file is told. */
#include "trace_fixture.h"

#include "simulator/mrc_ids.h"

static void file_with(char path[64], const void *data, size_t n)
{
  FILE *out = fopen(fixture_path(path), "wb");
  assert_non_null(out);
  assert_int_equal(fwrite(data, 1, n, out), n);
  assert_int_equal(fclose(out), 0);
}

static int read_bytes(const void *data, size_t n, const char *format, struct emuv_mrc_trace *t, struct emuv_err *err)
{
  char path[64];
  *err = (struct emuv_err){0};
  file_with(path, data, n);
  int rc = emuv_mrc_read(path, format, 0, t, err);
  unlink(path);
  return rc;
}

static void expect(const char *text, const char *refs)
{
  struct emuv_mrc_trace t;
  struct emuv_err err;
  if (read_bytes(text, strlen(text), "csv", &t, &err)) fail_msg("%s: %s", text, err.text);
  assert_int_equal(t.n, strlen(refs));
  uint32_t pages = 0;
  for (size_t i = 0; i < t.n; i++) {
    assert_int_equal(t.refs[i], refs[i] - 'a');
    if (t.refs[i] >= pages) pages = t.refs[i] + 1;
  }
  assert_int_equal(t.n_pages, pages);
  emuv_mrc_trace_free(&t);
}

static void test_csv_forms(void **unused)
{
  (void)unused;
  expect("1\n2\n1\n", "aba");
  expect("1\n2\n1", "aba");
  expect("object\n1\n2\r\n\r\n1\r\n", "aba");
  expect("time,object,size\n0,7,1\n1,8,1\n2,7,1\n", "aba");
  expect("Time, Obj_ID ,size\n0, 7 ,1\n1,8,1\n2,7,1\n", "aba");
  expect("id,name\n7,\"x,y\"\n\"8\",z\n", "ab");
  expect("alpha\nbeta\nalpha\n12x\n", "abac");
  expect("0x10\n16\n0X10\n010\n", "aaab");
  expect("18446744073709551615\n0\n18446744073709551616\n0xffffffffffffffff\n", "abca");
}

static void expect_error(const char *text, size_t n, const char *format, long line, long column, const char *message)
{
  struct emuv_mrc_trace t;
  struct emuv_err err;
  assert_int_equal(read_bytes(text, n, format, &t, &err), EMUV_ERR_INPUT);
  if (err.line != line || err.column != column || !strstr(err.text, message)) {
    fail_msg("%ld:%ld: %s, expected %ld:%ld: %s", err.line, err.column, err.text, line, column, message);
  }
  assert_null(t.refs);
}

static void test_csv_errors(void **unused)
{
  (void)unused;
  static const struct {
    const char *text;
    long line, column;
    const char *message;
  } cases[] = {
      {"", 0, 0, "no references"},
      {"\n\n", 0, 0, "no references"},
      {"object\n", 0, 0, "no references"},
      {"1,2\n", 1, 1, "no header"},
      {"id,size\n1,1\n2\n", 3, 2, "1 fields where the first line has 2"},
      {"id,size\n1,1\n2,1,4\n", 3, 1, "3 fields where the first line has 2"},
      {"size,id\n1,1\n22,\n", 3, 4, "empty object id"},
      {"size,id\n1, \n", 2, 3, "empty object id"},
      {"id,size\n\"1,1\n", 2, 1, "not closed"},
      {"id,size\n\"1\"x,1\n", 2, 4, "a comma after the quote"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    expect_error(cases[i].text, strlen(cases[i].text), "csv", cases[i].line, cases[i].column, cases[i].message);
  }
  expect_error("1\n2\0\n", 5, "csv", 2, 1, "zero byte");
}

/* A line longer than any buffer, and lines that lie across the end of the buffer. */
static void test_csv_long(void **unused)
{
  (void)unused;
  size_t n = 1 << 20;
  char *text = malloc(n + 1);
  assert_non_null(text);
  memset(text, '7', n);
  expect_error(text, n, "csv", 1, 1, "line without an end");
  for (size_t i = 6; i < n; i += 7) text[i] = '\n';
  struct emuv_mrc_trace t;
  struct emuv_err err;
  assert_int_equal(read_bytes(text, n - n % 7, "csv", &t, &err), 0);
  assert_int_equal(t.n, n / 7);
  assert_int_equal(t.n_pages, 1);
  emuv_mrc_trace_free(&t);
  free(text);
}

struct __attribute__((packed)) record {
  uint32_t time;
  uint64_t object;
  uint32_t size;
  int64_t next;
};

static void test_oracle_general(void **unused)
{
  (void)unused;
  struct record r[3] = {{1, 0, 5, 7}, {2, UINT64_MAX, 0, -1}, {3, 0, 1, 99}};
  struct emuv_mrc_trace t;
  struct emuv_err err;
  assert_int_equal(read_bytes(r, sizeof r, NULL, &t, &err), 0);
  assert_int_equal(t.n, 3);
  assert_int_equal(t.n_pages, 2);
  assert_int_equal(t.refs[0], 0);
  assert_int_equal(t.refs[1], 1);
  assert_int_equal(t.refs[2], 0);
  emuv_mrc_trace_free(&t);
  expect_error((char *)r, sizeof r - 1, NULL, 0, 0, "truncated record: 23 bytes after record 2 (byte 48)");
  expect_error((char *)r, 3, "oracleGeneral", 0, 0, "truncated record: 3 bytes after record 0");
  expect_error("", 0, "oracleGeneral", 0, 0, "no references");
  expect_error("\x28\xb5\x2f\xfd rest", 9, NULL, 0, 0, "compressed with zstd");
}

static void test_names_choose_the_format(void **unused)
{
  (void)unused;
  static const char *const suffixes[] = {".csv", ".TXT", ".oracleGeneral", ".oracleGeneral.bin"};
  struct record r = {0x31313131, 0x0a31310a31310a31, 0x0a313131, 0x31310a31310a3131};
  for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
    char path[64], renamed[96];
    struct emuv_mrc_trace t;
    file_with(path, &r, sizeof r);
    snprintf(renamed, sizeof renamed, "%s%s", path, suffixes[i]);
    assert_int_equal(rename(path, renamed), 0);
    assert_int_equal(emuv_mrc_read(renamed, NULL, 0, &t, NULL), 0);
    assert_int_equal(t.n == 1, i >= 2);
    emuv_mrc_trace_free(&t);
    unlink(renamed);
  }
}

static void test_captured_trace(void **unused)
{
  (void)unused;
  char path[64];
  struct emuv_trace_writer *w;
  struct emuv_mrc_trace t;
  struct emuv_err err = {0};
  assert_int_equal(emuv_trace_writer_open(&w, fixture_path(path), NULL, &err), 0);
  const struct emuv_trace_allocation a = {
      .id = 1, .address = 1 << 30, .bytes = 64 << 10, .kind = EMUV_TRACE_MEMORY_DEVICE};
  assert_int_equal(emuv_trace_writer_allocation(w, &a), 0);
  for (uint64_t i = 0; i < 3; i++) {
    const struct emuv_trace_operand o = {.allocation = 1, .bytes = 32 << 10, .cls = EMUV_TRACE_CLASS_EXACT};
    struct emuv_trace_launch l = {
        .sequence = i + 1, .enter_ns = i + 1, .exit_ns = i + 1, .cls = EMUV_TRACE_CLASS_EXACT};
    l.operands = &o;
    l.n_operands = 1;
    assert_int_equal(emuv_trace_writer_launch(w, &l), 0);
  }
  assert_int_equal(emuv_trace_writer_close(w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, &err), 0);
  assert_int_equal(emuv_mrc_read(path, NULL, 4096, &t, &err), 0);
  assert_int_equal(t.n_pages, 8);
  assert_int_equal(t.n, 24);
  for (size_t i = 0; i < t.n; i++) assert_int_equal(t.refs[i], i % 8);
  emuv_mrc_trace_free(&t);
  assert_int_equal(emuv_mrc_read(path, "emuv", 0, &t, &err), 0);
  assert_int_equal(t.n_pages, 1);
  assert_int_equal(t.n, 3);
  emuv_mrc_trace_free(&t);
  unlink(path);
}

static void test_page_size_without_addresses(void **unused)
{
  (void)unused;
  char path[64];
  struct emuv_mrc_trace t;
  struct emuv_err err = {0};
  file_with(path, "1\n", 2);
  assert_int_equal(emuv_mrc_read(path, "csv", 4096, &t, &err), EMUV_ERR_USAGE);
  assert_non_null(strstr(err.text, "page size"));
  unlink(path);
  assert_int_equal(emuv_mrc_read(path, "csv", 0, &t, &err), EMUV_ERR_IO);
}

/* Ids are dense in the order of first appearance, through many growths of the table and of the string. */
static void test_ids(void **unused)
{
  (void)unused;
  enum { OBJECTS = 300000, CHUNK = 1000 };
  struct emuv_mrc_trace t;
  struct emuv_mrc_ids ids;
  struct emuv_err err = {0};
  uint64_t objects[CHUNK];
  assert_int_equal(emuv_mrc_ids_init(&ids, &t, 0, &err), 0);
  for (int round = 0; round < 5; round++) {
    for (uint64_t first = 0; first < OBJECTS; first += CHUNK) {
      for (uint64_t i = 0; i < CHUNK; i++) objects[i] = (first + i) << 40 | (first + i) >> 24;
      assert_int_equal(emuv_mrc_ids_append(&ids, objects, CHUNK, &err), 0);
    }
  }
  emuv_mrc_ids_free(&ids);
  assert_int_equal(t.n_pages, OBJECTS);
  assert_int_equal(t.n, 5 * OBJECTS);
  for (size_t i = 0; i < t.n; i++) {
    if (t.refs[i] != i % OBJECTS) fail_msg("reference %zu is %u", i, t.refs[i]);
  }
  emuv_mrc_trace_free(&t);
  assert_int_equal(emuv_mrc_ids_init(&ids, &t, EMUV_MRC_MAX_REFS + 1, &err), EMUV_ERR_UNSUPPORTED);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_csv_forms),
      cmocka_unit_test(test_csv_errors),
      cmocka_unit_test(test_csv_long),
      cmocka_unit_test(test_oracle_general),
      cmocka_unit_test(test_names_choose_the_format),
      cmocka_unit_test(test_captured_trace),
      cmocka_unit_test(test_page_size_without_addresses),
      cmocka_unit_test(test_ids),
  };
  return cmocka_run_group_tests_name("mrc readers", tests, NULL, NULL);
}
