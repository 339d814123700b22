// SPDX-License-Identifier: Apache-2.0
/* Contents written and checked by the CPU: all cores make pages, in place in RAM or in scratch pages on their way to
 * the disk (in two halves, so that one is made while the other is written) or to another GPU. */
#include "runtime/device/content.h"
#include "runtime/engine/internal.h"
#include "runtime/engine/thread.h"

#include <stdlib.h>
#include <unistd.h>

enum { MAX_THREADS = 32 };

bool emuv_engine_has_copy(const struct emuv_pager *pager, uint32_t page, enum emuv_engine_place place)
{
  static const uint8_t bit[EMUV_N_PLACES] = {EMUV_PAGE_VRAM, EMUV_PAGE_RAM, EMUV_PAGE_NVME};
  uint8_t state = pager->state[page];
  bool newer_above = place != EMUV_PLACE_VRAM && (state & EMUV_PAGE_VRAM) && (state & EMUV_PAGE_DIRTY);
  return (state & bit[place]) && !newer_above;
}

void emuv_engine_write_contents(const struct emuv_engine *e, void *memory, uint32_t page, uint32_t version)
{
  uint64_t *word = memory, seed = emuv_content_seed(page, version), n = e->env.page_bytes / 8;
  for (uint64_t i = 0; i < n; i++) word[i] = emuv_content_word(seed, i);
}

uint64_t emuv_engine_check_contents(const struct emuv_engine *e, const void *memory, uint32_t page, uint32_t version)
{
  enum { BLOCK = 512 };
  const uint64_t *word = memory;
  uint64_t seed = emuv_content_seed(page, version), n = e->env.page_bytes / 8;
  for (uint64_t at = 0; at < n; at += BLOCK) {
    uint64_t wrong = 0;
    for (uint64_t i = at; i < at + BLOCK; i++) wrong |= word[i] ^ emuv_content_word(seed, i);
    for (uint64_t i = at; wrong && i < at + BLOCK; i++)
      if (word[i] != emuv_content_word(seed, i)) return i * 8;
  }
  return e->env.page_bytes;
}

/* Several threads. */

struct team {
  atomic_uint next;
  uint32_t n;
  void (*fn)(void *arg, uint32_t i);
  void *arg;
};

static void *work(void *arg)
{
  struct team *t = arg;
  for (uint32_t i; (i = atomic_fetch_add(&t->next, 1)) < t->n;) t->fn(t->arg, i);
  return NULL;
}

int emuv_engine_threads(const struct emuv_engine *e)
{
  long cores = e->env.threads > 0 ? e->env.threads : sysconf(_SC_NPROCESSORS_ONLN);
  return cores < 1 ? 1 : cores > MAX_THREADS ? MAX_THREADS : (int)cores;
}

void emuv_engine_parallel(const struct emuv_engine *e, uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg)
{
  struct team team = {.n = n, .fn = fn, .arg = arg};
  pthread_t thread[MAX_THREADS];
  int wanted = emuv_engine_threads(e) - 1, started = 0;
  if ((uint32_t)wanted >= n) wanted = n ? (int)n - 1 : 0;
  while (started < wanted && !emuv_thread_start(&thread[started], work, &team)) started++;
  work(&team); /* this thread too, alone if no other could be had */
  for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
}

/* Filling. */

struct fill {
  struct emuv_engine *e;
  const struct emuv_pager *pager;
  uint32_t *page; /* of the disk, now in scratch */
  uint32_t first; /* frame of scratch */
};

bool emuv_engine_stopped(void *engine)
{
  const struct emuv_engine *e = engine;
  return e->env.stop && atomic_load_explicit(e->env.stop, memory_order_relaxed);
}

static void fill_ram(void *arg, uint32_t page)
{
  const struct fill *f = arg;
  if (emuv_engine_stopped(f->e)) return;
  if (!emuv_engine_has_copy(f->pager, page, EMUV_PLACE_RAM)) return;
  uint32_t frame = f->pager->ram_frame[page];
  if (emuv_engine_is_peer(f->e, frame)) return;
  emuv_engine_write_contents(f->e, emuv_engine_ram(f->e, frame), page, f->e->books.page[page].version);
  f->e->books.ram[frame] = EMUV_STEP_RAM;
}

static void fill_scratch(void *arg, uint32_t i)
{
  const struct fill *f = arg;
  uint32_t page = f->page[i];
  if (emuv_engine_stopped(f->e)) return;
  emuv_engine_write_contents(f->e, emuv_engine_ram(f->e, f->first + i), page, f->e->books.page[page].version);
}

