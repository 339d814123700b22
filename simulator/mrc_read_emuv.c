// SPDX-License-Identifier: Apache-2.0
/* A captured trace (.emuv) as a reference string: the pages of every launch, copy and set in the order of the calls
 * (tracer/format/pages.h), at one page size. Only pages that are referenced count as distinct. */
#include "simulator/mrc_input.h"

#include "tracer/format/pages.h"

#include <string.h>

enum { BATCH = 1024 };

/* The pages of one reference. */
static int append_run(struct emuv_mrc_ids *ids, uint64_t first, uint64_t n, struct emuv_err *err)
{
  uint64_t objects[BATCH];
  int rc = 0;
  while (rc == 0 && n > 0) {
    size_t batch = n < BATCH ? (size_t)n : BATCH;
    for (size_t i = 0; i < batch; i++) objects[i] = first + i;
    rc = emuv_mrc_ids_append(ids, objects, batch, err);
    first += batch;
    n -= batch;
  }
  return rc;
}

int emuv_mrc_read_emuv(struct emuv_mrc_input *in, struct emuv_mrc_ids *ids, struct emuv_err *err)
{
  struct emuv_trace_pages pages;
  if (strcmp(in->path, "-") == 0) {
    return emuv_err_set(err, EMUV_ERR_UNSUPPORTED, "a captured trace is read from a file, not from standard input");
  }
  int rc = emuv_trace_pages_open(in->path, in->page_bytes ? in->page_bytes : EMUV_MRC_PAGE_BYTES, &pages, err);
  if (rc) return rc;
  for (struct emuv_page_reference r; rc == 0 && emuv_trace_pages_next(&pages, &r);) {
    rc = append_run(ids, r.first, r.n, err);
  }
  emuv_trace_pages_close(&pages);
  return rc;
}
