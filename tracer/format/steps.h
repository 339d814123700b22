// SPDX-License-Identifier: Apache-2.0
/* Where a trace's steps (decoded tokens, training steps) begin.
 *
 * From NVTX ranges when the program marked them: at least two ranges named token, decode, step, iteration or image,
 * with any digits and punctuation behind the name. Else from the period of the sequence of calls: kernels, copies and
 * sets are symbols; for each candidate distance p the stretch with the best score (+1 where the symbol p calls earlier
 * is the same, -19 where not: Kadane's maximum-sum run, so at least 95 % agree) is found, and the p with the best one
 * wins. A step begins where the host pauses longest after a copy to the host (the token is read back), without such
 * copies where it pauses longest at all. Pure functions of a loaded trace; any thread. */
#ifndef EMUV_FORMAT_STEPS_H
#define EMUV_FORMAT_STEPS_H

#include "tracer/format/order.h"

enum emuv_trace_steps_how { EMUV_TRACE_STEPS_NONE, EMUV_TRACE_STEPS_RANGES, EMUV_TRACE_STEPS_PERIOD };

struct emuv_trace_step {
  size_t first, n; /* calls of the order */
  uint64_t begin_ns, end_ns;
  bool prefill; /* a range named prefill */
};

/* step[0] is what comes before the first step (loading, warm-up); it may be empty. Without steps it is everything. */
struct emuv_trace_steps {
  struct emuv_trace_step *step;
  size_t n; /* step[0] included */
  enum emuv_trace_steps_how how;
  const char *unit; /* "token", "step", "image"; "access" when there are no steps */
  size_t period;    /* calls, where the period was detected */
};

int emuv_trace_steps_find(const struct emuv_trace_data *d, const struct emuv_trace_order *order,
                          struct emuv_trace_steps *steps, struct emuv_err *err);
void emuv_trace_steps_free(struct emuv_trace_steps *steps);

/* What makes two calls alike: the kernel, or the kind of copy. */
uint32_t emuv_trace_symbol(const struct emuv_trace_data *d, const struct emuv_trace_call *call);

/* The period of a sequence of symbols: its length, 0 if there is none with at least three repetitions, and the first
 * index of the stretch that repeats. */
size_t emuv_trace_period(const uint32_t *symbols, size_t n, size_t *begin, size_t *end);

#endif
