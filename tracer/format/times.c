// SPDX-License-Identifier: Apache-2.0
/* Device times of a loaded trace: GPU_TIME records joined to calls by (correlation, graph node).
 *
 * A launch of a graph has a record per node, or, when its nodes were not timed (which is cheaper), one for the whole.
 * Then its nodes' times are estimated. Where launches of the same graph were timed by node, each node lies where it lay
 * there on average; where none was, nodes run one after the other, each as long as calls of its kind took outside of
 * graphs (twins.h), or as the graph's mean when there was none. The whole decides about the pauses: where it took
 * longer than the nodes, pauses are stretched or shrunk to fit; where it was shorter, nodes are shrunk and the pauses
 * vanish. Such calls have EMUV_TRACE_FLAG_ESTIMATED. */
#include "tracer/format/graphs.h"
#include "tracer/format/sampled.h"
#include "tracer/format/twins.h"

#include <stdlib.h>
#include <string.h>

static int compare_times(const struct emuv_trace_gpu_time *x, uint64_t correlation, uint64_t node)
{
  if (x->correlation != correlation) return x->correlation < correlation ? -1 : 1;
  return (x->graph_node > node) - (x->graph_node < node);
}

static int by_correlation(const void *a, const void *b)
{
  const struct emuv_trace_gpu_time *x = a, *y = b;
  int c = compare_times(x, y->correlation, y->graph_node);
  return c ? c : (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
}

/* Sorted copy of the times, and which are taken. */
struct times {
  struct emuv_trace_gpu_time *t;
  uint8_t *taken;
  size_t n;
};

/* The first time of (correlation, node) or later. */
static size_t find_time(const struct times *times, uint64_t correlation, uint64_t node)
{
  size_t lo = 0, hi = times->n;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (compare_times(&times->t[mid], correlation, node) < 0)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

/* The first time of (correlation, node) that nobody has taken. */
static bool take_time(struct emuv_trace_data *d, struct times *times, uint64_t correlation, uint64_t node,
                      uint64_t *start, uint64_t *end)
{
  size_t i = find_time(times, correlation, node);
  while (i < times->n && times->taken[i]) i++;
  if (i == times->n || compare_times(&times->t[i], correlation, node) != 0) return false;
  times->taken[i] = 1;
  *start = times->t[i].start_ns;
  *end = times->t[i].end_ns;
  d->unmatched_times--;
  return true;
}

static void join_time(struct emuv_trace_data *d, struct times *times, uint64_t correlation, uint64_t node,
                      uint64_t *start, uint64_t *end)
{
  if (*end == 0) take_time(d, times, correlation, node, start, end);
}

/* A launch that stands for a whole graph lasts from the start of its first node to the end of its last. */
static void join_graph(struct emuv_trace_data *d, struct times *times, struct emuv_trace_launch *l)
{
  if (l->end_ns) return;
  for (size_t i = find_time(times, l->correlation, 0); i < times->n && times->t[i].correlation == l->correlation; i++) {
    if (times->taken[i]) continue;
    times->taken[i] = 1;
    d->unmatched_times--;
    if (l->end_ns == 0 || times->t[i].start_ns < l->start_ns) l->start_ns = times->t[i].start_ns;
    if (times->t[i].end_ns > l->end_ns) l->end_ns = times->t[i].end_ns;
  }
}

static void join_launch(struct emuv_trace_data *d, struct times *times, struct emuv_trace_launch *l)
{
  if (l->flags & EMUV_TRACE_FLAG_GRAPH && l->graph_node == 0)
    join_graph(d, times, l);
  else
    join_time(d, times, l->correlation, l->graph_node, &l->start_ns, &l->end_ns);
}

/* ---- launches of graphs ---- */

#define LONGEST_NS (UINT64_C(1) << 40)
#define PAUSE_NS 1000 /* between two nodes, before it is fitted */

struct slot { /* where the times of a call are */
  uint64_t *start, *end;
  uint32_t *flags;
};

#define SLOT(array)                                                                                                    \
  (struct slot)                                                                                                        \
  {                                                                                                                    \
    &d->array[e->index].start_ns, &d->array[e->index].end_ns, &d->array[e->index].flags                                \
  }

static struct slot slot_of(struct emuv_trace_data *d, const struct emuv_graph_run *run, uint32_t k)
{
  const struct emuv_trace_event *e = &d->events[run->first_event + k];
  if (e->type == EMUV_TRACE_COPY) return SLOT(copies);
  return e->type == EMUV_TRACE_SET ? SLOT(sets) : SLOT(launches);
}

static bool profile_reserve(struct emuv_graph_profile *p, uint32_t n)
{
  if (p->start) return true;
  uint64_t **const arrays[] = {&p->start, &p->end, &p->busy_start, &p->busy_end};
  bool ok = true;
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    ok &= (*arrays[i] = calloc(n, sizeof **arrays[i])) != NULL;
  return ok;
}

/* Adds a launch all of whose nodes were timed to its graph's profile, unless its times are out of all proportion. */
static bool profile_add(struct emuv_trace_data *d, const struct emuv_graph_run *run)
{
  struct emuv_graph_profile *p = &run->graph->like->profile;
  const uint32_t n = run->graph->n_work;
  uint64_t first = UINT64_MAX;
  if (!profile_reserve(p, n)) return false;
  for (uint32_t k = 0; k < n; k++)
    if (*slot_of(d, run, k).start < first) first = *slot_of(d, run, k).start;
  for (uint32_t k = 0; k < n; k++)
    if (*slot_of(d, run, k).end - first > LONGEST_NS) return true;
  for (uint32_t k = 0; k < n; k++) {
    p->start[k] += *slot_of(d, run, k).start - first;
    p->end[k] += *slot_of(d, run, k).end - first;
  }
  p->launches++;
  return true;
}

/* True when all nodes were timed. */
static bool join_nodes(struct emuv_trace_data *d, struct times *times, const struct emuv_graph_run *run)
{
  const struct emuv_graph *graph = run->graph;
  uint32_t timed = 0;
  for (uint32_t k = 0; k < graph->n_work; k++) {
    const struct slot s = slot_of(d, run, k);
    timed += take_time(d, times, run->correlation, d->graph_nodes[graph->work[k]].node, s.start, s.end) && *s.start &&
             *s.end >= *s.start;
  }
  return timed == graph->n_work && timed > 0;
}

struct busy {                  /* a stretch of time with the device busy */
  uint64_t start, end, before; /* before: busy until start */
};

static int by_start(const void *a, const void *b)
{
  const struct busy *x = a, *y = b;
  return (x->start > y->start) - (x->start < y->start);
}

/* Merges what overlaps; returns the number of stretches. */
static size_t merge(struct busy *s, size_t n)
{
  size_t out = 0;
  qsort(s, n, sizeof *s, by_start);
  for (size_t i = 0; i < n; i++) {
    if (out && s[i].start <= s[out - 1].end) {
      if (s[i].end > s[out - 1].end) s[out - 1].end = s[i].end;
    } else {
      s[out++] = s[i];
    }
  }
  for (size_t i = 1; i < out; i++) s[i].before = s[i - 1].before + (s[i - 1].end - s[i - 1].start);
  return out;
}

static uint64_t busy_before(const struct busy *s, size_t n, uint64_t t)
{
  size_t lo = 0, hi = n;
  while (lo < hi) {
    const size_t mid = lo + (hi - lo) / 2;
    if (s[mid].start <= t)
      lo = mid + 1;
    else
      hi = mid;
  }
  if (lo == 0) return 0;
  const uint64_t in = t < s[lo - 1].end ? t - s[lo - 1].start : s[lo - 1].end - s[lo - 1].start;
  return s[lo - 1].before + in;
}

/* Turns sums into means. */
static bool profile_finish(struct emuv_graph_profile *p, uint32_t n)
{
  if (p->launches == 0) return true;
  struct busy *s = calloc(n, sizeof *s);
  if (!s) return false;
  for (uint32_t k = 0; k < n; k++) {
    s[k].start = p->start[k] /= p->launches;
    s[k].end = p->end[k] /= p->launches;
    if (p->end[k] > p->span_ns) p->span_ns = p->end[k];
  }
  const size_t stretches = merge(s, n);
  p->busy_ns = s[stretches - 1].before + (s[stretches - 1].end - s[stretches - 1].start);
  for (uint32_t k = 0; k < n; k++) {
    p->busy_start[k] = busy_before(s, stretches, p->start[k]);
    p->busy_end[k] = busy_before(s, stretches, p->end[k]);
  }
  free(s);
  return true;
}

static void estimate(struct emuv_trace_data *d, const struct emuv_graph_run *run)
{
  const struct emuv_graph_profile *p = &run->graph->like->profile;
  if (p->launches == 0 || p->busy_ns == 0 || run->end_ns <= run->start_ns || run->end_ns - run->start_ns > LONGEST_NS)
    return;
  const double whole = (double)(run->end_ns - run->start_ns), busy_ns = (double)p->busy_ns;
  const double pause_ns = (double)(p->span_ns - p->busy_ns);
  const double busy = whole < busy_ns || pause_ns <= 0 ? whole / busy_ns : 1;
  const double pause = pause_ns > 0 ? (whole - busy * busy_ns) / pause_ns : 0;
  for (uint32_t k = 0; k < run->graph->n_work; k++) {
    const struct slot s = slot_of(d, run, k);
    if (*s.end) continue;
    const double b0 = (double)p->busy_start[k], b1 = (double)p->busy_end[k];
    *s.start = run->start_ns + (uint64_t)(busy * b0 + pause * ((double)p->start[k] - b0));
    *s.end = run->start_ns + (uint64_t)(busy * b1 + pause * ((double)p->end[k] - b1));
    *s.flags |= EMUV_TRACE_FLAG_ESTIMATED;
    d->estimated++;
  }
}

/* For a graph none of whose launches was timed by node. */
static bool profile_from_twins(const struct emuv_trace_data *d, const struct emuv_twins *twins,
                               const struct emuv_graph *graph)
{
  struct emuv_graph_profile *p = &graph->like->profile;
  uint64_t sum = 0, known = 0, at = 0;
  if (p->launches || graph->n_work == 0) return true;
  if (!profile_reserve(p, graph->n_work)) return false;
  for (uint32_t k = 0; k < graph->n_work; k++) {
    const uint64_t ns = emuv_twins_find(twins, &d->graph_nodes[graph->work[k]]);
    p->end[k] = ns < LONGEST_NS ? ns : 0;
    sum += p->end[k];
    known += p->end[k] > 0;
  }
  for (uint32_t k = 0; k < graph->n_work; k++) {
    const uint64_t ns = p->end[k] ? p->end[k] : known ? sum / known : PAUSE_NS;
    p->start[k] = at;
    p->end[k] = at + ns;
    at += ns + PAUSE_NS;
  }
  p->launches = 1;
  return true;
}

/* Profiles of graphs with launches that were timed as a whole. */
static bool profile_all(struct emuv_trace_data *d, struct emuv_graphs *g)
{
  struct emuv_twins twins = {0};
  bool ok = g->n_runs == 0 || emuv_twins_build(d, &twins);
  for (size_t i = 0; ok && i < g->n_runs; i++)
    if (g->runs[i].end_ns) ok = profile_from_twins(d, &twins, g->runs[i].graph);
  for (struct emuv_graph *graph = g->by_id; ok && graph; graph = graph->hh.next)
    ok = profile_finish(&graph->profile, graph->n_work);
  emuv_twins_free(&twins);
  return ok;
}

static bool join_graphs(struct emuv_trace_data *d, struct times *times, struct emuv_graphs *g)
{
  for (size_t i = 0; i < g->n_runs; i++) {
    struct emuv_graph_run *run = &g->runs[i];
    if (!run->end_ns) take_time(d, times, run->correlation, 0, &run->start_ns, &run->end_ns);
    if (join_nodes(d, times, run) && !profile_add(d, run)) return false;
  }
  return true;
}

/* ---- interface ---- */

static void join_calls(struct emuv_trace_data *d, struct times *times)
{
  for (size_t i = 0; i < d->n_launches; i++) join_launch(d, times, &d->launches[i]);
  for (size_t i = 0; i < d->n_copies; i++)
    join_time(d, times, d->copies[i].correlation, 0, &d->copies[i].start_ns, &d->copies[i].end_ns);
  for (size_t i = 0; i < d->n_sets; i++)
    join_time(d, times, d->sets[i].correlation, 0, &d->sets[i].start_ns, &d->sets[i].end_ns);
}

static void count_untimed(struct emuv_trace_data *d)
{
  for (size_t i = 0; i < d->n_launches; i++) d->untimed += d->launches[i].end_ns == 0;
  for (size_t i = 0; i < d->n_copies; i++) d->untimed += d->copies[i].end_ns == 0;
  for (size_t i = 0; i < d->n_sets; i++) d->untimed += d->sets[i].end_ns == 0;
}

int emuv_times_join(struct emuv_trace_data *d, struct emuv_graphs *g, struct emuv_err *err)
{
  struct times times = {.n = d->n_gpu_times};
  times.t = malloc((times.n + 1) * sizeof *times.t);
  times.taken = calloc(times.n + 1, 1);
  bool ok = times.t && times.taken;
  if (ok) {
    if (times.n) memcpy(times.t, d->gpu_times, times.n * sizeof *times.t);
    qsort(times.t, times.n, sizeof *times.t, by_correlation);
    d->unmatched_times = times.n;
    ok = join_graphs(d, &times, g);
  }
  if (ok) {
    join_calls(d, &times);
    ok = profile_all(d, g);
  }
  for (size_t i = 0; ok && i < g->n_runs; i++) estimate(d, &g->runs[i]);
  if (ok) ok = emuv_times_sampled(d);
  if (ok) count_untimed(d);
  free(times.t);
  free(times.taken);
  return ok ? 0 : emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for device times");
}
