// SPDX-License-Identifier: Apache-2.0
/* Contexts: the map of pages, the descriptors of launches and the log, and when launches are over. See
 * sanitizer_capture.h and pages_device.h. */
#include "tracer/inject/sanitizer_capture.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  HALF = EMUV_PAGES_LAUNCHES / 2,
  LOG_ENTRIES = 1 << 22, /* 32 MiB: 128 GiB of pages of 64 KiB, read and written */
  TAKE_AT_ONCE = 1 << 16,
  CATCH_UP_MS = 500
};

static bool ok(SanitizerResult rc)
{
  return rc == SANITIZER_SUCCESS;
}

struct emuv_sanitizer_context *emuv_sanitizer_context(CUcontext handle)
{
  struct emuv_sanitizer *const s = &emuv_sanitizer;
  struct emuv_sanitizer_context *c;
  pthread_mutex_lock(&s->lock);
  for (c = s->contexts; c && c->handle != handle; c = c->next) {
  }
  if (!c && (c = calloc(1, sizeof *c)) != NULL) {
    c->handle = handle;
    pthread_mutex_init(&c->preparing, NULL);
    c->next = s->contexts;
    s->contexts = c;
  }
  pthread_mutex_unlock(&s->lock);
  return c;
}

void emuv_sanitizer_range(uint64_t address, uint64_t bytes)
{
  struct emuv_sanitizer *const s = &emuv_sanitizer;
  if (s->n_ranges == s->cap_ranges) {
    const size_t cap = s->cap_ranges ? 2 * s->cap_ranges : 64;
    struct emuv_range *grown = realloc(s->ranges, cap * sizeof *grown);
    if (!grown) return;
    s->ranges = grown;
    s->cap_ranges = cap;
  }
  s->ranges[s->n_ranges++] = (struct emuv_range){.address = address, .bytes = bytes};
}

/* ---- what a context needs on the device; `preparing` is held ---- */

static bool device_zeroed(struct emuv_sanitizer_context *c, uint64_t *address, size_t bytes,
                          Sanitizer_StreamHandle stream)
{
  const struct emuv_sanitizer_api *const api = &emuv_sanitizer.api;
  void *p = NULL;
  if (!ok(api->sanitizerAlloc(c->handle, &p, bytes)) || !ok(api->sanitizerMemset(p, 0, bytes, stream))) return false;
  *address = (uint64_t)(uintptr_t)p;
  return true;
}

static bool to_device(uint64_t address, void *data, size_t bytes, Sanitizer_StreamHandle stream)
{
  return ok(emuv_sanitizer.api.sanitizerMemcpyHostToDeviceAsync((void *)(uintptr_t)address, data, bytes, stream));
}

static bool make_log(struct emuv_sanitizer_context *c, Sanitizer_StreamHandle stream)
{
  const struct emuv_sanitizer_api *const api = &emuv_sanitizer.api;
  void *entries = NULL, *control = NULL;
  if (!device_zeroed(c, &c->log, sizeof(struct emuv_pages_log), stream)) return false;
  if (!ok(api->sanitizerAllocHost(c->handle, &entries, LOG_ENTRIES * sizeof(uint64_t)))) return false;
  if (!ok(api->sanitizerAllocHost(c->handle, &control, sizeof(struct emuv_pages_control)))) return false;
  memset(entries, 0, LOG_ENTRIES * sizeof(uint64_t));
  memset(control, 0, sizeof(struct emuv_pages_control));
  struct emuv_pages_log log = {.limit = LOG_ENTRIES,
                               .capacity = LOG_ENTRIES,
                               .entries = (uint64_t)(uintptr_t)entries,
                               .control = (uint64_t)(uintptr_t)control};
  if (!to_device(c->log, &log, sizeof log, stream)) return false;
  pthread_mutex_lock(&emuv_sanitizer.lock);
  c->capacity = LOG_ENTRIES;
  c->control = control;
  c->entries = entries;
  pthread_mutex_unlock(&emuv_sanitizer.lock);
  return true;
}

static bool make_device_side(struct emuv_sanitizer_context *c, Sanitizer_StreamHandle stream)
{
  return device_zeroed(c, &c->directory, EMUV_PAGES_DIRECTORY * sizeof(uint64_t), stream) &&
         device_zeroed(c, &c->descriptors, EMUV_PAGES_LAUNCHES * sizeof(struct emuv_pages_launch), stream) &&
         make_log(c, stream);
}

static bool add_chunk(struct emuv_sanitizer_context *c, uint64_t i, Sanitizer_StreamHandle stream)
{
  const size_t bytes = sizeof(uint64_t) << (EMUV_PAGES_CHUNK_BITS - emuv_sanitizer.shift);
  uint64_t words;
  if (c->chunk[i]) return true;
  if (!device_zeroed(c, &words, bytes, stream)) return false;
  if (!to_device(c->directory + i * sizeof words, &words, sizeof words, stream)) return false;
  return c->chunk[i] = true;
}

