// SPDX-License-Identifier: Apache-2.0
/* Writing and reading checkpoints; see checkpoint.h. */
#include "runtime/replay/checkpoint.h"

#include "simulator/results.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { FORMAT_VERSION = 1, ALIGNMENT = 4096, MAX_REFUSALS = 1 << 28 };
static const char magic[8] = "EMUVCKP";

struct record {
  uint32_t page, version;
  uint64_t hash;
};

struct emuv_checkpoint_file {
  char path[PATH_MAX];
  int fd;
  struct emuv_checkpoint_head head;
  uint64_t *refusals;
};

static uint64_t head_hash(const struct emuv_checkpoint_head *head)
{
  return XXH3_64bits(head, offsetof(struct emuv_checkpoint_head, hash));
}

static uint64_t page_hash(uint32_t page, uint32_t version, const void *memory, uint64_t bytes)
{
  return XXH3_64bits_withSeed(memory, bytes, (uint64_t)page << 32 | version);
}

static int write_all(int fd, const void *data, uint64_t bytes, const char *path, struct emuv_err *err)
{
  const char *p = data;
  while (bytes) {
    ssize_t n = write(fd, p, bytes < 1u << 30 ? bytes : 1u << 30);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      return emuv_err_errno(err, errno == ENOSPC || errno == EDQUOT ? EMUV_ERR_NOSPACE : EMUV_ERR_IO,
                            "cannot write the checkpoint %s", path);
    p += n;
    bytes -= (uint64_t)n;
  }
  return 0;
}

static bool has_data(const struct emuv_pager *pager, uint32_t page)
{
  return pager->state[page] & (EMUV_PAGE_VRAM | EMUV_PAGE_RAM | EMUV_PAGE_NVME);
}

static uint64_t count_pages(const struct emuv_pager *pager)
{
  uint64_t n = 0;
  for (uint32_t i = 0; i < pager->env.n_pages; i++) n += has_data(pager, i);
  return n;
}

static int write_pages(int fd, const char *path, struct emuv_engine *engine, const struct emuv_pager *pager,
                       struct emuv_err *err)
{
  uint64_t bytes = pager->env.page_bytes, end = 0;
  void *memory = aligned_alloc(ALIGNMENT, bytes);
  int rc =
      memory ? 0 : emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for a page of %llu bytes", (unsigned long long)bytes);
  for (uint32_t i = 0; i < pager->env.n_pages && !rc; i++) {
    if (!has_data(pager, i)) continue;
    struct record r = {.page = i, .version = emuv_engine_version(engine, i)};
    rc = emuv_engine_save(engine, pager, i, memory, err);
    if (rc) break;
    r.hash = page_hash(i, r.version, memory, bytes);
    end = XXH3_64bits_withSeed(&r.hash, sizeof r.hash, end);
    rc = write_all(fd, &r, sizeof r, path, err);
    if (!rc) rc = write_all(fd, memory, bytes, path, err);
  }
  free(memory);
  return rc ? rc : write_all(fd, &end, sizeof end, path, err);
}

/* A nameless file in the folder of `path`; where the file system has none, FILE.next itself. */
static int open_nameless(const char *path, const char *next, bool *named, struct emuv_err *err)
{
  char copy[PATH_MAX];
  (void)snprintf(copy, sizeof copy, "%s", path);
  int fd = open(dirname(copy), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
  *named = fd < 0;
  if (fd < 0) fd = open(next, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0666);
  if (fd < 0) emuv_err_errno(err, EMUV_ERR_IO, "cannot write the checkpoint %s", path);
  return fd;
}

static void sync_folder(const char *path)
{
  char copy[PATH_MAX];
  (void)snprintf(copy, sizeof copy, "%s", path);
  int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)fsync(fd);
  close(fd);
}

