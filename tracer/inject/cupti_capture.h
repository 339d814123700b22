// SPDX-License-Identifier: Apache-2.0
/* The capture inside a traced process: what the files cupti_*.c share.
 *
 * CUPTI calls back around each driver call that calls.c's table names; handlers turn the call's arguments into records.
 * GPU times come later, in activity buffers, and are written as GPU_TIME records. One background thread flushes both
 * every 150 ms, so that a killed process loses at most that much.
 *
 * Rules: the traced program must never notice. Nothing here exits, aborts or waits for the GPU; every failure turns the
 * capture off and says so in one line on stderr. No CUDA or CUPTI call is made while `lock` is held (CUPTI holds its
 * own locks when it hands over buffers, and their handler takes `lock`). A forked child is inert. */
#ifndef EMUV_INJECT_CUPTI_CAPTURE_H
#define EMUV_INJECT_CUPTI_CAPTURE_H

#include "tracer/format/writer.h"
#include "tracer/inject/correlations.h"
#include "tracer/inject/cupti_api.h"
#include "tracer/inject/inject.h"
#include "tracer/inject/operands.h"
#include "tracer/inject/recording.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct emuv_capture {
  struct emuv_cupti_api api;
  struct emuv_trace_writer *writer; /* locks itself */
  CUpti_SubscriberHandle subscriber;
  struct emuv_tensormap_layout layout; /* written by emuv_device_learn before the first scan */
  atomic_uint capturing;               /* stream captures (graphs) in progress */
  atomic_int_fast64_t clock_offset_ns; /* CLOCK_MONOTONIC minus CUPTI's clock */

  pthread_mutex_t lock; /* guards what follows */
  struct emuv_intervals live;
  uint64_t allocations; /* ids given so far */
  uint64_t epoch;       /* goes up with every change of live memory */
  uint64_t displaced;   /* allocations that lay where a new one came: their free was not seen */
  struct emuv_correlations correlations;
  uint64_t bad_times;
};

extern struct emuv_capture emuv_capture;

/* One driver call, as handlers see it. */
struct emuv_call {
  const CUpti_CallbackData *data;
  uint64_t enter_ns, exit_ns; /* exit_ns is 0 in handlers that run before the call */
  uint32_t tid;
  uint32_t arg;    /* of the table's row */
  bool per_thread; /* the variant whose default stream is the thread's */
  bool ok;         /* it succeeded; false before the call */
};
typedef void emuv_call_handler(const struct emuv_call *call, const void *params);

/* cupti_calls.c: the table of driver calls. */
/* Of those that the capture always follows; how many this CUPTI knows. */
int emuv_calls_enable(CUpti_SubscriberHandle subscriber);
/* Of launches, copies, sets and synchronisation, which count only while the capture records. */
int emuv_calls_enable_work(CUpti_SubscriberHandle subscriber, bool on);
/* Takes the time where that is all to do before a call; else false. Needs no enter and leave. */
bool emuv_calls_enter(CUpti_CallbackId cbid, const CUpti_CallbackData *data);
void emuv_calls_dispatch(CUpti_CallbackId cbid, const CUpti_CallbackData *data);

/* cupti_memory.c */
emuv_call_handler emuv_memory_alloc, emuv_memory_alloc_pitch, emuv_memory_alloc_async, emuv_memory_alloc_from_pool,
    emuv_memory_host_alloc, emuv_memory_host_register, emuv_memory_free, emuv_memory_free_async, emuv_memory_map,
    emuv_memory_unmap, emuv_memory_global, emuv_memory_ipc_open;
/* Memory of a graph's node: gives it an allocation, unless it lies in one already. Returns its id. Takes the lock. */
uint64_t emuv_memory_of_graph(const struct emuv_call *call, uint64_t address, uint64_t bytes);
/* Ends that allocation, if it is live. */
void emuv_memory_of_graph_end(const struct emuv_call *call, uint64_t address, uint64_t id);
/* The live allocation that holds the address: its id (0: none) and kind. Takes the lock. */
uint64_t emuv_memory_find(uint64_t address, uint32_t *kind);

/* cupti_copy.c */
enum { EMUV_COPY_SYNC = 0x100 }; /* in a row's arg, beside the width of a set's element */
emuv_call_handler emuv_copy_linear, emuv_copy_peer, emuv_copy_2d, emuv_copy_3d, emuv_copy_batch, emuv_copy_batch_v2,
    emuv_set_linear, emuv_set_2d;

