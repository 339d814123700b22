// SPDX-License-Identifier: Apache-2.0
/* Devices, contexts and streams: what identifies them, and what is learned once per process. See cupti_capture.h. */
#include "tracer/inject/cupti_capture.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { STREAMS = 4, MIN_TENSORMAP_MAJOR = 9 };

static atomic_uint stream_epoch = 1; /* goes up when a stream is destroyed: its handle may come back */

/* What a thread used last. */
static _Thread_local struct {
  uint32_t context, device;
  bool known;
} last_device;
static _Thread_local struct {
  struct {
    CUcontext context;
    CUstream handle;
    bool per_thread;
    uint64_t id;
  } slot[STREAMS];
  uint32_t epoch, n;
} last_streams;

uint32_t emuv_device_of(const struct emuv_call *call)
{
  if (last_device.known && last_device.context == call->data->contextUid) return last_device.device;
  uint32_t device = 0;
  if (!call->data->context || emuv_capture.api.cuptiGetDeviceId(call->data->context, &device) != CUPTI_SUCCESS)
    return 0;
  last_device.known = true;
  last_device.context = call->data->contextUid;
  last_device.device = device;
  return device;
}

static uint64_t query_stream(const struct emuv_call *call, CUstream stream)
{
  uint32_t id;
  if (emuv_capture.api.cuptiGetStreamIdEx &&
      emuv_capture.api.cuptiGetStreamIdEx(call->data->context, stream, call->per_thread, &id) == CUPTI_SUCCESS)
    return id;
  return (uint64_t)(uintptr_t)stream;
}

uint64_t emuv_device_stream(const struct emuv_call *call, CUstream stream)
{
  const uint32_t epoch = atomic_load_explicit(&stream_epoch, memory_order_relaxed);
  if (last_streams.epoch != epoch) {
    memset(&last_streams, 0, sizeof last_streams);
    last_streams.epoch = epoch;
  }
  for (uint32_t i = 0; i < STREAMS && i < last_streams.n; i++)
    if (last_streams.slot[i].handle == stream && last_streams.slot[i].context == call->data->context &&
        last_streams.slot[i].per_thread == call->per_thread)
      return last_streams.slot[i].id;
  const uint32_t at = last_streams.n++ % STREAMS;
  last_streams.slot[at].context = call->data->context;
  last_streams.slot[at].handle = stream;
  last_streams.slot[at].per_thread = call->per_thread;
  return last_streams.slot[at].id = query_stream(call, stream);
}

void emuv_device_forget_streams(void)
{
  atomic_fetch_add(&stream_epoch, 1);
}

bool emuv_device_is_captured(CUstream stream)
{
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  if (atomic_load_explicit(&emuv_capture.capturing, memory_order_relaxed) == 0) return false;
  return emuv_capture.api.cuStreamIsCapturing &&
         emuv_capture.api.cuStreamIsCapturing(stream, &status) == CUDA_SUCCESS &&
         status != CU_STREAM_CAPTURE_STATUS_NONE;
}

/* emuv_tensormap_encode for the driver's own encoder. */
static int encode(void *context, const struct emuv_tensormap_spec *s, uint32_t out[EMUV_TENSORMAP_WORDS])
{
  (void)context;
  CUtensorMap map;
  cuuint64_t dims[EMUV_TENSORMAP_RANKS], strides[EMUV_TENSORMAP_RANKS];
  cuuint32_t ones[EMUV_TENSORMAP_RANKS];
  for (int i = 0; i < EMUV_TENSORMAP_RANKS; i++) {
    dims[i] = s->dim[i];
    strides[i] = s->stride[i];
    ones[i] = 1;
  }
  const CUresult rc = emuv_capture.api.cuTensorMapEncodeTiled(
      &map, (CUtensorMapDataType)s->type, s->rank, (void *)(uintptr_t)s->address, dims, strides, s->box, ones,
      (CUtensorMapInterleave)s->interleave, (CUtensorMapSwizzle)s->swizzle, (CUtensorMapL2promotion)s->promotion,
      (CUtensorMapFloatOOBfill)s->fill);
  if (rc == CUDA_SUCCESS) memcpy(out, &map, EMUV_TENSORMAP_BYTES);
  return (int)rc;
}

