// SPDX-License-Identifier: Apache-2.0
/* Links (calibrate.h): series of copies as a replay submits them, timed between the start of the first
 * and the end of the last. Single: one copy per piece of work. Batched: pages that adjoin on neither side, many per
 * piece of work. */
#include "runtime/replay/calibrate_internal.h"

#include <stdlib.h>

static const uint64_t SMALLEST = 4096, LARGEST_BATCHED = UINT64_C(16) << 20, SYNC_BYTES = 4096,
                      LOAD_BYTES = UINT64_C(8) << 30;
enum { MIN_WORKS = 4, MAX_WORKS = 512, N_SYNC = 50, PIN_REPETITIONS = 3 };

int emuv_rig_open(const struct emuv_calibrate_options *o, uint64_t page_bytes, struct emuv_inject *inject,
                  struct emuv_rig *rig, struct emuv_err *err)
{
  *rig = (struct emuv_rig){.ops = o->device, .page_bytes = page_bytes, .bytes = page_bytes * EMUV_CALIBRATE_FRAMES};
  const struct emuv_device_env env = {.index = o->device_index,
                                      .page_bytes = page_bytes,
                                      .n_pages = EMUV_CALIBRATE_FRAMES,
                                      .n_frames = EMUV_CALIBRATE_FRAMES,
                                      .up = o->up,
                                      .down = o->down,
                                      .inject = inject};
  int rc = rig->ops->open(&env, &rig->device, err);
  if (rc == 0) {
    void *memory = NULL;
    rc = rig->ops->host_alloc(rig->device, rig->bytes, o->threads, &memory, &rig->pinned, err);
    rig->host = memory;
  }
  if (rc != 0) emuv_rig_close(rig);
  return rc;
}

void emuv_rig_close(struct emuv_rig *rig)
{
  if (rig->host) rig->ops->host_free(rig->device, rig->host);
  if (rig->device) rig->ops->close(rig->device);
  rig->host = NULL;
  rig->device = NULL;
}

struct emuv_copy emuv_rig_copy(const struct emuv_rig *rig, uint64_t at, uint64_t bytes)
{
  const uint64_t place = at % rig->bytes;
  return (struct emuv_copy){.frame = (uint32_t)(place / rig->page_bytes),
                            .offset = place % rig->page_bytes,
                            .bytes = bytes,
                            .host = rig->host + place};
}

struct series {
  struct emuv_rig *rig;
  enum emuv_stream stream;
  uint64_t bytes, total;
  uint32_t batch; /* copies per piece of work */
};

static uint32_t works_of(const struct series *s)
{
  const uint64_t n = s->total / (s->bytes * s->batch);
  return n < MIN_WORKS ? MIN_WORKS : n > MAX_WORKS ? MAX_WORKS : (uint32_t)n;
}

/* Pages of a batch lie two sizes apart. */
static int submit(const struct series *s, uint32_t work, uint64_t *seq, struct emuv_err *err)
{
  struct emuv_copy copies[EMUV_CALIBRATE_BATCH];
  const uint64_t step = s->batch > 1 ? 2 : 1;
  for (uint32_t i = 0; i < s->batch; i++)
    copies[i] = emuv_rig_copy(s->rig, (work * (uint64_t)s->batch + i) * step * s->bytes, s->bytes);
  const struct emuv_after after = {{0}};
  return s->rig->ops->copy(s->rig->device, s->stream, copies, s->batch, &after, seq, err);
}

static int unknown_time(struct emuv_err *err)
{
  return emuv_err_set(err, EMUV_ERR_INTERNAL, "the device does not know when its work ran");
}

/* Numbers of the first and the last piece of work. */
static int run_series(const struct series *s, uint64_t *first, uint64_t *last, struct emuv_err *err)
{
  int rc = 0;
  for (uint32_t w = 0; rc == 0 && w < works_of(s); w++) rc = submit(s, w, w == 0 ? first : last, err);
  return rc;
}

