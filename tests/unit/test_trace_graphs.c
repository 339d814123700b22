// SPDX-License-Identifier: Apache-2.0
/* Launches of CUDA graphs: the loader expands them into the calls of their nodes, in order, with operands and times,
 * measured or estimated; files that lack nodes, or lie about them, keep the launch as a gap; and what stands behind the
 * loader sees a decode under graphs as it sees the same decode without. */
#include "trace_decode.h"

#include "simulator/source/trace.h"
#include "tracer/format/export/export.h"
#include "tracer/format/info.h"
#include "tracer/format/load.h"
#include "tracer/format/order.h"

static char path[64];
static struct emuv_trace_writer *w;

static void begin(void)
{
  struct emuv_err err;
  if (emuv_trace_writer_open(&w, fixture_path(path), NULL, &err) != 0) fail_msg("%s", err.text);
  emuv_trace_writer_allocation(
      w, &(struct emuv_trace_allocation){
             .id = 1, .address = 0x10000000, .bytes = 1 << 20, .kind = EMUV_TRACE_MEMORY_DEVICE, .ns = 1});
}

static struct emuv_trace_data finish(void)
{
  struct emuv_trace_data d;
  struct emuv_err err;
  assert_int_equal(emuv_trace_writer_close(w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, NULL), 0);
  if (emuv_trace_load(path, &d, &err) != 0) fail_msg("%s", err.text);
  return d;
}

static void done(struct emuv_trace_data *d)
{
  emuv_trace_data_free(d);
  unlink(path);
}

static void node(uint64_t graph, uint64_t base, uint32_t index, uint32_t nodes, uint32_t kind, uint64_t at)
{
  const struct emuv_trace_operand o = {.allocation = 1, .offset = at, .bytes = 64, .cls = EMUV_TRACE_CLASS_EXACT};
  struct emuv_trace_graph_node n = {.graph = graph,
                                    .base = base,
                                    .node = 900 + index,
                                    .index = index,
                                    .nodes = nodes,
                                    .kind = kind,
                                    .cls = EMUV_TRACE_CLASS_EXACT,
                                    .dst = 0x10000000 + at,
                                    .dst_allocation = 1,
                                    .bytes = 64};
  if (kind == EMUV_TRACE_NODE_LAUNCH) {
    n.n_operands = 1;
    n.operands = &o;
  }
  assert_int_equal(emuv_trace_writer_graph_node(w, &n), 0);
}

/* Kernel, set, an event, copy, kernel; the records in another order. */
static void five_nodes(uint64_t graph)
{
  node(graph, 0, 3, 5, EMUV_TRACE_NODE_COPY, 3000);
  node(graph, 0, 0, 5, EMUV_TRACE_NODE_LAUNCH, 0);
  node(graph, 0, 1, 5, EMUV_TRACE_NODE_SET, 1000);
  node(graph, 0, 2, 5, EMUV_TRACE_NODE_ORDER, 0);
  node(graph, 0, 4, 5, EMUV_TRACE_NODE_LAUNCH, 4000);
}

static void launch(uint64_t graph, uint64_t sequence)
{
  const struct emuv_trace_launch l = {.sequence = sequence,
                                      .correlation = 1000 + sequence,
                                      .enter_ns = 10 * sequence,
                                      .exit_ns = 10 * sequence + 5,
                                      .stream = 7,
                                      .tid = 3,
                                      .cls = EMUV_TRACE_CLASS_GAP,
                                      .flags = EMUV_TRACE_FLAG_GRAPH,
                                      .graph = graph};
  assert_int_equal(emuv_trace_writer_launch(w, &l), 0);
}

static void gpu_time(uint64_t sequence, uint64_t graph_node, uint64_t start, uint64_t end)
{
  assert_int_equal(emuv_trace_writer_gpu_time(w, &(struct emuv_trace_gpu_time){.correlation = 1000 + sequence,
                                                                               .graph_node = graph_node,
                                                                               .start_ns = start,
                                                                               .end_ns = end,
                                                                               .stream = 7}),
                   0);
}

