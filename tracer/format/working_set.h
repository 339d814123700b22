// SPDX-License-Identifier: Apache-2.0
/* Memory over time: distinct bytes that a trace touches in each window of a length and in each step, and the device
 * memory that is allocated. Pure functions; any thread. */
#ifndef EMUV_FORMAT_WORKING_SET_H
#define EMUV_FORMAT_WORKING_SET_H

#include "tracer/format/atoms.h"
#include "tracer/format/steps.h"

/* bytes[i] belongs to i x length <= time < (i + 1) x length. */
struct emuv_trace_series {
  uint64_t length; /* ns or calls */
  size_t n;
  uint64_t *bytes;
};

/* A call counts in each window in which it runs. Windows to the end of the trace. EMUV_ERR_NOMEM. */
int emuv_trace_working_set_windows(const struct emuv_trace_touches *touches, const struct emuv_trace_atoms *atoms,
                                   uint64_t length, struct emuv_trace_series *series, struct emuv_err *err);
/* bytes has steps->n entries. EMUV_ERR_NOMEM. */
int emuv_trace_working_set_steps(const struct emuv_trace_touches *touches, const struct emuv_trace_atoms *atoms,
                                 const struct emuv_trace_steps *steps, uint64_t *bytes, struct emuv_err *err);
/* The most device memory that was allocated at once in each window; nothing (n = 0) for a trace counted in calls.
 * EMUV_ERR_NOMEM. */
int emuv_trace_working_set_live(const struct emuv_trace_data *d, const struct emuv_trace_touches *touches,
                                uint64_t length, struct emuv_trace_series *series, struct emuv_err *err);
void emuv_trace_series_free(struct emuv_trace_series *series);

#endif
