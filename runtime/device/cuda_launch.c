// SPDX-License-Identifier: Apache-2.0
/* Kernels over pages: touches are packed (touch.h) and travel as arguments of the launch where they fit; longer lists
 * go to device memory first, on a stream of their own so that they are there when their turn comes, and very long ones
 * in several launches that make up one kernel. */
#include "runtime/device/cuda.h"

static bool moved(struct emuv_device *d, const struct emuv_touch *t)
{
  if (!d->table || d->frame_of[t->page] == t->frame) return false;
  d->frame_of[t->page] = t->frame;
  d->costs.table_updates++;
  return true;
}

static uint64_t host_address(const struct emuv_device *d, const struct emuv_touch *t)
{
  const struct emuv_cuda_host *h = emuv_cuda_host_find(d, t->host);
  return h && h->pinned ? h->address + (uint64_t)((const char *)t->host - h->memory) : 0;
}

/* Packs touches until `room` is full; touches of nothing are left out. Returns how many touches were used. */
static uint32_t pack(struct emuv_device *d, const struct emuv_touch *touch, uint32_t n, uint32_t room,
                     struct emuv_touch_args *args, struct emuv_touch_entry *out)
{
  uint32_t i = 0, m = 0, units = 0;
  for (; i < n && m < room; i++) {
    const struct emuv_touch *t = &touch[i];
    if (!t->bytes) continue;
    const bool in_place = t->flags & EMUV_TOUCH_IN_PLACE;
    const uint64_t host = in_place ? host_address(d, t) : 0;
    out[m++] = (struct emuv_touch_entry){
        .page = t->page,
        .version = t->version,
        .frame = in_place ? 0 : t->frame | (moved(d, t) ? EMUV_TOUCH_MOVED : 0),
        .first = units,
        .offset_16 = (uint32_t)(t->offset / 16),
        .bytes_16 = (uint32_t)(t->bytes / 16),
        .host = host | (t->flags & 15),
    };
    units += (uint32_t)((t->bytes + EMUV_TOUCH_UNIT - 1) / EMUV_TOUCH_UNIT);
  }
  args->n_touches = m;
  args->n_units = units;
  args->n_warps = units < d->max_warps ? units : d->max_warps;
  return i;
}

static CUresult start(struct emuv_device *d, CUfunction function, const struct emuv_touch_params *params)
{
  const uint32_t blocks = (params->head.n_warps + EMUV_TOUCH_WARPS - 1) / EMUV_TOUCH_WARPS;
  void *args[] = {(void *)params};
  return d->cu.launch(function, blocks ? blocks : 1, 1, 1, EMUV_TOUCH_WARPS * 32, 1, 1, 0,
                      d->stream[EMUV_STREAM_COMPUTE].stream, args, NULL);
}

static int start_arguments(struct emuv_device *d, const struct emuv_kernel *k, struct emuv_err *err)
{
  struct emuv_touch_params *p = d->params;
  pack(d, k->touch, k->n_touches, EMUV_TOUCH_MANY, &p->head, p->entry);
  const uint32_t n = p->head.n_touches;
  p->head.first = p->head.last = 1;
  const CUresult r = start(d, n <= EMUV_TOUCH_FEW ? d->few : n <= EMUV_TOUCH_SOME ? d->some : d->many, p);
  return r ? emuv_cuda_lose(d, r, "cuLaunchKernel", err) : EMUV_OK;
}

/* A list that this kernel itself has used before: no number tells when that launch is through. */
static int wait_for_list(struct emuv_device *d, uint64_t user, struct emuv_err *err)
{
  if (user <= d->stream[EMUV_STREAM_COMPUTE].last) return emuv_cuda_wait(d, EMUV_STREAM_COMPUTE, user, err);
  const CUresult r = d->cu.stream_synchronize(d->stream[EMUV_STREAM_COMPUTE].stream);
  return r ? emuv_cuda_lose(d, r, "waiting for a kernel", err) : EMUV_OK;
}

