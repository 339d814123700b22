// SPDX-License-Identifier: Apache-2.0
/* CRC-32C: see crc32c.h. The table is filled once, on first use, under pthread_once. */
#include "tracer/format/crc32c.h"

#include <pthread.h>
#include <string.h>

static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_fill(void)
{
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int k = 0; k < 8; k++) c = (c >> 1) ^ (0x82f63b78u & (0u - (c & 1u)));
    table[0][i] = c;
  }
  for (uint32_t i = 0; i < 256; i++)
    for (int k = 1; k < 8; k++) table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xff];
}

static uint32_t step8(uint32_t crc, const uint8_t *p)
{
  uint32_t lo = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
  return table[7][lo & 0xff] ^ table[6][lo >> 8 & 0xff] ^ table[5][lo >> 16 & 0xff] ^ table[4][lo >> 24] ^
         table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
}

uint32_t emuv_crc32c_table(uint32_t crc, const void *data, size_t n)
{
  pthread_once(&table_once, table_fill);
  const uint8_t *p = data;
  crc = ~crc;
  for (; n >= 8; n -= 8, p += 8) crc = step8(crc, p);
  for (; n; n--, p++) crc = (crc >> 8) ^ table[0][(crc ^ *p) & 0xff];
  return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc, const void *data, size_t n)
{
  const uint8_t *p = data;
  uint64_t c = ~crc;
  for (; n >= 8; n -= 8, p += 8) {
    uint64_t v;
    memcpy(&v, p, 8);
    c = __builtin_ia32_crc32di(c, v);
  }
  for (; n; n--, p++) c = __builtin_ia32_crc32qi((uint32_t)c, *p);
  return ~(uint32_t)c;
}

uint32_t emuv_crc32c(uint32_t crc, const void *data, size_t n)
{
  if (__builtin_cpu_supports("sse4.2")) return crc_sse42(crc, data, n);
  return emuv_crc32c_table(crc, data, n);
}
#else
uint32_t emuv_crc32c(uint32_t crc, const void *data, size_t n)
{
  return emuv_crc32c_table(crc, data, n);
}
#endif
