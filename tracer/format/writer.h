// SPDX-License-Identifier: Apache-2.0
/* Writes a trace (.emuv).
 *
 * Any thread may append at any time: the writer locks itself. Records collect in a buffer; a full buffer becomes one
 * compressed block that is handed to the kernel in one write(), so a killed process loses only the open buffer (call
 * emuv_trace_writer_flush every so often). Compression runs outside the lock that appending threads take.
 * Memory stays bounded: two buffers of a few times block_bytes, the dictionaries, and 48 bytes per block.
 *
 * Fails open: after an I/O error (disk full, size limit) appends are counted and dropped, return EMUV_ERR_NOSPACE or
 * EMUV_ERR_IO, and the verdict says why. Nothing here prints, exits or raises a signal.
 * After fork() a child must call emuv_trace_writer_disown (or nothing at all): it never touches the file. */
#ifndef EMUV_FORMAT_WRITER_H
#define EMUV_FORMAT_WRITER_H

#include "runtime/core/err.h"
#include "tracer/format/trace.h"

#include <stdbool.h>

struct emuv_trace_writer;

struct emuv_trace_writer_options {
  uint32_t block_bytes; /* raw bytes of records per block; 0 = 256 KiB */
  int level;            /* zstd; 0 = 3 */
  uint64_t max_bytes;   /* size limit of the file, 0 = none */
  bool reproducible;    /* no creation time in the header: the same records give the same bytes */
};

/* Creates or truncates the file. options may be NULL. EMUV_ERR_IO, EMUV_ERR_NOMEM. */
int emuv_trace_writer_open(struct emuv_trace_writer **w, const char *path,
                           const struct emuv_trace_writer_options *options, struct emuv_err *err);
/* Id of a string, the same for equal strings; 0 for NULL, "" or when memory is short. */
uint32_t emuv_trace_writer_string(struct emuv_trace_writer *w, const char *text);
/* Id of a kernel, the same for equal entries; 0 when memory is short. */
uint32_t emuv_trace_writer_kernel(struct emuv_trace_writer *w, const struct emuv_trace_kernel *kernel);
/* Id of a set of operands (with every member of the structs set, 1 .. EMUV_TRACE_OPERANDS_MAX of them), the same for
 * equal sets: for a launch's page_set. 0 when memory is short or the file holds enough sets: then the launch takes the
 * operands itself. */
uint32_t emuv_trace_writer_page_set(struct emuv_trace_writer *w, const struct emuv_trace_operand *operands, uint32_t n);
/* Appends one record; operands are copied. 0, or the code of the failure that closed the file for more records. */
int emuv_trace_writer_append(struct emuv_trace_writer *w, const struct emuv_trace_record *record);

/* The same, typed. */
int emuv_trace_writer_environment(struct emuv_trace_writer *w, const char *key, const char *value);
int emuv_trace_writer_process(struct emuv_trace_writer *w, const struct emuv_trace_process *r);
int emuv_trace_writer_thread(struct emuv_trace_writer *w, const struct emuv_trace_thread *r);
int emuv_trace_writer_allocation(struct emuv_trace_writer *w, const struct emuv_trace_allocation *r);
int emuv_trace_writer_free(struct emuv_trace_writer *w, const struct emuv_trace_free *r);
int emuv_trace_writer_copy(struct emuv_trace_writer *w, const struct emuv_trace_copy *r);
int emuv_trace_writer_set(struct emuv_trace_writer *w, const struct emuv_trace_set *r);
int emuv_trace_writer_launch(struct emuv_trace_writer *w, const struct emuv_trace_launch *r);
int emuv_trace_writer_gpu_time(struct emuv_trace_writer *w, const struct emuv_trace_gpu_time *r);
/* n of them at once. */
int emuv_trace_writer_gpu_times(struct emuv_trace_writer *w, const struct emuv_trace_gpu_time *r, uint32_t n);
int emuv_trace_writer_range(struct emuv_trace_writer *w, const struct emuv_trace_range *r);
int emuv_trace_writer_sync(struct emuv_trace_writer *w, const struct emuv_trace_sync *r);
int emuv_trace_writer_gap(struct emuv_trace_writer *w, const struct emuv_trace_gap *r);
int emuv_trace_writer_drop(struct emuv_trace_writer *w, const struct emuv_trace_drop *r);
int emuv_trace_writer_tag(struct emuv_trace_writer *w, const struct emuv_trace_tag *r);
int emuv_trace_writer_graph_node(struct emuv_trace_writer *w, const struct emuv_trace_graph_node *r);

/* Writes what is buffered. Cheap when nothing is. */
int emuv_trace_writer_flush(struct emuv_trace_writer *w, struct emuv_err *err);
/* Next value of the count that orders launches, copies and sets (1, 2, ...). */
uint64_t emuv_trace_writer_sequence(struct emuv_trace_writer *w);
/* The first of n values in a row, as a launch of a graph with n nodes needs them. */
uint64_t emuv_trace_writer_sequences(struct emuv_trace_writer *w, uint64_t n);
/* Flushes, writes verdict and footer, closes, frees. No other thread may use the writer any more. status: COMPLETE or
 * STOPPED; a failure that happened before overrules it. text may be NULL. Returns the first failure, 0 if there was
 * none. */
int emuv_trace_writer_close(struct emuv_trace_writer *w, enum emuv_trace_status status, uint32_t exit_status,
                            const char *text, struct emuv_err *err);
/* In a forked child: closes the descriptor and makes every later call a no-op that returns EMUV_ERR_UNSUPPORTED. Writes
 * nothing, takes no lock, frees nothing. */
void emuv_trace_writer_disown(struct emuv_trace_writer *w);

#endif
