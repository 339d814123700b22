// SPDX-License-Identifier: Apache-2.0
/* Remarks on a scenario that is valid but may surprise. */
#ifndef EMUV_SIMULATOR_NOTES_H
#define EMUV_SIMULATOR_NOTES_H

#include "simulator/scenario.h"
#include "simulator/workload.h"

#include <stdbool.h>

/* What a decoder layer of a transformer touches for one step: its weights (of experts, those of one token) and its part
 * of the KV cache; 0 for other sources. */
uint64_t emuv_layer_bytes(const struct emuv_config *config);
/* Some configurations have less VRAM than a layer touches: says so and what it means. False: none has. */
bool emuv_note_small_vram(const struct emuv_scenario *scenario, char *text, size_t size);

/* Bytes that the workload's largest launch touches, as its ranges say. */
uint64_t emuv_launch_bytes(const struct emuv_workload *workload);
/* The same for captured runs: configurations of this trace that have less VRAM than its largest launch touches. */
bool emuv_note_small_launch(const struct emuv_scenario *scenario, const char *trace, uint64_t launch_bytes, char *text,
                            size_t size);

#endif
