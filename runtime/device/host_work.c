// SPDX-License-Identifier: Apache-2.0
/* Copies and kernels of the device `host`: bytes are really moved, read, compared and written; what the modelled link
 * or the kernel's duration demands beyond that is slept. Runs in the streams' threads, without the lock. */
#include "runtime/device/content.h"
#include "runtime/device/host.h"

#include <string.h>

enum { AHEAD_NS = 200000 }; /* copies of one piece of work may run this much ahead of the modelled link */

/* Takes the link for `bytes`, not before ready_ns; real_ns: what moving them took here. */
static struct emuv_span occupy(struct emuv_device *device, struct host_link *link, uint64_t bytes, double ready_ns,
                               double real_ns)
{
  if (link->curve->n == 0 || bytes == 0) return (struct emuv_span){ready_ns, ready_ns + real_ns};
  double model_ns = (double)bytes / emuv_curve_rate(link->curve, bytes) * 1e9;
  pthread_mutex_lock(&device->lock);
  double start = link->free_ns > ready_ns ? link->free_ns : ready_ns;
  link->free_ns = start + (model_ns > real_ns ? model_ns : real_ns);
  struct emuv_span span = {start, link->free_ns};
  pthread_mutex_unlock(&device->lock);
  return span;
}

/* How many copies from the i-th on are one piece: adjoining in the arena and on the host. */
static uint32_t adjoining(const struct emuv_device *device, const struct host_work *work, uint32_t i, uint64_t *bytes)
{
  uint32_t n = 1;
  *bytes = work->copies[i].bytes;
  for (; i + n < work->n_copies; n++) {
    const struct emuv_copy *last = &work->copies[i + n - 1], *next = last + 1;
    uint64_t end = last->frame * device->env.page_bytes + last->offset + last->bytes;
    if (next->frame * device->env.page_bytes + next->offset != end) break;
    if ((const char *)next->host != (const char *)last->host + last->bytes) break;
    *bytes += next->bytes;
  }
  return n;
}

void host_work_copy(struct emuv_device *device, enum emuv_stream stream, const struct host_work *work, double ready_ns,
                    struct emuv_span *span)
{
  bool down = stream == EMUV_STREAM_DOWN;
  uint64_t bytes, pieces = 0;
  span->end_ns = ready_ns;
  for (uint32_t i = 0; i < work->n_copies && !atomic_load(&device->lost); pieces++) {
    const struct emuv_copy *copy = &work->copies[i];
    uint8_t *vram = device->arena + copy->frame * device->env.page_bytes + copy->offset;
    i += adjoining(device, work, i, &bytes);
    double began = host_now_ns();
    void *below = host_memory_at(device, copy->host);
    struct host_link *link = host_memory_is_peer(device, copy->host) ? &device->peer[down]
                             : down                                  ? &device->down
                                                                     : &device->up;
    memcpy(down ? below : vram, down ? vram : below, bytes);
    struct emuv_span piece = occupy(device, link, bytes, span->end_ns, host_now_ns() - began);
    if (pieces == 0) span->start_ns = piece.start_ns;
    span->end_ns = piece.end_ns;
    if (span->end_ns - host_now_ns() > AHEAD_NS) host_sleep_until(span->end_ns);
  }
  host_sleep_until(span->end_ns);
  pthread_mutex_lock(&device->lock);
  device->costs.pieces += pieces;
  pthread_mutex_unlock(&device->lock);
}

static void report(struct emuv_device *device, const struct host_work *work, const struct emuv_touch *touch,
                   uint64_t word, uint64_t found)
{
  struct emuv_mismatch mismatch = {.page = touch->page, .version = touch->version, .offset = word * 8};
  mismatch.expected = emuv_content_word(emuv_content_seed(touch->page, touch->version), word);
  mismatch.found = found;
  mismatch.kernel = work->seq;
  pthread_mutex_lock(&device->lock);
  if (device->n_mismatches < HOST_MISMATCHES) device->mismatches[device->n_mismatches++] = mismatch;
  device->total_mismatches++;
  pthread_mutex_unlock(&device->lock);
}

/* Words first to last (excluded) of a page. */
static void check(struct emuv_device *device, const struct host_work *work, const struct emuv_touch *touch,
                  const uint64_t *words, uint64_t first, uint64_t last)
{
  uint64_t seed = emuv_content_seed(touch->page, touch->version), wrong = 0;
  for (uint64_t i = first; i < last; i++) wrong |= words[i] ^ emuv_content_word(seed, i);
  if (wrong == 0) return;
  while (words[first] == emuv_content_word(seed, first)) first++;
  report(device, work, touch, first, words[first]);
}

static void read_only(struct emuv_device *device, const uint64_t *words, uint64_t first, uint64_t last)
{
  uint64_t sum = 0;
  for (uint64_t i = first; i < last; i++) sum += words[i];
  atomic_fetch_add_explicit(&device->sink, sum, memory_order_relaxed);
}

static void write_next(const struct emuv_touch *touch, uint64_t *words, uint64_t n)
{
  uint64_t seed = emuv_content_seed(touch->page, touch->version + 1);
  for (uint64_t i = 0; i < n; i++) words[i] = emuv_content_word(seed, i);
}

/* Where the kernel finds a page: it does not look at touch->frame, but takes the way that it has on a GPU. */
static uint64_t *translate(struct emuv_device *device, const struct emuv_touch *touch)
{
  if (device->env.mapping == EMUV_MAPPING_REMAP)
    return (uint64_t *)(void *)(device->space + touch->page * device->env.page_bytes);
  return (uint64_t *)(void *)(device->arena + device->table[touch->page] * device->env.page_bytes);
}

static void touch_page(struct emuv_device *device, const struct host_work *work, const struct emuv_touch *touch)
{
  uint64_t first = touch->offset / 8, last = (touch->offset + touch->bytes) / 8;
  if (touch->flags & EMUV_TOUCH_IN_PLACE) {
    const uint64_t *there = host_memory_at(device, touch->host);
    if (touch->flags & EMUV_TOUCH_CHECK)
      check(device, work, touch, there, first, last);
    else
      read_only(device, there, first, last);
    return;
  }
  uint64_t *words = translate(device, touch);
  if (touch->flags & EMUV_TOUCH_CHECK)
    check(device, work, touch, words, first, last);
  else if (touch->flags & EMUV_TOUCH_READ)
    read_only(device, words, first, last);
  if (touch->flags & EMUV_TOUCH_WRITE) write_next(touch, words, device->env.page_bytes / 8);
}

void host_work_kernel(struct emuv_device *device, const struct host_work *work, double ready_ns, struct emuv_span *span)
{
  uint64_t in_place = 0;
  double began = host_now_ns();
  for (uint32_t i = 0; i < work->n_updates; i++) device->table[work->updates[i].page] = work->updates[i].frame;
  for (uint32_t i = 0; i < work->n_touches && !atomic_load(&device->lost); i++) {
    touch_page(device, work, &work->touches[i]);
    if (work->touches[i].flags & EMUV_TOUCH_IN_PLACE) in_place += work->touches[i].bytes;
  }
  double real_ns = host_now_ns() - began;
  struct emuv_span reading = occupy(device, &device->up, in_place, ready_ns, real_ns);
  span->start_ns = ready_ns;
  span->end_ns = ready_ns + work->duration_ns;
  if (reading.end_ns > span->end_ns) span->end_ns = reading.end_ns;
  host_sleep_until(span->end_ns);
}
