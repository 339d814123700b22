// SPDX-License-Identifier: Apache-2.0
/* The invariant checker of the pager: walks every page and compares with every counter. */
#include "runtime/core/pager.h"

#include <inttypes.h>
#include <stdlib.h>

struct tally {
  uint32_t vram, ram, nvme, ahead, late, pinned, shadows;
};

static int bad_page(struct emuv_err *err, uint32_t page, uint8_t state, const char *what)
{
  return emuv_err_set(err, EMUV_ERR_INTERNAL, "page %u (state 0x%02x): %s", page, state, what);
}

static int check_page(const struct emuv_pager *p, uint32_t i, struct emuv_err *err)
{
  uint8_t s = p->state[i];
  bool vram = s & EMUV_PAGE_VRAM, below = s & (EMUV_PAGE_RAM | EMUV_PAGE_NVME);
  if (vram && !below && !(s & EMUV_PAGE_DIRTY))
    return bad_page(err, i, s, "the only copy is in VRAM and not marked dirty");
  if (!vram && (s & (EMUV_PAGE_DIRTY | EMUV_PAGE_AHEAD | EMUV_PAGE_LATE)))
    return bad_page(err, i, s, "dirty or ahead without being in VRAM");
  if ((s & EMUV_PAGE_AHEAD) && (s & EMUV_PAGE_LATE)) return bad_page(err, i, s, "ahead and late");
  if ((s & EMUV_PAGE_AHEAD) && !p->pinned[i]) return bad_page(err, i, s, "loaded ahead but not pinned");
  if (p->pinned[i] && !vram) return bad_page(err, i, s, "pinned but not in VRAM");
  if (p->env.initial[i] && !vram && !below) return bad_page(err, i, s, "its data is gone");
  bool shadow = p->ram_policy && emuv_list_has(&p->shadows, i);
  if (shadow && !(vram && (s & EMUV_PAGE_RAM))) return bad_page(err, i, s, "a shadow must be in RAM and VRAM");
  if (p->ram_policy && vram && (s & EMUV_PAGE_RAM) && !shadow)
    return bad_page(err, i, s, "in RAM and VRAM but no shadow");
  return 0;
}

static void tally_page(const struct emuv_pager *p, uint32_t i, struct tally *t)
{
  uint8_t s = p->state[i];
  t->vram += (s & EMUV_PAGE_VRAM) != 0;
  t->ram += (s & EMUV_PAGE_RAM) != 0;
  t->nvme += (s & EMUV_PAGE_NVME) != 0;
  t->ahead += (s & EMUV_PAGE_AHEAD) != 0;
  t->late += (s & EMUV_PAGE_LATE) != 0;
  t->shadows += p->ram_policy && emuv_list_has(&p->shadows, i);
  t->pinned += p->pinned[i] != 0;
}

static int expect(struct emuv_err *err, const char *what, uint64_t counted, uint64_t kept)
{
  if (counted == kept) return 0;
  return emuv_err_set(err, EMUV_ERR_INTERNAL, "%s: %" PRIu64 " by count, %" PRIu64 " in the books", what, counted,
                      kept);
}

static int check_limits(const struct emuv_pager *p, struct emuv_err *err)
{
  if (p->vram_used > p->env.vram_frames) return emuv_err_set(err, EMUV_ERR_INTERNAL, "more pages in VRAM than frames");
  if (p->ram_used > p->env.ram_frames) return emuv_err_set(err, EMUV_ERR_INTERNAL, "more pages in RAM than frames");
  if (p->nvme_used > p->env.nvme_frames) return emuv_err_set(err, EMUV_ERR_INTERNAL, "more pages on NVMe than slots");
  return 0;
}

static int check_counts(const struct emuv_pager *p, struct emuv_err *err)
{
  const struct emuv_pager_counts *c = &p->count;
  int rc = expect(err, "accesses = hits + faults + births", c->hits + c->faults + c->births, c->accesses);
  if (!rc) rc = expect(err, "pages up = faulted + loaded ahead", c->fault_up + c->ahead_up, c->up);
  if (!rc)
    rc = expect(err, "pages down = written back + written through", c->written_back + c->written_through, c->down);
  if (!rc)
    rc = expect(err, "loaded ahead = used + wasted + waiting", c->ahead_used + c->ahead_wasted + p->n_ahead + p->n_late,
                c->ahead_issued);
  return rc;
}

