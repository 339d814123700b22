// SPDX-License-Identifier: Apache-2.0
/* What stands behind the reader, on damaged traces: summary, reports, exporters, page references, and the importers on
 * damaged input. Cut at every byte; every third bit of the records flipped in turn, with checksums that are right,
 * since the reader refuses all others. Nothing may crash or leak; what fails says why. Run under the sanitizers. */
#include "trace_decode.h"

#include "tracer/format/block.h"
#include "tracer/format/crc32c.h"
#include "tracer/format/export/export.h"
#include "tracer/format/oracle.h"
#include "tracer/format/pages.h"

struct whole {
  uint8_t *data;
  size_t n;
};

/* A small decode, so that all that is joined (times, frees, ranges) is there; not compressed, so that flips hit fields.
 */
static int make(void **state)
{
  static struct whole w;
  char path[64];
  struct decode d = {.layers = 1,
                     .tokens = 2,
                     .matrix_bytes = 1 << 20,
                     .launch_host_ns = 5000,
                     .kernel_ns = 20000,
                     .nvtx = true,
                     .late_times = true,
                     .growing_cache = true};
  decode_write(&d, fixture_path(path));
  struct emuv_trace_reader *r;
  struct emuv_trace_record record;
  struct emuv_trace_writer *out;
  struct emuv_trace_writer_options options = {.reproducible = true};
  char again[64];
  assert_int_equal(emuv_trace_reader_open(&r, path, NULL), 0);
  assert_int_equal(emuv_trace_writer_open(&out, fixture_path(again), &options, NULL), 0);
  for (bool first = true; emuv_trace_reader_next(r, &record, NULL) > 0; first = false) {
    for (uint32_t i = 1; first && i <= emuv_trace_reader_n_strings(r); i++)
      emuv_trace_writer_string(out, emuv_trace_reader_string(r, i));
    for (uint32_t i = 1; first && i <= emuv_trace_reader_n_kernels(r); i++)
      emuv_trace_writer_kernel(out, emuv_trace_reader_kernel(r, i));
    assert_int_equal(emuv_trace_writer_append(out, &record), 0);
    assert_int_equal(emuv_trace_writer_flush(out, NULL), 0); /* blocks too small to compress */
  }
  emuv_trace_reader_close(r);
  assert_int_equal(emuv_trace_writer_close(out, EMUV_TRACE_STATUS_COMPLETE, 0, "text", NULL), 0);
  w.data = fixture_slurp(again, &w.n);
  unlink(path);
  unlink(again);
  *state = &w;
  return 0;
}

static int discard(void **state)
{
  free(((struct whole *)*state)->data);
  return 0;
}

static FILE *nowhere(void)
{
  static FILE *f;
  if (!f) f = fopen("/dev/null", "w");
  assert_non_null(f);
  return f;
}

/* Everything that takes a loaded trace. The code of loading it. */
static int use(const uint8_t *data, size_t n)
{
  struct emuv_trace_data d;
  struct emuv_trace_info info;
  struct emuv_err err = {0};
  int code = emuv_trace_load_memory(data, n, "hostile", &d, &err);
  if (code) {
    assert_non_null(strstr(err.text, "at byte"));
    return code;
  }
  code = emuv_trace_info_compute(&d, &info, &err);
  if (code == 0) {
    struct emuv_export_report text = {.top = 3}, json = {.style = EMUV_EXPORT_JSON, .top = 3};
    assert_int_equal(emuv_export_info(&d, &info, &text, nowhere(), NULL), 0);
    assert_int_equal(emuv_export_info(&d, &info, &json, nowhere(), NULL), 0);
    emuv_trace_info_free(&info);
  } else {
    assert_true(err.text[0]);
  }
  assert_int_equal(emuv_export_csv(&d, nowhere(), NULL), 0);
  assert_int_equal(emuv_export_chrome(&d, nowhere(), NULL), 0);
  emuv_trace_data_free(&d);
  return 0;
}

static void cuts_give_a_report(void **state)
{
  const struct whole *w = *state;
  for (size_t n = 0; n <= w->n; n++) {
    uint8_t *copy = malloc(n ? n : 1); /* exact size, so that reading beyond it is seen */
    memcpy(copy, w->data, n);
    assert_int_equal(use(copy, n), n < EMUV_FILE_HEADER_BYTES ? EMUV_ERR_INPUT : 0);
    free(copy);
  }
}

/* Calls visit for each records or dictionary block of the file. */
static void each_block(uint8_t *data, size_t n, void (*visit)(uint8_t *data, size_t n, uint8_t *header))
{
  struct emuv_block_header h;
  for (size_t at = EMUV_FILE_HEADER_BYTES; at + EMUV_BLOCK_HEADER_BYTES <= n;
       at += EMUV_BLOCK_HEADER_BYTES + h.stored_bytes) {
    if (emuv_block_header_get(data + at, &h)) return;
    if (h.type == EMUV_BLOCK_RECORDS || h.type == EMUV_BLOCK_DICTIONARY) visit(data, n, data + at);
  }
}

