// SPDX-License-Identifier: Apache-2.0
/* Atoms: see atoms.h. The bounds are the sorted distinct ends of all intervals. A loop repeats the same few, so most
 * are dropped by a small direct-mapped cache before anything is sorted. */
#include "tracer/format/atoms.h"

#include <stdlib.h>
#include <string.h>

enum { CACHE_BITS = 16 };
static const uint64_t FIRST_GRAIN = 4096;
static const uint32_t ATOMS_MOST = UINT32_C(1) << 31;

struct bounds {
  uint64_t *b;
  size_t n, cap;
  uint64_t seen[1 << CACHE_BITS]; /* value + 1 */
};

static bool push(struct bounds *list, uint64_t value)
{
  uint64_t *seen = &list->seen[value * UINT64_C(0x9E3779B97F4A7C15) >> (64 - CACHE_BITS)];
  if (*seen == value + 1) return true;
  *seen = value + 1;
  if (list->n == list->cap) {
    size_t cap = list->cap * 2 + 1024;
    uint64_t *grown = realloc(list->b, cap * sizeof *grown);
    if (!grown) return false;
    list->b = grown;
    list->cap = cap;
  }
  list->b[list->n++] = value;
  return true;
}

static int by_value(const void *a, const void *b)
{
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static void sort(struct bounds *list)
{
  size_t kept = 0;
  if (list->n) qsort(list->b, list->n, sizeof *list->b, by_value);
  for (size_t i = 0; i < list->n; i++)
    if (kept == 0 || list->b[kept - 1] != list->b[i]) list->b[kept++] = list->b[i];
  list->n = kept;
}

static bool collect(const struct emuv_trace_touches *t, uint64_t grain, struct bounds *list)
{
  size_t n = t->first[t->n_calls];
  list->n = 0;
  memset(list->seen, 0, sizeof list->seen);
  for (size_t i = 0; i < n; i++) {
    uint64_t lo = t->intervals[i].lo, hi = t->intervals[i].hi;
    if (!push(list, lo - lo % grain) || !push(list, (hi + grain - 1) / grain * grain)) return false;
  }
  sort(list);
  return true;
}

static uint32_t find(const struct bounds *list, uint64_t value)
{
  size_t lo = 0, hi = list->n;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (list->b[mid] < value)
      lo = mid + 1;
    else
      hi = mid;
  }
  return (uint32_t)lo;
}

static void set_runs(const struct emuv_trace_touches *t, const struct bounds *list, struct emuv_trace_atoms *a)
{
  size_t n = t->first[t->n_calls];
  a->references = 0;
  for (size_t i = 0; i < n; i++) {
    uint64_t lo = t->intervals[i].lo, hi = t->intervals[i].hi;
    uint32_t first = find(list, lo - lo % a->grain);
    uint32_t last = find(list, (hi + a->grain - 1) / a->grain * a->grain);
    a->run[i] = (struct emuv_trace_run){first, last - first};
    a->references += last - first;
  }
}

/* The finest cut with few enough references. */
static int cut(const struct emuv_trace_touches *t, uint64_t most, struct bounds *list, struct emuv_trace_atoms *a,
               struct emuv_err *err)
{
  for (a->grain = 1;; a->grain = a->grain == 1 ? FIRST_GRAIN : a->grain * 4) {
    if (!collect(t, a->grain, list)) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace's atoms");
    if (list->n > ATOMS_MOST) return emuv_err_set(err, EMUV_ERR_RANGE, "the trace touches too many different places");
    set_runs(t, list, a);
    if (a->references <= most || list->n <= 2) return 0;
  }
}

int emuv_trace_atoms_build(const struct emuv_trace_touches *t, uint64_t most, struct emuv_trace_atoms *a,
                           struct emuv_err *err)
{
  struct bounds *list = calloc(1, sizeof *list);
  *a = (struct emuv_trace_atoms){.grain = 1};
  a->run = malloc((t->first[t->n_calls] + 1) * sizeof *a->run);
  if (!list || !a->run) {
    free(list);
    emuv_trace_atoms_free(a);
    return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace's atoms");
  }
  int code = cut(t, most, list, a, err);
  a->bounds = list->b;
  a->n = list->n > 1 ? (uint32_t)list->n - 1 : 0;
  free(list);
  if (code) emuv_trace_atoms_free(a);
  return code;
}

void emuv_trace_atoms_free(struct emuv_trace_atoms *a)
{
  free(a->bounds);
  free(a->run);
  *a = (struct emuv_trace_atoms){0};
}
