// SPDX-License-Identifier: Apache-2.0
/* When a capture records: the launcher's --start-after, --duration and --capture-range.
 *
 * A capture records when its start time has come, its duration is not over and, if it waits for ranges, one is open.
 * Ranges count in all threads; several may be open at a time, and each later one makes the capture record again. What
 * is not bound to the window: allocations, frees and what describes executable graphs; memory is known at any moment.
 *
 * No clock, no lock, no thread: times (CLOCK_MONOTONIC, ns) are handed in, and the caller serialises calls. Only
 * `recording` and `since_ns` may be read by any thread at any time. The open ranges of a thread (emuv_window_thread)
 * are that thread's. */
#ifndef EMUV_INJECT_WINDOW_H
#define EMUV_INJECT_WINDOW_H

#include "runtime/core/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum emuv_window_trigger { EMUV_WINDOW_NO_RANGE, EMUV_WINDOW_PROFILER, EMUV_WINDOW_NVTX };
enum { EMUV_WINDOW_NAME = 256, EMUV_WINDOW_DOMAINS = 8 };

struct emuv_window {
  enum emuv_window_trigger trigger;
  char name[EMUV_WINDOW_NAME];   /* of the NVTX range */
  uint64_t start_at_ns;          /* 0: at once */
  uint64_t duration_ns;          /* from the first recorded moment; 0: no limit */
  uint64_t open;                 /* ranges open now */
  uint64_t begun_ns;             /* first recorded moment; 0: none yet */
  bool over;                     /* the duration has ended: never again */
  atomic_uint_fast64_t since_ns; /* the last time that recording began */
  atomic_bool recording;
};

/* The matching push ranges that a thread has open: one per domain at most, since the outermost counts. */
struct emuv_window_thread {
  struct {
    const void *domain;
    uint32_t depth; /* 0: the place is free */
  } open[EMUV_WINDOW_DOMAINS];
};

/* "cudaProfilerApi" or "nvtx:NAME". EMUV_ERR_USAGE with a hint. */
int emuv_window_parse_range(const char *text, struct emuv_window *w, struct emuv_err *err);
/* From the environment that the launcher sets: EMUV_TRACE_START_AT_NS, EMUV_TRACE_DURATION_NS,
 * EMUV_TRACE_CAPTURE_RANGE. What does not parse counts as not set. */
void emuv_window_from_environment(struct emuv_window *w);
/* Something is set: the capture does not record everything. */
bool emuv_window_is_set(const struct emuv_window *w);

/* It records at this time, as far as is known now. */
bool emuv_window_wants(const struct emuv_window *w, uint64_t now_ns);
/* What the window is at this time, after something happened: sets `recording`. */
void emuv_window_update(struct emuv_window *w, uint64_t now_ns);
/* The next time at which it changes by itself; 0: never. */
uint64_t emuv_window_next_ns(const struct emuv_window *w, uint64_t now_ns);
/* The call that began then belongs to the present window. */
bool emuv_window_contains(const struct emuv_window *w, uint64_t enter_ns);

/* Profiler calls do not nest. */
void emuv_window_profiler(struct emuv_window *w, bool start);
/* True when the capture waits for a range of this name. */
bool emuv_window_matches(const struct emuv_window *w, const char *text);
/* A push or pop of a thread: +1 when it opens a range that counts, -1 when it closes one, else 0. The caller adds that
 * to `open`. */
int emuv_window_push(const struct emuv_window *w, struct emuv_window_thread *t, const void *domain, const char *text);
int emuv_window_pop(struct emuv_window_thread *t, const void *domain);

#endif
