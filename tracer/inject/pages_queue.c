// SPDX-License-Identifier: Apache-2.0
/* See pages_queue.h. */
#include "tracer/inject/pages_queue.h"

#include "runtime/core/err.h"
#include "tracer/inject/inject.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SET_MIN = 4 }; /* operands from which on a launch names a page set */

static const char *const why_texts[EMUV_PAGES_WHYS] = {
    [EMUV_PAGES_UNPATCHED] = "the kernel could not be patched",
    [EMUV_PAGES_TENSOR] = "copies tensors by TMA, which patches do not see",
    [EMUV_PAGES_GRAPH] = "runs in a CUDA graph, whose nodes cannot be told apart",
    [EMUV_PAGES_TEXTURE] = "reads textures or surfaces, which patches do not see",
    [EMUV_PAGES_NO_DATA] = "the launch could not be told apart",
    [EMUV_PAGES_OVERFLOW] = "the log of pages was full",
    [EMUV_PAGES_UNFINISHED] = "the launch was not known to be over when the capture ended",
    [EMUV_PAGES_OUTSIDE] = "touched memory that is in no allocation",
    [EMUV_PAGES_UNTOUCHED] = "no access was seen",
};

void emuv_pages_queue_open(struct emuv_pages_queue *q, struct emuv_trace_writer *writer, unsigned shift)
{
  memset(q, 0, sizeof *q);
  q->writer = writer;
  q->shift = shift;
  q->end = &q->head;
}

/* ---- what is written ---- */

static const struct emuv_interval *find(struct emuv_pages_queue *q, uint64_t address)
{
  return emuv_intervals_find(&q->live, address);
}

static uint64_t find_id(struct emuv_pages_queue *q, uint64_t address)
{
  const struct emuv_interval *const i = find(q, address);
  return i ? i->id : 0;
}

static void resolve_allocation(struct emuv_pages_queue *q, struct emuv_trace_allocation *a)
{
  const struct emuv_interval range = {.base = a->address, .bytes = a->bytes, .id = ++q->allocations, .kind = a->kind};
  size_t displaced = 0;
  a->id = range.id;
  emuv_intervals_insert(&q->live, &range, &displaced);
  q->displaced += displaced;
}

/* False for a free of what is not live: the record is left out. */
static bool resolve(struct emuv_pages_queue *q, struct emuv_trace_record *r)
{
  struct emuv_interval removed;
  switch (r->type) {
  case EMUV_TRACE_ALLOCATION: resolve_allocation(q, &r->u.allocation); return true;
  case EMUV_TRACE_FREE:
    if (!emuv_intervals_remove(&q->live, r->u.free.address, &removed)) return false;
    r->u.free.id = removed.id;
    return true;
  case EMUV_TRACE_COPY:
    r->u.copy.src_allocation = find_id(q, r->u.copy.src);
    r->u.copy.dst_allocation = find_id(q, r->u.copy.dst);
    return true;
  case EMUV_TRACE_SET: r->u.set.allocation = find_id(q, r->u.set.address); return true;
  default: return true;
  }
}

static void count_gap(struct emuv_pages_queue *q, uint32_t kernel, uint32_t why)
{
  if (kernel >= q->n_gaps) {
    const size_t n = (size_t)kernel * 2 + 64;
    void *grown = realloc(q->gaps, n * sizeof *q->gaps);
    if (!grown) return;
    q->gaps = grown;
    memset(q->gaps + q->n_gaps, 0, (n - q->n_gaps) * sizeof *q->gaps);
    q->n_gaps = n;
  }
  q->gaps[kernel][why]++;
}

/* Equal sets must be equal bytes: the operands come from zeroed structs without padding. */
static void put_operands(struct emuv_pages_queue *q, struct emuv_trace_launch *l)
{
  const struct emuv_page_runs *const runs = &q->runs;
  uint32_t n = (uint32_t)runs->n;
  if (runs->n > EMUV_TRACE_OPERANDS_MAX) n = EMUV_TRACE_OPERANDS_MAX;
  l->page_set = n >= SET_MIN ? emuv_trace_writer_page_set(q->writer, runs->operand, n) : 0;
  l->n_operands = l->page_set ? 0 : n;
  l->operands = runs->operand;
}

