// SPDX-License-Identifier: Apache-2.0
/* The library of --pages without a GPU: its own files over a stand-in for the Sanitizer API and for the
 * patches (stand_in_sanitizer.h), and a "program" whose driver events are made up here. Each case runs in a child
 * process, because the capture ends when its process does; the parent then reads the trace. */
#include "tests/capture/stand_in_sanitizer.h"
#include "tests/unit/made_cubin.h"
#include "tracer/format/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

int InitializeInjection(void);
enum { PAGE = 65536, LOST_ENTRIES = 5, MANY = 100000, HALF = EMUV_PAGES_LAUNCHES / 2, SEEN = 64 };
#define BIG UINT64_C(0x7f0000000000)
#define BIG_BYTES (64u << 20)
#define CONTEXT ((CUcontext)(uintptr_t)0x77)
#define MODULE ((CUmodule)(uintptr_t)0x99)

static char path[64];

/* ---- the program ---- */

static void resource(Sanitizer_CallbackId id, const void *what)
{
  callback(NULL, SANITIZER_CB_DOMAIN_RESOURCE, id, what);
}

static void load_module(SanitizerResult patched)
{
  static uint8_t image[8192];
  const struct made_function functions[] = {
      {"plain", true, {0x981}}, {"tensor", true, {0x981, 0x5b4}}, {"tex", true, {0xb60}}};
  const Sanitizer_ResourceModuleData m = {
      .context = CONTEXT, .module = MODULE, .pCubin = (char *)image, .cubinSize = made_cubin(image, functions, 3)};
  patch_result = patched;
  resource(SANITIZER_CBID_RESOURCE_MODULE_LOADED, &m);
}

static void allocate(uint64_t address, uint64_t bytes)
{
  const Sanitizer_ResourceMemoryData m = {.address = address, .size = bytes, .context = CONTEXT};
  resource(SANITIZER_CBID_RESOURCE_DEVICE_MEMORY_ALLOC, &m);
}

static void release(uint64_t address)
{
  const Sanitizer_ResourceMemoryData m = {.address = address, .context = CONTEXT};
  resource(SANITIZER_CBID_RESOURCE_DEVICE_MEMORY_FREE, &m);
}

static Sanitizer_LaunchData launch_data(const char *name, uintptr_t stream)
{
  return (Sanitizer_LaunchData){.context = CONTEXT,
                                .hStream = (Sanitizer_StreamHandle)stream,
                                .module = MODULE,
                                .functionName = name,
                                .gridDim_x = 4,
                                .gridDim_y = 1,
                                .gridDim_z = 1,
                                .blockDim_x = 256};
}

static void launch(const char *name, uintptr_t stream)
{
  const Sanitizer_LaunchData d = launch_data(name, stream);
  data = NULL;
  callback(NULL, SANITIZER_CB_DOMAIN_LAUNCH, SANITIZER_CBID_LAUNCH_BEGIN, &d);
}

static void wait_for(uintptr_t stream)
{
  const Sanitizer_SynchronizeData d = {.context = CONTEXT, .hStream = (Sanitizer_StreamHandle)stream};
  callback(NULL, SANITIZER_CB_DOMAIN_SYNCHRONIZE, SANITIZER_CBID_SYNCHRONIZE_STREAM_SYNCHRONIZED, &d);
}

static void begin(void)
{
  load_module(SANITIZER_SUCCESS);
  allocate(BIG, BIG_BYTES);
}

