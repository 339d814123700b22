// SPDX-License-Identifier: Apache-2.0
/* GPU times: activity buffers become GPU_TIME records on the host's monotonic clock. See cupti_capture.h.
 *
 * CUPTI asks for buffers and hands them back from its own threads and from flushes. Its clock is not named in the
 * manual, so it is bracketed with CLOCK_MONOTONIC readings, again at each flush. */
#include "tracer/inject/cupti_capture.h"

#include <stdio.h>
#include <stdlib.h>

enum { BUFFER_BYTES = 1 << 20, BUFFER_ALIGN = 8 };

static const CUpti_ActivityKind kinds[] = {CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_MEMCPY,
                                           CUPTI_ACTIVITY_KIND_MEMSET, CUPTI_ACTIVITY_KIND_MEMCPY2};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void CUPTIAPI give_buffer(uint8_t **buffer, size_t *bytes, size_t *max_records)
{
  void *memory = NULL;
  *max_records = 0;
  *bytes = posix_memalign(&memory, BUFFER_ALIGN, BUFFER_BYTES) == 0 ? BUFFER_BYTES : 0;
  *buffer = memory;
}

static uint64_t to_monotonic(uint64_t cupti_ns)
{
  return (uint64_t)((int64_t)cupti_ns + atomic_load_explicit(&emuv_capture.clock_offset_ns, memory_order_relaxed));
}

struct gpu_time { /* what the three kinds of activity have in common */
  uint32_t correlation, stream;
  uint64_t graph_node, start, end;
};

static void write_time(const struct gpu_time *t)
{
  struct emuv_capture *const c = &emuv_capture;
  const bool bad = t->start == 0 || t->end < t->start;
  pthread_mutex_lock(&c->lock);
  const uint64_t correlation = emuv_correlations_resolve(&c->correlations, t->correlation);
  c->bad_times += bad && correlation;
  pthread_mutex_unlock(&c->lock);
  if (bad || !correlation) return;
  const struct emuv_trace_gpu_time record = {.correlation = correlation,
                                             .graph_node = t->graph_node,
                                             .start_ns = to_monotonic(t->start),
                                             .end_ns = to_monotonic(t->end),
                                             .stream = t->stream};
  emuv_trace_writer_gpu_time(c->writer, &record);
}

/* The structures grow at their ends from version to version: these fields lie alike in those of CUDA 12 and 13. */
#define WRITE_TIME(type, activity)                                                                                     \
  do {                                                                                                                 \
    const type *a = (const type *)(const void *)(activity);                                                            \
    write_time(&(struct gpu_time){a->correlationId, a->streamId, a->graphNodeId, a->start, a->end});                   \
  } while (0)

static void handle(const CUpti_Activity *activity)
{
  switch (activity->kind) {
  case CUPTI_ACTIVITY_KIND_KERNEL:
  case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: WRITE_TIME(CUpti_ActivityKernel9, activity); break;
  case CUPTI_ACTIVITY_KIND_MEMCPY: WRITE_TIME(CUpti_ActivityMemcpy5, activity); break;
  case CUPTI_ACTIVITY_KIND_MEMCPY2: WRITE_TIME(CUpti_ActivityMemcpyPtoP4, activity); break;
  case CUPTI_ACTIVITY_KIND_MEMSET: WRITE_TIME(CUpti_ActivityMemset4, activity); break;
  default: break;
  }
}

static void count_dropped(CUcontext context, uint32_t stream)
{
  size_t dropped = 0;
  struct emuv_trace_writer *const w = emuv_capture.writer;
  if (emuv_capture.api.cuptiActivityGetNumDroppedRecords(context, stream, &dropped) != CUPTI_SUCCESS || !dropped)
    return;
  const struct emuv_trace_drop record = {.ns = emuv_capture_now_ns(),
                                         .count = dropped,
                                         .what = EMUV_TRACE_GPU_TIME,
                                         .text = emuv_trace_writer_string(w, "CUPTI had no buffer")};
  emuv_trace_writer_drop(w, &record);
}

static void CUPTIAPI take_buffer(CUcontext context, uint32_t stream, uint8_t *buffer, size_t bytes, size_t valid)
{
  (void)bytes;
  CUpti_Activity *activity = NULL;
  if (emuv_capture_enter()) {
    while (valid && emuv_capture.api.cuptiActivityGetNextRecord(buffer, valid, &activity) == CUPTI_SUCCESS)
      handle(activity);
    count_dropped(context, stream);
    emuv_capture_leave();
  }
  free(buffer);
}

uint64_t emuv_activity_set_clock(int tries)
{
  uint64_t best = UINT64_MAX, cupti = 0;
  int64_t offset = 0;
  for (int i = 0; i < tries; i++) {
    const uint64_t before = emuv_capture_now_ns();
    if (emuv_capture.api.cuptiGetTimestamp(&cupti) != CUPTI_SUCCESS) return UINT64_MAX;
    const uint64_t after = emuv_capture_now_ns();
    if (after - before >= best) continue;
    best = after - before;
    offset = (int64_t)(before + best / 2) - (int64_t)cupti;
  }
  atomic_store_explicit(&emuv_capture.clock_offset_ns, offset, memory_order_relaxed);
  return best;
}

int emuv_activity_enable(bool on)
{
  const struct emuv_cupti_api *const api = &emuv_capture.api;
  int known = 0;
  for (int i = 0; i < KINDS; i++)
    known += (on ? api->cuptiActivityEnable : api->cuptiActivityDisable)(kinds[i]) == CUPTI_SUCCESS;
  return known;
}

int emuv_activity_start(void)
{
  return emuv_capture.api.cuptiActivityRegisterCallbacks(give_buffer, take_buffer) == CUPTI_SUCCESS
             ? 0
             : EMUV_ERR_UNSUPPORTED;
}

void emuv_activity_flush(bool forced)
{
  emuv_capture.api.cuptiActivityFlushAll(forced ? CUPTI_ACTIVITY_FLAG_FLUSH_FORCED : 0);
}

void emuv_activity_stop(void)
{
  emuv_activity_enable(false);
  emuv_activity_flush(true);
}
