// SPDX-License-Identifier: Apache-2.0
/* What the kernels of a replay do; see kernels.h. */
#include "simulator/kernels.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_UNITS = 8, UNIT_BYTES = 4096 }; /* what one block of a replay's kernel touches (runtime/device/touch.h) */

int emuv_kernels_init(struct emuv_kernels *k, const struct emuv_machine_run *run, struct emuv_err *err)
{
  uint32_t n_pages = run->program->n_pages;
  *k = (struct emuv_kernels){.run = run,
                             .frame = calloc(run->vram_frames + 1, sizeof *k->frame),
                             .has_data = malloc(n_pages + 1),
                             .touched_by = calloc(n_pages + 1, sizeof *k->touched_by)};
  if (!k->frame || !k->has_data || !k->touched_by) {
    emuv_kernels_free(k);
    return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %u pages", n_pages);
  }
  memcpy(k->has_data, run->program->initial, n_pages);
  return 0;
}

void emuv_kernels_free(struct emuv_kernels *k)
{
  free(k->frame);
  free(k->has_data);
  free(k->touched_by);
  *k = (struct emuv_kernels){0};
}

struct kernel {
  struct emuv_kernels *k;
  double page_bytes, each_bytes, now_ns, bytes, written_bytes;
  bool in, out;
};

/* The page again, within one kernel. */
static void touch_again(struct kernel *t, struct emuv_tier_frame *f, bool writes)
{
  if (!writes || f->written_by == t->k->n) return;
  f->written_by = t->k->n;
  f->is_new = true;
  t->written_bytes += t->page_bytes;
}

static void touch_page(struct kernel *t, uint32_t page, uint32_t flags)
{
  struct emuv_kernels *k = t->k;
  struct emuv_tier_frame *f = &k->frame[k->run->pager->vram_frame[page]];
  bool fresh = ((flags & EMUV_RUN_NEW) && (flags & EMUV_RUN_WRITE)) || !k->has_data[page];
  bool writes = fresh || (flags & EMUV_RUN_WRITE);
  t->in |= f->in_ns > t->now_ns;
  t->out |= writes && f->out_ns > t->now_ns;
  if (k->touched_by[page] == k->n) {
    touch_again(t, f, writes);
    return;
  }
  if (writes)
    t->written_bytes += fresh ? t->page_bytes : 2 * t->page_bytes;
  else
    t->bytes += f->is_new ? t->page_bytes : t->each_bytes;
  if (writes) f->written_by = k->n;
  f->is_new = writes;
  k->has_data[page] = 1;
  k->touched_by[page] = k->n;
}

void emuv_kernels_touch(struct emuv_kernels *k, const struct emuv_part *part, double op_bytes, double now_ns,
                        struct emuv_touched *touched)
{
  const struct emuv_program *p = k->run->program;
  const struct emuv_slice *s = &p->slices[part->slice];
  uint32_t skip = part->first_ref, left = part->n_refs;
  struct kernel t = {.k = k, .page_bytes = (double)k->run->page_bytes, .now_ns = now_ns};
  t.each_bytes = op_bytes * part->share / (part->n_refs ? part->n_refs : 1);
  if (t.each_bytes > t.page_bytes) t.each_bytes = t.page_bytes;
  k->n++;
  for (uint32_t i = 0; i < s->n_runs && left; i++) {
    const struct emuv_page_run *run = &p->runs[s->first_run + i];
    uint32_t from = skip < run->n ? skip : run->n, n = run->n - from < left ? run->n - from : left;
    skip -= from;
    left -= n;
    for (uint32_t page = run->first + from; page < run->first + from + n; page++) touch_page(&t, page, run->flags);
  }
  double all = t.bytes + t.written_bytes;
  *touched = (struct emuv_touched){.bytes = t.bytes,
                                   .written_bytes = t.written_bytes,
                                   .wide = part->n_refs > BLOCK_UNITS || all > BLOCK_UNITS * UNIT_BYTES,
                                   .n_waits = (uint32_t)t.in + t.out};
}
