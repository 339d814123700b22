// SPDX-License-Identifier: Apache-2.0
/* The writer's dictionaries: see dictionary.h. */
#define HASH_NONFATAL_OOM 1
#include "tracer/format/dictionary.h"

#include "tracer/format/block.h"
#include "tracer/format/schema.h"
#include "tracer/format/varint.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <xxhash.h>

struct dictionary_string {
  UT_hash_handle hh;
  uint32_t id;
  char text[];
};

struct dictionary_kernel {
  UT_hash_handle hh;
  uint32_t id;
  struct emuv_trace_kernel kernel;
};

struct dictionary_page_set {
  UT_hash_handle hh;
  uint32_t id;
  XXH128_hash_t hash;
};

bool emuv_buffer_reserve(struct emuv_buffer *b, size_t more)
{
  if (b->capacity - b->n >= more) return true;
  size_t want = b->n + more + b->capacity / 2;
  uint8_t *data = realloc(b->data, want);
  if (!data) return false;
  b->data = data;
  b->capacity = want;
  return true;
}

void emuv_buffer_free(struct emuv_buffer *b)
{
  free(b->data);
  *b = (struct emuv_buffer){0};
}

/* The first entry of a block is preceded by the ids that its first string and its first kernel get. */
static bool entry_put(const struct emuv_dictionary *d, struct emuv_buffer *out, uint32_t kind, const void *data,
                      size_t n)
{
  if (!emuv_buffer_reserve(out, n + 4 * EMUV_VARINT_MAX)) return false;
  uint8_t *p = out->data + out->n;
  if (out->n == 0) {
    p = emuv_varint_put(p, d->n_strings + 1u);
    p = emuv_varint_put(p, d->n_kernels + 1u);
  }
  p = emuv_varint_put(p, kind);
  p = emuv_varint_put(p, n);
  memcpy(p, data, n);
  out->n = (size_t)(p + n - out->data);
  return true;
}

uint32_t emuv_dictionary_string(struct emuv_dictionary *d, const char *text, struct emuv_buffer *out, bool *added)
{
  size_t n = strnlen(text, EMUV_STRING_MAX);
  struct dictionary_string *e;
  HASH_FIND(hh, d->strings, text, n, e);
  if (e) return e->id;
  e = calloc(1, sizeof *e + n + 1);
  if (!e) return 0;
  memcpy(e->text, text, n);
  HASH_ADD_KEYPTR(hh, d->strings, e->text, n, e);
  if (!e->hh.tbl || !entry_put(d, out, EMUV_DICTIONARY_STRING, text, n)) {
    if (e->hh.tbl) HASH_DEL(d->strings, e);
    free(e);
    return 0;
  }
  *added = true;
  return e->id = ++d->n_strings;
}

uint32_t emuv_dictionary_kernel(struct emuv_dictionary *d, const struct emuv_trace_kernel *kernel,
                                struct emuv_buffer *out, bool *added)
{
  struct dictionary_kernel *e;
  HASH_FIND(hh, d->kernels, kernel, sizeof *kernel, e);
  if (e) return e->id;
  e = calloc(1, sizeof *e);
  if (!e) return 0;
  e->kernel = *kernel;
  uint8_t bytes[sizeof *kernel / 4 * EMUV_VARINT_MAX];
  uint64_t channels[EMUV_CHANNELS] = {0};
  size_t n = (size_t)(emuv_trace_encode(&emuv_trace_schema_kernel, kernel, channels, bytes) - bytes);
  HASH_ADD(hh, d->kernels, kernel, sizeof e->kernel, e);
  if (!e->hh.tbl || !entry_put(d, out, EMUV_DICTIONARY_KERNEL, bytes, n)) {
    if (e->hh.tbl) HASH_DEL(d->kernels, e);
    free(e);
    return 0;
  }
  *added = true;
  return e->id = ++d->n_kernels;
}

static bool page_set_encode(struct emuv_buffer *b, uint32_t id, const struct emuv_trace_operand *operands, uint32_t n)
{
  uint64_t channels[EMUV_CHANNELS] = {0};
  const size_t fields = emuv_trace_schema_operand.n_fields;
  if (!emuv_buffer_reserve(b, (3 + n * fields) * EMUV_VARINT_MAX)) return false;
  uint8_t *p = emuv_varint_put(b->data, id);
  p = emuv_varint_put(p, n);
  p = emuv_varint_put(p, fields);
  for (uint32_t i = 0; i < n; i++) p = emuv_trace_encode(&emuv_trace_schema_operand, &operands[i], channels, p);
  b->n = (size_t)(p - b->data);
  return true;
}

static uint32_t page_set_add(struct emuv_dictionary *d, XXH128_hash_t hash, const struct emuv_buffer *entry,
                             struct emuv_buffer *out)
{
  struct dictionary_page_set *e = calloc(1, sizeof *e);
  if (!e) return 0;
  e->hash = hash;
  HASH_ADD(hh, d->page_sets, hash, sizeof e->hash, e);
  if (!e->hh.tbl || !entry_put(d, out, EMUV_DICTIONARY_PAGE_SET, entry->data, entry->n)) {
    if (e->hh.tbl) HASH_DEL(d->page_sets, e);
    free(e);
    return 0;
  }
  d->page_set_bytes += entry->n;
  return e->id = ++d->n_page_sets;
}

uint32_t emuv_dictionary_page_set(struct emuv_dictionary *d, const struct emuv_trace_operand *operands, uint32_t n,
                                  struct emuv_buffer *out, bool *added)
{
  const XXH128_hash_t hash = XXH3_128bits(operands, n * sizeof *operands);
  struct dictionary_page_set *e;
  struct emuv_buffer entry = {0};
  uint32_t id = 0;
  HASH_FIND(hh, d->page_sets, &hash, sizeof hash, e);
  if (e) return e->id;
  if (page_set_encode(&entry, d->n_page_sets + 1, operands, n) && entry.n <= EMUV_PAGE_SETS_BYTES - d->page_set_bytes)
    id = page_set_add(d, hash, &entry, out);
  emuv_buffer_free(&entry);
  *added = id != 0;
  return id;
}

void emuv_dictionary_free(struct emuv_dictionary *d)
{
  struct dictionary_string *s, *next_s;
  HASH_ITER(hh, d->strings, s, next_s)
  {
    HASH_DEL(d->strings, s);
    free(s);
  }
  struct dictionary_kernel *k, *next_k;
  HASH_ITER(hh, d->kernels, k, next_k)
  {
    HASH_DEL(d->kernels, k);
    free(k);
  }
  struct dictionary_page_set *p, *next_p;
  HASH_ITER(hh, d->page_sets, p, next_p)
  {
    HASH_DEL(d->page_sets, p);
    free(p);
  }
}
