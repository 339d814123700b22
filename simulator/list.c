// SPDX-License-Identifier: Apache-2.0
/* `--list`; see list.h. Every registry has the same shape: a name and a summary. */
#include "simulator/list.h"

#include "runtime/policy/policy.h"
#include "runtime/prefetch/prefetch.h"
#include "runtime/tier/tier.h"
#include "simulator/scenario.h"
#include "simulator/source/source.h"
#include "simulator/strategy/strategy.h"

#include <string.h>

#define PRINT_REGISTRY(function, registry)                                                                             \
  static int function(FILE *out, struct emuv_err *err)                                                                 \
  {                                                                                                                    \
    (void)err;                                                                                                         \
    for (size_t i = 0; registry[i]; i++) fprintf(out, "%-14s %s\n", registry[i]->name, registry[i]->summary);          \
    return 0;                                                                                                          \
  }

PRINT_REGISTRY(print_policies, emuv_policies)
PRINT_REGISTRY(print_prefetchers, emuv_prefetchers)
PRINT_REGISTRY(print_tiers, emuv_tiers)
PRINT_REGISTRY(print_sources, emuv_sources)
PRINT_REGISTRY(print_strategies, emuv_strategies)

static int print_presets(const char *kind, FILE *out, struct emuv_err *err)
{
  char **names = NULL;
  int rc = emuv_preset_names(kind, &names, err);
  for (size_t i = 0; !rc && names[i]; i++) fprintf(out, "%s\n", names[i]);
  emuv_preset_free_names(names);
  return rc;
}

static int print_hardware(FILE *out, struct emuv_err *err)
{
  return print_presets("hardware", out, err);
}

static int print_models(FILE *out, struct emuv_err *err)
{
  return print_presets("models", out, err);
}

static int print_keys(FILE *out, struct emuv_err *err)
{
  size_t n;
  const struct emuv_option *o = emuv_config_options(&n);
  (void)err;
  for (size_t i = 0; i < n; i++) fprintf(out, "%-26s %-14s %s\n", o[i].key, o[i].def ? o[i].def : "", o[i].help);
  return 0;
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

int emuv_list_print(const char *what, FILE *out, struct emuv_err *err)
{
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
    if (strcmp(lists[i].name, what) == 0) return lists[i].print(out, err);
  emuv_err_set(err, EMUV_ERR_USAGE, "--list %s: no such list", what);
  return emuv_err_hint(err, "policies, prefetchers, tiers, sources, hardware, models, strategies or keys");
}
