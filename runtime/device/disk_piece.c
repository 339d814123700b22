// SPDX-License-Identifier: Apache-2.0
/* Pieces of requests (disk_internal.h): cutting, what a result means, further requests for what a short transfer left,
 * and faults on purpose.
 *
 * Faults are asked for once per piece, when it is started first: what heals one is not hit again. Halves are whole
 * blocks. A short piece asks the system for half; a torn one too, and reports all. */
#include "runtime/device/disk_internal.h"

#include <errno.h>
#include <string.h>

static uint64_t half(uint64_t bytes)
{
  return bytes / 2 / EMUV_DISK_BLOCK * EMUV_DISK_BLOCK;
}

static void hold(struct emuv_disk *disk, struct emuv_disk_piece *piece, int64_t result, double due_ns)
{
  piece->result = result;
  piece->due_ns = due_ns;
  STAILQ_INSERT_TAIL(&disk->held, piece, next);
}

static void finish_job(struct emuv_disk *disk, struct emuv_disk_job *job)
{
  if (job->system_errno == 0) emuv_disk_file_forget(disk, &job->request);
  _Atomic uint64_t *bytes = job->request.write ? &disk->write_bytes : &disk->read_bytes;
  if (job->system_errno == 0) atomic_fetch_add_explicit(bytes, job->request.bytes, memory_order_relaxed);
  STAILQ_INSERT_TAIL(&disk->finished, job, next);
}

/* The first error counts; what is not started is left out. */
static void give_up(struct emuv_disk *disk, struct emuv_disk_job *job, int system_errno)
{
  if (job->system_errno == 0) job->system_errno = system_errno;
  if (job->cut == job->request.bytes) return;
  STAILQ_REMOVE(&disk->waiting, job, emuv_disk_job, next);
  job->cut = job->request.bytes;
}

static void finish_piece(struct emuv_disk *disk, struct emuv_disk_piece *piece, int system_errno, double end_ns)
{
  struct emuv_disk_job *job = piece->job;
  if (system_errno != 0) give_up(disk, job, system_errno);
  if (end_ns > job->end_ns) job->end_ns = end_ns;
  STAILQ_INSERT_HEAD(&disk->free_pieces, piece, next);
  job->pieces--;
  if (job->pieces == 0 && job->cut == job->request.bytes) finish_job(disk, job);
}

static void start(struct emuv_disk *disk, struct emuv_disk_piece *piece)
{
  disk->pieces_out++;
  disk->backend->start(disk, piece);
}

static void start_again(struct emuv_disk *disk, struct emuv_disk_piece *piece)
{
  atomic_fetch_add_explicit(&disk->retries, 1, memory_order_relaxed);
  piece->issued = piece->bytes;
  start(disk, piece);
}

/* True when the piece has been started again. */
static bool retry_error(struct emuv_disk *disk, struct emuv_disk_piece *piece, int error)
{
  const bool direct = atomic_load_explicit(&disk->direct, memory_order_relaxed);
  if (error == EINVAL && direct) emuv_disk_file_undirect(disk, "EINVAL of a transfer");
  /* Others that were on their way with O_DIRECT come back with EINVAL later: their first try is not their last. */
  const bool refused = error == EINVAL && piece->tries == 0;
  if ((error != EINTR && error != EAGAIN && !refused) || ++piece->tries > EMUV_DISK_MAX_TRIES) return false;
  start_again(disk, piece);
  return true;
}

static void settle(struct emuv_disk *disk, struct emuv_disk_piece *piece, int64_t result, double end_ns)
{
  if (result < 0) {
    if (!retry_error(disk, piece, (int)-result)) finish_piece(disk, piece, (int)-result, end_ns);
    return;
  }
  if ((uint64_t)result >= piece->bytes || (piece->torn && (uint64_t)result >= piece->issued)) {
    finish_piece(disk, piece, 0, end_ns);
    return;
  }
  const uint64_t progress = (uint64_t)result / EMUV_DISK_BLOCK * EMUV_DISK_BLOCK;
  piece->memory += progress;
  piece->offset += progress;
  piece->bytes -= progress;
  piece->tries = progress ? 0 : piece->tries + 1;
  /* Nothing read means the end of the file; nothing written is worth another try. */
  if ((result == 0 && !piece->write) || piece->tries > EMUV_DISK_MAX_TRIES)
    finish_piece(disk, piece, EIO, end_ns);
  else
    start_again(disk, piece);
}

