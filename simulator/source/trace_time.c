// SPDX-License-Identifier: Apache-2.0
/* Host and device time of captured calls: see trace_time.h. One pass over calls and waits in the order of time. */
#include "simulator/source/trace_time.h"

#include <stdlib.h>

/* Longest pause between two kernels of a busy device that is counted as the device's own, ns. Measured pauses are 0.5
 * to 2 us; longer ones come from dependencies that the calls do not show. */
static const uint64_t BUSY_PAUSE_NS = 20000;
static const double LEAST_NS = 1; /* 0 would mean "not known" */

struct clock {
  uint64_t mark;       /* until here the host's time is accounted for */
  uint64_t device_end; /* of all calls so far */
  double played_end;   /* of all calls so far, as the simulator will play it */
  double host_ns;      /* host time not yet given to a call */
};

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
  if (value < low) return low;
  return value > high ? high : value;
}

static void host_worked(struct clock *c, uint64_t until)
{
  if (until <= c->mark) return;
  c->host_ns += (double)(until - c->mark);
  c->mark = until;
}

static bool waits(const struct emuv_trace_sync *s)
{
  return s->kind == EMUV_TRACE_SYNC_CONTEXT || s->kind == EMUV_TRACE_SYNC_STREAM || s->kind == EMUV_TRACE_SYNC_EVENT ||
         s->kind == EMUV_TRACE_SYNC_MEMORY;
}

static int by_enter(const void *a, const void *b)
{
  const struct emuv_trace_sync *x = a, *y = b;
  return (x->enter_ns > y->enter_ns) - (x->enter_ns < y->enter_ns);
}

/* The waits of a trace by time; *n of them. */
static struct emuv_trace_sync *sorted_waits(const struct emuv_trace_data *d, size_t *n)
{
  struct emuv_trace_sync *list = malloc((d->n_syncs + 1) * sizeof *list);
  *n = 0;
  if (!list) return NULL;
  for (size_t i = 0; i < d->n_syncs; i++)
    if (waits(&d->syncs[i])) list[(*n)++] = d->syncs[i];
  qsort(list, *n, sizeof *list, by_enter);
  return list;
}

/* A launch starts some microseconds after it was issued. While the host runs ahead that is hidden; at a wait it shows,
 * so it is added to the call that is waited for. */
static void catch_up(struct clock *c, struct emuv_trace_cost *cost)
{
  double late = (double)c->device_end - c->played_end;
  if (cost->device_ns == 0 || late <= 0 || late > (double)BUSY_PAUSE_NS) return;
  cost->device_ns += late;
  c->played_end += late;
}

/* A wait: the host works until it enters, and again from the moment when the device is done. */
static void take_wait(struct clock *c, const struct emuv_trace_sync *s, struct emuv_trace_cost *previous)
{
  host_worked(c, s->enter_ns);
  uint64_t done = clamp(c->device_end, s->enter_ns, s->exit_ns > s->enter_ns ? s->exit_ns : s->enter_ns);
  if (done > c->mark) c->mark = done;
  if (!previous) return;
  previous->sync = true;
  if (done > s->enter_ns) catch_up(c, previous);
}

/* Copies that return after they are done: asked for, or back to the host, or staged from memory that is not pinned.
 * None inside a graph is waited for by the call. */
static bool call_waits(const struct emuv_trace_data *d, const struct emuv_trace_call *call)
{
  uint32_t flags = 0;
  bool often = false;
  if (call->type == EMUV_TRACE_COPY) {
    flags = d->copies[call->index].flags;
    often = d->copies[call->index].kind == EMUV_TRACE_COPY_D2H || flags & EMUV_TRACE_FLAG_PAGEABLE;
  } else if (call->type == EMUV_TRACE_SET) {
    flags = d->sets[call->index].flags;
  }
  if (flags & EMUV_TRACE_FLAG_GRAPH) return false;
  return flags & EMUV_TRACE_FLAG_SYNC || (often && call->end_ns && call->end_ns <= call->exit_ns);
}

static double device_time(const struct clock *c, const struct emuv_trace_call *call, uint64_t submitted)
{
  if (call->end_ns == 0 || call->end_ns < call->start_ns) return 0;
  uint64_t from = call->start_ns > c->device_end ? call->start_ns : c->device_end;
  bool busy = submitted <= c->device_end && call->start_ns >= c->device_end;
  if (busy && call->start_ns - c->device_end < BUSY_PAUSE_NS) from = c->device_end;
  return call->end_ns > from ? (double)(call->end_ns - from) : LEAST_NS;
}

static void take_call(struct clock *c, const struct emuv_trace_data *d, const struct emuv_trace_call *call,
                      struct emuv_trace_cost *cost)
{
  bool wait = call_waits(d, call);
  uint64_t exit = call->exit_ns > call->enter_ns ? call->exit_ns : call->enter_ns, submitted = exit;
  if (wait) submitted = c->device_end <= call->enter_ns ? clamp(call->start_ns, call->enter_ns, exit) : call->enter_ns;
  host_worked(c, submitted);
  cost->host_ns = c->host_ns > LEAST_NS ? c->host_ns : LEAST_NS;
  cost->device_ns = device_time(c, call, submitted);
  cost->sync = wait;
  c->host_ns = 0;
  if (call->end_ns > c->device_end) c->device_end = call->end_ns;
  c->played_end = (c->played_end > (double)submitted ? c->played_end : (double)submitted) + cost->device_ns;
  if (!wait) return;
  catch_up(c, cost);
  c->mark = clamp(c->device_end, submitted, exit);
}

int emuv_trace_time_costs(const struct emuv_trace_data *d, const struct emuv_trace_order *order,
                          struct emuv_trace_cost *costs, struct emuv_err *err)
{
  size_t n_waits, next = 0;
  for (size_t i = 0; i < order->n; i++) costs[i] = (struct emuv_trace_cost){0};
  if (emuv_trace_data_is_references(d)) return 0;
  struct emuv_trace_sync *list = sorted_waits(d, &n_waits);
  if (!list) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace's waits");
  struct clock c = {.mark = order->n ? order->calls[0].enter_ns : 0};
  for (size_t i = 0; i < order->n; i++) {
    const struct emuv_trace_call *call = &order->calls[i];
    for (; next < n_waits && list[next].enter_ns < call->enter_ns; next++)
      take_wait(&c, &list[next], i > 0 ? &costs[i - 1] : NULL);
    if (call->enter_ns)
      take_call(&c, d, call, &costs[i]);
    else
      costs[i].device_ns = call->end_ns > call->start_ns ? (double)(call->end_ns - call->start_ns) : 0;
  }
  if (next < n_waits && order->n) costs[order->n - 1].sync = true;
  free(list);
  return 0;
}
