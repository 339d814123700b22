// SPDX-License-Identifier: Apache-2.0
/* A world for a pager under test: tiers that remember which version of each page every copy holds, so that a lost or
 * stale page is found by its contents and not by the pager's own books.
 *
 * A version is a counter that each writing access raises; 0 means never written. One call of the pager is one batch:
 * within it copies may be ordered by the pager as it likes, after it every copy that the pager believes in must hold
 * the newest version. Times of copies are random but never before what they depend on. One world per pager. */
#ifndef EMUV_TEST_PAGER_WORLD_H
#define EMUV_TEST_PAGER_WORLD_H

#include "runtime/core/pager.h"
#include "runtime/core/rng.h"

#include <string.h>

enum { WORLD_PAGES = 64 };

struct world {
  struct emuv_tier ram, nvme;
  struct emuv_rng times;
  struct emuv_pager *pager;
  uint32_t newest[WORLD_PAGES], in_vram[WORLD_PAGES], in_ram[WORLD_PAGES], on_nvme[WORLD_PAGES];
  /* Within one call: */
  uint8_t used[WORLD_PAGES], written[WORLD_PAGES]; /* by the access that runs */
  uint8_t staged[WORLD_PAGES];                     /* came from NVMe in this call */
  uint8_t passing[WORLD_PAGES];                    /* written to NVMe in this call, perhaps before it came down */
  double arrives_ns[WORLD_PAGES], staged_ns[WORLD_PAGES];
  double now_ns, down_ns;                   /* down_ns: latest end of a copy out of VRAM */
  uint64_t up, down, nvme_read, nvme_write; /* pages, since the start */
  const char *wrong;                        /* first contradiction, NULL = none */
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

/* What a copy of an absent page may hold: the newest version, without the write of this access. */
static inline bool world_current(const struct world *w, uint32_t page, uint32_t version)
{
  return version == w->newest[page] || (w->written[page] && version + 1 == w->newest[page]);
}

static inline int world_ram_read(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                                 double *done_ns, struct emuv_err *err)
{
  uint32_t first = moves[0].page;
  (void)err;
  struct world *w = (struct world *)((char *)tier - offsetof(struct world, ram));
  for (uint32_t page = first; page < first + n; page++) {
    bool staged = w->staged[page];
    if (staged && earliest_ns < w->staged_ns[page]) world_blame(w, page, "copied up before it came from NVMe");
    if (!world_current(w, page, staged ? w->on_nvme[page] : w->in_ram[page]))
      world_blame(w, page, "an old version goes up");
    w->in_vram[page] = w->newest[page];
  }
  w->up += n;
  double done = world_later(w, first, earliest_ns);
  for (uint32_t page = first; page < first + n; page++) w->arrives_ns[page] = done;
  *done_ns = done;
  return 0;
}

static inline int world_ram_write(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                                  double *done_ns, struct emuv_err *err)
{
  uint32_t first = moves[0].page;
  (void)err;
  struct world *w = (struct world *)((char *)tier - offsetof(struct world, ram));
  for (uint32_t page = first; page < first + n; page++) {
    if (w->in_vram[page] != w->newest[page] && !w->used[page]) world_blame(w, page, "an old version goes down");
    w->in_ram[page] = w->newest[page];
    if (w->passing[page]) w->on_nvme[page] = w->newest[page];
  }
  w->down += n;
  double done = world_later(w, first, earliest_ns);
  if (done > w->down_ns) w->down_ns = done;
  *done_ns = done;
  return 0;
}

static inline int world_nvme_read(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                                  double *done_ns, struct emuv_err *err)
{
  uint32_t first = moves[0].page;
  (void)err;
  struct world *w = (struct world *)((char *)tier - offsetof(struct world, nvme));
  double done = world_later(w, first, earliest_ns);
  for (uint32_t page = first; page < first + n; page++) {
    if (!world_current(w, page, w->on_nvme[page])) world_blame(w, page, "an old version comes from NVMe");
    w->staged[page] = 1;
    w->staged_ns[page] = done;
    w->in_ram[page] = w->on_nvme[page];
  }
  w->nvme_read += n;
  *done_ns = done;
  return 0;
}

static inline int world_nvme_write(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n,
                                   double earliest_ns, double *done_ns, struct emuv_err *err)
{
  uint32_t first = moves[0].page;
  (void)err;
  struct world *w = (struct world *)((char *)tier - offsetof(struct world, nvme));
  for (uint32_t page = first; page < first + n; page++) {
    w->on_nvme[page] = w->in_ram[page];
    w->passing[page] = 1;
  }
  w->nvme_write += n;
  *done_ns = world_later(w, first, earliest_ns);
  return 0;
}

static const struct emuv_tier_ops world_ram_ops = {
    .name = "ram", .summary = "remembers versions", .read = world_ram_read, .write = world_ram_write};
static const struct emuv_tier_ops world_nvme_ops = {
    .name = "nvme", .summary = "remembers versions", .read = world_nvme_read, .write = world_nvme_write};

/* Pages with data at the start have version 1 wherever the pager has put them. */
static inline void world_begin(struct world *w, struct emuv_pager *pager, const struct emuv_pager_env *env)
{
  w->pager = pager;
  for (uint32_t page = 0; page < env->n_pages; page++) {
    if (!env->initial[page]) continue;
    w->newest[page] = 1;
    w->in_ram[page] = (pager->state[page] & EMUV_PAGE_RAM) != 0;
    w->on_nvme[page] = (pager->state[page] & EMUV_PAGE_NVME) != 0;
  }
}

static inline void world_tiers(struct world *w, uint64_t seed)
{
  memset(w, 0, sizeof *w);
  emuv_rng_seed(&w->times, seed);
  w->ram.ops = &world_ram_ops;
  w->nvme.ops = &world_nvme_ops;
}

static inline void world_call(struct world *w, double now_ns)
{
  memset(w->used, 0, sizeof w->used);
  memset(w->written, 0, sizeof w->written);
  memset(w->staged, 0, sizeof w->staged);
  memset(w->passing, 0, sizeof w->passing);
  w->now_ns = now_ns;
  w->down_ns = 0;
}

/* When the last page of the run that was loaded ahead arrives. */
static inline double world_arrival(const struct world *w, uint32_t first, uint32_t n)
{
  double latest = 0;
  for (uint32_t page = first; page < first + n; page++)
    if ((w->pager->state[page] & EMUV_PAGE_AHEAD) && w->arrives_ns[page] > latest) latest = w->arrives_ns[page];
  return latest;
}

/* An access is about to use these pages. */
static inline void world_use(struct world *w, uint32_t first, uint32_t n, bool write)
{
  const uint8_t *state = w->pager->state;
  for (uint32_t page = first; page < first + n; page++) {
    bool born = w->newest[page] != 0;
    w->used[page] = 1;
    if (!write && born) continue;
    w->newest[page]++;
    w->written[page] = born;
    if ((state[page] & EMUV_PAGE_VRAM) || !born) w->in_vram[page] = w->newest[page];
  }
}

static inline void world_check_page(struct world *w, uint32_t page)
{
  uint8_t s = w->pager->state[page];
  uint32_t newest = w->newest[page];
  bool dirty = s & EMUV_PAGE_DIRTY, anywhere = s & (EMUV_PAGE_VRAM | EMUV_PAGE_RAM | EMUV_PAGE_NVME);
  if (!newest != !anywhere) world_blame(w, page, newest ? "its contents are gone" : "a page without contents is kept");
  if ((s & EMUV_PAGE_VRAM) && w->in_vram[page] != newest) world_blame(w, page, "VRAM holds an old version");
  if (dirty) return;
  if ((s & EMUV_PAGE_RAM) && w->in_ram[page] != newest) world_blame(w, page, "RAM holds an old version, not marked");
  if ((s & EMUV_PAGE_NVME) && w->on_nvme[page] != newest) world_blame(w, page, "NVMe holds an old version, not marked");
}

/* After a call: every copy that the pager believes in, and the pages that moved. */
static inline void world_check(struct world *w)
{
  const struct emuv_pager_counts *c = &w->pager->count;
  for (uint32_t page = 0; page < w->pager->env.n_pages; page++) world_check_page(w, page);
  if (c->up != w->up || c->down != w->down || c->nvme_read != w->nvme_read || c->nvme_write != w->nvme_write)
    world_blame(w, 0, "pages moved and pages counted differ");
}

#endif
