// SPDX-License-Identifier: Apache-2.0
/* What the device `host` promises beyond device.h: times of the modelled link, kernels that it stretches, a bounded
 * number of pieces of work in flight. Times are checked from below, and between spans of one device. */
#include "runtime/device/device.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { PAGE = 65536, PAGES = 64 };

struct bench {
  const struct emuv_device_ops *ops;
  struct emuv_device *device;
  uint8_t *memory;
  struct emuv_err err;
};

/* 1 GB/s for single pages, 4 GB/s for 16 and more; down at a fifth of it. */
static const struct emuv_device_env slow_link = {
    .page_bytes = PAGE,
    .n_pages = PAGES,
    .n_frames = PAGES,
    .up = {.n = 2, .point = {{PAGE, 1e9}, {16 * PAGE, 4e9}}},
    .down = {.n = 1, .point = {{1, 2e8}}},
};

static void open_bench(struct bench *b, const struct emuv_device_env *env)
{
  void *memory;
  bool pinned;
  b->ops = emuv_device_find("host");
  assert_non_null(b->ops);
  assert_int_equal(b->ops->open(env, &b->device, &b->err), EMUV_OK);
  assert_int_equal(b->ops->host_alloc(b->device, PAGES * PAGE, 1, &memory, &pinned, &b->err), EMUV_OK);
  b->memory = memory;
}

/* n pages from number `first` on, adjoining or with every second one left out. */
static uint64_t copy_pages(struct bench *b, enum emuv_stream stream, uint32_t first, uint32_t n, uint32_t step,
                           const struct emuv_after *after)
{
  struct emuv_copy copies[PAGES];
  uint64_t seq;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t page = first + i * step;
    copies[i] = (struct emuv_copy){.frame = page, .bytes = PAGE, .host = b->memory + (size_t)page * PAGE};
  }
  assert_int_equal(b->ops->copy(b->device, stream, copies, n, after, &seq, &b->err), EMUV_OK);
  return seq;
}

static struct emuv_span span_of(struct bench *b, enum emuv_stream stream, uint64_t seq)
{
  struct emuv_span span;
  assert_int_equal(b->ops->wait(b->device, stream, seq, &b->err), EMUV_OK);
  assert_true(b->ops->span(b->device, stream, seq, &span));
  return span;
}

static double length(struct emuv_span span)
{
  return span.end_ns - span.start_ns;
}

static double now_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static const struct emuv_after at_once = {{0}};

/* A copy takes the time of the curve at its size after merging, and is not reported before. */
static void test_link_by_size(void **state)
{
  (void)state;
  struct bench b = {0};
  struct emuv_device_costs costs;
  open_bench(&b, &slow_link);
  struct emuv_span one = span_of(&b, EMUV_STREAM_UP, copy_pages(&b, EMUV_STREAM_UP, 0, 1, 1, &at_once));
  struct emuv_span merged = span_of(&b, EMUV_STREAM_UP, copy_pages(&b, EMUV_STREAM_UP, 0, 16, 1, &at_once));
  assert_true(now_ns() >= merged.end_ns);
  b.ops->costs(b.device, &costs);
  assert_int_equal(costs.pieces, 2);
  struct emuv_span apart = span_of(&b, EMUV_STREAM_UP, copy_pages(&b, EMUV_STREAM_UP, 0, 16, 2, &at_once));
  struct emuv_span down = span_of(&b, EMUV_STREAM_DOWN, copy_pages(&b, EMUV_STREAM_DOWN, 0, 16, 1, &at_once));
  b.ops->costs(b.device, &costs);
  assert_int_equal(costs.pieces, 2 + 16 + 1);
  assert_true(length(one) >= PAGE / 1.0 - 1);
  assert_true(length(merged) >= 16 * PAGE / 4.0 - 1);
  assert_true(length(apart) >= 16 * PAGE / 1.0 - 1);
  assert_true(length(down) >= 16 * PAGE / 0.2 - 1);
  b.ops->close(b.device);
}

/* UP and STAGED share the way up: together they take the time of both; DOWN has its own. */
static void test_shared_link(void **state)
{
  (void)state;
  struct bench b = {0};
  struct emuv_device_env env = slow_link;
  env.up.n = 1;
  env.up.point[0].bytes_per_s = 2e8;
  open_bench(&b, &env);
  struct emuv_after gate = {{[EMUV_STREAM_DISK_READ] = 1}};
  uint64_t up = copy_pages(&b, EMUV_STREAM_UP, 0, 16, 1, &gate);
  uint64_t staged = copy_pages(&b, EMUV_STREAM_STAGED, 16, 16, 1, &gate);
  uint64_t down = copy_pages(&b, EMUV_STREAM_DOWN, 32, 16, 1, &gate);
  b.ops->disk_done(b.device, EMUV_STREAM_DISK_READ, 1);
  struct emuv_span a = span_of(&b, EMUV_STREAM_UP, up), c = span_of(&b, EMUV_STREAM_STAGED, staged);
  struct emuv_span d = span_of(&b, EMUV_STREAM_DOWN, down);
  double first = a.start_ns < c.start_ns ? a.start_ns : c.start_ns, last = a.end_ns > c.end_ns ? a.end_ns : c.end_ns;
  assert_true(last - first >= 32 * PAGE / 0.2 - 1);
  assert_true(d.start_ns < first + 16 * PAGE / 0.2); /* does not queue behind them */
  b.ops->close(b.device);
}

