// SPDX-License-Identifier: Apache-2.0
/* Life of an engine: device, memory, disk, books; and its one failure, which every call returns after it has happened.
 *
 * RAM is one piece of host memory: the pager's frames but those in another GPU's memory, its bounce frames, and a few
 * scratch pages of the engine's own for what is not the pager's business (filling and checking what the CPU cannot
 * reach, checkpoints, repairs). */
#include "runtime/engine/engine.h"

#include "runtime/engine/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCRATCH_BYTES = 64 << 20, SCRATCH_PAGES = 128 };
/* Bytes in flight that keep a disk busy, and no more: what is in flight goes before what is more urgent. */
enum { DISK_BYTES = 32 << 20, DISK_MIN_DEPTH = 4, DISK_MAX_DEPTH = 128 };
enum { MERGE_STAGED_BYTES = 4 << 20 }; /* pages from the disk come one by one, and shall not wait for each other */

int emuv_engine_check(struct emuv_engine *e, struct emuv_err *err)
{
  if (!atomic_load_explicit(&e->failed, memory_order_acquire)) return 0;
  if (err) *err = e->failure; /* written once, before `failed` */
  return e->failure.code;
}

/* From any thread. */
static void note_failure(struct emuv_engine *e, const struct emuv_err *why)
{
  pthread_mutex_lock(&e->mutex);
  bool first = !atomic_load(&e->failed);
  if (first) {
    e->failure = *why;
    atomic_store_explicit(&e->failed, true, memory_order_release);
  }
  pthread_mutex_unlock(&e->mutex);
  if (first) e->ops->fail(e->device);
}

static void disk_failed(void *arg, const struct emuv_err *why)
{
  note_failure(arg, why);
}

int emuv_engine_fail(struct emuv_engine *e, const struct emuv_err *why, struct emuv_err *err)
{
  note_failure(e, why);
  if (e->queue) emuv_disk_queue_stop(e->queue);
  return emuv_engine_check(e, err);
}

static int check_env(const struct emuv_engine_env *env, struct emuv_err *err)
{
  if (!env->page_bytes || env->page_bytes % 4096)
    return emuv_err_set(err, EMUV_ERR_RANGE, "pages of %llu bytes: real memory wants a multiple of 4096",
                        (unsigned long long)env->page_bytes);
  if (!env->n_pages || !env->vram_frames)
    return emuv_err_set(err, EMUV_ERR_RANGE, "an engine needs at least one page and one frame of VRAM");
  return 0;
}

static int open_device(struct emuv_engine *e, struct emuv_err *err)
{
  const struct emuv_engine_env *env = &e->env;
  struct emuv_device_env d = {.index = env->device_index,
                              .page_bytes = env->page_bytes,
                              .n_pages = env->n_pages,
                              .n_frames = env->vram_frames,
                              .mapping = env->mapping,
                              .up = env->up,
                              .down = env->down,
                              .inject = env->inject,
                              .stopped = emuv_engine_stopped,
                              .stopped_arg = e};
  d.peer = env->peer;
  return e->ops->open(&d, &e->device, err);
}

static int open_peer(struct emuv_engine *e, struct emuv_err *err)
{
  const struct emuv_engine_env *env = &e->env;
  void *memory;
  e->layout = emuv_peer_layout(env->ram_frames, env->peer_bytes, env->page_bytes);
  if (!e->layout.peer) return 0;
  if (!e->ops->peer_alloc || env->disk_path)
    return emuv_err_set(err, EMUV_ERR_UNSUPPORTED, "memory of another GPU: %s",
                        env->disk_path ? "not together with a disk" : "this device has none");
  uint64_t bytes = emuv_peer_frames(&e->layout) * env->page_bytes;
  int rc = e->ops->peer_alloc(e->device, env->peer_index, bytes, &memory, err);
  if (!rc) e->peer = memory;
  return rc;
}

