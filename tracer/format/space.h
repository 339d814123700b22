// SPDX-License-Identifier: Apache-2.0
/* The device memory that a trace touches, as one compact address space.
 *
 * Frameworks reserve large segments and cut tensors from them, so an allocation says little. Here every touched extent
 * (operand, copy, set) of every allocation of device memory is collected; extents that overlap are merged; what remains
 * is laid out one after the other, in the order of allocation and offset. Memory that nothing touches takes no room. An
 * allocation that reuses a freed address is a new object.
 *
 * An operand of class `bounded` tells where a kernel's memory starts, but only an upper bound of where it ends (as a
 * rule the end of the allocation). It is taken to end at the next address that any call uses as a start in that
 * allocation.
 *
 * Immutable once built; any thread may read. */
#ifndef EMUV_FORMAT_SPACE_H
#define EMUV_FORMAT_SPACE_H

#include "runtime/core/err.h"
#include "tracer/format/load.h"

#include <stddef.h>

struct emuv_trace_extent {
  size_t allocation;      /* index in data.allocations */
  uint64_t offset, bytes; /* inside the allocation */
  uint64_t base;          /* in the compact space */
};

struct emuv_trace_space {
  struct emuv_trace_extent *extents;  /* by allocation, offset; disjoint */
  uint64_t *starts;                   /* distinct starts, by allocation, offset */
  size_t *first_extent, *first_start; /* per allocation, n_allocations + 1 entries */
  size_t n_extents, n_allocations;
  uint64_t bytes; /* end of the last extent */
  const struct emuv_trace_data *data;
};

/* A part of an allocation in the compact space. */
struct emuv_trace_place {
  size_t extent;
  uint64_t offset, bytes; /* inside the extent */
};

enum { EMUV_TRACE_SPACE_ALIGN = 512 }; /* of extents; what CUDA's allocators give */

/* data must outlive the space. */
int emuv_trace_space_build(const struct emuv_trace_data *data, struct emuv_trace_space *space, struct emuv_err *err);
/* False when it is not device memory that the space holds. */
bool emuv_trace_space_find(const struct emuv_trace_space *space, uint64_t allocation, uint64_t offset, uint64_t bytes,
                           bool bounded, struct emuv_trace_place *place);
void emuv_trace_space_free(struct emuv_trace_space *space);
/* Memory of this kind lies on the device. */
bool emuv_trace_memory_on_device(uint32_t kind);

#endif
