// SPDX-License-Identifier: Apache-2.0
/* What a device of runtime/device can do, as JSON: copies by size, direction and batching, kernels that read, check and
 * write, what a launch costs, a chain of kernels and copies that wait for each other, mapping, pinning, reading in
 * place.
 *
 *   device_bench [DEVICE [GIB [PEER]]]      default: cuda, an arena of 8 GiB; half of that is pinned in RAM
 *
 * PEER: number of a GPU; copies and reading in place are measured with its memory in place of RAM, too (lists that
 * begin with peer_).
 *
 * Every rate is bytes over the time from the first start to the last end, by the device's own clock; the best of a few
 * repetitions. Exit status: 0, 1 on an error, 77 when the device is not there. */
#include "runtime/device/device.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REPETITIONS = 3, CHAIN = 200, COPIES_MAX = 1024 };

struct bench {
  const struct emuv_device_ops *ops;
  struct emuv_device_env env;
  struct emuv_device *device;
  uint8_t *host;
  uint64_t arena_bytes, host_bytes;
  bool pinned, with_peer;
  int peer;
  struct emuv_err err;
  json_t *out;
};

static double now_ns(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void fatal(const struct bench *b, const char *what)
{
  fprintf(stderr, "device_bench: %s: %s\n", what, b->err.text);
  exit(1);
}

static void bench_open(struct bench *b, uint64_t page_bytes, enum emuv_mapping mapping)
{
  void *memory = NULL;
  b->env = (struct emuv_device_env){.page_bytes = page_bytes, .mapping = mapping};
  b->env.n_frames = b->env.n_pages = (uint32_t)(b->arena_bytes / page_bytes);
  if (mapping == EMUV_MAPPING_REMAP) b->env.n_pages *= 2;
  if (b->ops->open(&b->env, &b->device, &b->err)) fatal(b, "open");
  b->pinned = true;
  if (b->with_peer ? b->ops->peer_alloc(b->device, b->peer, b->host_bytes, &memory, &b->err)
                   : b->ops->host_alloc(b->device, b->host_bytes, 16, &memory, &b->pinned, &b->err))
    fatal(b, "host memory");
  b->host = memory;
}

static json_t *list(struct bench *b, const char *name)
{
  char key[32];
  snprintf(key, sizeof key, "%s%s", b->with_peer ? "peer_" : "", name);
  if (!json_object_get(b->out, key)) json_object_set_new(b->out, key, json_array());
  return json_object_get(b->out, key);
}

static void bench_close(struct bench *b)
{
  b->ops->close(b->device);
  b->device = NULL;
}

static void wait_for(struct bench *b, enum emuv_stream stream, uint64_t seq)
{
  if (seq && b->ops->wait(b->device, stream, seq, &b->err)) fatal(b, "wait");
}

static void span_of(struct bench *b, enum emuv_stream stream, uint64_t seq, struct emuv_span *span)
{
  if (!b->ops->span(b->device, stream, seq, span)) fatal(b, "span");
}

/* One call with n pages of the present size, scattered over frames and host memory or one after the other. */
static uint64_t copy_pages(struct bench *b, enum emuv_stream stream, uint32_t first, uint32_t n, uint32_t n_all,
                           const struct emuv_after *after)
{
  static struct emuv_copy copies[COPIES_MAX];
  const uint64_t page = b->env.page_bytes;
  const uint32_t slots = (uint32_t)(b->host_bytes / page);
  uint64_t seq = 0;
  for (uint32_t i = 0; i < n; i++) {
    const uint64_t k = first + i;
    copies[i] = (struct emuv_copy){.frame = (uint32_t)(k * 769 % n_all % b->env.n_frames),
                                   .bytes = page,
                                   .host = b->host + (k * 257 % n_all % slots) * page};
  }
  if (b->ops->copy(b->device, stream, copies, n, after, &seq, &b->err)) fatal(b, "copy");
  return seq;
}

/* n_all pages, `batch` per call, on one stream or on both directions at once; GB/s of all. */
static double copy_rate(struct bench *b, bool up, bool down, uint32_t n_all, uint32_t batch, double *host_ns)
{
  static const struct emuv_after at_once;
  double best = 0;
  for (int r = 0; r < REPETITIONS; r++) {
    struct emuv_span first[2], last[2];
    uint64_t begin[2] = {0}, seq[2] = {0};
    const double start = now_ns();
    for (uint32_t i = 0; i < n_all; i += batch) {
      const uint32_t n = n_all - i < batch ? n_all - i : batch;
      if (up) seq[0] = copy_pages(b, EMUV_STREAM_UP, i, n, n_all, &at_once);
      if (down) seq[1] = copy_pages(b, EMUV_STREAM_DOWN, i, n, n_all, &at_once);
      for (int d = 0; d < 2; d++) begin[d] = begin[d] ? begin[d] : seq[d];
    }
    *host_ns = (now_ns() - start) / (n_all * (double)(up + down));
    double from = 1e300, to = 0;
    for (int d = 0; d < 2; d++) {
      const enum emuv_stream stream = d ? EMUV_STREAM_DOWN : EMUV_STREAM_UP;
      if (!seq[d]) continue;
      wait_for(b, stream, seq[d]);
      span_of(b, stream, begin[d], &first[d]);
      span_of(b, stream, seq[d], &last[d]);
      from = first[d].start_ns < from ? first[d].start_ns : from;
      to = last[d].end_ns > to ? last[d].end_ns : to;
    }
    const double rate = (double)n_all * (double)b->env.page_bytes * (up + down) / (to - from);
    best = rate > best ? rate : best;
  }
  return best;
}

static void copies_of(struct bench *b, uint64_t page_bytes)
{
  static const char *const names[] = {"up", "down", "both"};
  bench_open(b, page_bytes, EMUV_MAPPING_TABLE);
  uint64_t n = (2ull << 30) / page_bytes;
  if (n > 2000) n = 2000;
  for (int direction = 0; direction < 3; direction++)
    for (uint32_t batch = 1; batch <= 64; batch *= 64) {
      double host_ns = 0;
      const double rate = copy_rate(b, direction != 1, direction != 0, (uint32_t)n, batch, &host_ns);
      json_array_append_new(list(b, "copies"),
                            json_pack("{s:I, s:s, s:i, s:f, s:f}", "bytes", (json_int_t)page_bytes, "direction",
                                      names[direction], "batch", (int)batch, "gb_per_s", rate, "host_ns", host_ns));
    }
  bench_close(b);
}

static uint64_t launch(struct bench *b, const struct emuv_touch *touch, uint32_t n, const struct emuv_after *after)
{
  const struct emuv_kernel kernel = {.touch = touch, .n_touches = n};
  uint64_t seq = 0;
  if (b->ops->launch(b->device, &kernel, after, &seq, &b->err)) fatal(b, "launch");
  return seq;
}

/* The best of some kernels, in ns. A page that is checked and written has another version each time. */
static double kernel_ns(struct bench *b, struct emuv_touch *touch, uint32_t n)
{
  const uint32_t changes = EMUV_TOUCH_CHECK | EMUV_TOUCH_WRITE;
  double best = 1e300;
  for (int r = 0; r < REPETITIONS + 1; r++) {
    struct emuv_span span;
    const uint64_t seq = launch(b, touch, n, NULL);
    wait_for(b, EMUV_STREAM_COMPUTE, seq);
    span_of(b, EMUV_STREAM_COMPUTE, seq, &span);
    if (span.end_ns - span.start_ns < best) best = span.end_ns - span.start_ns;
    for (uint32_t i = 0; i < n; i++) touch[i].version += (touch[i].flags & changes) == changes;
  }
  return best;
}

/* Every frame, by kernels that do one thing. */
static void kernels_of(struct bench *b, uint64_t page_bytes, enum emuv_mapping mapping)
{
  static const struct {
    const char *name;
    uint32_t flags;
  } modes[] = {{"write", EMUV_TOUCH_WRITE},
               {"check", EMUV_TOUCH_READ | EMUV_TOUCH_CHECK},
               {"read", EMUV_TOUCH_READ},
               {"check and write", EMUV_TOUCH_READ | EMUV_TOUCH_CHECK | EMUV_TOUCH_WRITE}};
  bench_open(b, page_bytes, mapping);
  struct emuv_touch *touch = calloc(b->env.n_frames, sizeof *touch);
  for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
    for (uint32_t i = 0; i < b->env.n_frames; i++)
      touch[i] = (struct emuv_touch){
          .page = i, .frame = i, .version = m == 0 ? UINT32_MAX : 0, .flags = modes[m].flags, .bytes = page_bytes};
    const double ns = kernel_ns(b, touch, b->env.n_frames);
    const double bytes = (double)b->env.n_frames * (double)page_bytes * (m == 3 ? 2 : 1);
    json_array_append_new(list(b, "kernels"), json_pack("{s:I, s:s, s:s, s:f}", "page_bytes", (json_int_t)page_bytes,
                                                        "mapping", mapping == EMUV_MAPPING_TABLE ? "table" : "remap",
                                                        "does", modes[m].name, "gb_per_s", bytes / ns));
  }
  uint64_t total = 0;
  struct emuv_mismatch one;
  b->ops->mismatches(b->device, &one, 1, &total);
  const json_int_t before = json_integer_value(json_object_get(b->out, "mismatches"));
  json_object_set_new(b->out, "mismatches", json_integer(before + (json_int_t)total));
  free(touch);
  bench_close(b);
}

