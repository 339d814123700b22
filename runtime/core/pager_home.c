// SPDX-License-Identifier: Apache-2.0
/* RAM frames and NVMe slots; see pager_home.h. RAM in use = pages of the RAM policy + shadows. */
#include "runtime/core/pager_home.h"

#include "runtime/core/pager_frames.h"

static void take_ram_frame(struct emuv_pager *p, uint32_t page)
{
  if (p->ram_free.ring) p->ram_frame[page] = emuv_frames_take(&p->ram_free);
}

static void give_ram_frame(struct emuv_pager *p, uint32_t page)
{
  if (p->ram_free.ring) emuv_frames_give(&p->ram_free, p->ram_frame[page]);
}

/* A frame that the page leaves in the same call. */
static void pass_ram_frame(struct emuv_pager *p, uint32_t page)
{
  take_ram_frame(p, page);
  give_ram_frame(p, page);
}

static int disk_moves(struct emuv_pager *p, uint32_t first, uint32_t n, bool up, double *start_ns, struct emuv_err *err)
{
  int (*move)(struct emuv_tier *, const struct emuv_move *, uint32_t, double, double *, struct emuv_err *) =
      up ? p->env.nvme->ops->read : p->env.nvme->ops->write;
  for (uint32_t i = 0; i < n; i++)
    p->moves[i] =
        (struct emuv_move){.page = first + i, .upper = p->ram_frame[first + i], .lower = p->nvme_slot[first + i]};
  return move(p->env.nvme, p->moves, n, *start_ns, start_ns, err);
}

static void list_moves(struct emuv_pager *p, uint32_t first, uint32_t n)
{
  for (uint32_t i = 0; i < n; i++)
    p->moves[i] =
        (struct emuv_move){.page = first + i, .upper = p->vram_frame[first + i], .lower = p->ram_frame[first + i]};
}

int emuv_pager_home_up(struct emuv_pager *p, uint32_t first, uint32_t n, double start_ns, double *done_ns,
                       struct emuv_err *err)
{
  list_moves(p, first, n);
  return p->env.ram->ops->read(p->env.ram, p->moves, n, start_ns, done_ns, err);
}

int emuv_pager_home_down(struct emuv_pager *p, uint32_t first, uint32_t n, double start_ns, double *done_ns,
                         struct emuv_err *err)
{
  list_moves(p, first, n);
  return p->env.ram->ops->write(p->env.ram, p->moves, n, start_ns, done_ns, err);
}

static void give_slot(struct emuv_pager *p, uint32_t page)
{
  p->nvme_used--;
  if (p->nvme_free.ring) emuv_frames_give(&p->nvme_free, p->nvme_slot[page]);
}

/* An NVMe slot; gives up the NVMe copy of a page that RAM also holds when there is none left. */
static int take_slot(struct emuv_pager *p, uint32_t for_page, struct emuv_err *err)
{
  const uint8_t both = EMUV_PAGE_RAM | EMUV_PAGE_NVME;
  for (uint32_t seen = 0; p->nvme_used == p->env.nvme_frames; seen++) {
    if (seen == p->env.n_pages)
      return emuv_err_set(err, EMUV_ERR_NOSPACE, "RAM and NVMe are full: a page that has changed has nowhere to go");
    uint32_t page = p->nvme_cursor;
    p->nvme_cursor = p->nvme_cursor + 1 == p->env.n_pages ? 0 : p->nvme_cursor + 1;
    if ((p->state[page] & both) != both) continue;
    p->state[page] &= (uint8_t)~EMUV_PAGE_NVME;
    give_slot(p, page);
  }
  p->nvme_used++;
  if (p->nvme_free.ring) p->nvme_slot[for_page] = emuv_frames_take(&p->nvme_free);
  return 0;
}

