// SPDX-License-Identifier: Apache-2.0
/* The pager's hot path: access, prefetch and write-through. States and invariants are in pager.h; how absent pages come
 * in pager_bring.c; RAM and NVMe in pager_home.c; calls of the tiers in pager_move.c; the checker in pager_check.c.
 *
 * Runs are cut where the state of their pages changes, so that one policy call and one copy serve many pages. Cutting
 * never changes the order of references: each cut is decided after everything before it has been done. */
#include "runtime/core/pager.h"

#include "runtime/core/pager_ahead.h"
#include "runtime/core/pager_bring.h"
#include "runtime/core/pager_home.h"
#include "runtime/core/pager_move.h"

#include <string.h>

static uint32_t hit_length(const struct emuv_pager *p, uint32_t first, uint32_t n)
{
  uint32_t i = 1;
  while (i < n && (p->state[first + i] & EMUV_PAGE_VRAM)) i++;
  return i;
}

/* Absent pages of one kind, so that they can be copied together. */
static uint32_t miss_length(const struct emuv_pager *p, uint32_t first, uint32_t n)
{
  const uint8_t mask = EMUV_PAGE_VRAM | EMUV_PAGE_BELOW;
  uint8_t kind = p->state[first] & mask;
  uint32_t i = 1;
  while (i < n && (p->state[first + i] & mask) == kind) i++;
  return i;
}

static void mark_used(struct emuv_pager *p, uint32_t first, uint32_t n, bool write, uint32_t slice)
{
  uint32_t *used_in = p->used_in + first;
  uint8_t *state = p->state + first;
  for (uint32_t i = 0; i < n; i++) used_in[i] = slice;
  for (uint32_t i = 0; write && i < n; i++) state[i] |= EMUV_PAGE_DIRTY;
}

static void access_hits(struct emuv_pager *p, uint32_t first, uint32_t n, bool write, const struct emuv_bring *how)
{
  emuv_pager_ahead_used(p, first, n, how->out);
  p->env.policy->touch(p->vram_policy, first, n, how->next);
  emuv_pager_remember_next(p, first, n, how->next);
  mark_used(p, first, n, write, how->slice);
  p->count.hits += n;
  p->count.accesses += n;
  p->reached += n;
}

static int access_misses(struct emuv_pager *p, uint32_t first, uint32_t n, const struct emuv_bring *how,
                         struct emuv_err *err)
{
  int64_t got = emuv_pager_bring(p, first, n, how, err);
  if (got < 0) return (int)got;
  if (got == (int64_t)n) return 0;
  return emuv_err_set(err, EMUV_ERR_INTERNAL, "every frame is pinned: page %u cannot be faulted in",
                      first + (uint32_t)got);
}

int emuv_pager_access(struct emuv_pager *p, uint32_t first, uint32_t n, bool write, uint32_t slice,
                      const uint32_t *next, double now_ns, struct emuv_pager_outcome *out, struct emuv_err *err)
{
  struct emuv_bring how = {
      .next = next, .now_ns = now_ns, .bits = write ? EMUV_PAGE_DIRTY : 0, .slice = slice, .out = out};
  p->reached = 0;
  if (p->issues.n) emuv_pager_ahead_cancel(p, slice);
  while (n) {
    uint32_t m;
    if (p->state[first] & EMUV_PAGE_VRAM) {
      m = hit_length(p, first, n);
      access_hits(p, first, m, write, &how);
    } else {
      m = miss_length(p, first, n);
      int rc = access_misses(p, first, m, &how, err);
      if (rc) return rc;
    }
    first += m;
    n -= m;
    if (next) how.next += m;
  }
  return 0;
}

