// SPDX-License-Identifier: Apache-2.0
/* What the files of the scenario loader share; not for other modules. */
#ifndef EMUV_SIMULATOR_SCENARIO_INTERNAL_H
#define EMUV_SIMULATOR_SCENARIO_INTERNAL_H

#include "simulator/scenario.h"
#include "simulator/yaml.h"

enum { EMUV_SCENARIO_MAX_CONFIGS = 100000 }; /* about 0.4 GiB of configurations */

/* emuv_config_check, and the keys whose values the message is about, the most telling first (NULL-filled). */
int emuv_config_check_keys(const struct emuv_config *config, const char *keys[2], struct emuv_err *err);
/* Every hashed key in canonical text, "key=value\n" each. Returns the length, below size. */
size_t emuv_config_text(const struct emuv_config *config, char *buf, size_t size);

/* Crosses the axes of a document with the overrides on top into out->configs: presets loaded, canonical, checked,
 * distinct. On failure out->configs may hold a part; the caller frees it. */
int emuv_scenario_cross(const struct emuv_yaml_input *input, const struct emuv_yaml_document *document,
                        const struct emuv_yaml_block *overrides, struct emuv_scenario *out, struct emuv_err *err);

#endif
