// SPDX-License-Identifier: Apache-2.0
/* Reference strings in and out of traces, page references, and the numbers of `emuv-trace info`. */
#include "trace_decode.h"

#include "tracer/format/block.h"
#include "tracer/format/info.h"
#include "tracer/format/oracle.h"
#include "tracer/format/pages.h"

struct reference {
  uint32_t time;
  uint64_t object;
  uint32_t bytes;
  int64_t next;
};

static void put(uint8_t *p, const struct reference *r)
{
  emuv_put32(p, r->time);
  emuv_put64(p + 4, r->object);
  emuv_put32(p + 12, r->bytes);
  emuv_put64(p + 16, (uint64_t)r->next);
}

static void import_bytes(const void *bytes, size_t n, const char *path, int want, struct emuv_err *err)
{
  FILE *in = fmemopen((void *)(uintptr_t)bytes, n, "rb");
  assert_non_null(in);
  uint64_t count;
  int code = emuv_trace_import_oracle(in, "memory", path, &count, err);
  fclose(in);
  if (code != want) fail_msg("%d: %s", code, err->text);
}

static uint8_t *export_bytes(const char *path, uint64_t page_bytes, size_t *n)
{
  char *data = NULL;
  FILE *out = open_memstream(&data, n);
  assert_non_null(out);
  struct emuv_err err;
  uint64_t count;
  if (emuv_trace_export_oracle(path, page_bytes, out, &count, &err) != 0) fail_msg("%s", err.text);
  fclose(out);
  assert_int_equal(*n, count * EMUV_ORACLE_RECORD_BYTES);
  return (uint8_t *)data;
}

/* Objects of different sizes with true next uses come back byte for byte. */
static void objects_round_trip(void **state)
{
  (void)state;
  enum { N = 5000, OBJECTS = 300 };
  static uint8_t bytes[N * EMUV_ORACLE_RECORD_BYTES];
  static struct reference r[N];
  struct emuv_rng rng;
  emuv_rng_seed(&rng, 8);
  int64_t last[OBJECTS];
  for (int i = 0; i < OBJECTS; i++) last[i] = -1;
  for (size_t i = N; i-- > 0;) {
    uint64_t k = emuv_rng_below(&rng, OBJECTS);
    r[i] = (struct reference){(uint32_t)(i / 10), k * 0x9e3779b97f4a7c15u, (uint32_t)(k % 17 + 1) * 100, last[k]};
    last[k] = (int64_t)i + 1;
    put(bytes + i * EMUV_ORACLE_RECORD_BYTES, &r[i]);
  }
  char path[64];
  struct emuv_err err;
  import_bytes(bytes, sizeof bytes, fixture_path(path), 0, &err);
  size_t n;
  uint8_t *back = export_bytes(path, 0, &n);
  assert_int_equal(n, sizeof bytes);
  assert_memory_equal(back, bytes, n);
  free(back);
  unlink(path);
}

static void bad_oracle_input(void **state)
{
  (void)state;
  char path[64];
  struct emuv_err err;
  uint8_t bytes[100] = {0};
  import_bytes(bytes, 49, fixture_path(path), EMUV_ERR_INPUT, &err);
  assert_int_equal(err.column, 48);
  unlink(path);
}

static int import_csv(const char *text, const char *path, uint64_t *n, struct emuv_err *err)
{
  FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
  assert_non_null(in);
  int code = emuv_trace_import_csv(in, "in.csv", 4096, path, n, err);
  fclose(in);
  return code;
}

static void csv_is_read(void **state)
{
  (void)state;
  char path[64];
  fixture_path(path);
  struct emuv_err err;
  uint64_t n;
  assert_int_equal(import_csv("time,\"obj_id\", size\r\n3,0x10,100\n\n4, 17 ,200\n5,16,150\n", path, &n, &err), 0);
  assert_int_equal(n, 3);
  size_t bytes;
  uint8_t *out = export_bytes(path, 0, &bytes);
  assert_int_equal(bytes, 72);
  assert_int_equal(emuv_get32(out), 3);
  assert_int_equal(emuv_get64(out + 4), 16);
  assert_int_equal(emuv_get32(out + 12), 100);
  assert_int_equal(emuv_get64(out + 16), 3);
  assert_true(emuv_get64(out + 24 + 16) == UINT64_MAX);
  assert_int_equal(emuv_get32(out + 48 + 12), 150);
  free(out);
  assert_int_equal(import_csv("7\n8\n7", path, &n, &err), 0);
  out = export_bytes(path, 0, &bytes);
  assert_int_equal(bytes, 72);
  assert_int_equal(emuv_get32(out + 12), 4096);
  free(out);
  unlink(path);
}

