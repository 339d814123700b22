// SPDX-License-Identifier: Apache-2.0
/* Whether an injected library records now: the window (window.h) of this process, kept up to date by what the program
 * does (ranges) and by a thread of its own (times), which exists only where times were asked for. No CUDA.
 *
 * Handlers look at one flag, emuv_recording_now(). Besides, the library is told to arm (make its callbacks and
 * activities come) when recording begins and to disarm when it has paused for a second: a pause costs next to nothing,
 * and ranges that follow each other closely do not switch anything.
 *
 * All functions may be called by any thread; arm and disarm calls never overlap. */
#ifndef EMUV_INJECT_RECORDING_H
#define EMUV_INJECT_RECORDING_H

#include "tracer/format/writer.h"
#include "tracer/inject/window.h"

extern struct emuv_window emuv_recording; /* read only */

static inline bool emuv_recording_now(void)
{
  return atomic_load_explicit(&emuv_recording.recording, memory_order_relaxed);
}
/* The call that began then is to be recorded: it lies inside the window as a whole. */
static inline bool emuv_recording_covers(uint64_t enter_ns)
{
  return emuv_recording_now() && emuv_window_contains(&emuv_recording, enter_ns);
}

/* Reads the environment, once: ranges may come before the library records anything. */
void emuv_recording_configure(void);
/* From here on: arm(true) when records are wanted, arm(false) when not; end() once when the duration is over, in a
 * thread of its own. Writes what was asked for to the trace. */
void emuv_recording_begin(struct emuv_trace_writer *w, void (*arm)(bool on), void (*end)(void));
/* To be called every so often: disarms after a pause. */
void emuv_recording_tick(void);
/* Ends the thread: when it returns, end() has been called or never will be. Says so when nothing was ever recorded. */
void emuv_recording_stop(void);

void emuv_recording_profiler(bool start);
/* Ranges of NVTX that a thread opens and closes. */
void emuv_recording_push(const void *domain, const char *text);
void emuv_recording_pop(const void *domain);
/* Ranges that may end in another thread: true when it counts; then its end must be told. */
bool emuv_recording_range_start(const char *text);
void emuv_recording_range_end(void);

#endif
