// SPDX-License-Identifier: Apache-2.0
/* See graph_exec.h. */
#include "tracer/inject/graph_exec.h"

#include "runtime/core/err.h"

#include <stdlib.h>
#include <string.h>

/* ---- order ---- */

/* Who waits for whom: those that node i waits for are before[first[i] .. first[i + 1]). */
struct waits {
  uint32_t *first, *before;
};

static bool list_waits(uint32_t n, const uint32_t (*edge)[2], size_t n_edges, struct waits *w)
{
  w->first = calloc(n + 2u, sizeof *w->first);
  w->before = malloc((n_edges + 1) * sizeof *w->before);
  if (!w->first || !w->before) return false;
  for (size_t i = 0; i < n_edges; i++)
    if (edge[i][0] < n && edge[i][1] < n) w->first[edge[i][1] + 2]++;
  for (uint32_t i = 2; i < n + 2; i++) w->first[i] += w->first[i - 1];
  for (size_t i = 0; i < n_edges; i++)
    if (edge[i][0] < n && edge[i][1] < n) w->before[w->first[edge[i][1] + 1]++] = edge[i][0];
  return true;
}

/* Depth first, with a stack of its own: a chain may be as long as the graph. */
static void walk(uint32_t n, const struct waits *w, uint32_t *next, uint32_t *stack, bool *seen, uint32_t *order)
{
  uint32_t done = 0;
  for (uint32_t root = 0; root < n; root++) {
    uint32_t depth = 0;
    if (!seen[root]) stack[depth++] = root;
    seen[root] = true;
    while (depth) {
      const uint32_t at = stack[depth - 1];
      if (next[at] == w->first[at + 1]) {
        order[done++] = at;
        depth--;
        continue;
      }
      const uint32_t before = w->before[next[at]++];
      if (!seen[before]) stack[depth++] = before;
      seen[before] = true;
    }
  }
}

int emuv_graph_order(uint32_t n, const uint32_t (*edge)[2], size_t n_edges, uint32_t *order)
{
  struct waits w;
  const bool listed = list_waits(n, edge, n_edges, &w);
  uint32_t *next = malloc((n + 1u) * sizeof *next), *stack = malloc((n + 1u) * sizeof *stack);
  bool *seen = calloc(n + 1u, sizeof *seen);
  const bool ok = listed && next && stack && seen;
  if (ok) {
    memcpy(next, w.first, n * sizeof *next);
    walk(n, &w, next, stack, seen, order);
  }
  free(w.first);
  free(w.before);
  free(next);
  free(stack);
  free(seen);
  return ok ? 0 : EMUV_ERR_NOMEM;
}

/* ---- nodes ---- */

struct emuv_graph_exec_node *emuv_graph_exec_add(struct emuv_graph_exec *e)
{
  if (e->n == e->cap) {
    const uint32_t cap = e->cap * 2 + 64;
    struct emuv_graph_exec_node *grown = realloc(e->node, cap * sizeof *grown);
    if (!grown) return NULL;
    e->node = grown;
    e->cap = cap;
  }
  struct emuv_graph_exec_node *node = &e->node[e->n++];
  *node = (struct emuv_graph_exec_node){.changed = true};
  e->changed = true;
  return node;
}

bool emuv_graph_exec_arguments(struct emuv_graph_exec_node *node, const void *bytes, size_t n, uint32_t provenance)
{
  free(node->arguments);
  node->arguments = n ? malloc(n) : NULL;
  node->n_arguments = node->arguments ? n : 0;
  node->provenance = provenance;
  node->arguments_known = n == 0 || node->arguments;
  if (node->arguments) memcpy(node->arguments, bytes, n);
  return node->arguments_known;
}

struct emuv_graph_exec_node *emuv_graph_exec_find(struct emuv_graph_exec *e, uint64_t handle)
{
  for (uint32_t i = 0; i < e->n; i++)
    if (e->node[i].handle == handle) return &e->node[i];
  return NULL;
}

