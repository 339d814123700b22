// SPDX-License-Identifier: Apache-2.0
/* What one configuration measured or predicted; the columns of the results database. Times in seconds, the rest in
 * bytes or counts; all for the timed steps, warm-up excluded. */
#ifndef EMUV_SIMULATOR_METRICS_H
#define EMUV_SIMULATOR_METRICS_H

#include <stdint.h>

struct emuv_metrics {
  double total_s;   /* = compute_s + stall_s */
  double compute_s; /* the GPU works */
  double stall_s;   /* = stall_link_s + stall_disk_s + stall_host_s */
  double stall_link_s, stall_disk_s, stall_host_s;
  double prefill_s, decode_s, first_s; /* first_s: first timed step */
  uint64_t steps, tokens, decode_steps, decode_tokens;
  uint64_t accesses, hits, faults, births;            /* page references; accesses = hits + faults + births + remote */
  uint64_t remote;                                    /* references read in place */
  uint64_t fault_bytes, prefetch_bytes, remote_bytes; /* h2d_bytes + peer_read_bytes is their sum */
  uint64_t h2d_bytes, d2h_bytes;                      /* over the host's link */
  uint64_t peer_read_bytes, peer_write_bytes;         /* from another GPU's memory to VRAM, and back */
  uint64_t writeback_bytes;                           /* = d2h_bytes + peer_write_bytes */
  uint64_t nvme_read_bytes, nvme_write_bytes;
  uint64_t prefetch_issued, prefetch_used; /* pages */
  uint64_t used_bytes; /* distinct bytes that a step uses and that existed before it, summed over the steps */
  uint64_t evicted, peak_vram_bytes;
  double link_busy_s, peer_busy_s, disk_busy_s;
  double bound_s, bound_link_s, bound_compute_s, bound_disk_s;
  const char *bound_by; /* link compute disk */
  double energy_j;      /* < 0: no power model */
  char plan[96];        /* what the strategy chose; "" where it has no choice */
};

#endif
