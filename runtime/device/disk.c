// SPDX-License-Identifier: Apache-2.0
/* A disk of slots (disk.h): life, submission, results. What requests become is in disk_piece.c, what carries them out
 * in disk_uring.c and disk_threads.c, the file in disk_file.c. */
#include "runtime/device/disk_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t PART_BYTES = UINT64_C(1) << 30; /* one registered buffer is at most this large */

void emuv_disk_remark(struct emuv_disk *disk, const char *fmt, ...)
{
  va_list args;
  va_start(args, fmt);
  (void)pthread_mutex_lock(&disk->lock);
  size_t used = strlen(disk->remark);
  if (used > 0 && used + 3 < sizeof disk->remark) used += (size_t)sprintf(disk->remark + used, "; ");
  (void)vsnprintf(disk->remark + used, sizeof disk->remark - used, fmt, args);
  (void)pthread_mutex_unlock(&disk->lock);
  va_end(args);
}

static int check_env(const struct emuv_disk_env *env, struct emuv_err *err)
{
  if (env->slot_bytes == 0 || env->slot_bytes % EMUV_DISK_BLOCK != 0)
    return emuv_err_set(err, EMUV_ERR_RANGE, "pages on disk need a size that is a multiple of %d bytes",
                        EMUV_DISK_BLOCK);
  if (env->n_slots == 0 || env->slot_bytes > (uint64_t)INT64_MAX / env->n_slots)
    return emuv_err_set(err, EMUV_ERR_RANGE, "a disk of %u pages cannot be", env->n_slots);
  if (env->depth > EMUV_DISK_MAX_DEPTH)
    return emuv_err_set(err, EMUV_ERR_RANGE, "at most %d requests can be in flight", EMUV_DISK_MAX_DEPTH);
  return 0;
}

static int make_lists(struct emuv_disk *disk)
{
  STAILQ_INIT(&disk->free_jobs);
  STAILQ_INIT(&disk->waiting);
  STAILQ_INIT(&disk->finished);
  STAILQ_INIT(&disk->free_pieces);
  STAILQ_INIT(&disk->held);
  disk->all_jobs = calloc(disk->depth, sizeof *disk->all_jobs);
  disk->all_pieces = calloc(disk->max_pieces, sizeof *disk->all_pieces);
  if (!disk->all_jobs || !disk->all_pieces) return EMUV_ERR_NOMEM;
  for (uint32_t i = 0; i < disk->depth; i++) STAILQ_INSERT_TAIL(&disk->free_jobs, &disk->all_jobs[i], next);
  for (uint32_t i = 0; i < disk->max_pieces; i++) STAILQ_INSERT_TAIL(&disk->free_pieces, &disk->all_pieces[i], next);
  return 0;
}

static int open_uring(struct emuv_disk *disk, struct emuv_err *err)
{
  if (!emuv_inject_now(disk->inject, EMUV_INJECT_NVME_URING)) return emuv_disk_uring.open(disk, err);
  errno = ENOSYS;
  return emuv_err_errno(err, EMUV_ERR_UNSUPPORTED, "io_uring");
}

static int open_backend(struct emuv_disk *disk, struct emuv_err *err)
{
  struct emuv_err why;
  int rc = open_uring(disk, &why);
  if (rc == 0) {
    disk->backend = &emuv_disk_uring;
  } else if (rc == EMUV_ERR_UNSUPPORTED) {
    emuv_disk_remark(disk, "%s: threads are used instead", why.text);
    rc = emuv_disk_threads.open(disk, err);
    if (rc == 0) disk->backend = &emuv_disk_threads;
  } else if (err) {
    *err = why;
  }
  return rc;
}

int emuv_disk_open(const struct emuv_disk_env *env, struct emuv_disk **out, struct emuv_err *err)
{
  int rc = check_env(env, err);
  if (rc != 0) return rc;
  struct emuv_disk *disk = calloc(1, sizeof *disk);
  if (!disk) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for a disk");
  disk->fd = -1;
  disk->inject = env->inject;
  disk->slot_bytes = env->slot_bytes;
  disk->n_slots = env->n_slots;
  disk->depth = env->depth ? env->depth : EMUV_DISK_DEPTH;
  disk->max_pieces = disk->depth > EMUV_DISK_PIECES ? disk->depth : EMUV_DISK_PIECES;
  (void)pthread_mutex_init(&disk->lock, NULL);
  if (make_lists(disk) != 0) rc = emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %u disk requests", disk->depth);
  if (rc == 0) rc = emuv_disk_file_open(disk, env->path, err);
  if (rc == 0) rc = open_backend(disk, err);
  if (rc == 0)
    *out = disk;
  else
    emuv_disk_close(disk);
  return rc;
}

/* Waits for what is with the back end, whatever comes of it. */
static void drain(struct emuv_disk *disk)
{
  while (!STAILQ_EMPTY(&disk->waiting)) {
    struct emuv_disk_job *job = STAILQ_FIRST(&disk->waiting);
    STAILQ_REMOVE_HEAD(&disk->waiting, next);
    job->cut = job->request.bytes; /* no further pieces */
  }
  while (disk->pieces_out > 0)
    if (disk->backend->reap(disk, 1000000000, NULL) < 0) break;
}

void emuv_disk_close(struct emuv_disk *disk)
{
  if (!disk) return;
  if (disk->backend) {
    drain(disk);
    disk->backend->close(disk);
  }
  emuv_disk_file_close(disk);
  (void)pthread_mutex_destroy(&disk->lock);
  free(disk->parts);
  free(disk->all_jobs);
  free(disk->all_pieces);
  free(disk);
}

