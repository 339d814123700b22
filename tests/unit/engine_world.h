// SPDX-License-Identifier: Apache-2.0
/* A world for an engine under test: pages that wander at random between VRAM, RAM and disk, without a
 * policy and without mercy. Frames that were just given up are filled again at once, so that every kind of overtaking
 * would be seen: as a page that is wrong when a kernel, an audit or emuv_engine_save reads it.
 *
 * The world keeps the books of a pager (state and frames of each page), so that the engine can be asked to fill, audit
 * and save; the moves come in the order of the data, as from a pager. */
#ifndef EMUV_TEST_ENGINE_WORLD_H
#define EMUV_TEST_ENGINE_WORLD_H

#include "runtime/core/rng.h"
#include "runtime/device/content.h"
#include "runtime/engine/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORLD_PAGES = 24, WORLD_VRAM = 6, WORLD_RAM = 9, WORLD_SLOTS = 40, WORLD_PAGE = 8192, WORLD_MAX = 64 };

struct world {
  struct emuv_engine *engine;
  struct emuv_engine_env env;
  struct emuv_tier ram, nvme;
  struct emuv_pager pager; /* state, frames and initial alone */
  struct emuv_rng rng;
  struct emuv_inject *inject;
  uint8_t state[WORLD_MAX], initial[WORLD_MAX];
  uint32_t vram_frame[WORLD_MAX], ram_frame[WORLD_MAX], nvme_slot[WORLD_MAX];
  uint32_t in_vram[WORLD_MAX], in_ram[WORLD_MAX], in_slot[WORLD_MAX]; /* page + 1 of each frame; 0: free */
  uint32_t writes[WORLD_MAX];
  uint64_t seq;      /* the last kernel */
  uint64_t up, down; /* pages */
  int rc;            /* of the first call that failed */
  struct emuv_err err;
};

static inline struct emuv_curve world_curve(double bytes_per_s)
{
  return (struct emuv_curve){.n = 1, .point = {{.bytes = WORLD_PAGE, .bytes_per_s = bytes_per_s}}};
}

/* The tests are for any device: $EMUV_TEST_DEVICE, else `host`. */
static inline const struct emuv_device_ops *world_device(void)
{
  const char *name = getenv("EMUV_TEST_DEVICE");
  return emuv_device_find(name ? name : "host");
}

/* Fills in what a test leaves open; disk: where, or NULL. */
static inline void world_env(struct world *w, const char *disk, enum emuv_verify verify)
{
  memset(w, 0, sizeof *w);
  w->env = (struct emuv_engine_env){.device = world_device(),
                                    .page_bytes = WORLD_PAGE,
                                    .n_pages = WORLD_PAGES,
                                    .vram_frames = WORLD_VRAM,
                                    .ram_frames = disk ? WORLD_RAM : WORLD_PAGES,
                                    .bounce_frames = 8,
                                    .nvme_slots = disk ? WORLD_SLOTS : 0,
                                    .disk_path = disk,
                                    .verify = verify,
                                    .threads = 2};
}

static inline void world_inject(struct world *w, const char *const *rules, size_t n)
{
  assert_int_equal(emuv_inject_open(rules, n, 1, &w->inject, &w->err), 0);
  w->env.inject = w->inject;
}

/* Pages 0 .. n-1 have data: in RAM while there is room, the others on disk. */
static inline void world_place(struct world *w, uint32_t n)
{
  for (uint32_t i = 0; i < n; i++) {
    w->initial[i] = 1;
    if (i < w->env.ram_frames) {
      w->state[i] = EMUV_PAGE_RAM;
      w->ram_frame[i] = i;
      w->in_ram[i] = i + 1;
    } else {
      w->state[i] = EMUV_PAGE_NVME;
      w->nvme_slot[i] = i;
      w->in_slot[i] = i + 1;
    }
  }
}

static inline int world_try_open(struct world *w, uint64_t seed)
{
  emuv_rng_seed(&w->rng, seed);
  w->pager = (struct emuv_pager){.env = {.n_pages = w->env.n_pages, .initial = w->initial},
                                 .state = w->state,
                                 .vram_frame = w->vram_frame,
                                 .ram_frame = w->ram_frame,
                                 .nvme_slot = w->nvme_slot};
  int rc = emuv_engine_open(&w->env, &w->engine, &w->err);
  if (!rc) emuv_engine_tiers(w->engine, &w->ram, &w->nvme);
  return rc;
}

static inline void world_open(struct world *w, uint64_t seed, uint32_t pages_with_data)
{
  int rc = world_try_open(w, seed);
  if (rc) print_error("%s\n", w->err.text);
  assert_int_equal(rc, 0);
  world_place(w, pages_with_data);
  assert_int_equal(emuv_engine_fill(w->engine, &w->pager, &w->err), 0);
}

