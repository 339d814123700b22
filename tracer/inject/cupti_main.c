// SPDX-License-Identifier: Apache-2.0
/* Entry, life and end of the capture. See cupti_capture.h.
 *
 * The CUDA driver loads the library named in CUDA_INJECTION64_PATH inside cuInit and calls InitializeInjection. The
 * environment says where the trace goes: EMUV_TRACE_OUTPUT (a file; the first process of a tree gets it, others get
 * their pid into the name), EMUV_TRACE_MAX_BYTES. The capture ends in an exit handler, and never when the process is
 * killed: then the file ends with the last flush. */
#include "tracer/inject/cupti_capture.h"

#include "emuv_version.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { FLUSH_MS = 200, CLOCK_TRIES_FIRST = 200, CLOCK_TRIES = 10, CLOSE_WAIT_MS = 1000 };

struct emuv_capture emuv_capture = {.lock = PTHREAD_MUTEX_INITIALIZER};

static atomic_bool on;    /* records are taken */
static atomic_bool awake; /* the program has made a driver call: CUDA is up */
static atomic_int users;  /* callbacks that are using the capture */
static char trace_path[PATH_MAX];
static uint64_t clock_width_ns;
static struct {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  bool started, stop;
} flusher = {.lock = PTHREAD_MUTEX_INITIALIZER};