/* One launch with a list; *done: touches that it took. */
static int start_list(struct emuv_device *d, const struct emuv_kernel *k, uint32_t *done, struct emuv_err *err)
{
  struct emuv_touch_params *p = d->params;
  const uint32_t slot = d->next_list;
  const uint64_t offset = (uint64_t)slot * EMUV_TOUCH_LIST;
  const int rc = wait_for_list(d, d->list_user[slot], err);
  if (rc) return rc;
  struct emuv_touch_entry *const entry = d->lists + offset;
  const uint32_t taken = pack(d, k->touch + *done, k->n_touches - *done, EMUV_TOUCH_LIST, &p->head, entry);
  p->head.list = (const struct emuv_touch_entry *)(uintptr_t)(d->lists_address + offset * sizeof *entry);
  p->head.first = *done == 0;
  *done += taken;
  p->head.last = *done == k->n_touches;
  CUresult r = d->cu.copy((CUdeviceptr)(uintptr_t)p->head.list, (CUdeviceptr)(uintptr_t)entry,
                          p->head.n_touches * sizeof *entry, d->list_stream);
  if (!r) r = d->cu.event_record(d->list_event[slot], d->list_stream);
  if (!r) r = d->cu.event_wait(d->stream[EMUV_STREAM_COMPUTE].stream, d->list_event[slot], CU_EVENT_WAIT_DEFAULT);
  if (!r) r = start(d, d->list, p);
  if (r) return emuv_cuda_lose(d, r, "cuLaunchKernel", err);
  d->list_user[slot] = p->head.kernel;
  d->next_list = (slot + 1) % EMUV_CUDA_LISTS;
  return EMUV_OK;
}

static int start_kernel(struct emuv_device *d, const struct emuv_kernel *k, struct emuv_err *err)
{
  struct emuv_touch_args *a = &d->params->head;
  a->kernel = d->stream[EMUV_STREAM_COMPUTE].last + 1;
  a->duration_ns = k->duration_ns > 0 ? (uint64_t)k->duration_ns : 0;
  if (k->n_touches <= EMUV_TOUCH_MANY) return start_arguments(d, k, err);
  int rc = EMUV_OK;
  for (uint32_t done = 0; done < k->n_touches && !rc;) rc = start_list(d, k, &done, err);
  return rc;
}

static int record(struct emuv_device *d, struct emuv_err *err)
{
  const struct emuv_cuda_stream *s = &d->stream[EMUV_STREAM_COMPUTE];
  const CUresult r = d->cu.event_record(s->event[(s->last + 1) % EMUV_CUDA_SPANS], s->stream);
  return r ? emuv_cuda_lose(d, r, "cuEventRecord", err) : EMUV_OK;
}

static int inject(struct emuv_device *d, struct emuv_err *err)
{
  if (emuv_inject_now(d->env.inject, EMUV_INJECT_DEVICE_LOST))
    return emuv_cuda_lose(d, CUDA_ERROR_LAUNCH_FAILED, "launching a kernel", err);
  if (emuv_inject_now(d->env.inject, EMUV_INJECT_LAUNCH_ERROR))
    return emuv_cuda_driver_error(&d->cu, EMUV_ERR_IO, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "launching a kernel", err);
  return EMUV_OK;
}

static bool is_good(const struct emuv_device *d, const struct emuv_touch *t)
{
  const uint64_t page = d->env.page_bytes;
  if (t->page >= d->env.n_pages || t->offset > page || t->bytes > page - t->offset || (t->offset | t->bytes) % 16)
    return false;
  if (t->flags & EMUV_TOUCH_WRITE && t->bytes != page) return false;
  return t->flags & EMUV_TOUCH_IN_PLACE ? host_address(d, t) != 0 : t->frame < d->env.n_frames;
}

static int check(const struct emuv_device *d, const struct emuv_kernel *k, struct emuv_err *err)
{
  for (uint32_t i = 0; i < k->n_touches; i++)
    if (!is_good(d, &k->touch[i]))
      return emuv_err_set(err, EMUV_ERR_RANGE, "a kernel cannot touch page %u like this: frame, part or host memory",
                          k->touch[i].page);
  return EMUV_OK;
}

int emuv_cuda_launch(struct emuv_device *device, const struct emuv_kernel *kernel, const struct emuv_after *after,
                     uint64_t *seq, struct emuv_err *err)
{
  int rc = check(device, kernel, err);
  if (!rc) rc = emuv_cuda_check_after(device, after, err);
  if (!rc) rc = inject(device, err);
  if (!rc) rc = emuv_cuda_make_room(device, EMUV_STREAM_COMPUTE, err);
  if (!rc) rc = emuv_cuda_enter(device, err);
  if (rc) return rc;
  if (!device->table) rc = emuv_cuda_remap(device, kernel, err);
  if (!rc) rc = emuv_cuda_after(device, EMUV_STREAM_COMPUTE, after, err);
  if (!rc) rc = start_kernel(device, kernel, err);
  if (!rc) rc = record(device, err);
  emuv_cuda_leave(device);
  if (rc) return rc;
  *seq = ++device->stream[EMUV_STREAM_COMPUTE].last;
  device->costs.launches++;
  return EMUV_OK;
}
