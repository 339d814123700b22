// SPDX-License-Identifier: Apache-2.0
/* What the kernels of touch.cu and the host code of the device `cuda` tell each other. C and CUDA C; every structure
 * has the same layout on both sides. */
#ifndef EMUV_DEVICE_TOUCH_H
#define EMUV_DEVICE_TOUCH_H

#include <stdint.h>

enum {
  EMUV_TOUCH_UNIT = 4096,  /* bytes that a warp reads at a time: 8 loads of 16 bytes per lane */
  EMUV_TOUCH_WARPS = 8,    /* per block */
  EMUV_TOUCH_BLOCKS = 4,   /* per multiprocessor */
  EMUV_TOUCH_RING = 4096,  /* spans and reports that are kept; a power of two */
  EMUV_TOUCH_FEW = 12,     /* touches that travel as arguments of the three sizes of launch */
  EMUV_TOUCH_SOME = 120,   /* below the 4 KiB of arguments that every launch may have */
  EMUV_TOUCH_MANY = 1000,  /* below 32764 bytes */
  EMUV_TOUCH_LIST = 16384, /* touches of a launch that reads them from a list in device memory, at most */
  EMUV_TOUCH_BOUNCES = 64, /* of one run of emuv_touch_clock */
};

#define EMUV_TOUCH_MOVED 0x80000000u /* in `frame`: the page table does not know this frame yet */

/* A touch as it travels: 32 bytes. */
struct emuv_touch_entry {
  uint32_t page, version;
  uint32_t frame;               /* with EMUV_TOUCH_MOVED: goes into the page table first */
  uint32_t first;               /* units of all touches before this one */
  uint32_t offset_16, bytes_16; /* in units of 16 bytes */
  uint64_t host; /* address of the page in pinned host memory, or 0; enum emuv_touch_flag in its low 4 bits */
};

/* In device memory. */
struct emuv_touch_state {
  uint64_t start_ns;      /* of the running kernel, %globaltimer */
  uint64_t found, head;   /* wrong pages found; reports made */
  uint64_t told;          /* of the found ones, those that the host knows */
  uint32_t arrived, lock; /* blocks of the running kernel that are through; of the reports */
  uint64_t sum;           /* of what was read without a check; of no use but that */
};

/* The report about a page that a kernel is making; in device memory, one per page. */
struct emuv_touch_draft {
  uint32_t kernel, place; /* low half of the kernel's number; place in the ring, UINT32_MAX = the ring was full */
  uint64_t offset;
};

struct emuv_touch_report {
  uint32_t page, version;
  uint64_t offset, expected, found, kernel;
};

/* When a kernel ran: stamps, that is %globaltimer's low 52 bits and how often the ring has gone round, so that a reader
 * can tell whether both words are there yet. */
struct emuv_touch_span {
  uint64_t start, end;
};

#define EMUV_TOUCH_STAMP_BITS 12
#define EMUV_TOUCH_ROUND(kernel) ((kernel) / EMUV_TOUCH_RING % (1u << EMUV_TOUCH_STAMP_BITS))
#define EMUV_TOUCH_STAMP(ns, kernel) ((ns) << EMUV_TOUCH_STAMP_BITS | EMUV_TOUCH_ROUND(kernel))

struct emuv_touch_word {
  uint64_t value, unused[15]; /* a line of its own */
};

/* In pinned host memory, written by GPU and host. */
struct emuv_touch_shared {
  struct emuv_touch_word done[8]; /* by enum emuv_stream: number of the last work that has finished */
  struct emuv_touch_word taken;   /* reports that the host has read */
  struct emuv_touch_word head;    /* reports made by kernels that have finished */
  struct emuv_touch_word found;   /* wrong pages found by them, reported or not */
  struct emuv_touch_word ping, pong, pong_ns, began_ns;
  struct emuv_touch_span span[EMUV_TOUCH_RING];
  struct emuv_touch_report report[EMUV_TOUCH_RING];
};

/* The head of a launch's arguments. */
struct emuv_touch_args {
  const struct emuv_touch_entry *list; /* device memory; unused when the touches follow the head */
  struct emuv_touch_state *state;
  struct emuv_touch_shared *shared;
  uint32_t *table;                /* frame by page; NULL: page p lies at base + p * page_bytes */
  struct emuv_touch_draft *draft; /* by page */
  uint64_t base;                  /* address of frame 0, or of page 0 */
  uint64_t page_bytes;
  uint64_t kernel; /* its number */
  uint64_t duration_ns;
  uint32_t n_touches, n_units, n_warps;
  uint16_t first, last; /* of the launches that make up one kernel */
};

/* A launch's arguments: a kernel takes the first EMUV_TOUCH_FEW, _SOME or _MANY entries. */
struct emuv_touch_params {
  struct emuv_touch_args head;
  struct emuv_touch_entry entry[EMUV_TOUCH_MANY];
};

#endif
