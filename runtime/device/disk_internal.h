// SPDX-License-Identifier: Apache-2.0
/* What the files of disk.h share. A request is cut into pieces, so that a large one uses the disk's parallelism; a
 * piece becomes one request to the system, and another one for what a short transfer has left. A back end carries
 * pieces out: disk_uring.c or disk_threads.c.
 *
 * Ownership: struct emuv_disk owns all requests and pieces; a back end borrows a piece from start until it hands it to
 * emuv_disk_piece_done. All of it belongs to the thread that submits and polls, but for what is atomic or under `lock`
 * (read by emuv_disk_info) and the queues inside disk_threads.c. */
#ifndef EMUV_DEVICE_DISK_INTERNAL_H
#define EMUV_DEVICE_DISK_INTERNAL_H

#include "runtime/device/disk.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <time.h>

enum {
  EMUV_DISK_BLOCK = 4096,
  EMUV_DISK_PIECE = 256 << 10, /* requests above this are cut: measured best, also beside larger ones at more depth */
  EMUV_DISK_PIECES = 64,       /* in flight, where `depth` is not more */
  EMUV_DISK_DEPTH = 32,
  EMUV_DISK_MAX_DEPTH = 4096,
  EMUV_DISK_MAX_TRIES = 64, /* of one piece without any progress */
};

struct emuv_disk_piece {
  STAILQ_ENTRY(emuv_disk_piece) next;
  struct emuv_disk_job *job;
  char *memory;
  uint64_t offset, bytes; /* in the file; offset and memory of what is left move on after a short transfer */
  uint64_t issued;        /* bytes that the system is asked for */
  uint64_t delay_ns;      /* injected: it is finished this much later */
  double due_ns;
  int64_t result; /* bytes, or a negative errno */
  unsigned tries;
  bool write, torn; /* torn: injected: half is reported as all */
};

/* A request in flight. */
struct emuv_disk_job {
  STAILQ_ENTRY(emuv_disk_job) next;
  struct emuv_disk_request request;
  uint64_t cut;    /* bytes handed out as pieces */
  uint32_t pieces; /* in flight */
  int system_errno;
  double start_ns, end_ns;
};

STAILQ_HEAD(emuv_disk_pieces, emuv_disk_piece);
STAILQ_HEAD(emuv_disk_jobs, emuv_disk_job);

struct emuv_disk_backend {
  const char *name;
  /* EMUV_ERR_UNSUPPORTED: the system refuses; *err says why. */
  int (*open)(struct emuv_disk *disk, struct emuv_err *err);
  void (*close)(struct emuv_disk *disk);
  /* Memory in `n` parts for registered buffers, instead of that registered before. False: refused, errno says why. */
  bool (*remember)(struct emuv_disk *disk, const struct iovec *parts, unsigned n);
  /* Takes a piece; at most `max_pieces` are with the back end at any time. */
  void (*start)(struct emuv_disk *disk, struct emuv_disk_piece *piece);
  /* Hands over what was started and calls emuv_disk_piece_done for what has finished; blocks up to wait_ns for the
   * first. */
  int (*reap)(struct emuv_disk *disk, uint64_t wait_ns, struct emuv_err *err);
};

extern const struct emuv_disk_backend emuv_disk_uring, emuv_disk_threads;

struct emuv_disk {
  const struct emuv_disk_backend *backend;
  void *state; /* the back end's */
  struct emuv_inject *inject;
  int fd;
  bool given, block_device; /* the file was there before; it is a device */
  uint64_t slot_bytes, size_bytes;
  uint32_t n_slots, reserved, depth, max_pieces;
  struct iovec *parts; /* registered memory, ascending by registration */
  unsigned n_parts;
  struct emuv_disk_job *all_jobs;
  struct emuv_disk_piece *all_pieces;
  struct emuv_disk_jobs free_jobs, waiting, finished; /* waiting: with bytes that are not cut yet */
  struct emuv_disk_pieces free_pieces,
      held;                      /* held: finished but not due yet, or in no need of the system (injected) */
  uint32_t jobs_out, pieces_out; /* jobs that are not free; pieces with the back end */
  _Atomic uint64_t requests, retries, read_bytes, write_bytes;
  atomic_bool direct, registered;
  pthread_mutex_t lock; /* over remark */
  char remark[256];
};

/* disk_file.c */
int emuv_disk_file_open(struct emuv_disk *disk, const char *path, struct emuv_err *err);
void emuv_disk_file_close(struct emuv_disk *disk);
/* Clears O_DIRECT after the system has refused it. */
void emuv_disk_file_undirect(struct emuv_disk *disk, const char *why);
/* The page cache shall not keep what went through it. */
void emuv_disk_file_forget(struct emuv_disk *disk, const struct emuv_disk_request *request);

/* disk_piece.c */
/* Cuts waiting jobs into pieces and starts them while there are free ones. */
void emuv_disk_pieces_start(struct emuv_disk *disk);
/* A piece comes back from the back end: bytes or a negative errno. */
void emuv_disk_piece_done(struct emuv_disk *disk, struct emuv_disk_piece *piece, int64_t result, double end_ns);
/* Finishes held pieces that are due; returns when the next one is, or 0. */
double emuv_disk_pieces_release(struct emuv_disk *disk, double now_ns);

/* disk.c */
void emuv_disk_remark(struct emuv_disk *disk, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline double emuv_disk_now_ns(void)
{
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

#endif