static inline void world_close(struct world *w)
{
  emuv_engine_close(w->engine);
  emuv_inject_close(w->inject);
  w->engine = NULL;
}

static inline uint32_t world_below(struct world *w, uint32_t n)
{
  return (uint32_t)emuv_rng_below(&w->rng, n);
}

static inline void world_note(struct world *w, int rc)
{
  if (rc && !w->rc) w->rc = rc;
}

static inline void world_move(struct world *w, struct emuv_tier *tier, bool up, uint32_t page, uint32_t upper,
                              uint32_t lower)
{
  struct emuv_move m = {.page = page, .upper = upper, .lower = lower};
  double done;
  world_note(w,
             up ? tier->ops->read(tier, &m, 1, 0, &done, &w->err) : tier->ops->write(tier, &m, 1, 0, &done, &w->err));
}

/* A free place, or UINT32_MAX. */
static inline uint32_t world_free_place(struct world *w, const uint32_t *owner, uint32_t n)
{
  uint32_t start = world_below(w, n);
  for (uint32_t i = 0; i < n; i++)
    if (!owner[(start + i) % n]) return (start + i) % n;
  return UINT32_MAX;
}

static inline void world_drop_slot(struct world *w, uint32_t page)
{
  if (w->state[page] & EMUV_PAGE_NVME) w->in_slot[w->nvme_slot[page]] = 0;
  w->state[page] &= (uint8_t)~EMUV_PAGE_NVME;
}

static inline void world_drop_ram(struct world *w, uint32_t page)
{
  if (w->state[page] & EMUV_PAGE_RAM) w->in_ram[w->ram_frame[page]] = 0;
  w->state[page] &= (uint8_t)~EMUV_PAGE_RAM;
}

/* A frame of RAM for `page`: a free one, or that of another page, whose only copy goes to the disk first. */
static inline uint32_t world_take_ram(struct world *w, uint32_t page)
{
  uint32_t n = w->env.ram_frames, frame = world_free_place(w, w->in_ram, n);
  if (frame == UINT32_MAX) {
    uint32_t other;
    do {
      frame = world_below(w, n);
      other = w->in_ram[frame] - 1;
    } while (other == page);
    if (!(w->state[other] & (EMUV_PAGE_VRAM | EMUV_PAGE_NVME))) {
      uint32_t slot = world_free_place(w, w->in_slot, w->env.nvme_slots);
      world_move(w, &w->nvme, false, other, frame, slot);
      w->nvme_slot[other] = slot;
      w->in_slot[slot] = other + 1;
      w->state[other] |= EMUV_PAGE_NVME;
    } else if ((w->state[other] & EMUV_PAGE_VRAM) && !(w->state[other] & EMUV_PAGE_NVME)) {
      w->state[other] |= EMUV_PAGE_DIRTY; /* VRAM has the only copy */
    }
    world_drop_ram(w, other);
  }
  w->in_ram[frame] = page + 1;
  w->ram_frame[page] = frame;
  w->state[page] |= EMUV_PAGE_RAM;
  return frame;
}

/* Copies a dirty page of VRAM down; it may stay there. */
static inline void world_clean(struct world *w, uint32_t page)
{
  if (!(w->state[page] & EMUV_PAGE_DIRTY)) return;
  world_drop_slot(w, page);
  if (!(w->state[page] & EMUV_PAGE_RAM)) world_take_ram(w, page);
  world_move(w, &w->ram, false, page, w->vram_frame[page], w->ram_frame[page]);
  w->state[page] &= (uint8_t)~EMUV_PAGE_DIRTY;
  w->down++;
}

static inline uint32_t world_take_vram(struct world *w, uint32_t page, const uint8_t *keep)
{
  uint32_t n = w->env.vram_frames, frame = world_free_place(w, w->in_vram, n);
  if (frame == UINT32_MAX) {
    do frame = world_below(w, n);
    while (keep[w->in_vram[frame] - 1]);
    uint32_t other = w->in_vram[frame] - 1;
    world_clean(w, other);
    w->state[other] &= (uint8_t)~EMUV_PAGE_VRAM;
  }
  w->in_vram[frame] = page + 1;
  w->vram_frame[page] = frame;
  return frame;
}