static void write_launch(struct emuv_pages_queue *q, struct emuv_pages_item *item)
{
  struct emuv_trace_launch *const l = &item->record.u.launch;
  emuv_pages_sort(&item->pages);
  if (emuv_pages_build(&item->pages, q->shift, &q->live, &q->runs)) item->why = EMUV_PAGES_OVERFLOW;
  if (q->runs.n > EMUV_TRACE_OPERANDS_MAX) item->why = EMUV_PAGES_OVERFLOW;
  q->masked += q->runs.masked;
  if (!item->why && (item->outside || q->runs.outside)) item->why = EMUV_PAGES_OUTSIDE;
  if (!item->why && q->runs.n == 0) item->why = EMUV_PAGES_UNTOUCHED;
  l->cls = item->why ? EMUV_TRACE_CLASS_GAP : q->runs.shared ? EMUV_TRACE_CLASS_BOUNDED : EMUV_TRACE_CLASS_EXACT;
  if (item->why) count_gap(q, l->kernel, item->why);
  put_operands(q, l);
  emuv_trace_writer_append(q->writer, &item->record);
}

static void write_ready(struct emuv_pages_queue *q)
{
  struct emuv_pages_item *item;
  while ((item = q->head) != NULL && (item->record.type != EMUV_TRACE_LAUNCH || item->done)) {
    if (!(q->head = item->next)) q->end = &q->head;
    if (item->record.type == EMUV_TRACE_LAUNCH) {
      write_launch(q, item);
      if (q->launch[item->number % EMUV_PAGES_LAUNCHES] == item) q->launch[item->number % EMUV_PAGES_LAUNCHES] = NULL;
    } else if (resolve(q, &item->record)) {
      emuv_trace_writer_append(q->writer, &item->record);
    }
    emuv_pages_free(&item->pages);
    free(item);
  }
}

/* ---- what comes in ---- */

static struct emuv_pages_item *push(struct emuv_pages_queue *q)
{
  struct emuv_pages_item *const item = calloc(1, sizeof *item);
  if (!item) {
    q->lost++;
    return NULL;
  }
  *q->end = item;
  q->end = &item->next;
  return item;
}

void emuv_pages_queue_add(struct emuv_pages_queue *q, const struct emuv_trace_record *record)
{
  struct emuv_pages_item *const item = push(q);
  if (!item) return;
  item->record = *record;
  write_ready(q);
}

void emuv_pages_queue_launch(struct emuv_pages_queue *q, const struct emuv_trace_launch *launch, uint32_t number,
                             const void *owner, const void *stream, enum emuv_pages_why why)
{
  struct emuv_pages_item *const item = push(q);
  if (!item) return;
  item->record.type = EMUV_TRACE_LAUNCH;
  item->record.u.launch = *launch;
  item->owner = owner;
  item->stream = stream;
  item->number = number;
  item->why = why;
  struct emuv_pages_item *const before = q->launch[number % EMUV_PAGES_LAUNCHES];
  if (before && !before->done) {
    before->why = EMUV_PAGES_UNFINISHED;
    before->done = true;
    q->in_flight--;
  }
  q->launch[number % EMUV_PAGES_LAUNCHES] = item;
  q->in_flight++;
}

void emuv_pages_queue_blame(struct emuv_pages_queue *q, uint32_t number, enum emuv_pages_why why)
{
  struct emuv_pages_item *const item = q->launch[number % EMUV_PAGES_LAUNCHES];
  if (item && item->number == number && !item->why) item->why = why;
}

