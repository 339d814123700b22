// SPDX-License-Identifier: Apache-2.0
/* Checkpoints of a running machine; see resume.h. */
#include "runtime/replay/resume.h"

#include "runtime/replay/pace.h"

#include <stdlib.h>
#include <string.h>

static struct emuv_replay_machine *machine_of(struct emuv_tier *tier)
{
  return tier->owner;
}

static int refuse(struct emuv_err *err)
{
  return emuv_err_set(err, EMUV_ERR_NOSPACE, "the disk has no room for another page");
}

static int remember_refusal(struct emuv_refusals *r, struct emuv_err *err)
{
  if (r->n == r->capacity) {
    size_t capacity = r->capacity ? 2 * r->capacity : 64;
    uint64_t *call = realloc(r->call, capacity * sizeof *call);
    if (!call) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %zu refused writes", capacity);
    r->call = call;
    r->capacity = capacity;
  }
  r->call[r->n++] = r->calls;
  return EMUV_ERR_NOSPACE;
}

static int disk_write(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                      double *done_ns, struct emuv_err *err)
{
  struct emuv_replay_machine *m = machine_of(tier);
  struct emuv_refusals *r = &m->refusals;
  r->calls++;
  if (m->skimming && r->next < r->n && r->call[r->next] == r->calls) {
    r->next++;
    return refuse(err);
  }
  int rc = m->disk.ops->write(&m->disk, moves, n, earliest_ns, done_ns, err);
  return rc == EMUV_ERR_NOSPACE ? remember_refusal(r, err) : rc;
}

static int disk_read(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                     double *done_ns, struct emuv_err *err)
{
  struct emuv_replay_machine *m = machine_of(tier);
  return m->disk.ops->read(&m->disk, moves, n, earliest_ns, done_ns, err);
}

static const struct emuv_tier_ops counted_disk = {
    .name = "nvme",
    .summary = "the engine's disk; refused writes are remembered",
    .read = disk_read,
    .write = disk_write,
};

void emuv_refusals_free(struct emuv_refusals *r)
{
  free(r->call);
  *r = (struct emuv_refusals){0};
}

static int foreign(struct emuv_err *err, const char *what)
{
  emuv_err_set(err, EMUV_ERR_INPUT, "the checkpoint does not fit this run: %s", what);
  return emuv_err_hint(err, "use it with the scenario or trace, the settings and the emuV that wrote it");
}

static int take_refusals(struct emuv_replay_machine *m, struct emuv_err *err)
{
  uint64_t n = emuv_checkpoint_head(m->resume->restore)->n_refusals;
  if (!n) return 0;
  m->refusals.call = malloc(n * sizeof *m->refusals.call);
  if (!m->refusals.call) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the checkpoint");
  memcpy(m->refusals.call, emuv_checkpoint_refusals(m->resume->restore), n * sizeof *m->refusals.call);
  m->refusals.n = m->refusals.capacity = n;
  return 0;
}

int emuv_resume_check(struct emuv_replay_machine *m, struct emuv_err *err)
{
  struct emuv_resume *r = m->resume;
  if (!r) return 0;
  r->opened_ns = r->last_ns = emuv_pace_now();
  r->key.page_bytes = m->run->page_bytes;
  r->key.n_pages = m->run->program->n_pages;
  if (!r->restore) return 0;
  const struct emuv_checkpoint_head *h = emuv_checkpoint_head(r->restore);
  if (memcmp(&h->key, &r->key, sizeof h->key) != 0) return foreign(err, "it is of another configuration");
  if (h->state.step > m->run->workload->n_steps) return foreign(err, "it has more steps");
  return take_refusals(m, err);
}

void emuv_resume_tiers(struct emuv_replay_machine *m)
{
  emuv_engine_tiers(m->engine, &m->machine.ram, &m->disk);
  m->machine.nvme = m->disk;
  m->machine.nvme.ops = &counted_disk;
  m->machine.nvme.owner = m;
}

size_t emuv_resume_first_step(const struct emuv_replay_machine *m)
{
  return m->resume && m->resume->restore ? emuv_checkpoint_head(m->resume->restore)->state.step : 0;
}

int emuv_resume_load(struct emuv_replay_machine *m, struct emuv_err *err)
{
  struct emuv_resume *r = m->resume;
  const struct emuv_checkpoint_state *s = &emuv_checkpoint_head(r->restore)->state;
  if (memcmp(&s->counts, &m->run->pager->count, sizeof s->counts) != 0)
    return foreign(err, "its decisions were others (made by another version of emuV?)");
  emuv_engine_skim(m->engine, false);
  int rc = emuv_checkpoint_load(r->restore, m->engine, m->run->pager, err);
  m->clock.sum = s->sums.clock;
  r->last_ns = emuv_pace_now();
  r->restored_s = (r->last_ns - r->opened_ns) * 1e-9;
  return rc;
}

const struct emuv_checkpoint_sums *emuv_resume_sums(const struct emuv_replay_machine *m)
{
  static const struct emuv_checkpoint_sums none;
  return emuv_resume_first_step(m) ? &emuv_checkpoint_head(m->resume->restore)->state.sums : &none;
}

bool emuv_resume_due(const struct emuv_replay_machine *m, size_t next_step)
{
  const struct emuv_resume *r = m->resume;
  if (!r || !r->path || next_step >= m->run->workload->n_steps) return false;
  if (r->every_steps) return next_step % r->every_steps == 0;
  return emuv_pace_now() >= r->last_ns + r->every_ns;
}

/* What this process has added to the sums of the checkpoint that it went on from. */
static struct emuv_checkpoint_sums sums_so_far(struct emuv_replay_machine *m, size_t next_step)
{
  struct emuv_checkpoint_sums sums = *emuv_resume_sums(m);
  struct emuv_engine_stats now;
  emuv_engine_stats(m->engine, &now);
  sums.clock = m->clock.sum;
  sums.checked_bytes += now.checked_bytes;
  sums.mismatches += now.mismatches;
  if (next_step <= m->run->workload->warmup_steps) return sums;
  sums.up_busy_ns += now.up_busy_ns - m->start.up_busy_ns;
  sums.peer_busy_ns += now.peer_busy_ns - m->start.peer_busy_ns;
  sums.disk_busy_ns += now.disk_busy_ns - m->start.disk_busy_ns;
  sums.map_ns += now.device.map_ns - m->start.device.map_ns;
  sums.unmap_ns += now.device.unmap_ns - m->start.device.unmap_ns;
  return sums;
}

int emuv_resume_save(struct emuv_replay_machine *m, size_t next_step, struct emuv_err *err)
{
  struct emuv_resume *r = m->resume;
  struct emuv_checkpoint_state state = {
      .step = next_step, .counts = m->run->pager->count, .sums = sums_so_far(m, next_step)};
  int rc = emuv_checkpoint_write(r->path, &r->key, &state, m->refusals.call, m->refusals.n, m->engine, m->run->pager,
                                 &r->bytes, err);
  r->last_ns = emuv_pace_now();
  if (!rc) r->written++;
  return rc;
}
