// SPDX-License-Identifier: Apache-2.0
/* Devices: what is refused, what fails on purpose, and that nothing hangs after it. */
#include "tests/conformance/devices.h"

#include <dirent.h>
#include <inttypes.h>

static const struct emuv_after at_once = {{0}};

static int try_open(struct world *w)
{
  int rc = w->ops->open(&w->env, &w->device, &w->err);
  world_close(w);
  return rc;
}

static void refused_opens(struct world *w)
{
  const struct emuv_device_env good = w->env;
  EXPECT(try_open(w) == EMUV_OK);
  w->env.n_frames = 0;
  EXPECT(try_open(w) == EMUV_ERR_RANGE);
  w->env = good;
  w->env.n_pages = 0;
  EXPECT(try_open(w) == EMUV_ERR_RANGE);
  w->env = good;
  w->env.page_bytes = 0;
  EXPECT(try_open(w) == EMUV_ERR_RANGE);
  w->env.page_bytes = 1000;
  EXPECT(try_open(w) == EMUV_ERR_RANGE);
  w->env.page_bytes = good.page_bytes + 512;
  EXPECT(try_open(w) == EMUV_ERR_RANGE);
  w->env = good;
  w->env.index = 99;
  EXPECT(try_open(w) == EMUV_ERR_NODEV);
  w->env = good;
  w->env.n_frames = (uint32_t)((16ull << 40) / good.page_bytes);
  EXPECT(try_open(w) == EMUV_ERR_NOMEM);
  EXPECT(w->err.text[0] != '\0');
  struct emuv_device_info info;
  EXPECT(w->ops->probe(99, &info, &w->err) == EMUV_ERR_NODEV);
  EXPECT(w->ops->probe(0, &info, &w->err) == EMUV_OK);
  EXPECT(info.name[0] != '\0' && info.n_devices >= 1 && info.free_bytes > 0 && info.free_bytes <= info.total_bytes);
}

static void refused_calls(struct world *w)
{
  struct emuv_copy copy = {.frame = WORLD_FRAMES, .bytes = 4096, .host = slot(w, 0)};
  struct emuv_touch touch = whole(w, WORLD_PAGES, 0, 0, EMUV_TOUCH_READ);
  uint64_t seq;
  EXPECT(w->ops->copy(w->device, EMUV_STREAM_UP, &copy, 1, &at_once, &seq, &w->err) == EMUV_ERR_RANGE);
  copy = (struct emuv_copy){.offset = 4096, .bytes = w->env.page_bytes, .host = slot(w, 0)};
  EXPECT(w->ops->copy(w->device, EMUV_STREAM_UP, &copy, 1, &at_once, &seq, &w->err) == EMUV_ERR_RANGE);
  copy.bytes = 4096;
  EXPECT(w->ops->copy(w->device, EMUV_STREAM_COMPUTE, &copy, 1, &at_once, &seq, &w->err) == EMUV_ERR_RANGE);
  EXPECT(launch_touches(w, &touch, 1, at_once) == 0 && w->err.code == EMUV_ERR_RANGE);
  touch = whole(w, 0, 0, WORLD_FRAMES, EMUV_TOUCH_READ);
  EXPECT(launch_touches(w, &touch, 1, at_once) == 0 && w->err.code == EMUV_ERR_RANGE);
  touch = whole(w, 0, 0, 0, EMUV_TOUCH_WRITE);
  touch.bytes -= 16;
  EXPECT(launch_touches(w, &touch, 1, at_once) == 0 && w->err.code == EMUV_ERR_RANGE);
  touch = whole(w, 0, 0, 0, EMUV_TOUCH_READ);
  touch.offset = 16;
  EXPECT(launch_touches(w, &touch, 1, at_once) == 0 && w->err.code == EMUV_ERR_RANGE);
  EXPECT(w->ops->flip(w->device, 0, w->env.page_bytes, 1, &w->err) == EMUV_ERR_RANGE);
  EXPECT(w->ops->wait(w->device, EMUV_STREAM_UP, 1, &w->err) == EMUV_ERR_RANGE);
  struct emuv_after never = {{[EMUV_STREAM_DOWN] = 1}};
  EXPECT(launch_touches(w, NULL, 0, never) == 0 && w->err.code == EMUV_ERR_RANGE);
  EXPECT(put(w, 0, 0, 0) && holds(w, get(w, 0), 0, 0)); /* and goes on */
}

