// SPDX-License-Identifier: Apache-2.0
/* See pages_runs.h. */
#include "tracer/inject/pages_runs.h"

#include "runtime/core/err.h"

#include <stdlib.h>

int emuv_pages_add(struct emuv_pages *pages, uint64_t number, uint32_t access)
{
  if (pages->n == pages->cap) {
    const size_t cap = pages->cap ? 2 * pages->cap : 16;
    struct emuv_page *grown = realloc(pages->page, cap * sizeof *grown);
    if (!grown) return EMUV_ERR_NOMEM;
    pages->page = grown;
    pages->cap = cap;
  }
  pages->page[pages->n++] = (struct emuv_page){.number = number, .access = access};
  return 0;
}

static int by_number(const void *a, const void *b)
{
  const struct emuv_page *const x = a, *const y = b;
  return (x->number > y->number) - (x->number < y->number);
}

void emuv_pages_sort(struct emuv_pages *pages)
{
  size_t n = 0;
  if (pages->n == 0) return;
  qsort(pages->page, pages->n, sizeof *pages->page, by_number);
  for (size_t i = 1; i < pages->n; i++) {
    const uint32_t both_async = pages->page[i].access & pages->page[n].access & EMUV_PAGE_ASYNC;
    if (pages->page[i].number != pages->page[n].number)
      pages->page[++n] = pages->page[i];
    else
      pages->page[n].access = ((pages->page[n].access | pages->page[i].access) & EMUV_TRACE_ACCESS_BOTH) | both_async;
  }
  pages->n = n + 1;
}

void emuv_pages_free(struct emuv_pages *pages)
{
  free(pages->page);
  *pages = (struct emuv_pages){0};
}

/* One page's part of one allocation, [from, to) as offsets: it continues the last operand or begins a new one. */
static int add_part(struct emuv_page_runs *runs, const struct emuv_trace_operand *part)
{
  struct emuv_trace_operand *last = runs->n ? &runs->operand[runs->n - 1] : NULL;
  if (last && last->allocation == part->allocation && last->access == part->access && last->cls == part->cls &&
      last->offset + last->bytes == part->offset) {
    last->bytes += part->bytes;
    return 0;
  }
  if (runs->n == runs->cap) {
    const size_t cap = runs->cap ? 2 * runs->cap : 16;
    struct emuv_trace_operand *grown = realloc(runs->operand, cap * sizeof *grown);
    if (!grown) return EMUV_ERR_NOMEM;
    runs->operand = grown;
    runs->cap = cap;
  }
  runs->operand[runs->n++] = *part;
  return 0;
}

/* Index of the first allocation that ends above the address. */
static size_t first_above(const struct emuv_intervals *live, uint64_t address)
{
  size_t low = 0, high = live->n;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (live->item[middle].base + live->item[middle].bytes > address)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

static int add_page(struct emuv_page_runs *runs, const struct emuv_page *page, unsigned shift,
                    const struct emuv_intervals *live, size_t first)
{
  const uint64_t begin = page->number << shift, end = begin + (UINT64_C(1) << shift);
  size_t last = first;
  while (last < live->n && live->item[last].base < end) last++;
  if (last == first && page->access & EMUV_PAGE_ASYNC) runs->masked++;
  if (last == first && !(page->access & EMUV_PAGE_ASYNC)) runs->outside++;
  if (last - first > 1) runs->shared = true;
  for (size_t i = first; i < last; i++) {
    const struct emuv_interval *const a = &live->item[i];
    const uint64_t from = begin > a->base ? begin : a->base, stop = a->base + a->bytes, to = end < stop ? end : stop;
    const struct emuv_trace_operand part = {.allocation = a->id,
                                            .offset = from - a->base,
                                            .bytes = to - from,
                                            .access = page->access & EMUV_TRACE_ACCESS_BOTH,
                                            .provenance = EMUV_TRACE_FROM_PAGE,
                                            .cls =
                                                last - first > 1 ? EMUV_TRACE_CLASS_BOUNDED : EMUV_TRACE_CLASS_EXACT};
    const int rc = add_part(runs, &part);
    if (rc) return rc;
  }
  return 0;
}

int emuv_pages_build(const struct emuv_pages *pages, unsigned shift, const struct emuv_intervals *live,
                     struct emuv_page_runs *runs)
{
  runs->n = 0;
  runs->outside = runs->masked = 0;
  runs->shared = false;
  size_t at = pages->n ? first_above(live, pages->page[0].number << shift) : 0;
  for (size_t i = 0; i < pages->n; i++) {
    const uint64_t begin = pages->page[i].number << shift;
    if (at < live->n && live->item[at].base + live->item[at].bytes <= begin) at = first_above(live, begin);
    const int rc = add_page(runs, &pages->page[i], shift, live, at);
    if (rc) return rc;
  }
  return 0;
}

void emuv_page_runs_free(struct emuv_page_runs *runs)
{
  free(runs->operand);
  *runs = (struct emuv_page_runs){0};
}
