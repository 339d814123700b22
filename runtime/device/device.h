// SPDX-License-Identifier: Apache-2.0
/* Devices: what has VRAM, copy engines and a compute stream. A device is one file ending in a const vtable and one line
 * in devices.def: `cuda` (a GPU through the driver API, loaded at run time) and `host` (threads and memory of this
 * machine with a modelled link, for machines without a GPU).
 *
 * VRAM is an arena of frames of one page each. Work is put on streams. Each stream runs its work in order and has a
 * sequence number: 1 for the first piece of work, and so on. Work says what it comes after as one number per stream
 * (struct emuv_after), so a device needs to know nothing of pages' hazards. The two disk streams are the exception: the
 * caller runs them and publishes their progress with disk_done; the device's streams wait for them like for any other.
 * Reads and writes have a stream each because reads overtake writes there.
 *
 * Once a device has failed (a GPU that fell off the bus), every call that can fail returns EMUV_ERR_IO, work that is
 * left is given up, waits return when nothing touches its memory any more, and close gives everything back.
 *
 * No globals, no exits, no prints; several devices may be open in one process, and the calling thread's current CUDA
 * context is left as it was. One thread submits at a time; done, disk_done and fail may be called from any thread. */
#ifndef EMUV_DEVICE_DEVICE_H
#define EMUV_DEVICE_DEVICE_H

#include "runtime/core/err.h"
#include "runtime/core/inject.h"
#include "runtime/core/option.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum emuv_stream {
  EMUV_STREAM_COMPUTE,
  EMUV_STREAM_UP,     /* RAM to VRAM */
  EMUV_STREAM_STAGED, /* the same of pages that come from the disk, or from another GPU: neither holds up the other */
  EMUV_STREAM_DOWN,   /* VRAM to RAM */
  EMUV_STREAM_DISK_READ,  /* run by the caller: disk to RAM */
  EMUV_STREAM_DISK_WRITE, /* run by the caller: RAM to disk */
  EMUV_N_STREAMS,
};

/* Work starts when each stream has finished work number seq[stream]; 0 = does not matter. */
struct emuv_after {
  uint64_t seq[EMUV_N_STREAMS];
};

enum emuv_mapping {
  EMUV_MAPPING_TABLE, /* kernels look up each page's frame in a table in device memory */
  EMUV_MAPPING_REMAP, /* each page has an address of its own, under which its frame is mapped (CUDA VMM) */
};

struct emuv_device_env {
  int index;           /* which GPU, from 0 */
  uint64_t page_bytes; /* a multiple of 4096; with EMUV_MAPPING_REMAP a multiple of the device's granularity (2 MiB) */
  uint32_t n_pages;    /* page numbers are below this */
  uint32_t n_frames;   /* frames of the arena: the hard cap of VRAM is n_frames * page_bytes */
  enum emuv_mapping mapping;
  struct emuv_curve up, down; /* host: modelled speed of the link by copy size; an empty curve (n = 0) takes no time */
  struct emuv_curve peer;     /* host: the same of the link to memory of peer_alloc, either way */
  double time_scale;          /* host: kernels take this share of their duration; 0 = 1 */
  struct emuv_inject *inject; /* faults on purpose, or NULL */
  bool (*stopped)(void *arg); /* host: when this says so, the device gives up as if lost, but with the error
                                 EMUV_ERR_INTERRUPTED; called from any thread; may be NULL */
  void *stopped_arg;
};

/* What a kernel does with a page. */
enum emuv_touch_flag {
  EMUV_TOUCH_READ = 1,
  EMUV_TOUCH_WRITE = 2,    /* leaves the contents of version + 1 */
  EMUV_TOUCH_CHECK = 4,    /* compares what it reads with the contents of `version`: every 64-bit word */
  EMUV_TOUCH_IN_PLACE = 8, /* the page is read where it lies in pinned host memory: `host` instead of `frame` */
};

struct emuv_touch {
  uint32_t page, version, frame, flags;
  uint64_t offset, bytes; /* the part that is touched; multiples of 16, or the whole page for a write */
  const void *host;       /* EMUV_TOUCH_IN_PLACE: memory of host_alloc */
};

/* One kernel. No page stands in it twice. It takes at least duration_ns from its start, longer when the touches do. */
struct emuv_kernel {
  const struct emuv_touch *touch; /* borrowed for the call */
  uint32_t n_touches;
  double duration_ns;
};

/* One page, or a part of it, between a frame and pinned host memory. Pieces that adjoin on both sides may be merged. */
struct emuv_copy {
  uint32_t frame;
  uint64_t offset, bytes; /* within the frame */
  void *host;
};

/* Found by a kernel that checks: the first wrong word of a page, or of each part of it that a group of the kernel's
 * threads has read; expected and found are that word. */
struct emuv_mismatch {
  uint32_t page, version;
  uint64_t offset, expected, found;
  uint64_t kernel; /* sequence number on EMUV_STREAM_COMPUTE */
};

/* When work ran, in nanoseconds of CLOCK_MONOTONIC. */
struct emuv_span {
  double start_ns, end_ns;
};

struct emuv_device_info {
  char name[64], link[64], driver[64];
  uint64_t total_bytes, free_bytes;
  int n_devices;
};