/* Runs `program` with the capture in it; returns how the process ended. */
static int traced(void (*program)(void))
{
  snprintf(path, sizeof path, "/tmp/emuv-pages-%ld.emuv", (long)getpid());
  unlink(path);
  const pid_t child = fork();
  if (child == 0) {
    setenv("EMUV_TRACE_OUTPUT", path, 1);
    setenv("EMUV_TRACE_PAGES", "65536", 1);
    InitializeInjection();
    if (program) program();
    exit(7);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- reading ---- */

static struct {
  struct emuv_trace_launch launch[SEEN];
  struct emuv_trace_operand operand[SEEN][4];
  uint64_t launches, gaps, by_class[EMUV_TRACE_CLASSES], dropped, drops, last_sequence;
  char gap[SEEN][128], order[SEEN + 1];
  struct emuv_trace_reader_state state;
} seen;

static void see_launch(const struct emuv_trace_launch *l)
{
  assert_true(l->sequence > seen.last_sequence);
  seen.last_sequence = l->sequence;
  seen.by_class[l->cls]++;
  if (seen.launches < SEEN) {
    seen.launch[seen.launches] = *l;
    for (uint32_t i = 0; i < l->n_operands && i < 4; i++) seen.operand[seen.launches][i] = l->operands[i];
  }
  seen.launches++;
}

static void see(const struct emuv_trace_reader *r, const struct emuv_trace_record *record)
{
  static const char letters[EMUV_TRACE_TYPES] = {[EMUV_TRACE_ALLOCATION] = 'a',
                                                 [EMUV_TRACE_FREE] = 'f',
                                                 [EMUV_TRACE_LAUNCH] = 'l',
                                                 [EMUV_TRACE_COPY] = 'c',
                                                 [EMUV_TRACE_SET] = 's'};
  const size_t n = strlen(seen.order);
  if (n < SEEN) seen.order[n] = letters[record->type]; /* others end in '\0': no letter */
  switch (record->type) {
  case EMUV_TRACE_LAUNCH: see_launch(&record->u.launch); break;
  case EMUV_TRACE_COPY: assert_int_equal(record->u.copy.dst_allocation, 1); break;
  case EMUV_TRACE_SET: assert_int_equal(record->u.set.allocation, 1); break;
  case EMUV_TRACE_GAP:
    if (seen.gaps < SEEN) snprintf(seen.gap[seen.gaps], 128, "%s", emuv_trace_reader_string(r, record->u.gap.text));
    seen.gaps++;
    break;
  case EMUV_TRACE_DROP: seen.dropped += record->u.drop.count, seen.drops++; break;
  default: break;
  }
}

static void read_trace(void)
{
  struct emuv_trace_reader *r;
  struct emuv_trace_record record;
  struct emuv_err err = {0};
  int rc;
  memset(&seen, 0, sizeof seen);
  if (emuv_trace_reader_open(&r, path, &err)) fail_msg("%s", err.text);
  while ((rc = emuv_trace_reader_next(r, &record, &err)) > 0) see(r, &record);
  if (rc) fail_msg("%s", err.text);
  seen.state = *emuv_trace_reader_state(r);
  emuv_trace_reader_close(r);
  unlink(path);
}

static void expect_gap(const char *text)
{
  for (uint64_t i = 0; i < seen.gaps && i < SEEN; i++)
    if (strcmp(seen.gap[i], text) == 0) return;
  fail_msg("no gap \"%s\" (first of %d: %s)", text, (int)seen.gaps, seen.gap[0]);
}

/* ---- cases ---- */

static void program_simple(void)
{
  begin();
  launch("plain", 1);
  assert_int_equal(data->shift, 16);
  touch(BIG + 3 * PAGE + 8, READ);
  touch(BIG + 4 * PAGE, READ);
  touch(BIG + 4 * PAGE + 100, READ);
  touch(BIG + 9 * PAGE, WRITE);
  wait_for(1);
  launch("plain", 1);
  touch(BIG + 3 * PAGE, READ | WRITE);
  wait_for(1);
}

static void pages_become_operands(void **state)
{
  (void)state;
  assert_int_equal(traced(program_simple), 7);
  read_trace();
  assert_true(seen.state.has_verdict);
  assert_int_equal(seen.state.verdict.status, EMUV_TRACE_STATUS_COMPLETE);
  assert_int_equal(seen.launches, 2);
  assert_int_equal(seen.by_class[EMUV_TRACE_CLASS_EXACT], 2);
  assert_int_equal(seen.gaps, 0);
  assert_int_equal(seen.launch[0].n_operands, 2);
  assert_int_equal(seen.operand[0][0].offset, 3 * PAGE);
  assert_int_equal(seen.operand[0][0].bytes, 2 * PAGE);
  assert_int_equal(seen.operand[0][0].access, READ);
  assert_int_equal(seen.operand[0][1].offset, 9 * PAGE);
  assert_int_equal(seen.operand[0][1].access, WRITE);
  assert_int_equal(seen.launch[1].n_operands, 1);
  assert_int_equal(seen.operand[1][0].access, READ | WRITE);
}

/* Memory that is freed and given out again while launches are in flight: each sees that of its time. */
static void program_in_order(void)
{
  const Sanitizer_MemcpyData copy = {
      .dstAddress = BIG, .size = 100, .direction = SANITIZER_MEMCPY_DIRECTION_HOST_TO_DEVICE};
  const Sanitizer_MemsetData set = {.address = BIG + 64, .width = 8, .height = 1, .elementSize = 4};
  begin();
  allocate(BIG + BIG_BYTES, 4 * PAGE);
  launch("plain", 1);
  const struct emuv_pages_launch *const first = data;
  callback(NULL, SANITIZER_CB_DOMAIN_MEMCPY, SANITIZER_CBID_MEMCPY_STARTING, &copy);
  callback(NULL, SANITIZER_CB_DOMAIN_MEMSET, SANITIZER_CBID_MEMSET_STARTING, &set);
  release(BIG + BIG_BYTES);
  allocate(BIG + BIG_BYTES, 2 * PAGE);
  launch("plain", 2);
  touch(BIG + BIG_BYTES, WRITE);
  wait_for(2);
  touch_for(first, BIG + BIG_BYTES + PAGE, WRITE);
  wait_for(1);
}

static void records_keep_the_order_of_the_calls(void **state)
{
  (void)state;
  assert_int_equal(traced(program_in_order), 7);
  read_trace();
  assert_string_equal(seen.order, "aalcsfal");
  assert_int_equal(seen.launches, 2);
  assert_int_equal(seen.operand[0][0].allocation, 2);
  assert_int_equal(seen.operand[0][0].offset, PAGE);
  assert_int_equal(seen.operand[1][0].allocation, 3);
  assert_int_equal(seen.by_class[EMUV_TRACE_CLASS_EXACT], 2);
  assert_int_equal(seen.launch[0].sequence, 1);
  assert_int_equal(seen.launch[1].sequence, 4);
}

/* A program that never waits: the library does, once in a while; descriptors are used again. */
static void program_never_waits(void)
{
  begin();
  for (int i = 0; i < MANY; i++) {
    launch("plain", 1 + (uintptr_t)i % 3);
    touch(BIG + (uint64_t)(i % 500) * PAGE, READ);
    touch(BIG + (uint64_t)(i % 500) * PAGE, READ);
  }
  if (device_reads > 3 * (MANY / HALF + 1)) exit(1);
}

static void launches_without_end_are_all_seen(void **state)
{
  (void)state;
  assert_int_equal(traced(program_never_waits), 7);
  read_trace();
  assert_int_equal(seen.launches, MANY);
  assert_int_equal(seen.by_class[EMUV_TRACE_CLASS_EXACT], MANY);
  for (uint64_t i = 0; i < SEEN; i++) {
    assert_int_equal(seen.launch[i].n_operands, 1);
    assert_int_equal(seen.operand[i][0].offset, i % 500 * PAGE);
  }
  assert_int_equal(seen.gaps, 0);
}

/* The device gives up waiting for room: what it does then. */
static void program_overflows(void)
{
  begin();
  launch("plain", 1);
  touch(BIG, READ);
  wait_for(1);
  launch("plain", 1);
  touch(BIG, READ);
  struct emuv_pages_log *const log = (struct emuv_pages_log *)(uintptr_t)data->log;
  log->count += LOST_ENTRIES;
  log->dropped = LOST_ENTRIES;
  ((volatile struct emuv_pages_control *)(uintptr_t)log->control)->dead = 1;
  wait_for(1);
  launch("plain", 1);
  wait_for(1);
}

static void an_overflow_is_told(void **state)
{
  (void)state;
  assert_int_equal(traced(program_overflows), 7);
  read_trace();
  assert_int_equal(seen.launches, 3);
  assert_int_equal(seen.launch[0].cls, EMUV_TRACE_CLASS_EXACT);
  assert_int_equal(seen.launch[1].cls, EMUV_TRACE_CLASS_GAP);
  assert_int_equal(seen.launch[2].cls, EMUV_TRACE_CLASS_GAP);
  assert_int_equal(seen.drops, 1);
  assert_int_equal(seen.dropped, LOST_ENTRIES);
  expect_gap("plain: the log of pages was full");
}

/* What cannot be seen is never claimed. */
static void program_unseen(void)
{
  Sanitizer_GraphNodeLaunchData node = {.graphExec = (CUgraphExec)(uintptr_t)5,
                                        .node = (CUgraphNode)(uintptr_t)6,
                                        .nodeType = CU_GRAPH_NODE_TYPE_KERNEL,
                                        .launchData = launch_data("plain", 1)};
  begin();
  launch("tensor", 1);
  touch(BIG, READ);
  launch("tex", 1);
  launch("plain", 1); /* touches nothing */
  launch("plain", 1);
  touch(BIG + BIG_BYTES + (UINT64_C(1) << 40), READ); /* no chunk */
  launch("plain", 1);
  touch(BIG + BIG_BYTES, READ); /* a chunk, but no allocation */
  node.launchData.hApiStream = (Sanitizer_StreamHandle)(uintptr_t)1;
  callback(NULL, SANITIZER_CB_DOMAIN_GRAPHS, SANITIZER_CBID_GRAPHS_NODE_LAUNCH_BEGIN, &node);
  if (data) exit(1); /* its patches must not log for another launch */
  load_module(SANITIZER_ERROR_UNKNOWN);
  launch("plain", 1);
}

static void what_is_not_seen_is_a_gap(void **state)
{
  (void)state;
  assert_int_equal(traced(program_unseen), 7);
  read_trace();
  assert_int_equal(seen.launches, 7);
  assert_int_equal(seen.by_class[EMUV_TRACE_CLASS_GAP], 7);
  assert_int_equal(seen.launch[0].n_operands, 1);
  expect_gap("tensor: copies tensors by TMA, which patches do not see");
  expect_gap("tex: reads textures or surfaces, which patches do not see");
  expect_gap("plain: no access was seen");
  expect_gap("plain: touched memory that is in no allocation");
  expect_gap("plain: runs in a CUDA graph, whose nodes cannot be told apart");
  expect_gap("plain: the kernel could not be patched");
  expect_gap("modules that could not be patched");
}

static void program_loses_its_device(void)
{
  begin();
  launch("plain", 1);
  touch(BIG, READ);
  device_is_gone = true;
  wait_for(1);
}

static void launches_that_never_end_are_gaps(void **state)
{
  (void)state;
  assert_int_equal(traced(program_loses_its_device), 7);
  read_trace();
  assert_int_equal(seen.launches, 1);
  assert_int_equal(seen.launch[0].cls, EMUV_TRACE_CLASS_GAP);
  expect_gap("plain: the launch was not known to be over when the capture ended");
}

static void program_forks(void)
{
  begin();
  launch("plain", 1);
  touch(BIG, READ);
  const pid_t child = fork();
  if (child == 0) {
    launch("plain", 1);
    exit(0);
  }
  waitpid(child, NULL, 0);
  wait_for(1);
}

static void forked_children_are_inert(void **state)
{
  (void)state;
  assert_int_equal(traced(program_forks), 7);
  read_trace();
  assert_int_equal(seen.launches, 1);
  assert_int_equal(seen.by_class[EMUV_TRACE_CLASS_EXACT], 1);
  assert_false(seen.state.truncated);
}

static void another_subscriber_is_no_failure(void **state)
{
  (void)state;
  subscribe_result = SANITIZER_ERROR_MAX_LIMIT_REACHED;
  assert_int_equal(traced(NULL), 7);
  subscribe_result = SANITIZER_SUCCESS;
  read_trace();
  assert_int_equal(seen.state.verdict.status, EMUV_TRACE_STATUS_STOPPED);
  expect_gap("made-up failure");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pages_become_operands),
      cmocka_unit_test(records_keep_the_order_of_the_calls),
      cmocka_unit_test(launches_without_end_are_all_seen),
      cmocka_unit_test(an_overflow_is_told),
      cmocka_unit_test(what_is_not_seen_is_a_gap),
      cmocka_unit_test(launches_that_never_end_are_gaps),
      cmocka_unit_test(forked_children_are_inert),
      cmocka_unit_test(another_subscriber_is_no_failure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
