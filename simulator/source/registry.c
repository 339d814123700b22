// SPDX-License-Identifier: Apache-2.0
/* The table of workload sources, made from sources.def. Const data; any thread. */
#include "simulator/source/source.h"

#include <string.h>

#define EMUV_SOURCE(name) extern const struct emuv_source_ops emuv_source_##name;
#include "simulator/source/sources.def"
#undef EMUV_SOURCE

const struct emuv_source_ops *const emuv_sources[] = {
#define EMUV_SOURCE(name) &emuv_source_##name,
#include "simulator/source/sources.def"
#undef EMUV_SOURCE
    NULL};

static const char *const source_names[] = {
#define EMUV_SOURCE(name) #name,
#include "simulator/source/sources.def"
#undef EMUV_SOURCE
    NULL};

const struct emuv_source_ops *emuv_source_find(const char *name)
{
  for (size_t i = 0; emuv_sources[i]; i++)
    if (strcmp(emuv_sources[i]->name, name) == 0) return emuv_sources[i];
  return NULL;
}

const char *const *emuv_source_names(void)
{
  return source_names;
}
