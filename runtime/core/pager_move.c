// SPDX-License-Identifier: Apache-2.0
/* Calls of the tiers; see pager_move.h. Bounce frames: those of RAM that no page of RAM owns. At any time at most half
 * of them hold staged pages; a page on its way to NVMe needs one more, and so does the first of two pages that change
 * places: two are enough. */
#include "runtime/core/pager_move.h"

#include "runtime/core/pager_frames.h"
#include "runtime/core/pager_home.h"

/* Pages of the group go up whose frames are free already, without staging any. */
static int send_ready(struct emuv_pager *p, struct emuv_err *err)
{
  const struct emuv_group *g = &p->group;
  uint32_t end = g->n_free + g->n_left;
  if (g->from_nvme && g->staged < end) end = g->staged;
  for (uint32_t i = g->up > g->n_free ? g->up : g->n_free; i < end; i++)
    if (p->state[g->victims[i - g->n_free]] & EMUV_PAGE_DIRTY) end = i; /* it is not down */
  return end > g->up && g->n ? emuv_move_up(p, end, err) : 0;
}

int emuv_move_take_ram(struct emuv_pager *p, uint32_t page, struct emuv_err *err)
{
  int rc = 0;
  if (!p->ram_free.ring) return 0;
  if (!p->ram_free.n) rc = emuv_move_flush(p, err);
  if (!rc && !p->ram_free.n) rc = send_ready(p, err);
  if (rc) return rc;
  if (!p->ram_free.n) return emuv_err_set(err, EMUV_ERR_INTERNAL, "no bounce frame is free for page %u", page);
  p->ram_frame[page] = emuv_frames_take(&p->ram_free);
  return 0;
}

void emuv_move_give_ram(struct emuv_pager *p, uint32_t page)
{
  if (!p->ram_free.ring || p->ram_frame[page] == EMUV_NO_FRAME) return;
  emuv_frames_give(&p->ram_free, p->ram_frame[page]);
  p->ram_frame[page] = EMUV_NO_FRAME;
}

static const struct emuv_move *list_moves(struct emuv_move *restrict moves, const uint32_t *restrict upper,
                                          const uint32_t *restrict lower, uint32_t first, uint32_t n)
{
  for (uint32_t i = 0; i < n; i++)
    moves[i] = (struct emuv_move){.page = first + i, .upper = upper[first + i], .lower = lower[first + i]};
  return moves;
}

static const struct emuv_move *link_moves(struct emuv_pager *p, uint32_t first, uint32_t n)
{
  return list_moves(p->moves, p->vram_frame, p->ram_frame, first, n);
}

static const struct emuv_move *disk_moves(struct emuv_pager *p, uint32_t first, uint32_t n)
{
  return list_moves(p->moves, p->ram_frame, p->nvme_slot, first, n);
}

int emuv_move_to_disk(struct emuv_pager *p, uint32_t first, uint32_t n, double *start_ns, struct emuv_err *err)
{
  double done = *start_ns;
  int rc = p->env.nvme->ops->write(p->env.nvme, disk_moves(p, first, n), n, *start_ns, &done, err);
  if (rc) return rc;
  p->count.nvme_write += n;
  if (done > *start_ns) *start_ns = done;
  return 0;
}

int emuv_move_down(struct emuv_pager *p, uint32_t page, bool through, double start_ns, struct emuv_err *err)
{
  struct emuv_gathered *d = &p->down;
  int rc = d->n && (page != d->first + d->n || through != d->through) ? emuv_move_flush(p, err) : 0;
  if (rc) return rc;
  if (!d->n)
    *d = (struct emuv_gathered){.first = page, .through = through, .start_ns = start_ns, .done_ns = d->done_ns};
  if (start_ns > d->start_ns) d->start_ns = start_ns;
  d->n++;
  return 0;
}

/* One page that the disk had no room for in a longer call: another slot, as long as there is one. */
static int to_disk_alone(struct emuv_pager *p, uint32_t page, double start_ns, struct emuv_err *err)
{
  int rc;
  while ((rc = emuv_move_to_disk(p, page, 1, &start_ns, err)) == EMUV_ERR_NOSPACE) {
    emuv_pager_home_refused(p, page);
    rc = emuv_pager_home_slot(p, page, err);
    if (rc) return rc;
  }
  return rc;
}

/* Pages first .. +n-1 are in bounce frames and go on to their slots; those that find none stay DIRTY. */
static int pass_to_disk(struct emuv_pager *p, uint32_t first, uint32_t n, double start_ns, struct emuv_err *err)
{
  double start = start_ns;
  int rc = emuv_move_to_disk(p, first, n, &start, err);
  if (rc && rc != EMUV_ERR_NOSPACE) return rc;
  for (uint32_t i = first; i < first + n; i++) {
    int alone = rc ? to_disk_alone(p, i, start_ns, err) : 0;
    if (alone && alone != EMUV_ERR_NOSPACE) return alone;
    if (!alone) p->state[i] &= (uint8_t)~EMUV_PAGE_DIRTY;
    emuv_move_give_ram(p, i);
  }
  return 0;
}

