// SPDX-License-Identifier: Apache-2.0
/* See twins.h. */
#include "tracer/format/twins.h"

#include "tracer/format/push.h"

#include <string.h>
#include <xxhash.h>

struct likeness {
  uint64_t bytes;
  uint32_t node_kind, copy_kind, kernel, grid[3], block[3], shared_bytes;
};

static uint64_t key_of(const struct likeness *l)
{
  return XXH3_64bits(l, sizeof *l);
}

static uint64_t launch_key(uint32_t kernel, const uint32_t grid[3], const uint32_t block[3], uint32_t shared_bytes)
{
  struct likeness l;
  memset(&l, 0, sizeof l);
  l.node_kind = EMUV_TRACE_NODE_LAUNCH;
  l.kernel = kernel;
  memcpy(l.grid, grid, sizeof l.grid);
  memcpy(l.block, block, sizeof l.block);
  l.shared_bytes = shared_bytes;
  return key_of(&l);
}

static uint64_t bytes_key(uint32_t node_kind, uint32_t copy_kind, uint64_t bytes)
{
  struct likeness l;
  memset(&l, 0, sizeof l);
  l.node_kind = node_kind;
  l.copy_kind = copy_kind;
  l.bytes = bytes;
  return key_of(&l);
}

static bool note(struct emuv_twins *twins, uint32_t flags, uint64_t key, uint64_t start_ns, uint64_t end_ns)
{
  if (flags & EMUV_TRACE_FLAG_GRAPH || start_ns == 0 || end_ns <= start_ns) return true;
  const struct emuv_twin twin = {.key = key, .ns = end_ns - start_ns};
  return EMUV_PUSH(twins, twin, twin);
}

static int by_key(const void *a, const void *b)
{
  const struct emuv_twin *x = a, *y = b;
  if (x->key != y->key) return x->key < y->key ? -1 : 1;
  return (x->ns > y->ns) - (x->ns < y->ns);
}

bool emuv_twins_build(const struct emuv_trace_data *d, struct emuv_twins *twins)
{
  bool ok = true;
  *twins = (struct emuv_twins){0};
  for (size_t i = 0; ok && i < d->n_launches; i++) {
    const struct emuv_trace_launch *l = &d->launches[i];
    ok = note(twins, l->flags, launch_key(l->kernel, l->grid, l->block, l->shared_bytes), l->start_ns, l->end_ns);
  }
  for (size_t i = 0; ok && i < d->n_copies; i++) {
    const struct emuv_trace_copy *c = &d->copies[i];
    ok = note(twins, c->flags, bytes_key(EMUV_TRACE_NODE_COPY, c->kind, c->bytes), c->start_ns, c->end_ns);
  }
  for (size_t i = 0; ok && i < d->n_sets; i++) {
    const struct emuv_trace_set *s = &d->sets[i];
    ok = note(twins, s->flags, bytes_key(EMUV_TRACE_NODE_SET, 0, s->bytes), s->start_ns, s->end_ns);
  }
  if (ok && twins->n_twin) qsort(twins->twin, twins->n_twin, sizeof *twins->twin, by_key);
  return ok;
}

/* Place of the first entry with this key or a later one. */
static size_t lower_bound(const struct emuv_twins *twins, uint64_t key)
{
  size_t lo = 0, hi = twins->n_twin;
  while (lo < hi) {
    const size_t mid = lo + (hi - lo) / 2;
    if (twins->twin[mid].key < key)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

uint64_t emuv_twins_find(const struct emuv_twins *twins, const struct emuv_trace_graph_node *node)
{
  const uint64_t key = node->kind == EMUV_TRACE_NODE_LAUNCH
                           ? launch_key(node->kernel, node->grid, node->block, node->shared_bytes)
                           : bytes_key(node->kind, node->copy_kind, node->bytes);
  const size_t first = lower_bound(twins, key), end = key == UINT64_MAX ? twins->n_twin : lower_bound(twins, key + 1);
  return first < end ? twins->twin[first + (end - first) / 2].ns : 0;
}

void emuv_twins_free(struct emuv_twins *twins)
{
  free(twins->twin);
  *twins = (struct emuv_twins){0};
}
