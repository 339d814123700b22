// SPDX-License-Identifier: Apache-2.0
/* Which library a capture needs, where it is, and the option --pages. Part of the launcher: one thread. */
#ifndef EMUV_INJECT_LAUNCH_LIBRARY_H
#define EMUV_INJECT_LAUNCH_LIBRARY_H

#include "runtime/core/err.h"

#include <stdbool.h>
#include <stdint.h>

/* The size of --pages=TEXT (NULL: 64KiB): a power of two from 4KiB to 2MiB. EMUV_ERR_USAGE. */
int emuv_launch_parse_pages(const char *text, uint64_t *bytes, struct emuv_err *err);
/* The library that is loaded into the command, `path` with PATH_MAX bytes; pages: that of --pages, which needs NVIDIA's
 * Sanitizer library too. EMUV_ERR_NODEV, with what to install, when one is not there. */
int emuv_launch_find_library(bool pages, char *path, struct emuv_err *err);

#endif
