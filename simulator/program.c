// SPDX-License-Identifier: Apache-2.0
/* Builds the reference program (see program.h). Two passes over the launches: one counts, one fills. */
#include "simulator/program.h"

#include <stdlib.h>

struct builder {
  const struct emuv_workload *w;
  struct emuv_program *p; /* arrays NULL in the counting pass */
  uint64_t page, slice_pages;
  uint64_t refs;
  size_t runs, slices;
  uint32_t room; /* pages that the open slice still takes */
  uint64_t op_pages;
};

static uint32_t run_flags(uint32_t range_flags)
{
  return (range_flags & EMUV_RANGE_WRITE ? EMUV_RUN_WRITE : 0) |
         (range_flags & EMUV_RANGE_DYNAMIC ? EMUV_RUN_DYNAMIC : 0);
}

static void open_slice(struct builder *b, uint32_t op, bool opens_op)
{
  if (b->p->slices) {
    b->p->slices[b->slices] = (struct emuv_slice){
        .first_run = (uint32_t)b->runs, .op = op, .first_ref = (uint32_t)b->refs, .opens_op = opens_op};
    b->p->slice_layer[b->slices] = b->w->ops[op].layer;
  }
  b->slices++;
  b->room = (uint32_t)b->slice_pages;
}

static void put_run(struct builder *b, uint64_t first, uint64_t n, uint32_t flags)
{
  if (b->p->runs) {
    b->p->runs[b->runs] = (struct emuv_page_run){.first = (uint32_t)first, .n = (uint32_t)n, .flags = flags};
    b->p->slices[b->slices - 1].n_runs++;
    b->p->slices[b->slices - 1].share += (float)n; /* pages; made a share when the launch is complete */
  }
  b->runs++;
  b->refs += n;
  b->op_pages += n;
  b->room -= (uint32_t)n;
}

static void put_pages(struct builder *b, uint32_t op, uint64_t first, uint64_t n, uint32_t flags)
{
  while (n) {
    if (!b->room) open_slice(b, op, false);
    uint64_t m = n < b->room ? n : b->room;
    put_run(b, first, m, flags);
    first += m;
    n -= m;
  }
}

/* A range as page runs: pages at its ends that it covers only in part are not "new". */
static void put_range(struct builder *b, uint32_t op, const struct emuv_range *range, uint64_t *last_page)
{
  uint64_t from = range->offset / b->page, to = (range->offset + range->bytes - 1) / b->page + 1;
  uint32_t flags = run_flags(range->flags);
  if (from == *last_page && !(flags & EMUV_RUN_WRITE)) from++;
  *last_page = to - 1;
  if (from >= to) return;
  uint64_t whole_from = from, whole_to = from;
  if (range->flags & EMUV_RANGE_NEW) {
    whole_from = (range->offset + b->page - 1) / b->page;
    whole_to = (range->offset + range->bytes) / b->page;
    if (whole_from < from) whole_from = from;
    if (whole_to < whole_from) whole_to = whole_from;
  }
  put_pages(b, op, from, (whole_from < to ? whole_from : to) - from, flags);
  if (whole_from >= to) return;
  put_pages(b, op, whole_from, whole_to - whole_from, flags | EMUV_RUN_NEW);
  put_pages(b, op, whole_to, to - whole_to, flags);
}

static void close_op(struct builder *b, size_t first_slice)
{
  if (!b->p->slices) return;
  for (size_t s = first_slice; s < b->slices; s++) {
    struct emuv_slice *slice = &b->p->slices[s];
    slice->share = b->op_pages ? slice->share / (float)b->op_pages : 1.0f / (float)(b->slices - first_slice);
  }
}

static void put_op(struct builder *b, uint32_t i)
{
  const struct emuv_op *op = &b->w->ops[i];
  uint64_t last_page = UINT64_MAX;
  size_t first_slice = b->slices;
  b->op_pages = 0;
  open_slice(b, i, true);
  for (uint32_t r = 0; r < op->n_ranges; r++) put_range(b, i, &b->w->ranges[op->first_range + r], &last_page);
  close_op(b, first_slice);
}

static void walk(struct builder *b)
{
  b->refs = 0;
  b->runs = b->slices = 0;
  for (size_t s = 0; s < b->w->n_steps; s++) {
    const struct emuv_step *step = &b->w->steps[s];
    if (b->p->step_first_slice) b->p->step_first_slice[s] = (uint32_t)b->slices;
    for (uint32_t i = 0; i < step->n_ops; i++) put_op(b, step->first_op + i);
  }
  if (b->p->step_first_slice) b->p->step_first_slice[b->w->n_steps] = (uint32_t)b->slices;
}

/* What earlier ranges of the program have written whole in one segment; one interval that grows is enough for appended
 * caches and for buffers. */
struct written {
  uint64_t from, to;
};

static void grow(struct written *w, uint64_t from, uint64_t to)
{
  if (from > w->to || to < w->from || w->from == w->to) {
    *w = (struct written){from, to};
    return;
  }
  if (from < w->from) w->from = from;
  if (to > w->to) w->to = to;
}

