// SPDX-License-Identifier: Apache-2.0
/* The id table (mrc_ids.h). The hash is one 64 x 64 -> 128 bit product, folded, as in wyhash (Wang Yi, 2019). Nothing
 * is ever deleted, so a bucket with a free slot ends a search. Unused slots hold object 0, therefore object 0 itself
 * takes the slow way. */
#include "simulator/mrc_ids.h"

#include <stdbool.h>
#include <sys/mman.h>

enum { BATCH = 64, FIRST_BITS = 9, SLOTS = 5, FIRST_OBJECTS = 4096 };

struct emuv_mrc_bucket {
  uint64_t object[SLOTS];
  uint32_t id[SLOTS];
  uint32_t used;
};
_Static_assert(sizeof(struct emuv_mrc_bucket) == 64, "a bucket is one cache line");

__extension__ typedef unsigned __int128 wide;

static inline uint64_t home(uint64_t object, unsigned bits)
{
  wide product = (wide)(object ^ 0xa0761d6478bd642fu) * 0xe7037ed1a0b428dbu;
  return ((uint64_t)product ^ (uint64_t)(product >> 64)) >> (64 - bits);
}

static size_t table_bytes(unsigned bits)
{
  return sizeof(struct emuv_mrc_bucket) << bits;
}

static int no_memory(struct emuv_err *err)
{
  return emuv_err_set(err, EMUV_ERR_NOMEM, "not enough memory for the trace");
}

static int too_long(struct emuv_err *err)
{
  emuv_err_set(err, EMUV_ERR_UNSUPPORTED, "more than %llu references", (unsigned long long)EMUV_MRC_MAX_REFS);
  return emuv_err_hint(err, "split the trace");
}

int emuv_mrc_ids_init(struct emuv_mrc_ids *ids, struct emuv_mrc_trace *trace, uint64_t expected, struct emuv_err *err)
{
  *ids = (struct emuv_mrc_ids){.bits = FIRST_BITS, .allocated = FIRST_OBJECTS, .trace = trace};
  *trace = (struct emuv_mrc_trace){.allocated = expected > 0 ? expected : 1 << 20};
  if (expected > EMUV_MRC_MAX_REFS) return too_long(err);
  ids->buckets = emuv_mrc_alloc(table_bytes(ids->bits));
  ids->objects = emuv_mrc_alloc(ids->allocated * sizeof *ids->objects);
  trace->refs = emuv_mrc_alloc(trace->allocated * sizeof *trace->refs);
  if (ids->buckets && ids->objects && trace->refs) return 0;
  emuv_mrc_ids_free(ids);
  emuv_mrc_trace_free(trace);
  return no_memory(err);
}

void emuv_mrc_ids_free(struct emuv_mrc_ids *ids)
{
  emuv_mrc_free(ids->buckets, table_bytes(ids->bits));
  emuv_mrc_free(ids->objects, ids->allocated * sizeof *ids->objects);
  ids->buckets = NULL;
  ids->objects = NULL;
}

/* A free slot for the object in its bucket or the next one that has room. */
static void put(struct emuv_mrc_bucket *buckets, unsigned bits, uint64_t object, uint32_t id)
{
  uint64_t mask = ((uint64_t)1 << bits) - 1, at = home(object, bits);
  while (buckets[at].used == SLOTS) at = (at + 1) & mask;
  uint32_t k = buckets[at].used++;
  buckets[at].object[k] = object;
  buckets[at].id[k] = id;
}

static int grow_table(struct emuv_mrc_ids *ids, struct emuv_err *err)
{
  struct emuv_mrc_bucket *buckets = emuv_mrc_alloc(table_bytes(ids->bits + 1));
  if (!buckets) return no_memory(err);
  for (uint32_t id = 0; id < ids->trace->n_pages; id++) put(buckets, ids->bits + 1, ids->objects[id], id);
  emuv_mrc_free(ids->buckets, table_bytes(ids->bits));
  ids->buckets = buckets;
  ids->bits++;
  return 0;
}

