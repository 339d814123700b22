// SPDX-License-Identifier: Apache-2.0
/* How soon and over how much other memory a trace comes back to the same bytes.
 *
 * Reuse distance of a byte: the number of distinct bytes touched since its last touch, itself included; a memory
 * managed by LRU must have this size to still hold it (Mattson et al., "Evaluation techniques for storage hierarchies",
 * IBM Systems Journal 1970). So the miss-ratio curve of LRU is the share of touched bytes with a larger distance, first
 * touches included. Reuse time: from the begin of the last call that touched the byte to the begin of this one.
 * Working-set curve: the mean, over all moments t, of the distinct bytes touched in (t - window, t]; it follows from
 * the reuse times (Denning and Slutz, "Generalized working sets for segment reference strings", CACM 1978).
 *
 * All are counted from one call on; what comes before only says which bytes were touched when. Pure functions of
 * touches and atoms; any thread. */
#ifndef EMUV_FORMAT_REUSE_H
#define EMUV_FORMAT_REUSE_H

#include "tracer/format/atoms.h"

/* Bins of a value v >= 1: four to each power of two. */
enum { EMUV_TRACE_BINS = 256, EMUV_TRACE_CAPACITIES = 512 };
uint32_t emuv_trace_bin(uint64_t v);
/* The least value of a bin, in exact quarters of a power of two (1, 1.25, 1.5, 1.75, 2, 2.5, ...). */
double emuv_trace_bin_low(uint32_t bin);

struct emuv_trace_reuse {
  uint64_t distinct_bytes;                                   /* of the whole trace */
  uint64_t bytes, first_bytes;                               /* touched; of them never touched before */
  uint64_t distance[EMUV_TRACE_BINS], time[EMUV_TRACE_BINS]; /* bytes by bin */
  uint64_t capacity_bin;                                     /* bytes */
  uint64_t hits[EMUV_TRACE_CAPACITIES]; /* [i]: bytes with a distance in (i x bin, (i + 1) x bin] */
  double window[EMUV_TRACE_BINS];       /* mean working set, in bytes, of a window as long as the low end of a bin */
  uint64_t begin, end;                  /* time that was counted */
};

/* EMUV_ERR_NOMEM. */
int emuv_trace_reuse_compute(const struct emuv_trace_touches *touches, const struct emuv_trace_atoms *atoms,
                             size_t from_call, struct emuv_trace_reuse *reuse, struct emuv_err *err);
/* Bytes that an LRU memory of (i + 1) x capacity_bin bytes misses. */
uint64_t emuv_trace_reuse_misses(const struct emuv_trace_reuse *reuse, uint32_t i);

#endif
