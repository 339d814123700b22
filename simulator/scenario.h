// SPDX-License-Identifier: Apache-2.0
/* Scenario files (YAML, libyaml's event parser): keys of the option table, nested maps flattened with dots
 * (`model: {layers: 40}` = "model.layers"); a scalar for a group names its preset (`model: llama-2-70b` =
 * "model.preset", `hardware: h200` = "hw.preset"). Any key may be a list: axes are crossed. An optional top-level list
 * `sweep:` holds maps; each map is crossed by itself on top of the other keys, and the results are concatenated
 * (duplicates dropped by hash).
 *
 * Every value of every axis is parsed and checked while loading, so that nothing has been written when an error comes
 * back; errors carry file, line, column, the source line for the caret and a "did you mean". One thread per call. */
#ifndef EMUV_SIMULATOR_SCENARIO_H
#define EMUV_SIMULATOR_SCENARIO_H

#include "simulator/config.h"

#include <stddef.h>

struct emuv_scenario {
  char path[512];
  struct emuv_config *configs; /* crossed, canonical (see emuv_config_canonical), distinct hashes, in file order */
  size_t n_configs;
};

/* Loads a scenario. `overrides` are "key=value" or "key=a,b,c" texts (from --set and from command-line axes) that
 * replace the file's value of that key everywhere, sweep blocks included. EMUV_ERR_INPUT with place for anything wrong
 * in the file, EMUV_ERR_USAGE for a bad override. */
int emuv_scenario_load(const char *path, const char *const *overrides, size_t n_overrides, struct emuv_scenario *out,
                       struct emuv_err *err);
/* As emuv_scenario_load, from memory; `path` is used in messages only. */
int emuv_scenario_parse(const char *path, const char *text, size_t length, const char *const *overrides,
                        size_t n_overrides, struct emuv_scenario *out, struct emuv_err *err);
void emuv_scenario_free(struct emuv_scenario *s);

/* Reads one preset (scenarios/hardware/NAME.yaml, scenarios/models/NAME.yaml, or a path; for models also a Hugging Face
 * config.json, by its extension) into config->hw or config->model. Search order: $EMUV_DATA_DIR, ../share/emuv
 * beside the program, the source tree that built it, the installed data directory. */
int emuv_preset_load_hardware(const char *name, struct emuv_config *config, struct emuv_err *err);
int emuv_preset_load_model(const char *name, struct emuv_config *config, struct emuv_err *err);
/* Names of all presets of a kind ("hardware" or "models"), sorted, NULL-terminated; free with emuv_preset_free_names.
 */
int emuv_preset_names(const char *kind, char ***names, struct emuv_err *err);
void emuv_preset_free_names(char **names);

/* Sets keys that the strategy ignores to fixed values, so that equal work has equal hashes (a `uva` row has no eviction
 * policy: policy "static", prefetch "none"); fills `vram` from the card when it is 0. */
void emuv_config_canonical(struct emuv_config *config);
/* 128-bit hash (XXH3) of all hashed keys in canonical text, as 32 hex digits + NUL. trace_hash: content hash of the
 * trace file, 0 if none. */
void emuv_config_hash(const struct emuv_config *config, uint64_t trace_hash, char hex[33]);
/* Checks that hold between keys (page larger than VRAM, source keys that miss, ...); the place is added by the caller.
 */
int emuv_config_check(const struct emuv_config *config, struct emuv_err *err);

#endif
