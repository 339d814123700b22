// SPDX-License-Identifier: Apache-2.0
/* Working sets: see working_set.h. Calls are taken in the order of their begins. Then the windows in which an atom was
 * counted and that a later call can still meet end at one known window, so one number per atom is enough. */
#include "tracer/format/working_set.h"

#include <stdlib.h>

static int no_memory(struct emuv_err *err)
{
  return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace's working sets");
}

static bool series_alloc(const struct emuv_trace_touches *t, uint64_t length, struct emuv_trace_series *s)
{
  *s = (struct emuv_trace_series){.length = length ? length : 1};
  s->n = (size_t)(t->last / s->length + (t->last % s->length != 0 || t->last == 0));
  s->bytes = calloc(s->n, sizeof *s->bytes);
  return s->bytes != NULL;
}

void emuv_trace_series_free(struct emuv_trace_series *s)
{
  free(s->bytes);
  *s = (struct emuv_trace_series){0};
}

/* ---- windows ---- */

struct begin {
  uint64_t at;
  size_t call;
};

static int by_begin(const void *a, const void *b)
{
  const struct begin *x = a, *y = b;
  if (x->at != y->at) return x->at < y->at ? -1 : 1;
  return (x->call > y->call) - (x->call < y->call);
}

static struct begin *sorted_calls(const struct emuv_trace_touches *t)
{
  struct begin *list = malloc((t->n_calls + 1) * sizeof *list);
  bool sorted = true;
  for (size_t i = 0; list && i < t->n_calls; i++) {
    list[i] = (struct begin){t->begin[i], i};
    sorted &= i == 0 || list[i - 1].at <= list[i].at;
  }
  if (list && !sorted) qsort(list, t->n_calls, sizeof *list, by_begin);
  return list;
}

/* until[atom]: windows before this one are counted. */
static void take_call(const struct emuv_trace_touches *t, const struct emuv_trace_atoms *a, size_t call,
                      struct emuv_trace_series *s, size_t *until)
{
  uint64_t end = t->end[call] > t->begin[call] ? t->end[call] - 1 : t->begin[call];
  size_t first = (size_t)(t->begin[call] / s->length), last = (size_t)(end / s->length);
  if (first >= s->n) first = s->n - 1;
  if (last >= s->n) last = s->n - 1;
  for (size_t i = t->first[call]; i < t->first[call + 1]; i++)
    for (uint32_t k = 0; k < a->run[i].n; k++) {
      uint32_t atom = a->run[i].first + k;
      for (size_t w = until[atom] > first ? until[atom] : first; w <= last; w++)
        s->bytes[w] += emuv_trace_atom_bytes(a, atom);
      if (until[atom] <= last) until[atom] = last + 1;
    }
}

int emuv_trace_working_set_windows(const struct emuv_trace_touches *t, const struct emuv_trace_atoms *a,
                                   uint64_t length, struct emuv_trace_series *s, struct emuv_err *err)
{
  bool ok = series_alloc(t, length, s);
  struct begin *calls = sorted_calls(t);
  size_t *until = calloc(a->n + 1u, sizeof *until);
  ok = ok && calls && until;
  for (size_t i = 0; ok && i < t->n_calls; i++) take_call(t, a, calls[i].call, s, until);
  free(calls);
  free(until);
  if (ok) return 0;
  emuv_trace_series_free(s);
  return no_memory(err);
}

/* ---- steps ---- */

int emuv_trace_working_set_steps(const struct emuv_trace_touches *t, const struct emuv_trace_atoms *a,
                                 const struct emuv_trace_steps *steps, uint64_t *bytes, struct emuv_err *err)
{
  size_t *last = calloc(a->n + 1u, sizeof *last); /* by atom: the last step + 1 */
  if (!last) return no_memory(err);
  for (size_t s = 0; s < steps->n; s++) {
    const struct emuv_trace_step *step = &steps->step[s];
    bytes[s] = 0;
    for (size_t i = t->first[step->first]; i < t->first[step->first + step->n]; i++)
      for (uint32_t k = 0; k < a->run[i].n; k++) {
        uint32_t atom = a->run[i].first + k;
        if (last[atom] != s + 1) bytes[s] += emuv_trace_atom_bytes(a, atom);
        last[atom] = s + 1;
      }
  }
  free(last);
  return 0;
}

/* ---- allocated memory ---- */

struct clock {
  struct emuv_trace_series *s;
  uint64_t origin_ns, live;
  size_t window;
};

/* The windows up to the one of `ns` begin with what is allocated now. */
static void advance(struct clock *c, uint64_t ns)
{
  size_t to = ns > c->origin_ns ? (size_t)((ns - c->origin_ns) / c->s->length) : 0;
  if (to >= c->s->n) to = c->s->n - 1;
  while (c->window < to) c->s->bytes[++c->window] = c->live;
}

static void take_event(const struct emuv_trace_data *d, const struct emuv_trace_event *e, struct clock *c)
{
  if (e->type == EMUV_TRACE_ALLOCATION) {
    const struct emuv_trace_allocation *a = &d->allocations[e->index].a;
    if (!emuv_trace_memory_on_device(a->kind)) return;
    if (a->ns) advance(c, a->ns);
    c->live += a->bytes;
  } else if (e->type == EMUV_TRACE_FREE) {
    const struct emuv_trace_free *f = &d->frees[e->index];
    const struct emuv_trace_life *life = emuv_trace_data_allocation(d, f->id);
    if (!life || !emuv_trace_memory_on_device(life->a.kind) || c->live < life->a.bytes) return;
    if (f->ns) advance(c, f->ns);
    c->live -= life->a.bytes;
  }
  if (c->live > c->s->bytes[c->window]) c->s->bytes[c->window] = c->live;
}

int emuv_trace_working_set_live(const struct emuv_trace_data *d, const struct emuv_trace_touches *t, uint64_t length,
                                struct emuv_trace_series *s, struct emuv_err *err)
{
  *s = (struct emuv_trace_series){0};
  if (!t->timed) return 0;
  if (!series_alloc(t, length, s)) return no_memory(err);
  struct clock c = {.s = s, .origin_ns = t->origin_ns};
  for (size_t i = 0; i < d->n_events; i++) take_event(d, &d->events[i], &c);
  while (c.window + 1 < s->n) s->bytes[++c.window] = c.live;
  return 0;
}