static void sign(uint8_t *header)
{
  struct emuv_block_header h;
  assert_null(emuv_block_header_get(header, &h));
  h.payload_crc = emuv_crc32c(0, header + EMUV_BLOCK_HEADER_BYTES, h.stored_bytes);
  emuv_block_header_put(header, &h);
}

static size_t flips, refused;

static void flip_block(uint8_t *data, size_t n, uint8_t *header)
{
  struct emuv_block_header h;
  assert_null(emuv_block_header_get(header, &h));
  if (h.codec != EMUV_CODEC_NONE) return;
  for (size_t bit = 0; bit < h.stored_bytes * (size_t)8; bit += 3) {
    uint8_t *byte = header + EMUV_BLOCK_HEADER_BYTES + bit / 8, flip = (uint8_t)(1u << bit % 8);
    *byte ^= flip;
    sign(header);
    flips++;
    refused += use(data, n) != 0;
    *byte ^= flip;
    sign(header);
  }
}

/* Where the footer begins: it repeats the checksums. */
static size_t before_footer(const struct whole *w)
{
  uint64_t footer;
  assert_true(emuv_trailer_get(w->data + w->n - EMUV_TRAILER_BYTES, &footer));
  return (size_t)footer;
}

static void flipped_values_do_no_harm(void **state)
{
  const struct whole *w = *state;
  flips = refused = 0;
  each_block(w->data, before_footer(w), flip_block);
  assert_true(flips > 3000);
  if (refused == 0 || refused == flips) fail_msg("%zu of %zu refused", refused, flips); /* lengths are noticed */
  assert_int_equal(use(w->data, w->n), 0);
}

static void page_references_stay_inside(void **state)
{
  const struct whole *w = *state;
  char path[64];
  fixture_path(path);
  for (size_t n = EMUV_FILE_HEADER_BYTES; n <= w->n; n += 13) {
    FILE *f = fopen(path, "wb");
    fwrite(w->data, 1, n, f);
    fclose(f);
    struct emuv_trace_pages pages;
    struct emuv_page_reference r;
    assert_int_equal(emuv_trace_pages_open(path, 4096, &pages, NULL), 0);
    while (emuv_trace_pages_next(&pages, &r)) assert_true(r.n > 0 && r.first + r.n <= pages.n_pages);
    emuv_trace_pages_close(&pages);
  }
  unlink(path);
}

/* ---- importers ---- */

typedef int importer(FILE *in, const char *path, struct emuv_err *err);

static int csv(FILE *in, const char *path, struct emuv_err *err)
{
  return emuv_trace_import_csv(in, "hostile", 4096, path, NULL, err);
}

static int oracle(FILE *in, const char *path, struct emuv_err *err)
{
  return emuv_trace_import_oracle(in, "hostile", path, NULL, err);
}

/* The trace that an import gives can be read; an import that fails says why. */
static void import(importer *run, uint8_t *data, size_t n, const char *path)
{
  struct emuv_err err = {0};
  struct emuv_trace_data d;
  FILE *in = n ? fmemopen(data, n, "r") : fopen("/dev/null", "r");
  int code = run(in, path, &err);
  fclose(in);
  assert_true(code == 0 || err.text[0]);
  if (code) return;
  assert_int_equal(emuv_trace_load(path, &d, NULL), 0);
  emuv_trace_data_free(&d);
}

static void damage(importer *run, const void *text, size_t n)
{
  char path[64];
  uint8_t *data = malloc(n);
  fixture_path(path);
  memcpy(data, text, n);
  for (size_t i = 0; i <= n; i++) import(run, data, i, path);
  for (size_t i = 0; i < n * 8; i++) {
    data[i / 8] ^= (uint8_t)(1u << i % 8);
    import(run, data, n, path);
    data[i / 8] ^= (uint8_t)(1u << i % 8);
  }
  free(data);
  unlink(path);
}

static void imports_survive_damage(void **state)
{
  (void)state;
  static const char text[] = "time,object,size\n1,7,4096\n1,0x9,8192\n\n2,7,4096\n";
  static const uint8_t records[3 * EMUV_ORACLE_RECORD_BYTES] = {
      [0] = 1, [4] = 7, [13] = 16, [24] = 1, [28] = 9, [37] = 32, [48] = 2, [52] = 7, [61] = 16};
  damage(csv, text, sizeof text - 1);
  damage(oracle, records, sizeof records);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cuts_give_a_report),
      cmocka_unit_test(flipped_values_do_no_harm),
      cmocka_unit_test(page_references_stay_inside),
      cmocka_unit_test(imports_survive_damage),
  };
  return cmocka_run_group_tests(tests, make, discard);
}
