// SPDX-License-Identifier: Apache-2.0
/* The one seeded generator: xoshiro256** seeded by splitmix64 (Blackman and Vigna, "Scrambled linear pseudorandom
 * number generators", ACM TOMS 2021). Same seed, same numbers on every platform. A state belongs to one thread. */
#ifndef EMUV_CORE_RNG_H
#define EMUV_CORE_RNG_H

#include <stdint.h>

struct emuv_rng {
  uint64_t s[4];
};

static inline uint64_t emuv_rng_splitmix64(uint64_t *x)
{
  uint64_t z = (*x += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static inline void emuv_rng_seed(struct emuv_rng *r, uint64_t seed)
{
  for (int i = 0; i < 4; i++) r->s[i] = emuv_rng_splitmix64(&seed);
}

static inline uint64_t emuv_rng_next(struct emuv_rng *r)
{
  uint64_t *s = r->s;
  uint64_t m = s[1] * 5, t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = (s[3] << 45) | (s[3] >> 19);
  return ((m << 7) | (m >> 57)) * 9;
}

/* Uniform in [0, n), n > 0, by multiply-shift (Lemire 2019, without the rejection step: bias below n / 2^64). */
static inline uint64_t emuv_rng_below(struct emuv_rng *r, uint64_t n)
{
  return (uint64_t)(__extension__((unsigned __int128)emuv_rng_next(r) * n) >> 64);
}

/* Uniform in [0, 1) with 53 bits. */
static inline double emuv_rng_unit(struct emuv_rng *r)
{
  return (double)(emuv_rng_next(r) >> 11) * 0x1.0p-53;
}

#endif
