// SPDX-License-Identifier: Apache-2.0
/* The trace format: what is written is read back, by one thread or several, closed or killed, with a disk that is full
 * or a size limit, and by a reader that is older than the file. */
#include "trace_fixture.h"

#include "tracer/format/block.h"
#include "tracer/format/crc32c.h"
#include "tracer/format/varint.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void crc_known_answers(void **state)
{
  (void)state;
  static const uint8_t zeros[32];
  assert_int_equal(emuv_crc32c(0, "123456789", 9), 0xe3069283u);
  assert_int_equal(emuv_crc32c(0, zeros, 32), 0x8a9136aau); /* RFC 3720, B.4 */
  assert_int_equal(emuv_crc32c(0, "", 0), 0);
  uint8_t data[300];
  struct emuv_rng rng;
  emuv_rng_seed(&rng, 1);
  for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)emuv_rng_next(&rng);
  for (size_t n = 0; n < sizeof data; n++) {
    assert_int_equal(emuv_crc32c(0, data, n), emuv_crc32c_table(0, data, n));
    assert_int_equal(emuv_crc32c(emuv_crc32c(0, data, n / 2), data + n / 2, n - n / 2), emuv_crc32c(0, data, n));
  }
}

static void varints_are_strict(void **state)
{
  (void)state;
  const uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, (uint64_t)1 << 63, UINT64_MAX};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    uint8_t bytes[10];
    uint64_t back;
    const uint8_t *end = emuv_varint_put(bytes, values[i]);
    assert_ptr_equal(emuv_varint_get(bytes, end, &back), end);
    assert_true(back == values[i]);
    assert_null(emuv_varint_get(bytes, end - 1, &back));
    assert_true(emuv_unzigzag(emuv_zigzag(values[i])) == values[i]);
  }
  const uint8_t too_long[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
  uint64_t v;
  assert_null(emuv_varint_get(too_long, too_long + sizeof too_long, &v));
}

static struct emuv_trace_writer *open_writer(const char *path, const struct emuv_trace_writer_options *options)
{
  struct emuv_trace_writer *w;
  struct emuv_err err;
  if (emuv_trace_writer_open(&w, path, options, &err) != 0) fail_msg("%s", err.text);
  return w;
}

static void close_writer(struct emuv_trace_writer *w)
{
  struct emuv_err err;
  if (emuv_trace_writer_close(w, EMUV_TRACE_STATUS_COMPLETE, 3, "as planned", &err) != 0) fail_msg("%s", err.text);
}

static struct emuv_trace_reader *open_reader(const char *path)
{
  struct emuv_trace_reader *r;
  struct emuv_err err;
  if (emuv_trace_reader_open(&r, path, &err) != 0) fail_msg("%s", err.text);
  return r;
}

static uint64_t count_records(const char *path, struct emuv_trace_reader_state *out)
{
  struct emuv_trace_reader *r = open_reader(path);
  struct emuv_trace_record record;
  struct emuv_err err;
  int got;
  while ((got = emuv_trace_reader_next(r, &record, &err)) > 0)
    ;
  if (got < 0) fail_msg("%s", err.text);
  *out = *emuv_trace_reader_state(r);
  emuv_trace_reader_close(r);
  return out->records;
}

