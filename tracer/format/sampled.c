// SPDX-License-Identifier: Apache-2.0
/* See sampled.h. */
#include "tracer/format/sampled.h"

#include "tracer/format/push.h"
#include "tracer/format/twins.h"

#include <stdlib.h>

enum { STREAMS = 64 }; /* more share places: their launches then wait for each other */

struct sample {
  uint32_t kernel;
  uint64_t threads, ns;
};

struct samples {
  struct sample *sample; /* by kernel, then threads */
  size_t n_sample;
};

static uint64_t threads_of(const struct emuv_trace_launch *l)
{
  const uint64_t blocks = (uint64_t)l->grid[0] * l->grid[1] * l->grid[2];
  return blocks * ((uint64_t)l->block[0] * l->block[1] * l->block[2]);
}

static int compare(const struct sample *x, uint32_t kernel, uint64_t threads)
{
  if (x->kernel != kernel) return x->kernel < kernel ? -1 : 1;
  return (x->threads > threads) - (x->threads < threads);
}

static int by_kernel(const void *a, const void *b)
{
  const struct sample *x = a, *y = b;
  const int c = compare(x, y->kernel, y->threads);
  return c ? c : (x->ns > y->ns) - (x->ns < y->ns);
}

static bool measured(const struct emuv_trace_launch *l)
{
  return l->start_ns && l->end_ns > l->start_ns && !(l->flags & (EMUV_TRACE_FLAG_GRAPH | EMUV_TRACE_FLAG_ESTIMATED));
}

static bool collect(const struct emuv_trace_data *d, struct samples *s)
{
  bool ok = true;
  for (size_t i = 0; ok && i < d->n_launches; i++) {
    const struct emuv_trace_launch *l = &d->launches[i];
    const struct sample sample = {.kernel = l->kernel, .threads = threads_of(l), .ns = l->end_ns - l->start_ns};
    if (measured(l)) ok = EMUV_PUSH(s, sample, sample);
  }
  if (ok && s->n_sample) qsort(s->sample, s->n_sample, sizeof *s->sample, by_kernel);
  return ok;
}

/* Of the timed launches of the kernel, that with the nearest number of threads; 0 when there is none. */
static uint64_t nearest(const struct samples *s, uint32_t kernel, uint64_t threads)
{
  size_t lo = 0, hi = s->n_sample;
  while (lo < hi) {
    const size_t mid = lo + (hi - lo) / 2;
    if (compare(&s->sample[mid], kernel, threads) < 0)
      lo = mid + 1;
    else
      hi = mid;
  }
  const struct sample *above = lo < s->n_sample && s->sample[lo].kernel == kernel ? &s->sample[lo] : NULL;
  const struct sample *below = lo > 0 && s->sample[lo - 1].kernel == kernel ? &s->sample[lo - 1] : NULL;
  if (above && below) return above->threads - threads < threads - below->threads ? above->ns : below->ns;
  return above ? above->ns : below ? below->ns : 0;
}

static uint64_t duration(const struct emuv_twins *twins, const struct samples *s, const struct emuv_trace_launch *l)
{
  struct emuv_trace_graph_node alike = {
      .kind = EMUV_TRACE_NODE_LAUNCH, .kernel = l->kernel, .shared_bytes = l->shared_bytes};
  for (int i = 0; i < 3; i++) {
    alike.grid[i] = l->grid[i];
    alike.block[i] = l->block[i];
  }
  const uint64_t ns = emuv_twins_find(twins, &alike);
  return ns ? ns : nearest(s, l->kernel, threads_of(l));
}

static void place(struct emuv_trace_data *d, const struct emuv_twins *twins, const struct samples *s)
{
  uint64_t done[STREAMS] = {0};
  for (size_t i = 0; i < d->n_launches; i++) {
    struct emuv_trace_launch *l = &d->launches[i];
    uint64_t *const free_at = &done[l->stream % STREAMS];
    const uint64_t ns = l->end_ns || l->flags & EMUV_TRACE_FLAG_GRAPH ? 0 : duration(twins, s, l);
    if (ns) {
      l->start_ns = l->exit_ns > *free_at ? l->exit_ns : *free_at;
      l->end_ns = l->start_ns + ns;
      l->flags |= EMUV_TRACE_FLAG_ESTIMATED;
      d->estimated++;
    }
    if (l->end_ns > *free_at) *free_at = l->end_ns;
  }
}

bool emuv_times_sampled(struct emuv_trace_data *d)
{
  struct emuv_twins twins = {0};
  struct samples samples = {0};
  if (!emuv_trace_data_environment(d, "kernel_times")) return true;
  const bool ok = emuv_twins_build(d, &twins) && collect(d, &samples);
  if (ok) place(d, &twins, &samples);
  emuv_twins_free(&twins);
  free(samples.sample);
  return ok;
}
