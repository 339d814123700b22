// SPDX-License-Identifier: Apache-2.0
/* How long links and kernels were busy: spans of finished work, added up before the device forgets them. Two streams
 * that share a link (copies up) are walked in the order of time, so that what overlaps counts once. */
#include "runtime/engine/internal.h"

enum { OFTEN = 512 };

static void count_one(struct emuv_engine_clock *c, const struct emuv_span *s)
{
  double from = s->start_ns > c->covered_ns ? s->start_ns : c->covered_ns;
  if (s->end_ns <= from) return;
  c->busy_ns += s->end_ns - from;
  c->covered_ns = s->end_ns;
}

static void count(struct emuv_engine *e, struct emuv_engine_clock *c, const enum emuv_stream *stream, int n)
{
  struct emuv_span span[2];
  uint64_t done[2] = {0};
  for (int i = 0; i < n; i++) done[i] = e->ops->done(e->device, stream[i]);
  for (;;) {
    int first = -1;
    for (int i = 0; i < n; i++) {
      while (c->next[i] <= done[i] && !e->ops->span(e->device, stream[i], c->next[i], &span[i])) c->next[i]++;
      if (c->next[i] <= done[i] && (first < 0 || span[i].start_ns < span[first].start_ns)) first = i;
    }
    if (first < 0) return;
    count_one(c, &span[first]);
    c->next[first]++;
  }
}

static bool is_due(const struct emuv_engine *e, const struct emuv_engine_clock *c, enum emuv_stream stream, int i)
{
  return e->board.given[stream] >= c->next[i] + OFTEN;
}

void emuv_engine_count_times(struct emuv_engine *e, bool now)
{
  static const enum emuv_stream compute[] = {EMUV_STREAM_COMPUTE}, down[] = {EMUV_STREAM_DOWN};
  static const enum emuv_stream up[] = {EMUV_STREAM_UP, EMUV_STREAM_STAGED};
  if (now || is_due(e, &e->compute, EMUV_STREAM_COMPUTE, 0)) count(e, &e->compute, compute, 1);
  if (now || is_due(e, &e->down, EMUV_STREAM_DOWN, 0)) count(e, &e->down, down, 1);
  if (now || is_due(e, &e->up, EMUV_STREAM_UP, 0) || is_due(e, &e->up, EMUV_STREAM_STAGED, 1)) count(e, &e->up, up, 2);
}
