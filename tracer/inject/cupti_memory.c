// SPDX-License-Identifier: Apache-2.0
/* Allocations and frees: keeps the map of live memory and writes ALLOCATION and FREE records. See cupti_capture.h. */
#include "tracer/inject/cupti_capture.h"

static uint64_t number(const void *pointer)
{
  return (uint64_t)(uintptr_t)pointer;
}

/* Returns the id. */
static uint64_t add(const struct emuv_call *call, uint64_t address, uint64_t bytes, uint32_t kind, uint64_t stream)
{
  struct emuv_capture *const c = &emuv_capture;
  struct emuv_trace_allocation record = {.address = address,
                                         .bytes = bytes,
                                         .ns = call->exit_ns,
                                         .stream = stream,
                                         .kind = kind,
                                         .device = emuv_device_of(call),
                                         .tid = call->tid};
  size_t displaced = 0;
  pthread_mutex_lock(&c->lock);
  emuv_pending_settle();
  record.id = ++c->allocations;
  c->epoch++;
  const struct emuv_interval range = {.base = address, .bytes = bytes, .id = record.id, .kind = kind};
  emuv_intervals_insert(&c->live, &range, &displaced);
  c->displaced += displaced;
  emuv_trace_writer_allocation(c->writer, &record);
  pthread_mutex_unlock(&c->lock);
  return record.id;
}

static void drop(const struct emuv_call *call, uint64_t address, uint64_t stream)
{
  struct emuv_capture *const c = &emuv_capture;
  struct emuv_interval range = {0};
  pthread_mutex_lock(&c->lock);
  emuv_pending_settle();
  emuv_intervals_remove(&c->live, address, &range);
  c->epoch++;
  const struct emuv_trace_free record = {
      .id = range.id, .address = address, .ns = call->enter_ns, .stream = stream, .tid = call->tid};
  emuv_trace_writer_free(c->writer, &record);
  pthread_mutex_unlock(&c->lock);
}

/* Memory of a graph that lies inside other memory of a graph shares it: the driver reuses addresses between nodes. */
static uint64_t shared_memory(uint64_t address, uint64_t bytes)
{
  struct emuv_capture *const c = &emuv_capture;
  pthread_mutex_lock(&c->lock);
  const struct emuv_interval *range = emuv_intervals_find(&c->live, address);
  const bool shared = range && range->kind == EMUV_TRACE_MEMORY_GRAPH && bytes <= range->base + range->bytes - address;
  const uint64_t id = shared ? range->id : 0;
  pthread_mutex_unlock(&c->lock);
  return id;
}

uint64_t emuv_memory_of_graph(const struct emuv_call *call, uint64_t address, uint64_t bytes)
{
  if (!address || !bytes) return 0;
  const uint64_t live = shared_memory(address, bytes);
  return live ? live : add(call, address, bytes, EMUV_TRACE_MEMORY_GRAPH, 0);
}

void emuv_memory_of_graph_end(const struct emuv_call *call, uint64_t address, uint64_t id)
{
  uint32_t kind;
  if (id && emuv_memory_find(address, &kind) == id) drop(call, address, 0);
}

uint64_t emuv_memory_find(uint64_t address, uint32_t *kind)
{
  struct emuv_capture *const c = &emuv_capture;
  pthread_mutex_lock(&c->lock);
  const struct emuv_interval *range = emuv_intervals_find(&c->live, address);
  const uint64_t id = range ? range->id : 0;
  *kind = range ? (uint32_t)range->kind : EMUV_TRACE_MEMORY_UNKNOWN;
  pthread_mutex_unlock(&c->lock);
  return id;
}

void emuv_memory_alloc(const struct emuv_call *call, const void *params)
{
  const cuMemAlloc_v2_params *p = params; /* cuMemAllocManaged begins alike */
  add(call, *p->dptr, p->bytesize, call->arg, 0);
}

void emuv_memory_alloc_pitch(const struct emuv_call *call, const void *params)
{
  const cuMemAllocPitch_v2_params *p = params;
  add(call, *p->dptr, *p->pPitch * p->Height, EMUV_TRACE_MEMORY_PITCHED, 0);
}

