// SPDX-License-Identifier: Apache-2.0
/* Rows on a real machine; see series.h. */
#include "runtime/replay/series.h"

#include "runtime/replay/resume.h"
#include "simulator/simulate.h"
#include "simulator/strategy/strategy.h"
#include "simulator/strategy/units.h"
#include "simulator/workload_cache.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct row {
  size_t config;
  int repetition;
  const struct emuv_config *c;
  const struct emuv_workload *w;
  struct emuv_plan plan;
  struct emuv_resume resume;
  struct emuv_replay_machine machine;
  struct emuv_metrics m;
};

struct series {
  const struct emuv_scenario *scenario;
  struct emuv_results *results;
  const struct emuv_series_options *options;
  struct emuv_series_summary *summary;
  struct emuv_replay_how how;
  struct emuv_workload_cache cache;
  char (*hashes)[EMUV_HASH_HEX];
  uint64_t *trace_hashes;
  bool *stored; /* per configuration and repetition */
  struct emuv_checkpoint_file *restore;
  struct row *row; /* that runs */
};

static void on_step(void *arg, size_t step)
{
  struct series *s = arg;
  const struct emuv_series_options *o = s->options;
  const struct emuv_resume *resume = &s->row->resume;
  if (o->restored && resume->restore && step == emuv_checkpoint_head(resume->restore)->state.step)
    o->restored(o->arg, step, resume->restored_s);
}

static void on_share(void *arg, double share)
{
  const struct series *s = arg;
  if (s->options->step) s->options->step(s->options->arg, share);
}

static void on_damage(void *arg, const struct emuv_damage *damage)
{
  const struct series *s = arg;
  s->summary->damages++;
  if (s->options->how.on_damage) s->options->how.on_damage(s->options->arg, damage);
}

static bool *is_stored(struct series *s, size_t config, int repetition)
{
  return &s->stored[config * (size_t)s->options->repeat + (size_t)repetition];
}

/* Also learns which rows are stored. */
static int identify(struct series *s, size_t i, size_t *rows, struct emuv_err *err)
{
  const struct emuv_config *c = &s->scenario->configs[i];
  int rc = emuv_workload_cache_hash(&s->cache, c, &s->trace_hashes[i], err);
  if (rc) return rc;
  emuv_config_hash(c, s->trace_hashes[i], s->hashes[i]);
  for (int r = 0; r < s->options->repeat; r++) {
    char run_id[EMUV_HASH_HEX];
    emuv_results_run_id(s->hashes[i], "replay", r, run_id);
    rc = emuv_results_has(s->results, run_id, err);
    if (rc < 0) return rc;
    *is_stored(s, i, r) = rc != 0;
    s->summary->skipped += rc != 0;
    *rows += rc == 0;
  }
  return emuv_workload_cache_expect(&s->cache, i, c, err);
}

/* The row that the checkpoint is of: its configuration, or n_configs when no configuration is. */
static size_t restored_config(const struct series *s)
{
  const struct emuv_checkpoint_key *key = &emuv_checkpoint_head(s->restore)->key;
  for (size_t i = 0; i < s->scenario->n_configs; i++)
    if (strcmp(key->config_hash, s->hashes[i]) == 0 && key->trace_hash == s->trace_hashes[i] &&
        key->repetition < s->options->repeat && key->repetition >= 0)
      return i;
  return s->scenario->n_configs;
}

static int open_restore(struct series *s, struct emuv_err *err)
{
  if (!s->options->restore) return 0;
  int rc = emuv_checkpoint_open(s->options->restore, &s->restore, err);
  if (rc) return rc;
  size_t i = restored_config(s);
  if (i == s->scenario->n_configs) {
    emuv_err_set(err, EMUV_ERR_INPUT, "%s: the checkpoint is of none of these configurations", s->options->restore);
    return emuv_err_hint(err, "use it with the scenario or trace, the settings and the emuV that wrote it");
  }
  if (!*is_stored(s, i, emuv_checkpoint_head(s->restore)->key.repetition)) return 0;
  emuv_checkpoint_close(s->restore); /* its row is done: killed before the file could be removed */
  s->restore = NULL;
  const char *own = s->options->checkpoint;
  if (own && strcmp(own, s->options->restore) == 0) (void)unlink(own);
  return 0;
}

