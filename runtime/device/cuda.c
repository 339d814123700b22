// SPDX-License-Identifier: Apache-2.0
/* The device `cuda`: a GPU through the driver API. See cuda.h; this file opens and closes it. */
#include "runtime/device/cuda.h"

#include <stdlib.h>
#include <string.h>

extern const struct emuv_device_ops emuv_device_cuda;
extern const long long emuv_touch_image[]; /* touch.cu as machine code for all GPUs that the compiler knew */

static int find_device(const struct emuv_cuda_driver *cu, int index, CUdevice *device, int *n, struct emuv_err *err)
{
  if (cu->device_count(n)) *n = 0;
  if (index >= 0 && index < *n && !cu->device_get(device, index)) return EMUV_OK;
  emuv_err_set(err, EMUV_ERR_NODEV, "there is no GPU number %d", index);
  return *n > 1 ? emuv_err_hint(err, "they are numbered from 0 to %d", *n - 1)
                : emuv_err_hint(err, *n ? "the only GPU is number 0" : "the driver sees no GPU");
}

static void free_bytes(const struct emuv_cuda_driver *cu, CUdevice device, uint64_t *bytes)
{
  CUcontext context;
  size_t unused = 0, total = 0;
  if (cu->primary_retain(&context, device)) return;
  if (!cu->push(context)) {
    if (!cu->mem_info(&unused, &total)) *bytes = unused;
    cu->pop(&context);
  }
  cu->primary_release(device);
}

static int probe(int index, struct emuv_device_info *info, struct emuv_err *err)
{
  struct emuv_cuda_driver cu;
  CUdevice device;
  size_t total = 0;
  *info = (struct emuv_device_info){0};
  int rc = emuv_cuda_driver_open(&cu, err);
  if (rc) return rc;
  rc = find_device(&cu, index, &device, &info->n_devices, err);
  if (!rc) {
    cu.device_name(info->name, sizeof info->name, device);
    if (!cu.device_total(&total, device)) info->total_bytes = total;
    free_bytes(&cu, device, &info->free_bytes);
    emuv_cuda_driver_describe(&cu, device, info->link, sizeof info->link, info->driver, sizeof info->driver);
  }
  emuv_cuda_driver_close(&cu);
  return rc;
}

static int load_kernels(struct emuv_device *d, struct emuv_err *err)
{
  const struct {
    CUfunction *function;
    const char *name;
  } kernels[] = {{&d->few, "emuv_touch_few"},
                 {&d->some, "emuv_touch_some"},
                 {&d->many, "emuv_touch_many"},
                 {&d->list, "emuv_touch_list"},
                 {&d->clock_kernel, "emuv_touch_clock"}};
  CUresult r = d->cu.module_load(&d->module, emuv_touch_image);
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels && !r; i++)
    r = d->cu.module_function(kernels[i].function, d->module, kernels[i].name);
  if (r) {
    emuv_cuda_driver_error(&d->cu, EMUV_ERR_NODEV, r, "loading the kernels", err);
    return emuv_err_hint(err, "the GPU or its driver may be older than the CUDA compiler that emuV was built with");
  }
  int sms = 0;
  d->cu.device_attribute(&sms, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, d->device);
  d->max_warps = (uint32_t)sms * EMUV_TOUCH_BLOCKS * EMUV_TOUCH_WARPS;
  return EMUV_OK;
}

/* Everything but the arena; NOMEM when it does not fit. */
static CUresult allocate(struct emuv_device *d)
{
  const uint64_t list_bytes = (uint64_t)EMUV_CUDA_LISTS * EMUV_TOUCH_LIST * sizeof *d->lists;
  const uint64_t table_bytes = d->env.n_pages * sizeof(uint32_t);
  const uint64_t draft_bytes = d->env.n_pages * sizeof(struct emuv_touch_draft);
  const unsigned flags = CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP;
  CUresult r = d->cu.host_alloc((void **)&d->shared, sizeof *d->shared, flags);
  if (!r) memset(d->shared, 0, sizeof *d->shared);
  if (!r) r = d->cu.host_address(&d->shared_address, d->shared, 0);
  if (!r) r = d->cu.host_alloc((void **)&d->lists, list_bytes, flags);
  if (!r) r = d->cu.mem_alloc(&d->lists_address, list_bytes);
  if (!r) r = d->cu.mem_alloc(&d->state, sizeof(struct emuv_touch_state));
  if (!r) r = d->cu.mem_set(d->state, 0, sizeof(struct emuv_touch_state), d->clock.stream);
  if (!r) r = d->cu.mem_alloc(&d->draft, draft_bytes);
  if (!r) r = d->cu.mem_set(d->draft, 0, draft_bytes, d->clock.stream);
  if (!r && d->env.mapping == EMUV_MAPPING_TABLE) r = d->cu.mem_alloc(&d->table, table_bytes);
  if (!r && d->table) r = d->cu.mem_set(d->table, 0, table_bytes, d->clock.stream);
  return r;
}

