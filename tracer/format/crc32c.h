// SPDX-License-Identifier: Apache-2.0
/* CRC-32C (Castagnoli, polynomial 0x1EDC6F41, reflected, as in RFC 3720 appendix B.4): the SSE4.2 instruction
 * where the processor has it, else a table of 8 x 256 words ("slicing by 8", Kounavis and Berry 2008). Any thread. */
#ifndef EMUV_FORMAT_CRC32C_H
#define EMUV_FORMAT_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues from crc (0 to start). "123456789" gives 0xe3069283. */
uint32_t emuv_crc32c(uint32_t crc, const void *data, size_t n);
/* The table form, whatever the processor: for tests. */
uint32_t emuv_crc32c_table(uint32_t crc, const void *data, size_t n);

#endif
