// SPDX-License-Identifier: Apache-2.0
/* RAM frames and NVMe slots; see pager_home.h. RAM in use = pages of the RAM policy + shadows. */
#include "runtime/core/pager_home.h"

#include "runtime/core/pager_frames.h"
#include "runtime/core/pager_move.h"

enum { BOTH = EMUV_PAGE_RAM | EMUV_PAGE_NVME };

static void forget_nvme(struct emuv_pager *p, uint32_t page)
{
  if (!(p->state[page] & EMUV_PAGE_NVME)) return;
  p->state[page] &= (uint8_t)~EMUV_PAGE_NVME;
  p->nvme_used--;
  if (!p->slots_own) emuv_frames_give(&p->nvme_free, p->nvme_slot[page]);
}

void emuv_pager_home_refused(struct emuv_pager *p, uint32_t page)
{
  p->state[page] &= (uint8_t)~EMUV_PAGE_NVME;
  p->env.nvme_frames = --p->nvme_used;
  p->nvme_free.n = 0;
  p->slots_own = false;
  p->count.demotions_refused++;
}

/* May the NVMe copy of this page be given up? pass 0: RAM holds it as well; pass 1: VRAM does. */
static bool can_give_slot(const struct emuv_pager *p, uint32_t page, int pass)
{
  uint8_t s = p->state[page];
  if (pass == 0) return (s & BOTH) == BOTH;
  return (s & EMUV_PAGE_NVME) && (s & EMUV_PAGE_VRAM) && !emuv_group_waits(p, page) && !emuv_move_is_gathered(p, page);
}

static int give_slot_of(struct emuv_pager *p, uint32_t page, struct emuv_err *err)
{
  int rc = emuv_group_waits(p, page) ? emuv_move_stage_one(p, page, err) : 0;
  if (rc) return rc;
  forget_nvme(p, page);
  if (!(p->state[page] & EMUV_PAGE_RAM)) p->state[page] |= EMUV_PAGE_DIRTY; /* VRAM has the only copy now */
  return 0;
}

/* Some page loses its NVMe copy, which another tier has as well. */
static int make_slot(struct emuv_pager *p, struct emuv_err *err)
{
  for (int pass = 0; pass < 2; pass++)
    for (uint32_t seen = 0; seen < p->env.n_pages; seen++) {
      uint32_t page = p->nvme_cursor;
      p->nvme_cursor = p->nvme_cursor + 1 == p->env.n_pages ? 0 : p->nvme_cursor + 1;
      if (can_give_slot(p, page, pass)) return give_slot_of(p, page, err);
    }
  return emuv_err_set(err, EMUV_ERR_NOSPACE, "RAM and NVMe are full: a page that has changed has nowhere to go");
}

int emuv_pager_home_slot(struct emuv_pager *p, uint32_t page, struct emuv_err *err)
{
  int rc = p->nvme_used >= p->env.nvme_frames ? make_slot(p, err) : 0;
  if (rc) return rc;
  p->nvme_used++;
  p->nvme_slot[page] = p->slots_own ? page : emuv_frames_take(&p->nvme_free);
  p->state[page] |= EMUV_PAGE_NVME;
  return 0;
}

/* The page's contents, which are in RAM, are on NVMe afterwards. */
static int copy_to_nvme(struct emuv_pager *p, uint32_t page, double *start_ns, struct emuv_err *err)
{
  while (!(p->state[page] & EMUV_PAGE_NVME)) {
    int rc = emuv_pager_home_slot(p, page, err);
    if (!rc) rc = emuv_move_to_disk(p, page, 1, start_ns, err);
    if (rc == EMUV_ERR_NOSPACE && (p->state[page] & EMUV_PAGE_NVME)) {
      emuv_pager_home_refused(p, page);
    } else if (rc) {
      forget_nvme(p, page);
      return rc;
    }
  }
  return 0;
}

/* A page leaves RAM (it is in no structure of RAM any more): its contents go to NVMe unless a copy is there. */
static int demote(struct emuv_pager *p, uint32_t page, double *start_ns, struct emuv_err *err)
{
  int rc = emuv_move_is_gathered(p, page) ? emuv_move_flush(p, err) : 0;
  if (!rc) rc = copy_to_nvme(p, page, start_ns, err);
  if (rc) return rc;
  p->state[page] &= (uint8_t)~EMUV_PAGE_RAM;
  p->ram_used--;
  emuv_move_give_ram(p, page);
  return 0;
}

