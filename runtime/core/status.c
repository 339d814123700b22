// SPDX-License-Identifier: Apache-2.0
/* The status page; see status.h. Layout of the memory: a header (magic, version, size of the status, sequence), then
 * the status. The sequence is odd while the writer writes. The memfd is sealed against changes of its size, so that a
 * reader's mapping can never be cut away; readers refuse one that is not. Sequence lock: Boehm, "Can seqlocks get along
 * with programming language memory models?", MSPC 2012. */
#include "runtime/core/status.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VERSION = 1, READ_TRIES = 10000 };
static const char memfd_name[] = "emuv-status", link_text[] = "/memfd:emuv-status (deleted)";
static const char magic[8] = {'E', 'M', 'U', 'V', 'S', 'T', 'A', 'T'};

struct shared {
  char magic[8];
  uint32_t version, status_bytes;
  _Atomic uint64_t sequence;
  struct emuv_status status;
};

struct emuv_status_page {
  int fd; /* stays open: readers find the page through it */
  struct shared *shared;
};

static int fail_create(int fd, struct emuv_err *err)
{
  int rc = emuv_err_errno(err, EMUV_ERR_IO, "cannot make a status page");
  if (fd >= 0) close(fd);
  return rc;
}

static struct shared *map_new(int fd)
{
  if (ftruncate(fd, sizeof(struct shared)) != 0) return MAP_FAILED;
  if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) return MAP_FAILED;
  return mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

int emuv_status_create(struct emuv_status_page **page, struct emuv_err *err)
{
  *page = NULL;
  int fd = memfd_create(memfd_name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return fail_create(fd, err);
  struct shared *shared = map_new(fd);
  if (shared == MAP_FAILED) return fail_create(fd, err);
  *page = malloc(sizeof **page);
  if (!*page) {
    munmap(shared, sizeof *shared);
    close(fd);
    return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for a status page");
  }
  shared->version = VERSION;
  shared->status_bytes = sizeof shared->status;
  memcpy(shared->magic, magic, sizeof magic);
  **page = (struct emuv_status_page){.fd = fd, .shared = shared};
  return 0;
}

void emuv_status_publish(struct emuv_status_page *page, const struct emuv_status *status)
{
  if (!page) return;
  struct shared *to = page->shared;
  uint64_t sequence = atomic_load_explicit(&to->sequence, memory_order_relaxed);
  atomic_store_explicit(&to->sequence, sequence + 1, memory_order_relaxed);
  atomic_thread_fence(memory_order_release);
  memcpy(&to->status, status, sizeof to->status);
  atomic_store_explicit(&to->sequence, sequence + 2, memory_order_release);
}

void emuv_status_close(struct emuv_status_page *page)
{
  if (!page) return;
  munmap(page->shared, sizeof *page->shared);
  close(page->fd);
  free(page);
}

/* Descriptor number of the status page in a process; -1 = it has none, or we may not look. */
static int find_descriptor(int pid)
{
  char folder[64], target[64];
  int found = -1;
  (void)snprintf(folder, sizeof folder, "/proc/%d/fd", pid);
  DIR *dir = opendir(folder);
  struct dirent *entry;
  while (dir && found < 0 && (entry = readdir(dir))) {
    ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof target);
    if (n == (ssize_t)strlen(link_text) && memcmp(target, link_text, (size_t)n) == 0) found = atoi(entry->d_name);
  }
  if (dir) closedir(dir);
  return found;
}

static int compare_ints(const void *a, const void *b)
{
  int x = *(const int *)a, y = *(const int *)b;
  return (x > y) - (x < y);
}

int emuv_status_find(int *pids, int max, struct emuv_err *err)
{
  DIR *dir = opendir("/proc");
  if (!dir) return emuv_err_errno(err, EMUV_ERR_IO, "cannot list processes");
  int n = 0;
  for (struct dirent *entry; (entry = readdir(dir));) {
    int pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;
    if (!pid || find_descriptor(pid) < 0) continue;
    if (n < max) pids[n] = pid;
    n++;
  }
  closedir(dir);
  qsort(pids, (size_t)(n < max ? n : max), sizeof *pids, compare_ints);
  return n;
}

/* Opens the page of a process: a descriptor, or -1. */
static int open_page(int pid)
{
  char path[64];
  int number = find_descriptor(pid);
  if (number < 0) return -1;
  (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, number);
  return open(path, O_RDONLY | O_CLOEXEC);
}

static bool is_safe(int fd, size_t *bytes)
{
  struct stat st;
  int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) != 0) return false;
  *bytes = (size_t)st.st_size;
  return *bytes >= offsetof(struct shared, status);
}

static bool copy_consistent(const struct shared *from, size_t bytes, struct emuv_status *status)
{
  for (int i = 0; i < READ_TRIES; i++) {
    uint64_t before = atomic_load_explicit(&from->sequence, memory_order_acquire);
    memcpy(status, &from->status, bytes);
    atomic_thread_fence(memory_order_acquire);
    if (before % 2 == 0 && before == atomic_load_explicit(&from->sequence, memory_order_relaxed)) return true;
    usleep(i < 100 ? 0 : 100);
  }
  return false;
}

/* Another process's text: it ends within its field and is printable ASCII. */
static void clean(char *text, size_t size)
{
  text[size - 1] = '\0';
  for (; *text; text++)
    if (*text < ' ' || *text > '~') *text = '?';
}

static void clean_all(struct emuv_status *s)
{
  clean(s->program, sizeof s->program);
  clean(s->title, sizeof s->title);
  clean(s->device, sizeof s->device);
  clean(s->policy, sizeof s->policy);
  clean(s->prefetch, sizeof s->prefetch);
  clean(s->mapping, sizeof s->mapping);
  clean(s->phase, sizeof s->phase);
  for (int i = 0; i < EMUV_STATUS_TIERS; i++) clean(s->tier[i].name, sizeof s->tier[i].name);
  for (int i = 0; i < EMUV_STATUS_LINKS; i++) clean(s->link[i].name, sizeof s->link[i].name);
}

static int read_page(const struct shared *page, size_t mapped, int pid, struct emuv_status *status,
                     struct emuv_err *err)
{
  size_t bytes = page->status_bytes, room = mapped - offsetof(struct shared, status);
  if (memcmp(page->magic, magic, sizeof magic) != 0 || page->version != VERSION || bytes > room)
    return emuv_err_set(err, EMUV_ERR_UNSUPPORTED, "process %d has a status page of another version of emuV", pid);
  memset(status, 0, sizeof *status);
  if (!copy_consistent(page, bytes < sizeof *status ? bytes : sizeof *status, status))
    return emuv_err_set(err, EMUV_ERR_NODEV, "process %d stopped while it wrote its status page", pid);
  clean_all(status);
  return 0;
}

int emuv_status_read(int pid, struct emuv_status *status, struct emuv_err *err)
{
  size_t bytes = 0;
  int fd = open_page(pid);
  if (fd < 0) return emuv_err_set(err, EMUV_ERR_NODEV, "process %d has no status page", pid);
  const struct shared *page = is_safe(fd, &bytes) ? mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
  close(fd);
  if (page == MAP_FAILED)
    return emuv_err_set(err, EMUV_ERR_UNSUPPORTED, "process %d has a status page of another version of emuV", pid);
  int rc = read_page(page, bytes, pid, status, err);
  munmap((void *)(uintptr_t)page, bytes);
  return rc;
}