void emuv_pages_queue_page(struct emuv_pages_queue *q, uint64_t entry)
{
  const uint32_t number = (uint32_t)(entry & EMUV_PAGES_ENTRY_LAUNCH);
  struct emuv_pages_item *const item = q->launch[number % EMUV_PAGES_LAUNCHES];
  if (!item || (item->number & EMUV_PAGES_ENTRY_LAUNCH) != number) {
    q->late++;
    return;
  }
  if (entry & EMUV_PAGES_ENTRY_OUTSIDE) {
    item->outside = true;
    return;
  }
  const uint32_t access = (entry & EMUV_PAGES_ENTRY_WRITE ? EMUV_TRACE_ACCESS_WRITE : EMUV_TRACE_ACCESS_READ) |
                          (entry & EMUV_PAGES_ENTRY_ASYNC ? EMUV_PAGE_ASYNC : 0);
  if (emuv_pages_add(&item->pages, entry >> EMUV_PAGES_ENTRY_PAGE_SHIFT, access)) {
    item->why = EMUV_PAGES_OVERFLOW;
    q->lost++;
  }
}

void emuv_pages_queue_done(struct emuv_pages_queue *q, const void *owner, const void *stream, uint32_t number)
{
  for (struct emuv_pages_item *item = q->head; item; item = item->next) {
    if (item->record.type != EMUV_TRACE_LAUNCH || item->done || item->owner != owner) continue;
    if ((stream && item->stream != stream) || (int32_t)(number - item->number) < 0) continue;
    item->done = true;
    q->in_flight--;
  }
  write_ready(q);
}

void emuv_pages_queue_spoil(struct emuv_pages_queue *q, const void *owner, enum emuv_pages_why why)
{
  for (struct emuv_pages_item *item = q->head; item; item = item->next)
    if (item->record.type == EMUV_TRACE_LAUNCH && !item->done && (!owner || item->owner == owner) && !item->why)
      item->why = why;
}

/* ---- the end ---- */

static void write_gaps(struct emuv_pages_queue *q, const char *(*kernel_name)(uint32_t id))
{
  char text[1024];
  for (uint32_t kernel = 0; kernel < q->n_gaps; kernel++)
    for (uint32_t why = 1; why < EMUV_PAGES_WHYS; why++) {
      const char *name = kernel_name(kernel);
      snprintf(text, sizeof text, "%s: %s", name ? name : "?", why_texts[why]);
      emuv_injected_gap(q->writer, EMUV_TRACE_GAP_UNSEEN, text, q->gaps[kernel][why]);
    }
  emuv_injected_fact(q->writer, "capture_masked_pages", q->masked);
  emuv_injected_gap(q->writer, EMUV_TRACE_GAP_UNSEEN, "pages of launches that were taken for finished", q->late);
  emuv_injected_gap(q->writer, EMUV_TRACE_GAP_UNSUPPORTED, "allocation over one whose free was not seen", q->displaced);
}

void emuv_pages_queue_close(struct emuv_pages_queue *q, const char *(*kernel_name)(uint32_t id))
{
  const struct emuv_trace_drop drop = {
      .ns = emuv_capture_now_ns(), .count = q->lost, .text = emuv_trace_writer_string(q->writer, "out of memory")};
  emuv_pages_queue_spoil(q, NULL, EMUV_PAGES_UNFINISHED);
  for (struct emuv_pages_item *item = q->head; item; item = item->next) item->done = true;
  write_ready(q);
  write_gaps(q, kernel_name);
  if (q->lost) emuv_trace_writer_drop(q->writer, &drop);
  emuv_intervals_free(&q->live);
  emuv_page_runs_free(&q->runs);
  free(q->gaps);
  q->gaps = NULL;
  q->n_gaps = q->in_flight = 0;
}

uint32_t emuv_pages_log_take(struct emuv_pages_queue *q, uint64_t *entries, uint32_t capacity,
                             struct emuv_pages_control *control, uint32_t most)
{
  _Atomic uint64_t *const ring = (_Atomic uint64_t *)entries;
  _Atomic uint32_t *const tail = (_Atomic uint32_t *)&control->tail;
  const uint32_t first = atomic_load_explicit(tail, memory_order_relaxed);
  uint32_t n = 0;
  for (; n < most; n++) {
    _Atomic uint64_t *const slot = &ring[(first + n) & (capacity - 1)];
    const uint64_t entry = atomic_load_explicit(slot, memory_order_acquire);
    if (!entry) break;
    emuv_pages_queue_page(q, entry);
    atomic_store_explicit(slot, 0, memory_order_relaxed);
  }
  atomic_store_explicit(tail, first + n, memory_order_release);
  return n;
}