/* Memory that host_alloc gave: aligned, zeroed, all of it usable, given back one by one or by close. */
static void host_memory(struct world *w)
{
  void *memory[3];
  bool pinned;
  for (int i = 0; i < 3; i++) {
    uint64_t bytes = (uint64_t)(i * 20 + 1) << 20;
    EXPECT(w->ops->host_alloc(w->device, bytes, i * 20, &memory[i], &pinned, &w->err) == EMUV_OK);
    EXPECT(pinned && (uintptr_t)memory[i] % 4096 == 0);
    EXPECT(((uint8_t *)memory[i])[0] == 0 && ((uint8_t *)memory[i])[bytes - 1] == 0);
    memset(memory[i], i, bytes);
  }
  w->ops->host_free(w->device, memory[1]);
  EXPECT(((uint8_t *)memory[0])[5] == 0 && ((uint8_t *)memory[2])[5] == 2);
  w->ops->host_free(w->device, NULL);
}

/* Work that waits for a disk that has failed is released; the device closes with work in flight. */
static void disk_fails(struct world *w)
{
  struct emuv_after never = {{[EMUV_STREAM_DISK_READ] = 5, [EMUV_STREAM_DISK_WRITE] = 9}};
  uint64_t staged = copy_page(w, EMUV_STREAM_STAGED, 0, 0, never);
  uint64_t kernel = launch_touches(w, NULL, 0, (struct emuv_after){{[EMUV_STREAM_STAGED] = staged}});
  EXPECT(staged == 1 && kernel == 1);
  w->ops->fail(w->device);
  EXPECT(finish(w, EMUV_STREAM_COMPUTE, kernel));
  EXPECT(finish(w, EMUV_STREAM_STAGED, staged));
  EXPECT(copy_page(w, EMUV_STREAM_STAGED, 0, 0, never) == 2);
}

static void closes_with_work(struct world *w)
{
  struct emuv_kernel kernel = {.duration_ns = 5e6};
  uint64_t seq;
  for (int i = 0; i < 3; i++) EXPECT(w->ops->launch(w->device, &kernel, &at_once, &seq, &w->err) == EMUV_OK);
  for (uint32_t i = 0; i < WORLD_FRAMES; i++)
    EXPECT(copy_page(w, EMUV_STREAM_UP, i, i, (struct emuv_after){{[EMUV_STREAM_COMPUTE] = 3}}) > 0);
}

/* Opens a world with one fault; the caller closes both. */
static struct world faulty(const struct world *model, const char *rule)
{
  struct emuv_inject *inject = NULL;
  struct emuv_err err;
  struct world w = world_like(model, NULL);
  if (emuv_inject_open(&rule, 1, 1, &inject, &err) != EMUV_OK) fprintf(stderr, "%s\n", err.text);
  w.env.inject = inject;
  return w;
}

static void end(struct world *w)
{
  world_close(w);
  emuv_inject_close(w->env.inject);
}

static void no_memory(struct world *w)
{
  struct world a = faulty(w, "device-nomem"), b = faulty(w, "host-nomem:once"), c = faulty(w, "pin-refused");
  void *memory = NULL;
  bool pinned = true;
  int no_device = a.ops->open(&a.env, &a.device, &a.err), no_host = world_open(&b);
  int once = b.ops->host_alloc(b.device, 4096, 1, &memory, &pinned, &b.err), pageable = world_open(&c);
  bool usable = once == EMUV_OK && memory;
  c.ops->host_alloc(c.device, 4096, 1, &memory, &pinned, &c.err);
  bool works = put(&c, 1, 1, 1) && holds(&c, get(&c, 1), 1, 1);
  end(&a);
  end(&b);
  end(&c);
  EXPECT(no_device == EMUV_ERR_NOMEM && a.err.text[0]);
  EXPECT(no_host == EMUV_ERR_NOMEM && b.err.text[0]);
  EXPECT(usable);
  EXPECT(pageable == EMUV_OK && !pinned && works);
}

