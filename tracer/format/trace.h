// SPDX-License-Identifier: Apache-2.0
/* The records of a trace (.emuv), as a program sees them. FORMAT.md says how they lie in the file; schema.h holds the
 * one table that encodes, decodes, prints and documents them.
 *
 * Conventions: times are nanoseconds of the host's CLOCK_MONOTONIC (device times too: the writer's owner converts
 * them); 0 means "not known". Ids of strings, kernels and allocations start at 1; 0 means "none". A new field goes to
 * the end of its struct and of its table, a new record type to the end of the enum: older readers skip both. Plain
 * data: no ownership, except that a launch points to its operands. */
#ifndef EMUV_FORMAT_TRACE_H
#define EMUV_FORMAT_TRACE_H

#include <stdint.h>

enum emuv_trace_type {
  EMUV_TRACE_ENVIRONMENT = 1, /* one fact about the machine or the run, as key and value */
  EMUV_TRACE_PROCESS,
  EMUV_TRACE_THREAD,
  EMUV_TRACE_ALLOCATION,
  EMUV_TRACE_FREE,
  EMUV_TRACE_COPY,
  EMUV_TRACE_SET,
  EMUV_TRACE_LAUNCH,
  EMUV_TRACE_GPU_TIME, /* times of a launch, copy or set that arrived after its record */
  EMUV_TRACE_RANGE,    /* NVTX and profiler ranges */
  EMUV_TRACE_SYNC,
  EMUV_TRACE_GAP,        /* something that the capture knows it could not see */
  EMUV_TRACE_DROP,       /* records that were lost */
  EMUV_TRACE_TAG,        /* a name for a part of an allocation, e.g. a tensor */
  EMUV_TRACE_GRAPH_NODE, /* one node of an executable graph, written once for all of its launches */
  EMUV_TRACE_TYPES
};

enum emuv_trace_memory {
  EMUV_TRACE_MEMORY_UNKNOWN,
  EMUV_TRACE_MEMORY_DEVICE,     /* cuMemAlloc */
  EMUV_TRACE_MEMORY_PITCHED,    /* cuMemAllocPitch */
  EMUV_TRACE_MEMORY_ASYNC,      /* cuMemAllocAsync, pools */
  EMUV_TRACE_MEMORY_MANAGED,    /* cuMemAllocManaged */
  EMUV_TRACE_MEMORY_HOST,       /* cuMemHostAlloc, cuMemAllocHost */
  EMUV_TRACE_MEMORY_REGISTERED, /* cuMemHostRegister */
  EMUV_TRACE_MEMORY_VMM,        /* cuMemMap of device memory */
  EMUV_TRACE_MEMORY_VMM_HOST,   /* cuMemMap of host memory */
  EMUV_TRACE_MEMORY_GRAPH,      /* a graph's memory node */
  EMUV_TRACE_MEMORY_MODULE,     /* a __device__ variable */
  EMUV_TRACE_MEMORY_IMPORTED,   /* IPC or external memory */
  EMUV_TRACE_MEMORY_KINDS
};

enum emuv_trace_copy_kind {
  EMUV_TRACE_COPY_UNKNOWN,
  EMUV_TRACE_COPY_H2D,
  EMUV_TRACE_COPY_D2H,
  EMUV_TRACE_COPY_D2D,
  EMUV_TRACE_COPY_P2P,
  EMUV_TRACE_COPY_H2H,
  EMUV_TRACE_COPY_KINDS
};

/* For copies, sets and launches. */
enum emuv_trace_flag {
  EMUV_TRACE_FLAG_SYNC = 1,        /* the call returned only when the work was done */
  EMUV_TRACE_FLAG_PAGEABLE = 2,    /* the host side of a copy is not pinned */
  EMUV_TRACE_FLAG_COOPERATIVE = 4, /* cuLaunchCooperativeKernel */
  EMUV_TRACE_FLAG_GRAPH = 8,       /* part of a graph launch */
  EMUV_TRACE_FLAG_ESTIMATED = 16,  /* device times estimated: set by the loader, see load.h */
};