static void fact(const char *key, const char *value)
{
  emuv_trace_writer_environment(emuv_capture.writer, key, value);
}

static void fact_number(const char *key, uint64_t value)
{
  char text[32];
  snprintf(text, sizeof text, "%" PRIu64, value);
  fact(key, text);
}

static int attribute(CUdevice_attribute which, CUdevice device)
{
  int value = 0;
  if (emuv_capture.api.cuDeviceGetAttribute) emuv_capture.api.cuDeviceGetAttribute(&value, which, device);
  return value;
}

static void describe_device(CUdevice device)
{
  const struct emuv_cupti_api *const api = &emuv_capture.api;
  char name[256] = "";
  size_t bytes = 0;
  int driver = 0;
  if (api->cuDeviceGetName && api->cuDeviceGetName(name, sizeof name, device) == CUDA_SUCCESS) fact("gpu", name);
  if (api->cuDeviceTotalMem_v2 && api->cuDeviceTotalMem_v2(&bytes, device) == CUDA_SUCCESS)
    fact_number("gpu_memory_bytes", bytes);
  if (api->cuDriverGetVersion && api->cuDriverGetVersion(&driver) == CUDA_SUCCESS)
    fact_number("cuda_driver_version", (uint64_t)driver);
  fact_number("gpu_multiprocessors", (uint64_t)attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device));
  snprintf(name, sizeof name, "%d.%d", attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device),
           attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device));
  fact("gpu_compute_capability", name);
}

/* The words of one known descriptor, so that a trace shows what a layout was learned from, or why it was not. */
static void record_sample(void)
{
  const struct emuv_tensormap_spec spec = {.type = 6,
                                           .rank = 2,
                                           .address = 0x7f1234560000,
                                           .dim = {2048, 512},
                                           .stride = {4096},
                                           .box = {64, 64},
                                           .swizzle = 3};
  uint32_t words[EMUV_TENSORMAP_WORDS];
  char text[EMUV_TENSORMAP_WORDS * 9 + 1];
  if (encode(NULL, &spec, words) != 0) return;
  for (int i = 0; i < EMUV_TENSORMAP_WORDS; i++) snprintf(text + 9 * i, 10, "%08" PRIx32 " ", words[i]);
  fact("tensormap_sample", text);
}

static void record_modes(const struct emuv_tensormap_layout *l)
{
  char text[128];
  snprintf(text, sizeof text,
           "rank %08" PRIx32 " type %08" PRIx32 " interleave %08" PRIx32 " fixed %08" PRIx32 " = %08" PRIx32,
           l->rank_mask, l->type_mask, l->interleave_mask, l->fixed_mask, l->fixed_value);
  fact("tensormap_modes", text);
}

static void learn_descriptors(CUdevice device)
{
  if (!emuv_capture.api.cuTensorMapEncodeTiled ||
      attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device) < MIN_TENSORMAP_MAJOR) {
    fact("tensormap_layout", "none on this device");
    return;
  }
  const enum emuv_tensormap_step step = emuv_tensormap_learn(&emuv_capture.layout, encode, NULL);
  char text[48] = "learned";
  if (step != EMUV_TENSORMAP_LEARNED) snprintf(text, sizeof text, "not learned, step %d", (int)step);
  fact("tensormap_layout", text);
  record_sample();
  record_modes(&emuv_capture.layout);
}

static _Thread_local CUcontext learning_from; /* of the one thread that runs learn_once */

static void learn_once(void)
{
  uint32_t device = 0;
  if (emuv_capture.api.cuptiGetDeviceId(learning_from, &device) != CUPTI_SUCCESS) return;
  describe_device((CUdevice)device);
  learn_descriptors((CUdevice)device);
}

void emuv_device_learn(CUcontext context)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (!context) return;
  learning_from = context;
  pthread_once(&once, learn_once);
}
