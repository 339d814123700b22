// SPDX-License-Identifier: Apache-2.0
/* Copies and sets: COPY and SET records. See cupti_capture.h. */
#include "tracer/inject/cupti_capture.h"

#include <string.h>

/* One end of a copy, or the memory that is set. */
struct place {
  uint64_t address, allocation;
  bool host, pageable;
};

static struct place place_of(uint64_t address)
{
  uint32_t kind;
  struct place p = {.address = address, .allocation = emuv_memory_find(address, &kind)};
  p.pageable = p.allocation == 0;
  p.host = p.pageable || kind == EMUV_TRACE_MEMORY_HOST || kind == EMUV_TRACE_MEMORY_REGISTERED ||
           kind == EMUV_TRACE_MEMORY_VMM_HOST;
  return p;
}

static uint32_t kind_of(const struct place *dst, const struct place *src)
{
  if (src->host) return dst->host ? EMUV_TRACE_COPY_H2H : EMUV_TRACE_COPY_H2D;
  return dst->host ? EMUV_TRACE_COPY_D2H : EMUV_TRACE_COPY_D2D;
}

static void issue(const struct emuv_call *call)
{
  pthread_mutex_lock(&emuv_capture.lock);
  emuv_correlations_issue(&emuv_capture.correlations, call->data->correlationId, false);
  pthread_mutex_unlock(&emuv_capture.lock);
}

static void copy(const struct emuv_call *call, uint64_t dst, uint64_t src, uint64_t bytes, CUstream stream, bool peer)
{
  if (bytes == 0 || emuv_device_is_captured(stream)) return;
  const struct place to = place_of(dst), from = place_of(src);
  const struct emuv_trace_copy record = {
      .sequence = emuv_trace_writer_sequence(emuv_capture.writer),
      .correlation = call->data->correlationId,
      .enter_ns = call->enter_ns,
      .exit_ns = call->exit_ns,
      .stream = emuv_device_stream(call, stream),
      .src = src,
      .dst = dst,
      .src_allocation = from.allocation,
      .dst_allocation = to.allocation,
      .bytes = bytes,
      .kind = peer ? EMUV_TRACE_COPY_P2P : kind_of(&to, &from),
      .flags = (call->arg & EMUV_COPY_SYNC ? EMUV_TRACE_FLAG_SYNC : 0) |
               (to.pageable || from.pageable ? EMUV_TRACE_FLAG_PAGEABLE : 0),
      .tid = call->tid,
      .device = emuv_device_of(call),
  };
  issue(call);
  emuv_trace_writer_copy(emuv_capture.writer, &record);
}

static CUstream stream_of(const struct emuv_call *call, const CUstream *field)
{
  return call->arg & EMUV_COPY_SYNC ? NULL : *field;
}

/* All one-dimensional copies have the same four words; only asynchronous ones have the last. */
void emuv_copy_linear(const struct emuv_call *call, const void *params)
{
  const cuMemcpyAsync_params *p = params;
  copy(call, p->dst, p->src, p->ByteCount, stream_of(call, &p->hStream), false);
}

void emuv_copy_peer(const struct emuv_call *call, const void *params)
{
  const cuMemcpyPeerAsync_params *p = params;
  copy(call, p->dstDevice, p->srcDevice, p->ByteCount, stream_of(call, &p->hStream), true);
}

/* First byte of one side of a copy of rows; 0 for arrays, whose memory has no address. */
static uint64_t row_address(CUmemorytype type, const void *host, CUdeviceptr device, uint64_t skip)
{
  if (type == CU_MEMORYTYPE_ARRAY) return 0;
  return (type == CU_MEMORYTYPE_HOST ? (uint64_t)(uintptr_t)host : device) + skip;
}

