// SPDX-License-Identifier: Apache-2.0
/* LEB128 varints and zigzag, as in Protocol Buffers' encoding guide. Internal to the trace library. */
#ifndef EMUV_FORMAT_VARINT_H
#define EMUV_FORMAT_VARINT_H

#include <stddef.h>
#include <stdint.h>

static inline uint8_t *emuv_varint_put(uint8_t *p, uint64_t v)
{
  while (v >= 0x80) {
    *p++ = (uint8_t)(v | 0x80);
    v >>= 7;
  }
  *p++ = (uint8_t)v;
  return p;
}

/* NULL when the varint is cut at end or does not fit 64 bits. */
static inline const uint8_t *emuv_varint_get(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
  if (p < end && *p < 0x80) {
    *v = *p;
    return p + 1;
  }
  uint64_t x = 0;
  for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
    uint64_t b = *p++;
    if (shift == 63 && b > 1) return NULL;
    x |= (b & 0x7f) << shift;
    if (b < 0x80) {
      *v = x;
      return p;
    }
  }
  return NULL;
}

static inline uint64_t emuv_zigzag(uint64_t delta)
{
  return (delta << 1) ^ (UINT64_C(0) - (delta >> 63));
}

static inline uint64_t emuv_unzigzag(uint64_t z)
{
  return (z >> 1) ^ (UINT64_C(0) - (z & 1));
}

#endif
