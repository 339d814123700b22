// SPDX-License-Identifier: Apache-2.0
/* Small traces for tests, written and loaded: one allocation, launches whose operands and times the test chooses. */
#ifndef EMUV_TESTS_TRACE_SCAN_H
#define EMUV_TESTS_TRACE_SCAN_H

#include "trace_fixture.h"

#include "tracer/format/load.h"

struct scan {
  struct emuv_trace_writer *w;
  char path[64];
  uint64_t sequence;
  uint32_t kernels[16];
};

static inline void scan_begin(struct scan *s)
{
  struct emuv_trace_writer_options options = {.reproducible = true};
  struct emuv_err err;
  *s = (struct scan){0};
  if (emuv_trace_writer_open(&s->w, fixture_path(s->path), &options, &err)) fail_msg("%s", err.text);
  for (uint32_t k = 0; k < 16; k++) {
    char name[16];
    snprintf(name, sizeof name, "kernel_%u", k);
    s->kernels[k] =
        emuv_trace_writer_kernel(s->w, &(struct emuv_trace_kernel){.name = emuv_trace_writer_string(s->w, name)});
  }
}

static inline void scan_allocate(struct scan *s, uint64_t id, uint64_t bytes, uint32_t kind)
{
  struct emuv_trace_allocation a = {.id = id, .address = id << 40, .bytes = bytes, .ns = 1000, .kind = kind};
  assert_int_equal(emuv_trace_writer_allocation(s->w, &a), 0);
}

static inline struct emuv_trace_operand scan_operand(uint64_t allocation, uint64_t offset, uint64_t bytes)
{
  return (struct emuv_trace_operand){
      .allocation = allocation, .offset = offset, .bytes = bytes, .cls = EMUV_TRACE_CLASS_EXACT};
}

/* start = 0: no time at all. */
static inline void scan_launch(struct scan *s, uint32_t kernel, uint64_t start, uint64_t end,
                               const struct emuv_trace_operand *operands, uint32_t n)
{
  struct emuv_trace_launch l = {.sequence = ++s->sequence,
                                .correlation = s->sequence,
                                .enter_ns = start,
                                .exit_ns = start,
                                .start_ns = start,
                                .end_ns = end,
                                .kernel = s->kernels[kernel % 16],
                                .cls = EMUV_TRACE_CLASS_EXACT,
                                .n_operands = n,
                                .operands = operands};
  assert_int_equal(emuv_trace_writer_launch(s->w, &l), 0);
}

/* The file is gone afterwards; the loaded trace stays. */
static inline void scan_load(struct scan *s, struct emuv_trace_data *d)
{
  struct emuv_err err;
  if (emuv_trace_writer_close(s->w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, &err)) fail_msg("%s", err.text);
  if (emuv_trace_load(s->path, d, &err)) fail_msg("%s", err.text);
  unlink(s->path);
}

#endif
