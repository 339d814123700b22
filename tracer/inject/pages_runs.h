// SPDX-License-Identifier: Apache-2.0
/* From the pages that a launch touched to the launch's operands: runs of pages with the same access, cut at the ends of
 * allocations. Plain data, no CUDA; the caller owns everything and serialises. */
#ifndef EMUV_INJECT_PAGES_RUNS_H
#define EMUV_INJECT_PAGES_RUNS_H

#include "tracer/format/trace.h"
#include "tracer/inject/intervals.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one launch touched: page numbers with access bits, each page at most once after emuv_pages_sort. */
struct emuv_page {
  uint64_t number; /* address >> shift */
  uint32_t access; /* enum emuv_trace_access, EMUV_PAGE_ASYNC */
};
enum { EMUV_PAGE_ASYNC = 8 }; /* found by an asynchronous copy: no access where there is no allocation */
struct emuv_pages {
  struct emuv_page *page;
  size_t n, cap;
};

/* EMUV_ERR_NOMEM: the page was not added. */
int emuv_pages_add(struct emuv_pages *pages, uint64_t number, uint32_t access);
/* Sorts by number and joins what is there several times (two launches at once take turns on a page's word). */
void emuv_pages_sort(struct emuv_pages *pages);
void emuv_pages_free(struct emuv_pages *pages);

struct emuv_page_runs {
  struct emuv_trace_operand *operand;
  size_t n, cap;
  uint64_t outside; /* pages that no live allocation overlaps */
  uint64_t masked;  /* the same, found by asynchronous copies only: not accessed */
  bool shared;      /* some page lies in several allocations: which of them was touched is not known */
};

/* Sorted pages to operands of provenance page, in the order of addresses. A page that several allocations overlap gives
 * an operand of class bounded in each of them, all others are exact. runs is emptied first and keeps its memory.
 * EMUV_ERR_NOMEM: runs are incomplete. */
int emuv_pages_build(const struct emuv_pages *pages, unsigned shift, const struct emuv_intervals *live,
                     struct emuv_page_runs *runs);
void emuv_page_runs_free(struct emuv_page_runs *runs);

#endif
