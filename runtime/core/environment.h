// SPDX-License-Identifier: Apache-2.0
/* The machine and build that a result comes from. Read from files of the kernel, so it starts no program, loads no
 * driver and needs no GPU. "" and 0 mean unknown, never a value. Any thread. */
#ifndef EMUV_CORE_ENVIRONMENT_H
#define EMUV_CORE_ENVIRONMENT_H

#include <stdbool.h>
#include <stdint.h>

struct emuv_environment {
  char cpu[96];   /* "AMD EPYC 9654 96-Core Processor" */
  uint32_t cores; /* that this process may use */
  uint64_t ram_bytes;
  char kernel[96]; /* "6.18.1" */
  char os[96];     /* "Debian GNU/Linux 12 (bookworm)" */
  uint32_t gpus;
  char gpu[96];    /* of the first GPU: "NVIDIA H200" */
  char driver[32]; /* "580.159.03" */
  char link[64];   /* "32.0 GT/s PCIe x16", as it runs now: idle links may clock down */
  char version[32], revision[48];
  bool dirty;       /* built from a tree with uncommitted changes */
  char started[32]; /* ISO 8601, UTC */
};

void emuv_environment_capture(struct emuv_environment *e);
/* As emuv_environment_capture with the files under `root` ("" = the real ones). */
void emuv_environment_capture_from(const char *root, struct emuv_environment *e);

#endif