/* Makes room for `want` entries; the system moves pages instead of copying. */
static int grow_array(void **array, size_t *allocated, size_t want, size_t entry, struct emuv_err *err)
{
  if (want <= *allocated) return 0;
  size_t more = *allocated + *allocated / 2;
  if (more < want) more = want;
  void *grown = mremap(*array, *allocated * entry, more * entry, MREMAP_MAYMOVE);
  if (grown == MAP_FAILED) return no_memory(err);
  *array = grown;
  *allocated = more;
  return 0;
}

/* The whole search, for objects that are new, displaced or 0. */
static __attribute__((noinline)) uint32_t find_or_add(struct emuv_mrc_ids *ids, uint64_t object)
{
  uint64_t mask = ((uint64_t)1 << ids->bits) - 1;
  for (uint64_t at = home(object, ids->bits);; at = (at + 1) & mask) {
    const struct emuv_mrc_bucket *b = &ids->buckets[at];
    for (uint32_t k = 0; k < b->used; k++) {
      if (b->object[k] == object) return b->id[k];
    }
    if (b->used < SLOTS) break;
  }
  uint32_t id = ids->trace->n_pages++;
  ids->objects[id] = object;
  put(ids->buckets, ids->bits, object, id);
  return id;
}

/* References that go on where a scan before them left off. */
static size_t follow_scan(const struct emuv_mrc_ids *ids, const uint64_t *objects, size_t n, uint32_t *refs)
{
  if (ids->trace->n < 2 || refs[-1] != refs[-2] + 1) return 0;
  uint32_t id = refs[-1] + 1, end = ids->trace->n_pages;
  size_t i = 0;
  for (; i < n && id < end && ids->objects[id] == objects[i]; i++) refs[i] = id++;
  return i;
}

static void append_batch(struct emuv_mrc_ids *ids, const uint64_t *objects, size_t n)
{
  const struct emuv_mrc_bucket *buckets = ids->buckets, *bucket[BATCH];
  uint32_t *refs = ids->trace->refs + ids->trace->n;
  unsigned bits = ids->bits;
  size_t scanned = follow_scan(ids, objects, n, refs);
  for (size_t i = scanned; i < n; i++) {
    bucket[i] = &buckets[home(objects[i], bits)];
    __builtin_prefetch(bucket[i]);
  }
  for (size_t i = scanned; i < n; i++) {
    const struct emuv_mrc_bucket *b = bucket[i];
    uint64_t x = objects[i];
    unsigned k = (b->object[1] == x) + 2u * (b->object[2] == x) + 3u * (b->object[3] == x) + 4u * (b->object[4] == x);
    bool there = x != 0 && b->object[k] == x; /* k <= 4: only object 0 can stand in two slots */
    refs[i] = there ? b->id[k] : find_or_add(ids, x);
  }
  ids->trace->n += n;
}

int emuv_mrc_ids_append(struct emuv_mrc_ids *ids, const uint64_t *objects, size_t n, struct emuv_err *err)
{
  struct emuv_mrc_trace *t = ids->trace;
  if (t->n + n > EMUV_MRC_MAX_REFS) return too_long(err);
  int rc = grow_array((void **)&t->refs, &t->allocated, t->n + n, sizeof *t->refs, err);
  if (rc == 0) rc = grow_array((void **)&ids->objects, &ids->allocated, t->n_pages + n, sizeof *ids->objects, err);
  for (size_t i = 0; rc == 0 && i < n; i += BATCH) {
    size_t batch = n - i < BATCH ? n - i : BATCH;
    if ((t->n_pages + batch) * 5 > (uint64_t)4 * SLOTS << ids->bits) rc = grow_table(ids, err);
    if (rc == 0) append_batch(ids, objects + i, batch);
  }
  return rc;
}