/* Many launches with n touches of `bytes` each. */
static void launches_of(struct bench *b, uint32_t n, uint64_t bytes)
{
  enum { LAUNCHES = 1000 };
  struct emuv_touch *touch = calloc(n ? n : 1, sizeof *touch);
  struct emuv_span first, last;
  for (uint32_t i = 0; i < n; i++)
    touch[i] = (struct emuv_touch){.page = i, .frame = i, .flags = EMUV_TOUCH_READ, .bytes = bytes};
  wait_for(b, EMUV_STREAM_COMPUTE, launch(b, touch, n, NULL));
  const double start = now_ns();
  uint64_t seq = 0;
  for (int i = 0; i < LAUNCHES; i++) seq = launch(b, touch, n, NULL);
  const double host_ns = (now_ns() - start) / LAUNCHES;
  wait_for(b, EMUV_STREAM_COMPUTE, seq);
  span_of(b, EMUV_STREAM_COMPUTE, seq - LAUNCHES + 1, &first);
  span_of(b, EMUV_STREAM_COMPUTE, seq, &last);
  const double alone = now_ns();
  wait_for(b, EMUV_STREAM_COMPUTE, launch(b, touch, n, NULL));
  const double sync_ns = now_ns() - alone;
  json_array_append_new(list(b, "launches"),
                        json_pack("{s:i, s:I, s:f, s:f, s:f, s:f}", "touches", (int)n, "bytes_each", (json_int_t)bytes,
                                  "host_ns", host_ns, "device_ns", (last.end_ns - first.start_ns) / LAUNCHES,
                                  "kernel_ns", last.end_ns - last.start_ns, "launch_and_wait_ns", sync_ns));
  free(touch);
}

