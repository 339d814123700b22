// SPDX-License-Identifier: Apache-2.0
/* CUDA graphs for the stand-in (stand_in.h): graphs of made-up nodes, the driver's getters over them, and executable
 * graphs whose nodes get CUPTI numbers of their own, as real ones do. */
#ifndef EMUV_TESTS_STAND_IN_GRAPHS_H
#define EMUV_TESTS_STAND_IN_GRAPHS_H

#include "tests/capture/stand_in.h"

#include <cupti_driver_cbid.h>
#include <stdlib.h>

enum { GRAPH_NODES = 16 };
#define CLONE_ID (UINT64_C(4) << 32) /* number of the first node of the first executable graph */

struct fake_graph;

struct fake_node {
  uint64_t id; /* CUPTI's */
  CUgraphNodeType type;
  uintptr_t kernel;
  uint64_t in, out; /* LAUNCH: arguments; MEMCPY: source and destination; MEMSET, memory nodes: out */
  uint64_t bytes;
  uint32_t n;
  void *arguments[3];
  struct fake_graph *child;
};

struct fake_graph {
  struct fake_node node[GRAPH_NODES];
  size_t n, n_edges;
  size_t edge[GRAPH_NODES][2];
};

static uint64_t node_ids = 1, clone_graphs = CLONE_ID >> 32;
static bool nodes_are_secret; /* the driver tells nothing */
static bool stream_is_captured;

static struct fake_node *fake_add(struct fake_graph *g, CUgraphNodeType type)
{
  struct fake_node *node = &g->node[g->n++];
  *node = (struct fake_node){.id = node_ids++, .type = type, .kernel = PARAM_KERNEL, .n = 5};
  return node;
}

static struct fake_node *fake_add_kernel(struct fake_graph *g, uint64_t in, uint64_t out)
{
  struct fake_node *node = fake_add(g, CU_GRAPH_NODE_TYPE_KERNEL);
  node->in = in;
  node->out = out;
  return node;
}

static struct fake_node *fake_add_memory(struct fake_graph *g, CUgraphNodeType type, uint64_t address, uint64_t bytes)
{
  struct fake_node *node = fake_add(g, type);
  node->out = address;
  node->bytes = bytes;
  return node;
}

static void fake_edge(struct fake_graph *g, size_t from, size_t to)
{
  g->edge[g->n_edges][0] = from;
  g->edge[g->n_edges++][1] = to;
}

/* ---- the driver ---- */

static CUresult fake_graph_nodes(CUgraph graph, CUgraphNode *nodes, size_t *n)
{
  struct fake_graph *g = (void *)graph;
  if (nodes_are_secret) return CUDA_ERROR_NOT_SUPPORTED;
  *n = g->n;
  for (size_t i = 0; nodes && i < g->n; i++) nodes[i] = (CUgraphNode)(void *)&g->node[i];
  return CUDA_SUCCESS;
}

static CUresult fake_graph_edges(CUgraph graph, CUgraphNode *from, CUgraphNode *to, CUgraphEdgeData *data, size_t *n)
{
  struct fake_graph *g = (void *)graph;
  (void)data;
  *n = g->n_edges;
  for (size_t i = 0; from && i < g->n_edges; i++) {
    from[i] = (CUgraphNode)(void *)&g->node[g->edge[i][0]];
    to[i] = (CUgraphNode)(void *)&g->node[g->edge[i][1]];
  }
  return CUDA_SUCCESS;
}

static CUresult fake_node_type(CUgraphNode node, CUgraphNodeType *type)
{
  *type = ((struct fake_node *)(void *)node)->type;
  return CUDA_SUCCESS;
}

static CUDA_KERNEL_NODE_PARAMS fake_kernel_params(struct fake_node *n)
{
  n->arguments[0] = &n->in;
  n->arguments[1] = &n->n;
  n->arguments[2] = &n->out;
  return (CUDA_KERNEL_NODE_PARAMS){.kern = (CUkernel)n->kernel,
                                   .gridDimX = 7,
                                   .gridDimY = 1,
                                   .gridDimZ = 1,
                                   .blockDimX = 64,
                                   .blockDimY = 1,
                                   .blockDimZ = 1,
                                   .sharedMemBytes = 48,
                                   .kernelParams = n->arguments};
}

static CUresult fake_get_kernel(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS *p)
{
  *p = fake_kernel_params((void *)node);
  return CUDA_SUCCESS;
}

