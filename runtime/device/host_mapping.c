// SPDX-License-Identifier: Apache-2.0
/* Ways from a page to its frame on the device `host`. Table: an array that kernels look into; updates travel with the
 * kernel that needs them and are made in the order of the stream. Remap: each page has an address of its own, frames of
 * the arena's memfd are mapped there, and what is not mapped cannot be touched. As on a GPU, mapping is not ordered
 * with streams: before a page's address changes, the kernels that used it must have finished.
 *
 * The submitting thread alone calls this. */
#include "runtime/device/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static int out_of_memory(struct emuv_err *err)
{
  return emuv_err_set(err, EMUV_ERR_NOMEM, "device host: out of memory");
}

int host_mapping_open(struct emuv_device *device, struct emuv_err *err)
{
  const struct emuv_device_env *env = &device->env;
  struct host_placement *placement = &device->placement;
  placement->frame_of_page = malloc(env->n_pages * sizeof *placement->frame_of_page);
  placement->page_of_frame = malloc(env->n_frames * sizeof *placement->page_of_frame);
  placement->last_use = calloc(env->n_pages, sizeof *placement->last_use);
  if (!placement->frame_of_page || !placement->page_of_frame || !placement->last_use) return out_of_memory(err);
  memset(placement->frame_of_page, 0xff, env->n_pages * sizeof *placement->frame_of_page);
  memset(placement->page_of_frame, 0xff, env->n_frames * sizeof *placement->page_of_frame);
  if (env->mapping == EMUV_MAPPING_TABLE) {
    device->table = malloc(env->n_pages * sizeof *device->table);
    if (!device->table) return out_of_memory(err);
    memset(device->table, 0xff, env->n_pages * sizeof *device->table);
    return EMUV_OK;
  }
  void *space =
      mmap(NULL, env->n_pages * env->page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (space == MAP_FAILED) return emuv_err_errno(err, EMUV_ERR_NOMEM, "device host: no addresses for the pages");
  device->space = space;
  return EMUV_OK;
}

void host_mapping_close(struct emuv_device *device)
{
  if (device->space) munmap(device->space, device->env.n_pages * device->env.page_bytes);
  free(device->table);
  free(device->placement.frame_of_page);
  free(device->placement.page_of_frame);
  free(device->placement.last_use);
}

static int map_failed(struct emuv_err *err, uint32_t page)
{
  int reason = errno;
  (void)emuv_err_errno(err, reason == ENOMEM ? EMUV_ERR_NOMEM : EMUV_ERR_IO, "device host: cannot map page %u", page);
  if (reason == ENOMEM) (void)emuv_err_hint(err, "larger pages need fewer mappings (sysctl vm.max_map_count)");
  return reason == ENOMEM ? EMUV_ERR_NOMEM : EMUV_ERR_IO;
}

static int wait_for_users(struct emuv_device *device, uint32_t page, struct emuv_err *err)
{
  double began = host_now_ns();
  int rc = host_stream_wait(device, EMUV_STREAM_COMPUTE, device->placement.last_use[page], err);
  pthread_mutex_lock(&device->lock);
  device->costs.wait_ns += host_now_ns() - began;
  pthread_mutex_unlock(&device->lock);
  return rc;
}

static int unmap_page(struct emuv_device *device, uint32_t page, struct emuv_err *err)
{
  int rc = wait_for_users(device, page, err);
  if (rc != EMUV_OK) return rc;
  double began = host_now_ns();
  void *mapped = mmap(device->space + page * device->env.page_bytes, device->env.page_bytes, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  if (mapped == MAP_FAILED) return map_failed(err, page);
  pthread_mutex_lock(&device->lock);
  device->costs.unmaps++;
  device->costs.unmap_ns += host_now_ns() - began;
  pthread_mutex_unlock(&device->lock);
  return EMUV_OK;
}

static int map_page(struct emuv_device *device, uint32_t page, uint32_t frame, struct emuv_err *err)
{
  if (emuv_inject_now(device->env.inject, EMUV_INJECT_MAP_ERROR))
    return emuv_err_set(err, EMUV_ERR_IO, "device host: cannot map page %u (injected)", page);
  double began = host_now_ns();
  void *mapped = mmap(device->space + page * device->env.page_bytes, device->env.page_bytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_FIXED, device->arena_fd, (off_t)(frame * device->env.page_bytes));
  if (mapped == MAP_FAILED) return map_failed(err, page);
  pthread_mutex_lock(&device->lock);
  device->costs.maps++;
  device->costs.map_ns += host_now_ns() - began;
  pthread_mutex_unlock(&device->lock);
  return EMUV_OK;
}

/* Ends the way from `page` to its frame. */
static int leave(struct emuv_device *device, struct host_work *work, uint32_t page, struct emuv_err *err)
{
  struct host_placement *placement = &device->placement;
  if (device->env.mapping == EMUV_MAPPING_TABLE) {
    work->updates[work->n_updates++] = (struct host_update){page, HOST_NO_FRAME};
  } else {
    int rc = unmap_page(device, page, err);
    if (rc != EMUV_OK) return rc;
  }
  placement->page_of_frame[placement->frame_of_page[page]] = HOST_NO_FRAME;
  placement->frame_of_page[page] = HOST_NO_FRAME;
  return EMUV_OK;
}

static int move(struct emuv_device *device, struct host_work *work, const struct emuv_touch *touch,
                struct emuv_err *err)
{
  struct host_placement *placement = &device->placement;
  uint32_t other = placement->page_of_frame[touch->frame];
  int rc = other != HOST_NO_FRAME ? leave(device, work, other, err) : EMUV_OK;
  if (rc == EMUV_OK && placement->frame_of_page[touch->page] != HOST_NO_FRAME)
    rc = leave(device, work, touch->page, err);
  if (rc == EMUV_OK && device->env.mapping == EMUV_MAPPING_REMAP) rc = map_page(device, touch->page, touch->frame, err);
  if (rc != EMUV_OK) return rc;
  if (device->env.mapping == EMUV_MAPPING_TABLE)
    work->updates[work->n_updates++] = (struct host_update){touch->page, touch->frame};
  placement->frame_of_page[touch->page] = touch->frame;
  placement->page_of_frame[touch->frame] = touch->page;
  return EMUV_OK;
}

int host_mapping_prepare(struct emuv_device *device, struct host_work *work, struct emuv_err *err)
{
  if (work->n_touches > 0 && device->env.mapping == EMUV_MAPPING_TABLE) {
    work->updates = malloc(3 * (size_t)work->n_touches * sizeof *work->updates);
    if (!work->updates) return out_of_memory(err);
  }
  for (uint32_t i = 0; i < work->n_touches; i++) {
    const struct emuv_touch *touch = &work->touches[i];
    if (touch->flags & EMUV_TOUCH_IN_PLACE || device->placement.frame_of_page[touch->page] == touch->frame) continue;
    int rc = move(device, work, touch, err);
    if (rc != EMUV_OK) return rc;
  }
  for (uint32_t i = 0; i < work->n_touches; i++) {
    const struct emuv_touch *touch = &work->touches[i];
    if (!(touch->flags & EMUV_TOUCH_IN_PLACE) && device->placement.frame_of_page[touch->page] != touch->frame)
      return emuv_err_set(err, EMUV_ERR_INTERNAL, "device host: two pages of a kernel in frame %u", touch->frame);
  }
  return EMUV_OK;
}

void host_mapping_used(struct emuv_device *device, const struct host_work *work, uint64_t seq)
{
  for (uint32_t i = 0; i < work->n_touches; i++) device->placement.last_use[work->touches[i].page] = seq;
}
