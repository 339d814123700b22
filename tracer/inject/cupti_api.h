// SPDX-License-Identifier: Apache-2.0
/* The functions of CUPTI and of the CUDA driver that the capture calls, found at run time: the library is loaded into
 * processes with any CUDA, and must bring none of its own. Headers come from the toolkit; a function that the process's
 * version lacks is NULL. Filled once before anything else, read by all threads. */
#ifndef EMUV_INJECT_CUPTI_API_H
#define EMUV_INJECT_CUPTI_API_H

#include "runtime/core/err.h"

#include <cuda.h>
#include <cupti.h>

/* name, required */
#define EMUV_CUPTI_FUNCTIONS(X)                                                                                        \
  X(cuptiActivityDisable, 1)                                                                                           \
  X(cuptiActivityEnable, 1)                                                                                            \
  X(cuptiActivityFlushAll, 1)                                                                                          \
  X(cuptiActivityGetNextRecord, 1)                                                                                     \
  X(cuptiActivityGetNumDroppedRecords, 1)                                                                              \
  X(cuptiActivityRegisterCallbacks, 1)                                                                                 \
  X(cuptiActivitySetAttribute, 0)                                                                                      \
  X(cuptiEnableCallback, 1)                                                                                            \
  X(cuptiGetGraphNodeId, 0)                                                                                            \
  X(cuptiGetDeviceId, 1)                                                                                               \
  X(cuptiGetResultString, 1)                                                                                           \
  X(cuptiGetStreamIdEx, 0)                                                                                             \
  X(cuptiGetTimestamp, 1)                                                                                              \
  X(cuptiGetVersion, 1)                                                                                                \
  X(cuptiSubscribe, 1)                                                                                                 \
  X(cuptiUnsubscribe, 1)

#define EMUV_DRIVER_FUNCTIONS(X)                                                                                       \
  X(cuDeviceGetAttribute)                                                                                              \
  X(cuDeviceGetName)                                                                                                   \
  X(cuDeviceTotalMem_v2)                                                                                               \
  X(cuDriverGetVersion)                                                                                                \
  X(cuFuncGetName)                                                                                                     \
  X(cuFuncGetAttribute)                                                                                                \
  X(cuFuncGetParamInfo)                                                                                                \
  X(cuGraphChildGraphNodeGetGraph)                                                                                     \
  X(cuGraphGetEdges_v2)                                                                                                \
  X(cuGraphGetNodes)                                                                                                   \
  X(cuGraphKernelNodeGetAttribute)                                                                                     \
  X(cuGraphKernelNodeGetParams_v2)                                                                                     \
  X(cuGraphMemAllocNodeGetParams)                                                                                      \
  X(cuGraphMemFreeNodeGetParams)                                                                                       \
  X(cuGraphMemcpyNodeGetParams)                                                                                        \
  X(cuGraphMemsetNodeGetParams)                                                                                        \
  X(cuGraphNodeGetType)                                                                                                \
  X(cuKernelGetName)                                                                                                   \
  X(cuKernelGetAttribute)                                                                                              \
  X(cuKernelGetParamInfo)                                                                                              \
  X(cuMemGetAddressRange_v2)                                                                                           \
  X(cuMemGetAllocationPropertiesFromHandle)                                                                            \
  X(cuStreamIsCapturing)                                                                                               \
  X(cuTensorMapEncodeTiled)

struct emuv_cupti_api {
#define EMUV_DECLARE_CUPTI(name, required) __typeof__(name) *name;
#define EMUV_DECLARE_DRIVER(name) __typeof__(name) *name;
  EMUV_CUPTI_FUNCTIONS(EMUV_DECLARE_CUPTI)
  EMUV_DRIVER_FUNCTIONS(EMUV_DECLARE_DRIVER)
#undef EMUV_DECLARE_CUPTI
#undef EMUV_DECLARE_DRIVER
};

/* Loads both libraries (neither is ever unloaded). EMUV_ERR_NODEV with a hint when one is not there,
 * EMUV_ERR_UNSUPPORTED when it lacks what is needed. */
int emuv_cupti_load(struct emuv_cupti_api *api, struct emuv_err *err);

#endif