void emuv_memory_alloc_async(const struct emuv_call *call, const void *params)
{
  const cuMemAllocAsync_params *p = params;
  if (!emuv_device_is_captured(p->hStream))
    add(call, *p->dptr, p->bytesize, EMUV_TRACE_MEMORY_ASYNC, emuv_device_stream(call, p->hStream));
}

void emuv_memory_alloc_from_pool(const struct emuv_call *call, const void *params)
{
  const cuMemAllocFromPoolAsync_params *p = params;
  if (!emuv_device_is_captured(p->hStream))
    add(call, *p->dptr, p->bytesize, EMUV_TRACE_MEMORY_ASYNC, emuv_device_stream(call, p->hStream));
}

void emuv_memory_host_alloc(const struct emuv_call *call, const void *params)
{
  const cuMemAllocHost_v2_params *p = params; /* cuMemHostAlloc begins alike */
  add(call, number(*p->pp), p->bytesize, EMUV_TRACE_MEMORY_HOST, 0);
}

void emuv_memory_host_register(const struct emuv_call *call, const void *params)
{
  const cuMemHostRegister_v2_params *p = params;
  add(call, number(p->p), p->bytesize, EMUV_TRACE_MEMORY_REGISTERED, 0);
}

void emuv_memory_free(const struct emuv_call *call, const void *params)
{
  const cuMemFree_v2_params *p = params; /* the others have one pointer too */
  if (p->dptr) drop(call, p->dptr, 0);
}

void emuv_memory_free_async(const struct emuv_call *call, const void *params)
{
  const cuMemFreeAsync_params *p = params;
  if (!emuv_device_is_captured(p->hStream)) drop(call, p->dptr, emuv_device_stream(call, p->hStream));
}

static uint32_t handle_kind(CUmemGenericAllocationHandle handle)
{
  CUmemAllocationProp properties;
  if (!emuv_capture.api.cuMemGetAllocationPropertiesFromHandle ||
      emuv_capture.api.cuMemGetAllocationPropertiesFromHandle(&properties, handle) != CUDA_SUCCESS)
    return EMUV_TRACE_MEMORY_VMM;
  return properties.location.type == CU_MEM_LOCATION_TYPE_DEVICE ? EMUV_TRACE_MEMORY_VMM : EMUV_TRACE_MEMORY_VMM_HOST;
}

void emuv_memory_map(const struct emuv_call *call, const void *params)
{
  const cuMemMap_params *p = params;
  add(call, p->ptr, p->size, handle_kind(p->handle), 0);
}

/* One call may unmap several mappings. */
void emuv_memory_unmap(const struct emuv_call *call, const void *params)
{
  struct emuv_capture *const c = &emuv_capture;
  const cuMemUnmap_params *p = params;
  for (uint64_t at = p->ptr; at < p->ptr + p->size;) {
    pthread_mutex_lock(&c->lock);
    const struct emuv_interval *range = emuv_intervals_find(&c->live, at);
    const uint64_t base = range ? range->base : 0, end = range ? range->base + range->bytes : 0;
    pthread_mutex_unlock(&c->lock);
    if (!end) return;
    drop(call, base, 0);
    at = end;
  }
}

void emuv_memory_global(const struct emuv_call *call, const void *params)
{
  const cuModuleGetGlobal_v2_params *p = params; /* cuLibraryGetGlobal begins alike */
  uint32_t kind;
  if (p->dptr && *p->dptr && p->bytes && *p->bytes && !emuv_memory_find(*p->dptr, &kind))
    add(call, *p->dptr, *p->bytes, EMUV_TRACE_MEMORY_MODULE, 0);
}

void emuv_memory_ipc_open(const struct emuv_call *call, const void *params)
{
  const cuIpcOpenMemHandle_v2_params *p = params;
  CUdeviceptr base = 0;
  size_t bytes = 0;
  if (emuv_capture.api.cuMemGetAddressRange_v2 &&
      emuv_capture.api.cuMemGetAddressRange_v2(&base, &bytes, *p->pdptr) == CUDA_SUCCESS)
    add(call, base, bytes, EMUV_TRACE_MEMORY_IMPORTED, 0);
  else
    emuv_unsupported(call, params);
}
