// SPDX-License-Identifier: Apache-2.0
/* The capture library without a GPU: its own files, a stand-in for CUPTI and the driver, and a "program" whose driver
 * calls are made up here. Each case runs in a child process, because the capture ends when its process does; the parent
 * then reads the trace. */
#include "tests/capture/stand_in.h"
#include "tracer/format/reader.h"

#include <cupti_driver_cbid.h>
#include <nvtx3/nvToolsExt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

int InitializeInjection(void);

#define SEGMENT 0x7f0000000000u
#define SEGMENT_BYTES (20u << 20)

static char path[64];

/* ---- the program ---- */

/* One driver call with both of its callbacks; `work` is what the driver does between them. */
static void call_with(CUpti_CallbackId id, const char *symbol, void *params, CUresult result,
                      void (*work)(void *params))
{
  uint64_t data = 0;
  CUpti_CallbackData d = {.callbackSite = CUPTI_API_ENTER,
                          .functionName = "cuSomething",
                          .functionParams = params,
                          .functionReturnValue = &result,
                          .symbolName = symbol,
                          .context = (CUcontext)(uintptr_t)0x77,
                          .contextUid = 1,
                          .correlationData = &data,
                          .correlationId = atomic_fetch_add(&correlation, 2) + 2};
  call_back(id, &d);
  if (work) work(params);
  d.callbackSite = CUPTI_API_EXIT;
  call_back(id, &d);
}

static void call(CUpti_CallbackId id, const char *symbol, void *params)
{
  call_with(id, symbol, params, CUDA_SUCCESS, NULL);
}

static void allocate(uint64_t address, size_t bytes)
{
  CUdeviceptr pointer = address;
  cuMemAlloc_v2_params p = {.dptr = &pointer, .bytesize = bytes};
  call(CUPTI_DRIVER_TRACE_CBID_cuMemAlloc_v2, NULL, &p);
}

static void release(uint64_t address)
{
  cuMemFree_v2_params p = {.dptr = address};
  call(CUPTI_DRIVER_TRACE_CBID_cuMemFree_v2, NULL, &p);
}

static void ran_on_gpu(uint64_t start)
{
  if (!atomic_load(&activities_come)) return;
  pthread_mutex_lock(&pending_lock);
  pending[n_pending].correlation = correlation;
  pending[n_pending].start = start + CLOCK_SHIFT_NS;
  pending[n_pending++].end = start + CLOCK_SHIFT_NS + 1000;
  pthread_mutex_unlock(&pending_lock);
}

static cuLaunchKernel_params launch_params(uintptr_t kernel)
{
  return (cuLaunchKernel_params){.f = (CUfunction)kernel,
                                 .gridDimX = 3,
                                 .gridDimY = 2,
                                 .gridDimZ = 1,
                                 .blockDimX = 128,
                                 .blockDimY = 1,
                                 .blockDimZ = 1};
}

static void launch_with_params(uint64_t in, uint64_t out)
{
  uint32_t n = 77;
  void *arguments[] = {&in, &n, &out};
  cuLaunchKernel_params p = launch_params(PARAM_KERNEL);
  p.kernelParams = arguments;
  call(CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel, "elementwise", &p);
  ran_on_gpu(emuv_capture_now_ns());
}

static void launch_with_descriptor(uint64_t address)
{
  _Alignas(64) unsigned char block[192] = {0};
  const struct emuv_tensormap_spec s = {
      .type = 6, .rank = 2, .address = address, .dim = {2048, 512}, .stride = {4096}, .box = {64, 64}, .swizzle = 3};
  size_t bytes = sizeof block;
  fake_encode(NULL, &s, (uint32_t *)(void *)(block + 64));
  memcpy(block + 8, &address, sizeof address); /* the same address again, as cuBLAS has it */
  void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, block, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes, CU_LAUNCH_PARAM_END};
  cuLaunchKernel_params p = launch_params(EXTRA_KERNEL);
  p.extra = extra;
  call(CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel_ptsz, "nvjet", &p);
  ran_on_gpu(emuv_capture_now_ns());
}

static void copy_to_device(uint64_t to, const void *from, size_t bytes)
{
  cuMemcpyHtoDAsync_v2_params p = {.dstDevice = to, .srcHost = from, .ByteCount = bytes};
  call(CUPTI_DRIVER_TRACE_CBID_cuMemcpyHtoDAsync_v2, NULL, &p);
}

static void set_to(uint64_t address, uint16_t value, size_t n)
{
  cuMemsetD16_v2_params p = {.dstDevice = address, .us = value, .N = n};
  call(CUPTI_DRIVER_TRACE_CBID_cuMemsetD16_v2, NULL, &p);
}

