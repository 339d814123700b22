// SPDX-License-Identifier: Apache-2.0
/* `--list`; see list.h. Every registry has the same shape: a name and a summary. */
#include "simulator/list.h"

#include "runtime/core/units.h"
#include "runtime/policy/policy.h"
#include "runtime/prefetch/prefetch.h"
#include "runtime/tier/tier.h"
#include "simulator/scenario.h"
#include "simulator/source/shape.h"
#include "simulator/source/source.h"
#include "simulator/strategy/strategy.h"
#include "simulator/table.h"

#include <string.h>

static int print(struct emuv_table *t, FILE *out, struct emuv_err *err)
{
  int rc = emuv_table_print(t, out, 0, err);
  emuv_table_free(t);
  return rc;
}

static void begin(struct emuv_table *t, size_t n_columns)
{
  *t = (struct emuv_table){0};
  for (size_t i = 0; i < n_columns; i++) emuv_table_column(t, "", 0);
}

#define PRINT_REGISTRY(function, registry)                                                                             \
  static int function(FILE *out, struct emuv_err *err)                                                                 \
  {                                                                                                                    \
    struct emuv_table t;                                                                                               \
    begin(&t, 2);                                                                                                      \
    for (size_t i = 0; (registry)[i]; i++) {                                                                           \
      emuv_table_cell(&t, "%s", (registry)[i]->name);                                                                  \
      emuv_table_cell(&t, "%s", (registry)[i]->summary);                                                               \
    }                                                                                                                  \
    return print(&t, out, err);                                                                                        \
  }

PRINT_REGISTRY(print_policies, emuv_policies)
PRINT_REGISTRY(print_prefetchers, emuv_prefetchers)
PRINT_REGISTRY(print_tiers, emuv_tiers)
PRINT_REGISTRY(print_sources, emuv_sources)
PRINT_REGISTRY(print_strategies, emuv_strategies)

static int print_presets(const char *kind, int (*cells)(const char *name, struct emuv_table *t, struct emuv_err *err),
                         FILE *out, struct emuv_err *err)
{
  struct emuv_table t;
  char **names = NULL;
  int rc = emuv_preset_names(kind, &names, err);
  begin(&t, 2);
  for (size_t i = 0; !rc && names[i]; i++) rc = cells(names[i], &t, err);
  emuv_preset_free_names(names);
  if (!rc) return print(&t, out, err);
  emuv_table_free(&t);
  return rc;
}

static int hardware_cells(const char *name, struct emuv_table *t, struct emuv_err *err)
{
  struct emuv_config c;
  char vram[32];
  int rc = emuv_config_defaults(&c, err);
  if (!rc) rc = emuv_preset_load_hardware(name, &c, err);
  if (rc) return rc;
  emuv_table_cell(t, "%s", name);
  emuv_table_cell(t, "%s: %s at %.0f GB/s, %.0f TFLOP/s fp16, %s at %.1f GB/s", c.hw.gpu,
                  emuv_units_human_bytes((double)c.hw.vram, vram, sizeof vram), c.hw.vram_rate * 1e-9,
                  c.hw.flops * 1e-12, c.hw.link, emuv_curve_rate(&c.hw.h2d, UINT64_C(64) << 20) * 1e-9);
  return 0;
}

static int model_cells(const char *name, struct emuv_table *t, struct emuv_err *err)
{
  struct emuv_config c;
  char weights[32], kv[32];
  int rc = emuv_config_defaults(&c, err);
  if (!rc) rc = emuv_preset_load_model(name, &c, err);
  if (rc) return rc;
  double kv_bytes = (double)emuv_model_kv_bytes(&c.model, 16) * (double)c.model.layers;
  emuv_table_cell(t, "%s", name);
  emuv_table_cell(t, "%.3f billion parameters (fp16: %s) in %llu layers, %s of KV cache per token",
                  (double)emuv_model_parameters(&c.model) * 1e-9,
                  emuv_units_human_bytes((double)emuv_model_bytes(&c.model, 16, 0), weights, sizeof weights),
                  (unsigned long long)c.model.layers, emuv_units_human_bytes(kv_bytes, kv, sizeof kv));
  return 0;
}

static int print_hardware(FILE *out, struct emuv_err *err)
{
  return print_presets("hardware", hardware_cells, out, err);
}

static int print_models(FILE *out, struct emuv_err *err)
{
  return print_presets("models", model_cells, out, err);
}

static int print_keys(FILE *out, struct emuv_err *err)
{
  size_t n;
  const struct emuv_option *o = emuv_config_options(&n);
  struct emuv_table t;
  begin(&t, 3);
  for (size_t i = 0; i < n; i++) {
    emuv_table_cell(&t, "%s", o[i].key);
    emuv_table_cell(&t, "%s", o[i].def ? o[i].def : "");
    emuv_table_cell(&t, "%s", o[i].help);
  }
  return print(&t, out, err);
}

static const struct {
  const char *name;
  int (*print)(FILE *out, struct emuv_err *err);
} lists[] = {
    {"policies", print_policies},     {"prefetchers", print_prefetchers},
    {"tiers", print_tiers},           {"sources", print_sources},
    {"hardware", print_hardware},     {"models", print_models},
    {"strategies", print_strategies}, {"keys", print_keys},
};
enum { N_LISTS = sizeof lists / sizeof lists[0] };

int emuv_list_print(const char *what, FILE *out, struct emuv_err *err)
{
  const char *names[N_LISTS + 1] = {NULL};
  for (size_t i = 0; i < N_LISTS; i++) {
    names[i] = lists[i].name;
    if (strcmp(lists[i].name, what) == 0) return lists[i].print(out, err);
  }
  const char *near = emuv_option_suggest_name(names, what);
  emuv_err_set(err, EMUV_ERR_USAGE, "--list %s: no such list", what);
  if (near) return emuv_err_hint(err, "did you mean \"%s\"?", near);
  return emuv_err_hint(err, "policies, prefetchers, tiers, sources, hardware, models, strategies or keys");
}