static void every_type_round_trips(void **state)
{
  (void)state;
  enum { RECORDS = 20000 };
  char path[64];
  struct emuv_trace_writer_options options = {.block_bytes = 4096};
  struct emuv_trace_writer *w = open_writer(fixture_path(path), &options);
  struct emuv_trace_operand operands[FIXTURE_OPERANDS];
  struct emuv_rng rng;
  emuv_rng_seed(&rng, 42);
  for (uint32_t i = 0; i < RECORDS; i++) {
    struct emuv_trace_record r = fixture_record(&rng, 1 + i % (EMUV_TRACE_TYPES - 1), operands);
    assert_int_equal(emuv_trace_writer_append(w, &r), 0);
  }
  close_writer(w);

  struct emuv_trace_reader *reader = open_reader(path);
  struct emuv_trace_record back;
  struct emuv_err err;
  emuv_rng_seed(&rng, 42);
  for (uint32_t i = 0; i < RECORDS; i++) {
    struct emuv_trace_record r = fixture_record(&rng, 1 + i % (EMUV_TRACE_TYPES - 1), operands);
    assert_int_equal(emuv_trace_reader_next(reader, &back, &err), 1);
    fixture_same(&r, &back);
  }
  assert_int_equal(emuv_trace_reader_next(reader, &back, &err), 0);
  const struct emuv_trace_reader_state *s = emuv_trace_reader_state(reader);
  assert_false(s->truncated);
  assert_true(s->n_blocks > 100);
  assert_int_equal(s->valid_bytes, s->file_bytes);
  assert_true(s->has_verdict);
  assert_int_equal(s->verdict.records, RECORDS);
  assert_int_equal(s->verdict.exit_status, 3);
  assert_int_equal(s->verdict.status, EMUV_TRACE_STATUS_COMPLETE);
  assert_string_equal(s->verdict.text, "as planned");
  emuv_trace_reader_close(reader);
  unlink(path);
}

static void typed_calls_write_their_type(void **state)
{
  (void)state;
  char path[64];
  struct emuv_trace_writer *w = open_writer(fixture_path(path), NULL);
  emuv_trace_writer_environment(w, "gpu", "a card");
  emuv_trace_writer_process(w, &(struct emuv_trace_process){.pid = 1});
  emuv_trace_writer_thread(w, &(struct emuv_trace_thread){.tid = 2});
  emuv_trace_writer_allocation(w, &(struct emuv_trace_allocation){.id = 3});
  emuv_trace_writer_free(w, &(struct emuv_trace_free){.id = 3});
  emuv_trace_writer_copy(w, &(struct emuv_trace_copy){.bytes = 4});
  emuv_trace_writer_set(w, &(struct emuv_trace_set){.bytes = 5});
  emuv_trace_writer_launch(w, &(struct emuv_trace_launch){.kernel = 6});
  emuv_trace_writer_gpu_time(w, &(struct emuv_trace_gpu_time){.correlation = 7});
  emuv_trace_writer_range(w, &(struct emuv_trace_range){.tid = 8});
  emuv_trace_writer_sync(w, &(struct emuv_trace_sync){.tid = 9});
  emuv_trace_writer_gap(w, &(struct emuv_trace_gap){.count = 10});
  emuv_trace_writer_drop(w, &(struct emuv_trace_drop){.count = 11});
  emuv_trace_writer_tag(w, &(struct emuv_trace_tag){.bytes = 12});
  emuv_trace_writer_graph_node(w, &(struct emuv_trace_graph_node){.graph = 13});
  assert_int_equal(emuv_trace_writer_append(w, &(struct emuv_trace_record){.type = EMUV_TRACE_TYPES}), EMUV_ERR_RANGE);
  assert_int_equal(emuv_trace_writer_append(w, &(struct emuv_trace_record){.type = 0}), EMUV_ERR_RANGE);
  close_writer(w);
  struct emuv_trace_reader *r = open_reader(path);
  struct emuv_trace_record record;
  for (uint32_t type = 1; type < EMUV_TRACE_TYPES; type++) {
    assert_int_equal(emuv_trace_reader_next(r, &record, NULL), 1);
    assert_int_equal(record.type, type);
    if (type != EMUV_TRACE_ENVIRONMENT) continue;
    assert_string_equal(emuv_trace_reader_string(r, record.u.environment.key), "gpu");
    assert_string_equal(emuv_trace_reader_string(r, record.u.environment.value), "a card");
  }
  emuv_trace_reader_close(r);
  unlink(path);
}

