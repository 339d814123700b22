// SPDX-License-Identifier: Apache-2.0
/* What a page contains: a function of its number and its version, so that any page can be made and checked anywhere, on
 * the CPU and in kernels. 64-bit word j of version v of page p is
 *
 *   emuv_content_seed(p, v) + j * EMUV_CONTENT_STEP          (modulo 2^64; little endian in memory)
 *
 * One addition per word keeps up with device memory. The seed is a finaliser (splitmix64, Steele et al., OOPSLA 2014)
 * of page and version, so another page, another version, another offset and any flipped bit all differ in every word or
 * in the word itself. Header only; C and CUDA C. */
#ifndef EMUV_DEVICE_CONTENT_H
#define EMUV_DEVICE_CONTENT_H

#include <stdint.h>

#ifdef __CUDACC__
#define EMUV_CONTENT_FN static __host__ __device__ __forceinline__
#else
#define EMUV_CONTENT_FN static inline
#endif

#define EMUV_CONTENT_STEP 0x9e3779b97f4a7c15ull

EMUV_CONTENT_FN uint64_t emuv_content_seed(uint32_t page, uint32_t version)
{
  uint64_t z = ((uint64_t)page << 32 | version) + EMUV_CONTENT_STEP;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

EMUV_CONTENT_FN uint64_t emuv_content_word(uint64_t seed, uint64_t index)
{
  return seed + index * EMUV_CONTENT_STEP;
}

#endif
