// SPDX-License-Identifier: Apache-2.0
/* See merge.h. Both traces are read into what merging needs (merge_side.h), the default one with its graphs' launches
 * expanded, and judged; then the default trace is read again, record by record, and written with its launches changed.
 */
#include "tracer/format/merge.h"

#include "tracer/format/align.h"
#include "tracer/format/merge_side.h"
#include "tracer/format/reader.h"
#include "tracer/format/schema.h"
#include "tracer/format/writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SET_MIN = 4 };

struct merging {
  struct emuv_trace_data data; /* default */
  struct emuv_merge_side d, p; /* default, pages */
  size_t *launch;              /* of d: index in p, SIZE_MAX for none */
  size_t *allocation;          /* of p: index in d */
  struct emuv_trace_operand *out;
  size_t n_out, cap_out;
  struct emuv_merge *result;
  struct emuv_merge_kernel **kernel; /* by d's kernel index */
};

/* ---- operands ---- */

static bool push(struct merging *m, const struct emuv_trace_operand *o)
{
  if (m->n_out == m->cap_out) {
    const size_t cap = m->cap_out ? 2 * m->cap_out : 64;
    struct emuv_trace_operand *grown = realloc(m->out, cap * sizeof *grown);
    if (!grown) return false;
    m->out = grown;
    m->cap_out = cap;
  }
  m->out[m->n_out++] = *o;
  return true;
}

/* The operand in the default run's terms; false when its allocation has no partner. */
static bool translate(const struct merging *m, const struct emuv_trace_operand *o, struct emuv_trace_operand *to)
{
  const size_t i = emuv_merge_side_allocation(&m->p, o->allocation);
  if (i == SIZE_MAX || m->allocation[i] == SIZE_MAX) return false;
  *to = *o;
  to->allocation = m->d.allocations[m->allocation[i]].id;
  return true;
}

static bool overlaps(const struct emuv_trace_operand *list, size_t n, const struct emuv_trace_operand *o)
{
  for (size_t i = 0; i < n; i++)
    if (list[i].allocation == o->allocation && list[i].offset < o->offset + o->bytes &&
        o->offset < list[i].offset + list[i].bytes)
      return true;
  return false;
}

/* Calls take(page's part of the operand) for each page; addresses of the page run tell where pages begin. */
struct pieces {
  struct emuv_trace_operand rest;
  uint64_t address, page_bytes;
};

static struct pieces pieces_of(const struct merging *m, const struct emuv_trace_operand *o)
{
  const size_t i = emuv_merge_side_allocation(&m->p, o->allocation);
  const uint64_t base = i == SIZE_MAX ? 0 : m->p.allocations[i].address;
  return (struct pieces){.rest = *o, .address = base + o->offset, .page_bytes = m->result->page_bytes};
}

static bool next_piece(struct pieces *s, struct emuv_trace_operand *piece)
{
  if (s->rest.bytes == 0) return false;
  const uint64_t to_end = s->page_bytes - s->address % s->page_bytes;
  *piece = s->rest;
  if (piece->bytes > to_end) piece->bytes = to_end;
  s->rest.offset += piece->bytes;
  s->rest.bytes -= piece->bytes;
  s->address += piece->bytes;
  return true;
}

/* The launch's own operands overlap a part of the page run's page that begins here, in whichever allocation. */
static bool page_is_covered(const struct merging *m, const struct emuv_trace_launch *l,
                            const struct emuv_merge_operands *set, uint64_t page)
{
  for (uint32_t i = 0; i < set->n; i++) {
    const struct pieces whole = pieces_of(m, &set->list[i]);
    const uint64_t end = whole.address + whole.rest.bytes, page_end = page + whole.page_bytes;
    const uint64_t from = whole.address > page ? whole.address : page, to = end < page_end ? end : page_end;
    struct emuv_trace_operand piece = whole.rest, there;
    if (from >= to) continue;
    piece.offset += from - whole.address;
    piece.bytes = to - from;
    if (translate(m, &piece, &there) && overlaps(l->operands, l->n_operands, &there)) return true;
  }
  return false;
}

/* Pages of one observed operand that the launch's own operands leave out: counted for the kernel. */
static void referee(const struct merging *m, const struct emuv_trace_launch *l, const struct emuv_merge_operands *set,
                    const struct emuv_trace_operand *o, struct emuv_merge_kernel *k)
{
  struct pieces pieces = pieces_of(m, o);
  struct emuv_trace_operand piece, there;
  while (next_piece(&pieces, &piece)) {
    const bool mapped = translate(m, &piece, &there);
    k->pages++;
    if (mapped && overlaps(l->operands, l->n_operands, &there)) continue;
    if (page_is_covered(m, l, set, (pieces.address - 1) / pieces.page_bytes * pieces.page_bytes)) continue;
    k->uncovered++;
    k->unmapped += !mapped;
  }
}

