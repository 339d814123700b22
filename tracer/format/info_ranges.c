// SPDX-License-Identifier: Apache-2.0
/* Memory over time, by NVTX range, and what was not captured: see info.h. */
#include "tracer/format/info_parts.h"
#include "tracer/format/ranges.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include <uthash.h>

/* ---- over time ---- */

bool emuv_info_intervals(const struct emuv_info_parts *p, struct emuv_trace_info *info)
{
  struct emuv_trace_series touched = {0}, live = {0};
  uint64_t length = p->touches.last / EMUV_TRACE_INFO_INTERVALS + 1;
  if (p->touches.n_calls == 0) return true;
  bool ok = emuv_trace_working_set_windows(&p->touches, &p->atoms, length, &touched, NULL) == 0 &&
            emuv_trace_working_set_live(p->d, &p->touches, length, &live, NULL) == 0;
  if (ok) {
    info->timed = p->touches.timed;
    info->interval = length;
    info->intervals = touched.n < EMUV_TRACE_INFO_INTERVALS ? touched.n : EMUV_TRACE_INFO_INTERVALS;
    for (size_t i = 0; i < info->intervals; i++) info->touched[i] = touched.bytes[i];
    for (size_t i = 0; i < info->intervals && i < live.n; i++) info->allocated[i] = live.bytes[i];
  }
  emuv_trace_series_free(&touched);
  emuv_trace_series_free(&live);
  return ok;
}

/* ---- by range ---- */

/* Calls are visited once for each range that they lie in; beyond this many visits the rest is left out. */
static const uint64_t VISITS_MOST = UINT64_C(1) << 26;

struct group {
  char name[64];
  struct emuv_trace_range_use use;
  uint64_t *bytes; /* of each range */
  size_t cap;
  bool lost;
  UT_hash_handle hh;
};

struct ranges {
  const struct emuv_info_parts *p;
  struct group *groups;
  uint32_t *seen; /* by atom: number of the range that touched it last */
  uint32_t stamp;
  uint64_t visits;
};

/* Without digits, punctuation and blanks at the end, unless nothing else is there. */
static void base_name(const char *text, char name[64])
{
  size_t n = strlen(text);
  while (n > 0 && !isalpha((unsigned char)text[n - 1]) && (unsigned char)text[n - 1] < 0x80) n--;
  if (n == 0) n = strlen(text);
  memset(name, 0, 64); /* the whole array is the key */
  memcpy(name, text, n < 63 ? n : 63);
}

static struct group *find_group(struct ranges *r, const char *text)
{
  char name[64];
  struct group *g = NULL;
  base_name(text, name);
  HASH_FIND(hh, r->groups, name, sizeof name, g);
  if (g) return g;
  g = calloc(1, sizeof *g);
  if (!g) return NULL;
  memcpy(g->name, name, sizeof name);
  memcpy(g->use.name, name, sizeof name);
  HASH_ADD(hh, r->groups, name, sizeof g->name, g);
  if (!g->lost) return g;
  free(g);
  return NULL;
}

