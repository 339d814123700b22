// SPDX-License-Identifier: Apache-2.0
/* Compares a trace with what the program itself says about its parameters (llama_decode.py --parameters): in every
 * "token" range each parameter except the embedding table must be read, whole.
 *
 *   trace_truth TRACE PARAMETERS.json
 *
 * A bounded operand ends at the next address that any launch of the trace uses as a base, or at the end of its
 * allocation. Prints figures per token and what is missing; status 0 when at least 99 % of the parameters' bytes are
 * covered in each token, 1 when not, 3 when the input cannot be read. */
#include "tracer/format/reader.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct list { /* of anything: grows by doubling */
  void *item;
  size_t n, cap;
};

struct span {
  uint64_t begin, end;
  uint32_t cls;
};

struct parameter {
  uint64_t address, bytes;
  const char *name;
};

struct truth {
  struct list bases; /* uint64_t, sorted, distinct */
  struct list spans; /* struct span, of the token at hand */
  json_t *list;      /* holds the parameters' names */
  struct parameter *parameter;
  size_t n_parameters, n_tokens, n_short;
  uint64_t *address; /* by allocation id */
  uint64_t *bytes;
  size_t n_allocations;
  uint64_t tid, depth; /* of the token range that is open; depth 0: none */
  uint64_t launches, classes[EMUV_TRACE_CLASSES];
};

static void *append(struct list *l, size_t size)
{
  if (l->n == l->cap) {
    l->cap = l->cap ? 2 * l->cap : 1024;
    l->item = realloc(l->item, l->cap * size);
    if (!l->item) exit(1);
  }
  return (char *)l->item + size * l->n++;
}

static int by_number(const void *a, const void *b)
{
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static int by_begin(const void *a, const void *b)
{
  return by_number(&((const struct span *)a)->begin, &((const struct span *)b)->begin);
}

static void note_allocation(struct truth *t, const struct emuv_trace_allocation *a)
{
  if (a->id >= t->n_allocations) {
    const size_t n = 2 * a->id + 64;
    t->address = realloc(t->address, n * sizeof *t->address);
    t->bytes = realloc(t->bytes, n * sizeof *t->bytes);
    if (!t->address || !t->bytes) exit(1);
    memset(t->address + t->n_allocations, 0, (n - t->n_allocations) * sizeof *t->address);
    t->n_allocations = n;
  }
  t->address[a->id] = a->address;
  t->bytes[a->id] = a->bytes;
}

static uint64_t start_of(const struct truth *t, const struct emuv_trace_operand *o)
{
  return o->allocation < t->n_allocations ? t->address[o->allocation] + o->offset : 0;
}

static uint64_t next_base(const struct truth *t, uint64_t address)
{
  const uint64_t *base = t->bases.item;
  size_t low = 0, high = t->bases.n;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (base[middle] > address)
      high = middle;
    else
      low = middle + 1;
  }
  return low < t->bases.n ? base[low] : UINT64_MAX;
}

static void note_bases(struct truth *t, const struct emuv_trace_launch *l)
{
  for (uint32_t i = 0; i < l->n_operands; i++)
    *(uint64_t *)append(&t->bases, sizeof(uint64_t)) = start_of(t, &l->operands[i]);
}

static void note_spans(struct truth *t, const struct emuv_trace_launch *l)
{
  t->launches++;
  if (l->cls < EMUV_TRACE_CLASSES) t->classes[l->cls]++;
  for (uint32_t i = 0; i < l->n_operands; i++) {
    const struct emuv_trace_operand *o = &l->operands[i];
    struct span *s = append(&t->spans, sizeof *s);
    s->begin = start_of(t, o);
    s->end = s->begin + o->bytes;
    s->cls = o->cls;
    if (o->cls != EMUV_TRACE_CLASS_EXACT && next_base(t, s->begin) < s->end) s->end = next_base(t, s->begin);
  }
}

/* Bytes of [begin, end) that spans cover; spans sorted by begin. cls 0: of any class. */
static uint64_t covered(const struct truth *t, uint64_t begin, uint64_t end, uint32_t cls)
{
  const struct span *s = t->spans.item;
  uint64_t sum = 0;
  for (size_t i = 0; i < t->spans.n && s[i].begin < end; i++) {
    if ((cls && s[i].cls != cls) || s[i].end <= begin) continue;
    const uint64_t from = s[i].begin > begin ? s[i].begin : begin, to = s[i].end < end ? s[i].end : end;
    sum += to - from;
    begin = to;
  }
  return sum;
}

