// SPDX-License-Identifier: Apache-2.0
/* Live memory of a traced process as disjoint half-open address ranges [base, base + bytes), each with an id.
 *
 * A sorted array: programs hold tens to a few thousand live ranges and look them up a thousand times for each change,
 * so a binary search over 32-byte items in cache beats a tree. Words that are no address at all (the common case in
 * kernel arguments) are turned away by one comparison with the lowest and highest address.
 *
 * Invariants: items sorted by base, disjoint, bytes > 0, base + bytes does not wrap. The caller owns the map and
 * serialises changes with look-ups. */
#ifndef EMUV_INJECT_INTERVALS_H
#define EMUV_INJECT_INTERVALS_H

#include <stddef.h>
#include <stdint.h>

struct emuv_interval {
  uint64_t base, bytes;
  uint64_t id;
  uint64_t kind; /* the caller's */
};

struct emuv_intervals {
  struct emuv_interval *item;
  size_t n, cap;
  uint64_t low, high; /* lowest base, highest end; 0 and 0 when empty */
};

/* Adds a copy of *range. Ranges that it overlaps are removed first (their free was not seen); their number is added to
 * *displaced when it is not NULL. 0, EMUV_ERR_RANGE (empty or wrapping), EMUV_ERR_NOMEM (map unchanged). */
int emuv_intervals_insert(struct emuv_intervals *map, const struct emuv_interval *range, size_t *displaced);
/* Removes the range that starts at base and copies it to *removed (may be NULL). 1 if there was one, else 0. */
int emuv_intervals_remove(struct emuv_intervals *map, uint64_t base, struct emuv_interval *removed);
/* The range that contains the address, or NULL. The pointer is good until the next change. */
const struct emuv_interval *emuv_intervals_find(const struct emuv_intervals *map, uint64_t address);
/* The range that begins where *range (a result of emuv_intervals_find) ends, or NULL. */
const struct emuv_interval *emuv_intervals_adjacent(const struct emuv_intervals *map,
                                                    const struct emuv_interval *range);
void emuv_intervals_free(struct emuv_intervals *map);

#endif
