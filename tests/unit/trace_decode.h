// SPDX-License-Identifier: Apache-2.0
/* A synthetic capture of a Llama-like decode, as emuv-trace would write it: weights cut from large segments, uploaded
 * by copies, a prefill, then tokens of layers x 4 launches, a copy of the token to the host and a wait. Host and device
 * clocks are played, so the true time per token is known. */
#ifndef EMUV_TESTS_TRACE_DECODE_H
#define EMUV_TESTS_TRACE_DECODE_H

#include "trace_fixture.h"

struct decode {
  uint32_t layers, tokens;
  uint64_t matrix_bytes; /* each layer has two, which lie side by side in one segment twice as large as needed */
  uint64_t launch_host_ns, kernel_ns;
  bool nvtx, late_times, growing_cache;
  bool graph;            /* the launches of a token are one launch of a CUDA graph */
  uint32_t timed_graphs; /* the first so many have times per node, the others one for the whole; 0 = all */
  /* filled by decode_write: */
  uint64_t weight_bytes;
  uint64_t token_begin_ns[256], end_ns;
  /* state */
  struct emuv_trace_writer *w;
  uint64_t host, device, next_allocation, sequence;
  uint32_t kernels[8], text_token;
  bool recording; /* launches become nodes of the graph */
  uint32_t n_nodes, nodes;
  uint64_t node_ns[1024];
};

enum {
  DECODE_LATENCY_NS = 4000,
  DECODE_PAUSE_NS = 900,
  DECODE_SAMPLING_NS = 150000,
  DECODE_ACTIVATION = 8192,
  DECODE_NODE = 500
};

static inline uint64_t decode_allocate(struct decode *d, uint64_t bytes)
{
  struct emuv_trace_allocation a = {
      .id = ++d->next_allocation, .bytes = bytes, .kind = EMUV_TRACE_MEMORY_DEVICE, .tid = 1};
  a.address = 0x7f0000000000 + a.id * 0x40000000;
  a.ns = d->host;
  assert_int_equal(emuv_trace_writer_allocation(d->w, &a), 0);
  return a.id;
}

static inline void decode_device(struct decode *d, uint64_t busy, uint64_t *start, uint64_t *end)
{
  *start = d->host + DECODE_LATENCY_NS;
  if (*start < d->device + DECODE_PAUSE_NS) *start = d->device + DECODE_PAUSE_NS;
  d->device = *end = *start + busy;
}

static inline void decode_node(struct decode *d, uint32_t kernel, uint64_t busy,
                               const struct emuv_trace_operand *operands, uint32_t n)
{
  const struct emuv_trace_graph_node node = {.graph = 1,
                                             .node = DECODE_NODE + d->n_nodes,
                                             .index = d->n_nodes,
                                             .nodes = d->nodes,
                                             .kind = EMUV_TRACE_NODE_LAUNCH,
                                             .kernel = d->kernels[kernel],
                                             .cls = EMUV_TRACE_CLASS_EXACT,
                                             .n_operands = n,
                                             .operands = operands};
  assert_in_range(d->n_nodes, 0, sizeof d->node_ns / sizeof *d->node_ns - 1);
  d->node_ns[d->n_nodes++] = busy;
  assert_int_equal(emuv_trace_writer_graph_node(d->w, &node), 0);
}

static inline void decode_launch(struct decode *d, uint32_t kernel, uint64_t busy,
                                 const struct emuv_trace_operand *operands, uint32_t n)
{
  if (d->recording) {
    decode_node(d, kernel, busy, operands, n);
    return;
  }
  struct emuv_trace_launch l = {.sequence = ++d->sequence, .kernel = d->kernels[kernel], .tid = 1, .stream = 7};
  l.correlation = 100 + d->sequence * 2;
  l.enter_ns = d->host + d->launch_host_ns * 3 / 4;
  l.exit_ns = d->host += d->launch_host_ns;
  l.cls = EMUV_TRACE_CLASS_EXACT;
  l.operands = operands;
  l.n_operands = n;
  struct emuv_trace_gpu_time g = {.correlation = l.correlation};
  decode_device(d, busy, &g.start_ns, &g.end_ns);
  if (!d->late_times) {
    l.start_ns = g.start_ns;
    l.end_ns = g.end_ns;
  }
  assert_int_equal(emuv_trace_writer_launch(d->w, &l), 0);
  if (d->late_times) assert_int_equal(emuv_trace_writer_gpu_time(d->w, &g), 0);
}

