// SPDX-License-Identifier: Apache-2.0
/* The disk (calibrate.h): reads and writes by request size at the depth that a replay uses, over blocks that have been
 * written before (reserved ones that were not are faster to read and slower to write), and one request at a time. */
#include "runtime/replay/calibrate_internal.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t SIZES[] = {UINT64_C(64) << 10, UINT64_C(256) << 10, UINT64_C(1) << 20,
                                 UINT64_C(2) << 20,  UINT64_C(4) << 20,   UINT64_C(16) << 20};
static const uint64_t LATENCY_BYTES = UINT64_C(1) << 20, MOST_BYTES = UINT64_C(4) << 30;
enum {
  N_SIZES = sizeof SIZES / sizeof SIZES[0],
  DEPTH = 32,
  MAX_DEPTH = 64,
  MIN_DEPTH = 16,
  DISK_REPETITIONS = 3,
  LATENCY_REQUESTS = 64
};

struct rig {
  struct emuv_disk *disk;
  char *memory; /* `depth` slots */
  uint64_t slot_bytes;
  uint32_t n_slots, depth, next; /* next: slot of the next request */
};

static int failed(const struct emuv_disk_result *result, struct emuv_err *err)
{
  return emuv_err_set(err, result->rc, "a disk request fails: %s", strerror(result->system_errno));
}

static int submit(struct rig *r, bool write, uint64_t place, struct emuv_err *err)
{
  const struct emuv_disk_request request = {.write = write,
                                            .slot = r->next,
                                            .bytes = r->slot_bytes,
                                            .memory = r->memory + place * r->slot_bytes,
                                            .tag = place};
  r->next = (r->next + 1) % r->n_slots;
  const int64_t n = emuv_disk_submit(r->disk, &request, 1, err);
  if (n == 1) return 0;
  return n < 0 ? (int)n : emuv_err_set(err, EMUV_ERR_INTERNAL, "the disk takes no request");
}

/* Requests at a depth, for a number of seconds or over so many slots, whichever comes last. *rate: bytes per second. */
static int stream(struct rig *r, bool write, uint32_t depth, double seconds, uint32_t slots, double *rate,
                  struct emuv_err *err)
{
  struct emuv_disk_result results[MAX_DEPTH];
  uint64_t sent = 0, done = 0;
  const double start = emuv_calibrate_now_ns();
  double now = start;
  int rc = 0;
  for (; rc == 0 && sent < depth; sent++) rc = submit(r, write, sent, err);
  while (rc == 0 && done < sent) {
    const int64_t n = emuv_disk_poll(r->disk, results, MAX_DEPTH, 1000000000, err);
    if (n < 0) return (int)n;
    now = emuv_calibrate_now_ns();
    const bool more = now - start < seconds * 1e9 || sent < slots;
    for (int64_t i = 0; rc == 0 && i < n; i++) {
      rc = results[i].rc != 0 ? failed(&results[i], err) : more ? submit(r, write, results[i].tag, err) : 0;
      if (rc == 0 && more) sent++;
    }
    done += (uint64_t)n;
  }
  *rate = now > start ? (double)(done * r->slot_bytes) / (now - start) * 1e9 : 0;
  return rc;
}

static int open_rig(const struct emuv_calibrate_options *o, uint64_t slot_bytes, uint32_t depth, struct rig *r,
                    struct emuv_err *err)
{
  const uint64_t bytes = o->nvme_bytes < MOST_BYTES ? o->nvme_bytes : MOST_BYTES;
  *r = (struct rig){.slot_bytes = slot_bytes, .n_slots = (uint32_t)(bytes / slot_bytes), .depth = depth};
  const struct emuv_disk_env env = {
      .path = o->nvme_path, .slot_bytes = slot_bytes, .n_slots = r->n_slots, .depth = depth};
  uint32_t reserved = 0;
  void *memory = NULL;
  int rc = emuv_disk_open(&env, &r->disk, err);
  if (rc == 0) rc = emuv_disk_reserve(r->disk, r->n_slots, &reserved, err);
  if (rc == 0 && posix_memalign(&memory, 4096, depth * slot_bytes) != 0)
    rc = emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %u disk requests", depth);
  if (rc != 0) return rc;
  r->memory = memory;
  memset(memory, 0x5a, depth * slot_bytes);
  emuv_disk_register(r->disk, memory, depth * slot_bytes);
  return 0;
}

static void close_rig(struct rig *r)
{
  emuv_disk_close(r->disk);
  free(r->memory);
}

static int measure_rate(const struct emuv_calibrate_options *o, struct rig *r, bool write, struct emuv_figures *out,
                        struct emuv_err *err)
{
  double rates[DISK_REPETITIONS];
  int rc = 0;
  for (uint32_t i = 0; rc == 0 && i < DISK_REPETITIONS; i++)
    rc = stream(r, write, r->depth, o->disk_seconds, 0, &rates[i], err);
  if (rc != 0) return rc;
  out->at[out->n].bytes = r->slot_bytes;
  out->at[out->n++].rate = emuv_calibrate_figure(rates, DISK_REPETITIONS);
  return 0;
}

