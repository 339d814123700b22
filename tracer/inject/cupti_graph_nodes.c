// SPDX-License-Identifier: Apache-2.0
/* Nodes of CUDA graphs, as the driver tells them: see cupti_graph.h.
 *
 * The getters used here are said to be safe in callbacks: they neither wait nor allocate on the device. What a node's
 * parameters point to belongs to the graph, so arguments are copied. */
#include "tracer/inject/cupti_graph.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 16, CHAIN_MAX = 16 };

/* ---- numbers ---- */

struct clone {
  uint64_t original, copy;
};

static _Thread_local struct {
  struct clone *item;
  size_t n, cap;
  bool on;
} clones;

void emuv_graph_clones_begin(void)
{
  clones.n = 0;
  clones.on = true;
}

static uint64_t number_of(CUgraphNode node)
{
  uint64_t number = 0;
  if (!node || !emuv_capture.api.cuptiGetGraphNodeId ||
      emuv_capture.api.cuptiGetGraphNodeId(node, &number) != CUPTI_SUCCESS)
    return 0;
  return number;
}

void emuv_graph_node_cloned(const void *resource)
{
  const CUpti_ResourceData *r = resource;
  const CUpti_GraphData *g = r ? r->resourceDescriptor : NULL;
  if (!clones.on || !g) return;
  if (clones.n == clones.cap) {
    const size_t cap = clones.cap * 2 + 256;
    struct clone *grown = realloc(clones.item, cap * sizeof *grown);
    if (!grown) return;
    clones.item = grown;
    clones.cap = cap;
  }
  clones.item[clones.n++] = (struct clone){number_of(g->originalNode), number_of(g->node)};
}

static int by_original(const void *a, const void *b)
{
  const struct clone *x = a, *y = b;
  return (x->original > y->original) - (x->original < y->original);
}

/* The copy of a copy counts, however many there are between. */
static uint64_t last_copy(uint64_t number)
{
  uint64_t last = 0;
  for (int i = 0; i < CHAIN_MAX && number; i++) {
    const struct clone key = {.original = number};
    const struct clone *found = bsearch(&key, clones.item, clones.n, sizeof key, by_original);
    if (!found) break;
    last = number = found->copy;
  }
  return last;
}

/* Activities number the nodes of an executable graph: its own id in the upper half, in the lower half the place. Copies
 * of a graph's own nodes have these numbers; copies of a child graph's nodes have others, so theirs are made from that
 * of the node that holds the child graph (seen with CUPTI 13.0; how it counts in child graphs of child graphs is not
 * known).
 */
static uint64_t number_in_exec(const struct emuv_graph_exec *e, const struct emuv_graph_exec_node *node)
{
  const uint64_t holder = node->parent ? node->parent : node->handle;
  const uint64_t copy = last_copy(number_of((CUgraphNode)(uintptr_t)holder));
  if (!node->parent || copy == 0) return copy;
  return e->nested ? 0 : (copy >> 32 << 32) + node->place;
}

void emuv_graph_clones_end(struct emuv_graph_exec *e)
{
  if (clones.n) qsort(clones.item, clones.n, sizeof *clones.item, by_original);
  for (uint32_t i = 0; e && clones.n && i < e->n; i++) e->node[i].number = number_in_exec(e, &e->node[i]);
  free(clones.item);
  memset(&clones, 0, sizeof clones);
}

/* ---- parameters ---- */

static const char *name_of(CUfunction function, CUkernel kernel)
{
  const struct emuv_cupti_api *const api = &emuv_capture.api;
  const char *name = NULL;
  if (function && api->cuFuncGetName && api->cuFuncGetName(&name, function) == CUDA_SUCCESS) return name;
  if (!kernel) kernel = (CUkernel)(void *)function; /* handles of kernels come as functions too */
  if (kernel && api->cuKernelGetName && api->cuKernelGetName(&name, kernel) == CUDA_SUCCESS) return name;
  return NULL;
}

static void copy_arguments(struct emuv_graph_exec_node *node, const CUDA_KERNEL_NODE_PARAMS *p,
                           const struct emuv_kernel_info *kernel)
{
  size_t n;
  node->arguments_known = false;
  if (p->extra) {
    const void *block = emuv_launch_extra(p->extra, &n);
    if (n) emuv_graph_exec_arguments(node, block, n, EMUV_TRACE_FROM_EXTRA);
  } else if (kernel && kernel->params_known && (kernel->n_params == 0 || p->kernelParams)) {
    unsigned char *block = malloc(kernel->param_bytes + 1u);
    if (!block) return;
    n = emuv_operands_gather(kernel->params, kernel->n_params, p->kernelParams, block);
    emuv_graph_exec_arguments(node, block, n, EMUV_TRACE_FROM_PARAM);
    free(block);
  }
}

