// SPDX-License-Identifier: Apache-2.0
/* Insides of the device `host` (host.c): what its files share. Who may touch what stands beside each group of fields.
 */
#ifndef EMUV_DEVICE_HOST_H
#define EMUV_DEVICE_HOST_H

#include "runtime/device/device.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
  HOST_N_STREAMS = EMUV_STREAM_DISK_READ, /* those that have a thread */
  HOST_QUEUE = 1024,                      /* pieces of work in flight per stream */
  HOST_SPANS = 4096,
  HOST_MISMATCHES = 1024,
};

enum { HOST_LENDER = 1 }; /* the number of what stands for another GPU; the device's own, 0, lends as well */

#define HOST_NO_FRAME UINT32_MAX

/* From the submission on, a page lies in this frame (EMUV_MAPPING_TABLE). */
struct host_update {
  uint32_t page, frame;
};

/* One piece of work. Owner: the caller until it is queued, then the stream's thread, which frees it. */
struct host_work {
  struct emuv_after after;
  double submitted_ns, duration_ns;
  uint64_t seq;
  struct emuv_copy *copies; /* of a copy */
  struct emuv_touch *touches;
  struct host_update *updates; /* applied before the kernel reads the table */
  uint32_t n_copies, n_touches, n_updates;
};

/* The lock of the device guards all but the thread's own handle. */
struct host_stream {
  struct emuv_device *device;
  enum emuv_stream id;
  pthread_t thread;
  pthread_cond_t wake;
  bool asleep; /* waits on `wake` */
  struct host_work *queue[HOST_QUEUE];
  uint64_t submitted;
  double last_end_ns;
  struct emuv_span spans[HOST_SPANS];
};

/* A modelled direction of the link; under the lock. */
struct host_link {
  const struct emuv_curve *curve;
  double free_ns;
};

struct host_allocation {
  void *memory;
  uint64_t bytes;
  struct host_allocation *next;
};

/* Memory that stands for another GPU's. The caller gets addresses that nobody can read or write, as on a GPU, so that
 * whoever takes them for host memory is found out; the device uses `memory`. Set before any work that names it. */
struct host_peer {
  uint8_t *given, *memory;
  uint64_t bytes;
};

/* Where pages lie, as of the last submission; of the submitting thread. */
struct host_placement {
  uint32_t *frame_of_page, *page_of_frame;
  uint64_t *last_use; /* per page: number of the last kernel that used its address */
};

struct emuv_device {
  struct emuv_device_head head;
  struct emuv_device_env env; /* const after open */
  uint8_t *arena;             /* n_frames * page_bytes; hazards are the caller's, as on any device */
  uint8_t *space;             /* EMUV_MAPPING_REMAP: n_pages * page_bytes of addresses */
  int arena_fd;               /* memfd behind both, or -1 */
  uint32_t *table;            /* EMUV_MAPPING_TABLE: of the compute stream's thread */
  _Atomic uint64_t sink;      /* what kernels read ends here, so that it is read */
  struct host_placement placement;
  struct host_peer peer_memory;
  struct host_stream streams[HOST_N_STREAMS];
  _Atomic uint64_t done[EMUV_N_STREAMS]; /* written under the lock, read by anybody */
  atomic_bool lost, interrupted;         /* interrupted: lost because the user asked to stop */

  pthread_mutex_t lock; /* guards what follows, and the streams */
  pthread_cond_t progress;
  uint32_t waiters; /* on `progress` */
  bool stopping;
  double disk_ns[EMUV_N_STREAMS - HOST_N_STREAMS][HOST_SPANS]; /* when disk work was published */
  struct host_link up, down, peer[2];                          /* peer: towards VRAM, and from it */
  struct emuv_mismatch mismatches[HOST_MISMATCHES];
  uint32_t n_mismatches;
  uint64_t total_mismatches;
  struct host_allocation *allocations;
  struct emuv_device_costs costs;
};

extern const struct emuv_device_ops emuv_device_host;

/* CLOCK_MONOTONIC. */
double host_now_ns(void);
void host_sleep_until(double ns);
/* Has the user asked to stop (env.stopped)? */
bool host_is_stopped(const struct emuv_device *device);
/* Why nothing works any more: EMUV_ERR_IO, or EMUV_ERR_INTERRUPTED. */
int host_lost(const struct emuv_device *device, struct emuv_err *err);

/* host_memory.c */
int host_memory_open(struct emuv_device *device, struct emuv_err *err);
void host_memory_close(struct emuv_device *device);
/* EMUV_ERR_NOMEM when this machine has less than `bytes` to spare; what: for the text. */
int host_memory_check(uint64_t bytes, const char *what, struct emuv_err *err);
uint64_t host_memory_available(uint64_t *total);
int host_memory_alloc(struct emuv_device *device, uint64_t bytes, int threads, void **memory, bool *pinned,
                      struct emuv_err *err);
void host_memory_free(struct emuv_device *device, void *memory);
/* One allocation at a time. */
int host_memory_peer_alloc(struct emuv_device *device, int index, uint64_t bytes, void **memory, struct emuv_err *err);
int host_memory_peer_copy(struct emuv_device *device, void *to, const void *from, uint64_t bytes, struct emuv_err *err);
static inline bool host_memory_is_peer(const struct emuv_device *device, const void *at)
{
  const struct host_peer *p = &device->peer_memory;
  return p->given && (uintptr_t)at - (uintptr_t)p->given < p->bytes;
}
/* Where the bytes behind an address really are. */
static inline void *host_memory_at(const struct emuv_device *device, const void *at)
{
  const struct host_peer *p = &device->peer_memory;
  uintptr_t address = (uintptr_t)at;
  if (host_memory_is_peer(device, at)) address += (uintptr_t)p->memory - (uintptr_t)p->given;
  return (void *)address; // NOLINT(performance-no-int-to-ptr)
}

/* host_mapping.c: makes the pages that a kernel touches lie where it says; `work` takes the updates of the table. */
int host_mapping_open(struct emuv_device *device, struct emuv_err *err);
void host_mapping_close(struct emuv_device *device);
int host_mapping_prepare(struct emuv_device *device, struct host_work *work, struct emuv_err *err);
/* The kernel with number seq uses these pages. */
void host_mapping_used(struct emuv_device *device, const struct host_work *work, uint64_t seq);

/* host_stream.c */
int host_streams_open(struct emuv_device *device, struct emuv_err *err);
void host_streams_close(struct emuv_device *device);
/* Queues work, when there is room, and owns it then. */
int host_stream_submit(struct emuv_device *device, enum emuv_stream stream, struct host_work *work, uint64_t *seq,
                       struct emuv_err *err);
int host_stream_wait(struct emuv_device *device, enum emuv_stream stream, uint64_t seq, struct emuv_err *err);
void host_stream_disk_done(struct emuv_device *device, enum emuv_stream stream, uint64_t seq);
/* Gives up all work: from now on every call fails. */
void host_stream_lose(struct emuv_device *device);
bool host_stream_span(struct emuv_device *device, enum emuv_stream stream, uint64_t seq, struct emuv_span *span);
void host_work_free(struct host_work *work);

/* host_work.c: runs in the stream's thread, without the lock; returns when the modelled device would be done. */
void host_work_copy(struct emuv_device *device, enum emuv_stream stream, const struct host_work *work, double ready_ns,
                    struct emuv_span *span);
void host_work_kernel(struct emuv_device *device, const struct host_work *work, double ready_ns,
                      struct emuv_span *span);

#endif