static bool add_range(struct emuv_sanitizer_context *c, const struct emuv_range *r, Sanitizer_StreamHandle stream)
{
  const uint64_t first = r->address >> EMUV_PAGES_CHUNK_BITS,
                 last = (r->address + r->bytes - 1) >> EMUV_PAGES_CHUNK_BITS;
  for (uint64_t i = first; r->bytes && i <= last && i < EMUV_PAGES_DIRECTORY; i++)
    if (!add_chunk(c, i, stream)) return false;
  return true;
}

/* Chunks for the ranges that came since the last launch. *changed: other streams must see it too. */
static bool add_ranges(struct emuv_sanitizer_context *c, Sanitizer_StreamHandle stream, bool *changed)
{
  struct emuv_sanitizer *const s = &emuv_sanitizer;
  for (;;) {
    struct emuv_range r = {0};
    pthread_mutex_lock(&s->lock);
    const bool more = c->ranges_done < s->n_ranges;
    if (more) r = s->ranges[c->ranges_done++];
    pthread_mutex_unlock(&s->lock);
    if (!more) return true;
    *changed = true;
    if (!add_range(c, &r, stream)) return false;
  }
}

/* Gives a half of the descriptors the numbers of this epoch. Its former launches are over. */
static bool fill_half(struct emuv_sanitizer_context *c, uint32_t epoch, Sanitizer_StreamHandle stream)
{
  struct emuv_pages_launch *half = calloc(HALF, sizeof *half);
  const uint64_t to = c->descriptors + (epoch % 2) * HALF * sizeof *half;
  if (!half) return false;
  for (uint32_t i = 0; i < HALF; i++)
    half[i] = (struct emuv_pages_launch){
        .directory = c->directory, .log = c->log, .number = epoch * HALF + i, .shift = emuv_sanitizer.shift};
  const bool good = to_device(to, half, HALF * sizeof *half, stream);
  free(half);
  if (good) c->epoch[epoch % 2] = epoch + 1;
  return good;
}

static bool prepare_locked(struct emuv_sanitizer_context *c, uint32_t number, Sanitizer_StreamHandle stream)
{
  const uint32_t epoch = number / HALF;
  bool changed = false, good = !c->broken;
  if (good && !c->ready) {
    good = c->ready = make_device_side(c, stream);
    changed = true;
  }
  if (good) good = add_ranges(c, stream, &changed);
  if (good && c->epoch[epoch % 2] != epoch + 1) {
    good = fill_half(c, epoch, stream);
    changed = true;
  }
  if (good && changed) good = ok(emuv_sanitizer.api.sanitizerStreamSynchronize(stream));
  if (!good && !c->broken) {
    c->broken = true;
    emuv_sanitizer.contexts_failed++;
    emuv_capture_say("no memory on the device for the map of pages: launches of this context are gaps");
  }
  return good;
}

/* Number 0 is left out: it is what a word without a launch holds. */
static uint32_t next_number(void)
{
  pthread_mutex_lock(&emuv_sanitizer.lock);
  uint32_t number = ++emuv_sanitizer.number;
  if (number == 0) number = ++emuv_sanitizer.number;
  pthread_mutex_unlock(&emuv_sanitizer.lock);
  return number;
}

uint32_t emuv_sanitizer_prepare(struct emuv_sanitizer_context *c, Sanitizer_StreamHandle stream, uint64_t *data)
{
  const uint32_t number = next_number();
  if (number % HALF == 0) emuv_sanitizer_complete_all();
  pthread_mutex_lock(&c->preparing);
  const bool good = prepare_locked(c, number, stream);
  pthread_mutex_unlock(&c->preparing);
  *data = good ? c->descriptors + (number % EMUV_PAGES_LAUNCHES) * sizeof(struct emuv_pages_launch) : 0;
  return number;
}

/* ---- the log ---- */

static void notice_overflow(struct emuv_sanitizer_context *c)
{
  if (!*(volatile uint32_t *)&c->control->dead) return;
  if (!c->dead) {
    c->dead = true;
    emuv_sanitizer.overflows++;
    emuv_capture_say("the log of pages was full for too long: the launches from here on are gaps");
  }
  emuv_pages_queue_spoil(&emuv_sanitizer.queue, c, EMUV_PAGES_OVERFLOW);
}

/* With the lock held. */
static uint32_t take(struct emuv_sanitizer_context *c)
{
  if (!c->entries) return 0;
  const uint32_t n = emuv_pages_log_take(&emuv_sanitizer.queue, c->entries, c->capacity, c->control, TAKE_AT_ONCE);
  notice_overflow(c);
  return n;
}

void emuv_sanitizer_drain(void)
{
  struct emuv_sanitizer *const s = &emuv_sanitizer;
  pthread_mutex_lock(&s->lock);
  for (struct emuv_sanitizer_context *c = s->contexts; c; c = c->next)
    while (take(c) == TAKE_AT_ONCE) {
      pthread_mutex_unlock(&s->lock); /* let the program's threads in */
      pthread_mutex_lock(&s->lock);
    }
  pthread_mutex_unlock(&s->lock);
}

