// SPDX-License-Identifier: Apache-2.0
/* The whole capture as a library, over the stand-in for CUPTI and the driver (stand_in.h), with driver calls that
 * fake_program.c asks for. */
#include "tests/capture/stand_in.h"

#include "tests/capture/fake_flush.h"

#include <cupti_driver_cbid.h>
#include <nvtx3/nvToolsExt.h>

int InitializeInjection(void);
int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t get_table);

void __real_emuv_pending_settle_slowly(void);
void __wrap_emuv_pending_settle_slowly(void);

void __wrap_emuv_pending_settle_slowly(void)
{
  const uint64_t before = atomic_load(&mapping->launched);
  __real_emuv_pending_settle_slowly();
  atomic_store(&settled, before);
}

static void call(CUpti_CallbackId id, const char *symbol, void *params)
{
  uint64_t data = 0;
  CUresult result = CUDA_SUCCESS;
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
  d.callbackSite = CUPTI_API_EXIT;
  call_back(id, &d);
}

static int initialize(void)
{
  map_file();
  return InitializeInjection();
}

static void allocate(uint64_t address, uint64_t bytes)
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

static void launch(uint64_t address)
{
  uint32_t n = 77;
  void *arguments[] = {&address, &n, &address};
  cuLaunchKernel_params p = {.f = (CUfunction)(uintptr_t)PARAM_KERNEL,
                             .gridDimX = 1,
                             .gridDimY = 1,
                             .gridDimZ = 1,
                             .blockDimX = 128,
                             .blockDimY = 1,
                             .blockDimZ = 1,
                             .kernelParams = arguments};
  call(CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel, "fake", &p);
  note_launch();
}

static void profiler(int on)
{
  call(on ? CUPTI_DRIVER_TRACE_CBID_cuProfilerStart : CUPTI_DRIVER_TRACE_CBID_cuProfilerStop, NULL, NULL);
}

/* ---- NVTX, as a program's copy of it would set it up ---- */

static NvtxFunctionPointer functions[20];
static NvtxFunctionPointer *table[20];

static int module_table(NvtxCallbackModule module, NvtxFunctionTable *result, unsigned int *size)
{
  for (int i = 1; i < 20; i++) table[i] = &functions[i];
  *result = table;
  *size = 16;
  return module == NVTX_CB_MODULE_CORE;
}

static const NvtxExportTableCallbacks callbacks = {sizeof callbacks, module_table};

static const void *export_table(uint32_t id)
{
  return id == NVTX_ETID_CALLBACKS ? &callbacks : NULL;
}

static void set_up_nvtx(void)
{
  InitializeInjectionNvtx2(export_table);
}

static void push(const char *name)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, set_up_nvtx);
  ((nvtxRangePushA_impl_fntype)(void (*)(void))functions[NVTX_CBID_CORE_RangePushA])(name);
}

static void pop(void)
{
  if (functions[NVTX_CBID_CORE_RangePop])
    ((nvtxRangePop_impl_fntype)(void (*)(void))functions[NVTX_CBID_CORE_RangePop])();
}

extern const struct fake emuv_fake;
__attribute__((visibility("default")))
const struct fake emuv_fake = {initialize, allocate, release, launch, profiler, push, pop};
