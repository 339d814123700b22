// SPDX-License-Identifier: Apache-2.0
/* See intervals.h. */
#include "tracer/inject/intervals.h"

#include "runtime/core/err.h"

#include <stdlib.h>
#include <string.h>

/* Index of the first item whose end lies above the address. */
static size_t first_ending_above(const struct emuv_intervals *map, uint64_t address)
{
  size_t low = 0, high = map->n;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (map->item[middle].base + map->item[middle].bytes > address)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

static void update_bounds(struct emuv_intervals *map)
{
  map->low = map->n ? map->item[0].base : 0;
  map->high = map->n ? map->item[map->n - 1].base + map->item[map->n - 1].bytes : 0;
}

static int reserve(struct emuv_intervals *map)
{
  if (map->n < map->cap) return 0;
  const size_t cap = map->cap ? 2 * map->cap : 64;
  struct emuv_interval *item = realloc(map->item, cap * sizeof *item);
  if (!item) return EMUV_ERR_NOMEM;
  map->item = item;
  map->cap = cap;
  return 0;
}

/* Replaces items [first, last) by `insert` new slots (0 or 1). Capacity is there. */
static void splice(struct emuv_intervals *map, size_t first, size_t last, size_t insert)
{
  memmove(map->item + first + insert, map->item + last, (map->n - last) * sizeof *map->item);
  map->n = map->n - (last - first) + insert;
}

int emuv_intervals_insert(struct emuv_intervals *map, const struct emuv_interval *range, size_t *displaced)
{
  if (range->bytes == 0 || range->base + range->bytes <= range->base) return EMUV_ERR_RANGE;
  const int rc = reserve(map);
  if (rc) return rc;
  const size_t first = first_ending_above(map, range->base);
  size_t last = first;
  while (last < map->n && map->item[last].base < range->base + range->bytes) last++;
  splice(map, first, last, 1);
  map->item[first] = *range;
  update_bounds(map);
  if (displaced) *displaced += last - first;
  return 0;
}

int emuv_intervals_remove(struct emuv_intervals *map, uint64_t base, struct emuv_interval *removed)
{
  const size_t at = first_ending_above(map, base);
  if (at == map->n || map->item[at].base != base) return 0;
  if (removed) *removed = map->item[at];
  splice(map, at, at + 1, 0);
  update_bounds(map);
  return 1;
}

const struct emuv_interval *emuv_intervals_find(const struct emuv_intervals *map, uint64_t address)
{
  if (address < map->low || address >= map->high) return NULL;
  const size_t at = first_ending_above(map, address);
  return at < map->n && map->item[at].base <= address ? &map->item[at] : NULL;
}

const struct emuv_interval *emuv_intervals_adjacent(const struct emuv_intervals *map, const struct emuv_interval *range)
{
  const struct emuv_interval *next = range + 1;
  return next < map->item + map->n && next->base == range->base + range->bytes ? next : NULL;
}

void emuv_intervals_free(struct emuv_intervals *map)
{
  free(map->item);
  *map = (struct emuv_intervals){0};
}