static void nodes_become_calls(void **state)
{
  (void)state;
  begin();
  five_nodes(1);
  launch(1, 5);
  launch(1, 9);
  struct emuv_trace_data d = finish();
  struct emuv_trace_order order;
  assert_int_equal(d.graph_launches, 2);
  assert_int_equal(d.n_launches, 4);
  assert_int_equal(d.n_copies, 2);
  assert_int_equal(d.n_sets, 2);
  assert_int_equal(emuv_trace_order_build(&d, &order, NULL), 0);
  assert_int_equal(order.n, 8);
  const uint32_t types[] = {EMUV_TRACE_LAUNCH, EMUV_TRACE_SET, EMUV_TRACE_COPY, EMUV_TRACE_LAUNCH};
  for (size_t i = 0; i < 8; i++) {
    assert_int_equal(order.calls[i].type, types[i % 4]);
    assert_int_equal(order.calls[i].sequence, (i < 4 ? 5 : 9) + i % 4);
    assert_int_equal(order.calls[i].enter_ns, i < 4 ? 50 : 90);
  }
  assert_int_equal(d.launches[1].operands[0].offset, 4000);
  assert_int_equal(d.launches[1].graph_node, 904);
  assert_int_equal(d.launches[1].flags, EMUV_TRACE_FLAG_GRAPH);
  assert_int_equal(d.launches[1].cls, EMUV_TRACE_CLASS_EXACT);
  assert_ptr_equal(d.launches[1].operands, d.launches[3].operands);
  assert_int_equal(d.copies[0].dst, 0x10000000 + 3000);
  assert_int_equal(d.sets[0].stream, 7);
  assert_int_equal(d.sets[0].tid, 3);
  emuv_trace_order_free(&order);
  done(&d);
}

/* Operands of ordinary launches stay with them when launches of graphs stand between. */
static void ordinary_launches_keep_their_operands(void **state)
{
  (void)state;
  begin();
  for (uint64_t i = 0; i < 3; i++) {
    const struct emuv_trace_operand o = {.allocation = 1, .offset = 77 + i, .bytes = 1};
    const struct emuv_trace_launch l = {.sequence = 1 + 5 * i, .n_operands = 1, .operands = &o};
    assert_int_equal(emuv_trace_writer_launch(w, &l), 0);
    if (i == 0) five_nodes(1);
    launch(1, 2 + 5 * i);
  }
  struct emuv_trace_data d = finish();
  assert_int_equal(d.n_launches, 9);
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(d.launches[3 * i].operands[0].offset, 77 + i);
    assert_int_equal(d.launches[3 * i + 1].operands[0].offset, 0);
    assert_int_equal(d.launches[3 * i + 2].operands[0].offset, 4000);
  }
  done(&d);
}

static void changed_graphs_inherit(void **state)
{
  (void)state;
  begin();
  five_nodes(1);
  launch(1, 1);
  node(2, 1, 4, 5, EMUV_TRACE_NODE_LAUNCH, 8000);
  launch(2, 5);
  node(3, 2, 0, 5, EMUV_TRACE_NODE_OFF, 0);
  launch(3, 9);
  launch(1, 12);
  struct emuv_trace_data d = finish();
  assert_int_equal(d.graph_launches, 4);
  const uint64_t offsets[] = {0, 4000, 0, 8000, 8000, 0, 4000};
  assert_int_equal(d.n_launches, 7);
  for (size_t i = 0; i < 7; i++) assert_int_equal(d.launches[i].operands[0].offset, offsets[i]);
  assert_int_equal(d.launches[4].sequence, 9 + 2);
  done(&d);
}

static void expect_gap(void)
{
  struct emuv_trace_data d = finish();
  assert_int_equal(d.graph_launches, 0);
  assert_int_equal(d.n_launches, 1);
  assert_int_equal(d.launches[0].cls, EMUV_TRACE_CLASS_GAP);
  assert_int_equal(d.launches[0].n_operands, 0);
  done(&d);
}

static void missing_nodes_are_a_gap(void **state)
{
  (void)state;
  begin();
  launch(1, 1); /* no record of it */
  expect_gap();
  begin();
  for (uint32_t i = 0; i < 4; i++) node(1, 0, i, 5, EMUV_TRACE_NODE_LAUNCH, 0);
  launch(1, 1);
  node(1, 0, 4, 5, EMUV_TRACE_NODE_LAUNCH, 0); /* too late */
  expect_gap();
  begin();
  node(2, 1, 0, 2, EMUV_TRACE_NODE_LAUNCH, 0); /* the base is missing */
  launch(2, 1);
  expect_gap();
}