static CUresult fake_get_copy(CUgraphNode node, CUDA_MEMCPY3D *p)
{
  const struct fake_node *n = (void *)node;
  *p = (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_UNIFIED,
                       .srcDevice = n->in,
                       .dstMemoryType = CU_MEMORYTYPE_UNIFIED,
                       .dstDevice = n->out,
                       .WidthInBytes = n->bytes,
                       .Height = 1,
                       .Depth = 1};
  return CUDA_SUCCESS;
}

static CUresult fake_get_set(CUgraphNode node, CUDA_MEMSET_NODE_PARAMS *p)
{
  const struct fake_node *n = (void *)node;
  *p = (CUDA_MEMSET_NODE_PARAMS){.dst = n->out, .value = 9, .elementSize = 4, .width = n->bytes / 4, .height = 1};
  return CUDA_SUCCESS;
}

static CUresult fake_get_alloc(CUgraphNode node, CUDA_MEM_ALLOC_NODE_PARAMS *p)
{
  const struct fake_node *n = (void *)node;
  memset(p, 0, sizeof(CUDA_MEM_ALLOC_NODE_PARAMS_v1));
  p->dptr = n->out;
  p->bytesize = n->bytes;
  return CUDA_SUCCESS;
}

static CUresult fake_get_free(CUgraphNode node, CUdeviceptr *address)
{
  *address = ((struct fake_node *)(void *)node)->out;
  return CUDA_SUCCESS;
}

static CUresult fake_get_child(CUgraphNode node, CUgraph *graph)
{
  *graph = (CUgraph)(void *)((struct fake_node *)(void *)node)->child;
  return CUDA_SUCCESS;
}

static CUresult fake_kernel_name(const char **name, CUkernel kernel)
{
  *name = "graphed";
  return (uintptr_t)(void *)kernel == UNKNOWN_KERNEL ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
}

static CUptiResult fake_node_id(CUgraphNode node, uint64_t *id)
{
  *id = ((struct fake_node *)(void *)node)->id;
  return CUPTI_SUCCESS;
}

static CUresult fake_is_capturing(CUstream stream, CUstreamCaptureStatus *status)
{
  (void)stream;
  *status = stream_is_captured ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
  return CUDA_SUCCESS;
}

static void fake_graphs(struct emuv_cupti_api *api)
{
  api->cuGraphChildGraphNodeGetGraph = fake_get_child;
  api->cuGraphGetEdges_v2 = fake_graph_edges;
  api->cuGraphGetNodes = fake_graph_nodes;
  api->cuGraphKernelNodeGetParams_v2 = fake_get_kernel;
  api->cuGraphMemAllocNodeGetParams = fake_get_alloc;
  api->cuGraphMemFreeNodeGetParams = fake_get_free;
  api->cuGraphMemcpyNodeGetParams = fake_get_copy;
  api->cuGraphMemsetNodeGetParams = fake_get_set;
  api->cuGraphNodeGetType = fake_node_type;
  api->cuKernelGetName = fake_kernel_name;
  api->cuStreamIsCapturing = fake_is_capturing;
  api->cuptiGetGraphNodeId = fake_node_id;
}

/* CUPTI tells of each copy, and numbers it by graph and node, while the driver instantiates; a node is copied twice
 * here. A child graph is a graph of its own there, although activities count its nodes among those of the whole. */
static void fake_clone(struct fake_graph *g)
{
  const uint64_t graph = clone_graphs++ << 32;
  for (size_t i = 0; i < g->n; i++) {
    struct fake_node first = {.id = graph + i + 0x1000}, second = {.id = graph + i};
    CUpti_GraphData data = {.originalNode = (CUgraphNode)(void *)&g->node[i], .node = (CUgraphNode)(void *)&first};
    const CUpti_ResourceData resource = {.resourceDescriptor = &data};
    callback(NULL, CUPTI_CB_DOMAIN_RESOURCE, CUPTI_CBID_RESOURCE_GRAPHNODE_CLONED, &resource);
    data.originalNode = (CUgraphNode)(void *)&first;
    data.node = (CUgraphNode)(void *)&second;
    callback(NULL, CUPTI_CB_DOMAIN_RESOURCE, CUPTI_CBID_RESOURCE_GRAPHNODE_CLONED, &resource);
  }
  for (size_t i = 0; i < g->n; i++)
    if (g->node[i].child) fake_clone(g->node[i].child);
}

#endif
