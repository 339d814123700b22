// SPDX-License-Identifier: Apache-2.0
/* What the libraries that CUDA loads into a traced process (capture, page capture) have in common: where the trace
 * goes, the process's own records, who may still use the writer, the background thread, fork and exit. No CUDA.
 *
 * The environment says where the trace goes: EMUV_TRACE_OUTPUT (a file; names.h says which process gets which name),
 * EMUV_TRACE_RUN (the launcher's id of the run), EMUV_TRACE_MAX_BYTES; and when records are taken (recording.h).
 *
 * Rules: the traced program must never notice. Nothing here exits or aborts; a failure is one line on stderr and the
 * program runs on. A forked child is inert: it takes no records, and the file stays its parent's. All functions may be
 * called by any thread; one library of a process uses them. */
#ifndef EMUV_INJECT_INJECT_H
#define EMUV_INJECT_INJECT_H

#include "tracer/format/writer.h"

#include <stdbool.h>
#include <stdint.h>

uint64_t emuv_capture_now_ns(void); /* CLOCK_MONOTONIC */
uint32_t emuv_capture_tid(void);
/* One line on stderr, "emuv-trace: ...". */
void emuv_capture_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Brackets each use of the capture by a callback: false when it is off, and then no leave. */
bool emuv_capture_enter(void);
void emuv_capture_leave(void);
/* Turns callbacks away and waits for those inside. False when it was off already, or when a callback does not return:
 * that costs the verdict, not the program. */
bool emuv_injected_turn_off(void);
bool emuv_injected_is_on(void);

/* Creates the file that EMUV_TRACE_OUTPUT names; says why not. EMUV_ERR_NODEV without a word when it names none. */
int emuv_injected_open(struct emuv_trace_writer **writer);
/* The path of that file. */
const char *emuv_injected_path(void);
/* The process record, emuV's version, the time. */
void emuv_injected_describe(struct emuv_trace_writer *w);
void emuv_injected_fact(struct emuv_trace_writer *w, const char *key, uint64_t value);
/* Nothing for count 0. */
void emuv_injected_gap(struct emuv_trace_writer *w, enum emuv_trace_gap_why why, const char *text, uint64_t count);

/* From here on records are taken; `tick` is called in a thread of its own every `tick_ms` while the capture is on, and
 * `finish` at exit, where it must call emuv_injected_stop_ticking. A forked child has the capture off and disowns the
 * writer. */
void emuv_injected_begin(struct emuv_trace_writer *w, void (*tick)(void), unsigned tick_ms, void (*finish)(void));
/* What the program hands to exit(), as wait() gives it to a shell; 0 before. */
uint32_t emuv_injected_exit_status(void);
/* Returns when the thread has ended. */
void emuv_injected_stop_ticking(void);

/* The folder of the loaded object that holds the address; "" when not known. `folder` has PATH_MAX bytes. */
void emuv_injected_folder_of(const void *address, char *folder);
/* Writes the address of a library's function to the pointer at *slot, as POSIX allows. False and NULL when it has
 * none. */
bool emuv_injected_find(void *library, const char *name, void *slot);

#endif
