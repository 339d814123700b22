// SPDX-License-Identifier: Apache-2.0
/* The disk's two streams (EMUV_STREAM_DISK_READ and _WRITE of device.h): a thread takes requests, waits until the work
 * that they come after is done, keeps the disk busy, and publishes how far each stream has come.
 *
 * Requests of one stream start in any order once what they come after is done; reads, which kernels wait for, go before
 * writes. `done` grows as a prefix: number n means that all up to n have finished.
 *
 * A request that fails with EMUV_ERR_IO is tried once more. After that the queue stops: it calls `fail`, starts nothing
 * more, and every wait returns. One thread pushes; `done`, `stop` and `times` may be called from any thread. The disk
 * belongs to the queue's thread from open to close, except for emuv_disk_reserve. */
#ifndef EMUV_ENGINE_DISK_QUEUE_H
#define EMUV_ENGINE_DISK_QUEUE_H

#include "runtime/device/device.h"
#include "runtime/device/disk.h"

#include <stdbool.h>
#include <stdint.h>

struct emuv_disk_queue; /* opaque */

struct emuv_disk_queue_env {
  struct emuv_disk *disk;
  struct emuv_device *device;
  uint32_t depth;       /* requests in flight at most */
  uint64_t queue_bytes; /* requests that wait at most, by their bytes; 0 = 4096 requests of any size */
  uint64_t slot_bytes;
  void (*fail)(void *arg, const struct emuv_err *why); /* from the queue's thread; the first call counts */
  void *arg;
};

/* EMUV_ERR_NOMEM. */
int emuv_disk_queue_open(const struct emuv_disk_queue_env *env, struct emuv_disk_queue **queue, struct emuv_err *err);
/* Finishes what was pushed, or after a failure what is in flight. */
void emuv_disk_queue_close(struct emuv_disk_queue *queue);
/* Puts a request of one slot on a stream; *seq: its number. Waits while the queue is full. False: the queue has
 * stopped. The thread may hear of it only after emuv_disk_queue_kick. */
bool emuv_disk_queue_push(struct emuv_disk_queue *queue, enum emuv_stream stream, uint32_t slot, void *memory,
                          const struct emuv_after *after, uint64_t *seq);
void emuv_disk_queue_kick(struct emuv_disk_queue *queue);
uint64_t emuv_disk_queue_done(const struct emuv_disk_queue *queue, enum emuv_stream stream);
/* Blocks until `seq` has finished. False: the queue has stopped. */
bool emuv_disk_queue_wait(struct emuv_disk_queue *queue, enum emuv_stream stream, uint64_t seq);
/* Something else has failed: starts nothing more. */
void emuv_disk_queue_stop(struct emuv_disk_queue *queue);
/* Time for which at least one request was in flight. */
double emuv_disk_queue_busy_ns(const struct emuv_disk_queue *queue);

#endif
