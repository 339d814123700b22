// SPDX-License-Identifier: Apache-2.0
/* CUDA graphs through the capture library, over the stand-in: each case is a program of its own, whose trace is loaded
 * when it has ended. */
#include "tests/capture/stand_in_graphs.h"
#include "tracer/format/load.h"
#include "tracer/format/order.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

int InitializeInjection(void);

#define SEGMENT 0x7f0000000000u
#define SEGMENT_BYTES (20u << 20)
#define GRAPH_MEMORY 0x7e0000000000u
#define EXEC ((CUgraphExec)(uintptr_t)0xe000)

static char path[64];

/* ---- the program ---- */

static void call_with(CUpti_CallbackId id, void *params, CUresult result, struct fake_graph *instantiated)
{
  uint64_t data = 0;
  CUpti_CallbackData d = {.callbackSite = CUPTI_API_ENTER,
                          .functionName = "cuSomething",
                          .functionParams = params,
                          .functionReturnValue = &result,
                          .context = (CUcontext)(uintptr_t)0x77,
                          .contextUid = 1,
                          .correlationData = &data,
                          .correlationId = atomic_fetch_add(&correlation, 2) + 2};
  call_back(id, &d);
  if (instantiated) fake_clone(instantiated);
  d.callbackSite = CUPTI_API_EXIT;
  call_back(id, &d);
}

static void call(CUpti_CallbackId id, void *params)
{
  call_with(id, params, CUDA_SUCCESS, NULL);
}

static void allocate(uint64_t address, size_t bytes)
{
  CUdeviceptr pointer = address;
  cuMemAlloc_v2_params p = {.dptr = &pointer, .bytesize = bytes};
  call(CUPTI_DRIVER_TRACE_CBID_cuMemAlloc_v2, &p);
}

static void release(uint64_t address)
{
  cuMemFree_v2_params p = {.dptr = address};
  call(CUPTI_DRIVER_TRACE_CBID_cuMemFree_v2, &p);
}

static void instantiate(struct fake_graph *g)
{
  CUgraphExec exec = EXEC;
  cuGraphInstantiateWithFlags_params p = {.phGraphExec = &exec, .hGraph = (CUgraph)(void *)g};
  call_with(CUPTI_DRIVER_TRACE_CBID_cuGraphInstantiateWithFlags, &p, CUDA_SUCCESS, g);
}

static void destroy(void)
{
  cuGraphExecDestroy_params p = {.hGraphExec = EXEC};
  call(CUPTI_DRIVER_TRACE_CBID_cuGraphExecDestroy, &p);
}

static void launch(void)
{
  cuGraphLaunch_params p = {.hGraph = EXEC};
  call(CUPTI_DRIVER_TRACE_CBID_cuGraphLaunch_ptsz, &p);
}

static void ran(uint64_t graph_node, uint64_t start, uint64_t end)
{
  pthread_mutex_lock(&pending_lock);
  pending[n_pending].correlation = atomic_load(&correlation);
  pending[n_pending].graph_node = graph_node;
  pending[n_pending].whole = graph_node == 0;
  pending[n_pending].start = start + CLOCK_SHIFT_NS;
  pending[n_pending++].end = end + CLOCK_SHIFT_NS;
  pthread_mutex_unlock(&pending_lock);
}

/* Runs `program` with the capture in it, then loads its trace. */
static void trace(void (*program)(void), struct emuv_trace_data *d)
{
  struct emuv_err err = {0};
  snprintf(path, sizeof path, "/tmp/emuv-graphs-%ld.emuv", (long)getpid());
  unlink(path);
  const pid_t child = fork();
  if (child == 0) {
    setenv("EMUV_TRACE_OUTPUT", path, 1);
    stand_in_more = fake_graphs;
    InitializeInjection();
    program();
    exit(7);
  }
  int status = 0;
  waitpid(child, &status, 0);
  assert_int_equal(WEXITSTATUS(status), 7);
  if (emuv_trace_load(path, d, &err)) fail_msg("%s", err.text);
  assert_int_equal(d->state.verdict.status, EMUV_TRACE_STATUS_COMPLETE);
  unlink(path);
}

