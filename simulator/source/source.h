// SPDX-License-Identifier: Apache-2.0
/* Workload sources: where the accesses come from. A source is one file ending in a const vtable and one line in
 * sources.def; copy skeleton.c to write one. */
#ifndef EMUV_SIMULATOR_SOURCE_H
#define EMUV_SIMULATOR_SOURCE_H

#include "simulator/config.h"
#include "simulator/workload.h"

struct emuv_source_ops {
  const char *name;
  const char *summary;
  /* Builds the whole workload (warm-up steps included, they come first) into *w, which is zeroed. On failure *w is
   * freed. Deterministic: the same configuration gives the same workload. */
  int (*build)(const struct emuv_config *config, struct emuv_workload *w, struct emuv_err *err);
};

extern const struct emuv_source_ops *const emuv_sources[]; /* NULL-terminated */
const struct emuv_source_ops *emuv_source_find(const char *name);
const char *const *emuv_source_names(void);

#endif