/* The same pages, added to the launch's operands. */
static bool push_uncovered(struct merging *m, const struct emuv_trace_launch *l, const struct emuv_trace_operand *o)
{
  struct pieces pieces = pieces_of(m, o);
  struct emuv_trace_operand piece, there;
  while (next_piece(&pieces, &piece))
    if (translate(m, &piece, &there) && !overlaps(l->operands, l->n_operands, &there) && !push(m, &there)) return false;
  return true;
}

/* ---- a launch ---- */

static bool all_mapped(const struct merging *m, const struct emuv_merge_launch *p)
{
  struct emuv_trace_operand unused;
  const struct emuv_merge_operands *const set = &m->p.operands[p->operands];
  for (uint32_t i = 0; i < set->n; i++)
    if (!translate(m, &set->list[i], &unused)) return false;
  return true;
}

/* The operands of the page run instead of the launch's own, but for those from TMA descriptors. */
static bool take_observed(struct merging *m, const struct emuv_trace_launch *l, const struct emuv_merge_launch *p)
{
  const struct emuv_merge_operands *const set = &m->p.operands[p->operands];
  struct emuv_trace_operand o;
  for (uint32_t i = 0; i < l->n_operands; i++)
    if (l->operands[i].provenance == EMUV_TRACE_FROM_TENSORMAP && !push(m, &l->operands[i])) return false;
  for (uint32_t i = 0; i < set->n; i++)
    if (translate(m, &set->list[i], &o) && !push(m, &o)) return false;
  return true;
}

static bool take_own(struct merging *m, const struct emuv_trace_launch *l)
{
  for (uint32_t i = 0; i < l->n_operands; i++)
    if (!push(m, &l->operands[i])) return false;
  return true;
}

static bool is_observed(const struct merging *m, const struct emuv_merge_launch *p)
{
  return p->cls != EMUV_TRACE_CLASS_GAP && all_mapped(m, p);
}

/* Fills m->out and the launch's class from its partner. */
static bool join(struct merging *m, struct emuv_trace_launch *l, const struct emuv_merge_launch *p)
{
  const struct emuv_merge_operands *const set = &m->p.operands[p->operands];
  if (is_observed(m, p)) {
    l->cls = p->cls;
    return take_observed(m, l, p);
  }
  if (!take_own(m, l)) return false;
  for (uint32_t i = 0; i < set->n; i++)
    if (!push_uncovered(m, l, &set->list[i])) return false;
  return true;
}

/* Launch i of the default trace against its partner. */
static void judge(const struct merging *m, size_t i)
{
  struct emuv_merge_kernel *const k = m->kernel[m->d.launches[i].kernel];
  k->launches++;
  if (m->launch[i] == SIZE_MAX) return;
  const struct emuv_merge_launch *const p = &m->p.launches[m->launch[i]];
  const struct emuv_merge_operands *const set = &m->p.operands[p->operands];
  const uint64_t before = k->uncovered;
  for (uint32_t n = 0; n < set->n; n++) referee(m, &m->data.launches[i], set, &set->list[n], k);
  k->joined++;
  k->unobserved += !is_observed(m, p);
  k->uncovered_launches += k->uncovered != before;
}

static void set_operands(struct merging *m, struct emuv_trace_writer *w, struct emuv_trace_launch *l)
{
  const uint32_t n = m->n_out > EMUV_TRACE_OPERANDS_MAX ? EMUV_TRACE_OPERANDS_MAX : (uint32_t)m->n_out;
  if (n < m->n_out) l->cls = EMUV_TRACE_CLASS_GAP;
  l->page_set = n >= SET_MIN ? emuv_trace_writer_page_set(w, m->out, n) : 0;
  l->operands = m->out;
  l->n_operands = l->page_set ? 0 : n;
}

/* ---- the pass over the default trace ---- */

static uint32_t new_string(struct emuv_trace_reader *r, struct emuv_trace_writer *w, uint32_t id)
{
  return emuv_trace_writer_string(w, emuv_trace_reader_string(r, id));
}

