// SPDX-License-Identifier: Apache-2.0
/* Damaged traces: cut at every byte, and every bit flipped in turn. A cut file gives a prefix of the records and says
 * so; a flipped bit is always found, with an offset, and what came before it is still right. Run under the sanitizers.
 */
#include "trace_fixture.h"

#include "tracer/format/index.h"
#include "tracer/format/load.h"

enum { RECORDS = 60, SET = 2 };

struct whole {
  uint8_t *data;
  size_t n;
};

static const struct emuv_trace_operand page_set[SET] = {
    {.allocation = 7, .offset = 65536, .bytes = 131072, .access = EMUV_TRACE_ACCESS_READ},
    {.allocation = 9, .bytes = 65536, .access = EMUV_TRACE_ACCESS_WRITE, .provenance = EMUV_TRACE_FROM_PAGE}};

/* The record as it is read: launches have a page set behind their own operands. */
static struct emuv_trace_record nth(struct emuv_rng *rng, uint32_t i, struct emuv_trace_operand *operands)
{
  struct emuv_trace_record r = fixture_record(rng, 1 + i % (EMUV_TRACE_TYPES - 1), operands);
  if (r.type == EMUV_TRACE_LAUNCH) {
    memcpy(operands + r.u.launch.n_operands, page_set, sizeof page_set);
    r.u.launch.n_operands += SET;
    r.u.launch.page_set = 1;
  }
  return r;
}

/* A small file with several blocks of each kind, compressed and not. */
static int make(void **state)
{
  static struct whole w;
  char path[64];
  struct emuv_trace_writer_options options = {.block_bytes = 600, .reproducible = true};
  struct emuv_trace_writer *writer;
  if (emuv_trace_writer_open(&writer, fixture_path(path), &options, NULL) != 0) return -1;
  struct emuv_trace_operand operands[FIXTURE_OPERANDS + SET];
  struct emuv_rng rng;
  emuv_rng_seed(&rng, 11);
  for (uint32_t i = 0; i < RECORDS; i++) {
    struct emuv_trace_record r = nth(&rng, i, operands);
    if (r.type == EMUV_TRACE_LAUNCH) {
      r.u.launch.n_operands -= SET;
      r.u.launch.page_set = emuv_trace_writer_page_set(writer, page_set, SET);
    }
    emuv_trace_writer_append(writer, &r);
    if (i % 20 == 0) emuv_trace_writer_string(writer, i ? "a text that repeats repeats repeats repeats" : "text");
  }
  emuv_trace_writer_kernel(writer, &(struct emuv_trace_kernel){.name = 1});
  if (emuv_trace_writer_close(writer, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, NULL) != 0) return -1;
  w.data = fixture_slurp(path, &w.n);
  unlink(path);
  *state = &w;
  return 0;
}

static int discard(void **state)
{
  free(((struct whole *)*state)->data);
  return 0;
}

/* Reads all that can be read; every record must be the one that was written. The code of the end. */
static int read_prefix(const uint8_t *data, size_t n, struct emuv_trace_reader_state *s, struct emuv_err *err)
{
  struct emuv_trace_reader *r;
  memset(s, 0, sizeof *s);
  int code = emuv_trace_reader_open_memory(&r, data, n, "damaged", err);
  if (code) return code;
  struct emuv_trace_operand operands[FIXTURE_OPERANDS + SET];
  struct emuv_trace_record got;
  struct emuv_rng rng;
  emuv_rng_seed(&rng, 11);
  for (uint32_t i = 0; (code = emuv_trace_reader_next(r, &got, err)) > 0; i++) {
    assert_in_range(i, 0, RECORDS - 1);
    struct emuv_trace_record want = nth(&rng, i, operands);
    fixture_same(&want, &got);
  }
  *s = *emuv_trace_reader_state(r);
  emuv_trace_reader_close(r);
  return code;
}

static void whole_file_is_whole(void **state)
{
  const struct whole *w = *state;
  struct emuv_trace_reader_state s;
  struct emuv_err err;
  assert_int_equal(read_prefix(w->data, w->n, &s, &err), 0);
  assert_int_equal(s.records, RECORDS);
  assert_false(s.truncated);
  assert_true(s.n_blocks >= 8);
}

