// SPDX-License-Identifier: Apache-2.0
/* The list of a trace's blocks: see index.h. A footer that is damaged in any way is ignored and the file scanned. */
#include "tracer/format/index.h"

#include "tracer/format/crc32c.h"
#include "tracer/format/input.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

static int push(struct emuv_trace_index *index, const struct emuv_block_header *h, struct emuv_err *err)
{
  if ((index->n & (index->n - 1)) == 0) {
    struct emuv_block_header *grown = realloc(index->blocks, (index->n ? 2 * index->n : 1) * sizeof *grown);
    if (!grown) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the index");
    index->blocks = grown;
  }
  index->blocks[index->n++] = *h;
  return 0;
}

/* The footer's header, if the file ends with a whole footer and its trailer. */
static bool find_footer(struct emuv_input *in, struct emuv_block_header *h)
{
  uint64_t offset;
  if (in->bytes < EMUV_FILE_HEADER_BYTES + EMUV_BLOCK_HEADER_BYTES + EMUV_TRAILER_BYTES) return false;
  const uint8_t *p = emuv_input_at(in, in->bytes - EMUV_TRAILER_BYTES, EMUV_TRAILER_BYTES, NULL);
  if (!p || !emuv_trailer_get(p, &offset)) return false;
  if (offset > in->bytes - EMUV_TRAILER_BYTES - EMUV_BLOCK_HEADER_BYTES) return false;
  if (!(p = emuv_input_at(in, offset, EMUV_BLOCK_HEADER_BYTES, NULL)) || emuv_block_header_get(p, h)) return false;
  h->offset = offset;
  return h->type == EMUV_BLOCK_FOOTER &&
         h->stored_bytes == in->bytes - EMUV_TRAILER_BYTES - EMUV_BLOCK_HEADER_BYTES - offset;
}

static uint8_t *unpack(struct emuv_input *in, const struct emuv_block_header *h)
{
  const uint8_t *stored = emuv_input_at(in, h->offset + EMUV_BLOCK_HEADER_BYTES, h->stored_bytes, NULL);
  if (!stored || emuv_crc32c(0, stored, h->stored_bytes) != h->payload_crc) return NULL;
  uint8_t *raw = malloc(h->raw_bytes + 1u);
  if (!raw) return NULL;
  size_t n = h->raw_bytes;
  if (h->codec == EMUV_CODEC_NONE)
    memcpy(raw, stored, n);
  else
    n = ZSTD_decompress(raw, n, stored, h->stored_bytes);
  if (n == h->raw_bytes) return raw;
  free(raw);
  return NULL;
}

static bool from_footer(struct emuv_input *in, struct emuv_trace_index *index)
{
  struct emuv_block_header footer, h;
  if (!find_footer(in, &footer)) return false;
  uint8_t *raw = unpack(in, &footer);
  bool ok = raw && footer.raw_bytes % EMUV_INDEX_ENTRY_BYTES == 0;
  for (size_t i = 0; ok && i < footer.raw_bytes / EMUV_INDEX_ENTRY_BYTES; i++) {
    emuv_index_entry_get(raw + i * EMUV_INDEX_ENTRY_BYTES, &h);
    h.sequence = i;
    ok = h.offset < footer.offset && push(index, &h, NULL) == 0;
  }
  free(raw);
  if (!ok) emuv_trace_index_free(index);
  return ok;
}

static int scan(struct emuv_input *in, uint64_t offset, struct emuv_trace_index *index, struct emuv_err *err)
{
  index->rebuilt = true;
  while (offset <= in->bytes && in->bytes - offset >= EMUV_BLOCK_HEADER_BYTES) {
    struct emuv_block_header h;
    const uint8_t *p = emuv_input_at(in, offset, EMUV_BLOCK_HEADER_BYTES, err);
    if (!p) return EMUV_ERR_IO;
    const char *what = emuv_block_header_get(p, &h);
    if (what) return emuv_input_error(in, EMUV_ERR_INPUT, offset, what, err);
    h.offset = offset;
    offset += EMUV_BLOCK_HEADER_BYTES + (uint64_t)h.stored_bytes;
    if (h.type == EMUV_BLOCK_FOOTER || offset > in->bytes) return 0;
    int code = push(index, &h, err);
    if (code) return code;
  }
  return 0;
}

static int index_input(struct emuv_input *in, struct emuv_trace_index *index, struct emuv_err *err)
{
  *index = (struct emuv_trace_index){0};
  if (in->bytes < EMUV_FILE_HEADER_BYTES) return emuv_input_error(in, EMUV_ERR_INPUT, 0, "not an emuV trace", err);
  const uint8_t *p = emuv_input_at(in, 0, EMUV_FILE_HEADER_BYTES, err);
  if (!p) return EMUV_ERR_IO;
  struct emuv_file_header h;
  const char *what = emuv_file_header_get(p, &h);
  if (what) return emuv_input_error(in, EMUV_ERR_INPUT, 0, what, err);
  if (h.version != EMUV_FORMAT_VERSION) return emuv_input_error(in, EMUV_ERR_UNSUPPORTED, 8, "unknown version", err);
  int code = from_footer(in, index) ? 0 : scan(in, h.header_bytes, index, err);
  if (code) emuv_trace_index_free(index);
  return code;
}

int emuv_trace_index_load(const char *path, struct emuv_trace_index *index, struct emuv_err *err)
{
  struct emuv_input in;
  *index = (struct emuv_trace_index){0};
  int code = emuv_input_open(&in, path, err);
  if (code) return code;
  code = index_input(&in, index, err);
  emuv_input_close(&in);
  return code;
}

int emuv_trace_index_memory(const void *data, size_t n, const char *name, struct emuv_trace_index *index,
                            struct emuv_err *err)
{
  struct emuv_input in;
  emuv_input_memory(&in, data, n, name);
  return index_input(&in, index, err);
}

void emuv_trace_index_free(struct emuv_trace_index *index)
{
  free(index->blocks);
  *index = (struct emuv_trace_index){0};
}