static NvtxFunctionPointer nvtx_functions[20];
static NvtxFunctionPointer *nvtx_table[20];

static int nvtx_module(NvtxCallbackModule module, NvtxFunctionTable *table, unsigned int *size)
{
  for (int i = 1; i < 20; i++) nvtx_table[i] = &nvtx_functions[i];
  *table = nvtx_table;
  *size = 16;
  return module == NVTX_CB_MODULE_CORE;
}

static const NvtxExportTableCallbacks nvtx_callbacks = {sizeof nvtx_callbacks, nvtx_module};

static const void *nvtx_export(uint32_t id)
{
  return id == NVTX_ETID_CALLBACKS ? &nvtx_callbacks : NULL;
}

int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t get_table);

/* Runs `program` with the capture in it; returns how the process ended. */
static int traced(void (*program)(void))
{
  snprintf(path, sizeof path, "/tmp/emuv-capture-%ld.emuv", (long)getpid());
  unlink(path);
  const pid_t child = fork();
  if (child == 0) {
    setenv("EMUV_TRACE_OUTPUT", path, 1);
    InitializeInjection();
    program();
    exit(7);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

/* ---- reading ---- */

struct seen {
  struct emuv_trace_launch launch[CHAIN];
  struct emuv_trace_operand operand[CHAIN][4];
  char kernel[CHAIN][32];
  struct emuv_trace_gpu_time time[CHAIN];
  struct emuv_trace_allocation allocation[CHAIN];
  struct emuv_trace_free freed[CHAIN];
  struct emuv_trace_copy copy;
  struct emuv_trace_set set;
  struct emuv_trace_range range[CHAIN];
  char range_text[CHAIN][32], layout[48];
  int launches, times, allocations, frees, copies, sets, ranges, gaps;
  uint32_t last_gap;
  struct emuv_trace_reader_state state;
};

static void see_launch(struct seen *s, struct emuv_trace_reader *r, const struct emuv_trace_launch *l)
{
  for (uint32_t i = 0; i < l->n_operands && i < 4; i++) s->operand[s->launches][i] = l->operands[i];
  snprintf(s->kernel[s->launches], 32, "%s", emuv_trace_reader_string(r, emuv_trace_reader_kernel(r, l->kernel)->name));
  s->launch[s->launches++] = *l;
}

static void see(struct seen *s, struct emuv_trace_reader *r, const struct emuv_trace_record *record)
{
  switch (record->type) {
  case EMUV_TRACE_LAUNCH: see_launch(s, r, &record->u.launch); break;
  case EMUV_TRACE_GPU_TIME: s->time[s->times++] = record->u.gpu_time; break;
  case EMUV_TRACE_ALLOCATION: s->allocation[s->allocations++] = record->u.allocation; break;
  case EMUV_TRACE_FREE: s->freed[s->frees++] = record->u.free; break;
  case EMUV_TRACE_COPY: s->copy = record->u.copy, s->copies++; break;
  case EMUV_TRACE_SET: s->set = record->u.set, s->sets++; break;
  case EMUV_TRACE_RANGE:
    snprintf(s->range_text[s->ranges], 32, "%s", emuv_trace_reader_string(r, record->u.range.text));
    s->range[s->ranges++] = record->u.range;
    break;
  case EMUV_TRACE_GAP: s->last_gap = record->u.gap.why, s->gaps++; break;
  case EMUV_TRACE_ENVIRONMENT:
    if (strcmp(emuv_trace_reader_string(r, record->u.environment.key), "tensormap_layout") == 0)
      snprintf(s->layout, sizeof s->layout, "%s", emuv_trace_reader_string(r, record->u.environment.value));
    break;
  default: break;
  }
}

static void read_trace(struct seen *s)
{
  struct emuv_trace_reader *r;
  struct emuv_trace_record record;
  struct emuv_err err = {0};
  int rc;
  memset(s, 0, sizeof *s);
  if (emuv_trace_reader_open(&r, path, &err)) fail_msg("%s", err.text);
  while ((rc = emuv_trace_reader_next(r, &record, &err)) == 1) see(s, r, &record);
  if (rc) fail_msg("%s", err.text);
  s->state = *emuv_trace_reader_state(r);
  emuv_trace_reader_close(r);
  unlink(path);
}

/* ---- cases ---- */

static struct seen seen;

static void run_launches(void)
{
  allocate(SEGMENT, SEGMENT_BYTES);
  launch_with_params(SEGMENT + 512, SEGMENT + 4096);
  launch_with_descriptor(SEGMENT + (2 << 20));
}

static void launches_have_operands(void **state)
{
  (void)state;
  assert_int_equal(WEXITSTATUS(traced(run_launches)), 7);
  read_trace(&seen);
  assert_string_equal(seen.layout, "learned");
  assert_int_equal(seen.launches, 2);
  assert_string_equal(seen.kernel[0], "elementwise");
  assert_int_equal(seen.launch[0].cls, EMUV_TRACE_CLASS_BOUNDED);
  assert_int_equal(seen.launch[0].n_operands, 2);
  assert_int_equal(seen.operand[0][0].offset, 512);
  assert_int_equal(seen.operand[0][0].bytes, SEGMENT_BYTES - 512);
  assert_int_equal(seen.operand[0][0].provenance, EMUV_TRACE_FROM_PARAM);
  assert_int_equal(seen.operand[0][1].offset, 4096);
  assert_int_equal(seen.launch[0].grid[0], 3);
  assert_int_equal(seen.launch[0].stream, STREAM_ID);
}

static void descriptors_are_exact(void **state)
{
  (void)state;
  traced(run_launches);
  read_trace(&seen);
  assert_string_equal(seen.kernel[1], "nvjet");
  assert_int_equal(seen.launch[1].cls, EMUV_TRACE_CLASS_EXACT);
  assert_int_equal(seen.launch[1].n_operands, 1);
  assert_int_equal(seen.operand[1][0].allocation, 1);
  assert_int_equal(seen.operand[1][0].offset, 2 << 20);
  assert_int_equal(seen.operand[1][0].bytes, 512 * 4096);
  assert_int_equal(seen.operand[1][0].provenance, EMUV_TRACE_FROM_TENSORMAP);
  assert_int_equal(seen.operand[1][0].place, 64);
}

static void check_times(void)
{
  assert_int_equal(seen.times, 2);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(seen.time[i].correlation, seen.launch[i].correlation);
    assert_int_equal(seen.time[i].end_ns - seen.time[i].start_ns, 1000);
    const int64_t late = (int64_t)(seen.time[i].start_ns - seen.launch[i].exit_ns);
    assert_in_range(late + 100000000, 0, 200000000); /* on the same clock, not 5000 s away */
  }
}

static void times_are_on_the_hosts_clock(void **state)
{
  (void)state;
  traced(run_launches);
  read_trace(&seen);
  check_times();
}

static void run_nested(void)
{
  activity_shift = 1;
  run_launches();
}

static void times_of_nested_calls_find_their_launch(void **state)
{
  (void)state;
  traced(run_nested);
  read_trace(&seen);
  check_times();
}

static void run_memory(void)
{
  static char pageable[64];
  allocate(SEGMENT, 4096);
  release(SEGMENT);
  allocate(SEGMENT, 8192);
  copy_to_device(SEGMENT + 64, pageable, 64);
  set_to(SEGMENT + 128, 0xabcd, 10);
}

static void memory_is_followed(void **state)
{
  (void)state;
  traced(run_memory);
  read_trace(&seen);
  assert_int_equal(seen.allocations, 2);
  assert_int_equal(seen.frees, 1);
  assert_int_equal(seen.freed[0].id, 1);
  assert_int_equal(seen.allocation[1].id, 2);
  assert_int_equal(seen.copies, 1);
  assert_int_equal(seen.copy.kind, EMUV_TRACE_COPY_H2D);
  assert_int_equal(seen.copy.flags, EMUV_TRACE_FLAG_PAGEABLE);
  assert_int_equal(seen.copy.dst_allocation, 2);
  assert_int_equal(seen.set.bytes, 20);
  assert_int_equal(seen.set.value, 0xabcd);
  assert_int_equal(seen.set.flags, EMUV_TRACE_FLAG_SYNC);
  assert_true(seen.set.sequence > seen.copy.sequence);
}

static void run_reuse(void)
{
  for (int i = 0; i < 3; i++) {
    allocate(SEGMENT, (uint64_t)(i + 1) << 20);
    launch_with_params(SEGMENT + 256, 0);
    release(SEGMENT);
    launch_with_params(SEGMENT + 256, 0);
  }
}

/* Operands are looked for later, but in the memory that was live at the launch. */
static void launches_see_the_memory_of_their_time(void **state)
{
  (void)state;
  traced(run_reuse);
  read_trace(&seen);
  assert_int_equal(seen.launches, 6);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(seen.launch[2 * i].n_operands, 1);
    assert_int_equal(seen.operand[2 * i][0].allocation, i + 1);
    assert_int_equal(seen.operand[2 * i][0].bytes, ((i + 1) << 20) - 256);
    assert_int_equal(seen.launch[2 * i + 1].n_operands, 0);
    assert_true(seen.launch[2 * i + 1].sequence == seen.launch[2 * i].sequence + 1);
  }
}