static int reclaim_shadow(struct emuv_pager *p, struct emuv_err *err)
{
  uint32_t page = emuv_list_oldest(&p->shadows);
  int rc = emuv_move_is_gathered(p, page) ? emuv_move_flush(p, err) : 0;
  if (rc) return rc;
  emuv_list_remove(&p->shadows, page);
  p->state[page] &= (uint8_t)~EMUV_PAGE_RAM;
  p->ram_used--;
  if (!emuv_group_waits(p, page)) emuv_move_give_ram(p, page);
  if (!(p->state[page] & EMUV_PAGE_NVME)) p->state[page] |= EMUV_PAGE_DIRTY; /* VRAM has the only copy now */
  return 0;
}

static uint32_t next_of(const struct emuv_pager *p, uint32_t page)
{
  return p->next_use ? p->next_use[page] : EMUV_NEVER;
}

/* Puts a page into the RAM policy where there is room for it. */
static void enter_policy(struct emuv_pager *p, uint32_t page)
{
  uint32_t next = next_of(p, page), none;
  p->env.policy->fill(p->ram_policy, page, 1, 1, &next, &none);
}

/* A place in RAM for a page that has none there. */
static int enter_ram(struct emuv_pager *p, uint32_t page, double *start_ns, struct emuv_err *err)
{
  int rc = p->ram_used == p->env.ram_frames && p->shadows.n ? reclaim_shadow(p, err) : 0;
  if (rc) return rc;
  bool room = p->ram_used < p->env.ram_frames;
  uint32_t next = next_of(p, page), victim = EMUV_NO_PAGE;
  p->env.policy->fill(p->ram_policy, page, 1, room, &next, &victim);
  p->ram_used++;
  p->state[page] |= EMUV_PAGE_RAM;
  if (room) return 0;
  rc = demote(p, victim, start_ns, err);
  if (!rc) return 0;
  p->ram_used--;
  p->state[page] &= (uint8_t)~EMUV_PAGE_RAM;
  p->env.policy->drop(p->ram_policy, page);
  enter_policy(p, victim);
  return rc;
}

/* A place in RAM for the copy of a page that is in VRAM, or comes there. */
static int enter_as_shadow(struct emuv_pager *p, uint32_t page, double *start_ns, struct emuv_err *err)
{
  int rc = enter_ram(p, page, start_ns, err);
  if (rc) return rc;
  p->env.policy->drop(p->ram_policy, page);
  emuv_list_push(&p->shadows, page);
  return 0;
}

/* RAM keeps what comes from NVMe as far as it can make room. */
static int fetch_from_nvme(struct emuv_pager *p, double *start_ns, struct emuv_err *err)
{
  const struct emuv_group *g = &p->group;
  for (uint32_t i = g->first; p->env.ram_frames && p->ram_policy && i < g->first + g->n; i++) {
    int rc = enter_as_shadow(p, i, start_ns, err);
    if (rc == EMUV_ERR_NOSPACE) break;
    if (rc) return rc;
  }
  return 0;
}

int emuv_pager_home_fetch(struct emuv_pager *p, double *start_ns, struct emuv_err *err)
{
  const struct emuv_group *g = &p->group;
  if (g->from_nvme) return fetch_from_nvme(p, start_ns, err);
  for (uint32_t i = g->first; p->ram_policy && i < g->first + g->n; i++) {
    p->env.policy->drop(p->ram_policy, i);
    emuv_list_push(&p->shadows, i);
  }
  return 0;
}

