// SPDX-License-Identifier: Apache-2.0
/* Times of the GPU as times of the host. A small kernel answers pings with %globaltimer; the tightest of many brackets
 * ties the clocks to about a microsecond (Cristian 1989). Events count from a base event; it is recorded just before
 * that kernel and another one just behind it, so the base lies as long before the kernel's first time as the other one
 * lies behind its last, about. Both are done again when they are older than RENEW_NS: the clocks drift, and the driver
 * tells the distance of events as a float. */
#include "runtime/device/cuda.h"

#include <time.h>

#define RENEW_NS 2e9
#define GIVE_UP_NS 2e6

double emuv_cuda_now_ns(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint64_t load(const uint64_t *word)
{
  return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* %globaltimer counts from 1970: a double would leave 256 ns of it. */
static double since_origin(const struct emuv_device *d, const uint64_t *gpu_ns)
{
  return (double)(int64_t)(load(gpu_ns) - d->clock.origin);
}

/* Bounces pings off the kernel; keeps the tightest bracket. False when the kernel did not come to it in time. */
static bool bounce(struct emuv_device *d, double *offset_ns, double *uncertainty_ns, double *last_gpu_ns)
{
  struct emuv_touch_shared *const s = d->shared;
  double best = 1e18;
  const double give_up = emuv_cuda_now_ns() + GIVE_UP_NS;
  for (uint64_t i = 1; i <= EMUV_TOUCH_BOUNCES; i++) {
    const double before = emuv_cuda_now_ns();
    __atomic_store_n(&s->ping.value, i, __ATOMIC_RELEASE);
    while (load(&s->pong.value) < i)
      if (emuv_cuda_now_ns() > give_up) return false;
    const double now = emuv_cuda_now_ns();
    if (!d->clock.origin) d->clock.origin = load(&s->pong_ns.value);
    *last_gpu_ns = since_origin(d, &s->pong_ns.value);
    if (now - before >= best) continue;
    best = now - before;
    *offset_ns = before + best / 2 - *last_gpu_ns;
    *uncertainty_ns = best / 2;
  }
  return true;
}

static int tie(struct emuv_device *d, struct emuv_err *err)
{
  struct emuv_cuda_clock *c = &d->clock;
  double offset_ns = 0, uncertainty_ns = 0, last_ns = 0;
  float base_to_after_ms = 0;
  __atomic_store_n(&d->shared->ping.value, 0, __ATOMIC_RELEASE);
  __atomic_store_n(&d->shared->pong.value, 0, __ATOMIC_RELEASE);
  void *args[] = {&d->shared_address};
  const int next = !c->current;
  CUresult r = d->cu.event_record(c->base[next], c->stream);
  if (!r) r = d->cu.launch(d->clock_kernel, 1, 1, 1, 1, 1, 1, 0, c->stream, args, NULL);
  if (!r) r = d->cu.event_record(c->after, c->stream);
  if (r) return emuv_cuda_lose(d, r, "measuring the GPU's clock", err);
  const bool answered = bounce(d, &offset_ns, &uncertainty_ns, &last_ns);
  r = d->cu.stream_synchronize(c->stream);
  if (!r) r = d->cu.event_elapsed(&base_to_after_ms, c->base[next], c->after);
  if (r) return emuv_cuda_lose(d, r, "measuring the GPU's clock", err);
  c->measured_ns = emuv_cuda_now_ns();
  if (!answered) return EMUV_OK;
  c->offset_ns = offset_ns;
  c->uncertainty_ns = uncertainty_ns;
  c->base_ns = (last_ns - (double)base_to_after_ms * 1e6 + since_origin(d, &d->shared->began_ns.value)) / 2;
  c->current = next;
  return EMUV_OK;
}

int emuv_cuda_clock_open(struct emuv_device *device, struct emuv_err *err)
{
  struct emuv_cuda_clock *c = &device->clock;
  CUresult r = CUDA_SUCCESS;
  for (int i = 0; i < 2 && !r; i++) r = device->cu.event_create(&c->base[i], CU_EVENT_DEFAULT);
  if (!r) r = device->cu.event_create(&c->after, CU_EVENT_DEFAULT);
  if (r) return emuv_cuda_lose(device, r, "opening the GPU's clock", err);
  const int rc = tie(device, err); /* the first run loads the kernel: its brackets are wide */
  return rc ? rc : tie(device, err);
}

void emuv_cuda_clock_close(struct emuv_device *device)
{
  struct emuv_cuda_clock *c = &device->clock;
  for (int i = 0; i < 2; i++)
    if (c->base[i]) device->cu.event_destroy(c->base[i]);
  if (c->after) device->cu.event_destroy(c->after);
  if (c->stream) device->cu.stream_destroy(c->stream);
}

bool emuv_cuda_event_ns(struct emuv_device *device, CUevent event, double *ns)
{
  const struct emuv_cuda_clock *c = &device->clock;
  float ms = 0;
  if (device->cu.event_elapsed(&ms, c->base[c->current], event)) return false;
  *ns = c->base_ns + (double)ms * 1e6 + c->offset_ns;
  return true;
}

static bool copy_span(struct emuv_device *d, enum emuv_stream stream, uint64_t seq, struct emuv_span *span)
{
  const struct emuv_cuda_stream *s = &d->stream[stream];
  if (seq > s->resolved) {
    if (emuv_cuda_enter(d, NULL)) return false;
    emuv_cuda_resolve(d, stream, seq);
    emuv_cuda_leave(d);
  }
  *span = s->span[seq % EMUV_CUDA_SPANS];
  return true;
}

/* A stamp may arrive a little later than the number of the kernel. */
static bool stamp_ns(const struct emuv_device *d, const uint64_t *stamp, uint64_t kernel, double *ns)
{
  const uint64_t low = (1u << EMUV_TOUCH_STAMP_BITS) - 1;
  const double give_up = emuv_cuda_now_ns() + GIVE_UP_NS;
  uint64_t seen = load(stamp);
  for (; (seen & low) != EMUV_TOUCH_ROUND(kernel) || !seen; seen = load(stamp))
    if (emuv_cuda_now_ns() > give_up) return false;
  const int64_t since = (int64_t)((seen & ~low) - (d->clock.origin << EMUV_TOUCH_STAMP_BITS));
  *ns = (double)(since >> EMUV_TOUCH_STAMP_BITS) + d->clock.offset_ns;
  return true;
}

static void renew(struct emuv_device *d)
{
  if (emuv_cuda_now_ns() - d->clock.measured_ns < RENEW_NS || emuv_cuda_enter(d, NULL)) return;
  tie(d, NULL);
  emuv_cuda_leave(d);
}

bool emuv_cuda_span(struct emuv_device *device, enum emuv_stream stream, uint64_t seq, struct emuv_span *span)
{
  struct emuv_cuda_stream *s = &device->stream[stream];
  if (emuv_cuda_is_disk(stream) || !seq || device->lost || seq > emuv_cuda_done(device, stream)) return false;
  if (s->last - seq >= EMUV_CUDA_SPANS) return false;
  renew(device);
  if (stream != EMUV_STREAM_COMPUTE) return copy_span(device, stream, seq, span);
  const struct emuv_touch_span *g = &device->shared->span[seq % EMUV_TOUCH_RING];
  return stamp_ns(device, &g->start, seq, &span->start_ns) && stamp_ns(device, &g->end, seq, &span->end_ns);
}
