// SPDX-License-Identifier: Apache-2.0
/* How fast the disk reads just now: the engine's own requests, through its own queue, into its scratch pages. */
#include "runtime/engine/internal.h"

#include <time.h>

enum { AT_ONCE = 32 }; /* more than the disk's queue keeps in flight gains nothing */

static double now_s(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int emuv_engine_disk_rate(struct emuv_engine *e, const uint32_t *slots, uint32_t n, double seconds, double *bytes_per_s,
                          struct emuv_err *err)
{
  uint64_t seq[AT_ONCE], started = 0;
  uint32_t depth = e->scratch_pages < AT_ONCE ? e->scratch_pages : AT_ONCE;
  *bytes_per_s = 0;
  if (!e->queue || !n) return 0;
  int rc = emuv_engine_drain(e, err);
  const double begin = now_s();
  for (; !rc && now_s() < begin + seconds; started++) {
    uint32_t place = (uint32_t)(started % depth);
    if (started >= depth) rc = emuv_engine_disk_wait(e, false, seq[place], err);
    void *memory = emuv_engine_ram(e, e->scratch_first + place);
    if (!rc) rc = emuv_engine_disk_start(e, false, slots[started % n], memory, &seq[place], err);
  }
  if (!rc && started) rc = emuv_engine_disk_wait(e, false, seq[(started - 1) % depth], err);
  if (!rc && started) *bytes_per_s = (double)started * (double)e->env.page_bytes / (now_s() - begin);
  return rc;
}
