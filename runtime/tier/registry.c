// SPDX-License-Identifier: Apache-2.0
/* Registry of tiers, made from tiers.def, and the channel that they share. */
#include "runtime/tier/tier.h"

#include <string.h>

#define EMUV_TIER(name) extern const struct emuv_tier_ops emuv_tier_##name;
#include "runtime/tier/tiers.def"
#undef EMUV_TIER

const struct emuv_tier_ops *const emuv_tiers[] = {
#define EMUV_TIER(name) &emuv_tier_##name,
#include "runtime/tier/tiers.def"
#undef EMUV_TIER
    NULL,
};

const struct emuv_tier_ops *emuv_tier_find(const char *name)
{
  for (size_t i = 0; emuv_tiers[i]; i++)
    if (strcmp(emuv_tiers[i]->name, name) == 0) return emuv_tiers[i];
  return NULL;
}

const char *const *emuv_tier_names(void)
{
  static const char *const names[] = {
#define EMUV_TIER(name) #name,
#include "runtime/tier/tiers.def"
#undef EMUV_TIER
      NULL,
  };
  return names;
}

double emuv_channel_move(struct emuv_channel *channel, const struct emuv_curve *curve, uint64_t bytes,
                         uint64_t copy_bytes, double latency_ns, double earliest_ns)
{
  uint64_t unit = copy_bytes && copy_bytes < bytes ? copy_bytes : bytes;
  double duration = (double)bytes / emuv_curve_rate(curve, unit) * 1e9;
  double start = earliest_ns > channel->free_ns ? earliest_ns : channel->free_ns;
  channel->free_ns = start + duration;
  channel->busy_ns += duration;
  channel->bytes += bytes;
  channel->requests += unit ? (bytes + unit - 1) / unit : 0;
  return channel->free_ns + latency_ns;
}
