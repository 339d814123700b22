// SPDX-License-Identifier: Apache-2.0
/* Between the calls of a traced program and the writer, in a capture of pages: records wait here, in the order of the
 * calls, until the launches before them are over and all of their pages are known. So the file has the order of the
 * calls, a page is looked up among the allocations that were live at its launch, and memory is bounded by what is in
 * flight.
 *
 * A launch is in flight from emuv_pages_queue_launch until emuv_pages_queue_done covers it. Its pages come from the log
 * in between. A launch of which something was not seen is written with class gap, and counted for its kernel.
 *
 * No CUDA. The caller serialises all calls; the queue owns what it holds, the writer is borrowed. */
#ifndef EMUV_INJECT_PAGES_QUEUE_H
#define EMUV_INJECT_PAGES_QUEUE_H

#include "tracer/format/writer.h"
#include "tracer/inject/intervals.h"
#include "tracer/inject/pages_device.h"
#include "tracer/inject/pages_runs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum emuv_pages_why {
  EMUV_PAGES_SEEN,
  EMUV_PAGES_UNPATCHED,  /* the module could not be patched */
  EMUV_PAGES_TENSOR,     /* copies of tensors by the TMA unit */
  EMUV_PAGES_GRAPH,      /* a node of a CUDA graph */
  EMUV_PAGES_TEXTURE,    /* textures or surfaces */
  EMUV_PAGES_NO_DATA,    /* the launch could not be given its number */
  EMUV_PAGES_OVERFLOW,   /* the log was full */
  EMUV_PAGES_UNFINISHED, /* the capture ended first */
  EMUV_PAGES_OUTSIDE,    /* memory that is in no allocation */
  EMUV_PAGES_UNTOUCHED,  /* no access was seen at all */
  EMUV_PAGES_WHYS
};

struct emuv_pages_item {
  struct emuv_pages_item *next;
  struct emuv_trace_record record;
  const void *owner, *stream; /* launches: for emuv_pages_queue_done */
  uint32_t number;
  uint32_t why; /* enum emuv_pages_why */
  bool done, outside;
  struct emuv_pages pages;
};

struct emuv_pages_queue {
  struct emuv_trace_writer *writer;
  unsigned shift;
  struct emuv_pages_item *head, **end;
  size_t in_flight;                                    /* launches that are not done */
  struct emuv_pages_item *launch[EMUV_PAGES_LAUNCHES]; /* by number; NULL when written */
  struct emuv_intervals live;                          /* as of the head */
  uint64_t allocations, displaced;
  uint64_t late;   /* log entries of launches that are not in flight */
  uint64_t masked; /* pages outside of allocations that only masked copies named */
  uint64_t lost;   /* records and pages for want of memory */
  struct emuv_page_runs runs;
  uint64_t (*gaps)[EMUV_PAGES_WHYS]; /* launches by kernel id and why */
  size_t n_gaps;
};

void emuv_pages_queue_open(struct emuv_pages_queue *q, struct emuv_trace_writer *writer, unsigned shift);
/* An allocation gets its id, a free is found by its address, copies and sets get their allocations; other types go as
 * they are. The record's sequence is the caller's. */
void emuv_pages_queue_add(struct emuv_pages_queue *q, const struct emuv_trace_record *record);
/* number: not in flight, unique modulo EMUV_PAGES_LAUNCHES. why: what is known about the kernel beforehand. */
void emuv_pages_queue_launch(struct emuv_pages_queue *q, const struct emuv_trace_launch *launch, uint32_t number,
                             const void *owner, const void *stream, enum emuv_pages_why why);
/* Something more about a launch in flight. */
void emuv_pages_queue_blame(struct emuv_pages_queue *q, uint32_t number, enum emuv_pages_why why);
/* One entry of the log. */
void emuv_pages_queue_page(struct emuv_pages_queue *q, uint64_t entry);
/* The launches of this owner and stream (NULL: all streams) up to `number` are over. Writes what can be written. */
void emuv_pages_queue_done(struct emuv_pages_queue *q, const void *owner, const void *stream, uint32_t number);
/* Launches of this owner (NULL: all) that are in flight are not fully known: why. */
void emuv_pages_queue_spoil(struct emuv_pages_queue *q, const void *owner, enum emuv_pages_why why);
/* Writes everything (what is in flight as gap), the gaps by kernel, and frees. */
void emuv_pages_queue_close(struct emuv_pages_queue *q, const char *(*kernel_name)(uint32_t id));

/* Takes what the device has written to its log, in order, up to the first entry that is not written yet, at most `most`
 * entries. Returns how many. */
uint32_t emuv_pages_log_take(struct emuv_pages_queue *q, uint64_t *entries, uint32_t capacity,
                             struct emuv_pages_control *control, uint32_t most);

#endif
