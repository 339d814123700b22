// SPDX-License-Identifier: Apache-2.0
/* The container's fixed structures: see block.h and FORMAT.md. */
#include "tracer/format/block.h"

#include "tracer/format/crc32c.h"

#include <string.h>

/* A byte above 127, the name, both kinds of line end and Ctrl-Z, so that transfers in text mode are noticed, as in PNG
 * (RFC 2083, section 12.11). */
static const uint8_t file_magic[8] = {0x89, 'e', 'm', 'u', 'v', '\r', '\n', 0x1a};
static const uint8_t block_magic[4] = {'E', 'B', 'L', 'K'};
static const uint8_t trailer_magic[8] = {'e', 'm', 'u', 'v', 'E', 'N', 'D', '\n'};

static void put16(uint8_t *p, uint16_t v)
{
  p[0] = (uint8_t)v;
  p[1] = (uint8_t)(v >> 8);
}

static uint16_t get16(const uint8_t *p)
{
  return (uint16_t)(p[0] | p[1] << 8);
}

void emuv_file_header_put(uint8_t *p, const struct emuv_file_header *h)
{
  memset(p, 0, EMUV_FILE_HEADER_BYTES);
  memcpy(p, file_magic, sizeof file_magic);
  put16(p + 8, h->version);
  put16(p + 10, h->header_bytes);
  emuv_put32(p + 12, h->flags);
  emuv_put64(p + 16, h->created_unix_ns);
  emuv_put64(p + 24, h->created_ns);
  emuv_put32(p + 60, emuv_crc32c(0, p, 60));
}

const char *emuv_file_header_get(const uint8_t *p, struct emuv_file_header *h)
{
  if (memcmp(p, file_magic, sizeof file_magic) != 0) return "not an emuV trace";
  if (emuv_get32(p + 60) != emuv_crc32c(0, p, 60)) return "the file header is damaged (checksum)";
  h->version = get16(p + 8);
  h->header_bytes = get16(p + 10);
  h->flags = emuv_get32(p + 12);
  h->created_unix_ns = emuv_get64(p + 16);
  h->created_ns = emuv_get64(p + 24);
  if (h->header_bytes < EMUV_FILE_HEADER_BYTES) return "the file header's size is impossible";
  return NULL;
}

void emuv_block_header_put(uint8_t *p, const struct emuv_block_header *h)
{
  memset(p, 0, EMUV_BLOCK_HEADER_BYTES);
  memcpy(p, block_magic, sizeof block_magic);
  p[4] = h->type;
  p[5] = h->codec;
  put16(p + 6, h->flags);
  emuv_put64(p + 8, h->sequence);
  emuv_put64(p + 16, h->first_ns);
  emuv_put32(p + 24, h->stored_bytes);
  emuv_put32(p + 28, h->raw_bytes);
  emuv_put32(p + 32, h->records);
  emuv_put32(p + 36, h->payload_crc);
  emuv_put32(p + 44, emuv_crc32c(0, p, 44));
}

const char *emuv_block_header_get(const uint8_t *p, struct emuv_block_header *h)
{
  if (memcmp(p, block_magic, sizeof block_magic) != 0) return "no block starts here";
  if (emuv_get32(p + 44) != emuv_crc32c(0, p, 44)) return "the block header is damaged (checksum)";
  h->type = p[4];
  h->codec = p[5];
  h->flags = get16(p + 6);
  h->sequence = emuv_get64(p + 8);
  h->first_ns = emuv_get64(p + 16);
  h->stored_bytes = emuv_get32(p + 24);
  h->raw_bytes = emuv_get32(p + 28);
  h->records = emuv_get32(p + 32);
  h->payload_crc = emuv_get32(p + 36);
  if (h->raw_bytes > EMUV_BLOCK_RAW_MAX || h->stored_bytes > 2u * EMUV_BLOCK_RAW_MAX)
    return "the block's size is impossible";
  if (h->codec == EMUV_CODEC_NONE && h->raw_bytes != h->stored_bytes) return "the block's sizes contradict each other";
  return NULL;
}

void emuv_index_entry_put(uint8_t *p, const struct emuv_block_header *h)
{
  memset(p, 0, EMUV_INDEX_ENTRY_BYTES);
  emuv_put64(p, h->offset);
  emuv_put64(p + 8, h->first_ns);
  emuv_put32(p + 16, h->stored_bytes);
  emuv_put32(p + 20, h->raw_bytes);
  emuv_put32(p + 24, h->records);
  emuv_put32(p + 28, h->payload_crc);
  p[32] = h->type;
  p[33] = h->codec;
  put16(p + 34, h->flags);
}

void emuv_index_entry_get(const uint8_t *p, struct emuv_block_header *h)
{
  memset(h, 0, sizeof *h);
  h->offset = emuv_get64(p);
  h->first_ns = emuv_get64(p + 8);
  h->stored_bytes = emuv_get32(p + 16);
  h->raw_bytes = emuv_get32(p + 20);
  h->records = emuv_get32(p + 24);
  h->payload_crc = emuv_get32(p + 28);
  h->type = p[32];
  h->codec = p[33];
  h->flags = get16(p + 34);
}

void emuv_trailer_put(uint8_t *p, uint64_t footer_offset)
{
  emuv_put64(p, footer_offset);
  memcpy(p + 8, trailer_magic, sizeof trailer_magic);
}

bool emuv_trailer_get(const uint8_t *p, uint64_t *footer_offset)
{
  *footer_offset = emuv_get64(p);
  return memcmp(p + 8, trailer_magic, sizeof trailer_magic) == 0;
}
