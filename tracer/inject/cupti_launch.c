// SPDX-License-Identifier: Apache-2.0
/* Kernel launches: LAUNCH records with the operands found in the arguments. See cupti_capture.h and operands.h.
 *
 * The arguments are copied after the driver call has returned: the GPU works meanwhile, and they, which belong to the
 * caller, are still there. The operands are looked for later (cupti_pending.c). */
#include "tracer/inject/cupti_capture.h"

#include <string.h>

struct launch { /* what the three kinds of launch have in common */
  CUfunction function;
  uint32_t grid[3], block[3], shared_bytes, flags;
  CUstream stream;
  void **params, **extra;
};

/* Guarded by emuv_capture.lock: too large for the stacks of other people's threads. */
static struct emuv_operands operands;

/* `extra` is a list of keys and values that the end key closes; the driver has accepted it. */
const void *emuv_launch_extra(void **extra, size_t *n)
{
  const void *block = NULL;
  const size_t *bytes = NULL;
  for (int i = 0; i < 8 && extra[i] != CU_LAUNCH_PARAM_END; i += 2) {
    if (extra[i] == CU_LAUNCH_PARAM_BUFFER_POINTER)
      block = extra[i + 1];
    else if (extra[i] == CU_LAUNCH_PARAM_BUFFER_SIZE)
      bytes = extra[i + 1];
  }
  *n = block && bytes && *bytes <= EMUV_OPERANDS_BLOCK_MAX ? *bytes : 0;
  return block;
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

/* Copies what the launch was given to where it waits. */
static void fill(struct emuv_pending_launch *p, const struct launch *l, const struct emuv_kernel_info *kernel,
                 const void *extra, size_t n)
{
  p->kernel = kernel;
  p->n = 0;
  p->provenance = l->extra ? EMUV_TRACE_FROM_EXTRA : EMUV_TRACE_FROM_PARAM;
  if (l->extra) {
    p->known = n > 0;
    p->n = (uint32_t)n;
    if (n) memcpy(p->arguments, extra, n);
  } else {
    p->known = kernel && kernel->params_known && (kernel->n_params == 0 || l->params);
    if (p->known) p->n = (uint32_t)emuv_operands_gather(kernel->params, kernel->n_params, l->params, p->arguments);
  }
}

/* A place for the launch; when there is none this thread makes room. */
static struct emuv_pending_launch *place(size_t arguments)
{
  struct emuv_pending_launch *p = emuv_pending_begin(arguments);
  if (p) return p;
  pthread_mutex_lock(&emuv_capture.lock);
  emuv_pending_settle();
  pthread_mutex_unlock(&emuv_capture.lock);
  return emuv_pending_begin(arguments);
}

static void lost(const struct emuv_call *call)
{
  struct emuv_trace_writer *const w = emuv_capture.writer;
  const struct emuv_trace_drop record = {.ns = call->exit_ns,
                                         .count = 1,
                                         .what = EMUV_TRACE_LAUNCH,
                                         .text = emuv_trace_writer_string(w, "no memory for the launch")};
  emuv_trace_writer_drop(w, &record);
}

static void launch(const struct emuv_call *call, const struct launch *l)
{
  if (emuv_device_is_captured(l->stream)) return;
  emuv_device_learn(call->data->context);
  struct emuv_trace_launch record = record_of(call, l);
  const struct emuv_kernel_info *kernel = emuv_kernels_find(l->function, call->data->symbolName, record.device);
  size_t n = 0;
  const void *extra = l->extra ? emuv_launch_extra(l->extra, &n) : NULL;
  struct emuv_pending_launch *p = place(l->extra ? n : kernel ? kernel->param_bytes : 0);
  if (!p) {
    lost(call);
    return;
  }
  record.kernel = kernel ? kernel->id : 0;
  record.sequence = emuv_trace_writer_sequence(emuv_capture.writer);
  p->record = record;
  fill(p, l, kernel, extra, n);
  emuv_pending_end(p);
}

static void gap(const struct emuv_trace_launch *record, enum emuv_trace_gap_why why, const char *text)
{
  struct emuv_trace_writer *const w = emuv_capture.writer;
  const struct emuv_trace_gap r = {.ns = record->exit_ns,
                                   .sequence = record->sequence,
                                   .why = why,
                                   .text = emuv_trace_writer_string(w, text),
                                   .count = 1};
  emuv_trace_writer_gap(w, &r);
}

void emuv_launch_write(const struct emuv_pending_launch *p)
{
  struct emuv_capture *const c = &emuv_capture;
  struct emuv_trace_launch record = p->record;
  const char *name = p->kernel && p->kernel->name ? p->kernel->name : "(unknown)";
  if (p->known) {
    emuv_operands_scan(&c->live, &c->layout, p->arguments, p->n, p->provenance, &operands);
    record.cls = emuv_operands_class(&operands);
    record.operands = operands.item;
    record.n_operands = operands.n;
    emuv_blocks_dump(p->kernel, name, p->provenance, p->arguments, p->n);
  }
  emuv_correlations_issue(&c->correlations, (uint32_t)record.correlation, false);
  emuv_trace_writer_launch(c->writer, &record);
  if (!p->known) gap(&record, EMUV_TRACE_GAP_NO_PARAMS, name);
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
