// SPDX-License-Identifier: Apache-2.0
/* A whole trace in memory: see load.h. Allocation ids are looked up by bisection, since writers count them up; when a
 * file does not keep that order, the array is sorted once. */
#include "tracer/format/load.h"

#include "tracer/format/graphs.h"
#include "tracer/format/input.h"
#include "tracer/format/push.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { HASH_CHUNK = 1 << 20 };

static bool push_event(struct emuv_trace_data *d, uint32_t type, size_t n)
{
  struct emuv_trace_event e = {.type = type, .index = (uint32_t)(n - 1)};
  return EMUV_PUSH(d, events, e);
}

static bool push_launch(struct emuv_trace_data *d, struct emuv_graphs *graphs, const struct emuv_trace_launch *launch)
{
  struct emuv_graph *graph = emuv_graphs_find(graphs, d, launch);
  if (graph) return emuv_graphs_expand(graphs, d, graph, launch);
  for (uint32_t i = 0; i < launch->n_operands; i++)
    if (!EMUV_PUSH(d, operands, launch->operands[i])) return false;
  if (!EMUV_PUSH(d, launches, *launch)) return false;
  d->launches[d->n_launches - 1].operands = NULL; /* until link_operands */
  return push_event(d, EMUV_TRACE_LAUNCH, d->n_launches);
}

static bool push_record(struct emuv_trace_data *d, struct emuv_graphs *graphs, const struct emuv_trace_record *r)
{
  struct emuv_trace_life life = {.a = r->u.allocation};
  switch (r->type) {
  case EMUV_TRACE_ENVIRONMENT: return EMUV_PUSH(d, environment, r->u.environment);
  case EMUV_TRACE_PROCESS: return EMUV_PUSH(d, processes, r->u.process);
  case EMUV_TRACE_THREAD: return EMUV_PUSH(d, threads, r->u.thread);
  case EMUV_TRACE_GPU_TIME: return EMUV_PUSH(d, gpu_times, r->u.gpu_time);
  case EMUV_TRACE_ALLOCATION: return EMUV_PUSH(d, allocations, life) && push_event(d, r->type, d->n_allocations);
  case EMUV_TRACE_FREE: return EMUV_PUSH(d, frees, r->u.free) && push_event(d, r->type, d->n_frees);
  case EMUV_TRACE_COPY: return EMUV_PUSH(d, copies, r->u.copy) && push_event(d, r->type, d->n_copies);
  case EMUV_TRACE_SET: return EMUV_PUSH(d, sets, r->u.set) && push_event(d, r->type, d->n_sets);
  case EMUV_TRACE_LAUNCH: return push_launch(d, graphs, &r->u.launch);
  case EMUV_TRACE_RANGE: return EMUV_PUSH(d, ranges, r->u.range) && push_event(d, r->type, d->n_ranges);
  case EMUV_TRACE_SYNC: return EMUV_PUSH(d, syncs, r->u.sync) && push_event(d, r->type, d->n_syncs);
  case EMUV_TRACE_GAP: return EMUV_PUSH(d, gaps, r->u.gap) && push_event(d, r->type, d->n_gaps);
  case EMUV_TRACE_DROP: return EMUV_PUSH(d, drops, r->u.drop) && push_event(d, r->type, d->n_drops);
  case EMUV_TRACE_GRAPH_NODE: return emuv_graphs_add(graphs, d, &r->u.graph_node);
  default: return EMUV_PUSH(d, tags, r->u.tag) && push_event(d, r->type, d->n_tags);
  }
}

/* Once the array no longer moves. Operands were appended in the order of their launches; those of graphs' nodes have
 * their place already. */
static void link_operands(struct emuv_trace_data *d)
{
  size_t first = 0;
  for (size_t i = 0; i < d->n_launches; i++) {
    struct emuv_trace_launch *l = &d->launches[i];
    if (l->operands || l->n_operands == 0) continue;
    l->operands = d->operands + first;
    first += l->n_operands;
  }
}

/* ---- frees ---- */

static struct emuv_trace_life *find_allocation(const struct emuv_trace_data *d, uint64_t id)
{
  size_t lo = 0, hi = d->n_allocations;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (d->allocations[mid].a.id < id)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo < d->n_allocations && d->allocations[lo].a.id == id ? &d->allocations[lo] : NULL;
}

static int by_id(const void *a, const void *b)
{
  const struct emuv_trace_life *x = a, *y = b;
  return (x->a.id > y->a.id) - (x->a.id < y->a.id);
}

/* Sorting moves allocations, so their events are pointed at the new places. */
static void sort_allocations(struct emuv_trace_data *d)
{
  bool sorted = true;
  if (!d->allocations) return;
  for (size_t i = 1; i < d->n_allocations; i++) sorted &= d->allocations[i - 1].a.id <= d->allocations[i].a.id;
  if (sorted) return;
  uint64_t *ids = malloc(d->n_allocations * sizeof *ids);
  if (!ids) return;
  for (size_t i = 0; i < d->n_allocations; i++) ids[i] = d->allocations[i].a.id;
  qsort(d->allocations, d->n_allocations, sizeof *d->allocations, by_id);
  for (size_t i = 0; i < d->n_events; i++) {
    struct emuv_trace_event *e = &d->events[i];
    if (e->type == EMUV_TRACE_ALLOCATION) e->index = (uint32_t)(find_allocation(d, ids[e->index]) - d->allocations);
  }
  free(ids);
}

