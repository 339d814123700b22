// SPDX-License-Identifier: Apache-2.0
/* See recording.h. */
#include "tracer/inject/recording.h"

#include "runtime/core/units.h"
#include "tracer/inject/inject.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#define SETTLE_NS UINT64_C(1000000000) /* a pause of this length disarms */
#define LINGER_NS UINT64_C(500000000)  /* after the duration: times of work that the device still does come in */

struct emuv_window emuv_recording;

static struct {
  pthread_mutex_t lock;
  pthread_cond_t wake;
  pthread_t thread;
  void (*arm)(bool on);
  void (*end)(void);
  uint64_t paused_ns; /* since when; 0: recording, or never did */
  bool begun, armed, started, stop;
} keeper = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local struct emuv_window_thread mine;

/* In a forked child. Another thread may have held the lock; its own capture, if it has one, begins anew; that of its
 * parent is off. */
static void in_child(void)
{
  pthread_mutex_init(&keeper.lock, NULL);
  keeper.started = keeper.begun = false;
  keeper.arm = NULL;
}

static void read_environment(void)
{
  emuv_window_from_environment(&emuv_recording);
  pthread_atfork(NULL, NULL, in_child);
}

void emuv_recording_configure(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, read_environment);
}

/* The lock is held. The library is armed before the flag says that it records. */
static void update(uint64_t now_ns)
{
  const bool was = emuv_recording_now(), wanted = emuv_window_wants(&emuv_recording, now_ns);
  if (wanted && !keeper.armed && keeper.arm) {
    keeper.arm(true);
    keeper.armed = true;
  }
  emuv_window_update(&emuv_recording, now_ns);
  if (was != wanted) keeper.paused_ns = wanted ? 0 : now_ns;
  if (!was && wanted && keeper.started) pthread_cond_signal(&keeper.wake);
}

/* ---- times ---- */

/* Until the time, or for ever when it is 0, or until something happens. False when the time has come. */
static bool wait_until(uint64_t ns)
{
  const struct timespec until = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
  return (ns ? pthread_cond_timedwait(&keeper.wake, &keeper.lock, &until)
             : pthread_cond_wait(&keeper.wake, &keeper.lock)) != ETIMEDOUT;
}

static void *keep_time(void *unused)
{
  (void)unused;
  pthread_mutex_lock(&keeper.lock);
  while (!keeper.stop && !emuv_recording.over) {
    const uint64_t now = emuv_capture_now_ns();
    update(now);
    if (!emuv_recording.over) wait_until(emuv_window_next_ns(&emuv_recording, now));
  }
  const uint64_t late = emuv_capture_now_ns() + LINGER_NS;
  while (!keeper.stop && wait_until(late)) continue;
  const bool over = emuv_recording.over;
  if (over) keeper.arm = NULL;
  pthread_mutex_unlock(&keeper.lock);
  if (over) keeper.end();
  return NULL;
}

/* The program's signals are not for this thread. */
static void start_thread(void)
{
  pthread_condattr_t attributes;
  sigset_t all, before;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&keeper.wake, &attributes);
  pthread_condattr_destroy(&attributes);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  keeper.started = pthread_create(&keeper.thread, NULL, keep_time, NULL) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!keeper.started) emuv_capture_say("no thread for --start-after and --duration: they do not hold");
}

