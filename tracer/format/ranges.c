// SPDX-License-Identifier: Apache-2.0
/* Ranges with both ends: see ranges.h. One pass; the innermost open push of a thread and the open range of an id are
 * found by hashing (uthash), outer pushes are linked from inner ones, so unbalanced input costs no more. */
#include "tracer/format/ranges.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define uthash_nonfatal_oom(element) ((element)->lost = true)
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

enum { NONE = -1 };

struct open_key {
  uint64_t id; /* thread, or id of a start */
  uint64_t kind;
};

struct open_range {
  struct open_key key;
  long top; /* index of the innermost open span, NONE */
  bool lost;
  UT_hash_handle hh;
};

struct pairing {
  struct emuv_trace_spans *spans;
  long *outer; /* by span: the one that it lies in on its thread, or that its id hid */
  struct open_range *open;
};

static struct open_range *find_open(struct pairing *p, const struct emuv_trace_range *r, bool start)
{
  struct open_key key;
  memset(&key, 0, sizeof key);
  key.kind = start;
  key.id = start ? r->id : r->tid;
  struct open_range *found = NULL;
  HASH_FIND(hh, p->open, &key, sizeof key, found);
  if (found) return found;
  found = calloc(1, sizeof *found);
  if (!found) return NULL;
  found->key = key;
  found->top = NONE;
  HASH_ADD(hh, p->open, key, sizeof found->key, found);
  if (!found->lost) return found;
  free(found);
  return NULL;
}

static bool pair(struct pairing *p, const struct emuv_trace_data *d, size_t i)
{
  const struct emuv_trace_range *r = &d->ranges[i];
  bool opens = r->kind == EMUV_TRACE_RANGE_PUSH || r->kind == EMUV_TRACE_RANGE_START;
  bool closes = r->kind == EMUV_TRACE_RANGE_POP || r->kind == EMUV_TRACE_RANGE_END;
  if (!opens && !closes) return true;
  struct open_range *o = find_open(p, r, r->kind == EMUV_TRACE_RANGE_START || r->kind == EMUV_TRACE_RANGE_END);
  if (!o) return false;
  if (closes && o->top == NONE) return true; /* began before the trace */
  if (closes) {
    struct emuv_trace_span *span = &p->spans->span[o->top];
    span->end_ns = r->ns > span->begin_ns ? r->ns : span->begin_ns;
    o->top = p->outer[o->top];
    return true;
  }
  p->outer[p->spans->n] = o->top;
  o->top = (long)p->spans->n;
  p->spans->span[p->spans->n++] = (struct emuv_trace_span){.begin_ns = r->ns, .range = (uint32_t)i};
  return true;
}

static void forget(struct pairing *p)
{
  struct open_range *o = p->open;
  HASH_CLEAR(hh, p->open);
  while (o) {
    struct open_range *next = o->hh.next;
    free(o);
    o = next;
  }
  free(p->outer);
}

int emuv_trace_spans_find(const struct emuv_trace_data *d, struct emuv_trace_spans *spans, struct emuv_err *err)
{
  *spans = (struct emuv_trace_spans){.span = malloc((d->n_ranges + 1) * sizeof *spans->span)};
  struct pairing p = {.spans = spans, .outer = malloc((d->n_ranges + 1) * sizeof *p.outer)};
  bool ok = spans->span && p.outer;
  for (size_t i = 0; ok && i < d->n_ranges; i++) ok = pair(&p, d, i);
  forget(&p);
  if (ok) return 0;
  emuv_trace_spans_free(spans);
  return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace's ranges");
}

void emuv_trace_spans_free(struct emuv_trace_spans *spans)
{
  free(spans->span);
  *spans = (struct emuv_trace_spans){0};
}