/* A call fails once, says so, and leaves no trace: the next one works. */
static void fails_once(struct world *w, const char *rule, bool in_copy)
{
  struct world f = faulty(w, rule);
  EXPECT(world_open(&f) == EMUV_OK);
  fill(&f, slot(&f, 0), 4, 0);
  struct emuv_touch touch = whole(&f, 4, 0, 2, EMUV_TOUCH_READ | EMUV_TOUCH_CHECK);
  uint64_t up = copy_page(&f, EMUV_STREAM_UP, 2, 0, at_once);
  bool copied = up > 0;
  if (!copied) up = copy_page(&f, EMUV_STREAM_UP, 2, 0, at_once);
  struct emuv_after after = {{[EMUV_STREAM_UP] = up}};
  uint64_t kernel = launch_touches(&f, &touch, 1, after);
  bool launched = kernel > 0;
  if (!launched) kernel = launch_touches(&f, &touch, 1, after);
  bool right = finish(&f, EMUV_STREAM_COMPUTE, kernel) && count_mismatches(&f) == 0;
  int code = f.err.code;
  end(&f);
  EXPECT(copied == !in_copy && launched == in_copy);
  EXPECT(up == 1 && kernel == 1 && right && code == EMUV_ERR_IO);
}

static void failed_calls(struct world *w)
{
  fails_once(w, "copy-error:once", true);
  fails_once(w, "launch-error:once", false);
  if (w->env.mapping == EMUV_MAPPING_REMAP) fails_once(w, "map-error:once", false);
}

/* After the device is lost every call fails, waits return and close gives everything back. */
static void lost(struct world *w)
{
  struct world f = faulty(w, "device-lost:after=4,once");
  struct emuv_after never = {{[EMUV_STREAM_DISK_READ] = 1}};
  void *memory;
  bool pinned;
  EXPECT(world_open(&f) == EMUV_OK);
  uint64_t waits = copy_page(&f, EMUV_STREAM_STAGED, 0, 0, never);
  uint64_t kernel = launch_touches(&f, NULL, 0, (struct emuv_after){{[EMUV_STREAM_STAGED] = waits}});
  for (uint32_t i = 0; i < 2; i++) copy_page(&f, EMUV_STREAM_UP, i, i, at_once);
  uint64_t copied = copy_page(&f, EMUV_STREAM_UP, 2, 2, at_once);
  int code = f.err.code;
  int compute = f.ops->wait(f.device, EMUV_STREAM_COMPUTE, kernel, &f.err);
  int up = f.ops->wait(f.device, EMUV_STREAM_UP, 1, &f.err);
  uint64_t again = copy_page(&f, EMUV_STREAM_DOWN, 0, 0, at_once), launched = launch_touches(&f, NULL, 0, at_once);
  int flipped = f.ops->flip(f.device, 0, 0, 1, &f.err);
  int alloc = f.ops->host_alloc(f.device, 4096, 1, &memory, &pinned, &f.err);
  end(&f);
  EXPECT(waits == 1 && kernel == 1 && copied == 0 && code == EMUV_ERR_IO);
  EXPECT(compute == EMUV_ERR_IO && up == EMUV_ERR_IO && flipped == EMUV_ERR_IO && alloc == EMUV_ERR_IO);
  EXPECT(again == 0 && launched == 0);
}

static int count_files(void)
{
  int n = 0;
  DIR *folder = opendir("/proc/self/fd");
  while (folder && readdir(folder)) n++;
  if (folder) closedir(folder);
  return n;
}

/* Of addresses. */
static uint64_t size_bytes(void)
{
  uint64_t pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file && fscanf(file, "%" SCNu64, &pages) != 1) pages = 0;
  if (file) fclose(file);
  return pages * 4096;
}

/* Opening and closing leaves no files and no memory behind. What a driver keeps, it has after some rounds. */
static void gives_back(struct world *w)
{
  enum { WARM = 5, ROUNDS = 30 };
  uint64_t before = 0;
  int files = 0;
  w->env.n_frames = WORLD_PAGES;
  for (int i = 0; i < WARM + ROUNDS; i++) {
    if (i == WARM) before = size_bytes();
    if (i == WARM) files = count_files();
    EXPECT(world_open(w) == EMUV_OK);
    EXPECT(put(w, 1, 0, WORLD_PAGES - 1));
    world_close(w);
  }
  EXPECT(before > 0 && files > 3);
  EXPECT(count_files() == files);
  EXPECT(size_bytes() < before + ROUNDS * WORLD_PAGES * w->env.page_bytes * 2 / 3);
}

const struct device_case device_error_cases[] = {
    {"opens that are refused", refused_opens, true},
    {"calls that are refused", refused_calls, false},
    {"host memory", host_memory, false},
    {"the disk fails", disk_fails, false},
    {"closing with work in flight", closes_with_work, false},
    {"closing gives everything back", gives_back, true},
    {"no memory, no pinning (injected)", no_memory, true},
    {"calls that fail once (injected)", failed_calls, true},
    {"the device is lost (injected)", lost, true},
    {NULL, NULL, false},
};
