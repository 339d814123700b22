// SPDX-License-Identifier: Apache-2.0
/* Layers of a captured model: see trace_layers.h. The period of the last step serves all steps: a step in which some
 * kernel differs must not get other layers than its neighbours. */
#include "simulator/source/trace_layers.h"

#include <stdlib.h>

static void assign(const struct emuv_trace_step *step, size_t period, size_t begin, size_t end, int32_t *layers)
{
  for (size_t i = 0; i < step->n; i++) {
    bool inside = i >= begin && i < end && i < begin + (end - begin) / period * period;
    layers[step->first + i] = inside ? (int32_t)((i - begin) / period) : -1;
  }
}

int emuv_trace_layers_find(const struct emuv_trace_data *d, const struct emuv_trace_order *order,
                           const struct emuv_trace_steps *steps, int32_t *layers, struct emuv_err *err)
{
  for (size_t i = 0; i < order->n; i++) layers[i] = -1;
  if (steps->n < 2) return 0;
  const struct emuv_trace_step *last = &steps->step[steps->n - 1];
  uint32_t *symbols = malloc((last->n + 1) * sizeof *symbols);
  if (!symbols) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace's layers");
  for (size_t i = 0; i < last->n; i++) symbols[i] = emuv_trace_symbol(d, &order->calls[last->first + i]);
  size_t begin, end, period = emuv_trace_period(symbols, last->n, &begin, &end);
  free(symbols);
  for (size_t s = 1; s < steps->n && period; s++)
    if (!steps->step[s].prefill) assign(&steps->step[s], period, begin, end, layers);
  return 0;
}
