// SPDX-License-Identifier: Apache-2.0
/* Intervals in which a link works; see schedule.h. */
#include "runtime/tier/schedule.h"

#include <stdbool.h>
#include <string.h>

/* The first interval that ends at or after a time. */
static uint32_t find(const struct emuv_schedule *s, double ns)
{
  uint32_t low = 0, high = s->n;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (s->busy[middle].to_ns < ns)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void join_first_two(struct emuv_schedule *s)
{
  s->busy[1].from_ns = s->busy[0].from_ns;
  memmove(s->busy, s->busy + 1, --s->n * sizeof s->busy[0]);
}

/* Intervals first .. last-1 become one. */
static void replace(struct emuv_schedule *s, uint32_t first, uint32_t last, double from_ns, double to_ns)
{
  uint32_t behind = s->n - last;
  memmove(s->busy + first + 1, s->busy + last, behind * sizeof s->busy[0]);
  s->busy[first].from_ns = from_ns;
  s->busy[first].to_ns = to_ns;
  s->n = first + 1 + behind;
}

double emuv_schedule_take(struct emuv_schedule *s, double earliest_ns, double duration_ns)
{
  if (duration_ns <= 0) return earliest_ns;
  if (s->n == EMUV_SCHEDULE_INTERVALS) join_first_two(s);
  uint32_t first = find(s, earliest_ns), i = first;
  double from = earliest_ns, at = earliest_ns, left = duration_ns;
  if (i < s->n && s->busy[i].from_ns <= at) {
    from = s->busy[i].from_ns;
    at = s->busy[i++].to_ns;
  }
  for (; i < s->n && s->busy[i].from_ns < at + left; i++) {
    left -= s->busy[i].from_ns - at;
    at = s->busy[i].to_ns;
  }
  double end = at + left;
  bool touches = i < s->n && s->busy[i].from_ns <= end;
  replace(s, first, touches ? i + 1 : i, from, touches ? s->busy[i].to_ns : end);
  return end;
}

double emuv_schedule_taken_after(const struct emuv_schedule *s, double now_ns)
{
  double sum = 0;
  for (uint32_t i = find(s, now_ns); i < s->n; i++)
    sum += s->busy[i].to_ns - (s->busy[i].from_ns > now_ns ? s->busy[i].from_ns : now_ns);
  return sum;
}