void emuv_graph_nodes_kernel(struct emuv_graph_exec_node *node, const CUDA_KERNEL_NODE_PARAMS *p, uint32_t device)
{
  const CUfunction handle = p->func ? p->func : (CUfunction)(void *)p->kern;
  const struct emuv_kernel_info *kernel = emuv_kernels_find(handle, name_of(p->func, p->kern), device);
  node->kernel = kernel ? kernel->id : 0;
  node->grid[0] = p->gridDimX, node->grid[1] = p->gridDimY, node->grid[2] = p->gridDimZ;
  node->block[0] = p->blockDimX, node->block[1] = p->blockDimY, node->block[2] = p->blockDimZ;
  node->shared_bytes = p->sharedMemBytes;
  copy_arguments(node, p, kernel);
}

/* First byte of one side of a copy; 0 for arrays, whose memory has no address. */
static uint64_t side(CUmemorytype type, const void *host, CUdeviceptr device, uint64_t skip)
{
  if (type == CU_MEMORYTYPE_ARRAY) return 0;
  return (type == CU_MEMORYTYPE_HOST ? (uint64_t)(uintptr_t)host : device) + skip;
}

void emuv_graph_nodes_copy(struct emuv_graph_exec_node *node, const CUDA_MEMCPY3D *c)
{
  const uint64_t dst_rows = c->dstZ * c->dstHeight + c->dstY, src_rows = c->srcZ * c->srcHeight + c->srcY;
  node->dst = side(c->dstMemoryType, c->dstHost, c->dstDevice, dst_rows * c->dstPitch + c->dstXInBytes);
  node->src = side(c->srcMemoryType, c->srcHost, c->srcDevice, src_rows * c->srcPitch + c->srcXInBytes);
  node->bytes = c->WidthInBytes * c->Height * c->Depth;
}

void emuv_graph_nodes_set(struct emuv_graph_exec_node *node, const CUDA_MEMSET_NODE_PARAMS *p)
{
  const uint64_t row = (uint64_t)p->width * p->elementSize;
  node->dst = p->dst;
  node->bytes = p->height > 1 ? (p->height - 1) * p->pitch + row : row;
  node->value = p->value;
  node->width = p->elementSize;
}

/* Work of a kind that is not followed: a launch of a kernel with this name, class gap. */
static void stand_in(struct emuv_graph_exec_node *node, const char *name)
{
  struct emuv_trace_writer *const w = emuv_capture.writer;
  const struct emuv_trace_kernel kernel = {.name = emuv_trace_writer_string(w, name)};
  node->kind = EMUV_TRACE_NODE_LAUNCH;
  node->kernel = emuv_trace_writer_kernel(w, &kernel);
}

static void read_kernel(CUgraphNode handle, struct emuv_graph_exec_node *node, uint32_t device)
{
  const struct emuv_cupti_api *const api = &emuv_capture.api;
  CUDA_KERNEL_NODE_PARAMS p = {0};
  CUlaunchAttributeValue value = {0};
  node->kind = EMUV_TRACE_NODE_LAUNCH;
  if (!api->cuGraphKernelNodeGetParams_v2 || api->cuGraphKernelNodeGetParams_v2(handle, &p) != CUDA_SUCCESS) {
    stand_in(node, "(kernel of a graph, unreadable)");
    return;
  }
  emuv_graph_nodes_kernel(node, &p, device);
  if (api->cuGraphKernelNodeGetAttribute &&
      api->cuGraphKernelNodeGetAttribute(handle, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &value) == CUDA_SUCCESS &&
      value.cooperative)
    node->flags = EMUV_TRACE_FLAG_COOPERATIVE;
}

static void read_copy(CUgraphNode handle, struct emuv_graph_exec_node *node)
{
  CUDA_MEMCPY3D p;
  node->kind = EMUV_TRACE_NODE_COPY;
  if (emuv_capture.api.cuGraphMemcpyNodeGetParams &&
      emuv_capture.api.cuGraphMemcpyNodeGetParams(handle, &p) == CUDA_SUCCESS)
    emuv_graph_nodes_copy(node, &p);
  else
    stand_in(node, "(copy of a graph, unreadable)");
}

static void read_set(CUgraphNode handle, struct emuv_graph_exec_node *node)
{
  CUDA_MEMSET_NODE_PARAMS p;
  node->kind = EMUV_TRACE_NODE_SET;
  if (emuv_capture.api.cuGraphMemsetNodeGetParams &&
      emuv_capture.api.cuGraphMemsetNodeGetParams(handle, &p) == CUDA_SUCCESS)
    emuv_graph_nodes_set(node, &p);
  else
    stand_in(node, "(set of a graph, unreadable)");
}

