// SPDX-License-Identifier: Apache-2.0
/* The pager's hot path: access, prefetch, eviction and write-back. States and invariants are in pager.h; RAM and NVMe
 * bookkeeping in pager_home.c; the checker in pager_check.c.
 *
 * Runs are cut where the state of their pages changes, so that one policy call and one copy serve many pages. Cutting
 * never changes the order of references: each cut is decided after everything before it has been done. */
#include "runtime/core/pager.h"

#include "runtime/core/pager_frames.h"
#include "runtime/core/pager_home.h"

#include <stdlib.h>
#include <string.h>

enum { BELOW = EMUV_PAGE_RAM | EMUV_PAGE_NVME };

static uint32_t hit_length(const struct emuv_pager *p, uint32_t first, uint32_t n)
{
  uint32_t i = 1;
  while (i < n && (p->state[first + i] & EMUV_PAGE_VRAM)) i++;
  return i;
}

/* Absent pages of one kind: a bitwise-equal source tier, so that they can be copied together. */
static uint32_t miss_length(const struct emuv_pager *p, uint32_t first, uint32_t n)
{
  uint8_t kind = p->state[first] & BELOW;
  uint32_t i = 1;
  while (i < n && !(p->state[first + i] & EMUV_PAGE_VRAM) && (p->state[first + i] & BELOW) == kind) i++;
  return i;
}

static void remember_next(struct emuv_pager *p, uint32_t first, uint32_t n, const uint32_t *next)
{
  if (p->next_use && next && next != p->next_use + first) memcpy(p->next_use + first, next, n * sizeof *next);
}

static void mark_used(struct emuv_pager *p, uint32_t first, uint32_t n, bool write, uint32_t slice)
{
  for (uint32_t i = first; i < first + n; i++) p->used_in[i] = slice;
  if (!write) return;
  for (uint32_t i = first; i < first + n; i++) p->state[i] |= EMUV_PAGE_DIRTY;
}

/* Pages loaded ahead have met their use: they are unpinned, and the access waits until they have arrived. */
static void consume_ahead(struct emuv_pager *p, uint32_t first, uint32_t n, struct emuv_pager_outcome *out)
{
  for (uint32_t i = first; p->n_ahead && i < first + n; i++) {
    if (!(p->state[i] & EMUV_PAGE_AHEAD)) continue;
    p->state[i] &= (uint8_t)~EMUV_PAGE_AHEAD;
    p->pinned[i] = 0;
    p->n_pinned--;
    p->n_ahead--;
    p->count.ahead_used++;
    if (p->ready_ns[i] > out->ready_ns) {
      out->ready_ns = p->ready_ns[i];
      out->waits_for_nvme = p->from_nvme[i];
    }
  }
}

static void access_hits(struct emuv_pager *p, uint32_t first, uint32_t n, bool write, uint32_t slice,
                        const uint32_t *next, struct emuv_pager_outcome *out)
{
  consume_ahead(p, first, n, out);
  p->env.policy->touch(p->vram_policy, first, n, next);
  remember_next(p, first, n, next);
  mark_used(p, first, n, write, slice);
  p->count.hits += n;
}

/* Copies victims[at ..] that must be kept back to RAM, neighbours together. Returns when their frames are free. */
static int write_back(struct emuv_pager *p, const uint32_t *victims, uint32_t n, double earliest_ns, double *free_ns,
                      struct emuv_err *err)
{
  for (uint32_t i = 0; i < n;) {
    uint32_t m = 1;
    while (i + m < n && victims[i + m] == victims[i] + m) m++;
    double start = earliest_ns;
    int rc = emuv_pager_home_reserve(p, victims[i], m, &start, err);
    if (rc) return rc;
    double done = start;
    rc = emuv_pager_home_down(p, victims[i], m, start, &done, err);
    if (rc) return rc;
    if (done > *free_ns) *free_ns = done;
    p->count.down += m;
    p->count.written_back += m;
    i += m;
  }
  return 0;
}

/* A page that leaves VRAM: true when its contents must be copied down first. */
static bool leave_vram(struct emuv_pager *p, uint32_t page)
{
  uint8_t s = p->state[page];
  p->state[page] = (uint8_t)(s & ~(EMUV_PAGE_VRAM | EMUV_PAGE_DIRTY | EMUV_PAGE_AHEAD));
  if (s & EMUV_PAGE_AHEAD) p->count.ahead_wasted++;
  p->count.evicted++;
  return (s & EMUV_PAGE_DIRTY) || !(s & BELOW) || p->env.always_write_back;
}

