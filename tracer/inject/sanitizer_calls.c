// SPDX-License-Identifier: Apache-2.0
/* What the program does, as the Sanitizer API tells it, to records: see sanitizer_capture.h. */
#include "tracer/inject/sanitizer_capture.h"

static uint32_t memory_kind(Sanitizer_CallbackId id, const Sanitizer_ResourceMemoryData *m)
{
  if (id == SANITIZER_CBID_RESOURCE_HOST_MEMORY_ALLOC) return EMUV_TRACE_MEMORY_HOST;
  if (id == SANITIZER_CBID_RESOURCE_MEMORY_ALLOC_ASYNC) return EMUV_TRACE_MEMORY_ASYNC;
  if (id == SANITIZER_CBID_RESOURCE_MEMPOOL_IMPORT_POINTER) return EMUV_TRACE_MEMORY_IMPORTED;
  if (m->flags & SANITIZER_MEMORY_FLAG_MODULE) return EMUV_TRACE_MEMORY_MODULE;
  if (m->flags & SANITIZER_MEMORY_FLAG_MANAGED) return EMUV_TRACE_MEMORY_MANAGED;
  if (m->flags & SANITIZER_MEMORY_FLAG_HOST_PINNED) return EMUV_TRACE_MEMORY_HOST;
  if (m->flags & (SANITIZER_MEMORY_FLAG_CG_RUNTIME | SANITIZER_MEMORY_FLAG_CNP)) return EMUV_TRACE_MEMORY_UNKNOWN;
  return EMUV_TRACE_MEMORY_DEVICE;
}

static void add(const struct emuv_trace_record *record)
{
  pthread_mutex_lock(&emuv_sanitizer.lock);
  emuv_pages_queue_add(&emuv_sanitizer.queue, record);
  pthread_mutex_unlock(&emuv_sanitizer.lock);
}

static void on_alloc(Sanitizer_CallbackId id, const Sanitizer_ResourceMemoryData *m)
{
  const struct emuv_trace_record r = {.type = EMUV_TRACE_ALLOCATION,
                                      .u.allocation = {.address = m->address,
                                                       .bytes = m->size,
                                                       .ns = emuv_capture_now_ns(),
                                                       .stream = (uint64_t)(uintptr_t)m->stream,
                                                       .kind = memory_kind(id, m),
                                                       .device = (uint32_t)m->device,
                                                       .tid = emuv_capture_tid()}};
  if (m->size == 0) return;
  pthread_mutex_lock(&emuv_sanitizer.lock);
  emuv_sanitizer_range(m->address, m->size);
  emuv_pages_queue_add(&emuv_sanitizer.queue, &r);
  pthread_mutex_unlock(&emuv_sanitizer.lock);
}

static void on_free(const Sanitizer_ResourceMemoryData *m)
{
  const struct emuv_trace_record r = {.type = EMUV_TRACE_FREE,
                                      .u.free = {.address = m->address,
                                                 .ns = emuv_capture_now_ns(),
                                                 .stream = (uint64_t)(uintptr_t)m->stream,
                                                 .tid = emuv_capture_tid()}};
  add(&r);
}

static void on_context_end(const Sanitizer_ResourceContextData *data)
{
  struct emuv_sanitizer_context *const c = emuv_sanitizer_context(data->context);
  if (c) emuv_sanitizer_complete(c, NULL, true);
}

static void on_stream_end(const Sanitizer_ResourceStreamData *data)
{
  struct emuv_sanitizer_context *const c = emuv_sanitizer_context(data->context);
  if (c) emuv_sanitizer_complete(c, data->hStream, false);
}

void emuv_sanitizer_on_resource(Sanitizer_CallbackId id, const void *data)
{
  switch (id) {
  case SANITIZER_CBID_RESOURCE_MODULE_LOADED: emuv_sanitizer_patch(data); return;
  case SANITIZER_CBID_RESOURCE_MODULE_UNLOAD_STARTING: emuv_sanitizer_forget(data); return;
  case SANITIZER_CBID_RESOURCE_CONTEXT_DESTROY_STARTING: on_context_end(data); return;
  case SANITIZER_CBID_RESOURCE_STREAM_DESTROY_STARTING: on_stream_end(data); return;
  case SANITIZER_CBID_RESOURCE_DEVICE_MEMORY_ALLOC:
  case SANITIZER_CBID_RESOURCE_HOST_MEMORY_ALLOC:
  case SANITIZER_CBID_RESOURCE_MEMORY_ALLOC_ASYNC:
  case SANITIZER_CBID_RESOURCE_MEMPOOL_IMPORT_POINTER: on_alloc(id, data); return;
  case SANITIZER_CBID_RESOURCE_DEVICE_MEMORY_FREE:
  case SANITIZER_CBID_RESOURCE_HOST_MEMORY_FREE:
  case SANITIZER_CBID_RESOURCE_MEMORY_FREE_ASYNC: on_free(data); return;
  default: return;
  }
}

/* ---- work ---- */

