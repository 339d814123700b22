// SPDX-License-Identifier: Apache-2.0
/* A machine for a pager under test: frames of VRAM and RAM and slots of NVMe as arrays of stamps (page, version), and
 * tiers that carry out each move at the moment when it is asked for. So a copy in the wrong order, from a frame that
 * has been overwritten or into one that is still needed, shows by its contents, and not by the pager's own books.
 *
 * A version is a counter that each writing access raises; 0 means never written. What an access does to a page happens
 * when the page leaves its frame (the part of the access up to there has run by then), or at the end of the access.
 * Times of copies are random but never before what they depend on. The disk may be smaller than the pager has been
 * told. One world per pager. */
#ifndef EMUV_TEST_PAGER_WORLD_H
#define EMUV_TEST_PAGER_WORLD_H

#include "runtime/core/pager.h"
#include "runtime/core/rng.h"

#include <string.h>

enum { WORLD_PAGES = 64, WORLD_FRAMES = 2 * WORLD_PAGES };

struct world_stamp {
  uint32_t page, version; /* version 0: nothing */
};

struct world {
  struct emuv_tier ram, nvme;
  struct emuv_rng times;
  struct emuv_pager *pager;
  uint32_t newest[WORLD_PAGES];
  struct world_stamp in_vram[WORLD_PAGES], in_ram[WORLD_FRAMES], on_nvme[WORLD_PAGES];
  uint8_t announced[WORLD_PAGES]; /* per frame of VRAM: its page may be overwritten */
  uint8_t slot_used[WORLD_PAGES];
  uint32_t slots, room; /* the pager's slots, and those that there is room for on the disk */
  /* Within one call: */
  uint32_t first, n; /* the access that runs */
  bool writes;
  uint8_t done[WORLD_PAGES];     /* what the access does to the page is done */
  double staged_ns[WORLD_PAGES]; /* it came from NVMe in this call */
  double arrives_ns[WORLD_PAGES];
  double now_ns, down_ns;                   /* down_ns: latest end of a copy out of VRAM */
  uint64_t up, down, nvme_read, nvme_write; /* pages, since the start */
  uint64_t refused, announcements;
  uint32_t fail_in;  /* calls of tiers until one fails with EMUV_ERR_IO; 0 = none does */
  const char *wrong; /* first contradiction, NULL = none */
  uint32_t wrong_page;
};

static inline void world_blame(struct world *w, uint32_t page, const char *what)
{
  if (w->wrong) return;
  w->wrong = what;
  w->wrong_page = page;
}

static inline double world_later(struct world *w, uint32_t page, double earliest_ns)
{
  if (!(earliest_ns >= w->now_ns)) world_blame(w, page, "a copy starts before it was asked for");
  return earliest_ns + 1 + (double)emuv_rng_below(&w->times, 1000);
}

static inline bool world_is_newest(const struct world *w, uint32_t page, struct world_stamp stamp)
{
  return stamp.page == page && stamp.version == w->newest[page] && stamp.version;
}

static inline int world_fails(struct world *w, struct emuv_err *err)
{
  if (!w->fail_in || --w->fail_in) return 0;
  return emuv_err_set(err, EMUV_ERR_IO, "this copy fails on purpose");
}

static inline bool world_frames_exist(struct world *w, const struct emuv_move *m, bool link)
{
  const struct emuv_pager_env *e = &w->pager->env;
  uint32_t bounce = e->bounce_frames ? e->bounce_frames : e->n_pages;
  uint32_t in_ram = link ? m->lower : m->upper;
  bool fits = in_ram < e->ram_frames + bounce && in_ram < WORLD_FRAMES;
  if (link ? m->upper >= e->vram_frames || m->upper >= e->n_pages : m->lower >= w->slots || m->lower >= e->n_pages)
    fits = false;
  if (!fits || m->page >= e->n_pages) world_blame(w, m->page, "a frame that does not exist");
  return fits;
}

static inline int world_ram_read(struct emuv_tier *tier, const struct emuv_move *m, uint32_t n, double earliest_ns,
                                 double *done_ns, struct emuv_err *err)
{
  struct world *w = (struct world *)((char *)tier - offsetof(struct world, ram));
  int rc = world_fails(w, err);
  if (rc) return rc;
  *done_ns = world_later(w, m->page, earliest_ns);
  for (const struct emuv_move *end = m + n; m < end && world_frames_exist(w, m, true); m++) {
    if (earliest_ns < w->staged_ns[m->page]) world_blame(w, m->page, "copied up before it came from NVMe");
    if (!world_is_newest(w, m->page, w->in_ram[m->lower])) world_blame(w, m->page, "an old version goes up");
    if (!w->announced[m->upper]) world_blame(w, m->page, "it goes into a frame that nobody has left");
    w->in_vram[m->upper] = w->in_ram[m->lower];
    w->announced[m->upper] = 0;
    w->arrives_ns[m->page] = *done_ns;
  }
  w->up += n;
  return 0;
}