/* Kernels and copies in turn, each after the one before. */
static void chain_of(struct bench *b, enum emuv_stream stream)
{
  struct emuv_span first, last;
  struct emuv_after after = {{0}};
  uint64_t kernel = 0;
  const double start = now_ns();
  for (uint32_t i = 0; i < CHAIN; i++) {
    struct emuv_touch touch = {.page = i, .frame = i, .flags = EMUV_TOUCH_READ, .bytes = 4096};
    kernel = launch(b, &touch, 1, &after);
    after = (struct emuv_after){{[EMUV_STREAM_COMPUTE] = kernel}};
    const uint64_t copy = copy_pages(b, stream, i, 1, b->env.n_frames, &after);
    after = (struct emuv_after){{0}};
    after.seq[stream] = copy;
  }
  const double host_ns = (now_ns() - start) / CHAIN;
  kernel = launch(b, NULL, 0, &after);
  wait_for(b, EMUV_STREAM_COMPUTE, kernel);
  span_of(b, EMUV_STREAM_COMPUTE, kernel - CHAIN, &first);
  span_of(b, EMUV_STREAM_COMPUTE, kernel, &last);
  json_array_append_new(list(b, "chains"),
                        json_pack("{s:s, s:I, s:f, s:f}", "stream", stream == EMUV_STREAM_UP ? "up" : "down", "bytes",
                                  (json_int_t)b->env.page_bytes, "host_ns", host_ns, "round_ns",
                                  (last.start_ns - first.start_ns) / CHAIN));
}

static void small_work(struct bench *b)
{
  static const uint32_t touches[] = {0, 1, 12, 13, 120, 121, 1000, 1001, 8000};
  bench_open(b, 65536, EMUV_MAPPING_TABLE);
  for (size_t i = 0; i < sizeof touches / sizeof *touches; i++) launches_of(b, touches[i], 4096);
  launches_of(b, 16, 65536);
  for (int r = 0; r < 2; r++) {
    chain_of(b, EMUV_STREAM_UP);
    chain_of(b, EMUV_STREAM_DOWN);
  }
  bench_close(b);
}

/* Each kernel touches `n` pages in other frames than before. */
static void remap_of(struct bench *b, uint64_t page_bytes, uint32_t n, bool adjoining)
{
  struct emuv_touch touch[64];
  struct emuv_device_costs before, after;
  bench_open(b, page_bytes, EMUV_MAPPING_REMAP);
  const uint32_t step = adjoining ? 1 : 2;
  for (uint32_t round = 0; round < 40; round++) {
    for (uint32_t i = 0; i < n; i++)
      touch[i] = (struct emuv_touch){.page = i * step % b->env.n_pages,
                                     .frame = (i + round) % b->env.n_frames,
                                     .flags = EMUV_TOUCH_READ,
                                     .bytes = 4096};
    wait_for(b, EMUV_STREAM_COMPUTE, launch(b, touch, n, NULL));
    if (round == 7) b->ops->costs(b->device, &before);
  }
  b->ops->costs(b->device, &after);
  json_array_append_new(list(b, "remaps"),
                        json_pack("{s:I, s:i, s:b, s:f, s:f}", "page_bytes", (json_int_t)page_bytes, "pages", (int)n,
                                  "adjoining", (int)adjoining, "map_ns",
                                  (after.map_ns - before.map_ns) / (double)(after.maps - before.maps), "unmap_ns",
                                  (after.unmap_ns - before.unmap_ns) / (double)(after.unmaps - before.unmaps)));
  bench_close(b);
}

