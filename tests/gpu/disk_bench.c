// SPDX-License-Identifier: Apache-2.0
/* Rates of a disk, raw and through runtime/device/disk.h, by request size and depth, as one JSON object.
 *
 *   disk_bench FOLDER [MIB [MILLISECONDS]]      MIB: size of the file (default 4096); MILLISECONDS: per figure (300)
 *
 * A file in FOLDER is written once from end to end, so that all figures are those of blocks that exist; it has no
 * name. Raw means: threads that call pread and pwrite on it with O_DIRECT and nothing else, one request each. The
 * verdict compares, in alternation, the best raw figure with disk.h at 2 MiB slots; what it needs to reach is
 * NEEDED_SHARE. Status 0, 1 when it does not reach that, 2 for wrong usage. */
#include "runtime/core/inject.h"
#include "runtime/device/disk.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)
#define NEEDED_SHARE 0.9

enum { MAX_DEPTH = 64, ROUNDS = 5 };

struct bench {
  char path[512];
  int fd;
  uint64_t bytes;
  double seconds;
  char *memory; /* MAX_DEPTH x 16 MiB */
};

static void die(const char *what, const char *why)
{
  fprintf(stderr, "disk_bench: %s: %s\n", what, why);
  exit(1);
}

static double now_s(void)
{
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Raw */

struct raw {
  const struct bench *bench;
  uint64_t request;
  bool write;
  double until;
  _Atomic uint64_t next; /* request number */
};

struct raw_thread {
  struct raw *raw;
  pthread_t thread;
  char *memory;
};

static void *raw_run(void *arg)
{
  const struct raw_thread *t = arg;
  struct raw *r = t->raw;
  const uint64_t n = r->bench->bytes / r->request;
  while (now_s() < r->until) {
    const off_t at = (off_t)(atomic_fetch_add(&r->next, 1) % n * r->request);
    const ssize_t rc =
        r->write ? pwrite(r->bench->fd, t->memory, r->request, at) : pread(r->bench->fd, t->memory, r->request, at);
    if (rc != (ssize_t)r->request) die("raw transfer", "failed or short");
  }
  return NULL;
}

/* Bytes per second. */
static double raw_rate(const struct bench *b, uint64_t request, unsigned depth, bool write)
{
  struct raw raw = {.bench = b, .request = request, .write = write};
  struct raw_thread threads[MAX_DEPTH];
  const double start = now_s();
  raw.until = start + b->seconds;
  for (unsigned i = 0; i < depth; i++) {
    threads[i] = (struct raw_thread){.raw = &raw, .memory = b->memory + i * 16 * MIB};
    if (pthread_create(&threads[i].thread, NULL, raw_run, &threads[i]) != 0) die("threads", "cannot be started");
  }
  for (unsigned i = 0; i < depth; i++) (void)pthread_join(threads[i].thread, NULL);
  return (double)(raw.next * request) / (now_s() - start);
}

/* Through disk.h */

struct figure {
  uint64_t slot;
  uint32_t depth;
  bool write, threads, unregistered;
};

static struct emuv_disk *open_disk(const struct bench *b, const struct figure *f, struct emuv_inject *inject)
{
  struct emuv_disk *disk = NULL;
  struct emuv_err err;
  uint32_t reserved = 0;
  const struct emuv_disk_env env = {.path = b->path,
                                    .slot_bytes = f->slot,
                                    .n_slots = (uint32_t)(b->bytes / f->slot),
                                    .depth = f->depth,
                                    .inject = inject};
  if (emuv_disk_open(&env, &disk, &err) != 0 || emuv_disk_reserve(disk, env.n_slots, &reserved, &err) != 0)
    die("disk", err.text);
  if (!f->unregistered) emuv_disk_register(disk, b->memory, MAX_DEPTH * 16 * MIB);
  return disk;
}

static double run_disk(struct emuv_disk *disk, const struct bench *b, const struct figure *f, double *latency_s)
{
  struct emuv_disk_result results[MAX_DEPTH];
  struct emuv_err err;
  const uint32_t n_slots = (uint32_t)(b->bytes / f->slot);
  uint32_t slot = 0, idle[MAX_DEPTH], n_idle = f->depth;
  uint64_t done = 0;
  double waited = 0, start = now_s(), now = start;
  for (uint32_t i = 0; i < f->depth; i++) idle[i] = i;
  while (now - start < b->seconds || n_idle < f->depth) {
    while (n_idle > 0 && now - start < b->seconds) {
      const uint32_t i = idle[--n_idle];
      const struct emuv_disk_request r = {
          .write = f->write, .slot = slot, .bytes = f->slot, .memory = b->memory + i * 16 * MIB, .tag = i};
      if (emuv_disk_submit(disk, &r, 1, &err) != 1) die("submit", err.text);
      slot = (slot + 1) % n_slots;
    }
    const int64_t n = emuv_disk_poll(disk, results, f->depth, 1000000000, &err);
    if (n < 0) die("poll", err.text);
    for (int64_t i = 0; i < n; i++) {
      if (results[i].rc != 0) die("transfer", strerror(results[i].system_errno));
      idle[n_idle++] = (uint32_t)results[i].tag;
      waited += (results[i].end_ns - results[i].start_ns) * 1e-9;
    }
    done += (uint64_t)n;
    now = now_s();
  }
  if (latency_s) *latency_s = done ? waited / (double)done : 0;
  return (double)(done * f->slot) / (now - start);
}

static double disk_rate(const struct bench *b, const struct figure *f, double *latency_s)
{
  const char *const rules[] = {"nvme-uring"};
  struct emuv_inject *inject = NULL;
  struct emuv_err err;
  if (f->threads && emuv_inject_open(rules, 1, 1, &inject, &err) != 0) die("inject", err.text);
  struct emuv_disk *disk = open_disk(b, f, inject);
  const double rate = run_disk(disk, b, f, latency_s);
  struct emuv_disk_info info;
  emuv_disk_info(disk, &info);
  if (info.remark[0] && !f->threads) fprintf(stderr, "disk_bench: %s\n", info.remark);
  emuv_disk_close(disk);
  emuv_inject_close(inject);
  return rate;
}

/* Report */

static double gb(double bytes_per_s)
{
  return (double)(long)(bytes_per_s / 1e6 + 0.5) / 1e3;
}

struct best {
  double rate;
  uint64_t request;
  unsigned depth;
};

static json_t *raw_table(const struct bench *b, bool write, struct best *best)
{
  static const uint64_t requests[] = {MIB / 4, MIB, 2 * MIB};
  static const unsigned depths[] = {1, 8, 32, 64};
  json_t *table = json_array();
  for (size_t i = 0; i < 3; i++) {
    for (size_t d = 0; d < 4; d++) {
      const double rate = raw_rate(b, requests[i], depths[d], write);
      if (rate > best->rate) *best = (struct best){rate, requests[i], depths[d]};
      json_array_append_new(table, json_pack("{s:I,s:i,s:f}", "request_bytes", (json_int_t)requests[i], "depth",
                                             (int)depths[d], "gb_per_s", gb(rate)));
    }
  }
  return table;
}

static json_t *disk_table(const struct bench *b, bool write, bool threads)
{
  static const uint64_t slots[] = {4096, MIB / 16, MIB / 4, MIB, 2 * MIB, 16 * MIB};
  static const uint32_t depths[] = {1, 8, 32, 64};
  json_t *table = json_array();
  for (size_t i = 0; i < sizeof slots / sizeof slots[0]; i++) {
    for (size_t d = 0; d < 4; d++) {
      const struct figure f = {.slot = slots[i], .depth = depths[d], .write = write, .threads = threads};
      double latency_s = 0;
      const double rate = disk_rate(b, &f, &latency_s);
      json_array_append_new(table, json_pack("{s:I,s:i,s:f,s:f}", "slot_bytes", (json_int_t)f.slot, "depth",
                                             (int)f.depth, "gb_per_s", gb(rate), "latency_us", latency_s * 1e6));
    }
  }
  return table;
}

static int ascending(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Medians of alternating rounds. */
static json_t *verdict(const struct bench *b, bool write, const struct best *best, bool *reached)
{
  const struct figure f = {.slot = 2 * MIB, .depth = 32, .write = write}, threads = {2 * MIB, 32, write, true, false},
                      plain = {2 * MIB, 32, write, false, true};
  double raw[ROUNDS], uring[ROUNDS], pool[ROUNDS], unregistered[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) {
    raw[i] = raw_rate(b, best->request, best->depth, write);
    uring[i] = disk_rate(b, &f, NULL);
    pool[i] = disk_rate(b, &threads, NULL);
    unregistered[i] = disk_rate(b, &plain, NULL);
  }
  qsort(raw, ROUNDS, sizeof raw[0], ascending);
  qsort(uring, ROUNDS, sizeof raw[0], ascending);
  qsort(pool, ROUNDS, sizeof raw[0], ascending);
  qsort(unregistered, ROUNDS, sizeof raw[0], ascending);
  const double share = uring[ROUNDS / 2] / raw[ROUNDS / 2];
  if (share < NEEDED_SHARE) *reached = false;
  return json_pack("{s:I,s:i,s:f,s:f,s:f,s:f,s:f}", "raw_request_bytes", (json_int_t)best->request, "raw_depth",
                   (int)best->depth, "raw_gb_per_s", gb(raw[ROUNDS / 2]), "disk_gb_per_s", gb(uring[ROUNDS / 2]),
                   "threads_gb_per_s", gb(pool[ROUNDS / 2]), "unregistered_gb_per_s", gb(unregistered[ROUNDS / 2]),
                   "share", share);
}

static json_t *measure(const struct bench *b, bool write, bool *reached)
{
  struct best best = {0};
  json_t *o = json_object();
  json_object_set_new(o, "raw", raw_table(b, write, &best));
  json_object_set_new(o, "disk_uring", disk_table(b, write, false));
  json_object_set_new(o, "disk_threads", disk_table(b, write, true));
  json_object_set_new(o, "verdict_2MiB_slots", verdict(b, write, &best, reached));
  return o;
}

/* Blocks that a nameless file has reserved, but that were never written, cost more: the first pass over it. */
static double fresh_rate(const struct bench *b, const char *folder)
{
  struct bench fresh = *b;
  (void)snprintf(fresh.path, sizeof fresh.path, "%s", folder);
  const struct figure f = {.slot = 2 * MIB, .depth = 32, .write = true};
  return disk_rate(&fresh, &f, NULL);
}

static void prepare(struct bench *b, const char *folder)
{
  struct stat st;
  if (stat(folder, &st) != 0 || !S_ISDIR(st.st_mode)) die(folder, "is no folder");
  b->fd = open(folder, O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
  if (b->fd < 0) die(folder, "no file can be made in it with O_DIRECT");
  (void)snprintf(b->path, sizeof b->path, "/proc/self/fd/%d", b->fd);
  if (posix_memalign((void **)&b->memory, 4096, MAX_DEPTH * 16 * MIB) != 0) die("memory", "1 GiB is not to be had");
  memset(b->memory, 0x5a, MAX_DEPTH * 16 * MIB);
  for (uint64_t at = 0; at < b->bytes; at += 16 * MIB)
    if (pwrite(b->fd, b->memory, 16 * MIB, (off_t)at) != (ssize_t)(16 * MIB)) die(b->path, "no space");
}

int main(int argc, char **argv)
{
  if (argc < 2 || argc > 4) {
    fprintf(stderr, "usage: disk_bench FOLDER [MIB [MILLISECONDS]]\n");
    return 2;
  }
  struct bench b = {.bytes = (argc > 2 ? strtoull(argv[2], NULL, 10) : 4096) / 16 * 16 * MIB,
                    .seconds = argc > 3 ? strtod(argv[3], NULL) / 1e3 : 0.3};
  if (b.bytes == 0 || !(b.seconds > 0)) die("arguments", "16 MiB and a millisecond at least");
  bool reached = true;
  prepare(&b, argv[1]);
  json_t *report = json_object();
  json_object_set_new(report, "file_bytes", json_integer((json_int_t)b.bytes));
  json_object_set_new(report, "read", measure(&b, false, &reached));
  json_object_set_new(report, "write", measure(&b, true, &reached));
  json_object_set_new(report, "write_reserved_but_new_gb_per_s", json_real(gb(fresh_rate(&b, argv[1]))));
  json_object_set_new(report, "reached", json_boolean(reached));
  (void)json_dumpf(report, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
  putchar('\n');
  json_decref(report);
  (void)close(b.fd);
  free(b.memory);
  return reached ? 0 : 1;
}
