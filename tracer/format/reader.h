// SPDX-License-Identifier: Apache-2.0
/* Reads a trace (.emuv) as a stream of records, in the order in which they were written, with memory for one block.
 *
 * Nothing in the file is trusted: every length is checked, every block has a checksum, and an error names the byte at
 * which it was found (also in err->column). A file that ends early is no error: its whole blocks are delivered and
 * state.truncated is set. A block type that this version does not know is skipped when its writer allowed that; an
 * unknown format version is refused.
 * One thread per reader; several readers may read one file, also while it is being written. */
#ifndef EMUV_FORMAT_READER_H
#define EMUV_FORMAT_READER_H

#include "runtime/core/err.h"
#include "tracer/format/trace.h"

#include <stdbool.h>
#include <stddef.h>

struct emuv_trace_reader;

struct emuv_trace_reader_state {
  uint64_t file_bytes;
  uint64_t valid_bytes;                     /* end of the last whole block */
  uint64_t raw_bytes;                       /* of all blocks so far, uncompressed */
  uint64_t records;                         /* delivered */
  uint64_t skipped_records, skipped_blocks; /* of types that this version does not know */
  uint64_t created_unix_ns, created_ns;
  uint32_t version, n_blocks;
  bool ended;     /* everything that can be read has been */
  bool truncated; /* it ended before the trailer */
  bool has_verdict;
  struct emuv_trace_verdict verdict; /* when has_verdict */
};

/* EMUV_ERR_IO: cannot be opened; EMUV_ERR_INPUT: not a trace; EMUV_ERR_UNSUPPORTED: a newer version. */
int emuv_trace_reader_open(struct emuv_trace_reader **r, const char *path, struct emuv_err *err);
/* The same from memory, which must outlive the reader; `name` is for messages. */
int emuv_trace_reader_open_memory(struct emuv_trace_reader **r, const void *data, size_t n, const char *name,
                                  struct emuv_err *err);
/* 1 and a record, 0 at the end, or an error. The record's operands are valid until the next call. */
int emuv_trace_reader_next(struct emuv_trace_reader *r, struct emuv_trace_record *record, struct emuv_err *err);
/* Text of a string id among those read so far; "" for 0 and for ids that the file does not have. */
const char *emuv_trace_reader_string(const struct emuv_trace_reader *r, uint32_t id);
/* Entry of a kernel id; NULL for 0 and for ids that the file does not have. */
const struct emuv_trace_kernel *emuv_trace_reader_kernel(const struct emuv_trace_reader *r, uint32_t id);
/* Entries read so far; ids are 1 .. n. */
uint32_t emuv_trace_reader_n_strings(const struct emuv_trace_reader *r);
uint32_t emuv_trace_reader_n_kernels(const struct emuv_trace_reader *r);
const struct emuv_trace_reader_state *emuv_trace_reader_state(const struct emuv_trace_reader *r);
void emuv_trace_reader_close(struct emuv_trace_reader *r);

#endif
