// SPDX-License-Identifier: Apache-2.0
/* The page references of a trace at a page size: launches, copies and sets in the order of their calls, and of each the
 * pages of its operands in the order in which the record lists them. Pages are numbered in the compact space of
 * space.h, so ids are dense: 0 .. n_pages-1.
 *
 *   struct emuv_trace_pages pages;
 *   if (emuv_trace_pages_open("llama.emuv", 2 << 20, &pages, &err) == 0) {
 *     for (struct emuv_page_reference r; emuv_trace_pages_next(&pages, &r);) use(r.first, r.n);
 *     emuv_trace_pages_close(&pages);
 *   }
 *
 * One thread per iterator. Memory: the loaded trace (load.h). */
#ifndef EMUV_FORMAT_PAGES_H
#define EMUV_FORMAT_PAGES_H

#include "tracer/format/load.h"
#include "tracer/format/order.h"
#include "tracer/format/space.h"

/* n consecutive pages, n >= 1, referenced in ascending order. */
struct emuv_page_reference {
  uint64_t first, n;
  uint64_t address, bytes; /* in the compact space */
  uint64_t object;         /* device address; of an imported trace the object's id */
  uint64_t ns;             /* when the call was made */
  uint32_t access;         /* enum emuv_trace_access */
};

struct emuv_trace_pages {
  uint64_t page_bytes, n_pages;
  struct emuv_trace_data data;
  struct emuv_trace_space space;
  struct emuv_trace_order order;
  size_t call;      /* next call */
  uint32_t operand; /* next operand of it */
};

int emuv_trace_pages_open(const char *path, uint64_t page_bytes, struct emuv_trace_pages *pages, struct emuv_err *err);
/* True and a reference, false at the end. */
bool emuv_trace_pages_next(struct emuv_trace_pages *pages, struct emuv_page_reference *reference);
/* Back to the first reference. */
void emuv_trace_pages_rewind(struct emuv_trace_pages *pages);
void emuv_trace_pages_close(struct emuv_trace_pages *pages);

#endif