/* Frames of one tier: which are taken, by pages and by the ring of free ones. */
struct seen {
  const char *tier;
  uint8_t *taken; /* a bit per frame */
  uint64_t n;
};

static int see(struct seen *seen, uint32_t frame, const char *by, uint32_t whom, struct emuv_err *err)
{
  if (frame >= seen->n)
    return emuv_err_set(err, EMUV_ERR_INTERNAL, "%s frame %u of %s %u does not exist", seen->tier, frame, by, whom);
  uint8_t bit = (uint8_t)(1u << frame % 8);
  if (seen->taken[frame / 8] & bit)
    return emuv_err_set(err, EMUV_ERR_INTERNAL, "%s frame %u of %s %u is taken twice", seen->tier, frame, by, whom);
  seen->taken[frame / 8] |= bit;
  return 0;
}

static int check_frames(const struct emuv_pager *p, const char *tier, uint8_t bit, const uint32_t *frame,
                        const struct emuv_frames *ring, uint64_t limit, struct emuv_err *err)
{
  struct seen seen = {.tier = tier, .n = limit, .taken = calloc(1, (size_t)(limit / 8 + 1))};
  if (!seen.taken) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory to check the frames of %s", tier);
  int rc = 0;
  for (uint32_t i = 0; !rc && i < p->env.n_pages; i++)
    if (p->state[i] & bit) rc = see(&seen, frame[i], "page", i, err);
  for (uint32_t i = 0; !rc && i < ring->n; i++) {
    uint32_t at = ring->head + i;
    rc = see(&seen, ring->ring[at < ring->size ? at : at - ring->size], "free place", i, err);
  }
  free(seen.taken);
  return rc;
}

/* No two pages share a frame, none has one that is free, and none has got lost. */
static int check_places(const struct emuv_pager *p, struct emuv_err *err)
{
  uint32_t n = p->env.n_pages, in_ram = p->env.ram_frames < n ? p->env.ram_frames : n;
  uint64_t ram = p->ram_free.ring ? (uint64_t)p->env.ram_frames + (p->ram_free.size - in_ram) : n;
  int rc = check_frames(p, "VRAM", EMUV_PAGE_VRAM, p->vram_frame, &p->vram_free, p->vram_free.size, err);
  if (!rc) rc = check_frames(p, "RAM", EMUV_PAGE_RAM, p->ram_frame, &p->ram_free, ram, err);
  if (!rc) rc = check_frames(p, "NVMe", EMUV_PAGE_NVME, p->nvme_slot, &p->nvme_free, n, err);
  if (!rc) rc = expect(err, "frames of VRAM", (uint64_t)p->vram_used + p->vram_free.n, p->vram_free.size);
  if (!rc && p->ram_free.ring)
    rc = expect(err, "frames of RAM", (uint64_t)p->ram_used + p->ram_free.n, p->ram_free.size);
  if (!rc && !p->slots_own)
    rc = expect(err, "slots of NVMe", (uint64_t)p->nvme_used + p->nvme_free.n, p->env.nvme_frames);
  return rc;
}

int emuv_pager_check(const struct emuv_pager *p, struct emuv_err *err)
{
  struct tally t = {0};
  for (uint32_t i = 0; i < p->env.n_pages; i++) {
    int rc = check_page(p, i, err);
    if (rc) return rc;
    tally_page(p, i, &t);
  }
  int rc = expect(err, "pages in VRAM", t.vram, p->vram_used);
  if (!rc) rc = expect(err, "pages of the policy", p->env.policy->size(p->vram_policy), p->vram_used);
  if (!rc) rc = expect(err, "pages in RAM", t.ram, p->ram_used);
  if (!rc) rc = expect(err, "pages on NVMe", t.nvme, p->nvme_used);
  if (!rc) rc = expect(err, "pages loaded ahead", t.ahead, p->n_ahead);
  if (!rc) rc = expect(err, "pages that came too early", t.late, p->n_late);
  if (!rc) rc = expect(err, "pinned pages", t.pinned, p->n_pinned);
  if (!rc) rc = expect(err, "shadows", t.shadows, p->ram_policy ? p->shadows.n : 0);
  if (!rc && p->ram_policy)
    rc = expect(err, "pages of the RAM policy", p->env.policy->size(p->ram_policy) + t.shadows, p->ram_used);
  if (!rc) rc = check_limits(p, err);
  if (!rc) rc = check_places(p, err);
  return rc ? rc : check_counts(p, err);
}
