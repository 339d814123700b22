// SPDX-License-Identifier: Apache-2.0
/* Contents of pages out and in, for checkpoints. Nothing is in flight then. */
#include "runtime/engine/internal.h"

#include <string.h>

uint32_t emuv_engine_version(const struct emuv_engine *e, uint32_t page)
{
  return e->books.page[page].version;
}

int emuv_engine_save(struct emuv_engine *e, const struct emuv_pager *pager, uint32_t page, void *memory,
                     struct emuv_err *err)
{
  char *scratch = emuv_engine_ram(e, e->scratch_first);
  int rc = emuv_engine_check(e, err);
  if (rc) return rc;
  if (emuv_engine_has_copy(pager, page, EMUV_PLACE_VRAM))
    rc = emuv_engine_copy_now(e, false, pager->vram_frame[page], scratch, err);
  else if (emuv_engine_has_copy(pager, page, EMUV_PLACE_RAM))
    return emuv_engine_ram_read(e, pager->ram_frame[page], 0, memory, e->env.page_bytes, err);
  else if (emuv_engine_has_copy(pager, page, EMUV_PLACE_NVME))
    rc = emuv_engine_disk_now(e, false, pager->nvme_slot[page], scratch, err);
  else
    return emuv_err_set(err, EMUV_ERR_RANGE, "page %u has no contents to save", page);
  if (!rc) memcpy(memory, scratch, e->env.page_bytes);
  return rc;
}

static int load_slot(struct emuv_engine *e, uint32_t slot, struct emuv_err *err)
{
  int rc = emuv_engine_reserve(e, slot, err);
  e->books.slot[slot] = EMUV_STEP_NVME;
  return rc ? rc : emuv_engine_disk_now(e, true, slot, emuv_engine_ram(e, e->scratch_first), err);
}

int emuv_engine_load(struct emuv_engine *e, const struct emuv_pager *pager, uint32_t page, uint32_t version,
                     const void *memory, struct emuv_err *err)
{
  char *scratch = emuv_engine_ram(e, e->scratch_first);
  int rc = emuv_engine_check(e, err);
  if (rc) return rc;
  if (pager->env.initial && pager->env.initial[page]) e->books.page[page].known = 1;
  e->books.page[page].version = version;
  memcpy(scratch, memory, e->env.page_bytes);
  if (emuv_engine_has_copy(pager, page, EMUV_PLACE_VRAM)) {
    rc = emuv_engine_copy_now(e, true, pager->vram_frame[page], scratch, err);
    e->books.vram[pager->vram_frame[page]] = EMUV_STEP_VRAM | EMUV_PATH_NEW;
  }
  if (emuv_engine_has_copy(pager, page, EMUV_PLACE_RAM)) {
    uint32_t frame = pager->ram_frame[page];
    if (!rc) rc = emuv_engine_ram_write(e, frame, 0, memory, e->env.page_bytes, err);
    e->books.ram[frame] = emuv_engine_ram_step(e, frame);
  }
  if (!rc && emuv_engine_has_copy(pager, page, EMUV_PLACE_NVME)) rc = load_slot(e, pager->nvme_slot[page], err);
  return rc;
}
