// SPDX-License-Identifier: Apache-2.0
/* Which kernels of a loaded module access memory in ways that patches are not called for: copies of tensors by the TMA
 * unit, textures and surfaces. Found in the module's machine code (a cubin: an ELF file whose section .text.NAME holds
 * the 16-byte instructions of kernel NAME; the low 12 bits are the operation). The operations were learned by compiling
 * one kernel of each kind with CUDA 13.0 for sm_80, sm_90a and sm_120a; the encoding is that of sm_70 and later.
 *
 * Device functions that a kernel calls have sections of their own: what they do counts for all kernels of the module.
 * Nothing in the image is trusted. No CUDA; any thread. */
#ifndef EMUV_INJECT_CUBIN_H
#define EMUV_INJECT_CUBIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum emuv_cubin_unseen { EMUV_CUBIN_TENSOR = 1, EMUV_CUBIN_TEXTURE = 2 };

/* Calls `found` for every section of code that has such operations. False when the image is not such a file. */
bool emuv_cubin_scan(const void *image, size_t n,
                     void (*found)(void *context, const char *name, bool kernel, unsigned unseen), void *context);

#endif