/* Returns how many pages are on their way; fewer than n where frames are pinned. */
static int64_t prefetch_absent(struct emuv_pager *p, uint32_t first, uint32_t n, struct emuv_bring *how,
                               struct emuv_err *err)
{
  uint32_t room = p->env.vram_frames - 1 > p->n_pinned ? p->env.vram_frames - 1 - p->n_pinned : 0;
  if (n > room) n = room;
  if (!n) return 0;
  memset(p->pinned + first, EMUV_PIN, n); /* a page of this run must not push out another of it */
  how->next = p->next_use ? p->next_use + first : NULL;
  int64_t got = emuv_pager_bring(p, first, n, how, err);
  for (uint32_t i = first; got != (int64_t)n && i < first + n; i++) p->pinned[i] = (p->state[i] & EMUV_PAGE_AHEAD) != 0;
  return got;
}

int64_t emuv_pager_prefetch(struct emuv_pager *p, uint32_t first, uint32_t n, uint32_t busy_slice, double busy_ns,
                            double issue_ns, struct emuv_err *err)
{
  struct emuv_bring how = {.now_ns = issue_ns, .bits = EMUV_PAGE_AHEAD, .slice = busy_slice};
  int64_t issued = 0, got = 0;
  p->frame_wait_slice = busy_slice;
  p->frame_wait_ns = busy_ns;
  if (p->issues.n) emuv_pager_ahead_cancel(p, busy_slice);
  while (n) {
    bool resident = p->state[first] & EMUV_PAGE_VRAM;
    uint32_t m = resident ? hit_length(p, first, n) : miss_length(p, first, n);
    /* Resident pages are there already; a page without contents is born at its first use. */
    if (!resident && (p->state[first] & EMUV_PAGE_BELOW)) {
      got = prefetch_absent(p, first, m, &how, err);
      if (got > 0) issued += got;
      if (got < (int64_t)m) break;
    }
    first += m;
    n -= m;
  }
  p->frame_wait_slice = UINT32_MAX;
  p->frame_wait_ns = 0;
  return got < 0 ? got : issued;
}

/* Copies of pages first .. +n-1 of VRAM are to be copied down. A page that finds no place stays dirty. */
static int copy_through(struct emuv_pager *p, uint32_t first, uint32_t n, double end_ns, struct emuv_err *err)
{
  double start = end_ns;
  for (uint32_t i = first; i < first + n; i++) {
    int rc = emuv_pager_home_reserve(p, i, &start, err);
    if (!rc) rc = emuv_move_down(p, i, true, start, err);
    if (rc == EMUV_ERR_NOSPACE) {
      p->count.demotions_refused++;
    } else if (rc) {
      return rc;
    }
  }
  return emuv_move_flush(p, err);
}

int emuv_pager_write_through(struct emuv_pager *p, uint32_t first, uint32_t n, double end_ns, struct emuv_err *err)
{
  const uint8_t both = EMUV_PAGE_VRAM | EMUV_PAGE_DIRTY;
  while (n) {
    uint32_t m = 0;
    while (m < n && (p->state[first + m] & both) == both) m++;
    int rc = m ? copy_through(p, first, m, end_ns, err) : 0;
    if (rc) return rc;
    m += !m;
    first += m;
    n -= m;
  }
  return 0;
}

uint32_t emuv_pager_pin(struct emuv_pager *p, uint32_t first, uint32_t n, uint32_t leave)
{
  uint32_t pinned = 0;
  for (uint32_t i = first; i < first + n && p->n_pinned + leave < p->env.vram_frames; i++) {
    if (!(p->state[i] & EMUV_PAGE_VRAM) || p->pinned[i]) continue;
    p->pinned[i] = EMUV_PIN | EMUV_KEPT;
    p->n_pinned++;
    pinned++;
  }
  return pinned;
}

void emuv_pager_hold(struct emuv_pager *p, uint32_t first, uint32_t n, bool on)
{
  uint8_t *pinned = p->pinned + first, held = on ? EMUV_HELD : 0; /* stores through it could change *p */
  for (uint32_t i = 0; i < n; i++) pinned[i] = (uint8_t)((pinned[i] & ~EMUV_HELD) | held);
}