static int no_room(struct emuv_device *d, CUresult result, struct emuv_err *err)
{
  size_t left = 0, total = 0;
  d->cu.mem_info(&left, &total);
  emuv_cuda_driver_error(&d->cu, EMUV_ERR_NOMEM, result, "allocating VRAM", err);
  return emuv_err_hint(err, "%.1f MiB are asked for, %.1f MiB are free",
                       (double)d->env.n_frames * (double)d->env.page_bytes / 1048576, (double)left / 1048576);
}

static int open_arena(struct emuv_device *d, struct emuv_err *err)
{
  size_t left = 0, total = 0;
  if (emuv_inject_now(d->env.inject, EMUV_INJECT_DEVICE_NOMEM)) return no_room(d, CUDA_ERROR_OUT_OF_MEMORY, err);
  if (!d->cu.mem_info(&left, &total) && d->env.n_frames * d->env.page_bytes > left)
    return no_room(d, CUDA_ERROR_OUT_OF_MEMORY, err);
  if (d->env.mapping == EMUV_MAPPING_REMAP) {
    const int rc = emuv_cuda_remap_open(d, err);
    return rc == EMUV_ERR_NOMEM ? no_room(d, CUDA_ERROR_OUT_OF_MEMORY, err) : rc;
  }
  const CUresult r = d->cu.mem_alloc(&d->arena, d->env.n_frames * d->env.page_bytes);
  return r ? no_room(d, r, err) : EMUV_OK;
}

static CUresult open_stream(struct emuv_device *d, struct emuv_cuda_stream *s, bool copies)
{
  CUresult r = d->cu.stream_create(&s->stream, CU_STREAM_NON_BLOCKING);
  s->event = calloc(EMUV_CUDA_SPANS, sizeof *s->event);
  if (copies) s->work = calloc(EMUV_CUDA_SPANS, sizeof *s->work);
  if (copies) s->span = calloc(EMUV_CUDA_SPANS, sizeof *s->span);
  if (!s->event || (copies && (!s->work || !s->span))) return CUDA_ERROR_OUT_OF_MEMORY;
  for (uint32_t i = 0; i < EMUV_CUDA_SPANS && !r; i++) r = d->cu.event_create(&s->event[i], CU_EVENT_DISABLE_TIMING);
  return r;
}

static int open_streams(struct emuv_device *d, struct emuv_err *err)
{
  CUresult r = d->cu.stream_create(&d->clock.stream, CU_STREAM_NON_BLOCKING);
  if (!r) r = d->cu.stream_create(&d->list_stream, CU_STREAM_NON_BLOCKING);
  for (int i = 0; i < EMUV_CUDA_LISTS && !r; i++) r = d->cu.event_create(&d->list_event[i], CU_EVENT_DISABLE_TIMING);
  for (int i = 0; i < EMUV_STREAM_DISK_READ && !r; i++) r = open_stream(d, &d->stream[i], i != EMUV_STREAM_COMPUTE);
  return r ? emuv_cuda_driver_error(&d->cu, EMUV_ERR_NODEV, r, "making streams", err) : EMUV_OK;
}

static int check(struct emuv_device *d, struct emuv_err *err)
{
  int value = 0;
  d->cu.device_attribute(&value, CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS, d->device);
  if (!value) return emuv_err_set(err, EMUV_ERR_NODEV, "the GPU's streams cannot wait for 64-bit words in memory");
  d->cu.device_attribute(&value, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, d->device);
  if (value || d->env.mapping != EMUV_MAPPING_REMAP) return EMUV_OK;
  return emuv_err_set(err, EMUV_ERR_NODEV, "the GPU has no virtual memory management: only the mapping `table` works");
}

static int open_inside(struct emuv_device *d, struct emuv_err *err)
{
  int rc = check(d, err);
  if (!rc) rc = load_kernels(d, err);
  if (!rc) rc = open_streams(d, err);
  if (rc) return rc;
  const CUresult r = allocate(d);
  if (r) return no_room(d, r, err);
  rc = open_arena(d, err);
  if (rc) return rc;
  struct emuv_touch_args *a = &d->params->head;
  a->state = (struct emuv_touch_state *)(uintptr_t)d->state;
  a->shared = (struct emuv_touch_shared *)(uintptr_t)d->shared_address;
  a->table = (uint32_t *)(uintptr_t)d->table;
  a->draft = (struct emuv_touch_draft *)(uintptr_t)d->draft;
  a->base = d->table ? d->arena : d->remap.pages;
  a->page_bytes = d->env.page_bytes;
  return emuv_cuda_clock_open(d, err);
}

