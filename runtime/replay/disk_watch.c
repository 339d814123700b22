// SPDX-License-Identifier: Apache-2.0
/* Is the disk as fast as it was calibrated? See disk_watch.h. */
#include "runtime/replay/disk_watch.h"

#include <stdio.h>
#include <stdlib.h>

static const double TENTH = 0.1;
enum { FEWEST = 8 }; /* slots */

/* Slots of pages that lie on the disk: others of the file need not have been written, and cost no read. */
static uint32_t list_slots(const struct emuv_pager *p, uint32_t *slots)
{
  uint32_t n = 0;
  for (uint32_t page = 0; page < p->env.n_pages; page++)
    if (p->state[page] & EMUV_PAGE_NVME) slots[n++] = p->nvme_slot[page];
  return n;
}

int emuv_disk_watch(const struct emuv_replay_machine *m, double *bytes_per_s, struct emuv_err *err)
{
  const struct emuv_pager *p = m->run->pager;
  *bytes_per_s = 0;
  if (!m->run->nvme_frames || m->how->watch_disk_s <= 0 || m->how->inject) return 0;
  uint32_t *slots = malloc((p->env.n_pages + 1) * sizeof *slots);
  if (!slots) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %u pages", p->env.n_pages);
  uint32_t n = list_slots(p, slots);
  int rc = n < FEWEST ? 0 : emuv_engine_disk_rate(m->engine, slots, n, m->how->watch_disk_s, bytes_per_s, err);
  free(slots);
  return rc;
}

static bool differ(double a, double b)
{
  double more = a > b ? a : b, less = a > b ? b : a;
  return less > 0 && more - less > TENTH * more;
}

void emuv_disk_watch_note(double before, double after, double calibrated, char *text, size_t size)
{
  text[0] = '\0';
  if (before <= 0 || after <= 0) return;
  if (!differ(before, after) && !differ(before, calibrated) && !differ(after, calibrated)) return;
  int used = snprintf(text, size, "disk: %.2f GB/s before, %.2f after", before / 1e9, after / 1e9);
  if (calibrated > 0 && used > 0 && (size_t)used < size)
    (void)snprintf(text + used, size - (size_t)used, " (calibrated %.2f)", calibrated / 1e9);
}
