// SPDX-License-Identifier: Apache-2.0
/* Kernel launches: LAUNCH records with the operands found in the arguments. See cupti_capture.h and operands.h.
 *
 * All of it runs after the driver call has returned: the GPU works meanwhile, and the arguments, which belong to the
 * caller, are still there. */
#include "tracer/inject/cupti_capture.h"

#include <string.h>

struct launch { /* what the three kinds of launch have in common */
  CUfunction function;
  uint32_t grid[3], block[3], shared_bytes, flags;
  CUstream stream;
  void **params, **extra;
};

struct block { /* the arguments of a launch as one block */
  const void *bytes;
  size_t n;
  enum emuv_trace_provenance provenance;
  bool known;
};

/* Guarded by emuv_capture.lock: too large for the stacks of other people's threads. */
static unsigned char gathered[EMUV_OPERANDS_BLOCK_MAX];
static struct emuv_operands operands;

/* `extra` is a list of keys and values that the end key closes; the driver has accepted it. */
static struct block extra_block(void **extra)
{
  struct block b = {.provenance = EMUV_TRACE_FROM_EXTRA};
  const size_t *bytes = NULL;
  for (int i = 0; i < 8 && extra[i] != CU_LAUNCH_PARAM_END; i += 2) {
    if (extra[i] == CU_LAUNCH_PARAM_BUFFER_POINTER)
      b.bytes = extra[i + 1];
    else if (extra[i] == CU_LAUNCH_PARAM_BUFFER_SIZE)
      bytes = extra[i + 1];
  }
  b.n = bytes && *bytes <= EMUV_OPERANDS_BLOCK_MAX ? *bytes : 0;
  b.known = b.bytes && b.n;
  return b;
}

static struct block arguments(const struct launch *l, const struct emuv_kernel_info *kernel)
{
  if (l->extra) return extra_block(l->extra);
  struct block b = {.provenance = EMUV_TRACE_FROM_PARAM, .bytes = gathered};
  b.known = kernel && kernel->params_known && (kernel->n_params == 0 || l->params);
  if (b.known) b.n = emuv_operands_gather(kernel->params, kernel->n_params, l->params, gathered);
  return b;
}

static void gap(const struct emuv_call *call, uint64_t sequence, enum emuv_trace_gap_why why, const char *text)
{
  struct emuv_trace_writer *const w = emuv_capture.writer;
  const struct emuv_trace_gap record = {
      .ns = call->exit_ns, .sequence = sequence, .why = why, .text = emuv_trace_writer_string(w, text), .count = 1};
  emuv_trace_writer_gap(w, &record);
}

static struct emuv_trace_launch record_of(const struct emuv_call *call, const struct launch *l)
{
  struct emuv_trace_launch r = {.correlation = call->data->correlationId,
                                .enter_ns = call->enter_ns,
                                .exit_ns = call->exit_ns,
                                .stream = emuv_device_stream(call, l->stream),
                                .shared_bytes = l->shared_bytes,
                                .cls = EMUV_TRACE_CLASS_GAP,
                                .flags = l->flags,
                                .tid = call->tid,
                                .device = emuv_device_of(call)};
  memcpy(r.grid, l->grid, sizeof r.grid);
  memcpy(r.block, l->block, sizeof r.block);
  return r;
}

/* Finds the operands and writes the record; true when the arguments could be read. */
static bool write_launch(struct emuv_trace_launch *record, const struct launch *l,
                         const struct emuv_kernel_info *kernel, const char *symbol)
{
  struct emuv_capture *const c = &emuv_capture;
  pthread_mutex_lock(&c->lock);
  const struct block b = arguments(l, kernel);
  if (b.known) {
    emuv_operands_scan(&c->live, &c->layout, b.bytes, b.n, b.provenance, &operands);
    record->cls = emuv_operands_class(&operands);
    record->operands = operands.item;
    record->n_operands = operands.n;
    emuv_blocks_dump(kernel, symbol, b.provenance, b.bytes, b.n);
  }
  record->sequence = emuv_trace_writer_sequence(c->writer);
  emuv_correlations_issue(&c->correlations, (uint32_t)record->correlation, false);
  emuv_trace_writer_launch(c->writer, record);
  pthread_mutex_unlock(&c->lock);
  return b.known;
}