void emuv_copy_2d(const struct emuv_call *call, const void *params)
{
  const cuMemcpy2DAsync_v2_params *p = params;
  const CUDA_MEMCPY2D *c = p->pCopy;
  const uint64_t dst = row_address(c->dstMemoryType, c->dstHost, c->dstDevice, c->dstY * c->dstPitch + c->dstXInBytes);
  const uint64_t src = row_address(c->srcMemoryType, c->srcHost, c->srcDevice, c->srcY * c->srcPitch + c->srcXInBytes);
  copy(call, dst, src, c->WidthInBytes * c->Height, stream_of(call, &p->hStream), false);
}

void emuv_copy_3d(const struct emuv_call *call, const void *params)
{
  const cuMemcpy3DAsync_v2_params *p = params;
  const CUDA_MEMCPY3D *c = p->pCopy;
  const uint64_t dst_rows = c->dstZ * c->dstHeight + c->dstY, src_rows = c->srcZ * c->srcHeight + c->srcY;
  const uint64_t dst = row_address(c->dstMemoryType, c->dstHost, c->dstDevice, dst_rows * c->dstPitch + c->dstXInBytes);
  const uint64_t src = row_address(c->srcMemoryType, c->srcHost, c->srcDevice, src_rows * c->srcPitch + c->srcXInBytes);
  copy(call, dst, src, c->WidthInBytes * c->Height * c->Depth, stream_of(call, &p->hStream), false);
}

void emuv_copy_batch(const struct emuv_call *call, const void *params)
{
  const cuMemcpyBatchAsync_params *p = params;
  for (size_t i = 0; i < p->count; i++) copy(call, p->dsts[i], p->srcs[i], p->sizes[i], p->hStream, false);
}

void emuv_copy_batch_v2(const struct emuv_call *call, const void *params)
{
  const cuMemcpyBatchAsync_v2_params *p = params;
  for (size_t i = 0; i < p->count; i++) copy(call, p->dsts[i], p->srcs[i], p->sizes[i], p->hStream, false);
}

static void set(const struct emuv_call *call, uint64_t address, uint64_t bytes, uint32_t value, CUstream stream)
{
  if (bytes == 0 || emuv_device_is_captured(stream)) return;
  uint32_t kind;
  const struct emuv_trace_set record = {
      .sequence = emuv_trace_writer_sequence(emuv_capture.writer),
      .correlation = call->data->correlationId,
      .enter_ns = call->enter_ns,
      .exit_ns = call->exit_ns,
      .stream = emuv_device_stream(call, stream),
      .address = address,
      .allocation = emuv_memory_find(address, &kind),
      .bytes = bytes,
      .value = value,
      .width = call->arg & ~(uint32_t)EMUV_COPY_SYNC,
      .flags = call->arg & EMUV_COPY_SYNC ? EMUV_TRACE_FLAG_SYNC : 0,
      .tid = call->tid,
      .device = emuv_device_of(call),
  };
  issue(call);
  emuv_trace_writer_set(emuv_capture.writer, &record);
}

/* The value has as many bytes as an element; what follows it in the structure is padding. */
static uint32_t value_of(const struct emuv_call *call, const void *field)
{
  uint32_t value = 0;
  memcpy(&value, field, call->arg & ~(uint32_t)EMUV_COPY_SYNC);
  return value;
}

void emuv_set_linear(const struct emuv_call *call, const void *params)
{
  const cuMemsetD32Async_params *p = params;
  const uint64_t width = call->arg & ~(uint32_t)EMUV_COPY_SYNC;
  set(call, p->dstDevice, p->N * width, value_of(call, &p->ui), stream_of(call, &p->hStream));
}

void emuv_set_2d(const struct emuv_call *call, const void *params)
{
  const cuMemsetD2D32Async_params *p = params;
  const uint64_t row = p->Width * (call->arg & ~(uint32_t)EMUV_COPY_SYNC);
  if (p->Height)
    set(call, p->dstDevice, (p->Height - 1) * p->dstPitch + row, value_of(call, &p->ui), stream_of(call, &p->hStream));
}
