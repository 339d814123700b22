// SPDX-License-Identifier: Apache-2.0
/* Bits inverted on purpose. One at a time, while nothing is in flight, in a copy of a page's newest contents, and never
 * in a page that has an inverted bit already: so that every flip is either reported by itself or goes when its contents
 * are overwritten or its copy is given up. What is left after an audit was overwritten. */
#include "runtime/core/rng.h"
#include "runtime/engine/internal.h"

#include <stdlib.h>

static const enum emuv_inject_point points[EMUV_N_PLACES] = {EMUV_INJECT_FLIP_VRAM, EMUV_INJECT_FLIP_RAM,
                                                             EMUV_INJECT_FLIP_NVME};

static void forget(struct emuv_engine *e, uint32_t i)
{
  e->flip[i] = e->flip[--e->n_flips];
}

void emuv_engine_flip_found(struct emuv_engine *e, const struct emuv_damage *d)
{
  for (uint32_t i = 0; i < e->n_flips; i++) {
    const struct emuv_engine_flip *f = &e->flip[i];
    if (f->page != d->page || f->version != d->version || f->offset != d->offset) continue;
    e->stats.flips_found++;
    forget(e, i);
    return;
  }
}

void emuv_engine_flips_settle(struct emuv_engine *e, bool all)
{
  for (uint32_t i = 0; i < e->n_flips;) {
    if (!all && e->flip[i].version == e->books.page[e->flip[i].page].version) {
      i++;
      continue;
    }
    e->stats.flips_overwritten++;
    forget(e, i);
  }
}

bool emuv_engine_flips_due(struct emuv_engine *e, bool due[EMUV_N_PLACES])
{
  bool any = false;
  if (!e->env.inject) return false;
  for (int i = 0; i < EMUV_N_PLACES; i++) any |= due[i] = emuv_inject_now(e->env.inject, points[i]);
  return any;
}

static bool is_flipped(const struct emuv_engine *e, uint32_t page)
{
  for (uint32_t i = 0; i < e->n_flips; i++)
    if (e->flip[i].page == page) return true;
  return false;
}

/* The first page from `start` on that can be harmed there; n_pages: none. */
static uint32_t choose_page(const struct emuv_engine *e, const struct emuv_pager *pager, enum emuv_engine_place place,
                            uint32_t start)
{
  uint32_t n = e->env.n_pages;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t page = start + i < n ? start + i : start + i - n;
    if (e->books.page[page].known && emuv_engine_has_copy(pager, page, place) && !is_flipped(e, page)) return page;
  }
  return n;
}

static int flip_slot(struct emuv_engine *e, uint32_t slot, uint64_t offset, uint64_t bits, struct emuv_err *err)
{
  char *scratch = emuv_engine_ram(e, e->scratch_first);
  int rc = emuv_engine_disk_now(e, false, slot, scratch, err);
  if (rc) return rc;
  *(uint64_t *)(void *)(scratch + offset) ^= bits;
  return emuv_engine_disk_now(e, true, slot, scratch, err);
}

static int flip_ram(struct emuv_engine *e, uint32_t frame, uint64_t offset, uint64_t bits, struct emuv_err *err)
{
  uint64_t word;
  int rc = emuv_engine_ram_read(e, frame, offset, &word, sizeof word, err);
  word ^= bits;
  return rc ? rc : emuv_engine_ram_write(e, frame, offset, &word, sizeof word, err);
}

static int harm(struct emuv_engine *e, const struct emuv_pager *pager, enum emuv_engine_place place, uint32_t page,
                uint64_t offset, uint64_t bits, struct emuv_err *err)
{
  struct emuv_err why;
  switch (place) {
  case EMUV_PLACE_VRAM:
    if (!e->ops->flip(e->device, pager->vram_frame[page], offset, bits, &why)) return 0;
    return emuv_engine_fail(e, &why, err);
  case EMUV_PLACE_RAM: return flip_ram(e, pager->ram_frame[page], offset, bits, err);
  default: return flip_slot(e, pager->nvme_slot[page], offset, bits, err);
  }
}

static int flip_one(struct emuv_engine *e, const struct emuv_pager *pager, enum emuv_engine_place place,
                    struct emuv_err *err)
{
  uint64_t draw = emuv_inject_choose(e->env.inject, points[place], UINT64_MAX);
  uint64_t start = emuv_rng_splitmix64(&draw) % e->env.n_pages;
  uint64_t offset = emuv_rng_splitmix64(&draw) % (e->env.page_bytes / 8) * 8;
  uint64_t bit = emuv_rng_splitmix64(&draw) % 64;
  uint32_t page = choose_page(e, pager, place, (uint32_t)start);
  if (page == e->env.n_pages) return 0; /* nothing is there that could be harmed */
  if (e->n_flips == e->flip_room) {
    uint32_t room = 2 * e->flip_room + 64;
    struct emuv_engine_flip *flip = realloc(e->flip, room * sizeof *flip);
    if (!flip) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %u inverted bits", room);
    e->flip = flip;
    e->flip_room = room;
  }
  e->flip[e->n_flips++] =
      (struct emuv_engine_flip){.page = page, .version = e->books.page[page].version, .offset = offset};
  e->stats.flipped++;
  return harm(e, pager, place, page, offset, (uint64_t)1 << bit, err);
}

int emuv_engine_flip(struct emuv_engine *e, const struct emuv_pager *pager, const bool due[EMUV_N_PLACES],
                     struct emuv_err *err)
{
  int rc = 0;
  for (int i = 0; i < EMUV_N_PLACES && !rc; i++)
    if (due[i]) rc = flip_one(e, pager, (enum emuv_engine_place)i, err);
  return rc;
}