/* Pages first .. +n-1 have come down. */
static int settle(struct emuv_pager *p, uint32_t first, uint32_t n, double done_ns, struct emuv_err *err)
{
  for (uint32_t i = first, end = first + n; i < end;) {
    uint32_t m = 0;
    while (i + m < end && !(p->state[i + m] & EMUV_PAGE_RAM)) m++;
    int rc = m ? pass_to_disk(p, i, m, done_ns, err) : 0;
    if (rc) return rc;
    if (!m) p->state[i++] &= (uint8_t)~EMUV_PAGE_DIRTY;
    i += m;
  }
  return 0;
}

int emuv_move_flush(struct emuv_pager *p, struct emuv_err *err)
{
  struct emuv_gathered d = p->down;
  if (!d.n) return 0;
  double done = d.start_ns;
  p->down.n = 0;
  int rc = p->env.ram->ops->write(p->env.ram, link_moves(p, d.first, d.n), d.n, d.start_ns, &done, err);
  if (rc) return rc;
  if (done > p->down.done_ns) p->down.done_ns = done;
  p->count.down += d.n;
  *(d.through ? &p->count.written_through : &p->count.written_back) += d.n;
  return settle(p, d.first, d.n, done, err);
}

/* Pages first .. +n-1 of the group, none of which has a frame of RAM. */
static int stage_run(struct emuv_pager *p, uint32_t first, uint32_t n, struct emuv_err *err)
{
  struct emuv_group *g = &p->group;
  double done = g->start_ns;
  for (uint32_t i = first; i < first + n; i++) {
    int rc = emuv_move_take_ram(p, i, err);
    if (rc) return rc;
  }
  int rc = p->env.nvme->ops->read(p->env.nvme, disk_moves(p, first, n), n, g->start_ns, &done, err);
  if (rc) return rc;
  p->count.nvme_read += n;
  if (done > g->staged_ns) g->staged_ns = done;
  return 0;
}

int emuv_move_stage_one(struct emuv_pager *p, uint32_t page, struct emuv_err *err)
{
  return p->ram_frame[page] == EMUV_NO_FRAME ? stage_run(p, page, 1, err) : 0;
}

int emuv_move_stage(struct emuv_pager *p, struct emuv_err *err)
{
  struct emuv_group *g = &p->group;
  uint32_t half = p->env.bounce_frames ? p->env.bounce_frames / 2 : g->n;
  uint32_t end = half < g->n - g->up ? g->up + half : g->n;
  while (g->staged < end) {
    uint32_t at = g->first + g->staged, m = 0;
    while (g->staged + m < end && p->ram_frame[at + m] == EMUV_NO_FRAME) m++;
    int rc = m ? stage_run(p, at, m, err) : 0;
    if (rc) return rc;
    g->staged += m ? m : 1;
  }
  return 0;
}

/* Pages of the group that are up hold frames of RAM only where RAM keeps a copy. */
static void leave_ram(struct emuv_pager *p, uint32_t first, uint32_t n)
{
  for (uint32_t i = first; p->ram_free.ring && i < first + n; i++)
    if (!(p->state[i] & EMUV_PAGE_RAM)) emuv_move_give_ram(p, i);
}

static int up_run(struct emuv_pager *p, uint32_t n, struct emuv_err *err)
{
  struct emuv_group *g = &p->group;
  double start = g->start_ns;
  if (g->from_nvme && g->staged_ns > start) start = g->staged_ns;
  if (g->frames_ns > start) start = g->frames_ns;
  if (p->down.done_ns > start) start = p->down.done_ns;
  double done = start;
  uint32_t first = g->first + g->up;
  uint32_t *vram_frame = p->vram_frame;
  for (uint32_t i = g->up > g->n_free ? g->up : g->n_free, end = g->up + n; i < end; i++)
    vram_frame[g->first + i] = vram_frame[g->victims[i - g->n_free]];
  if (g->has_data) {
    int rc = p->env.ram->ops->read(p->env.ram, link_moves(p, first, n), n, start, &done, err);
    if (rc) return rc;
    p->count.up += n;
  }
  if (done > g->ready_ns) g->ready_ns = done;
  g->up += n;
  leave_ram(p, first, n);
  return 0;
}

int emuv_move_up(struct emuv_pager *p, uint32_t to, struct emuv_err *err)
{
  struct emuv_group *g = &p->group;
  while (g->up < to) {
    int rc = g->from_nvme && g->staged <= g->up ? emuv_move_stage(p, err) : 0;
    uint32_t end = g->from_nvme && g->staged < to ? g->staged : to;
    if (!rc) rc = up_run(p, end - g->up, err);
    if (rc) return rc;
  }
  return 0;
}
