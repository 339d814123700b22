// SPDX-License-Identifier: Apache-2.0
/* Raw argument blocks for the scanner's tests. See cupti_capture.h. */
#include "tracer/inject/cupti_capture.h"

#include <stdio.h>
#include <stdlib.h>

enum { KERNELS = 65536 };

static FILE *file;
static unsigned char seen[KERNELS]; /* by dictionary id */

void emuv_blocks_open(void)
{
  const char *path = getenv("EMUV_TRACE_BLOCKS");
  if (path && *path) file = fopen(path, "we");
  if (path && *path && !file) emuv_capture_say("%s cannot be written: no argument blocks", path);
}

void emuv_blocks_dump(const struct emuv_kernel_info *kernel, const char *symbol, enum emuv_trace_provenance provenance,
                      const void *block, size_t bytes)
{
  const unsigned char *byte = block;
  if (!file || !kernel || kernel->id >= KERNELS || seen[kernel->id]++) return;
  fprintf(file, "%s %s %zu ", symbol ? symbol : "?", provenance == EMUV_TRACE_FROM_EXTRA ? "extra" : "param", bytes);
  for (size_t i = 0; i < bytes; i++) fprintf(file, "%02x", byte[i]);
  fputc('\n', file);
  fflush(file);
}
