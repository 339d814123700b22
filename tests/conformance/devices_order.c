// SPDX-License-Identifier: Apache-2.0
/* Devices: order within streams, waits between them, the disk's stream, pieces of copies, times. */
#include "tests/conformance/devices.h"

#include <pthread.h>
#include <time.h>

static const struct emuv_after at_once = {{0}};

/* Two copies into one frame, and a chain of kernels that each need what the one before wrote. */
static void in_order(struct world *w)
{
  uint64_t last = 0;
  for (uint32_t i = 0; i < 6; i++) fill(w, slot(w, i), 3, i);
  for (uint32_t i = 0; i < 6; i++) last = copy_page(w, EMUV_STREAM_UP, 2, 5 - i, at_once);
  struct emuv_after after = {{[EMUV_STREAM_UP] = last}};
  for (uint32_t version = 0; version < 50; version++) {
    struct emuv_touch touch = whole(w, 3, version, 2, EMUV_TOUCH_READ | EMUV_TOUCH_WRITE | EMUV_TOUCH_CHECK);
    last = launch_touches(w, &touch, 1, after);
    EXPECT(last == version + 1);
    after = at_once;
  }
  EXPECT(finish(w, EMUV_STREAM_COMPUTE, last));
  EXPECT(count_mismatches(w) == 0);
  EXPECT(holds(w, get(w, 2), 3, 50));
}

/* What a pipeline over few frames waits for. */
struct pipeline {
  uint64_t up_of[WORLD_FRAMES], kernel_of[WORLD_FRAMES], down_of[WORLD_FRAMES], up[WORLD_FRAMES + 1];
};

static void pipeline_step(struct world *w, struct pipeline *p, uint32_t i)
{
  uint32_t frame = i % WORLD_FRAMES, page = i % WORLD_PAGES, s = i % (WORLD_SLOTS - 1);
  enum emuv_stream stream = i % 3 ? EMUV_STREAM_UP : EMUV_STREAM_STAGED;
  struct emuv_after after = {{[EMUV_STREAM_DOWN] = p->down_of[frame]}};
  uint64_t up = copy_page(w, stream, frame, s, after);
  after = (struct emuv_after){{0}};
  after.seq[stream] = up;
  struct emuv_touch touch = whole(w, page, i, frame, EMUV_TOUCH_READ | EMUV_TOUCH_CHECK | EMUV_TOUCH_WRITE);
  uint64_t kernel = launch_touches(w, &touch, 1, after);
  after = (struct emuv_after){{[EMUV_STREAM_COMPUTE] = kernel}};
  p->down_of[frame] = copy_page(w, EMUV_STREAM_DOWN, frame, s, after);
  EXPECT(up > 0 && kernel == i + 1 && p->down_of[frame] > 0);
}

/* Up, compute, down over fewer frames than pages, each stage waiting for the one before, the first for the last. */
static void between_streams(struct world *w)
{
  struct pipeline p = {0};
  uint32_t n = WORLD_SLOTS - 1;
  for (uint32_t i = 0; i < n; i++) fill(w, slot(w, i), i % WORLD_PAGES, i);
  for (uint32_t i = 0; i < n && !w->failures; i++) pipeline_step(w, &p, i);
  EXPECT(finish(w, EMUV_STREAM_DOWN, p.down_of[(n - 1) % WORLD_FRAMES]));
  EXPECT(count_mismatches(w) == 0);
  for (uint32_t i = 0; i < n; i++) EXPECT(holds(w, slot(w, i), i % WORLD_PAGES, i + 1));
}

static void pause_ms(long ms)
{
  struct timespec time = {.tv_nsec = ms * 1000000};
  nanosleep(&time, NULL);
}

