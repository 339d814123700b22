// SPDX-License-Identifier: Apache-2.0
/* The thread of the disk's streams. Each stream is a ring: the caller writes entries and moves `pushed`; the thread
 * alone reads and changes them after that and moves `done`, which gives the entry back. All shared numbers are atomic;
 * the mutex serves only to sleep and to wake.
 *
 * What a request comes after was pushed or submitted before it, so the oldest requests can always start in the end, and
 * looking at a window of each ring's oldest ones cannot lock up. */
#include "runtime/engine/disk_queue.h"

#include "runtime/engine/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

enum { RING = 4096, WINDOW = 512, START_AT_ONCE = 64, FIRST_NAP_NS = 10000, LAST_NAP_NS = 40000, POLL_NS = 40000 };
enum { TIMER_SLACK_NS = 1000 }; /* naps that end when they should */

enum state { PENDING, RUNNING, DONE };

struct entry {
  struct emuv_after after;
  void *memory;
  uint32_t slot;
  uint8_t state;
  bool retried;
};

struct ring {
  struct entry *entry;
  atomic_uint_fast64_t pushed, done; /* numbers of the last ones */
  uint32_t running;                  /* thread */
};

struct emuv_disk_queue {
  struct emuv_disk_queue_env env;
  struct ring ring[2];               /* reads, writes */
  uint64_t capacity;                 /* entries of a ring that may be used */
  uint64_t finished[EMUV_N_STREAMS]; /* thread: how far each stream is known to be */
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t work, progress;
  atomic_bool asleep, stopped, closing;
  atomic_int waiters;
  atomic_uint_fast64_t busy_ns;
  double covered_ns; /* thread: up to when busy_ns counts */
  long nap_ns;       /* thread */
};

static struct ring *ring_of(struct emuv_disk_queue *q, enum emuv_stream stream)
{
  return &q->ring[stream == EMUV_STREAM_DISK_WRITE];
}

static enum emuv_stream stream_of(size_t ring)
{
  return ring ? EMUV_STREAM_DISK_WRITE : EMUV_STREAM_DISK_READ;
}

static struct entry *entry_of(struct ring *r, uint64_t seq)
{
  return &r->entry[seq % RING];
}

/* Calling thread. */

static void wake_waiters(struct emuv_disk_queue *q)
{
  if (!atomic_load(&q->waiters)) return;
  pthread_mutex_lock(&q->mutex);
  pthread_cond_broadcast(&q->progress);
  pthread_mutex_unlock(&q->mutex);
}

void emuv_disk_queue_kick(struct emuv_disk_queue *q)
{
  if (!atomic_load(&q->asleep)) return;
  pthread_mutex_lock(&q->mutex);
  pthread_cond_signal(&q->work);
  pthread_mutex_unlock(&q->mutex);
}

bool emuv_disk_queue_wait(struct emuv_disk_queue *q, enum emuv_stream stream, uint64_t seq)
{
  struct ring *r = ring_of(q, stream);
  if (atomic_load(&r->done) >= seq) return true;
  emuv_disk_queue_kick(q);
  atomic_fetch_add(&q->waiters, 1);
  pthread_mutex_lock(&q->mutex);
  while (atomic_load(&r->done) < seq && !atomic_load(&q->stopped)) pthread_cond_wait(&q->progress, &q->mutex);
  pthread_mutex_unlock(&q->mutex);
  atomic_fetch_sub(&q->waiters, 1);
  return atomic_load(&r->done) >= seq;
}

bool emuv_disk_queue_push(struct emuv_disk_queue *q, enum emuv_stream stream, uint32_t slot, void *memory,
                          const struct emuv_after *after, uint64_t *seq)
{
  struct ring *r = ring_of(q, stream);
  uint64_t number = atomic_load_explicit(&r->pushed, memory_order_relaxed) + 1;
  if (number > q->capacity && !emuv_disk_queue_wait(q, stream, number - q->capacity)) return false;
  if (atomic_load_explicit(&q->stopped, memory_order_relaxed)) return false;
  *entry_of(r, number) = (struct entry){.after = *after, .memory = memory, .slot = slot};
  atomic_store(&r->pushed, number);
  *seq = number;
  return true;
}

uint64_t emuv_disk_queue_done(const struct emuv_disk_queue *q, enum emuv_stream stream)
{
  return atomic_load_explicit(&q->ring[stream == EMUV_STREAM_DISK_WRITE].done, memory_order_acquire);
}

void emuv_disk_queue_stop(struct emuv_disk_queue *q)
{
  atomic_store(&q->stopped, true);
  pthread_mutex_lock(&q->mutex);
  pthread_cond_signal(&q->work);
  pthread_cond_broadcast(&q->progress);
  pthread_mutex_unlock(&q->mutex);
}

