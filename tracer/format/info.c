// SPDX-License-Identifier: Apache-2.0
/* What a trace holds, in numbers: see info.h. */
#include "tracer/format/info.h"

#include "tracer/format/info_parts.h"
#include "tracer/format/space.h"

#include <stdlib.h>
#include <string.h>

struct span {
  uint64_t lo, hi;
};

struct spans {
  struct span *s;
  size_t n, cap;
};

static bool span_add(struct spans *list, uint64_t lo, uint64_t hi)
{
  if (hi <= lo) return true;
  if (list->n == list->cap) {
    size_t cap = list->cap * 2 + 256;
    struct span *grown = realloc(list->s, cap * sizeof *grown);
    if (!grown) return false;
    list->s = grown;
    list->cap = cap;
  }
  list->s[list->n++] = (struct span){lo, hi};
  return true;
}

static int by_lo(const void *a, const void *b)
{
  const struct span *x = a, *y = b;
  return (x->lo > y->lo) - (x->lo < y->lo);
}

/* Length of the union; empties the list. */
static uint64_t span_union(struct spans *list)
{
  uint64_t total = 0, end = 0;
  if (list->n) qsort(list->s, list->n, sizeof *list->s, by_lo);
  for (size_t i = 0; i < list->n; i++) {
    uint64_t lo = list->s[i].lo > end ? list->s[i].lo : end;
    if (list->s[i].hi <= lo) continue;
    total += list->s[i].hi - lo;
    end = list->s[i].hi;
  }
  list->n = 0;
  return total;
}