static void launch(const struct emuv_call *call, const struct launch *l)
{
  if (emuv_device_is_captured(l->stream)) return;
  emuv_device_learn(call->data->context);
  struct emuv_trace_launch record = record_of(call, l);
  const struct emuv_kernel_info *kernel = emuv_kernels_find(l->function, call->data->symbolName, record.device);
  record.kernel = kernel ? kernel->id : 0;
  if (!write_launch(&record, l, kernel, call->data->symbolName))
    gap(call, record.sequence, EMUV_TRACE_GAP_NO_PARAMS, call->data->symbolName);
}

void emuv_launch_kernel(const struct emuv_call *call, const void *params)
{
  const cuLaunchKernel_params *p = params;
  const struct launch l = {.function = p->f,
                           .grid = {p->gridDimX, p->gridDimY, p->gridDimZ},
                           .block = {p->blockDimX, p->blockDimY, p->blockDimZ},
                           .shared_bytes = p->sharedMemBytes,
                           .stream = p->hStream,
                           .params = p->kernelParams,
                           .extra = p->extra};
  launch(call, &l);
}

static uint32_t config_flags(const CUlaunchConfig *config)
{
  for (unsigned int i = 0; i < config->numAttrs; i++)
    if (config->attrs[i].id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE && config->attrs[i].value.cooperative)
      return EMUV_TRACE_FLAG_COOPERATIVE;
  return 0;
}

void emuv_launch_kernel_ex(const struct emuv_call *call, const void *params)
{
  const cuLaunchKernelEx_params *p = params;
  const CUlaunchConfig *c = p->config;
  const struct launch l = {.function = p->f,
                           .grid = {c->gridDimX, c->gridDimY, c->gridDimZ},
                           .block = {c->blockDimX, c->blockDimY, c->blockDimZ},
                           .shared_bytes = c->sharedMemBytes,
                           .flags = config_flags(c),
                           .stream = c->hStream,
                           .params = p->kernelParams,
                           .extra = p->extra};
  launch(call, &l);
}

void emuv_launch_cooperative(const struct emuv_call *call, const void *params)
{
  const cuLaunchCooperativeKernel_params *p = params;
  const struct launch l = {.function = p->f,
                           .grid = {p->gridDimX, p->gridDimY, p->gridDimZ},
                           .block = {p->blockDimX, p->blockDimY, p->blockDimZ},
                           .shared_bytes = p->sharedMemBytes,
                           .flags = EMUV_TRACE_FLAG_COOPERATIVE,
                           .stream = p->hStream,
                           .params = p->kernelParams};
  launch(call, &l);
}

/* A graph's nodes are not followed: one LAUNCH of class gap stands for all of them, and GPU_TIME records of its nodes
 * carry its correlation. */
void emuv_launch_graph(const struct emuv_call *call, const void *params)
{
  struct emuv_capture *const c = &emuv_capture;
  const cuGraphLaunch_params *p = params;
  const struct launch l = {.flags = EMUV_TRACE_FLAG_GRAPH, .stream = p->hStream};
  const struct emuv_trace_kernel name = {.name = emuv_trace_writer_string(c->writer, "(graph)")};
  struct emuv_trace_launch record = record_of(call, &l);
  record.kernel = emuv_trace_writer_kernel(c->writer, &name);
  record.graph = (uint64_t)(uintptr_t)p->hGraph;
  record.sequence = emuv_trace_writer_sequence(c->writer);
  pthread_mutex_lock(&c->lock);
  emuv_correlations_issue(&c->correlations, call->data->correlationId, true);
  pthread_mutex_unlock(&c->lock);
  emuv_trace_writer_launch(c->writer, &record);
  gap(call, record.sequence, EMUV_TRACE_GAP_UNSUPPORTED, "operands of graph nodes");
}
