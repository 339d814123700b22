// SPDX-License-Identifier: Apache-2.0
/* What each call of a trace touches, as disjoint intervals of the compact address space (space.h), and when: the common
 * input of the figures (heat map, working set, reuse) and, for the place of one operand, of the simulator.
 *
 * Operands of one call that overlap or meet are one interval: a call touches a byte or it does not. An operand of class
 * `bounded` is cut to what the call's time on the device allows (an embedding table of which one row is taken).
 *
 * Times: the call's own time on the device; where that is not known, or lies before the call was made, the moment of
 * the call. Imported reference strings, and traces of which most calls have no time at all, are counted in calls: call
 * i lasts from i to i + 1. Built from a loaded trace; immutable; any thread may read. */
#ifndef EMUV_FORMAT_TOUCH_H
#define EMUV_FORMAT_TOUCH_H

#include "tracer/format/order.h"
#include "tracer/format/space.h"

struct emuv_trace_interval {
  uint64_t lo, hi; /* bytes lo .. hi-1 of the compact space */
};

struct emuv_trace_touches {
  struct emuv_trace_interval *intervals; /* by call; of a call in ascending order */
  size_t *first;                         /* by call: its first interval; n_calls + 1 entries */
  uint64_t *begin, *end;                 /* by call: ns since `origin_ns`, or calls; end >= begin */
  size_t n_calls;
  uint64_t bytes;       /* sum of all intervals */
  uint64_t origin_ns;   /* CLOCK_MONOTONIC of time 0; 0 when counted in calls */
  uint64_t last;        /* the latest end */
  uint64_t space_bytes; /* end of the compact space */
  bool timed;           /* false: counted in calls */
};

/* EMUV_ERR_NOMEM. */
int emuv_trace_touches_build(const struct emuv_trace_data *d, const struct emuv_trace_space *space,
                             const struct emuv_trace_order *order, struct emuv_trace_touches *touches,
                             struct emuv_err *err);
void emuv_trace_touches_free(struct emuv_trace_touches *touches);

/* Where an operand of a call lies. A launch cannot read more than its device time allows, at a rate that no card's
 * memory reaches, nor more than its registers and shared memory can take in that time (Little's law), so a bounded
 * operand is cut to that. False when it is not device memory that the space holds. */
bool emuv_trace_touch_place(const struct emuv_trace_space *space, const struct emuv_trace_call *call,
                            const struct emuv_trace_operand *operand, struct emuv_trace_place *place);

#endif
