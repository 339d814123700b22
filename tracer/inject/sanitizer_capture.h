// SPDX-License-Identifier: Apache-2.0
/* The capture of pages inside a traced process: what the files sanitizer_*.c share.
 *
 * Every module is patched when it is loaded, so that each access of a kernel to global memory looks at its page's words
 * (pages_device.h). Each launch gets a number; a log brings the pages back; the queue (pages_queue.h) turns them into
 * operands once the launch is over. That is known when the program itself waits for a stream or a context; a program
 * that launches EMUV_PAGES_LAUNCHES / 2 kernels without waiting is made to wait once.
 *
 * Each context has its own map, descriptors and log. A thread takes entries from all logs every few milliseconds.
 *
 * Rules: the traced program must never notice more than time. Nothing exits, aborts or throws; what fails turns
 * launches into gaps. `lock` is never held during a call of the Sanitizer API, so the thread that empties the logs, for
 * which a kernel may wait, never waits for the GPU. A context's `preparing` may be held during such calls; it is taken
 * before `lock`. */
#ifndef EMUV_INJECT_SANITIZER_CAPTURE_H
#define EMUV_INJECT_SANITIZER_CAPTURE_H

#include "tracer/inject/inject.h"
#include "tracer/inject/pages_queue.h"
#include "tracer/inject/sanitizer_api.h"

#include <pthread.h>
#include <stdatomic.h>

struct emuv_sanitizer_stream {
  Sanitizer_StreamHandle handle;
  uint32_t last; /* number of its last launch */
  bool used;
};

struct emuv_sanitizer_context {
  struct emuv_sanitizer_context *next;
  CUcontext handle;
  pthread_mutex_t preparing; /* what follows, up to the blank line */
  bool patches, ready, broken;
  uint64_t directory, descriptors, log; /* device addresses */
  uint32_t epoch[2];                    /* number / half of the ring that each half of the descriptors holds, + 1 */
  size_t ranges_done;
  bool chunk[EMUV_PAGES_DIRECTORY];

  uint64_t *entries; /* pinned; set once, then const */
  struct emuv_pages_control *control;
  uint32_t capacity;
  bool dead; /* `lock`, as what follows: its log has overflowed */
  struct emuv_sanitizer_stream *stream;
  size_t n_streams;
};

struct emuv_range {
  uint64_t address, bytes;
};

struct emuv_sanitizer {
  struct emuv_sanitizer_api api;
  struct emuv_trace_writer *writer; /* locks itself */
  Sanitizer_SubscriberHandle subscriber;
  unsigned shift;

  pthread_mutex_t lock; /* guards what follows */
  struct emuv_pages_queue queue;
  struct emuv_sanitizer_context *contexts;
  uint32_t number; /* of the last launch */
  struct emuv_range *ranges;
  size_t n_ranges, cap_ranges;
  uint64_t unpatched_modules, contexts_failed, overflows;
};

extern struct emuv_sanitizer emuv_sanitizer;

/* sanitizer_context.c. Outside the lock. */
struct emuv_sanitizer_context *emuv_sanitizer_context(CUcontext handle);
/* Addresses that kernels may touch from now on. With the lock held. */
void emuv_sanitizer_range(uint64_t address, uint64_t bytes);
/* Makes the context ready for a launch on this stream; a number for it, and the address that its patches are given (0:
 * nothing can be seen). */
uint32_t emuv_sanitizer_prepare(struct emuv_sanitizer_context *context, Sanitizer_StreamHandle stream, uint64_t *data);
/* A launch in flight. With the lock held. False when memory is short. */
bool emuv_sanitizer_track(struct emuv_sanitizer_context *context, Sanitizer_StreamHandle stream, uint32_t number);
/* What stands for a stream in the queue; never NULL. */
const void *emuv_sanitizer_key(Sanitizer_StreamHandle stream);
/* The program has waited for the stream (all: for the context): its launches are over. */
void emuv_sanitizer_complete(struct emuv_sanitizer_context *context, Sanitizer_StreamHandle stream, bool all);
void emuv_sanitizer_complete_all(void);
/* Takes what is in the logs. */
void emuv_sanitizer_drain(void);
/* Entries that were dropped, asked for at the end. */
uint64_t emuv_sanitizer_dropped(void);

/* sanitizer_modules.c. Outside the lock. */
void emuv_sanitizer_patch(const Sanitizer_ResourceModuleData *module);
void emuv_sanitizer_forget(const Sanitizer_ResourceModuleData *module);
/* Dictionary id of a kernel, and what patches will not see of it. */
uint32_t emuv_sanitizer_kernel(CUmodule module, const char *name, enum emuv_pages_why *why);
const char *emuv_sanitizer_kernel_name(uint32_t id);

/* sanitizer_calls.c */
void emuv_sanitizer_on_resource(Sanitizer_CallbackId id, const void *data);
void emuv_sanitizer_on_launch(const Sanitizer_LaunchData *launch, uint64_t graph, uint64_t node);
void emuv_sanitizer_on_copy(const Sanitizer_MemcpyData *copy, uint32_t flags);
void emuv_sanitizer_on_set(const Sanitizer_MemsetData *set, uint32_t flags);
void emuv_sanitizer_on_node(const Sanitizer_GraphNodeLaunchData *node);

#endif
