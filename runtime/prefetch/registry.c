// SPDX-License-Identifier: Apache-2.0
/* Registry of prefetchers, made from prefetch.def. */
#include "runtime/prefetch/prefetch.h"

#include <string.h>

#define EMUV_PREFETCH(id, name) extern const struct emuv_prefetch_ops emuv_prefetch_##id;
#include "runtime/prefetch/prefetch.def"
#undef EMUV_PREFETCH

const struct emuv_prefetch_ops *const emuv_prefetchers[] = {
#define EMUV_PREFETCH(id, name) &emuv_prefetch_##id,
#include "runtime/prefetch/prefetch.def"
#undef EMUV_PREFETCH
    NULL,
};

const struct emuv_prefetch_ops *emuv_prefetch_find(const char *name)
{
  for (size_t i = 0; emuv_prefetchers[i]; i++)
    if (strcmp(emuv_prefetchers[i]->name, name) == 0) return emuv_prefetchers[i];
  return NULL;
}

const char *const *emuv_prefetch_names(void)
{
  static const char *const names[] = {
#define EMUV_PREFETCH(id, name) name,
#include "runtime/prefetch/prefetch.def"
#undef EMUV_PREFETCH
      NULL,
  };
  return names;
}
