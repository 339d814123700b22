// SPDX-License-Identifier: Apache-2.0
/* The CUDA driver as the device `cuda` uses it: found with dlopen when a device is opened, each function asked for by
 * name and version, so that a program runs where there is no driver and with drivers of other versions. Private to
 * runtime/device/cuda*.c. */
#ifndef EMUV_DEVICE_CUDA_DRIVER_H
#define EMUV_DEVICE_CUDA_DRIVER_H

#include "runtime/core/err.h"

#include <cudaTypedefs.h>
#include <stddef.h>

/* FN(member, name, version, type): X-macro of the functions that must be there. */
#define EMUV_CUDA_FUNCTIONS(FN)                                                                                        \
  FN(init, "cuInit", 2000, PFN_cuInit_v2000)                                                                           \
  FN(version, "cuDriverGetVersion", 2020, PFN_cuDriverGetVersion_v2020)                                                \
  FN(error_name, "cuGetErrorName", 6000, PFN_cuGetErrorName_v6000)                                                     \
  FN(error_string, "cuGetErrorString", 6000, PFN_cuGetErrorString_v6000)                                               \
  FN(device_get, "cuDeviceGet", 2000, PFN_cuDeviceGet_v2000)                                                           \
  FN(device_count, "cuDeviceGetCount", 2000, PFN_cuDeviceGetCount_v2000)                                               \
  FN(device_name, "cuDeviceGetName", 2000, PFN_cuDeviceGetName_v2000)                                                  \
  FN(device_attribute, "cuDeviceGetAttribute", 2000, PFN_cuDeviceGetAttribute_v2000)                                   \
  FN(device_total, "cuDeviceTotalMem", 3020, PFN_cuDeviceTotalMem_v3020)                                               \
  FN(device_bus_id, "cuDeviceGetPCIBusId", 4010, PFN_cuDeviceGetPCIBusId_v4010)                                        \
  FN(primary_retain, "cuDevicePrimaryCtxRetain", 7000, PFN_cuDevicePrimaryCtxRetain_v7000)                             \
  FN(primary_release, "cuDevicePrimaryCtxRelease", 11000, PFN_cuDevicePrimaryCtxRelease_v11000)                        \
  FN(push, "cuCtxPushCurrent", 4000, PFN_cuCtxPushCurrent_v4000)                                                       \
  FN(pop, "cuCtxPopCurrent", 4000, PFN_cuCtxPopCurrent_v4000)                                                          \
  FN(can_access, "cuDeviceCanAccessPeer", 4000, PFN_cuDeviceCanAccessPeer_v4000)                                       \
  FN(enable_access, "cuCtxEnablePeerAccess", 4000, PFN_cuCtxEnablePeerAccess_v4000)                                    \
  FN(mem_info, "cuMemGetInfo", 3020, PFN_cuMemGetInfo_v3020)                                                           \
  FN(mem_alloc, "cuMemAlloc", 3020, PFN_cuMemAlloc_v3020)                                                              \
  FN(mem_free, "cuMemFree", 3020, PFN_cuMemFree_v3020)                                                                 \
  FN(mem_set, "cuMemsetD8Async", 3020, PFN_cuMemsetD8Async_v3020)                                                      \
  FN(host_alloc, "cuMemHostAlloc", 2020, PFN_cuMemHostAlloc_v2020)                                                     \
  FN(host_free, "cuMemFreeHost", 2000, PFN_cuMemFreeHost_v2000)                                                        \
  FN(host_register, "cuMemHostRegister", 6050, PFN_cuMemHostRegister_v6050)                                            \
  FN(host_unregister, "cuMemHostUnregister", 4000, PFN_cuMemHostUnregister_v4000)                                      \
  FN(host_address, "cuMemHostGetDevicePointer", 3020, PFN_cuMemHostGetDevicePointer_v3020)                             \
  FN(stream_create, "cuStreamCreate", 2000, PFN_cuStreamCreate_v2000)                                                  \
  FN(stream_destroy, "cuStreamDestroy", 4000, PFN_cuStreamDestroy_v4000)                                               \
  FN(stream_synchronize, "cuStreamSynchronize", 2000, PFN_cuStreamSynchronize_v2000)                                   \
  FN(stream_query, "cuStreamQuery", 2000, PFN_cuStreamQuery_v2000)                                                     \
  FN(wait_value, "cuStreamWaitValue64", 11070, PFN_cuStreamWaitValue64_v11070)                                         \
  FN(write_value, "cuStreamWriteValue64", 11070, PFN_cuStreamWriteValue64_v11070)                                      \
  FN(event_wait, "cuStreamWaitEvent", 3020, PFN_cuStreamWaitEvent_v3020)                                               \
  FN(event_create, "cuEventCreate", 2000, PFN_cuEventCreate_v2000)                                                     \
  FN(event_destroy, "cuEventDestroy", 4000, PFN_cuEventDestroy_v4000)                                                  \
  FN(event_record, "cuEventRecord", 2000, PFN_cuEventRecord_v2000)                                                     \
  FN(event_elapsed, "cuEventElapsedTime", 2000, PFN_cuEventElapsedTime_v2000)                                          \
  FN(copy, "cuMemcpyAsync", 4000, PFN_cuMemcpyAsync_v4000)                                                             \
  FN(module_load, "cuModuleLoadData", 2000, PFN_cuModuleLoadData_v2000)                                                \
  FN(module_unload, "cuModuleUnload", 2000, PFN_cuModuleUnload_v2000)                                                  \
  FN(module_function, "cuModuleGetFunction", 2000, PFN_cuModuleGetFunction_v2000)                                      \
  FN(launch, "cuLaunchKernel", 4000, PFN_cuLaunchKernel_v4000)                                                         \
  FN(reserve, "cuMemAddressReserve", 10020, PFN_cuMemAddressReserve_v10020)                                            \
  FN(unreserve, "cuMemAddressFree", 10020, PFN_cuMemAddressFree_v10020)                                                \
  FN(create, "cuMemCreate", 10020, PFN_cuMemCreate_v10020)                                                             \
  FN(release, "cuMemRelease", 10020, PFN_cuMemRelease_v10020)                                                          \
  FN(map, "cuMemMap", 10020, PFN_cuMemMap_v10020)                                                                      \
  FN(unmap, "cuMemUnmap", 10020, PFN_cuMemUnmap_v10020)                                                                \
  FN(set_access, "cuMemSetAccess", 10020, PFN_cuMemSetAccess_v10020)                                                   \
  FN(granularity, "cuMemGetAllocationGranularity", 10020, PFN_cuMemGetAllocationGranularity_v10020)

struct emuv_cuda_driver {
  void *library;
#define FN(member, name, version, type) type member;
  EMUV_CUDA_FUNCTIONS(FN)
#undef FN
  /* Copies of many pieces: one of them, or none. */
  PFN_cuMemcpyBatchAsync_v13000 copy_batch;
  PFN_cuMemcpyBatchAsync_v12080 copy_batch_12;
};

/* Loads and initialises the driver. EMUV_ERR_NODEV: none, too old, or it finds no GPU. */
int emuv_cuda_driver_open(struct emuv_cuda_driver *driver, struct emuv_err *err);
void emuv_cuda_driver_close(struct emuv_cuda_driver *driver);
/* "what: CUDA_ERROR_X (explanation)" with `code`. */
int emuv_cuda_driver_error(const struct emuv_cuda_driver *driver, int code, CUresult result, const char *what,
                           struct emuv_err *err);
/* PCIe generation and width, and the driver's version, as text: from NVML where it is there; "" = not known. */
void emuv_cuda_driver_describe(const struct emuv_cuda_driver *driver, CUdevice device, char *link, size_t link_size,
                               char *text, size_t text_size);

#endif
