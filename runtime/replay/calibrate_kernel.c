// SPDX-License-Identifier: Apache-2.0
/* Kernels (calibrate.h): the gap between launches, reading of device memory and of host memory in place, the round trip
 * of a demand fault, and what mapping pages costs. */
#include "runtime/replay/calibrate_internal.h"

static const double KERNEL_NS = 20000, SHORT_NS = 3000;
static const uint64_t FAULT_BYTES = UINT64_C(2) << 20, SMALL_BYTES = 4096, WIDE_BYTES = UINT64_C(4) << 20,
                      BUSY_BYTES = UINT64_C(4) << 20;
static const uint64_t MAP_PAGES[EMUV_CALIBRATION_MAPS] = {UINT64_C(2) << 20, UINT64_C(16) << 20, UINT64_C(64) << 20};
enum { N_LAUNCHES = 100, N_FAULTS = 20, MAP_FRAMES = 4, MAP_ROUNDS = 4, N_BUSY = 64 };

static uint64_t at_most(uint64_t bytes, const struct emuv_rig *rig)
{
  return bytes < rig->page_bytes ? bytes : rig->page_bytes;
}

static int launch(struct emuv_rig *rig, const struct emuv_kernel *kernel, const struct emuv_after *after, uint64_t *seq,
                  struct emuv_err *err)
{
  return rig->ops->launch(rig->device, kernel, after, seq, err);
}

static int kernel_span(struct emuv_rig *rig, uint64_t seq, struct emuv_span *span, struct emuv_err *err)
{
  const int rc = rig->ops->wait(rig->device, EMUV_STREAM_COMPUTE, seq, err);
  if (rc != 0) return rc;
  if (rig->ops->span(rig->device, EMUV_STREAM_COMPUTE, seq, span)) return 0;
  return emuv_err_set(err, EMUV_ERR_INTERNAL, "the device does not know when a kernel ran");
}

/* Nanoseconds between the end of a kernel and the start of the next, mean over kernels first to last. */
static int gap_between(struct emuv_rig *rig, uint64_t first, uint64_t last, double *gap_ns, struct emuv_err *err)
{
  struct emuv_span before, span;
  double sum = 0;
  int rc = kernel_span(rig, last, &span, err);
  if (rc == 0) rc = kernel_span(rig, first, &before, err);
  for (uint64_t seq = first + 1; rc == 0 && seq <= last; seq++) {
    rc = kernel_span(rig, seq, &span, err);
    sum += span.start_ns - before.end_ns;
    before = span;
  }
  *gap_ns = sum > 0 ? sum / (double)(last - first) : 0;
  return rc;
}

/* Kernels that all wait for a piece of disk work, which nobody does, until the last one is submitted: so the host's
 * pace does not count. touch.bytes 0: they touch nothing. copies: so many are on the link meanwhile. waits: each kernel
 * is to come after the first of them, which is done by then. */
struct queued {
  struct emuv_rig *rig;
  struct emuv_touch touch;
  double duration_ns;
  uint32_t copies;
  uint64_t copy_bytes;
  bool waits;
};

static int queue_copies(const struct queued *q, const struct emuv_after *gate, uint64_t *first, uint64_t *last,
                        struct emuv_err *err)
{
  int rc = 0;
  for (uint32_t i = 0; rc == 0 && i < q->copies; i++) {
    const struct emuv_copy copy = emuv_rig_copy(q->rig, i * q->copy_bytes, q->copy_bytes);
    rc = q->rig->ops->copy(q->rig->device, EMUV_STREAM_UP, &copy, 1, gate, last, err);
    if (i == 0) *first = *last;
  }
  return rc;
}

/* Kernel i; where it reads much, not what the last ones have left in the caches. */
static int queue_kernel(const struct queued *q, uint32_t i, const struct emuv_after *after, uint64_t *seq,
                        struct emuv_err *err)
{
  struct emuv_touch touch = q->touch;
  const uint64_t parts = q->rig->page_bytes / (touch.bytes ? touch.bytes : 1);
  if (touch.bytes > SMALL_BYTES) {
    touch.page = touch.frame = i % EMUV_CALIBRATE_FRAMES;
    touch.offset = i / EMUV_CALIBRATE_FRAMES % parts * touch.bytes;
  }
  const struct emuv_kernel kernel = {.touch = &touch, .n_touches = touch.bytes ? 1 : 0, .duration_ns = q->duration_ns};
  return launch(q->rig, &kernel, after, seq, err);
}