uint64_t emuv_capture_now_ns(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint32_t emuv_capture_tid(void)
{
  static _Thread_local uint32_t tid;
  if (!tid) tid = (uint32_t)syscall(SYS_gettid);
  return tid;
}

void emuv_capture_say(const char *fmt, ...)
{
  char text[512];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  fprintf(stderr, "emuv-trace: %s\n", text);
}

bool emuv_capture_enter(void)
{
  atomic_fetch_add(&users, 1);
  if (atomic_load(&on)) return true;
  atomic_fetch_sub(&users, 1);
  return false;
}

void emuv_capture_leave(void)
{
  atomic_fetch_sub(&users, 1);
}

static void on_resource(CUpti_CallbackId cbid)
{
  if (cbid == CUPTI_CBID_RESOURCE_MODULE_UNLOAD_STARTING)
    emuv_kernels_forget();
  else if (cbid == CUPTI_CBID_RESOURCE_STREAM_DESTROY_STARTING)
    emuv_device_forget_streams();
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
  if (!emuv_capture_enter()) return;
  if (domain == CUPTI_CB_DOMAIN_DRIVER_API) {
    wake_up();
    emuv_calls_dispatch(cbid, data);
  } else if (domain == CUPTI_CB_DOMAIN_RESOURCE) {
    on_resource(cbid);
  }
  emuv_capture_leave();
}

/* Flushes until told to stop; true when it is time to flush. */
static bool wait_for_tick(void)
{
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += FLUSH_MS * 1000000L;
  until.tv_sec += until.tv_nsec / 1000000000L;
  until.tv_nsec %= 1000000000L;
  pthread_mutex_lock(&flusher.lock);
  int rc = 0;
  while (!flusher.stop && rc != ETIMEDOUT) rc = pthread_cond_timedwait(&flusher.wake, &flusher.lock, &until);
  const bool go_on = !flusher.stop;
  pthread_mutex_unlock(&flusher.lock);
  return go_on;
}

static void *flush_often(void *unused)
{
  (void)unused;
  while (wait_for_tick()) {
    if (!atomic_load(&awake)) continue;
    emuv_activity_flush(false);
    if (!emuv_capture_enter()) break;
    emuv_trace_writer_flush(emuv_capture.writer, NULL);
    emuv_activity_set_clock(CLOCK_TRIES);
    emuv_capture_leave();
  }
  return NULL;
}

/* The program's signals are not for this thread. */
static void start_flusher(void)
{
  pthread_condattr_t attributes;
  sigset_t all, before;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&flusher.wake, &attributes);
  pthread_condattr_destroy(&attributes);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  flusher.started = pthread_create(&flusher.thread, NULL, flush_often, NULL) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop_flusher(void)
{
  if (!flusher.started) return;
  pthread_mutex_lock(&flusher.lock);
  flusher.stop = true;
  pthread_cond_signal(&flusher.wake);
  pthread_mutex_unlock(&flusher.lock);
  pthread_join(flusher.thread, NULL);
}

static void fact_number(const char *key, uint64_t value)
{
  char text[32];
  snprintf(text, sizeof text, "%" PRIu64, value);
  emuv_trace_writer_environment(emuv_capture.writer, key, text);
}

static void write_gap(enum emuv_trace_gap_why why, const char *text, uint64_t count)
{
  struct emuv_trace_writer *const w = emuv_capture.writer;
  const struct emuv_trace_gap record = {
      .ns = emuv_capture_now_ns(), .why = why, .text = emuv_trace_writer_string(w, text), .count = count};
  if (count) emuv_trace_writer_gap(w, &record);
}

static void write_summary(void)
{
  const struct emuv_capture *const c = &emuv_capture;
  fact_number("capture_clock_width_ns", clock_width_ns);
  fact_number("capture_nested_correlations", c->correlations.nested);
  fact_number("capture_unknown_correlations", c->correlations.unknown);
  write_gap(EMUV_TRACE_GAP_TIMESTAMP, "GPU times that cannot be right", c->bad_times);
  write_gap(EMUV_TRACE_GAP_UNSUPPORTED, "allocation over one whose free was not seen", c->displaced);
  write_gap(EMUV_TRACE_GAP_UNSUPPORTED, "calls recorded into CUDA graphs", c->captured_calls);
}

/* Turns callbacks away and waits for those inside; a callback that never returns costs the verdict, not the program. */
static bool turn_off(void)
{
  atomic_store(&on, false);
  for (int ms = 0; ms < CLOSE_WAIT_MS && atomic_load(&users) > 0; ms++) {
    const struct timespec pause = {.tv_nsec = 1000000};
    nanosleep(&pause, NULL);
  }
  return atomic_load(&users) == 0;
}

static void finish(void)
{
  if (!atomic_load(&on)) return;
  stop_flusher();
  emuv_activity_set_clock(CLOCK_TRIES);
  emuv_activity_stop();
  emuv_capture.api.cuptiUnsubscribe(emuv_capture.subscriber);
  if (!turn_off()) return;
  struct emuv_err err = {0};
  write_summary();
  if (emuv_trace_writer_close(emuv_capture.writer, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, &err))
    emuv_capture_say("%s: %s", trace_path, err.text);
}

static void in_child(void)
{
  if (!atomic_exchange(&on, false)) return;
  emuv_trace_writer_disown(emuv_capture.writer);
}

/* The first process that takes the name gets it; the others put their pid before the extension. */
static int claim_path(const char *wanted, char path[PATH_MAX])
{
  const int fd = open(wanted, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  if (fd >= 0) {
    close(fd);
    return snprintf(path, PATH_MAX, "%s", wanted) < PATH_MAX ? 0 : EMUV_ERR_RANGE;
  }
  if (errno != EEXIST) return EMUV_ERR_IO;
  const char *dot = strrchr(wanted, '.'), *slash = strrchr(wanted, '/');
  const int stem = (int)(dot && dot > slash ? dot - wanted : (ptrdiff_t)strlen(wanted));
  const int n = snprintf(path, PATH_MAX, "%.*s.%ld%s", stem, wanted, (long)getpid(), wanted + stem);
  return n < PATH_MAX ? 0 : EMUV_ERR_RANGE;
}

static int open_writer(const char *wanted)
{
  const char *limit = getenv("EMUV_TRACE_MAX_BYTES");
  const struct emuv_trace_writer_options options = {.max_bytes = limit ? strtoull(limit, NULL, 10) : 0};
  struct emuv_err err = {0};
  if (claim_path(wanted, trace_path)) {
    emuv_capture_say("%s cannot be created (%s): running without a trace", wanted, strerror(errno));
    return EMUV_ERR_IO;
  }
  const int rc = emuv_trace_writer_open(&emuv_capture.writer, trace_path, &options, &err);
  if (rc) emuv_capture_say("%s: running without a trace", err.text);
  return rc;
}

/* argv as the kernel keeps it, NULs turned into blanks. */
static void read_command(char *text, size_t size)
{
  text[0] = '\0';
  FILE *file = fopen("/proc/self/cmdline", "re");
  if (!file) return;
  const size_t n = fread(text, 1, size - 1, file);
  fclose(file);
  for (size_t i = 0; i + 1 < n; i++)
    if (text[i] == '\0') text[i] = ' ';
  text[n] = '\0';
}

static void write_process(void)
{
  struct emuv_trace_writer *const w = emuv_capture.writer;
  char command[4096], executable[PATH_MAX] = "";
  uint32_t cupti = 0;
  read_command(command, sizeof command);
  const ssize_t n = readlink("/proc/self/exe", executable, sizeof executable - 1);
  if (n > 0) executable[n] = '\0';
  const struct emuv_trace_process record = {.ns = emuv_capture_now_ns(),
                                            .pid = (uint32_t)getpid(),
                                            .parent = (uint32_t)getppid(),
                                            .command = emuv_trace_writer_string(w, command),
                                            .executable = emuv_trace_writer_string(w, executable)};
  emuv_trace_writer_process(w, &record);
  emuv_trace_writer_environment(w, "emuv_version", EMUV_VERSION "-" EMUV_GIT_REVISION);
  if (emuv_capture.api.cuptiGetVersion(&cupti) == CUPTI_SUCCESS) fact_number("cupti_version", cupti);
  fact_number("realtime_at_start_s", (uint64_t)time(NULL));
}

/* Someone else holds CUPTI, or it does not work here: the trace says so and ends. */
static void give_up(const char *what, CUptiResult rc)
{
  const char *text = NULL;
  emuv_capture.api.cuptiGetResultString(rc, &text);
  emuv_capture_say("%s: %s%s; running without a trace", what, text ? text : "unknown error",
                   rc == CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED ? " (another tool in this process holds CUPTI)"
                                                                        : "");
  write_gap(EMUV_TRACE_GAP_SUBSCRIBER, text ? text : "CUPTI", 1);
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
  if (emuv_activity_start()) write_gap(EMUV_TRACE_GAP_TIMESTAMP, "no activity records: GPU times are missing", 1);
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
  if (open_writer(wanted)) return;
  write_process();
  emuv_blocks_open();
  if (subscribe()) return;
  atomic_store(&on, true);
  pthread_atfork(NULL, NULL, in_child);
  start_flusher();
  atexit(finish);
}

int InitializeInjection(void);

/* Called by the driver, once per process, maybe again by others; 1 means that the program goes on. */
__attribute__((visibility("default"))) int InitializeInjection(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, start);
  return 1;
}