static void read_allocation(CUgraphNode handle, struct emuv_graph_exec_node *node)
{
  CUDA_MEM_ALLOC_NODE_PARAMS_v1 p;
  node->kind = EMUV_TRACE_NODE_ALLOCATION;
  if (!emuv_capture.api.cuGraphMemAllocNodeGetParams ||
      emuv_capture.api.cuGraphMemAllocNodeGetParams(handle, &p) != CUDA_SUCCESS)
    return;
  node->dst = p.dptr;
  node->bytes = p.bytesize;
}

static void read_free(CUgraphNode handle, struct emuv_graph_exec_node *node)
{
  CUdeviceptr address = 0;
  node->kind = EMUV_TRACE_NODE_FREE;
  if (emuv_capture.api.cuGraphMemFreeNodeGetParams &&
      emuv_capture.api.cuGraphMemFreeNodeGetParams(handle, &address) == CUDA_SUCCESS)
    node->dst = address;
}

static void read_node(CUgraphNode handle, CUgraphNodeType type, struct emuv_graph_exec_node *node, uint32_t device)
{
  switch (type) {
  case CU_GRAPH_NODE_TYPE_KERNEL: read_kernel(handle, node, device); break;
  case CU_GRAPH_NODE_TYPE_MEMCPY: read_copy(handle, node); break;
  case CU_GRAPH_NODE_TYPE_MEMSET: read_set(handle, node); break;
  case CU_GRAPH_NODE_TYPE_MEM_ALLOC: read_allocation(handle, node); break;
  case CU_GRAPH_NODE_TYPE_MEM_FREE: read_free(handle, node); break;
  case CU_GRAPH_NODE_TYPE_HOST: node->kind = EMUV_TRACE_NODE_HOST; break;
  case CU_GRAPH_NODE_TYPE_CONDITIONAL: stand_in(node, "(conditional node of a graph)"); break;
  case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP: stand_in(node, "(memory operations of a graph)"); break;
  case CU_GRAPH_NODE_TYPE_EMPTY:
  case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
  case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
  case CU_GRAPH_NODE_TYPE_EXT_SEMAS_SIGNAL:
  case CU_GRAPH_NODE_TYPE_EXT_SEMAS_WAIT: node->kind = EMUV_TRACE_NODE_ORDER; break;
  default: stand_in(node, "(node of a graph, of an unknown kind)"); break;
  }
}

/* ---- graphs ---- */

struct reading {
  struct emuv_graph_exec *e;
  uint32_t device;
  int depth;
  uint32_t first;  /* place of the graph's first node */
  uint64_t parent; /* outermost child graph node */
};

struct place { /* of a node in its graph */
  CUgraphNode node;
  uint32_t index;
};

static int by_node(const void *a, const void *b)
{
  const uintptr_t x = (uintptr_t)((const struct place *)a)->node, y = (uintptr_t)((const struct place *)b)->node;
  return (x > y) - (x < y);
}

static uint32_t index_of(const struct place *places, size_t n, CUgraphNode node)
{
  const struct place key = {.node = node}, *found = bsearch(&key, places, n, sizeof key, by_node);
  return found ? found->index : UINT32_MAX;
}

/* Edges as pairs of indexes; *n of them. NULL with *n 0 is good too: then the order of creation counts. */
static uint32_t (*read_edges(CUgraph graph, const CUgraphNode *nodes, size_t n_nodes, size_t *n))[2]
{
  const struct emuv_cupti_api *const api = &emuv_capture.api;
  *n = 0;
  if (!api->cuGraphGetEdges_v2 || api->cuGraphGetEdges_v2(graph, NULL, NULL, NULL, n) != CUDA_SUCCESS || *n == 0)
    return *n = 0, NULL;
  CUgraphNode *ends = malloc(2 * *n * sizeof *ends);
  CUgraphEdgeData *data = malloc(*n * sizeof *data);
  struct place *places = malloc(n_nodes * sizeof *places);
  uint32_t(*edges)[2] = malloc(*n * sizeof *edges);
  const bool ok =
      ends && data && places && edges && api->cuGraphGetEdges_v2(graph, ends, ends + *n, data, n) == CUDA_SUCCESS;
  for (size_t i = 0; ok && i < n_nodes; i++) places[i] = (struct place){nodes[i], (uint32_t)i};
  if (ok) qsort(places, n_nodes, sizeof *places, by_node);
  const size_t half = *n;
  for (size_t i = 0; ok && i < half; i++) {
    edges[i][0] = index_of(places, n_nodes, ends[i]);
    edges[i][1] = index_of(places, n_nodes, ends[half + i]);
  }
  free(ends);
  free(data);
  free(places);
  if (ok) return edges;
  free(edges);
  return *n = 0, NULL;
}