/* Numbers of the first and the last kernel, and of the last copy. */
static int queue_kernels(const struct queued *q, uint64_t *first, uint64_t *last, uint64_t *copy, struct emuv_err *err)
{
  const uint64_t disk = ++q->rig->disk_seq;
  uint64_t first_copy = 0;
  struct emuv_after after = {.seq = {[EMUV_STREAM_DISK_READ] = disk}};
  *copy = 0;
  int rc = queue_copies(q, &after, &first_copy, copy, err);
  after.seq[EMUV_STREAM_UP] = q->waits ? first_copy : 0;
  if (rc == 0) rc = queue_kernel(q, 0, &after, first, err);
  after.seq[EMUV_STREAM_DISK_READ] = 0;
  for (uint32_t i = 1; rc == 0 && i < N_LAUNCHES; i++) rc = queue_kernel(q, i, &after, last, err);
  q->rig->ops->disk_done(q->rig->device, EMUV_STREAM_DISK_READ, disk);
  return rc;
}

static int measure_gap(void *arg, double *ns, struct emuv_err *err)
{
  const struct queued *q = arg;
  uint64_t first = 0, last = 0, copy = 0;
  int rc = queue_kernels(q, &first, &last, &copy, err);
  if (rc == 0) rc = gap_between(q->rig, first, last, ns, err);
  return rc != 0 || copy == 0 ? rc : q->rig->ops->wait(q->rig->device, EMUV_STREAM_UP, copy, err);
}

/* From start to start. */
static int measure_period(void *arg, double *ns, struct emuv_err *err)
{
  const struct queued *q = arg;
  struct emuv_span from, to;
  uint64_t first = 0, last = 0, copy = 0;
  int rc = queue_kernels(q, &first, &last, &copy, err);
  if (rc == 0) rc = kernel_span(q->rig, last, &to, err);
  if (rc == 0) rc = kernel_span(q->rig, first, &from, err);
  if (rc == 0) *ns = (to.start_ns - from.start_ns) / (N_LAUNCHES - 1);
  return rc;
}

/* One kernel that touches everything, in VRAM or where it lies on the host; bytes read and written per second. */
static int measure_touching(struct emuv_rig *rig, uint32_t flags, double *rate, struct emuv_err *err)
{
  struct emuv_touch touches[EMUV_CALIBRATE_FRAMES];
  const bool in_place = flags & EMUV_TOUCH_IN_PLACE;
  for (uint32_t i = 0; i < EMUV_CALIBRATE_FRAMES; i++)
    touches[i] = (struct emuv_touch){.page = i,
                                     .version = rig->version,
                                     .frame = i,
                                     .flags = flags,
                                     .bytes = rig->page_bytes,
                                     .host = in_place ? rig->host + i * rig->page_bytes : NULL};
  const struct emuv_kernel kernel = {.touch = touches, .n_touches = EMUV_CALIBRATE_FRAMES};
  const struct emuv_after after = {{0}};
  struct emuv_span span;
  uint64_t seq = 0;
  int rc = launch(rig, &kernel, &after, &seq, err);
  if (rc == 0) rc = kernel_span(rig, seq, &span, err);
  const double bytes = (double)rig->bytes * (flags & EMUV_TOUCH_WRITE ? 2 : 1);
  if (rc == 0) *rate = span.end_ns > span.start_ns ? bytes / (span.end_ns - span.start_ns) * 1e9 : 0;
  return rc;
}

static int measure_vram(void *arg, double *rate, struct emuv_err *err)
{
  return measure_touching(arg, EMUV_TOUCH_READ, rate, err);
}

/* As a replay's kernels do it: what is read is checked, so it must be right. */
static int measure_writing(void *arg, double *rate, struct emuv_err *err)
{
  struct emuv_rig *rig = arg;
  double ignored;
  int rc = rig->version ? 0 : measure_touching(rig, EMUV_TOUCH_WRITE, &ignored, err);
  if (rc == 0 && !rig->version) rig->version = 1;
  if (rc == 0) rc = measure_touching(rig, EMUV_TOUCH_READ | EMUV_TOUCH_CHECK | EMUV_TOUCH_WRITE, rate, err);
  rig->version++;
  return rc;
}