/* Takes the victims out of VRAM; *free_ns becomes the time at which all their frames can be overwritten. */
static int evict(struct emuv_pager *p, uint32_t n, double now_ns, double *free_ns, struct emuv_err *err)
{
  uint32_t *victims = p->victims, kept = 0;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t page = victims[i];
    if (p->used_in[page] == p->frame_wait_slice && p->frame_wait_ns > *free_ns) *free_ns = p->frame_wait_ns;
    if (p->env.evict) {
      int rc = p->env.evict(p->env.evict_arg, page, p->vram_frame[page], err);
      if (rc) return rc;
    }
    bool keep = leave_vram(p, page);
    emuv_pager_home_left(p, page);
    if (keep) victims[kept++] = page;
  }
  double earliest = now_ns > *free_ns ? now_ns : *free_ns;
  return kept ? write_back(p, victims, kept, earliest, free_ns, err) : 0;
}

/* Frames for pages that come: free ones first, then those of the victims in turn. */
static void give_frames(struct emuv_pager *p, uint32_t first, uint32_t n, uint32_t n_free)
{
  for (uint32_t i = 0; i < n; i++)
    p->vram_frame[first + i] = i < n_free ? emuv_frames_take(&p->vram_free) : p->vram_frame[p->victims[i - n_free]];
}

/* Gives frames to n absent pages of one kind and brings their contents. Returns how many (all but where frames are
 * pinned). */
static int64_t bring(struct emuv_pager *p, uint32_t first, uint32_t n, const uint32_t *next, double now_ns,
                     double *ready_ns, struct emuv_err *err)
{
  uint8_t kind = p->state[first] & BELOW;
  uint32_t free_frames = p->env.vram_frames - p->vram_used;
  uint32_t got = p->env.policy->fill(p->vram_policy, first, n, free_frames, next, p->victims);
  uint32_t n_victims = got > free_frames ? got - free_frames : 0;
  remember_next(p, first, got, next);
  p->vram_used += got - n_victims;
  if (p->vram_used > p->peak_used) p->peak_used = p->vram_used;
  give_frames(p, first, got, got - n_victims);
  for (uint32_t i = first; i < first + got; i++) p->state[i] |= EMUV_PAGE_VRAM;
  double start = now_ns;
  int rc = 0;
  if (kind) rc = emuv_pager_home_fetch(p, first, got, &start, err); /* NVMe -> RAM where needed */
  double frames_free = now_ns;
  if (!rc && n_victims) rc = evict(p, n_victims, now_ns, &frames_free, err);
  if (rc) return rc;
  if (frames_free > start) start = frames_free;
  *ready_ns = start;
  if (!kind || !got) return got;
  rc = emuv_pager_home_up(p, first, got, start, ready_ns, err);
  if (rc) return rc;
  p->count.up += got;
  return got;
}

static int access_misses(struct emuv_pager *p, uint32_t first, uint32_t n, bool write, uint32_t slice,
                         const uint32_t *next, double now_ns, struct emuv_pager_outcome *out, struct emuv_err *err)
{
  uint8_t kind = p->state[first] & BELOW;
  for (uint32_t i = first; i < first + n; i++) p->used_in[i] = slice;
  if (write || !kind)
    for (uint32_t i = first; i < first + n; i++) p->state[i] |= EMUV_PAGE_DIRTY;
  double ready = now_ns;
  uint64_t before = p->count.up;
  int64_t got = bring(p, first, n, next, now_ns, &ready, err);
  if (got < 0) return (int)got;
  if (got < (int64_t)n)
    return emuv_err_set(err, EMUV_ERR_INTERNAL, "every frame is pinned: page %u cannot be faulted in", first);
  p->count.fault_up += p->count.up - before;
  if (kind) {
    p->count.faults += n;
    out->faults += n;
    if (!(kind & EMUV_PAGE_RAM)) p->count.faults_nvme += n;
  } else {
    p->count.births += n;
  }
  if (ready > out->ready_ns) {
    out->ready_ns = ready;
    out->waits_for_nvme = kind == EMUV_PAGE_NVME;
  }
  return 0;
}

