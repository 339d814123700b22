// SPDX-License-Identifier: Apache-2.0
/* Audit: every copy of every page's newest contents is read and compared: in VRAM by kernels, in RAM by all cores where
 * it lies, on the disk and in another GPU's memory by all cores in scratch pages, one half of which is read while the
 * other is checked. */
#include "runtime/device/content.h"
#include "runtime/engine/internal.h"

#include <stdlib.h>

enum { CHUNK = 4096, TOUCHES = 1024 };

struct audit {
  struct emuv_engine *e;
  const struct emuv_pager *pager;
  uint64_t checked;
  struct group {
    const struct emuv_engine *e;
    uint32_t n, page[CHUNK];
    const char *memory[CHUNK];
    uint64_t wrong[CHUNK], seq;
    uint32_t path[CHUNK];
  } group[2];
};

static bool is_there(const struct audit *a, uint32_t page, enum emuv_engine_place place)
{
  return a->e->books.page[page].known && emuv_engine_has_copy(a->pager, page, place);
}

static int check_vram(struct audit *a, struct emuv_err *err)
{
  struct emuv_engine *e = a->e;
  struct emuv_touch *touch = malloc(TOUCHES * sizeof *touch);
  struct emuv_after none = {{0}};
  uint32_t n = 0;
  int rc = touch ? 0 : emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for an audit");
  for (uint32_t i = 0; i < e->env.n_pages && !rc; i++) {
    if (is_there(a, i, EMUV_PLACE_VRAM)) {
      uint32_t frame = a->pager->vram_frame[i];
      emuv_books_note_check(&e->books, i, e->board.given[EMUV_STREAM_COMPUTE] + 1, e->books.vram[frame]);
      e->books.vram[frame] = EMUV_STEP_VRAM;
      touch[n++] = (struct emuv_touch){.page = i,
                                       .version = e->books.page[i].version,
                                       .frame = frame,
                                       .flags = EMUV_TOUCH_READ | EMUV_TOUCH_CHECK,
                                       .bytes = e->env.page_bytes};
      a->checked++;
    }
    if (n < TOUCHES && !(n && i + 1 == e->env.n_pages)) continue;
    struct emuv_kernel kernel = {.touch = touch, .n_touches = n};
    rc = emuv_engine_submit(e, &kernel, &none, err);
    n = 0;
  }
  free(touch);
  return rc ? rc : emuv_engine_drain(e, err); /* takes the reports */
}

static void check_one(void *arg, uint32_t i)
{
  struct group *g = arg;
  g->wrong[i] = emuv_engine_check_contents(g->e, g->memory[i], g->page[i], g->e->books.page[g->page[i]].version);
}

/* Compares the pages of a group and reports those that are wrong. */
static int check_group(struct audit *a, int which, struct emuv_err *err)
{
  struct group *g = &a->group[which];
  int rc = 0;
  emuv_engine_parallel(a->e, g->n, check_one, g);
  for (uint32_t i = 0; i < g->n && !rc; i++) {
    a->checked++;
    if (g->wrong[i] == a->e->env.page_bytes) continue;
    uint32_t version = a->e->books.page[g->page[i]].version;
    struct emuv_damage d = {.page = g->page[i], .version = version, .offset = g->wrong[i]};
    d.expected = emuv_content_word(emuv_content_seed(d.page, version), d.offset / 8);
    d.found = *(const uint64_t *)(const void *)(g->memory[i] + d.offset);
    emuv_path_text(g->path[i], d.path, sizeof d.path);
    rc = emuv_engine_note_damage(a->e, &d, err);
  }
  g->n = 0;
  return rc;
}

static int check_ram(struct audit *a, struct emuv_err *err)
{
  struct group *g = &a->group[0];
  int rc = 0;
  for (uint32_t i = 0; i < a->e->env.n_pages && !rc; i++) {
    if (is_there(a, i, EMUV_PLACE_RAM) && !emuv_engine_is_peer(a->e, a->pager->ram_frame[i])) {
      uint32_t frame = a->pager->ram_frame[i];
      g->page[g->n] = i;
      g->path[g->n] = a->e->books.ram[frame];
      g->memory[g->n++] = emuv_engine_ram(a->e, frame);
    }
    if (g->n == CHUNK) rc = check_group(a, 0, err);
  }
  return rc ? rc : check_group(a, 0, err);
}

static int check_peer(struct audit *a, struct emuv_err *err)
{
  struct emuv_engine *e = a->e;
  struct group *g = &a->group[0];
  int rc = 0;
  for (uint32_t i = 0; i < e->env.n_pages && !rc; i++) {
    uint32_t frame = a->pager->ram_frame[i];
    if (!is_there(a, i, EMUV_PLACE_RAM) || !emuv_engine_is_peer(e, frame)) continue;
    char *memory = emuv_engine_ram(e, e->scratch_first + g->n);
    rc = emuv_engine_ram_read(e, frame, 0, memory, e->env.page_bytes, err);
    g->page[g->n] = i;
    g->path[g->n] = e->books.ram[frame];
    g->memory[g->n++] = memory;
    if (!rc && g->n == e->scratch_pages) rc = check_group(a, 0, err);
  }
  return rc ? rc : check_group(a, 0, err);
}

/* Starts to read the next pages of the disk into one half of scratch. */
static int read_group(struct audit *a, int which, uint32_t *next, struct emuv_err *err)
{
  struct emuv_engine *e = a->e;
  struct group *g = &a->group[which];
  uint32_t half = e->scratch_pages / 2;
  int rc = 0;
  for (; *next < e->env.n_pages && g->n < half && !rc; (*next)++) {
    if (!is_there(a, *next, EMUV_PLACE_NVME)) continue;
    uint32_t slot = a->pager->nvme_slot[*next];
    char *memory = emuv_engine_ram(e, e->scratch_first + (uint32_t)which * half + g->n);
    rc = emuv_engine_disk_start(e, false, slot, memory, &g->seq, err);
    g->page[g->n] = *next;
    g->path[g->n] = e->books.slot[slot];
    g->memory[g->n++] = memory;
  }
  return rc;
}

static int check_disk(struct audit *a, struct emuv_err *err)
{
  uint32_t next = 0;
  int which = 0, rc = read_group(a, 0, &next, err);
  while (!rc && a->group[which].n) {
    rc = read_group(a, !which, &next, err);
    if (!rc) rc = emuv_engine_disk_wait(a->e, false, a->group[which].seq, err);
    if (!rc) rc = check_group(a, which, err);
    which = !which;
  }
  return rc;
}

int emuv_engine_audit(struct emuv_engine *e, const struct emuv_pager *pager, uint64_t *pages, struct emuv_err *err)
{
  struct audit *a = calloc(1, sizeof *a);
  if (!a) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for an audit");
  a->e = e;
  a->group[0].e = a->group[1].e = e;
  a->pager = pager;
  int rc = emuv_engine_drain(e, err);
  if (!rc) rc = check_vram(a, err);
  if (!rc) rc = check_ram(a, err);
  if (!rc && e->layout.peer) rc = check_peer(a, err);
  if (!rc && e->queue) rc = check_disk(a, err);
  if (!rc) rc = emuv_engine_repair(e, pager, err);
  if (!rc) emuv_engine_flips_settle(e, true);
  *pages = a->checked;
  free(a);
  return rc;
}
