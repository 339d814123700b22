// SPDX-License-Identifier: Apache-2.0
/* Absent pages come, others leave. The policy chooses all victims of a run at once. The run is then carried out in
 * groups, the longest in which no page is the victim of a later one: only then can the victims' frames be freed for the
 * whole group before any of its pages comes. Within a group first everything is decided (places in RAM for what comes,
 * then for what leaves, in the order of references), and pager_move.c puts the copies into the order of the data.
 *
 * A victim that must be kept has the bit DIRTY, without VRAM, until its contents are down. */
#include "runtime/core/pager_bring.h"

#include "runtime/core/pager_ahead.h"
#include "runtime/core/pager_frames.h"
#include "runtime/core/pager_home.h"
#include "runtime/core/pager_move.h"

#include <string.h>

enum { FETCH_AHEAD = 16 };

/* What is left of a run. */
struct rest {
  uint32_t first, n;
  uint32_t *victims, n_victims;
};

void emuv_pager_remember_next(struct emuv_pager *p, uint32_t first, uint32_t n, const uint32_t *next)
{
  if (p->next_use && next && next != p->next_use + first) memcpy(p->next_use + first, next, n * sizeof *next);
}

/* A page that leaves VRAM: true when its contents must be copied down first. */
static bool leave_vram(struct emuv_pager *p, uint32_t page)
{
  uint8_t s = p->state[page];
  bool keep = (s & EMUV_PAGE_DIRTY) || !(s & EMUV_PAGE_BELOW) || p->env.always_write_back;
  if (s & (EMUV_PAGE_AHEAD | EMUV_PAGE_LATE)) emuv_pager_ahead_wasted(p, page);
  p->state[page] = (uint8_t)((s & EMUV_PAGE_BELOW) | (keep ? EMUV_PAGE_DIRTY : 0));
  p->count.evicted++;
  if (p->ram_policy) emuv_pager_home_left(p, page);
  return keep;
}

static int announce(struct emuv_pager *p, uint32_t page, struct emuv_err *err)
{
  return p->env.evict ? p->env.evict(p->env.evict_arg, page, p->vram_frame[page], err) : 0;
}

/* A page back in VRAM whose frame was to be taken: nothing has been moved into it. */
static void stay_in_vram(struct emuv_pager *p, uint32_t page)
{
  uint32_t next = p->next_use ? p->next_use[page] : EMUV_NEVER, none;
  p->env.policy->fill(p->vram_policy, page, 1, 1, &next, &none);
}

/* A victim whose contents found no place below. */
static void restore(struct emuv_pager *p, uint32_t page)
{
  emuv_pager_home_forget(p, page);
  p->state[page] = EMUV_PAGE_VRAM | EMUV_PAGE_DIRTY;
  p->count.evicted--;
  stay_in_vram(p, page);
}

static bool can_leave_instead(const struct emuv_pager *p, const struct rest *r, uint32_t page)
{
  uint8_t s = p->state[page];
  if (!(s & EMUV_PAGE_VRAM) || !(s & EMUV_PAGE_BELOW) || (s & EMUV_PAGE_DIRTY) || p->pinned[page]) return false;
  if (page - p->group.first < p->group.n) return false;
  for (uint32_t i = 0; i < r->n_victims; i++)
    if (r->victims[i] == page) return false;
  return true;
}

/* Victim i has nowhere to go: it stays, and a page that has a copy below leaves in its place. */
static int exchange_victim(struct emuv_pager *p, struct rest *r, uint32_t i, struct emuv_err *err)
{
  uint32_t page = 0;
  while (page < p->env.n_pages && !can_leave_instead(p, r, page)) page++;
  if (page == p->env.n_pages || p->env.always_write_back)
    return emuv_err_set(err, EMUV_ERR_NOSPACE, "RAM and NVMe are full: page %u, which has changed, has nowhere to go",
                        r->victims[i]);
  int rc = announce(p, page, err);
  if (rc) return rc;
  p->count.demotions_refused++;
  p->env.policy->drop(p->vram_policy, page);
  restore(p, r->victims[i]);
  leave_vram(p, page);
  r->victims[i] = page;
  return 0;
}

/* Finds places for the contents of n victims and copies them down; those without DIRTY need none. */
static int write_back(struct emuv_pager *p, struct rest *r, uint32_t n, double earliest_ns, struct emuv_err *err)
{
  int rc = 0;
  for (uint32_t i = 0; i < n && !rc; i++) {
    uint32_t page = r->victims[i];
    double start = earliest_ns;
    p->group.n_left = i;
    if (!(p->state[page] & EMUV_PAGE_DIRTY)) continue;
    rc = emuv_pager_home_reserve(p, page, &start, err);
    if (rc == EMUV_ERR_NOSPACE) {
      rc = 0; /* stays DIRTY: see below */
    } else if (!rc) {
      rc = emuv_move_down(p, page, false, start, err);
    }
  }
  if (!rc) rc = emuv_move_flush(p, err);
  for (uint32_t i = 0; i < n && !rc; i++)
    if (p->state[r->victims[i]] & EMUV_PAGE_DIRTY) rc = exchange_victim(p, r, i, err);
  return rc;
}

