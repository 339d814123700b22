// SPDX-License-Identifier: Apache-2.0
/* What fake_program.c calls in the library that CUDA_INJECTION64_PATH names, where a real program would call CUDA. Two
 * libraries have these functions: fake_library.c (everything but CUPTI: needs no CUDA headers) and
 * stand_in_library.c (the whole capture over a stand-in for CUPTI). FAKE_MAPPING in the environment names a file that
 * holds a struct fake_mapping: what a killed program was doing. */
#ifndef EMUV_TESTS_FAKE_H
#define EMUV_TESTS_FAKE_H

#include <stdatomic.h>
#include <stdint.h>

struct fake_mapping {
  atomic_uint_fast64_t launched, launched_ns; /* launches whose call has returned, and when the last one did */
  atomic_uint_fast64_t flushed;               /* of those, how many a flush has handed to the kernel */
};

struct fake {
  int (*initialize)(void);
  void (*allocate)(uint64_t address, uint64_t bytes);
  void (*release)(uint64_t address);
  void (*launch)(uint64_t address);
  void (*profiler)(int on);
  void (*push)(const char *name);
  void (*pop)(void);
};

/* The one symbol that the program looks up. */
#define FAKE_TABLE "emuv_fake"

#endif
