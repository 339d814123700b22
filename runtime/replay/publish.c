// SPDX-License-Identifier: Apache-2.0
/* The status page of a replay; see publish.h. */
#include "runtime/replay/publish.h"

#include "runtime/replay/pace.h"

#include <string.h>

static const double EVERY_NS = 50e6;

static void set_text(char *to, size_t size, const char *from)
{
  size_t n = strnlen(from, size - 1);
  memcpy(to, from, n);
  to[n] = '\0';
}

static void set_texts(struct emuv_status *s, const struct emuv_replay_machine *m)
{
  const struct emuv_config *c = m->run->config;
  set_text(s->program, sizeof s->program, "emuv-replay");
  (void)snprintf(s->title, sizeof s->title, "%.30s: %.60s", c->scenario, m->run->workload->name);
  set_text(s->device, sizeof s->device, m->how->device->name);
  set_text(s->policy, sizeof s->policy, c->policy);
  set_text(s->prefetch, sizeof s->prefetch, c->prefetch);
  set_text(s->mapping, sizeof s->mapping, m->how->mapping == EMUV_MAPPING_REMAP ? "remap" : "table");
  set_text(s->phase, sizeof s->phase, m->phase);
}

static void set_tier(struct emuv_status_tier *t, const char *name, uint64_t page, uint64_t frames, uint64_t used)
{
  *t = (struct emuv_status_tier){.capacity_bytes = frames * page,
                                 .used_bytes = used * page,
                                 .dirty_bytes = EMUV_STATUS_UNKNOWN,
                                 .pinned_bytes = EMUV_STATUS_UNKNOWN};
  set_text(t->name, sizeof t->name, name);
}

static uint64_t count_dirty(const struct emuv_pager *pager)
{
  uint64_t n = 0;
  for (uint32_t i = 0; i < pager->env.n_pages; i++) n += (pager->state[i] & EMUV_PAGE_DIRTY) != 0;
  return n;
}

static void set_tiers(struct emuv_status *s, const struct emuv_replay_machine *m)
{
  const struct emuv_machine_run *run = m->run;
  const struct emuv_pager *pager = run->pager;
  int n = 0;
  set_tier(&s->tier[n], "vram", run->page_bytes, run->vram_frames, pager->vram_used);
  s->tier[n].dirty_bytes = count_dirty(pager) * run->page_bytes;
  s->tier[n++].pinned_bytes = (uint64_t)pager->n_pinned * run->page_bytes;
  if (run->peer.peer) { /* pages are counted in RAM as a whole */
    set_tier(&s->tier[n], "peer", run->page_bytes, emuv_peer_frames(&run->peer), 0);
    s->tier[n++].used_bytes = EMUV_STATUS_UNKNOWN;
  }
  uint32_t ram = emuv_peer_host_frames(&run->peer);
  if (ram) set_tier(&s->tier[n], "ram", run->page_bytes, ram, pager->ram_used);
  if (ram && run->peer.peer) s->tier[n].used_bytes = EMUV_STATUS_UNKNOWN;
  n += ram != 0;
  if (run->nvme_frames) set_tier(&s->tier[n], "nvme", run->page_bytes, run->nvme_frames, pager->nvme_used);
}

static void set_link(struct emuv_status_link *l, const char *name, uint64_t bytes, uint64_t pages, double busy_ns)
{
  *l = (struct emuv_status_link){
      .bytes = bytes, .copies = pages, .busy_ns = busy_ns < 0 ? EMUV_STATUS_UNKNOWN : (uint64_t)busy_ns};
  set_text(l->name, sizeof l->name, name);
}

static void set_links(struct emuv_status *s, const struct emuv_replay_machine *m, const struct emuv_engine_stats *e)
{
  const struct emuv_pager_counts *c = &m->run->pager->count;
  int n = 0;
  uint64_t page = m->run->page_bytes, peer_up = e->peer_up_bytes, peer_down = e->peer_down_bytes;
  set_link(&s->link[n++], "ram > vram", e->up_bytes - peer_up, c->up - peer_up / page, e->up_busy_ns);
  set_link(&s->link[n++], "vram > ram", e->down_bytes - peer_down, c->down - peer_down / page,
           m->run->peer.peer ? -1 : e->down_busy_ns); /* both ways down share a stream */
  if (m->run->peer.peer) {
    set_link(&s->link[n++], "peer > vram", peer_up, peer_up / page, e->peer_busy_ns);
    set_link(&s->link[n++], "vram > peer", peer_down, peer_down / page, -1);
  }
  if (!m->run->nvme_frames) return;
  set_link(&s->link[n++], "nvme > ram", e->disk_read_bytes, c->nvme_read, -1); /* busy: of both directions together */
  set_link(&s->link[n], "ram > nvme", e->disk_write_bytes, c->nvme_write, -1);
}

static void set_counts(struct emuv_status *s, const struct emuv_replay_machine *m, const struct emuv_engine_stats *e)
{
  const struct emuv_pager_counts *c = &m->run->pager->count;
  const struct emuv_clock_sums *t = &m->clock.sum;
  s->accesses = c->accesses;
  s->hits = c->hits + c->births;
  s->faults = c->faults;
  s->prefetch_issued = c->ahead_issued;
  s->prefetch_used = c->ahead_used;
  s->evicted = c->evicted;
  s->launches = e->launches;
  s->checked_bytes = e->checked_bytes;
  s->mismatches = e->mismatches;
  s->step = m->step;
  s->n_steps = m->run->workload->n_steps;
  s->compute_ns = (uint64_t)t->compute_ns;
  s->stall_ns = (uint64_t)(t->stall_link_ns + t->stall_disk_ns + t->stall_host_ns);
}

void emuv_publish(struct emuv_replay_machine *m, const char *phase)
{
  double now = emuv_pace_now();
  struct emuv_engine_stats stats = {.up_bytes = 0}; /* until the engine is open */
  struct emuv_status s;
  if (!m->how->status || (!phase && now < m->published_ns + EVERY_NS)) return;
  if (phase) m->phase = phase;
  if (m->published_ns <= 0) m->opened_ns = now;
  m->published_ns = now;
  memset(&s, 0, sizeof s);
  if (m->engine) emuv_engine_stats(m->engine, &stats);
  s.page_bytes = m->run->page_bytes;
  s.start_ns = (uint64_t)m->opened_ns;
  s.updated_ns = (uint64_t)now;
  set_texts(&s, m);
  set_tiers(&s, m);
  set_links(&s, m, &stats);
  set_counts(&s, m, &stats);
  emuv_status_publish(m->how->status, &s);
}
