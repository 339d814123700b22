// SPDX-License-Identifier: Apache-2.0
/* The id table (mrc_ids.h). The hash is one 64x64 -> 128 bit product folded, as in wyhash (Wang Yi, 2019). */
#include "simulator/mrc_ids.h"

#include <string.h>
#include <sys/mman.h>

enum { BATCH = 64, FIRST_BITS = 12 };

/* id + 1, 0 = free. Packed: 12 bytes instead of 16 keep more of a large table in the caches. */
struct __attribute__((packed)) emuv_mrc_slot {
  uint64_t object;
  uint32_t id1;
};

static inline size_t slot_bytes(unsigned bits)
{
  return sizeof(struct emuv_mrc_slot) << bits;
}

__extension__ typedef unsigned __int128 wide;

static inline uint64_t home(const struct emuv_mrc_ids *ids, uint64_t object)
{
  wide product = (wide)(object ^ 0xa0761d6478bd642fu) * 0xe7037ed1a0b428dbu;
  return ((uint64_t)product ^ (uint64_t)(product >> 64)) >> (64 - ids->bits);
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
  if (expected > EMUV_MRC_MAX_REFS) return too_long(err);
  *ids = (struct emuv_mrc_ids){.bits = FIRST_BITS, .trace = trace};
  *trace = (struct emuv_mrc_trace){.allocated = expected > 0 ? expected : 1 << 20};
  ids->slots = emuv_mrc_alloc(slot_bytes(ids->bits));
  trace->refs = emuv_mrc_alloc(trace->allocated * sizeof *trace->refs);
  if (ids->slots && trace->refs) return 0;
  emuv_mrc_ids_free(ids);
  emuv_mrc_trace_free(trace);
  return no_memory(err);
}

void emuv_mrc_ids_free(struct emuv_mrc_ids *ids)
{
  emuv_mrc_free(ids->slots, slot_bytes(ids->bits));
  ids->slots = NULL;
}

static int grow_table(struct emuv_mrc_ids *ids, struct emuv_err *err)
{
  struct emuv_mrc_slot *old = ids->slots, *slots = emuv_mrc_alloc(slot_bytes(ids->bits + 1));
  if (!slots) return no_memory(err);
  ids->slots = slots;
  ids->bits++;
  uint64_t mask = ((uint64_t)1 << ids->bits) - 1;
  for (uint64_t i = 0; i < (uint64_t)1 << (ids->bits - 1); i++) {
    if (old[i].id1 == 0) continue;
    uint64_t at = home(ids, old[i].object);
    while (slots[at].id1 != 0) at = (at + 1) & mask;
    slots[at] = old[i];
  }
  emuv_mrc_free(old, slot_bytes(ids->bits - 1));
  return 0;
}

static int grow_refs(struct emuv_mrc_trace *t, size_t n, struct emuv_err *err)
{
  if (t->n + n > EMUV_MRC_MAX_REFS) return too_long(err);
  if (t->n + n <= t->allocated) return 0;
  size_t want = t->allocated + t->allocated / 2 + n;
  void *refs = mremap(t->refs, t->allocated * sizeof *t->refs, want * sizeof *t->refs, MREMAP_MAYMOVE);
  if (refs == MAP_FAILED) return no_memory(err);
  t->refs = refs;
  t->allocated = want;
  return 0;
}

static inline uint32_t find_or_add(struct emuv_mrc_ids *ids, uint64_t object, uint64_t at)
{
  uint64_t mask = ((uint64_t)1 << ids->bits) - 1;
  for (;; at = (at + 1) & mask) {
    struct emuv_mrc_slot *slot = &ids->slots[at];
    if (slot->id1 == 0) {
      *slot = (struct emuv_mrc_slot){object, ++ids->trace->n_pages};
      return slot->id1 - 1;
    }
    if (slot->object == object) return slot->id1 - 1;
  }
}

static void append_batch(struct emuv_mrc_ids *ids, const uint64_t *objects, size_t n)
{
  uint64_t at[BATCH];
  uint32_t *refs = ids->trace->refs + ids->trace->n;
  for (size_t i = 0; i < n; i++) {
    at[i] = home(ids, objects[i]);
    __builtin_prefetch(&ids->slots[at[i]]);
  }
  for (size_t i = 0; i < n; i++) refs[i] = find_or_add(ids, objects[i], at[i]);
  ids->trace->n += n;
}

int emuv_mrc_ids_append(struct emuv_mrc_ids *ids, const uint64_t *objects, size_t n, struct emuv_err *err)
{
  int rc = grow_refs(ids->trace, n, err);
  for (size_t i = 0; rc == 0 && i < n; i += BATCH) {
    size_t batch = n - i < BATCH ? n - i : BATCH;
    if ((ids->trace->n_pages + batch) * 4 > (uint64_t)3 << ids->bits) rc = grow_table(ids, err);
    if (rc == 0) append_batch(ids, objects + i, batch);
  }
  return rc;
}
