// SPDX-License-Identifier: Apache-2.0
/* Streaming reader of traces: see reader.h for the contract, FORMAT.md for the bytes.
 * The headers of all blocks that were read are kept (40 bytes each), because the footer must agree with them. */
#include "tracer/format/reader.h"

#include "tracer/format/block.h"
#include "tracer/format/crc32c.h"
#include "tracer/format/decode.h"
#include "tracer/format/input.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

struct emuv_trace_reader {
  struct emuv_input input;
  struct emuv_trace_reader_state state;
  struct emuv_tables tables;
  struct emuv_decoder decoder;
  struct emuv_block_header *blocks;
  uint32_t cap_blocks;
  uint64_t offset; /* of the next block */
  uint64_t block;  /* offset of the block in the decoder */
  uint8_t *raw;
  size_t cap_raw;
  ZSTD_DCtx *zstd;
  int failure; /* sticky */
};

static int fail(struct emuv_trace_reader *r, int code, uint64_t offset, const char *what, struct emuv_err *err)
{
  r->failure = code;
  return emuv_input_error(&r->input, code, offset, what, err);
}

static int file_header_read(struct emuv_trace_reader *r, struct emuv_err *err)
{
  struct emuv_input *in = &r->input;
  if (in->bytes == 0) return fail(r, EMUV_ERR_INPUT, 0, "the file is empty", err);
  if (in->bytes < EMUV_FILE_HEADER_BYTES)
    return fail(r, EMUV_ERR_INPUT, 0, "not an emuV trace, or cut in its header", err);
  const uint8_t *p = emuv_input_at(in, 0, EMUV_FILE_HEADER_BYTES, err);
  if (!p) return r->failure = EMUV_ERR_IO;
  struct emuv_file_header h;
  const char *what = emuv_file_header_get(p, &h);
  if (what) return fail(r, EMUV_ERR_INPUT, 0, what, err);
  if (h.version != EMUV_FORMAT_VERSION || h.flags != 0) {
    emuv_err_set(err, EMUV_ERR_UNSUPPORTED, "trace format version %u (flags 0x%x): this program reads version %d",
                 (unsigned)h.version, (unsigned)h.flags, EMUV_FORMAT_VERSION);
    emuv_err_at(err, in->name, 0, 8);
    return r->failure = EMUV_ERR_UNSUPPORTED;
  }
  r->state.version = h.version;
  r->state.created_unix_ns = h.created_unix_ns;
  r->state.created_ns = h.created_ns;
  r->state.file_bytes = in->bytes;
  r->state.valid_bytes = r->offset = h.header_bytes;
  return 0;
}

static int reader_start(struct emuv_trace_reader **out, struct emuv_trace_reader *r, struct emuv_err *err)
{
  int code = file_header_read(r, err);
  r->decoder.tables = &r->tables;
  if (code == 0 && !(r->zstd = ZSTD_createDCtx())) code = emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory");
  if (code) {
    emuv_trace_reader_close(r);
    r = NULL;
  }
  *out = r;
  return code;
}

int emuv_trace_reader_open(struct emuv_trace_reader **out, const char *path, struct emuv_err *err)
{
  *out = NULL;
  struct emuv_trace_reader *r = calloc(1, sizeof *r);
  if (!r) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory");
  int code = emuv_input_open(&r->input, path, err);
  if (code == 0) return reader_start(out, r, err);
  free(r);
  return code;
}

int emuv_trace_reader_open_memory(struct emuv_trace_reader **out, const void *data, size_t n, const char *name,
                                  struct emuv_err *err)
{
  *out = NULL;
  struct emuv_trace_reader *r = calloc(1, sizeof *r);
  if (!r) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory");
  emuv_input_memory(&r->input, data, n, name);
  return reader_start(out, r, err);
}

void emuv_trace_reader_close(struct emuv_trace_reader *r)
{
  if (!r) return;
  emuv_input_close(&r->input);
  emuv_tables_free(&r->tables);
  emuv_decoder_free(&r->decoder);
  ZSTD_freeDCtx(r->zstd);
  free(r->blocks);
  free(r->raw);
  free(r);
}

/* ---- blocks ---- */

static int finish(struct emuv_trace_reader *r, bool truncated)
{
  r->state.ended = true;
  r->state.truncated = truncated;
  return 0;
}

