// SPDX-License-Identifier: Apache-2.0
/* oracleGeneral: packed little-endian records of 24 bytes, u32 time, u64 object id, u32 size, i64 next access. Only the
 * object id is used: every reference is one page, and next uses are computed, not believed. */
#include "simulator/mrc_input.h"

#include <endian.h>
#include <string.h>

enum { RECORD = 24, OBJECT_OFFSET = 4, CHUNK = 1024 };

static int append_records(struct emuv_mrc_input *in, struct emuv_mrc_ids *ids, size_t n, struct emuv_err *err)
{
  uint64_t objects[CHUNK];
  const char *at = in->buffer + in->start + OBJECT_OFFSET;
  for (size_t i = 0; i < n; i++) {
    memcpy(&objects[i], at + i * RECORD, sizeof objects[i]);
    objects[i] = le64toh(objects[i]);
  }
  in->start += n * RECORD;
  return emuv_mrc_ids_append(ids, objects, n, err);
}

static int truncated(const struct emuv_mrc_input *in, uint64_t records, struct emuv_err *err)
{
  emuv_err_set(err, EMUV_ERR_INPUT, "truncated record: %zu bytes after record %llu (byte %llu), a record has %d",
               in->end - in->start, (unsigned long long)records, (unsigned long long)records * RECORD, RECORD);
  emuv_err_at(err, in->name, 0, 0);
  return emuv_err_hint(err, "an oracleGeneral file is a multiple of 24 bytes; is it another format, or compressed?");
}

int emuv_mrc_read_oracle(struct emuv_mrc_input *in, struct emuv_mrc_ids *ids, struct emuv_err *err)
{
  for (;;) {
    size_t n = (in->end - in->start) / RECORD;
    int rc = 0;
    if (n > 0) {
      rc = append_records(in, ids, n < CHUNK ? n : CHUNK, err);
    } else if (!in->at_end) {
      rc = emuv_mrc_input_fill(in, err);
    } else {
      return in->end == in->start ? 0 : truncated(in, ids->trace->n, err);
    }
    if (rc) return rc;
  }
}
