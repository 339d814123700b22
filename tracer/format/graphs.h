// SPDX-License-Identifier: Apache-2.0
/* Executable graphs while a trace is loaded: keeps the nodes' records, expands a graph's launch into the calls of its
 * nodes, and remembers each launch for the device times. Internal to the trace library; one thread.
 *
 * A graph is resolved (its nodes put in order, those of its base filled in) at its first launch, and again when records
 * of it follow. Expanded launches share the operands of the node's record. */
#ifndef EMUV_FORMAT_GRAPHS_H
#define EMUV_FORMAT_GRAPHS_H

#include "tracer/format/load.h"

#include <uthash.h>

/* Where the nodes lay in the launches that were timed node by node, in ns after the first node's start. */
struct emuv_graph_profile {
  uint64_t *start, *end;           /* per call: sums while collecting, then means */
  uint64_t *busy_start, *busy_end; /* of the time before start and end: how much the device was busy */
  uint64_t launches, span_ns, busy_ns;
};

struct emuv_graph {
  uint64_t id, base;
  uint32_t nodes, n_own, n_work;
  uint32_t *own;  /* places in graph_nodes of the records with this id */
  uint32_t *all;  /* resolved: the place of each node's record, by index */
  uint32_t *work; /* resolved: of those that are launches, copies and sets, in order */
  bool resolved, broken;
  struct emuv_graph *like; /* the first graph with the same calls: it holds the profile */
  struct emuv_graph_profile profile;
  UT_hash_handle hh;
};

/* One launch of a graph: its calls are d->events[first_event .. + graph->n_work). */
struct emuv_graph_run {
  struct emuv_graph *graph;
  uint64_t correlation;
  uint64_t start_ns, end_ns; /* of the whole */
  size_t first_event;
};

struct emuv_graphs {
  struct emuv_graph *by_id;
  struct emuv_graph_run *runs;
  size_t n_runs;
};

/* Keeps a node's record in d->graph_nodes. False when memory is short. */
bool emuv_graphs_add(struct emuv_graphs *g, struct emuv_trace_data *d, const struct emuv_trace_graph_node *node);
/* The graph that a launch runs, resolved; NULL when it is not one, or when nodes are missing. */
struct emuv_graph *emuv_graphs_find(struct emuv_graphs *g, const struct emuv_trace_data *d,
                                    const struct emuv_trace_launch *launch);
/* Adds the calls of a launch to d. False when memory is short. */
bool emuv_graphs_expand(struct emuv_graphs *g, struct emuv_trace_data *d, struct emuv_graph *graph,
                        const struct emuv_trace_launch *launch);
void emuv_graphs_free(struct emuv_graphs *g);

/* times.c: joins GPU_TIME records to calls; estimates those of graph launches that were only timed as a whole. */
int emuv_times_join(struct emuv_trace_data *d, struct emuv_graphs *g, struct emuv_err *err);

#endif