static uint32_t new_kernel(struct emuv_trace_reader *r, struct emuv_trace_writer *w, uint32_t id)
{
  const struct emuv_trace_kernel *old = emuv_trace_reader_kernel(r, id);
  if (!old) return 0;
  struct emuv_trace_kernel kernel = *old;
  kernel.name = new_string(r, w, old->name);
  kernel.module = new_string(r, w, old->module);
  return emuv_trace_writer_kernel(w, &kernel);
}

/* Ids of texts and kernels are the file's: give the record those of the new file. */
static void renumber(struct emuv_trace_reader *r, struct emuv_trace_writer *w, struct emuv_trace_record *record)
{
  const struct emuv_trace_schema *const s = &emuv_trace_schemas[record->type];
  for (uint32_t i = 0; i < s->n_fields; i++) {
    const struct emuv_trace_field *const f = &s->fields[i];
    const uint32_t id = (uint32_t)emuv_trace_field_get(f, &record->u);
    if (f->show == EMUV_SHOW_STRING) emuv_trace_field_set(f, &record->u, new_string(r, w, id));
    if (f->show == EMUV_SHOW_KERNEL) emuv_trace_field_set(f, &record->u, new_kernel(r, w, id));
  }
}

/* `at`: the launch's place in the loaded trace, where those of graphs lie between. */
static bool change_launch(struct merging *m, struct emuv_trace_writer *w, struct emuv_trace_launch *l, size_t *at)
{
  const bool is_graph = l->graph && !l->graph_node;
  size_t i = *at, partner = SIZE_MAX;
  while (!is_graph && i < m->data.n_launches && m->data.launches[i].sequence != l->sequence) i++;
  if (!is_graph && i < m->data.n_launches) {
    partner = m->launch[i];
    *at = i + 1;
  }
  m->n_out = 0;
  if (!(partner == SIZE_MAX ? take_own(m, l) : join(m, l, &m->p.launches[partner]))) return false;
  set_operands(m, w, l);
  return true;
}

static void add_facts(const struct merging *m, struct emuv_trace_writer *w)
{
  char text[32];
  snprintf(text, sizeof text, "%" PRIu64, m->result->page_bytes);
  emuv_trace_writer_environment(w, "page_bytes", text);
  snprintf(text, sizeof text, "%" PRIu64, m->result->joined);
  emuv_trace_writer_environment(w, "merged_launches", text);
}

static int pass(struct merging *m, const char *trace, struct emuv_trace_writer *w, struct emuv_err *err)
{
  struct emuv_trace_reader *r;
  struct emuv_trace_record record;
  size_t n = 0;
  int code = emuv_trace_reader_open(&r, trace, err);
  if (code) return code;
  while ((code = emuv_trace_reader_next(r, &record, err)) > 0) {
    if (record.type == EMUV_TRACE_LAUNCH && !change_launch(m, w, &record.u.launch, &n)) {
      code = emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory");
      break;
    }
    renumber(r, w, &record);
    if ((code = emuv_trace_writer_append(w, &record)) != 0) break; /* closing says why */
  }
  emuv_trace_reader_close(r);
  return code;
}

static int write_merged(struct merging *m, const char *trace, const char *output, struct emuv_err *err)
{
  struct emuv_trace_writer *w = NULL;
  if (!output) return 0;
  int code = emuv_trace_writer_open(&w, output, NULL, err);
  if (code) return code;
  add_facts(m, w);
  code = pass(m, trace, w, err);
  const bool whole = !m->result->truncated;
  const int closed = emuv_trace_writer_close(w, whole ? EMUV_TRACE_STATUS_COMPLETE : EMUV_TRACE_STATUS_STOPPED, 0,
                                             whole ? NULL : "the default trace ends early", code ? NULL : err);
  return code ? code : closed;
}

/* ---- pairing ---- */

static int pair_up(struct merging *m, struct emuv_err *err)
{
  struct emuv_merge *const r = m->result;
  m->launch = malloc((m->d.n_launches + 1) * sizeof *m->launch);
  m->allocation = malloc((m->p.n_allocations + 1) * sizeof *m->allocation);
  uint64_t *a = emuv_merge_side_keys(&m->d), *b = emuv_merge_side_keys(&m->p);
  uint64_t *sizes_d = emuv_merge_side_sizes(&m->d), *sizes_p = emuv_merge_side_sizes(&m->p);
  const bool good = m->launch && m->allocation && a && b && sizes_d && sizes_p;
  if (good) {
    r->joined = emuv_align(a, m->d.n_launches, b, m->p.n_launches, m->launch);
    r->joined_allocations = emuv_align(sizes_p, m->p.n_allocations, sizes_d, m->d.n_allocations, m->allocation);
  }
  free(a);
  free(b);
  free(sizes_d);
  free(sizes_p);
  return good ? 0 : emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory");
}

