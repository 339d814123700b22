// SPDX-License-Identifier: Apache-2.0
/* Text files for the YAML reader (yaml.h): reading, the check that a file is text at all, and the source line under an
 * error message. Lines end with "\n"; columns count characters, not bytes, as libyaml's marks do. No state. */
#include "simulator/yaml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int too_large(const char *path, struct emuv_err *err)
{
  (void)emuv_err_set(err, EMUV_ERR_INPUT, "the file is larger than %d MiB, the most that is read",
                     EMUV_YAML_MAX_BYTES >> 20);
  return emuv_err_at(err, path, 1, 1);
}

static int read_all(FILE *file, const char *path, char **text, size_t *length, struct emuv_err *err)
{
  size_t capacity = 1 << 16, n = 0, got;
  char *buf = malloc(capacity);
  while (buf != NULL && (got = fread(buf + n, 1, capacity - n - 1, file)) > 0) {
    n += got;
    if (n > EMUV_YAML_MAX_BYTES) {
      free(buf);
      return too_large(path, err);
    }
    if (capacity - n > 1) continue;
    char *moved = realloc(buf, capacity *= 2);
    if (moved == NULL) free(buf);
    buf = moved;
  }
  if (buf == NULL) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory to read %s", path);
  if (ferror(file)) {
    free(buf);
    return emuv_err_errno(err, EMUV_ERR_IO, "cannot read %s", path);
  }
  buf[n] = '\0';
  *text = buf;
  *length = n;
  return EMUV_OK;
}

int emuv_yaml_read(const char *path, char **text, size_t *length, struct emuv_err *err)
{
  FILE *file = fopen(path, "re");
  if (file == NULL) return emuv_err_errno(err, EMUV_ERR_IO, "cannot open %s", path);
  struct stat st;
  int rc;
  if (fstat(fileno(file), &st) == 0 && S_ISDIR(st.st_mode)) {
    errno = EISDIR;
    rc = emuv_err_errno(err, EMUV_ERR_IO, "cannot read %s", path);
  } else
    rc = read_all(file, path, text, length, err);
  (void)fclose(file);
  return rc;
}

/* Bytes of the UTF-8 character at s (n > 0 bytes left), 0 if it is none or a control character that text does not
 * have. Ranges: Unicode 15, table 3-7, by value. */
static size_t character(const unsigned char *s, size_t n)
{
  static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (s[0] < 0x80) return (s[0] >= 0x20 && s[0] != 0x7f) || s[0] == '\t' || s[0] == '\n' || s[0] == '\r';
  size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
  if (s[0] < 0xc2 || s[0] > 0xf4 || length > n) return 0;
  unsigned value = s[0] & (0x7fu >> length);
  for (size_t i = 1; i < length; i++) {
    if ((s[i] & 0xc0u) != 0x80u) return 0;
    value = value << 6 | (s[i] & 0x3fu);
  }
  return value < least[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000) ? 0 : length;
}

int emuv_yaml_check_text(const struct emuv_yaml_input *input, struct emuv_err *err)
{
  const unsigned char *s = (const unsigned char *)input->text;
  long line = 1, column = 1;
  for (size_t i = 0, n; i < input->length; i += n, column++) {
    n = character(s + i, input->length - i);
    if (n == 0) {
      (void)emuv_err_set(err, EMUV_ERR_INPUT, "not a text file: byte 0x%02x at offset %zu", s[i], i);
      (void)emuv_err_hint(err, "scenarios and presets are YAML in UTF-8; a trace is given with --trace FILE");
      return emuv_err_at(err, input->path, line, column);
    }
    if (s[i] == '\n') {
      line++;
      column = 0;
    }
  }
  return EMUV_OK;
}

/* Copies the line, up to what fits in whole characters; nothing when the column lies beyond that. */
static void set_excerpt(const char *start, size_t length, long column, struct emuv_err *err)
{
  size_t n = 0;
  long characters = 0;
  while (n < length) {
    size_t step = character((const unsigned char *)start + n, length - n);
    if (step == 0 || n + step >= sizeof err->excerpt) break;
    n += step;
    characters++;
  }
  if (column > characters + 1) return;
  memcpy(err->excerpt, start, n);
  err->excerpt[n] = '\0';
}

int emuv_yaml_place(const struct emuv_yaml_input *input, long line, long column, struct emuv_err *err)
{
  if (err == NULL) return EMUV_ERR_INPUT;
  const char *start = input->text, *end = input->text + input->length;
  for (long i = 1; i < line && start < end; i++) {
    const char *newline = memchr(start, '\n', (size_t)(end - start));
    start = newline != NULL ? newline + 1 : end;
  }
  size_t length = 0;
  while (start + length < end && start[length] != '\n' && start[length] != '\r') length++;
  err->excerpt[0] = '\0';
  set_excerpt(start, length, column, err);
  return emuv_err_at(err, input->path, line, column);
}
