// SPDX-License-Identifier: Apache-2.0
/* What each call touches, and when: see touch.h. */
#include "tracer/format/touch.h"

#include <stdlib.h>

static const double READ_RATE = 10000;            /* bytes per ns: above any card's memory */
static const double PORT_RATE = 128;              /* of one multiprocessor: 64 bytes per clock at 2 GHz */
static const double LATENCY_NS = 200;             /* of one read, least: from the second-level cache */
static const uint64_t READ_LEAST_BYTES = 1 << 20; /* an operand up to this is never cut */
enum { REGISTERS_MOST = 255, REGISTER_BYTES = 4 };

static double volume(const uint32_t n[3])
{
  return (double)n[0] * n[1] * n[2];
}

static double least(double a, double b)
{
  return a < b ? a : b;
}

/* What memory delivers in the launch's time; what its blocks can take in, each on one multiprocessor; and what they can
 * have on its way (Little's law), which their registers and shared memory must hold. */
static double readable_bytes(const struct emuv_trace_data *d, const struct emuv_trace_launch *l)
{
  const struct emuv_trace_kernel *k = emuv_trace_reader_kernel(d->reader, l->kernel);
  double registers = k && k->registers ? k->registers : REGISTERS_MOST, time = (double)(l->end_ns - l->start_ns);
  double shared = (double)l->shared_bytes + (k ? k->shared_bytes : 0), blocks = volume(l->grid);
  double in_flight = blocks * (volume(l->block) * registers * REGISTER_BYTES + shared);
  if (in_flight <= 0) return READ_RATE * time;
  return least(least(READ_RATE, PORT_RATE * blocks) * time, in_flight * (1 + time / LATENCY_NS));
}

static uint64_t readable(const struct emuv_trace_data *d, const struct emuv_trace_call *call, uint64_t bytes)
{
  if (call->type != EMUV_TRACE_LAUNCH || call->end_ns <= call->start_ns) return bytes;
  double most = readable_bytes(d, &d->launches[call->index]);
  if (most < (double)READ_LEAST_BYTES) most = (double)READ_LEAST_BYTES;
  return (double)bytes > most ? (uint64_t)most : bytes;
}

bool emuv_trace_touch_place(const struct emuv_trace_space *space, const struct emuv_trace_call *call,
                            const struct emuv_trace_operand *o, struct emuv_trace_place *place)
{
  bool bounded = o->cls != EMUV_TRACE_CLASS_EXACT;
  if (!emuv_trace_space_find(space, o->allocation, o->offset, o->bytes, bounded, place)) return false;
  if (bounded) place->bytes = readable(space->data, call, place->bytes);
  return true;
}

/* ---- intervals ---- */

static int by_lo(const void *a, const void *b)
{
  const struct emuv_trace_interval *x = a, *y = b;
  return (x->lo > y->lo) - (x->lo < y->lo);
}

/* Sorts and merges; the number that is left. */
static size_t merge(struct emuv_trace_interval *list, size_t n)
{
  bool sorted = true;
  for (size_t i = 1; i < n; i++) sorted &= list[i - 1].lo <= list[i].lo;
  if (!sorted) qsort(list, n, sizeof *list, by_lo);
  size_t kept = 0;
  for (size_t i = 0; i < n; i++) {
    if (kept && list[i].lo <= list[kept - 1].hi) {
      if (list[i].hi > list[kept - 1].hi) list[kept - 1].hi = list[i].hi;
    } else {
      list[kept++] = list[i];
    }
  }
  return kept;
}

static size_t add_call(const struct emuv_trace_data *d, const struct emuv_trace_space *space,
                       const struct emuv_trace_call *call, struct emuv_trace_interval *list)
{
  size_t n = 0;
  uint32_t operands = emuv_trace_call_operands(d, call);
  for (uint32_t i = 0; i < operands; i++) {
    struct emuv_trace_operand o = emuv_trace_call_operand(d, call, i);
    struct emuv_trace_place place;
    if (!emuv_trace_touch_place(space, call, &o, &place) || place.bytes == 0) continue;
    uint64_t lo = space->extents[place.extent].base + place.offset;
    list[n++] = (struct emuv_trace_interval){lo, lo + place.bytes};
  }
  return merge(list, n);
}

