// SPDX-License-Identifier: Apache-2.0
/* Memory of the device `host`: the arena that stands for VRAM, and host memory that stands for pinned memory. What this
 * machine does not have is refused when it is asked for, rather than killing somebody when it is touched.
 *
 * The submitting thread alone calls this. */
#include "runtime/device/host.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/core/units.h"

enum { MAX_THREADS = 32 };

#define TOUCH_BYTES_PER_THREAD (16ull << 20)
#define TOUCH_STEP 4096
#define STOP_STEP (4ull << 20) /* touched between two questions whether to stop */

uint64_t host_memory_available(uint64_t *total)
{
  char line[128];
  uint64_t kib, available = 0;
  *total = 0;
  FILE *file = fopen("/proc/meminfo", "re");
  if (!file) return 0;
  while (fgets(line, sizeof line, file)) {
    if (sscanf(line, "MemTotal: %" SCNu64, &kib) == 1) *total = kib << 10;
    if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1) available = kib << 10;
  }
  fclose(file);
  return available;
}

int host_memory_check(uint64_t bytes, const char *what, struct emuv_err *err)
{
  char asked[32], there[32];
  uint64_t total, available = host_memory_available(&total);
  if (total == 0 || bytes <= available) return EMUV_OK;
  return emuv_err_set(err, EMUV_ERR_NOMEM, "device host: %s of %s; this machine has %s of memory available", what,
                      emuv_units_human_bytes((double)bytes, asked, sizeof asked),
                      emuv_units_human_bytes((double)available, there, sizeof there));
}

static int arena_failed(struct emuv_err *err)
{
  return emuv_err_errno(err, EMUV_ERR_NOMEM, "device host: the arena cannot be allocated");
}

int host_memory_open(struct emuv_device *device, struct emuv_err *err)
{
  uint64_t bytes = device->env.n_frames * device->env.page_bytes;
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  if (emuv_inject_now(device->env.inject, EMUV_INJECT_DEVICE_NOMEM))
    return emuv_err_set(err, EMUV_ERR_NOMEM, "device host: the arena cannot be allocated (injected)");
  int rc = host_memory_check(bytes, "an arena", err);
  if (rc != EMUV_OK) return rc;
  if (device->env.mapping == EMUV_MAPPING_REMAP) {
    device->arena_fd = memfd_create("emuv-arena", MFD_CLOEXEC);
    if (device->arena_fd < 0 || ftruncate(device->arena_fd, (off_t)bytes) != 0) return arena_failed(err);
    flags = MAP_SHARED;
  }
  void *arena = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, device->arena_fd, 0);
  if (arena == MAP_FAILED) return arena_failed(err);
  device->arena = arena;
  return EMUV_OK;
}

static void free_allocation(struct host_allocation *allocation)
{
  munmap(allocation->memory, allocation->bytes);
  free(allocation);
}

static void free_peer(struct emuv_device *device)
{
  struct host_peer *p = &device->peer_memory;
  if (p->given) munmap(p->given, p->bytes);
  if (p->memory) munmap(p->memory, p->bytes);
  *p = (struct host_peer){0};
}

void host_memory_close(struct emuv_device *device)
{
  free_peer(device);
  while (device->allocations) {
    struct host_allocation *first = device->allocations;
    device->allocations = first->next;
    free_allocation(first);
  }
  if (device->arena) munmap(device->arena, device->env.n_frames * device->env.page_bytes);
  if (device->arena_fd >= 0) close(device->arena_fd);
}

struct part {
  uint8_t *from;
  uint64_t bytes;
  const struct emuv_device *device;
};

static void *touch_part(void *argument)
{
  struct part *part = argument;
  for (uint64_t i = 0; i < part->bytes; i += TOUCH_STEP) {
    if (i % STOP_STEP == 0 && host_is_stopped(part->device)) break;
    ((volatile uint8_t *)part->from)[i] = 0;
  }
  return NULL;
}

