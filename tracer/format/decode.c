// SPDX-License-Identifier: Apache-2.0
/* Payloads of blocks to records and dictionary entries: see decode.h. */
#include "tracer/format/decode.h"

#include "tracer/format/block.h"
#include "tracer/format/varint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char out_of_memory[] = "out of memory";

static bool grow(void **array, uint32_t *cap, uint32_t n, size_t size)
{
  if (n < *cap) return true;
  uint32_t want = *cap * 2 + 64;
  void *grown = realloc(*array, want * size);
  if (!grown) return false;
  *array = grown;
  *cap = want;
  return true;
}

static const char *string_add(struct emuv_tables *t, const uint8_t *p, size_t n)
{
  if (!grow((void **)&t->strings, &t->cap_strings, t->n_strings, sizeof *t->strings)) return out_of_memory;
  char *text = malloc(n + 1);
  if (!text) return out_of_memory;
  memcpy(text, p, n);
  text[n] = '\0';
  t->strings[t->n_strings++] = text;
  return NULL;
}

static const char *kernel_add(struct emuv_tables *t, const uint8_t *p, size_t n)
{
  if (!grow((void **)&t->kernels, &t->cap_kernels, t->n_kernels, sizeof *t->kernels)) return out_of_memory;
  uint64_t channels[EMUV_CHANNELS] = {0};
  struct emuv_trace_kernel *k = &t->kernels[t->n_kernels];
  if (!emuv_trace_decode(&emuv_trace_schema_kernel, EMUV_FIELDS_TO_END, k, channels, p, p + n))
    return "a kernel entry is malformed in the block";
  t->n_kernels++;
  return NULL;
}

static const uint8_t *operands_read(struct emuv_decoder *d, uint64_t *channels, uint32_t at, uint64_t *n,
                                    const uint8_t *p, const uint8_t *end, const char **what);

/* Decoded once to know that it can be, and kept as it is. */
static const char *page_set_add(struct emuv_tables *t, const uint8_t *p, size_t n)
{
  const uint8_t *const end = p + n;
  const char *what;
  struct emuv_decoder d = {0};
  uint64_t channels[EMUV_CHANNELS] = {0}, id, operands;
  if (!grow((void **)&t->page_sets, &t->cap_page_sets, t->n_page_sets, sizeof *t->page_sets)) return out_of_memory;
  if (!(p = emuv_varint_get(p, end, &id)) || id != t->n_page_sets + UINT64_C(1))
    return "a page set is missing before the block";
  const bool good = operands_read(&d, channels, 0, &operands, p, end, &what) == end;
  emuv_decoder_free(&d);
  if (!good) return "a page set is malformed in the block";
  struct emuv_page_set *set = &t->page_sets[t->n_page_sets];
  set->n = (size_t)(end - p);
  if (!(set->bytes = calloc(1, set->n + EMUV_DECODE_SLACK))) return out_of_memory;
  memcpy(set->bytes, p, set->n);
  t->n_page_sets++;
  return NULL;
}

const char *emuv_tables_read(struct emuv_tables *t, const uint8_t *p, const uint8_t *end)
{
  uint64_t string, kernel, kind, n;
  if (!(p = emuv_varint_get(p, end, &string)) || !(p = emuv_varint_get(p, end, &kernel)) ||
      string != t->n_strings + UINT64_C(1) || kernel != t->n_kernels + UINT64_C(1))
    return "dictionary entries are missing before the block";
  while (p < end) {
    if (!(p = emuv_varint_get(p, end, &kind)) || !(p = emuv_varint_get(p, end, &n)) || n > (uint64_t)(end - p))
      return "a dictionary entry is malformed in the block";
    const char *what = NULL;
    if (kind == EMUV_DICTIONARY_STRING) what = string_add(t, p, (size_t)n);
    if (kind == EMUV_DICTIONARY_PAGE_SET) what = page_set_add(t, p, (size_t)n);
    if (kind == EMUV_DICTIONARY_KERNEL) what = kernel_add(t, p, (size_t)n);
    if (what) return what;
    p += n;
  }
  return NULL;
}

void emuv_tables_free(struct emuv_tables *t)
{
  for (uint32_t i = 0; i < t->n_strings; i++) free(t->strings[i]);
  for (uint32_t i = 0; i < t->n_page_sets; i++) free(t->page_sets[i].bytes);
  free(t->page_sets);
  free(t->strings);
  free(t->kernels);
  *t = (struct emuv_tables){0};
}

void emuv_decoder_start(struct emuv_decoder *d, const uint8_t *p, const uint8_t *end)
{
  d->p = p;
  d->end = end;
  memset(d->channels, 0, sizeof d->channels);
}

static bool operands_reserve(struct emuv_decoder *d, uint64_t n)
{
  if (n <= d->cap_operands) return true;
  struct emuv_trace_operand *grown = realloc(d->operands, n * sizeof *grown);
  if (!grown) return false;
  d->operands = grown;
  d->cap_operands = (uint32_t)n;
  return true;
}