static void test_kernel_time(void **state)
{
  (void)state;
  struct bench b = {0};
  struct emuv_device_env env = slow_link;
  env.time_scale = 0.5;
  open_bench(&b, &env);
  struct emuv_touch touch = {.flags = EMUV_TOUCH_READ | EMUV_TOUCH_IN_PLACE, .bytes = PAGE, .host = b.memory};
  struct emuv_kernel plain = {.duration_ns = 4e6}, remote = {.touch = &touch, .n_touches = 1};
  uint64_t seq;
  assert_int_equal(b.ops->launch(b.device, &plain, &at_once, &seq, &b.err), EMUV_OK);
  assert_true(length(span_of(&b, EMUV_STREAM_COMPUTE, seq)) >= 2e6);
  assert_int_equal(b.ops->launch(b.device, &remote, &at_once, &seq, &b.err), EMUV_OK);
  assert_true(length(span_of(&b, EMUV_STREAM_COMPUTE, seq)) >= PAGE / 1.0 - 1); /* comes over the link */
  b.ops->close(b.device);
}

/* A chain over streams: each begins when the one before has ended, to the nanosecond, however late threads wake up. */
static void test_chain_has_no_gaps(void **state)
{
  (void)state;
  struct bench b = {0};
  struct emuv_kernel kernel = {.duration_ns = 5e5};
  struct emuv_after gate = {{[EMUV_STREAM_DISK_READ] = 1}}, after = at_once;
  uint64_t kernels[4], copies[4];
  open_bench(&b, &slow_link);
  for (int i = 0; i < 4; i++) {
    copies[i] = copy_pages(&b, EMUV_STREAM_UP, 0, 4, 1, i == 0 ? &gate : &after);
    after = (struct emuv_after){{[EMUV_STREAM_UP] = copies[i]}};
    assert_int_equal(b.ops->launch(b.device, &kernel, &after, &kernels[i], &b.err), EMUV_OK);
    after = (struct emuv_after){{[EMUV_STREAM_COMPUTE] = kernels[i]}};
  }
  b.ops->disk_done(b.device, EMUV_STREAM_DISK_READ, 1);
  for (int i = 0; i < 4; i++) {
    struct emuv_span copy = span_of(&b, EMUV_STREAM_UP, copies[i]);
    struct emuv_span run = span_of(&b, EMUV_STREAM_COMPUTE, kernels[i]);
    assert_true(run.start_ns == copy.end_ns);
    if (i > 0) assert_true(copy.start_ns == span_of(&b, EMUV_STREAM_COMPUTE, kernels[i - 1]).end_ns);
  }
  b.ops->close(b.device);
}

struct release {
  struct bench *bench;
  atomic_bool released;
};

static void *release_later(void *argument)
{
  struct release *release = argument;
  struct timespec time = {.tv_nsec = 50000000};
  nanosleep(&time, NULL);
  atomic_store(&release->released, true);
  release->bench->ops->disk_done(release->bench->device, EMUV_STREAM_DISK_READ, 1);
  return NULL;
}

/* Work that cannot start piles up to a limit; then submission waits. */
static void test_back_pressure(void **state)
{
  (void)state;
  struct bench b = {0};
  struct emuv_device_env env = slow_link;
  env.up.n = 0;
  open_bench(&b, &env);
  struct release release = {.bench = &b};
  struct emuv_after gate = {{[EMUV_STREAM_DISK_READ] = 1}};
  pthread_t thread;
  uint64_t seq = 0;
  assert_int_equal(pthread_create(&thread, NULL, release_later, &release), 0);
  for (int i = 0; i < 5000; i++) seq = copy_pages(&b, EMUV_STREAM_UP, i % PAGES, 1, 1, &gate);
  assert_true(atomic_load(&release.released));
  assert_int_equal(seq, 5000);
  assert_int_equal(b.ops->wait(b.device, EMUV_STREAM_UP, seq, &b.err), EMUV_OK);
  pthread_join(thread, NULL);
  b.ops->close(b.device);
}

static void test_registry(void **state)
{
  (void)state;
  const char *const *names = emuv_device_names();
  size_t n = 0;
  for (; emuv_devices[n]; n++) {
    assert_string_equal(names[n], emuv_devices[n]->name);
    assert_ptr_equal(emuv_device_find(names[n]), emuv_devices[n]);
    assert_true(strlen(emuv_devices[n]->summary) > 10);
  }
  assert_null(names[n]);
  assert_null(emuv_device_find("abacus"));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_link_by_size),  cmocka_unit_test(test_shared_link),
      cmocka_unit_test(test_kernel_time),   cmocka_unit_test(test_chain_has_no_gaps),
      cmocka_unit_test(test_back_pressure), cmocka_unit_test(test_registry),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