/* Takes entries until `count` of them have been taken. Threads of the GPU that have been given an entry write it within
 * microseconds. */
static bool catch_up(struct emuv_sanitizer_context *c, uint32_t count)
{
  for (int ms = 0; ms < CATCH_UP_MS;) {
    pthread_mutex_lock(&emuv_sanitizer.lock);
    const uint32_t n = take(c);
    const bool good = (int32_t)(count - c->control->tail) <= 0, dead = c->dead;
    pthread_mutex_unlock(&emuv_sanitizer.lock);
    if (good || dead) return true;
    if (n) continue;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    ms++;
  }
  return false;
}

/* ---- when launches are over ---- */

const void *emuv_sanitizer_key(Sanitizer_StreamHandle stream)
{
  static const char default_stream;
  return stream ? (const void *)stream : &default_stream;
}

bool emuv_sanitizer_track(struct emuv_sanitizer_context *c, Sanitizer_StreamHandle stream, uint32_t number)
{
  size_t at = c->n_streams;
  for (size_t i = 0; i < c->n_streams; i++) {
    if (c->stream[i].used && c->stream[i].handle == stream) {
      c->stream[i].last = number;
      return true;
    }
    if (!c->stream[i].used) at = i;
  }
  if (at == c->n_streams) {
    struct emuv_sanitizer_stream *grown = realloc(c->stream, (at + 1) * sizeof *grown);
    if (!grown) return false;
    c->stream = grown;
    c->n_streams++;
  }
  c->stream[at] = (struct emuv_sanitizer_stream){.handle = stream, .last = number, .used = true};
  return true;
}

/* The last launch of the stream; false when none is in flight. */
static bool stream_pending(struct emuv_sanitizer_context *c, Sanitizer_StreamHandle stream, uint32_t *last)
{
  bool pending = false;
  pthread_mutex_lock(&emuv_sanitizer.lock);
  for (size_t i = 0; i < c->n_streams; i++)
    if (c->stream[i].used && c->stream[i].handle == stream) {
      *last = c->stream[i].last;
      pending = true;
    }
  pthread_mutex_unlock(&emuv_sanitizer.lock);
  return pending;
}

static void stream_done(struct emuv_sanitizer_context *c, Sanitizer_StreamHandle stream, uint32_t last)
{
  pthread_mutex_lock(&emuv_sanitizer.lock);
  emuv_pages_queue_done(&emuv_sanitizer.queue, c, emuv_sanitizer_key(stream), last);
  for (size_t i = 0; i < c->n_streams; i++)
    if (c->stream[i].used && c->stream[i].handle == stream && c->stream[i].last == last) c->stream[i].used = false;
  pthread_mutex_unlock(&emuv_sanitizer.lock);
}

/* The copy waits for what the stream holds, then all entries of these launches have been given out. */
static void complete_stream(struct emuv_sanitizer_context *c, Sanitizer_StreamHandle stream)
{
  uint32_t last = 0, count = 0;
  if (!stream_pending(c, stream, &last)) return;
  void *const from = (void *)(uintptr_t)(c->log + offsetof(struct emuv_pages_log, count));
  if (!c->entries || !ok(emuv_sanitizer.api.sanitizerMemcpyDeviceToHost(&count, from, sizeof count, stream))) return;
  if (catch_up(c, count)) stream_done(c, stream, last);
}

void emuv_sanitizer_complete(struct emuv_sanitizer_context *c, Sanitizer_StreamHandle stream, bool all)
{
  if (!all) {
    complete_stream(c, stream);
    return;
  }
  for (size_t i = 0;; i++) {
    struct emuv_sanitizer_stream one = {0};
    pthread_mutex_lock(&emuv_sanitizer.lock);
    const bool more = i < c->n_streams;
    if (more) one = c->stream[i];
    pthread_mutex_unlock(&emuv_sanitizer.lock);
    if (!more) return;
    if (one.used) complete_stream(c, one.handle);
  }
}

void emuv_sanitizer_complete_all(void)
{
  pthread_mutex_lock(&emuv_sanitizer.lock);
  struct emuv_sanitizer_context *c = emuv_sanitizer.contexts;
  pthread_mutex_unlock(&emuv_sanitizer.lock);
  for (; c; c = c->next) emuv_sanitizer_complete(c, NULL, true);
}

uint64_t emuv_sanitizer_dropped(void)
{
  uint64_t sum = 0;
  for (struct emuv_sanitizer_context *c = emuv_sanitizer.contexts; c; c = c->next) {
    uint32_t dropped = 0;
    void *const from = (void *)(uintptr_t)(c->log + offsetof(struct emuv_pages_log, dropped));
    if (!c->dead) continue;
    emuv_sanitizer.api.sanitizerMemcpyDeviceToHost(&dropped, from, sizeof dropped, NULL);
    sum += dropped ? dropped : 1;
  }
  return sum;
}