/* A page leaves RAM (it is in no structure of RAM any more): its contents go to NVMe unless a copy is there. */
static int demote(struct emuv_pager *p, uint32_t page, double *start_ns, struct emuv_err *err)
{
  p->state[page] &= (uint8_t)~EMUV_PAGE_RAM;
  p->ram_used--;
  give_ram_frame(p, page);
  if (p->state[page] & EMUV_PAGE_NVME) return 0;
  int rc = take_slot(p, page, err);
  if (rc) return rc;
  rc = disk_moves(p, page, 1, false, start_ns, err);
  if (rc) return rc;
  p->state[page] |= EMUV_PAGE_NVME;
  p->count.nvme_write++;
  return 0;
}

static void reclaim_shadow(struct emuv_pager *p)
{
  uint32_t page = emuv_list_oldest(&p->shadows);
  emuv_list_remove(&p->shadows, page);
  p->state[page] &= (uint8_t)~EMUV_PAGE_RAM;
  p->ram_used--;
  give_ram_frame(p, page);
  if (!(p->state[page] & EMUV_PAGE_NVME)) p->state[page] |= EMUV_PAGE_DIRTY; /* VRAM has the only copy now */
}

static uint32_t next_of(const struct emuv_pager *p, uint32_t page)
{
  return p->next_use ? p->next_use[page] : EMUV_NEVER;
}

/* Puts a page into the RAM policy. taken: it owns a frame already. */
static int enter_ram(struct emuv_pager *p, uint32_t page, bool taken, double *start_ns, struct emuv_err *err)
{
  if (!taken && p->ram_used == p->env.ram_frames && p->shadows.n) reclaim_shadow(p);
  bool room = taken || p->ram_used < p->env.ram_frames;
  uint32_t next = next_of(p, page), victim = EMUV_NO_PAGE;
  p->env.policy->fill(p->ram_policy, page, 1, room, &next, &victim);
  if (!taken) {
    p->ram_used++;
    take_ram_frame(p, page);
  }
  p->state[page] |= EMUV_PAGE_RAM;
  return room ? 0 : demote(p, victim, start_ns, err);
}

/* A frame for the RAM copy of a page that is in VRAM. */
static int enter_as_shadow(struct emuv_pager *p, uint32_t page, double *start_ns, struct emuv_err *err)
{
  int rc = enter_ram(p, page, false, start_ns, err);
  if (rc) return rc;
  p->env.policy->drop(p->ram_policy, page);
  emuv_list_push(&p->shadows, page);
  return 0;
}

static int fetch_from_nvme(struct emuv_pager *p, uint32_t first, uint32_t n, double *start_ns, struct emuv_err *err)
{
  bool stays = p->env.ram_frames && p->ram_policy;
  if (!stays) {
    for (uint32_t i = first; i < first + n; i++) pass_ram_frame(p, i);
  } else {
    for (uint32_t i = first; i < first + n; i++) {
      int rc = enter_as_shadow(p, i, start_ns, err);
      if (rc) return rc;
    }
  }
  p->count.nvme_read += n;
  return disk_moves(p, first, n, true, start_ns, err);
}

int emuv_pager_home_fetch(struct emuv_pager *p, uint32_t first, uint32_t n, double *start_ns, struct emuv_err *err)
{
  if (!(p->state[first] & EMUV_PAGE_RAM)) return fetch_from_nvme(p, first, n, start_ns, err);
  if (!p->ram_policy) return 0;
  for (uint32_t i = first; i < first + n; i++) {
    p->env.policy->drop(p->ram_policy, i);
    emuv_list_push(&p->shadows, i);
  }
  return 0;
}

static void forget_nvme(struct emuv_pager *p, uint32_t page)
{
  if (!(p->state[page] & EMUV_PAGE_NVME)) return;
  p->state[page] &= (uint8_t)~EMUV_PAGE_NVME;
  give_slot(p, page);
}

/* RAM has no frame for it: the page goes through a bounce buffer to NVMe. */
static int reserve_on_nvme(struct emuv_pager *p, uint32_t page, double *start_ns, struct emuv_err *err)
{
  if (!(p->state[page] & EMUV_PAGE_NVME)) {
    int rc = take_slot(p, page, err);
    if (rc) return rc;
    p->state[page] |= EMUV_PAGE_NVME;
  }
  p->count.nvme_write++;
  pass_ram_frame(p, page);
  double start = *start_ns;
  return disk_moves(p, page, 1, false, &start, err);
}