static void dictionaries_intern(void **state)
{
  (void)state;
  char path[64], text[32];
  struct emuv_trace_writer *w = open_writer(fixture_path(path), NULL);
  assert_int_equal(emuv_trace_writer_string(w, NULL), 0);
  assert_int_equal(emuv_trace_writer_string(w, ""), 0);
  for (uint32_t round = 0; round < 2; round++)
    for (uint32_t i = 1; i <= 1000; i++) {
      snprintf(text, sizeof text, "name %u", i);
      assert_int_equal(emuv_trace_writer_string(w, text), i);
      if (i == 500) assert_int_equal(emuv_trace_writer_flush(w, NULL), 0);
    }
  struct emuv_trace_kernel k = {.name = 7, .n_params = 3, .registers = 128};
  assert_int_equal(emuv_trace_writer_kernel(w, &k), 1);
  k.registers = 64;
  assert_int_equal(emuv_trace_writer_kernel(w, &k), 2);
  k.registers = 128;
  assert_int_equal(emuv_trace_writer_kernel(w, &k), 1);
  char *huge = malloc(100000);
  assert_non_null(huge);
  memset(huge, 'x', 99999);
  huge[99999] = '\0';
  uint32_t cut = emuv_trace_writer_string(w, huge);
  close_writer(w);

  struct emuv_trace_reader_state s;
  assert_int_equal(count_records(path, &s), 0);
  struct emuv_trace_reader *r = open_reader(path);
  struct emuv_trace_record record;
  assert_int_equal(emuv_trace_reader_next(r, &record, NULL), 0);
  assert_int_equal(emuv_trace_reader_n_strings(r), 1001);
  assert_int_equal(emuv_trace_reader_n_kernels(r), 2);
  assert_string_equal(emuv_trace_reader_string(r, 999), "name 999");
  assert_int_equal(strlen(emuv_trace_reader_string(r, cut)), 65535);
  assert_string_equal(emuv_trace_reader_string(r, 1002), "");
  assert_int_equal(emuv_trace_reader_kernel(r, 2)->registers, 64);
  assert_int_equal(emuv_trace_reader_kernel(r, 1)->name, 7);
  assert_null(emuv_trace_reader_kernel(r, 0));
  assert_null(emuv_trace_reader_kernel(r, 3));
  emuv_trace_reader_close(r);
  free(huge);
  unlink(path);
}

enum { THREADS = 4, PER_THREAD = 20000 };

static void *append_many(void *argument)
{
  struct emuv_trace_writer *w = argument;
  uint64_t tid = emuv_trace_writer_sequence(w);
  for (uint32_t i = 0; i < PER_THREAD; i++) {
    char name[32];
    snprintf(name, sizeof name, "kernel %u", i % 100);
    struct emuv_trace_kernel k = {.name = emuv_trace_writer_string(w, name)};
    struct emuv_trace_operand o = {.allocation = 1, .bytes = i};
    struct emuv_trace_launch l = {.tid = (uint32_t)tid, .kernel = emuv_trace_writer_kernel(w, &k), .enter_ns = i};
    l.n_operands = 1;
    l.operands = &o;
    if (emuv_trace_writer_launch(w, &l) != 0) return w;
    if (i % 1000 == 0 && emuv_trace_writer_flush(w, NULL) != 0) return w;
  }
  return NULL;
}

