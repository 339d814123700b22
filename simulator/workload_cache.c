// SPDX-License-Identifier: Apache-2.0
/* Shared workloads; see workload_cache.h. The key is the text of all keys that a source may read. */
#include "simulator/workload_cache.h"

#include "simulator/simulate.h"
#include "tracer/format/load.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { KEY_BYTES = 8192 };

struct emuv_cached_workload {
  char *key;
  struct emuv_workload workload;
  size_t users; /* configurations that have not released it */
  bool built;
  int rc;
  struct emuv_err err;
  pthread_mutex_t building;
  UT_hash_handle hh;
};

/* Keys that no source reads: they change how a workload is run, not what it is. */
static bool describes_the_run(const char *key)
{
  static const char *const run_keys[] = {"vram",     "ram",      "nvme",     "page_size",   "policy",
                                         "prefetch", "strategy", "slice",    "write",       "lookahead",
                                         "coalesce", "pin",      "scenario", "description", NULL};
  for (size_t i = 0; run_keys[i]; i++)
    if (strcmp(run_keys[i], key) == 0) return true;
  return false;
}

static char *make_key(const struct emuv_config *config)
{
  size_t n, used = 0;
  const struct emuv_option *options = emuv_config_options(&n);
  char *key = malloc(KEY_BYTES);
  for (size_t i = 0; key && i < n; i++) {
    char value[1024];
    if (describes_the_run(options[i].key)) continue;
    int more = snprintf(key + used, KEY_BYTES - used, "%s=%s\n", options[i].key,
                        emuv_option_format(&options[i], config, value, sizeof value));
    if (more < 0 || used + (size_t)more >= KEY_BYTES) break;
    used += (size_t)more;
  }
  return key;
}

int emuv_workload_cache_init(struct emuv_workload_cache *cache, size_t n_configs, struct emuv_err *err)
{
  *cache = (struct emuv_workload_cache){0};
  pthread_mutex_init(&cache->lock, NULL);
  cache->of = calloc(n_configs + 1, sizeof *cache->of);
  return cache->of ? 0 : emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %zu configurations", n_configs);
}

static void free_entry(struct emuv_cached_workload *e)
{
  emuv_workload_free(&e->workload);
  pthread_mutex_destroy(&e->building);
  free(e->key);
  free(e);
}

void emuv_workload_cache_free(struct emuv_workload_cache *cache)
{
  struct emuv_cached_workload *e, *next;
  HASH_ITER(hh, cache->entries, e, next)
  {
    HASH_DEL(cache->entries, e);
    free_entry(e);
  }
  free(cache->of);
  pthread_mutex_destroy(&cache->lock);
}

int emuv_workload_cache_hash(struct emuv_workload_cache *cache, const struct emuv_config *config, uint64_t *hash,
                             struct emuv_err *err)
{
  *hash = 0;
  if (strcmp(config->source, "trace") != 0) return 0;
  if (strcmp(cache->hashed_trace, config->trace) != 0) {
    int rc = emuv_trace_content_hash(config->trace, &cache->trace_hash, err);
    if (rc) return rc;
    memcpy(cache->hashed_trace, config->trace, sizeof cache->hashed_trace);
  }
  *hash = cache->trace_hash;
  return 0;
}

int emuv_workload_cache_expect(struct emuv_workload_cache *cache, size_t index, const struct emuv_config *config,
                               struct emuv_err *err)
{
  struct emuv_cached_workload *e = NULL;
  char *key = make_key(config);
  if (key) HASH_FIND_STR(cache->entries, key, e);
  if (e) {
    free(key);
  } else {
    e = key ? calloc(1, sizeof *e) : NULL;
    if (!e) {
      free(key);
      return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for a workload");
    }
    e->key = key;
    pthread_mutex_init(&e->building, NULL);
    HASH_ADD_KEYPTR(hh, cache->entries, e->key, strlen(e->key), e);
  }
  e->users++;
  cache->of[index] = e;
  return 0;
}

int emuv_workload_cache_get(struct emuv_workload_cache *cache, size_t index, const struct emuv_config *config,
                            const struct emuv_workload **workload, struct emuv_err *err)
{
  struct emuv_cached_workload *e = cache->of[index];
  pthread_mutex_lock(&e->building);
  if (!e->built) {
    e->rc = emuv_workload_build(config, &e->workload, &e->err);
    e->built = true;
  }
  pthread_mutex_unlock(&e->building);
  *workload = e->rc ? NULL : &e->workload;
  if (e->rc && err) *err = e->err;
  return e->rc;
}

void emuv_workload_cache_release(struct emuv_workload_cache *cache, size_t index)
{
  pthread_mutex_lock(&cache->lock);
  struct emuv_cached_workload *e = cache->of[index];
  bool last = --e->users == 0;
  if (last) HASH_DEL(cache->entries, e);
  pthread_mutex_unlock(&cache->lock);
  if (last) free_entry(e);
}