static void lies_are_a_gap(void **state)
{
  (void)state;
  begin();
  node(1, 2, 0, 2, EMUV_TRACE_NODE_LAUNCH, 0); /* bases in a circle */
  node(2, 1, 0, 2, EMUV_TRACE_NODE_LAUNCH, 0);
  launch(2, 1);
  expect_gap();
  begin();
  node(1, 0, 0, UINT32_MAX, EMUV_TRACE_NODE_LAUNCH, 0);
  launch(1, 1);
  expect_gap();
  begin();
  node(1, 0, 7, 1, EMUV_TRACE_NODE_LAUNCH, 0);
  launch(1, 1);
  expect_gap();
  begin();
  node(1, 0, 0, 1, EMUV_TRACE_NODE_LAUNCH, 0);
  node(2, 1, 0, 3, EMUV_TRACE_NODE_LAUNCH, 0); /* the base has another number of nodes */
  launch(2, 1);
  expect_gap();
}

static void times_find_their_node(void **state)
{
  (void)state;
  begin();
  five_nodes(1);
  launch(1, 1);
  gpu_time(1, 904, 700, 900);
  gpu_time(1, 901, 300, 400);
  gpu_time(1, 900, 100, 250);
  gpu_time(1, 903, 500, 600);
  gpu_time(1, 999, 1, 2); /* nobody's */
  struct emuv_trace_data d = finish();
  assert_int_equal(d.launches[0].start_ns, 100);
  assert_int_equal(d.launches[0].end_ns, 250);
  assert_int_equal(d.sets[0].start_ns, 300);
  assert_int_equal(d.copies[0].end_ns, 600);
  assert_int_equal(d.launches[1].end_ns, 900);
  assert_int_equal(d.untimed, 0);
  assert_int_equal(d.estimated, 0);
  assert_int_equal(d.unmatched_times, 1);
  done(&d);
}

/* Two launches timed by node, whose means are busy 0-150, 200-300, 400-500, 600-800; then launches as a whole. */
static void times_of_the_whole_are_shared_out(void **state)
{
  (void)state;
  begin();
  five_nodes(1);
  for (uint64_t i = 0; i < 2; i++) {
    const uint64_t t = 10000 * (i + 1), more = i ? 20 : 0;
    launch(1, 1 + 4 * i);
    gpu_time(1 + 4 * i, 900, t, t + 140 + more);
    gpu_time(1 + 4 * i, 901, t + 200, t + 300);
    gpu_time(1 + 4 * i, 903, t + 390 + more, t + 490 + more);
    gpu_time(1 + 4 * i, 904, t + 600, t + 800);
  }
  launch(1, 9);
  gpu_time(9, 0, 100000, 100800); /* as long as the mean */
  launch(1, 13);
  gpu_time(13, 0, 200000, 200675); /* half of the pauses */
  launch(1, 17);
  gpu_time(17, 0, 300000, 300275); /* half of the busy time */
  launch(1, 21);                   /* not known */
  struct emuv_trace_data d = finish();
  assert_int_equal(d.estimated, 12);
  assert_int_equal(d.untimed, 4);
  assert_int_equal(d.unmatched_times, 0);
  assert_int_equal(d.launches[4].flags, EMUV_TRACE_FLAG_GRAPH | EMUV_TRACE_FLAG_ESTIMATED);
  assert_int_equal(d.launches[4].end_ns, 100150);
  assert_int_equal(d.copies[2].start_ns, 100400);
  assert_int_equal(d.launches[5].end_ns, 100800);
  assert_int_equal(d.launches[6].end_ns, 200150);
  assert_int_equal(d.sets[3].start_ns, 200175);
  assert_int_equal(d.launches[7].start_ns, 200475);
  assert_int_equal(d.launches[7].end_ns, 200675);
  assert_int_equal(d.launches[8].end_ns, 300075);
  assert_int_equal(d.sets[4].start_ns, 300075);
  assert_int_equal(d.launches[9].end_ns, 300275);
  assert_int_equal(d.launches[10].end_ns, 0);
  done(&d);
}