static void threads_share_a_writer(void **state)
{
  (void)state;
  char path[64];
  struct emuv_trace_writer_options options = {.block_bytes = 8192};
  struct emuv_trace_writer *w = open_writer(fixture_path(path), &options);
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, append_many, w), 0);
  for (int i = 0; i < THREADS; i++) {
    void *result;
    pthread_join(threads[i], &result);
    assert_null(result);
  }
  close_writer(w);
  struct emuv_trace_reader *r = open_reader(path);
  struct emuv_trace_record record;
  uint32_t next[THREADS + 1] = {0};
  while (emuv_trace_reader_next(r, &record, NULL) > 0) {
    const struct emuv_trace_launch *l = &record.u.launch;
    assert_in_range(l->tid, 1, THREADS);
    uint32_t i = next[l->tid]++; /* each thread's records stay in its order */
    assert_int_equal(l->enter_ns, i);
    assert_int_equal(l->operands[0].bytes, i);
    char name[32];
    snprintf(name, sizeof name, "kernel %u", i % 100);
    assert_string_equal(emuv_trace_reader_string(r, emuv_trace_reader_kernel(r, l->kernel)->name), name);
  }
  assert_int_equal(emuv_trace_reader_state(r)->records, THREADS * PER_THREAD);
  assert_int_equal(emuv_trace_reader_n_kernels(r), 100);
  emuv_trace_reader_close(r);
  unlink(path);
}

static void append_ranges(struct emuv_trace_writer *w, uint32_t n)
{
  for (uint32_t i = 0; i < n; i++) emuv_trace_writer_range(w, &(struct emuv_trace_range){.ns = i, .tid = i});
}

static void killed_process_keeps_what_was_flushed(void **state)
{
  (void)state;
  char path[64];
  fixture_path(path);
  pid_t child = fork();
  if (child == 0) {
    struct emuv_trace_writer *w;
    if (emuv_trace_writer_open(&w, path, NULL, NULL) != 0) _exit(1);
    append_ranges(w, 1000);
    emuv_trace_writer_flush(w, NULL);
    append_ranges(w, 500);
    raise(SIGKILL);
  }
  int status;
  waitpid(child, &status, 0);
  assert_true(WIFSIGNALED(status));
  struct emuv_trace_reader_state s;
  assert_int_equal(count_records(path, &s), 1000);
  assert_true(s.truncated);
  assert_false(s.has_verdict);
  assert_int_equal(s.valid_bytes, s.file_bytes);
  unlink(path);
}

static void forked_child_is_inert(void **state)
{
  (void)state;
  char path[64];
  struct emuv_trace_writer *w = open_writer(fixture_path(path), NULL);
  append_ranges(w, 10);
  pid_t child = fork();
  if (child == 0) {
    emuv_trace_writer_disown(w);
    struct emuv_trace_range range = {0};
    bool inert = emuv_trace_writer_range(w, &range) == EMUV_ERR_UNSUPPORTED && emuv_trace_writer_string(w, "x") == 0 &&
                 emuv_trace_writer_flush(w, NULL) == EMUV_ERR_UNSUPPORTED &&
                 emuv_trace_writer_close(w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, NULL) == EMUV_ERR_UNSUPPORTED;
    _exit(inert ? 0 : 1);
  }
  int status;
  waitpid(child, &status, 0);
  assert_int_equal(status, 0);
  append_ranges(w, 5);
  close_writer(w);
  struct emuv_trace_reader_state s;
  assert_int_equal(count_records(path, &s), 15);
  assert_false(s.truncated);
  unlink(path);
}

/* Records that do not compress. */
static int append_noise(struct emuv_trace_writer *w, uint32_t n)
{
  struct emuv_rng rng;
  emuv_rng_seed(&rng, 5);
  int code = 0;
  for (uint32_t i = 0; i < n; i++) {
    struct emuv_trace_tag t = {.offset = emuv_rng_next(&rng), .bytes = emuv_rng_next(&rng)};
    code = emuv_trace_writer_tag(w, &t);
  }
  return code;
}

