// SPDX-License-Identifier: Apache-2.0
/* When a link or a disk works, for tiers that compute times: intervals in which it is taken. Work that cannot start
 * before some time to come leaves the time until then to work that can (as a copy engine does that serves two streams,
 * or a disk with more than one request in its queue). Only sums of intervals matter, so neighbours are one.
 *
 * Belongs to one thread. Plain data: {0} is a link that has never worked. */
#ifndef EMUV_TIER_SCHEDULE_H
#define EMUV_TIER_SCHEDULE_H

#include <stdint.h>

enum { EMUV_SCHEDULE_INTERVALS = 512 };

/* Sorted, disjoint, not touching. When there are too many, the first two become one: the time between them is long past
 * as a rule. */
struct emuv_schedule {
  uint32_t n;
  struct {
    double from_ns, to_ns;
  } busy[EMUV_SCHEDULE_INTERVALS];
};

/* Takes duration_ns of the time that is free from earliest_ns on, the first there is. Returns when that ends. */
double emuv_schedule_take(struct emuv_schedule *schedule, double earliest_ns, double duration_ns);
/* How much of the time after now_ns is taken. */
double emuv_schedule_taken_after(const struct emuv_schedule *schedule, double now_ns);

#endif
