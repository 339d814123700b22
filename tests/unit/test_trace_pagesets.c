// SPDX-License-Identifier: Apache-2.0
/* Page sets: operands that many launches share are in the file once, and the reader puts them behind each launch's own.
 */
#include "trace_fixture.h"

#include "tracer/format/block.h"
#include "tracer/format/crc32c.h"
#include "tracer/format/varint.h"

enum { BIG = 5000, LAUNCHES = 2000 };

static char path[64];

static struct emuv_trace_writer *start(void)
{
  struct emuv_trace_writer *w;
  const struct emuv_trace_writer_options options = {.reproducible = true, .block_bytes = 4096};
  assert_int_equal(emuv_trace_writer_open(&w, fixture_path(path), &options, NULL), 0);
  return w;
}

static void fill(struct emuv_trace_operand *o, uint32_t n, uint64_t salt)
{
  for (uint32_t i = 0; i < n; i++)
    o[i] = (struct emuv_trace_operand){.allocation = salt,
                                       .offset = (uint64_t)i * i * 65536,
                                       .bytes = 65536,
                                       .access = 1 + i % 3,
                                       .provenance = EMUV_TRACE_FROM_PAGE,
                                       .cls = EMUV_TRACE_CLASS_EXACT};
}

static void equal_sets_share_an_id(void **state)
{
  (void)state;
  struct emuv_trace_operand a[4], b[4];
  struct emuv_trace_writer *w = start();
  fill(a, 4, 1);
  fill(b, 4, 1);
  assert_int_equal(emuv_trace_writer_page_set(w, a, 4), 1);
  assert_int_equal(emuv_trace_writer_page_set(w, a, 3), 2);
  assert_int_equal(emuv_trace_writer_page_set(w, b, 4), 1);
  b[2].access ^= 1;
  assert_int_equal(emuv_trace_writer_page_set(w, b, 4), 3);
  assert_int_equal(emuv_trace_writer_page_set(w, a, 0), 0);
  assert_int_equal(emuv_trace_writer_page_set(w, a, EMUV_TRACE_OPERANDS_MAX + 1), 0);
  assert_int_equal(emuv_trace_writer_close(w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, NULL), 0);
  unlink(path);
}

static void write_launches(const struct emuv_trace_operand *shared, const struct emuv_trace_operand *own)
{
  struct emuv_trace_writer *w = start();
  for (uint64_t i = 1; i <= LAUNCHES; i++) {
    struct emuv_trace_launch l = {
        .sequence = i, .enter_ns = 1000 * i, .kernel = 1, .n_operands = i % 2, .operands = own};
    l.page_set = emuv_trace_writer_page_set(w, shared + (i % 3), BIG);
    assert_int_not_equal(l.page_set, 0);
    assert_int_equal(emuv_trace_writer_launch(w, &l), 0);
  }
  assert_int_equal(emuv_trace_writer_close(w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, NULL), 0);
}

static void launches_have_their_own_operands_and_the_set(void **state)
{
  (void)state;
  static struct emuv_trace_operand shared[BIG + 3];
  const struct emuv_trace_operand own = {.allocation = 77, .bytes = 12, .place = 8};
  struct emuv_trace_reader *r;
  struct emuv_trace_record got;
  uint64_t n = 0;
  fill(shared, BIG + 3, 5);
  write_launches(shared, &own);
  assert_int_equal(emuv_trace_reader_open(&r, path, NULL), 0);
  for (; emuv_trace_reader_next(r, &got, NULL) > 0; n++) {
    const struct emuv_trace_launch *l = &got.u.launch;
    const uint32_t before = (uint32_t)(l->sequence % 2);
    assert_int_equal(l->n_operands, before + BIG);
    if (before) fixture_same_fields(&emuv_trace_schema_operand, &l->operands[0], &own);
    for (uint32_t k = 0; k < BIG; k++)
      fixture_same_fields(&emuv_trace_schema_operand, &l->operands[before + k], &shared[l->sequence % 3 + k]);
  }
  assert_int_equal(n, LAUNCHES);
  /* three sets of 5000 operands, and a few bytes per launch */
  assert_in_range(emuv_trace_reader_state(r)->raw_bytes, 1, 3 * BIG * 12 + LAUNCHES * 50);
  emuv_trace_reader_close(r);
  unlink(path);
}