/* ---- cases ---- */

/* Created in another order than it runs: set, copy, kernel; the kernel comes first and the copy last. */
static struct fake_graph small_graph(void)
{
  struct fake_graph g = {0};
  fake_add_memory(&g, CU_GRAPH_NODE_TYPE_MEMSET, SEGMENT + 100, 64);
  fake_add_memory(&g, CU_GRAPH_NODE_TYPE_MEMCPY, SEGMENT + 4096, 32)->in = SEGMENT + 8192;
  fake_add_kernel(&g, SEGMENT + 512, SEGMENT + 1024);
  fake_add(&g, CU_GRAPH_NODE_TYPE_EMPTY);
  fake_edge(&g, 2, 0);
  fake_edge(&g, 0, 1);
  return g;
}

static void run_small(void)
{
  struct fake_graph g = small_graph();
  allocate(SEGMENT, SEGMENT_BYTES);
  instantiate(&g);
  memset(&g, 0, sizeof g); /* the program destroys its graph */
  launch();
  launch();
}

static void nodes_have_operands(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  struct emuv_trace_order order;
  trace(run_small, &d);
  assert_int_equal(d.n_graph_nodes, 4);
  assert_int_equal(d.graph_launches, 2);
  assert_int_equal(d.n_gaps, 0);
  assert_int_equal(d.n_launches, 2);
  const struct emuv_trace_launch *l = &d.launches[1];
  assert_string_equal(emuv_trace_data_kernel(&d, l->kernel), "graphed");
  assert_int_equal(l->cls, EMUV_TRACE_CLASS_BOUNDED);
  assert_int_equal(l->n_operands, 2);
  assert_int_equal(l->operands[0].offset, 512);
  assert_int_equal(l->operands[1].offset, 1024);
  assert_int_equal(l->operands[1].allocation, 1);
  assert_int_equal(l->grid[0], 7);
  assert_int_equal(l->block[0], 64);
  assert_int_equal(l->shared_bytes, 48);
  assert_int_equal(l->stream, STREAM_ID);
  assert_int_equal(d.sets[0].address, SEGMENT + 100);
  assert_int_equal(d.sets[0].bytes, 64);
  assert_int_equal(d.sets[0].value, 9);
  assert_int_equal(d.copies[0].kind, EMUV_TRACE_COPY_D2D);
  assert_int_equal(d.copies[0].src, SEGMENT + 8192);
  assert_int_equal(emuv_trace_order_build(&d, &order, NULL), 0);
  const uint32_t types[] = {EMUV_TRACE_LAUNCH, EMUV_TRACE_SET, EMUV_TRACE_COPY};
  assert_int_equal(order.n, 6);
  for (size_t i = 0; i < 6; i++) {
    assert_int_equal(order.calls[i].type, types[i % 3]);
    assert_int_equal(order.calls[i].sequence, i + 1);
  }
  emuv_trace_order_free(&order);
  emuv_trace_data_free(&d);
}

static void run_times(void)
{
  struct fake_graph g = small_graph();
  allocate(SEGMENT, SEGMENT_BYTES);
  instantiate(&g);
  launch();
  const uint64_t now = emuv_capture_now_ns();
  ran(CLONE_ID + 2, now, now + 100);
  ran(CLONE_ID, now + 200, now + 300);
  ran(CLONE_ID + 1, now + 400, now + 600);
  launch();
  ran(0, now + 1000, now + 1600);
}

static void times_find_nodes(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  trace(run_times, &d);
  assert_int_equal(d.untimed, 0);
  assert_int_equal(d.unmatched_times, 0);
  assert_int_equal(d.estimated, 3);
  assert_int_equal(d.launches[0].end_ns - d.launches[0].start_ns, 100);
  assert_int_equal(d.copies[0].end_ns - d.copies[0].start_ns, 200);
  assert_int_equal(d.copies[1].end_ns - d.launches[1].start_ns, 600);
  assert_int_equal(d.copies[1].flags & EMUV_TRACE_FLAG_ESTIMATED, EMUV_TRACE_FLAG_ESTIMATED);
  emuv_trace_data_free(&d);
}

