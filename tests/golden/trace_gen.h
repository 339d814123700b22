// SPDX-License-Identifier: Apache-2.0
/* Reference strings for tests and benchmarks, the same on every platform: Zipf (inverse of the summed weights 1/k,
 * which are exact IEEE divisions, so no libm is involved) and cyclic. Objects are ranks 0 .. objects-1. */
#ifndef EMUV_TESTS_TRACE_GEN_H
#define EMUV_TESTS_TRACE_GEN_H

#include "runtime/core/rng.h"

#include <stddef.h>
#include <stdlib.h>

/* Zipf with exponent 1. Returns -1 when memory is short. */
static inline int trace_gen_zipf(uint32_t *refs, size_t n, uint32_t objects, uint64_t seed)
{
  double *sum = malloc(objects * sizeof *sum), total = 0;
  struct emuv_rng rng;
  if (!sum) return -1;
  for (uint32_t k = 0; k < objects; k++) sum[k] = total += 1.0 / (k + 1);
  emuv_rng_seed(&rng, seed);
  for (size_t i = 0; i < n; i++) {
    double x = emuv_rng_unit(&rng) * total;
    uint32_t low = 0, high = objects - 1;
    while (low < high) {
      uint32_t mid = low + (high - low) / 2;
      if (sum[mid] > x) {
        high = mid;
      } else {
        low = mid + 1;
      }
    }
    refs[i] = low;
  }
  free(sum);
  return 0;
}

static inline void trace_gen_cyclic(uint32_t *refs, size_t n, uint32_t objects)
{
  for (size_t i = 0; i < n; i++) refs[i] = (uint32_t)(i % objects);
}

/* Object ids as real traces have them: 64 bits, not dense, one to one. */
static inline uint64_t trace_gen_id(uint32_t rank)
{
  uint64_t x = rank;
  return emuv_rng_splitmix64(&x);
}

#endif
