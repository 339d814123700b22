// SPDX-License-Identifier: Apache-2.0
/* Page references to uses; see uses.h. */
#include "runtime/replay/uses.h"

#include <stdlib.h>
#include <string.h>

enum { VOLUME_STEP = 16 };

/* The most pages that one slice references. */
static uint32_t largest_slice(const struct emuv_program *p)
{
  uint32_t most = 1;
  for (size_t i = 0; i < p->n_slices; i++) {
    uint32_t end = i + 1 < p->n_slices ? p->slices[i + 1].first_ref : p->n_refs;
    if (end - p->slices[i].first_ref > most) most = end - p->slices[i].first_ref;
  }
  return most;
}

static double op_bytes(const struct emuv_workload *w, const struct emuv_op *op)
{
  double sum = 0;
  if (op->bytes > 0) return op->bytes;
  for (uint32_t i = 0; i < op->n_ranges; i++) sum += (double)w->ranges[op->first_range + i].bytes;
  return sum;
}

int emuv_uses_init(struct emuv_uses *u, const struct emuv_machine_run *run, struct emuv_err *err)
{
  uint32_t n_pages = run->program->n_pages;
  *u = (struct emuv_uses){.use = calloc(largest_slice(run->program), sizeof *u->use),
                          .at = calloc(n_pages + 1, sizeof *u->at),
                          .stamp = calloc(n_pages + 1, sizeof *u->stamp),
                          .has_data = malloc(n_pages + 1),
                          .bytes_of_op = calloc(run->workload->n_ops + 1, sizeof *u->bytes_of_op)};
  if (!u->use || !u->at || !u->stamp || !u->has_data || !u->bytes_of_op) {
    emuv_uses_free(u);
    return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %u pages", n_pages);
  }
  memcpy(u->has_data, run->program->initial, n_pages);
  for (size_t i = 0; i < run->workload->n_ops; i++) u->bytes_of_op[i] = op_bytes(run->workload, &run->workload->ops[i]);
  return 0;
}

void emuv_uses_free(struct emuv_uses *u)
{
  free(u->use);
  free(u->at);
  free(u->stamp);
  free(u->has_data);
  free(u->bytes_of_op);
  *u = (struct emuv_uses){0};
}

static void add(struct emuv_uses *u, uint32_t page, uint32_t frame, uint32_t flags)
{
  bool again = u->stamp[page] == u->now, whole = (flags & EMUV_RUN_NEW) && (flags & EMUV_RUN_WRITE),
       fresh = whole || !u->has_data[page];
  if (again) {
    struct emuv_use *use = &u->use[u->at[page]];
    use->write |= (flags & EMUV_RUN_WRITE) != 0;
    return;
  }
  u->stamp[page] = u->now;
  u->at[page] = u->n;
  u->has_data[page] = 1;
  u->use[u->n++] = (struct emuv_use){
      .page = page, .frame = frame, .read = !fresh, .write = fresh || (flags & EMUV_RUN_WRITE), .fresh = fresh};
}

/* The recorded volume, spread evenly; at least one step, at most a page each. */
static void spread_volume(struct emuv_uses *u, double bytes, uint64_t page_bytes)
{
  if (!u->n) return;
  double each = bytes / u->n;
  uint64_t volume = each >= (double)page_bytes ? page_bytes : (uint64_t)each;
  volume = (volume + VOLUME_STEP - 1) / VOLUME_STEP * VOLUME_STEP;
  if (volume < VOLUME_STEP) volume = VOLUME_STEP;
  if (volume > page_bytes) volume = page_bytes;
  for (uint32_t i = 0; i < u->n; i++) u->use[i].bytes = volume;
}

void emuv_uses_build(struct emuv_uses *u, const struct emuv_machine_run *run, const struct emuv_part *part,
                     const uint32_t *frame)
{
  const struct emuv_program *p = run->program;
  const struct emuv_slice *s = &p->slices[part->slice];
  uint32_t skip = part->first_ref, left = part->n_refs;
  u->n = 0;
  u->now++;
  for (uint32_t r = 0; r < s->n_runs && left; r++) {
    const struct emuv_page_run *pages = &p->runs[s->first_run + r];
    uint32_t from = skip < pages->n ? skip : pages->n, n = pages->n - from;
    skip -= from;
    if (n > left) n = left;
    left -= n;
    for (uint32_t i = pages->first + from; i < pages->first + from + n; i++) add(u, i, frame[i], pages->flags);
  }
  spread_volume(u, u->bytes_of_op[s->op] * part->share, p->page_bytes);
}
