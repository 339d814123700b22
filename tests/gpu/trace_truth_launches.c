// SPDX-License-Identifier: Apache-2.0
/* See trace_truth.h: single launches against what the program says each of them touches.
 *
 * Launches are found by a part of the kernel's name and their number among the launches of that kernel, in the order of
 * the calls. A launch is true when its operands cover what it touches, and known accesses are those that were said. A
 * miss is told where the launch is of class gap; else it is silent. Silent misses of launches that reach memory through
 * addresses in device memory are listed by themselves: arguments cannot show them. */
#include "tests/gpu/trace_truth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct launch_truth {
  const struct emuv_trace_data *d;
  const struct emuv_trace_order *order;
  const struct truth_options *options;
  struct truth_span *spans; /* of the launch at hand */
  size_t n_spans;
  json_int_t launches, covered, exact, told, silent, indirect_silent, wrong_access;
  json_t *faults;
};

static const struct emuv_trace_launch *find_launch(const struct launch_truth *t, const char *kernel, json_int_t nth)
{
  for (size_t i = 0; i < t->order->n; i++) {
    const struct emuv_trace_call *call = &t->order->calls[i];
    if (call->type != EMUV_TRACE_LAUNCH) continue;
    const struct emuv_trace_launch *l = &t->d->launches[call->index];
    if (strstr(emuv_trace_data_kernel(t->d, l->kernel), kernel) && nth-- == 0) return l;
  }
  return NULL;
}

static bool collect(struct launch_truth *t, const struct emuv_trace_launch *l)
{
  struct truth_span *grown = realloc(t->spans, (l->n_operands + 1) * sizeof *grown);
  if (!grown) return false;
  t->spans = grown;
  t->n_spans = 0;
  for (uint32_t i = 0; i < l->n_operands; i++) {
    uint64_t address;
    const struct emuv_trace_operand *o = &l->operands[i];
    if (!truth_counts(t->options, o) || !truth_operand_address(t->d, o, &address)) continue;
    t->spans[t->n_spans++] =
        (struct truth_span){.begin = address, .end = address + o->bytes, .exact = o->cls == EMUV_TRACE_CLASS_EXACT};
  }
  truth_sort(t->spans, t->n_spans);
  return true;
}

static uint32_t access_of(const char *text)
{
  if (!text) return EMUV_TRACE_ACCESS_UNKNOWN;
  return (strstr(text, "read") ? EMUV_TRACE_ACCESS_READ : 0u) | (strstr(text, "write") ? EMUV_TRACE_ACCESS_WRITE : 0u);
}

/* An operand that starts there claims an access that the kernel does not make, or leaves one out. */
static bool access_differs(const struct launch_truth *t, const struct emuv_trace_launch *l, uint64_t begin,
                           uint32_t access)
{
  uint32_t told = 0;
  for (uint32_t i = 0; i < l->n_operands; i++) {
    uint64_t address;
    const struct emuv_trace_operand *o = &l->operands[i];
    if (o->provenance == EMUV_TRACE_FROM_PAGE || !truth_operand_address(t->d, o, &address) || address != begin)
      continue;
    if (o->access == EMUV_TRACE_ACCESS_UNKNOWN) return false;
    told |= o->access;
  }
  return told && told != access;
}

static void fault(struct launch_truth *t, const json_t *said, const char *what, uint64_t bytes)
{
  json_array_append_new(t->faults, json_pack("{s:O, s:O, s:s, s:I}", "kernel", json_object_get(said, "kernel"), "nth",
                                             json_object_get(said, "nth"), "what", what, "bytes", (json_int_t)bytes));
}

static void miss(struct launch_truth *t, const json_t *said, const struct emuv_trace_launch *l, uint64_t bytes)
{
  if (l->cls == EMUV_TRACE_CLASS_GAP) {
    t->told++;
  } else if (json_is_true(json_object_get(said, "indirect"))) {
    t->indirect_silent++;
    fault(t, said, "indirect, not told", bytes);
  } else {
    t->silent++;
    fault(t, said, "not covered, not told", bytes);
  }
}

static void judge(struct launch_truth *t, const json_t *said, const struct emuv_trace_launch *l)
{
  uint64_t missing = 0, loose = 0;
  size_t i;
  json_t *extent;
  json_array_foreach(json_object_get(said, "extents"), i, extent)
  {
    const uint64_t begin = (uint64_t)json_integer_value(json_object_get(extent, "address"));
    const uint64_t bytes = (uint64_t)json_integer_value(json_object_get(extent, "bytes"));
    missing += bytes - truth_covered(t->spans, t->n_spans, begin, begin + bytes, false);
    loose += bytes - truth_covered(t->spans, t->n_spans, begin, begin + bytes, true);
    if (access_differs(t, l, begin, access_of(json_string_value(json_object_get(extent, "access"))))) {
      t->wrong_access++;
      fault(t, said, "other access than said", bytes);
    }
  }
  t->covered += missing == 0;
  t->exact += loose == 0;
  if (missing) miss(t, said, l, missing);
}

int truth_launches(const struct emuv_trace_data *d, const struct emuv_trace_order *order, const json_t *launches,
                   const struct truth_options *options, json_t *result)
{
  struct launch_truth t = {.d = d, .order = order, .options = options, .faults = json_array()};
  size_t i;
  json_t *said;
  json_array_foreach(launches, i, said)
  {
    const char *kernel = json_string_value(json_object_get(said, "kernel"));
    const struct emuv_trace_launch *l =
        kernel ? find_launch(&t, kernel, json_integer_value(json_object_get(said, "nth"))) : NULL;
    t.launches++;
    if (l && collect(&t, l)) {
      judge(&t, said, l);
    } else {
      t.silent++;
      fault(&t, said, "no such launch", 0);
    }
  }
  free(t.spans);
  json_object_update_new(result, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "launches_said", t.launches,
                                           "covered", t.covered, "exact", t.exact, "misses_told", t.told,
                                           "misses_silent", t.silent, "misses_indirect", t.indirect_silent,
                                           "wrong_access", t.wrong_access, "faults", t.faults));
  return t.silent || t.wrong_access || !t.launches ? TRUTH_NO : TRUTH_YES;
}