static void size_limit_ends_the_capture(void **state)
{
  (void)state;
  char path[64];
  struct emuv_trace_writer_options options = {.block_bytes = 4096, .max_bytes = 64 << 10};
  struct emuv_trace_writer *w = open_writer(fixture_path(path), &options);
  assert_int_equal(append_noise(w, 20000), EMUV_ERR_NOSPACE);
  struct emuv_err err;
  assert_int_equal(emuv_trace_writer_close(w, EMUV_TRACE_STATUS_COMPLETE, 0, "fine", &err), EMUV_ERR_NOSPACE);
  struct emuv_trace_reader_state s;
  uint64_t n = count_records(path, &s);
  assert_true(n > 1000 && n < 20000);
  assert_false(s.truncated);
  assert_true(s.file_bytes <= options.max_bytes);
  assert_int_equal(s.verdict.status, EMUV_TRACE_STATUS_SIZE_LIMIT);
  assert_int_equal(s.verdict.records, n);
  assert_int_equal(s.verdict.dropped, 20000 - n);
  unlink(path);
}

/* A limit on the file's size stands for a full disk: the kernel refuses to write beyond it, wholly or in part, and
 * would end the process with SIGXFSZ. */
static void fill_disk(const char *path, rlim_t bytes)
{
  struct rlimit limit = {.rlim_cur = bytes, .rlim_max = bytes};
  setrlimit(RLIMIT_FSIZE, &limit);
  struct emuv_trace_writer_options options = {.block_bytes = 4096};
  struct emuv_trace_writer *w;
  if (emuv_trace_writer_open(&w, path, &options, NULL) != 0) _exit(1);
  if (append_noise(w, 20000) != EMUV_ERR_NOSPACE) _exit(2);
  _exit(emuv_trace_writer_close(w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, NULL) == EMUV_ERR_NOSPACE ? 0 : 3);
}

/* Whether or not there is room left behind the last whole block. */
static void full_disk_leaves_a_verdict(void **state)
{
  (void)state;
  char path[64];
  for (rlim_t bytes = 50000; bytes < 55000; bytes += 487) {
    fixture_path(path);
    pid_t child = fork();
    if (child == 0) fill_disk(path, bytes);
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    struct emuv_trace_reader_state s;
    uint64_t n = count_records(path, &s);
    assert_true(n > 500);
    assert_false(s.truncated);
    assert_true(s.file_bytes <= bytes);
    assert_int_equal(s.verdict.status, EMUV_TRACE_STATUS_NO_SPACE);
    assert_int_equal(s.verdict.records, n);
    assert_int_equal(s.verdict.records + s.verdict.dropped, 20000);
    unlink(path);
  }
}

static void reproducible_files_are_equal(void **state)
{
  (void)state;
  char paths[2][64];
  uint8_t *data[2];
  size_t n[2];
  for (int i = 0; i < 2; i++) {
    struct emuv_trace_writer_options options = {.reproducible = true};
    struct emuv_trace_writer *w = open_writer(fixture_path(paths[i]), &options);
    emuv_trace_writer_environment(w, "a", "b");
    append_ranges(w, 1000);
    close_writer(w);
    data[i] = fixture_slurp(paths[i], &n[i]);
    unlink(paths[i]);
  }
  assert_int_equal(n[0], n[1]);
  assert_memory_equal(data[0], data[1], n[0]);
  free(data[0]);
  free(data[1]);
}

