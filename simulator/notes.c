// SPDX-License-Identifier: Apache-2.0
/* Remarks; see notes.h. No state; any thread. */
#include "simulator/notes.h"

#include "runtime/core/units.h"
#include "simulator/source/shape.h"
#include "simulator/strategy/strategy.h"

#include <stdio.h>
#include <string.h>

static uint64_t bytes_of(const struct emuv_config *c, enum emuv_matrix_id first, enum emuv_matrix_id last)
{
  uint64_t sum = 0;
  for (int id = (int)first; id <= (int)last; id++)
    sum += emuv_matrix_bytes(emuv_model_matrix(&c->model, (enum emuv_matrix_id)id), c->weight_bits, c->weight_group);
  return sum;
}

uint64_t emuv_layer_bytes(const struct emuv_config *config)
{
  if (strcmp(config->source, "transformer") != 0) return 0;
  uint64_t kv = emuv_model_kv_bytes(&config->model, config->kv_bits) * config->context * config->batch;
  return bytes_of(config, EMUV_MATRIX_Q, EMUV_MATRIX_O) + kv +
         bytes_of(config, EMUV_MATRIX_GATE, EMUV_MATRIX_DOWN) * config->model.experts_per_token;
}

bool emuv_note_small_vram(const struct emuv_scenario *scenario, char *text, size_t size)
{
  const struct emuv_config *least = NULL;
  size_t n = 0;
  for (size_t i = 0; i < scenario->n_configs; i++) {
    const struct emuv_config *c = &scenario->configs[i];
    const struct emuv_strategy_ops *strategy = emuv_strategy_find(c->strategy);
    if ((strategy && (strategy->flags & EMUV_STRATEGY_UNLIMITED)) || c->vram >= emuv_layer_bytes(c)) continue;
    if (!least || c->vram < least->vram) least = c;
    n++;
  }
  if (!least) return false;
  char vram[32], layer[32];
  (void)snprintf(text, size,
                 "in %zu configurations VRAM is smaller than what one layer touches (%s; the least: %s); its pages are "
                 "replaced while it runs, and strategies that keep whole layers cannot run",
                 n, emuv_units_human_bytes((double)emuv_layer_bytes(least), layer, sizeof layer),
                 emuv_units_format_bytes(least->vram, vram, sizeof vram));
  return true;
}

uint64_t emuv_launch_bytes(const struct emuv_workload *w)
{
  uint64_t most = 0;
  for (size_t i = 0; i < w->n_ops; i++) {
    uint64_t bytes = 0;
    for (uint32_t r = 0; r < w->ops[i].n_ranges; r++) bytes += w->ranges[w->ops[i].first_range + r].bytes;
    if (bytes > most) most = bytes;
  }
  return most;
}

bool emuv_note_small_launch(const struct emuv_scenario *scenario, const char *trace, uint64_t launch_bytes, char *text,
                            size_t size)
{
  const struct emuv_config *least = NULL;
  size_t n = 0;
  for (size_t i = 0; i < scenario->n_configs; i++) {
    const struct emuv_config *c = &scenario->configs[i];
    const struct emuv_strategy_ops *strategy = emuv_strategy_find(c->strategy);
    if (strcmp(c->trace, trace) != 0 || c->vram >= launch_bytes) continue;
    if (strategy && (strategy->flags & EMUV_STRATEGY_UNLIMITED)) continue;
    if (!least || c->vram < least->vram) least = c;
    n++;
  }
  if (!least) return false;
  char vram[32], launch[32];
  (void)snprintf(text, size,
                 "in %zu configurations VRAM is smaller than what one launch touches (%s; the least: %s); such a "
                 "launch is run in parts, each before its pages are replaced; a real kernel would have to fault",
                 n, emuv_units_human_bytes((double)launch_bytes, launch, sizeof launch),
                 emuv_units_format_bytes(least->vram, vram, sizeof vram));
  return true;
}