enum { THREADS = 4, OVERFLOWING = 12000 };

static void *launch_many(void *arg)
{
  static _Alignas(64) unsigned char zeroed[1720];
  size_t bytes = sizeof zeroed;
  void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, zeroed, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes, CU_LAUNCH_PARAM_END};
  for (int i = 0; i < OVERFLOWING / THREADS; i++) {
    cuLaunchKernel_params p = launch_params(EXTRA_KERNEL);
    p.extra = extra;
    call(CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel, "many", &p);
    if (i % 1000 == 0) allocate(SEGMENT + (uint64_t)(uintptr_t)arg * SEGMENT_BYTES, 4096);
  }
  return NULL;
}

static void run_many(void)
{
  pthread_t thread[THREADS];
  for (uintptr_t i = 0; i < THREADS; i++) pthread_create(&thread[i], NULL, launch_many, (void *)i);
  for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
}

/* More than the log holds, from several threads: nothing is lost or written twice. */
static void a_full_log_loses_nothing(void **state)
{
  (void)state;
  static bool had[OVERFLOWING + 1];
  struct emuv_trace_reader *r;
  struct emuv_trace_record record;
  struct emuv_err err = {0};
  int launches = 0;
  assert_true(OVERFLOWING * 1720 > 4 * EMUV_PENDING_BYTES);
  assert_int_equal(WEXITSTATUS(traced(run_many)), 7);
  assert_int_equal(emuv_trace_reader_open(&r, path, &err), 0);
  while (emuv_trace_reader_next(r, &record, &err) == 1) {
    if (record.type != EMUV_TRACE_LAUNCH) continue;
    launches++;
    assert_in_range(record.u.launch.sequence, 1, OVERFLOWING);
    assert_false(had[record.u.launch.sequence]);
    had[record.u.launch.sequence] = true;
  }
  assert_int_equal(launches, OVERFLOWING);
  assert_int_equal(emuv_trace_reader_state(r)->verdict.dropped, 0);
  emuv_trace_reader_close(r);
  unlink(path);
}