struct listed { /* a node, and what comes before it in its graph in the order of creation */
  CUgraphNode node;
  CUgraph child;     /* that it holds */
  uint32_t index;    /* nodes */
  uint32_t children; /* nodes of child graphs */
};

static CUgraph child_of(CUgraphNode node)
{
  const struct emuv_cupti_api *const api = &emuv_capture.api;
  CUgraphNodeType type;
  CUgraph child = NULL;
  if (!api->cuGraphNodeGetType || api->cuGraphNodeGetType(node, &type) != CUDA_SUCCESS ||
      type != CU_GRAPH_NODE_TYPE_GRAPH || !api->cuGraphChildGraphNodeGetGraph ||
      api->cuGraphChildGraphNodeGetGraph(node, &child) != CUDA_SUCCESS)
    return NULL;
  return child;
}

static void count_children(const CUgraphNode *nodes, size_t n, struct listed *created)
{
  uint32_t children = 0;
  for (size_t i = 0; i < n; i++) {
    size_t held = 0;
    created[i] =
        (struct listed){.node = nodes[i], .child = child_of(nodes[i]), .index = (uint32_t)i, .children = children};
    if (created[i].child && emuv_capture.api.cuGraphGetNodes(created[i].child, NULL, &held) == CUDA_SUCCESS)
      children += (uint32_t)held;
  }
}

/* The graph's nodes in an order in which they may run; *n of them. NULL: see emuv_graph_nodes_read, or an empty graph.
 */
static struct listed *list_nodes(CUgraph graph, size_t *n, bool *ok)
{
  const struct emuv_cupti_api *const api = &emuv_capture.api;
  *n = 0;
  *ok = api->cuGraphGetNodes && api->cuGraphGetNodes(graph, NULL, n) == CUDA_SUCCESS && *n < UINT32_MAX / 2;
  if (!*ok || *n == 0) return NULL;
  CUgraphNode *nodes = malloc(*n * sizeof *nodes);
  struct listed *created = calloc(*n, sizeof *created), *sorted = malloc(*n * sizeof *sorted);
  uint32_t *order = malloc(*n * sizeof *order);
  *ok = nodes && created && sorted && order && api->cuGraphGetNodes(graph, nodes, n) == CUDA_SUCCESS;
  if (*ok) {
    size_t n_edges;
    uint32_t(*edges)[2] = read_edges(graph, nodes, *n, &n_edges);
    *ok = emuv_graph_order((uint32_t)*n, (const uint32_t(*)[2])edges, n_edges, order) == 0;
    free(edges);
  }
  if (*ok) count_children(nodes, *n, created);
  for (size_t i = 0; *ok && i < *n; i++) sorted[i] = created[order[i]];
  free(nodes);
  free(created);
  free(order);
  if (*ok) return sorted;
  free(sorted);
  return NULL;
}

static bool read_graph(CUgraph graph, struct reading r);

/* n: nodes of the graph that holds this one */
static bool read_any(const struct listed *l, size_t n, struct reading r)
{
  const CUgraphNode handle = l->node;
  const struct emuv_cupti_api *const api = &emuv_capture.api;
  CUgraphNodeType type;
  if (!api->cuGraphNodeGetType || api->cuGraphNodeGetType(handle, &type) != CUDA_SUCCESS) return false;
  if (type == CU_GRAPH_NODE_TYPE_GRAPH) {
    if (r.depth == DEPTH_MAX || !l->child) return false;
    if (r.depth++ > 0) r.e->nested = true;
    r.first = (uint32_t)n + l->children;
    if (!r.parent) r.parent = (uint64_t)(uintptr_t)handle;
    return read_graph(l->child, r);
  }
  struct emuv_graph_exec_node *node = emuv_graph_exec_add(r.e);
  if (!node) return false;
  node->handle = (uint64_t)(uintptr_t)handle;
  node->parent = r.parent;
  node->place = r.first + l->index;
  node->device = r.device;
  read_node(handle, type, node, r.device);
  return true;
}

static bool read_graph(CUgraph graph, struct reading r)
{
  size_t n;
  bool ok;
  struct listed *nodes = list_nodes(graph, &n, &ok);
  for (size_t i = 0; ok && i < n; i++) ok = read_any(&nodes[i], n, r);
  free(nodes);
  return ok;
}

bool emuv_graph_nodes_read(CUgraph graph, uint32_t device, struct emuv_graph_exec *e)
{
  return read_graph(graph, (struct reading){.e = e, .device = device});
}