/* When the frame of a page that leaves can be overwritten, apart from its own copy down. */
static double frame_free_ns(const struct emuv_pager *p, uint32_t page)
{
  bool busy = p->frame_wait_slice != UINT32_MAX && p->used_in[page] == p->frame_wait_slice;
  double ns = busy ? p->frame_wait_ns : 0;
  return (p->state[page] & EMUV_PAGE_LATE) && p->ready_ns[page] > ns ? p->ready_ns[page] : ns;
}

/* When a page that leaves can be copied down: see slice_end_ns. */
static double down_ns(const struct emuv_pager *p, uint32_t page, double now_ns)
{
  if (!p->slice_end_ns) return now_ns;
  uint32_t slice = p->used_in[page];
  double end_ns = slice == UINT32_MAX ? 0 : p->slice_end_ns[slice];
  return end_ns > p->decided_ns ? end_ns : p->decided_ns;
}

/* Takes the first n victims out of VRAM. */
static int evict(struct emuv_pager *p, struct rest *r, uint32_t n, double now_ns, struct emuv_err *err)
{
  uint32_t kept = 0;
  double free_ns = p->group.frames_ns, start_ns = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (i + FETCH_AHEAD < n) { /* some policies choose pages from all over the memory */
      __builtin_prefetch(p->state + r->victims[i + FETCH_AHEAD], 1);
      __builtin_prefetch(p->vram_frame + r->victims[i + FETCH_AHEAD]);
    }
    uint32_t page = r->victims[i];
    int rc = announce(p, page, err);
    if (rc) return rc;
    double ns = frame_free_ns(p, page), down = down_ns(p, page, now_ns);
    if (ns > free_ns) free_ns = ns;
    if (down > ns) ns = down;
    if (ns > start_ns) start_ns = ns;
    kept += leave_vram(p, page);
  }
  p->group.frames_ns = free_ns;
  int rc = kept ? write_back(p, r, n, start_ns, err) : 0;
  if (!rc) p->group.n_left = n;
  return rc;
}

/* The longest group that the rest of the run can start with. */
static uint32_t group_length(const struct emuv_pager *p, const struct rest *r)
{
  uint8_t kind = p->state[r->first] & EMUV_PAGE_BELOW;
  uint32_t n_free = r->n - r->n_victims, m = 1, end = r->n;
  while (p->ram_policy && m < end && (p->state[r->first + m] & EMUV_PAGE_BELOW) == kind) m++;
  if (p->ram_policy) end = m; /* RAM may have given up pages of the run since it was cut */
  for (m = n_free > 1 ? n_free : 1; m < end; m++)
    if (r->victims[m - n_free] - r->first < m) return m;
  return end;
}

static void begin_group(struct emuv_pager *p, const struct rest *r, uint32_t n, const struct emuv_bring *how)
{
  uint32_t first = r->first, n_free = r->n - r->n_victims;
  uint8_t kind = p->state[first] & EMUV_PAGE_BELOW;
  uint8_t bits = EMUV_PAGE_VRAM | how->bits | (kind ? 0 : EMUV_PAGE_DIRTY);
  p->group = (struct emuv_group){.first = first,
                                 .n = n,
                                 .n_free = n_free < n ? n_free : n,
                                 .victims = r->victims,
                                 .from_nvme = kind == EMUV_PAGE_NVME,
                                 .has_data = kind != 0,
                                 .start_ns = how->now_ns,
                                 .frames_ns = how->now_ns};
  p->down.done_ns = 0;
  uint8_t *state = p->state + first; /* a store through it could change any field, for all that the compiler knows */
  for (uint32_t i = 0; i < n; i++) state[i] |= bits;
  for (uint32_t i = first; i < first + p->group.n_free; i++) p->vram_frame[i] = emuv_frames_take(&p->vram_free);
}

/* The victims of the group leave, its pages come. */
static int carry_out(struct emuv_pager *p, struct rest *r, const struct emuv_bring *how, struct emuv_err *err)
{
  struct emuv_group *g = &p->group;
  int rc = g->has_data ? emuv_pager_home_fetch(p, &g->start_ns, err) : 0;
  if (!rc && g->from_nvme) rc = emuv_move_stage(p, err);
  if (!rc && g->n > g->n_free) rc = evict(p, r, g->n - g->n_free, how->now_ns, err);
  if (!rc) rc = emuv_move_up(p, g->n, err);
  return rc;
}