enum emuv_trace_access { /* a bit set; 0 = unknown */
                         EMUV_TRACE_ACCESS_UNKNOWN = 0,
                         EMUV_TRACE_ACCESS_READ = 1,
                         EMUV_TRACE_ACCESS_WRITE = 2,
                         EMUV_TRACE_ACCESS_BOTH = 3,
                         EMUV_TRACE_ACCESS_KINDS
};

enum emuv_trace_provenance {
  EMUV_TRACE_FROM_UNKNOWN,
  EMUV_TRACE_FROM_PARAM,     /* a word of kernelParams */
  EMUV_TRACE_FROM_EXTRA,     /* a word of the argument block */
  EMUV_TRACE_FROM_TENSORMAP, /* a TMA descriptor */
  EMUV_TRACE_FROM_PAGE,      /* observed on the GPU */
  EMUV_TRACE_FROM_IMPORT,    /* an imported trace */
  EMUV_TRACE_PROVENANCES
};

enum emuv_trace_class {
  EMUV_TRACE_CLASS_UNKNOWN,
  EMUV_TRACE_CLASS_EXACT,   /* the extent is what the kernel touches */
  EMUV_TRACE_CLASS_BOUNDED, /* the kernel touches a part of it */
  EMUV_TRACE_CLASS_GAP,     /* the launch may touch memory that is not listed */
  EMUV_TRACE_CLASSES
};

enum emuv_trace_range_kind {
  EMUV_TRACE_RANGE_UNKNOWN,
  EMUV_TRACE_RANGE_PUSH,
  EMUV_TRACE_RANGE_POP,
  EMUV_TRACE_RANGE_START, /* with id; may end on another thread */
  EMUV_TRACE_RANGE_END,
  EMUV_TRACE_RANGE_MARK,
  EMUV_TRACE_RANGE_PROFILER_START, /* cudaProfilerStart */
  EMUV_TRACE_RANGE_PROFILER_STOP,
  EMUV_TRACE_RANGE_KINDS
};

enum emuv_trace_sync_kind {
  EMUV_TRACE_SYNC_UNKNOWN,
  EMUV_TRACE_SYNC_CONTEXT,
  EMUV_TRACE_SYNC_STREAM,
  EMUV_TRACE_SYNC_EVENT,
  EMUV_TRACE_SYNC_EVENT_RECORD, /* ordering only: the host does not wait */
  EMUV_TRACE_SYNC_STREAM_WAIT,  /* ordering only: a stream waits for an event */
  EMUV_TRACE_SYNC_MEMORY,       /* cuMemFree and other calls that wait as a side effect */
  EMUV_TRACE_SYNC_KINDS
};

enum emuv_trace_gap_why {
  EMUV_TRACE_GAP_UNKNOWN,
  EMUV_TRACE_GAP_UNSUPPORTED, /* an API call that the capture does not follow */
  EMUV_TRACE_GAP_NO_PARAMS,   /* the layout of a kernel's arguments is not known */
  EMUV_TRACE_GAP_INDIRECT,    /* pointers in device memory */
  EMUV_TRACE_GAP_LATE,        /* allocations older than the capture */
  EMUV_TRACE_GAP_TIMESTAMP,   /* device times that cannot be right */
  EMUV_TRACE_GAP_SUBSCRIBER,  /* somebody else holds CUPTI */
  EMUV_TRACE_GAP_UNSEEN,      /* accesses that a capture of pages cannot see */
  EMUV_TRACE_GAP_WHYS
};

/* What a graph's node does. LAUNCH, COPY and SET are work: a graph launch runs them. */
enum emuv_trace_node_kind {
  EMUV_TRACE_NODE_UNKNOWN,
  EMUV_TRACE_NODE_LAUNCH,
  EMUV_TRACE_NODE_COPY,
  EMUV_TRACE_NODE_SET,
  EMUV_TRACE_NODE_ALLOCATION,
  EMUV_TRACE_NODE_FREE,
  EMUV_TRACE_NODE_HOST,  /* a function on the host */
  EMUV_TRACE_NODE_ORDER, /* events, semaphores, nothing at all */
  EMUV_TRACE_NODE_OFF,   /* disabled */
  EMUV_TRACE_NODE_KINDS
};