static void note_range(struct emuv_program *p, const struct emuv_range *r, struct written *w)
{
  uint64_t end = r->offset + r->bytes, page = p->page_bytes;
  if (r->flags & EMUV_RANGE_NEW) {
    grow(w, r->offset, end);
    return;
  }
  for (uint64_t i = r->offset / page; i * page < end; i++) {
    if (p->initial[i]) continue;
    uint64_t from = i * page > r->offset ? i * page : r->offset, to = (i + 1) * page < end ? (i + 1) * page : end;
    p->initial[i] = from < w->from || to > w->to;
  }
}

/* A page holds data at the start when some byte of it is used before the run itself has written it. */
static int find_initial(struct emuv_program *p, const struct emuv_workload *w, struct emuv_err *err)
{
  struct written *written = calloc(w->n_segments + 1, sizeof *written);
  if (!written) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %zu segments", w->n_segments);
  for (size_t r = 0; r < w->n_ranges; r++) note_range(p, &w->ranges[r], &written[w->ranges[r].segment]);
  free(written);
  return 0;
}

static int compare_layer(const void *a, const void *b)
{
  const struct emuv_segment *const *x = a, *const *y = b;
  if ((*x)->layer != (*y)->layer) return (*x)->layer < (*y)->layer ? -1 : 1;
  return (*x)->offset < (*y)->offset ? -1 : (*x)->offset > (*y)->offset;
}

static void add_layer_segment(struct emuv_program *p, const struct emuv_segment *s)
{
  uint64_t from = s->offset / p->page_bytes, to = (s->offset + s->bytes - 1) / p->page_bytes + 1;
  struct emuv_layer_pages *layer = &p->layers[s->layer];
  if (!layer->n_runs) layer->first_run = (uint32_t)p->n_layer_runs;
  struct emuv_page_run *last = layer->n_runs ? &p->layer_runs[p->n_layer_runs - 1] : NULL;
  if (last && from <= (uint64_t)last->first + last->n) { /* adjoins: extend */
    if (to > (uint64_t)last->first + last->n) last->n = (uint32_t)(to - last->first);
    return;
  }
  p->layer_runs[p->n_layer_runs++] = (struct emuv_page_run){.first = (uint32_t)from, .n = (uint32_t)(to - from)};
  layer->n_runs++;
}

static int build_layers(struct emuv_program *p, const struct emuv_workload *w, struct emuv_err *err)
{
  const struct emuv_segment **order = calloc(w->n_segments + 1, sizeof *order);
  size_t n = 0, layers = 0;
  for (size_t i = 0; order && i < w->n_segments; i++) {
    if (w->segments[i].layer < 0 || !w->segments[i].bytes) continue;
    order[n++] = &w->segments[i];
    if ((size_t)w->segments[i].layer >= layers) layers = (size_t)w->segments[i].layer + 1;
  }
  p->layers = calloc(layers + 1, sizeof *p->layers);
  p->layer_runs = calloc(n + 1, sizeof *p->layer_runs);
  if (order && p->layers && p->layer_runs) {
    qsort(order, n, sizeof *order, compare_layer);
    p->n_layers = layers;
    for (size_t i = 0; i < n; i++) add_layer_segment(p, order[i]);
  }
  bool ok = order && p->layers && p->layer_runs;
  free(order);
  return ok ? 0 : emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the layers of the workload");
}

static int allocate(struct emuv_program *p, const struct builder *b, struct emuv_err *err)
{
  p->n_runs = b->runs;
  p->n_slices = b->slices;
  p->n_refs = (uint32_t)b->refs;
  p->n_steps = b->w->n_steps;
  p->runs = calloc(p->n_runs + 1, sizeof *p->runs);
  p->slices = calloc(p->n_slices + 1, sizeof *p->slices);
  p->slice_layer = calloc(p->n_slices + 1, sizeof *p->slice_layer);
  p->step_first_slice = calloc(p->n_steps + 1, sizeof *p->step_first_slice);
  p->initial = calloc(p->n_pages + 1, 1);
  if (p->runs && p->slices && p->slice_layer && p->step_first_slice && p->initial) return 0;
  return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %zu page runs", b->runs);
}

static int fill(struct emuv_program *p, struct builder *b, struct emuv_err *err)
{
  int rc = allocate(p, b, err);
  if (rc) return rc;
  walk(b);
  rc = find_initial(p, b->w, err);
  return rc ? rc : build_layers(p, b->w, err);
}

int emuv_program_build(const struct emuv_workload *w, uint64_t page_bytes, uint64_t slice_bytes, struct emuv_program *p,
                       struct emuv_err *err)
{
  *p = (struct emuv_program){.page_bytes = page_bytes};
  uint64_t pages = (w->address_bytes + page_bytes - 1) / page_bytes;
  if (!pages || pages > INT32_MAX)
    return emuv_err_set(err, EMUV_ERR_RANGE, "%llu pages: a run has between 1 and 2^31-1", (unsigned long long)pages);
  p->n_pages = (uint32_t)pages;
  struct builder b = {
      .w = w, .p = p, .page = page_bytes, .slice_pages = slice_bytes > page_bytes ? slice_bytes / page_bytes : 1};
  walk(&b);
  if (b.refs > INT32_MAX || b.runs > INT32_MAX)
    return emuv_err_set(err, EMUV_ERR_RANGE,
                        "%llu page references are more than 2^31-1: use larger pages or fewer steps",
                        (unsigned long long)b.refs);
  int rc = fill(p, &b, err);
  if (rc) emuv_program_free(p);
  return rc;
}
