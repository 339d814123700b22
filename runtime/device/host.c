// SPDX-License-Identifier: Apache-2.0
/* The device `host`: a stand-in for a GPU where there is none. Its VRAM is memory of this machine, its copy engines and
 * its compute stream are threads, its link has a modelled speed, and its kernels really read, compare and write what
 * they touch. So everything above a device runs and is checked on any machine; times are those of the modelled device
 * as long as this machine keeps up with it.
 *
 * Files: host_stream.c (threads, order, time), host_work.c (copies, kernels), host_mapping.c (pages to frames),
 * host_memory.c (arena, host memory). Owner of everything: the device, from open to close. Threads: as device.h says.
 */
#include "runtime/device/host.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_UNIT = 4096, TOUCH_UNIT = 16 };

/* Number 1 is there to lend its memory (peer_alloc); it cannot be opened. */
static int probe(int index, struct emuv_device_info *info, struct emuv_err *err)
{
  memset(info, 0, sizeof *info);
  if (index < 0 || index > HOST_LENDER)
    return emuv_err_set(err, EMUV_ERR_NODEV, "device host: there is no number %d, only 0", index);
  info->free_bytes = host_memory_available(&info->total_bytes);
  info->n_devices = 1;
  (void)snprintf(info->name, sizeof info->name, "host memory");
  (void)snprintf(info->link, sizeof info->link, "modelled");
  return EMUV_OK;
}

static int check_env(const struct emuv_device_env *env, struct emuv_err *err)
{
  if (env->index != 0)
    return emuv_err_set(err, EMUV_ERR_NODEV, "device host: there is no number %d, only 0", env->index);
  if (env->page_bytes == 0 || env->page_bytes % PAGE_UNIT != 0)
    return emuv_err_set(err, EMUV_ERR_RANGE, "device host: pages must be a multiple of %d bytes", PAGE_UNIT);
  if (env->n_frames == 0 || env->n_pages == 0)
    return emuv_err_set(err, EMUV_ERR_RANGE, "device host: no %s", env->n_frames == 0 ? "frames" : "pages");
  if (env->page_bytes > (1ull << 46) / env->n_pages || env->page_bytes > (1ull << 46) / env->n_frames)
    return emuv_err_set(err, EMUV_ERR_RANGE, "device host: more bytes than there are addresses");
  return EMUV_OK;
}

/* What was made before the threads. */
static void give_back(struct emuv_device *device)
{
  host_mapping_close(device);
  host_memory_close(device);
  free(device);
}

static int open_device(const struct emuv_device_env *env, struct emuv_device **out, struct emuv_err *err)
{
  *out = NULL;
  int rc = check_env(env, err);
  if (rc != EMUV_OK) return rc;
  struct emuv_device *device = calloc(1, sizeof *device);
  if (!device) return emuv_err_set(err, EMUV_ERR_NOMEM, "device host: out of memory");
  device->head.ops = &emuv_device_host;
  device->env = *env;
  device->arena_fd = -1;
  device->up.curve = &device->env.up;
  device->down.curve = &device->env.down;
  device->peer[0].curve = device->peer[1].curve = &device->env.peer;
  rc = host_memory_open(device, err);
  if (rc == EMUV_OK) rc = host_mapping_open(device, err);
  if (rc == EMUV_OK) rc = host_streams_open(device, err);
  if (rc != EMUV_OK) {
    give_back(device);
    return rc;
  }
  *out = device;
  return EMUV_OK;
}

static void close_device(struct emuv_device *device)
{
  if (!device) return;
  host_streams_close(device);
  give_back(device);
}

/* The faults that any submission may meet. */
static int check_alive(struct emuv_device *device, enum emuv_inject_point point, const char *what, struct emuv_err *err)
{
  if (atomic_load(&device->lost)) return host_lost(device, err);
  if (emuv_inject_now(device->env.inject, EMUV_INJECT_DEVICE_LOST)) {
    host_stream_lose(device);
    return emuv_err_set(err, EMUV_ERR_IO, "device host: lost (injected)");
  }
  if (emuv_inject_now(device->env.inject, point))
    return emuv_err_set(err, EMUV_ERR_IO, "device host: %s failed (injected)", what);
  return EMUV_OK;
}

static int check_copies(const struct emuv_device *device, enum emuv_stream stream, const struct emuv_copy *copies,
                        uint32_t n, struct emuv_err *err)
{
  if (stream != EMUV_STREAM_UP && stream != EMUV_STREAM_STAGED && stream != EMUV_STREAM_DOWN)
    return emuv_err_set(err, EMUV_ERR_RANGE, "device host: stream %d is not for copies", (int)stream);
  for (uint32_t i = 0; i < n; i++) {
    uint64_t page_bytes = device->env.page_bytes;
    if (copies[i].frame >= device->env.n_frames || copies[i].offset > page_bytes ||
        copies[i].bytes > page_bytes - copies[i].offset)
      return emuv_err_set(err, EMUV_ERR_RANGE, "device host: copy %u lies outside the arena", i);
  }
  return EMUV_OK;
}

static int check_touches(const struct emuv_device *device, const struct emuv_kernel *kernel, struct emuv_err *err)
{
  for (uint32_t i = 0; i < kernel->n_touches; i++) {
    const struct emuv_touch *touch = &kernel->touch[i];
    bool in_place = touch->flags & EMUV_TOUCH_IN_PLACE;
    uint64_t page_bytes = device->env.page_bytes;
    if (touch->page >= device->env.n_pages || (!in_place && touch->frame >= device->env.n_frames))
      return emuv_err_set(err, EMUV_ERR_RANGE, "device host: touch %u lies outside the arena", i);
    if (touch->offset % TOUCH_UNIT || touch->bytes % TOUCH_UNIT || touch->offset > page_bytes ||
        touch->bytes > page_bytes - touch->offset)
      return emuv_err_set(err, EMUV_ERR_RANGE, "device host: touch %u is no part of a page", i);
    if (touch->flags & EMUV_TOUCH_WRITE && (in_place || touch->bytes != page_bytes))
      return emuv_err_set(err, EMUV_ERR_RANGE, "device host: touch %u writes a part of a page", i);
  }
  return EMUV_OK;
}

