// SPDX-License-Identifier: Apache-2.0
/* A whole trace in memory: records by type, device times joined to the calls, frees joined to the allocations. What the
 * reports, exporters and the simulator work on. A launch of a CUDA graph is expanded into the calls of its nodes. Owned
 * by the caller of emuv_trace_load; read-only afterwards, from any thread. About 250 bytes per launch. */
#ifndef EMUV_FORMAT_LOAD_H
#define EMUV_FORMAT_LOAD_H

#include "runtime/core/err.h"
#include "tracer/format/reader.h"
#include "tracer/format/trace.h"

#include <stddef.h>

/* One record of the file, in file order. */
struct emuv_trace_event {
  uint32_t type;  /* enum emuv_trace_type: all but GPU_TIME, ENVIRONMENT, PROCESS, THREAD, GRAPH_NODE */
  uint32_t index; /* in the array of that type */
};

/* An allocation and its end. */
struct emuv_trace_life {
  struct emuv_trace_allocation a;
  uint64_t free_ns; /* 0 = lived to the end */
  bool freed;
};

struct emuv_trace_data {
  char path[512];
  struct emuv_trace_environment *environment;
  struct emuv_trace_process *processes;
  struct emuv_trace_thread *threads;
  struct emuv_trace_life *allocations;
  struct emuv_trace_free *frees;
  struct emuv_trace_copy *copies;
  struct emuv_trace_set *sets;
  struct emuv_trace_launch *launches; /* operands point into `operands`, or are those of a graph's node */
  struct emuv_trace_gpu_time *gpu_times;
  struct emuv_trace_range *ranges;
  struct emuv_trace_sync *syncs;
  struct emuv_trace_gap *gaps;
  struct emuv_trace_drop *drops;
  struct emuv_trace_tag *tags;
  struct emuv_trace_graph_node *graph_nodes; /* each owns its operands */
  struct emuv_trace_operand *operands;
  struct emuv_trace_event *events;
  size_t n_environment, n_processes, n_threads, n_allocations, n_frees, n_copies, n_sets, n_launches, n_gpu_times,
      n_ranges, n_syncs, n_gaps, n_drops, n_tags, n_graph_nodes, n_operands, n_events;
  uint64_t unmatched_times; /* GPU_TIME records without a call */
  uint64_t untimed;         /* launches, copies and sets without device times */
  uint64_t graph_launches;  /* launches of whole graphs that were expanded */
  uint64_t estimated;       /* calls whose device times are estimates (EMUV_TRACE_FLAG_ESTIMATED) */
  struct emuv_trace_reader_state state;
  struct emuv_trace_reader *reader; /* for strings and kernels */
};

/* Loads a file; a truncated one loads up to its last whole block (state.truncated). Errors as for the reader. */
int emuv_trace_load(const char *path, struct emuv_trace_data *d, struct emuv_err *err);
/* The same from memory, which must outlive d. */
int emuv_trace_load_memory(const void *data, size_t n, const char *name, struct emuv_trace_data *d,
                           struct emuv_err *err);
void emuv_trace_data_free(struct emuv_trace_data *d);

const char *emuv_trace_data_string(const struct emuv_trace_data *d, uint32_t id);
/* Name of a kernel, "" if unknown. */
const char *emuv_trace_data_kernel(const struct emuv_trace_data *d, uint32_t id);
/* The allocation with this id, NULL if the trace does not have it. */
const struct emuv_trace_life *emuv_trace_data_allocation(const struct emuv_trace_data *d, uint64_t id);
/* Value of an environment key, NULL if the trace does not have it. */
const char *emuv_trace_data_environment(const struct emuv_trace_data *d, const char *key);
/* An imported string of references to objects: no kernels, and its times are no clock. */
bool emuv_trace_data_is_references(const struct emuv_trace_data *d);

/* XXH3 (64 bits) of a file's bytes; never 0. */
int emuv_trace_content_hash(const char *path, uint64_t *hash, struct emuv_err *err);

#endif
