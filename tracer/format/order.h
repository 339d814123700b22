// SPDX-License-Identifier: Apache-2.0
/* The calls that give work to the device (launches, copies, sets) in the order in which the host made them, each with
 * its operands in one common form. Built from a loaded trace, which must outlive it; immutable, any thread. */
#ifndef EMUV_FORMAT_ORDER_H
#define EMUV_FORMAT_ORDER_H

#include "tracer/format/load.h"

struct emuv_trace_call {
  uint64_t enter_ns, exit_ns; /* host */
  uint64_t start_ns, end_ns;  /* device */
  uint64_t sequence;
  uint32_t type;     /* LAUNCH, COPY or SET */
  uint32_t index;    /* in the loaded trace's array of that type */
  uint32_t position; /* of the record among the trace's events */
};

struct emuv_trace_order {
  struct emuv_trace_call *calls;
  size_t n;
};

int emuv_trace_order_build(const struct emuv_trace_data *d, struct emuv_trace_order *order, struct emuv_err *err);
void emuv_trace_order_free(struct emuv_trace_order *order);

/* Operands of a call: a launch has those of its record, a copy its source and its destination (each only where it is an
 * allocation), a set its destination. */
uint32_t emuv_trace_call_operands(const struct emuv_trace_data *d, const struct emuv_trace_call *call);
struct emuv_trace_operand emuv_trace_call_operand(const struct emuv_trace_data *d, const struct emuv_trace_call *call,
                                                  uint32_t i);

#endif