enum emuv_trace_status { /* of the verdict */
                         EMUV_TRACE_STATUS_UNKNOWN,
                         EMUV_TRACE_STATUS_COMPLETE,
                         EMUV_TRACE_STATUS_SIZE_LIMIT, /* the size limit was reached: what followed was not recorded */
                         EMUV_TRACE_STATUS_NO_SPACE,   /* the disk was full */
                         EMUV_TRACE_STATUS_IO_ERROR,
                         EMUV_TRACE_STATUS_STOPPED, /* the capture was stopped before the program ended, as asked */
                         EMUV_TRACE_STATUSES
};

struct emuv_trace_environment {
  uint32_t key, value; /* strings */
};

struct emuv_trace_process {
  uint64_t ns;
  uint32_t pid, parent;
  uint32_t command, executable; /* strings */
};

struct emuv_trace_thread {
  uint64_t ns;
  uint32_t tid;
  uint32_t name; /* string */
};

struct emuv_trace_allocation {
  uint64_t id; /* 1, 2, ... in order */
  uint64_t address, bytes;
  uint64_t ns;     /* when the call returned */
  uint64_t stream; /* ASYNC; 0 else */
  uint64_t parent; /* allocation that this one is cut from, or the handle's allocation of a mapping; 0 = none */
  uint32_t kind;   /* enum emuv_trace_memory */
  uint32_t device;
  uint32_t tid;
};

struct emuv_trace_free {
  uint64_t id; /* allocation; 0 = not known to the capture */
  uint64_t address;
  uint64_t ns;
  uint64_t stream;
  uint32_t tid;
};

/* Host side of an API call: enter_ns .. exit_ns; on the device: start_ns .. end_ns (0 here and in a GPU_TIME record
 * later). */
struct emuv_trace_copy {
  uint64_t sequence; /* one count for launches, copies and sets of a process, in the order of the calls, from 1 */
  uint64_t correlation;
  uint64_t enter_ns, exit_ns, start_ns, end_ns;
  uint64_t stream;
  uint64_t src, dst;                       /* addresses */
  uint64_t src_allocation, dst_allocation; /* 0 = pageable host memory or unknown */
  uint64_t bytes;
  uint32_t kind;  /* enum emuv_trace_copy_kind */
  uint32_t flags; /* enum emuv_trace_flag */
  uint32_t tid;
  uint32_t device;
};

struct emuv_trace_set {
  uint64_t sequence, correlation;
  uint64_t enter_ns, exit_ns, start_ns, end_ns;
  uint64_t stream;
  uint64_t address, allocation;
  uint64_t bytes;        /* from address to the end of what is set, row gaps included */
  uint32_t value, width; /* width of an element: 1, 2, 4 bytes */
  uint32_t flags;
  uint32_t tid;
  uint32_t device;
};

struct emuv_trace_operand {
  uint64_t allocation;
  uint64_t offset, bytes; /* inside the allocation */
  uint32_t access;        /* enum emuv_trace_access */
  uint32_t provenance;    /* enum emuv_trace_provenance */
  uint32_t cls;           /* enum emuv_trace_class: EXACT or BOUNDED */
  uint32_t place;         /* byte offset in the argument block or in kernelParams' layout */
};

enum { EMUV_TRACE_OPERANDS_MAX = 65535 };

struct emuv_trace_launch {
  uint64_t sequence, correlation;
  uint64_t enter_ns, exit_ns, start_ns, end_ns;
  uint64_t stream;
  uint32_t kernel; /* dictionary id */
  uint32_t grid[3], block[3];
  uint32_t shared_bytes;
  uint32_t cls;   /* enum emuv_trace_class, of the launch as a whole */
  uint32_t flags; /* enum emuv_trace_flag */
  uint32_t tid;
  uint32_t device;
  uint64_t graph;      /* executable graph's id (of GRAPH_NODE records), 0 = none */
  uint64_t graph_node; /* its node, 0 = none */
  uint32_t page_set; /* dictionary id of more operands, 0 = none. The reader has appended them to `operands`; who writes
                        the launch again clears it, or gives only the others */
  uint32_t n_operands;
  const struct emuv_trace_operand *operands; /* borrowed: valid until the next call on the reader */
};