/* cupti_launch.c */
emuv_call_handler emuv_launch_kernel, emuv_launch_kernel_ex, emuv_launch_cooperative;
/* The arguments of a launch that come as one block; *n is 0 when there is none. */
const void *emuv_launch_extra(void **extra, size_t *n);
struct emuv_pending_launch { /* a launch whose operands have not been looked for */
  struct emuv_trace_launch record;
  const struct emuv_kernel_info *kernel;
  enum emuv_trace_provenance provenance;
  bool known; /* the arguments could be read */
  uint32_t n; /* bytes of arguments */
  _Alignas(8) unsigned char arguments[];
};
/* Finds the operands and writes the record. The lock is held. */
void emuv_launch_write(const struct emuv_pending_launch *launch);

/* cupti_pending.c */
enum { EMUV_PENDING_BYTES = 4 << 20 }; /* of each of two blocks; an entry is far smaller */
/* Room for a launch with up to so many bytes of arguments, NULL when there is none; end (with n set) or nothing. No
 * other launch can be logged in between: no lock, no driver call there. */
struct emuv_pending_launch *emuv_pending_begin(size_t arguments);
void emuv_pending_end(const struct emuv_pending_launch *launch);
/* Writes all launches that wait. The lock is held; call it before the map of live memory changes. */
void emuv_pending_settle(void);
/* The same from the background thread, which does not keep others from the lock for long. Outside the lock. */
void emuv_pending_settle_slowly(void);

/* cupti_graph.c, cupti_graph_nodes.c */
emuv_call_handler emuv_graph_instantiate, emuv_graph_destroy, emuv_graph_update, emuv_graph_set_child,
    emuv_graph_set_kernel, emuv_graph_set_kernel_v1, emuv_graph_set_copy, emuv_graph_set_set, emuv_graph_set_any,
    emuv_graph_set_enabled, emuv_graph_launch;
/* The resource callback for a node that was copied. */
void emuv_graph_node_cloned(const void *resource);

/* cupti_order.c: synchronisation, stream capture, profiler ranges, calls that the capture does not follow. */
emuv_call_handler emuv_sync_stream, emuv_sync_event, emuv_sync_context, emuv_sync_record, emuv_sync_wait,
    emuv_capture_begin, emuv_capture_end, emuv_profiler_range, emuv_unsupported;

/* cupti_device.c */
/* Describes a context's device and learns the descriptor layout, once per process. Outside the lock. */
void emuv_device_learn(CUcontext context);
uint32_t emuv_device_of(const struct emuv_call *call);
/* CUPTI's number of a stream (what activities carry); the handle where CUPTI does not tell. */
uint64_t emuv_device_stream(const struct emuv_call *call, CUstream stream);
void emuv_device_forget_streams(void);
/* The stream is being captured: the call becomes a graph node and runs nothing now. */
bool emuv_device_is_captured(CUstream stream);

/* cupti_kernels.c */
struct emuv_kernel_info {
  uint32_t id; /* dictionary */
  uint32_t n_params;
  uint32_t param_bytes;
  bool params_known;
  const struct emuv_param *params;
  const char *name;
};
/* The kernel behind a handle; queried once, then cached until modules are unloaded. NULL when memory is short. Outside
 * the lock. */
const struct emuv_kernel_info *emuv_kernels_find(CUfunction handle, const char *symbol, uint32_t device);
void emuv_kernels_forget(void);

/* cupti_blocks.c: with EMUV_TRACE_BLOCKS=FILE in the environment, the arguments of each kernel's first launch as a line
 * of text ("symbol provenance bytes hex"): what the scanner's tests are made from. Call with the lock held. */
void emuv_blocks_open(void);
void emuv_blocks_dump(const struct emuv_kernel_info *kernel, const char *symbol, enum emuv_trace_provenance provenance,
                      const void *block, size_t bytes);

/* cupti_activity.c */
int emuv_activity_start(void);
/* Makes activities come or not. How many kinds this CUPTI knows. */
int emuv_activity_enable(bool on);
/* When only some launches are timed: a kernel was seen that is new; a tick of the background thread. */
void emuv_activity_new_kernel(void);
void emuv_activity_sample(unsigned int tick);
/* Hands finished buffers over; forced: unfinished ones too. */
void emuv_activity_flush(bool forced);
void emuv_activity_stop(void);
/* Ties CUPTI's clock to CLOCK_MONOTONIC; the tightest of `tries` brackets. Returns its width in ns. */
uint64_t emuv_activity_set_clock(int tries);

#endif