/* A staged copy waits for the disk; copies of what is in RAM pass by. */
static void after_disk(struct world *w)
{
  uint64_t staged[2], up;
  for (uint32_t i = 0; i < 2; i++) {
    struct emuv_after after = {{[EMUV_STREAM_DISK_READ] = i + 1}};
    memset(slot(w, i), 0, w->env.page_bytes);
    staged[i] = copy_page(w, EMUV_STREAM_STAGED, i, i, after);
  }
  fill(w, slot(w, 2), 2, 0);
  up = copy_page(w, EMUV_STREAM_UP, 2, 2, at_once);
  EXPECT(finish(w, EMUV_STREAM_UP, up));
  pause_ms(20);
  EXPECT(w->ops->done(w->device, EMUV_STREAM_STAGED) == 0);
  struct emuv_touch touches[3];
  for (uint32_t i = 0; i < 3; i++) touches[i] = whole(w, i, 0, i, EMUV_TOUCH_READ | EMUV_TOUCH_CHECK);
  uint64_t kernel = launch_touches(w, touches, 3, (struct emuv_after){{[EMUV_STREAM_STAGED] = staged[1]}});
  fill(w, slot(w, 0), 0, 0);
  w->ops->disk_done(w->device, EMUV_STREAM_DISK_READ, 1);
  EXPECT(finish(w, EMUV_STREAM_STAGED, staged[0]));
  pause_ms(20);
  EXPECT(w->ops->done(w->device, EMUV_STREAM_STAGED) == staged[0]);
  EXPECT(w->ops->done(w->device, EMUV_STREAM_COMPUTE) == 0);
  fill(w, slot(w, 1), 1, 0);
  w->ops->disk_done(w->device, EMUV_STREAM_DISK_READ, 2);
  EXPECT(finish(w, EMUV_STREAM_COMPUTE, kernel));
  EXPECT(w->ops->done(w->device, EMUV_STREAM_DISK_READ) == 2);
  EXPECT(count_mismatches(w) == 0);
}

/* A page in pieces of all sizes, adjoining or not, in one call: frame 1 from slot 0, and back into slot 1. */
static uint32_t cut(struct world *w, struct emuv_copy *copies, uint32_t host_slot, bool backwards)
{
  uint64_t at = 0, sizes[] = {16, 4096, 48, 8192, 16, 16, 4096};
  uint32_t n = sizeof sizes / sizeof sizes[0] + 1;
  for (uint32_t i = 0; i < n; i++) {
    uint64_t bytes = i + 1 < n ? sizes[i] : w->env.page_bytes - at;
    copies[backwards ? n - 1 - i : i] =
        (struct emuv_copy){.frame = 1, .offset = at, .bytes = bytes, .host = (uint8_t *)slot(w, host_slot) + at};
    at += bytes;
  }
  return n;
}

static void pieces(struct world *w)
{
  struct emuv_copy copies[8];
  struct emuv_device_costs before, after;
  uint64_t up, down;
  fill(w, slot(w, 0), 7, 7);
  memset(slot(w, 1), 0, w->env.page_bytes);
  w->ops->costs(w->device, &before);
  uint32_t n = cut(w, copies, 0, false);
  EXPECT(w->ops->copy(w->device, EMUV_STREAM_UP, copies, n, &at_once, &up, &w->err) == EMUV_OK);
  EXPECT(finish(w, EMUV_STREAM_UP, up));
  n = cut(w, copies, 1, true);
  EXPECT(w->ops->copy(w->device, EMUV_STREAM_DOWN, copies, n, &at_once, &down, &w->err) == EMUV_OK);
  EXPECT(finish(w, EMUV_STREAM_DOWN, down));
  EXPECT(holds(w, slot(w, 1), 7, 7));
  w->ops->costs(w->device, &after);
  EXPECT(after.copies - before.copies == 2);
  EXPECT(after.pieces - before.pieces >= 2 && after.pieces - before.pieces <= 2 * (uint64_t)n);
}

/* Pages in one call that adjoin on both sides, in VRAM alone (2 to 3), on the host alone (9 to 10), or nowhere. */
static void scattered_pages(struct world *w)
{
  enum { N = 7 };
  struct emuv_copy copies[N];
  static const uint32_t frames[N] = {0, 1, 2, 3, 6, 7, 5}, slots[N] = {0, 1, 2, 9, 10, 11, 3};
  uint64_t seq;
  for (uint32_t i = 0; i < N; i++) {
    fill(w, slot(w, slots[i]), i, 1);
    copies[i] = (struct emuv_copy){.frame = frames[i], .bytes = w->env.page_bytes, .host = slot(w, slots[i])};
  }
  EXPECT(w->ops->copy(w->device, EMUV_STREAM_UP, copies, N, &at_once, &seq, &w->err) == EMUV_OK);
  EXPECT(finish(w, EMUV_STREAM_UP, seq));
  for (uint32_t i = 0; i < N; i++) EXPECT(holds(w, get(w, frames[i]), i, 1));
}

static void lasts_as_asked(struct world *w)
{
  struct emuv_kernel kernel = {.duration_ns = 3e6};
  struct emuv_span span;
  struct timespec before, after;
  uint64_t seq;
  clock_gettime(CLOCK_MONOTONIC, &before);
  EXPECT(w->ops->launch(w->device, &kernel, &at_once, &seq, &w->err) == EMUV_OK);
  EXPECT(finish(w, EMUV_STREAM_COMPUTE, seq));
  clock_gettime(CLOCK_MONOTONIC, &after);
  double ns = (double)(after.tv_sec - before.tv_sec) * 1e9 + (double)(after.tv_nsec - before.tv_nsec);
  EXPECT(w->ops->span(w->device, EMUV_STREAM_COMPUTE, seq, &span));
  EXPECT(span.end_ns - span.start_ns >= 3e6);
  EXPECT(ns >= 3e6);
}