/* RAM holds every page, or homes are fixed. */
static int reserve_at_home(struct emuv_pager *p, uint32_t page, double *start_ns, struct emuv_err *err)
{
  if (p->state[page] & EMUV_PAGE_RAM) {
    forget_nvme(p, page);
    return 0;
  }
  bool to_disk = p->env.on_disk && (p->env.on_disk[page] || p->ram_used == p->env.ram_frames);
  if (to_disk) return reserve_on_nvme(p, page, start_ns, err);
  forget_nvme(p, page);
  p->state[page] |= EMUV_PAGE_RAM;
  p->ram_used++;
  take_ram_frame(p, page);
  return 0;
}

static int reserve_one(struct emuv_pager *p, uint32_t page, double *start_ns, struct emuv_err *err)
{
  bool in_vram = p->state[page] & EMUV_PAGE_VRAM;
  if (!p->env.ram_frames) return reserve_on_nvme(p, page, start_ns, err);
  forget_nvme(p, page);
  if (p->state[page] & EMUV_PAGE_RAM) return 0; /* that copy is overwritten */
  return in_vram ? enter_as_shadow(p, page, start_ns, err) : enter_ram(p, page, false, start_ns, err);
}

int emuv_pager_home_reserve(struct emuv_pager *p, uint32_t first, uint32_t n, double *start_ns, struct emuv_err *err)
{
  for (uint32_t i = first; i < first + n; i++) {
    int rc = p->ram_policy ? reserve_one(p, i, start_ns, err) : reserve_at_home(p, i, start_ns, err);
    if (rc) return rc;
  }
  return 0;
}

void emuv_pager_home_left(struct emuv_pager *p, uint32_t page)
{
  if (!p->ram_policy || !emuv_list_has(&p->shadows, page)) return;
  double unused = 0;
  emuv_list_remove(&p->shadows, page);
  (void)enter_ram(p, page, true, &unused, NULL); /* it owns its frame: nothing can fail */
}

static int place_one(struct emuv_pager *p, uint32_t page, struct emuv_err *err)
{
  double start = 0;
  bool disk_first = p->env.on_disk && p->env.on_disk[page] && p->nvme_used < p->env.nvme_frames;
  if (p->ram_used < p->env.ram_frames && !disk_first) {
    if (p->ram_policy) return enter_ram(p, page, false, &start, err);
    p->state[page] |= EMUV_PAGE_RAM;
    p->ram_used++;
    take_ram_frame(p, page);
    return 0;
  }
  if (p->nvme_used == p->env.nvme_frames)
    return emuv_err_set(err, EMUV_ERR_NOSPACE, "RAM and NVMe together cannot hold the data: page %u of %u has no place",
                        page, p->env.n_pages);
  p->state[page] |= EMUV_PAGE_NVME;
  return take_slot(p, page, err);
}

int emuv_pager_home_place(struct emuv_pager *p, struct emuv_err *err)
{
  for (uint32_t i = 0; i < p->env.n_pages; i++) {
    if (p->next_use) p->next_use[i] = p->env.first_use ? p->env.first_use[i] : EMUV_NEVER;
    if (!p->env.initial[i]) continue;
    int rc = place_one(p, i, err);
    if (rc) return rc;
  }
  /* Data that came from a file is still there: NVMe keeps copies of RAM pages while it has room. */
  for (uint32_t i = 0; i < p->env.n_pages && p->ram_policy && p->nvme_used < p->env.nvme_frames; i++) {
    if (!(p->state[i] & EMUV_PAGE_RAM) || (p->state[i] & EMUV_PAGE_NVME)) continue;
    p->state[i] |= EMUV_PAGE_NVME;
    int rc = take_slot(p, i, err);
    if (rc) return rc;
  }
  return 0;
}