double emuv_disk_queue_busy_ns(const struct emuv_disk_queue *q)
{
  return (double)atomic_load(&q->busy_ns);
}

/* The queue's thread. */

static void fail(struct emuv_disk_queue *q, const struct emuv_err *why)
{
  q->env.fail(q->env.arg, why); /* first, so that whoever sees the queue stopped finds the reason */
  atomic_store(&q->stopped, true);
  wake_waiters(q);
}

static void look_at_streams(struct emuv_disk_queue *q)
{
  const struct emuv_device_ops *ops = emuv_device_ops(q->env.device);
  for (int s = 0; s < EMUV_STREAM_DISK_READ; s++) q->finished[s] = ops->done(q->env.device, (enum emuv_stream)s);
  for (size_t i = 0; i < 2; i++) q->finished[stream_of(i)] = atomic_load(&q->ring[i].done);
}

static bool is_ready(const struct emuv_disk_queue *q, const struct entry *e)
{
  for (int s = 0; s < EMUV_N_STREAMS; s++)
    if (e->after.seq[s] > q->finished[s]) return false;
  return true;
}

/* Ready requests of a ring into out, at most max. */
static uint32_t gather(struct emuv_disk_queue *q, size_t ring, struct emuv_disk_request *out, uint32_t max)
{
  struct ring *r = &q->ring[ring];
  uint64_t first = atomic_load(&r->done) + 1, last = atomic_load(&r->pushed);
  if (last >= first + WINDOW) last = first + WINDOW - 1;
  uint32_t n = 0;
  for (uint64_t seq = first; seq <= last && n < max; seq++) {
    const struct entry *e = entry_of(r, seq);
    if (e->state != PENDING || !is_ready(q, e)) continue;
    out[n++] = (struct emuv_disk_request){
        .write = ring == 1, .slot = e->slot, .bytes = q->env.slot_bytes, .memory = e->memory, .tag = seq << 1 | ring};
  }
  return n;
}

/* Both streams get through: where both have work, writes may take half of the depth, and reads leave an eighth. */
static uint32_t room(const struct emuv_disk_queue *q, size_t ring)
{
  const struct ring *r = &q->ring[ring], *other = &q->ring[!ring];
  uint32_t depth = q->env.depth, used = r->running + other->running;
  uint32_t share = ring ? (depth + 1) / 2 : depth - depth / 8;
  if (atomic_load(&other->pushed) == atomic_load(&other->done)) share = depth;
  uint32_t mine = share > r->running ? share - r->running : 0, all = depth > used ? depth - used : 0;
  uint32_t n = mine < all ? mine : all;
  return n < START_AT_ONCE ? n : START_AT_ONCE;
}

static void start_ready(struct emuv_disk_queue *q, size_t ring)
{
  struct emuv_disk_request request[START_AT_ONCE];
  struct emuv_err err;
  uint32_t n = gather(q, ring, request, room(q, ring));
  if (!n) return;
  int64_t taken = emuv_disk_submit(q->env.disk, request, n, &err);
  if (taken < 0) {
    fail(q, &err);
    return;
  }
  for (int64_t i = 0; i < taken; i++) entry_of(&q->ring[ring], request[i].tag >> 1)->state = RUNNING;
  q->ring[ring].running += (uint32_t)taken;
}

static void count_time(struct emuv_disk_queue *q, const struct emuv_disk_result *result)
{
  double from = result->start_ns > q->covered_ns ? result->start_ns : q->covered_ns;
  if (result->end_ns <= from) return;
  atomic_fetch_add(&q->busy_ns, (uint64_t)(result->end_ns - from));
  q->covered_ns = result->end_ns;
}

static void report(struct emuv_disk_queue *q, const struct emuv_disk_result *result, const struct entry *e)
{
  struct emuv_err err;
  bool write = result->tag & 1;
  emuv_err_set(&err, result->rc, "disk: %s of slot %u failed%s: %s", write ? "write" : "read", e->slot,
               e->retried ? " twice" : "", result->system_errno ? strerror(result->system_errno) : "unknown error");
  fail(q, &err);
}

static void finish_one(struct emuv_disk_queue *q, const struct emuv_disk_result *result)
{
  struct ring *r = &q->ring[result->tag & 1];
  struct entry *e = entry_of(r, result->tag >> 1);
  r->running--;
  count_time(q, result);
  e->state = DONE;
  if (!result->rc) return;
  e->state = PENDING;
  if (result->rc == EMUV_ERR_IO && !e->retried)
    e->retried = true;
  else
    report(q, result, e);
}