static int open_context(struct emuv_device *d, struct emuv_err *err)
{
  int n = 0;
  int rc = find_device(&d->cu, d->env.index, &d->device, &n, err);
  if (rc) return rc;
  CUresult r = d->cu.primary_retain(&d->context, d->device);
  d->retained = !r;
  if (!r) r = d->cu.push(d->context);
  if (r) return emuv_cuda_driver_error(&d->cu, EMUV_ERR_NODEV, r, "the GPU's primary context", err);
  rc = open_inside(d, err);
  emuv_cuda_leave(d);
  return rc;
}

static void fail(struct emuv_device *device)
{
  atomic_store_explicit(&device->failing, true, memory_order_release);
  for (int s = EMUV_STREAM_DISK_READ; s <= EMUV_STREAM_DISK_WRITE; s++)
    __atomic_store_n(&device->shared->done[s].value, (uint64_t)INT64_MAX / 2, __ATOMIC_RELEASE);
}

static void close_stream(struct emuv_device *d, struct emuv_cuda_stream *s)
{
  for (uint32_t e = 0; s->event && e < EMUV_CUDA_SPANS; e++)
    if (s->event[e]) d->cu.event_destroy(s->event[e]);
  for (uint32_t e = 0; s->work && e < EMUV_CUDA_SPANS; e++)
    if (s->work[e].mark) d->cu.event_destroy(s->work[e].mark);
  free(s->event);
  free(s->work);
  free(s->span);
  if (s->stream) d->cu.stream_destroy(s->stream);
}

static void close_streams(struct emuv_device *d)
{
  for (int i = 0; i < EMUV_STREAM_DISK_READ; i++)
    if (d->stream[i].stream) d->cu.stream_synchronize(d->stream[i].stream);
  for (int i = 0; i < EMUV_STREAM_DISK_READ; i++) close_stream(d, &d->stream[i]);
  for (int i = 0; i < EMUV_CUDA_LISTS; i++)
    if (d->list_event[i]) d->cu.event_destroy(d->list_event[i]);
  if (d->list_stream) d->cu.stream_destroy(d->list_stream);
}

static void free_device_memory(struct emuv_device *d)
{
  if (d->env.mapping == EMUV_MAPPING_REMAP)
    emuv_cuda_remap_close(d);
  else if (d->arena)
    d->cu.mem_free(d->arena);
  const CUdeviceptr memory[] = {d->state, d->table, d->draft, d->lists_address};
  for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
    if (memory[i]) d->cu.mem_free(memory[i]);
}

static void close_inside(struct emuv_device *d)
{
  if (d->shared) fail(d);
  close_streams(d);
  while (d->hosts) emuv_cuda_host_free(d, d->hosts->memory);
  emuv_cuda_clock_close(d);
  free_device_memory(d);
  if (d->lists) d->cu.host_free(d->lists);
  if (d->shared) d->cu.host_free(d->shared);
  if (d->module) d->cu.module_unload(d->module);
}

static void close_device(struct emuv_device *device)
{
  if (!device) return;
  if (device->retained && !device->cu.push(device->context)) {
    close_inside(device);
    emuv_cuda_leave(device);
  }
  while (device->hosts) emuv_cuda_host_free(device, device->hosts->memory); /* the context is broken */
  if (device->retained) device->cu.primary_release(device->device);
  emuv_cuda_driver_close(&device->cu);
  free(device->copy_to);
  free(device->copy_from);
  free(device->copy_bytes);
  free(device->frame_of);
  free(device->params);
  free(device);
}

static int check_env(const struct emuv_device_env *env, struct emuv_err *err)
{
  if (!env->page_bytes || env->page_bytes % 4096 || !env->n_pages || !env->n_frames)
    return emuv_err_set(err, EMUV_ERR_RANGE, "pages must be multiples of 4096 bytes, and there must be some");
  if (env->page_bytes / 16 > UINT32_MAX || env->n_frames >= EMUV_TOUCH_MOVED)
    return emuv_err_set(err, EMUV_ERR_RANGE, "pages of more than 64 GiB, or more than 2^31 frames");
  return EMUV_OK;
}