static void close_token(struct truth *t)
{
  uint64_t want = 0, have = 0, exact = 0;
  qsort(t->spans.item, t->spans.n, sizeof(struct span), by_begin);
  const uint64_t all = covered(t, 0, UINT64_MAX, 0);
  for (size_t i = 0; i < t->n_parameters; i++) {
    struct parameter *p = &t->parameter[i];
    const uint64_t c = covered(t, p->address, p->address + p->bytes, 0);
    if (strstr(p->name, "embed_tokens")) continue;
    want += p->bytes;
    have += c;
    exact += covered(t, p->address, p->address + p->bytes, EMUV_TRACE_CLASS_EXACT);
    if (c < p->bytes && t->n_tokens < 2)
      printf("token %zu: %s: %" PRIu64 " of %" PRIu64 " bytes\n", t->n_tokens, p->name, c, p->bytes);
  }
  if (t->n_tokens < 3 || (double)have < 0.99 * (double)want)
    printf("token %zu: %" PRIu64 " launches (exact %" PRIu64 ", bounded %" PRIu64 ", gap %" PRIu64
           "); parameters %.3f %% covered, "
           "%.3f %% exact; all memory touched %.3f x parameters\n",
           t->n_tokens, t->launches, t->classes[EMUV_TRACE_CLASS_EXACT], t->classes[EMUV_TRACE_CLASS_BOUNDED],
           t->classes[EMUV_TRACE_CLASS_GAP], 100.0 * (double)have / (double)want, 100.0 * (double)exact / (double)want,
           (double)all / (double)want);
  t->n_short += (double)have < 0.99 * (double)want;
  t->n_tokens++;
}

static void note_range(struct truth *t, struct emuv_trace_reader *r, const struct emuv_trace_range *range)
{
  if (t->depth && range->tid == t->tid) {
    if (range->kind == EMUV_TRACE_RANGE_PUSH) t->depth++;
    if (range->kind == EMUV_TRACE_RANGE_POP && --t->depth == 0) close_token(t);
  } else if (!t->depth && range->kind == EMUV_TRACE_RANGE_PUSH &&
             strcmp(emuv_trace_reader_string(r, range->text), "token") == 0) {
    t->depth = 1;
    t->tid = range->tid;
    t->spans.n = 0;
    t->launches = 0;
    memset(t->classes, 0, sizeof t->classes);
  }
}

/* First pass: bases; second: tokens. */
static int pass(struct truth *t, const char *path, int second)
{
  struct emuv_trace_reader *r;
  struct emuv_trace_record record;
  struct emuv_err err = {0};
  int rc = emuv_trace_reader_open(&r, path, &err);
  if (!rc) {
    while ((rc = emuv_trace_reader_next(r, &record, &err)) == 1) {
      if (record.type == EMUV_TRACE_ALLOCATION)
        note_allocation(t, &record.u.allocation);
      else if (record.type == EMUV_TRACE_LAUNCH && !second)
        note_bases(t, &record.u.launch);
      else if (record.type == EMUV_TRACE_LAUNCH && t->depth)
        note_spans(t, &record.u.launch);
      else if (record.type == EMUV_TRACE_RANGE && second)
        note_range(t, r, &record.u.range);
    }
    emuv_trace_reader_close(r);
  }
  if (rc) emuv_err_print(&err, stderr);
  return rc;
}

static void sort_bases(struct truth *t)
{
  uint64_t *base = t->bases.item;
  size_t n = 0;
  qsort(base, t->bases.n, sizeof *base, by_number);
  for (size_t i = 0; i < t->bases.n; i++)
    if (!n || base[n - 1] != base[i]) base[n++] = base[i];
  t->bases.n = n;
}

static int load_parameters(struct truth *t, const char *path)
{
  json_error_t error;
  json_t *const list = t->list = json_load_file(path, 0, &error);
  if (!json_is_array(list)) {
    fprintf(stderr, "trace_truth: %s: %s\n", path, error.text);
    return 1;
  }
  t->n_parameters = json_array_size(list);
  t->parameter = calloc(t->n_parameters, sizeof *t->parameter);
  for (size_t i = 0; t->parameter && i < t->n_parameters; i++) {
    const json_t *p = json_array_get(list, i);
    t->parameter[i].address = (uint64_t)json_integer_value(json_object_get(p, "address"));
    t->parameter[i].bytes = (uint64_t)json_integer_value(json_object_get(p, "bytes"));
    t->parameter[i].name = json_string_value(json_object_get(p, "name"));
  }
  return !t->parameter;
}

static void release(struct truth *t)
{
  json_decref(t->list);
  free(t->parameter);
  free(t->bases.item);
  free(t->spans.item);
  free(t->address);
  free(t->bytes);
}

static int compare(struct truth *t, const char *trace, const char *parameters)
{
  if (load_parameters(t, parameters) || pass(t, trace, 0)) return 3;
  sort_bases(t);
  if (pass(t, trace, 1)) return 3;
  printf("%zu tokens, %zu of them with less than 99 %% of the parameters' bytes\n", t->n_tokens, t->n_short);
  return t->n_short || !t->n_tokens;
}

int main(int argc, char **argv)
{
  struct truth t = {0};
  if (argc != 3) {
    fprintf(stderr, "usage: trace_truth TRACE PARAMETERS.json\n");
    return 2;
  }
  const int status = compare(&t, argv[1], argv[2]);
  release(&t);
  return status;
}
