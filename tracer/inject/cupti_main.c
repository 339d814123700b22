// SPDX-License-Identifier: Apache-2.0
/* Entry, life and end of the capture. See cupti_capture.h.
 *
 * The CUDA driver loads the library named in CUDA_INJECTION64_PATH inside cuInit and calls InitializeInjection. The
 * capture ends in an exit handler, and never when the process is killed: then the file ends with the last flush. */
#include "tracer/inject/cupti_capture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { TICK_MS = 50, FLUSH_TICKS = 3, CLOCK_TRIES_FIRST = 200, CLOCK_TRIES = 10 };

struct emuv_capture emuv_capture = {.lock = PTHREAD_MUTEX_INITIALIZER};

static atomic_bool awake; /* the program has made a driver call: CUDA is up */
static uint64_t clock_width_ns;

static void on_resource(CUpti_CallbackId cbid, const void *data)
{
  if (cbid == CUPTI_CBID_RESOURCE_MODULE_UNLOAD_STARTING)
    emuv_kernels_forget();
  else if (cbid == CUPTI_CBID_RESOURCE_STREAM_DESTROY_STARTING)
    emuv_device_forget_streams();
  else if (cbid == CUPTI_CBID_RESOURCE_GRAPHNODE_CLONED)
    emuv_graph_node_cloned(data);
}

/* CUPTI's clock is not asked for while the driver is still starting, which is when the library is loaded. */
static void wake_up(void)
{
  if (atomic_load_explicit(&awake, memory_order_relaxed)) return;
  clock_width_ns = emuv_activity_set_clock(CLOCK_TRIES_FIRST);
  atomic_store(&awake, true);
}

static void CUPTIAPI on_callback(void *user, CUpti_CallbackDomain domain, CUpti_CallbackId cbid, const void *data)
{
  (void)user;
  if (domain == CUPTI_CB_DOMAIN_DRIVER_API && emuv_calls_enter(cbid, data)) return;
  if (!emuv_capture_enter()) return;
  if (domain == CUPTI_CB_DOMAIN_DRIVER_API) {
    wake_up();
    emuv_calls_dispatch(cbid, data);
  } else if (domain == CUPTI_CB_DOMAIN_RESOURCE) {
    on_resource(cbid, data);
  }
  emuv_capture_leave();
}

/* Launches are settled often, so that the log stays in the caches; the file grows every 150 ms. */
static void tick(void)
{
  static unsigned int ticks;
  emuv_recording_tick();
  if (!atomic_load(&awake)) return;
  const bool flush = ++ticks % FLUSH_TICKS == 0;
  emuv_activity_sample(ticks);
  if (flush) emuv_activity_flush(false);
  if (!emuv_capture_enter()) return;
  emuv_pending_settle_slowly();
  if (flush) emuv_trace_writer_flush(emuv_capture.writer, NULL);
  if (flush) emuv_activity_set_clock(CLOCK_TRIES);
  emuv_capture_leave();
}

static void write_summary(void)
{
  const struct emuv_capture *const c = &emuv_capture;
  emuv_injected_fact(c->writer, "capture_clock_width_ns", clock_width_ns);
  emuv_injected_fact(c->writer, "capture_nested_correlations", c->correlations.nested);
  emuv_injected_fact(c->writer, "capture_unknown_correlations", c->correlations.unknown);
  emuv_injected_gap(c->writer, EMUV_TRACE_GAP_TIMESTAMP, "GPU times that cannot be right", c->bad_times);
  emuv_injected_gap(c->writer, EMUV_TRACE_GAP_UNSUPPORTED, "allocation over one whose free was not seen", c->displaced);
}

/* The program is not waited for: launches that the device has not finished have no times. */
static void close_trace(enum emuv_trace_status status, const char *text)
{
  emuv_injected_stop_ticking();
  emuv_activity_set_clock(CLOCK_TRIES);
  emuv_activity_stop();
  emuv_capture.api.cuptiUnsubscribe(emuv_capture.subscriber);
  if (!emuv_injected_turn_off()) return;
  struct emuv_err err = {0};
  pthread_mutex_lock(&emuv_capture.lock);
  emuv_pending_settle();
  pthread_mutex_unlock(&emuv_capture.lock);
  write_summary();
  if (emuv_trace_writer_close(emuv_capture.writer, status, emuv_injected_exit_status(), text, &err))
    emuv_capture_say("%s: %s", emuv_injected_path(), err.text);
}

