// SPDX-License-Identifier: Apache-2.0
/* What merging keeps of a trace: its launches, its allocations, its kernels' names, and for a capture
 * of pages the operands, each page set once. Internal to merge.c; one thread. */
#ifndef EMUV_FORMAT_MERGE_SIDE_H
#define EMUV_FORMAT_MERGE_SIDE_H

#include "runtime/core/err.h"
#include "tracer/format/load.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct emuv_merge_operands {
  struct emuv_trace_operand *list;
  uint32_t n;
};

struct emuv_merge_launch {
  uint64_t key;    /* hash of name, grid and block */
  uint32_t kernel; /* index in names */
  uint32_t cls;
  size_t operands; /* index in operands; 0 = none */
};

struct emuv_merge_allocation {
  uint64_t id, address, bytes;
};

struct emuv_merge_side {
  struct emuv_merge_launch *launches;
  struct emuv_merge_allocation *allocations;
  struct emuv_merge_operands *operands; /* [0] is empty */
  char **names;
  size_t n_launches, n_allocations, n_operands, n_names;
  size_t *of_kernel; /* index in names + 1, by kernel id */
  size_t n_of_kernel;
  size_t *of_set; /* index in operands, by page set */
  size_t n_of_set;
  struct emuv_merge_id *by_id;     /* uthash: allocations */
  struct emuv_merge_name *by_name; /* uthash: names */
  uint64_t page_bytes;             /* 0: not a capture of pages */
  uint64_t in_graphs;              /* of the launches */
  bool truncated;
};

/* A capture of pages, with its operands. */
int emuv_merge_side_read(struct emuv_merge_side *s, const char *path, struct emuv_err *err);
/* A loaded trace: launches[i] is that of d->launches[i], those of graphs included; operands stay there. */
int emuv_merge_side_take(struct emuv_merge_side *s, const struct emuv_trace_data *d, struct emuv_err *err);
void emuv_merge_side_free(struct emuv_merge_side *s);
/* Index of the allocation with this id, SIZE_MAX if there is none. */
size_t emuv_merge_side_allocation(const struct emuv_merge_side *s, uint64_t id);
/* Arrays for emuv_align, which the caller frees; NULL when memory is short. */
uint64_t *emuv_merge_side_keys(const struct emuv_merge_side *s);
uint64_t *emuv_merge_side_sizes(const struct emuv_merge_side *s);

#endif
