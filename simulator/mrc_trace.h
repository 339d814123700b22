// SPDX-License-Identifier: Apache-2.0
/* A reference string in memory: four bytes per reference, ids dense in the order of first appearance. The readers
 * stream the file, so nothing of it stays but this. Filled by one thread, then read by all. */
#ifndef EMUV_SIMULATOR_MRC_TRACE_H
#define EMUV_SIMULATOR_MRC_TRACE_H

#include "runtime/core/err.h"

#include <stddef.h>
#include <stdint.h>

struct emuv_mrc_trace {
  uint32_t *refs; /* n dense ids */
  size_t n, allocated;
  uint32_t n_pages; /* distinct ids */
};

enum { EMUV_MRC_PAGE_BYTES = 2 << 20 };

/* Most references that a trace can have: positions and keys of policies have 32 bits. */
#define EMUV_MRC_MAX_REFS ((uint64_t)0x7fffff00)

/* Reads a whole file, "-" is standard input. format NULL: from the name's extension, else from the first bytes.
 * page_bytes is for captured traces, which reference memory and not pages; 0 = EMUV_MRC_PAGE_BYTES. EMUV_ERR_INPUT with
 * the place for a bad file, EMUV_ERR_USAGE for page_bytes where it means nothing. On failure *t is freed. */
int emuv_mrc_read(const char *path, const char *format, uint64_t page_bytes, struct emuv_mrc_trace *t,
                  struct emuv_err *err);
/* Names of the formats, NULL-terminated. */
const char *const *emuv_mrc_formats(void);
void emuv_mrc_trace_free(struct emuv_mrc_trace *t);

/* next[i] = position of the next reference to refs[i], EMUV_NEVER if there is none. NULL when memory is short;
 * emuv_mrc_free with n * 4 bytes. */
uint32_t *emuv_mrc_next_uses(const struct emuv_mrc_trace *t);

/* Large zeroed arrays straight from the system, on huge pages where it has them. NULL when memory is short. */
void *emuv_mrc_alloc(size_t bytes);
void emuv_mrc_free(void *memory, size_t bytes);

#endif
