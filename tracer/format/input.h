// SPDX-License-Identifier: Apache-2.0
/* Bytes of a file or of memory by offset. Internal to the trace library. One thread per input. */
#ifndef EMUV_FORMAT_INPUT_H
#define EMUV_FORMAT_INPUT_H

#include "runtime/core/err.h"

#include <stddef.h>
#include <stdint.h>

struct emuv_input {
  char name[256];
  const uint8_t *memory; /* NULL: file */
  uint64_t bytes;        /* at the time of opening */
  int fd;
  uint8_t *buffer;
  size_t capacity;
};

int emuv_input_open(struct emuv_input *in, const char *path, struct emuv_err *err);
void emuv_input_memory(struct emuv_input *in, const void *data, size_t n, const char *name);
/* n bytes at offset, offset + n <= bytes; valid until the next call. NULL on failure. */
const uint8_t *emuv_input_at(struct emuv_input *in, uint64_t offset, size_t n, struct emuv_err *err);
void emuv_input_close(struct emuv_input *in);
/* Fills err with "<what> at byte N" and the place; returns code. */
int emuv_input_error(const struct emuv_input *in, int code, uint64_t offset, const char *what, struct emuv_err *err);

#endif
