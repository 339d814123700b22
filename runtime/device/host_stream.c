// SPDX-License-Identifier: Apache-2.0
/* Streams of the device `host`: one thread each, which runs the stream's work in order, when what it comes after has
 * finished. One lock, one condition per stream and one for callers; work runs without the lock.
 *
 * Time is kept as the modelled device's: a piece of work is ready at the latest of its submission, the end of the work
 * before it and the ends of what it waits for, and threads sleep until it would have ended. So the delays of this
 * machine's scheduler do not add up over a chain of work; memory that is slower than the modelled link does count. */
#include "runtime/device/host.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

enum { TIMER_SLACK_NS = 1000 };

double host_now_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

void host_sleep_until(double ns)
{
  struct timespec until = {.tv_sec = (time_t)(ns / 1e9)};
  until.tv_nsec = (long)(ns - (double)until.tv_sec * 1e9);
  if (host_now_ns() >= ns) return;
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0) {
  }
}

bool host_is_stopped(const struct emuv_device *device)
{
  return device->env.stopped && device->env.stopped(device->env.stopped_arg);
}

int host_lost(const struct emuv_device *device, struct emuv_err *err)
{
  if (atomic_load(&device->interrupted)) return emuv_err_set(err, EMUV_ERR_INTERRUPTED, "interrupted");
  return emuv_err_set(err, EMUV_ERR_IO, "device host: lost");
}

void host_work_free(struct host_work *work)
{
  if (!work) return;
  free(work->copies);
  free(work->touches);
  free(work->updates);
  free(work);
}

static bool is_disk(enum emuv_stream stream)
{
  return stream == EMUV_STREAM_DISK_READ || stream == EMUV_STREAM_DISK_WRITE;
}

static uint64_t finished(struct emuv_device *device, enum emuv_stream stream)
{
  return atomic_load_explicit(&device->done[stream], memory_order_relaxed);
}

/* Something has finished or was submitted: those that sleep look again. With the lock. */
static void wake_all(struct emuv_device *device)
{
  for (int i = 0; i < HOST_N_STREAMS; i++)
    if (device->streams[i].asleep) pthread_cond_signal(&device->streams[i].wake);
  if (device->waiters > 0) pthread_cond_broadcast(&device->progress);
}

static bool is_released(struct emuv_device *device, const struct emuv_after *after)
{
  if (atomic_load(&device->lost)) return true;
  for (int i = 0; i < EMUV_N_STREAMS; i++)
    if (after->seq[i] > finished(device, (enum emuv_stream)i)) return false;
  return true;
}

/* When finished work ended; 0 when that is too long ago to be known, and to matter. With the lock. */
static double end_of(struct emuv_device *device, enum emuv_stream stream, uint64_t seq)
{
  if (seq == 0 || seq + HOST_SPANS <= finished(device, stream)) return 0;
  if (is_disk(stream)) return device->disk_ns[stream - HOST_N_STREAMS][seq % HOST_SPANS];
  return device->streams[stream].spans[seq % HOST_SPANS].end_ns;
}

static double ready_at(struct host_stream *stream, const struct host_work *work)
{
  double ready = work->submitted_ns > stream->last_end_ns ? work->submitted_ns : stream->last_end_ns;
  for (int i = 0; i < EMUV_N_STREAMS; i++) {
    double end = end_of(stream->device, (enum emuv_stream)i, work->after.seq[i]);
    if (end > ready) ready = end;
  }
  return ready;
}

static void sleep_on(struct host_stream *stream)
{
  stream->asleep = true;
  pthread_cond_wait(&stream->wake, &stream->device->lock);
  stream->asleep = false;
}

/* The next piece of work, when it may start; NULL when the device closes. With the lock. */
static struct host_work *next_work(struct host_stream *stream)
{
  struct emuv_device *device = stream->device;
  uint64_t next = finished(device, stream->id) + 1;
  while (stream->submitted < next) {
    if (device->stopping) return NULL;
    sleep_on(stream);
  }
  struct host_work *work = stream->queue[next % HOST_QUEUE];
  while (!is_released(device, &work->after)) sleep_on(stream);
  return work;
}

/* Much may be in flight when the user asks to stop: it is given up, as when a device is lost. */
static bool gives_up(struct emuv_device *device)
{
  if (!atomic_load(&device->lost) && host_is_stopped(device)) {
    atomic_store(&device->interrupted, true);
    host_stream_lose(device);
  }
  return atomic_load(&device->lost);
}

static void run(struct host_stream *stream, const struct host_work *work, double ready, struct emuv_span *span)
{
  struct emuv_device *device = stream->device;
  *span = (struct emuv_span){ready, ready};
  if (gives_up(device)) return;
  if (stream->id == EMUV_STREAM_COMPUTE)
    host_work_kernel(device, work, ready, span);
  else
    host_work_copy(device, stream->id, work, ready, span);
}

static void *stream_main(void *argument)
{
  struct host_stream *stream = argument;
  struct emuv_device *device = stream->device;
  struct emuv_span span;
  struct host_work *work;
  prctl(PR_SET_TIMERSLACK, (unsigned long)TIMER_SLACK_NS, 0, 0, 0);
  pthread_mutex_lock(&device->lock);
  while ((work = next_work(stream))) {
    double ready = ready_at(stream, work);
    pthread_mutex_unlock(&device->lock);
    run(stream, work, ready, &span);
    pthread_mutex_lock(&device->lock);
    stream->spans[work->seq % HOST_SPANS] = span;
    stream->last_end_ns = span.end_ns;
    atomic_store_explicit(&device->done[stream->id], work->seq, memory_order_release);
    wake_all(device);
    host_work_free(work);
  }
  pthread_mutex_unlock(&device->lock);
  return NULL;
}