static void run_changes(void)
{
  struct fake_graph g = small_graph(), other;
  allocate(SEGMENT, SEGMENT_BYTES);
  instantiate(&g);
  launch();
  struct fake_node changed = {.kernel = PARAM_KERNEL, .in = SEGMENT + 2048, .out = SEGMENT + 1024, .n = 5};
  const CUDA_KERNEL_NODE_PARAMS kernel = fake_kernel_params(&changed);
  cuGraphExecKernelNodeSetParams_v2_params p = {
      .hGraphExec = EXEC, .hNode = (CUgraphNode)(void *)&g.node[2], .nodeParams = &kernel};
  call(CUPTI_DRIVER_TRACE_CBID_cuGraphExecKernelNodeSetParams_v2, &p);
  launch();
  launch();
  other = small_graph();
  other.node[0].out = SEGMENT + 200;
  other.node[2].in = SEGMENT + 2048;
  cuGraphExecUpdate_v2_params u = {.hGraphExec = EXEC, .hGraph = (CUgraph)(void *)&other};
  call(CUPTI_DRIVER_TRACE_CBID_cuGraphExecUpdate_v2, &u);
  launch();
  const CUDA_MEMSET_NODE_PARAMS set = {.dst = SEGMENT + 300, .elementSize = 1, .width = 8, .height = 1};
  cuGraphExecMemsetNodeSetParams_params s = {
      .hGraphExec = EXEC, .hNode = (CUgraphNode)(void *)&g.node[0], .memsetParams = &set};
  call(CUPTI_DRIVER_TRACE_CBID_cuGraphExecMemsetNodeSetParams, &s);
  cuGraphNodeSetEnabled_params off = {.hGraphExec = EXEC, .hNode = (CUgraphNode)(void *)&g.node[1]};
  call(CUPTI_DRIVER_TRACE_CBID_cuGraphNodeSetEnabled, &off);
  launch();
}

static void changes_are_followed(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  trace(run_changes, &d);
  assert_int_equal(d.graph_launches, 5);
  assert_int_equal(d.n_graph_nodes, 4 + 1 + 1 + 2);
  const uint64_t offsets[] = {512, 2048, 2048, 2048, 2048}, sets[] = {100, 100, 100, 200, 300};
  assert_int_equal(d.n_launches, 5);
  assert_int_equal(d.n_sets, 5);
  assert_int_equal(d.n_copies, 4); /* it is off in the last */
  for (int i = 0; i < 5; i++) {
    assert_int_equal(d.launches[i].operands[0].offset, offsets[i]);
    assert_int_equal(d.sets[i].address, SEGMENT + sets[i]);
  }
  assert_int_equal(d.sets[4].bytes, 8);
  assert_int_equal(d.launches[0].graph, d.launches[1].graph - 1);
  assert_int_equal(d.launches[1].graph, d.launches[2].graph);
  assert_int_equal(d.launches[0].graph_node, d.launches[4].graph_node);
  assert_int_equal(d.launches[0].graph_node, CLONE_ID + 2);
  emuv_trace_data_free(&d);
}

static void run_child(void)
{
  static struct fake_graph inner, outer, other;
  fake_add_kernel(&inner, SEGMENT + 16, SEGMENT + 32);
  fake_add_kernel(&inner, SEGMENT + 48, SEGMENT + 64);
  fake_add_kernel(&outer, SEGMENT + 80, SEGMENT + 96);
  fake_add(&outer, CU_GRAPH_NODE_TYPE_GRAPH)->child = &inner;
  fake_add_kernel(&outer, SEGMENT + 112, SEGMENT + 128);
  fake_edge(&outer, 2, 1); /* last, first, child... */
  fake_edge(&outer, 0, 2);
  allocate(SEGMENT, SEGMENT_BYTES);
  instantiate(&outer);
  launch();
  ran(CLONE_ID + 3 + 1, 1000, 2000); /* three nodes of the outer graph, then those of the inner one */
  other = inner;
  other.node[1].in = SEGMENT + 1024;
  cuGraphExecChildGraphNodeSetParams_params p = {
      .hGraphExec = EXEC, .hNode = (CUgraphNode)(void *)&outer.node[1], .childGraph = (CUgraph)(void *)&other};
  call(CUPTI_DRIVER_TRACE_CBID_cuGraphExecChildGraphNodeSetParams, &p);
  launch();
}