/* Waits; from the start of the first to the end of the last. */
static int span_of(const struct series *s, uint64_t first, uint64_t last, struct emuv_span *span, struct emuv_err *err)
{
  struct emuv_span begin;
  const struct emuv_rig *rig = s->rig;
  const int rc = rig->ops->wait(rig->device, s->stream, last, err);
  if (rc != 0) return rc;
  if (!rig->ops->span(rig->device, s->stream, first, &begin) || !rig->ops->span(rig->device, s->stream, last, span) ||
      !(span->end_ns > begin.start_ns))
    return unknown_time(err);
  span->start_ns = begin.start_ns;
  return 0;
}

/* To the moment at which the host sees the end: devices need not measure when every piece of work ended. */
static int measure_series(void *arg, double *rate, struct emuv_err *err)
{
  const struct series *s = arg;
  uint64_t first = 0, last = 0;
  struct emuv_span span;
  int rc = run_series(s, &first, &last, err);
  if (rc == 0) rc = s->rig->ops->wait(s->rig->device, s->stream, last, err);
  const double end_ns = emuv_calibrate_now_ns();
  if (rc == 0) rc = span_of(s, first, last, &span, err);
  if (rc == 0) *rate = (double)(s->bytes * s->batch * works_of(s)) / (end_ns - span.start_ns) * 1e9;
  return rc;
}

static int measure_curve(struct series *s, uint64_t largest, struct emuv_figures *figures, struct emuv_err *err)
{
  int rc = 0;
  for (uint64_t bytes = SMALLEST; rc == 0 && bytes <= largest && figures->n < EMUV_CALIBRATION_SIZES;
       bytes *= bytes < (UINT64_C(1) << 20) || bytes >= (UINT64_C(4) << 20) ? 4 : 2) {
    s->bytes = bytes;
    rc = emuv_calibrate_repeat(measure_series, s, &figures->at[figures->n].rate, err);
    figures->at[figures->n++].bytes = bytes;
  }
  return rc;
}

static int measure_batched(struct series *s, uint64_t largest, struct emuv_figures *figures, struct emuv_err *err)
{
  int rc = 0;
  for (uint64_t bytes = SMALLEST; rc == 0 && bytes <= largest && figures->n < EMUV_CALIBRATION_SIZES; bytes *= 4) {
    const uint64_t fit = s->rig->bytes / 2 / bytes;
    s->bytes = bytes;
    s->batch = fit < EMUV_CALIBRATE_BATCH ? (uint32_t)fit : EMUV_CALIBRATE_BATCH;
    rc = emuv_calibrate_repeat(measure_series, s, &figures->at[figures->n].rate, err);
    figures->at[figures->n++].bytes = bytes;
  }
  return rc;
}

/* Bytes of works first .. last that had been moved at `at_ns`; within a piece of work evenly. */
static double moved_by(const struct series *s, uint64_t first, uint64_t last, double at_ns)
{
  const double bytes = (double)(s->bytes * s->batch);
  double sum = 0;
  struct emuv_span span;
  for (uint64_t seq = first; seq <= last; seq++) {
    if (!s->rig->ops->span(s->rig->device, s->stream, seq, &span) || span.start_ns >= at_ns) continue;
    sum += span.end_ns <= at_ns ? bytes : bytes * (at_ns - span.start_ns) / (span.end_ns - span.start_ns);
  }
  return sum;
}

/* Both directions, submitted in turn: what they move together while both are busy. */
static int measure_duplex(void *arg, double *rate, struct emuv_err *err)
{
  const struct series up = *(const struct series *)arg;
  struct series down = up;
  down.stream = EMUV_STREAM_DOWN;
  uint64_t first_up = 0, first_down = 0, last_up = 0, last_down = 0;
  int rc = 0;
  for (uint32_t w = 0; rc == 0 && w < works_of(&up); w++) {
    rc = submit(&up, 2 * w, w == 0 ? &first_up : &last_up, err); /* not the same bytes as the other direction */
    if (rc == 0) rc = submit(&down, 2 * w + 1, w == 0 ? &first_down : &last_down, err);
  }
  struct emuv_span a, b;
  if (rc == 0) rc = span_of(&up, first_up, last_up, &a, err);
  if (rc == 0) rc = span_of(&down, first_down, last_down, &b, err);
  if (rc != 0) return rc;
  double start = a.start_ns > b.start_ns ? a.start_ns : b.start_ns;
  double end = a.end_ns < b.end_ns ? a.end_ns : b.end_ns;
  if (end <= start) { /* a machine without a core for each: they came one after the other */
    start = a.start_ns < b.start_ns ? a.start_ns : b.start_ns;
    end = a.end_ns > b.end_ns ? a.end_ns : b.end_ns;
  }
  const double bytes = moved_by(&up, first_up, last_up, end) - moved_by(&up, first_up, last_up, start) +
                       moved_by(&down, first_down, last_down, end) - moved_by(&down, first_down, last_down, start);
  *rate = bytes / (end - start) * 1e9;
  return 0;
}

