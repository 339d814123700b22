// SPDX-License-Identifier: Apache-2.0
/* Pinned host memory: mapped with huge pages where the system has them, touched by many threads at once (the system
 * clears pages as they are touched: that is most of the work), then registered with the driver. And memory of another
 * GPU in its place: all addresses are of one space, so nothing but its allocation differs. */
#include "runtime/device/cuda.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE_BYTES = 2 << 20, SYSTEM_PAGE = 4096, THREADS_MAX = 64 };

struct toucher {
  pthread_t thread;
  char *begin, *end;
  bool started;
};

static void *touch(void *arg)
{
  const struct toucher *t = arg;
  for (char *p = t->begin; p < t->end; p += SYSTEM_PAGE) *(volatile char *)p = 0;
  return NULL;
}

/* Parts are whole huge pages, so that no two threads clear the same one. */
static void touch_all(char *memory, uint64_t bytes, int threads)
{
  struct toucher t[THREADS_MAX];
  const uint64_t n_huge = (bytes + HUGE_BYTES - 1) / HUGE_BYTES;
  uint64_t n = threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : (uint64_t)threads;
  if (n > n_huge) n = n_huge;
  for (uint64_t i = 0; i < n; i++) {
    t[i].begin = memory + n_huge * i / n * HUGE_BYTES;
    t[i].end = i + 1 < n ? memory + n_huge * (i + 1) / n * HUGE_BYTES : memory + bytes;
    t[i].started = i + 1 < n && !pthread_create(&t[i].thread, NULL, touch, &t[i]);
    if (!t[i].started) touch(&t[i]);
  }
  for (uint64_t i = 0; i < n; i++)
    if (t[i].started) pthread_join(t[i].thread, NULL);
}

