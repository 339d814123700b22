// SPDX-License-Identifier: Apache-2.0
/* Progress of streams, and waiting for it, on the host and among streams: see cuda.h. */
#include "runtime/device/cuda.h"

#include <sched.h>
#include <time.h>

/* On the host a wait spins, then yields, then sleeps; the driver is asked now and then whether it has failed. */
#define SPIN_NS 20e3
#define YIELD_NS 2e6
#define ASK_NS 1e6

int emuv_cuda_lose(struct emuv_device *device, CUresult result, const char *what, struct emuv_err *err)
{
  if (!device->lost) emuv_cuda_driver_error(&device->cu, EMUV_ERR_IO, result, what, &device->lost_err);
  device->lost = true;
  if (err) *err = device->lost_err;
  return EMUV_ERR_IO;
}

int emuv_cuda_enter(struct emuv_device *device, struct emuv_err *err)
{
  if (device->lost) {
    if (err) *err = device->lost_err;
    return EMUV_ERR_IO;
  }
  const CUresult r = device->cu.push(device->context);
  return r ? emuv_cuda_lose(device, r, "cuCtxPushCurrent", err) : EMUV_OK;
}

void emuv_cuda_leave(struct emuv_device *device)
{
  CUcontext left;
  device->cu.pop(&left);
}

uint64_t emuv_cuda_done(struct emuv_device *device, enum emuv_stream stream)
{
  if (emuv_cuda_is_disk(stream))
    return atomic_load_explicit(&device->disk_done[stream == EMUV_STREAM_DISK_WRITE], memory_order_acquire);
  if (atomic_load_explicit(&device->lost, memory_order_acquire)) return device->stream[stream].last;
  return __atomic_load_n(&device->shared->done[stream].value, __ATOMIC_ACQUIRE);
}

/* Whether work is there, or nobody will say any more that it is. */
static bool over(struct emuv_device *d, enum emuv_stream stream, uint64_t seq)
{
  if (emuv_cuda_done(d, stream) >= seq) return true;
  return emuv_cuda_is_disk(stream) && atomic_load_explicit(&d->failing, memory_order_acquire);
}

static int ask(struct emuv_device *d, enum emuv_stream stream, struct emuv_err *err)
{
  if (emuv_cuda_is_disk(stream)) return EMUV_OK;
  int rc = emuv_cuda_enter(d, err);
  if (rc) return rc;
  const CUresult r = d->cu.stream_query(d->stream[stream].stream);
  if (r && r != CUDA_ERROR_NOT_READY) rc = emuv_cuda_lose(d, r, "waiting for the GPU", err);
  emuv_cuda_leave(d);
  return rc;
}

static void pause_for(double waited_ns)
{
  if (waited_ns > YIELD_NS)
    nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
  else if (waited_ns > SPIN_NS)
    sched_yield();
}

int emuv_cuda_wait(struct emuv_device *device, enum emuv_stream stream, uint64_t seq, struct emuv_err *err)
{
  if (device->lost) return emuv_cuda_enter(device, err);
  if (!emuv_cuda_is_disk(stream) && seq > device->stream[stream].last)
    return emuv_err_set(err, EMUV_ERR_RANGE, "a wait for work that was not submitted");
  if (over(device, stream, seq)) return EMUV_OK;
  const double start = emuv_cuda_now_ns();
  double asked = start;
  while (!over(device, stream, seq)) {
    const double now = emuv_cuda_now_ns();
    pause_for(now - start);
    if (now - asked < ASK_NS) continue;
    const int rc = ask(device, stream, err);
    if (rc) return rc;
    asked = now;
  }
  return EMUV_OK;
}

int emuv_cuda_check_after(struct emuv_device *device, const struct emuv_after *after, struct emuv_err *err)
{
  for (int s = 0; after && s < EMUV_N_STREAMS; s++)
    if (!emuv_cuda_is_disk(s) && after->seq[s] > device->stream[s].last)
      return emuv_err_set(err, EMUV_ERR_RANGE, "work after work that was not submitted");
  return EMUV_OK;
}

int emuv_cuda_make_room(struct emuv_device *device, enum emuv_stream stream, struct emuv_err *err)
{
  const uint64_t last = device->stream[stream].last;
  if (last < EMUV_CUDA_IN_FLIGHT) return EMUV_OK;
  return emuv_cuda_wait(device, stream, last - EMUV_CUDA_IN_FLIGHT + 1, err);
}

int emuv_cuda_after(struct emuv_device *device, enum emuv_stream stream, const struct emuv_after *after,
                    struct emuv_err *err)
{
  const CUstream waiter = device->stream[stream].stream;
  CUresult r = CUDA_SUCCESS;
  for (int s = 0; after && s < EMUV_N_STREAMS && !r; s++) {
    const uint64_t seq = after->seq[s];
    if (s == (int)stream || over(device, s, seq)) continue;
    if (emuv_cuda_is_disk(s))
      r = device->cu.wait_value(waiter, device->shared_address + offsetof(struct emuv_touch_shared, done[s].value), seq,
                                CU_STREAM_WAIT_VALUE_GEQ);
    else
      r = device->cu.event_wait(waiter, device->stream[s].event[seq % EMUV_CUDA_SPANS], CU_EVENT_WAIT_DEFAULT);
  }
  return r ? emuv_cuda_lose(device, r, "waiting for another stream", err) : EMUV_OK;
}
