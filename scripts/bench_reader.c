// SPDX-License-Identifier: Apache-2.0
/* How fast one core reads a trace: bytes of records (their structures, operands included) per second.
 *
 *   bench_reader TRACE.emuv [TIMES [RUNS]]
 *
 * Writes the records of the trace TIMES times (default 40) to a second one in the folder for temporary files, and reads
 * that RUNS times (default 7) from memory. Times are those of the processor. Prints the median and the best run: bytes
 * of decoded records, of payloads as they lie in blocks, of the file. */
#include "tracer/format/reader.h"
#include "tracer/format/schema.h"
#include "tracer/format/writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RUNS_MAX = 99 };

static struct emuv_err err;

static int fail(void)
{
  fprintf(stderr, "bench_reader: %s\n", err.text);
  return 1;
}

/* All dictionary entries keep their ids: they are written in the order of the file. */
static void copy_dictionary(struct emuv_trace_writer *w, const struct emuv_trace_reader *r)
{
  for (uint32_t i = 1; i <= emuv_trace_reader_n_strings(r); i++)
    emuv_trace_writer_string(w, emuv_trace_reader_string(r, i));
  for (uint32_t i = 1; i <= emuv_trace_reader_n_kernels(r); i++)
    emuv_trace_writer_kernel(w, emuv_trace_reader_kernel(r, i));
}

static int copy_once(struct emuv_trace_writer *w, const char *path)
{
  struct emuv_trace_reader *r;
  struct emuv_trace_record record;
  int rc = emuv_trace_reader_open(&r, path, &err);
  while (rc == 0 && (rc = emuv_trace_reader_next(r, &record, &err)) == 1) {
    if (record.type == EMUV_TRACE_LAUNCH) record.u.launch.page_set = 0;
    rc = emuv_trace_writer_append(w, &record);
  }
  if (r && rc == 0) copy_dictionary(w, r);
  emuv_trace_reader_close(r);
  return rc;
}

static int replicate(const char *from, const char *to, int times)
{
  struct emuv_trace_writer *w;
  int rc = emuv_trace_writer_open(&w, to, NULL, &err);
  for (int i = 0; rc == 0 && i < times; i++) rc = copy_once(w, from);
  const int closed = w ? emuv_trace_writer_close(w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, rc ? NULL : &err) : 0;
  return rc ? rc : closed;
}

/* Bytes of a record's fields. */
static size_t schema_bytes(const struct emuv_trace_schema *s)
{
  size_t n = 0;
  for (uint32_t i = 0; i < s->n_fields; i++) n += s->fields[i].size;
  return n;
}

struct result {
  double seconds;
  uint64_t records, bytes, raw_bytes, check;
};

static int read_once(const void *data, size_t n, const size_t sizes[EMUV_TRACE_TYPES], size_t operand,
                     struct result *result)
{
  struct emuv_trace_reader *r;
  struct emuv_trace_record record;
  struct timespec a, b;
  uint64_t bytes = 0, check = 0;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
  int rc = emuv_trace_reader_open_memory(&r, data, n, "trace", &err);
  while (rc == 0 && (rc = emuv_trace_reader_next(r, &record, &err)) == 1) {
    rc = 0;
    bytes += sizes[record.type];
    if (record.type == EMUV_TRACE_LAUNCH) {
      bytes += record.u.launch.n_operands * operand;
      check += record.u.launch.enter_ns + record.u.launch.n_operands;
    }
  }
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
  if (rc == 0)
    *result = (struct result){.seconds = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9,
                              .records = emuv_trace_reader_state(r)->records,
                              .bytes = bytes,
                              .raw_bytes = emuv_trace_reader_state(r)->raw_bytes,
                              .check = check};
  emuv_trace_reader_close(r);
  return rc;
}

static int by_time(const void *a, const void *b)
{
  const double x = ((const struct result *)a)->seconds, y = ((const struct result *)b)->seconds;
  return (x > y) - (x < y);
}

static void print(const char *what, const struct result *r, size_t file)
{
  printf("%-6s %.3f s, %.1f M records/s: %.2f GB/s of records, %.2f GB/s of payload, %.0f MB/s of file\n", what,
         r->seconds, (double)r->records / r->seconds / 1e6, (double)r->bytes / r->seconds / 1e9,
         (double)r->raw_bytes / r->seconds / 1e9, (double)file / r->seconds / 1e6);
}

static void *slurp(const char *path, size_t *n)
{
  FILE *f = fopen(path, "rb");
  void *data = NULL;
  if (f && fseek(f, 0, SEEK_END) == 0) {
    *n = (size_t)ftell(f);
    rewind(f);
    data = malloc(*n);
    if (data && fread(data, 1, *n, f) != *n) *n = 0;
  }
  if (f) fclose(f);
  return data;
}

int main(int argc, char **argv)
{
  const int times = argc > 2 ? atoi(argv[2]) : 40, wanted = argc > 3 ? atoi(argv[3]) : 7;
  const int runs = wanted < 1 ? 1 : wanted > RUNS_MAX ? RUNS_MAX : wanted;
  char path[] = "/tmp/bench_reader.XXXXXX";
  struct result result[RUNS_MAX];
  size_t sizes[EMUV_TRACE_TYPES] = {0}, n = 0;
  const int fd = mkstemp(path);
  if (argc < 2 || fd < 0) {
    fprintf(stderr, "usage: bench_reader TRACE.emuv [TIMES [RUNS]]\n");
    return 2;
  }
  for (int i = 1; i < EMUV_TRACE_TYPES; i++) sizes[i] = schema_bytes(&emuv_trace_schemas[i]);
  int rc = replicate(argv[1], path, times);
  void *data = rc ? NULL : slurp(path, &n);
  unlink(path);
  close(fd);
  for (int i = 0; rc == 0 && i < runs; i++)
    rc = read_once(data, n, sizes, schema_bytes(&emuv_trace_schema_operand), &result[i]);
  free(data);
  if (rc) return fail();
  printf("%" PRIu64 " records, %.1f MB in a file of %.1f MB\n", result[0].records, (double)result[0].bytes / 1e6,
         (double)n / 1e6);
  qsort(result, (size_t)runs, sizeof *result, by_time);
  print("median", &result[runs / 2], n);
  print("best", &result[0], n);
  return 0;
}
