// SPDX-License-Identifier: Apache-2.0
/* What orders or frames the work: synchronisation, stream capture, profiler ranges; and calls that the capture does not
 * follow, which become GAP records with their names. See cupti_capture.h. */
#include "tracer/inject/cupti_capture.h"

static uint64_t number(const void *handle)
{
  return (uint64_t)(uintptr_t)handle;
}

static void sync_record(const struct emuv_call *call, enum emuv_trace_sync_kind kind, uint64_t stream, CUevent event)
{
  const struct emuv_trace_sync record = {.enter_ns = call->enter_ns,
                                         .exit_ns = call->exit_ns,
                                         .kind = kind,
                                         .tid = call->tid,
                                         .stream = stream,
                                         .event = number(event)};
  emuv_trace_writer_sync(emuv_capture.writer, &record);
}

void emuv_sync_stream(const struct emuv_call *call, const void *params)
{
  const cuStreamSynchronize_params *p = params;
  sync_record(call, EMUV_TRACE_SYNC_STREAM, emuv_device_stream(call, p->hStream), NULL);
}

void emuv_sync_event(const struct emuv_call *call, const void *params)
{
  const cuEventSynchronize_params *p = params;
  sync_record(call, EMUV_TRACE_SYNC_EVENT, 0, p->hEvent);
}

void emuv_sync_context(const struct emuv_call *call, const void *params)
{
  (void)params;
  sync_record(call, EMUV_TRACE_SYNC_CONTEXT, 0, NULL);
}

void emuv_sync_record(const struct emuv_call *call, const void *params)
{
  const cuEventRecord_params *p = params;
  if (!emuv_device_is_captured(p->hStream))
    sync_record(call, EMUV_TRACE_SYNC_EVENT_RECORD, emuv_device_stream(call, p->hStream), p->hEvent);
}

void emuv_sync_wait(const struct emuv_call *call, const void *params)
{
  const cuStreamWaitEvent_params *p = params;
  if (!emuv_device_is_captured(p->hStream))
    sync_record(call, EMUV_TRACE_SYNC_STREAM_WAIT, emuv_device_stream(call, p->hStream), p->hEvent);
}

void emuv_capture_begin(const struct emuv_call *call, const void *params)
{
  (void)call, (void)params;
  atomic_fetch_add(&emuv_capture.capturing, 1);
}

void emuv_capture_end(const struct emuv_call *call, const void *params)
{
  (void)call, (void)params;
  if (atomic_load(&emuv_capture.capturing) > 0) atomic_fetch_sub(&emuv_capture.capturing, 1);
}

void emuv_profiler_range(const struct emuv_call *call, const void *params)
{
  (void)params;
  const struct emuv_trace_range record = {.ns = call->exit_ns, .kind = call->arg, .tid = call->tid};
  if (call->arg == EMUV_TRACE_RANGE_PROFILER_START) emuv_recording_profiler(true);
  if (emuv_recording_now()) emuv_trace_writer_range(emuv_capture.writer, &record);
  if (call->arg == EMUV_TRACE_RANGE_PROFILER_STOP) emuv_recording_profiler(false);
}

void emuv_unsupported(const struct emuv_call *call, const void *params)
{
  (void)params;
  struct emuv_trace_writer *const w = emuv_capture.writer;
  const struct emuv_trace_gap record = {.ns = call->exit_ns,
                                        .why = EMUV_TRACE_GAP_UNSUPPORTED,
                                        .text = emuv_trace_writer_string(w, call->data->functionName),
                                        .count = 1};
  emuv_trace_writer_gap(w, &record);
}