static int compare_u64(const void *a, const void *b)
{
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

uint64_t emuv_info_median(uint64_t *values, size_t n)
{
  if (n == 0) return 0;
  qsort(values, n, sizeof *values, compare_u64);
  uint64_t a = values[(n - 1) / 2], b = values[n / 2];
  return a + (b - a) / 2;
}

/* ---- allocations ---- */

static void count_allocations(const struct emuv_trace_data *d, struct emuv_trace_info *info)
{
  for (size_t i = 0; i < d->n_events; i++) {
    const struct emuv_trace_event *e = &d->events[i];
    if (e->type == EMUV_TRACE_ALLOCATION) {
      const struct emuv_trace_allocation *a = &d->allocations[e->index].a;
      if (!emuv_trace_memory_on_device(a->kind)) continue;
      info->allocations++;
      info->allocated_bytes += a->bytes;
      info->live_bytes += a->bytes;
      if (info->live_bytes > info->peak_bytes) info->peak_bytes = info->live_bytes;
    } else if (e->type == EMUV_TRACE_FREE) {
      const struct emuv_trace_life *life = emuv_trace_data_allocation(d, d->frees[e->index].id);
      if (life && emuv_trace_memory_on_device(life->a.kind) && info->live_bytes >= life->a.bytes)
        info->live_bytes -= life->a.bytes;
    }
  }
}

/* ---- calls ---- */

static void count_launch(const struct emuv_trace_launch *l, struct emuv_trace_info *info,
                         struct emuv_trace_kernel_use *kernel)
{
  info->launches++;
  info->exact += l->cls == EMUV_TRACE_CLASS_EXACT;
  info->bounded += l->cls == EMUV_TRACE_CLASS_BOUNDED;
  info->gap += l->cls == EMUV_TRACE_CLASS_GAP;
  info->unknown += l->cls == EMUV_TRACE_CLASS_UNKNOWN || l->cls >= EMUV_TRACE_CLASSES;
  kernel->launches++;
  kernel->device_ns += l->end_ns > l->start_ns ? l->end_ns - l->start_ns : 0;
  kernel->gaps += l->cls != EMUV_TRACE_CLASS_EXACT && l->cls != EMUV_TRACE_CLASS_BOUNDED;
}

static void count_copy(const struct emuv_trace_copy *c, struct emuv_trace_info *info)
{
  if (c->kind == EMUV_TRACE_COPY_H2D)
    info->h2d_bytes += c->bytes;
  else if (c->kind == EMUV_TRACE_COPY_D2H)
    info->d2h_bytes += c->bytes;
  else
    info->other_copy_bytes += c->bytes;
}

static void count_access(struct emuv_trace_info *info, uint32_t access, uint64_t bytes)
{
  info->access_bytes[access < EMUV_TRACE_ACCESS_KINDS ? access : EMUV_TRACE_ACCESS_UNKNOWN] += bytes;
}

static void count_operands(const struct emuv_info_parts *p, const struct emuv_trace_call *call,
                           const struct emuv_trace_launch *l, struct emuv_trace_info *info,
                           struct emuv_trace_kernel_use *kernel)
{
  for (uint32_t i = 0; i < l->n_operands; i++) {
    const struct emuv_trace_operand *o = &l->operands[i];
    bool bounded = o->cls != EMUV_TRACE_CLASS_EXACT;
    struct emuv_trace_place next, place;
    if (!emuv_trace_space_find(&p->space, o->allocation, o->offset, o->bytes, bounded, &next)) continue;
    if (!emuv_trace_touch_place(&p->space, call, o, &place)) continue;
    *(bounded ? &kernel->bounded_bytes : &kernel->exact_bytes) += place.bytes;
    *(bounded ? &info->bounded_bytes : &info->exact_bytes) += place.bytes;
    if (bounded) info->bounded_recorded += o->bytes;
    if (bounded) info->bounded_next += next.bytes;
    count_access(info, o->access, place.bytes);
  }
}

static uint64_t sort_key(const struct emuv_trace_kernel_use *k, enum emuv_trace_kernel_sort by)
{
  switch (by) {
  case EMUV_TRACE_BY_BYTES: return k->exact_bytes + k->bounded_bytes;
  case EMUV_TRACE_BY_LAUNCHES: return k->launches;
  case EMUV_TRACE_BY_GAP: return k->gaps;
  default: return k->device_ns;
  }
}

static int compare_kernels(const void *a, const void *b, void *sort)
{
  const struct emuv_trace_kernel_use *x = a, *y = b;
  const enum emuv_trace_kernel_sort *by = sort;
  uint64_t kx = sort_key(x, *by), ky = sort_key(y, *by);
  if (kx != ky) return kx > ky ? -1 : 1;
  if (x->launches != y->launches) return x->launches > y->launches ? -1 : 1;
  return strcmp(x->name, y->name);
}

void emuv_trace_info_sort(struct emuv_trace_info *info, enum emuv_trace_kernel_sort by)
{
  if (info->n_kernels) qsort_r(info->kernels, info->n_kernels, sizeof *info->kernels, compare_kernels, &by);
}

/* Entry 0 takes launches whose kernel the trace does not name. */
static bool count_kernels(const struct emuv_info_parts *p, struct emuv_trace_info *info)
{
  const struct emuv_trace_data *d = p->d;
  uint32_t n = emuv_trace_reader_n_kernels(d->reader);
  info->kernels = calloc(n + 1u, sizeof *info->kernels);
  if (!info->kernels) return false;
  for (uint32_t i = 0; i <= n; i++) info->kernels[i].name = i ? emuv_trace_data_kernel(d, i) : "(unknown)";
  for (size_t i = 0; i < p->order.n; i++) {
    const struct emuv_trace_call *call = &p->order.calls[i];
    if (call->type == EMUV_TRACE_LAUNCH) {
      const struct emuv_trace_launch *l = &d->launches[call->index];
      struct emuv_trace_kernel_use *kernel = &info->kernels[l->kernel <= n ? l->kernel : 0];
      count_launch(l, info, kernel);
      count_operands(p, call, l, info, kernel);
      continue;
    }
    for (uint32_t k = 0; k < emuv_trace_call_operands(d, call); k++) {
      struct emuv_trace_operand o = emuv_trace_call_operand(d, call, k);
      struct emuv_trace_place place;
      if (emuv_trace_touch_place(&p->space, call, &o, &place)) count_access(info, o.access, place.bytes);
    }
  }
  for (uint32_t i = 0; i <= n; i++)
    if (info->kernels[i].launches) info->kernels[info->n_kernels++] = info->kernels[i];
  emuv_trace_info_sort(info, EMUV_TRACE_BY_TIME);
  return true;
}

static bool count_busy(const struct emuv_trace_order *order, struct emuv_trace_info *info)
{
  struct spans busy = {0};
  bool ok = true;
  for (size_t i = 0; ok && i < order->n; i++) {
    const struct emuv_trace_call *c = &order->calls[i];
    if (c->enter_ns && (info->begin_ns == 0 || c->enter_ns < info->begin_ns)) info->begin_ns = c->enter_ns;
    uint64_t end = c->end_ns > c->exit_ns ? c->end_ns : c->exit_ns;
    if (end < c->enter_ns) end = c->enter_ns;
    if (end > info->end_ns) info->end_ns = end;
    if (c->end_ns) ok = span_add(&busy, c->start_ns, c->end_ns);
  }
  if (ok) info->device_busy_ns = span_union(&busy);
  free(busy.s);
  return ok;
}

/* ---- steps ---- */

static bool step_exact(const struct emuv_info_parts *p, const struct emuv_trace_step *step, struct spans *exact)
{
  for (size_t i = step->first; i < step->first + step->n; i++) {
    const struct emuv_trace_call *call = &p->order.calls[i];
    uint32_t n = emuv_trace_call_operands(p->d, call);
    for (uint32_t k = 0; k < n; k++) {
      struct emuv_trace_operand o = emuv_trace_call_operand(p->d, call, k);
      struct emuv_trace_place at;
      if (o.cls != EMUV_TRACE_CLASS_EXACT || !emuv_trace_touch_place(&p->space, call, &o, &at)) continue;
      uint64_t lo = p->space.extents[at.extent].base + at.offset;
      if (!span_add(exact, lo, lo + at.bytes)) return false;
    }
  }
  return true;
}

static uint64_t step_launches(const struct emuv_trace_order *order, const struct emuv_trace_step *step)
{
  uint64_t n = 0;
  for (size_t i = step->first; i < step->first + step->n; i++) n += order->calls[i].type == EMUV_TRACE_LAUNCH;
  return n;
}

static bool measure_steps(const struct emuv_info_parts *p, struct emuv_trace_info *info)
{
  enum { NS, BYTES, EXACT, LAUNCHES, ALL, VALUES };
  const struct emuv_trace_steps *steps = &p->steps;
  uint64_t *v[VALUES] = {NULL};
  struct spans exact = {0};
  size_t n = 0;
  bool ok = true;
  for (int i = 0; i < VALUES; i++) ok &= (v[i] = malloc((steps->n + 1) * sizeof **v)) != NULL;
  ok = ok && emuv_trace_working_set_steps(&p->touches, &p->atoms, steps, v[ALL], NULL) == 0;
  for (size_t s = 1; ok && s < steps->n; s++) {
    const struct emuv_trace_step *step = &steps->step[s];
    if (step->prefill) continue;
    ok = step_exact(p, step, &exact);
    v[NS][n] = step->end_ns > step->begin_ns ? step->end_ns - step->begin_ns : 0;
    v[BYTES][n] = v[ALL][s];
    v[EXACT][n] = span_union(&exact);
    v[LAUNCHES][n++] = step_launches(&p->order, step);
  }
  if (ok) {
    info->steps = n;
    info->step_ns = (double)emuv_info_median(v[NS], n);
    info->step_bytes = emuv_info_median(v[BYTES], n);
    info->step_exact_bytes = emuv_info_median(v[EXACT], n);
    info->step_launches = emuv_info_median(v[LAUNCHES], n);
  }
  for (int i = 0; i < VALUES; i++) free(v[i]);
  free(exact.s);
  return ok;
}

static void count_events(const struct emuv_trace_data *d, struct emuv_trace_info *info)
{
  for (size_t i = 0; i < d->n_copies; i++) count_copy(&d->copies[i], info);
  for (size_t i = 0; i < d->n_gaps; i++) info->gaps += d->gaps[i].count ? d->gaps[i].count : 1;
  for (size_t i = 0; i < d->n_drops; i++) info->drops += d->drops[i].count;
  count_allocations(d, info);
}

static int build(struct emuv_info_parts *p, struct emuv_err *err)
{
  int code = emuv_trace_space_build(p->d, &p->space, err);
  if (code == 0) code = emuv_trace_order_build(p->d, &p->order, err);
  if (code == 0) code = emuv_trace_touches_build(p->d, &p->space, &p->order, &p->touches, err);
  if (code == 0) code = emuv_trace_atoms_build(&p->touches, EMUV_TRACE_REFERENCES_MOST, &p->atoms, err);
  return code ? code : emuv_trace_steps_find(p->d, &p->order, &p->steps, err);
}

int emuv_trace_info_compute(const struct emuv_trace_data *d, struct emuv_trace_info *info, struct emuv_err *err)
{
  struct emuv_info_parts p = {.d = d};
  *info = (struct emuv_trace_info){0};
  int code = build(&p, err);
  if (code == 0) {
    count_events(d, info);
    for (size_t i = 0; i < p.space.n_extents; i++) info->touched_bytes += p.space.extents[i].bytes;
    info->how = p.steps.how;
    info->unit = p.steps.unit;
    info->period = p.steps.period;
    bool ok = count_kernels(&p, info) && count_busy(&p.order, info) && measure_steps(&p, info) &&
              emuv_info_intervals(&p, info) && emuv_info_ranges(&p, info) && emuv_info_gaps(&p, info) &&
              emuv_info_threads(&p, info);
    if (!ok) code = emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace's summary");
  }
  emuv_trace_steps_free(&p.steps);
  emuv_trace_atoms_free(&p.atoms);
  emuv_trace_touches_free(&p.touches);
  emuv_trace_order_free(&p.order);
  emuv_trace_space_free(&p.space);
  if (code) emuv_trace_info_free(info);
  return code;
}

void emuv_trace_info_free(struct emuv_trace_info *info)
{
  free(info->kernels);
  free(info->ranges);
  free(info->gap_uses);
  *info = (struct emuv_trace_info){0};
}
