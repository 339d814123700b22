// SPDX-License-Identifier: Apache-2.0
/* The touched device memory as one compact address space: see space.h. Sorting, merging, prefix sums; no hashing. */
#include "tracer/format/space.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t SPACE_LIMIT = (uint64_t)1 << 62; /* bytes */

/* One touched part of an allocation. */
struct touch {
  size_t allocation;
  uint64_t lo, hi;
  bool bounded;
};

enum { RECENT_BITS = 12 };

/* A loop repeats the same touches, so most are dropped by a small direct-mapped cache before anything is sorted. */
struct touches {
  struct touch *t;
  size_t n, cap;
  struct touch recent[1 << RECENT_BITS];
};

static bool is_recent(struct touches *list, const struct touch *t)
{
  uint64_t mix = (t->lo ^ t->allocation << 40 ^ t->hi << 20 ^ t->bounded) * UINT64_C(0x9E3779B97F4A7C15);
  struct touch *slot = &list->recent[mix >> (64 - RECENT_BITS)];
  if (slot->hi == t->hi && slot->lo == t->lo && slot->allocation == t->allocation && slot->bounded == t->bounded)
    return true;
  *slot = *t;
  return false;
}

bool emuv_trace_memory_on_device(uint32_t kind)
{
  return kind != EMUV_TRACE_MEMORY_HOST && kind != EMUV_TRACE_MEMORY_REGISTERED && kind != EMUV_TRACE_MEMORY_VMM_HOST;
}

/* Index of an allocation on the device, -1 if there is none. Clips hi to its end; an empty rest gives -1, too. */
static long clip(const struct emuv_trace_data *data, uint64_t id, uint64_t lo, uint64_t bytes, uint64_t *hi)
{
  const struct emuv_trace_life *life = emuv_trace_data_allocation(data, id);
  if (!life || !emuv_trace_memory_on_device(life->a.kind) || lo >= life->a.bytes || bytes == 0) return -1;
  *hi = bytes < life->a.bytes - lo ? lo + bytes : life->a.bytes;
  return (long)(life - data->allocations);
}

static bool add(struct touches *list, const struct emuv_trace_data *data, uint64_t id, uint64_t lo, uint64_t bytes,
                bool bounded)
{
  struct touch t = {.lo = lo, .bounded = bounded};
  long allocation = clip(data, id, lo, bytes, &t.hi);
  if (allocation < 0) return true;
  t.allocation = (size_t)allocation;
  if (is_recent(list, &t)) return true;
  if (list->n == list->cap) {
    size_t cap = list->cap * 2 + 1024;
    struct touch *grown = realloc(list->t, cap * sizeof *grown);
    if (!grown) return false;
    list->t = grown;
    list->cap = cap;
  }
  list->t[list->n++] = t;
  return true;
}

static bool add_address(struct touches *list, const struct emuv_trace_data *data, uint64_t id, uint64_t address,
                        uint64_t bytes)
{
  const struct emuv_trace_life *life = emuv_trace_data_allocation(data, id);
  if (!life || address < life->a.address) return true;
  return add(list, data, id, address - life->a.address, bytes, false);
}

static bool collect(struct touches *list, const struct emuv_trace_data *d)
{
  bool ok = true;
  for (size_t i = 0; ok && i < d->n_launches; i++) {
    const struct emuv_trace_launch *l = &d->launches[i];
    for (uint32_t k = 0; ok && k < l->n_operands; k++) {
      const struct emuv_trace_operand *o = &l->operands[k];
      ok = add(list, d, o->allocation, o->offset, o->bytes, o->cls != EMUV_TRACE_CLASS_EXACT);
    }
  }
  for (size_t i = 0; ok && i < d->n_copies; i++) {
    const struct emuv_trace_copy *c = &d->copies[i];
    ok = add_address(list, d, c->src_allocation, c->src, c->bytes) &&
         add_address(list, d, c->dst_allocation, c->dst, c->bytes);
  }
  for (size_t i = 0; ok && i < d->n_sets; i++)
    ok = add_address(list, d, d->sets[i].allocation, d->sets[i].address, d->sets[i].bytes);
  return ok;
}

static int by_place(const void *a, const void *b)
{
  const struct touch *x = a, *y = b;
  if (x->allocation != y->allocation) return x->allocation < y->allocation ? -1 : 1;
  if (x->lo != y->lo) return x->lo < y->lo ? -1 : 1;
  if (x->bounded != y->bounded) return x->bounded ? 1 : -1;
  return (x->hi > y->hi) - (x->hi < y->hi);
}

/* Keeps one of equal touches: a decode loop repeats the same ones for each token. */
static void deduplicate(struct touches *list)
{
  if (list->n == 0) return;
  qsort(list->t, list->n, sizeof *list->t, by_place);
  size_t n = 0;
  for (size_t i = 0; i < list->n; i++)
    if (n == 0 || by_place(&list->t[n - 1], &list->t[i]) != 0) list->t[n++] = list->t[i];
  list->n = n;
}

