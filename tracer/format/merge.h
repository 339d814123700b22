// SPDX-License-Identifier: Apache-2.0
/* Joins a capture of pages to the default capture of another run of the same program: the result has the times of the
 * default trace, and the pages that each kernel was seen to read and write as its operands.
 *
 * Launches are paired in order by kernel name, grid and block, those that graphs make included; where the runs differ
 * (autotuning, for one) they are brought together again (align.h). Addresses differ between runs. So allocations are
 * paired in the same way, in order by size, and an operand of the page run becomes the same offset and size in the
 * partner of its allocation.
 *
 * A launch that was fully observed gets the observed operands, and keeps those from TMA descriptors. One that was not
 * (class gap in the page run) keeps its own operands, with those pages added that they do not cover. Graphs stay as
 * they are: their nodes are in the file once.
 *
 * The other way round the page run is the referee of the default one: pages that a launch touched and that none of its
 * default operands overlaps are counted for its kernel. A page that holds several allocations was seen as a whole, so
 * it is covered where one of them is. */
#ifndef EMUV_FORMAT_MERGE_H
#define EMUV_FORMAT_MERGE_H

#include "runtime/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct emuv_merge_kernel {
  char *name;
  uint64_t launches;   /* of the default trace */
  uint64_t joined;     /* with a launch of the page trace */
  uint64_t unobserved; /* of those joined: the page run did not see everything */
  uint64_t pages;      /* touched by joined launches, as often as launches touched them */
  uint64_t uncovered;  /* of those: no default operand overlaps the page */
  uint64_t unmapped;   /* of those uncovered: in an allocation without a partner */
  uint64_t uncovered_launches;
};

struct emuv_merge {
  uint64_t page_bytes;
  uint64_t launches, page_launches; /* of the two traces */
  uint64_t joined, observed;
  uint64_t in_graphs; /* launches of the default trace that graphs made */
  uint64_t allocations, page_allocations, joined_allocations;
  uint64_t pages, uncovered;
  bool truncated, page_truncated;    /* that trace ends early */
  struct emuv_merge_kernel *kernels; /* most uncovered pages first, then most unobserved launches, then by name */
  size_t n_kernels;
};

/* Reads both traces and writes the merged one to `output` (NULL: only the result is wanted). EMUV_ERR_INPUT: a trace is
 * damaged, `pages` is not a capture of pages, or fewer than half of the launches can be paired, so that the traces are
 * not of the same program. The caller frees the result, after success only. */
int emuv_merge(const char *trace, const char *pages, const char *output, struct emuv_merge *result,
               struct emuv_err *err);
void emuv_merge_free(struct emuv_merge *result);

#endif
