// SPDX-License-Identifier: Apache-2.0
/* The table of driver calls that the capture follows: one row per CUPTI callback id. See cupti_capture.h. */
#include "tracer/inject/cupti_capture.h"

#include <cupti_driver_cbid.h>

struct row {
  emuv_call_handler *handler;
  uint32_t arg;
  bool around;     /* runs before the call (exit_ns 0) and after it, whether it succeeded or not */
  bool before;     /* runs before the call (frees: the address may be given out again before the call returns) */
  bool per_thread; /* default stream per thread */
};

/* Each macro pastes the name itself: cuda.h renames many functions by macros, and passing a name on would expand them.
 */
#define CALL(name, handler, arg) [CUPTI_DRIVER_TRACE_CBID_##name] = {handler, arg, false, false, false}
#define CALL_BEFORE(name, handler, arg) [CUPTI_DRIVER_TRACE_CBID_##name] = {handler, arg, false, true, false}
#define CALL_BEFORE_PTSZ(name, handler, arg) [CUPTI_DRIVER_TRACE_CBID_##name##_ptsz] = {handler, arg, false, true, true}
#define CALL_AROUND(name, handler, arg) [CUPTI_DRIVER_TRACE_CBID_##name] = {handler, arg, true, false, false}
#define CALL_AROUND_BOTH(name, handler, arg)                                                                           \
  CALL_AROUND(name, handler, arg), [CUPTI_DRIVER_TRACE_CBID_##name##_ptsz] = {handler, arg, true, false, true}
#define CALL_BOTH(name, handler, arg)                                                                                  \
  [CUPTI_DRIVER_TRACE_CBID_##name] = {handler, arg, false, false, false},                                              \
  [CUPTI_DRIVER_TRACE_CBID_##name##_ptsz] = {handler, arg, false, false, true}
#define CALL_SYNC(name, handler, arg)                                                                                  \
  [CUPTI_DRIVER_TRACE_CBID_##name] = {handler, (arg) | EMUV_COPY_SYNC, false, false, false},                           \
  [CUPTI_DRIVER_TRACE_CBID_##name##_ptds] = {handler, (arg) | EMUV_COPY_SYNC, false, false, true}

static const struct row rows[] = {
    CALL(cuMemAlloc_v2, emuv_memory_alloc, EMUV_TRACE_MEMORY_DEVICE),
    CALL(cuMemAllocManaged, emuv_memory_alloc, EMUV_TRACE_MEMORY_MANAGED),
    CALL(cuMemAllocPitch_v2, emuv_memory_alloc_pitch, 0),
    CALL_BOTH(cuMemAllocAsync, emuv_memory_alloc_async, 0),
    CALL_BOTH(cuMemAllocFromPoolAsync, emuv_memory_alloc_from_pool, 0),
    CALL(cuMemAllocHost_v2, emuv_memory_host_alloc, 0),
    CALL(cuMemHostAlloc, emuv_memory_host_alloc, 0),
    CALL(cuMemHostAlloc_v2, emuv_memory_host_alloc, 0),
    CALL(cuMemHostRegister, emuv_memory_host_register, 0),
    CALL(cuMemHostRegister_v2, emuv_memory_host_register, 0),
    CALL_BEFORE(cuMemFree_v2, emuv_memory_free, 0),
    CALL_BEFORE(cuMemFreeHost, emuv_memory_free, 0),
    CALL_BEFORE(cuMemHostUnregister, emuv_memory_free, 0),
    CALL_BEFORE(cuIpcCloseMemHandle, emuv_memory_free, 0),
    CALL_BEFORE(cuMemFreeAsync, emuv_memory_free_async, 0),
    CALL_BEFORE_PTSZ(cuMemFreeAsync, emuv_memory_free_async, 0),
    CALL(cuMemMap, emuv_memory_map, 0),
    CALL_BEFORE(cuMemUnmap, emuv_memory_unmap, 0),
    CALL(cuModuleGetGlobal_v2, emuv_memory_global, 0),
    CALL(cuLibraryGetGlobal, emuv_memory_global, 0),
    CALL(cuIpcOpenMemHandle, emuv_memory_ipc_open, 0),
    CALL(cuIpcOpenMemHandle_v2, emuv_memory_ipc_open, 0),
    CALL(cuMemPoolImportPointer, emuv_unsupported, 0),
    CALL(cuExternalMemoryGetMappedBuffer, emuv_unsupported, 0),

    CALL_SYNC(cuMemcpy, emuv_copy_linear, 0),
    CALL_SYNC(cuMemcpyHtoD_v2, emuv_copy_linear, 0),
    CALL_SYNC(cuMemcpyDtoH_v2, emuv_copy_linear, 0),
    CALL_SYNC(cuMemcpyDtoD_v2, emuv_copy_linear, 0),
    CALL_BOTH(cuMemcpyAsync, emuv_copy_linear, 0),
    CALL_BOTH(cuMemcpyHtoDAsync_v2, emuv_copy_linear, 0),
    CALL_BOTH(cuMemcpyDtoHAsync_v2, emuv_copy_linear, 0),
    CALL_BOTH(cuMemcpyDtoDAsync_v2, emuv_copy_linear, 0),
    CALL_SYNC(cuMemcpyPeer, emuv_copy_peer, 0),
    CALL_BOTH(cuMemcpyPeerAsync, emuv_copy_peer, 0),
    CALL_SYNC(cuMemcpy2D_v2, emuv_copy_2d, 0),
    CALL_SYNC(cuMemcpy2DUnaligned_v2, emuv_copy_2d, 0),
    CALL_BOTH(cuMemcpy2DAsync_v2, emuv_copy_2d, 0),
    CALL_SYNC(cuMemcpy3D_v2, emuv_copy_3d, 0),
    CALL_BOTH(cuMemcpy3DAsync_v2, emuv_copy_3d, 0),
    CALL_BOTH(cuMemcpyBatchAsync, emuv_copy_batch, 0),
    CALL_BOTH(cuMemcpyBatchAsync_v2, emuv_copy_batch_v2, 0),
    CALL_BOTH(cuMemcpy3DBatchAsync, emuv_unsupported, 0),
    CALL_BOTH(cuMemcpy3DBatchAsync_v2, emuv_unsupported, 0),
    CALL(cuMemcpy3DPeer, emuv_unsupported, 0),
    CALL_BOTH(cuMemcpy3DPeerAsync, emuv_unsupported, 0),
    CALL(cuMemcpyDtoA_v2, emuv_unsupported, 0),
    CALL(cuMemcpyAtoD_v2, emuv_unsupported, 0),
    CALL(cuMemcpyHtoA_v2, emuv_unsupported, 0),
    CALL(cuMemcpyAtoH_v2, emuv_unsupported, 0),
    CALL_BOTH(cuMemcpyHtoAAsync_v2, emuv_unsupported, 0),
    CALL_BOTH(cuMemcpyAtoHAsync_v2, emuv_unsupported, 0),
    CALL_BOTH(cuMemBatchDecompressAsync, emuv_unsupported, 0),

    CALL_SYNC(cuMemsetD8_v2, emuv_set_linear, 1),
    CALL_SYNC(cuMemsetD16_v2, emuv_set_linear, 2),
    CALL_SYNC(cuMemsetD32_v2, emuv_set_linear, 4),
    CALL_SYNC(cuMemsetD2D8_v2, emuv_set_2d, 1),
    CALL_SYNC(cuMemsetD2D16_v2, emuv_set_2d, 2),
    CALL_SYNC(cuMemsetD2D32_v2, emuv_set_2d, 4),
    CALL_BOTH(cuMemsetD8Async, emuv_set_linear, 1),
    CALL_BOTH(cuMemsetD16Async, emuv_set_linear, 2),
    CALL_BOTH(cuMemsetD32Async, emuv_set_linear, 4),
    CALL_BOTH(cuMemsetD2D8Async, emuv_set_2d, 1),
    CALL_BOTH(cuMemsetD2D16Async, emuv_set_2d, 2),
    CALL_BOTH(cuMemsetD2D32Async, emuv_set_2d, 4),

    CALL_BOTH(cuLaunchKernel, emuv_launch_kernel, 0),
    CALL_BOTH(cuLaunchKernelEx, emuv_launch_kernel_ex, 0),
    CALL_BOTH(cuLaunchCooperativeKernel, emuv_launch_cooperative, 0),
    CALL(cuLaunchCooperativeKernelMultiDevice, emuv_unsupported, 0),
    CALL(cuLaunch, emuv_unsupported, 0),
    CALL(cuLaunchGrid, emuv_unsupported, 0),
    CALL(cuLaunchGridAsync, emuv_unsupported, 0),

    CALL_BOTH(cuGraphLaunch, emuv_graph_launch, 0),
    CALL_AROUND(cuGraphInstantiate, emuv_graph_instantiate, 0),
    CALL_AROUND(cuGraphInstantiate_v2, emuv_graph_instantiate, 0),
    CALL_AROUND(cuGraphInstantiateWithFlags, emuv_graph_instantiate, 0),
    CALL_AROUND_BOTH(cuGraphInstantiateWithParams, emuv_graph_instantiate, 0),
    CALL_BEFORE(cuGraphExecDestroy, emuv_graph_destroy, 0),
    CALL(cuGraphExecUpdate, emuv_graph_update, 0),
    CALL(cuGraphExecUpdate_v2, emuv_graph_update, 0),
    CALL(cuGraphExecKernelNodeSetParams, emuv_graph_set_kernel_v1, 0),
    CALL(cuGraphExecKernelNodeSetParams_v2, emuv_graph_set_kernel, 0),
    CALL(cuGraphExecMemcpyNodeSetParams, emuv_graph_set_copy, 0),
    CALL(cuGraphExecMemsetNodeSetParams, emuv_graph_set_set, 0),
    CALL(cuGraphExecChildGraphNodeSetParams, emuv_graph_set_child, 0),
    CALL(cuGraphExecNodeSetParams, emuv_graph_set_any, 0),
    CALL(cuGraphNodeSetEnabled, emuv_graph_set_enabled, 0),

    CALL_BOTH(cuStreamSynchronize, emuv_sync_stream, 0),
    CALL(cuEventSynchronize, emuv_sync_event, 0),
    CALL(cuCtxSynchronize, emuv_sync_context, 0),
    CALL(cuCtxSynchronize_v2, emuv_sync_context, 0),
    CALL_BOTH(cuEventRecord, emuv_sync_record, 0),
    CALL_BOTH(cuEventRecordWithFlags, emuv_sync_record, 0),
    CALL_BOTH(cuStreamWaitEvent, emuv_sync_wait, 0),
    CALL_BOTH(cuStreamBeginCapture, emuv_capture_begin, 0),
    CALL_BOTH(cuStreamBeginCapture_v2, emuv_capture_begin, 0),
    CALL_BOTH(cuStreamBeginCaptureToGraph, emuv_capture_begin, 0),
    CALL_BOTH(cuStreamEndCapture, emuv_capture_end, 0),
    CALL(cuProfilerStart, emuv_profiler_range, EMUV_TRACE_RANGE_PROFILER_START),
    CALL(cuProfilerStop, emuv_profiler_range, EMUV_TRACE_RANGE_PROFILER_STOP),
};

enum { ROWS = sizeof rows / sizeof *rows };

/* Of rows whose calls count only while the capture records; the others always come: memory is always followed. */
static bool windowed[ROWS];

static bool is_work(emuv_call_handler *handler)
{
  static emuv_call_handler *const work[] = {
      emuv_copy_linear,        emuv_copy_peer,        emuv_copy_2d,      emuv_copy_3d,
      emuv_copy_batch,         emuv_copy_batch_v2,    emuv_set_linear,   emuv_set_2d,
      emuv_launch_kernel,      emuv_launch_kernel_ex, emuv_graph_launch, emuv_sync_stream,
      emuv_launch_cooperative, emuv_sync_event,       emuv_sync_context, emuv_sync_record,
      emuv_sync_wait};
  for (size_t i = 0; i < sizeof work / sizeof *work; i++)
    if (handler == work[i]) return true;
  return false;
}

/* Calls that this CUPTI does not know (it is older than the headers) cannot be made by the program either. */
static int enable(CUpti_SubscriberHandle subscriber, bool on, bool work)
{
  int enabled = 0;
  for (uint32_t id = 0; id < ROWS; id++)
    if (rows[id].handler && windowed[id] == work &&
        emuv_capture.api.cuptiEnableCallback(on, subscriber, CUPTI_CB_DOMAIN_DRIVER_API, id) == CUPTI_SUCCESS)
      enabled++;
  return enabled;
}

int emuv_calls_enable(CUpti_SubscriberHandle subscriber)
{
  for (uint32_t id = 0; id < ROWS; id++) windowed[id] = is_work(rows[id].handler);
  return enable(subscriber, true, false);
}

int emuv_calls_enable_work(CUpti_SubscriberHandle subscriber, bool on)
{
  return enable(subscriber, on, true);
}

static bool succeeded(const CUpti_CallbackData *data)
{
  return data->functionReturnValue && *(const CUresult *)data->functionReturnValue == CUDA_SUCCESS;
}

static void run(const struct row *row, const CUpti_CallbackData *data, uint64_t enter_ns, uint64_t exit_ns)
{
  const struct emuv_call call = {.data = data,
                                 .enter_ns = enter_ns,
                                 .exit_ns = exit_ns,
                                 .tid = emuv_capture_tid(),
                                 .arg = row->arg,
                                 .per_thread = row->per_thread,
                                 .ok = exit_ns && succeeded(data)};
  row->handler(&call, data->functionParams);
}

bool emuv_calls_enter(CUpti_CallbackId cbid, const CUpti_CallbackData *data)
{
  if (data->callbackSite != CUPTI_API_ENTER || cbid >= ROWS || rows[cbid].before || rows[cbid].around) return false;
  *data->correlationData = emuv_capture_now_ns();
  return true;
}

void emuv_calls_dispatch(CUpti_CallbackId cbid, const CUpti_CallbackData *data)
{
  if (cbid >= ROWS || !rows[cbid].handler || (windowed[cbid] && !emuv_recording_now())) return;
  const uint64_t now = emuv_capture_now_ns();
  if (data->callbackSite == CUPTI_API_ENTER) {
    *data->correlationData = now;
    if (rows[cbid].before || rows[cbid].around) run(&rows[cbid], data, now, 0);
  } else if (rows[cbid].around) {
    run(&rows[cbid], data, *data->correlationData, now);
  } else if (!rows[cbid].before && succeeded(data) &&
             (!windowed[cbid] || emuv_recording_covers(*data->correlationData))) {
    run(&rows[cbid], data, *data->correlationData, now);
  }
}
