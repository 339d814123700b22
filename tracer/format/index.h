// SPDX-License-Identifier: Apache-2.0
/* The list of a trace's blocks: from the footer where there is one, else by walking the block headers. Payloads are not
 * read. For seeking and for repair. Owned by the caller; one thread while it is built. */
#ifndef EMUV_FORMAT_INDEX_H
#define EMUV_FORMAT_INDEX_H

#include "runtime/core/err.h"
#include "tracer/format/block.h"

struct emuv_trace_index {
  struct emuv_block_header *blocks; /* without the footer itself; sequence is the position in this array */
  size_t n;
  bool rebuilt; /* by a scan: the file has no whole footer */
};

/* EMUV_ERR_INPUT: not a trace, or a damaged block header (with its offset). A file that ends early is no error. */
int emuv_trace_index_load(const char *path, struct emuv_trace_index *index, struct emuv_err *err);
int emuv_trace_index_memory(const void *data, size_t n, const char *name, struct emuv_trace_index *index,
                            struct emuv_err *err);
void emuv_trace_index_free(struct emuv_trace_index *index);

#endif
