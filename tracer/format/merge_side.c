// SPDX-License-Identifier: Apache-2.0
/* See merge_side.h. */
#define HASH_NONFATAL_OOM 1
#include "tracer/format/merge_side.h"

#include "tracer/format/push.h"
#include "tracer/format/reader.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <xxhash.h>

struct emuv_merge_id {
  uint64_t id;
  size_t index;
  UT_hash_handle hh;
};

struct emuv_merge_name {
  size_t index;
  UT_hash_handle hh;
};

/* ---- names ---- */

/* Index of the name; SIZE_MAX when memory is short. */
static size_t name_index(struct emuv_merge_side *s, const char *name)
{
  struct emuv_merge_name *e;
  HASH_FIND(hh, s->by_name, name, strlen(name), e);
  if (e) return e->index;
  char *copy = strdup(name);
  e = calloc(1, sizeof *e);
  if (!copy || !e || !EMUV_PUSH(s, names, copy)) {
    free(copy);
    free(e);
    return SIZE_MAX;
  }
  e->index = s->n_names - 1;
  HASH_ADD_KEYPTR(hh, s->by_name, copy, strlen(copy), e);
  if (e->hh.tbl) return e->index;
  free(e);
  return SIZE_MAX;
}

/* Kernel ids are those of the file, without holes: the reader knows how many there are. */
static size_t kernel_index(struct emuv_merge_side *s, const struct emuv_trace_reader *r, uint32_t id)
{
  const struct emuv_trace_kernel *kernel = emuv_trace_reader_kernel(r, id);
  if (!kernel) id = 0;
  while (s->n_of_kernel <= id)
    if (!EMUV_PUSH(s, of_kernel, 0)) return SIZE_MAX;
  if (s->of_kernel[id]) return s->of_kernel[id] - 1;
  const size_t i = name_index(s, kernel ? emuv_trace_reader_string(r, kernel->name) : "");
  if (i != SIZE_MAX) s->of_kernel[id] = i + 1;
  return i;
}

/* ---- records ---- */

static bool add_operands(struct emuv_merge_side *s, const struct emuv_trace_launch *l, size_t *index)
{
  const bool only_set = l->page_set != 0; /* page captures give a set or operands, not both */
  *index = 0;
  if (l->n_operands == 0) return true;
  while (only_set && s->n_of_set <= l->page_set)
    if (!EMUV_PUSH(s, of_set, 0)) return false;
  if (only_set && s->of_set[l->page_set]) {
    *index = s->of_set[l->page_set];
    return true;
  }
  struct emuv_merge_operands set = {.n = l->n_operands};
  set.list = malloc(set.n * sizeof *set.list);
  if (!set.list || !EMUV_PUSH(s, operands, set)) {
    free(set.list);
    return false;
  }
  memcpy(s->operands[s->n_operands - 1].list, l->operands, set.n * sizeof *set.list);
  *index = s->n_operands - 1;
  if (only_set) s->of_set[l->page_set] = *index;
  return true;
}

static bool add_launch(struct emuv_merge_side *s, const struct emuv_trace_reader *r, const struct emuv_trace_launch *l,
                       bool with_operands)
{
  s->in_graphs += l->graph != 0;
  const size_t kernel = kernel_index(s, r, l->kernel);
  if (kernel == SIZE_MAX) return false;
  uint32_t shape[6];
  memcpy(shape, l->grid, sizeof l->grid);
  memcpy(shape + 3, l->block, sizeof l->block);
  const uint64_t name = XXH3_64bits(s->names[kernel], strlen(s->names[kernel]));
  struct emuv_merge_launch launch = {
      .key = XXH3_64bits_withSeed(shape, sizeof shape, name), .kernel = (uint32_t)kernel, .cls = l->cls};
  if (with_operands && !add_operands(s, l, &launch.operands)) return false;
  return EMUV_PUSH(s, launches, launch);
}

