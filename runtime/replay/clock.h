// SPDX-License-Identifier: Apache-2.0
/* The measured timeline: from when kernels really ran to the figures of a row, by the rules of the simulator's virtual
 * clock (simulator/timeline.h). Kernels come in order; each gap before one is put down to what it waited for: the host
 * that had not issued the launch, data on the link, data from the disk. The time that one launch costs the compute
 * stream (hw.launch) is part of the kernel's time, as it is in a modelled one. total = compute + stalls, exactly.
 *
 * A kernel is announced when it is launched and taken into account when its span is known; both in order. Times are
 * nanoseconds of CLOCK_MONOTONIC. Pure computation: no thread, no system call. One thread. */
#ifndef EMUV_REPLAY_CLOCK_H
#define EMUV_REPLAY_CLOCK_H

#include "runtime/core/err.h"
#include "runtime/device/device.h"
#include "simulator/metrics.h"
#include "simulator/workload.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EMUV_CLOCK_PENDING = 2048 }; /* kernels whose spans are not known yet, at most */

struct emuv_clock_pending {
  uint64_t seq;
  double issue_ns;
};

/* What a checkpoint keeps; sums of the timed part, nanoseconds. */
struct emuv_clock_sums {
  double compute_ns, stall_link_ns, stall_disk_ns, stall_host_ns;
  double prefill_ns, decode_ns, first_ns;
  uint64_t steps, tokens, decode_steps, decode_tokens, kernels;
};

struct emuv_clock {
  const struct emuv_workload *workload;
  double launch_ns; /* of one kernel, back to back */
  double now_ns;    /* when the compute stream became free after the last kernel that is known */
  double step_ns;   /* the same at the start of the step */
  struct emuv_clock_pending pending[EMUV_CLOCK_PENDING];
  uint32_t head, n;
  uint64_t *last_of_step; /* per step: number of its last kernel; those before `open_step` are known */
  size_t step, open_step; /* the step whose kernels are being taken into account; the one that is being launched */
  bool timed;
  struct emuv_clock_sums sum;
};

/* EMUV_ERR_NOMEM. */
int emuv_clock_init(struct emuv_clock *c, const struct emuv_workload *w, double launch_ns, struct emuv_err *err);
void emuv_clock_free(struct emuv_clock *c);
/* The compute stream is free at now_ns and `step` comes next; sums stay. */
void emuv_clock_start(struct emuv_clock *c, size_t step, double now_ns);
/* Kernel `seq` has been launched for something that the host came to at issue_ns. There is room (emuv_clock_full). */
void emuv_clock_launched(struct emuv_clock *c, uint64_t seq, double issue_ns);
bool emuv_clock_full(const struct emuv_clock *c);
/* The kernel whose span is wanted next; 0 = none. */
uint64_t emuv_clock_wants(const struct emuv_clock *c);
/* The one in the middle of those that are pending: when it has ended there is room, and the GPU has work. */
uint64_t emuv_clock_middle(const struct emuv_clock *c);
/* The span of that kernel; data_ns: when its last byte was there, 0 = it waited for none. */
void emuv_clock_take(struct emuv_clock *c, const struct emuv_span *span, double data_ns, bool from_disk);
/* The step that is being launched has no further kernels. last_seq: of the last kernel launched so far. */
void emuv_clock_step_end(struct emuv_clock *c, uint64_t last_seq);
/* The sums as metrics; power: watts at rest and under load, busy 0 = no power model. */
void emuv_clock_report(const struct emuv_clock *c, double power_idle, double power_busy, struct emuv_metrics *m);

#endif
