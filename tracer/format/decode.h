// SPDX-License-Identifier: Apache-2.0
/* Payloads of blocks to records and dictionary entries (FORMAT.md, "Payloads"). Works on untrusted bytes in memory;
 * messages are constant texts, the caller adds the offset. Internal to the trace library; one thread per struct. */
#ifndef EMUV_FORMAT_DECODE_H
#define EMUV_FORMAT_DECODE_H

#include "tracer/format/schema.h"
#include "tracer/format/trace.h"

#include <stddef.h>
#include <stdint.h>

/* As in the file, checked once: decoded again for each launch that names it. */
struct emuv_page_set {
  uint8_t *bytes;
  size_t n;
};

/* What dictionary blocks have defined so far. */
struct emuv_tables {
  char **strings; /* strings[i] is id i + 1 */
  struct emuv_trace_kernel *kernels;
  struct emuv_page_set *page_sets;
  uint32_t n_strings, n_kernels, n_page_sets, cap_strings, cap_kernels, cap_page_sets;
};

/* Reads one dictionary payload. NULL, or what is wrong. */
const char *emuv_tables_read(struct emuv_tables *t, const uint8_t *p, const uint8_t *end);
void emuv_tables_free(struct emuv_tables *t);

/* A record payload that is being walked. EMUV_DECODE_SLACK bytes behind its end can be read too. */
struct emuv_decoder {
  const uint8_t *p, *end;
  uint64_t channels[EMUV_CHANNELS];
  uint64_t skipped;                 /* records of unknown type so far */
  const struct emuv_tables *tables; /* the caller's: page sets */
  struct emuv_trace_operand *operands;
  uint32_t cap_operands;
};

void emuv_decoder_start(struct emuv_decoder *d, const uint8_t *p, const uint8_t *end);
/* 1 and a record, 0 at the end of the payload, -1 and *what. */
int emuv_decoder_next(struct emuv_decoder *d, struct emuv_trace_record *record, const char **what);
void emuv_decoder_free(struct emuv_decoder *d);

/* NULL, or what is wrong. */
const char *emuv_verdict_read(struct emuv_trace_verdict *v, const uint8_t *p, const uint8_t *end);

#endif
