// SPDX-License-Identifier: Apache-2.0
/* Builders of workloads: append-only arrays that grow by doubling, so n appends cost O(n).
 *
 * Invariants: segments lie in ascending, disjoint, aligned places; every range lies inside its segment and belongs to
 * the op appended last; every op belongs to the step appended last. The caller owns the workload and frees it with
 * emuv_workload_free, also after an error. One thread per workload while it is built. */
#include "simulator/workload.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };
static const uint64_t ADDRESS_LIMIT = (uint64_t)1 << 62;

/* Makes room for one more element; ids are 32-bit, so an array never has more than 2^32 - 1 elements. */
static int reserve(void **array, size_t *capacity, size_t n, size_t element_bytes, struct emuv_err *err)
{
  if (n < *capacity) return 0;
  if (n >= UINT32_MAX)
    return emuv_err_set(err, EMUV_ERR_RANGE, "the workload has more than 2^32 - 1 elements of a kind");
  size_t grown = *capacity ? *capacity * 2 : FIRST_CAPACITY;
  void *moved = reallocarray(*array, grown, element_bytes);
  if (!moved) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %zu elements of a workload", grown);
  *array = moved;
  *capacity = grown;
  return 0;
}

#define RESERVE(w, what, err) reserve((void **)&(w)->what, &(w)->cap_##what, (w)->n_##what, sizeof *(w)->what, (err))

static int align_up(uint64_t value, uint64_t align, uint64_t *result, struct emuv_err *err)
{
  if (align == 0 || (align & (align - 1)) || align > ADDRESS_LIMIT)
    return emuv_err_set(err, EMUV_ERR_INTERNAL, "alignment %llu is not a power of two", (unsigned long long)align);
  *result = (value + align - 1) & ~(align - 1);
  return 0;
}

int emuv_workload_segment(struct emuv_workload *w, const char *name, uint64_t bytes, enum emuv_segment_kind kind,
                          int32_t layer, uint64_t align, uint32_t *index, struct emuv_err *err)
{
  uint64_t offset = 0;
  int rc = align_up(w->address_bytes, align, &offset, err);
  if (rc == 0 && (bytes > ADDRESS_LIMIT || offset > ADDRESS_LIMIT - bytes))
    rc = emuv_err_set(err, EMUV_ERR_RANGE, "segment %s ends beyond 2^62 bytes", name);
  if (rc == 0) rc = RESERVE(w, segments, err);
  if (rc != 0) return rc;
  struct emuv_segment *s = &w->segments[w->n_segments];
  *s = (struct emuv_segment){.offset = offset, .bytes = bytes, .kind = kind, .layer = layer};
  strncpy(s->name, name, sizeof s->name - 1);
  if (index) *index = (uint32_t)w->n_segments;
  w->n_segments++;
  w->address_bytes = offset + bytes;
  if (kind == EMUV_SEGMENT_WEIGHT) w->weight_bytes += bytes;
  return 0;
}

int emuv_workload_step(struct emuv_workload *w, uint64_t tokens, bool prefill, struct emuv_err *err)
{
  int rc = RESERVE(w, steps, err);
  if (rc != 0) return rc;
  w->steps[w->n_steps++] =
      (struct emuv_step){.first_op = (uint32_t)w->n_ops, .n_ops = 0, .tokens = tokens, .prefill = prefill};
  return 0;
}

int emuv_workload_op(struct emuv_workload *w, const struct emuv_op *op, struct emuv_err *err)
{
  if (w->n_steps == 0) return emuv_err_set(err, EMUV_ERR_INTERNAL, "an op was appended before the first step");
  int rc = RESERVE(w, ops, err);
  if (rc != 0) return rc;
  struct emuv_op *added = &w->ops[w->n_ops++];
  *added = *op;
  added->first_range = (uint32_t)w->n_ranges;
  added->n_ranges = 0;
  added->step = (uint32_t)(w->n_steps - 1);
  w->steps[w->n_steps - 1].n_ops++;
  return 0;
}

int emuv_workload_range(struct emuv_workload *w, uint32_t segment, uint64_t offset, uint64_t bytes, uint32_t flags,
                        struct emuv_err *err)
{
  if (w->n_ops == 0) return emuv_err_set(err, EMUV_ERR_INTERNAL, "a range was appended before the first op");
  if (segment >= w->n_segments) return emuv_err_set(err, EMUV_ERR_INTERNAL, "range of unknown segment %u", segment);
  const struct emuv_segment *s = &w->segments[segment];
  if (bytes > s->bytes || offset > s->bytes - bytes)
    return emuv_err_set(err, EMUV_ERR_INTERNAL, "range %llu+%llu leaves segment %s of %llu bytes",
                        (unsigned long long)offset, (unsigned long long)bytes, s->name, (unsigned long long)s->bytes);
  if (bytes == 0) return 0;
  int rc = RESERVE(w, ranges, err);
  if (rc != 0) return rc;
  w->ranges[w->n_ranges++] =
      (struct emuv_range){.offset = s->offset + offset, .bytes = bytes, .segment = segment, .flags = flags};
  w->ops[w->n_ops - 1].n_ranges++;
  return 0;
}

void emuv_workload_free(struct emuv_workload *w)
{
  free(w->segments);
  free(w->ranges);
  free(w->ops);
  free(w->steps);
  memset(w, 0, sizeof *w);
}