/* A launch with a graph and no graph_node is a launch of the whole graph. It stands for the graph's nodes that are
 * work, in the order of their indexes: the k-th of them has the launch's sequence + k, and its times, correlation,
 * stream and thread. A graph whose nodes change gets a new id; nodes that are as before are not repeated, but taken
 * from `base`. */
struct emuv_trace_graph_node {
  uint64_t graph;        /* id, from 1 */
  uint64_t base;         /* an earlier graph with as many nodes, 0 = none */
  uint64_t node;         /* number of the node: graph_node of GPU_TIME records; never 0 */
  uint32_t index, nodes; /* 0 .. nodes - 1 in an order that respects dependencies; how many the graph has */
  uint32_t kind;         /* enum emuv_trace_node_kind */
  uint32_t kernel;       /* LAUNCH: as in a launch record, and so on */
  uint32_t grid[3], block[3];
  uint32_t shared_bytes;
  uint32_t cls;
  uint32_t flags; /* enum emuv_trace_flag */
  uint32_t device;
  uint64_t src, dst; /* COPY; SET, ALLOCATION and FREE have dst */
  uint64_t src_allocation, dst_allocation;
  uint64_t bytes;
  uint32_t copy_kind;                        /* COPY: enum emuv_trace_copy_kind */
  uint32_t value, width;                     /* SET */
  uint32_t n_operands;                       /* LAUNCH */
  const struct emuv_trace_operand *operands; /* borrowed, as those of a launch */
};

/* Joined by (correlation, graph_node). */
struct emuv_trace_gpu_time {
  uint64_t correlation, graph_node;
  uint64_t start_ns, end_ns;
  uint64_t stream;
};

struct emuv_trace_range {
  uint64_t ns;
  uint32_t kind; /* enum emuv_trace_range_kind */
  uint32_t text; /* string; 0 for POP and END */
  uint32_t tid;
  uint64_t id;     /* START and END */
  uint32_t domain; /* string */
};

struct emuv_trace_sync {
  uint64_t enter_ns, exit_ns;
  uint32_t kind; /* enum emuv_trace_sync_kind */
  uint32_t tid;
  uint64_t stream, event;
};

struct emuv_trace_gap {
  uint64_t ns;
  uint64_t sequence; /* launch that it belongs to, 0 = the capture as a whole */
  uint32_t why;      /* enum emuv_trace_gap_why */
  uint32_t text;     /* string: what exactly */
  uint64_t count;    /* how often, when several are told at once */
};

struct emuv_trace_drop {
  uint64_t ns;
  uint64_t count; /* records lost */
  uint32_t what;  /* enum emuv_trace_type of the lost records, 0 = mixed */
  uint32_t text;  /* string: why */
};

struct emuv_trace_tag {
  uint64_t ns;
  uint64_t allocation, offset, bytes;
  uint32_t text; /* string */
};

struct emuv_trace_record {
  uint32_t type; /* enum emuv_trace_type */
  union {
    struct emuv_trace_environment environment;
    struct emuv_trace_process process;
    struct emuv_trace_thread thread;
    struct emuv_trace_allocation allocation;
    struct emuv_trace_free free;
    struct emuv_trace_copy copy;
    struct emuv_trace_set set;
    struct emuv_trace_launch launch;
    struct emuv_trace_gpu_time gpu_time;
    struct emuv_trace_range range;
    struct emuv_trace_sync sync;
    struct emuv_trace_gap gap;
    struct emuv_trace_drop drop;
    struct emuv_trace_tag tag;
    struct emuv_trace_graph_node graph_node;
  } u;
};

/* Dictionary entry of a kernel. */
struct emuv_trace_kernel {
  uint32_t name;     /* string: the symbol, mangled or not, as the driver tells it */
  uint32_t module;   /* string, 0 = unknown */
  uint32_t n_params; /* 0 = unknown */
  uint32_t param_bytes;
  uint32_t registers, shared_bytes, local_bytes;
  uint32_t flags; /* 0 for now */
};

/* The last word of the writer about its file. */
struct emuv_trace_verdict {
  uint64_t ns;
  uint64_t records;     /* stored */
  uint64_t dropped;     /* not stored, for any reason */
  uint32_t status;      /* enum emuv_trace_status */
  uint32_t exit_status; /* of the traced program where known, else 0 */
  char text[256];       /* in words; "" = nothing to add */
};

#endif