static void child_graphs_are_nodes(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  trace(run_child, &d);
  const uint64_t offsets[] = {80, 112, 16, 48, 80, 112, 16, 1024};
  assert_int_equal(d.n_launches, 8);
  assert_int_equal(d.n_graph_nodes, 5);
  for (int i = 0; i < 8; i++) assert_int_equal(d.launches[i].operands[0].offset, offsets[i]);
  assert_int_equal(d.launches[3].end_ns - d.launches[3].start_ns, 1000);
  emuv_trace_data_free(&d);
}

static void run_memory(void)
{
  struct fake_graph g = {0};
  fake_add_memory(&g, CU_GRAPH_NODE_TYPE_MEM_ALLOC, GRAPH_MEMORY, 4096);
  fake_add_kernel(&g, GRAPH_MEMORY + 64, SEGMENT);
  fake_add_memory(&g, CU_GRAPH_NODE_TYPE_MEM_FREE, GRAPH_MEMORY, 0);
  fake_add_memory(&g, CU_GRAPH_NODE_TYPE_MEM_ALLOC, GRAPH_MEMORY + 1024, 64);  /* the address is used again */
  fake_add_memory(&g, CU_GRAPH_NODE_TYPE_MEM_ALLOC, GRAPH_MEMORY + 4000, 200); /* in part */
  allocate(SEGMENT, SEGMENT_BYTES);
  instantiate(&g);
  launch();
  launch();
  release(GRAPH_MEMORY); /* the program may; the next launch brings it back */
  launch();
  destroy();
}

static void memory_nodes_are_allocations(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  trace(run_memory, &d);
  assert_int_equal(d.n_allocations, 3);
  assert_int_equal(d.allocations[1].a.kind, EMUV_TRACE_MEMORY_GRAPH);
  assert_int_equal(d.allocations[1].a.bytes, 4200);
  assert_int_equal(d.n_launches, 3);
  assert_int_equal(d.launches[1].operands[0].allocation, 2);
  assert_int_equal(d.launches[1].operands[0].offset, 64);
  assert_int_equal(d.launches[2].operands[0].allocation, 3);
  assert_true(d.allocations[1].freed && d.allocations[2].freed);
  assert_int_equal(d.n_gaps, 0);
  emuv_trace_data_free(&d);
}

static void run_moved(void)
{
  struct fake_graph g = small_graph();
  allocate(SEGMENT, SEGMENT_BYTES);
  allocate(SEGMENT + SEGMENT_BYTES, 4096);
  instantiate(&g);
  launch();
  release(SEGMENT + SEGMENT_BYTES); /* not the graph's */
  launch();
  release(SEGMENT);
  allocate(SEGMENT, 2048);
  launch();
}

static void freed_operands_are_looked_for_again(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  trace(run_moved, &d);
  assert_int_equal(d.n_graph_nodes, 4 + 4);
  assert_int_equal(d.launches[0].graph, d.launches[1].graph);
  assert_int_equal(d.launches[1].operands[0].allocation, 1);
  assert_int_equal(d.launches[2].operands[0].allocation, 3);
  assert_int_equal(d.launches[2].operands[0].bytes, 2048 - 512);
  assert_int_equal(d.copies[2].dst_allocation, 0);
  emuv_trace_data_free(&d);
}

static void run_again(void)
{
  struct fake_graph g = small_graph(), empty = {0};
  allocate(SEGMENT, SEGMENT_BYTES);
  instantiate(&g);
  launch();
  destroy();
  g.node[2].in = SEGMENT + 608;
  instantiate(&g); /* the handle is given out again */
  launch();
  g.node[2].in = SEGMENT + 704;
  instantiate(&g); /* without a destruction that CUPTI told of */
  launch();
  instantiate(&empty);
  launch();
}