static inline void decode_copy(struct decode *d, uint32_t kind, uint64_t allocation, uint64_t offset, uint64_t bytes)
{
  struct emuv_trace_copy c = {.sequence = ++d->sequence, .kind = kind, .bytes = bytes, .tid = 1, .stream = 7};
  uint64_t address = 0x7f0000000000 + allocation * 0x40000000 + offset;
  c.correlation = 100 + d->sequence * 2;
  c.enter_ns = d->host += 2000;
  decode_device(d, 1000 + bytes / 50, &c.start_ns, &c.end_ns);
  c.flags = EMUV_TRACE_FLAG_PAGEABLE;
  if (kind == EMUV_TRACE_COPY_H2D) {
    c.dst_allocation = allocation;
    c.dst = address;
  } else {
    c.src_allocation = allocation;
    c.src = address;
  }
  c.exit_ns = d->host = c.end_ns + 2500; /* from and to pageable memory: the call waits */
  assert_int_equal(emuv_trace_writer_copy(d->w, &c), 0);
}

static inline struct emuv_trace_operand decode_exact(uint64_t allocation, uint64_t offset, uint64_t bytes,
                                                     uint32_t access)
{
  return (struct emuv_trace_operand){.allocation = allocation,
                                     .offset = offset,
                                     .bytes = bytes,
                                     .access = access,
                                     .cls = EMUV_TRACE_CLASS_EXACT,
                                     .provenance = EMUV_TRACE_FROM_TENSORMAP};
}

/* Pointer into the activation segment: only its start is known. */
static inline struct emuv_trace_operand decode_bounded(const struct decode *d, uint64_t allocation, uint64_t offset)
{
  (void)d;
  return (struct emuv_trace_operand){.allocation = allocation,
                                     .offset = offset,
                                     .bytes = (2u << 20) - offset,
                                     .cls = EMUV_TRACE_CLASS_BOUNDED,
                                     .provenance = EMUV_TRACE_FROM_PARAM};
}

/* Allocation ids: 1 .. layers hold the weights, layers + 1 the activations. */
static inline void decode_layers(struct decode *d, uint32_t first_kernel)
{
  uint64_t act = d->layers + 1;
  for (uint32_t i = 0; i < d->layers; i++) {
    struct emuv_trace_operand norm[] = {decode_bounded(d, act, 0), decode_bounded(d, act, DECODE_ACTIVATION)};
    decode_launch(d, first_kernel, d->kernel_ns / 4, norm, 2);
    for (uint32_t m = 0; m < 2; m++) {
      struct emuv_trace_operand o[] = {
          decode_exact(i + 1, m * d->matrix_bytes, d->matrix_bytes, EMUV_TRACE_ACCESS_UNKNOWN),
          decode_exact(act, m * DECODE_ACTIVATION, DECODE_ACTIVATION, EMUV_TRACE_ACCESS_UNKNOWN)};
      decode_launch(d, first_kernel + 1 + m, d->kernel_ns, o, 2);
    }
    decode_launch(d, first_kernel, d->kernel_ns / 4, norm, 2);
  }
}

static inline void decode_work(struct decode *d)
{
  decode_layers(d, 3);
  struct emuv_trace_operand logits = decode_exact(d->layers + 1, 65536, 4, EMUV_TRACE_ACCESS_WRITE);
  decode_launch(d, 7, d->kernel_ns / 4, &logits, 1);
}

