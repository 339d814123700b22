// SPDX-License-Identifier: Apache-2.0
/* Registry of strategies, made from strategies.def. */
#include "simulator/strategy/strategy.h"

#include <string.h>

#define EMUV_STRATEGY(id, name) extern const struct emuv_strategy_ops emuv_strategy_##id;
#include "simulator/strategy/strategies.def"
#undef EMUV_STRATEGY

const struct emuv_strategy_ops *const emuv_strategies[] = {
#define EMUV_STRATEGY(id, name) &emuv_strategy_##id,
#include "simulator/strategy/strategies.def"
#undef EMUV_STRATEGY
    NULL,
};

const struct emuv_strategy_ops *emuv_strategy_find(const char *name)
{
  for (size_t i = 0; emuv_strategies[i]; i++)
    if (strcmp(emuv_strategies[i]->name, name) == 0) return emuv_strategies[i];
  return NULL;
}

const char *const *emuv_strategy_names(void)
{
  static const char *const names[] = {
#define EMUV_STRATEGY(id, name) name,
#include "simulator/strategy/strategies.def"
#undef EMUV_STRATEGY
      NULL,
  };
  return names;
}
