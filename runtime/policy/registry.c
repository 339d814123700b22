// SPDX-License-Identifier: Apache-2.0
/* The policies of policies.def as one table. Const data: any thread. */
#include "runtime/policy/policy.h"

#include <string.h>

#define EMUV_POLICY(name) extern const struct emuv_policy_ops emuv_policy_##name;
#include "runtime/policy/policies.def"
#undef EMUV_POLICY

const struct emuv_policy_ops *const emuv_policies[] = {
#define EMUV_POLICY(name) &emuv_policy_##name,
#include "runtime/policy/policies.def"
#undef EMUV_POLICY
    NULL,
};

static const char *const names[] = {
#define EMUV_POLICY(name) #name,
#include "runtime/policy/policies.def"
#undef EMUV_POLICY
    NULL,
};

const struct emuv_policy_ops *emuv_policy_find(const char *name)
{
  for (size_t i = 0; emuv_policies[i]; i++) {
    if (strcmp(emuv_policies[i]->name, name) == 0) return emuv_policies[i];
  }
  return NULL;
}

const char *const *emuv_policy_names(void)
{
  return names;
}