/* Pages of the group that have come are counted as what they came for. */
static void account(struct emuv_pager *p, const struct emuv_bring *how)
{
  const struct emuv_group *g = &p->group;
  uint32_t n = g->up;
  if (how->bits & EMUV_PAGE_AHEAD) {
    emuv_pager_ahead_issued(p, g->first, n, how->slice, g->ready_ns, g->from_nvme);
    return;
  }
  uint32_t *used_in = p->used_in + g->first, slice = how->slice;
  for (uint32_t i = 0; i < n; i++) used_in[i] = slice;
  p->count.accesses += n;
  p->reached += n;
  if (g->has_data) {
    p->count.fault_up += n;
    p->count.faults += n;
    how->out->faults += n;
    if (g->from_nvme) p->count.faults_nvme += n;
  } else {
    p->count.births += n;
  }
  if (g->ready_ns > how->out->ready_ns) {
    how->out->ready_ns = g->ready_ns;
    how->out->waits_for_nvme = g->from_nvme;
  }
}

/* A victim of the failed group stays unless its contents are below: then its frame is free. */
static void keep_victim(struct emuv_pager *p, uint32_t page)
{
  if (p->state[page] & EMUV_PAGE_VRAM) {
    stay_in_vram(p, page);
  } else if (p->state[page] & EMUV_PAGE_DIRTY) {
    restore(p, page);
  } else {
    emuv_frames_give(&p->vram_free, p->vram_frame[page]);
    p->vram_used--;
  }
}

/* Undoes what the policy chose for pages that have not come, the last one first: a page may be a later one's victim. */
static void undo_choices(struct emuv_pager *p, const struct rest *r)
{
  const struct emuv_group *g = &p->group;
  uint32_t n_free = r->n - r->n_victims;
  for (uint32_t i = r->n; i-- > g->up;) {
    p->env.policy->drop(p->vram_policy, r->first + i);
    if (i < n_free) {
      if (i < g->n) emuv_frames_give(&p->vram_free, p->vram_frame[r->first + i]);
    } else if (i < g->n) {
      keep_victim(p, r->victims[i - n_free]);
    } else {
      stay_in_vram(p, r->victims[i - n_free]);
    }
  }
  if (g->up > g->n_free) p->vram_used -= g->up - g->n_free;
}

/* Pages of the failed group for which there are frames come all the same: one of them may have lost its place in RAM
 * to a page that came down. */
static void bring_what_can(struct emuv_pager *p)
{
  struct emuv_group *g = &p->group;
  struct emuv_err ignored = {0};
  g->n_free = g->n; /* no frame is handed over any more */
  while (g->up < g->n && p->vram_free.n) {
    uint32_t page = g->first + g->up;
    p->vram_frame[page] = emuv_frames_take(&p->vram_free);
    if (emuv_move_up(p, g->up + 1, &ignored)) {
      emuv_frames_give(&p->vram_free, p->vram_frame[page]);
      return;
    }
    stay_in_vram(p, page);
  }
}

/* The group could not be carried out, for the reason `why`. */
static void abandon(struct emuv_pager *p, const struct rest *r, int why, const struct emuv_bring *how)
{
  struct emuv_group *g = &p->group;
  struct emuv_err ignored = {0};
  (void)emuv_move_flush(p, &ignored); /* what has found a place goes there */
  undo_choices(p, r);
  if (why == EMUV_ERR_NOSPACE) bring_what_can(p);
  for (uint32_t i = g->first + g->up; i < g->first + g->n; i++) {
    p->state[i] &= EMUV_PAGE_BELOW;
    emuv_pager_home_stays(p, i);
  }
  p->vram_used += g->up;
  account(p, how);
}

static void next_group(struct emuv_pager *p, struct rest *r)
{
  const struct emuv_group *g = &p->group;
  r->first += g->n;
  r->n -= g->n;
  r->victims += g->n - g->n_free;
  r->n_victims -= g->n - g->n_free;
  p->vram_used += g->n_free;
  if (p->vram_used > p->peak_used) p->peak_used = p->vram_used;
}

int64_t emuv_pager_bring(struct emuv_pager *p, uint32_t first, uint32_t n, const struct emuv_bring *how,
                         struct emuv_err *err)
{
  uint32_t free_frames = p->env.vram_frames - p->vram_used;
  uint32_t got = p->env.policy->fill(p->vram_policy, first, n, free_frames, how->next, p->victims);
  struct rest r = {
      .first = first, .n = got, .victims = p->victims, .n_victims = got > free_frames ? got - free_frames : 0};
  int rc = 0;
  emuv_pager_remember_next(p, first, got, how->next);
  while (r.n && !rc) {
    begin_group(p, &r, group_length(p, &r), how);
    rc = carry_out(p, &r, how, err);
    if (rc) {
      abandon(p, &r, rc, how);
    } else {
      account(p, how);
      next_group(p, &r);
    }
    p->group.n = 0;
  }
  return rc ? rc : (int64_t)got;
}
