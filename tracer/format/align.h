// SPDX-License-Identifier: Apache-2.0
/* Joins two sequences of keys that are nearly the same, such as the launches of two runs of a program: what is equal in
 * order is paired; where they differ, both go on at the nearest place where several keys in a row are equal again.
 *
 * That is a longest common subsequence found greedily in a window (compare Heckel, "A technique for isolating
 * differences between files", CACM 1978): linear where the sequences agree, at most EMUV_ALIGN_WINDOW^2 steps for each
 * difference. Deterministic, no state; any thread. */
#ifndef EMUV_FORMAT_ALIGN_H
#define EMUV_FORMAT_ALIGN_H

#include <stddef.h>
#include <stdint.h>

enum { EMUV_ALIGN_WINDOW = 3000, EMUV_ALIGN_RUN = 4 };

/* pair[i] = index in b of the partner of a[i], SIZE_MAX for none; increasing. Returns the number of pairs. */
size_t emuv_align(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b, size_t *pair);

#endif