static int raw_reserve(struct emuv_trace_reader *r, size_t n, struct emuv_err *err)
{
  if (n <= r->cap_raw) return 0;
  uint8_t *raw = realloc(r->raw, n);
  if (!raw) return emuv_err_set(err, r->failure = EMUV_ERR_NOMEM, "out of memory for a block of %zu bytes", n);
  r->raw = raw;
  r->cap_raw = n;
  return 0;
}

/* Checks and unpacks the payload into r->raw. */
static int payload_read(struct emuv_trace_reader *r, const struct emuv_block_header *h, struct emuv_err *err)
{
  const uint8_t *stored = emuv_input_at(&r->input, h->offset + EMUV_BLOCK_HEADER_BYTES, h->stored_bytes, err);
  if (!stored) return r->failure = EMUV_ERR_IO;
  if (emuv_crc32c(0, stored, h->stored_bytes) != h->payload_crc)
    return fail(r, EMUV_ERR_INPUT, h->offset, "the block's payload is damaged (checksum)", err);
  if (h->codec > EMUV_CODEC_ZSTD)
    return fail(r, EMUV_ERR_UNSUPPORTED, h->offset, "unknown compression of the block", err);
  int code = raw_reserve(r, h->raw_bytes + (size_t)EMUV_DECODE_SLACK, err);
  if (code) return code;
  memset(r->raw + h->raw_bytes, 0, EMUV_DECODE_SLACK);
  if (h->codec == EMUV_CODEC_NONE) {
    memcpy(r->raw, stored, h->raw_bytes);
  } else {
    size_t n = ZSTD_decompressDCtx(r->zstd, r->raw, h->raw_bytes, stored, h->stored_bytes);
    if (ZSTD_isError(n) || n != h->raw_bytes)
      return fail(r, EMUV_ERR_INPUT, h->offset, "the block cannot be decompressed", err);
  }
  return 0;
}

static int block_remember(struct emuv_trace_reader *r, const struct emuv_block_header *h, struct emuv_err *err)
{
  uint32_t n = r->state.n_blocks;
  if (n == r->cap_blocks) {
    uint32_t cap = n * 2 + 64;
    struct emuv_block_header *grown = realloc(r->blocks, cap * sizeof *grown);
    if (!grown) return emuv_err_set(err, r->failure = EMUV_ERR_NOMEM, "out of memory");
    r->blocks = grown;
    r->cap_blocks = cap;
  }
  r->blocks[n] = *h;
  r->state.n_blocks = n + 1;
  return 0;
}

static bool footer_agrees(const struct emuv_trace_reader *r, const struct emuv_block_header *footer)
{
  uint32_t n = r->state.n_blocks - 1;
  if (footer->raw_bytes != (uint64_t)n * EMUV_INDEX_ENTRY_BYTES) return false;
  for (uint32_t i = 0; i < n; i++) {
    uint8_t entry[EMUV_INDEX_ENTRY_BYTES];
    emuv_index_entry_put(entry, &r->blocks[i]);
    if (memcmp(entry, r->raw + (size_t)i * EMUV_INDEX_ENTRY_BYTES, sizeof entry) != 0) return false;
  }
  return true;
}

static int footer_read(struct emuv_trace_reader *r, const struct emuv_block_header *h, struct emuv_err *err)
{
  if (!footer_agrees(r, h)) return fail(r, EMUV_ERR_INPUT, h->offset, "the index disagrees with the blocks", err);
  uint64_t rest = r->input.bytes - r->offset, footer;
  if (rest < EMUV_TRAILER_BYTES) return finish(r, true);
  const uint8_t *p = emuv_input_at(&r->input, r->offset, EMUV_TRAILER_BYTES, err);
  if (!p) return r->failure = EMUV_ERR_IO;
  if (!emuv_trailer_get(p, &footer) || footer != h->offset)
    return fail(r, EMUV_ERR_INPUT, r->offset, "the trailer is damaged", err);
  if (rest > EMUV_TRAILER_BYTES)
    return fail(r, EMUV_ERR_INPUT, r->offset + EMUV_TRAILER_BYTES, "bytes follow the end of the trace", err);
  r->state.valid_bytes = r->offset += EMUV_TRAILER_BYTES;
  return finish(r, false);
}

