// SPDX-License-Identifier: Apache-2.0
/* A file or block device that holds slots of one size, read and written by many requests at once: io_uring with
 * registered buffers and O_DIRECT, or a pool of threads with pread and pwrite where io_uring is refused, or without
 * O_DIRECT where that is refused (both with a remark). Slots are reserved before they are first written, so that a full
 * disk is known when a slot is asked for, not when its data is on its way.
 *
 * A file that the disk makes has no name (O_TMPFILE, or unlinked at once): nothing stays behind a killed process.
 * Large requests are cut into pieces, so that they use what a disk gains from depth.
 * submit and poll belong to one thread, reserve may be called by another; several disks may be open in one process. No
 * globals, no prints. */
#ifndef EMUV_DEVICE_DISK_H
#define EMUV_DEVICE_DISK_H

#include "runtime/core/err.h"
#include "runtime/core/inject.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct emuv_disk; /* opaque */

struct emuv_disk_env {
  const char *path; /* a folder: a nameless file in it; an existing file or a block device: used as it is */
  uint64_t slot_bytes;
  uint32_t n_slots;
  uint32_t depth; /* requests in flight at most; 0 = the default of 32 */
  struct emuv_inject *inject;
};

struct emuv_disk_info {
  bool uring, direct, registered; /* what is really used */
  char remark[256];               /* why something is not; "" = all is used */
  uint64_t requests, retries, read_bytes, write_bytes;
};

struct emuv_disk_request {
  bool write;
  uint32_t slot;
  uint64_t bytes; /* slot_bytes, or a part from its start; a multiple of 4096 */
  void *memory;   /* 4096-byte aligned */
  uint64_t tag;   /* the caller's */
};

struct emuv_disk_result {
  uint64_t tag;
  int rc;           /* 0, EMUV_ERR_IO or EMUV_ERR_NOSPACE; short transfers have been finished by further requests */
  int system_errno; /* behind rc */
  double start_ns, end_ns; /* CLOCK_MONOTONIC */
};

/* EMUV_ERR_IO (cannot be opened: the text says why), EMUV_ERR_NOMEM, EMUV_ERR_RANGE. */
int emuv_disk_open(const struct emuv_disk_env *env, struct emuv_disk **disk, struct emuv_err *err);
/* Waits for what is in flight, then closes. */
void emuv_disk_close(struct emuv_disk *disk);
/* Memory that requests will come from, for registered buffers; call before the first submit. Failing is no error (info
 * says so). */
void emuv_disk_register(struct emuv_disk *disk, void *memory, uint64_t bytes);
/* Room for slots below n_slots: space is allocated in the file. EMUV_ERR_NOSPACE: *reserved tells how many there are
 * room for. */
int emuv_disk_reserve(struct emuv_disk *disk, uint32_t n_slots, uint32_t *reserved, struct emuv_err *err);
/* Takes up to n requests; returns how many were taken (fewer when `depth` are in flight), or < 0. Requests run in any
 * order. */
int64_t emuv_disk_submit(struct emuv_disk *disk, const struct emuv_disk_request *requests, uint32_t n,
                         struct emuv_err *err);
/* Finished requests into out, at most max; blocks up to wait_ns for the first (0 = does not block). Returns how many,
 * or < 0. */
int64_t emuv_disk_poll(struct emuv_disk *disk, struct emuv_disk_result *out, uint32_t max, uint64_t wait_ns,
                       struct emuv_err *err);
void emuv_disk_info(const struct emuv_disk *disk, struct emuv_disk_info *info);

#endif