/* Distinct starts, as an array by allocation. */
static bool list_starts(struct emuv_trace_space *s, const struct touches *list)
{
  s->starts = malloc((list->n + 1) * sizeof *s->starts);
  s->first_start = calloc(s->n_allocations + 1, sizeof *s->first_start);
  if (!s->starts || !s->first_start) return false;
  size_t n = 0, i = 0;
  for (size_t a = 0; a < s->n_allocations; a++) {
    s->first_start[a] = n;
    for (; i < list->n && list->t[i].allocation == a; i++)
      if (n == s->first_start[a] || s->starts[n - 1] != list->t[i].lo) s->starts[n++] = list->t[i].lo;
  }
  s->first_start[s->n_allocations] = n;
  return true;
}

/* The first start after lo in an allocation, or hi. */
static uint64_t tighten(const struct emuv_trace_space *s, size_t allocation, uint64_t lo, uint64_t hi)
{
  size_t a = s->first_start[allocation], b = s->first_start[allocation + 1];
  while (a < b) {
    size_t mid = a + (b - a) / 2;
    if (s->starts[mid] <= lo)
      a = mid + 1;
    else
      b = mid;
  }
  return a < s->first_start[allocation + 1] && s->starts[a] < hi ? s->starts[a] : hi;
}

/* Merges the overlapping touches of each allocation. */
static bool list_extents(struct emuv_trace_space *s, const struct touches *list)
{
  s->extents = malloc((list->n + 1) * sizeof *s->extents);
  s->first_extent = calloc(s->n_allocations + 1, sizeof *s->first_extent);
  if (!s->extents || !s->first_extent) return false;
  size_t n = 0, i = 0;
  for (size_t a = 0; a < s->n_allocations; a++) {
    s->first_extent[a] = n;
    for (; i < list->n && list->t[i].allocation == a; i++) {
      const struct touch *t = &list->t[i];
      uint64_t hi = t->bounded ? tighten(s, a, t->lo, t->hi) : t->hi;
      struct emuv_trace_extent *last = &s->extents[n - (n > 0)];
      if (n > s->first_extent[a] && t->lo < last->offset + last->bytes) {
        if (hi > last->offset + last->bytes) last->bytes = hi - last->offset;
      } else {
        s->extents[n++] = (struct emuv_trace_extent){.allocation = a, .offset = t->lo, .bytes = hi - t->lo};
      }
    }
  }
  s->n_extents = s->first_extent[s->n_allocations] = n;
  return true;
}

/* False when the extents together do not fit. */
static bool lay_out(struct emuv_trace_space *s)
{
  for (size_t i = 0; i < s->n_extents; i++) {
    uint64_t mask = EMUV_TRACE_SPACE_ALIGN - 1;
    s->extents[i].base = (s->bytes + mask) & ~mask;
    if (s->extents[i].bytes > SPACE_LIMIT - s->extents[i].base) return false;
    s->bytes = s->extents[i].base + s->extents[i].bytes;
  }
  return true;
}

int emuv_trace_space_build(const struct emuv_trace_data *data, struct emuv_trace_space *space, struct emuv_err *err)
{
  *space = (struct emuv_trace_space){.data = data, .n_allocations = data->n_allocations};
  struct touches *list = calloc(1, sizeof *list);
  bool ok = list && collect(list, data);
  if (ok) {
    deduplicate(list);
    ok = list_starts(space, list) && list_extents(space, list);
  }
  if (list) free(list->t);
  free(list);
  bool fits = ok && lay_out(space);
  if (fits) return 0;
  emuv_trace_space_free(space);
  if (ok) return emuv_err_set(err, EMUV_ERR_INPUT, "the memory that %s touches exceeds 2^62 bytes", data->path);
  return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace's address space");
}

bool emuv_trace_space_find(const struct emuv_trace_space *s, uint64_t allocation, uint64_t offset, uint64_t bytes,
                           bool bounded, struct emuv_trace_place *place)
{
  uint64_t hi;
  long a = clip(s->data, allocation, offset, bytes, &hi);
  if (a < 0) return false;
  if (bounded) hi = tighten(s, (size_t)a, offset, hi);
  size_t lo = s->first_extent[a], end = s->first_extent[a + 1];
  while (lo < end) {
    size_t mid = lo + (end - lo) / 2;
    if (s->extents[mid].offset + s->extents[mid].bytes <= offset)
      lo = mid + 1;
    else
      end = mid;
  }
  const struct emuv_trace_extent *e = &s->extents[lo];
  if (lo == s->first_extent[a + 1] || offset < e->offset || hi > e->offset + e->bytes) return false;
  *place = (struct emuv_trace_place){.extent = lo, .offset = offset - e->offset, .bytes = hi - offset};
  return true;
}

void emuv_trace_space_free(struct emuv_trace_space *s)
{
  free(s->extents);
  free(s->starts);
  free(s->first_extent);
  free(s->first_start);
  *s = (struct emuv_trace_space){0};
}
