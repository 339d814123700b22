// SPDX-License-Identifier: Apache-2.0
/* `--list WHAT`: names and one-line summaries, from the registries and presets. */
#ifndef EMUV_SIMULATOR_LIST_H
#define EMUV_SIMULATOR_LIST_H

#include "runtime/core/err.h"

#include <stdio.h>

/* policies prefetchers tiers sources hardware models strategies keys; EMUV_ERR_USAGE for anything else. */
int emuv_list_print(const char *what, FILE *out, struct emuv_err *err);

#endif
