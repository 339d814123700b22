// SPDX-License-Identifier: Apache-2.0
/* JSON schema of scenario files, made from the option table, so that editors complete and check them. */
#ifndef EMUV_SIMULATOR_SCHEMA_H
#define EMUV_SIMULATOR_SCHEMA_H

#include "runtime/core/err.h"

/* The whole schema as text that ends with a newline, the same bytes for the same table; the caller frees it.
 * EMUV_ERR_NOMEM. */
int emuv_schema_text(char **text, struct emuv_err *err);

#endif
