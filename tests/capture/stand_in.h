// SPDX-License-Identifier: Apache-2.0
/* A stand-in for CUPTI and the driver, for one test program (it defines emuv_cupti_load, which the capture calls
 * instead of its own): keeps the callbacks, invents kernels and activities, and encodes descriptors as fake_tensormap.h
 * does. */
#ifndef EMUV_TESTS_STAND_IN_H
#define EMUV_TESTS_STAND_IN_H

#include "tests/unit/fake_tensormap.h"
#include "tracer/inject/cupti_capture.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define CLOCK_SHIFT_NS 5000000000000u /* the stand-in's clock is ahead of CLOCK_MONOTONIC */
enum {
  CALLS = 2048,
  CHAIN = 64,
  STREAM_ID = 13,
  PARAM_KERNEL = 0x1000,
  EXTRA_KERNEL = 0x2000,
  UNKNOWN_KERNEL = 0x3000
};

static CUpti_CallbackFunc callback;
static CUpti_BuffersCallbackRequestFunc request_buffer;
static CUpti_BuffersCallbackCompleteFunc complete_buffer;
static CUptiResult subscribe_result;
static atomic_bool called_back[CALLS], activities_come;
static _Atomic uint32_t correlation; /* several threads may call */
static uint32_t activity_shift;      /* activity_shift: activities carry the number of an outer call */
static struct {
  uint32_t correlation;
  bool whole; /* a graph's time, not a kernel's */
  uint64_t start, end, graph_node;
} pending[CHAIN];
static int n_pending;
static void (*stand_in_more)(struct emuv_cupti_api *api); /* adds functions */
static pthread_mutex_t pending_lock = PTHREAD_MUTEX_INITIALIZER;

static CUptiResult fake_subscribe(CUpti_SubscriberHandle *handle, CUpti_CallbackFunc function, void *user)
{
  (void)handle, (void)user;
  callback = function;
  return subscribe_result;
}

static CUptiResult fake_unsubscribe(CUpti_SubscriberHandle handle)
{
  (void)handle;
  callback = NULL;
  return CUPTI_SUCCESS;
}

static CUptiResult fake_enable_callback(uint32_t on, CUpti_SubscriberHandle s, CUpti_CallbackDomain d,
                                        CUpti_CallbackId id)
{
  (void)s;
  if (d == CUPTI_CB_DOMAIN_DRIVER_API && id < CALLS) atomic_store(&called_back[id], on);
  return CUPTI_SUCCESS;
}

static CUptiResult fake_activity_enable(CUpti_ActivityKind kind)
{
  (void)kind;
  atomic_store(&activities_come, true);
  return CUPTI_SUCCESS;
}

static CUptiResult fake_activity_disable(CUpti_ActivityKind kind)
{
  (void)kind;
  atomic_store(&activities_come, false);
  return CUPTI_SUCCESS;
}

/* One callback around a driver call, if the capture wants it. */
static inline void call_back(CUpti_CallbackId id, const CUpti_CallbackData *data)
{
  if (callback && id < CALLS && atomic_load(&called_back[id])) callback(NULL, CUPTI_CB_DOMAIN_DRIVER_API, id, data);
}

static CUptiResult fake_register(CUpti_BuffersCallbackRequestFunc request, CUpti_BuffersCallbackCompleteFunc complete)
{
  request_buffer = request;
  complete_buffer = complete;
  return CUPTI_SUCCESS;
}

/* Turns a kernel's activity, whose place it takes, into a graph's. times: start and end. */
static void make_whole(CUpti_ActivityGraphTrace2 *g, const uint64_t times[2])
{
  const uint32_t id = ((const CUpti_ActivityKernel9 *)(const void *)g)->correlationId;
  memset(g, 0, sizeof *g);
  g->kind = CUPTI_ACTIVITY_KIND_GRAPH_TRACE;
  g->correlationId = id;
  g->streamId = STREAM_ID;
  g->start = times[0];
  g->end = times[1];
}

static CUptiResult fake_flush(uint32_t flags)
{
  (void)flags;
  uint8_t *buffer;
  size_t bytes, records, used = 0;
  request_buffer(&buffer, &bytes, &records);
  pthread_mutex_lock(&pending_lock);
  for (int i = 0; i < n_pending; i++, used += sizeof(CUpti_ActivityKernel9)) {
    CUpti_ActivityKernel9 *k = (CUpti_ActivityKernel9 *)(void *)(buffer + used);
    memset(k, 0, sizeof *k);
    k->kind = CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL;
    k->correlationId = pending[i].correlation - activity_shift;
    k->streamId = STREAM_ID;
    k->start = pending[i].start;
    k->end = pending[i].end;
    k->graphNodeId = pending[i].graph_node;
    if (pending[i].whole) make_whole((void *)k, (const uint64_t[]){pending[i].start, pending[i].end});
  }
  n_pending = 0;
  pthread_mutex_unlock(&pending_lock);
  complete_buffer(NULL, 0, buffer, bytes, used);
  return CUPTI_SUCCESS;
}