static inline int world_ram_write(struct emuv_tier *tier, const struct emuv_move *m, uint32_t n, double earliest_ns,
                                  double *done_ns, struct emuv_err *err)
{
  struct world *w = (struct world *)((char *)tier - offsetof(struct world, ram));
  int rc = world_fails(w, err);
  if (rc) return rc;
  *done_ns = world_later(w, m->page, earliest_ns);
  for (const struct emuv_move *end = m + n; m < end && world_frames_exist(w, m, true); m++) {
    if (!world_is_newest(w, m->page, w->in_vram[m->upper])) world_blame(w, m->page, "an old version goes down");
    w->in_ram[m->lower] = w->in_vram[m->upper];
  }
  w->down += n;
  if (*done_ns > w->down_ns) w->down_ns = *done_ns;
  return 0;
}

static inline int world_nvme_read(struct emuv_tier *tier, const struct emuv_move *m, uint32_t n, double earliest_ns,
                                  double *done_ns, struct emuv_err *err)
{
  struct world *w = (struct world *)((char *)tier - offsetof(struct world, nvme));
  int rc = world_fails(w, err);
  if (rc) return rc;
  *done_ns = world_later(w, m->page, earliest_ns);
  for (const struct emuv_move *end = m + n; m < end && world_frames_exist(w, m, false); m++) {
    if (!world_is_newest(w, m->page, w->on_nvme[m->lower])) world_blame(w, m->page, "an old version comes from NVMe");
    w->in_ram[m->upper] = w->on_nvme[m->lower];
    w->staged_ns[m->page] = *done_ns;
  }
  w->nvme_read += n;
  return 0;
}

/* Slots that were not used before and for which the disk has no room. */
static inline bool world_is_full(struct world *w, const struct emuv_move *m, uint32_t n)
{
  uint32_t fresh = 0, used = 0;
  for (uint32_t i = 0; i < n; i++) fresh += m[i].lower < WORLD_PAGES && !w->slot_used[m[i].lower];
  for (uint32_t i = 0; i < WORLD_PAGES; i++) used += w->slot_used[i];
  return fresh && used + fresh > w->room;
}

static inline int world_nvme_write(struct emuv_tier *tier, const struct emuv_move *m, uint32_t n, double earliest_ns,
                                   double *done_ns, struct emuv_err *err)
{
  struct world *w = (struct world *)((char *)tier - offsetof(struct world, nvme));
  int rc = world_fails(w, err);
  if (rc) return rc;
  if (world_is_full(w, m, n)) {
    w->refused++;
    return emuv_err_set(err, EMUV_ERR_NOSPACE, "this disk is full");
  }
  *done_ns = world_later(w, m->page, earliest_ns);
  for (const struct emuv_move *end = m + n; m < end && world_frames_exist(w, m, false); m++) {
    if (w->in_ram[m->upper].page != m->page) world_blame(w, m->page, "another page's contents go to NVMe");
    w->on_nvme[m->lower] = w->in_ram[m->upper];
    w->slot_used[m->lower] = 1;
  }
  w->nvme_write += n;
  return 0;
}

static const struct emuv_tier_ops world_ram_ops = {
    .name = "ram", .summary = "copies stamps", .read = world_ram_read, .write = world_ram_write};
static const struct emuv_tier_ops world_nvme_ops = {
    .name = "nvme", .summary = "copies stamps", .read = world_nvme_read, .write = world_nvme_write};

/* What the running access does to a page of its run: a write, or the first use of a page without contents. */
static inline void world_do(struct world *w, uint32_t page)
{
  struct world_stamp *at = &w->in_vram[w->pager->vram_frame[page]];
  bool born = w->newest[page] != 0;
  if (w->done[page]) return;
  w->done[page] = 1;
  if (born && !world_is_newest(w, page, *at)) world_blame(w, page, "an access finds an old version");
  if (w->writes || !born) *at = (struct world_stamp){.page = page, .version = ++w->newest[page]};
}

