// SPDX-License-Identifier: Apache-2.0
/* See inject.h. */
#include "tracer/inject/inject.h"

#include "emuv_version.h"
#include "tracer/inject/names.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { CLOSE_WAIT_MS = 1000 };

static atomic_bool on;   /* records are taken */
static atomic_int users; /* callbacks that are using the capture */
static char trace_path[PATH_MAX];
static struct emuv_trace_writer *child_disowns;
static struct {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  void (*tick)(void);
  unsigned tick_ms;
  bool started, stop;
} ticker = {.lock = PTHREAD_MUTEX_INITIALIZER};

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

bool emuv_injected_is_on(void)
{
  return atomic_load(&on);
}

bool emuv_injected_turn_off(void)
{
  if (!atomic_exchange(&on, false)) return false;
  for (int ms = 0; ms < CLOSE_WAIT_MS && atomic_load(&users) > 0; ms++) {
    const struct timespec pause = {.tv_nsec = 1000000};
    nanosleep(&pause, NULL);
  }
  return atomic_load(&users) == 0;
}

/* ---- the file ---- */

int emuv_injected_open(struct emuv_trace_writer **writer)
{
  const char *wanted = getenv("EMUV_TRACE_OUTPUT"), *limit = getenv("EMUV_TRACE_MAX_BYTES");
  const struct emuv_trace_writer_options options = {.max_bytes = limit ? strtoull(limit, NULL, 10) : 0};
  struct emuv_err err = {0};
  if (!wanted || !*wanted) return EMUV_ERR_NODEV;
  if (emuv_names_claim(wanted, (long)getpid(), trace_path)) {
    emuv_capture_say("%s cannot be created (%s): running without a trace", wanted, strerror(errno));
    return EMUV_ERR_IO;
  }
  const int rc = emuv_trace_writer_open(writer, trace_path, &options, &err);
  if (rc) emuv_capture_say("%s: running without a trace", err.text);
  return rc;
}

const char *emuv_injected_path(void)
{
  return trace_path;
}

/* What tells the launcher which run the file belongs to. Written at once: it must be there whatever comes. */
static void write_origin(struct emuv_trace_writer *w)
{
  const char *wanted = getenv("EMUV_TRACE_OUTPUT"), *run = getenv("EMUV_TRACE_RUN");
  const char *slash = wanted ? strrchr(wanted, '/') : NULL;
  if (!run || !*run) return;
  emuv_trace_writer_environment(w, EMUV_NAMES_RUN, run);
  emuv_trace_writer_environment(w, EMUV_NAMES_OUTPUT, slash ? slash + 1 : wanted);
  emuv_trace_writer_flush(w, NULL);
}

void emuv_injected_fact(struct emuv_trace_writer *w, const char *key, uint64_t value)
{
  char text[32];
  snprintf(text, sizeof text, "%" PRIu64, value);
  emuv_trace_writer_environment(w, key, text);
}

void emuv_injected_gap(struct emuv_trace_writer *w, enum emuv_trace_gap_why why, const char *text, uint64_t count)
{
  const struct emuv_trace_gap record = {
      .ns = emuv_capture_now_ns(), .why = why, .text = emuv_trace_writer_string(w, text), .count = count};
  if (count) emuv_trace_writer_gap(w, &record);
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

void emuv_injected_describe(struct emuv_trace_writer *w)
{
  char command[4096], executable[PATH_MAX] = "";
  read_command(command, sizeof command);
  const ssize_t n = readlink("/proc/self/exe", executable, sizeof executable - 1);
  if (n > 0) executable[n] = '\0';
  const struct emuv_trace_process record = {.ns = emuv_capture_now_ns(),
                                            .pid = (uint32_t)getpid(),
                                            .parent = (uint32_t)getppid(),
                                            .command = emuv_trace_writer_string(w, command),
                                            .executable = emuv_trace_writer_string(w, executable)};
  emuv_trace_writer_process(w, &record);
  write_origin(w);
  emuv_trace_writer_environment(w, "emuv_version", EMUV_VERSION "-" EMUV_GIT_REVISION);
  emuv_injected_fact(w, "realtime_at_start_s", (uint64_t)time(NULL));
}

/* ---- the background thread, fork, exit ---- */

/* False when it is time to end, else after one tick's time. */
static bool wait_for_tick(void)
{
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += (long)ticker.tick_ms * 1000000L;
  until.tv_sec += until.tv_nsec / 1000000000L;
  until.tv_nsec %= 1000000000L;
  pthread_mutex_lock(&ticker.lock);
  int rc = 0;
  while (!ticker.stop && rc != ETIMEDOUT) rc = pthread_cond_timedwait(&ticker.wake, &ticker.lock, &until);
  const bool go_on = !ticker.stop;
  pthread_mutex_unlock(&ticker.lock);
  return go_on;
}

static void *tick_often(void *unused)
{
  (void)unused;
  while (wait_for_tick() && atomic_load(&on)) ticker.tick();
  return NULL;
}

/* The program's signals are not for this thread. */
static void start_ticking(void)
{
  pthread_condattr_t attributes;
  sigset_t all, before;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&ticker.wake, &attributes);
  pthread_condattr_destroy(&attributes);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  ticker.started = pthread_create(&ticker.thread, NULL, tick_often, NULL) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void emuv_injected_stop_ticking(void)
{
  if (!ticker.started) return;
  pthread_mutex_lock(&ticker.lock);
  ticker.stop = true;
  pthread_cond_signal(&ticker.wake);
  pthread_mutex_unlock(&ticker.lock);
  pthread_join(ticker.thread, NULL);
  ticker.started = false;
}

static void in_child(void)
{
  if (atomic_exchange(&on, false)) emuv_trace_writer_disown(child_disowns);
}

static void (*at_exit)(void);
static uint32_t exit_status;

uint32_t emuv_injected_exit_status(void)
{
  return exit_status;
}

static void exiting(int status, void *unused)
{
  (void)unused;
  exit_status = (uint32_t)status & 0xff;
  at_exit();
}

void emuv_injected_begin(struct emuv_trace_writer *w, void (*tick)(void), unsigned tick_ms, void (*finish)(void))
{
  child_disowns = w;
  ticker.tick = tick;
  ticker.tick_ms = tick_ms;
  atomic_store(&on, true);
  pthread_atfork(NULL, NULL, in_child);
  start_ticking();
  at_exit = finish;
  on_exit(exiting, NULL); /* atexit's does not hear the status */
}

/* ---- loading ---- */

void emuv_injected_folder_of(const void *address, char *folder)
{
  Dl_info info;
  folder[0] = '\0';
  if (!dladdr(address, &info) || !info.dli_fname || strlen(info.dli_fname) >= PATH_MAX) return;
  strcpy(folder, info.dli_fname);
  char *slash = strrchr(folder, '/');
  if (slash) *slash = '\0';
}

bool emuv_injected_find(void *library, const char *name, void *slot)
{
  void *symbol = dlsym(library, name);
  memcpy(slot, &symbol, sizeof symbol);
  return symbol != NULL;
}