static void remark(struct emuv_engine *e, const char *text)
{
  size_t used = strlen(e->stats.remark);
  snprintf(e->stats.remark + used, sizeof e->stats.remark - used, "%s%s", used ? "; " : "", text);
}

static uint64_t host_frames(const struct emuv_engine *e)
{
  return (uint64_t)emuv_peer_host_frames(&e->layout) + e->env.bounce_frames + e->scratch_pages;
}

static int open_ram(struct emuv_engine *e, struct emuv_err *err)
{
  uint64_t n = SCRATCH_BYTES / e->env.page_bytes;
  if (!e->env.disk_path && !e->layout.peer) n = 1;
  e->scratch_pages = n < 2 ? 2 : n > SCRATCH_PAGES ? SCRATCH_PAGES : (uint32_t)n;
  e->scratch_first = e->env.ram_frames + e->env.bounce_frames;
  uint64_t bytes = host_frames(e) * e->env.page_bytes;
  void *memory;
  int rc = e->ops->host_alloc(e->device, bytes, emuv_engine_threads(e), &memory, &e->stats.pinned, err);
  if (rc) return rc;
  e->ram = memory;
  if (!e->stats.pinned) remark(e, "RAM could not be pinned: copies are slower");
  return 0;
}

static uint32_t disk_depth(uint64_t page_bytes)
{
  uint64_t n = DISK_BYTES / page_bytes;
  return n < DISK_MIN_DEPTH ? DISK_MIN_DEPTH : n > DISK_MAX_DEPTH ? DISK_MAX_DEPTH : (uint32_t)n;
}

static int open_disk(struct emuv_engine *e, struct emuv_err *err)
{
  const struct emuv_engine_env *env = &e->env;
  if (!env->disk_path || !env->nvme_slots) return 0;
  struct emuv_disk_env d = {.path = env->disk_path,
                            .slot_bytes = env->page_bytes,
                            .n_slots = env->nvme_slots,
                            .depth = disk_depth(env->page_bytes),
                            .inject = env->inject};
  int rc = emuv_disk_open(&d, &e->disk, err);
  if (rc) return rc;
  emuv_disk_register(e->disk, e->ram, host_frames(e) * env->page_bytes);
  struct emuv_disk_queue_env q = {.disk = e->disk,
                                  .device = e->device,
                                  .depth = d.depth,
                                  .queue_bytes = env->in_flight_bytes,
                                  .slot_bytes = env->page_bytes,
                                  .fail = disk_failed,
                                  .arg = e};
  return emuv_disk_queue_open(&q, &e->queue, err);
}

static int open_books(struct emuv_engine *e, struct emuv_err *err)
{
  const struct emuv_engine_env *env = &e->env;
  uint32_t ram = e->scratch_first + e->scratch_pages;
  int rc = emuv_scoreboard_init(&e->board, env->vram_frames, ram, env->nvme_slots, err);
  if (!rc) rc = emuv_books_init(&e->books, env->n_pages, env->vram_frames, ram, env->nvme_slots, err);
  if (rc) return rc;
  e->link = calloc(EMUV_ENGINE_N_LINKS, sizeof *e->link);
  e->launched = calloc(EMUV_ENGINE_HISTORY, sizeof *e->launched);
  e->damage = calloc(EMUV_ENGINE_DAMAGE, sizeof *e->damage);
  bool ok = e->link && e->launched && e->damage;
  const uint64_t merge = emuv_tier_batch_bytes(env->vram_frames * env->page_bytes);
  for (int i = 0; i < EMUV_ENGINE_N_LINKS; i++) {
    e->batch[i].piece = malloc(EMUV_ENGINE_PIECES * sizeof *e->batch[i].piece);
    e->merge_bytes[i] = i + EMUV_STREAM_UP == EMUV_STREAM_STAGED && !e->layout.peer ? MERGE_STAGED_BYTES : merge;
    if (env->in_flight_bytes && e->merge_bytes[i] > env->in_flight_bytes / 4)
      e->merge_bytes[i] = env->in_flight_bytes / 4;
    ok = ok && e->batch[i].piece;
    if (e->link) e->link[i].oldest = 1;
  }
  e->compute.next[0] = e->up.next[0] = e->up.next[1] = e->down.next[0] = e->peer_up.next[0] = 1;
  return ok ? 0 : emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the engine's tables");
}