static void plain_launch(uint64_t sequence, uint32_t grid, uint64_t ns)
{
  const struct emuv_trace_launch l = {.sequence = sequence,
                                      .correlation = 1000 + sequence,
                                      .kernel = 9,
                                      .grid = {grid, 1, 1},
                                      .start_ns = 10 * sequence,
                                      .end_ns = 10 * sequence + ns};
  assert_int_equal(emuv_trace_writer_launch(w, &l), 0);
}

static void node_like(uint32_t index, uint32_t nodes, uint32_t grid)
{
  const struct emuv_trace_graph_node n = {.graph = 1,
                                          .node = 900 + index,
                                          .index = index,
                                          .nodes = nodes,
                                          .kind = EMUV_TRACE_NODE_LAUNCH,
                                          .kernel = 9,
                                          .grid = {grid, 1, 1}};
  assert_int_equal(emuv_trace_writer_graph_node(w, &n), 0);
}

/* No launch was timed by node: a node lasts as long as the median of the same kernel outside. */
static void nodes_are_timed_like_their_twins(void **state)
{
  (void)state;
  begin();
  plain_launch(1, 32, 100);
  plain_launch(2, 32, 9000); /* not typical */
  plain_launch(3, 32, 90);
  plain_launch(4, 64, 300);
  node_like(0, 3, 32);
  node_like(1, 3, 64);
  node_like(2, 3, 128); /* no twin: the mean of the others */
  launch(1, 10);
  gpu_time(10, 0, 5000, 5000 + 600 + 50 + 50);
  launch(1, 20);
  gpu_time(20, 0, 9000, 9300);
  struct emuv_trace_data d = finish();
  assert_int_equal(d.estimated, 6);
  assert_int_equal(d.untimed, 0);
  assert_int_equal(d.launches[4].start_ns, 5000);
  assert_int_equal(d.launches[4].end_ns, 5100);
  assert_int_equal(d.launches[5].start_ns, 5150);
  assert_int_equal(d.launches[5].end_ns, 5450);
  assert_int_equal(d.launches[6].start_ns, 5500);
  assert_int_equal(d.launches[6].end_ns, 5700);
  assert_int_equal(d.launches[7].end_ns, 9050);
  assert_int_equal(d.launches[9].start_ns, 9200);
  done(&d);
}

/* A graph whose nodes changed is timed like the one that it came from. */
static void estimates_are_inherited(void **state)
{
  (void)state;
  begin();
  node(1, 0, 0, 1, EMUV_TRACE_NODE_LAUNCH, 0);
  launch(1, 1);
  gpu_time(1, 900, 100, 200);
  node(2, 1, 0, 1, EMUV_TRACE_NODE_LAUNCH, 64);
  launch(2, 2);
  gpu_time(2, 0, 1000, 1150);
  struct emuv_trace_data d = finish();
  assert_int_equal(d.estimated, 1);
  assert_int_equal(d.launches[1].start_ns, 1000);
  assert_int_equal(d.launches[1].end_ns, 1150);
  done(&d);
}

/* ---- a decode ---- */

static struct decode small_decode(bool graph)
{
  return (struct decode){.layers = 6,
                         .tokens = 12,
                         .matrix_bytes = 8 << 20,
                         .launch_host_ns = 3000,
                         .kernel_ns = 40000,
                         .nvtx = true,
                         .graph = graph,
                         .timed_graphs = 4};
}

static struct emuv_trace_data load_decode(struct decode *decode)
{
  struct emuv_trace_data d;
  struct emuv_err err;
  decode_write(decode, fixture_path(path));
  if (emuv_trace_load(path, &d, &err) != 0) fail_msg("%s", err.text);
  unlink(path);
  return d;
}

static struct emuv_workload convert(const struct emuv_trace_data *d)
{
  struct emuv_config config = {0};
  struct emuv_workload workload = {0};
  struct emuv_err err;
  if (emuv_source_trace_convert(&config, d, &workload, &err) != 0) fail_msg("%s", err.text);
  return workload;
}

static double device_ns(const struct emuv_workload *workload, size_t step)
{
  double ns = 0;
  const struct emuv_step *s = &workload->steps[step];
  for (uint32_t i = s->first_op; i < s->first_op + s->n_ops; i++) ns += workload->ops[i].kernel_ns;
  return ns;
}