void emuv_disk_piece_done(struct emuv_disk *disk, struct emuv_disk_piece *piece, int64_t result, double end_ns)
{
  disk->pieces_out--;
  if (piece->delay_ns)
    hold(disk, piece, result, end_ns + (double)piece->delay_ns);
  else
    settle(disk, piece, result, end_ns);
}

double emuv_disk_pieces_release(struct emuv_disk *disk, double now_ns)
{
  struct emuv_disk_pieces held = STAILQ_HEAD_INITIALIZER(held);
  STAILQ_CONCAT(&held, &disk->held);
  double next_ns = 0;
  while (!STAILQ_EMPTY(&held)) {
    struct emuv_disk_piece *piece = STAILQ_FIRST(&held);
    STAILQ_REMOVE_HEAD(&held, next);
    if (piece->due_ns <= now_ns) {
      piece->delay_ns = 0;
      settle(disk, piece, piece->result, now_ns);
    } else {
      STAILQ_INSERT_TAIL(&disk->held, piece, next);
      if (next_ns == 0 || piece->due_ns < next_ns) next_ns = piece->due_ns;
    }
  }
  return next_ns;
}

/* Returns true when the fault is the piece's whole fate: it needs no request to the system. */
static bool inject_fault(struct emuv_disk *disk, struct emuv_disk_piece *piece)
{
  struct emuv_inject *inject = disk->inject;
  const bool write = piece->write;
  if (emuv_inject_now(inject, EMUV_INJECT_NVME_SLOW)) {
    const uint64_t delay_ns = emuv_inject_delay_ns(inject, EMUV_INJECT_NVME_SLOW);
    piece->delay_ns = delay_ns ? delay_ns : 1;
  }
  int64_t result = 0;
  if (emuv_inject_now(inject, write ? EMUV_INJECT_NVME_WRITE_EIO : EMUV_INJECT_NVME_READ_EIO)) result = -EIO;
  if (write && emuv_inject_now(inject, EMUV_INJECT_NVME_WRITE_ENOSPC)) result = -ENOSPC;
  piece->torn = emuv_inject_now(inject, write ? EMUV_INJECT_NVME_WRITE_TORN : EMUV_INJECT_NVME_READ_TORN);
  const bool is_short = emuv_inject_now(inject, write ? EMUV_INJECT_NVME_WRITE_SHORT : EMUV_INJECT_NVME_READ_SHORT);
  if (piece->torn || (is_short && half(piece->bytes))) piece->issued = half(piece->bytes);
  if (result == 0 && piece->issued) return false;
  if (result == 0) result = (int64_t)piece->bytes; /* torn, and no block of it is transferred */
  hold(disk, piece, result, emuv_disk_now_ns() + (double)piece->delay_ns);
  return true;
}

/* The next piece of the job: up to EMUV_DISK_PIECE bytes. */
static void cut(struct emuv_disk *disk, struct emuv_disk_job *job, struct emuv_disk_piece *piece)
{
  const struct emuv_disk_request *r = &job->request;
  const uint64_t left = r->bytes - job->cut, bytes = left < EMUV_DISK_PIECE ? left : EMUV_DISK_PIECE;
  *piece = (struct emuv_disk_piece){.job = job,
                                    .memory = (char *)r->memory + job->cut,
                                    .offset = r->slot * disk->slot_bytes + job->cut,
                                    .bytes = bytes,
                                    .issued = bytes,
                                    .write = r->write};
  job->cut += bytes;
  job->pieces++;
}

void emuv_disk_pieces_start(struct emuv_disk *disk)
{
  struct emuv_disk_job *job;
  struct emuv_disk_piece *piece;
  while ((job = STAILQ_FIRST(&disk->waiting)) && (piece = STAILQ_FIRST(&disk->free_pieces))) {
    STAILQ_REMOVE_HEAD(&disk->free_pieces, next);
    if (job->cut == 0) job->start_ns = emuv_disk_now_ns();
    cut(disk, job, piece);
    if (job->cut == job->request.bytes) STAILQ_REMOVE_HEAD(&disk->waiting, next);
    if (!disk->inject || !inject_fault(disk, piece)) start(disk, piece);
  }
}