static bool restores(const struct series *s, const struct row *row)
{
  if (!s->restore) return false;
  const struct emuv_checkpoint_key *key = &emuv_checkpoint_head(s->restore)->key;
  return strcmp(key->config_hash, s->hashes[row->config]) == 0 && key->repetition == row->repetition;
}

static void prepare(struct series *s, struct row *row)
{
  const struct emuv_series_options *o = s->options;
  row->resume = (struct emuv_resume){
      .path = o->checkpoint,
      .every_ns = o->checkpoint_every_ns,
      .every_steps = o->checkpoint_every_steps,
      .key = {.trace_hash = s->trace_hashes[row->config], .inject_seed = o->inject_seed, .repetition = row->repetition},
      .restore = restores(s, row) ? s->restore : NULL};
  memcpy(row->resume.key.config_hash, s->hashes[row->config], EMUV_HASH_HEX);
  emuv_replay_machine_init(&row->machine, &s->how, &row->resume);
  row->m = (struct emuv_metrics){.bound_by = "compute", .energy_j = -1};
}

/* The model of `resident` counts references by range, not by page. */
static void count_as_resident(struct row *row)
{
  uint64_t n = 0;
  for (size_t i = row->w->warmup_steps; i < row->w->n_steps; i++)
    for (uint32_t k = 0; k < row->w->steps[i].n_ops; k++)
      n += emuv_units_pages(row->w, &row->w->ops[row->w->steps[i].first_op + k], row->c->page_size);
  row->m.accesses = row->m.hits = n;
  row->m.births = 0;
}

/* The bound is the model's: a measurement that beats it says that the preset is too pessimistic. */
static void note_bound(struct row *row)
{
  char *remark = row->machine.remark;
  size_t used = strlen(remark);
  if (row->m.total_s >= row->m.bound_s || row->machine.how->time_scale < 1) return;
  (void)snprintf(remark + used, sizeof row->machine.remark - used, "%s%.1f %% faster than the model's bound",
                 used ? "; " : "", 100 * (1 - row->m.total_s / row->m.bound_s));
}

static int run_row(struct series *s, struct row *row, struct emuv_err *err)
{
  prepare(s, row);
  s->row = row;
  int rc = emuv_strategy_plan(row->c, row->w, &row->plan, err);
  if (!rc) rc = emuv_paging_run(row->c, row->w, &row->plan.paging, &row->machine.machine, &row->m, err);
  s->summary->checkpoints += row->resume.written;
  if (rc) return rc;
  memcpy(row->m.plan, row->plan.text, sizeof row->m.plan);
  if (row->plan.paging.all_resident) count_as_resident(row);
  note_bound(row);
  return emuv_metrics_check_books(&row->m, err);
}

/* What the simulator finds, too, before anything moves: tiers that cannot hold the data. */
static bool is_finding(const struct row *row, int rc)
{
  return rc == EMUV_ERR_RANGE || (rc == EMUV_ERR_NOSPACE && row->machine.opened && !row->machine.placed);
}

static int store(struct series *s, struct row *row, int rc, const struct emuv_err *why, struct emuv_err *err)
{
  char status[sizeof why->text];
  struct emuv_result result = {.config = row->c,
                               .workload = row->w,
                               .metrics = rc ? NULL : &row->m,
                               .measured = rc ? NULL : &row->machine.measured,
                               .config_hash = s->hashes[row->config],
                               .kind = "replay",
                               .status = status,
                               .repetition = row->repetition};
  (void)snprintf(status, sizeof status, "%s", rc ? why->text : "ok");
  if (!rc && row->machine.damages)
    (void)snprintf(status, sizeof status, "damaged: %llu wrong pages", (unsigned long long)row->machine.damages);
  if (rc && s->summary->infeasible++ == 0)
    memcpy(s->summary->first_infeasible, why->text, sizeof s->summary->first_infeasible);
  rc = emuv_results_store(s->results, &result, err);
  if (rc) return rc;
  s->summary->computed++;
  s->summary->damaged_rows += row->machine.damages > 0;
  if (s->options->checkpoint) (void)unlink(s->options->checkpoint); /* of a row that is done */
  if (result.metrics && s->options->done) s->options->done(s->options->arg, &row->m);
  return 0;
}

