// SPDX-License-Identifier: Apache-2.0
/* The host's pace: the time now, and waiting until a moment precisely. Sleeps most of the way and spins the rest, since
 * a sleeping thread wakes up to 60 us late. Nanoseconds of CLOCK_MONOTONIC. Any thread. */
#ifndef EMUV_REPLAY_PACE_H
#define EMUV_REPLAY_PACE_H

#include <stdatomic.h>
#include <stdbool.h>

double emuv_pace_now(void);
/* Returns early, and false, when *stop becomes true (looked at every 50 ms); stop may be NULL. */
bool emuv_pace_until(double until_ns, const atomic_bool *stop);

#endif
