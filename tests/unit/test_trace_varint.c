// SPDX-License-Identifier: Apache-2.0
/* The fast ways to read varints and records against the slow ones that define what is right, on random bytes. */
#include "runtime/core/rng.h"
#include "tracer/format/schema.h"
#include "tracer/format/varint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { ROUNDS = 20000, BYTES = 400 };

static struct emuv_rng rng;

/* Values of all lengths. */
static uint64_t value(void)
{
  return emuv_rng_next(&rng) >> emuv_rng_next(&rng) % 64;
}

static void varints_are_read_alike(void **state)
{
  (void)state;
  for (int i = 0; i < ROUNDS; i++) {
    uint8_t bytes[16];
    uint64_t slow = 1, fast = 2;
    for (int k = 0; k < 16; k++) bytes[k] = (uint8_t)(emuv_rng_next(&rng) | (emuv_rng_next(&rng) % 4 ? 0x80 : 0));
    const uint8_t *a = emuv_varint_get(bytes, bytes + 16, &slow), *b = emuv_varint_get_inside(bytes, &fast);
    assert_ptr_equal(a, b);
    if (a) assert_int_equal(slow, fast);
  }
}

static void varints_return(void **state)
{
  (void)state;
  for (int i = 0; i < ROUNDS; i++) {
    uint8_t bytes[16] = {0};
    const uint64_t v = value();
    uint64_t got;
    const uint8_t *end = emuv_varint_put(bytes, v);
    assert_ptr_equal(emuv_varint_get_inside(bytes, &got), end);
    assert_int_equal(got, v);
    assert_ptr_equal(emuv_varint_get(bytes, end, &got), end);
    assert_int_equal(got, v);
    assert_null(emuv_varint_get(bytes, end - 1, &got));
  }
}

struct decoded {
  union {
    struct emuv_trace_record record;
    struct emuv_trace_kernel kernel;
    struct emuv_trace_operand operand;
    struct emuv_trace_verdict verdict;
  } u;
  uint64_t channels[EMUV_CHANNELS];
};

static const struct emuv_trace_schema *any_schema(void)
{
  const uint64_t i = 1 + emuv_rng_next(&rng) % (EMUV_TRACE_TYPES + 2);
  if (i == EMUV_TRACE_TYPES) return &emuv_trace_schema_operand;
  if (i == EMUV_TRACE_TYPES + 1) return &emuv_trace_schema_kernel;
  return i < EMUV_TRACE_TYPES ? &emuv_trace_schemas[i] : &emuv_trace_schema_verdict;
}

static void start_alike(struct decoded *a, struct decoded *b)
{
  memset(a, 0, sizeof *a);
  for (int i = 0; i < EMUV_CHANNELS; i++) a->channels[i] = value();
  *b = *a;
}

/* Payloads that are too short, too long, cut or nonsense. */
static void records_are_read_alike(void **state)
{
  (void)state;
  static uint8_t bytes[BYTES + EMUV_DECODE_SLACK];
  static struct decoded a, b;
  for (int i = 0; i < ROUNDS; i++) {
    const struct emuv_trace_schema *schema = any_schema();
    const uint64_t rest = emuv_rng_next(&rng) % 5;
    const uint64_t n = rest == 0 ? schema->n_fields : rest == 1 ? emuv_rng_next(&rng) % 40 : EMUV_FIELDS_TO_END;
    const size_t bytes_there = emuv_rng_next(&rng) % (schema->n_fields * 3);
    for (size_t k = 0; k < sizeof bytes; k++)
      bytes[k] = (uint8_t)(emuv_rng_next(&rng) & (emuv_rng_next(&rng) % 3 ? 0x7f : 0xff));
    start_alike(&a, &b);
    const uint8_t *slow = emuv_trace_decode(schema, n, &a.u, a.channels, bytes, bytes + bytes_there);
    const uint8_t *fast = emuv_trace_decode_inside(schema, n, &b.u, b.channels, bytes, bytes + bytes_there);
    assert_ptr_equal(slow, fast);
    if (slow) assert_memory_equal(&a, &b, sizeof a);
  }
}

static void records_return(void **state)
{
  (void)state;
  static uint8_t bytes[EMUV_DECODE_SLACK * 2];
  static struct decoded in, out;
  for (int i = 0; i < ROUNDS; i++) {
    const struct emuv_trace_schema *schema = any_schema();
    uint64_t channels[EMUV_CHANNELS] = {0};
    memset(&in, 0, sizeof in);
    memset(&out, 0, sizeof out);
    for (uint32_t k = 0; k < schema->n_fields; k++)
      emuv_trace_field_set(&schema->fields[k], &in.u, value() >> (schema->fields[k].coding == EMUV_CODING_OPTIONAL));
    const uint8_t *end = emuv_trace_encode(schema, &in.u, channels, bytes);
    assert_ptr_equal(emuv_trace_decode_inside(schema, EMUV_FIELDS_TO_END, &out.u, out.channels, bytes, end), end);
    assert_memory_equal(&in.u, &out.u, sizeof in.u);
    assert_memory_equal(channels, out.channels, sizeof channels);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(varints_are_read_alike), cmocka_unit_test(varints_return),
                                     cmocka_unit_test(records_are_read_alike), cmocka_unit_test(records_return)};
  emuv_rng_seed(&rng, 7);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
