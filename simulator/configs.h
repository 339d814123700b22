// SPDX-License-Identifier: Apache-2.0
/* The configurations of a scenario, for --dry-run. */
#ifndef EMUV_SIMULATOR_CONFIGS_H
#define EMUV_SIMULATOR_CONFIGS_H

#include "simulator/scenario.h"

#include <stdio.h>

enum emuv_configs_format {
  EMUV_CONFIGS_TABLE, /* the keys by which they differ */
  EMUV_CONFIGS_CSV,   /* all keys, one line each */
  EMUV_CONFIGS_JSON,  /* all keys, one object each */
};

/* EMUV_ERR_NOMEM, EMUV_ERR_IO. */
int emuv_configs_print(const struct emuv_scenario *scenario, enum emuv_configs_format format, FILE *out,
                       struct emuv_err *err);

#endif
