// SPDX-License-Identifier: Apache-2.0
/* See correlations.h. */
#include "tracer/inject/correlations.h"

static uint64_t slot(uint64_t position)
{
  return position % EMUV_CORRELATIONS_KEPT;
}

/* Calls of several threads end in another order than they began: a few steps of insertion keep the ring sorted. */
void emuv_correlations_issue(struct emuv_correlations *c, uint32_t id, bool many)
{
  if (c->trusted) return;
  uint64_t at = c->head++;
  if (c->n < EMUV_CORRELATIONS_KEPT) c->n++;
  const uint64_t first = c->head - c->n;
  while (at > first && c->kept[slot(at - 1)].id > id) {
    c->kept[slot(at)] = c->kept[slot(at - 1)];
    at--;
  }
  c->kept[slot(at)].id = id;
  c->kept[slot(at)].taken = false;
  c->kept[slot(at)].many = many;
}

/* Position of the first kept number that is not below id. */
static uint64_t lower_bound(const struct emuv_correlations *c, uint32_t id)
{
  uint64_t low = c->head - c->n, high = c->head;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (c->kept[slot(middle)].id < id)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static uint32_t take(struct emuv_correlations *c, uint64_t at)
{
  c->kept[slot(at)].taken = !c->kept[slot(at)].many;
  return c->kept[slot(at)].id;
}

static uint32_t not_recorded(struct emuv_correlations *c, uint64_t at, uint32_t id)
{
  if (at == c->head || c->exact_run || c->kept[slot(at)].taken || c->kept[slot(at)].id != id + 1) return 0;
  c->nested++;
  return take(c, at);
}

uint32_t emuv_correlations_resolve(struct emuv_correlations *c, uint32_t id)
{
  if (c->trusted) return id;
  uint64_t at = lower_bound(c, id);
  if (at < c->head && c->kept[slot(at)].id == id) {
    c->trusted = ++c->exact_run >= EMUV_CORRELATIONS_PROOF && c->nested == 0 && !c->strict;
    return take(c, at);
  }
  if (c->strict) return not_recorded(c, at, id);
  while (at < c->head && c->kept[slot(at)].taken) at++;
  if (at == c->head) {
    c->unknown++;
    return id;
  }
  c->nested++;
  return take(c, at);
}
