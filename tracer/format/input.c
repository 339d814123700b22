// SPDX-License-Identifier: Apache-2.0
/* Bytes of a file or of memory: see input.h. pread, not mmap: a file that another process cuts must not kill us. */
#include "tracer/format/input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int emuv_input_open(struct emuv_input *in, const char *path, struct emuv_err *err)
{
  *in = (struct emuv_input){.fd = open(path, O_RDONLY | O_CLOEXEC)};
  snprintf(in->name, sizeof in->name, "%s", path);
  if (in->fd < 0) return emuv_err_errno(err, EMUV_ERR_IO, "cannot open %s", path);
  struct stat st;
  if (fstat(in->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    close(in->fd);
    return emuv_err_set(err, EMUV_ERR_IO, "%s is not a regular file", path);
  }
  in->bytes = (uint64_t)st.st_size;
  return 0;
}

void emuv_input_memory(struct emuv_input *in, const void *data, size_t n, const char *name)
{
  static const uint8_t nothing;
  *in = (struct emuv_input){.fd = -1, .memory = data ? data : &nothing, .bytes = data ? n : 0};
  snprintf(in->name, sizeof in->name, "%s", name);
}

const uint8_t *emuv_input_at(struct emuv_input *in, uint64_t offset, size_t n, struct emuv_err *err)
{
  if (in->memory) return in->memory + offset;
  if (n > in->capacity) {
    uint8_t *buffer = realloc(in->buffer, n);
    if (!buffer) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for %zu bytes of %s", n, in->name), NULL;
    in->buffer = buffer;
    in->capacity = n;
  }
  for (size_t done = 0; done < n;) {
    ssize_t got = pread(in->fd, in->buffer + done, n - done, (off_t)(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return emuv_err_errno(err, EMUV_ERR_IO, "cannot read %s", in->name), NULL;
    if (got == 0) return emuv_input_error(in, EMUV_ERR_IO, offset + done, "the file became shorter", err), NULL;
    done += (size_t)got;
  }
  return in->buffer;
}

void emuv_input_close(struct emuv_input *in)
{
  if (in->fd >= 0) close(in->fd);
  free(in->buffer);
  *in = (struct emuv_input){.fd = -1};
}

int emuv_input_error(const struct emuv_input *in, int code, uint64_t offset, const char *what, struct emuv_err *err)
{
  emuv_err_set(err, code, "%s at byte %" PRIu64, what, offset);
  emuv_err_at(err, in->name, 0, (long)offset);
  return code;
}