/* Times of a stream go forward; those of long ago and of what is not done are not known. */
static void spans(struct world *w)
{
  enum { N = 4200 };
  struct emuv_span span, last = {0};
  uint64_t seq = 0;
  for (uint32_t i = 0; i < N; i++) EXPECT(launch_touches(w, NULL, 0, at_once) == i + 1);
  EXPECT(finish(w, EMUV_STREAM_COMPUTE, N));
  for (seq = N - 4095; seq <= N; seq++) {
    EXPECT(w->ops->span(w->device, EMUV_STREAM_COMPUTE, seq, &span));
    EXPECT(span.start_ns <= span.end_ns && span.start_ns >= last.end_ns);
    last = span;
  }
  EXPECT(!w->ops->span(w->device, EMUV_STREAM_COMPUTE, 1, &span));
  EXPECT(!w->ops->span(w->device, EMUV_STREAM_COMPUTE, N + 1, &span));
  EXPECT(!w->ops->span(w->device, EMUV_STREAM_COMPUTE, 0, &span));
  EXPECT(!w->ops->span(w->device, EMUV_STREAM_UP, 1, &span));
  for (uint32_t i = 0; i < 20; i++) seq = copy_page(w, EMUV_STREAM_UP, i % WORLD_FRAMES, i, at_once);
  EXPECT(finish(w, EMUV_STREAM_UP, seq));
  last = (struct emuv_span){0};
  for (seq = 1; seq <= 20; seq++) {
    EXPECT(w->ops->span(w->device, EMUV_STREAM_UP, seq, &span));
    EXPECT(span.start_ns < span.end_ns && span.start_ns >= last.start_ns && span.end_ns >= last.end_ns);
    last = span;
  }
}

/* Reading is not enough to tell that a wait was heeded: the copy down must come after a kernel that takes its time. */
static void down_waits_for_kernel(struct world *w)
{
  struct emuv_span kernel_span, down_span;
  EXPECT(put(w, 4, 0, 4));
  struct emuv_touch touch = whole(w, 4, 0, 4, EMUV_TOUCH_READ | EMUV_TOUCH_WRITE);
  struct emuv_kernel kernel = {.touch = &touch, .n_touches = 1, .duration_ns = 10e6};
  uint64_t seq, down;
  EXPECT(w->ops->launch(w->device, &kernel, &at_once, &seq, &w->err) == EMUV_OK);
  down = copy_page(w, EMUV_STREAM_DOWN, 4, 0, (struct emuv_after){{[EMUV_STREAM_COMPUTE] = seq}});
  EXPECT(finish(w, EMUV_STREAM_DOWN, down));
  EXPECT(holds(w, slot(w, 0), 4, 1));
  EXPECT(w->ops->span(w->device, EMUV_STREAM_COMPUTE, seq, &kernel_span));
  EXPECT(w->ops->span(w->device, EMUV_STREAM_DOWN, down, &down_span));
  EXPECT(down_span.start_ns >= kernel_span.end_ns);
}

/* One device each, at the same time. */
static void *run_own_device(void *argument)
{
  struct world *w = argument;
  if (world_open(w) != EMUV_OK) w->failures++;
  if (!w->failures) between_streams(w);
  world_close(w);
  return NULL;
}

static void many_devices(struct world *w)
{
  enum { N = 4 };
  struct world worlds[N];
  pthread_t threads[N];
  for (int i = 0; i < N; i++) {
    worlds[i] = world_like(w, NULL);
    EXPECT(pthread_create(&threads[i], NULL, run_own_device, &worlds[i]) == 0);
  }
  for (int i = 0; i < N; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < N; i++) EXPECT(worlds[i].failures == 0);
}

const struct device_case device_order_cases[] = {
    {"work of a stream runs in order", in_order, false},
    {"streams wait for each other", between_streams, false},
    {"work waits for the disk", after_disk, false},
    {"copies in pieces", pieces, false},
    {"pages that adjoin, and that do not", scattered_pages, false},
    {"a kernel lasts as long as asked", lasts_as_asked, false},
    {"times of work", spans, false},
    {"a copy waits for a kernel", down_waits_for_kernel, false},
    {"several devices at once", many_devices, true},
    {NULL, NULL, false},
};