int emuv_pager_access(struct emuv_pager *p, uint32_t first, uint32_t n, bool write, uint32_t slice,
                      const uint32_t *next, double now_ns, struct emuv_pager_outcome *out, struct emuv_err *err)
{
  p->count.accesses += n;
  while (n) {
    uint32_t m;
    if (p->state[first] & EMUV_PAGE_VRAM) {
      m = hit_length(p, first, n);
      access_hits(p, first, m, write, slice, next, out);
    } else {
      m = miss_length(p, first, n);
      int rc = access_misses(p, first, m, write, slice, next, now_ns, out, err);
      if (rc) return rc;
    }
    first += m;
    n -= m;
    if (next) next += m;
  }
  return 0;
}

static void set_ahead(struct emuv_pager *p, uint32_t first, uint32_t n, uint32_t got, double ready_ns, bool nvme)
{
  for (uint32_t i = first; i < first + n; i++) {
    p->pinned[i] = i < first + got;
    if (i >= first + got) continue;
    p->state[i] |= EMUV_PAGE_AHEAD;
    p->ready_ns[i] = ready_ns;
    p->from_nvme[i] = nvme;
  }
  p->n_ahead += got;
  p->n_pinned += got;
}

static int64_t prefetch_absent(struct emuv_pager *p, uint32_t first, uint32_t n, double issue_ns, struct emuv_err *err)
{
  uint32_t room = p->env.vram_frames - 1 > p->n_pinned ? p->env.vram_frames - 1 - p->n_pinned : 0;
  if (n > room) n = room;
  if (!n) return 0;
  memset(p->pinned + first, 1, n); /* a page of this run must not push out another of it */
  bool nvme = (p->state[first] & BELOW) == EMUV_PAGE_NVME;
  double ready = issue_ns;
  int64_t got = bring(p, first, n, p->next_use ? p->next_use + first : NULL, issue_ns, &ready, err);
  set_ahead(p, first, n, got > 0 ? (uint32_t)got : 0, ready, nvme);
  if (got < 0) return got;
  p->count.ahead_issued += (uint64_t)got;
  p->count.ahead_up += (uint64_t)got;
  return got;
}

int64_t emuv_pager_prefetch(struct emuv_pager *p, uint32_t first, uint32_t n, uint32_t busy_slice, double busy_ns,
                            double issue_ns, struct emuv_err *err)
{
  int64_t issued = 0;
  p->frame_wait_slice = busy_slice;
  p->frame_wait_ns = busy_ns;
  while (n) {
    uint32_t m = p->state[first] & EMUV_PAGE_VRAM ? hit_length(p, first, n) : miss_length(p, first, n);
    /* Resident pages are there already; a page without contents is born at its first use. */
    if (!(p->state[first] & EMUV_PAGE_VRAM) && (p->state[first] & BELOW)) {
      int64_t got = prefetch_absent(p, first, m, issue_ns, err);
      if (got < 0) return got;
      issued += got;
      if (got < (int64_t)m) break;
    }
    first += m;
    n -= m;
  }
  p->frame_wait_slice = UINT32_MAX;
  p->frame_wait_ns = 0;
  return issued;
}

int emuv_pager_write_through(struct emuv_pager *p, uint32_t first, uint32_t n, double end_ns, struct emuv_err *err)
{
  while (n) {
    uint32_t m = 0;
    uint8_t both = EMUV_PAGE_VRAM | EMUV_PAGE_DIRTY;
    while (m < n && (p->state[first + m] & both) == both) m++;
    if (m) {
      double start = end_ns;
      int rc = emuv_pager_home_reserve(p, first, m, &start, err);
      if (rc) return rc;
      double done = start;
      rc = emuv_pager_home_down(p, first, m, start, &done, err);
      if (rc) return rc;
      /* Where RAM is tight, the frame of a later page may have cost an earlier one its copy: that one stays dirty. */
      for (uint32_t i = first; i < first + m; i++)
        if (p->state[i] & BELOW) p->state[i] &= (uint8_t)~EMUV_PAGE_DIRTY;
      p->count.down += m;
      p->count.written_through += m;
    } else {
      m = 1;
    }
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
    p->pinned[i] = 1;
    p->n_pinned++;
    pinned++;
  }
  return pinned;
}