static bool add_intervals(const struct emuv_trace_data *d, const struct emuv_trace_space *space,
                          const struct emuv_trace_order *order, struct emuv_trace_touches *t)
{
  size_t most = 0, n = 0;
  for (size_t i = 0; i < order->n; i++) most += emuv_trace_call_operands(d, &order->calls[i]);
  t->intervals = malloc((most + 1) * sizeof *t->intervals);
  t->first = malloc((order->n + 1) * sizeof *t->first);
  if (!t->intervals || !t->first) return false;
  for (size_t i = 0; i < order->n; i++) {
    t->first[i] = n;
    n += add_call(d, space, &order->calls[i], t->intervals + n);
  }
  t->first[order->n] = n;
  for (size_t i = 0; i < n; i++) t->bytes += t->intervals[i].hi - t->intervals[i].lo;
  return true;
}

/* ---- times ---- */

static bool device_time_holds(const struct emuv_trace_call *c)
{
  return c->start_ns && c->end_ns >= c->start_ns && c->start_ns >= c->enter_ns;
}

static bool is_timed(const struct emuv_trace_data *d, const struct emuv_trace_order *order)
{
  size_t known = 0;
  if (emuv_trace_data_is_references(d)) return false;
  for (size_t i = 0; i < order->n; i++) known += order->calls[i].enter_ns || device_time_holds(&order->calls[i]);
  return known * 2 > order->n && order->calls[order->n - 1].enter_ns > order->calls[0].enter_ns;
}

/* A call without any time happens when the one before it began. */
static void set_times(const struct emuv_trace_order *order, struct emuv_trace_touches *t)
{
  uint64_t before = 0;
  for (size_t i = 0; i < order->n; i++) {
    const struct emuv_trace_call *c = &order->calls[i];
    bool device = device_time_holds(c);
    t->begin[i] = device ? c->start_ns : c->enter_ns ? c->enter_ns : before;
    t->end[i] = device ? c->end_ns : t->begin[i];
    before = t->begin[i];
    if (t->begin[i] && (t->origin_ns == 0 || t->begin[i] < t->origin_ns)) t->origin_ns = t->begin[i];
  }
  for (size_t i = 0; i < order->n; i++) {
    t->begin[i] = t->begin[i] > t->origin_ns ? t->begin[i] - t->origin_ns : 0;
    t->end[i] = t->end[i] > t->origin_ns ? t->end[i] - t->origin_ns : 0;
    if (t->end[i] > t->last) t->last = t->end[i];
  }
}

static bool add_times(const struct emuv_trace_data *d, const struct emuv_trace_order *order,
                      struct emuv_trace_touches *t)
{
  t->begin = malloc((order->n + 1) * sizeof *t->begin);
  t->end = malloc((order->n + 1) * sizeof *t->end);
  if (!t->begin || !t->end) return false;
  t->timed = order->n > 1 && is_timed(d, order);
  if (t->timed) {
    set_times(order, t);
    return true;
  }
  for (size_t i = 0; i < order->n; i++) {
    t->begin[i] = i;
    t->end[i] = i + 1;
  }
  t->last = order->n;
  return true;
}

int emuv_trace_touches_build(const struct emuv_trace_data *d, const struct emuv_trace_space *space,
                             const struct emuv_trace_order *order, struct emuv_trace_touches *t, struct emuv_err *err)
{
  *t = (struct emuv_trace_touches){.n_calls = order->n, .space_bytes = space->bytes};
  if (add_intervals(d, space, order, t) && add_times(d, order, t)) return 0;
  emuv_trace_touches_free(t);
  return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for what the trace touches");
}

void emuv_trace_touches_free(struct emuv_trace_touches *t)
{
  free(t->intervals);
  free(t->first);
  free(t->begin);
  free(t->end);
  *t = (struct emuv_trace_touches){0};
}