static int open_device(const struct emuv_device_env *env, struct emuv_device **device, struct emuv_err *err)
{
  *device = NULL;
  int rc = check_env(env, err);
  if (rc) return rc;
  struct emuv_device *d = calloc(1, sizeof *d);
  if (!d) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for a device");
  d->head.ops = &emuv_device_cuda;
  d->env = *env;
  d->params = calloc(1, sizeof *d->params);
  d->frame_of = malloc(env->n_pages * sizeof *d->frame_of);
  if (!d->params || !d->frame_of) {
    rc = emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %u pages", env->n_pages);
  } else {
    memset(d->frame_of, 0xff, env->n_pages * sizeof *d->frame_of);
    rc = emuv_cuda_driver_open(&d->cu, err);
    if (!rc) rc = open_context(d, err);
  }
  if (rc)
    close_device(d);
  else
    *device = d;
  return rc;
}

static void disk_done(struct emuv_device *device, enum emuv_stream stream, uint64_t seq)
{
  if (!emuv_cuda_is_disk(stream)) return;
  const int w = stream == EMUV_STREAM_DISK_WRITE;
  uint64_t from = atomic_load_explicit(&device->disk_done[w], memory_order_relaxed);
  if (seq > from + EMUV_CUDA_SPANS) from = seq - EMUV_CUDA_SPANS;
  for (const double now = emuv_cuda_now_ns(); from < seq;) device->disk_ns[w][++from % EMUV_CUDA_SPANS] = now;
  atomic_store_explicit(&device->disk_done[w], seq, memory_order_release);
  uint64_t *const word = &device->shared->done[stream].value;
  uint64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
  while (seen < seq && !__atomic_compare_exchange_n(word, &seen, seq, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
  }
}

static bool take(struct emuv_device *d, struct emuv_mismatch *out)
{
  const struct emuv_touch_report *r = &d->shared->report[d->reports_taken % EMUV_TOUCH_RING];
  if (__atomic_load_n(&d->shared->head.value, __ATOMIC_ACQUIRE) == d->reports_taken) return false;
  *out = (struct emuv_mismatch){r->page, r->version, r->offset, r->expected, r->found, r->kernel};
  __atomic_store_n(&d->shared->taken.value, ++d->reports_taken, __ATOMIC_RELEASE);
  return true;
}

static uint32_t mismatches(struct emuv_device *device, struct emuv_mismatch *out, uint32_t max, uint64_t *total)
{
  uint32_t n = 0;
  *total = __atomic_load_n(&device->shared->found.value, __ATOMIC_ACQUIRE);
  while (n < max && take(device, &out[n])) n++;
  return n;
}

static int invert(struct emuv_device *d, CUdeviceptr at, uint64_t bits, struct emuv_err *err)
{
  const CUstream s = d->stream[EMUV_STREAM_COMPUTE].stream;
  uint64_t word = 0;
  CUresult r = d->cu.copy((CUdeviceptr)(uintptr_t)&word, at, sizeof word, s);
  if (!r) r = d->cu.stream_synchronize(s);
  word ^= bits;
  if (!r) r = d->cu.copy(at, (CUdeviceptr)(uintptr_t)&word, sizeof word, s);
  if (!r) r = d->cu.stream_synchronize(s);
  return r ? emuv_cuda_lose(d, r, "changing a word of VRAM", err) : EMUV_OK;
}

static int flip(struct emuv_device *device, uint32_t frame, uint64_t offset, uint64_t bits, struct emuv_err *err)
{
  int rc = frame < device->env.n_frames && offset % 8 == 0 && offset < device->env.page_bytes
               ? EMUV_OK
               : emuv_err_set(err, EMUV_ERR_RANGE, "no word at %llu of frame %u", (unsigned long long)offset, frame);
  for (int s = 0; s < EMUV_STREAM_DISK_READ && !rc; s++) rc = emuv_cuda_wait(device, s, device->stream[s].last, err);
  if (!rc) rc = emuv_cuda_enter(device, err);
  if (rc) return rc;
  rc = invert(device, device->arena + frame * device->env.page_bytes + offset, bits, err);
  emuv_cuda_leave(device);
  return rc;
}

static void costs(struct emuv_device *device, struct emuv_device_costs *out)
{
  *out = device->costs;
}

const struct emuv_device_ops emuv_device_cuda = {
    .name = "cuda",
    .summary = "an NVIDIA GPU, through the driver (CUDA 12.0 or newer)",
    .probe = probe,
    .open = open_device,
    .close = close_device,
    .host_alloc = emuv_cuda_host_alloc,
    .host_free = emuv_cuda_host_free,
    .copy = emuv_cuda_copy,
    .launch = emuv_cuda_launch,
    .done = emuv_cuda_done,
    .disk_done = disk_done,
    .wait = emuv_cuda_wait,
    .fail = fail,
    .span = emuv_cuda_span,
    .mismatches = mismatches,
    .flip = flip,
    .costs = costs,
    .peer_alloc = emuv_cuda_peer_alloc,
    .peer_copy = emuv_cuda_peer_copy,
};