/* The hook: what has referenced the page has run; from now on its frame may be overwritten. */
static inline int world_evict(void *arg, uint32_t page, uint32_t frame, struct emuv_err *err)
{
  struct world *w = arg;
  (void)err;
  if (frame >= WORLD_PAGES || w->pager->vram_frame[page] != frame) world_blame(w, page, "it leaves another's frame");
  if (page - w->first < w->n && page - w->first < w->pager->reached) world_do(w, page);
  if (!world_is_newest(w, page, w->in_vram[frame])) world_blame(w, page, "what leaves VRAM is not the newest version");
  w->announced[frame] = 1;
  w->announcements++;
  return 0;
}

/* Pages with data at the start have version 1 wherever the pager has put them. */
static inline void world_begin(struct world *w, struct emuv_pager *pager, const struct emuv_pager_env *env)
{
  w->pager = pager;
  w->slots = w->room = env->nvme_frames;
  memset(w->announced, 1, sizeof w->announced);
  for (uint32_t page = 0; page < env->n_pages; page++) {
    struct world_stamp stamp = {.page = page, .version = 1};
    if (!env->initial[page]) continue;
    w->newest[page] = 1;
    if (pager->state[page] & EMUV_PAGE_RAM) w->in_ram[pager->ram_frame[page]] = stamp;
    if (!(pager->state[page] & EMUV_PAGE_NVME)) continue;
    w->on_nvme[pager->nvme_slot[page]] = stamp;
    w->slot_used[pager->nvme_slot[page]] = 1;
  }
}

static inline void world_tiers(struct world *w, uint64_t seed)
{
  memset(w, 0, sizeof *w);
  emuv_rng_seed(&w->times, seed);
  w->ram.ops = &world_ram_ops;
  w->nvme.ops = &world_nvme_ops;
}

/* A call of the pager begins; n = 0: it is no access. */
static inline void world_call(struct world *w, double now_ns, uint32_t first, uint32_t n, bool writes)
{
  memset(w->done, 0, sizeof w->done);
  memset(w->staged_ns, 0, sizeof w->staged_ns);
  w->first = first;
  w->n = n;
  w->writes = writes;
  w->now_ns = now_ns;
  w->down_ns = 0;
}

/* The access has come as far as `reached` pages: what it does to those that are still in VRAM. */
static inline void world_finish(struct world *w)
{
  uint32_t n = w->pager->reached;
  for (uint32_t page = w->first; page < w->first + n && n <= w->n; page++) {
    bool here = w->pager->state[page] & EMUV_PAGE_VRAM;
    if (!w->done[page] && !here) world_blame(w, page, "it has left VRAM without a word");
    if (here) world_do(w, page);
  }
}

/* When the last page of the run that was loaded ahead arrives. */
static inline double world_arrival(const struct world *w, uint32_t first, uint32_t n)
{
  double latest = 0;
  for (uint32_t page = first; page < first + n; page++)
    if ((w->pager->state[page] & (EMUV_PAGE_AHEAD | EMUV_PAGE_LATE)) && w->arrives_ns[page] > latest)
      latest = w->arrives_ns[page];
  return latest;
}

static inline void world_check_page(struct world *w, uint32_t page)
{
  const struct emuv_pager *p = w->pager;
  uint8_t s = p->state[page];
  bool dirty = s & EMUV_PAGE_DIRTY, anywhere = s & (EMUV_PAGE_VRAM | EMUV_PAGE_RAM | EMUV_PAGE_NVME);
  if (!w->newest[page] != !anywhere)
    world_blame(w, page, w->newest[page] ? "its contents are gone" : "a page without contents is kept");
  if ((s & EMUV_PAGE_VRAM) && !world_is_newest(w, page, w->in_vram[p->vram_frame[page]]))
    world_blame(w, page, "VRAM holds an old version");
  if (s & EMUV_PAGE_VRAM) w->announced[p->vram_frame[page]] = 0;
  if (dirty) return;
  if ((s & EMUV_PAGE_RAM) && !world_is_newest(w, page, w->in_ram[p->ram_frame[page]]))
    world_blame(w, page, "RAM holds an old version, not marked");
  if ((s & EMUV_PAGE_NVME) && !world_is_newest(w, page, w->on_nvme[p->nvme_slot[page]]))
    world_blame(w, page, "NVMe holds an old version, not marked");
}

/* After a call: every copy that the pager believes in, and the pages that moved. */
static inline void world_check(struct world *w)
{
  const struct emuv_pager_counts *c = &w->pager->count;
  memset(w->announced, 1, sizeof w->announced);
  for (uint32_t page = 0; page < w->pager->env.n_pages; page++) world_check_page(w, page);
  if (c->up != w->up || c->down != w->down || c->nvme_read != w->nvme_read || c->nvme_write != w->nvme_write)
    world_blame(w, 0, "pages moved and pages counted differ");
}

#endif
