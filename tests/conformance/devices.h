// SPDX-License-Identifier: Apache-2.0
/* What the tests of devices share: a small device with host memory, and the usual calls in short. The program needs no
 * test library, so that it runs on any machine with a device. A case that fails says where and ends; its device is
 * closed by the runner. */
#ifndef EMUV_TESTS_CONFORMANCE_DEVICES_H
#define EMUV_TESTS_CONFORMANCE_DEVICES_H

#include "runtime/device/content.h"
#include "runtime/device/device.h"

#include <stdio.h>
#include <string.h>

enum { WORLD_PAGES = 32, WORLD_FRAMES = 8, WORLD_SLOTS = 32 };

struct world {
  const struct emuv_device_ops *ops;
  struct emuv_device_env env;
  struct emuv_device *device;
  uint8_t *host; /* WORLD_SLOTS pages of host_alloc */
  struct emuv_err err;
  int failures;
};

#define EXPECT(condition)                                                                                              \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "%s:%d: not so: %s (last error: %s)\n", __FILE__, __LINE__, #condition, w->err.text);            \
      w->failures++;                                                                                                   \
      return;                                                                                                          \
    }                                                                                                                  \
  } while (0)

struct device_case {
  const char *name;
  void (*run)(struct world *w);
  bool own_devices; /* opens what it needs itself */
};

/* Each file of cases has one table, ended by a NULL name. */
extern const struct device_case device_order_cases[], device_check_cases[], device_error_cases[];

static inline int world_open(struct world *w)
{
  bool pinned;
  int rc = w->ops->open(&w->env, &w->device, &w->err);
  if (rc != EMUV_OK) return rc;
  void *memory;
  rc = w->ops->host_alloc(w->device, WORLD_SLOTS * w->env.page_bytes, 4, &memory, &pinned, &w->err);
  w->host = memory;
  return rc;
}

static inline void world_close(struct world *w)
{
  if (w->device) w->ops->close(w->device);
  w->device = NULL;
}

/* A world like w, with faults, on a device of its own. */
static inline struct world world_like(const struct world *w, struct emuv_inject *inject)
{
  struct world other = {.ops = w->ops, .env = w->env};
  other.env.inject = inject;
  return other;
}

static inline void *slot(struct world *w, uint32_t i)
{
  return w->host + i * w->env.page_bytes;
}

/* Memory gets the contents of a version of a page; whether it has them. */
static inline void fill(const struct world *w, void *memory, uint32_t page, uint32_t version)
{
  uint64_t *words = memory, seed = emuv_content_seed(page, version);
  for (uint64_t i = 0; i < w->env.page_bytes / 8; i++) words[i] = emuv_content_word(seed, i);
}

static inline bool holds(const struct world *w, const void *memory, uint32_t page, uint32_t version)
{
  const uint64_t *words = memory;
  uint64_t seed = emuv_content_seed(page, version);
  for (uint64_t i = 0; i < w->env.page_bytes / 8; i++)
    if (words[i] != emuv_content_word(seed, i)) return false;
  return true;
}

/* A whole page between a frame and a slot of host memory; the work's number, 0 on failure. */
static inline uint64_t copy_page(struct world *w, enum emuv_stream stream, uint32_t frame, uint32_t host_slot,
                                 struct emuv_after after)
{
  struct emuv_copy copy = {.frame = frame, .bytes = w->env.page_bytes, .host = slot(w, host_slot)};
  uint64_t seq = 0;
  return w->ops->copy(w->device, stream, &copy, 1, &after, &seq, &w->err) == EMUV_OK ? seq : 0;
}

static inline struct emuv_touch whole(const struct world *w, uint32_t page, uint32_t version, uint32_t frame,
                                      uint32_t flags)
{
  return (struct emuv_touch){
      .page = page, .version = version, .frame = frame, .flags = flags, .bytes = w->env.page_bytes};
}

static inline uint64_t launch_touches(struct world *w, const struct emuv_touch *touches, uint32_t n,
                                      struct emuv_after after)
{
  struct emuv_kernel kernel = {.touch = touches, .n_touches = n};
  uint64_t seq = 0;
  return w->ops->launch(w->device, &kernel, &after, &seq, &w->err) == EMUV_OK ? seq : 0;
}

static inline bool finish(struct world *w, enum emuv_stream stream, uint64_t seq)
{
  return seq > 0 && w->ops->wait(w->device, stream, seq, &w->err) == EMUV_OK && w->ops->done(w->device, stream) >= seq;
}

/* The page's contents, by way of a slot that nothing else uses, into a frame; waits. */
static inline bool put(struct world *w, uint32_t page, uint32_t version, uint32_t frame)
{
  fill(w, slot(w, WORLD_SLOTS - 1), page, version);
  return finish(w, EMUV_STREAM_UP, copy_page(w, EMUV_STREAM_UP, frame, WORLD_SLOTS - 1, (struct emuv_after){{0}}));
}

/* What a frame holds, in the slot that `put` uses; waits. NULL on failure. */
static inline const void *get(struct world *w, uint32_t frame)
{
  uint64_t seq = copy_page(w, EMUV_STREAM_DOWN, frame, WORLD_SLOTS - 1, (struct emuv_after){{0}});
  return finish(w, EMUV_STREAM_DOWN, seq) ? slot(w, WORLD_SLOTS - 1) : NULL;
}

/* Mismatches of all kernels so far. */
static inline uint64_t count_mismatches(struct world *w)
{
  uint64_t total;
  struct emuv_mismatch one;
  (void)w->ops->mismatches(w->device, &one, 0, &total);
  return total;
}

#endif
