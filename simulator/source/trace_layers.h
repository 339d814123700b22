// SPDX-License-Identifier: Apache-2.0
/* Layers of a captured model: within a step the calls of one decoder layer follow those of another in the same
 * sequence, so the layers are the repetitions of the step's inner period (tracer/format/steps.h). Where one layer ends
 * and the next begins inside the period cannot be told and does not matter: the cut only moves calls that follow each
 * other. Pure; any thread. */
#ifndef EMUV_SIMULATOR_SOURCE_TRACE_LAYERS_H
#define EMUV_SIMULATOR_SOURCE_TRACE_LAYERS_H

#include "tracer/format/steps.h"

/* layers[i] = 0-based layer of call i, -1 = none; order->n entries. Calls of step 0 have none, and so have the calls
 * before and behind the layers of a step. EMUV_ERR_NOMEM. */
int emuv_trace_layers_find(const struct emuv_trace_data *d, const struct emuv_trace_order *order,
                           const struct emuv_trace_steps *steps, int32_t *layers, struct emuv_err *err);

#endif
