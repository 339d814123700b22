// SPDX-License-Identifier: Apache-2.0
/* Inside of the device `cuda`; private to runtime/device/cuda*.c.
 *
 * Progress: the last number of each stream stands in pinned host memory (struct emuv_touch_shared): kernels write it
 * themselves, behind copies the stream writes it (cuStreamWriteValue64), and disk_done stores those of the disk. The
 * host reads nothing else, so no thread that looks at progress can be held up by one that submits. Streams wait for the
 * disk on its words and for each other by events, which cost a tenth of a microsecond each where a wait for a word
 * costs a whole one, and more on the GPU; what is already there is not waited for. Work is submitted in an order in
 * which everything comes after what it waits for, so streams that share a hardware queue cannot block each other for
 * good.
 *
 * The device's primary context is current only while a call runs. All but done, disk_done and fail belong to one thread
 * at a time. */
#ifndef EMUV_DEVICE_CUDA_H
#define EMUV_DEVICE_CUDA_H

#include "runtime/device/cuda_driver.h"
#include "runtime/device/device.h"
#include "runtime/device/touch.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
  EMUV_CUDA_SPANS = 4096,     /* copies of a stream whose times are kept; a power of two */
  EMUV_CUDA_IN_FLIGHT = 2048, /* pieces of work of a stream at most; half of the above: times outlive completion */
  EMUV_CUDA_LISTS = 16,       /* launches in flight whose touches do not fit into arguments */
};

/* What is kept of a copy, to tell later when it ran. */
struct emuv_cuda_work {
  double submit_ns;
  uint64_t bytes;
  struct emuv_after after; /* what had not finished then */
  CUevent mark;            /* records when the copy ended, if `marked` */
  bool marked;
};

struct emuv_cuda_stream {
  CUstream stream;
  uint64_t last;                       /* number of the last submitted work */
  CUevent *event;                      /* [EMUV_CUDA_SPANS]: recorded behind each work; other streams wait for it */
  struct emuv_cuda_work *work;         /* [EMUV_CUDA_SPANS]; this and the rest are for copies alone */
  struct emuv_span *span;              /* [EMUV_CUDA_SPANS] */
  uint64_t resolved;                   /* spans are known up to this work */
  uint64_t unmarked_bytes, n_unmarked; /* since the last mark */
  double ns_per_byte;                  /* as of late */
};

/* Memory of host_alloc or peer_alloc. */
struct emuv_cuda_host {
  struct emuv_cuda_host *next;
  char *memory;
  uint64_t bytes, mapped_bytes;
  CUdeviceptr address; /* on the GPU; 0 when not pinned */
  bool pinned;
  CUcontext peer; /* that it was allocated in, retained; NULL: host memory */
  CUdevice peer_device;
};

/* %globaltimer and events in CLOCK_MONOTONIC: known at one moment each, renewed now and then. */
struct emuv_cuda_clock {
  CUstream stream;
  CUevent base[2], after; /* base[current] counts */
  int current;
  uint64_t origin;       /* %globaltimer; all others are counted from here */
  double offset_ns;      /* CLOCK_MONOTONIC minus %globaltimer */
  double base_ns;        /* %globaltimer at `base` */
  double measured_ns;    /* when: CLOCK_MONOTONIC */
  double uncertainty_ns; /* of offset_ns: half of the tightest bracket */
};

/* EMUV_MAPPING_REMAP. */
struct emuv_cuda_remap {
  CUmemGenericAllocationHandle *handle; /* by frame; 0 = none */
  CUdeviceptr pages;                    /* address of page 0 */
  uint64_t *used;                       /* by page: last kernel that used its mapping */
  uint32_t *place;                      /* scratch: pages to be mapped by a launch, n_pages */
};