/* A file with one dictionary block and one of records, whose checksums are right. */
static int read_file(const uint8_t *dictionary, size_t n, uint32_t page_set, struct emuv_err *err)
{
  uint8_t file[4096], launch[64];
  struct emuv_file_header fh = {.version = EMUV_FORMAT_VERSION, .header_bytes = EMUV_FILE_HEADER_BYTES};
  struct emuv_block_header h = {.type = EMUV_BLOCK_DICTIONARY};
  uint8_t *p = launch + 2;
  *p++ = 0; /* no operands, of no fields */
  *p++ = 0;
  for (uint32_t i = 0; i < emuv_trace_schemas[EMUV_TRACE_LAUNCH].n_fields - 1; i++) *p++ = 0;
  p = emuv_varint_put(p, page_set);
  launch[0] = EMUV_TRACE_LAUNCH;
  launch[1] = (uint8_t)(p - launch - 2);
  emuv_file_header_put(file, &fh);
  const uint8_t *parts[] = {dictionary, launch};
  const size_t bytes[] = {n, (size_t)(p - launch)};
  size_t at = EMUV_FILE_HEADER_BYTES;
  for (uint32_t i = 0; i < 2; i++) {
    h.type = i ? EMUV_BLOCK_RECORDS : EMUV_BLOCK_DICTIONARY;
    h.sequence = i;
    h.stored_bytes = h.raw_bytes = (uint32_t)bytes[i];
    h.payload_crc = emuv_crc32c(0, parts[i], bytes[i]);
    emuv_block_header_put(file + at, &h);
    memcpy(file + at + EMUV_BLOCK_HEADER_BYTES, parts[i], bytes[i]);
    at += EMUV_BLOCK_HEADER_BYTES + bytes[i];
  }
  struct emuv_trace_reader *r;
  struct emuv_trace_record got;
  assert_int_equal(emuv_trace_reader_open_memory(&r, file, at, "made", err), 0);
  const int code = emuv_trace_reader_next(r, &got, err);
  if (code == 1) assert_int_equal(got.u.launch.n_operands, page_set ? 1 : 0);
  emuv_trace_reader_close(r);
  return code;
}

static void malformed_sets_are_refused(void **state)
{
  (void)state;
  /* first ids 1 and 1; kind 3, length, then: id 1, one operand of two fields: allocation zigzag(1), offset 9 */
  const uint8_t good[] = {1, 1, 3, 5, 1, 1, 2, 2, 9};
  struct emuv_err err = {0};
  assert_int_equal(read_file(good, sizeof good, 1, &err), 1);
  assert_int_equal(read_file(good, sizeof good, 0, &err), 1);
  assert_int_equal(read_file(good, sizeof good, 2, &err), EMUV_ERR_INPUT);
  assert_non_null(strstr(err.text, "page set"));
  assert_int_equal(read_file(good, 2, 1, &err), EMUV_ERR_INPUT);
  const uint8_t wrong_id[] = {1, 1, 3, 5, 2, 1, 2, 2, 9};
  assert_int_equal(read_file(wrong_id, sizeof wrong_id, 1, &err), EMUV_ERR_INPUT);
  assert_non_null(strstr(err.text, "missing"));
  const uint8_t cut[] = {1, 1, 3, 4, 1, 1, 2, 2};
  assert_int_equal(read_file(cut, sizeof cut, 1, &err), EMUV_ERR_INPUT);
  assert_non_null(strstr(err.text, "malformed"));
  const uint8_t rest[] = {1, 1, 3, 6, 1, 1, 2, 2, 9, 9};
  assert_int_equal(read_file(rest, sizeof rest, 1, &err), EMUV_ERR_INPUT);
  const uint8_t many[] = {1, 1, 3, 7, 1, 0xff, 0xff, 0xff, 0x7f, 1, 2};
  assert_int_equal(read_file(many, sizeof many, 1, &err), EMUV_ERR_INPUT);
  const uint8_t empty[] = {1, 1, 3, 0};
  assert_int_equal(read_file(empty, sizeof empty, 1, &err), EMUV_ERR_INPUT);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(equal_sets_share_an_id),
                                     cmocka_unit_test(launches_have_their_own_operands_and_the_set),
                                     cmocka_unit_test(malformed_sets_are_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