static void run_failures(void)
{
  CUdeviceptr pointer = 0;
  cuMemAlloc_v2_params p = {.dptr = &pointer, .bytesize = 1};
  call_with(CUPTI_DRIVER_TRACE_CBID_cuMemAlloc_v2, NULL, &p, CUDA_ERROR_OUT_OF_MEMORY, NULL);
  cuLaunchKernel_params l = launch_params(UNKNOWN_KERNEL);
  call(CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel, "opaque", &l);
}

static void what_is_not_known_is_a_gap(void **state)
{
  (void)state;
  traced(run_failures);
  read_trace(&seen);
  assert_int_equal(seen.allocations, 0);
  assert_int_equal(seen.launches, 1);
  assert_int_equal(seen.launch[0].cls, EMUV_TRACE_CLASS_GAP);
  assert_int_equal(seen.gaps, 1);
  assert_int_equal(seen.last_gap, EMUV_TRACE_GAP_NO_PARAMS);
}

static void run_ranges(void)
{
  InitializeInjectionNvtx2(nvtx_export);
  nvtxRangePushA_impl_fntype push =
      (nvtxRangePushA_impl_fntype)(void (*)(void))nvtx_functions[NVTX_CBID_CORE_RangePushA];
  nvtxRangePop_impl_fntype pop = (nvtxRangePop_impl_fntype)(void (*)(void))nvtx_functions[NVTX_CBID_CORE_RangePop];
  push("token");
  pop();
}

static void ranges_are_recorded(void **state)
{
  (void)state;
  traced(run_ranges);
  read_trace(&seen);
  assert_int_equal(seen.ranges, 2);
  assert_int_equal(seen.range[0].kind, EMUV_TRACE_RANGE_PUSH);
  assert_string_equal(seen.range_text[0], "token");
  assert_int_equal(seen.range[1].kind, EMUV_TRACE_RANGE_POP);
}

static void run_fork(void)
{
  allocate(SEGMENT, 4096);
  if (fork() == 0) {
    allocate(SEGMENT + 4096, 4096);
    exit(0);
  }
  wait(NULL);
  allocate(SEGMENT + 8192, 4096);
}