static void join_frees(struct emuv_trace_data *d)
{
  sort_allocations(d);
  for (size_t i = 0; i < d->n_frees; i++) {
    struct emuv_trace_life *life = find_allocation(d, d->frees[i].id);
    if (!life || life->freed) continue;
    life->freed = true;
    life->free_ns = d->frees[i].ns;
  }
}

/* ---- interface ---- */

static int read_all(struct emuv_trace_data *d, struct emuv_graphs *graphs, struct emuv_err *err)
{
  struct emuv_trace_record r;
  int got;
  while ((got = emuv_trace_reader_next(d->reader, &r, err)) > 0)
    if (!push_record(d, graphs, &r)) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace");
  return got;
}

static int load(struct emuv_trace_data *d, struct emuv_err *err)
{
  struct emuv_graphs graphs = {0};
  int code = read_all(d, &graphs, err);
  if (code == 0) {
    d->state = *emuv_trace_reader_state(d->reader);
    link_operands(d);
    join_frees(d);
    code = emuv_times_join(d, &graphs, err);
  }
  emuv_graphs_free(&graphs);
  if (code) emuv_trace_data_free(d);
  return code;
}

int emuv_trace_load(const char *path, struct emuv_trace_data *d, struct emuv_err *err)
{
  *d = (struct emuv_trace_data){0};
  snprintf(d->path, sizeof d->path, "%s", path);
  int code = emuv_trace_reader_open(&d->reader, path, err);
  return code ? code : load(d, err);
}

int emuv_trace_load_memory(const void *data, size_t n, const char *name, struct emuv_trace_data *d,
                           struct emuv_err *err)
{
  *d = (struct emuv_trace_data){0};
  snprintf(d->path, sizeof d->path, "%s", name);
  int code = emuv_trace_reader_open_memory(&d->reader, data, n, name, err);
  return code ? code : load(d, err);
}

void emuv_trace_data_free(struct emuv_trace_data *d)
{
  for (size_t i = 0; i < d->n_graph_nodes; i++) free((void *)(uintptr_t)d->graph_nodes[i].operands);
  void *arrays[] = {d->environment, d->processes, d->threads,   d->allocations, d->frees,      d->copies,
                    d->sets,        d->launches,  d->gpu_times, d->ranges,      d->syncs,      d->gaps,
                    d->drops,       d->tags,      d->operands,  d->events,      d->graph_nodes};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
  emuv_trace_reader_close(d->reader);
  *d = (struct emuv_trace_data){0};
}

const char *emuv_trace_data_string(const struct emuv_trace_data *d, uint32_t id)
{
  return emuv_trace_reader_string(d->reader, id);
}

const char *emuv_trace_data_kernel(const struct emuv_trace_data *d, uint32_t id)
{
  const struct emuv_trace_kernel *k = emuv_trace_reader_kernel(d->reader, id);
  return k ? emuv_trace_reader_string(d->reader, k->name) : "";
}

const struct emuv_trace_life *emuv_trace_data_allocation(const struct emuv_trace_data *d, uint64_t id)
{
  return id ? find_allocation(d, id) : NULL;
}

const char *emuv_trace_data_environment(const struct emuv_trace_data *d, const char *key)
{
  for (size_t i = 0; i < d->n_environment; i++)
    if (strcmp(emuv_trace_data_string(d, d->environment[i].key), key) == 0)
      return emuv_trace_data_string(d, d->environment[i].value);
  return NULL;
}

bool emuv_trace_data_is_references(const struct emuv_trace_data *d)
{
  const char *import = emuv_trace_data_environment(d, "import");
  return import && strcmp(import, "nsys") != 0;
}

int emuv_trace_content_hash(const char *path, uint64_t *hash, struct emuv_err *err)
{
  struct emuv_input in;
  int code = emuv_input_open(&in, path, err);
  if (code) return code;
  XXH3_state_t *state = XXH3_createState();
  if (!state) code = emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory");
  if (state) XXH3_64bits_reset(state);
  for (uint64_t at = 0; code == 0 && at < in.bytes;) {
    size_t n = in.bytes - at < HASH_CHUNK ? (size_t)(in.bytes - at) : HASH_CHUNK;
    const uint8_t *p = emuv_input_at(&in, at, n, err);
    if (!p)
      code = EMUV_ERR_IO;
    else
      XXH3_64bits_update(state, p, n);
    at += n;
  }
  if (code == 0) *hash = XXH3_64bits_digest(state);
  if (code == 0 && *hash == 0) *hash = 1;
  XXH3_freeState(state);
  emuv_input_close(&in);
  return code;
}
