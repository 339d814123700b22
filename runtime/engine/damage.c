// SPDX-License-Identifier: Apache-2.0
/* Wrong pages: reports of kernels and audits become reports to the user, one for each (page, version) until the page
 * has been repaired. Repair rewrites every copy of the newest contents, because they may all stem from the wrong one;
 * it waits until nothing is in flight, so that no report of the same harm comes later. */
#include "runtime/device/content.h"
#include "runtime/engine/internal.h"

#include <stdlib.h>

enum { AT_ONCE = 64 };

static bool is_known_wrong(const struct emuv_engine *e, const struct emuv_damage *d)
{
  for (uint32_t i = 0; i < e->n_wrong; i++)
    if (e->wrong[i].page == d->page && e->wrong[i].version == d->version) return true;
  return false;
}

int emuv_engine_note_damage(struct emuv_engine *e, const struct emuv_damage *d, struct emuv_err *err)
{
  if (is_known_wrong(e, d)) return 0;
  if (e->n_wrong == e->wrong_room) {
    uint32_t room = 2 * e->wrong_room + 64;
    struct emuv_engine_wrong *wrong = realloc(e->wrong, room * sizeof *wrong);
    if (!wrong) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %u wrong pages", room);
    e->wrong = wrong;
    e->wrong_room = room;
  }
  e->wrong[e->n_wrong++] = (struct emuv_engine_wrong){.page = d->page, .version = d->version};
  e->stats.mismatches++;
  if (e->damage_given - e->damage_taken < EMUV_ENGINE_DAMAGE) e->damage[e->damage_given++ % EMUV_ENGINE_DAMAGE] = *d;
  emuv_engine_flip_found(e, d);
  return 0;
}

int emuv_engine_take_reports(struct emuv_engine *e, struct emuv_err *err)
{
  struct emuv_mismatch found[AT_ONCE];
  uint64_t total;
  uint32_t n;
  int rc = 0;
  do {
    n = e->ops->mismatches(e->device, found, AT_ONCE, &total);
    for (uint32_t i = 0; i < n && !rc; i++) {
      const struct emuv_mismatch *m = &found[i];
      struct emuv_damage d = {.page = m->page,
                              .version = m->version,
                              .offset = m->offset,
                              .expected = m->expected,
                              .found = m->found,
                              .kernel = m->kernel};
      emuv_path_text(emuv_books_path(&e->books, m->page, m->kernel), d.path, sizeof d.path);
      rc = emuv_engine_note_damage(e, &d, err);
    }
  } while (n == AT_ONCE && !rc);
  return rc;
}

uint32_t emuv_engine_damage(struct emuv_engine *e, struct emuv_damage *out, uint32_t max)
{
  uint32_t n = 0;
  (void)emuv_engine_take_reports(e, NULL);
  while (n < max && e->damage_taken < e->damage_given) out[n++] = e->damage[e->damage_taken++ % EMUV_ENGINE_DAMAGE];
  return n;
}

static int repair_page(struct emuv_engine *e, const struct emuv_pager *pager, uint32_t page, struct emuv_err *err)
{
  char *scratch = emuv_engine_ram(e, e->scratch_first);
  uint32_t version = e->books.page[page].version;
  int rc = 0;
  if (!e->books.page[page].known) return 0;
  emuv_engine_write_contents(e, scratch, page, version);
  if (emuv_engine_has_copy(pager, page, EMUV_PLACE_VRAM)) {
    rc = emuv_engine_copy_now(e, true, pager->vram_frame[page], scratch, err);
    e->books.vram[pager->vram_frame[page]] = EMUV_STEP_VRAM | EMUV_PATH_NEW;
  }
  if (emuv_engine_has_copy(pager, page, EMUV_PLACE_RAM)) {
    uint32_t frame = pager->ram_frame[page];
    if (!rc) rc = emuv_engine_ram_write(e, frame, 0, scratch, e->env.page_bytes, err);
    e->books.ram[frame] = emuv_engine_ram_step(e, frame);
  }
  if (!rc && emuv_engine_has_copy(pager, page, EMUV_PLACE_NVME)) {
    rc = emuv_engine_disk_now(e, true, pager->nvme_slot[page], scratch, err);
    e->books.slot[pager->nvme_slot[page]] = EMUV_STEP_NVME;
  }
  return rc;
}

int emuv_engine_repair(struct emuv_engine *e, const struct emuv_pager *pager, struct emuv_err *err)
{
  int rc = 0;
  for (uint32_t i = 0; i < e->n_wrong && !rc; i++) rc = repair_page(e, pager, e->wrong[i].page, err);
  e->n_wrong = 0;
  return rc;
}
