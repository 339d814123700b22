// SPDX-License-Identifier: Apache-2.0
/* Back end of disk.h over io_uring: registered file, registered buffers where the system grants them, one ring without
 * a thread of its own. All calls come from the thread that submits and polls (close: when that one has stopped).
 *
 * Source: man pages io_uring_setup(2), io_uring_enter(2), io_uring_register(2). IORING_FEAT_EXT_ARG (Linux 5.11) is
 * asked for, since older kernels need a request to wait with a time limit; those get threads. */
#include "runtime/device/disk_internal.h"

#include <errno.h>
#include <string.h>

#ifdef EMUV_HAVE_LIBURING
#include <liburing.h>
#include <stdlib.h>

struct uring {
  struct io_uring ring;
  bool fixed_file;
  const struct iovec *parts;
  unsigned n_parts;
};

static int refuse(struct emuv_err *err, int error)
{
  errno = error;
  return emuv_err_errno(err, EMUV_ERR_UNSUPPORTED, "io_uring");
}

static bool can_all(struct io_uring *ring)
{
  struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
  const bool can =
      probe && (ring->features & IORING_FEAT_EXT_ARG) && (ring->features & IORING_FEAT_NODROP) &&
      io_uring_opcode_supported(probe, IORING_OP_READ) && io_uring_opcode_supported(probe, IORING_OP_WRITE) &&
      io_uring_opcode_supported(probe, IORING_OP_READ_FIXED) && io_uring_opcode_supported(probe, IORING_OP_WRITE_FIXED);
  io_uring_free_probe(probe);
  return can;
}

static int uring_open(struct emuv_disk *disk, struct emuv_err *err)
{
  struct uring *u = calloc(1, sizeof *u);
  if (!u) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for a disk");
  const int rc = io_uring_queue_init(disk->max_pieces, &u->ring, IORING_SETUP_CLAMP);
  if (rc < 0) {
    free(u);
    return refuse(err, -rc);
  }
  if (!can_all(&u->ring)) {
    io_uring_queue_exit(&u->ring);
    free(u);
    return emuv_err_set(err, EMUV_ERR_UNSUPPORTED, "io_uring of this kernel is too old");
  }
  u->fixed_file = io_uring_register_files(&u->ring, &disk->fd, 1) == 0;
  disk->state = u;
  return 0;
}

static void uring_close(struct emuv_disk *disk)
{
  struct uring *u = disk->state;
  /* The kernel takes rings apart later; memory and file shall be free now. */
  if (u->n_parts) (void)io_uring_unregister_buffers(&u->ring);
  if (u->fixed_file) (void)io_uring_unregister_files(&u->ring);
  io_uring_queue_exit(&u->ring);
  free(u);
}

static bool uring_remember(struct emuv_disk *disk, const struct iovec *parts, unsigned n)
{
  struct uring *u = disk->state;
  if (u->n_parts) (void)io_uring_unregister_buffers(&u->ring);
  u->n_parts = 0;
  const int rc = io_uring_register_buffers(&u->ring, parts, n);
  if (rc < 0) {
    errno = -rc;
    return false;
  }
  u->parts = parts;
  u->n_parts = n;
  return true;
}

/* Which registered buffer holds all of it, or -1. */
static int part_of(const struct uring *u, const char *memory, uint64_t bytes)
{
  for (unsigned i = 0; i < u->n_parts; i++) {
    const uintptr_t base = (uintptr_t)u->parts[i].iov_base, at = (uintptr_t)memory;
    if (at >= base && at + bytes <= base + u->parts[i].iov_len) return (int)i;
  }
  return -1;
}

static void prepare(const struct uring *u, int fd, struct io_uring_sqe *sqe, struct emuv_disk_piece *piece)
{
  const unsigned bytes = (unsigned)piece->issued;
  const int file = u->fixed_file ? 0 : fd, part = part_of(u, piece->memory, piece->issued);
  if (part >= 0 && piece->write)
    io_uring_prep_write_fixed(sqe, file, piece->memory, bytes, piece->offset, part);
  else if (part >= 0)
    io_uring_prep_read_fixed(sqe, file, piece->memory, bytes, piece->offset, part);
  else if (piece->write)
    io_uring_prep_write(sqe, file, piece->memory, bytes, piece->offset);
  else
    io_uring_prep_read(sqe, file, piece->memory, bytes, piece->offset);
  if (u->fixed_file) io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
  io_uring_sqe_set_data(sqe, piece);
}

/* The ring has `max_pieces` entries or more, and no more pieces than that are out: there is always one free, or the
 * kernel takes some. */
static void uring_start(struct emuv_disk *disk, struct emuv_disk_piece *piece)
{
  struct uring *u = disk->state;
  struct io_uring_sqe *sqe;
  while (!(sqe = io_uring_get_sqe(&u->ring))) (void)io_uring_submit(&u->ring);
  prepare(u, disk->fd, sqe, piece);
}

/* Everything queued goes to the kernel; what it does not take now stays queued. */
static int hand_over(struct uring *u, struct emuv_err *err)
{
  while (io_uring_sq_ready(&u->ring) > 0) {
    const int n = io_uring_submit(&u->ring);
    if (n == -EINTR) continue;
    if (n == 0 || n == -EAGAIN || n == -EBUSY) break;
    if (n < 0) {
      errno = -n;
      return emuv_err_errno(err, EMUV_ERR_IO, "io_uring takes no requests");
    }
  }
  return 0;
}

static unsigned take(struct emuv_disk *disk, struct uring *u)
{
  struct io_uring_cqe *cqe;
  unsigned n = 0;
  const double now_ns = emuv_disk_now_ns();
  while (io_uring_peek_cqe(&u->ring, &cqe) == 0 && cqe) {
    struct emuv_disk_piece *piece = io_uring_cqe_get_data(cqe);
    const int result = cqe->res;
    io_uring_cqe_seen(&u->ring, cqe); /* before the piece is started again */
    emuv_disk_piece_done(disk, piece, result, now_ns);
    n++;
  }
  return n;
}

static int uring_reap(struct emuv_disk *disk, uint64_t wait_ns, struct emuv_err *err)
{
  struct uring *u = disk->state;
  int rc = hand_over(u, err);
  if (rc != 0) return rc;
  if (take(disk, u) == 0 && wait_ns > 0) {
    struct __kernel_timespec t = {.tv_sec = (long long)(wait_ns / 1000000000),
                                  .tv_nsec = (long long)(wait_ns % 1000000000)};
    struct io_uring_cqe *cqe = NULL;
    rc = io_uring_wait_cqe_timeout(&u->ring, &cqe, &t);
    if (rc < 0 && rc != -ETIME && rc != -EINTR && rc != -EAGAIN) {
      errno = -rc;
      return emuv_err_errno(err, EMUV_ERR_IO, "waiting for io_uring");
    }
    (void)take(disk, u);
  }
  return hand_over(u, err);
}

const struct emuv_disk_backend emuv_disk_uring = {.name = "io_uring",
                                                  .open = uring_open,
                                                  .close = uring_close,
                                                  .remember = uring_remember,
                                                  .start = uring_start,
                                                  .reap = uring_reap};

#else

static int uring_open(struct emuv_disk *disk, struct emuv_err *err)
{
  (void)disk;
  return emuv_err_set(err, EMUV_ERR_UNSUPPORTED, "this build has no io_uring");
}

const struct emuv_disk_backend emuv_disk_uring = {.name = "io_uring", .open = uring_open};

#endif