static void finish(void)
{
  emuv_recording_stop();
  if (emuv_injected_is_on()) close_trace(EMUV_TRACE_STATUS_COMPLETE, NULL);
}

static void end_of_duration(void)
{
  if (emuv_injected_is_on()) close_trace(EMUV_TRACE_STATUS_STOPPED, "the duration ended");
}

static void arm(bool on)
{
  emuv_calls_enable_work(emuv_capture.subscriber, on);
  if (emuv_activity_enable(on) == 0 && on)
    emuv_injected_gap(emuv_capture.writer, EMUV_TRACE_GAP_TIMESTAMP, "no activity records: GPU times are missing", 1);
}

static void write_process(void)
{
  uint32_t cupti = 0;
  emuv_injected_describe(emuv_capture.writer);
  if (emuv_capture.api.cuptiGetVersion(&cupti) == CUPTI_SUCCESS)
    emuv_injected_fact(emuv_capture.writer, "cupti_version", cupti);
}

/* Someone else holds CUPTI, or it does not work here: the trace says so and ends. */
static void give_up(const char *what, CUptiResult rc)
{
  const char *text = NULL;
  emuv_capture.api.cuptiGetResultString(rc, &text);
  emuv_capture_say("%s: %s%s; running without a trace", what, text ? text : "unknown error",
                   rc == CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED ? " (another tool in this process holds CUPTI)"
                                                                        : "");
  emuv_injected_gap(emuv_capture.writer, EMUV_TRACE_GAP_SUBSCRIBER, text ? text : "CUPTI", 1);
  emuv_trace_writer_close(emuv_capture.writer, EMUV_TRACE_STATUS_STOPPED, 0, text, NULL);
}

static int subscribe(void)
{
  const struct emuv_cupti_api *const api = &emuv_capture.api;
  const CUptiResult rc = api->cuptiSubscribe(&emuv_capture.subscriber, on_callback, NULL);
  if (rc != CUPTI_SUCCESS) {
    give_up("cuptiSubscribe", rc);
    return EMUV_ERR_BUSY;
  }
  emuv_calls_enable(emuv_capture.subscriber);
  api->cuptiEnableCallback(1, emuv_capture.subscriber, CUPTI_CB_DOMAIN_RESOURCE,
                           CUPTI_CBID_RESOURCE_MODULE_UNLOAD_STARTING);
  api->cuptiEnableCallback(1, emuv_capture.subscriber, CUPTI_CB_DOMAIN_RESOURCE,
                           CUPTI_CBID_RESOURCE_STREAM_DESTROY_STARTING);
  api->cuptiEnableCallback(1, emuv_capture.subscriber, CUPTI_CB_DOMAIN_RESOURCE, CUPTI_CBID_RESOURCE_GRAPHNODE_CLONED);
  if (emuv_activity_start())
    emuv_injected_gap(emuv_capture.writer, EMUV_TRACE_GAP_TIMESTAMP, "no activity records: GPU times are missing", 1);
  emuv_recording_configure();
  emuv_capture.correlations.strict = emuv_window_is_set(&emuv_recording);
  emuv_recording_begin(emuv_capture.writer, arm, end_of_duration);
  return 0;
}

static void start(void)
{
  const char *wanted = getenv("EMUV_TRACE_OUTPUT");
  struct emuv_err err = {0};
  if (!wanted || !*wanted) return;
  if (emuv_cupti_load(&emuv_capture.api, &err)) {
    emuv_capture_say("%s; running without a trace%s%s", err.text, err.hint[0] ? ". " : "", err.hint);
    return;
  }
  if (emuv_injected_open(&emuv_capture.writer)) return;
  write_process();
  emuv_blocks_open();
  if (subscribe()) return;
  emuv_injected_begin(emuv_capture.writer, tick, TICK_MS, finish);
}

int InitializeInjection(void);

/* Called by the driver, once per process, maybe again by others; 1 means that the program goes on. */
__attribute__((visibility("default"))) int InitializeInjection(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, start);
  return 1;
}
