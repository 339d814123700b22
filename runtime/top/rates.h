// SPDX-License-Identifier: Apache-2.0
/* What two looks at a status page say about the time between them. Unknown values are NAN. No state; any thread. */
#ifndef EMUV_TOP_RATES_H
#define EMUV_TOP_RATES_H

#include "runtime/core/status.h"

struct emuv_link_rate {
  double bytes_per_s, busy; /* busy: share of the time, 0..1 */
};

/* Per second where not said otherwise; shares are 0..1. */
struct emuv_rates {
  double seconds; /* between the looks, by the writer's clock; 0 = the writer has published nothing new */
  struct emuv_link_rate link[EMUV_STATUS_LINKS];
  double accesses, hit_share, faults, evicted, launches, checked_bytes;
  double ahead_used_share; /* of the pages loaded ahead in this time, how many were used */
  double compute_share, stall_share;
};

/* `before` and `now` come from one process, `before` first. With before == NULL: means since the program's start. */
void emuv_rates_between(const struct emuv_status *before, const struct emuv_status *now, struct emuv_rates *rates);

#endif
