// SPDX-License-Identifier: Apache-2.0
/* What runs before each memory access of a patched kernel: see pages_device.h. Compiled with --compile-as-tools-patch;
 * the signatures are the Sanitizer API's (sanitizer_patching.h). */
#include "tracer/inject/pages_device.h"

#include <sanitizer_patching.h>

static __device__ __forceinline__ uint32_t load_l2(const uint32_t *p)
{
  uint32_t v;
  asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
  return v;
}

static __device__ __forceinline__ uint32_t load_host(const uint32_t *p)
{
  uint32_t v;
  asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
  return v;
}

static __device__ __forceinline__ uint64_t clock_ns()
{
  uint64_t t;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
  return t;
}

/* True when entry i has room, which may have to be made by the host first. */
static __device__ __noinline__ bool wait_for_room(struct emuv_pages_log *log, uint32_t i)
{
  struct emuv_pages_control *control = (struct emuv_pages_control *)log->control;
  const uint64_t start = clock_ns();
  for (;;) {
    const uint32_t limit = load_host(&control->tail) + log->capacity;
    if ((int32_t)(i - limit) < 0) {
      *(volatile uint32_t *)&log->limit = limit;
      return true;
    }
    if (load_host(&control->dead)) return false;
    if (clock_ns() - start > EMUV_PAGES_WAIT_NS) {
      *(volatile uint32_t *)&control->dead = 1;
      return false;
    }
    __nanosleep(2000);
  }
}

static __device__ void append(struct emuv_pages_log *log, uint64_t entry)
{
  const uint32_t i = atomicAdd(&log->count, 1);
  if ((int32_t)(i - load_l2(&log->limit)) >= 0 && !wait_for_room(log, i)) {
    atomicAdd(&log->dropped, 1);
    return;
  }
  uint64_t *slot = (uint64_t *)log->entries + (i & (log->capacity - 1));
  asm volatile("st.relaxed.sys.global.u64 [%0], %1;" ::"l"(slot), "l"(entry) : "memory");
}

/* One thread of those that share the word does the work. */
static __device__ __forceinline__ void mark(const struct emuv_pages_launch *launch, uint32_t *word, uint64_t entry)
{
  const uint32_t peers = __match_any_sync(__activemask(), (unsigned long long)word);
  uint32_t lane;
  asm("mov.u32 %0, %%laneid;" : "=r"(lane));
  if (lane != (uint32_t)__ffs((int)peers) - 1) return;
  if (load_l2(word) == launch->number) return;
  if (atomicExch(word, launch->number) == launch->number) return;
  append((struct emuv_pages_log *)launch->log, entry | (launch->number & EMUV_PAGES_ENTRY_LAUNCH));
}

enum { ASYNC = 0x100 }; /* among the flags */

/* words: those of the page, NULL when the address has no chunk. need: flags whose word has another number. */
static __device__ __noinline__ SanitizerPatchResult mark_page(const struct emuv_pages_launch *launch, uint32_t *words,
                                                              uint64_t page, uint32_t need)
{
  const uint64_t entry = page << EMUV_PAGES_ENTRY_PAGE_SHIFT | (need & ASYNC ? EMUV_PAGES_ENTRY_ASYNC : 0);
  if (!words && need & ASYNC) return SANITIZER_PATCH_SUCCESS;
  if (!words)
    mark(launch, &((struct emuv_pages_log *)launch->log)->outside, entry | EMUV_PAGES_ENTRY_OUTSIDE);
  else if (need & SANITIZER_MEMORY_DEVICE_FLAG_READ)
    mark(launch, words, entry);
  if (words && need & SANITIZER_MEMORY_DEVICE_FLAG_WRITE) mark(launch, words + 1, entry | EMUV_PAGES_ENTRY_WRITE);
  return SANITIZER_PATCH_SUCCESS;
}

