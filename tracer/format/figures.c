// SPDX-License-Identifier: Apache-2.0
/* What is drawn of a trace: see figures.h. */
#include "tracer/format/figures.h"

#include <stdlib.h>

enum { TIME_BINS = 400, SPACE_BINS = 256, WINDOWS_MOST = 2000 };

static int check(const struct emuv_trace_figures *f, struct emuv_err *err)
{
  const char *path = f->data->path;
  if (f->order.n == 0)
    return emuv_err_set(err, EMUV_ERR_INPUT, "%s holds no launch, copy or set: there is nothing to draw", path);
  if (f->touches.bytes) return 0;
  emuv_err_set(err, EMUV_ERR_INPUT, "%s: no call touches device memory that the trace knows: there is nothing to draw",
               path);
  return emuv_err_hint(err, "'emuv-trace info' says how its launches are classed"), EMUV_ERR_INPUT;
}

static int prepare(const struct emuv_trace_data *d, struct emuv_trace_figures *f, struct emuv_err *err)
{
  f->data = d;
  int code = emuv_trace_space_build(d, &f->space, err);
  if (code == 0) code = emuv_trace_order_build(d, &f->order, err);
  if (code == 0) code = emuv_trace_touches_build(d, &f->space, &f->order, &f->touches, err);
  if (code == 0) code = check(f, err);
  if (code == 0) code = emuv_trace_atoms_build(&f->touches, EMUV_TRACE_REFERENCES_MOST, &f->atoms, err);
  return code ? code : emuv_trace_steps_find(d, &f->order, &f->steps, err);
}

/* 1, 10, 100, ... times the shortest power of ten of which not too many fit; the last must fit at least twice. */
static int windows(struct emuv_trace_figures *f, struct emuv_err *err)
{
  uint64_t length = 1;
  while (f->touches.last / length >= WINDOWS_MOST) length *= 10;
  for (int i = 0; i < EMUV_TRACE_WINDOWS; i++, length *= 10) {
    if (i > 0 && f->touches.last / length < 2) break;
    int code = emuv_trace_working_set_windows(&f->touches, &f->atoms, length, &f->window[i], err);
    if (code) return code;
  }
  return emuv_trace_working_set_live(f->data, &f->touches, f->window[0].length, &f->live, err);
}

/* ---- steps ---- */

/* A step begins with the first of its calls on the device, and not before the step before it. */
static void step_times(struct emuv_trace_figures *f)
{
  uint64_t before = 0;
  for (size_t s = 0; s < f->steps.n; s++) {
    const struct emuv_trace_step *step = &f->steps.step[s];
    uint64_t begin = UINT64_MAX;
    for (size_t i = step->first; i < step->first + step->n; i++)
      if (f->touches.begin[i] < begin) begin = f->touches.begin[i];
    f->step_time[s] = before = begin == UINT64_MAX || begin < before ? before : begin;
  }
  uint64_t end = f->touches.last;
  const struct emuv_trace_step *last = &f->steps.step[f->steps.n - 1];
  size_t next = last->first + last->n;
  if (next < f->order.n && f->touches.begin[next] >= before) end = f->touches.begin[next];
  f->step_time[f->steps.n] = end;
}

static size_t first_counted(const struct emuv_trace_steps *steps)
{
  for (size_t s = 1; s < steps->n; s++)
    if (!steps->step[s].prefill && steps->step[s].n) return s;
  return 0;
}

static int steps(struct emuv_trace_figures *f, struct emuv_err *err)
{
  f->step_bytes = calloc(f->steps.n + 1, sizeof *f->step_bytes);
  f->step_time = calloc(f->steps.n + 1, sizeof *f->step_time);
  if (!f->step_bytes || !f->step_time) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace's steps");
  int code = emuv_trace_working_set_steps(&f->touches, &f->atoms, &f->steps, f->step_bytes, err);
  if (code) return code;
  step_times(f);
  f->counted_step = first_counted(&f->steps);
  if (f->steps.n < 2) return 0;
  size_t shown = f->steps.n - 1 < EMUV_TRACE_STEPS_SHOWN ? f->steps.n - 1 : EMUV_TRACE_STEPS_SHOWN;
  uint64_t from = f->step_time[f->steps.n - shown], until = f->step_time[f->steps.n];
  if (until <= from) return 0;
  return emuv_trace_heat_compute(&f->touches, from, until, TIME_BINS, SPACE_BINS, &f->step_heat, err);
}

int emuv_trace_figures_compute(const struct emuv_trace_data *d, struct emuv_trace_figures *f, struct emuv_err *err)
{
  *f = (struct emuv_trace_figures){0};
  int code = prepare(d, f, err);
  if (code == 0) code = emuv_trace_heat_compute(&f->touches, 0, f->touches.last, TIME_BINS, SPACE_BINS, &f->heat, err);
  if (code == 0) code = windows(f, err);
  if (code == 0) code = steps(f, err);
  if (code == 0)
    code = emuv_trace_reuse_compute(&f->touches, &f->atoms, f->steps.step[f->counted_step].first, &f->reuse, err);
  if (code) emuv_trace_figures_free(f);
  return code;
}

void emuv_trace_figures_free(struct emuv_trace_figures *f)
{
  for (int i = 0; i < EMUV_TRACE_WINDOWS; i++) emuv_trace_series_free(&f->window[i]);
  emuv_trace_series_free(&f->live);
  emuv_trace_heat_free(&f->heat);
  emuv_trace_heat_free(&f->step_heat);
  emuv_trace_atoms_free(&f->atoms);
  emuv_trace_touches_free(&f->touches);
  emuv_trace_steps_free(&f->steps);
  emuv_trace_order_free(&f->order);
  emuv_trace_space_free(&f->space);
  free(f->step_bytes);
  free(f->step_time);
  *f = (struct emuv_trace_figures){0};
}
