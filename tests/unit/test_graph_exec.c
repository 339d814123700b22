// SPDX-License-Identifier: Apache-2.0
/* Executable graphs as the capture remembers them: order of nodes, replacement, records, staleness. */
#include "tracer/inject/graph_exec.h"

#include "runtime/core/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void creation_order_without_edges(void **state)
{
  (void)state;
  uint32_t order[5];
  assert_int_equal(emuv_graph_order(5, NULL, 0, order), 0);
  for (uint32_t i = 0; i < 5; i++) assert_int_equal(order[i], i);
  assert_int_equal(emuv_graph_order(0, NULL, 0, order), 0);
}

static void nodes_follow_what_they_wait_for(void **state)
{
  (void)state;
  const uint32_t edges[][2] = {{4, 0}, {3, 4}, {2, 1}};
  const uint32_t expected[] = {3, 4, 0, 2, 1};
  uint32_t order[5];
  assert_int_equal(emuv_graph_order(5, edges, 3, order), 0);
  assert_memory_equal(order, expected, sizeof expected);
}

/* Random graphs whose edges go against the order of creation, or not. */
static void random_graphs_are_in_order(void **state)
{
  (void)state;
  enum { N = 60, EDGES = 150 };
  struct emuv_rng rng;
  emuv_rng_seed(&rng, 3);
  for (int round = 0; round < 200; round++) {
    uint32_t rank[N], edges[EDGES][2], order[N], place[N];
    for (uint32_t i = 0; i < N; i++) rank[i] = i;
    for (uint32_t i = N - 1; i > 0; i--) {
      const uint32_t k = (uint32_t)emuv_rng_below(&rng, i + 1), t = rank[i];
      rank[i] = rank[k], rank[k] = t;
    }
    for (int i = 0; i < EDGES; i++) {
      const uint32_t a = (uint32_t)emuv_rng_below(&rng, N), b = (uint32_t)emuv_rng_below(&rng, N - 1), c = b + (b >= a);
      edges[i][0] = rank[a] < rank[c] ? a : c;
      edges[i][1] = rank[a] < rank[c] ? c : a;
    }
    assert_int_equal(emuv_graph_order(N, (const uint32_t(*)[2])edges, EDGES, order), 0);
    memset(place, 0xff, sizeof place);
    for (uint32_t i = 0; i < N; i++) place[order[i]] = i;
    for (uint32_t i = 0; i < N; i++) assert_in_range(place[i], 0, N - 1);
    for (int i = 0; i < EDGES; i++) assert_true(place[edges[i][0]] < place[edges[i][1]]);
  }
}

static void bad_edges_are_passed_over(void **state)
{
  (void)state;
  const uint32_t edges[][2] = {{0, 1}, {1, 0}, {7, 0}, {1, UINT32_MAX}, {2, 2}};
  uint32_t order[3], seen = 0;
  assert_int_equal(emuv_graph_order(3, edges, 5, order), 0);
  for (int i = 0; i < 3; i++) seen |= 1u << order[i];
  assert_int_equal(seen, 7);
}

static void long_chains_need_no_stack(void **state)
{
  (void)state;
  enum { N = 300000 };
  uint32_t(*edges)[2] = malloc(N * sizeof *edges), *order = malloc(N * sizeof *order);
  assert_true(edges && order);
  for (uint32_t i = 0; i + 1 < N; i++) edges[i][0] = i + 1, edges[i][1] = i;
  assert_int_equal(emuv_graph_order(N, (const uint32_t(*)[2])edges, N - 1, order), 0);
  for (uint32_t i = 0; i < N; i++) assert_int_equal(order[i], N - 1 - i);
  free(edges);
  free(order);
}

/* ---- nodes ---- */

static const struct emuv_tensormap_layout no_descriptors;
static struct emuv_operands scratch;

static void add_kernel(struct emuv_graph_exec *e, uint64_t handle, uint64_t address)
{
  struct emuv_graph_exec_node *node = emuv_graph_exec_add(e);
  assert_non_null(node);
  node->handle = handle;
  node->number = 100 + handle;
  node->kind = EMUV_TRACE_NODE_LAUNCH;
  assert_true(emuv_graph_exec_arguments(node, &address, sizeof address, EMUV_TRACE_FROM_PARAM));
}

