// SPDX-License-Identifier: Apache-2.0
/* Reuse: see reuse.h. Every atom stands at the position of its last reference in a Fenwick tree of bytes (P. Fenwick,
 * "A new data structure for cumulative frequency tables", Software: Practice and Experience 1994), so a distance is a
 * suffix sum: O(log n) per reference. When positions run out, those in use are moved together, which costs one visit
 * per position for at least three references per atom. */
#include "tracer/format/reuse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct stack {
  uint64_t *tree;     /* [size + 1] */
  uint32_t *atom_at;  /* by position */
  uint32_t *place;    /* by atom: position + 1, 0 = not referenced yet */
  uint32_t size, now; /* positions; next free one */
  uint64_t total;     /* bytes in the tree */
};

struct pass {
  const struct emuv_trace_touches *t;
  const struct emuv_trace_atoms *a;
  struct emuv_trace_reuse *r;
  struct stack stack;
  size_t *last_call;                                     /* by atom: index + 1, 0 = never */
  double stayed[EMUV_TRACE_BINS], left[EMUV_TRACE_BINS]; /* bytes x time, and bytes, by bin of the time they stay */
  size_t from;
};

uint32_t emuv_trace_bin(uint64_t v)
{
  if (v == 0) return 0;
  uint32_t k = 63 - (uint32_t)__builtin_clzll(v);
  uint32_t quarter = (uint32_t)(k >= 2 ? v >> (k - 2) : v << (2 - k)) & 3;
  return 4 * k + quarter;
}

double emuv_trace_bin_low(uint32_t bin)
{
  return ldexp(1 + (bin % 4) / 4.0, (int)(bin / 4));
}

/* ---- positions ---- */

static void tree_add(struct stack *s, uint32_t at, uint64_t bytes)
{
  for (uint32_t i = at + 1; i <= s->size; i += i & -i) s->tree[i] += bytes;
}

/* Bytes at positions before `at`. */
static uint64_t tree_before(const struct stack *s, uint32_t at)
{
  uint64_t sum = 0;
  for (uint32_t i = at; i > 0; i -= i & -i) sum += s->tree[i];
  return sum;
}

static void move_together(struct stack *s, const struct emuv_trace_atoms *a)
{
  uint32_t kept = 0;
  for (uint32_t at = 0; at < s->now; at++) {
    uint32_t atom = s->atom_at[at];
    if (s->place[atom] != at + 1) continue;
    s->atom_at[kept] = atom;
    s->place[atom] = ++kept;
  }
  memset(s->tree, 0, (s->size + 1) * sizeof *s->tree);
  for (uint32_t i = 1; i <= s->size; i++) {
    if (i <= kept) s->tree[i] += emuv_trace_atom_bytes(a, s->atom_at[i - 1]);
    uint32_t up = i + (i & -i);
    if (up <= s->size) s->tree[up] += s->tree[i];
  }
  s->now = kept;
}

/* The distance, 0 for a first touch. */
static uint64_t stack_touch(struct stack *s, const struct emuv_trace_atoms *a, uint32_t atom)
{
  uint64_t bytes = emuv_trace_atom_bytes(a, atom), distance = 0;
  if (s->now == s->size) move_together(s, a);
  if (s->place[atom]) {
    uint32_t at = s->place[atom] - 1;
    distance = s->total - tree_before(s, at);
    tree_add(s, at, -bytes);
  } else {
    s->total += bytes;
  }
  tree_add(s, s->now, bytes);
  s->atom_at[s->now] = atom;
  s->place[atom] = ++s->now;
  return distance;
}

/* ---- counts ---- */

static void note_stay(struct pass *p, uint64_t time, double bytes)
{
  uint32_t bin = emuv_trace_bin(time);
  p->stayed[bin] += bytes * (double)time;
  p->left[bin] += bytes;
}

static void count(struct pass *p, uint32_t atom, uint64_t distance, size_t before, uint64_t now)
{
  struct emuv_trace_reuse *r = p->r;
  uint64_t bytes = emuv_trace_atom_bytes(p->a, atom);
  r->bytes += bytes;
  if (distance == 0) {
    r->first_bytes += bytes;
    return;
  }
  uint64_t then = p->t->begin[before], time = now > then ? now - then : 0;
  r->distance[emuv_trace_bin(distance)] += bytes;
  r->time[emuv_trace_bin(time)] += bytes;
  r->hits[(distance - 1) / r->capacity_bin] += bytes;
  if (before >= p->from) note_stay(p, time, (double)bytes);
}

