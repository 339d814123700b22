// SPDX-License-Identifier: Apache-2.0
/* Entry, life and end of the capture of pages. See sanitizer_capture.h.
 *
 * The CUDA driver loads the library named in CUDA_INJECTION64_PATH inside cuInit and calls InitializeInjection.
 * EMUV_TRACE_PAGES says how large a page is. The capture ends in an exit handler. */
#include "tracer/inject/sanitizer_capture.h"

#include <pthread.h>
#include <stdlib.h>

enum { TICK_MS = 2, TICKS_PER_FLUSH = 100, DEFAULT_SHIFT = 16 };

struct emuv_sanitizer emuv_sanitizer = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_synchronize(Sanitizer_CallbackId id, const Sanitizer_SynchronizeData *d)
{
  struct emuv_sanitizer_context *const c = emuv_sanitizer_context(d->context);
  if (c) emuv_sanitizer_complete(c, d->hStream, id == SANITIZER_CBID_SYNCHRONIZE_CONTEXT_SYNCHRONIZED);
}

static void SANITIZERAPI on_callback(void *user, Sanitizer_CallbackDomain domain, Sanitizer_CallbackId id,
                                     const void *data)
{
  (void)user;
  if (!emuv_capture_enter()) return;
  if (domain == SANITIZER_CB_DOMAIN_LAUNCH && id == SANITIZER_CBID_LAUNCH_BEGIN)
    emuv_sanitizer_on_launch(data, 0, 0);
  else if (domain == SANITIZER_CB_DOMAIN_RESOURCE)
    emuv_sanitizer_on_resource(id, data);
  else if (domain == SANITIZER_CB_DOMAIN_SYNCHRONIZE)
    on_synchronize(id, data);
  else if (domain == SANITIZER_CB_DOMAIN_MEMCPY && id == SANITIZER_CBID_MEMCPY_STARTING)
    emuv_sanitizer_on_copy(data, 0);
  else if (domain == SANITIZER_CB_DOMAIN_MEMSET && id == SANITIZER_CBID_MEMSET_STARTING)
    emuv_sanitizer_on_set(data, 0);
  else if (domain == SANITIZER_CB_DOMAIN_GRAPHS && id == SANITIZER_CBID_GRAPHS_NODE_LAUNCH_BEGIN)
    emuv_sanitizer_on_node(data);
  emuv_capture_leave();
}

static void tick(void)
{
  static unsigned ticks;
  if (!emuv_capture_enter()) return;
  emuv_sanitizer_drain();
  if (++ticks % TICKS_PER_FLUSH == 0) emuv_trace_writer_flush(emuv_sanitizer.writer, NULL);
  emuv_capture_leave();
}

static void write_summary(void)
{
  struct emuv_sanitizer *const s = &emuv_sanitizer;
  const struct emuv_trace_drop drop = {.ns = emuv_capture_now_ns(),
                                       .count = emuv_sanitizer_dropped(),
                                       .text = emuv_trace_writer_string(s->writer, "the log of pages was full")};
  emuv_pages_queue_close(&s->queue, emuv_sanitizer_kernel_name);
  if (drop.count) emuv_trace_writer_drop(s->writer, &drop);
  emuv_injected_fact(s->writer, "capture_log_overflows", s->overflows);
  emuv_injected_gap(s->writer, EMUV_TRACE_GAP_UNSEEN, "modules that could not be patched", s->unpatched_modules);
  emuv_injected_gap(s->writer, EMUV_TRACE_GAP_UNSEEN, "contexts without a map of pages", s->contexts_failed);
}

static void finish(void)
{
  struct emuv_sanitizer *const s = &emuv_sanitizer;
  if (!emuv_injected_is_on()) return;
  emuv_sanitizer_complete_all();
  emuv_injected_stop_ticking();
  if (!emuv_injected_turn_off()) return;
  emuv_sanitizer_drain();
  struct emuv_err err = {0};
  write_summary();
  if (emuv_trace_writer_close(s->writer, EMUV_TRACE_STATUS_COMPLETE, emuv_injected_exit_status(), NULL, &err))
    emuv_capture_say("%s: %s", emuv_injected_path(), err.text);
}

/* Somebody else holds the API, or it does not work with this driver: the trace says so and ends. */
static int give_up(const char *what, SanitizerResult rc)
{
  const char *text = NULL;
  emuv_sanitizer.api.sanitizerGetResultString(rc, &text);
  emuv_capture_say("%s: %s; running without a trace", what, text ? text : "unknown error");
  emuv_injected_gap(emuv_sanitizer.writer, EMUV_TRACE_GAP_SUBSCRIBER, text ? text : "Sanitizer", 1);
  emuv_trace_writer_close(emuv_sanitizer.writer, EMUV_TRACE_STATUS_STOPPED, 0, text, NULL);
  return EMUV_ERR_BUSY;
}

static int subscribe(void)
{
  static const Sanitizer_CallbackDomain domains[] = {SANITIZER_CB_DOMAIN_RESOURCE, SANITIZER_CB_DOMAIN_SYNCHRONIZE,
                                                     SANITIZER_CB_DOMAIN_LAUNCH,   SANITIZER_CB_DOMAIN_MEMCPY,
                                                     SANITIZER_CB_DOMAIN_MEMSET,   SANITIZER_CB_DOMAIN_GRAPHS};
  struct emuv_sanitizer *const s = &emuv_sanitizer;
  SanitizerResult rc = s->api.sanitizerSubscribe(&s->subscriber, on_callback, NULL);
  if (rc != SANITIZER_SUCCESS) return give_up("sanitizerSubscribe", rc);
  for (size_t i = 0; i < sizeof domains / sizeof *domains && rc == SANITIZER_SUCCESS; i++)
    rc = s->api.sanitizerEnableDomain(1, s->subscriber, domains[i]);
  if (rc == SANITIZER_SUCCESS) return 0;
  s->api.sanitizerUnsubscribe(s->subscriber);
  return give_up("sanitizerEnableDomain", rc);
}

static unsigned page_shift(void)
{
  const char *text = getenv("EMUV_TRACE_PAGES");
  const unsigned long long bytes = text ? strtoull(text, NULL, 10) : 0;
  for (unsigned shift = EMUV_PAGES_SHIFT_MIN; shift <= EMUV_PAGES_SHIFT_MAX; shift++)
    if (bytes == 1ull << shift) return shift;
  return DEFAULT_SHIFT;
}

static void start(void)
{
  struct emuv_sanitizer *const s = &emuv_sanitizer;
  const char *wanted = getenv("EMUV_TRACE_OUTPUT");
  struct emuv_err err = {0};
  if (!wanted || !*wanted) return;
  if (emuv_sanitizer_load(&s->api, &err)) {
    emuv_capture_say("%s; running without a trace%s%s", err.text, err.hint[0] ? ". " : "", err.hint);
    return;
  }
  if (emuv_injected_open(&s->writer)) return;
  s->shift = page_shift();
  emuv_pages_queue_open(&s->queue, s->writer, s->shift);
  emuv_injected_describe(s->writer);
  emuv_injected_fact(s->writer, "page_bytes", UINT64_C(1) << s->shift);
  if (subscribe()) return;
  emuv_injected_begin(s->writer, tick, TICK_MS, finish);
}

int InitializeInjection(void);

/* Called by the driver, once per process, maybe again by others; 1 means that the program goes on. */
__attribute__((visibility("default"))) int InitializeInjection(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, start);
  return 1;
}
