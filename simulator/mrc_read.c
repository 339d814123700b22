// SPDX-License-Identifier: Apache-2.0
/* Opens a trace, finds out its format, and hands it to the reader of that format. A new format is one row of the table.
 */
#include "simulator/mrc_input.h"

#include "runtime/core/option.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct format {
  const char *name;
  const char *extensions[3];
  const char *magic;      /* first bytes, NULL = none */
  uint32_t bytes_per_ref; /* 0 = varies */
  bool has_addresses;     /* references memory: a page size matters */
  int (*read)(struct emuv_mrc_input *in, struct emuv_mrc_ids *ids, struct emuv_err *err);
};

static const struct format formats[] = {
    {"emuv",
     {".emuv"},
     "\x89"
     "emuv",
     0,
     true,
     emuv_mrc_read_emuv},
    {"oracleGeneral", {".oracleGeneral", ".oracleGeneral.bin"}, NULL, 24, false, emuv_mrc_read_oracle},
    {"csv", {".csv", ".txt"}, NULL, 0, false, emuv_mrc_read_csv},
};
enum { N_FORMATS = sizeof formats / sizeof *formats };

const char *const *emuv_mrc_formats(void)
{
  static const char *const names[] = {"emuv", "oracleGeneral", "csv", NULL};
  return names;
}

static bool ends_with(const char *path, const char *extension)
{
  size_t n = strlen(path), m = strlen(extension);
  return n > m && strcasecmp(path + n - m, extension) == 0;
}

static const struct format *by_name(const char *name)
{
  for (size_t i = 0; i < N_FORMATS; i++) {
    if (strcmp(formats[i].name, name) == 0) return &formats[i];
  }
  return NULL;
}

/* Text is CSV; oracleGeneral has no magic number and is what other binary data is taken for. */
static const struct format *by_content(const struct emuv_mrc_input *in)
{
  size_t n = in->end < 4096 ? in->end : 4096;
  for (size_t i = 0; i < N_FORMATS; i++) {
    size_t m = formats[i].magic ? strlen(formats[i].magic) : 0;
    if (m > 0 && m <= n && memcmp(in->buffer, formats[i].magic, m) == 0) return &formats[i];
  }
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)in->buffer[i];
    if (c < 0x20 && !strchr("\t\r\n", c)) return by_name("oracleGeneral");
    if (c == 0) return by_name("oracleGeneral");
  }
  return by_name("csv");
}

static const struct format *detect(const char *path, const struct emuv_mrc_input *in)
{
  for (size_t i = 0; i < N_FORMATS; i++) {
    for (size_t k = 0; k < 3 && formats[i].extensions[k]; k++) {
      if (ends_with(path, formats[i].extensions[k])) return &formats[i];
    }
  }
  return by_content(in);
}

int emuv_mrc_input_fill(struct emuv_mrc_input *in, struct emuv_err *err)
{
  memmove(in->buffer, in->buffer + in->start, in->end - in->start);
  in->end -= in->start;
  in->start = 0;
  while (!in->at_end && in->end < EMUV_MRC_BUFFER) {
    ssize_t n = read(in->fd, in->buffer + in->end, EMUV_MRC_BUFFER - in->end);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return emuv_err_errno(err, EMUV_ERR_IO, "cannot read %s", in->name);
    in->at_end = n == 0;
    in->end += (size_t)n;
  }
  return 0;
}

static int input_open(struct emuv_mrc_input *in, const char *path, struct emuv_err *err)
{
  bool standard = strcmp(path, "-") == 0;
  struct stat st;
  in->path = path;
  in->name = standard ? "standard input" : path;
  in->fd = STDIN_FILENO;
  if (!standard) in->fd = open(path, O_RDONLY | O_CLOEXEC);
  if (in->fd < 0) return emuv_err_errno(err, EMUV_ERR_IO, "cannot open %s", path);
  if (fstat(in->fd, &st) == 0 && S_ISREG(st.st_mode)) in->size = (uint64_t)st.st_size;
  posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  in->buffer = malloc(EMUV_MRC_BUFFER);
  if (!in->buffer) return emuv_err_set(err, EMUV_ERR_NOMEM, "not enough memory");
  return emuv_mrc_input_fill(in, err);
}

static void input_close(struct emuv_mrc_input *in)
{
  free(in->buffer);
  if (in->fd > STDIN_FILENO) close(in->fd);
}

static int empty(const struct emuv_mrc_input *in, struct emuv_err *err)
{
  emuv_err_set(err, EMUV_ERR_INPUT, "the trace has no references");
  return emuv_err_at(err, in->name, 0, 0);
}

static int compressed(const struct emuv_mrc_input *in, struct emuv_err *err)
{
  emuv_err_set(err, EMUV_ERR_INPUT, "compressed with zstd");
  emuv_err_at(err, in->name, 0, 0);
  return emuv_err_hint(err, "zstd -dc %s | emuv-sim mrc - ...", in->name);
}

static int no_page_size(const struct format *f, struct emuv_err *err)
{
  emuv_err_set(err, EMUV_ERR_USAGE, "a page size has no meaning for format %s", f->name);
  return emuv_err_hint(err, "its references are pages already; only captured traces (.emuv) have addresses");
}

static int read_input(struct emuv_mrc_input *in, const struct format *f, struct emuv_mrc_trace *t, struct emuv_err *err)
{
  struct emuv_mrc_ids ids;
  if (in->end >= 4 && memcmp(in->buffer, "\x28\xb5\x2f\xfd", 4) == 0) return compressed(in, err);
  if (in->page_bytes && !f->has_addresses) return no_page_size(f, err);
  int rc = emuv_mrc_ids_init(&ids, t, f->bytes_per_ref ? in->size / f->bytes_per_ref : 0, err);
  if (rc) return rc;
  rc = f->read(in, &ids, err);
  if (rc == 0 && t->n == 0) rc = empty(in, err);
  emuv_mrc_ids_free(&ids);
  if (rc) emuv_mrc_trace_free(t);
  return rc;
}

int emuv_mrc_read(const char *path, const char *format, uint64_t page_bytes, struct emuv_mrc_trace *t,
                  struct emuv_err *err)
{
  struct emuv_mrc_input in = {.page_bytes = page_bytes};
  *t = (struct emuv_mrc_trace){0};
  int rc = input_open(&in, path, err);
  if (rc == 0) {
    const struct format *f = format ? by_name(format) : detect(path, &in);
    rc = f ? read_input(&in, f, t, err) : emuv_err_set(err, EMUV_ERR_USAGE, "unknown format '%s'", format);
  }
  input_close(&in);
  return rc;
}