static void cut_at_every_byte(void **state)
{
  const struct whole *w = *state;
  uint64_t before = 0;
  for (size_t n = 0; n < w->n; n++) {
    uint8_t *copy = malloc(n ? n : 1); /* exact size, so that reading beyond it is seen */
    assert_non_null(copy);
    memcpy(copy, w->data, n);
    struct emuv_trace_reader_state s;
    struct emuv_err err;
    int code = read_prefix(copy, n, &s, &err);
    if (n < 64) {
      assert_int_equal(code, EMUV_ERR_INPUT);
    } else {
      assert_int_equal(code, 0);
      assert_true(s.truncated);
      assert_true(s.valid_bytes <= n);
      assert_true(s.records >= before);
      before = s.records;
    }
    free(copy);
  }
  assert_int_equal(before, RECORDS);
}

static void every_bit_flipped(void **state)
{
  const struct whole *w = *state;
  uint8_t *copy = malloc(w->n);
  assert_non_null(copy);
  memcpy(copy, w->data, w->n);
  for (size_t bit = 0; bit < w->n * 8; bit++) {
    copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
    struct emuv_trace_reader_state s;
    struct emuv_err err = {0};
    int code = read_prefix(copy, w->n, &s, &err);
    if (code != EMUV_ERR_INPUT) fail_msg("bit %zu of byte %zu was not noticed (%d)", bit % 8, bit / 8, code);
    assert_string_equal(err.file, "damaged");
    assert_true(err.column >= 0 && (size_t)err.column <= bit / 8);
    assert_non_null(strstr(err.text, "at byte"));
    copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  free(copy);
}

static void loader_takes_the_same(void **state)
{
  const struct whole *w = *state;
  for (size_t n = 0; n <= w->n; n += 7) {
    struct emuv_trace_data d;
    struct emuv_err err;
    int code = emuv_trace_load_memory(w->data, n, "cut", &d, &err);
    assert_int_equal(code, n < 64 ? EMUV_ERR_INPUT : 0);
    if (code == 0) assert_true(d.state.truncated || n == w->n);
    if (code == 0) emuv_trace_data_free(&d);
  }
}

/* The index from the footer equals the one that a scan rebuilds after the footer is gone. */
static void index_can_be_rebuilt(void **state)
{
  const struct whole *w = *state;
  struct emuv_trace_index from_footer, scanned;
  struct emuv_err err;
  assert_int_equal(emuv_trace_index_memory(w->data, w->n, "whole", &from_footer, &err), 0);
  assert_false(from_footer.rebuilt);
  assert_int_equal(emuv_trace_index_memory(w->data, w->n - 1, "cut", &scanned, &err), 0);
  assert_true(scanned.rebuilt);
  assert_int_equal(scanned.n, from_footer.n);
  for (size_t i = 0; i < scanned.n; i++) {
    assert_int_equal(scanned.blocks[i].offset, from_footer.blocks[i].offset);
    assert_int_equal(scanned.blocks[i].records, from_footer.blocks[i].records);
    assert_int_equal(scanned.blocks[i].type, from_footer.blocks[i].type);
    assert_int_equal(scanned.blocks[i].first_ns, from_footer.blocks[i].first_ns);
  }
  emuv_trace_index_free(&from_footer);
  emuv_trace_index_free(&scanned);
  for (size_t n = 0; n < w->n; n++) {
    int code = emuv_trace_index_memory(w->data, n, "cut", &scanned, &err);
    assert_int_equal(code, n < 64 ? EMUV_ERR_INPUT : 0);
    if (code == 0) emuv_trace_index_free(&scanned);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whole_file_is_whole),  cmocka_unit_test(cut_at_every_byte),
      cmocka_unit_test(every_bit_flipped),    cmocka_unit_test(loader_takes_the_same),
      cmocka_unit_test(index_can_be_rebuilt),
  };
  return cmocka_run_group_tests(tests, make, discard);
}
