// SPDX-License-Identifier: Apache-2.0
/* A stand-in for the Sanitizer API, for one test program (it defines emuv_sanitizer_load, which the library calls
 * instead of its own). "Device" memory is the heap; what patches do on the GPU (pages_patch.cu) is played by touch(),
 * through the map, the descriptors and the log that the library has made. */
#ifndef EMUV_TESTS_STAND_IN_SANITIZER_H
#define EMUV_TESTS_STAND_IN_SANITIZER_H

#include "tracer/inject/sanitizer_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern const unsigned long long emuv_pages_patches[1];
const unsigned long long emuv_pages_patches[1] = {0};

enum { READ = EMUV_TRACE_ACCESS_READ, WRITE = EMUV_TRACE_ACCESS_WRITE };

static Sanitizer_CallbackFunc callback;
static SanitizerResult subscribe_result, patch_result;
static const struct emuv_pages_launch *data; /* what the launch's patches are given */
static int device_reads;
static bool device_is_gone;

static SanitizerResult fake_subscribe(Sanitizer_SubscriberHandle *handle, Sanitizer_CallbackFunc function, void *user)
{
  (void)handle, (void)user;
  callback = function;
  return subscribe_result;
}

static SanitizerResult fake_synchronize(Sanitizer_StreamHandle stream)
{
  return (void)stream, SANITIZER_SUCCESS;
}

static SanitizerResult fake_unsubscribe(Sanitizer_SubscriberHandle handle)
{
  return (void)handle, SANITIZER_SUCCESS;
}

static SanitizerResult fake_enable_domain(uint32_t on, Sanitizer_SubscriberHandle s, Sanitizer_CallbackDomain d)
{
  (void)on, (void)s, (void)d;
  return SANITIZER_SUCCESS;
}

static SanitizerResult fake_add_patches(const void *image, CUcontext context)
{
  (void)context;
  return image == emuv_pages_patches ? SANITIZER_SUCCESS : SANITIZER_ERROR_INVALID_PARAMETER;
}

static SanitizerResult fake_patch_instructions(const Sanitizer_InstructionId id, CUmodule module, const char *name)
{
  (void)id, (void)module;
  return strncmp(name, "emuv_pages_", 11) == 0 ? SANITIZER_SUCCESS : SANITIZER_ERROR_INVALID_PARAMETER;
}

static SanitizerResult fake_patch_module(CUmodule module)
{
  (void)module;
  return patch_result;
}

static SanitizerResult fake_set_data(Sanitizer_LaunchHandle launch, CUfunction kernel, Sanitizer_StreamHandle stream,
                                     const void *userdata)
{
  (void)launch, (void)kernel, (void)stream;
  data = userdata;
  return SANITIZER_SUCCESS;
}

static SanitizerResult fake_alloc(CUcontext context, void **p, size_t bytes)
{
  (void)context;
  *p = malloc(bytes);
  return *p ? SANITIZER_SUCCESS : SANITIZER_ERROR_OUT_OF_MEMORY;
}

static SanitizerResult fake_memset(void *p, int value, size_t bytes, Sanitizer_StreamHandle stream)
{
  (void)stream;
  memset(p, value, bytes);
  return SANITIZER_SUCCESS;
}

static SanitizerResult fake_to_device(void *to, void *from, size_t bytes, Sanitizer_StreamHandle stream)
{
  (void)stream;
  memcpy(to, from, bytes);
  return SANITIZER_SUCCESS;
}

static SanitizerResult fake_to_host(void *to, void *from, size_t bytes, Sanitizer_StreamHandle stream)
{
  (void)stream;
  device_reads++;
  if (device_is_gone) return SANITIZER_ERROR_INVALID_CONTEXT;
  memcpy(to, from, bytes);
  return SANITIZER_SUCCESS;
}

static SanitizerResult fake_result_string(SanitizerResult result, const char **text)
{
  *text = result == SANITIZER_SUCCESS ? "success" : "made-up failure";
  return SANITIZER_SUCCESS;
}

int emuv_sanitizer_load(struct emuv_sanitizer_api *api, struct emuv_err *err)
{
  (void)err;
  *api = (struct emuv_sanitizer_api){.sanitizerSubscribe = fake_subscribe,
                                     .sanitizerUnsubscribe = fake_unsubscribe,
                                     .sanitizerEnableDomain = fake_enable_domain,
                                     .sanitizerAddPatches = fake_add_patches,
                                     .sanitizerPatchInstructions = fake_patch_instructions,
                                     .sanitizerPatchModule = fake_patch_module,
                                     .sanitizerSetLaunchCallbackData = fake_set_data,
                                     .sanitizerAlloc = fake_alloc,
                                     .sanitizerAllocHost = fake_alloc,
                                     .sanitizerMemset = fake_memset,
                                     .sanitizerMemcpyHostToDeviceAsync = fake_to_device,
                                     .sanitizerMemcpyDeviceToHost = fake_to_host,
                                     .sanitizerStreamSynchronize = fake_synchronize,
                                     .sanitizerGetResultString = fake_result_string};
  return 0;
}

/* ---- the device ---- */

static void append(struct emuv_pages_log *log, uint64_t entry)
{
  volatile uint64_t *slot = (uint64_t *)(uintptr_t)log->entries + (log->count++ & (log->capacity - 1));
  assert_true(*slot == 0); /* there is room */
  *slot = entry;
}

/* One access of a launch, as a patch handles it. */
static void touch_for(const struct emuv_pages_launch *l, uint64_t address, uint32_t access)
{
  struct emuv_pages_log *const log = (struct emuv_pages_log *)(uintptr_t)l->log;
  const uint64_t *const directory = (const uint64_t *)(uintptr_t)l->directory;
  const uint64_t page = address >> l->shift << EMUV_PAGES_ENTRY_PAGE_SHIFT;
  const uint64_t in_chunk = address & ((UINT64_C(1) << EMUV_PAGES_CHUNK_BITS) - 1);
  uint32_t *words = (uint32_t *)(uintptr_t)directory[address >> EMUV_PAGES_CHUNK_BITS];
  const uint64_t number = l->number & EMUV_PAGES_ENTRY_LAUNCH;
  if (!words) {
    append(log, page | EMUV_PAGES_ENTRY_OUTSIDE | number);
    return;
  }
  words += 2 * (in_chunk >> l->shift);
  if (access & READ && words[0] != l->number) append(log, page | number);
  if (access & WRITE && words[1] != l->number) append(log, page | EMUV_PAGES_ENTRY_WRITE | number);
  if (access & READ) words[0] = l->number;
  if (access & WRITE) words[1] = l->number;
}

static void touch(uint64_t address, uint32_t access)
{
  touch_for(data, address, access);
}

#endif
