// SPDX-License-Identifier: Apache-2.0
/* When copies ran. The end of a copy is measured where its work has a mark (cuda_copy.c); the copies between two marks
 * are laid between them: each starts when the one before has ended, it has been submitted and what it waits for has
 * happened, and lasts as its bytes do at the link's speed of late, corrected so that the last one ends at its mark.
 * Copies behind the last mark keep the estimate. So spans of a stream never overlap and never begin before what they
 * wait for. */
#include "runtime/device/cuda.h"

#define LATENCY_NS 2e3 /* of a copy, beside its bytes */
#define FIRST_NS_PER_BYTE 0.02
#define LEAST 0.05     /* of an estimated duration */
#define OLD_SHARE 0.75 /* of the speed of late, when a new one is measured */

/* When what a copy waited for had happened, as far as that is known. */
static double earliest_ns(struct emuv_device *d, const struct emuv_cuda_work *w)
{
  double ns = w->submit_ns;
  for (int s = 0; s < EMUV_N_STREAMS; s++) {
    const uint64_t seq = w->after.seq[s];
    struct emuv_span span = {0};
    if (!seq || emuv_cuda_done(d, s) < seq) continue;
    if (emuv_cuda_is_disk(s))
      span.end_ns = d->disk_ns[s == EMUV_STREAM_DISK_WRITE][seq % EMUV_CUDA_SPANS];
    else if (s == EMUV_STREAM_COMPUTE)
      emuv_cuda_span(d, s, seq, &span);
    else if (seq <= d->stream[s].resolved && d->stream[s].last - seq < EMUV_CUDA_SPANS)
      span = d->stream[s].span[seq % EMUV_CUDA_SPANS];
    if (span.end_ns > ns) ns = span.end_ns;
  }
  return ns;
}

/* Lays works first..last out one behind the other, their estimated durations times `factor`; returns the sum of those.
 */
static double lay(struct emuv_device *d, struct emuv_cuda_stream *s, uint64_t first, uint64_t last, double factor)
{
  double end = s->span[(first - 1) % EMUV_CUDA_SPANS].end_ns, busy = 0;
  for (uint64_t k = first; k <= last; k++) {
    const struct emuv_cuda_work *w = &s->work[k % EMUV_CUDA_SPANS];
    struct emuv_span *span = &s->span[k % EMUV_CUDA_SPANS];
    const double ns = LATENCY_NS + (double)w->bytes * s->ns_per_byte, from = earliest_ns(d, w);
    span->start_ns = from > end ? from : end;
    span->end_ns = end = span->start_ns + ns * factor;
    busy += ns;
  }
  return busy;
}

/* Works first..last, of which only the last may have a mark. */
static void lay_to_mark(struct emuv_device *d, struct emuv_cuda_stream *s, uint64_t first, uint64_t last)
{
  const struct emuv_cuda_work *w = &s->work[last % EMUV_CUDA_SPANS];
  double mark_ns = 0;
  if (!s->ns_per_byte) s->ns_per_byte = FIRST_NS_PER_BYTE;
  const double busy = lay(d, s, first, last, 1);
  if (!w->marked || !emuv_cuda_event_ns(d, w->mark, &mark_ns)) return;
  double factor = 1 + (mark_ns - s->span[last % EMUV_CUDA_SPANS].end_ns) / busy;
  if (factor < LEAST) factor = LEAST;
  lay(d, s, first, last, factor);
  s->ns_per_byte *= OLD_SHARE + (1 - OLD_SHARE) * factor;
}

void emuv_cuda_resolve(struct emuv_device *device, enum emuv_stream stream, uint64_t seq)
{
  struct emuv_cuda_stream *s = &device->stream[stream];
  const uint64_t done = emuv_cuda_done(device, stream);
  if (done - s->resolved >= EMUV_CUDA_SPANS) s->resolved = done - EMUV_CUDA_SPANS + 1;
  while (s->resolved < seq) {
    uint64_t last = s->resolved + 1;
    while (last < done && !s->work[last % EMUV_CUDA_SPANS].marked) last++;
    lay_to_mark(device, s, s->resolved + 1, last);
    s->resolved = last;
  }
}