/* Pages of a fresh mapping are zeroed when they are first touched: by several threads, that is fast. */
static void touch(void *memory, uint64_t bytes, int threads, const struct emuv_device *device)
{
  pthread_t thread[MAX_THREADS];
  struct part parts[MAX_THREADS];
  uint64_t useful = 1 + bytes / TOUCH_BYTES_PER_THREAD, n = threads < 1 ? 1 : (uint64_t)threads;
  n = n > MAX_THREADS ? MAX_THREADS : n;
  n = n > useful ? useful : n;
  uint64_t step = (bytes / n + TOUCH_STEP - 1) / TOUCH_STEP * TOUCH_STEP;
  uint64_t started = 0;
  for (uint64_t i = 0; i < n; i++) {
    uint64_t from = i * step < bytes ? i * step : bytes, to = from + step < bytes ? from + step : bytes;
    parts[i] = (struct part){(uint8_t *)memory + from, to - from, device};
    if (i + 1 < n && pthread_create(&thread[started], NULL, touch_part, &parts[i]) == 0)
      started++;
    else
      touch_part(&parts[i]);
  }
  for (uint64_t i = 0; i < started; i++) pthread_join(thread[i], NULL);
}

int host_memory_alloc(struct emuv_device *device, uint64_t bytes, int threads, void **memory, bool *pinned,
                      struct emuv_err *err)
{
  *memory = NULL;
  *pinned = false;
  if (atomic_load(&device->lost)) return host_lost(device, err);
  if (emuv_inject_now(device->env.inject, EMUV_INJECT_HOST_NOMEM))
    return emuv_err_set(err, EMUV_ERR_NOMEM, "device host: host memory cannot be allocated (injected)");
  int rc = host_memory_check(bytes, "host memory", err);
  if (rc != EMUV_OK) return rc;
  struct host_allocation *allocation = malloc(sizeof *allocation);
  if (!allocation) return emuv_err_set(err, EMUV_ERR_NOMEM, "device host: out of memory");
  allocation->bytes = bytes > 0 ? bytes : TOUCH_STEP;
  allocation->memory =
      mmap(NULL, allocation->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (allocation->memory == MAP_FAILED) {
    free(allocation);
    return emuv_err_errno(err, EMUV_ERR_NOMEM, "device host: host memory cannot be allocated");
  }
  (void)madvise(allocation->memory, allocation->bytes, MADV_HUGEPAGE); /* faster where it is possible */
  touch(allocation->memory, allocation->bytes, threads, device);
  if (host_is_stopped(device)) {
    free_allocation(allocation);
    return emuv_err_set(err, EMUV_ERR_INTERRUPTED, "interrupted");
  }
  allocation->next = device->allocations;
  device->allocations = allocation;
  *memory = allocation->memory;
  *pinned = !emuv_inject_now(device->env.inject, EMUV_INJECT_PIN_REFUSED);
  return EMUV_OK;
}

int host_memory_peer_alloc(struct emuv_device *device, int index, uint64_t bytes, void **memory, struct emuv_err *err)
{
  struct host_peer *p = &device->peer_memory;
  *memory = NULL;
  if (index < 0 || index > HOST_LENDER)
    return emuv_err_set(err, EMUV_ERR_NODEV, "device host: there is no GPU number %d", index);
  if (p->given) return emuv_err_set(err, EMUV_ERR_NOMEM, "device host: memory of another GPU is allocated once");
  if (emuv_inject_now(device->env.inject, EMUV_INJECT_PEER_NOMEM))
    return emuv_err_set(err, EMUV_ERR_NOMEM, "device host: the other GPU's memory cannot be allocated (injected)");
  int rc = host_memory_check(bytes, "another GPU's memory", err);
  if (rc != EMUV_OK) return rc;
  void *given = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  void *real = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  *p = (struct host_peer){given == MAP_FAILED ? NULL : given, real == MAP_FAILED ? NULL : real, bytes};
  *memory = p->given;
  if (p->given && p->memory) return EMUV_OK;
  rc = emuv_err_errno(err, EMUV_ERR_NOMEM, "device host: another GPU's memory cannot be allocated");
  free_peer(device);
  *memory = NULL;
  return rc;
}

int host_memory_peer_copy(struct emuv_device *device, void *to, const void *from, uint64_t bytes, struct emuv_err *err)
{
  if (atomic_load(&device->lost)) return host_lost(device, err);
  memcpy(host_memory_at(device, to), host_memory_at(device, from), bytes);
  return EMUV_OK;
}

void host_memory_free(struct emuv_device *device, void *memory)
{
  if (memory && memory == device->peer_memory.given) free_peer(device);
  for (struct host_allocation **at = &device->allocations; *at; at = &(*at)->next)
    if ((*at)->memory == memory) {
      struct host_allocation *found = *at;
      *at = found->next;
      free_allocation(found);
      return;
    }
}
