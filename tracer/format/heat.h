// SPDX-License-Identifier: Apache-2.0
/* Heat map of a trace: bytes touched by bins of time and of the compact address space. What a call touches is spread
 * over the bins of its time, as evenly as whole bytes allow, so the sum over all bins of a map that spans the whole
 * trace is exactly the sum of bytes that its calls touch. One thread per call. */
#ifndef EMUV_FORMAT_HEAT_H
#define EMUV_FORMAT_HEAT_H

#include "tracer/format/touch.h"

struct emuv_trace_heat {
  uint64_t from, until;         /* time, as in the touches */
  uint64_t time_bin, space_bin; /* length of a bin: ns or calls; bytes */
  uint32_t n_times, n_spaces;
  uint64_t *bytes; /* [time x n_spaces + space] */
};

/* What begins in from <= time <= until, in at most max_times x max_spaces bins. EMUV_ERR_NOMEM. */
int emuv_trace_heat_compute(const struct emuv_trace_touches *touches, uint64_t from, uint64_t until, uint32_t max_times,
                            uint32_t max_spaces, struct emuv_trace_heat *heat, struct emuv_err *err);
void emuv_trace_heat_free(struct emuv_trace_heat *heat);

#endif