static void same_workload_as_without_graphs(void **state)
{
  (void)state;
  struct decode eager = small_decode(false), graph = small_decode(true);
  struct emuv_trace_data a = load_decode(&eager), b = load_decode(&graph);
  struct emuv_workload x = convert(&a), y = convert(&b);
  assert_int_equal(b.graph_launches, 12);
  assert_int_equal(b.estimated, 8 * (4 * 6 + 1));
  assert_int_equal(b.untimed, 0);
  assert_int_equal(x.n_steps, y.n_steps);
  assert_int_equal(x.n_ops, y.n_ops);
  assert_int_equal(x.n_ranges, y.n_ranges);
  assert_int_equal(x.weight_bytes, y.weight_bytes);
  for (size_t i = 0; i < x.n_ops; i++) {
    assert_string_equal(x.ops[i].name, y.ops[i].name);
    assert_true(x.ops[i].bytes == y.ops[i].bytes);
    assert_int_equal(x.ops[i].layer, y.ops[i].layer);
  }
  for (size_t i = 1; i < x.n_steps; i++) {
    const double difference = device_ns(&x, i) - device_ns(&y, i);
    assert_true(difference < 1000 && difference > -1000);
  }
  emuv_workload_free(&x);
  emuv_workload_free(&y);
  emuv_trace_data_free(&a);
  emuv_trace_data_free(&b);
}

static void summary_counts_nodes(void **state)
{
  (void)state;
  struct decode graph = small_decode(true);
  struct emuv_trace_data d = load_decode(&graph);
  struct emuv_trace_info info;
  assert_int_equal(emuv_trace_info_compute(&d, &info, NULL), 0);
  assert_int_equal(info.step_launches, 25);
  assert_int_equal(info.gap, 0);
  assert_int_equal(info.steps, 12);
  char *text;
  size_t n;
  FILE *out = open_memstream(&text, &n);
  assert_int_equal(emuv_export_info(&d, &info, &(struct emuv_export_report){.top = 3}, out, NULL), 0);
  fclose(out);
  assert_non_null(strstr(text, "12 launches of CUDA graphs are counted by their nodes"));
  assert_non_null(strstr(text, "device times of 200 calls are estimated"));
  free(text);
  emuv_trace_info_free(&info);
  emuv_trace_data_free(&d);
}

static size_t count(const char *text, const char *what)
{
  size_t n = 0;
  for (; (text = strstr(text, what)); text++) n++;
  return n;
}

static void exports_show_calls_and_dump_shows_records(void **state)
{
  (void)state;
  struct decode graph = small_decode(true);
  struct emuv_trace_data d = load_decode(&graph);
  char *text;
  size_t n;
  FILE *out = open_memstream(&text, &n);
  assert_int_equal(emuv_export_chrome(&d, out, NULL), 0);
  fclose(out);
  assert_int_equal(count(text, "\"cuGraphLaunch\""), 12);
  assert_int_equal(count(text, "\"name\":\"_ZN4emuv8kernel_7EPf\",\"ph\":\"X\""), 12);
  free(text);
  emuv_trace_data_free(&d);

  decode_write(&(struct decode){.layers = 1, .tokens = 2, .matrix_bytes = 1 << 20, .graph = true}, fixture_path(path));
  out = open_memstream(&text, &n);
  assert_int_equal(emuv_export_dump(path, EMUV_EXPORT_TEXT, &(struct emuv_export_selection){0}, out, NULL), 0);
  fclose(out);
  assert_int_equal(count(text, "\ngraph_node graph=0x1 base=0x0 node=0x1f4 index=0 nodes=5 kind=launch"), 1);
  assert_int_equal(count(text, "\ngraph_node "), 5);
  assert_int_equal(count(text, "\n  operand "), 8 + 9);
  free(text);
  unlink(path);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nodes_become_calls),
      cmocka_unit_test(ordinary_launches_keep_their_operands),
      cmocka_unit_test(changed_graphs_inherit),
      cmocka_unit_test(missing_nodes_are_a_gap),
      cmocka_unit_test(lies_are_a_gap),
      cmocka_unit_test(times_find_their_node),
      cmocka_unit_test(times_of_the_whole_are_shared_out),
      cmocka_unit_test(nodes_are_timed_like_their_twins),
      cmocka_unit_test(estimates_are_inherited),
      cmocka_unit_test(same_workload_as_without_graphs),
      cmocka_unit_test(summary_counts_nodes),
      cmocka_unit_test(exports_show_calls_and_dump_shows_records),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