/* Nanoseconds of a small copy with the wait for it. */
static int measure_sync(void *arg, double *ns, struct emuv_err *err)
{
  struct series s = *(const struct series *)arg;
  s.bytes = SYNC_BYTES;
  const double start = emuv_calibrate_now_ns();
  int rc = 0;
  for (uint32_t i = 0; rc == 0 && i < N_SYNC; i++) {
    uint64_t seq = 0;
    rc = submit(&s, i, &seq, err);
    if (rc == 0) rc = s.rig->ops->wait(s.rig->device, s.stream, seq, err);
  }
  *ns = (emuv_calibrate_now_ns() - start) / N_SYNC;
  return rc;
}

/* Pinning, with the touching of the pages. */
static int measure_pin(const struct emuv_calibrate_options *o, struct emuv_rig *rig, struct emuv_calibration *c,
                       struct emuv_err *err)
{
  double rates[PIN_REPETITIONS];
  bool pinned = true;
  for (uint32_t i = 0; i < PIN_REPETITIONS; i++) {
    void *memory = NULL;
    const double start = emuv_calibrate_now_ns();
    const int rc = rig->ops->host_alloc(rig->device, rig->bytes, o->threads, &memory, &pinned, err);
    if (rc != 0) return rc;
    rates[i] = (double)rig->bytes / (emuv_calibrate_now_ns() - start) * 1e9;
    rig->ops->host_free(rig->device, memory);
    if (!pinned) return 0;
  }
  c->pin = emuv_calibrate_figure(rates, PIN_REPETITIONS);
  return 0;
}

int emuv_calibrate_links(const struct emuv_calibrate_options *o, struct emuv_rig *rig, struct emuv_calibration *c,
                         struct emuv_err *err)
{
  const uint64_t batched = rig->page_bytes < LARGEST_BATCHED ? rig->page_bytes : LARGEST_BATCHED;
  struct series up = {.rig = rig, .stream = EMUV_STREAM_UP, .total = o->series_bytes, .batch = 1}, down = up, both = up;
  down.stream = EMUV_STREAM_DOWN;
  both.bytes = batched;
  if (!rig->pinned) emuv_calibrate_warn(c, "host memory cannot be pinned: all copies are those of pageable memory");
  int rc = measure_curve(&up, rig->page_bytes, &c->h2d, err);
  if (rc == 0) rc = measure_curve(&down, rig->page_bytes, &c->d2h, err);
  if (rc == 0) rc = measure_batched(&up, batched, &c->h2d_batched, err);
  if (rc == 0) rc = measure_batched(&down, batched, &c->d2h_batched, err);
  if (rc == 0) rc = emuv_calibrate_repeat(measure_duplex, &both, &c->duplex, err);
  both.bytes = SYNC_BYTES;
  if (rc == 0) rc = emuv_calibrate_repeat(measure_sync, &both, &c->copy_sync, err);
  return rc != 0 ? rc : measure_pin(o, rig, c, err);
}

static int better(emuv_measure_fn measure, struct series *s, enum emuv_stream stream, double *best,
                  struct emuv_err *err)
{
  struct emuv_figure f;
  s->stream = stream;
  const int rc = emuv_calibrate_repeat(measure, s, &f, err);
  if (rc == 0 && f.value > *best) *best = f.value;
  return rc;
}

int emuv_calibrate_plain_peer(struct emuv_rig *rig, int index, uint64_t series_bytes, double *up, struct emuv_err *err)
{
  struct emuv_rig there = *rig;
  void *memory = NULL;
  int rc = rig->ops->peer_alloc(rig->device, index, rig->bytes, &memory, err);
  if (rc != 0) return rc;
  there.host = memory;
  *up = 0;
  for (uint32_t split = 1; rc == 0 && split <= 4; split *= 4) {
    struct series s = {.rig = &there, .total = series_bytes, .bytes = rig->page_bytes / split, .batch = 1};
    rc = better(measure_series, &s, EMUV_STREAM_STAGED, up, err);
  }
  rig->ops->host_free(rig->device, memory);
  return rc;
}

