// SPDX-License-Identifier: Apache-2.0
/* The sweep; see sweep.h. Workers take configurations from one list; a lock guards the list, the database and the cache
 * of workloads (built once for all configurations that share one, freed with the last). */
#include "simulator/sweep.h"

#include "simulator/simulate.h"
#include "simulator/workload_cache.h"

#include "runtime/core/rng.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_JOBS = 256 };

struct job {
  size_t config;
  double cost;
};

struct sweep {
  const struct emuv_scenario *scenario;
  struct emuv_results *results;
  const struct emuv_sweep_options *options;
  struct emuv_sweep_summary *summary;
  struct emuv_workload_cache cache;
  struct job *jobs;
  char (*hashes)[EMUV_HASH_HEX];
  size_t n_jobs, next;
  double cost_total;
  pthread_mutex_t lock;
  int rc; /* first error */
  struct emuv_err err;
};

static void fail(struct sweep *s, int rc, const struct emuv_err *e)
{
  if (s->rc) return;
  s->rc = rc;
  s->err = *e;
}

static bool stopped(const struct sweep *s)
{
  return s->options->stop && atomic_load(s->options->stop);
}

/* A configuration that cannot run is a finding and gets a row; anything else ends the sweep. */
static bool is_finding(int rc)
{
  return rc == EMUV_ERR_NOSPACE || rc == EMUV_ERR_RANGE;
}

static void note_infeasible(struct emuv_sweep_summary *summary, const struct emuv_err *e)
{
  if (summary->infeasible++ == 0) memcpy(summary->first_infeasible, e->text, sizeof e->text);
}

/* Called with the lock held. */
static void store(struct sweep *s, const struct job *job, const struct emuv_workload *w, int rc,
                  const struct emuv_metrics *m, const struct emuv_err *e)
{
  struct emuv_result row = {.config = &s->scenario->configs[job->config],
                            .workload = w,
                            .metrics = rc ? NULL : m,
                            .config_hash = s->hashes[job->config],
                            .kind = "sim",
                            .status = rc ? e->text : "ok"};
  struct emuv_err why = {0};
  if (rc && !is_finding(rc)) {
    fail(s, rc, e);
    return;
  }
  if (rc) note_infeasible(s->summary, e);
  rc = emuv_results_store(s->results, &row, &why);
  if (rc) {
    fail(s, rc, &why);
    return;
  }
  s->summary->computed++;
  if (s->options->done) s->options->done(s->options->arg, job->cost);
}

static void run_job(struct sweep *s, const struct job *job)
{
  const struct emuv_config *config = &s->scenario->configs[job->config];
  const struct emuv_workload *w = NULL;
  struct emuv_metrics m;
  struct emuv_err e = {0};
  int rc = emuv_workload_cache_get(&s->cache, job->config, config, &w, &e);
  if (!rc) rc = emuv_simulate(config, w, &m, &e);
  pthread_mutex_lock(&s->lock);
  store(s, job, w, rc, &m, &e);
  pthread_mutex_unlock(&s->lock);
  emuv_workload_cache_release(&s->cache, job->config);
}

static void *work(void *arg)
{
  struct sweep *s = arg;
  for (;;) {
    pthread_mutex_lock(&s->lock);
    struct job *job = !s->rc && !stopped(s) && s->next < s->n_jobs ? &s->jobs[s->next++] : NULL;
    pthread_mutex_unlock(&s->lock);
    if (!job) return NULL;
    run_job(s, job);
  }
}

/* In a fixed random order, so that the time of the first part tells about the rest. */
static void shuffle(struct sweep *s)
{
  struct emuv_rng rng;
  emuv_rng_seed(&rng, s->n_jobs);
  for (size_t i = s->n_jobs; i > 1; i--) {
    size_t j = emuv_rng_below(&rng, i);
    struct job t = s->jobs[i - 1];
    s->jobs[i - 1] = s->jobs[j];
    s->jobs[j] = t;
  }
}

static int list_jobs(struct sweep *s, struct emuv_err *err)
{
  for (size_t i = 0; i < s->scenario->n_configs; i++) {
    const struct emuv_config *c = &s->scenario->configs[i];
    char run_id[EMUV_HASH_HEX];
    uint64_t trace_hash = 0;
    int rc = emuv_workload_cache_hash(&s->cache, c, &trace_hash, err);
    if (rc) return rc;
    emuv_config_hash(c, trace_hash, s->hashes[i]);
    emuv_results_run_id(s->hashes[i], "sim", 0, run_id);
    rc = emuv_results_has(s->results, run_id, err);
    if (rc < 0) return rc;
    s->summary->skipped += rc != 0;
    if (rc) continue;
    s->jobs[s->n_jobs++] = (struct job){.config = i, .cost = emuv_simulate_cost(c)};
    s->cost_total += s->jobs[s->n_jobs - 1].cost;
    rc = emuv_workload_cache_expect(&s->cache, i, c, err);
    if (rc) return rc;
  }
  shuffle(s);
  return 0;
}

static void run_workers(struct sweep *s)
{
  pthread_t thread[MAX_JOBS];
  int n = s->options->jobs < MAX_JOBS ? s->options->jobs : MAX_JOBS, started = 0;
  while (started < n - 1 && pthread_create(&thread[started], NULL, work, s) == 0) started++;
  work(s); /* this thread is a worker too */
  for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
}

static int run_listed(struct sweep *s, struct emuv_err *err)
{
  int rc = list_jobs(s, err);
  if (rc) return rc;
  if (s->options->begin) s->options->begin(s->options->arg, s->n_jobs, s->cost_total);
  run_workers(s);
  if (s->rc && err) *err = s->err;
  if (s->rc) return s->rc;
  if (s->next < s->n_jobs)
    return emuv_err_set(err, EMUV_ERR_INTERRUPTED,
                        "interrupted: %zu of %zu configurations are stored; the same command goes on",
                        s->summary->computed + s->summary->skipped, s->summary->total);
  return 0;
}

int emuv_sweep_run(const struct emuv_scenario *scenario, struct emuv_results *results,
                   const struct emuv_sweep_options *options, struct emuv_sweep_summary *summary, struct emuv_err *err)
{
  struct sweep s = {.scenario = scenario, .results = results, .options = options, .summary = summary};
  *summary = (struct emuv_sweep_summary){.total = scenario->n_configs};
  s.jobs = calloc(scenario->n_configs + 1, sizeof *s.jobs);
  s.hashes = calloc(scenario->n_configs + 1, sizeof *s.hashes);
  int rc = emuv_workload_cache_init(&s.cache, scenario->n_configs, err);
  if (!rc && (!s.jobs || !s.hashes))
    rc = emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %zu configurations", scenario->n_configs);
  pthread_mutex_init(&s.lock, NULL);
  if (!rc) rc = run_listed(&s, err);
  pthread_mutex_destroy(&s.lock);
  emuv_workload_cache_free(&s.cache);
  free(s.jobs);
  free(s.hashes);
  return rc;
}
