// SPDX-License-Identifier: Apache-2.0
/* Which memory does a launch touch? Read from its argument block, without running anything on the GPU.
 *
 * First every 16-byte-aligned place is tried as a TMA descriptor; one that decodes and lies wholly in live memory gives
 * an operand with exact base and extent. Then every 8-byte-aligned word outside descriptors that is an address in live
 * memory gives a bounded operand: from that address to the end of the allocation. (A tighter bound, the next address
 * that any launch uses as a base, is only known when the trace is read.) Copies of an address are listed once, the
 * exact one wins.
 *
 * Mappings of virtual memory (kind VMM) that touch each other are one buffer to a program, so there an extent runs on
 * into the next mapping and becomes one operand per mapping.
 *
 * No CUDA, no state; the caller serialises changes of the interval map with a scan. */
#ifndef EMUV_INJECT_OPERANDS_H
#define EMUV_INJECT_OPERANDS_H

#include "tracer/format/trace.h"
#include "tracer/inject/intervals.h"
#include "tracer/inject/tensormap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  EMUV_OPERANDS_MAX = 1024,        /* per launch: a block of 32 KiB - 4 holds at most 4095 words; beyond, truncated */
  EMUV_OPERANDS_BLOCK_MAX = 32764, /* bytes of kernel arguments that CUDA allows */
  EMUV_OPERANDS_PARAMS_MAX = 4096,
};

struct emuv_operands {
  uint32_t n;
  bool truncated; /* there were more: the launch is a gap */
  struct emuv_trace_operand item[EMUV_OPERANDS_MAX];
};

struct emuv_param { /* one argument of a kernel */
  uint32_t offset, bytes;
};

/* Copies arguments to their places in a block (gaps are zero). Returns the block's length, 0 when there are none or
 * when a layout exceeds what CUDA allows. `block` has EMUV_OPERANDS_BLOCK_MAX bytes. */
size_t emuv_operands_gather(const struct emuv_param *params, size_t n, void *const *arguments, unsigned char *block);
/* Finds the operands of a block of arguments; *out is overwritten. provenance is what words get (descriptors get
 * EMUV_TRACE_FROM_TENSORMAP). */
void emuv_operands_scan(const struct emuv_intervals *live, const struct emuv_tensormap_layout *layout,
                        const void *block, size_t bytes, enum emuv_trace_provenance provenance,
                        struct emuv_operands *out);
/* EXACT when all operands are, BOUNDED when one is, GAP when none was found or some did not fit. */
enum emuv_trace_class emuv_operands_class(const struct emuv_operands *operands);

#endif
