// SPDX-License-Identifier: Apache-2.0
/* Device work in the order of the calls: see order.h. By the time of the call where it is known, else by position in
 * the file. */
#include "tracer/format/order.h"

#include <stdlib.h>

static struct emuv_trace_call call_of(const struct emuv_trace_data *d, const struct emuv_trace_event *e,
                                      uint32_t position)
{
  struct emuv_trace_call call = {.type = e->type, .index = e->index, .position = position};
#define TIMES(array)                                                                                                   \
  call.enter_ns = d->array[e->index].enter_ns, call.exit_ns = d->array[e->index].exit_ns,                              \
  call.start_ns = d->array[e->index].start_ns, call.end_ns = d->array[e->index].end_ns,                                \
  call.sequence = d->array[e->index].sequence
  if (e->type == EMUV_TRACE_LAUNCH) TIMES(launches);
  if (e->type == EMUV_TRACE_COPY) TIMES(copies);
  if (e->type == EMUV_TRACE_SET) TIMES(sets);
#undef TIMES
  return call;
}

static bool is_work(uint32_t type)
{
  return type == EMUV_TRACE_LAUNCH || type == EMUV_TRACE_COPY || type == EMUV_TRACE_SET;
}

static int by_time(const void *a, const void *b)
{
  const struct emuv_trace_call *x = a, *y = b;
  if (x->enter_ns != y->enter_ns) return x->enter_ns < y->enter_ns ? -1 : 1;
  if (x->sequence != y->sequence) return x->sequence < y->sequence ? -1 : 1;
  return (x->position > y->position) - (x->position < y->position);
}

int emuv_trace_order_build(const struct emuv_trace_data *d, struct emuv_trace_order *order, struct emuv_err *err)
{
  size_t n = d->n_launches + d->n_copies + d->n_sets;
  *order = (struct emuv_trace_order){.calls = malloc((n + 1) * sizeof *order->calls)};
  if (!order->calls) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace's calls");
  bool timed = true;
  for (size_t i = 0; i < d->n_events; i++) {
    if (!is_work(d->events[i].type)) continue;
    order->calls[order->n++] = call_of(d, &d->events[i], (uint32_t)i);
    timed &= order->calls[order->n - 1].enter_ns != 0;
  }
  if (timed) qsort(order->calls, order->n, sizeof *order->calls, by_time);
  return 0;
}

void emuv_trace_order_free(struct emuv_trace_order *order)
{
  free(order->calls);
  *order = (struct emuv_trace_order){0};
}

uint32_t emuv_trace_call_operands(const struct emuv_trace_data *d, const struct emuv_trace_call *call)
{
  if (call->type == EMUV_TRACE_LAUNCH) return d->launches[call->index].n_operands;
  return call->type == EMUV_TRACE_COPY ? 2 : 1;
}

/* A part of an allocation given by its address; allocation 0 when it lies elsewhere. */
static struct emuv_trace_operand by_address(const struct emuv_trace_data *d, uint64_t allocation, uint64_t address,
                                            uint64_t bytes, uint32_t access)
{
  const struct emuv_trace_life *life = emuv_trace_data_allocation(d, allocation);
  struct emuv_trace_operand o = {.bytes = bytes, .access = access, .cls = EMUV_TRACE_CLASS_EXACT};
  if (!life || address < life->a.address) return o;
  o.allocation = allocation;
  o.offset = address - life->a.address;
  return o;
}

struct emuv_trace_operand emuv_trace_call_operand(const struct emuv_trace_data *d, const struct emuv_trace_call *call,
                                                  uint32_t i)
{
  if (call->type == EMUV_TRACE_LAUNCH) return d->launches[call->index].operands[i];
  if (call->type == EMUV_TRACE_SET) {
    const struct emuv_trace_set *s = &d->sets[call->index];
    return by_address(d, s->allocation, s->address, s->bytes, EMUV_TRACE_ACCESS_WRITE);
  }
  const struct emuv_trace_copy *c = &d->copies[call->index];
  if (i == 0) return by_address(d, c->src_allocation, c->src, c->bytes, EMUV_TRACE_ACCESS_READ);
  return by_address(d, c->dst_allocation, c->dst, c->bytes, EMUV_TRACE_ACCESS_WRITE);
}
