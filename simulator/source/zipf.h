// SPDX-License-Identifier: Apache-2.0
/* Zipf-distributed ranks: P(rank k) proportional to 1 / k^skew for k = 1 .. n, exact, in O(1) memory and expected time.
 *
 * Rejection-inversion: W. Hormann and G. Derflinger, "Rejection-inversion to generate variates from monotone discrete
 * distributions", ACM TOMACS 6(3), 1996. The struct is read-only once made and may be shared by threads, each with its
 * own generator. */
#ifndef EMUV_SIMULATOR_SOURCE_ZIPF_H
#define EMUV_SIMULATOR_SOURCE_ZIPF_H

#include "runtime/core/rng.h"

#include <stdint.h>

struct emuv_zipf {
  uint64_t n;
  double skew;      /* >= 0; 0 = uniform */
  double area_low;  /* H(1.5) - h(1) */
  double area_high; /* H(n + 0.5) */
  double accept;    /* ranks at most this far below the inverse are taken without a second look */
};

/* n >= 1, skew >= 0 and finite. */
void emuv_zipf_init(struct emuv_zipf *z, uint64_t n, double skew);
/* A rank, 0 (the most popular) .. n-1. */
uint64_t emuv_zipf_next(const struct emuv_zipf *z, struct emuv_rng *rng);

#endif
