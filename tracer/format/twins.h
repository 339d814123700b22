// SPDX-License-Identifier: Apache-2.0
/* How long did calls like this one take? Device times of a trace's ordinary calls, by what they do: a launch by kernel,
 * grid, block and shared memory; copies and sets by kind and bytes. Programs run a graph's work without the graph first
 * (PyTorch asks for that), so nearly every node has a twin there. Internal to the trace library; one thread. */
#ifndef EMUV_FORMAT_TWINS_H
#define EMUV_FORMAT_TWINS_H

#include "tracer/format/load.h"

struct emuv_twin {
  uint64_t key, ns;
};

struct emuv_twins {
  struct emuv_twin *twin; /* by key, then ns */
  size_t n_twin;
};

/* From all timed calls that are no part of a graph. False when memory is short. */
bool emuv_twins_build(const struct emuv_trace_data *d, struct emuv_twins *twins);
/* Median of the twins of a node; 0 when it has none. */
uint64_t emuv_twins_find(const struct emuv_twins *twins, const struct emuv_trace_graph_node *node);
void emuv_twins_free(struct emuv_twins *twins);

#endif
