// SPDX-License-Identifier: Apache-2.0
/* GPU times: activity buffers become GPU_TIME records on the host's monotonic clock. See cupti_capture.h.
 *
 * CUPTI asks for buffers and hands them back from its own threads and from flushes. Its clock is not named in the
 * manual, so it is bracketed with CLOCK_MONOTONIC readings, again at each flush.
 *
 * Timing each node of a CUDA graph costs much when kernels are short (a third of a decode's time on an H200, of which a
 * part stays when it is switched off again: the graph keeps its instruments); one time for the whole graph costs next
 * to nothing. So graphs are timed as a whole, and the reader shares that out by the times of the same kernels outside
 * of graphs. EMUV_TRACE_GRAPH_NODES=1 in the environment (--graph-nodes) asks for measured times of nodes.
 *
 * Timing kernels is the larger half of what a traced launch costs (0.8 of 1.6 us in a decode on an H200).
 * EMUV_TRACE_SAMPLE_TIMES=1 in the environment (--sample-times) asks for the times of one window of 50 ms in four, and
 * of all launches for a while after a kernel was seen for the first time. */
#include "tracer/inject/cupti_capture.h"

#include <stdlib.h>
#include <string.h>

enum { BUFFER_BYTES = 1 << 20, BUFFER_ALIGN = 64, SPARE_BUFFERS = 8, AT_ONCE = 128 };

static const CUpti_ActivityKind kinds[] = {CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_MEMCPY,
                                           CUPTI_ACTIVITY_KIND_MEMSET, CUPTI_ACTIVITY_KIND_MEMCPY2,
                                           CUPTI_ACTIVITY_KIND_GRAPH_TRACE};
enum { KINDS = sizeof kinds / sizeof *kinds }; /* the last one: graphs as a whole */

enum { SAMPLED_TICKS = 4 };
#define HOLD_NS UINT64_C(500000000)

/* What is wanted, and when kernels are timed. The background thread changes `kernels`; arming and disarming may come
 * from others at the same time: the next tick puts right what then lies crosswise. */
static struct {
  bool sampled;
  atomic_bool armed, kernels;
  atomic_uint_fast64_t new_kernel_ns;
} timing;

/* Buffers that CUPTI has given back, zeroed. It asks for them in launching threads, which should neither wait for fresh
 * pages nor clear them. */
static struct {
  pthread_mutex_t lock;
  void *buffer[SPARE_BUFFERS];
  int n;
} spare = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *take_spare(void)
{
  pthread_mutex_lock(&spare.lock);
  void *memory = spare.n ? spare.buffer[--spare.n] : NULL;
  pthread_mutex_unlock(&spare.lock);
  return memory;
}

static void give_back(void *buffer)
{
  memset(buffer, 0, BUFFER_BYTES);
  pthread_mutex_lock(&spare.lock);
  const bool keep = spare.n < SPARE_BUFFERS;
  if (keep) spare.buffer[spare.n++] = buffer;
  pthread_mutex_unlock(&spare.lock);
  if (!keep) free(buffer);
}

static void CUPTIAPI give_buffer(uint8_t **buffer, size_t *bytes, size_t *max_records)
{
  void *memory = take_spare();
  *max_records = 0;
  if (!memory && posix_memalign(&memory, BUFFER_ALIGN, BUFFER_BYTES) == 0) memset(memory, 0, BUFFER_BYTES);
  *bytes = memory ? BUFFER_BYTES : 0;
  *buffer = memory;
}

static uint64_t to_monotonic(uint64_t cupti_ns)
{
  return (uint64_t)((int64_t)cupti_ns + atomic_load_explicit(&emuv_capture.clock_offset_ns, memory_order_relaxed));
}

struct times { /* of activities on their way to the writer */
  struct emuv_trace_gpu_time item[AT_ONCE];
  uint32_t n;
};

/* Only launches that are settled have numbers to be found. Times that cannot be right are counted and left
 * out, and so are those of calls that were not recorded. */
static void write_times(struct times *t)
{
  struct emuv_capture *const c = &emuv_capture;
  uint32_t good = 0;
  pthread_mutex_lock(&c->lock);
  emuv_pending_settle();
  for (uint32_t i = 0; i < t->n; i++) {
    struct emuv_trace_gpu_time *const r = &t->item[i];
    const bool bad = r->start_ns == 0 || r->end_ns < r->start_ns;
    r->correlation = emuv_correlations_resolve(&c->correlations, (uint32_t)r->correlation);
    c->bad_times += bad && r->correlation;
    r->start_ns = to_monotonic(r->start_ns);
    r->end_ns = to_monotonic(r->end_ns);
    if (!bad && r->correlation) t->item[good++] = *r;
  }
  pthread_mutex_unlock(&c->lock);
  emuv_trace_writer_gpu_times(c->writer, t->item, good);
  t->n = 0;
}