struct emuv_device {
  struct emuv_device_head head;
  struct emuv_device_env env;
  struct emuv_cuda_driver cu;
  CUdevice device;
  CUcontext context;
  bool retained;
  CUmodule module;
  CUfunction few, some, many, list, clock_kernel;
  uint32_t max_warps; /* of a launch */
  struct emuv_cuda_stream stream[EMUV_N_STREAMS];
  struct emuv_touch_shared *shared; /* pinned */
  CUdeviceptr shared_address;
  CUdeviceptr state, table, draft; /* device memory; table 0 with EMUV_MAPPING_REMAP */
  CUdeviceptr arena;               /* frame 0 */
  uint32_t *frame_of;              /* by page: what the table or the mapping says; UINT32_MAX = nothing */
  struct emuv_cuda_remap remap;
  struct emuv_cuda_host *hosts;
  struct emuv_touch_entry *lists;      /* pinned, [EMUV_CUDA_LISTS][EMUV_TOUCH_LIST] */
  CUdeviceptr lists_address;           /* device memory of the same shape */
  uint64_t list_user[EMUV_CUDA_LISTS]; /* kernel that reads it */
  uint32_t next_list;
  CUstream list_stream;
  CUevent list_event[EMUV_CUDA_LISTS];
  struct emuv_touch_params *params; /* scratch of launch */
  CUdeviceptr *copy_to, *copy_from; /* scratch of copy, n_copies_max */
  size_t *copy_bytes;
  uint32_t n_copies_max;
  struct emuv_cuda_clock clock;
  struct emuv_device_costs costs;
  uint64_t reports_taken;
  double disk_ns[2][EMUV_CUDA_SPANS]; /* when the caller said so, by number */
  _Atomic uint64_t disk_done[2];      /* what the caller said; the words of the streams jump ahead when `failing` */
  atomic_bool failing;
  atomic_bool lost; /* a CUDA error that does not go away */
  struct emuv_err lost_err;
};

static inline bool emuv_cuda_is_disk(enum emuv_stream stream)
{
  return stream == EMUV_STREAM_DISK_READ || stream == EMUV_STREAM_DISK_WRITE;
}

double emuv_cuda_now_ns(void);
/* Makes the context current, and leaves it. enter: EMUV_ERR_IO when the device is lost. */
int emuv_cuda_enter(struct emuv_device *device, struct emuv_err *err);
void emuv_cuda_leave(struct emuv_device *device);
/* Remembers a CUDA error for good; EMUV_ERR_IO. */
int emuv_cuda_lose(struct emuv_device *device, CUresult result, const char *what, struct emuv_err *err);

uint64_t emuv_cuda_done(struct emuv_device *device, enum emuv_stream stream);
int emuv_cuda_wait(struct emuv_device *device, enum emuv_stream stream, uint64_t seq, struct emuv_err *err);
/* Lets a stream wait for what has not happened yet. */
int emuv_cuda_after(struct emuv_device *device, enum emuv_stream stream, const struct emuv_after *after,
                    struct emuv_err *err);
/* EMUV_ERR_RANGE when `after` names work that was not submitted. */
int emuv_cuda_check_after(struct emuv_device *device, const struct emuv_after *after, struct emuv_err *err);
/* Waits until less than EMUV_CUDA_IN_FLIGHT pieces of work are in flight. */
int emuv_cuda_make_room(struct emuv_device *device, enum emuv_stream stream, struct emuv_err *err);

int emuv_cuda_host_alloc(struct emuv_device *device, uint64_t bytes, int threads, void **memory, bool *pinned,
                         struct emuv_err *err);
int emuv_cuda_peer_alloc(struct emuv_device *device, int index, uint64_t bytes, void **memory, struct emuv_err *err);
int emuv_cuda_peer_copy(struct emuv_device *device, void *to, const void *from, uint64_t bytes, struct emuv_err *err);
void emuv_cuda_host_free(struct emuv_device *device, void *memory);
/* The allocation that an address lies in, or NULL. */
const struct emuv_cuda_host *emuv_cuda_host_find(const struct emuv_device *device, const void *memory);

int emuv_cuda_copy(struct emuv_device *device, enum emuv_stream stream, const struct emuv_copy *copies, uint32_t n,
                   const struct emuv_after *after, uint64_t *seq, struct emuv_err *err);
int emuv_cuda_launch(struct emuv_device *device, const struct emuv_kernel *kernel, const struct emuv_after *after,
                     uint64_t *seq, struct emuv_err *err);

/* Arena and page addresses of EMUV_MAPPING_REMAP. */
int emuv_cuda_remap_open(struct emuv_device *device, struct emuv_err *err);
void emuv_cuda_remap_close(struct emuv_device *device);
/* Maps the pages of a kernel that are not where they shall be. */
int emuv_cuda_remap(struct emuv_device *device, const struct emuv_kernel *kernel, struct emuv_err *err);

int emuv_cuda_clock_open(struct emuv_device *device, struct emuv_err *err);
void emuv_cuda_clock_close(struct emuv_device *device);
bool emuv_cuda_span(struct emuv_device *device, enum emuv_stream stream, uint64_t seq, struct emuv_span *span);
/* An event as CLOCK_MONOTONIC; the context is current. */
bool emuv_cuda_event_ns(struct emuv_device *device, CUevent event, double *ns);
/* Finds out when copies up to `seq`, which has finished, ran; the context is current. */
void emuv_cuda_resolve(struct emuv_device *device, enum emuv_stream stream, uint64_t seq);

#endif
