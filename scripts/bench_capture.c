// SPDX-License-Identifier: Apache-2.0
/* What the capture costs a launching thread, without a GPU: the library's own files on a stand-in for CUPTI
 * (tests/capture/stand_in.h), called as CUPTI calls them, while another thread hands over activity buffers.
 *
 *   bench_capture [LAUNCHES]      prints ns per launch: as fast as a driver takes them, and with swept caches
 *
 * Launches are in the mixture of a Llama decode: five of six with a few arguments, one with cuBLAS's block of 1720
 * bytes and three descriptors. Writes /tmp/bench_capture.emuv and removes it. */
#include "tests/capture/stand_in.h"

#include <cupti_driver_cbid.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int InitializeInjection(void);

enum { SEGMENTS = 60, BLOCK = 1720, DRIVER_NS = 3000, SWEPT = 1 << 20, ACTIVITIES = 4000, LINE = 64 };
#define SEGMENT_BYTES (20u << 20)
#define FIRST_SEGMENT UINT64_C(0x7f0000000000)

static const char path[] = "/tmp/bench_capture.emuv";
static unsigned char swept[SWEPT];
static _Alignas(64) unsigned char block[BLOCK];
static atomic_bool ended;
static atomic_uint issued;

static void call(CUpti_CallbackId id, const char *symbol, void *params)
{
  CUresult result = CUDA_SUCCESS;
  uint64_t data = 0;
  CUpti_CallbackData d = {.callbackSite = CUPTI_API_ENTER,
                          .functionName = "cuLaunchKernel",
                          .functionParams = params,
                          .functionReturnValue = &result,
                          .symbolName = symbol,
                          .context = (CUcontext)(uintptr_t)0x77,
                          .contextUid = 1,
                          .correlationData = &data,
                          .correlationId = ++correlation};
  callback(NULL, CUPTI_CB_DOMAIN_DRIVER_API, id, &d);
  d.callbackSite = CUPTI_API_EXIT;
  callback(NULL, CUPTI_CB_DOMAIN_DRIVER_API, id, &d);
}

static uint64_t address(unsigned int i)
{
  return FIRST_SEGMENT + (uint64_t)(i * 7919 % SEGMENTS) * (64u << 20) + (i % 512 * 512);
}

static void launch(unsigned int i)
{
  uint64_t in = address(i), out = address(i + 1);
  uint32_t n = i;
  size_t bytes = sizeof block;
  void *arguments[] = {&in, &n, &out};
  void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, block, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes, CU_LAUNCH_PARAM_END};
  const bool descriptors = i % 6 == 5;
  cuLaunchKernel_params p = {.f = (CUfunction)(uintptr_t)(0x1000 + i % 40 * 16),
                             .gridDimX = 1 + i % 40,
                             .gridDimY = 1,
                             .gridDimZ = 1,
                             .blockDimX = 128,
                             .blockDimY = 1,
                             .blockDimZ = 1,
                             .kernelParams = descriptors ? NULL : arguments,
                             .extra = descriptors ? extra : NULL};
  call(CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel, "kernel", &p);
  atomic_store_explicit(&issued, correlation, memory_order_relaxed);
}

static void prepare(void)
{
  for (unsigned int i = 0; i < SEGMENTS; i++) {
    CUdeviceptr pointer = FIRST_SEGMENT + (uint64_t)i * (64u << 20);
    cuMemAlloc_v2_params p = {.dptr = &pointer, .bytesize = SEGMENT_BYTES};
    call(CUPTI_DRIVER_TRACE_CBID_cuMemAlloc_v2, NULL, &p);
  }
  for (unsigned int i = 0; i < 3; i++) {
    const struct emuv_tensormap_spec s = {.type = 6,
                                          .rank = 2,
                                          .address = address(i),
                                          .dim = {2048, 512},
                                          .stride = {4096},
                                          .box = {64, 64},
                                          .swizzle = 3};
    fake_encode(NULL, &s, (uint32_t *)(void *)(block + 64 + 128 * i));
  }
}

static void hand_over(unsigned int from, unsigned int to)
{
  uint8_t *buffer;
  size_t bytes, records, used = 0;
  request_buffer(&buffer, &bytes, &records);
  for (unsigned int i = from; i < to; i++, used += sizeof(CUpti_ActivityKernel9)) {
    CUpti_ActivityKernel9 *k = (CUpti_ActivityKernel9 *)(void *)(buffer + used);
    k->kind = CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL;
    k->correlationId = i;
    k->streamId = STREAM_ID;
    k->start = emuv_capture_now_ns() + CLOCK_SHIFT_NS;
    k->end = k->start + 1000;
  }
  complete_buffer(NULL, 0, buffer, bytes, used);
}

/* CUPTI's own thread: a buffer whenever there is enough for one. */
static void *deliver(void *unused)
{
  const struct timespec pause = {.tv_nsec = 1000000};
  unsigned int done = atomic_load(&issued);
  while (!atomic_load(&ended)) {
    const unsigned int to = atomic_load(&issued);
    if (to - done < ACTIVITIES) nanosleep(&pause, NULL);
    for (; to - done >= ACTIVITIES; done += ACTIVITIES) hand_over(done, done + ACTIVITIES);
  }
  return unused;
}

static void sweep(void)
{
  for (size_t i = 0; i < SWEPT; i += LINE) swept[i]++;
}

/* What a driver call takes at least: the rate of launches that a program can reach. */
static void rest(uint64_t since)
{
  while (emuv_capture_now_ns() - since < DRIVER_NS) continue;
}

static int compare(const void *a, const void *b)
{
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* Median ns of a launch, less those of an empty bracket (which an interruption must not lengthen). */
static double measure(unsigned int n, bool cold)
{
  uint64_t *with = malloc(n * sizeof *with), empty = 0;
  if (!with) return 0;
  for (unsigned int i = 0; i < n; i++) {
    const uint64_t a = emuv_capture_now_ns();
    if (cold) sweep();
    const uint64_t b = emuv_capture_now_ns(), c = emuv_capture_now_ns();
    launch(i);
    with[i] = emuv_capture_now_ns() - c;
    empty += c - b < 100 ? c - b : 100;
    rest(a);
  }
  qsort(with, n, sizeof *with, compare);
  const double ns = (double)with[n / 2] - (double)empty / n;
  free(with);
  return ns;
}

int main(int argc, char **argv)
{
  const unsigned int n = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 10) : 500000;
  pthread_t thread;
  unlink(path);
  setenv("EMUV_TRACE_OUTPUT", path, 1);
  InitializeInjection();
  if (!callback || n == 0) return 1;
  prepare();
  measure(10000, false);
  const double alone = measure(n, false);
  atomic_store(&issued, correlation);
  if (pthread_create(&thread, NULL, deliver, NULL)) return 1;
  const double hot = measure(n, false), cold = measure(n / 50 + 1, true);
  atomic_store(&ended, true);
  pthread_join(thread, NULL);
  printf("ns per launch: %.0f; with activities %.0f, with cold caches %.0f\n", alone, hot, cold);
  unlink(path);
  return 0;
}
