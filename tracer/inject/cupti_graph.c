// SPDX-License-Identifier: Apache-2.0
/* Executable CUDA graphs: followed from instantiation to launch. See cupti_capture.h, graph_exec.h.
 *
 * Nodes are read when a graph is instantiated (the program may destroy the source right after) and kept with their
 * arguments. They are written, with operands, at the first launch, after the driver has taken it: the GPU works
 * meanwhile. Every launch is one record; it looks at nodes again only when memory was allocated or freed in between,
 * and then only at the list of allocations that the graph uses.
 *
 * Locks: `table.lock` guards the table and its graphs; the capture's lock is taken inside it, never the other way. No
 * call to the driver or to CUPTI is made under either. */
#include "tracer/inject/cupti_graph.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct memory {
  uint64_t address, bytes;
  uint64_t id; /* allocation, 0 = none now */
};

struct entry {
  CUgraphExec handle;
  struct emuv_graph_exec graph;
  bool readable;         /* nodes are known */
  uint64_t epoch;        /* of live memory, when the operands were last looked at */
  struct memory *memory; /* of its memory nodes */
  uint32_t n_memory;
  UT_hash_handle hh;
};

static struct {
  pthread_mutex_t lock;
  struct entry *entries;
  uint64_t ids;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Guarded by the capture's lock: too large for the stacks of other people's threads. */
static struct emuv_operands operands;

static struct entry *find(CUgraphExec handle)
{
  struct entry *found;
  HASH_FIND_PTR(table.entries, &handle, found);
  return found;
}

static void entry_free(struct entry *entry)
{
  if (!entry) return;
  emuv_graph_exec_free(&entry->graph);
  free(entry->memory);
  free(entry);
}

static struct entry *detach(CUgraphExec handle)
{
  struct entry *entry = find(handle);
  if (entry) HASH_DEL(table.entries, entry);
  return entry;
}

static void gap(uint64_t ns, uint64_t sequence, enum emuv_trace_gap_why why, const char *text)
{
  struct emuv_trace_writer *const w = emuv_capture.writer;
  const struct emuv_trace_gap record = {
      .ns = ns, .sequence = sequence, .why = why, .text = emuv_trace_writer_string(w, text), .count = 1};
  emuv_trace_writer_gap(w, &record);
}

/* ---- memory nodes ---- */

/* A graph's memory has its addresses as long as the graph lives; it may be freed and come back in between. */
static void revive_memory(struct entry *entry, const struct emuv_call *call)
{
  for (uint32_t i = 0; i < entry->n_memory; i++)
    entry->memory[i].id = emuv_memory_of_graph(call, entry->memory[i].address, entry->memory[i].bytes);
}

static void drop_memory(struct entry *entry, const struct emuv_call *call)
{
  for (uint32_t i = 0; i < entry->n_memory; i++)
    emuv_memory_of_graph_end(call, entry->memory[i].address, entry->memory[i].id);
}

static int by_address(const void *a, const void *b)
{
  const struct memory *x = a, *y = b;
  return (x->address > y->address) - (x->address < y->address);
}

/* Lists the memory of the graph's nodes. Nodes whose lives do not meet share addresses: what overlaps is one. */
static void list_memory(struct entry *entry)
{
  uint32_t n = 0, out = 0;
  struct memory *const list = entry->graph.n ? calloc(entry->graph.n, sizeof *list) : NULL;
  for (uint32_t i = 0; list && i < entry->graph.n; i++) {
    const struct emuv_graph_exec_node *node = &entry->graph.node[i];
    if (node->kind == EMUV_TRACE_NODE_ALLOCATION && node->dst && node->bytes)
      list[n++] = (struct memory){.address = node->dst, .bytes = node->bytes};
  }
  if (n) qsort(list, n, sizeof *list, by_address);
  for (uint32_t i = 0; i < n; i++) {
    const uint64_t end = list[i].address + list[i].bytes;
    if (out && list[i].address < list[out - 1].address + list[out - 1].bytes) {
      if (end > list[out - 1].address + list[out - 1].bytes) list[out - 1].bytes = end - list[out - 1].address;
    } else {
      list[out++] = list[i];
    }
  }
  if (!out) free(list);
  entry->memory = out ? list : NULL;
  entry->n_memory = out;
}

/* ---- instantiation ---- */

static void add(const struct emuv_call *call, CUgraphExec handle, CUgraph graph)
{
  struct entry *entry = calloc(1, sizeof *entry);
  emuv_device_learn(call->data->context);
  if (entry) {
    entry->handle = handle;
    entry->readable = emuv_graph_nodes_read(graph, emuv_device_of(call), &entry->graph);
    list_memory(entry);
  }
  emuv_graph_clones_end(entry ? &entry->graph : NULL);
  pthread_mutex_lock(&table.lock);
  struct entry *const old = detach(handle);
  if (entry) HASH_ADD_PTR(table.entries, handle, entry);
  pthread_mutex_unlock(&table.lock);
  entry_free(old);
}

/* All variants begin alike. */
void emuv_graph_instantiate(const struct emuv_call *call, const void *params)
{
  const cuGraphInstantiateWithFlags_params *p = params;
  if (!call->exit_ns)
    emuv_graph_clones_begin();
  else if (call->ok && p->phGraphExec && *p->phGraphExec)
    add(call, *p->phGraphExec, p->hGraph);
  else
    emuv_graph_clones_end(NULL);
}

void emuv_graph_destroy(const struct emuv_call *call, const void *params)
{
  const cuGraphExecDestroy_params *p = params;
  pthread_mutex_lock(&table.lock);
  struct entry *const entry = detach(p->hGraphExec);
  if (entry) drop_memory(entry, call);
  pthread_mutex_unlock(&table.lock);
  entry_free(entry);
}

/* ---- changes ---- */

/* The nodes of another graph take the places from `first` on; what does not fit makes the graph unreadable. */
static void replace(CUgraphExec handle, uint64_t parent, CUgraph with, const struct emuv_call *call)
{
  struct emuv_graph_exec fresh = {0};
  const bool readable = emuv_graph_nodes_read(with, emuv_device_of(call), &fresh);
  pthread_mutex_lock(&table.lock);
  struct entry *const entry = find(handle);
  uint32_t first = 0;
  while (parent && entry && first < entry->graph.n && entry->graph.node[first].parent != parent) first++;
  if (entry) entry->readable = entry->readable && readable && emuv_graph_exec_replace(&entry->graph, first, &fresh);
  pthread_mutex_unlock(&table.lock);
  emuv_graph_exec_free(&fresh);
}

void emuv_graph_update(const struct emuv_call *call, const void *params)
{
  const cuGraphExecUpdate_v2_params *p = params; /* the older one begins alike */
  replace(p->hGraphExec, 0, p->hGraph, call);
}

void emuv_graph_set_child(const struct emuv_call *call, const void *params)
{
  const cuGraphExecChildGraphNodeSetParams_params *p = params;
  replace(p->hGraphExec, (uint64_t)(uintptr_t)p->hNode, p->childGraph, call);
}

/* One node becomes what *fresh is. */
static void change(CUgraphExec handle, CUgraphNode node, struct emuv_graph_exec_node *fresh)
{
  pthread_mutex_lock(&table.lock);
  struct entry *const entry = find(handle);
  struct emuv_graph_exec_node *const old =
      entry ? emuv_graph_exec_find(&entry->graph, (uint64_t)(uintptr_t)node) : NULL;
  struct emuv_graph_exec one = {.node = fresh, .n = 1};
  if (entry && !(old && emuv_graph_exec_replace(&entry->graph, (uint32_t)(old - entry->graph.node), &one)))
    entry->readable = false;
  pthread_mutex_unlock(&table.lock);
  free(fresh->arguments);
}

static void change_kernel(const struct emuv_call *call, CUgraphExec handle, CUgraphNode node,
                          const CUDA_KERNEL_NODE_PARAMS *p)
{
  const uint32_t device = emuv_device_of(call);
  struct emuv_graph_exec_node fresh = {.kind = EMUV_TRACE_NODE_LAUNCH, .device = device};
  emuv_graph_nodes_kernel(&fresh, p, device);
  change(handle, node, &fresh);
}

static void change_copy(const struct emuv_call *call, CUgraphExec handle, CUgraphNode node, const CUDA_MEMCPY3D *p)
{
  struct emuv_graph_exec_node fresh = {.kind = EMUV_TRACE_NODE_COPY, .device = emuv_device_of(call)};
  emuv_graph_nodes_copy(&fresh, p);
  change(handle, node, &fresh);
}

static void change_set(const struct emuv_call *call, CUgraphExec handle, CUgraphNode node,
                       const CUDA_MEMSET_NODE_PARAMS *p)
{
  struct emuv_graph_exec_node fresh = {.kind = EMUV_TRACE_NODE_SET, .device = emuv_device_of(call)};
  emuv_graph_nodes_set(&fresh, p);
  change(handle, node, &fresh);
}

void emuv_graph_set_kernel(const struct emuv_call *call, const void *params)
{
  const cuGraphExecKernelNodeSetParams_v2_params *p = params;
  change_kernel(call, p->hGraphExec, p->hNode, p->nodeParams);
}

/* The older structure ends before the kernel handle. */
void emuv_graph_set_kernel_v1(const struct emuv_call *call, const void *params)
{
  const cuGraphExecKernelNodeSetParams_params *p = params;
  CUDA_KERNEL_NODE_PARAMS full = {0};
  memcpy(&full, p->nodeParams, sizeof *p->nodeParams);
  change_kernel(call, p->hGraphExec, p->hNode, &full);
}

void emuv_graph_set_copy(const struct emuv_call *call, const void *params)
{
  const cuGraphExecMemcpyNodeSetParams_params *p = params;
  change_copy(call, p->hGraphExec, p->hNode, p->copyParams);
}

void emuv_graph_set_set(const struct emuv_call *call, const void *params)
{
  const cuGraphExecMemsetNodeSetParams_params *p = params;
  change_set(call, p->hGraphExec, p->hNode, p->memsetParams);
}

static void forget(CUgraphExec handle)
{
  pthread_mutex_lock(&table.lock);
  struct entry *const entry = find(handle);
  if (entry) entry->readable = false;
  pthread_mutex_unlock(&table.lock);
}

/* The structures of the newer call begin like those of the older ones. */
void emuv_graph_set_any(const struct emuv_call *call, const void *params)
{
  const cuGraphExecNodeSetParams_params *p = params;
  const CUgraphNodeParams *n = p->nodeParams;
  CUDA_KERNEL_NODE_PARAMS kernel;
  CUDA_MEMSET_NODE_PARAMS set;
  switch (n->type) {
  case CU_GRAPH_NODE_TYPE_KERNEL:
    memcpy(&kernel, &n->kernel, sizeof kernel);
    change_kernel(call, p->hGraphExec, p->hNode, &kernel);
    break;
  case CU_GRAPH_NODE_TYPE_MEMSET:
    memcpy(&set, &n->memset, sizeof set);
    change_set(call, p->hGraphExec, p->hNode, &set);
    break;
  case CU_GRAPH_NODE_TYPE_MEMCPY: change_copy(call, p->hGraphExec, p->hNode, &n->memcpy.copyParams); break;
  case CU_GRAPH_NODE_TYPE_GRAPH: replace(p->hGraphExec, (uint64_t)(uintptr_t)p->hNode, n->graph.graph, call); break;
  case CU_GRAPH_NODE_TYPE_CONDITIONAL:
  case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
  case CU_GRAPH_NODE_TYPE_MEM_ALLOC: forget(p->hGraphExec); break;
  default: break;
  }
}

void emuv_graph_set_enabled(const struct emuv_call *call, const void *params)
{
  (void)call;
  const cuGraphNodeSetEnabled_params *p = params;
  pthread_mutex_lock(&table.lock);
  struct entry *const entry = find(p->hGraphExec);
  struct emuv_graph_exec_node *const node =
      entry ? emuv_graph_exec_find(&entry->graph, (uint64_t)(uintptr_t)p->hNode) : NULL;
  if (node && node->off != !p->isEnabled) {
    node->off = !p->isEnabled;
    node->changed = entry->graph.changed = true;
  }
  pthread_mutex_unlock(&table.lock);
}

/* ---- launch ---- */

/* Writes the nodes that differ from what the trace has; both locks are held. */
static void write_nodes(struct entry *entry, bool all)
{
  struct emuv_capture *const c = &emuv_capture;
  struct emuv_graph_exec *const graph = &entry->graph;
  const uint64_t base = graph->id;
  uint64_t unknown = 0;
  graph->id = ++table.ids;
  emuv_graph_exec_begin(graph, all);
  for (uint32_t i = 0; i < graph->n; i++) {
    if (!graph->node[i].changed) continue;
    struct emuv_trace_graph_node record = emuv_graph_exec_record(graph, i, &c->live, &c->layout, &operands);
    record.graph = graph->id;
    record.base = base;
    emuv_trace_writer_graph_node(c->writer, &record);
    unknown += record.kind == EMUV_TRACE_NODE_LAUNCH && !graph->node[i].arguments_known;
  }
  emuv_injected_gap(c->writer, EMUV_TRACE_GAP_NO_PARAMS, "nodes of a CUDA graph whose arguments are not known",
                    unknown);
  if (graph->n == 0) { /* an empty graph: its launches are no gap */
    const struct emuv_trace_graph_node nothing = {
        .graph = graph->id, .node = 1, .nodes = 1, .kind = EMUV_TRACE_NODE_ORDER};
    emuv_trace_writer_graph_node(c->writer, &nothing);
  }
  graph->n_work = emuv_graph_exec_work(graph);
  graph->changed = false;
}

static void bring_up_to_date(struct entry *entry)
{
  const struct emuv_capture *const c = &emuv_capture;
  const bool all = entry->graph.id == 0 || (entry->epoch != c->epoch && emuv_graph_exec_stale(&entry->graph, &c->live));
  entry->epoch = c->epoch;
  if (all || entry->graph.changed) write_nodes(entry, all);
}

static bool memory_moved(const struct entry *entry)
{
  pthread_mutex_lock(&emuv_capture.lock);
  const bool moved = entry->graph.id == 0 || entry->epoch != emuv_capture.epoch;
  pthread_mutex_unlock(&emuv_capture.lock);
  return moved;
}

/* The record of the launch; class gap, for readers that do not know nodes. */
static void write_launch(struct entry *entry, struct emuv_trace_launch *record)
{
  struct emuv_capture *const c = &emuv_capture;
  const bool followed = entry && entry->readable;
  pthread_mutex_lock(&c->lock);
  if (followed) bring_up_to_date(entry);
  record->graph = followed ? entry->graph.id : 0;
  const uint64_t n = followed ? entry->graph.n_work : 0;
  record->sequence = emuv_trace_writer_sequences(c->writer, n ? n : 1);
  emuv_correlations_issue(&c->correlations, (uint32_t)record->correlation, true);
  emuv_trace_writer_launch(c->writer, record);
  pthread_mutex_unlock(&c->lock);
}

static void launched(const struct emuv_call *call, const cuGraphLaunch_params *p)
{
  struct emuv_trace_writer *const w = emuv_capture.writer;
  const struct emuv_trace_kernel name = {.name = emuv_trace_writer_string(w, "(graph)")};
  struct emuv_trace_launch record = {.correlation = call->data->correlationId,
                                     .enter_ns = call->enter_ns,
                                     .exit_ns = call->exit_ns,
                                     .stream = emuv_device_stream(call, p->hStream),
                                     .kernel = emuv_trace_writer_kernel(w, &name),
                                     .cls = EMUV_TRACE_CLASS_GAP,
                                     .flags = EMUV_TRACE_FLAG_GRAPH,
                                     .tid = call->tid,
                                     .device = emuv_device_of(call)};
  pthread_mutex_lock(&table.lock);
  struct entry *const entry = find(p->hGraph);
  if (entry && entry->memory && memory_moved(entry)) revive_memory(entry, call);
  write_launch(entry, &record);
  pthread_mutex_unlock(&table.lock);
  if (!record.graph)
    gap(call->exit_ns, record.sequence, EMUV_TRACE_GAP_UNSUPPORTED, "a CUDA graph whose nodes are not known");
}

/* On a stream that is being captured, the launch becomes a node of the other graph. */
void emuv_graph_launch(const struct emuv_call *call, const void *params)
{
  const cuGraphLaunch_params *p = params;
  if (!emuv_device_is_captured(p->hStream)) launched(call, p);
}
