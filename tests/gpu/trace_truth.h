// SPDX-License-Identifier: Apache-2.0
/* Parts of trace_truth, the program that compares a trace with what the traced program says about its memory. One
 * thread; everything is freed by the module that made it. */
#ifndef EMUV_TESTS_TRACE_TRUTH_H
#define EMUV_TESTS_TRACE_TRUTH_H

#include "tracer/format/load.h"
#include "tracer/format/order.h"

#include <jansson.h>
#include <stdbool.h>

struct truth_options {
  double exact_percent; /* of the weights' bytes that exact operands must cover in each step */
  bool pages;           /* operands that were observed as pages count, too */
};

enum { TRUTH_YES = 0, TRUTH_NO = 1, TRUTH_INPUT = 3 }; /* exit status */

/* Where an operand lies; false when the trace does not have its allocation. */
bool truth_operand_address(const struct emuv_trace_data *d, const struct emuv_trace_operand *o, uint64_t *address);
bool truth_counts(const struct truth_options *options, const struct emuv_trace_operand *o);
/* Bytes of [begin, end) that n spans cover; the spans are sorted by their begin. only_exact: exact ones alone. */
struct truth_span {
  uint64_t begin, end;
  uint64_t reach;  /* where the operand as recorded ends; end: where it is taken to end */
  uint32_t kernel; /* 0: a copy or a set */
  bool exact;
  bool rare; /* bounded, at a place of the arguments where few launches of the kernel have an address */
};
uint64_t truth_covered(const struct truth_span *spans, size_t n, uint64_t begin, uint64_t end, bool only_exact);
void truth_sort(struct truth_span *spans, size_t n);

/* Compares the steps of a trace with a list of tensors. result: an object to fill. TRUTH_YES, _NO or _INPUT. */
int truth_steps(const struct emuv_trace_data *d, const struct emuv_trace_order *order, const json_t *tensors,
                const struct truth_options *options, json_t *result);
/* Compares single launches: {"launches": [{"kernel", "nth", "indirect", "extents": [{"address", "bytes", "access"}]}]}.
 */
int truth_launches(const struct emuv_trace_data *d, const struct emuv_trace_order *order, const json_t *launches,
                   const struct truth_options *options, json_t *result);

#endif
