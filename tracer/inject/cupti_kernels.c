// SPDX-License-Identifier: Apache-2.0
/* Kernels by handle: name, attributes and the places of their arguments, asked from the driver once and cached.
 *
 * CUDA 12 and later pass CUkernel handles where CUfunction is declared; the CUfunction query then fails with
 * INVALID_HANDLE and the CUkernel one answers. Entries are never freed while the process runs (callbacks hold pointers
 * to them outside the lock); when a module is unloaded its handles may come back for other kernels, so the cache starts
 * a new generation then. */
#include "tracer/inject/cupti_capture.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct entry {
  CUfunction handle;
  struct emuv_kernel_info info;
  UT_hash_handle hh;
};

static struct {
  pthread_rwlock_t lock;
  struct entry *entries;
} cache = {.lock = PTHREAD_RWLOCK_INITIALIZER};
static atomic_uint generation = 1; /* of the cache */

/* What a thread found lately: a launch costs no lock and one or two lines of memory. */
enum { NEAR = 128 };
static _Thread_local struct {
  uint32_t generation;
  struct {
    CUfunction handle;
    const struct emuv_kernel_info *info;
  } slot[NEAR];
} near;

static struct entry *look_up(CUfunction handle)
{
  struct entry *found;
  pthread_rwlock_rdlock(&cache.lock);
  HASH_FIND_PTR(cache.entries, &handle, found);
  pthread_rwlock_unlock(&cache.lock);
  return found;
}

typedef CUresult param_query(void *handle, size_t index, size_t *offset, size_t *bytes);

static CUresult query_function(void *handle, size_t index, size_t *offset, size_t *bytes)
{
  return emuv_capture.api.cuFuncGetParamInfo ? emuv_capture.api.cuFuncGetParamInfo(handle, index, offset, bytes)
                                             : CUDA_ERROR_NOT_SUPPORTED;
}

static CUresult query_kernel(void *handle, size_t index, size_t *offset, size_t *bytes)
{
  return emuv_capture.api.cuKernelGetParamInfo ? emuv_capture.api.cuKernelGetParamInfo(handle, index, offset, bytes)
                                               : CUDA_ERROR_NOT_SUPPORTED;
}

/* Arguments 0, 1, ... until the driver says that there is no such argument. false: the handle is not of this kind. */
static bool list_params(param_query *query, void *handle, struct emuv_kernel_info *info)
{
  size_t offset = 0, bytes = 0, cap = 16;
  CUresult rc = query(handle, 0, &offset, &bytes);
  if (rc != CUDA_SUCCESS) return rc == CUDA_ERROR_INVALID_VALUE;
  struct emuv_param *params = malloc(cap * sizeof *params);
  for (; params && rc == CUDA_SUCCESS && info->n_params < EMUV_OPERANDS_PARAMS_MAX;
       rc = query(handle, info->n_params, &offset, &bytes)) {
    if (info->n_params == cap) {
      struct emuv_param *larger = realloc(params, (cap *= 2) * sizeof *params);
      if (!larger) break;
      params = larger;
    }
    params[info->n_params++] = (struct emuv_param){.offset = (uint32_t)offset, .bytes = (uint32_t)bytes};
  }
  info->params = params;
  return rc == CUDA_ERROR_INVALID_VALUE;
}

static void find_params(void *handle, struct emuv_kernel_info *info, bool *is_kernel)
{
  info->params_known = list_params(query_function, handle, info);
  *is_kernel = !info->params_known && info->n_params == 0;
  if (*is_kernel) info->params_known = list_params(query_kernel, handle, info);
}

static uint32_t attribute(CUfunction_attribute which, CUfunction handle, bool is_kernel, uint32_t device)
{
  const struct emuv_cupti_api *const api = &emuv_capture.api;
  int value = 0;
  if (is_kernel && api->cuKernelGetAttribute)
    api->cuKernelGetAttribute(&value, which, (CUkernel)(void *)handle, (CUdevice)device);
  if (!is_kernel && api->cuFuncGetAttribute) api->cuFuncGetAttribute(&value, which, handle);
  return value > 0 ? (uint32_t)value : 0;
}

static void describe(CUfunction handle, const char *symbol, uint32_t device, struct emuv_kernel_info *info)
{
  bool is_kernel;
  find_params(handle, info, &is_kernel);
  const struct emuv_param *last = info->n_params ? &info->params[info->n_params - 1] : NULL;
  info->param_bytes = last ? last->offset + last->bytes : 0;
  info->name = strdup(symbol ? symbol : "(unknown)");
  const struct emuv_trace_kernel kernel = {
      .name = emuv_trace_writer_string(emuv_capture.writer, symbol ? symbol : "(unknown)"),
      .n_params = info->n_params,
      .param_bytes = info->param_bytes,
      .registers = attribute(CU_FUNC_ATTRIBUTE_NUM_REGS, handle, is_kernel, device),
      .shared_bytes = attribute(CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, handle, is_kernel, device),
      .local_bytes = attribute(CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, handle, is_kernel, device),
  };
  info->id = emuv_trace_writer_kernel(emuv_capture.writer, &kernel);
}

/* Another thread may have been first: its entry stays. */
static struct entry *keep(struct entry *fresh)
{
  struct entry *found;
  pthread_rwlock_wrlock(&cache.lock);
  HASH_FIND_PTR(cache.entries, &fresh->handle, found);
  if (!found) HASH_ADD_PTR(cache.entries, handle, fresh);
  pthread_rwlock_unlock(&cache.lock);
  if (!found) return fresh;
  free((void *)(uintptr_t)fresh->info.params);
  free((void *)(uintptr_t)fresh->info.name);
  free(fresh);
  return found;
}

static const struct emuv_kernel_info *find(CUfunction handle, const char *symbol, uint32_t device)
{
  struct entry *entry = look_up(handle);
  if (entry) return &entry->info;
  entry = calloc(1, sizeof *entry);
  if (!entry) return NULL;
  entry->handle = handle;
  emuv_activity_new_kernel();
  describe(handle, symbol, device, &entry->info);
  return &keep(entry)->info;
}

const struct emuv_kernel_info *emuv_kernels_find(CUfunction handle, const char *symbol, uint32_t device)
{
  const uint32_t now = atomic_load_explicit(&generation, memory_order_acquire);
  const uint64_t hash = (uint64_t)(uintptr_t)handle * UINT64_C(0x9e3779b97f4a7c15);
  const size_t at = hash >> 57; /* 7 bits: NEAR */
  if (near.generation != now) {
    memset(&near, 0, sizeof near);
    near.generation = now;
  }
  if (near.slot[at].handle == handle) return near.slot[at].info;
  const struct emuv_kernel_info *info = find(handle, symbol, device);
  near.slot[at].handle = info ? handle : NULL;
  return near.slot[at].info = info;
}

/* Drops the index, not the entries: a launch in another thread may be reading one. */
void emuv_kernels_forget(void)
{
  pthread_rwlock_wrlock(&cache.lock);
  HASH_CLEAR(hh, cache.entries);
  atomic_fetch_add(&generation, 1);
  pthread_rwlock_unlock(&cache.lock);
}
