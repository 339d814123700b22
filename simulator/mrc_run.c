// SPDX-License-Identifier: Apache-2.0
/* Rows become tasks: all of lru is one task (one pass), every other row is one. Threads take tasks from a counter; a
 * task writes to its own rows only. */
#include "simulator/mrc_run.h"

#include "simulator/mrc_lru.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct task {
  size_t first, n; /* rows */
};

struct crew {
  const struct emuv_mrc_trace *trace;
  const uint32_t *next; /* NULL when no policy needs it */
  struct emuv_mrc_row *rows;
  struct task *tasks;
  size_t n_tasks;
  uint64_t seed;
  atomic_size_t taken;
  pthread_mutex_t lock; /* of rc and err */
  int rc;
  struct emuv_err *err;
};

uint64_t emuv_mrc_capacity_pages(const struct emuv_mrc_capacity *c, uint32_t n_pages)
{
  uint64_t pages = c->pages > 0 ? c->pages : (uint64_t)(c->share * n_pages + 1e-9);
  return pages > 0 ? pages : 1;
}

static uint32_t frames(const struct emuv_mrc_trace *t, const struct emuv_mrc_row *row)
{
  return row->capacity_pages < t->n_pages ? (uint32_t)row->capacity_pages : t->n_pages;
}

static int run_lru(const struct crew *crew, const struct task *task, struct emuv_err *err)
{
  uint32_t *capacity = malloc(task->n * sizeof *capacity);
  uint64_t *misses = malloc(task->n * sizeof *misses);
  int rc = EMUV_ERR_NOMEM;
  if (capacity && misses) {
    for (size_t i = 0; i < task->n; i++) capacity[i] = frames(crew->trace, &crew->rows[task->first + i]);
    rc = emuv_mrc_lru(crew->trace, capacity, task->n, misses, err);
    for (size_t i = 0; rc == 0 && i < task->n; i++) crew->rows[task->first + i].misses = misses[i];
  }
  if (!capacity || !misses) emuv_err_set(err, rc, "not enough memory for policy lru");
  free(capacity);
  free(misses);
  return rc;
}

static int run_replay(const struct crew *crew, struct emuv_mrc_row *row, struct emuv_err *err)
{
  const struct emuv_policy_ops *ops = row->policy;
  const struct emuv_policy_env env = {.n_pages = crew->trace->n_pages,
                                      .capacity = frames(crew->trace, row),
                                      .n_refs = (uint32_t)crew->trace->n,
                                      .seed = crew->seed};
  size_t bytes = ops->state_bytes(&env);
  void *state = emuv_mrc_alloc(bytes);
  if (!state) return emuv_err_set(err, EMUV_ERR_NOMEM, "not enough memory for policy %s", ops->name);
  ops->init(state, &env);
  row->misses = ops->replay(state, crew->trace->refs, crew->next, crew->trace->n);
  emuv_mrc_free(state, bytes);
  return 0;
}

static bool is_lru(const struct emuv_mrc_row *row)
{
  return strcmp(row->policy->name, "lru") == 0;
}

static void *work(void *argument)
{
  struct crew *crew = argument;
  size_t at;
  while ((at = atomic_fetch_add(&crew->taken, 1)) < crew->n_tasks) {
    const struct task *task = &crew->tasks[at];
    struct emuv_mrc_row *row = &crew->rows[task->first];
    struct emuv_err err = {0};
    int rc = is_lru(row) ? run_lru(crew, task, &err) : run_replay(crew, row, &err);
    if (rc == 0) continue;
    pthread_mutex_lock(&crew->lock);
    if (crew->rc == 0 && crew->err) *crew->err = err;
    if (crew->rc == 0) crew->rc = rc;
    pthread_mutex_unlock(&crew->lock);
  }
  return NULL;
}

/* The calling thread works too; a thread that cannot be started is one fewer. */
static void work_together(struct crew *crew, unsigned jobs)
{
  pthread_t threads[64];
  unsigned started = 0;
  while (started + 1 < jobs && started < 64 && pthread_create(&threads[started], NULL, work, crew) == 0) started++;
  work(crew);
  while (started > 0) pthread_join(threads[--started], NULL);
}

static void make_tasks(struct crew *crew, size_t n_rows)
{
  for (size_t i = 0; i < n_rows;) {
    size_t n = 1;
    while (is_lru(&crew->rows[i]) && i + n < n_rows && is_lru(&crew->rows[i + n])) n++;
    crew->tasks[crew->n_tasks++] = (struct task){i, n};
    i += n;
  }
}

static bool needs_future(const struct emuv_mrc_row *rows, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    if (rows[i].policy->flags & EMUV_POLICY_NEEDS_FUTURE) return true;
  }
  return false;
}

int emuv_mrc_run(const struct emuv_mrc_trace *t, struct emuv_mrc_row *rows, size_t n, uint64_t seed, unsigned jobs,
                 struct emuv_err *err)
{
  struct crew crew = {.trace = t, .rows = rows, .seed = seed, .err = err};
  uint32_t *next = NULL;
  crew.tasks = calloc(n + 1, sizeof *crew.tasks);
  if (crew.tasks && needs_future(rows, n)) crew.next = next = emuv_mrc_next_uses(t);
  if (!crew.tasks || (needs_future(rows, n) && !next)) {
    free(crew.tasks);
    return emuv_err_set(err, EMUV_ERR_NOMEM, "not enough memory for the next uses");
  }
  for (size_t i = 0; i < n; i++) rows[i].accesses = t->n;
  make_tasks(&crew, n);
  pthread_mutex_init(&crew.lock, NULL);
  work_together(&crew, jobs);
  pthread_mutex_destroy(&crew.lock);
  emuv_mrc_free(next, t->n * sizeof *next);
  free(crew.tasks);
  return crew.rc;
}