/* One call; the device runs the nodes one after the other. */
static inline void decode_graph(struct decode *d, uint32_t token)
{
  if (d->n_nodes == 0) {
    d->recording = true;
    d->nodes = 4 * d->layers + 1;
    decode_work(d);
    d->recording = false;
  }
  struct emuv_trace_launch l = {.sequence = d->sequence + 1, .flags = EMUV_TRACE_FLAG_GRAPH, .tid = 1, .stream = 7};
  d->sequence += d->n_nodes;
  l.correlation = 100 + l.sequence * 2;
  l.graph = 1;
  l.cls = EMUV_TRACE_CLASS_GAP;
  l.enter_ns = d->host + d->launch_host_ns * 3 / 4;
  l.exit_ns = d->host += d->launch_host_ns;
  assert_int_equal(emuv_trace_writer_launch(d->w, &l), 0);
  struct emuv_trace_gpu_time whole = {.correlation = l.correlation, .stream = 7};
  for (uint32_t i = 0; i < d->n_nodes; i++) {
    struct emuv_trace_gpu_time g = {.correlation = l.correlation, .graph_node = DECODE_NODE + i, .stream = 7};
    decode_device(d, d->node_ns[i], &g.start_ns, &g.end_ns);
    if (i == 0) whole.start_ns = g.start_ns;
    whole.end_ns = g.end_ns;
    if (d->timed_graphs == 0 || token < d->timed_graphs) assert_int_equal(emuv_trace_writer_gpu_time(d->w, &g), 0);
  }
  if (d->timed_graphs && token >= d->timed_graphs) assert_int_equal(emuv_trace_writer_gpu_time(d->w, &whole), 0);
}

static inline void decode_token(struct decode *d, uint32_t t)
{
  d->token_begin_ns[t] = d->host;
  if (d->nvtx)
    emuv_trace_writer_range(d->w, &(struct emuv_trace_range){
                                      .ns = d->host, .kind = EMUV_TRACE_RANGE_PUSH, .tid = 1, .text = d->text_token});
  d->host += DECODE_SAMPLING_NS;
  uint64_t act = d->layers + 1;
  if (d->growing_cache) {
    uint64_t id = decode_allocate(d, 1 << 20);
    struct emuv_trace_operand o = decode_exact(id, 0, 4096, EMUV_TRACE_ACCESS_WRITE);
    decode_launch(d, 6, d->kernel_ns / 4, &o, 1);
    emuv_trace_writer_free(d->w, &(struct emuv_trace_free){.id = id, .ns = d->host});
  }
  if (d->graph)
    decode_graph(d, t);
  else
    decode_work(d);
  decode_copy(d, EMUV_TRACE_COPY_D2H, act, 65536, 4);
  struct emuv_trace_sync s = {.enter_ns = d->host + 500, .kind = EMUV_TRACE_SYNC_STREAM, .tid = 1, .stream = 7};
  s.exit_ns = d->host += 2000;
  emuv_trace_writer_sync(d->w, &s);
  if (d->nvtx)
    emuv_trace_writer_range(d->w, &(struct emuv_trace_range){.ns = d->host, .kind = EMUV_TRACE_RANGE_POP, .tid = 1});
}

static inline void decode_write(struct decode *d, const char *path)
{
  struct emuv_err err;
  struct emuv_trace_writer_options options = {.reproducible = true};
  if (emuv_trace_writer_open(&d->w, path, &options, &err) != 0) fail_msg("%s", err.text);
  d->host = 1000000000;
  for (uint32_t k = 0; k < 8; k++) {
    char name[32];
    snprintf(name, sizeof name, "_ZN4emuv8kernel_%uEPf", k);
    d->kernels[k] =
        emuv_trace_writer_kernel(d->w, &(struct emuv_trace_kernel){.name = emuv_trace_writer_string(d->w, name)});
  }
  emuv_trace_writer_environment(d->w, "gpu", "synthetic");
  d->text_token = emuv_trace_writer_string(d->w, "token 1");
  for (uint32_t i = 0; i < d->layers; i++) decode_allocate(d, 4 * d->matrix_bytes);
  decode_allocate(d, 2 << 20);
  for (uint32_t i = 0; i < d->layers; i++)
    for (uint32_t m = 0; m < 2; m++) decode_copy(d, EMUV_TRACE_COPY_H2D, i + 1, m * d->matrix_bytes, d->matrix_bytes);
  d->weight_bytes = 2 * d->layers * d->matrix_bytes;
  decode_layers(d, 0); /* prefill, with other kernels */
  decode_copy(d, EMUV_TRACE_COPY_D2H, d->layers + 1, 65536, 4);
  for (uint32_t t = 0; t < d->tokens; t++) decode_token(d, t);
  d->end_ns = d->host;
  if (emuv_trace_writer_close(d->w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, &err) != 0) fail_msg("%s", err.text);
}

#endif
