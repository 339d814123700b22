// SPDX-License-Identifier: Apache-2.0
/* Appending to the arrays of a trace that is being loaded. Internal to the trace library. */
#ifndef EMUV_FORMAT_PUSH_H
#define EMUV_FORMAT_PUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

enum { EMUV_PUSH_MIN = 64 };

static inline bool emuv_push_grow(void **array, size_t n, size_t size)
{
  if (n & (n - 1) || (n && n < EMUV_PUSH_MIN)) return true;
  size_t cap = n < EMUV_PUSH_MIN ? EMUV_PUSH_MIN : 2 * n;
  void *grown = realloc(*array, cap * size);
  if (grown) *array = grown;
  return grown != NULL;
}

/* Appends one element; capacity doubles whenever the count n_ARRAY reaches a power of two. */
#define EMUV_PUSH(d, array, value)                                                                                     \
  (emuv_push_grow((void **)&(d)->array, (d)->n_##array, sizeof *(d)->array)                                            \
       ? ((d)->array[(d)->n_##array++] = (value), true)                                                                \
       : false)

#endif