static int measure_zero_copy(void *arg, double *rate, struct emuv_err *err)
{
  return measure_touching(arg, EMUV_TOUCH_READ | EMUV_TOUCH_IN_PLACE, rate, err);
}

struct faults {
  struct emuv_rig *rig;
  double copy_ns, launch_ns; /* what a copy and a launch take anyhow */
};

/* Kernel, copy that waits for it, kernel that waits for the copy, and so on: what is beyond copies and launches. */
static int measure_fault(void *arg, double *ns, struct emuv_err *err)
{
  const struct faults *f = arg;
  struct emuv_rig *rig = f->rig;
  const uint64_t bytes = at_most(FAULT_BYTES, rig);
  const struct emuv_kernel kernel = {.duration_ns = KERNEL_NS};
  struct emuv_after after = {{0}};
  uint64_t first = 0, last = 0;
  int rc = launch(rig, &kernel, &after, &first, err);
  last = first;
  for (uint32_t i = 0; rc == 0 && i < N_FAULTS; i++) {
    const struct emuv_copy copy = emuv_rig_copy(rig, i * bytes, bytes);
    after = (struct emuv_after){.seq[EMUV_STREAM_COMPUTE] = last};
    uint64_t seq = 0;
    rc = rig->ops->copy(rig->device, EMUV_STREAM_UP, &copy, 1, &after, &seq, err);
    after = (struct emuv_after){.seq[EMUV_STREAM_UP] = seq};
    if (rc == 0) rc = launch(rig, &kernel, &after, &last, err);
  }
  if (rc == 0) rc = gap_between(rig, first, last, ns, err);
  *ns = *ns > f->copy_ns + f->launch_ns ? *ns - f->copy_ns - f->launch_ns : 0;
  return rc;
}

/* What the h2d figures say of a copy of `bytes`. */
static double copy_ns(const struct emuv_figures *h2d, uint64_t bytes)
{
  struct emuv_curve curve = {.n = h2d->n};
  for (uint32_t i = 0; i < h2d->n; i++) {
    curve.point[i].bytes = h2d->at[i].bytes;
    curve.point[i].bytes_per_s = h2d->at[i].rate.value;
  }
  return h2d->n ? (double)bytes / emuv_curve_rate(&curve, bytes) * 1e9 : 0;
}

/* What a figure has beyond another value. */
static void subtract(struct emuv_figure *f, double value)
{
  f->value = f->value > value ? f->value - value : 0;
}

/* Kernels with next to nothing to do; those of many blocks, as a slice needs; waits that are over; a busy
 * link. */
static int measure_kernels(struct emuv_rig *rig, struct emuv_calibration *c, struct emuv_err *err)
{
  struct queued q = {.rig = rig, .duration_ns = KERNEL_NS, .copy_bytes = at_most(BUSY_BYTES, rig)};
  struct emuv_figure plain = {.n = 0};
  int rc = emuv_calibrate_repeat(measure_gap, &q, &c->launch, err);
  q.duration_ns = SHORT_NS;
  if (rc == 0) rc = emuv_calibrate_repeat(measure_gap, &q, &plain, err);
  q.copies = 1;
  q.waits = true;
  if (rc == 0) rc = emuv_calibrate_repeat(measure_gap, &q, &c->wait, err);
  q.copies = N_BUSY;
  q.waits = false;
  if (rc == 0) rc = emuv_calibrate_repeat(measure_gap, &q, &c->busy, err);
  subtract(&c->wait, plain.value);
  subtract(&c->busy, plain.value);
  q = (struct queued){.rig = rig, .touch = {.flags = EMUV_TOUCH_READ, .bytes = SMALL_BYTES}};
  if (rc == 0) rc = emuv_calibrate_repeat(measure_period, &q, &c->shortest, err);
  q.touch.bytes = at_most(WIDE_BYTES, rig);
  if (rc == 0) rc = emuv_calibrate_repeat(measure_period, &q, &c->wide, err);
  return rc;
}

