// SPDX-License-Identifier: Apache-2.0
/* Executable graphs while a trace is loaded: see graphs.h. Nothing in the file is trusted: a graph with missing nodes,
 * a base that does not exist or leads back to the graph, and counts that no record backs all end as a launch that is
 * not expanded. */
#include "tracer/format/graphs.h"

#include "tracer/format/push.h"

#include <string.h>

static const uint32_t none = UINT32_MAX;

static struct emuv_graph *find(const struct emuv_graphs *g, uint64_t id)
{
  struct emuv_graph *graph = NULL;
  if (id) HASH_FIND(hh, g->by_id, &id, sizeof id, graph);
  return graph;
}

static struct emuv_graph *find_or_add(struct emuv_graphs *g, const struct emuv_trace_graph_node *node)
{
  struct emuv_graph *graph = find(g, node->graph);
  if (graph || !(graph = calloc(1, sizeof *graph))) return graph;
  graph->id = node->graph;
  graph->base = node->base;
  graph->nodes = node->nodes;
  HASH_ADD(hh, g->by_id, id, sizeof graph->id, graph);
  return graph;
}

static void profile_free(struct emuv_graph_profile *p)
{
  free(p->start);
  free(p->end);
  free(p->busy_start);
  free(p->busy_end);
}

/* Operands of a node's record are its own: expanded launches point to them. */
static bool copy_operands(struct emuv_trace_graph_node *node)
{
  if (node->n_operands == 0) {
    node->operands = NULL;
    return true;
  }
  const size_t bytes = node->n_operands * sizeof *node->operands;
  struct emuv_trace_operand *copy = malloc(bytes);
  if (!copy) return false;
  memcpy(copy, node->operands, bytes);
  node->operands = copy;
  return true;
}

bool emuv_graphs_add(struct emuv_graphs *g, struct emuv_trace_data *d, const struct emuv_trace_graph_node *node)
{
  struct emuv_trace_graph_node copy = *node;
  const uint32_t place = (uint32_t)d->n_graph_nodes;
  if (!copy_operands(&copy)) return false;
  if (!EMUV_PUSH(d, graph_nodes, copy)) {
    free((void *)(uintptr_t)copy.operands);
    return false;
  }
  if (node->graph == 0) return true;
  struct emuv_graph *graph = find_or_add(g, node);
  if (!graph || !EMUV_PUSH(graph, own, place)) return false;
  graph->broken = false;
  return true;
}

/* Fills in a graph's own nodes where there is none yet; returns how many that were. */
static uint32_t fill(const struct emuv_trace_data *d, const struct emuv_graph *graph, uint32_t *all, uint32_t nodes)
{
  uint32_t n = 0;
  for (uint32_t i = 0; i < graph->n_own; i++) {
    const uint32_t index = d->graph_nodes[graph->own[i]].index;
    if (index >= nodes || all[index] != none) continue;
    all[index] = graph->own[i];
    n++;
  }
  return n;
}

static uint32_t fill_from(const struct emuv_graph *base, uint32_t *all)
{
  uint32_t n = 0;
  for (uint32_t i = 0; i < base->nodes; i++)
    if (all[i] == none) all[i] = base->all[i], n++;
  return n;
}

/* The graph's nodes by index, from its own records, then from those of its bases. */
static bool put_in_order(const struct emuv_graphs *g, const struct emuv_trace_data *d, const struct emuv_graph *graph,
                         uint32_t *all)
{
  uint32_t n = 0;
  size_t steps = 0;
  for (const struct emuv_graph *from = graph; from && from->nodes == graph->nodes; from = find(g, from->base)) {
    if (steps++ > HASH_COUNT(g->by_id)) return false;
    n += from->resolved ? fill_from(from, all) : fill(d, from, all, graph->nodes);
    if (n == graph->nodes) return true;
  }
  return false;
}

static bool is_work(uint32_t kind)
{
  return kind == EMUV_TRACE_NODE_LAUNCH || kind == EMUV_TRACE_NODE_COPY || kind == EMUV_TRACE_NODE_SET;
}

static struct emuv_graph *first_like(const struct emuv_graphs *g, struct emuv_graph *graph)
{
  const struct emuv_graph *base = find(g, graph->base);
  return base && base->resolved && base->n_work == graph->n_work ? base->like : graph;
}

/* False: nodes are missing (or memory is short). */
static bool resolve(const struct emuv_graphs *g, const struct emuv_trace_data *d, struct emuv_graph *graph)
{
  if (graph->resolved || graph->broken) return graph->resolved;
  graph->broken = true;
  if (graph->nodes == 0 || graph->nodes > d->n_graph_nodes) return false;
  const size_t bytes = graph->nodes * sizeof(uint32_t);
  uint32_t *all = malloc(bytes), *work = malloc(bytes);
  if (all) memset(all, 0xff, bytes);
  if (!all || !work || !put_in_order(g, d, graph, all)) {
    free(all);
    free(work);
    return false;
  }
  for (uint32_t i = 0; i < graph->nodes; i++)
    if (is_work(d->graph_nodes[all[i]].kind)) work[graph->n_work++] = all[i];
  graph->all = all;
  graph->work = work;
  graph->resolved = true;
  graph->broken = false;
  graph->like = first_like(g, graph);
  return true;
}

