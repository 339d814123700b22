// SPDX-License-Identifier: Apache-2.0
/* What cupti_graph.c (executable graphs and their launches) and cupti_graph_nodes.c (nodes, as the driver tells them)
 * share. See cupti_capture.h. */
#ifndef EMUV_INJECT_CUPTI_GRAPH_H
#define EMUV_INJECT_CUPTI_GRAPH_H

#include "tracer/inject/cupti_capture.h"
#include "tracer/inject/graph_exec.h"

/* All of these call the driver: not under the capture's lock, which they take. */

/* Reads the nodes of a graph, those of child graphs in the place of the node that holds them. False when the driver
 * does not tell or memory is short; *e may then hold some. */
bool emuv_graph_nodes_read(CUgraph graph, uint32_t device, struct emuv_graph_exec *e);
void emuv_graph_nodes_kernel(struct emuv_graph_exec_node *node, const CUDA_KERNEL_NODE_PARAMS *p, uint32_t device);
void emuv_graph_nodes_copy(struct emuv_graph_exec_node *node, const CUDA_MEMCPY3D *p);
void emuv_graph_nodes_set(struct emuv_graph_exec_node *node, const CUDA_MEMSET_NODE_PARAMS *p);

/* CUPTI numbers the nodes of an executable graph anew. Between begin and end, the copies that this thread's driver call
 * makes are noted; end gives each node of *e (NULL: none) the number of its copy. */
void emuv_graph_clones_begin(void);
void emuv_graph_clones_end(struct emuv_graph_exec *e);

#endif
