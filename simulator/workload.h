// SPDX-License-Identifier: Apache-2.0
/* A workload in bytes: segments of one virtual address space, and the launches ("ops") that read and write ranges of
 * it, grouped in steps (one decoded token, one prefill, one training step). Independent of page size and hardware, so
 * one workload serves a whole sweep; it is immutable once built and may be read from any thread. Owned by its builder;
 * freed with emuv_workload_free. */
#ifndef EMUV_SIMULATOR_WORKLOAD_H
#define EMUV_SIMULATOR_WORKLOAD_H

#include "runtime/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum emuv_segment_kind { EMUV_SEGMENT_WEIGHT, EMUV_SEGMENT_KV, EMUV_SEGMENT_ACTIVATION, EMUV_SEGMENT_OTHER };

struct emuv_segment {
  char name[56]; /* e.g. "layers.12.mlp.down" */
  uint64_t offset, bytes;
  enum emuv_segment_kind kind;
  int32_t layer; /* 0-based decoder layer; -1 = none (embedding, head, trace segments without a layer) */
};

enum emuv_range_flag {
  EMUV_RANGE_READ = 1,
  EMUV_RANGE_WRITE = 2,
  EMUV_RANGE_NEW = 4,     /* written whole without being read before: a page never used before needs no copy in */
  EMUV_RANGE_DYNAMIC = 8, /* which range it is depends on data that the GPU computes just before (expert routing) */
};

struct emuv_range {
  uint64_t offset, bytes; /* in the address space; bytes > 0 */
  uint32_t segment;
  uint32_t flags;
};

struct emuv_op {
  uint32_t first_range, n_ranges;
  uint32_t step;
  int32_t layer;     /* -1 = none */
  uint32_t launches; /* kernels that this op stands for (host cost and launch cost are paid for each) */
  bool sync;         /* the host waits for the GPU after this op (end of a token, .item(), device-to-host copy) */
  double flops;      /* floating-point operations */
  double bytes;      /* device memory traffic in bytes for the roofline (>= the bytes of its ranges as a rule) */
  double kernel_ns;  /* measured GPU time, all launches together; 0 = roofline */
  double host_ns;    /* measured host time before it is issued, waits excluded; 0 = launches x launch_host */
  char name[24];     /* "qkv", "attention", "o", "gate_up", "down", "head", or a kernel's short name */
};

struct emuv_step {
  uint32_t first_op, n_ops;
  uint64_t tokens; /* work units that this step completes (prefill: 0 or the first token) */
  bool prefill;
};

struct emuv_workload {
  struct emuv_segment *segments;
  struct emuv_range *ranges;
  struct emuv_op *ops;
  struct emuv_step *steps;
  size_t n_segments, n_ranges, n_ops, n_steps;
  size_t cap_segments, cap_ranges, cap_ops, cap_steps;
  size_t warmup_steps;    /* the first steps, run before the clock starts */
  uint64_t address_bytes; /* end of the last segment */
  uint64_t weight_bytes;  /* sum of WEIGHT segments */
  uint64_t parameters;    /* model parameters, 0 = not a model */
  uint64_t content_hash;  /* trace: hash of the file's content; else 0 */
  char gpu[64];           /* trace: the card that its times were measured on; else "" */
  char name[64];          /* "transformer:llama-2-70b", "trace:llama.emuv", "pattern:cyclic" */
  char work_unit[12];     /* token step image access */
  char remark[320];       /* trace: what it lacks, in words; else "" */
};

/* Builders: append and return the new index through *index (may be NULL). Offsets of segments are assigned in order,
 * aligned to `align` bytes (a power of two; real allocators use 256 or 512). EMUV_ERR_NOMEM, or EMUV_ERR_RANGE when the
 * address space would overflow 2^62 bytes. */
int emuv_workload_segment(struct emuv_workload *w, const char *name, uint64_t bytes, enum emuv_segment_kind kind,
                          int32_t layer, uint64_t align, uint32_t *index, struct emuv_err *err);
/* Starts a step; ops that follow belong to it. */
int emuv_workload_step(struct emuv_workload *w, uint64_t tokens, bool prefill, struct emuv_err *err);
/* Appends a copy of *op (first_range, n_ranges and step are set here); ranges that follow belong to it. */
int emuv_workload_op(struct emuv_workload *w, const struct emuv_op *op, struct emuv_err *err);
/* Appends a range of a segment to the last op; offset is relative to the segment. Zero bytes: nothing is added. */
int emuv_workload_range(struct emuv_workload *w, uint32_t segment, uint64_t offset, uint64_t bytes, uint32_t flags,
                        struct emuv_err *err);
void emuv_workload_free(struct emuv_workload *w);

#endif