static int do_row(struct series *s, struct row *row, struct emuv_err *err)
{
  struct emuv_err why = {0};
  int rc = run_row(s, row, &why);
  if (rc && !is_finding(row, rc)) {
    if (err) *err = why;
    return rc;
  }
  s->summary->kernels += row->machine.measured.kernels;
  s->summary->checked_bytes += row->machine.measured.checked_bytes;
  s->summary->flipped += row->machine.flipped;
  s->summary->flips_found += row->machine.flips_found;
  s->summary->flips_overwritten += row->machine.flips_overwritten;
  return store(s, row, rc, &why, err);
}

static int do_config(struct series *s, size_t i, struct emuv_err *err)
{
  const struct emuv_workload *w = NULL;
  struct row *row = NULL;
  int rc = 0;
  for (int r = 0; r < s->options->repeat && !rc; r++) {
    if (*is_stored(s, i, r)) continue;
    if (!w) rc = emuv_workload_cache_get(&s->cache, i, &s->scenario->configs[i], &w, err);
    if (!rc && !row) row = calloc(1, sizeof *row);
    if (!rc && !row) rc = emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for a row");
    if (rc) break;
    memset(row, 0, sizeof *row);
    row->config = i;
    row->repetition = r;
    row->c = &s->scenario->configs[i];
    row->w = w;
    rc = do_row(s, row, err);
  }
  free(row);
  emuv_workload_cache_release(&s->cache, i);
  return rc;
}

static int interrupted(const struct series *s, int rc, struct emuv_err *err)
{
  if (rc != EMUV_ERR_INTERRUPTED) return rc;
  return emuv_err_set(err, EMUV_ERR_INTERRUPTED, "interrupted: %zu of %zu rows are stored; the same command goes on",
                      s->summary->computed + s->summary->skipped, s->summary->total);
}

static int run_all(struct series *s, struct emuv_err *err)
{
  size_t rows = 0;
  int rc = 0;
  for (size_t i = 0; i < s->scenario->n_configs && !rc; i++) rc = identify(s, i, &rows, err);
  if (!rc) rc = open_restore(s, err);
  if (rc) return rc;
  if (s->options->begin) s->options->begin(s->options->arg, rows);
  size_t first = s->restore ? restored_config(s) : 0;
  if (s->restore) rc = do_config(s, first, err);
  for (size_t i = 0; i < s->scenario->n_configs && !rc; i++)
    if (!s->restore || i != first) rc = do_config(s, i, err);
  return interrupted(s, rc, err);
}

int emuv_series_run(const struct emuv_scenario *scenario, struct emuv_results *results,
                    const struct emuv_series_options *options, struct emuv_series_summary *summary,
                    struct emuv_err *err)
{
  size_t n = scenario->n_configs;
  struct series s = {
      .scenario = scenario, .results = results, .options = options, .summary = summary, .how = options->how};
  *summary = (struct emuv_series_summary){.total = n * (size_t)options->repeat};
  s.how.on_step = on_step;
  s.how.on_share = on_share;
  s.how.on_damage = on_damage;
  s.how.arg = &s;
  s.hashes = calloc(n + 1, sizeof *s.hashes);
  s.trace_hashes = calloc(n + 1, sizeof *s.trace_hashes);
  s.stored = calloc(n * (size_t)options->repeat + 1, sizeof *s.stored);
  int rc = emuv_workload_cache_init(&s.cache, n, err);
  if (!rc && (!s.hashes || !s.trace_hashes || !s.stored))
    rc = emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %zu configurations", n);
  if (options->checkpoint) emuv_checkpoint_clean(options->checkpoint);
  if (!rc) rc = run_all(&s, err);
  emuv_checkpoint_close(s.restore);
  emuv_workload_cache_free(&s.cache);
  free(s.hashes);
  free(s.trace_hashes);
  free(s.stored);
  return rc;
}
