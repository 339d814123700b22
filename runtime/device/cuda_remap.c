// SPDX-License-Identifier: Apache-2.0
/* Stable addresses (EMUV_MAPPING_REMAP): a frame is a physical allocation of the driver's virtual memory management. It
 * is mapped for good in the arena, where copies find it, and under the address of the page that lies in it, where
 * kernels do; one allocation may be mapped at several addresses.
 *
 * Mappings are changed as late as possible: a page keeps its mapping until it has another frame. The driver does not
 * order mappings with streams, so the kernels that used the old one must have finished first: their number is known for
 * each page, and is long past as a rule. Access is set for whole runs of adjoining pages: that call is what costs most.
 */
#include "runtime/device/cuda.h"

#include <stdlib.h>

static CUmemAllocationProp properties(const struct emuv_device *d)
{
  return (CUmemAllocationProp){.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                               .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = d->device}};
}

static int check_granularity(struct emuv_device *d, struct emuv_err *err)
{
  const CUmemAllocationProp p = properties(d);
  size_t bytes = 0;
  const CUresult r = d->cu.granularity(&bytes, &p, CU_MEM_ALLOC_GRANULARITY_MINIMUM);
  if (r) return emuv_cuda_driver_error(&d->cu, EMUV_ERR_NODEV, r, "cuMemGetAllocationGranularity", err);
  if (d->env.page_bytes % bytes == 0) return EMUV_OK;
  emuv_err_set(err, EMUV_ERR_RANGE, "pages of %llu bytes cannot be mapped: the GPU maps multiples of %zu bytes",
               (unsigned long long)d->env.page_bytes, bytes);
  return emuv_err_hint(err, "larger pages, or the mapping `table`, which takes pages of any size");
}

static CUresult give_access(struct emuv_device *d, CUdeviceptr at, uint64_t bytes)
{
  const CUmemAccessDesc access = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = d->device},
                                  .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  return d->cu.set_access(at, bytes, &access, 1);
}

static CUresult make_frames(struct emuv_device *d)
{
  const CUmemAllocationProp p = properties(d);
  const uint64_t page = d->env.page_bytes;
  CUresult r = CUDA_SUCCESS;
  for (uint32_t f = 0; f < d->env.n_frames && !r; f++) {
    r = d->cu.create(&d->remap.handle[f], page, &p, 0);
    if (!r) r = d->cu.map(d->arena + f * page, page, 0, d->remap.handle[f], 0);
  }
  return r ? r : give_access(d, d->arena, d->env.n_frames * page);
}

int emuv_cuda_remap_open(struct emuv_device *device, struct emuv_err *err)
{
  struct emuv_cuda_remap *m = &device->remap;
  const uint64_t page = device->env.page_bytes;
  const int rc = check_granularity(device, err);
  if (rc) return rc;
  m->handle = calloc(device->env.n_frames, sizeof *m->handle);
  m->used = calloc(device->env.n_pages, sizeof *m->used);
  m->place = calloc(device->env.n_pages, sizeof *m->place);
  if (!m->handle || !m->used || !m->place) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the page table");
  CUresult r = device->cu.reserve(&device->arena, device->env.n_frames * page, 0, 0, 0);
  if (!r) r = device->cu.reserve(&m->pages, device->env.n_pages * page, 0, 0, 0);
  if (!r) r = make_frames(device);
  return r ? emuv_cuda_driver_error(&device->cu, EMUV_ERR_NOMEM, r, "making frames", err) : EMUV_OK;
}

void emuv_cuda_remap_close(struct emuv_device *device)
{
  struct emuv_cuda_remap *m = &device->remap;
  const uint64_t page = device->env.page_bytes;
  for (uint32_t p = 0; m->pages && p < device->env.n_pages; p++)
    if (device->frame_of[p] != UINT32_MAX) device->cu.unmap(m->pages + p * page, page);
  for (uint32_t f = 0; m->handle && f < device->env.n_frames && m->handle[f]; f++) {
    device->cu.unmap(device->arena + f * page, page);
    device->cu.release(m->handle[f]);
  }
  if (m->pages) device->cu.unreserve(m->pages, device->env.n_pages * page);
  if (device->arena) device->cu.unreserve(device->arena, device->env.n_frames * page);
  free(m->handle);
  free(m->used);
  free(m->place);
}