static void take_call(struct pass *p, size_t call)
{
  for (size_t i = p->t->first[call]; i < p->t->first[call + 1]; i++)
    for (uint32_t k = 0; k < p->a->run[i].n; k++) {
      uint32_t atom = p->a->run[i].first + k;
      if (p->last_call[atom] == call + 1) continue;
      uint64_t distance = stack_touch(&p->stack, p->a, atom);
      if (call >= p->from) count(p, atom, distance, p->last_call[atom] - 1, p->t->begin[call]);
      p->last_call[atom] = call + 1;
    }
}

/* What was touched last stays to the end. */
static void end_stays(struct pass *p)
{
  for (uint32_t atom = 0; atom < p->a->n; atom++) {
    if (p->last_call[atom] <= p->from) continue;
    uint64_t then = p->t->begin[p->last_call[atom] - 1];
    note_stay(p, p->r->end > then ? p->r->end - then : 0, (double)emuv_trace_atom_bytes(p->a, atom));
  }
}

/* mean(window) = sum of bytes x min(time they stay, window) / length. */
static void mean_windows(struct pass *p)
{
  double length = (double)(p->r->end - p->r->begin), shorter = 0, longer = 0;
  for (uint32_t i = 0; i < EMUV_TRACE_BINS; i++) longer += p->left[i];
  for (uint32_t i = 0; i < EMUV_TRACE_BINS; i++) {
    if (length > 0) p->r->window[i] = (shorter + longer * emuv_trace_bin_low(i)) / length;
    shorter += p->stayed[i];
    longer -= p->left[i];
  }
}

static bool start(struct pass *p)
{
  uint64_t size = (uint64_t)p->a->n * 4 + 1024;
  struct stack *s = &p->stack;
  if (size > UINT32_MAX - 1) return false;
  s->size = (uint32_t)size;
  s->tree = calloc(size + 1, sizeof *s->tree);
  s->atom_at = malloc(size * sizeof *s->atom_at);
  s->place = calloc(p->a->n + 1u, sizeof *s->place);
  p->last_call = calloc(p->a->n + 1u, sizeof *p->last_call);
  return s->tree && s->atom_at && s->place && p->last_call;
}

/* Bytes of the atoms that are touched at all; last_call is scratch. */
static uint64_t distinct_bytes(struct pass *p)
{
  uint64_t bytes = 0;
  for (size_t i = 0; i < p->t->first[p->t->n_calls]; i++)
    for (uint32_t k = 0; k < p->a->run[i].n; k++) p->last_call[p->a->run[i].first + k] = 1;
  for (uint32_t atom = 0; atom < p->a->n; atom++)
    if (p->last_call[atom]) bytes += emuv_trace_atom_bytes(p->a, atom);
  memset(p->last_call, 0, p->a->n * sizeof *p->last_call);
  return bytes;
}

static void set_frame(struct pass *p)
{
  const struct emuv_trace_touches *t = p->t;
  uint64_t bytes = p->r->distinct_bytes = distinct_bytes(p);
  p->r->capacity_bin = bytes / EMUV_TRACE_CAPACITIES + (bytes % EMUV_TRACE_CAPACITIES != 0 || bytes == 0);
  p->r->begin = p->r->end = t->last;
  for (size_t i = p->from; i < t->n_calls; i++)
    if (t->begin[i] < p->r->begin) p->r->begin = t->begin[i];
}

int emuv_trace_reuse_compute(const struct emuv_trace_touches *t, const struct emuv_trace_atoms *a, size_t from_call,
                             struct emuv_trace_reuse *r, struct emuv_err *err)
{
  struct pass p = {.t = t, .a = a, .r = r, .from = from_call};
  *r = (struct emuv_trace_reuse){0};
  bool ok = start(&p);
  if (ok) {
    set_frame(&p);
    for (size_t i = 0; i < t->n_calls; i++) take_call(&p, i);
    end_stays(&p);
    mean_windows(&p);
  }
  free(p.stack.tree);
  free(p.stack.atom_at);
  free(p.stack.place);
  free(p.last_call);
  return ok ? 0 : emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace's reuse");
}

uint64_t emuv_trace_reuse_misses(const struct emuv_trace_reuse *r, uint32_t i)
{
  uint64_t misses = r->bytes;
  for (uint32_t k = 0; k <= i && k < EMUV_TRACE_CAPACITIES; k++) misses -= r->hits[k];
  return misses;
}
