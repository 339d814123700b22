// SPDX-License-Identifier: Apache-2.0
/* NVTX ranges of a trace with both their ends: pushes paired with pops by thread, starts with ends by id. In the order
 * of their begins in the file. Pure function of a loaded trace, which must outlive the result; any thread. */
#ifndef EMUV_FORMAT_RANGES_H
#define EMUV_FORMAT_RANGES_H

#include "tracer/format/load.h"

struct emuv_trace_span {
  uint64_t begin_ns, end_ns; /* end 0 = still open when the trace ended */
  uint32_t range;            /* the record that opened it: data.ranges[range] */
};

struct emuv_trace_spans {
  struct emuv_trace_span *span;
  size_t n;
};

int emuv_trace_spans_find(const struct emuv_trace_data *d, struct emuv_trace_spans *spans, struct emuv_err *err);
void emuv_trace_spans_free(struct emuv_trace_spans *spans);

#endif