static int publish(int fd, const char *path, const char *next, bool named, struct emuv_err *err)
{
  char self[64];
  (void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
  if (fsync(fd) != 0) return emuv_err_errno(err, EMUV_ERR_IO, "cannot synchronise the checkpoint %s", path);
  if (!named) (void)unlink(next);
  if (!named && linkat(AT_FDCWD, self, AT_FDCWD, next, AT_SYMLINK_FOLLOW) != 0)
    return emuv_err_errno(err, EMUV_ERR_IO, "cannot name the checkpoint %s", next);
  if (rename(next, path) != 0) return emuv_err_errno(err, EMUV_ERR_IO, "cannot rename %s to %s", next, path);
  sync_folder(path);
  return 0;
}

static int next_name(const char *path, char *next, struct emuv_err *err)
{
  if (snprintf(next, PATH_MAX, "%s.next", path) < PATH_MAX) return 0;
  return emuv_err_set(err, EMUV_ERR_USAGE, "the name of the checkpoint is too long");
}

static int write_file(int fd, const char *path, const struct emuv_checkpoint_head *head, const uint64_t *refusals,
                      struct emuv_engine *engine, const struct emuv_pager *pager, struct emuv_err *err)
{
  uint64_t bytes = head->n_refusals * sizeof *refusals, hash = XXH3_64bits(refusals, bytes);
  int rc = write_all(fd, head, sizeof *head, path, err);
  if (!rc) rc = write_all(fd, refusals, bytes, path, err);
  if (!rc) rc = write_all(fd, &hash, sizeof hash, path, err);
  return rc ? rc : write_pages(fd, path, engine, pager, err);
}

int emuv_checkpoint_write(const char *path, const struct emuv_checkpoint_key *key,
                          const struct emuv_checkpoint_state *state, const uint64_t *refusals, uint64_t n_refusals,
                          struct emuv_engine *engine, const struct emuv_pager *pager, uint64_t *bytes,
                          struct emuv_err *err)
{
  static const uint64_t none = 0;
  char next[PATH_MAX];
  bool named;
  struct emuv_checkpoint_head head;
  memset(&head, 0, sizeof head); /* padding is written and hashed, too */
  memcpy(head.magic, magic, sizeof magic);
  head.version = FORMAT_VERSION;
  head.head_bytes = sizeof head;
  (void)snprintf(head.emuv_version, sizeof head.emuv_version, "%s", emuv_results_version());
  head.key = *key;
  head.state = *state;
  head.n_refusals = n_refusals;
  head.n_records = count_pages(pager);
  head.hash = head_hash(&head);
  int rc = next_name(path, next, err), fd = rc ? -1 : open_nameless(path, next, &named, err);
  if (fd < 0) return rc ? rc : EMUV_ERR_IO;
  rc = write_file(fd, path, &head, refusals ? refusals : &none, engine, pager, err);
  if (!rc) *bytes = (uint64_t)lseek(fd, 0, SEEK_CUR);
  if (!rc) rc = publish(fd, path, next, named, err);
  if (rc && named) (void)unlink(next);
  close(fd);
  return rc;
}

void emuv_checkpoint_clean(const char *path)
{
  char next[PATH_MAX];
  if (next_name(path, next, NULL) == 0) (void)unlink(next);
}

static int bad(const struct emuv_checkpoint_file *f, struct emuv_err *err, const char *what)
{
  return emuv_err_set(err, EMUV_ERR_INPUT, "%s: %s", f->path, what);
}

static int read_all(struct emuv_checkpoint_file *f, void *data, uint64_t bytes, struct emuv_err *err)
{
  char *p = data;
  while (bytes) {
    ssize_t n = read(f->fd, p, bytes < 1u << 30 ? bytes : 1u << 30);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return emuv_err_errno(err, EMUV_ERR_IO, "cannot read the checkpoint %s", f->path);
    if (n == 0) return bad(f, err, "the checkpoint is cut short");
    p += n;
    bytes -= (uint64_t)n;
  }
  return 0;
}

/* The file is as long as its head says. */
static int check_size(struct emuv_checkpoint_file *f, struct emuv_err *err)
{
  const struct emuv_checkpoint_head *h = &f->head;
  struct stat st;
  uint64_t room = INT64_MAX / 4;
  if (fstat(f->fd, &st) != 0) return emuv_err_errno(err, EMUV_ERR_IO, "cannot read the checkpoint %s", f->path);
  if (!h->key.page_bytes || h->n_refusals > MAX_REFUSALS || h->n_records > h->key.n_pages ||
      h->n_records > room / (h->key.page_bytes + sizeof(struct record)))
    return bad(f, err, "the checkpoint is damaged: its sizes cannot be");
  uint64_t want =
      sizeof *h + (h->n_refusals + 2) * sizeof(uint64_t) + h->n_records * (sizeof(struct record) + h->key.page_bytes);
  if ((uint64_t)st.st_size < want) return bad(f, err, "the checkpoint is cut short");
  return (uint64_t)st.st_size == want ? 0 : bad(f, err, "the checkpoint is damaged: there is more than it should hold");
}

static int read_head(struct emuv_checkpoint_file *f, struct emuv_err *err)
{
  int rc = read_all(f, f->head.magic, sizeof f->head.magic, err);
  if (rc == EMUV_ERR_INPUT || (!rc && memcmp(f->head.magic, magic, sizeof magic) != 0))
    return bad(f, err, "not a checkpoint of emuv-replay");
  if (!rc) rc = read_all(f, (char *)&f->head + sizeof magic, sizeof f->head - sizeof magic, err);
  if (rc) return rc;
  if (f->head.version != FORMAT_VERSION || f->head.head_bytes != sizeof f->head)
    return bad(f, err, "a checkpoint of another version of emuV");
  if (f->head.hash != head_hash(&f->head)) return bad(f, err, "the checkpoint is damaged: its head has another sum");
  return check_size(f, err);
}

static int read_refusals(struct emuv_checkpoint_file *f, struct emuv_err *err)
{
  uint64_t bytes = f->head.n_refusals * sizeof *f->refusals, hash;
  f->refusals = malloc(bytes + 1);
  if (!f->refusals) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the checkpoint");
  int rc = read_all(f, f->refusals, bytes, err);
  if (!rc) rc = read_all(f, &hash, sizeof hash, err);
  if (!rc && hash != XXH3_64bits(f->refusals, bytes)) rc = bad(f, err, "the checkpoint is damaged: refused writes");
  return rc;
}

int emuv_checkpoint_open(const char *path, struct emuv_checkpoint_file **file, struct emuv_err *err)
{
  struct emuv_checkpoint_file *f = calloc(1, sizeof *f);
  *file = NULL;
  if (!f) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for a checkpoint");
  (void)snprintf(f->path, sizeof f->path, "%s", path);
  f->fd = open(path, O_RDONLY | O_CLOEXEC);
  int rc = f->fd < 0 ? emuv_err_errno(err, EMUV_ERR_INPUT, "cannot read the checkpoint %s", path) : read_head(f, err);
  if (!rc) rc = read_refusals(f, err);
  if (rc)
    emuv_checkpoint_close(f);
  else
    *file = f;
  return rc;
}

void emuv_checkpoint_close(struct emuv_checkpoint_file *f)
{
  if (!f) return;
  if (f->fd >= 0) close(f->fd);
  free(f->refusals);
  free(f);
}

const struct emuv_checkpoint_head *emuv_checkpoint_head(const struct emuv_checkpoint_file *f)
{
  return &f->head;
}

const uint64_t *emuv_checkpoint_refusals(const struct emuv_checkpoint_file *f)
{
  return f->refusals;
}

static int load_page(struct emuv_checkpoint_file *f, struct emuv_engine *engine, const struct emuv_pager *pager,
                     void *memory, uint64_t *end, struct emuv_err *err)
{
  struct record r;
  uint64_t bytes = f->head.key.page_bytes;
  int rc = read_all(f, &r, sizeof r, err);
  if (!rc) rc = read_all(f, memory, bytes, err);
  if (rc) return rc;
  if (r.page >= pager->env.n_pages || page_hash(r.page, r.version, memory, bytes) != r.hash) {
    emuv_err_set(err, EMUV_ERR_INPUT, "%s: the checkpoint is damaged: page %u has another sum", f->path, r.page);
    return EMUV_ERR_INPUT;
  }
  *end = XXH3_64bits_withSeed(&r.hash, sizeof r.hash, *end);
  if (!has_data(pager, r.page)) return bad(f, err, "the checkpoint has a page that should have no data");
  return emuv_engine_load(engine, pager, r.page, r.version, memory, err);
}

int emuv_checkpoint_load(struct emuv_checkpoint_file *f, struct emuv_engine *engine, const struct emuv_pager *pager,
                         struct emuv_err *err)
{
  uint64_t end = 0, stored = 0;
  if (f->head.n_records != count_pages(pager)) return bad(f, err, "the checkpoint holds other pages than it should");
  void *memory = aligned_alloc(ALIGNMENT, f->head.key.page_bytes);
  int rc = memory ? 0 : emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for a page");
  for (uint64_t i = 0; i < f->head.n_records && !rc; i++) rc = load_page(f, engine, pager, memory, &end, err);
  free(memory);
  if (!rc) rc = read_all(f, &stored, sizeof stored, err);
  return rc || stored == end ? rc : bad(f, err, "the checkpoint is damaged: its end has another sum");
}