static size_t call_at(const struct emuv_trace_order *order, uint64_t ns)
{
  size_t lo = 0, hi = order->n;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (order->calls[mid].enter_ns < ns)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

/* Bytes of a call that no earlier call of this range touched. */
static uint64_t new_bytes(struct ranges *r, size_t call)
{
  const struct emuv_trace_touches *t = &r->p->touches;
  uint64_t bytes = 0;
  for (size_t i = t->first[call]; i < t->first[call + 1]; i++) {
    struct emuv_trace_run run = r->p->atoms.run[i];
    for (uint32_t atom = run.first; atom < run.first + run.n; atom++) {
      if (r->seen[atom] != r->stamp) bytes += emuv_trace_atom_bytes(&r->p->atoms, atom);
      r->seen[atom] = r->stamp;
    }
    r->visits += run.n;
  }
  return bytes;
}

static bool push_bytes(struct group *g, uint64_t bytes)
{
  if (g->use.count == g->cap) {
    size_t cap = g->cap * 2 + 16;
    uint64_t *grown = realloc(g->bytes, cap * sizeof *grown);
    if (!grown) return false;
    g->bytes = grown;
    g->cap = cap;
  }
  g->bytes[g->use.count++] = bytes;
  return true;
}

static bool measure(struct ranges *r, const struct emuv_trace_span *span, uint64_t last_ns)
{
  const struct emuv_trace_data *d = r->p->d;
  struct group *g = find_group(r, emuv_trace_data_string(d, d->ranges[span->range].text));
  if (!g) return false;
  uint64_t bytes = 0, end = span->end_ns ? span->end_ns : last_ns;
  size_t first = call_at(&r->p->order, span->begin_ns), after = call_at(&r->p->order, end);
  r->stamp++;
  for (size_t i = first; i < after; i++) {
    const struct emuv_trace_call *c = &r->p->order.calls[i];
    bool launch = c->type == EMUV_TRACE_LAUNCH;
    g->use.launches += launch;
    g->use.exact_launches += launch && d->launches[c->index].cls == EMUV_TRACE_CLASS_EXACT;
    g->use.device_ns += c->end_ns > c->start_ns ? c->end_ns - c->start_ns : 0;
    bytes += new_bytes(r, i);
    r->visits++;
  }
  return push_bytes(g, bytes);
}

static int by_device_time(const void *a, const void *b)
{
  const struct emuv_trace_range_use *x = a, *y = b;
  if (x->device_ns != y->device_ns) return x->device_ns > y->device_ns ? -1 : 1;
  if (x->count != y->count) return x->count > y->count ? -1 : 1;
  return strcmp(x->name, y->name);
}

static bool list_groups(struct ranges *r, struct emuv_trace_info *info)
{
  info->ranges = calloc(HASH_COUNT(r->groups) + 1u, sizeof *info->ranges);
  if (!info->ranges) return false;
  for (struct group *g = r->groups; g; g = g->hh.next) {
    g->use.bytes = emuv_info_median(g->bytes, g->use.count);
    info->ranges[info->n_ranges++] = g->use;
  }
  qsort(info->ranges, info->n_ranges, sizeof *info->ranges, by_device_time);
  return true;
}

static void forget_groups(struct ranges *r)
{
  struct group *g = r->groups;
  HASH_CLEAR(hh, r->groups);
  while (g) {
    struct group *next = g->hh.next;
    free(g->bytes);
    free(g);
    g = next;
  }
  free(r->seen);
}

/* The calls stand in the order of their host times, and those are known. */
static bool in_host_order(const struct emuv_trace_order *order)
{
  for (size_t i = 0; i < order->n; i++)
    if (order->calls[i].enter_ns == 0 || (i && order->calls[i].enter_ns < order->calls[i - 1].enter_ns)) return false;
  return order->n > 0;
}

bool emuv_info_ranges(const struct emuv_info_parts *p, struct emuv_trace_info *info)
{
  struct ranges r = {.p = p, .seen = calloc(p->atoms.n + 1u, sizeof *r.seen)};
  struct emuv_trace_spans spans = {0};
  bool ok = r.seen && emuv_trace_spans_find(p->d, &spans, NULL) == 0;
  bool ordered = in_host_order(&p->order);
  for (size_t i = 0; ok && i < spans.n; i++)
    if (ordered && r.visits < VISITS_MOST)
      ok = measure(&r, &spans.span[i], info->end_ns + 1);
    else
      info->ranges_skipped++;
  ok = ok && list_groups(&r, info);
  forget_groups(&r);
  emuv_trace_spans_free(&spans);
  return ok;
}

/* ---- gaps, threads ---- */

static int by_gap(const void *a, const void *b)
{
  const struct emuv_trace_gap_use *x = a, *y = b;
  if (x->why != y->why) return x->why < y->why ? -1 : 1;
  return strcmp(x->text, y->text);
}

static int by_count(const void *a, const void *b)
{
  const struct emuv_trace_gap_use *x = a, *y = b;
  if (x->count != y->count) return x->count > y->count ? -1 : 1;
  return by_gap(a, b);
}

bool emuv_info_gaps(const struct emuv_info_parts *p, struct emuv_trace_info *info)
{
  const struct emuv_trace_data *d = p->d;
  struct emuv_trace_gap_use *g = calloc(d->n_gaps + 1, sizeof *g);
  if (!g) return false;
  for (size_t i = 0; i < d->n_gaps; i++)
    g[i] = (struct emuv_trace_gap_use){d->gaps[i].why, emuv_trace_data_string(d, d->gaps[i].text),
                                       d->gaps[i].count ? d->gaps[i].count : 1};
  qsort(g, d->n_gaps, sizeof *g, by_gap);
  size_t n = 0;
  for (size_t i = 0; i < d->n_gaps; i++)
    if (n && by_gap(&g[n - 1], &g[i]) == 0)
      g[n - 1].count += g[i].count;
    else
      g[n++] = g[i];
  qsort(g, n, sizeof *g, by_count);
  info->gap_uses = g;
  info->n_gap_uses = n;
  return true;
}

static uint32_t thread_of(const struct emuv_trace_data *d, const struct emuv_trace_call *c)
{
  if (c->type == EMUV_TRACE_LAUNCH) return d->launches[c->index].tid;
  return c->type == EMUV_TRACE_COPY ? d->copies[c->index].tid : d->sets[c->index].tid;
}

static int by_value(const void *a, const void *b)
{
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

bool emuv_info_threads(const struct emuv_info_parts *p, struct emuv_trace_info *info)
{
  uint32_t *tids = malloc((p->order.n + 1) * sizeof *tids);
  if (!tids) return false;
  for (size_t i = 0; i < p->order.n; i++) tids[i] = thread_of(p->d, &p->order.calls[i]);
  qsort(tids, p->order.n, sizeof *tids, by_value);
  for (size_t i = 0; i < p->order.n; i++) info->threads += i == 0 || tids[i] != tids[i - 1];
  free(tids);
  return true;
}
