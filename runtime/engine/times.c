// SPDX-License-Identifier: Apache-2.0
/* How long links and kernels were busy: spans of finished work, added up before the device forgets them. Two streams
 * that share a link (copies up, where pages come from a disk) are walked in the order of time, so that what overlaps
 * counts once. */
#include "runtime/engine/internal.h"

enum { OFTEN = 512 };

static void count_one(struct emuv_engine_clock *c, const struct emuv_span *s)
{
  double from = s->start_ns > c->covered_ns ? s->start_ns : c->covered_ns;
  if (s->end_ns <= from) return;
  c->busy_ns += s->end_ns - from;
  c->covered_ns = s->end_ns;
}

/* The next span of a stream that is known; false: none is left. */
static bool next_span(struct emuv_engine *e, enum emuv_stream stream, uint64_t done, uint64_t *next,
                      struct emuv_span *span)
{
  for (; *next <= done; ++*next)
    if (e->ops->span(e->device, stream, *next, span)) return true;
  return false;
}

static void count(struct emuv_engine *e, struct emuv_engine_clock *c, const enum emuv_stream *stream, int n)
{
  struct emuv_span span[2];
  uint64_t done[2] = {0};
  bool is_there[2] = {false};
  for (int i = 0; i < n; i++) {
    done[i] = e->ops->done(e->device, stream[i]);
    is_there[i] = next_span(e, stream[i], done[i], &c->next[i], &span[i]);
  }
  while (is_there[0] || is_there[1]) {
    int first = is_there[1] && (!is_there[0] || span[1].start_ns < span[0].start_ns);
    count_one(c, &span[first]);
    c->next[first]++;
    is_there[first] = next_span(e, stream[first], done[first], &c->next[first], &span[first]);
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
  if (e->layout.peer) { /* that stream has a link of its own */
    if (now || is_due(e, &e->up, EMUV_STREAM_UP, 0)) count(e, &e->up, up, 1);
    if (now || is_due(e, &e->peer_up, EMUV_STREAM_STAGED, 0)) count(e, &e->peer_up, up + 1, 1);
    return;
  }
  if (now || is_due(e, &e->up, EMUV_STREAM_UP, 0) || is_due(e, &e->up, EMUV_STREAM_STAGED, 1)) count(e, &e->up, up, 2);
}
