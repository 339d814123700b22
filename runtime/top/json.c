// SPDX-License-Identifier: Apache-2.0
/* JSON of a program's status (jansson); see view.h. */
#include "runtime/top/view.h"

#include <jansson.h>
#include <math.h>

static json_t *count(uint64_t n)
{
  return n == EMUV_STATUS_UNKNOWN ? json_null() : json_integer((json_int_t)n);
}

static json_t *number(double n)
{
  return isnan(n) ? json_null() : json_real(n);
}

static json_t *tiers(const struct emuv_status *s)
{
  json_t *all = json_array();
  for (int i = 0; i < EMUV_STATUS_TIERS; i++) {
    const struct emuv_status_tier *t = &s->tier[i];
    if (!t->name[0]) continue;
    json_array_append_new(all, json_pack("{s:s, s:o, s:o, s:o, s:o}", "name", t->name, "capacity_bytes",
                                         count(t->capacity_bytes), "used_bytes", count(t->used_bytes), "dirty_bytes",
                                         count(t->dirty_bytes), "pinned_bytes", count(t->pinned_bytes)));
  }
  return all;
}

static json_t *links(const struct emuv_top_program *p)
{
  json_t *all = json_array();
  for (int i = 0; i < EMUV_STATUS_LINKS; i++) {
    const struct emuv_status_link *l = &p->status.link[i];
    const struct emuv_link_rate *r = &p->rates.link[i];
    if (!l->name[0]) continue;
    json_array_append_new(all, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "name", l->name, "bytes", count(l->bytes),
                                         "copies", count(l->copies), "busy_ns", count(l->busy_ns), "bytes_per_s",
                                         number(r->bytes_per_s), "busy", number(r->busy)));
  }
  return all;
}

static json_t *counts(const struct emuv_status *s)
{
  return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "accesses", count(s->accesses), "hits",
                   count(s->hits), "faults", count(s->faults), "prefetch_issued", count(s->prefetch_issued),
                   "prefetch_used", count(s->prefetch_used), "evicted", count(s->evicted), "launches",
                   count(s->launches), "checked_bytes", count(s->checked_bytes), "mismatches", count(s->mismatches),
                   "compute_ns", count(s->compute_ns), "stall_ns", count(s->stall_ns));
}

static json_t *rates(const struct emuv_rates *r)
{
  return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "seconds", number(r->seconds),
                   "accesses_per_s", number(r->accesses), "hit_share", number(r->hit_share), "faults_per_s",
                   number(r->faults), "evicted_per_s", number(r->evicted), "launches_per_s", number(r->launches),
                   "checked_bytes_per_s", number(r->checked_bytes), "prefetch_used_share", number(r->ahead_used_share),
                   "compute_share", number(r->compute_share), "stall_share", number(r->stall_share));
}

json_t *emuv_top_json(const struct emuv_top_program *p)
{
  const struct emuv_status *s = &p->status;
  return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "pid", p->pid,
                   "program", s->program, "title", s->title, "device", s->device, "phase", s->phase, "policy",
                   s->policy, "prefetch", s->prefetch, "mapping", s->mapping, "page_bytes", count(s->page_bytes),
                   "step", count(s->step), "n_steps", count(s->n_steps), "tiers", tiers(s), "links", links(p), "counts",
                   counts(s), "rates", rates(&p->rates));
}
