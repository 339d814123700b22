// SPDX-License-Identifier: Apache-2.0
/* Registry of strategies, made from strategies.def. */
#include "simulator/strategy/strategy.h"

#include <stdio.h>
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

/* "resident, paged, emuv" */
static const char *list_runnable(char *text, size_t size)
{
  size_t used = 0;
  text[0] = '\0';
  for (size_t i = 0; emuv_strategies[i]; i++)
    if (emuv_strategies[i]->plan && used < size)
      used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", emuv_strategies[i]->name);
  return text;
}

int emuv_strategy_plan(const struct emuv_config *config, const struct emuv_workload *workload, struct emuv_plan *plan,
                       struct emuv_err *err)
{
  char names[256];
  const struct emuv_strategy_ops *strategy = emuv_strategy_find(config->strategy);
  *plan = (struct emuv_plan){.kind = EMUV_PLAN_PAGING};
  if (!strategy) return emuv_err_set(err, EMUV_ERR_INPUT, "no strategy '%s'", config->strategy);
  if (strategy->plan) return strategy->plan(config, workload, plan, err);
  emuv_err_set(err, EMUV_ERR_UNSUPPORTED, "strategy '%s' only exists as a model: emuv-sim predicts it, nothing runs it",
               config->strategy);
  return emuv_err_hint(err, "strategies that can be run: %s", list_runnable(names, sizeof names));
}