static void bad_csv_has_a_place(void **state)
{
  (void)state;
  static const struct {
    const char *text;
    long line, column;
  } bad[] = {{"object,size\n1,2\nx,2\n", 3, 1},
             {"object,size\n1,-2\n", 2, 3},
             {"object,size\n1\n", 2, 1},
             {"1,2\n", 1, 1},
             {"time,object\n4294967296,1\n", 2, 1}};
  char path[64];
  fixture_path(path);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct emuv_err err;
    uint64_t n;
    assert_int_equal(import_csv(bad[i].text, path, &n, &err), EMUV_ERR_INPUT);
    assert_string_equal(err.file, "in.csv");
    assert_int_equal(err.line, bad[i].line);
    assert_int_equal(err.column, bad[i].column);
  }
  struct emuv_err err;
  uint64_t n;
  assert_int_equal(import_csv("object\n", path, &n, &err), EMUV_ERR_INPUT);
  unlink(path);
}

/* Pages of a decode: every page of the touched memory is referenced, ids are dense, and a token references each page of
 * the weights once. */
static void pages_cover_the_space(void **state)
{
  (void)state;
  struct decode d = {.layers = 4, .tokens = 5, .matrix_bytes = 8 << 20, .launch_host_ns = 9000, .kernel_ns = 5000};
  char path[64];
  decode_write(&d, fixture_path(path));
  struct emuv_trace_pages pages;
  struct emuv_err err;
  assert_int_equal(emuv_trace_pages_open(path, 2 << 20, &pages, &err), 0);
  assert_int_equal(pages.n_pages, d.weight_bytes / (2 << 20) + 1);
  uint32_t *count = calloc(pages.n_pages, sizeof *count);
  assert_non_null(count);
  for (int round = 0; round < 2; round++) {
    struct emuv_page_reference r;
    while (emuv_trace_pages_next(&pages, &r)) {
      assert_true(r.n >= 1 && r.first + r.n <= pages.n_pages);
      assert_true(r.address / pages.page_bytes == r.first);
      for (uint64_t i = 0; i < r.n; i++) count[r.first + i]++;
    }
    emuv_trace_pages_rewind(&pages);
  }
  for (uint64_t i = 0; i + 1 < pages.n_pages; i++)
    assert_int_equal(count[i], 2 * (2 + d.tokens)); /* upload, prefill, tokens */
  free(count);
  emuv_trace_pages_close(&pages);
  assert_int_equal(emuv_trace_pages_open(path, 0, &pages, &err), EMUV_ERR_RANGE);
  size_t n;
  free(export_bytes(path, 2 << 20, &n));
  assert_true(n > d.weight_bytes / (2 << 20) * (2 + d.tokens) * EMUV_ORACLE_RECORD_BYTES);
  unlink(path);
}

static void info_adds_up(void **state)
{
  (void)state;
  struct decode d = {
      .layers = 4, .tokens = 9, .matrix_bytes = 8 << 20, .launch_host_ns = 9000, .kernel_ns = 4000, .late_times = true};
  char path[64];
  decode_write(&d, fixture_path(path));
  struct emuv_trace_data data;
  struct emuv_trace_info info;
  struct emuv_err err;
  assert_int_equal(emuv_trace_load(path, &data, &err), 0);
  assert_int_equal(data.untimed, 0);
  assert_int_equal(data.unmatched_times, 0);
  assert_int_equal(emuv_trace_info_compute(&data, &info, &err), 0);
  uint64_t per_token = d.layers * 4 + 1;
  assert_int_equal(info.launches, d.layers * 4 + d.tokens * per_token);
  assert_int_equal(info.exact, info.launches);
  assert_int_equal(info.h2d_bytes, d.weight_bytes);
  assert_int_equal(info.d2h_bytes, 4 * (d.tokens + 1));
  assert_int_equal(info.allocations, d.layers + 1);
  assert_int_equal(info.peak_bytes, d.layers * 4 * d.matrix_bytes + (2 << 20));
  assert_int_equal(info.steps, d.tokens);
  assert_int_equal(info.step_launches, per_token);
  assert_int_equal(info.step_exact_bytes, d.weight_bytes + 2 * DECODE_ACTIVATION + 4);
  assert_int_equal(info.period, per_token + 1);
  uint64_t launches = 0, ns = 0;
  for (size_t i = 0; i < info.n_kernels; i++) {
    launches += info.kernels[i].launches;
    ns += info.kernels[i].device_ns;
    if (i) assert_true(info.kernels[i].device_ns <= info.kernels[i - 1].device_ns);
  }
  assert_int_equal(launches, info.launches);
  assert_true(ns < info.device_busy_ns && info.device_busy_ns < info.end_ns - info.begin_ns);
  assert_string_equal(emuv_trace_data_environment(&data, "gpu"), "synthetic");
  assert_null(emuv_trace_data_environment(&data, "cpu"));
  emuv_trace_info_free(&info);
  emuv_trace_data_free(&data);
  uint64_t a, b;
  assert_int_equal(emuv_trace_content_hash(path, &a, &err), 0);
  assert_int_equal(truncate(path, 1000), 0);
  assert_int_equal(emuv_trace_content_hash(path, &b, &err), 0);
  assert_true(a != b && a && b);
  unlink(path);
}