static void forked_children_are_inert(void **state)
{
  (void)state;
  assert_int_equal(WEXITSTATUS(traced(run_fork)), 7);
  read_trace(&seen);
  assert_int_equal(seen.allocations, 2);
  assert_true(seen.state.has_verdict);
  assert_int_equal(seen.state.verdict.status, EMUV_TRACE_STATUS_COMPLETE);
  assert_int_equal(seen.state.verdict.exit_status, 7);
}

static void run_killed(void)
{
  const struct timespec pause = {.tv_nsec = 700000000};
  run_launches();
  nanosleep(&pause, NULL); /* more than two periods of the flushing thread */
  raise(SIGKILL);
}

static void killed_programs_leave_a_trace(void **state)
{
  (void)state;
  assert_true(WIFSIGNALED(traced(run_killed)));
  read_trace(&seen);
  assert_int_equal(seen.launches, 2);
  assert_int_equal(seen.times, 2);
  assert_false(seen.state.has_verdict);
}

static void another_subscriber_is_no_failure(void **state)
{
  (void)state;
  subscribe_result = CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED;
  const int status = traced(run_memory);
  subscribe_result = CUPTI_SUCCESS;
  assert_int_equal(WEXITSTATUS(status), 7);
  read_trace(&seen);
  assert_int_equal(seen.allocations, 0);
  assert_int_equal(seen.last_gap, EMUV_TRACE_GAP_SUBSCRIBER);
  assert_int_equal(seen.state.verdict.status, EMUV_TRACE_STATUS_STOPPED);
}

static void profiler(bool start)
{
  call(start ? CUPTI_DRIVER_TRACE_CBID_cuProfilerStart : CUPTI_DRIVER_TRACE_CBID_cuProfilerStop, NULL, NULL);
}

/* What the capture makes CUPTI do for launches; for allocations it is always the same. */
static void must_be_armed(bool armed)
{
  if (called_back[CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel] != armed || activities_come != armed ||
      !called_back[CUPTI_DRIVER_TRACE_CBID_cuMemAlloc_v2])
    exit(8);
}

static void run_window(void)
{
  const struct timespec pause = {.tv_sec = 2, .tv_nsec = 500000000};
  must_be_armed(false);
  allocate(SEGMENT, SEGMENT_BYTES);
  launch_with_params(SEGMENT, SEGMENT);
  profiler(true);
  must_be_armed(true);
  launch_with_params(SEGMENT, SEGMENT);
  launch_with_params(SEGMENT, SEGMENT);
  profiler(false);
  must_be_armed(true); /* the next range may be near */
  launch_with_params(SEGMENT, SEGMENT);
  copy_to_device(SEGMENT, "", 1);
  nanosleep(&pause, NULL);
  must_be_armed(false);
  allocate(SEGMENT + SEGMENT_BYTES, 4096);
  launch_with_params(SEGMENT, SEGMENT);
  profiler(true);
  must_be_armed(true);
  launch_with_params(SEGMENT + SEGMENT_BYTES, SEGMENT);
  profiler(false);
}

static void only_the_window_is_recorded(void **state)
{
  (void)state;
  setenv("EMUV_TRACE_CAPTURE_RANGE", "cudaProfilerApi", 1);
  const int status = traced(run_window);
  unsetenv("EMUV_TRACE_CAPTURE_RANGE");
  assert_int_equal(WEXITSTATUS(status), 7);
  read_trace(&seen);
  assert_int_equal(seen.launches, 3);
  assert_int_equal(seen.times, 3); /* not that of the launch after the first range */
  assert_int_equal(seen.copies, 0);
  assert_int_equal(seen.allocations, 2);
  assert_int_equal(seen.operand[2][0].allocation, 2);
  assert_int_equal(seen.ranges, 4);
  for (int i = 0; i < 3; i++) assert_int_equal(seen.time[i].correlation, seen.launch[i].correlation);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(launches_have_operands),
      cmocka_unit_test(descriptors_are_exact),
      cmocka_unit_test(times_are_on_the_hosts_clock),
      cmocka_unit_test(times_of_nested_calls_find_their_launch),
      cmocka_unit_test(memory_is_followed),
      cmocka_unit_test(launches_see_the_memory_of_their_time),
      cmocka_unit_test(a_full_log_loses_nothing),
      cmocka_unit_test(what_is_not_known_is_a_gap),
      cmocka_unit_test(ranges_are_recorded),
      cmocka_unit_test(only_the_window_is_recorded),
      cmocka_unit_test(forked_children_are_inert),
      cmocka_unit_test(killed_programs_leave_a_trace),
      cmocka_unit_test(another_subscriber_is_no_failure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
