// SPDX-License-Identifier: Apache-2.0
/* Heat map: see heat.h. Bins that an interval covers whole are counted in differences between neighbours, summed up at
 * the end, so an interval costs the same however many bins it covers. */
#include "tracer/format/heat.h"

#include <stdlib.h>

/* Length of a bin so that at most n of them hold `length`. */
static uint64_t bin_length(uint64_t length, uint32_t n)
{
  uint64_t bin = length / n + (length % n != 0);
  return bin ? bin : 1;
}

static uint32_t bin_count(uint64_t length, uint64_t bin)
{
  uint64_t n = length / bin + (length % bin != 0);
  return n ? (uint32_t)n : 1;
}

/* Part `k` of `n` equal parts of `bytes`; the parts sum to it. */
static uint64_t part(uint64_t bytes, uint64_t k, uint64_t n)
{
  uint64_t each = bytes / n, rest = bytes % n;
  return each + (k < rest);
}

/* row[i] and whole[i .. i+1): bytes of bin i, and the change of the sum of whole bins from bin i-1 to bin i. */
static void add_interval(const struct emuv_trace_heat *h, uint32_t time, uint64_t *whole, uint64_t lo, uint64_t hi,
                         uint64_t k, uint64_t n)
{
  uint64_t *row = h->bytes + (size_t)time * h->n_spaces;
  uint64_t *changes = whole + (size_t)time * (h->n_spaces + 1u);
  uint64_t first = lo / h->space_bin, last = (hi - 1) / h->space_bin;
  if (first == last) {
    row[first] += part(hi - lo, k, n);
    return;
  }
  row[first] += part((first + 1) * h->space_bin - lo, k, n);
  row[last] += part(hi - last * h->space_bin, k, n);
  uint64_t each = part(h->space_bin, k, n);
  changes[first + 1] += each;
  changes[last] -= each;
}

static void add_call(const struct emuv_trace_touches *t, size_t call, const struct emuv_trace_heat *h, uint64_t *whole)
{
  if (t->begin[call] < h->from || t->begin[call] > h->until) return;
  uint64_t end = t->end[call] > t->begin[call] ? t->end[call] - 1 : t->begin[call];
  uint32_t first = (uint32_t)((t->begin[call] - h->from) / h->time_bin);
  uint64_t last = (end - h->from) / h->time_bin;
  if (first >= h->n_times) first = h->n_times - 1;
  if (last >= h->n_times) last = h->n_times - 1;
  for (size_t i = t->first[call]; i < t->first[call + 1]; i++)
    for (uint32_t b = first; b <= last; b++)
      add_interval(h, b, whole, t->intervals[i].lo, t->intervals[i].hi, b - first, last - first + 1);
}

static void sum_up(const struct emuv_trace_heat *h, const uint64_t *whole)
{
  for (uint32_t t = 0; t < h->n_times; t++) {
    uint64_t sum = 0;
    for (uint32_t a = 0; a < h->n_spaces; a++) {
      sum += whole[(size_t)t * (h->n_spaces + 1u) + a];
      h->bytes[(size_t)t * h->n_spaces + a] += sum;
    }
  }
}

int emuv_trace_heat_compute(const struct emuv_trace_touches *t, uint64_t from, uint64_t until, uint32_t max_times,
                            uint32_t max_spaces, struct emuv_trace_heat *h, struct emuv_err *err)
{
  if (until < from) until = from;
  *h = (struct emuv_trace_heat){.from = from, .until = until};
  h->time_bin = bin_length(until - from, max_times);
  h->space_bin = bin_length(t->space_bytes, max_spaces);
  h->n_times = bin_count(until - from, h->time_bin);
  h->n_spaces = bin_count(t->space_bytes, h->space_bin);
  h->bytes = calloc((size_t)h->n_times * h->n_spaces, sizeof *h->bytes);
  uint64_t *whole = calloc((size_t)h->n_times * (h->n_spaces + 1u), sizeof *whole);
  if (h->bytes && whole) {
    for (size_t i = 0; i < t->n_calls; i++) add_call(t, i, h, whole);
    sum_up(h, whole);
    free(whole);
    return 0;
  }
  free(whole);
  emuv_trace_heat_free(h);
  return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the heat map");
}

void emuv_trace_heat_free(struct emuv_trace_heat *h)
{
  free(h->bytes);
  *h = (struct emuv_trace_heat){0};
}
