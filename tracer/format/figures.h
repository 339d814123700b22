// SPDX-License-Identifier: Apache-2.0
/* Everything that is drawn of a trace, computed at once: heat maps of the whole run and of its last steps, working
 * sets, reuse. Owned by the caller; must not outlive the loaded trace. One thread per call; about 3 s and 400 MB beside
 * the loaded trace for a million launches with three operands each. */
#ifndef EMUV_FORMAT_FIGURES_H
#define EMUV_FORMAT_FIGURES_H

#include "tracer/format/heat.h"
#include "tracer/format/reuse.h"
#include "tracer/format/steps.h"
#include "tracer/format/working_set.h"

enum { EMUV_TRACE_WINDOWS = 3, EMUV_TRACE_STEPS_SHOWN = 3 };

struct emuv_trace_figures {
  const struct emuv_trace_data *data;
  struct emuv_trace_space space;
  struct emuv_trace_order order;
  struct emuv_trace_steps steps;
  struct emuv_trace_touches touches;
  struct emuv_trace_atoms atoms;
  struct emuv_trace_heat heat, step_heat;              /* step_heat: of the last steps; bytes = NULL without steps */
  struct emuv_trace_series window[EMUV_TRACE_WINDOWS]; /* the shortest first; n = 0 = not there */
  struct emuv_trace_series live;
  uint64_t *step_bytes; /* by step: distinct bytes */
  uint64_t *step_time;  /* by step: when its first call begins; entry steps.n: the end */
  struct emuv_trace_reuse reuse;
  size_t counted_step; /* reuse counts from this step on: the first one that is no prefill; 0 without steps */
};

/* EMUV_ERR_INPUT when nothing in the trace touches device memory, EMUV_ERR_NOMEM, EMUV_ERR_RANGE. */
int emuv_trace_figures_compute(const struct emuv_trace_data *d, struct emuv_trace_figures *figures,
                               struct emuv_err *err);
void emuv_trace_figures_free(struct emuv_trace_figures *figures);

#endif
