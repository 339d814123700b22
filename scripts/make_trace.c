// SPDX-License-Identifier: Apache-2.0
/* Writes a synthetic reference string as an oracleGeneral or CSV file, for benchmarks and for comparison with other
 * cache simulators: make_trace zipf|cyclic OBJECTS REFERENCES SEED FILE[.csv] oracleGeneral: packed little-endian
 * records of 24 bytes, u32 time, u64 object, u32 size, i64 next access (-1: none). */
#include "tests/golden/trace_gen.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct __attribute__((packed)) record {
  uint32_t time;
  uint64_t object;
  uint32_t size;
  int64_t next;
};

/* next[i] = position of the next reference to the same object, -1 if none. */
static int64_t *next_uses(const uint32_t *refs, size_t n, uint32_t objects)
{
  int64_t *next = malloc(n * sizeof *next), *last = malloc(objects * sizeof *last);
  if (next && last) {
    for (uint32_t k = 0; k < objects; k++) last[k] = -1;
    for (size_t i = n; i-- > 0;) {
      next[i] = last[refs[i]];
      last[refs[i]] = (int64_t)i;
    }
  }
  free(last);
  return next;
}

static bool write_oracle(FILE *out, const uint32_t *refs, size_t n, uint32_t objects)
{
  int64_t *next = next_uses(refs, n, objects);
  bool ok = next != NULL;
  for (size_t i = 0; ok && i < n; i++) {
    struct record r = {(uint32_t)(i / 1000000), trace_gen_id(refs[i]), 1, next[i]};
    ok = fwrite(&r, sizeof r, 1, out) == 1;
  }
  free(next);
  return ok;
}

static bool write_csv(FILE *out, const uint32_t *refs, size_t n)
{
  bool ok = fputs("time,object,size\n", out) >= 0;
  for (size_t i = 0; ok && i < n; i++) ok = fprintf(out, "%zu,%" PRIu64 ",1\n", i / 1000000, trace_gen_id(refs[i])) > 0;
  return ok;
}

static bool make(const char *kind, uint32_t objects, size_t n, uint64_t seed, const char *path)
{
  uint32_t *refs = malloc(n * sizeof *refs);
  FILE *out = fopen(path, "wb");
  size_t length = strlen(path);
  bool ok = refs && out;
  if (ok && strcmp(kind, "zipf") == 0) {
    ok = trace_gen_zipf(refs, n, objects, seed) == 0;
  } else if (ok) {
    trace_gen_cyclic(refs, n, objects);
  }
  bool csv = length > 4 && strcmp(path + length - 4, ".csv") == 0;
  if (ok) ok = csv ? write_csv(out, refs, n) : write_oracle(out, refs, n, objects);
  if (out && fclose(out) != 0) ok = false;
  free(refs);
  return ok;
}

int main(int argc, char **argv)
{
  bool known = argc == 6 && (strcmp(argv[1], "zipf") == 0 || strcmp(argv[1], "cyclic") == 0);
  uint64_t objects = known ? strtoull(argv[2], NULL, 10) : 0, n = known ? strtoull(argv[3], NULL, 10) : 0;
  if (!known || objects == 0 || objects > UINT32_MAX || n == 0) {
    fprintf(stderr, "usage: %s zipf|cyclic OBJECTS REFERENCES SEED FILE[.csv]\n", argv[0]);
    return 2;
  }
  if (!make(argv[1], (uint32_t)objects, n, strtoull(argv[4], NULL, 10), argv[5])) {
    perror(argv[5]);
    return 1;
  }
  return 0;
}