/* A decode loop repeats its launches; format and compression must fold that to well below 100 bytes a launch. */
static void repeated_launches_are_small(void **state)
{
  (void)state;
  enum { TOKENS = 64, LAUNCHES = 400 };
  char path[64];
  struct emuv_trace_writer *w = open_writer(fixture_path(path), NULL);
  struct emuv_rng rng;
  emuv_rng_seed(&rng, 9);
  uint64_t ns = 1000000000;
  for (uint64_t t = 0; t < TOKENS; t++)
    for (uint32_t i = 0; i < LAUNCHES; i++) {
      struct emuv_trace_operand o[3];
      for (uint32_t k = 0; k < 3; k++)
        o[k] = (struct emuv_trace_operand){.allocation = 1 + (i * 3 + k) % 97, .offset = (i * 7919 + k) % 4096 * 512};
      struct emuv_trace_launch l = {.sequence = t * LAUNCHES + i + 1, .correlation = 3 * (t * LAUNCHES + i), .tid = 77};
      l.enter_ns = ns += 5000 + emuv_rng_below(&rng, 10000);
      l.exit_ns = ns += 3000 + emuv_rng_below(&rng, 1000);
      l.kernel = i % 23 + 1;
      l.grid[0] = l.grid[1] = l.grid[2] = 1 + i % 5;
      l.n_operands = 3;
      l.operands = o;
      assert_int_equal(emuv_trace_writer_launch(w, &l), 0);
      struct emuv_trace_gpu_time g = {.correlation = l.correlation, .start_ns = ns + 2000};
      g.end_ns = g.start_ns + 2000 + emuv_rng_below(&rng, 2000);
      assert_int_equal(emuv_trace_writer_gpu_time(w, &g), 0);
    }
  close_writer(w);
  struct emuv_trace_reader_state s;
  count_records(path, &s);
  print_message("%.1f bytes per launch\n", (double)s.file_bytes / (TOKENS * LAUNCHES));
  assert_true(s.file_bytes < (uint64_t)TOKENS * LAUNCHES * 40);
  unlink(path);
}

/* ---- files of a newer version ---- */

struct file {
  uint8_t bytes[1024];
  size_t n, blocks;
};

static void put_header(struct file *f, uint16_t version, uint32_t flags)
{
  struct emuv_file_header h = {.version = version, .header_bytes = EMUV_FILE_HEADER_BYTES, .flags = flags};
  emuv_file_header_put(f->bytes, &h);
  f->n = EMUV_FILE_HEADER_BYTES;
  f->blocks = 0;
}

static void put_block(struct file *f, uint8_t type, uint16_t flags, const void *data, size_t n)
{
  struct emuv_block_header h = {.type = type, .flags = flags, .sequence = f->blocks++};
  h.stored_bytes = h.raw_bytes = (uint32_t)n;
  h.payload_crc = emuv_crc32c(0, data, n);
  emuv_block_header_put(f->bytes + f->n, &h);
  memcpy(f->bytes + f->n + EMUV_BLOCK_HEADER_BYTES, data, n);
  f->n += EMUV_BLOCK_HEADER_BYTES + n;
}

static int open_file(const struct file *f, struct emuv_trace_reader **r, struct emuv_err *err)
{
  return emuv_trace_reader_open_memory(r, f->bytes, f->n, "memory", err);
}

static void newer_versions_are_refused(void **state)
{
  (void)state;
  struct file f;
  struct emuv_trace_reader *r;
  struct emuv_err err;
  put_header(&f, EMUV_FORMAT_VERSION + 1, 0);
  assert_int_equal(open_file(&f, &r, &err), EMUV_ERR_UNSUPPORTED);
  assert_non_null(strstr(err.text, "version 2"));
  put_header(&f, EMUV_FORMAT_VERSION, 4);
  assert_int_equal(open_file(&f, &r, &err), EMUV_ERR_UNSUPPORTED);
  put_header(&f, EMUV_FORMAT_VERSION, 0);
  put_block(&f, 200, EMUV_BLOCK_CRITICAL, "?", 1);
  assert_int_equal(open_file(&f, &r, &err), 0);
  struct emuv_trace_record record;
  assert_int_equal(emuv_trace_reader_next(r, &record, &err), EMUV_ERR_UNSUPPORTED);
  assert_int_equal(err.column, EMUV_FILE_HEADER_BYTES);
  emuv_trace_reader_close(r);
}