/* What one request takes beyond its bytes at the rate that is reached with many. */
static int measure_latency(struct rig *r, double rate_at_depth, struct emuv_figure *latency, struct emuv_err *err)
{
  double ns[EMUV_CALIBRATE_REPETITIONS], rate = 0;
  const double bytes_ns = (double)r->slot_bytes / rate_at_depth * 1e9;
  for (uint32_t i = 0; i < EMUV_CALIBRATE_REPETITIONS; i++) {
    const int rc = stream(r, false, 1, 0, LATENCY_REQUESTS, &rate, err);
    if (rc != 0) return rc;
    const double all_ns = (double)r->slot_bytes / rate * 1e9;
    ns[i] = all_ns > bytes_ns ? all_ns - bytes_ns : 0;
  }
  *latency = emuv_calibrate_figure(ns, EMUV_CALIBRATE_REPETITIONS);
  return 0;
}

static int measure_size(const struct emuv_calibrate_options *o, struct rig *r, struct emuv_calibration *c,
                        struct emuv_err *err)
{
  double ignored = 0;
  int rc = stream(r, true, r->depth, 0, r->n_slots, &ignored, err); /* all blocks exist now */
  if (rc == 0) rc = measure_rate(o, r, true, &c->nvme_write, err);
  if (rc == 0) rc = measure_rate(o, r, false, &c->nvme_read, err);
  if (rc == 0 && (r->slot_bytes == LATENCY_BYTES || c->nvme_latency.n == 0))
    rc = measure_latency(r, c->nvme_read.at[c->nvme_read.n - 1].rate.value, &c->nvme_latency, err);
  emuv_disk_info(r->disk, &c->disk);
  c->disk_bytes = r->n_slots * r->slot_bytes;
  return rc;
}

int emuv_calibrate_disk(const struct emuv_calibrate_options *o, struct emuv_calibration *c, struct emuv_err *err)
{
  if (o->nvme_bytes < DEPTH * SIZES[0])
    return emuv_err_set(err, EMUV_ERR_RANGE,
                        "a disk is measured with %d requests of 64 KiB in flight: give 2 MiB or more", DEPTH);
  for (size_t i = 0; i < N_SIZES && DEPTH * SIZES[i] <= o->nvme_bytes; i++) {
    struct rig rig;
    int rc = open_rig(o, SIZES[i], DEPTH, &rig, err);
    if (rc == 0) rc = measure_size(o, &rig, c, err);
    close_rig(&rig);
    if (rc != 0) return rc;
  }
  if (c->disk.remark[0]) emuv_calibrate_warn(c, "disk: %.140s", c->disk.remark);
  return 0;
}

/* Requests without an engine, for comparison. */

struct emuv_disk_raw {
  struct rig rig;
  uint32_t best[2]; /* depth that gave most: reads, writes */
};

static int choose_depth(struct emuv_disk_raw *raw, bool write, double seconds, struct emuv_err *err)
{
  double best = 0, rate = 0;
  int rc = 0;
  for (uint32_t depth = raw->rig.depth; rc == 0 && depth >= MIN_DEPTH; depth /= 2) {
    rc = stream(&raw->rig, write, depth, seconds, 0, &rate, err);
    if (rc != 0 || rate <= best) continue;
    best = rate;
    raw->best[write] = depth;
  }
  return rc;
}

int emuv_disk_raw_open(const struct emuv_calibrate_options *o, uint64_t slot_bytes, struct emuv_disk_raw **raw,
                       struct emuv_err *err)
{
  uint64_t fit = o->nvme_bytes / slot_bytes;
  if (fit < MIN_DEPTH) return emuv_err_set(err, EMUV_ERR_RANGE, "the disk has room for less than %d pages", MIN_DEPTH);
  struct emuv_disk_raw *r = calloc(1, sizeof *r);
  if (!r) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for a disk");
  double ignored = 0;
  r->best[0] = r->best[1] = fit < MAX_DEPTH ? (uint32_t)fit : MAX_DEPTH;
  int rc = open_rig(o, slot_bytes, r->best[0], &r->rig, err);
  if (rc == 0) rc = stream(&r->rig, true, r->rig.depth, 0, r->rig.n_slots, &ignored, err);
  for (int write = 0; rc == 0 && write < 2; write++) rc = choose_depth(r, write != 0, o->disk_seconds, err);
  if (rc == 0)
    *raw = r;
  else
    emuv_disk_raw_close(r);
  return rc;
}

int emuv_disk_raw_rate(struct emuv_disk_raw *raw, bool write, double seconds, double *rate, struct emuv_err *err)
{
  return stream(&raw->rig, write, raw->best[write], seconds, 0, rate, err);
}

void emuv_disk_raw_close(struct emuv_disk_raw *raw)
{
  if (!raw) return;
  close_rig(&raw->rig);
  free(raw);
}