int emuv_calibrate_kernels(struct emuv_rig *rig, struct emuv_calibration *c, struct emuv_err *err)
{
  int rc = measure_kernels(rig, c, err);
  if (rc == 0) rc = emuv_calibrate_repeat(measure_vram, rig, &c->vram, err);
  if (rc == 0) rc = emuv_calibrate_repeat(measure_writing, rig, &c->writing, err);
  if (rc == 0) subtract(&c->wide, c->shortest.value + (double)at_most(WIDE_BYTES, rig) / c->vram.value * 1e9);
  if (rc == 0 && rig->pinned) rc = emuv_calibrate_repeat(measure_zero_copy, rig, &c->zero_copy, err);
  const uint64_t bytes = at_most(FAULT_BYTES, rig);
  struct faults faults = {rig, copy_ns(&c->h2d, bytes), c->launch.value};
  return rc != 0 ? rc : emuv_calibrate_repeat(measure_fault, &faults, &c->fault, err);
}

/* The same frames under two sets of pages in turn, so that every launch unmaps and maps them all. */
static int remap(struct emuv_rig *rig, uint32_t round, struct emuv_err *err)
{
  struct emuv_touch touches[MAP_FRAMES];
  for (uint32_t i = 0; i < MAP_FRAMES; i++)
    touches[i] =
        (struct emuv_touch){.page = i + round % 2 * MAP_FRAMES, .frame = i, .flags = EMUV_TOUCH_READ, .bytes = 4096};
  const struct emuv_kernel kernel = {.touch = touches, .n_touches = MAP_FRAMES};
  const struct emuv_after after = {{0}};
  uint64_t seq = 0;
  const int rc = launch(rig, &kernel, &after, &seq, err);
  return rc != 0 ? rc : rig->ops->wait(rig->device, EMUV_STREAM_COMPUTE, seq, err);
}

static int measure_maps(struct emuv_rig *rig, uint64_t page_bytes, struct emuv_calibration *c, struct emuv_err *err)
{
  double map[EMUV_CALIBRATE_REPETITIONS], unmap[EMUV_CALIBRATE_REPETITIONS];
  struct emuv_device_costs before, now;
  int rc = remap(rig, 0, err);
  if (rc == 0) rc = remap(rig, 1, err);
  rig->ops->costs(rig->device, &before);
  for (uint32_t i = 0; rc == 0 && i < EMUV_CALIBRATE_REPETITIONS; i++) {
    for (uint32_t round = 0; rc == 0 && round < MAP_ROUNDS; round++) rc = remap(rig, round, err);
    rig->ops->costs(rig->device, &now);
    if (now.maps == before.maps || now.unmaps == before.unmaps) return rc; /* the device has no such cost */
    map[i] = (now.map_ns - before.map_ns) / (double)(now.maps - before.maps);
    unmap[i] = (now.unmap_ns - before.unmap_ns) / (double)(now.unmaps - before.unmaps);
    before = now;
  }
  if (rc != 0) return rc;
  const uint32_t at = c->n_maps++;
  c->maps[at].page_bytes = page_bytes;
  c->maps[at].map = emuv_calibrate_figure(map, EMUV_CALIBRATE_REPETITIONS);
  c->maps[at].unmap = emuv_calibrate_figure(unmap, EMUV_CALIBRATE_REPETITIONS);
  return 0;
}

int emuv_calibrate_maps(const struct emuv_calibrate_options *o, struct emuv_calibration *c, struct emuv_err *err)
{
  for (size_t i = 0; i < EMUV_CALIBRATION_MAPS && MAP_PAGES[i] <= o->largest_copy; i++) {
    struct emuv_rig rig = {.ops = o->device, .page_bytes = MAP_PAGES[i]};
    const struct emuv_device_env env = {.index = o->device_index,
                                        .page_bytes = MAP_PAGES[i],
                                        .n_pages = 2 * MAP_FRAMES,
                                        .n_frames = MAP_FRAMES,
                                        .mapping = EMUV_MAPPING_REMAP};
    struct emuv_err why;
    if (rig.ops->open(&env, &rig.device, &why) != 0) {
      emuv_calibrate_warn(c, "remapping was not measured: %.120s", why.text);
      return 0;
    }
    const int rc = measure_maps(&rig, MAP_PAGES[i], c, err);
    emuv_rig_close(&rig);
    if (rc != 0) return rc;
  }
  return 0;
}