static void insert(struct emuv_intervals *live, uint64_t base, uint64_t bytes, uint64_t id)
{
  const struct emuv_interval range = {.base = base, .bytes = bytes, .id = id, .kind = EMUV_TRACE_MEMORY_DEVICE};
  assert_int_equal(emuv_intervals_insert(live, &range, NULL), 0);
}

static void records_name_allocations(void **state)
{
  (void)state;
  struct emuv_graph_exec e = {0};
  struct emuv_intervals live = {0};
  insert(&live, 0x10000, 0x1000, 1);
  insert(&live, 0x20000, 0x1000, 2);
  add_kernel(&e, 1, 0x10100);
  add_kernel(&e, 2, 0x90000); /* nowhere */
  emuv_graph_exec_begin(&e, true);
  struct emuv_trace_graph_node r = emuv_graph_exec_record(&e, 0, &live, &no_descriptors, &scratch);
  assert_int_equal(r.node, 101);
  assert_int_equal(r.nodes, 2);
  assert_int_equal(r.n_operands, 1);
  assert_int_equal(r.operands[0].allocation, 1);
  assert_int_equal(r.operands[0].offset, 0x100);
  assert_int_equal(r.cls, EMUV_TRACE_CLASS_BOUNDED);
  assert_false(e.node[0].changed);
  r = emuv_graph_exec_record(&e, 1, &live, &no_descriptors, &scratch);
  assert_int_equal(r.cls, EMUV_TRACE_CLASS_GAP);
  assert_false(emuv_graph_exec_stale(&e, &live));
  emuv_intervals_remove(&live, 0x20000, NULL); /* not used by the graph */
  assert_false(emuv_graph_exec_stale(&e, &live));
  emuv_intervals_remove(&live, 0x10000, NULL);
  assert_true(emuv_graph_exec_stale(&e, &live));
  insert(&live, 0x10000, 0x1000, 3); /* another one at the same place */
  assert_true(emuv_graph_exec_stale(&e, &live));
  emuv_graph_exec_free(&e);
  emuv_intervals_free(&live);
}

static void only_what_differs_is_replaced(void **state)
{
  (void)state;
  struct emuv_graph_exec e = {0}, same = {0}, other = {0};
  struct emuv_intervals live = {0};
  for (uint64_t i = 0; i < 3; i++) {
    add_kernel(&e, i, 0x1000 * i);
    add_kernel(&same, 50 + i, 0x1000 * i);
  }
  emuv_graph_exec_begin(&e, true);
  for (uint32_t i = 0; i < 3; i++) emuv_graph_exec_record(&e, i, &live, &no_descriptors, &scratch);
  e.changed = false;
  assert_true(emuv_graph_exec_replace(&e, 0, &same));
  assert_false(e.changed);
  add_kernel(&other, 70, 0x7000);
  assert_true(emuv_graph_exec_replace(&e, 1, &other));
  assert_true(e.changed && !e.node[0].changed && e.node[1].changed && !e.node[2].changed);
  assert_int_equal(e.node[1].handle, 1);
  assert_int_equal(e.node[1].number, 101);
  assert_int_equal(*(uint64_t *)(void *)e.node[1].arguments, 0x7000);
  assert_false(emuv_graph_exec_replace(&e, 2, &same)); /* too many */
  same.node[0].kind = EMUV_TRACE_NODE_COPY;
  assert_false(emuv_graph_exec_replace(&e, 0, &same)); /* of another kind */
  assert_int_equal(emuv_graph_exec_work(&e), 3);
  e.node[0].off = true;
  assert_int_equal(emuv_graph_exec_work(&e), 2);
  assert_ptr_equal(emuv_graph_exec_find(&e, 2), &e.node[2]);
  assert_null(emuv_graph_exec_find(&e, 70));
  emuv_graph_exec_free(&e);
  emuv_graph_exec_free(&same);
  emuv_graph_exec_free(&other);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(creation_order_without_edges),  cmocka_unit_test(nodes_follow_what_they_wait_for),
      cmocka_unit_test(random_graphs_are_in_order),    cmocka_unit_test(bad_edges_are_passed_over),
      cmocka_unit_test(long_chains_need_no_stack),     cmocka_unit_test(records_name_allocations),
      cmocka_unit_test(only_what_differs_is_replaced),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