static void *duplicate(const void *from, size_t bytes)
{
  void *to = malloc(bytes > 0 ? bytes : 1);
  if (to && bytes > 0) memcpy(to, from, bytes);
  return to;
}

static struct host_work *new_work(const struct emuv_after *after, struct emuv_err *err)
{
  struct host_work *work = calloc(1, sizeof *work);
  if (!work) (void)emuv_err_set(err, EMUV_ERR_NOMEM, "device host: out of memory");
  if (work && after) work->after = *after;
  return work;
}

static int out_of_memory(struct host_work *work, struct emuv_err *err)
{
  host_work_free(work);
  return emuv_err_set(err, EMUV_ERR_NOMEM, "device host: out of memory");
}

static int copy(struct emuv_device *device, enum emuv_stream stream, const struct emuv_copy *copies, uint32_t n,
                const struct emuv_after *after, uint64_t *seq, struct emuv_err *err)
{
  int rc = check_copies(device, stream, copies, n, err);
  if (rc == EMUV_OK) rc = check_alive(device, EMUV_INJECT_COPY_ERROR, "a copy", err);
  if (rc != EMUV_OK) return rc;
  struct host_work *work = new_work(after, err);
  if (!work) return EMUV_ERR_NOMEM;
  work->n_copies = n;
  work->copies = duplicate(copies, n * sizeof *copies);
  if (!work->copies) return out_of_memory(work, err);
  return host_stream_submit(device, stream, work, seq, err);
}

static int launch(struct emuv_device *device, const struct emuv_kernel *kernel, const struct emuv_after *after,
                  uint64_t *seq, struct emuv_err *err)
{
  int rc = check_touches(device, kernel, err);
  if (rc == EMUV_OK) rc = check_alive(device, EMUV_INJECT_LAUNCH_ERROR, "a launch", err);
  if (rc != EMUV_OK) return rc;
  struct host_work *work = new_work(after, err);
  if (!work) return EMUV_ERR_NOMEM;
  double scale = device->env.time_scale;
  work->duration_ns = kernel->duration_ns * (scale > 0 ? scale : 1);
  work->n_touches = kernel->n_touches;
  work->touches = duplicate(kernel->touch, kernel->n_touches * sizeof *kernel->touch);
  if (!work->touches) return out_of_memory(work, err);
  rc = host_mapping_prepare(device, work, err);
  if (rc == EMUV_OK) return host_stream_submit(device, EMUV_STREAM_COMPUTE, work, seq, err);
  host_work_free(work);
  return rc;
}

static uint64_t done(struct emuv_device *device, enum emuv_stream stream)
{
  return atomic_load_explicit(&device->done[stream], memory_order_acquire);
}

static void fail(struct emuv_device *device)
{
  for (int i = HOST_N_STREAMS; i < EMUV_N_STREAMS; i++) host_stream_disk_done(device, (enum emuv_stream)i, UINT64_MAX);
}

static uint32_t mismatches(struct emuv_device *device, struct emuv_mismatch *out, uint32_t max, uint64_t *total)
{
  pthread_mutex_lock(&device->lock);
  uint32_t n = device->n_mismatches < max ? device->n_mismatches : max;
  if (n > 0) memcpy(out, device->mismatches, n * sizeof *out);
  device->n_mismatches -= n;
  memmove(device->mismatches, device->mismatches + n, device->n_mismatches * sizeof *out);
  *total = device->total_mismatches;
  pthread_mutex_unlock(&device->lock);
  return n;
}

static int flip(struct emuv_device *device, uint32_t frame, uint64_t offset, uint64_t bits, struct emuv_err *err)
{
  uint64_t word;
  if (frame >= device->env.n_frames || offset % sizeof word || offset >= device->env.page_bytes)
    return emuv_err_set(err, EMUV_ERR_RANGE, "device host: no word at %u+%llu", frame, (unsigned long long)offset);
  for (int i = 0; i < HOST_N_STREAMS; i++) {
    int rc = host_stream_wait(device, (enum emuv_stream)i, device->streams[i].submitted, err);
    if (rc != EMUV_OK) return rc;
  }
  uint8_t *at = device->arena + frame * device->env.page_bytes + offset;
  memcpy(&word, at, sizeof word);
  word ^= bits;
  memcpy(at, &word, sizeof word);
  return EMUV_OK;
}

static void costs(struct emuv_device *device, struct emuv_device_costs *out)
{
  pthread_mutex_lock(&device->lock);
  *out = device->costs;
  pthread_mutex_unlock(&device->lock);
}

const struct emuv_device_ops emuv_device_host = {
    .name = "host",
    .summary = "memory and threads of this machine in place of a GPU, with a modelled link",
    .probe = probe,
    .open = open_device,
    .close = close_device,
    .host_alloc = host_memory_alloc,
    .host_free = host_memory_free,
    .copy = copy,
    .launch = launch,
    .done = done,
    .disk_done = host_stream_disk_done,
    .wait = host_stream_wait,
    .fail = fail,
    .span = host_stream_span,
    .mismatches = mismatches,
    .flip = flip,
    .costs = costs,
    .peer_alloc = host_memory_peer_alloc,
    .peer_copy = host_memory_peer_copy,
};