static struct emuv_trace_launch describe(const Sanitizer_LaunchData *d, uint64_t graph, uint64_t node)
{
  const uint64_t now = emuv_capture_now_ns();
  return (struct emuv_trace_launch){
      .enter_ns = now,
      .exit_ns = now,
      .stream = (uint64_t)(uintptr_t)(graph ? d->apiStream : d->stream),
      .grid = {d->gridDim_x, d->gridDim_y, d->gridDim_z},
      .block = {d->blockDim_x, d->blockDim_y, d->blockDim_z},
      .flags = graph ? EMUV_TRACE_FLAG_GRAPH : 0,
      .tid = emuv_capture_tid(),
      .device = (uint32_t)d->device,
      .graph = graph,
      .graph_node = node,
  };
}

void emuv_sanitizer_on_launch(const Sanitizer_LaunchData *d, uint64_t graph, uint64_t node)
{
  struct emuv_sanitizer *const s = &emuv_sanitizer;
  struct emuv_sanitizer_context *const c = emuv_sanitizer_context(d->context);
  struct emuv_trace_launch l = describe(d, graph, node);
  enum emuv_pages_why why;
  uint64_t data = 0;
  if (!c) return;
  l.kernel = emuv_sanitizer_kernel(d->module, d->functionName ? d->functionName : "", &why);
  const Sanitizer_StreamHandle stream = graph ? d->hApiStream : d->hStream;
  const uint32_t number = emuv_sanitizer_prepare(c, stream, &data);
  if (!data && !why) why = EMUV_PAGES_NO_DATA;
  if (graph) { /* all nodes would get the data of the last */
    data = 0;
    why = EMUV_PAGES_GRAPH;
  }
  pthread_mutex_lock(&s->lock);
  l.sequence = emuv_trace_writer_sequence(s->writer);
  if (c->dead && !why) why = EMUV_PAGES_OVERFLOW;
  emuv_pages_queue_launch(&s->queue, &l, number, c, emuv_sanitizer_key(stream), why);
  emuv_sanitizer_track(c, stream, number);
  pthread_mutex_unlock(&s->lock);
  const SanitizerResult rc =
      s->api.sanitizerSetLaunchCallbackData(d->hLaunch, d->function, d->hStream, (const void *)(uintptr_t)data);
  if (rc == SANITIZER_SUCCESS) return;
  pthread_mutex_lock(&s->lock);
  emuv_pages_queue_blame(&s->queue, number, EMUV_PAGES_NO_DATA);
  pthread_mutex_unlock(&s->lock);
}

void emuv_sanitizer_on_copy(const Sanitizer_MemcpyData *d, uint32_t flags)
{
  static const uint32_t kinds[SANITIZER_MEMCPY_DIRECTION_SIZE] = {
      EMUV_TRACE_COPY_UNKNOWN, EMUV_TRACE_COPY_H2H, EMUV_TRACE_COPY_H2D, EMUV_TRACE_COPY_D2H, EMUV_TRACE_COPY_D2D};
  const uint64_t now = emuv_capture_now_ns();
  const struct emuv_trace_record r = {
      .type = EMUV_TRACE_COPY,
      .u.copy = {.sequence = emuv_trace_writer_sequence(emuv_sanitizer.writer),
                 .enter_ns = now,
                 .exit_ns = now,
                 .stream = (uint64_t)(uintptr_t)d->apiStream,
                 .src = d->srcAddress,
                 .dst = d->dstAddress,
                 .bytes = d->size,
                 .kind = d->direction < SANITIZER_MEMCPY_DIRECTION_SIZE ? kinds[d->direction] : 0,
                 .flags = flags | (d->isAsync ? 0 : EMUV_TRACE_FLAG_SYNC),
                 .tid = emuv_capture_tid()}};
  add(&r);
}

void emuv_sanitizer_on_set(const Sanitizer_MemsetData *d, uint32_t flags)
{
  const uint64_t now = emuv_capture_now_ns();
  const uint64_t row = d->width * (d->elementSize ? d->elementSize : 1);
  const struct emuv_trace_record r = {.type = EMUV_TRACE_SET,
                                      .u.set = {.sequence = emuv_trace_writer_sequence(emuv_sanitizer.writer),
                                                .enter_ns = now,
                                                .exit_ns = now,
                                                .stream = (uint64_t)(uintptr_t)d->stream,
                                                .address = d->address,
                                                .bytes = d->height > 1 ? (d->height - 1) * d->pitch + row : row,
                                                .value = d->value,
                                                .width = d->elementSize,
                                                .flags = flags | (d->isAsync ? 0 : EMUV_TRACE_FLAG_SYNC),
                                                .tid = emuv_capture_tid()}};
  add(&r);
}

void emuv_sanitizer_on_node(const Sanitizer_GraphNodeLaunchData *d)
{
  if (d->isGraphUpload) return;
  const uint64_t graph = (uint64_t)(uintptr_t)d->graphExec, node = (uint64_t)(uintptr_t)d->node;
  switch (d->nodeType) {
  case CU_GRAPH_NODE_TYPE_KERNEL: emuv_sanitizer_on_launch(&d->launchData, graph, node); return;
  case CU_GRAPH_NODE_TYPE_MEMCPY: emuv_sanitizer_on_copy(&d->memcpyData, EMUV_TRACE_FLAG_GRAPH); return;
  case CU_GRAPH_NODE_TYPE_MEMSET: emuv_sanitizer_on_set(&d->memsetData, EMUV_TRACE_FLAG_GRAPH); return;
  default: return;
  }
}