/* Takes away the old mappings of pages place[0..n). */
static int unmap(struct emuv_device *d, const uint32_t *place, uint32_t n, struct emuv_err *err)
{
  const uint64_t page = d->env.page_bytes;
  uint64_t used = 0;
  for (uint32_t i = 0; i < n; i++)
    if (d->frame_of[place[i]] != UINT32_MAX && d->remap.used[place[i]] > used) used = d->remap.used[place[i]];
  const double start = emuv_cuda_now_ns();
  const int rc = emuv_cuda_wait(d, EMUV_STREAM_COMPUTE, used, err);
  const double waited = emuv_cuda_now_ns();
  d->costs.wait_ns += waited - start;
  CUresult r = CUDA_SUCCESS;
  for (uint32_t i = 0; i < n && !rc && !r; i++) {
    if (d->frame_of[place[i]] == UINT32_MAX) continue;
    r = d->cu.unmap(d->remap.pages + place[i] * page, page);
    d->frame_of[place[i]] = UINT32_MAX;
    d->costs.unmaps++;
  }
  d->costs.unmap_ns += emuv_cuda_now_ns() - waited;
  return r ? emuv_cuda_lose(d, r, "cuMemUnmap", err) : rc;
}

/* Maps touch[i] for the n touches whose numbers stand in `place`, and gives access to runs of adjoining pages. */
static int map(struct emuv_device *d, const struct emuv_touch *touch, const uint32_t *place, uint32_t n,
               struct emuv_err *err)
{
  const uint64_t page = d->env.page_bytes;
  const double start = emuv_cuda_now_ns();
  CUresult r = CUDA_SUCCESS;
  for (uint32_t i = 0, run = 0; i < n && !r; i++) {
    const struct emuv_touch *t = &touch[place[i]];
    r = d->cu.map(d->remap.pages + t->page * page, page, 0, d->remap.handle[t->frame], 0);
    if (r) break;
    d->frame_of[t->page] = t->frame;
    if (i + 1 < n && touch[place[i + 1]].page == t->page + 1) continue;
    r = give_access(d, d->remap.pages + touch[place[run]].page * page, (i + 1 - run) * page);
    run = i + 1;
  }
  d->costs.maps += n;
  d->costs.map_ns += emuv_cuda_now_ns() - start;
  return r ? emuv_cuda_lose(d, r, "mapping pages", err) : EMUV_OK;
}

static bool is_mapped(const struct emuv_device *d, const struct emuv_touch *t)
{
  return t->flags & EMUV_TOUCH_IN_PLACE || !t->bytes || d->frame_of[t->page] == t->frame;
}

int emuv_cuda_remap(struct emuv_device *device, const struct emuv_kernel *kernel, struct emuv_err *err)
{
  uint32_t n = 0;
  for (uint32_t i = 0; i < kernel->n_touches; i++)
    if (!is_mapped(device, &kernel->touch[i])) device->remap.place[n++] = kernel->touch[i].page;
  int rc = n ? unmap(device, device->remap.place, n, err) : EMUV_OK;
  if (rc) return rc;
  n = 0;
  for (uint32_t i = 0; i < kernel->n_touches; i++)
    if (!is_mapped(device, &kernel->touch[i])) device->remap.place[n++] = i;
  if (n && emuv_inject_now(device->env.inject, EMUV_INJECT_MAP_ERROR))
    return emuv_cuda_driver_error(&device->cu, EMUV_ERR_IO, CUDA_ERROR_OUT_OF_MEMORY, "mapping pages", err);
  if (n) rc = map(device, kernel->touch, device->remap.place, n, err);
  for (uint32_t i = 0; i < kernel->n_touches && !rc; i++)
    device->remap.used[kernel->touch[i].page] = device->stream[EMUV_STREAM_COMPUTE].last + 1;
  return rc;
}