/* The structures grow at their ends from version to version: these fields lie alike in those of CUDA 12 and 13. */
#define ADD_TIME(t, type, activity)                                                                                    \
  do {                                                                                                                 \
    const type *a = (const type *)(const void *)(activity);                                                            \
    (t)->item[(t)->n++] = (struct emuv_trace_gpu_time){.correlation = a->correlationId,                                \
                                                       .graph_node = a->graphNodeId,                                   \
                                                       .start_ns = a->start,                                           \
                                                       .end_ns = a->end,                                               \
                                                       .stream = a->streamId};                                         \
  } while (0)

/* A graph as a whole: no node. The older structure begins alike. */
static void add_graph_time(struct times *t, const CUpti_ActivityGraphTrace2 *a)
{
  t->item[t->n++] = (struct emuv_trace_gpu_time){
      .correlation = a->correlationId, .start_ns = a->start, .end_ns = a->end, .stream = a->streamId};
}

static void add_time(struct times *t, const CUpti_Activity *activity)
{
  switch (activity->kind) {
  case CUPTI_ACTIVITY_KIND_KERNEL:
  case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: ADD_TIME(t, CUpti_ActivityKernel9, activity); break;
  case CUPTI_ACTIVITY_KIND_MEMCPY: ADD_TIME(t, CUpti_ActivityMemcpy5, activity); break;
  case CUPTI_ACTIVITY_KIND_MEMCPY2: ADD_TIME(t, CUpti_ActivityMemcpyPtoP4, activity); break;
  case CUPTI_ACTIVITY_KIND_MEMSET: ADD_TIME(t, CUpti_ActivityMemset4, activity); break;
  case CUPTI_ACTIVITY_KIND_GRAPH_TRACE: add_graph_time(t, (const void *)activity); break;
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
    struct times times;
    times.n = 0;
    while (valid && emuv_capture.api.cuptiActivityGetNextRecord(buffer, valid, &activity) == CUPTI_SUCCESS) {
      add_time(&times, activity);
      if (times.n == AT_ONCE) write_times(&times);
    }
    if (times.n) write_times(&times);
    count_dropped(context, stream);
    emuv_capture_leave();
  }
  if (buffer) give_back(buffer);
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
  const char *nodes = getenv("EMUV_TRACE_GRAPH_NODES");
  const bool by_node = nodes && strcmp(nodes, "1") == 0;
  int known = 0;
  for (int i = 0; i < (by_node ? KINDS - 1 : KINDS); i++)
    known += (on ? api->cuptiActivityEnable : api->cuptiActivityDisable)(kinds[i]) == CUPTI_SUCCESS;
  atomic_store(&timing.armed, on);
  atomic_store(&timing.kernels, on);
  return known;
}

void emuv_activity_new_kernel(void)
{
  atomic_store_explicit(&timing.new_kernel_ns, emuv_capture_now_ns(), memory_order_relaxed);
}

void emuv_activity_sample(unsigned int tick)
{
  const struct emuv_cupti_api *const api = &emuv_capture.api;
  if (!timing.sampled) return;
  const bool turn = tick % SAMPLED_TICKS == 0 || emuv_capture_now_ns() - atomic_load(&timing.new_kernel_ns) < HOLD_NS;
  const bool wanted = turn && atomic_load(&timing.armed);
  if (wanted == atomic_load(&timing.kernels)) return;
  (wanted ? api->cuptiActivityEnable : api->cuptiActivityDisable)(kinds[0]);
  atomic_store(&timing.kernels, wanted);
}

static void read_environment(void)
{
  const char *sample = getenv("EMUV_TRACE_SAMPLE_TIMES");
  timing.sampled = sample && strcmp(sample, "1") == 0;
  if (timing.sampled) emuv_trace_writer_environment(emuv_capture.writer, "kernel_times", "sampled, 1 of 4");
}

/* CUPTI need not clear the buffers. Versions that do not know this clear them again. */
static void promise_zeroed_buffers(void)
{
  uint8_t zeroed = 1;
  size_t bytes = sizeof zeroed;
  if (emuv_capture.api.cuptiActivitySetAttribute)
    emuv_capture.api.cuptiActivitySetAttribute(CUPTI_ACTIVITY_ATTR_ZEROED_OUT_ACTIVITY_BUFFER, &bytes, &zeroed);
}

int emuv_activity_start(void)
{
  promise_zeroed_buffers();
  read_environment();
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