static struct emuv_trace_data load_records(void (*write)(struct emuv_trace_writer *))
{
  char path[64];
  struct emuv_trace_writer *w;
  struct emuv_err err;
  assert_int_equal(emuv_trace_writer_open(&w, fixture_path(path), NULL, &err), 0);
  write(w);
  assert_int_equal(emuv_trace_writer_close(w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, &err), 0);
  struct emuv_trace_data data;
  assert_int_equal(emuv_trace_load(path, &data, &err), 0);
  unlink(path);
  return data;
}

static void write_times(struct emuv_trace_writer *w)
{
  emuv_trace_writer_gpu_time(
      w, &(struct emuv_trace_gpu_time){.correlation = 5, .graph_node = 2, .start_ns = 70, .end_ns = 90});
  emuv_trace_writer_launch(w,
                           &(struct emuv_trace_launch){.correlation = 5, .flags = EMUV_TRACE_FLAG_GRAPH, .graph = 1});
  emuv_trace_writer_gpu_time(
      w, &(struct emuv_trace_gpu_time){.correlation = 5, .graph_node = 1, .start_ns = 50, .end_ns = 60});
  emuv_trace_writer_launch(w, &(struct emuv_trace_launch){.correlation = 6});
  emuv_trace_writer_launch(w, &(struct emuv_trace_launch){.correlation = 6, .graph_node = 3});
  emuv_trace_writer_launch(w, &(struct emuv_trace_launch){.correlation = 7, .start_ns = 1, .end_ns = 2});
  emuv_trace_writer_copy(w, &(struct emuv_trace_copy){.correlation = 8});
  emuv_trace_writer_gpu_time(w, &(struct emuv_trace_gpu_time){.correlation = 8, .start_ns = 10, .end_ns = 11});
  emuv_trace_writer_gpu_time(
      w, &(struct emuv_trace_gpu_time){.correlation = 6, .graph_node = 3, .start_ns = 20, .end_ns = 21});
  emuv_trace_writer_gpu_time(w, &(struct emuv_trace_gpu_time){.correlation = 9, .start_ns = 30, .end_ns = 31});
}

/* By correlation and node, whichever comes first; a graph spans its nodes. */
static void late_times_are_joined(void **state)
{
  (void)state;
  struct emuv_trace_data d = load_records(write_times);
  assert_int_equal(d.launches[0].start_ns, 50);
  assert_int_equal(d.launches[0].end_ns, 90);
  assert_int_equal(d.launches[1].end_ns, 0);
  assert_int_equal(d.launches[2].start_ns, 20);
  assert_int_equal(d.launches[3].end_ns, 2);
  assert_int_equal(d.copies[0].end_ns, 11);
  assert_int_equal(d.untimed, 1);
  assert_int_equal(d.unmatched_times, 1);
  emuv_trace_data_free(&d);
}

static void write_lives(struct emuv_trace_writer *w)
{
  for (uint64_t id = 3; id > 0; id--)
    emuv_trace_writer_allocation(w, &(struct emuv_trace_allocation){.id = id, .address = 4096, .bytes = id * 100});
  emuv_trace_writer_free(w, &(struct emuv_trace_free){.id = 2, .ns = 7});
  emuv_trace_writer_free(w, &(struct emuv_trace_free){.id = 9, .ns = 8});
  emuv_trace_writer_free(w, &(struct emuv_trace_free){.id = 2, .ns = 9});
}

/* Frees find their allocation by id; ids out of order are sorted, and the events still point to the right ones. */
static void frees_end_allocations(void **state)
{
  (void)state;
  struct emuv_trace_data d = load_records(write_lives);
  assert_int_equal(d.n_allocations, 3);
  assert_int_equal(emuv_trace_data_allocation(&d, 2)->free_ns, 7);
  assert_true(emuv_trace_data_allocation(&d, 2)->freed);
  assert_false(emuv_trace_data_allocation(&d, 3)->freed);
  assert_null(emuv_trace_data_allocation(&d, 9));
  assert_null(emuv_trace_data_allocation(&d, 0));
  for (uint32_t i = 0; i < 3; i++) assert_int_equal(d.allocations[d.events[i].index].a.id, 3 - i);
  emuv_trace_data_free(&d);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(objects_round_trip),    cmocka_unit_test(bad_oracle_input),      cmocka_unit_test(csv_is_read),
      cmocka_unit_test(bad_csv_has_a_place),   cmocka_unit_test(pages_cover_the_space), cmocka_unit_test(info_adds_up),
      cmocka_unit_test(late_times_are_joined), cmocka_unit_test(frees_end_allocations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