void emuv_disk_register(struct emuv_disk *disk, void *memory, uint64_t bytes)
{
  const uint64_t more = (bytes + PART_BYTES - 1) / PART_BYTES;
  struct iovec *parts = realloc(disk->parts, (disk->n_parts + more) * sizeof *parts);
  if (!parts) {
    emuv_disk_remark(disk, "no memory for registered buffers");
    return;
  }
  disk->parts = parts;
  for (uint64_t at = 0; at < bytes; at += PART_BYTES)
    parts[disk->n_parts++] =
        (struct iovec){.iov_base = (char *)memory + at, .iov_len = bytes - at < PART_BYTES ? bytes - at : PART_BYTES};
  if (!disk->backend->remember) return;
  const bool done = disk->backend->remember(disk, parts, disk->n_parts);
  atomic_store(&disk->registered, done);
  if (!done) emuv_disk_remark(disk, "buffers cannot be registered (%s)", strerror(errno));
}

static int check_request(const struct emuv_disk *disk, const struct emuv_disk_request *r, struct emuv_err *err)
{
  if (r->slot >= disk->reserved)
    return emuv_err_set(err, EMUV_ERR_RANGE, "slot %u of the disk is used, but %u are reserved", r->slot,
                        disk->reserved);
  if (r->bytes == 0 || r->bytes > disk->slot_bytes || r->bytes % EMUV_DISK_BLOCK != 0 ||
      (uintptr_t)r->memory % EMUV_DISK_BLOCK != 0)
    return emuv_err_set(err, EMUV_ERR_RANGE, "a disk request is not aligned to %d bytes, or larger than a slot",
                        EMUV_DISK_BLOCK);
  return 0;
}

int64_t emuv_disk_submit(struct emuv_disk *disk, const struct emuv_disk_request *requests, uint32_t n,
                         struct emuv_err *err)
{
  uint32_t taken = 0;
  int rc = 0;
  for (struct emuv_disk_job *job; taken < n && (job = STAILQ_FIRST(&disk->free_jobs)); taken++) {
    rc = check_request(disk, &requests[taken], err);
    if (rc != 0) break;
    STAILQ_REMOVE_HEAD(&disk->free_jobs, next);
    *job = (struct emuv_disk_job){.request = requests[taken]};
    STAILQ_INSERT_TAIL(&disk->waiting, job, next);
    disk->jobs_out++;
  }
  atomic_fetch_add_explicit(&disk->requests, taken, memory_order_relaxed);
  emuv_disk_pieces_start(disk);
  if (rc == 0) rc = disk->backend->reap(disk, 0, err);
  return rc < 0 ? rc : (int64_t)taken;
}

static int code_of(int system_errno)
{
  if (system_errno == 0) return 0;
  const bool full = system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG;
  return full ? EMUV_ERR_NOSPACE : EMUV_ERR_IO;
}

static uint32_t take_finished(struct emuv_disk *disk, struct emuv_disk_result *out, uint32_t max)
{
  uint32_t n = 0;
  for (struct emuv_disk_job *job; n < max && (job = STAILQ_FIRST(&disk->finished)); n++) {
    STAILQ_REMOVE_HEAD(&disk->finished, next);
    out[n] = (struct emuv_disk_result){.tag = job->request.tag,
                                       .rc = code_of(job->system_errno),
                                       .system_errno = job->system_errno,
                                       .start_ns = job->start_ns,
                                       .end_ns = job->end_ns};
    STAILQ_INSERT_HEAD(&disk->free_jobs, job, next);
    disk->jobs_out--;
  }
  return n;
}

/* How long the back end may sleep: until the deadline, or until a held piece is due. */
static uint64_t sleep_ns(double now_ns, double deadline_ns, double due_ns)
{
  const double until = due_ns > 0 && due_ns < deadline_ns ? due_ns : deadline_ns;
  return until > now_ns ? (uint64_t)(until - now_ns) + 1 : 0;
}

int64_t emuv_disk_poll(struct emuv_disk *disk, struct emuv_disk_result *out, uint32_t max, uint64_t wait_ns,
                       struct emuv_err *err)
{
  double now_ns = emuv_disk_now_ns();
  const double deadline_ns = now_ns + (double)wait_ns;
  int rc = disk->backend->reap(disk, 0, err);
  while (rc == 0) {
    const double due_ns = emuv_disk_pieces_release(disk, now_ns);
    emuv_disk_pieces_start(disk);
    if (!STAILQ_EMPTY(&disk->finished) || disk->jobs_out == 0 || now_ns >= deadline_ns) {
      rc =
          disk->backend->reap(disk, 0, err); /* what was started goes to the system before the caller does other work */
      break;
    }
    rc = disk->backend->reap(disk, sleep_ns(now_ns, deadline_ns, due_ns), err);
    now_ns = emuv_disk_now_ns();
  }
  return rc < 0 ? rc : (int64_t)take_finished(disk, out, max);
}

void emuv_disk_info(const struct emuv_disk *disk, struct emuv_disk_info *info)
{
  struct emuv_disk *d = (struct emuv_disk *)(uintptr_t)disk; /* the lock is no part of what it protects */
  *info = (struct emuv_disk_info){.uring = disk->backend == &emuv_disk_uring,
                                  .direct = atomic_load(&disk->direct),
                                  .registered = atomic_load(&disk->registered),
                                  .requests = atomic_load(&disk->requests),
                                  .retries = atomic_load(&disk->retries),
                                  .read_bytes = atomic_load(&disk->read_bytes),
                                  .write_bytes = atomic_load(&disk->write_bytes)};
  (void)pthread_mutex_lock(&d->lock);
  memcpy(info->remark, disk->remark, sizeof info->remark);
  (void)pthread_mutex_unlock(&d->lock);
}