/* Nearly every access ends here without a call: the page's words, which the SM has in its cache, have the number. */
static __device__ __forceinline__ SanitizerPatchResult touch(const struct emuv_pages_launch *launch, uint64_t address,
                                                             uint32_t flags)
{
  const uint64_t in_chunk = address & ((UINT64_C(1) << EMUV_PAGES_CHUNK_BITS) - 1);
  uint32_t *words = NULL;
  uint64_t chunk = 0;
  if (address >> EMUV_PAGES_ADDRESS_BITS == 0)
    chunk = ((const uint64_t *)launch->directory)[address >> EMUV_PAGES_CHUNK_BITS];
  if (chunk) {
    words = (uint32_t *)chunk + 2 * (in_chunk >> launch->shift);
    const uint2 seen = *(const uint2 *)words; /* an old value of this SM's cache costs a second look */
    const uint32_t need = flags & ((seen.x != launch->number ? SANITIZER_MEMORY_DEVICE_FLAG_READ : 0u) |
                                   (seen.y != launch->number ? SANITIZER_MEMORY_DEVICE_FLAG_WRITE : 0u));
    if (!need) return SANITIZER_PATCH_SUCCESS;
    flags = need | (flags & ASYNC);
  }
  return mark_page(launch, words, address >> launch->shift, flags);
}

static __device__ __noinline__ void touch_range(const struct emuv_pages_launch *launch, uint64_t address,
                                                uint64_t bytes, uint32_t flags)
{
  const uint64_t step = UINT64_C(1) << launch->shift, end = address + bytes;
  for (uint64_t a = address; a < end; a = (a & ~(step - 1)) + step) touch(launch, a, flags);
}

extern "C" __device__ __noinline__ SanitizerPatchResult emuv_pages_access(void *data, uint64_t, void *address, uint32_t,
                                                                          uint32_t flags, const void *)
{
  if (!data || flags & SANITIZER_MEMORY_DEVICE_FLAG_PREFETCH) return SANITIZER_PATCH_SUCCESS;
  if (flags & SANITIZER_MEMORY_DEVICE_FLAG_ATOMSYS)
    flags |= SANITIZER_MEMORY_DEVICE_FLAG_READ | SANITIZER_MEMORY_DEVICE_FLAG_WRITE;
  return touch((const struct emuv_pages_launch *)data, (uint64_t)address, flags);
}

extern "C" __device__ __noinline__ SanitizerPatchResult emuv_pages_copy_async(void *data, uint64_t, void *source,
                                                                              uint32_t, uint32_t)
{
  if (!data) return SANITIZER_PATCH_SUCCESS;
  return touch((const struct emuv_pages_launch *)data, (uint64_t)source, SANITIZER_MEMORY_DEVICE_FLAG_READ | ASYNC);
}

extern "C" __device__ __noinline__ SanitizerPatchResult emuv_pages_bulk_load(void *data, uint64_t, uint64_t source,
                                                                             uint32_t, uint32_t, uint32_t blocks,
                                                                             uint32_t)
{
  if (data)
    touch_range((const struct emuv_pages_launch *)data, source, (uint64_t)(blocks & 0xffff) * 16,
                SANITIZER_MEMORY_DEVICE_FLAG_READ);
  return SANITIZER_PATCH_SUCCESS;
}

extern "C" __device__ __noinline__ SanitizerPatchResult emuv_pages_bulk_store(void *data, uint64_t, uint64_t target,
                                                                              uint32_t, uint32_t blocks)
{
  if (data)
    touch_range((const struct emuv_pages_launch *)data, target, (uint64_t)blocks * 16,
                SANITIZER_MEMORY_DEVICE_FLAG_WRITE);
  return SANITIZER_PATCH_SUCCESS;
}

extern "C" __device__ __noinline__ SanitizerPatchResult emuv_pages_bulk_reduce(void *data, uint64_t, uint64_t target,
                                                                               uint32_t, uint32_t blocks)
{
  if (data)
    touch_range((const struct emuv_pages_launch *)data, target, (uint64_t)blocks * 16,
                SANITIZER_MEMORY_DEVICE_FLAG_READ | SANITIZER_MEMORY_DEVICE_FLAG_WRITE);
  return SANITIZER_PATCH_SUCCESS;
}
