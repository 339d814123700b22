// SPDX-License-Identifier: Apache-2.0
/* Ties GPU activity to the call that caused it.
 *
 * CUPTI numbers API calls; activity records carry the number of their call. When a runtime call (cudaLaunchKernel)
 * makes a driver call (cuLaunchKernel), some CUPTI versions give the activity the outer call's number, which a driver
 * callback never sees. So the numbers of recorded driver calls are kept for a while: an activity whose number is among
 * them is tied to that call; else to the first later call that has no activity yet (the inner call follows its outer
 * one). Once a run of exact matches has shown that this CUPTI needs no such search, nothing is kept any more.
 *
 * A capture that does not record everything (strict) sees activities of calls that it did not record: then only exact
 * numbers count, and those that are one below a recorded call's as long as no exact one has been seen.
 *
 * Owned and locked by the caller. */
#ifndef EMUV_INJECT_CORRELATIONS_H
#define EMUV_INJECT_CORRELATIONS_H

#include <stdbool.h>
#include <stdint.h>

enum { EMUV_CORRELATIONS_KEPT = 65536, EMUV_CORRELATIONS_PROOF = 512 };

struct emuv_correlations {
  struct {
    uint32_t id;
    bool taken, many;             /* many: a graph launch, whose activities share one number */
  } kept[EMUV_CORRELATIONS_KEPT]; /* a ring, ids ascending from head - n to head */
  uint64_t head, n;
  uint32_t exact_run;
  bool trusted;    /* numbers match: nothing is kept */
  bool strict;     /* set by the owner, before the first call */
  uint64_t nested; /* activities tied to an inner call */
  uint64_t unknown;
};

/* A call with this number was recorded. */
void emuv_correlations_issue(struct emuv_correlations *c, uint32_t id, bool many);
/* The number of the recorded call that an activity with this number belongs to; when none is
 * known, the same number, or 0 if strict. */
uint32_t emuv_correlations_resolve(struct emuv_correlations *c, uint32_t id);

#endif