/* What the mechanisms cost, since open. */
struct emuv_device_costs {
  uint64_t maps, unmaps, table_updates;
  double map_ns, unmap_ns; /* host time in the driver's calls */
  double wait_ns;          /* host time spent waiting for work before an unmap */
  uint64_t copies, pieces; /* calls and what they moved in separate pieces after merging */
  uint64_t launches;
};

struct emuv_device; /* opaque; its first member is `const struct emuv_device_ops *ops` (struct emuv_device_head) */

struct emuv_device_head {
  const struct emuv_device_ops *ops;
};

struct emuv_device_ops {
  const char *name;
  const char *summary;
  /* EMUV_ERR_NODEV: no such device, no driver. Does not allocate. */
  int (*probe)(int index, struct emuv_device_info *info, struct emuv_err *err);
  /* Allocates arena and streams. EMUV_ERR_NODEV, EMUV_ERR_NOMEM (device memory), EMUV_ERR_RANGE (page size, no pages or
   * no frames). */
  int (*open)(const struct emuv_device_env *env, struct emuv_device **device, struct emuv_err *err);
  void (*close)(struct emuv_device *device); /* waits for all work; gives everything back */
  /* Host memory that copies run from at full speed: touched by several threads, then pinned. *pinned false: pinning was
   * refused and the memory is pageable (copies still work, slower, and may wait for what they come after).
   * EMUV_ERR_NOMEM. */
  int (*host_alloc)(struct emuv_device *device, uint64_t bytes, int threads, void **memory, bool *pinned,
                    struct emuv_err *err);
  void (*host_free)(struct emuv_device *device, void *memory);
  /* Puts n copies on EMUV_STREAM_UP, _STAGED or _DOWN as one piece of work; *seq is its number. Does not wait, except
   * when too much is in flight. EMUV_ERR_RANGE: outside the arena, or after work that was not submitted (also launch);
   * EMUV_ERR_IO. A call that fails submits nothing: it may be tried again. */
  int (*copy)(struct emuv_device *device, enum emuv_stream stream, const struct emuv_copy *copies, uint32_t n,
              const struct emuv_after *after, uint64_t *seq, struct emuv_err *err);
  /* Puts a kernel on EMUV_STREAM_COMPUTE. With EMUV_MAPPING_REMAP it maps the pages first, which may wait. */
  int (*launch)(struct emuv_device *device, const struct emuv_kernel *kernel, const struct emuv_after *after,
                uint64_t *seq, struct emuv_err *err);
  /* Number of the last piece of work that has finished, all before it too. Cheap: reads memory. When the device has
   * failed, work that was given up counts as finished: wait tells. */
  uint64_t (*done)(struct emuv_device *device, enum emuv_stream stream);
  /* Work of a disk stream up to `seq` has finished: releases what waits for it. */
  void (*disk_done)(struct emuv_device *device, enum emuv_stream stream, uint64_t seq);
  /* Blocks until `seq` has finished. Returns the error of the device if it has failed (EMUV_ERR_IO); EMUV_ERR_RANGE
   * when no such work was submitted. */
  int (*wait)(struct emuv_device *device, enum emuv_stream stream, uint64_t seq, struct emuv_err *err);
  /* Releases every wait for the disk, so that wait and close return: something outside the device has failed. */
  void (*fail)(struct emuv_device *device);
  /* When a finished piece of work ran; false when it is not known any more (the last 4096 of a stream are) or
   * unfinished.
   */
  bool (*span)(struct emuv_device *device, enum emuv_stream stream, uint64_t seq, struct emuv_span *span);
  /* Takes at most max mismatches that finished kernels have reported; *total counts all, reported and dropped. */
  uint32_t (*mismatches)(struct emuv_device *device, struct emuv_mismatch *out, uint32_t max, uint64_t *total);
  /* Inverts bits of a 64-bit word of a frame, behind everything submitted and before everything to come (waits). */
  int (*flip)(struct emuv_device *device, uint32_t frame, uint64_t offset, uint64_t bits, struct emuv_err *err);
  void (*costs)(struct emuv_device *device, struct emuv_device_costs *costs);
  /* Memory of GPU number `index` in place of host memory: copies and kernels that read in place take it like that of
   * host_alloc, host_free gives it back, but the CPU cannot reach it. `index` may be the device's own. NULL: the device
   * has no such memory. EMUV_ERR_NODEV (no such GPU, or no direct way to it), EMUV_ERR_NOMEM. */
  int (*peer_alloc)(struct emuv_device *device, int index, uint64_t bytes, void **memory, struct emuv_err *err);
  /* Copies between memory of peer_alloc and host memory of any kind, either way; waits. Not NULL where peer_alloc is
   * not. Work that concerns either must have finished. EMUV_ERR_IO. */
  int (*peer_copy)(struct emuv_device *device, void *to, const void *from, uint64_t bytes, struct emuv_err *err);
};

extern const struct emuv_device_ops *const emuv_devices[]; /* NULL-terminated, in the order of devices.def */
const struct emuv_device_ops *emuv_device_find(const char *name);
const char *const *emuv_device_names(void);
static inline const struct emuv_device_ops *emuv_device_ops(const struct emuv_device *device)
{
  return ((const struct emuv_device_head *)(const void *)device)->ops;
}

#endif
