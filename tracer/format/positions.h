// SPDX-License-Identifier: Apache-2.0
/* References sorted by object, then by place: equal objects become neighbours in the order of their uses. Internal to
 * the trace library; pure, any thread. */
#ifndef EMUV_FORMAT_POSITIONS_H
#define EMUV_FORMAT_POSITIONS_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct emuv_position {
  uint64_t object;
  size_t place;
};

static inline int emuv_position_compare(const void *a, const void *b)
{
  const struct emuv_position *x = a, *y = b;
  if (x->object != y->object) return x->object < y->object ? -1 : 1;
  return (x->place > y->place) - (x->place < y->place);
}

static inline void emuv_position_sort(struct emuv_position *p, size_t n)
{
  if (n) qsort(p, n, sizeof *p, emuv_position_compare);
}

#endif
