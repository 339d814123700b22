// SPDX-License-Identifier: Apache-2.0
/* Estimated device times: see trace_estimate.h. Timed launches are sorted by shape and time; a shape's median is the
 * middle of its stretch. */
#include "simulator/source/trace_estimate.h"

#include <stdlib.h>
#include <string.h>

/* What makes two launches alike: the kernel, its grid and its block. */
struct sample {
  uint32_t shape[7];
  uint64_t ns;
};

static struct sample sample_of(const struct emuv_trace_launch *l)
{
  return (struct sample){
      .shape = {l->kernel, l->grid[0], l->grid[1], l->grid[2], l->block[0], l->block[1], l->block[2]},
      .ns = l->end_ns > l->start_ns ? l->end_ns - l->start_ns : 0};
}

static int compare_shapes(const struct sample *a, const struct sample *b)
{
  for (int i = 0; i < 7; i++)
    if (a->shape[i] != b->shape[i]) return a->shape[i] < b->shape[i] ? -1 : 1;
  return 0;
}

static int by_shape(const void *a, const void *b)
{
  const struct sample *x = a, *y = b;
  int c = compare_shapes(x, y);
  return c ? c : (x->ns > y->ns) - (x->ns < y->ns);
}

/* The first sample of this shape or a later one; with `after`, the first of a later one. */
static size_t bisect(const struct sample *list, size_t n, const struct sample *shape, bool after)
{
  size_t lo = 0, hi = n;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    int c = compare_shapes(&list[mid], shape);
    if (c < 0 || (after && c == 0))
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

static double median(const struct sample *list, size_t n, const struct sample *shape)
{
  size_t first = bisect(list, n, shape, false), end = bisect(list, n, shape, true);
  if (first == end) return 0;
  size_t middle = first + (end - first) / 2;
  return (end - first) % 2 ? (double)list[middle].ns : ((double)list[middle - 1].ns + (double)list[middle].ns) / 2;
}

static size_t collect(const struct emuv_trace_data *d, struct sample *list)
{
  size_t n = 0;
  for (size_t i = 0; i < d->n_launches; i++)
    if (d->launches[i].end_ns > d->launches[i].start_ns) list[n++] = sample_of(&d->launches[i]);
  if (n) qsort(list, n, sizeof *list, by_shape);
  return n;
}

int emuv_trace_estimate_times(const struct emuv_trace_data *d, const struct emuv_trace_order *order,
                              struct emuv_trace_cost *costs, size_t *estimated, struct emuv_err *err)
{
  size_t missing = 0, filled = 0;
  for (size_t i = 0; i < d->n_launches; i++) missing += d->launches[i].end_ns == 0;
  if (estimated) *estimated = 0;
  if (missing == 0) return 0;
  struct sample *list = malloc((d->n_launches + 1) * sizeof *list);
  if (!list) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace's device times");
  size_t n = collect(d, list);
  for (size_t i = 0; i < order->n; i++) {
    const struct emuv_trace_call *call = &order->calls[i];
    if (call->type != EMUV_TRACE_LAUNCH || d->launches[call->index].end_ns || costs[i].device_ns > 0) continue;
    struct sample shape = sample_of(&d->launches[call->index]);
    costs[i].device_ns = median(list, n, &shape);
    filled += costs[i].device_ns > 0;
  }
  free(list);
  if (estimated) *estimated = filled;
  return 0;
}
