// SPDX-License-Identifier: Apache-2.0
/* An encoder with the layout that was seen on an H200 (driver 580): address in words 0-1, modes in word 2, strides / 16
 * from word 3 with their high bits in word 7, sizes - 1 from word 8, box - 1 from the last byte of word 13, the bytes
 * of a box in the second half. Rank and type bits lie as seen; the other mode bits are made up: learning must find
 * them. */
#ifndef EMUV_TESTS_FAKE_TENSORMAP_H
#define EMUV_TESTS_FAKE_TENSORMAP_H

#include "tracer/inject/tensormap.h"

#include <string.h>

enum {
  FAKE_MODE_FIXED = 0x0,
  FAKE_CUBLAS_BIT = 0x2, /* what cuBLAS sets in its own descriptors, and the driver's encoder does not */
  FAKE_RANK_SHIFT = 4,
  FAKE_TYPE_SHIFT = 7,
  FAKE_SWIZZLE_SHIFT = 13,
  FAKE_FILL_SHIFT = 16,
  FAKE_INTERLEAVE_SHIFT = 11,
  FAKE_PROMOTION_SHIFT = 17
};

static inline uint32_t fake_mode(const struct emuv_tensormap_spec *s)
{
  return FAKE_MODE_FIXED | (s->rank - 1) << FAKE_RANK_SHIFT | s->type << FAKE_TYPE_SHIFT |
         s->swizzle << FAKE_SWIZZLE_SHIFT | s->fill << FAKE_FILL_SHIFT | s->interleave << FAKE_INTERLEAVE_SHIFT |
         s->promotion << FAKE_PROMOTION_SHIFT;
}

static inline int fake_encode(void *context, const struct emuv_tensormap_spec *s, uint32_t out[EMUV_TENSORMAP_WORDS])
{
  (void)context;
  if (s->type >= EMUV_TENSORMAP_TYPES || s->rank < 1 || s->rank > EMUV_TENSORMAP_RANKS || s->swizzle > 3) return 1;
  memset(out, 0, EMUV_TENSORMAP_BYTES);
  out[0] = (uint32_t)s->address;
  out[1] = (uint32_t)(s->address >> 32);
  out[2] = fake_mode(s);
  for (uint32_t i = 0; i + 1 < s->rank; i++) {
    out[3 + i] = (uint32_t)(s->stride[i] >> 4);
    out[7] |= (uint32_t)(s->stride[i] >> 36) << 4 * i;
  }
  for (uint32_t i = 0; i < s->rank; i++) {
    out[8 + i] = (uint32_t)(s->dim[i] - 1);
    out[13 + (i + 3) / 4] |= (s->box[i] - 1) << (i + 3) % 4 * 8;
  }
  out[16] = s->box[0] * (s->rank > 1 ? s->box[1] : 1) * 2;
  return 0;
}

#endif
