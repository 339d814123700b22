// SPDX-License-Identifier: Apache-2.0
/* Waiting; see pace.h. */
#include "runtime/replay/pace.h"

#include <stddef.h>
#include <time.h>

static const double SPIN_NS = 100e3, LOOK_NS = 50e6;

double emuv_pace_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void sleep_until(double ns)
{
  struct timespec t = {.tv_sec = (time_t)(ns * 1e-9)};
  t.tv_nsec = (long)(ns - (double)t.tv_sec * 1e9);
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL); /* a signal ends it early: the caller looks again */
}

bool emuv_pace_until(double until_ns, const atomic_bool *stop)
{
  for (double now = emuv_pace_now(); now < until_ns; now = emuv_pace_now()) {
    if (stop && atomic_load_explicit(stop, memory_order_relaxed)) return false;
    double left = until_ns - now - SPIN_NS;
    if (left > 0) sleep_until(now + (left < LOOK_NS ? left : LOOK_NS));
  }
  return !stop || !atomic_load_explicit(stop, memory_order_relaxed);
}
