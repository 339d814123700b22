// SPDX-License-Identifier: Apache-2.0
/* See names.h. */
#include "tracer/inject/names.h"

#include "runtime/core/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TRIES = 1000 };

/* Length of the name without its extension. */
static int stem_length(const char *path)
{
  const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
  return (int)(dot && dot > base ? dot - path : (ptrdiff_t)strlen(path));
}

int emuv_names_make(const char *wanted, long pid, unsigned nth, char path[PATH_MAX])
{
  const int stem = stem_length(wanted);
  char middle[64] = "";
  if (nth == 1) snprintf(middle, sizeof middle, ".%ld", pid);
  if (nth > 1) snprintf(middle, sizeof middle, ".%ld.%u", pid, nth);
  const int n = snprintf(path, PATH_MAX, "%.*s%s%s", stem, wanted, middle, wanted + stem);
  return n < PATH_MAX ? 0 : EMUV_ERR_RANGE;
}

int emuv_names_claim(const char *wanted, long pid, char path[PATH_MAX])
{
  for (unsigned nth = 0; nth < TRIES; nth++) {
    const int rc = emuv_names_make(wanted, pid, nth, path);
    if (rc) return rc;
    const int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    if (fd >= 0) return close(fd), 0;
    if (errno != EEXIST) return EMUV_ERR_IO;
  }
  return EMUV_ERR_IO;
}

bool emuv_names_belongs(const char *wanted, const char *name)
{
  const size_t stem = (size_t)stem_length(wanted), extension = strlen(wanted + stem), n = strlen(name);
  if (n < stem + 2 + extension || memcmp(name, wanted, stem) != 0 || name[stem] != '.') return false;
  if (strcmp(name + n - extension, wanted + stem) != 0) return false;
  const char *middle = name + stem + 1, *end = name + n - extension;
  const size_t pid = strspn(middle, "0123456789");
  if (pid == 0 || middle + pid == end) return pid > 0;
  const char *nth = middle + pid + 1;
  return middle[pid] == '.' && nth < end && nth + strspn(nth, "0123456789") >= end;
}
