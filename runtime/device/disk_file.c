// SPDX-License-Identifier: Apache-2.0
/* The file of a disk: opening, room for slots, the page cache (disk_internal.h). A file that is made here never has a
 * name that outlives the call (O_TMPFILE; where the file system has none, unlinked at once). What was there before is
 * never made larger or removed; a block device is opened exclusively, so a mounted one is refused. */
#include "runtime/device/disk_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t RESERVE_STEP = UINT64_C(256) << 20;

static int open_retrying(const char *path, int flags)
{
  int fd;
  do {
    fd = open(path, flags | O_CLOEXEC, 0600);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

/* For file systems without O_TMPFILE. */
static int open_unlinked(const char *folder, int flags)
{
  char *path = NULL;
  if (asprintf(&path, "%s/.emuv-XXXXXX", folder) < 0) {
    errno = ENOMEM;
    return -1;
  }
  int fd = mkostemp(path, (flags & O_DIRECT) | O_CLOEXEC);
  const int saved = errno;
  if (fd >= 0) (void)unlink(path);
  free(path);
  errno = saved;
  return fd;
}

static int open_nameless(const char *folder, int flags)
{
  int fd = open_retrying(folder, flags | O_TMPFILE);
  if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) fd = open_unlinked(folder, flags);
  return fd;
}

static int open_kind(const struct emuv_disk *disk, const char *path, int flags)
{
  return disk->given ? open_retrying(path, flags | (disk->block_device ? O_EXCL : 0)) : open_nameless(path, flags);
}

static int open_direct(struct emuv_disk *disk, const char *path)
{
  if (emuv_inject_now(disk->inject, EMUV_INJECT_NVME_DIRECT)) {
    errno = EINVAL;
    return -1;
  }
  return open_kind(disk, path, O_RDWR | O_DIRECT);
}

/* O_DIRECT where it is to be had. */
static int open_any(struct emuv_disk *disk, const char *path, struct emuv_err *err)
{
  if (emuv_inject_now(disk->inject, EMUV_INJECT_NVME_OPEN)) {
    errno = EACCES;
    return emuv_err_errno(err, EMUV_ERR_IO, "cannot open '%s' for pages", path);
  }
  disk->fd = open_direct(disk, path);
  atomic_store(&disk->direct, disk->fd >= 0);
  if (disk->fd < 0 && errno == EINVAL) {
    emuv_disk_remark(disk, "O_DIRECT is refused: the page cache lies in between");
    disk->fd = open_kind(disk, path, O_RDWR);
  }
  if (disk->fd >= 0) return 0;
  const bool busy = errno == EBUSY;
  (void)emuv_err_errno(err, EMUV_ERR_IO, "cannot open '%s' for pages", path);
  if (busy) (void)emuv_err_hint(err, "a block device must not be mounted or in use");
  return EMUV_ERR_IO;
}

/* Size, and that nobody else's pages lie in it. */
static int claim_given(struct emuv_disk *disk, const char *path, struct emuv_err *err)
{
  const off_t end = lseek(disk->fd, 0, SEEK_END);
  if (end < 0) return emuv_err_errno(err, EMUV_ERR_IO, "cannot tell the size of '%s'", path);
  disk->size_bytes = (uint64_t)end;
  if (disk->size_bytes < disk->slot_bytes) {
    (void)emuv_err_set(err, EMUV_ERR_RANGE, "'%s' is smaller than one page", path);
    return emuv_err_hint(err, "an existing file is used as it is; for one that grows, name a folder");
  }
  if (flock(disk->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    return emuv_err_set(err, EMUV_ERR_BUSY, "'%s' is in use by another process", path);
  return 0;
}

int emuv_disk_file_open(struct emuv_disk *disk, const char *path, struct emuv_err *err)
{
  struct stat st;
  if (stat(path, &st) != 0) {
    (void)emuv_err_errno(err, EMUV_ERR_IO, "cannot use '%s' for pages", path);
    return emuv_err_hint(err, "name a folder, an existing file or a block device");
  }
  disk->block_device = S_ISBLK(st.st_mode);
  disk->given = !S_ISDIR(st.st_mode);
  if (disk->given && !disk->block_device && !S_ISREG(st.st_mode))
    return emuv_err_set(err, EMUV_ERR_IO, "'%s' is neither a folder nor a file nor a block device", path);
  const int rc = open_any(disk, path, err);
  return rc != 0 || !disk->given ? rc : claim_given(disk, path, err);
}

void emuv_disk_file_close(struct emuv_disk *disk)
{
  if (disk->fd < 0) return;
  if (disk->given) (void)flock(disk->fd, LOCK_UN); /* a ring that is taken apart later may hold the file open */
  (void)close(disk->fd);
}

void emuv_disk_file_undirect(struct emuv_disk *disk, const char *why)
{
  const int flags = fcntl(disk->fd, F_GETFL);
  if (flags < 0 || fcntl(disk->fd, F_SETFL, flags & ~O_DIRECT) != 0) return;
  atomic_store(&disk->direct, false);
  emuv_disk_remark(disk, "O_DIRECT is refused (%s): the page cache lies in between", why);
}

void emuv_disk_file_forget(struct emuv_disk *disk, const struct emuv_disk_request *request)
{
  if (atomic_load_explicit(&disk->direct, memory_order_relaxed)) return;
  const off_t offset = (off_t)(request->slot * disk->slot_bytes), bytes = (off_t)request->bytes;
  if (request->write) (void)sync_file_range(disk->fd, offset, bytes, SYNC_FILE_RANGE_WRITE);
  (void)posix_fadvise(disk->fd, offset, bytes, POSIX_FADV_DONTNEED);
}

/* Slots that the file may hold whatever space there is. Beyond RLIMIT_FSIZE the system would send SIGXFSZ. */
static uint32_t slots_allowed(const struct emuv_disk *disk, const char **limit)
{
  uint64_t bytes = disk->given ? disk->size_bytes : UINT64_MAX;
  struct rlimit r;
  *limit = "its size";
  if (!disk->block_device && getrlimit(RLIMIT_FSIZE, &r) == 0 && r.rlim_cur != RLIM_INFINITY && r.rlim_cur < bytes) {
    bytes = r.rlim_cur;
    *limit = "the limit on file sizes (ulimit -f)";
  }
  const uint64_t slots = bytes / disk->slot_bytes;
  return slots < disk->n_slots ? (uint32_t)slots : disk->n_slots;
}

/* 0, or an errno. */
static int allocate(struct emuv_disk *disk, uint64_t offset, uint64_t bytes)
{
  int rc;
  do {
    rc = fallocate(disk->fd, 0, (off_t)offset, (off_t)bytes);
  } while (rc != 0 && errno == EINTR);
  return rc == 0 ? 0 : errno;
}

/* The file system cannot reserve: the file gets its size, and writes may find no space. */
static int allocate_nothing(struct emuv_disk *disk, uint64_t end)
{
  emuv_disk_remark(disk, "the file system cannot reserve space");
  return disk->given || ftruncate(disk->fd, (off_t)end) == 0 ? 0 : errno;
}

/* Up to `slots` more, in steps; a step that does not fit is halved. Returns 0 or an errno. */
static int grow(struct emuv_disk *disk, uint32_t goal)
{
  uint64_t step = RESERVE_STEP / disk->slot_bytes ? RESERVE_STEP / disk->slot_bytes : 1;
  while (disk->reserved < goal) {
    const uint64_t slots = step < goal - disk->reserved ? step : goal - disk->reserved;
    const uint64_t offset = disk->reserved * disk->slot_bytes, bytes = slots * disk->slot_bytes;
    int rc = allocate(disk, offset, bytes);
    if (rc == EOPNOTSUPP || rc == ENOSYS) {
      rc = allocate_nothing(disk, goal * disk->slot_bytes);
      if (rc == 0) disk->reserved = goal;
      return rc;
    }
    if (rc != 0 && slots == 1) return rc;
    if (rc != 0) step = slots / 2;
    if (rc == 0) disk->reserved += (uint32_t)slots;
  }
  return 0;
}

/* The first of the slots below `goal` for which there shall be no room. */
static uint32_t injected_end(struct emuv_disk *disk, uint32_t goal)
{
  for (uint32_t slot = disk->reserved; slot < goal; slot++)
    if (emuv_inject_now(disk->inject, EMUV_INJECT_NVME_RESERVE)) return slot;
  return goal;
}

int emuv_disk_reserve(struct emuv_disk *disk, uint32_t n_slots, uint32_t *reserved, struct emuv_err *err)
{
  const char *limit = NULL;
  const uint32_t allowed = slots_allowed(disk, &limit);
  const uint32_t wanted = n_slots < allowed ? n_slots : allowed;
  const uint32_t goal = injected_end(disk, wanted);
  int rc = 0;
  if (disk->block_device && disk->reserved < goal)
    disk->reserved = goal;
  else
    rc = grow(disk, goal);
  if (rc == 0 && goal < wanted) rc = ENOSPC;
  *reserved = disk->reserved;
  if (rc == 0 && disk->reserved >= n_slots) return 0;
  if (rc == 0 && n_slots > disk->n_slots)
    return emuv_err_set(err, EMUV_ERR_RANGE, "the disk has %u slots, not %u", disk->n_slots, n_slots);
  if (rc == 0)
    return emuv_err_set(err, EMUV_ERR_NOSPACE, "%s gives room for %u of %u pages", limit, disk->reserved, n_slots);
  errno = rc;
  const bool full = rc == ENOSPC || rc == EDQUOT || rc == EFBIG;
  return emuv_err_errno(err, full ? EMUV_ERR_NOSPACE : EMUV_ERR_IO, "there is room for %u of %u pages on disk",
                        disk->reserved, n_slots);
}