static int reserve_all(struct emuv_engine *e, const struct emuv_pager *pager, struct emuv_err *err)
{
  uint32_t last = 0;
  bool any = false;
  for (uint32_t i = 0; i < e->env.n_pages; i++) {
    if (!(pager->state[i] & EMUV_PAGE_NVME)) continue;
    any = true;
    if (pager->nvme_slot[i] > last) last = pager->nvme_slot[i];
  }
  return any ? emuv_engine_reserve(e, last, err) : 0;
}

/* Does the page lie where the CPU cannot write: on the disk, or in another GPU's memory? */
static bool is_beyond(const struct emuv_engine *e, const struct emuv_pager *pager, uint32_t page,
                      enum emuv_engine_place place)
{
  if (!emuv_engine_has_copy(pager, page, place)) return false;
  return place == EMUV_PLACE_NVME || emuv_engine_is_peer(e, pager->ram_frame[page]);
}

/* Next pages of that kind, at most max. */
static uint32_t list_pages(struct fill *f, enum emuv_engine_place place, uint32_t *next, uint32_t max)
{
  uint32_t n = 0;
  for (; *next < f->e->env.n_pages && n < max; (*next)++)
    if (is_beyond(f->e, f->pager, *next, place)) f->page[n++] = *next;
  return n;
}

static int fill_peer(struct fill *f, struct emuv_err *err)
{
  struct emuv_engine *e = f->e;
  uint32_t next = 0, n;
  int rc = 0;
  f->first = e->scratch_first;
  while (!rc && !emuv_engine_stopped(e) && (n = list_pages(f, EMUV_PLACE_RAM, &next, e->scratch_pages)) > 0) {
    emuv_engine_parallel(e, n, fill_scratch, f);
    for (uint32_t i = 0; i < n && !rc; i++) {
      uint32_t frame = f->pager->ram_frame[f->page[i]];
      rc = emuv_engine_ram_write(e, frame, 0, emuv_engine_ram(e, f->first + i), e->env.page_bytes, err);
      e->books.ram[frame] = EMUV_STEP_PEER;
    }
  }
  return rc;
}

static int fill_disk(struct fill *f, struct emuv_err *err)
{
  struct emuv_engine *e = f->e;
  uint32_t half = e->scratch_pages / 2, next = 0, n, k = 0;
  uint64_t seq[2] = {0};
  int rc = 0;
  while (!rc && !emuv_engine_stopped(e) && (n = list_pages(f, EMUV_PLACE_NVME, &next, half)) > 0) {
    rc = emuv_engine_disk_wait(e, true, seq[k], err);
    f->first = e->scratch_first + k * half;
    if (!rc) emuv_engine_parallel(e, n, fill_scratch, f);
    for (uint32_t i = 0; i < n && !rc; i++) {
      uint32_t slot = f->pager->nvme_slot[f->page[i]];
      rc = emuv_engine_disk_start(e, true, slot, emuv_engine_ram(e, f->first + i), &seq[k], err);
      e->books.slot[slot] = EMUV_STEP_NVME;
    }
    k = !k;
  }
  for (k = 0; k < 2 && !rc; k++) rc = emuv_engine_disk_wait(e, true, seq[k], err);
  return rc;
}

static int fill_beyond(struct fill *f, struct emuv_err *err)
{
  f->page = malloc(f->e->scratch_pages * sizeof *f->page);
  if (!f->page) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for a list of pages");
  int rc = f->e->queue ? fill_disk(f, err) : fill_peer(f, err);
  free(f->page);
  return rc;
}

int emuv_engine_fill(struct emuv_engine *e, const struct emuv_pager *pager, struct emuv_err *err)
{
  struct fill f = {.e = e, .pager = pager};
  int rc = emuv_engine_drain(e, err);
  if (!rc) rc = reserve_all(e, pager, err);
  if (rc) return rc;
  for (uint32_t i = 0; i < e->env.n_pages; i++)
    if (pager->state[i] & (EMUV_PAGE_RAM | EMUV_PAGE_NVME)) e->books.page[i].known = 1;
  emuv_engine_parallel(e, e->env.n_pages, fill_ram, &f);
  if (e->queue || e->layout.peer) rc = fill_beyond(&f, err);
  return rc || !emuv_engine_stopped(e) ? rc : emuv_err_set(err, EMUV_ERR_INTERRUPTED, "interrupted");
}