/* As emuv_trace_decode_inside, for all operands of a launch at once. */
static const uint8_t *operands_decode(struct emuv_trace_operand *o, uint64_t n, uint64_t fields, uint64_t *channels,
                                      const uint8_t *p, const uint8_t *end)
{
  const struct emuv_trace_schema *const schema = &emuv_trace_schema_operand;
  if (fields == schema->n_fields) {
    uint64_t before[EMUV_CHANNELS];
    const uint8_t *q = p;
    memcpy(before, channels, sizeof before);
    for (uint64_t i = 0; i < n && q && q <= end; i++) q = schema->decode(&o[i], channels, q);
    if (q && q <= end) return q;
    memcpy(channels, before, sizeof before);
  }
  for (uint64_t i = 0; i < n && p; i++) p = emuv_trace_decode(schema, fields, &o[i], channels, p, end);
  return p;
}

/* A launch starts with the number of its operands and the number of fields of each. They go to d->operands[at]. */
static const uint8_t *operands_read(struct emuv_decoder *d, uint64_t *channels, uint32_t at, uint64_t *n,
                                    const uint8_t *p, const uint8_t *end, const char **what)
{
  uint64_t fields;
  *what = "a launch's operands are malformed in the block";
  if (!(p = emuv_varint_get(p, end, n)) || !(p = emuv_varint_get(p, end, &fields))) return NULL;
  if (*n > EMUV_TRACE_OPERANDS_MAX || (*n && (fields == 0 || fields > (uint64_t)(end - p) / *n))) return NULL;
  if (!operands_reserve(d, at + *n)) return *what = out_of_memory, NULL;
  if (*n == 0) return p;
  return operands_decode(&d->operands[at], *n, fields, channels, p, end);
}

/* The operands of the launch's page set go behind its own. */
static const char *page_set_append(struct emuv_decoder *d, struct emuv_trace_launch *l)
{
  const char *what;
  uint64_t channels[EMUV_CHANNELS] = {0}, n;
  if (!d->tables || l->page_set > d->tables->n_page_sets)
    return "a launch names a page set that the file does not have";
  const struct emuv_page_set *set = &d->tables->page_sets[l->page_set - 1];
  if (!operands_read(d, channels, l->n_operands, &n, set->bytes, set->bytes + set->n, &what)) return what;
  l->n_operands += (uint32_t)n;
  return NULL;
}

static const char *record_read(struct emuv_decoder *d, struct emuv_trace_record *r, const uint8_t *p,
                               const uint8_t *end)
{
  const char *what = "a record is malformed in the block";
  uint64_t n_operands = 0, own[EMUV_CHANNELS];
  const bool node = r->type == EMUV_TRACE_GRAPH_NODE;
  if (node) memset(own, 0, sizeof own);
  if (emuv_trace_has_operands(r->type) &&
      !(p = operands_read(d, node ? own : d->channels, 0, &n_operands, p, end, &what)))
    return what;
  if (!emuv_trace_decode_inside(&emuv_trace_schemas[r->type], EMUV_FIELDS_TO_END, &r->u, d->channels, p, end))
    return "a record is malformed in the block";
  if (r->type == EMUV_TRACE_LAUNCH) {
    r->u.launch.n_operands = (uint32_t)n_operands;
    if (r->u.launch.page_set && (what = page_set_append(d, &r->u.launch))) return what;
    r->u.launch.operands = d->operands;
  }
  if (node) {
    r->u.graph_node.n_operands = (uint32_t)n_operands;
    r->u.graph_node.operands = d->operands;
  }
  return NULL;
}

int emuv_decoder_next(struct emuv_decoder *d, struct emuv_trace_record *record, const char **what)
{
  *what = "a record is cut in the block";
  while (d->p < d->end) {
    uint64_t type, n;
    const uint8_t *p = d->p;
    if (!(p = emuv_varint_get(p, d->end, &type)) || !(p = emuv_varint_get(p, d->end, &n)) || n > (uint64_t)(d->end - p))
      return -1;
    d->p = p + n;
    if (type == 0 || type >= EMUV_TRACE_TYPES) {
      d->skipped++;
      continue;
    }
    record->type = (uint32_t)type;
    *what = record_read(d, record, p, p + n);
    return *what ? -1 : 1;
  }
  return 0;
}

void emuv_decoder_free(struct emuv_decoder *d)
{
  free(d->operands);
  *d = (struct emuv_decoder){0};
}

const char *emuv_verdict_read(struct emuv_trace_verdict *v, const uint8_t *p, const uint8_t *end)
{
  static const char malformed[] = "the verdict is malformed in the block";
  uint64_t channels[EMUV_CHANNELS] = {0}, n;
  memset(v, 0, sizeof *v);
  if (!(p = emuv_varint_get(p, end, &n)) || n > (uint64_t)(end - p)) return malformed;
  if (!(p = emuv_trace_decode(&emuv_trace_schema_verdict, n, v, channels, p, end))) return malformed;
  size_t text = (size_t)(end - p);
  if (text >= sizeof v->text) return malformed;
  memcpy(v->text, p, text);
  return NULL;
}