static bool add_allocation(struct emuv_merge_side *s, const struct emuv_trace_allocation *a)
{
  const struct emuv_merge_allocation one = {.id = a->id, .address = a->address, .bytes = a->bytes};
  struct emuv_merge_id *e;
  if (!EMUV_PUSH(s, allocations, one)) return false;
  HASH_FIND(hh, s->by_id, &a->id, sizeof a->id, e);
  if (e) return true;
  if (!(e = calloc(1, sizeof *e))) return false;
  e->id = a->id;
  e->index = s->n_allocations - 1;
  HASH_ADD(hh, s->by_id, id, sizeof e->id, e);
  if (e->hh.tbl) return true;
  free(e);
  return false;
}

static bool add_record(struct emuv_merge_side *s, const struct emuv_trace_reader *r,
                       const struct emuv_trace_record *record)
{
  switch (record->type) {
  case EMUV_TRACE_LAUNCH: return add_launch(s, r, &record->u.launch, true);
  case EMUV_TRACE_ALLOCATION: return add_allocation(s, &record->u.allocation);
  case EMUV_TRACE_ENVIRONMENT:
    if (strcmp(emuv_trace_reader_string(r, record->u.environment.key), "page_bytes") == 0)
      s->page_bytes = strtoull(emuv_trace_reader_string(r, record->u.environment.value), NULL, 10);
    return true;
  default: return true;
  }
}

int emuv_merge_side_read(struct emuv_merge_side *s, const char *path, struct emuv_err *err)
{
  struct emuv_trace_reader *r;
  struct emuv_trace_record record;
  const struct emuv_merge_operands none = {0};
  int code = emuv_trace_reader_open(&r, path, err);
  if (code) return code;
  bool memory = EMUV_PUSH(s, operands, none);
  while (memory && (code = emuv_trace_reader_next(r, &record, err)) > 0) memory = add_record(s, r, &record);
  if (!memory) code = emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory");
  s->truncated = emuv_trace_reader_state(r)->truncated;
  emuv_trace_reader_close(r);
  return code;
}

int emuv_merge_side_take(struct emuv_merge_side *s, const struct emuv_trace_data *d, struct emuv_err *err)
{
  const char *page_bytes = emuv_trace_data_environment(d, "page_bytes");
  bool memory = true;
  s->page_bytes = page_bytes ? strtoull(page_bytes, NULL, 10) : 0;
  s->truncated = d->state.truncated;
  for (size_t i = 0; i < d->n_allocations && memory; i++) memory = add_allocation(s, &d->allocations[i].a);
  for (size_t i = 0; i < d->n_launches && memory; i++) memory = add_launch(s, d->reader, &d->launches[i], false);
  return memory ? 0 : emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory");
}

void emuv_merge_side_free(struct emuv_merge_side *s)
{
  struct emuv_merge_id *id, *next_id;
  struct emuv_merge_name *name, *next_name;
  HASH_ITER(hh, s->by_id, id, next_id)
  {
    HASH_DEL(s->by_id, id);
    free(id);
  }
  HASH_ITER(hh, s->by_name, name, next_name)
  {
    HASH_DEL(s->by_name, name);
    free(name);
  }
  for (size_t i = 0; i < s->n_operands; i++) free(s->operands[i].list);
  for (size_t i = 0; i < s->n_names; i++) free(s->names[i]);
  free(s->launches);
  free(s->allocations);
  free(s->operands);
  free(s->names);
  free(s->of_kernel);
  free(s->of_set);
  *s = (struct emuv_merge_side){0};
}

size_t emuv_merge_side_allocation(const struct emuv_merge_side *s, uint64_t id)
{
  struct emuv_merge_id *e;
  HASH_FIND(hh, s->by_id, &id, sizeof id, e);
  return e ? e->index : SIZE_MAX;
}

uint64_t *emuv_merge_side_keys(const struct emuv_merge_side *s)
{
  uint64_t *keys = malloc((s->n_launches + 1) * sizeof *keys);
  for (size_t i = 0; keys && i < s->n_launches; i++) keys[i] = s->launches[i].key;
  return keys;
}

uint64_t *emuv_merge_side_sizes(const struct emuv_merge_side *s)
{
  uint64_t *sizes = malloc((s->n_allocations + 1) * sizeof *sizes);
  for (size_t i = 0; sizes && i < s->n_allocations; i++) sizes[i] = s->allocations[i].bytes;
  return sizes;
}
