// SPDX-License-Identifier: Apache-2.0
/* The table of all records' fields. Encoding, decoding, dumps, CSV and JSON read it; FORMAT.md lists it. A field is one
 * row; rows are only ever added at the end of a record, with plain coding or channels of their own (FORMAT.md,
 * "Compatibility"). Const, any thread.
 *
 * Integers are LEB128 varints; DELTA fields are the zigzag difference to the previous value of their channel, so that a
 * periodic sequence of launches becomes a periodic sequence of bytes, which zstd then folds away. Channels are zero at
 * the start of each block: every block can be decoded by itself. */
#ifndef EMUV_FORMAT_SCHEMA_H
#define EMUV_FORMAT_SCHEMA_H

#include "tracer/format/trace.h"

#include <stdbool.h>
#include <stddef.h>

enum emuv_trace_coding {
  EMUV_CODING_PLAIN,    /* varint */
  EMUV_CODING_DELTA,    /* varint of zigzag(value - channel); channel = value */
  EMUV_CODING_OPTIONAL, /* 0 stays 0 and leaves the channel; else varint of zigzag(value - channel) + 1; values below
                           2^63 */
};

enum emuv_trace_channel {
  EMUV_CHANNEL_NONE,
  EMUV_CHANNEL_HOST_NS,
  EMUV_CHANNEL_DEVICE_NS,
  EMUV_CHANNEL_SEQUENCE,
  EMUV_CHANNEL_CORRELATION,
  EMUV_CHANNEL_LATE_CORRELATION, /* of GPU_TIME records, which trail the launches */
  EMUV_CHANNEL_ALLOCATION,
  EMUV_CHANNEL_ADDRESS,
  EMUV_CHANNELS
};

enum emuv_trace_show { EMUV_SHOW_DEC, EMUV_SHOW_HEX, EMUV_SHOW_STRING, EMUV_SHOW_KERNEL, EMUV_SHOW_NAME };

struct emuv_trace_field {
  const char *name;
  uint16_t offset; /* in the record's struct */
  uint8_t size;    /* 4 or 8 */
  uint8_t coding, channel, show;
  uint8_t n_names;
  const char *const *names; /* SHOW_NAME: text by value */
};

struct emuv_trace_schema {
  const char *name; /* "launch" */
  const struct emuv_trace_field *fields;
  uint32_t n_fields;
  /* The table as straight code; see emuv_trace_encode and emuv_trace_decode_inside. */
  uint8_t *(*encode)(const void *base, uint64_t *channels, uint8_t *p);
  const uint8_t *(*decode)(void *base, uint64_t *channels, const uint8_t *p);
};

extern const struct emuv_trace_schema emuv_trace_schemas[EMUV_TRACE_TYPES]; /* by enum emuv_trace_type; [0] is empty */
extern const struct emuv_trace_schema emuv_trace_schema_operand;
extern const struct emuv_trace_schema emuv_trace_schema_kernel;
extern const struct emuv_trace_schema emuv_trace_schema_verdict;

enum { EMUV_VARINT_MAX = 10 }; /* bytes that one field can take */

static inline uint64_t emuv_trace_field_get(const struct emuv_trace_field *f, const void *base)
{
  const char *p = (const char *)base + f->offset;
  return f->size == 8 ? *(const uint64_t *)(const void *)p : *(const uint32_t *)(const void *)p;
}

static inline void emuv_trace_field_set(const struct emuv_trace_field *f, void *base, uint64_t value)
{
  char *p = (char *)base + f->offset;
  if (f->size == 8)
    *(uint64_t *)(void *)p = value;
  else
    *(uint32_t *)(void *)p = (uint32_t)value;
}

/* Records that have operands. */
static inline bool emuv_trace_has_operands(uint32_t type)
{
  return type == EMUV_TRACE_LAUNCH || type == EMUV_TRACE_GRAPH_NODE;
}

/* A record's operands; *n is 0 for records that have none. */
static inline const struct emuv_trace_operand *emuv_trace_record_operands(const struct emuv_trace_record *r,
                                                                          uint32_t *n)
{
  const bool node = r->type == EMUV_TRACE_GRAPH_NODE;
  *n = 0;
  if (!emuv_trace_has_operands(r->type)) return NULL;
  *n = node ? r->u.graph_node.n_operands : r->u.launch.n_operands;
  return node ? r->u.graph_node.operands : r->u.launch.operands;
}

/* Writes the fields at p (room for n_fields x EMUV_VARINT_MAX); returns the end. */
uint8_t *emuv_trace_encode(const struct emuv_trace_schema *schema, const void *base, uint64_t *channels, uint8_t *p);
/* Reads n fields from p..end into base (EMUV_FIELDS_TO_END: as many as there are). Fields that are not there become 0,
 * those beyond the schema are skipped. Returns the end of what was read, NULL when a varint is cut or longer than 64
 * bits, or when a 32-bit field holds more. */
#define EMUV_FIELDS_TO_END UINT64_MAX
const uint8_t *emuv_trace_decode(const struct emuv_trace_schema *schema, uint64_t n, void *base, uint64_t *channels,
                                 const uint8_t *p, const uint8_t *end);
/* The same where EMUV_DECODE_SLACK bytes after p can be read, whatever they are: faster. */
enum { EMUV_DECODE_FIELDS = 32, EMUV_DECODE_SLACK = EMUV_DECODE_FIELDS * EMUV_VARINT_MAX };
const uint8_t *emuv_trace_decode_inside(const struct emuv_trace_schema *schema, uint64_t n, void *base,
                                        uint64_t *channels, const uint8_t *p, const uint8_t *end);
/* Text of an enumeration's value, or its number in buf. */
const char *emuv_trace_name(const char *const *names, uint32_t n_names, uint64_t value, char buf[24]);
/* The same for a value of a NAME field. */
const char *emuv_trace_field_name(const struct emuv_trace_field *f, uint64_t value, char buf[24]);

extern const char *const emuv_trace_memory_names[EMUV_TRACE_MEMORY_KINDS];
extern const char *const emuv_trace_copy_names[EMUV_TRACE_COPY_KINDS];
extern const char *const emuv_trace_access_names[EMUV_TRACE_ACCESS_KINDS];
extern const char *const emuv_trace_provenance_names[EMUV_TRACE_PROVENANCES];
extern const char *const emuv_trace_class_names[EMUV_TRACE_CLASSES];
extern const char *const emuv_trace_range_names[EMUV_TRACE_RANGE_KINDS];
extern const char *const emuv_trace_sync_names[EMUV_TRACE_SYNC_KINDS];
extern const char *const emuv_trace_gap_names[EMUV_TRACE_GAP_WHYS];
extern const char *const emuv_trace_node_names[EMUV_TRACE_NODE_KINDS];
extern const char *const emuv_trace_status_names[EMUV_TRACE_STATUSES];

#endif