/* The window in words, for whoever reads the trace. */
static void describe(struct emuv_trace_writer *w)
{
  const struct emuv_window *const r = &emuv_recording;
  const uint64_t now = emuv_capture_now_ns();
  char text[EMUV_WINDOW_NAME + 128], range[EMUV_WINDOW_NAME + 32] = "", start[64] = "", end[64] = "", time[32];
  if (!emuv_window_is_set(r)) return;
  if (r->trigger == EMUV_WINDOW_PROFILER) snprintf(range, sizeof range, " from cudaProfilerStart to cudaProfilerStop");
  if (r->trigger == EMUV_WINDOW_NVTX) snprintf(range, sizeof range, " inside NVTX ranges '%s'", r->name);
  if (r->start_at_ns > now)
    snprintf(start, sizeof start, " from %s after the start of CUDA",
             emuv_units_human_time((double)(r->start_at_ns - now) / 1e9, time, sizeof time));
  if (r->duration_ns)
    snprintf(end, sizeof end, " for %s", emuv_units_human_time((double)r->duration_ns / 1e9, time, sizeof time));
  snprintf(text, sizeof text, "only%s%s%s", range, start, end);
  if (*range || *start || *end) emuv_trace_writer_environment(w, "recorded", text);
}

void emuv_recording_begin(struct emuv_trace_writer *w, void (*arm)(bool on), void (*end)(void))
{
  emuv_recording_configure();
  describe(w);
  pthread_mutex_lock(&keeper.lock);
  keeper.begun = true;
  keeper.arm = arm;
  keeper.end = end;
  update(emuv_capture_now_ns());
  if (emuv_recording.start_at_ns || emuv_recording.duration_ns) start_thread();
  pthread_mutex_unlock(&keeper.lock);
}

void emuv_recording_tick(void)
{
  if (emuv_recording_now()) return;
  pthread_mutex_lock(&keeper.lock);
  if (keeper.arm && keeper.armed && keeper.paused_ns && emuv_capture_now_ns() - keeper.paused_ns > SETTLE_NS) {
    keeper.arm(false);
    keeper.armed = false;
  }
  pthread_mutex_unlock(&keeper.lock);
}

static void say_if_nothing(void)
{
  if (emuv_recording.begun_ns) return;
  if (emuv_recording.trigger == EMUV_WINDOW_NVTX)
    emuv_capture_say("nothing was recorded: no NVTX range is named '%s'", emuv_recording.name);
  else if (emuv_recording.trigger == EMUV_WINDOW_PROFILER)
    emuv_capture_say("nothing was recorded: cudaProfilerStart was not called");
  else
    emuv_capture_say("nothing was recorded: the program ended before --start-after");
}

void emuv_recording_stop(void)
{
  pthread_mutex_lock(&keeper.lock);
  const bool begun = keeper.begun;
  keeper.begun = false;
  keeper.stop = true;
  keeper.arm = NULL;
  if (keeper.started) pthread_cond_signal(&keeper.wake);
  pthread_mutex_unlock(&keeper.lock);
  if (keeper.started) pthread_join(keeper.thread, NULL);
  keeper.started = false;
  if (begun) say_if_nothing();
}

/* ---- ranges ---- */

static void change_open(int by)
{
  if (by == 0) return;
  pthread_mutex_lock(&keeper.lock);
  emuv_recording.open += (uint64_t)by;
  update(emuv_capture_now_ns());
  pthread_mutex_unlock(&keeper.lock);
}

void emuv_recording_profiler(bool start)
{
  if (emuv_recording.trigger != EMUV_WINDOW_PROFILER) return;
  pthread_mutex_lock(&keeper.lock);
  emuv_window_profiler(&emuv_recording, start);
  update(emuv_capture_now_ns());
  pthread_mutex_unlock(&keeper.lock);
}

void emuv_recording_push(const void *domain, const char *text)
{
  if (emuv_recording.trigger == EMUV_WINDOW_NVTX) change_open(emuv_window_push(&emuv_recording, &mine, domain, text));
}

void emuv_recording_pop(const void *domain)
{
  if (emuv_recording.trigger == EMUV_WINDOW_NVTX) change_open(emuv_window_pop(&mine, domain));
}

bool emuv_recording_range_start(const char *text)
{
  const bool counts = emuv_window_matches(&emuv_recording, text);
  if (counts) change_open(1);
  return counts;
}

void emuv_recording_range_end(void)
{
  change_open(-1);
}