int emuv_calibrate_plain(struct emuv_rig *rig, uint64_t series_bytes, double *up, double *down, double *both,
                         struct emuv_err *err)
{
  const struct {
    uint64_t bytes;
    uint32_t batch;
  } ways[] = {{rig->page_bytes, 1}, {rig->page_bytes / 4, 1}, {rig->page_bytes / 32, EMUV_CALIBRATE_BATCH}};
  int rc = 0;
  *up = *down = *both = 0;
  for (size_t i = 0; rc == 0 && i < sizeof ways / sizeof ways[0]; i++) {
    struct series s = {.rig = rig, .total = series_bytes, .bytes = ways[i].bytes, .batch = ways[i].batch};
    rc = better(measure_series, &s, EMUV_STREAM_UP, up, err);
    if (rc == 0) rc = better(measure_series, &s, EMUV_STREAM_DOWN, down, err);
    if (rc == 0) rc = better(measure_duplex, &s, EMUV_STREAM_UP, both, err);
  }
  return rc;
}

int emuv_calibrate_peer(const struct emuv_calibrate_options *o, struct emuv_rig *rig, struct emuv_calibration *c,
                        struct emuv_err *err)
{
  struct emuv_rig there = *rig;
  struct series up = {.rig = &there, .stream = EMUV_STREAM_UP, .total = 4 * o->series_bytes, .batch = 1};
  struct emuv_err why;
  void *memory = NULL;
  if (!o->with_peer || !rig->ops->peer_alloc) return 0;
  if (rig->ops->peer_alloc(rig->device, o->peer_index, rig->bytes, &memory, &why) != 0) {
    emuv_calibrate_warn(c, "%.140s", why.text);
    return 0;
  }
  there.host = memory;
  const int rc = measure_curve(&up, rig->page_bytes, &c->peer, err);
  rig->ops->host_free(rig->device, memory);
  return rc;
}

/* Large copies, each with the wait for it. */
static int measure_pageable(void *arg, double *rate, struct emuv_err *err)
{
  const struct series *s = arg;
  const double start = emuv_calibrate_now_ns();
  int rc = 0;
  for (uint32_t w = 0; rc == 0 && w < MIN_WORKS; w++) {
    uint64_t seq = 0;
    rc = submit(s, w, &seq, err);
    if (rc == 0) rc = s->rig->ops->wait(s->rig->device, s->stream, seq, err);
  }
  *rate = (double)(s->bytes * MIN_WORKS) / (emuv_calibrate_now_ns() - start) * 1e9;
  return rc;
}

/* A rig to which pinning is refused. */
int emuv_calibrate_pageable(const struct emuv_calibrate_options *o, struct emuv_calibration *c, struct emuv_err *err)
{
  const char *const rules[] = {"pin-refused"};
  struct emuv_inject *inject = NULL;
  struct emuv_rig rig;
  int rc = emuv_inject_open(rules, 1, 0, &inject, err);
  if (rc != 0) return rc;
  rc = emuv_rig_open(o, o->largest_copy, inject, &rig, err);
  if (rc == 0) {
    struct series s = {.rig = &rig, .stream = EMUV_STREAM_UP, .bytes = rig.page_bytes, .batch = 1};
    rc = emuv_calibrate_repeat(measure_pageable, &s, &c->pageable, err);
    emuv_rig_close(&rig);
  }
  emuv_inject_close(inject);
  return rc;
}

int emuv_calibrate_load(struct emuv_rig *rig, struct emuv_watch *watch, struct emuv_err *err)
{
  const struct series s = {
      .rig = rig, .stream = EMUV_STREAM_UP, .bytes = rig->page_bytes, .total = LOAD_BYTES, .batch = 1};
  uint64_t first = 0, last = 0;
  struct emuv_span span;
  const int rc = run_series(&s, &first, &last, err);
  emuv_watch_sample(watch, true);
  return rc != 0 ? rc : span_of(&s, first, last, &span, err);
}
