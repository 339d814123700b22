// SPDX-License-Identifier: Apache-2.0
/* Plain reference strings: oracleGeneral (libCacheSim's binary format) and CSV, to and from traces.
 *
 * oracleGeneral: packed little-endian records of 24 bytes: u32 time in seconds, u64 object, u32 bytes, i64 next, the
 * 1-based position of the next reference to the same object, -1 if there is none (as libCacheSim's traceConv writes
 * it).
 *
 * An imported trace has, per object, one allocation whose address is the object's id and whose size is the largest of
 * its references, and per reference one launch that reads the object from its start. One thread per call. */
#ifndef EMUV_FORMAT_ORACLE_H
#define EMUV_FORMAT_ORACLE_H

#include "runtime/core/err.h"

#include <stdint.h>
#include <stdio.h>

enum { EMUV_ORACLE_RECORD_BYTES = 24 };

/* Writes the references of a trace: pages of page_bytes in the compact space (pages.h), object = page number; or, with
 * page_bytes 0, one reference per operand, object = device address (imported traces: the object's id), bytes = the
 * operand's. Time: seconds of the host's clock, 0 when not known. *references counts them; may be NULL. */
int emuv_trace_export_oracle(const char *path, uint64_t page_bytes, FILE *out, uint64_t *references,
                             struct emuv_err *err);

/* Reads oracleGeneral from `in` and writes a trace. The `next` fields are not believed. name is for messages. */
int emuv_trace_import_oracle(FILE *in, const char *name, const char *path, uint64_t *references, struct emuv_err *err);

/* Reads CSV: a header line that names the columns object (or obj_id, id, key, page, address), and optionally size
 * (bytes) and time (seconds); or, without a header, one object per line. Objects are unsigned numbers, decimal or 0x
 * hexadecimal. References without a size have object_bytes. */
int emuv_trace_import_csv(FILE *in, const char *name, uint64_t object_bytes, const char *path, uint64_t *references,
                          struct emuv_err *err);

#endif