static bool same_arguments(const struct emuv_graph_exec_node *a, const struct emuv_graph_exec_node *b)
{
  return a->n_arguments == b->n_arguments && a->arguments_known == b->arguments_known &&
         a->provenance == b->provenance &&
         (a->n_arguments == 0 || memcmp(a->arguments, b->arguments, a->n_arguments) == 0);
}

static bool same_work(const struct emuv_graph_exec_node *a, const struct emuv_graph_exec_node *b)
{
  return a->kernel == b->kernel && memcmp(a->grid, b->grid, sizeof a->grid) == 0 &&
         memcmp(a->block, b->block, sizeof a->block) == 0 && a->shared_bytes == b->shared_bytes &&
         a->flags == b->flags && a->src == b->src && a->dst == b->dst && a->bytes == b->bytes && a->value == b->value &&
         a->width == b->width && same_arguments(a, b);
}

/* *node becomes *from, but stays who it is. */
static void take(struct emuv_graph_exec_node *node, struct emuv_graph_exec_node *from)
{
  const struct emuv_graph_exec_node old = *node;
  *node = *from;
  node->handle = old.handle;
  node->parent = old.parent;
  node->number = old.number;
  node->place = old.place;
  node->off = old.off;
  node->changed = true;
  free(old.arguments);
  from->arguments = NULL;
  from->n_arguments = 0;
}

bool emuv_graph_exec_replace(struct emuv_graph_exec *e, uint32_t first, struct emuv_graph_exec *from)
{
  if (first > e->n || from->n > e->n - first) return false;
  for (uint32_t i = 0; i < from->n; i++)
    if (e->node[first + i].kind != from->node[i].kind) return false;
  for (uint32_t i = 0; i < from->n; i++) {
    if (same_work(&e->node[first + i], &from->node[i])) continue;
    take(&e->node[first + i], &from->node[i]);
    e->changed = true;
  }
  return true;
}

static bool is_work(const struct emuv_graph_exec_node *node)
{
  return !node->off && (node->kind == EMUV_TRACE_NODE_LAUNCH || node->kind == EMUV_TRACE_NODE_COPY ||
                        node->kind == EMUV_TRACE_NODE_SET);
}

uint32_t emuv_graph_exec_work(const struct emuv_graph_exec *e)
{
  uint32_t n = 0;
  for (uint32_t i = 0; i < e->n; i++) n += is_work(&e->node[i]);
  return n;
}

void emuv_graph_exec_free(struct emuv_graph_exec *e)
{
  for (uint32_t i = 0; i < e->n; i++) free(e->node[i].arguments);
  free(e->node);
  free(e->use);
  *e = (struct emuv_graph_exec){0};
}

/* ---- records ---- */

bool emuv_graph_exec_stale(const struct emuv_graph_exec *e, const struct emuv_intervals *live)
{
  for (size_t i = 0; i < e->n_uses; i++) {
    const struct emuv_interval *range = emuv_intervals_find(live, e->use[i].address);
    if (!range || range->id != e->use[i].id) return true;
  }
  return false;
}

void emuv_graph_exec_begin(struct emuv_graph_exec *e, bool all)
{
  if (!all) return;
  e->n_uses = 0;
  for (uint32_t i = 0; i < e->n; i++) e->node[i].changed = true;
}

/* When memory is short the use goes unnoticed, and with it the end of the allocation. */
static void note_use(struct emuv_graph_exec *e, const struct emuv_intervals *live, uint64_t address)
{
  const struct emuv_interval *range = emuv_intervals_find(live, address);
  if (!range) return;
  for (size_t i = e->n_uses; i-- > 0;)
    if (e->use[i].id == range->id) return;
  if (e->n_uses == e->cap_uses) {
    const size_t cap = e->cap_uses * 2 + 16;
    struct emuv_graph_exec_use *grown = realloc(e->use, cap * sizeof *grown);
    if (!grown) return;
    e->use = grown;
    e->cap_uses = cap;
  }
  e->use[e->n_uses++] = (struct emuv_graph_exec_use){.address = range->base, .id = range->id};
}