static void handles_come_back(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  trace(run_again, &d);
  const uint64_t offsets[] = {512, 608, 704};
  assert_int_equal(d.graph_launches, 4);
  assert_int_equal(d.n_launches, 3);
  for (int i = 0; i < 3; i++) assert_int_equal(d.launches[i].operands[0].offset, offsets[i]);
  emuv_trace_data_free(&d);
}

static void run_unknown(void)
{
  struct fake_graph g = small_graph(), more = {0};
  CUgraphExec exec = EXEC;
  cuGraphInstantiateWithFlags_params failed = {.phGraphExec = &exec, .hGraph = (CUgraph)(void *)&g};
  launch(); /* never seen */
  call_with(CUPTI_DRIVER_TRACE_CBID_cuGraphInstantiateWithFlags, &failed, CUDA_ERROR_OUT_OF_MEMORY, &g);
  launch();
  nodes_are_secret = true;
  instantiate(&g);
  nodes_are_secret = false;
  launch();
  fake_add(&more, CU_GRAPH_NODE_TYPE_CONDITIONAL);
  fake_add(&more, CU_GRAPH_NODE_TYPE_HOST);
  fake_add(&more, CU_GRAPH_NODE_TYPE_KERNEL)->kernel = UNKNOWN_KERNEL;
  instantiate(&more);
  launch();
}

static void what_is_not_known_is_a_gap(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  trace(run_unknown, &d);
  assert_int_equal(d.graph_launches, 1);
  assert_int_equal(d.n_launches, 5);
  for (int i = 0; i < 5; i++) assert_int_equal(d.launches[i].cls, EMUV_TRACE_CLASS_GAP);
  assert_string_equal(emuv_trace_data_kernel(&d, d.launches[0].kernel), "(graph)");
  assert_string_equal(emuv_trace_data_kernel(&d, d.launches[3].kernel), "(conditional node of a graph)");
  assert_int_equal(d.n_gaps, 3 + 1);
  assert_int_equal(d.gaps[3].why, EMUV_TRACE_GAP_NO_PARAMS);
  assert_int_equal(d.gaps[3].count, 2);
  emuv_trace_data_free(&d);
}

static void run_captured(void)
{
  struct fake_graph g = small_graph();
  allocate(SEGMENT, SEGMENT_BYTES);
  instantiate(&g);
  cuStreamBeginCapture_v2_params begin = {0};
  call(CUPTI_DRIVER_TRACE_CBID_cuStreamBeginCapture_v2, &begin);
  stream_is_captured = true;
  launch(); /* becomes a node */
  uint64_t in = SEGMENT;
  uint32_t n = 1;
  void *arguments[] = {&in, &n, &in};
  cuLaunchKernel_params l = {.f = (CUfunction)(uintptr_t)PARAM_KERNEL, .kernelParams = arguments};
  call(CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel, &l);
  CUdeviceptr pointer = GRAPH_MEMORY;
  cuMemAllocAsync_params a = {.dptr = &pointer, .bytesize = 64};
  call(CUPTI_DRIVER_TRACE_CBID_cuMemAllocAsync, &a);
}

static void calls_under_capture_do_not_count(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  trace(run_captured, &d);
  assert_int_equal(d.n_launches, 0);
  assert_int_equal(d.n_allocations, 1);
  assert_int_equal(d.n_gaps, 0);
  emuv_trace_data_free(&d);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nodes_have_operands),
      cmocka_unit_test(times_find_nodes),
      cmocka_unit_test(changes_are_followed),
      cmocka_unit_test(child_graphs_are_nodes),
      cmocka_unit_test(memory_nodes_are_allocations),
      cmocka_unit_test(freed_operands_are_looked_for_again),
      cmocka_unit_test(handles_come_back),
      cmocka_unit_test(what_is_not_known_is_a_gap),
      cmocka_unit_test(calls_under_capture_do_not_count),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
