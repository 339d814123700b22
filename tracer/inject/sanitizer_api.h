// SPDX-License-Identifier: Apache-2.0
/* The Sanitizer API as the page capture uses it: found at run time in libsanitizer-public.so, so that nothing of CUDA
 * is linked. A table of pointers, filled once; then const. */
#ifndef EMUV_INJECT_SANITIZER_API_H
#define EMUV_INJECT_SANITIZER_API_H

#include "runtime/core/err.h"

#include <sanitizer.h>

#define EMUV_SANITIZER_FUNCTIONS(X)                                                                                    \
  X(sanitizerSubscribe)                                                                                                \
  X(sanitizerUnsubscribe)                                                                                              \
  X(sanitizerEnableCallback)                                                                                           \
  X(sanitizerEnableDomain)                                                                                             \
  X(sanitizerAddPatches)                                                                                               \
  X(sanitizerPatchInstructions)                                                                                        \
  X(sanitizerPatchModule)                                                                                              \
  X(sanitizerSetLaunchCallbackData)                                                                                    \
  X(sanitizerAlloc)                                                                                                    \
  X(sanitizerAllocHost)                                                                                                \
  X(sanitizerMemset)                                                                                                   \
  X(sanitizerMemcpyHostToDeviceAsync)                                                                                  \
  X(sanitizerMemcpyDeviceToHost)                                                                                       \
  X(sanitizerStreamSynchronize)                                                                                        \
  X(sanitizerGetResultString)

struct emuv_sanitizer_api {
#define EMUV_DECLARE(name) __typeof__(name) *name;
  EMUV_SANITIZER_FUNCTIONS(EMUV_DECLARE)
#undef EMUV_DECLARE
};

/* EMUV_SANITIZER_LIBRARY names the file; without it, looks beside this library, where the loader looks, in $CUDA_HOME
 * and /usr/local/cuda (compute-sanitizer), and beside the process's CUDA runtime (pip's packages). Never unloaded.
 * EMUV_ERR_NODEV with a hint when it is not there, EMUV_ERR_UNSUPPORTED when it lacks a function. */
int emuv_sanitizer_load(struct emuv_sanitizer_api *api, struct emuv_err *err);

#endif
