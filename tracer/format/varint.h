// SPDX-License-Identifier: Apache-2.0
/* LEB128 varints and zigzag, as in Protocol Buffers' encoding guide. Internal to the trace library. */
#ifndef EMUV_FORMAT_VARINT_H
#define EMUV_FORMAT_VARINT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* The same where at least 10 bytes can be read, so that nothing need be known about an end: NULL when it does not fit
 * 64 bits. Up to 8 bytes at once: the groups of 7 bits are pushed together in three steps. */
static inline const uint8_t *emuv_varint_get_inside(const uint8_t *p, uint64_t *v)
{
  if (*p < 0x80) {
    *v = *p;
    return p + 1;
  }
  if (p[1] < 0x80) {
    *v = (p[0] & 0x7fu) | (uint64_t)p[1] << 7;
    return p + 2;
  }
  uint64_t w;
  memcpy(&w, p, sizeof w);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  w = __builtin_bswap64(w);
#endif
  const uint64_t stops = ~w & UINT64_C(0x8080808080808080);
  if (stops == 0) return emuv_varint_get(p, p + 10, v);
  w &= stops ^ (stops - 1);
  w = (w & UINT64_C(0x7f007f007f007f00)) >> 1 | (w & UINT64_C(0x007f007f007f007f));
  w = (w & UINT64_C(0x3fff00003fff0000)) >> 2 | (w & UINT64_C(0x00003fff00003fff));
  *v = (w & UINT64_C(0x0fffffff00000000)) >> 4 | (w & UINT64_C(0x000000000fffffff));
  return p + (__builtin_ctzll(stops) >> 3) + 1;
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
