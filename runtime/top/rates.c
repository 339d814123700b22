// SPDX-License-Identifier: Apache-2.0
/* Differences of two status pages; see rates.h. */
#include "runtime/top/rates.h"

#include <math.h>

static double difference(uint64_t before, uint64_t now)
{
  if (before == EMUV_STATUS_UNKNOWN || now == EMUV_STATUS_UNKNOWN || now < before) return NAN;
  return (double)(now - before);
}

/* NAN when nothing was counted: a share of nothing is not known. */
static double share(double part, double whole)
{
  return whole > 0 ? part / whole : NAN;
}

void emuv_rates_between(const struct emuv_status *before, const struct emuv_status *now, struct emuv_rates *r)
{
  static const struct emuv_status nothing;
  uint64_t since = before ? before->updated_ns : now->start_ns;
  if (!before) before = &nothing;
  double s = now->updated_ns > since ? (double)(now->updated_ns - since) * 1e-9 : 0;
  *r = (struct emuv_rates){.seconds = s};
  for (int i = 0; i < EMUV_STATUS_LINKS; i++) {
    r->link[i].bytes_per_s = share(difference(before->link[i].bytes, now->link[i].bytes), s);
    r->link[i].busy = share(difference(before->link[i].busy_ns, now->link[i].busy_ns) * 1e-9, s);
  }
  double accesses = difference(before->accesses, now->accesses);
  r->accesses = share(accesses, s);
  r->hit_share = share(difference(before->hits, now->hits), accesses);
  r->faults = share(difference(before->faults, now->faults), s);
  r->evicted = share(difference(before->evicted, now->evicted), s);
  r->launches = share(difference(before->launches, now->launches), s);
  r->checked_bytes = share(difference(before->checked_bytes, now->checked_bytes), s);
  r->ahead_used_share = share(difference(before->prefetch_used, now->prefetch_used),
                              difference(before->prefetch_issued, now->prefetch_issued));
  r->compute_share = share(difference(before->compute_ns, now->compute_ns) * 1e-9, s);
  r->stall_share = share(difference(before->stall_ns, now->stall_ns) * 1e-9, s);
}
