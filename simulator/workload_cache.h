// SPDX-License-Identifier: Apache-2.0
/* Workloads shared by the configurations of a sweep: built when the first one asks, freed when the last one is done.
 * expect and hash are for one thread, before the others start; get and release for any. */
#ifndef EMUV_SIMULATOR_WORKLOAD_CACHE_H
#define EMUV_SIMULATOR_WORKLOAD_CACHE_H

#include "simulator/config.h"
#include "simulator/workload.h"

#include <pthread.h>

struct emuv_cached_workload;

struct emuv_workload_cache {
  struct emuv_cached_workload *entries; /* uthash by key */
  struct emuv_cached_workload **of;     /* per configuration */
  emuv_text hashed_trace;               /* trace whose content hash is known */
  uint64_t trace_hash;
  pthread_mutex_t lock;
};

int emuv_workload_cache_init(struct emuv_workload_cache *cache, size_t n_configs, struct emuv_err *err);
void emuv_workload_cache_free(struct emuv_workload_cache *cache);
/* Content hash of the configuration's trace, 0 when it has none. */
int emuv_workload_cache_hash(struct emuv_workload_cache *cache, const struct emuv_config *config, uint64_t *hash,
                             struct emuv_err *err);
/* Configuration `index` will ask once. */
int emuv_workload_cache_expect(struct emuv_workload_cache *cache, size_t index, const struct emuv_config *config,
                               struct emuv_err *err);
int emuv_workload_cache_get(struct emuv_workload_cache *cache, size_t index, const struct emuv_config *config,
                            const struct emuv_workload **workload, struct emuv_err *err);
void emuv_workload_cache_release(struct emuv_workload_cache *cache, size_t index);

#endif