static bool on_host(const struct emuv_interval *range)
{
  return !range || range->kind == EMUV_TRACE_MEMORY_HOST || range->kind == EMUV_TRACE_MEMORY_REGISTERED ||
         range->kind == EMUV_TRACE_MEMORY_VMM_HOST;
}

static uint32_t copy_kind(const struct emuv_interval *src, const struct emuv_interval *dst)
{
  if (on_host(src)) return on_host(dst) ? EMUV_TRACE_COPY_H2H : EMUV_TRACE_COPY_H2D;
  return on_host(dst) ? EMUV_TRACE_COPY_D2H : EMUV_TRACE_COPY_D2D;
}

static void find_ends(const struct emuv_graph_exec_node *node, const struct emuv_intervals *live,
                      struct emuv_trace_graph_node *r)
{
  const struct emuv_interval *src = emuv_intervals_find(live, node->src), *dst = emuv_intervals_find(live, node->dst);
  r->dst_allocation = dst ? dst->id : 0;
  if (node->kind != EMUV_TRACE_NODE_COPY) return;
  r->src_allocation = src ? src->id : 0;
  r->copy_kind = copy_kind(src, dst);
  if (!src || !dst) r->flags |= EMUV_TRACE_FLAG_PAGEABLE;
}

static void find_operands(const struct emuv_graph_exec_node *node, const struct emuv_intervals *live,
                          const struct emuv_tensormap_layout *layout, struct emuv_operands *operands,
                          struct emuv_trace_graph_node *r)
{
  r->cls = EMUV_TRACE_CLASS_GAP;
  if (!node->arguments_known) return;
  emuv_operands_scan(live, layout, node->arguments, node->n_arguments, node->provenance, operands);
  r->cls = emuv_operands_class(operands);
  r->n_operands = operands->n;
  r->operands = operands->item;
}

static uint64_t operand_address(const struct emuv_trace_operand *o, const struct emuv_intervals *live)
{
  for (size_t i = 0; i < live->n; i++)
    if (live->item[i].id == o->allocation) return live->item[i].base;
  return 0;
}

/* A graph's operands lie in few allocations: most are found among those that are noted. */
static void note_operands(struct emuv_graph_exec *e, const struct emuv_intervals *live,
                          const struct emuv_trace_graph_node *r)
{
  for (uint32_t i = 0; i < r->n_operands; i++) {
    size_t k = e->n_uses;
    while (k > 0 && e->use[k - 1].id != r->operands[i].allocation) k--;
    if (k == 0) note_use(e, live, operand_address(&r->operands[i], live));
  }
}

struct emuv_trace_graph_node emuv_graph_exec_record(struct emuv_graph_exec *e, uint32_t i,
                                                    const struct emuv_intervals *live,
                                                    const struct emuv_tensormap_layout *layout,
                                                    struct emuv_operands *operands)
{
  struct emuv_graph_exec_node *node = &e->node[i];
  struct emuv_trace_graph_node r = {.node = node->number ? node->number : i + UINT64_C(1),
                                    .index = i,
                                    .nodes = e->n,
                                    .kind = node->off ? EMUV_TRACE_NODE_OFF : node->kind,
                                    .device = node->device};
  node->changed = false;
  if (node->off || node->kind == EMUV_TRACE_NODE_HOST || node->kind == EMUV_TRACE_NODE_ORDER) return r;
  r.kernel = node->kernel;
  memcpy(r.grid, node->grid, sizeof r.grid);
  memcpy(r.block, node->block, sizeof r.block);
  r.shared_bytes = node->shared_bytes;
  r.flags = node->flags;
  r.src = node->src;
  r.dst = node->dst;
  r.bytes = node->bytes;
  r.value = node->value;
  r.width = node->width;
  if (node->kind == EMUV_TRACE_NODE_LAUNCH)
    find_operands(node, live, layout, operands, &r);
  else
    find_ends(node, live, &r);
  note_operands(e, live, &r);
  if (r.src_allocation) note_use(e, live, r.src);
  if (r.dst_allocation) note_use(e, live, r.dst);
  return r;
}