/* Brings a page to VRAM; those in `keep` stay there. Unborn ones take a frame alone. */
static inline void world_bring(struct world *w, uint32_t page, const uint8_t *keep)
{
  if (w->state[page] & EMUV_PAGE_VRAM) return;
  bool born = w->state[page] != 0;
  if (born && !(w->state[page] & EMUV_PAGE_RAM)) {
    uint32_t frame = world_take_ram(w, page);
    world_move(w, &w->nvme, true, page, frame, w->nvme_slot[page]);
  }
  uint32_t frame = world_take_vram(w, page, keep);
  /* Making room may have cost the copy in RAM; then it is on the disk again. */
  if (born && !(w->state[page] & EMUV_PAGE_RAM)) {
    w->in_vram[frame] = 0;
    world_bring(w, page, keep);
    return;
  }
  if (born) {
    world_move(w, &w->ram, true, page, frame, w->ram_frame[page]);
    w->up++;
  }
  w->state[page] |= born ? EMUV_PAGE_VRAM : EMUV_PAGE_VRAM | EMUV_PAGE_DIRTY;
}

/* One slice: a few pages are brought and used, perhaps others are brought ahead or written through. */
static inline void world_slice(struct world *w)
{
  struct emuv_use use[3] = {{0}};
  uint8_t keep[WORLD_MAX] = {0};
  uint32_t n = 1 + world_below(w, 3);
  emuv_engine_gate(w->engine, world_below(w, 2) ? w->seq : 0);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t page = world_below(w, w->env.n_pages);
    if (keep[page]) page = (page + 1) % w->env.n_pages;
    if (keep[page]) page = (page + 1) % w->env.n_pages;
    bool unborn = w->state[page] == 0, write = unborn || world_below(w, 3) == 0, read = !write || world_below(w, 2);
    keep[page] = 1;
    world_bring(w, page, keep);
    use[i] = (struct emuv_use){.page = page,
                               .frame = w->vram_frame[page],
                               .read = read,
                               .write = write,
                               .fresh = unborn,
                               .bytes = 16 + world_below(w, WORLD_PAGE)};
    if (write) {
      w->state[page] |= EMUV_PAGE_DIRTY;
      w->writes[page]++;
    }
  }
  world_note(w, emuv_engine_launch(w->engine, use, n, world_below(w, 60000), &w->seq, &w->err));
  if (world_below(w, 4) == 0) world_clean(w, use[0].page);
  uint32_t ahead = world_below(w, w->env.n_pages);
  if (world_below(w, 2) && w->state[ahead]) world_bring(w, ahead, keep);
  world_note(w, emuv_engine_tend(w->engine, &w->pager, &w->err));
}

static inline void world_run(struct world *w, uint32_t slices)
{
  for (uint32_t i = 0; i < slices && !w->rc; i++) {
    world_slice(w);
    if (!w->rc && world_below(w, 40) == 0) world_note(w, emuv_engine_wait(w->engine, w->seq, &w->err));
  }
}

/* Every copy is right, and every page can be read back with the contents that its writes gave it. */
static inline void world_check(struct world *w)
{
  struct emuv_engine_stats stats;
  struct emuv_damage damage;
  uint64_t copies = 0, word[WORLD_PAGE / 8];
  if (w->rc) print_error("%s\n", w->err.text);
  assert_int_equal(w->rc, 0);
  assert_int_equal(emuv_engine_audit(w->engine, &w->pager, &copies, &w->err), 0);
  while (emuv_engine_damage(w->engine, &damage, 1))
    print_error("page %u version %u offset %llu kernel %llu path %s\n", damage.page, damage.version,
                (unsigned long long)damage.offset, (unsigned long long)damage.kernel, damage.path);
  emuv_engine_stats(w->engine, &stats);
  assert_int_equal(stats.mismatches, 0);
  uint64_t expected = 0;
  for (uint32_t i = 0; i < w->env.n_pages; i++) {
    uint8_t s = w->state[i];
    if (!s) continue;
    expected += (s & EMUV_PAGE_VRAM ? 1u : 0u) + (!(s & EMUV_PAGE_DIRTY) && (s & EMUV_PAGE_RAM) ? 1u : 0u) +
                (!(s & EMUV_PAGE_DIRTY) && (s & EMUV_PAGE_NVME) ? 1u : 0u);
    assert_int_equal(emuv_engine_version(w->engine, i), w->writes[i]);
    assert_int_equal(emuv_engine_save(w->engine, &w->pager, i, word, &w->err), 0);
    for (uint32_t k = 0; k < WORLD_PAGE / 8; k++)
      assert_true(word[k] == emuv_content_word(emuv_content_seed(i, w->writes[i]), k));
  }
  assert_true(copies == expected);
  assert_true(stats.up_bytes == w->up * WORLD_PAGE);
  assert_true(stats.down_bytes == w->down * WORLD_PAGE);
}

#endif
