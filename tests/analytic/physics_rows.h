// SPDX-License-Identifier: Apache-2.0
/* Every configuration of a scenario file, simulated: the rows that the physics tests look at. Where instructions are
 * slow (sanitizers, no optimiser) one token is timed and only a seeded part of the configurations, chosen by groups
 * that are compared with each other. One thread calls; the rows are computed on all cores. */
#ifndef EMUV_TEST_PHYSICS_ROWS_H
#define EMUV_TEST_PHYSICS_ROWS_H

#include "simulator/program.h"
#include "simulator/scenario.h"
#include "simulator/simulate.h"
#include "simulator/timeline.h"
#include "simulator/workload_cache.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

/* Of so many configurations one is simulated; all of them where code is optimised and not instrumented. */
#if !defined(__OPTIMIZE__)
#define PHYSICS_PART 9
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PHYSICS_PART 3
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PHYSICS_PART 3
#endif
#endif
#ifndef PHYSICS_PART
#define PHYSICS_PART 1
#endif

struct physics_row {
  const struct emuv_config *config;
  struct emuv_metrics m;
  int rc;
  struct emuv_err err;
  uint64_t footprint;
  uint64_t first_pages; /* pages with data that are used for the first time after the warm-up */
  double host_s, gpu_s; /* sums over the timed launches */
  /* Rows with equal values differ in the named keys only. */
  uint64_t but_vram, but_policy, but_policy_vram, but_strategy;
};

struct physics_rows {
  struct emuv_scenario scenario;
  struct emuv_workload_cache cache;
  struct physics_row *row;
  size_t n, next;
  pthread_mutex_t lock;
};

/* Hash of all keys but the named ones: rows with equal hashes differ in those only. */
static inline uint64_t physics_group(const struct emuv_config *c, const char *but)
{
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  char value[2048];
  XXH64_hash_t h = 0;
  for (size_t i = 0; i < n; i++) {
    size_t length = strlen(table[i].key);
    const char *at = strstr(but, table[i].key);
    bool named = at && (at == but || at[-1] == ' ') && (at[length] == ' ' || !at[length]);
    if (named || (table[i].flags & EMUV_OPTION_NO_HASH)) continue;
    emuv_option_format(&table[i], c, value, sizeof value);
    h = XXH64(value, strlen(value), h + i);
  }
  return h;
}

static inline void physics_groups(struct physics_row *r)
{
  r->but_vram = physics_group(r->config, "vram");
  r->but_policy = physics_group(r->config, "policy");
  r->but_policy_vram = physics_group(r->config, "policy vram");
  r->but_strategy = physics_group(r->config, "strategy policy prefetch page_size slice write");
}

/* Rows that every part has, whatever the hash of the others: one scan by all policies and sizes of VRAM, so that there
 * are rows to put in order. */
static inline bool physics_is_basic(const struct emuv_config *c)
{
  return strcmp(c->source, "pattern") == 0 && strcmp(c->pattern.kind, "cyclic") == 0 &&
         strcmp(c->strategy, "paged") == 0;
}

static inline bool physics_chosen(const struct emuv_config *c)
{
  if (PHYSICS_PART == 1 || physics_is_basic(c)) return true;
  bool small = emuv_simulate_cost(c) < 3e8 / (PHYSICS_PART * PHYSICS_PART);
  return small && physics_group(c, "strategy policy prefetch page_size vram slice write") % PHYSICS_PART == 0;
}

static inline void physics_times(struct physics_row *r, const struct emuv_workload *w)
{
  for (size_t s = w->warmup_steps; s < w->n_steps; s++)
    for (uint32_t i = 0; i < w->steps[s].n_ops; i++) {
      r->host_s += 1e-9 * emuv_timeline_host_ns(r->config, &w->ops[w->steps[s].first_op + i]);
      r->gpu_s += 1e-9 * emuv_timeline_kernel_ns(r->config, &w->ops[w->steps[s].first_op + i]);
    }
}

/* Where everything fits, these pages still have to come in. */
static inline void physics_first_pass(struct physics_row *r, const struct emuv_workload *w)
{
  struct emuv_program p;
  uint64_t page = r->config->page_size;
  if ((w->address_bytes + page - 1) / page > r->config->vram / page) return;
  r->rc = emuv_program_build(w, page, r->config->slice, &p, &r->err);
  for (size_t s = 0; !r->rc && s < p.n_slices; s++)
    for (uint32_t i = 0; i < p.slices[s].n_runs; i++) {
      const struct emuv_page_run *run = &p.runs[p.slices[s].first_run + i];
      for (uint32_t k = run->first; k < run->first + run->n; k++) {
        r->first_pages += p.initial[k] && s >= p.step_first_slice[w->warmup_steps];
        p.initial[k] = 0;
      }
    }
  emuv_program_free(&p);
}

static inline void physics_run_row(struct physics_rows *rows, size_t i)
{
  struct physics_row *r = &rows->row[i];
  const struct emuv_workload *w = NULL;
  r->rc = emuv_workload_cache_get(&rows->cache, i, r->config, &w, &r->err);
  if (!r->rc) {
    r->footprint = w->address_bytes;
    physics_times(r, w);
    physics_first_pass(r, w);
    if (!r->rc) r->rc = emuv_simulate(r->config, w, &r->m, &r->err);
  }
  emuv_workload_cache_release(&rows->cache, i);
}

static inline void *physics_work(void *arg)
{
  struct physics_rows *rows = arg;
  for (;;) {
    pthread_mutex_lock(&rows->lock);
    size_t i = rows->next < rows->n ? rows->next++ : SIZE_MAX;
    pthread_mutex_unlock(&rows->lock);
    if (i == SIZE_MAX) return NULL;
    physics_run_row(rows, i);
  }
}

static inline void physics_run_all(struct physics_rows *rows)
{
  pthread_t thread[16];
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  int n = cores < 1 ? 1 : cores > 16 ? 16 : (int)cores, started = 0;
  pthread_mutex_init(&rows->lock, NULL);
  while (started < n - 1 && pthread_create(&thread[started], NULL, physics_work, rows) == 0) started++;
  physics_work(rows);
  for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
  pthread_mutex_destroy(&rows->lock);
}

/* 0, or the error of loading. */
static inline int physics_rows_load(const char *path, struct physics_rows *rows, struct emuv_err *err)
{
  static const char *const one_token[] = {"tokens=1"};
  memset(rows, 0, sizeof *rows);
  int rc = emuv_scenario_load(path, one_token, PHYSICS_PART > 1 ? 1 : 0, &rows->scenario, err);
  if (rc) return rc;
  size_t n = rows->scenario.n_configs;
  rows->row = calloc(n, sizeof *rows->row);
  rc = emuv_workload_cache_init(&rows->cache, n, err);
  for (size_t i = 0; !rc && i < n; i++) {
    if (!physics_chosen(&rows->scenario.configs[i])) continue;
    rows->row[rows->n].config = &rows->scenario.configs[i];
    physics_groups(&rows->row[rows->n]);
    rc = emuv_workload_cache_expect(&rows->cache, rows->n, rows->row[rows->n].config, err);
    rows->n++;
  }
  if (!rc) physics_run_all(rows);
  return rc;
}

static inline void physics_rows_free(struct physics_rows *rows)
{
  emuv_workload_cache_free(&rows->cache);
  emuv_scenario_free(&rows->scenario);
  free(rows->row);
}

#endif
