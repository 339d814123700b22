// SPDX-License-Identifier: Apache-2.0
/* The reference program of a run at one page size: the page runs that each slice of each launch touches, in order.
 * Immutable once built, readable from any thread. Built from a workload (simulator/program.c) or a trace; the pager,
 * the prefetchers and the future-knowing yardsticks read it. */
#ifndef EMUV_CORE_PROGRAM_H
#define EMUV_CORE_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum emuv_page_run_flag {
  EMUV_RUN_WRITE = 1,
  EMUV_RUN_NEW = 2,     /* every page of the run is overwritten whole */
  EMUV_RUN_DYNAMIC = 4, /* known only when the launch before it has run (expert routing) */
};

/* Consecutive pages first .. first+n-1, n >= 1. */
struct emuv_page_run {
  uint32_t first, n, flags;
};

/* A launch consumes its pages in order; a slice is the part of it that becomes runnable together. */
struct emuv_slice {
  uint32_t first_run, n_runs;
  uint32_t op;        /* index of the launch */
  uint32_t first_ref; /* index of its first page reference in the whole program */
  float share;        /* of the launch's work, 0..1; the shares of a launch sum to 1 */
  bool opens_op;      /* first slice of its launch */
};

/* Pages of one layer: runs[first_run .. first_run+n_runs-1] of `layer_runs`. */
struct emuv_layer_pages {
  uint32_t first_run, n_runs;
};

struct emuv_program {
  uint64_t page_bytes;
  uint32_t n_pages;
  uint32_t n_refs; /* page references in all slices */
  struct emuv_page_run *runs;
  struct emuv_slice *slices;
  int32_t *slice_layer;       /* per slice: layer of its launch, -1 = none */
  uint32_t *step_first_slice; /* n_steps + 1 entries */
  uint8_t *initial;           /* per page: 1 = holds data before the first launch */
  struct emuv_layer_pages *layers;
  struct emuv_page_run *layer_runs;
  size_t n_runs, n_slices, n_steps, n_layers, n_layer_runs;
};

/* next[i] = index of the reference that follows reference i on the same page, EMUV_NEVER if none (n_refs entries).
 * One backward pass; `last` is scratch of n_pages entries. */
void emuv_program_next_uses(const struct emuv_program *program, uint32_t *next, uint32_t *last);
void emuv_program_free(struct emuv_program *program);

#endif