/* Signals are the program's own threads' business. */
static int start_threads(struct emuv_device *device, int *started)
{
  sigset_t all, before;
  int failed = 0;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (*started = 0; *started < HOST_N_STREAMS; ++*started) {
    struct host_stream *stream = &device->streams[*started];
    failed = pthread_create(&stream->thread, NULL, stream_main, stream);
    if (failed) break;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return failed;
}

static void stop_threads(struct emuv_device *device, int started)
{
  pthread_mutex_lock(&device->lock);
  device->stopping = true;
  wake_all(device);
  pthread_mutex_unlock(&device->lock);
  for (int i = 0; i < started; i++) pthread_join(device->streams[i].thread, NULL);
  for (int i = 0; i < HOST_N_STREAMS; i++) pthread_cond_destroy(&device->streams[i].wake);
  pthread_cond_destroy(&device->progress);
  pthread_mutex_destroy(&device->lock);
}

int host_streams_open(struct emuv_device *device, struct emuv_err *err)
{
  int started;
  pthread_mutex_init(&device->lock, NULL);
  pthread_cond_init(&device->progress, NULL);
  for (int i = 0; i < HOST_N_STREAMS; i++) {
    device->streams[i].device = device;
    device->streams[i].id = (enum emuv_stream)i;
    pthread_cond_init(&device->streams[i].wake, NULL);
  }
  if (start_threads(device, &started) == 0) return EMUV_OK;
  stop_threads(device, started);
  return emuv_err_set(err, EMUV_ERR_NOMEM, "device host: cannot start a thread");
}

void host_streams_close(struct emuv_device *device)
{
  stop_threads(device, HOST_N_STREAMS);
}

/* With the lock. */
static void wait_for_progress(struct emuv_device *device)
{
  device->waiters++;
  pthread_cond_wait(&device->progress, &device->lock);
  device->waiters--;
}

/* Work that waits for what was never submitted would wait for ever. With the lock. */
static bool can_be_released(const struct emuv_device *device, const struct emuv_after *after)
{
  for (int i = 0; i < HOST_N_STREAMS; i++)
    if (after->seq[i] > device->streams[i].submitted) return false;
  return true;
}

static int refuse(struct emuv_device *device, struct host_work *work, int code, struct emuv_err *err)
{
  pthread_mutex_unlock(&device->lock);
  host_work_free(work);
  if (code == EMUV_ERR_IO) return host_lost(device, err);
  return emuv_err_set(err, code, "device host: work comes after some that was not submitted");
}

int host_stream_submit(struct emuv_device *device, enum emuv_stream stream, struct host_work *work, uint64_t *seq,
                       struct emuv_err *err)
{
  struct host_stream *s = &device->streams[stream];
  pthread_mutex_lock(&device->lock);
  while (s->submitted - finished(device, stream) >= HOST_QUEUE) wait_for_progress(device);
  if (atomic_load(&device->lost)) return refuse(device, work, EMUV_ERR_IO, err);
  if (!can_be_released(device, &work->after)) return refuse(device, work, EMUV_ERR_RANGE, err);
  *seq = work->seq = ++s->submitted;
  work->submitted_ns = host_now_ns();
  s->queue[*seq % HOST_QUEUE] = work;
  if (stream == EMUV_STREAM_COMPUTE) {
    host_mapping_used(device, work, *seq);
    device->costs.launches++;
    device->costs.table_updates += work->n_updates;
  } else {
    device->costs.copies++;
  }
  if (s->asleep) pthread_cond_signal(&s->wake);
  pthread_mutex_unlock(&device->lock);
  return EMUV_OK;
}

int host_stream_wait(struct emuv_device *device, enum emuv_stream stream, uint64_t seq, struct emuv_err *err)
{
  pthread_mutex_lock(&device->lock);
  bool submitted = is_disk(stream) || seq <= device->streams[stream].submitted;
  while (submitted && finished(device, stream) < seq && !(is_disk(stream) && atomic_load(&device->lost)))
    wait_for_progress(device); /* also for work that is given up: nothing touches its memory any more after this */
  pthread_mutex_unlock(&device->lock);
  if (atomic_load(&device->lost)) return host_lost(device, err);
  if (!submitted) return emuv_err_set(err, EMUV_ERR_RANGE, "device host: no such work on stream %d", (int)stream);
  return EMUV_OK;
}

void host_stream_disk_done(struct emuv_device *device, enum emuv_stream stream, uint64_t seq)
{
  double now = host_now_ns();
  if (!is_disk(stream)) return;
  pthread_mutex_lock(&device->lock);
  uint64_t from = finished(device, stream);
  if (seq > from) {
    if (seq - from > HOST_SPANS) from = seq - HOST_SPANS;
    while (from < seq) device->disk_ns[stream - HOST_N_STREAMS][++from % HOST_SPANS] = now;
    atomic_store_explicit(&device->done[stream], seq, memory_order_release);
    wake_all(device);
  }
  pthread_mutex_unlock(&device->lock);
}

void host_stream_lose(struct emuv_device *device)
{
  pthread_mutex_lock(&device->lock);
  atomic_store(&device->lost, true);
  wake_all(device);
  pthread_mutex_unlock(&device->lock);
}

bool host_stream_span(struct emuv_device *device, enum emuv_stream stream, uint64_t seq, struct emuv_span *span)
{
  if (is_disk(stream) || seq == 0) return false;
  pthread_mutex_lock(&device->lock);
  uint64_t done = finished(device, stream);
  bool known = seq <= done && seq + HOST_SPANS > done;
  if (known) *span = device->streams[stream].spans[seq % HOST_SPANS];
  pthread_mutex_unlock(&device->lock);
  return known;
}
