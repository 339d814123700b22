// SPDX-License-Identifier: Apache-2.0
/* Copies: pieces that adjoin on both sides become one, many pieces go to the driver in one call where it has
 * cuMemcpyBatchAsync, and the stream itself writes the number of the work behind them.
 *
 * A copy engine reads pageable memory only through a buffer of the driver, which is filled while the call runs and not
 * when the stream comes to it; so a copy from or to pageable memory first waits, on the host, for what it comes after.
 */
#include "runtime/device/cuda.h"

#include <stdlib.h>

enum { UNMARKED_WORK = 32, UNMARKED_BYTES = 64 << 20 };

static int make_scratch(struct emuv_device *d, uint32_t n, struct emuv_err *err)
{
  if (n <= d->n_copies_max) return EMUV_OK;
  const uint32_t room = n < 1024 ? 1024 : n;
  CUdeviceptr *to = malloc(room * sizeof *to), *from = malloc(room * sizeof *from);
  size_t *bytes = malloc(room * sizeof *bytes);
  if (!to || !from || !bytes) {
    free(to), free(from), free(bytes);
    return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %u copies", n);
  }
  free(d->copy_to), free(d->copy_from), free(d->copy_bytes);
  d->copy_to = to, d->copy_from = from, d->copy_bytes = bytes;
  d->n_copies_max = room;
  return EMUV_OK;
}

/* Pieces of copies after merging, in the scratch. Allocations are not merged with each other: a copy must not leave a
 * registered range. *pageable: some of them lie in pageable memory. */
static uint32_t merge(struct emuv_device *d, bool up, const struct emuv_copy *copies, uint32_t n, bool *pageable)
{
  CUdeviceptr *const frame = up ? d->copy_to : d->copy_from, *const host = up ? d->copy_from : d->copy_to;
  const struct emuv_cuda_host *in = NULL;
  uint32_t m = 0;
  *pageable = false;
  for (uint32_t i = 0; i < n; i++) {
    const CUdeviceptr f = d->arena + copies[i].frame * d->env.page_bytes + copies[i].offset;
    const CUdeviceptr h = (CUdeviceptr)copies[i].host;
    const bool same = in && (char *)copies[i].host >= in->memory &&
                      (char *)copies[i].host + copies[i].bytes <= in->memory + in->bytes;
    if (!same) in = emuv_cuda_host_find(d, copies[i].host);
    if (!in || !in->pinned) *pageable = true;
    if (m && same && frame[m - 1] + d->copy_bytes[m - 1] == f && host[m - 1] + d->copy_bytes[m - 1] == h) {
      d->copy_bytes[m - 1] += copies[i].bytes;
      continue;
    }
    frame[m] = f, host[m] = h;
    d->copy_bytes[m++] = copies[i].bytes;
  }
  return m;
}

static CUresult copy_batch(struct emuv_device *d, CUstream stream, uint32_t n)
{
  CUmemcpyAttributes how = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM,
                            .flags = CU_MEMCPY_FLAG_PREFER_OVERLAP_WITH_COMPUTE};
  size_t from = 0, failed = 0;
  if (d->cu.copy_batch) return d->cu.copy_batch(d->copy_to, d->copy_from, d->copy_bytes, n, &how, &from, 1, stream);
  return d->cu.copy_batch_12(d->copy_to, d->copy_from, d->copy_bytes, n, &how, &from, 1, &failed, stream);
}

static CUresult copy_all(struct emuv_device *d, CUstream stream, uint32_t n, bool pageable)
{
  if (n > 1 && !pageable && (d->cu.copy_batch || d->cu.copy_batch_12)) return copy_batch(d, stream, n);
  CUresult r = CUDA_SUCCESS;
  for (uint32_t i = 0; i < n && !r; i++) r = d->cu.copy(d->copy_to[i], d->copy_from[i], d->copy_bytes[i], stream);
  return r;
}

/* Remembers what span() will need. Marks cost the link a microsecond, so they are few where copies follow each other
 * closely; where the stream has nothing else to do they cost nothing. */
static CUresult remember(struct emuv_device *d, enum emuv_stream stream, uint32_t n, bool idle)
{
  struct emuv_cuda_stream *s = &d->stream[stream];
  struct emuv_cuda_work *w = &s->work[(s->last + 1) % EMUV_CUDA_SPANS];
  w->bytes = 0;
  for (uint32_t i = 0; i < n; i++) w->bytes += d->copy_bytes[i];
  s->unmarked_bytes += w->bytes;
  w->marked = idle || ++s->n_unmarked >= UNMARKED_WORK || s->unmarked_bytes >= UNMARKED_BYTES;
  if (!w->marked) return CUDA_SUCCESS;
  s->unmarked_bytes = s->n_unmarked = 0;
  const CUresult r = w->mark ? CUDA_SUCCESS : d->cu.event_create(&w->mark, CU_EVENT_DEFAULT);
  return r ? r : d->cu.event_record(w->mark, s->stream);
}