struct emuv_graph *emuv_graphs_find(struct emuv_graphs *g, const struct emuv_trace_data *d,
                                    const struct emuv_trace_launch *launch)
{
  if (!(launch->flags & EMUV_TRACE_FLAG_GRAPH) || launch->graph_node) return NULL;
  struct emuv_graph *graph = find(g, launch->graph);
  return graph && resolve(g, d, graph) ? graph : NULL;
}

/* ---- calls ---- */

/* What all three kinds of call take from the launch of the graph. */
#define FROM_LAUNCH(l, node, k)                                                                                        \
  .sequence = (l)->sequence + (k), .correlation = (l)->correlation, .enter_ns = (l)->enter_ns,                         \
  .exit_ns = (l)->exit_ns, .stream = (l)->stream, .flags = (node)->flags | EMUV_TRACE_FLAG_GRAPH, .tid = (l)->tid,     \
  .device = (node)->device

static bool expand_launch(struct emuv_trace_data *d, const struct emuv_trace_launch *l,
                          const struct emuv_trace_graph_node *n, uint32_t k)
{
  struct emuv_trace_launch call = {
      FROM_LAUNCH(l, n, k), .kernel = n->kernel,   .shared_bytes = n->shared_bytes, .cls = n->cls,
      .graph = l->graph,    .graph_node = n->node, .n_operands = n->n_operands,     .operands = n->operands};
  memcpy(call.grid, n->grid, sizeof call.grid);
  memcpy(call.block, n->block, sizeof call.block);
  return EMUV_PUSH(d, launches, call);
}

static bool expand_copy(struct emuv_trace_data *d, const struct emuv_trace_launch *l,
                        const struct emuv_trace_graph_node *n, uint32_t k)
{
  const struct emuv_trace_copy call = {FROM_LAUNCH(l, n, k),
                                       .src = n->src,
                                       .dst = n->dst,
                                       .src_allocation = n->src_allocation,
                                       .dst_allocation = n->dst_allocation,
                                       .bytes = n->bytes,
                                       .kind = n->copy_kind};
  return EMUV_PUSH(d, copies, call);
}

static bool expand_set(struct emuv_trace_data *d, const struct emuv_trace_launch *l,
                       const struct emuv_trace_graph_node *n, uint32_t k)
{
  const struct emuv_trace_set call = {FROM_LAUNCH(l, n, k), .address = n->dst, .allocation = n->dst_allocation,
                                      .bytes = n->bytes,    .value = n->value, .width = n->width};
  return EMUV_PUSH(d, sets, call);
}

static bool expand_node(struct emuv_trace_data *d, const struct emuv_trace_launch *l,
                        const struct emuv_trace_graph_node *n, uint32_t k)
{
  struct emuv_trace_event event = {.type = EMUV_TRACE_LAUNCH, .index = (uint32_t)d->n_launches};
  bool ok;
  if (n->kind == EMUV_TRACE_NODE_COPY) {
    event = (struct emuv_trace_event){.type = EMUV_TRACE_COPY, .index = (uint32_t)d->n_copies};
    ok = expand_copy(d, l, n, k);
  } else if (n->kind == EMUV_TRACE_NODE_SET) {
    event = (struct emuv_trace_event){.type = EMUV_TRACE_SET, .index = (uint32_t)d->n_sets};
    ok = expand_set(d, l, n, k);
  } else {
    ok = expand_launch(d, l, n, k);
  }
  return ok && EMUV_PUSH(d, events, event);
}

bool emuv_graphs_expand(struct emuv_graphs *g, struct emuv_trace_data *d, struct emuv_graph *graph,
                        const struct emuv_trace_launch *launch)
{
  const struct emuv_graph_run run = {.graph = graph,
                                     .correlation = launch->correlation,
                                     .start_ns = launch->start_ns,
                                     .end_ns = launch->end_ns,
                                     .first_event = d->n_events};
  if (d->n_events + graph->n_work > UINT32_MAX) return false;
  for (uint32_t k = 0; k < graph->n_work; k++)
    if (!expand_node(d, launch, &d->graph_nodes[graph->work[k]], k)) return false;
  d->graph_launches++;
  return EMUV_PUSH(g, runs, run);
}

void emuv_graphs_free(struct emuv_graphs *g)
{
  struct emuv_graph *graph, *next;
  HASH_ITER(hh, g->by_id, graph, next)
  {
    HASH_DEL(g->by_id, graph);
    profile_free(&graph->profile);
    free(graph->own);
    free(graph->all);
    free(graph->work);
    free(graph);
  }
  free(g->runs);
  *g = (struct emuv_graphs){0};
}
