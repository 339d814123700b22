// SPDX-License-Identifier: Apache-2.0
/* The status page: what a running emuV program tells the world, in shared memory. It is a memfd named "emuv-status",
 * which readers find under /proc/PID/fd: it vanishes with its process, however that ends, and needs no path that two
 * programs could fight over. One writer, any number of readers; a sequence lock (odd while written) makes a reading
 * consistent. A writer never waits. All of `struct emuv_status` is plain data of fixed layout; a newer version only
 * appends. What a program does not know is EMUV_STATUS_UNKNOWN, never zero. */
#ifndef EMUV_CORE_STATUS_H
#define EMUV_CORE_STATUS_H

#include "runtime/core/err.h"

#include <stdint.h>

#define EMUV_STATUS_UNKNOWN UINT64_MAX

enum { EMUV_STATUS_TIERS = 4, EMUV_STATUS_LINKS = 6 };

struct emuv_status_tier {
  char name[16]; /* vram peer ram nvme; "" = not there */
  uint64_t capacity_bytes, used_bytes, dirty_bytes, pinned_bytes;
};

/* Sums since the start: a reader that looks twice knows the rate. */
struct emuv_status_link {
  char name[24]; /* "ram > vram", "vram > ram", "nvme > ram", ... */
  uint64_t bytes, copies, busy_ns;
};

struct emuv_status {
  char program[16];                                                  /* emuv-replay, emuv-run */
  char title[96];                                                    /* workload or command */
  char device[64], policy[32], prefetch[32], mapping[16], phase[24]; /* phase: opening filling running checking done */
  uint64_t page_bytes, start_ns, updated_ns;                         /* CLOCK_MONOTONIC */
  struct emuv_status_tier tier[EMUV_STATUS_TIERS];
  struct emuv_status_link link[EMUV_STATUS_LINKS];
  uint64_t accesses, hits, faults, prefetch_issued, prefetch_used, evicted, launches, checked_bytes, mismatches;
  uint64_t step, n_steps;
  uint64_t compute_ns, stall_ns;
};

struct emuv_status_page; /* the mapped memory; opaque */

/* The writer's side. EMUV_ERR_IO, EMUV_ERR_NOMEM: a program goes on without (page = NULL, which the others accept). */
int emuv_status_create(struct emuv_status_page **page, struct emuv_err *err);
/* Publishes a copy of *status; cheap (well under a microsecond); one thread. */
void emuv_status_publish(struct emuv_status_page *page, const struct emuv_status *status);
void emuv_status_close(struct emuv_status_page *page);

/* The reader's side: processes with a status page, as far as this user may look into them (root: all), each once, in
 * ascending order. Writes at most max process ids; returns how many there are. EMUV_ERR_IO: there is no /proc. */
int emuv_status_find(int *pids, int max, struct emuv_err *err);
/* A consistent copy; fields that an older writer does not have are zero. EMUV_ERR_NODEV: the process has none (any
 * more). EMUV_ERR_UNSUPPORTED: not a layout that this version knows. */
int emuv_status_read(int pid, struct emuv_status *status, struct emuv_err *err);

#endif
