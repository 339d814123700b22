// SPDX-License-Identifier: Apache-2.0
/* A disk under test, in a folder of its own: kinds of back ends, opening and closing, contents of slots. */
#ifndef EMUV_TEST_DISK_WORLD_H
#define EMUV_TEST_DISK_WORLD_H

#include "runtime/core/rng.h"
#include "runtime/device/content.h"
#include "runtime/device/disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];

static inline int make_folder(void **state)
{
  (void)state;
  const char *base = getenv("TMPDIR");
  (void)snprintf(folder, sizeof folder, "%s/emuv-disk-XXXXXX", base && strlen(base) < 40 ? base : "/tmp");
  return mkdtemp(folder) ? 0 : -1;
}

static inline unsigned entries(const char *path)
{
  unsigned n = 0;
  DIR *dir = opendir(path);
  assert_non_null(dir);
  for (const struct dirent *e; (e = readdir(dir));)
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) n++;
  (void)closedir(dir);
  return n;
}

static inline int remove_folder(void **state)
{
  (void)state;
  const unsigned left = entries(folder);
  return rmdir(folder) == 0 && left == 0 ? 0 : -1;
}

/* What is used instead of io_uring and O_DIRECT comes about by faults on purpose. */
struct kind {
  const char *name, *rules[2];
  bool uring, direct;
};
static const struct kind kinds[] = {
    {"io_uring, O_DIRECT", {NULL, NULL}, true, true},
    {"threads, O_DIRECT", {"nvme-uring", NULL}, false, true},
    {"io_uring, page cache", {"nvme-direct", NULL}, true, false},
    {"threads, page cache", {"nvme-direct", "nvme-uring"}, false, false},
};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

struct world {
  struct emuv_inject *inject;
  struct emuv_disk *disk;
  uint64_t slot_bytes;
  uint32_t n_slots, depth;
  unsigned char *memory; /* depth slots */
};

static inline void inject_rules(struct world *w, const struct kind *kind, const char *more)
{
  const char *rules[3];
  size_t n = 0;
  for (size_t i = 0; i < 2; i++)
    if (kind->rules[i]) rules[n++] = kind->rules[i];
  if (more) rules[n++] = more;
  struct emuv_err err;
  if (n > 0 && emuv_inject_open(rules, n, 1, &w->inject, &err) != 0) fail_msg("%s", err.text);
}

static inline void open_world(struct world *w, const struct kind *kind, const char *fault, uint64_t slot_bytes,
                              uint32_t n_slots, uint32_t depth)
{
  *w = (struct world){.slot_bytes = slot_bytes, .n_slots = n_slots, .depth = depth};
  inject_rules(w, kind, fault);
  const struct emuv_disk_env env = {
      .path = folder, .slot_bytes = slot_bytes, .n_slots = n_slots, .depth = depth, .inject = w->inject};
  struct emuv_err err;
  uint32_t reserved = 0;
  if (emuv_disk_open(&env, &w->disk, &err) != 0) fail_msg("%s: %s", kind->name, err.text);
  assert_int_equal(emuv_disk_reserve(w->disk, n_slots, &reserved, &err), 0);
  assert_int_equal(reserved, n_slots);
  assert_int_equal(posix_memalign((void **)&w->memory, 4096, depth * slot_bytes), 0);
}

static inline void close_world(struct world *w)
{
  emuv_disk_close(w->disk);
  emuv_inject_close(w->inject);
  free(w->memory);
  assert_int_equal(entries(folder), 0);
}

static inline void fill(unsigned char *memory, uint64_t bytes, uint32_t page, uint32_t version)
{
  const uint64_t seed = emuv_content_seed(page, version);
  for (uint64_t i = 0; i < bytes / 8; i++) ((uint64_t *)(void *)memory)[i] = emuv_content_word(seed, i);
}

static inline bool holds(const unsigned char *memory, uint64_t bytes, uint32_t page, uint32_t version)
{
  const uint64_t seed = emuv_content_seed(page, version);
  for (uint64_t i = 0; i < bytes / 8; i++)
    if (((const uint64_t *)(const void *)memory)[i] != emuv_content_word(seed, i)) return false;
  return true;
}

#endif
