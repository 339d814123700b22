// SPDX-License-Identifier: Apache-2.0
/* Issues of pages loaded ahead stand in a ring, the oldest first. An issue is alive while a page of it waits for its
 * use; as each page waits for one issue at most, no more are alive than there are frames, and a full ring can be
 * cleared of dead ones. */
#include "runtime/core/pager_ahead.h"

static struct emuv_issue *issue_at(struct emuv_issues *q, uint32_t i)
{
  uint32_t at = q->head + i;
  return &q->ring[at < q->size ? at : at - q->size];
}

static bool waits(const struct emuv_pager *p, const struct emuv_issue *issue, uint32_t page)
{
  return (p->state[page] & EMUV_PAGE_AHEAD) && p->issues.number[page] == issue->number;
}

static bool is_alive(const struct emuv_pager *p, const struct emuv_issue *issue)
{
  for (uint32_t i = 0; i < issue->n; i++)
    if (waits(p, issue, issue->first + i)) return true;
  return false;
}

static void clear_dead(struct emuv_pager *p)
{
  struct emuv_issues *q = &p->issues;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < q->n; i++)
    if (is_alive(p, issue_at(q, i))) *issue_at(q, kept++) = *issue_at(q, i);
  q->n = kept;
}

static void remember(struct emuv_pager *p, uint32_t first, uint32_t n, uint32_t slice)
{
  struct emuv_issues *q = &p->issues;
  uint32_t number = q->next_number++;
  if (q->n == q->size) clear_dead(p);
  for (uint32_t i = first; i < first + n; i++) q->number[i] = number;
  *issue_at(q, q->n++) = (struct emuv_issue){.first = first, .n = n, .slice = slice, .number = number};
}

void emuv_pager_ahead_issued(struct emuv_pager *p, uint32_t first, uint32_t n, uint32_t slice, double ready_ns,
                             bool from_nvme)
{
  if (!n) return;
  for (uint32_t i = first; i < first + n; i++) {
    p->ready_ns[i] = ready_ns;
    p->from_nvme[i] = from_nvme;
  }
  if (p->issues.size) remember(p, first, n, slice);
  p->n_ahead += n;
  p->n_pinned += n;
  p->count.ahead_issued += n;
  p->count.ahead_up += n;
}

void emuv_pager_ahead_used(struct emuv_pager *p, uint32_t first, uint32_t n, struct emuv_pager_outcome *out)
{
  for (uint32_t i = first; p->n_ahead + p->n_late && i < first + n; i++) {
    uint8_t s = p->state[i];
    if (!(s & (EMUV_PAGE_AHEAD | EMUV_PAGE_LATE))) continue;
    p->state[i] = (uint8_t)(s & ~(EMUV_PAGE_AHEAD | EMUV_PAGE_LATE));
    if (s & EMUV_PAGE_AHEAD) {
      p->pinned[i] &= (uint8_t)~EMUV_PIN;
      p->n_pinned--;
      p->n_ahead--;
    } else {
      p->n_late--;
    }
    p->count.ahead_used++;
    if (p->ready_ns[i] > out->ready_ns) {
      out->ready_ns = p->ready_ns[i];
      out->waits_for_nvme = p->from_nvme[i];
    }
  }
}

void emuv_pager_ahead_wasted(struct emuv_pager *p, uint32_t page)
{
  if (p->state[page] & EMUV_PAGE_LATE) p->n_late--;
  p->count.ahead_wasted++;
}

static void cancel(struct emuv_pager *p, uint32_t page)
{
  p->state[page] = (uint8_t)((p->state[page] & ~EMUV_PAGE_AHEAD) | EMUV_PAGE_LATE);
  p->pinned[page] &= (uint8_t)~EMUV_PIN;
  p->n_pinned--;
  p->n_ahead--;
  p->n_late++;
  p->count.ahead_cancelled++;
}

void emuv_pager_ahead_cancel(struct emuv_pager *p, uint32_t slice)
{
  struct emuv_issues *q = &p->issues;
  while (q->n) {
    const struct emuv_issue *oldest = &q->ring[q->head];
    if (slice < oldest->slice || slice - oldest->slice <= p->env.ahead_slices) return;
    for (uint32_t i = oldest->first; i < oldest->first + oldest->n; i++)
      if (waits(p, oldest, i)) cancel(p, i);
    q->head = q->head + 1 < q->size ? q->head + 1 : 0;
    q->n--;
  }
}