/* An unknown block, an unknown record, a known record with two fields more, one with fields less. */
static void additions_are_skipped(void **state)
{
  (void)state;
  struct file f;
  put_header(&f, EMUV_FORMAT_VERSION, 0);
  put_block(&f, 200, 0, "anything", 8);
  const uint8_t records[] = {
      99,
      3,
      1,
      2,
      3, /* unknown type */
      EMUV_TRACE_ENVIRONMENT,
      4,
      5,
      6,
      7,
      8, /* two fields more */
      EMUV_TRACE_RANGE,
      2,
      20,
      1, /* ns = 10, push; the rest is missing */
      EMUV_TRACE_LAUNCH,
      13,
      1,
      9,
      4,
      1,
      2,
      0,
      0,
      0,
      0,
      50,
      60,
      2,
      2, /* an operand of nine fields, then two fields */
  };
  put_block(&f, EMUV_BLOCK_RECORDS, EMUV_BLOCK_CRITICAL, records, sizeof records);
  struct emuv_trace_reader *r;
  struct emuv_err err;
  assert_int_equal(open_file(&f, &r, &err), 0);
  struct emuv_trace_record record;
  assert_int_equal(emuv_trace_reader_next(r, &record, &err), 1);
  assert_int_equal(record.u.environment.value, 6);
  assert_int_equal(emuv_trace_reader_next(r, &record, &err), 1);
  assert_int_equal(record.u.range.ns, 10);
  assert_int_equal(record.u.range.kind, EMUV_TRACE_RANGE_PUSH);
  assert_int_equal(record.u.range.text, 0);
  assert_int_equal(emuv_trace_reader_next(r, &record, &err), 1);
  assert_int_equal(record.u.launch.n_operands, 1);
  assert_int_equal(record.u.launch.operands[0].allocation, 2);
  assert_int_equal(record.u.launch.operands[0].bytes, 2);
  assert_int_equal(record.u.launch.sequence, 1);
  assert_int_equal(record.u.launch.correlation, 1);
  assert_int_equal(record.u.launch.kernel, 0);
  assert_int_equal(emuv_trace_reader_next(r, &record, &err), 0);
  assert_int_equal(emuv_trace_reader_state(r)->skipped_blocks, 1);
  assert_int_equal(emuv_trace_reader_state(r)->skipped_records, 1);
  emuv_trace_reader_close(r);
}

static void not_traces(void **state)
{
  (void)state;
  struct emuv_trace_reader *r;
  struct emuv_err err;
  assert_int_equal(emuv_trace_reader_open(&r, "/nonexistent/x.emuv", &err), EMUV_ERR_IO);
  assert_int_equal(emuv_trace_reader_open(&r, "/tmp", &err), EMUV_ERR_IO);
  assert_int_equal(emuv_trace_reader_open_memory(&r, "", 0, "empty", &err), EMUV_ERR_INPUT);
  assert_non_null(strstr(err.text, "empty"));
  char text[200] = "SQLite format 3";
  assert_int_equal(emuv_trace_reader_open_memory(&r, text, sizeof text, "other", &err), EMUV_ERR_INPUT);
  assert_null(r);
  struct emuv_trace_writer *w;
  assert_int_equal(emuv_trace_writer_open(&w, "/nonexistent/x.emuv", NULL, &err), EMUV_ERR_IO);
  assert_null(w);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(crc_known_answers),
      cmocka_unit_test(varints_are_strict),
      cmocka_unit_test(every_type_round_trips),
      cmocka_unit_test(typed_calls_write_their_type),
      cmocka_unit_test(dictionaries_intern),
      cmocka_unit_test(threads_share_a_writer),
      cmocka_unit_test(killed_process_keeps_what_was_flushed),
      cmocka_unit_test(forked_child_is_inert),
      cmocka_unit_test(size_limit_ends_the_capture),
      cmocka_unit_test(full_disk_leaves_a_verdict),
      cmocka_unit_test(reproducible_files_are_equal),
      cmocka_unit_test(repeated_launches_are_small),
      cmocka_unit_test(newer_versions_are_refused),
      cmocka_unit_test(additions_are_skipped),
      cmocka_unit_test(not_traces),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
