// SPDX-License-Identifier: Apache-2.0
/* Executable CUDA graphs as the capture remembers them: nodes in an order in which they may run, each with what is
 * needed to find its operands again. No CUDA (tested everywhere): cupti_graph_nodes.c reads the nodes from the driver.
 *
 * A graph is written to the trace before its first launch, and again under a new id, with only the nodes that differ,
 * when a node was changed or when an allocation that it uses is gone. Owned and serialised by the caller. */
#ifndef EMUV_INJECT_GRAPH_EXEC_H
#define EMUV_INJECT_GRAPH_EXEC_H

#include "tracer/inject/operands.h"

struct emuv_graph_exec_node {
  uint64_t handle; /* in the graph that was instantiated */
  uint64_t parent; /* handle of the outermost child graph node that holds it, 0 = none */
  uint64_t number; /* of its copy in the executable graph: what GPU times carry; 0 = not known */
  uint32_t place; /* among all nodes, as the driver counts: those of the graph as created, then those of child graphs */
  uint32_t kind;  /* enum emuv_trace_node_kind */
  uint32_t kernel, grid[3], block[3], shared_bytes, flags, device;
  uint64_t src, dst, bytes; /* copies; sets and memory nodes have dst */
  uint32_t value, width;
  unsigned char *arguments; /* LAUNCH: owned */
  size_t n_arguments;
  uint32_t provenance;
  bool arguments_known;
  bool off;     /* disabled: runs nothing */
  bool changed; /* not in the trace as it is now */
};

struct emuv_graph_exec_use { /* an allocation that operands lie in */
  uint64_t address, id;
};

struct emuv_graph_exec {
  uint64_t id; /* in the trace, 0 = not written */
  struct emuv_graph_exec_node *node;
  uint32_t n, cap;
  uint32_t n_work; /* nodes that need a sequence number, as written */
  bool changed;
  bool nested; /* a child graph holds another one */
  struct emuv_graph_exec_use *use;
  size_t n_uses, cap_uses;
};

/* Order in which n nodes may run, where edge[i] = {from, to}: nodes in the order of their creation, each after those
 * that it waits for. Edges that name no node, and a circle's last edge, are passed over. 0 or EMUV_ERR_NOMEM. */
int emuv_graph_order(uint32_t n, const uint32_t (*edge)[2], size_t n_edges, uint32_t *order);

/* Appends an empty node; NULL when memory is short. Pointers to nodes are good until the next one. */
struct emuv_graph_exec_node *emuv_graph_exec_add(struct emuv_graph_exec *e);
/* Copies a node's arguments. False when memory is short (then they are not known). */
bool emuv_graph_exec_arguments(struct emuv_graph_exec_node *node, const void *bytes, size_t n, uint32_t provenance);
/* The node with this handle, NULL = none. */
struct emuv_graph_exec_node *emuv_graph_exec_find(struct emuv_graph_exec *e, uint64_t handle);
/* Makes node i + first of *e what node i of *from is, where they differ, for all nodes of *from; takes their arguments.
 * Handles, parents and numbers stay. False, with *e as it was, when kinds do not match. */
bool emuv_graph_exec_replace(struct emuv_graph_exec *e, uint32_t first, struct emuv_graph_exec *from);
/* True when an allocation that the graph as written uses is no longer live. */
bool emuv_graph_exec_stale(const struct emuv_graph_exec *e, const struct emuv_intervals *live);
/* Begins writing: all nodes count as changed when `all`. Notes no uses when not all are written: the old ones stay. */
void emuv_graph_exec_begin(struct emuv_graph_exec *e, bool all);
/* The record of node i, with operands found in live memory; *operands is scratch that the record points to. Notes the
 * allocations that it uses, and that it is written. graph, base and nodes of the record are the caller's to set. */
struct emuv_trace_graph_node emuv_graph_exec_record(struct emuv_graph_exec *e, uint32_t i,
                                                    const struct emuv_intervals *live,
                                                    const struct emuv_tensormap_layout *layout,
                                                    struct emuv_operands *operands);
/* Nodes that are launches, copies and sets. */
uint32_t emuv_graph_exec_work(const struct emuv_graph_exec *e);
/* Frees what it holds, not the struct. */
void emuv_graph_exec_free(struct emuv_graph_exec *e);

#endif