void emuv_pager_home_stays(struct emuv_pager *p, uint32_t page)
{
  bool staged = !p->ram_free.ring || p->ram_frame[page] != EMUV_NO_FRAME;
  if (!p->ram_policy) {
    if (!(p->state[page] & EMUV_PAGE_RAM)) emuv_move_give_ram(p, page);
    return;
  }
  bool shadow = emuv_list_has(&p->shadows, page);
  if (shadow) emuv_list_remove(&p->shadows, page);
  if (staged && !shadow && p->ram_used < p->env.ram_frames) { /* its place was taken: it gets another one */
    p->ram_used++;
    p->state[page] |= EMUV_PAGE_RAM;
    shadow = true;
  }
  if (staged && shadow) {
    enter_policy(p, page);
    return;
  }
  if (shadow) p->ram_used--;
  p->state[page] &= (uint8_t)~EMUV_PAGE_RAM;
  emuv_move_give_ram(p, page);
}

/* RAM has no frame for it: the page goes through a bounce frame to NVMe. */
static int reserve_on_nvme(struct emuv_pager *p, uint32_t page, struct emuv_err *err)
{
  int rc = p->state[page] & EMUV_PAGE_NVME ? 0 : emuv_pager_home_slot(p, page, err);
  return rc ? rc : emuv_move_take_ram(p, page, err);
}

/* RAM holds every page, or homes are fixed. */
static int reserve_at_home(struct emuv_pager *p, uint32_t page, struct emuv_err *err)
{
  if (p->state[page] & EMUV_PAGE_RAM) {
    forget_nvme(p, page);
    return 0;
  }
  bool full = p->ram_used == p->env.ram_frames;
  if (p->env.on_disk && (p->env.on_disk[page] || full)) {
    int rc = reserve_on_nvme(p, page, err);
    if (rc != EMUV_ERR_NOSPACE || full) return rc;
  }
  forget_nvme(p, page);
  p->state[page] |= EMUV_PAGE_RAM;
  p->ram_used++;
  return emuv_move_take_ram(p, page, err);
}

int emuv_pager_home_reserve(struct emuv_pager *p, uint32_t page, double *start_ns, struct emuv_err *err)
{
  if (!p->ram_policy) return reserve_at_home(p, page, err);
  if (!p->env.ram_frames) return reserve_on_nvme(p, page, err);
  forget_nvme(p, page);
  if (p->state[page] & EMUV_PAGE_RAM) return 0; /* that copy is overwritten */
  bool in_vram = p->state[page] & EMUV_PAGE_VRAM;
  int rc = in_vram ? enter_as_shadow(p, page, start_ns, err) : enter_ram(p, page, start_ns, err);
  return rc ? rc : emuv_move_take_ram(p, page, err);
}

void emuv_pager_home_left(struct emuv_pager *p, uint32_t page)
{
  if (!p->ram_policy || !emuv_list_has(&p->shadows, page)) return;
  emuv_list_remove(&p->shadows, page);
  enter_policy(p, page);
}

void emuv_pager_home_forget(struct emuv_pager *p, uint32_t page)
{
  forget_nvme(p, page);
  if (p->state[page] & EMUV_PAGE_RAM) {
    p->state[page] &= (uint8_t)~EMUV_PAGE_RAM;
    p->ram_used--;
    if (p->ram_policy && emuv_list_has(&p->shadows, page)) {
      emuv_list_remove(&p->shadows, page);
    } else if (p->ram_policy) {
      p->env.policy->drop(p->ram_policy, page);
    }
  }
  emuv_move_give_ram(p, page);
}

static int place_one(struct emuv_pager *p, uint32_t page, struct emuv_err *err)
{
  double start = 0;
  bool disk_first = p->env.on_disk && p->env.on_disk[page] && p->nvme_used < p->env.nvme_frames;
  if (p->ram_used < p->env.ram_frames && !disk_first) {
    if (p->ram_policy) {
      int rc = enter_ram(p, page, &start, err);
      return rc ? rc : emuv_move_take_ram(p, page, err);
    }
    p->state[page] |= EMUV_PAGE_RAM;
    p->ram_used++;
    return emuv_move_take_ram(p, page, err);
  }
  if (p->nvme_used == p->env.nvme_frames)
    return emuv_err_set(err, EMUV_ERR_NOSPACE, "RAM and NVMe together cannot hold the data: page %u of %u has no place",
                        page, p->env.n_pages);
  return emuv_pager_home_slot(p, page, err);
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
    int rc = emuv_pager_home_slot(p, i, err);
    if (rc) return rc;
  }
  return 0;
}
