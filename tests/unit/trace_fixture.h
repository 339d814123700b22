// SPDX-License-Identifier: Apache-2.0
/* Helpers of the trace tests: temporary files, random records of every type, comparison field by field. */
#ifndef EMUV_TESTS_TRACE_FIXTURE_H
#define EMUV_TESTS_TRACE_FIXTURE_H

#include "runtime/core/rng.h"
#include "tracer/format/reader.h"
#include "tracer/format/schema.h"
#include "tracer/format/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { FIXTURE_OPERANDS = 5 };

static inline char *fixture_path(char path[64])
{
  strcpy(path, "/tmp/emuv-trace-test-XXXXXX");
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  return path;
}

static inline uint8_t *fixture_slurp(const char *path, size_t *n)
{
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  assert_int_equal(fseek(f, 0, SEEK_END), 0);
  long size = ftell(f);
  rewind(f);
  uint8_t *data = malloc((size_t)size + 1);
  assert_non_null(data);
  *n = fread(data, 1, (size_t)size, f);
  assert_int_equal(*n, size);
  fclose(f);
  return data;
}

/* Values of all magnitudes, 0 and the largest included; what a field's coding cannot hold is cut. */
static inline uint64_t fixture_value(struct emuv_rng *rng, const struct emuv_trace_field *f)
{
  uint64_t bits = emuv_rng_below(rng, 65), v = emuv_rng_next(rng);
  v = bits == 0 ? 0 : v >> (64 - bits);
  if (f->size == 4) v &= UINT32_MAX;
  if (f->coding == EMUV_CODING_OPTIONAL) v &= INT64_MAX;
  return v;
}

static inline void fixture_fill(struct emuv_rng *rng, const struct emuv_trace_schema *schema, void *base)
{
  for (uint32_t i = 0; i < schema->n_fields; i++)
    emuv_trace_field_set(&schema->fields[i], base, fixture_value(rng, &schema->fields[i]));
}

/* operands: FIXTURE_OPERANDS entries that the record may point to. */
static inline struct emuv_trace_record fixture_record(struct emuv_rng *rng, uint32_t type,
                                                      struct emuv_trace_operand *operands)
{
  struct emuv_trace_record r;
  memset(&r, 0, sizeof r);
  r.type = type;
  fixture_fill(rng, &emuv_trace_schemas[type], &r.u);
  if (!emuv_trace_has_operands(type)) return r;
  const uint32_t n = (uint32_t)emuv_rng_below(rng, FIXTURE_OPERANDS + 1);
  for (uint32_t i = 0; i < n; i++) fixture_fill(rng, &emuv_trace_schema_operand, &operands[i]);
  if (type == EMUV_TRACE_LAUNCH) {
    r.u.launch.page_set = 0; /* an id must be the writer's */
    r.u.launch.n_operands = n;
    r.u.launch.operands = operands;
  } else {
    r.u.graph_node.n_operands = n;
    r.u.graph_node.operands = operands;
  }
  return r;
}

static inline void fixture_same_fields(const struct emuv_trace_schema *schema, const void *a, const void *b)
{
  for (uint32_t i = 0; i < schema->n_fields; i++) {
    const struct emuv_trace_field *f = &schema->fields[i];
    if (emuv_trace_field_get(f, a) != emuv_trace_field_get(f, b)) fail_msg("%s.%s differs", schema->name, f->name);
  }
}

static inline void fixture_same(const struct emuv_trace_record *a, const struct emuv_trace_record *b)
{
  assert_int_equal(a->type, b->type);
  fixture_same_fields(&emuv_trace_schemas[a->type], &a->u, &b->u);
  uint32_t n, n_b;
  const struct emuv_trace_operand *x = emuv_trace_record_operands(a, &n), *y = emuv_trace_record_operands(b, &n_b);
  assert_int_equal(n, n_b);
  for (uint32_t i = 0; i < n; i++) fixture_same_fields(&emuv_trace_schema_operand, &x[i], &y[i]);
}

#endif