static int verdict_read(struct emuv_trace_reader *r, const struct emuv_block_header *h, struct emuv_err *err)
{
  const char *what = emuv_verdict_read(&r->state.verdict, r->raw, r->raw + h->raw_bytes);
  if (what) return fail(r, EMUV_ERR_INPUT, h->offset, what, err);
  r->state.has_verdict = true;
  return 0;
}

static int block_take(struct emuv_trace_reader *r, const struct emuv_block_header *h, struct emuv_err *err)
{
  const char *what = NULL;
  switch (h->type) {
  case EMUV_BLOCK_RECORDS:
    r->block = h->offset;
    emuv_decoder_start(&r->decoder, r->raw, r->raw + h->raw_bytes);
    return 0;
  case EMUV_BLOCK_DICTIONARY:
    what = emuv_tables_read(&r->tables, r->raw, r->raw + h->raw_bytes);
    return what ? fail(r, EMUV_ERR_INPUT, h->offset, what, err) : 0;
  case EMUV_BLOCK_VERDICT: return verdict_read(r, h, err);
  case EMUV_BLOCK_FOOTER: return footer_read(r, h, err);
  default: r->state.skipped_blocks++; return 0;
  }
}

static bool type_known(const struct emuv_block_header *h)
{
  return h->type >= EMUV_BLOCK_RECORDS && h->type <= EMUV_BLOCK_FOOTER;
}

static int header_read(struct emuv_trace_reader *r, struct emuv_block_header *h, struct emuv_err *err)
{
  const uint8_t *p = emuv_input_at(&r->input, r->offset, EMUV_BLOCK_HEADER_BYTES, err);
  if (!p) return r->failure = EMUV_ERR_IO;
  const char *what = emuv_block_header_get(p, h);
  h->offset = r->offset;
  if (!what && h->sequence != r->state.n_blocks) what = "a block is missing or out of order";
  if (what) return fail(r, EMUV_ERR_INPUT, r->offset, what, err);
  if (!type_known(h) && h->flags & EMUV_BLOCK_CRITICAL)
    return fail(r, EMUV_ERR_UNSUPPORTED, r->offset, "a block of a newer format that must not be skipped", err);
  return 0;
}

/* Reads the next block; state.ended tells when there is none. */
static int block_next(struct emuv_trace_reader *r, struct emuv_err *err)
{
  if (r->input.bytes < r->offset || r->input.bytes - r->offset < EMUV_BLOCK_HEADER_BYTES) return finish(r, true);
  struct emuv_block_header h;
  int code = header_read(r, &h, err);
  if (code) return code;
  uint64_t whole = EMUV_BLOCK_HEADER_BYTES + (uint64_t)h.stored_bytes;
  if (r->input.bytes - r->offset < whole) return finish(r, true);
  if (type_known(&h) && (code = payload_read(r, &h, err))) return code;
  if ((code = block_remember(r, &h, err))) return code;
  r->state.valid_bytes = r->offset += whole;
  r->state.raw_bytes += h.raw_bytes;
  return block_take(r, &h, err);
}

int emuv_trace_reader_next(struct emuv_trace_reader *r, struct emuv_trace_record *record, struct emuv_err *err)
{
  if (r->failure) return emuv_err_set(err, r->failure, "the trace cannot be read further");
  for (;;) {
    const char *what;
    int got = emuv_decoder_next(&r->decoder, record, &what);
    r->state.skipped_records = r->decoder.skipped;
    if (got < 0) return fail(r, EMUV_ERR_INPUT, r->block, what, err);
    if (got > 0) return r->state.records++, 1;
    if (r->state.ended) return 0;
    int code = block_next(r, err);
    if (code) return code;
  }
}

const char *emuv_trace_reader_string(const struct emuv_trace_reader *r, uint32_t id)
{
  return id && id <= r->tables.n_strings ? r->tables.strings[id - 1] : "";
}

const struct emuv_trace_kernel *emuv_trace_reader_kernel(const struct emuv_trace_reader *r, uint32_t id)
{
  return id && id <= r->tables.n_kernels ? &r->tables.kernels[id - 1] : NULL;
}

uint32_t emuv_trace_reader_n_strings(const struct emuv_trace_reader *r)
{
  return r->tables.n_strings;
}

uint32_t emuv_trace_reader_n_kernels(const struct emuv_trace_reader *r)
{
  return r->tables.n_kernels;
}

const struct emuv_trace_reader_state *emuv_trace_reader_state(const struct emuv_trace_reader *r)
{
  return &r->state;
}
