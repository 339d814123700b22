// SPDX-License-Identifier: Apache-2.0
/* Back end of disk.h over a pool of threads with pread and pwrite, for systems that refuse io_uring. One thread per
 * piece in flight, at most MAX_THREADS; started at open. `lock` covers both queues and `stop`; a piece belongs to
 * whoever took it off a queue. The threads block all signals: the process's handlers run elsewhere. */
#include "runtime/device/disk_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_THREADS = 64 };

struct pool {
  struct emuv_disk *disk;
  pthread_mutex_t lock;
  pthread_cond_t work, done; /* done: by CLOCK_MONOTONIC */
  struct emuv_disk_pieces queued, finished;
  bool stop;
  unsigned n_threads;
  pthread_t threads[MAX_THREADS];
};

static int64_t transfer(int fd, const struct emuv_disk_piece *piece)
{
  const ssize_t n = piece->write ? pwrite(fd, piece->memory, piece->issued, (off_t)piece->offset)
                                 : pread(fd, piece->memory, piece->issued, (off_t)piece->offset);
  return n < 0 ? -errno : n;
}

static void *run_thread(void *arg)
{
  struct pool *pool = arg;
  (void)pthread_mutex_lock(&pool->lock);
  for (;;) {
    while (!pool->stop && STAILQ_EMPTY(&pool->queued)) (void)pthread_cond_wait(&pool->work, &pool->lock);
    struct emuv_disk_piece *piece = STAILQ_FIRST(&pool->queued);
    if (!piece) break;
    STAILQ_REMOVE_HEAD(&pool->queued, next);
    (void)pthread_mutex_unlock(&pool->lock);
    piece->result = transfer(pool->disk->fd, piece);
    piece->due_ns = emuv_disk_now_ns();
    (void)pthread_mutex_lock(&pool->lock);
    STAILQ_INSERT_TAIL(&pool->finished, piece, next);
    (void)pthread_cond_signal(&pool->done);
  }
  (void)pthread_mutex_unlock(&pool->lock);
  return NULL;
}

static void start_threads(struct pool *pool, unsigned n)
{
  sigset_t all, before;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  while (pool->n_threads < n && pthread_create(&pool->threads[pool->n_threads], NULL, run_thread, pool) == 0)
    pool->n_threads++;
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void threads_close(struct emuv_disk *disk)
{
  struct pool *pool = disk->state;
  (void)pthread_mutex_lock(&pool->lock);
  pool->stop = true;
  (void)pthread_cond_broadcast(&pool->work);
  (void)pthread_mutex_unlock(&pool->lock);
  for (unsigned i = 0; i < pool->n_threads; i++) (void)pthread_join(pool->threads[i], NULL);
  (void)pthread_cond_destroy(&pool->done);
  (void)pthread_cond_destroy(&pool->work);
  (void)pthread_mutex_destroy(&pool->lock);
  free(pool);
}

static int threads_open(struct emuv_disk *disk, struct emuv_err *err)
{
  struct pool *pool = calloc(1, sizeof *pool);
  if (!pool) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for a disk");
  pool->disk = disk;
  STAILQ_INIT(&pool->queued);
  STAILQ_INIT(&pool->finished);
  pthread_condattr_t monotonic;
  (void)pthread_condattr_init(&monotonic);
  (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  (void)pthread_mutex_init(&pool->lock, NULL);
  (void)pthread_cond_init(&pool->work, NULL);
  (void)pthread_cond_init(&pool->done, &monotonic);
  (void)pthread_condattr_destroy(&monotonic);
  disk->state = pool;
  start_threads(pool, disk->max_pieces < MAX_THREADS ? disk->max_pieces : MAX_THREADS);
  if (pool->n_threads > 0) return 0;
  threads_close(disk);
  return emuv_err_set(err, EMUV_ERR_NOMEM, "no thread for the disk can be started");
}

static void threads_start(struct emuv_disk *disk, struct emuv_disk_piece *piece)
{
  struct pool *pool = disk->state;
  (void)pthread_mutex_lock(&pool->lock);
  STAILQ_INSERT_TAIL(&pool->queued, piece, next);
  (void)pthread_cond_signal(&pool->work);
  (void)pthread_mutex_unlock(&pool->lock);
}

static struct timespec deadline(uint64_t wait_ns)
{
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  const uint64_t ns = (uint64_t)t.tv_nsec + wait_ns;
  t.tv_sec += (time_t)(ns / 1000000000);
  t.tv_nsec = (long)(ns % 1000000000);
  return t;
}

static int threads_reap(struct emuv_disk *disk, uint64_t wait_ns, struct emuv_err *err)
{
  (void)err;
  struct pool *pool = disk->state;
  struct emuv_disk_pieces finished = STAILQ_HEAD_INITIALIZER(finished);
  const struct timespec until = deadline(wait_ns);
  (void)pthread_mutex_lock(&pool->lock);
  while (wait_ns > 0 && STAILQ_EMPTY(&pool->finished))
    if (pthread_cond_timedwait(&pool->done, &pool->lock, &until) == ETIMEDOUT) break;
  STAILQ_CONCAT(&finished, &pool->finished);
  (void)pthread_mutex_unlock(&pool->lock);
  while (!STAILQ_EMPTY(&finished)) {
    struct emuv_disk_piece *piece = STAILQ_FIRST(&finished);
    STAILQ_REMOVE_HEAD(&finished, next);
    emuv_disk_piece_done(disk, piece, piece->result, piece->due_ns);
  }
  return 0;
}

const struct emuv_disk_backend emuv_disk_threads = {
    .name = "threads", .open = threads_open, .close = threads_close, .start = threads_start, .reap = threads_reap};