static CUptiResult fake_next(uint8_t *buffer, size_t valid, CUpti_Activity **record)
{
  uint8_t *next = *record ? (uint8_t *)(void *)*record + sizeof(CUpti_ActivityKernel9) : buffer;
  if (next >= buffer + valid) return CUPTI_ERROR_MAX_LIMIT_REACHED;
  *record = (CUpti_Activity *)(void *)next;
  return CUPTI_SUCCESS;
}

static CUptiResult fake_dropped(CUcontext context, uint32_t stream, size_t *dropped)
{
  (void)context, (void)stream;
  *dropped = 0;
  return CUPTI_SUCCESS;
}

static CUptiResult fake_device_id(CUcontext context, uint32_t *device)
{
  (void)context;
  *device = 0;
  return CUPTI_SUCCESS;
}

static CUptiResult fake_stream_id(CUcontext context, CUstream stream, uint8_t per_thread, uint32_t *id)
{
  (void)context, (void)stream, (void)per_thread;
  *id = STREAM_ID;
  return CUPTI_SUCCESS;
}

static CUptiResult fake_timestamp(uint64_t *ns)
{
  *ns = emuv_capture_now_ns() + CLOCK_SHIFT_NS;
  return CUPTI_SUCCESS;
}

static CUptiResult fake_version(uint32_t *version)
{
  *version = 130001;
  return CUPTI_SUCCESS;
}

static CUptiResult fake_result_string(CUptiResult rc, const char **text)
{
  *text = rc == CUPTI_SUCCESS ? "success" : "CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED";
  return CUPTI_SUCCESS;
}

static CUresult fake_attribute(int *value, CUdevice_attribute which, CUdevice device)
{
  (void)device;
  *value = which == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR ? 9 : 0;
  return CUDA_SUCCESS;
}

static CUresult fake_device_name(char *name, int n, CUdevice device)
{
  (void)device;
  snprintf(name, (size_t)n, "Fake GPU");
  return CUDA_SUCCESS;
}

/* As CUDA 12 and later: what PyTorch passes are kernels, not functions. */
static CUresult fake_function_param(CUfunction f, size_t i, size_t *offset, size_t *bytes)
{
  (void)f, (void)i, (void)offset, (void)bytes;
  return CUDA_ERROR_INVALID_HANDLE;
}

static CUresult fake_kernel_param(CUkernel k, size_t i, size_t *offset, size_t *bytes)
{
  if ((uintptr_t)(void *)k == UNKNOWN_KERNEL) return CUDA_ERROR_INVALID_HANDLE;
  if (i >= 3) return CUDA_ERROR_INVALID_VALUE;
  *offset = i * 8;
  *bytes = i == 1 ? 4 : 8;
  return CUDA_SUCCESS;
}

static CUresult fake_tensormap(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *address,
                               const cuuint64_t *dims, const cuuint64_t *strides, const cuuint32_t *box,
                               const cuuint32_t *element_strides, CUtensorMapInterleave interleave,
                               CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
                               CUtensorMapFloatOOBfill fill)
{
  (void)element_strides;
  struct emuv_tensormap_spec s = {.type = type,
                                  .rank = rank,
                                  .address = (uint64_t)(uintptr_t)address,
                                  .interleave = interleave,
                                  .swizzle = swizzle,
                                  .promotion = promotion,
                                  .fill = fill};
  for (uint32_t i = 0; i < rank; i++) {
    s.dim[i] = dims[i];
    s.stride[i] = i + 1 < rank ? strides[i] : 0;
    s.box[i] = box[i];
  }
  return fake_encode(NULL, &s, (uint32_t *)(void *)map) ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

/* Takes the place of the one that loads libraries. */
int emuv_cupti_load(struct emuv_cupti_api *api, struct emuv_err *err)
{
  (void)err;
  *api = (struct emuv_cupti_api){
      .cuptiActivityDisable = fake_activity_disable,
      .cuptiActivityEnable = fake_activity_enable,
      .cuptiActivityFlushAll = fake_flush,
      .cuptiActivityGetNextRecord = fake_next,
      .cuptiActivityGetNumDroppedRecords = fake_dropped,
      .cuptiActivityRegisterCallbacks = fake_register,
      .cuptiEnableCallback = fake_enable_callback,
      .cuptiGetDeviceId = fake_device_id,
      .cuptiGetResultString = fake_result_string,
      .cuptiGetStreamIdEx = fake_stream_id,
      .cuptiGetTimestamp = fake_timestamp,
      .cuptiGetVersion = fake_version,
      .cuptiSubscribe = fake_subscribe,
      .cuptiUnsubscribe = fake_unsubscribe,
      .cuDeviceGetAttribute = fake_attribute,
      .cuDeviceGetName = fake_device_name,
      .cuFuncGetParamInfo = fake_function_param,
      .cuKernelGetParamInfo = fake_kernel_param,
      .cuTensorMapEncodeTiled = fake_tensormap,
  };
  if (stand_in_more) stand_in_more(api);
  return 0;
}

#endif
