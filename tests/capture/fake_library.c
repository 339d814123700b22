// SPDX-License-Identifier: Apache-2.0
/* A capture library without CUDA: everything that injected libraries have in common (inject.h, recording.h), and
 * records that are made up. For tests of the launcher, of the files of several processes, of kills and of full disks,
 * on machines that have no CUDA headers. */
#include "tests/capture/fake_flush.h"
#include "tracer/inject/recording.h"

#include <pthread.h>

enum { TICK_MS = 200 };

static struct emuv_trace_writer *writer;
static atomic_uint_fast64_t allocations;

static void tick(void)
{
  emuv_recording_tick();
  if (!emuv_capture_enter()) return;
  emuv_trace_writer_flush(writer, NULL);
  emuv_capture_leave();
}

static void close_trace(enum emuv_trace_status status, const char *text)
{
  struct emuv_err err = {0};
  emuv_injected_stop_ticking();
  if (emuv_injected_turn_off() && emuv_trace_writer_close(writer, status, emuv_injected_exit_status(), text, &err))
    emuv_capture_say("%s: %s", emuv_injected_path(), err.text);
}

static void finish(void)
{
  emuv_recording_stop();
  if (emuv_injected_is_on()) close_trace(EMUV_TRACE_STATUS_COMPLETE, NULL);
}

static void end_of_duration(void)
{
  if (emuv_injected_is_on()) close_trace(EMUV_TRACE_STATUS_STOPPED, "the duration ended");
}

static void arm(bool on)
{
  (void)on;
}

static void start(void)
{
  map_file();
  if (emuv_injected_open(&writer)) return;
  emuv_injected_describe(writer);
  emuv_recording_begin(writer, arm, end_of_duration);
  emuv_injected_begin(writer, tick, TICK_MS, finish);
}

static int initialize(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, start);
  return 1;
}

static void allocate(uint64_t address, uint64_t bytes)
{
  if (!emuv_capture_enter()) return;
  const struct emuv_trace_allocation record = {.id = atomic_fetch_add(&allocations, 1) + 1,
                                               .address = address,
                                               .bytes = bytes,
                                               .ns = emuv_capture_now_ns(),
                                               .kind = EMUV_TRACE_MEMORY_DEVICE,
                                               .tid = emuv_capture_tid()};
  emuv_trace_writer_allocation(writer, &record);
  emuv_capture_leave();
}

static void release(uint64_t address)
{
  if (!emuv_capture_enter()) return;
  const struct emuv_trace_free record = {.address = address, .ns = emuv_capture_now_ns(), .tid = emuv_capture_tid()};
  emuv_trace_writer_free(writer, &record);
  emuv_capture_leave();
}

static void write_launch(uint64_t address)
{
  const struct emuv_trace_kernel kernel = {.name = emuv_trace_writer_string(writer, "fake")};
  const struct emuv_trace_operand operand = {
      .allocation = 1, .offset = address & 0xfff, .bytes = 64, .cls = EMUV_TRACE_CLASS_BOUNDED};
  const uint64_t sequence = emuv_trace_writer_sequence(writer), now = emuv_capture_now_ns();
  const struct emuv_trace_launch record = {.sequence = sequence,
                                           .correlation = sequence,
                                           .enter_ns = now,
                                           .exit_ns = now,
                                           .kernel = emuv_trace_writer_kernel(writer, &kernel),
                                           .cls = EMUV_TRACE_CLASS_BOUNDED,
                                           .tid = emuv_capture_tid(),
                                           .n_operands = 1,
                                           .operands = &operand};
  emuv_trace_writer_launch(writer, &record);
}

static void launch(uint64_t address)
{
  if (emuv_recording_now() && emuv_capture_enter()) {
    write_launch(address);
    emuv_capture_leave();
  }
  note_launch();
}

static void profiler(int on)
{
  emuv_recording_profiler(on);
}

static void push(const char *name)
{
  emuv_recording_configure();
  emuv_recording_push(NULL, name);
}

static void pop(void)
{
  emuv_recording_pop(NULL);
}

extern const struct fake emuv_fake;
__attribute__((visibility("default")))
const struct fake emuv_fake = {initialize, allocate, release, launch, profiler, push, pop};