int emuv_engine_open(const struct emuv_engine_env *env, struct emuv_engine **engine, struct emuv_err *err)
{
  int rc = check_env(env, err);
  if (rc) return rc;
  struct emuv_engine *e = calloc(1, sizeof *e);
  if (!e) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for an engine");
  e->env = *env;
  e->ops = env->device;
  pthread_mutex_init(&e->mutex, NULL);
  rc = open_device(e, err);
  if (!rc) rc = open_peer(e, err);
  if (!rc) rc = open_ram(e, err);
  if (!rc) rc = open_books(e, err);
  if (!rc) rc = open_disk(e, err);
  if (rc) {
    emuv_engine_close(e);
    return rc;
  }
  *engine = e;
  return 0;
}

static void free_tables(struct emuv_engine *e)
{
  emuv_scoreboard_free(&e->board);
  emuv_books_free(&e->books);
  for (int i = 0; i < EMUV_ENGINE_N_LINKS; i++) free(e->batch[i].piece);
  free(e->link);
  free(e->launched);
  free(e->damage);
  free(e->touch);
  free(e->wrong);
  free(e->flip);
}

void emuv_engine_close(struct emuv_engine *e)
{
  if (!e) return;
  emuv_disk_queue_close(e->queue);
  emuv_disk_close(e->disk);
  if (e->device) e->ops->close(e->device); /* waits for its work, then frees RAM too */
  free_tables(e);
  pthread_mutex_destroy(&e->mutex);
  free(e);
}

static uint64_t errors_injected(const struct emuv_engine *e)
{
  uint64_t sum = 0, asked, fired;
  for (int p = 0; p < EMUV_INJECT_N_POINTS; p++) {
    if (p == EMUV_INJECT_FLIP_VRAM || p == EMUV_INJECT_FLIP_RAM || p == EMUV_INJECT_FLIP_NVME) continue;
    emuv_inject_counts(e->env.inject, (enum emuv_inject_point)p, &asked, &fired);
    sum += fired;
  }
  return sum;
}

void emuv_engine_stats(struct emuv_engine *e, struct emuv_engine_stats *stats)
{
  emuv_engine_count_times(e, true);
  *stats = e->stats;
  stats->compute_ns = e->compute.busy_ns;
  stats->up_busy_ns = e->up.busy_ns;
  stats->down_busy_ns = e->down.busy_ns;
  stats->peer_busy_ns = e->peer_up.busy_ns;
  if (e->queue) stats->disk_busy_ns = emuv_disk_queue_busy_ns(e->queue);
  if (e->disk) emuv_disk_info(e->disk, &stats->disk);
  e->ops->costs(e->device, &stats->device);
  if (e->env.inject) stats->errors_injected = errors_injected(e);
  if (!stats->disk.remark[0]) return;
  size_t used = strlen(stats->remark);
  snprintf(stats->remark + used, sizeof stats->remark - used, "%s%s", used ? "; " : "", stats->disk.remark);
}

struct emuv_device *emuv_engine_device(struct emuv_engine *e)
{
  return e->device;
}

void *emuv_engine_memory(struct emuv_engine *e, uint32_t frame)
{
  return emuv_engine_ram(e, frame);
}

void emuv_engine_gate(struct emuv_engine *e, uint64_t seq)
{
  e->gate = seq;
}

void emuv_engine_skim(struct emuv_engine *e, bool on)
{
  e->skim = on;
}