static void publish(struct emuv_disk_queue *q, size_t ring)
{
  struct ring *r = &q->ring[ring];
  uint64_t before = atomic_load(&r->done), done = before, last = atomic_load(&r->pushed);
  while (done < last && entry_of(r, done + 1)->state == DONE) done++;
  if (done == before) return;
  atomic_store(&r->done, done);
  emuv_device_ops(q->env.device)->disk_done(q->env.device, stream_of(ring), done);
  wake_waiters(q);
}

static void collect(struct emuv_disk_queue *q)
{
  struct emuv_disk_result result[START_AT_ONCE];
  struct emuv_err err;
  bool full = q->ring[0].running + q->ring[1].running >= q->env.depth;
  int64_t n = emuv_disk_poll(q->env.disk, result, START_AT_ONCE, full ? 10 * POLL_NS : POLL_NS, &err);
  if (n < 0) {
    fail(q, &err);
    q->ring[0].running = q->ring[1].running = 0; /* nothing more is heard of them; closing the disk waits for them */
    return;
  }
  for (int64_t i = 0; i < n; i++) finish_one(q, &result[i]);
  for (size_t i = 0; i < 2; i++) publish(q, i);
}

static bool has_work(struct emuv_disk_queue *q)
{
  for (size_t i = 0; i < 2; i++)
    if (atomic_load(&q->ring[i].pushed) != atomic_load(&q->ring[i].done)) return true;
  return false;
}

/* Sleeps until something is pushed. False: the queue closes. */
static bool sleep_until_work(struct emuv_disk_queue *q)
{
  pthread_mutex_lock(&q->mutex);
  atomic_store(&q->asleep, true);
  while (!has_work(q) && !atomic_load(&q->closing) && !atomic_load(&q->stopped)) pthread_cond_wait(&q->work, &q->mutex);
  atomic_store(&q->asleep, false);
  pthread_mutex_unlock(&q->mutex);
  return has_work(q) || !atomic_load(&q->closing);
}

/* Requests wait for the device: looks again a little later, and less and less often. */
static void nap(struct emuv_disk_queue *q)
{
  struct timespec t = {.tv_nsec = q->nap_ns};
  nanosleep(&t, NULL);
  if (q->nap_ns < LAST_NAP_NS) q->nap_ns *= 2;
}

static void *serve(void *arg)
{
  struct emuv_disk_queue *q = arg;
  prctl(PR_SET_TIMERSLACK, (unsigned long)TIMER_SLACK_NS, 0, 0, 0);
  for (;;) {
    bool stopped = atomic_load(&q->stopped);
    look_at_streams(q);
    for (size_t i = 0; i < 2 && !stopped; i++) start_ready(q, i);
    if (q->ring[0].running + q->ring[1].running) {
      q->nap_ns = FIRST_NAP_NS;
      collect(q);
    } else if (stopped) {
      return NULL;
    } else if (has_work(q)) {
      nap(q);
    } else if (!sleep_until_work(q)) {
      return NULL;
    }
  }
}

static void free_queue(struct emuv_disk_queue *q)
{
  for (size_t i = 0; i < 2; i++) free(q->ring[i].entry);
  pthread_mutex_destroy(&q->mutex);
  pthread_cond_destroy(&q->work);
  pthread_cond_destroy(&q->progress);
  free(q);
}

int emuv_disk_queue_open(const struct emuv_disk_queue_env *env, struct emuv_disk_queue **queue, struct emuv_err *err)
{
  struct emuv_disk_queue *q = calloc(1, sizeof *q);
  if (!q) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the disk's queue");
  q->env = *env;
  q->nap_ns = FIRST_NAP_NS;
  uint64_t n = env->queue_bytes ? env->queue_bytes / env->slot_bytes : RING;
  q->capacity = n < 2 ? 2 : n > RING ? RING : n;
  pthread_mutex_init(&q->mutex, NULL);
  pthread_cond_init(&q->work, NULL);
  pthread_cond_init(&q->progress, NULL);
  for (size_t i = 0; i < 2; i++) q->ring[i].entry = calloc(RING, sizeof(struct entry));
  bool ok = q->ring[0].entry && q->ring[1].entry && !emuv_thread_start(&q->thread, serve, q);
  if (!ok) {
    free_queue(q);
    return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory or no thread for the disk's queue");
  }
  *queue = q;
  return 0;
}

void emuv_disk_queue_close(struct emuv_disk_queue *q)
{
  if (!q) return;
  pthread_mutex_lock(&q->mutex);
  atomic_store(&q->closing, true);
  pthread_cond_signal(&q->work);
  pthread_mutex_unlock(&q->mutex);
  pthread_join(q->thread, NULL);
  free_queue(q);
}