/* Aligned to a huge page: a mapping that is too large, cut on both sides. */
static char *map(uint64_t bytes)
{
  char *whole =
      mmap(NULL, bytes + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (whole == MAP_FAILED) return NULL;
  char *const memory = whole + (HUGE_BYTES - (uintptr_t)whole % HUGE_BYTES) % HUGE_BYTES;
  if (memory > whole) munmap(whole, (size_t)(memory - whole));
  munmap(memory + bytes, (size_t)(whole + HUGE_BYTES - memory));
  madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

static void pin(struct emuv_device *d, struct emuv_cuda_host *h)
{
  if (emuv_inject_now(d->env.inject, EMUV_INJECT_PIN_REFUSED) || emuv_cuda_enter(d, NULL)) return;
  const unsigned flags = CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP;
  if (!d->cu.host_register(h->memory, h->mapped_bytes, flags)) {
    h->pinned = !d->cu.host_address(&h->address, h->memory, 0);
    if (!h->pinned) d->cu.host_unregister(h->memory);
  }
  emuv_cuda_leave(d);
}

int emuv_cuda_host_alloc(struct emuv_device *device, uint64_t bytes, int threads, void **memory, bool *pinned,
                         struct emuv_err *err)
{
  struct emuv_cuda_host *h = calloc(1, sizeof *h);
  *memory = NULL;
  *pinned = false;
  if (device->lost) {
    free(h);
    return emuv_cuda_enter(device, err);
  }
  if (h) {
    h->bytes = bytes;
    h->mapped_bytes = (bytes + SYSTEM_PAGE - 1) / SYSTEM_PAGE * SYSTEM_PAGE;
    if (!emuv_inject_now(device->env.inject, EMUV_INJECT_HOST_NOMEM)) h->memory = map(h->mapped_bytes);
  }
  if (!h || !h->memory) {
    free(h);
    return emuv_err_set(err, EMUV_ERR_NOMEM, "no %llu bytes of host memory", (unsigned long long)bytes);
  }
  touch_all(h->memory, h->mapped_bytes, threads);
  pin(device, h);
  h->next = device->hosts;
  device->hosts = h;
  *memory = h->memory;
  *pinned = h->pinned;
  return EMUV_OK;
}

/* The other GPU's primary context, retained, and a way to its memory. */
static int reach(struct emuv_device *d, int index, struct emuv_cuda_host *h, struct emuv_err *err)
{
  int direct = 0;
  if (index < 0 || d->cu.device_get(&h->peer_device, index))
    return emuv_err_set(err, EMUV_ERR_NODEV, "there is no GPU number %d", index);
  if (h->peer_device != d->device) d->cu.can_access(&direct, d->device, h->peer_device);
  if (h->peer_device != d->device && !direct)
    return emuv_err_set(err, EMUV_ERR_NODEV, "GPU %d cannot reach the memory of GPU %d", d->env.index, index);
  CUresult r = d->cu.primary_retain(&h->peer, h->peer_device);
  if (r) return emuv_cuda_driver_error(&d->cu, EMUV_ERR_NODEV, r, "the other GPU's primary context", err);
  if (h->peer == d->context) return EMUV_OK;
  const int rc = emuv_cuda_enter(d, err);
  if (rc) return rc;
  r = d->cu.enable_access(h->peer, 0);
  emuv_cuda_leave(d);
  if (!r || r == CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED) return EMUV_OK;
  return emuv_cuda_driver_error(&d->cu, EMUV_ERR_NODEV, r, "reaching the other GPU's memory", err);
}

static int allocate_there(struct emuv_device *d, struct emuv_cuda_host *h, struct emuv_err *err)
{
  CUresult r = d->cu.push(h->peer);
  if (r) return emuv_cuda_driver_error(&d->cu, EMUV_ERR_NODEV, r, "the other GPU's primary context", err);
  r = emuv_inject_now(d->env.inject, EMUV_INJECT_PEER_NOMEM) ? CUDA_ERROR_OUT_OF_MEMORY
                                                             : d->cu.mem_alloc(&h->address, h->bytes);
  emuv_cuda_leave(d);
  if (r) return emuv_cuda_driver_error(&d->cu, EMUV_ERR_NOMEM, r, "allocating the other GPU's memory", err);
  h->memory = (char *)(uintptr_t)h->address;
  h->pinned = true;
  return EMUV_OK;
}

int emuv_cuda_peer_alloc(struct emuv_device *device, int index, uint64_t bytes, void **memory, struct emuv_err *err)
{
  struct emuv_cuda_host *h = calloc(1, sizeof *h);
  *memory = NULL;
  if (!h) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory");
  h->bytes = bytes;
  int rc = reach(device, index, h, err);
  if (!rc) rc = allocate_there(device, h, err);
  if (rc) {
    if (h->peer) device->cu.primary_release(h->peer_device);
    free(h);
    return rc;
  }
  h->next = device->hosts;
  device->hosts = h;
  *memory = h->memory;
  return EMUV_OK;
}

int emuv_cuda_peer_copy(struct emuv_device *device, void *to, const void *from, uint64_t bytes, struct emuv_err *err)
{
  const int rc = emuv_cuda_enter(device, err);
  if (rc) return rc;
  CUresult r = device->cu.copy((CUdeviceptr)(uintptr_t)to, (CUdeviceptr)(uintptr_t)from, bytes, device->list_stream);
  if (!r) r = device->cu.stream_synchronize(device->list_stream);
  emuv_cuda_leave(device);
  return r ? emuv_cuda_lose(device, r, "copying to or from the other GPU", err) : EMUV_OK;
}

static void free_peer(struct emuv_device *d, struct emuv_cuda_host *h)
{
  if (!d->cu.push(h->peer)) {
    d->cu.mem_free(h->address);
    emuv_cuda_leave(d);
  }
  d->cu.primary_release(h->peer_device);
  free(h);
}

void emuv_cuda_host_free(struct emuv_device *device, void *memory)
{
  struct emuv_cuda_host **at = &device->hosts;
  while (*at && (*at)->memory != memory) at = &(*at)->next;
  struct emuv_cuda_host *h = *at;
  if (!h) return;
  *at = h->next;
  if (h->peer) {
    free_peer(device, h);
    return;
  }
  if (h->pinned && !device->cu.push(device->context)) {
    device->cu.host_unregister(h->memory);
    emuv_cuda_leave(device);
  }
  munmap(h->memory, h->mapped_bytes);
  free(h);
}

const struct emuv_cuda_host *emuv_cuda_host_find(const struct emuv_device *device, const void *memory)
{
  for (const struct emuv_cuda_host *h = device->hosts; h; h = h->next)
    if ((const char *)memory >= h->memory && (const char *)memory < h->memory + h->bytes) return h;
  return NULL;
}
