// SPDX-License-Identifier: Apache-2.0
/* Presets, the part that only the scenario loader and tests use; the public calls are in scenario.h. */
#ifndef EMUV_SIMULATOR_PRESET_H
#define EMUV_SIMULATOR_PRESET_H

#include "simulator/config.h"
#include "simulator/yaml.h"

/* `name` is a path rather than the name of a shipped preset: it has a "/" or ends in .yaml, .yml or .json. */
bool emuv_preset_is_path(const char *name);
/* Reads the text of a Hugging Face config.json into *model. EMUV_ERR_INPUT with its place for JSON that does not parse,
 * a missing field, or an architecture whose layers this model does not describe. */
int emuv_preset_parse_huggingface(const struct emuv_yaml_input *input, struct emuv_model *model, struct emuv_err *err);
/* Reads the text of a YAML preset: keys of the group ("hw." or "model.") without the prefix. The group's fields that
 * it does not give get their defaults. */
int emuv_preset_parse_yaml(const struct emuv_yaml_input *input, const char *prefix, struct emuv_config *config,
                           struct emuv_err *err);

#endif