static int check_pairing(const struct merging *m, const char *trace, const char *pages, struct emuv_err *err)
{
  const struct emuv_merge *const r = m->result;
  const uint64_t fewer = r->launches < r->page_launches ? r->launches : r->page_launches;
  if (fewer == 0 ? r->launches == r->page_launches : 2 * r->joined >= fewer) return 0;
  emuv_err_set(err, EMUV_ERR_INPUT,
               "%s and %s are not of the same program: %" PRIu64 " of %" PRIu64
               " launches have the same kernel and grid "
               "in the same order",
               trace, pages, r->joined, fewer);
  return emuv_err_hint(err, "both traces must be of whole runs with the same arguments, one of them with --pages");
}

/* ---- kernels ---- */

static int kernels_make(struct merging *m, struct emuv_err *err)
{
  struct emuv_merge *const r = m->result;
  r->kernels = calloc(m->d.n_names + 1, sizeof *r->kernels);
  m->kernel = calloc(m->d.n_names + 1, sizeof *m->kernel);
  if (!r->kernels || !m->kernel) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory");
  for (size_t i = 0; i < m->d.n_names; i++) {
    m->kernel[i] = &r->kernels[i];
    if (!(r->kernels[i].name = strdup(m->d.names[i]))) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory");
    r->n_kernels++;
  }
  return 0;
}

static int worse_first(const void *a, const void *b)
{
  const struct emuv_merge_kernel *const x = a, *const y = b;
  if (x->uncovered != y->uncovered) return x->uncovered < y->uncovered ? 1 : -1;
  if (x->unobserved != y->unobserved) return x->unobserved < y->unobserved ? 1 : -1;
  return strcmp(x->name, y->name);
}

static void kernels_sum(struct emuv_merge *r)
{
  uint64_t unobserved = 0;
  for (size_t i = 0; i < r->n_kernels; i++) {
    r->pages += r->kernels[i].pages;
    r->uncovered += r->kernels[i].uncovered;
    unobserved += r->kernels[i].unobserved;
  }
  r->observed = r->joined - unobserved;
  if (r->n_kernels) qsort(r->kernels, r->n_kernels, sizeof *r->kernels, worse_first);
}

/* ---- all ---- */

static int load(struct merging *m, const char *trace, const char *pages, struct emuv_err *err)
{
  struct emuv_merge *const r = m->result;
  int code = emuv_trace_load(trace, &m->data, err);
  if (code) return code;
  code = emuv_merge_side_take(&m->d, &m->data, err);
  if (code == 0) code = emuv_merge_side_read(&m->p, pages, err);
  if (code) return code;
  r->page_bytes = m->p.page_bytes;
  if (r->page_bytes == 0 || m->d.page_bytes != 0)
    return emuv_err_set(err, EMUV_ERR_INPUT,
                        r->page_bytes ? "%s is a capture of pages itself: the default one comes first"
                                      : "%.0s%s is not a capture of pages (emuv-trace --pages)",
                        trace, pages);
  r->launches = m->d.n_launches;
  r->page_launches = m->p.n_launches;
  r->in_graphs = m->d.in_graphs;
  r->allocations = m->d.n_allocations;
  r->page_allocations = m->p.n_allocations;
  r->truncated = m->d.truncated;
  r->page_truncated = m->p.truncated;
  return 0;
}

int emuv_merge(const char *trace, const char *pages, const char *output, struct emuv_merge *result,
               struct emuv_err *err)
{
  struct merging m = {.result = result};
  memset(result, 0, sizeof *result);
  int code = load(&m, trace, pages, err);
  if (code == 0) code = pair_up(&m, err);
  if (code == 0) code = check_pairing(&m, trace, pages, err);
  if (code == 0) code = kernels_make(&m, err);
  for (size_t i = 0; i < m.data.n_launches && code == 0; i++) judge(&m, i);
  if (code == 0) code = write_merged(&m, trace, output, err);
  if (code == 0) kernels_sum(result);
  emuv_trace_data_free(&m.data);
  emuv_merge_side_free(&m.d);
  emuv_merge_side_free(&m.p);
  free(m.launch);
  free(m.allocation);
  free(m.kernel);
  free(m.out);
  if (code) emuv_merge_free(result);
  return code;
}

void emuv_merge_free(struct emuv_merge *result)
{
  for (size_t i = 0; i < result->n_kernels; i++) free(result->kernels[i].name);
  free(result->kernels);
  *result = (struct emuv_merge){0};
}
