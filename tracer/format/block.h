// SPDX-License-Identifier: Apache-2.0
/* The container: file header, block headers, trailer (FORMAT.md, "Container"). Pure functions on bytes, any thread.
 * Internal to the trace library. */
#ifndef EMUV_FORMAT_BLOCK_H
#define EMUV_FORMAT_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  EMUV_FILE_HEADER_BYTES = 64,
  EMUV_BLOCK_HEADER_BYTES = 48,
  EMUV_TRAILER_BYTES = 16,
  EMUV_INDEX_ENTRY_BYTES = 40,
  EMUV_FORMAT_VERSION = 1,
  EMUV_BLOCK_RAW_MAX = 64 << 20, /* a reader refuses larger blocks */
};

enum emuv_block_type { EMUV_BLOCK_RECORDS = 1, EMUV_BLOCK_DICTIONARY, EMUV_BLOCK_VERDICT, EMUV_BLOCK_FOOTER };
enum emuv_block_codec { EMUV_CODEC_NONE, EMUV_CODEC_ZSTD };
enum emuv_block_flag { EMUV_BLOCK_CRITICAL = 1 }; /* a reader that does not know the type must refuse the file */
enum emuv_dictionary_kind { EMUV_DICTIONARY_STRING = 1, EMUV_DICTIONARY_KERNEL, EMUV_DICTIONARY_PAGE_SET };

struct emuv_file_header {
  uint16_t version;
  uint16_t header_bytes;
  uint32_t flags;
  uint64_t created_unix_ns; /* 0 = reproducible file */
  uint64_t created_ns;      /* CLOCK_MONOTONIC at the same moment */
};

struct emuv_block_header {
  uint64_t offset; /* of the header in the file; not stored */
  uint64_t sequence;
  uint64_t first_ns;
  uint32_t stored_bytes, raw_bytes;
  uint32_t records;
  uint32_t payload_crc;
  uint16_t flags;
  uint8_t type, codec;
};

static inline void emuv_put32(uint8_t *p, uint32_t v)
{
  for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> (8 * i));
}
static inline void emuv_put64(uint8_t *p, uint64_t v)
{
  for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> (8 * i));
}
static inline uint32_t emuv_get32(const uint8_t *p)
{
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t emuv_get64(const uint8_t *p)
{
  return (uint64_t)emuv_get32(p) | (uint64_t)emuv_get32(p + 4) << 32;
}

void emuv_file_header_put(uint8_t *p, const struct emuv_file_header *h);
/* NULL, or what is wrong. */
const char *emuv_file_header_get(const uint8_t *p, struct emuv_file_header *h);
/* Also computes the header's own checksum. */
void emuv_block_header_put(uint8_t *p, const struct emuv_block_header *h);
/* NULL, or what is wrong. */
const char *emuv_block_header_get(const uint8_t *p, struct emuv_block_header *h);
void emuv_index_entry_put(uint8_t *p, const struct emuv_block_header *h);
void emuv_index_entry_get(const uint8_t *p, struct emuv_block_header *h);
void emuv_trailer_put(uint8_t *p, uint64_t footer_offset);
/* False when it is not a trailer. */
bool emuv_trailer_get(const uint8_t *p, uint64_t *footer_offset);

#endif