/* What of `after` has not happened yet. */
static struct emuv_after pending(struct emuv_device *d, const struct emuv_after *after)
{
  struct emuv_after p = {{0}};
  for (int s = 0; after && s < EMUV_N_STREAMS; s++)
    if (emuv_cuda_done(d, s) < after->seq[s]) p.seq[s] = after->seq[s];
  return p;
}

static int wait_on_host(struct emuv_device *d, enum emuv_stream stream, const struct emuv_after *after,
                        struct emuv_err *err)
{
  int rc = emuv_cuda_wait(d, stream, d->stream[stream].last, err);
  for (int s = 0; after && s < EMUV_N_STREAMS && !rc; s++) rc = emuv_cuda_wait(d, s, after->seq[s], err);
  return rc;
}

static int submit(struct emuv_device *d, enum emuv_stream stream, uint32_t n, bool pageable,
                  const struct emuv_after *after, struct emuv_err *err)
{
  struct emuv_cuda_stream *s = &d->stream[stream];
  const uint64_t seq = s->last + 1;
  const bool idle = emuv_cuda_done(d, stream) == s->last;
  struct emuv_cuda_work *w = &s->work[seq % EMUV_CUDA_SPANS];
  w->submit_ns = emuv_cuda_now_ns();
  w->after = pending(d, after);
  const int rc = pageable ? wait_on_host(d, stream, after, err) : emuv_cuda_after(d, stream, &w->after, err);
  if (rc) return rc;
  CUresult r = copy_all(d, s->stream, n, pageable);
  if (!r) r = d->cu.event_record(s->event[seq % EMUV_CUDA_SPANS], s->stream);
  if (!r) r = remember(d, stream, n, idle);
  if (!r)
    r = d->cu.write_value(s->stream, d->shared_address + offsetof(struct emuv_touch_shared, done[stream].value), seq,
                          CU_STREAM_WRITE_VALUE_DEFAULT);
  if (r) return emuv_cuda_lose(d, r, "copying", err);
  s->last = seq;
  d->costs.copies++;
  d->costs.pieces += n;
  return EMUV_OK;
}

static int check(struct emuv_device *d, enum emuv_stream stream, const struct emuv_copy *copies, uint32_t n,
                 struct emuv_err *err)
{
  const uint64_t page = d->env.page_bytes;
  if (stream != EMUV_STREAM_UP && stream != EMUV_STREAM_STAGED && stream != EMUV_STREAM_DOWN)
    return emuv_err_set(err, EMUV_ERR_RANGE, "copies run on the streams up, staged and down");
  for (uint32_t i = 0; i < n; i++)
    if (copies[i].frame >= d->env.n_frames || copies[i].offset > page || copies[i].bytes > page - copies[i].offset)
      return emuv_err_set(err, EMUV_ERR_RANGE, "a copy outside frame %u", copies[i].frame);
  return EMUV_OK;
}

static int inject(struct emuv_device *d, struct emuv_err *err)
{
  if (emuv_inject_now(d->env.inject, EMUV_INJECT_DEVICE_LOST))
    return emuv_cuda_lose(d, CUDA_ERROR_LAUNCH_FAILED, "copying", err);
  if (emuv_inject_now(d->env.inject, EMUV_INJECT_COPY_ERROR))
    return emuv_cuda_driver_error(&d->cu, EMUV_ERR_IO, CUDA_ERROR_INVALID_VALUE, "copying", err);
  return EMUV_OK;
}

int emuv_cuda_copy(struct emuv_device *device, enum emuv_stream stream, const struct emuv_copy *copies, uint32_t n,
                   const struct emuv_after *after, uint64_t *seq, struct emuv_err *err)
{
  bool pageable;
  int rc = check(device, stream, copies, n, err);
  if (!rc) rc = emuv_cuda_check_after(device, after, err);
  if (!rc) rc = inject(device, err);
  if (!rc) rc = make_scratch(device, n, err);
  if (!rc) rc = emuv_cuda_make_room(device, stream, err);
  if (!rc) rc = emuv_cuda_enter(device, err);
  if (rc) return rc;
  const uint32_t m = merge(device, stream != EMUV_STREAM_DOWN, copies, n, &pageable);
  rc = submit(device, stream, m, pageable, after, err);
  emuv_cuda_leave(device);
  if (!rc) *seq = device->stream[stream].last;
  return rc;
}