static void in_place_of(struct bench *b, uint64_t page_bytes)
{
  bench_open(b, page_bytes, EMUV_MAPPING_TABLE);
  const uint32_t n = (uint32_t)(b->host_bytes / 2 / page_bytes);
  struct emuv_touch *touch = calloc(n, sizeof *touch);
  for (uint32_t i = 0; i < n; i++)
    touch[i] = (struct emuv_touch){.page = i,
                                   .flags = EMUV_TOUCH_READ | EMUV_TOUCH_IN_PLACE,
                                   .bytes = page_bytes,
                                   .host = b->host + i * page_bytes};
  if (b->pinned)
    json_array_append_new(list(b, "in_place"), json_pack("{s:I, s:f}", "page_bytes", (json_int_t)page_bytes, "gb_per_s",
                                                         (double)n * (double)page_bytes / kernel_ns(b, touch, n)));
  free(touch);
  bench_close(b);
}

static void pinning_of(struct bench *b, int threads)
{
  void *memory = NULL;
  bool pinned = false;
  b->env = (struct emuv_device_env){.page_bytes = 65536, .n_frames = 1, .n_pages = 1};
  if (b->ops->open(&b->env, &b->device, &b->err)) fatal(b, "open");
  const double start = now_ns();
  if (b->ops->host_alloc(b->device, b->host_bytes, threads, &memory, &pinned, &b->err)) fatal(b, "host_alloc");
  const double made = now_ns();
  b->ops->host_free(b->device, memory);
  const double gib = (double)b->host_bytes / (double)(1 << 30);
  json_array_append_new(list(b, "pinning"),
                        json_pack("{s:i, s:b, s:f, s:f}", "threads", threads, "pinned", (int)pinned, "s_per_gib",
                                  (made - start) / 1e9 / gib, "free_s_per_gib", (now_ns() - made) / 1e9 / gib));
  bench_close(b);
}

static void run(struct bench *b)
{
  static const uint64_t sizes[] = {4096, 65536, 262144, 1 << 20, 2 << 20, 16 << 20, 64 << 20};
  small_work(b);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) copies_of(b, sizes[i]);
  kernels_of(b, 65536, EMUV_MAPPING_TABLE);
  kernels_of(b, 2 << 20, EMUV_MAPPING_TABLE);
  kernels_of(b, 64 << 20, EMUV_MAPPING_TABLE);
  kernels_of(b, 2 << 20, EMUV_MAPPING_REMAP);
  for (uint64_t page = 2 << 20; page <= 64 << 20; page *= 32) {
    remap_of(b, page, 1, false);
    remap_of(b, page, 16, true);
    remap_of(b, page, 16, false);
    in_place_of(b, page);
  }
  in_place_of(b, 65536);
  for (int threads = 1; threads <= 16; threads *= 4) pinning_of(b, threads);
}

static void run_peer(struct bench *b)
{
  b->with_peer = true;
  for (uint64_t page = 65536; page <= 64 << 20; page *= 4) copies_of(b, page);
  in_place_of(b, 65536);
  in_place_of(b, 2 << 20);
}

int main(int argc, char **argv)
{
  struct emuv_device_info info;
  struct bench b = {.ops = emuv_device_find(argc > 1 ? argv[1] : "cuda"), .out = json_object()};
  if (!b.ops || b.ops->probe(0, &info, &b.err)) {
    fprintf(stderr, "device_bench: no device%s%s\n", b.err.text[0] ? ": " : "", b.err.text);
    return 77;
  }
  b.arena_bytes = (argc > 2 ? strtoull(argv[2], NULL, 10) : 8) << 30;
  b.host_bytes = b.arena_bytes / 2;
  json_object_update_new(b.out, json_pack("{s:s, s:s, s:s, s:I}", "device", info.name, "link", info.link, "driver",
                                          info.driver, "free_bytes", (json_int_t)info.free_bytes));
  run(&b);
  if (argc > 3 && b.ops->peer_alloc) {
    b.peer = atoi(argv[3]);
    run_peer(&b);
  }
  char *text = json_dumps(b.out, JSON_INDENT(1) | JSON_REAL_PRECISION(5));
  puts(text);
  free(text);
  json_decref(b.out);
  return 0;
}
