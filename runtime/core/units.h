// SPDX-License-Identifier: Apache-2.0
/* Units: text <-> numbers. Sizes are 64KiB, 2MiB, 12GiB, 1TiB, 512B, plain bytes, or SI (kB MB GB TB = powers of 1000);
 * a bare K, M, G or T is an error whose hint says what to write. No locale, no state, any thread. */
#ifndef EMUV_CORE_UNITS_H
#define EMUV_CORE_UNITS_H

#include "runtime/core/err.h"

#include <stddef.h>
#include <stdint.h>

int emuv_units_parse_bytes(const char *text, uint64_t *bytes, struct emuv_err *err);
/* "55.5GB/s" "7.5 GB/s" "51GiB/s" "400MB/s" -> bytes per second. */
int emuv_units_parse_rate(const char *text, double *bytes_per_s, struct emuv_err *err);
/* "2.5us" "30ns" "1ms" "0.5s" "2min" "1h" -> nanoseconds. */
int emuv_units_parse_time(const char *text, double *ns, struct emuv_err *err);
/* "989TFLOP/s" "82.6 TFLOP/s" "500GFLOP/s" -> FLOP per second. */
int emuv_units_parse_flops(const char *text, double *flop_per_s, struct emuv_err *err);
/* Exact binary units only ("2MiB", "1536KiB", "1000B"); parses back to the same number. Returns buf. */
char *emuv_units_format_bytes(uint64_t bytes, char *buf, size_t size);
/* Rounded for people ("12.3 GiB"). Returns buf. */
char *emuv_units_human_bytes(double bytes, char *buf, size_t size);
/* Rounded for people ("1.89 s", "350 ms", "12 us"). Returns buf. */
char *emuv_units_human_time(double seconds, char *buf, size_t size);

#endif
