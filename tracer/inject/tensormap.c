// SPDX-License-Identifier: Apache-2.0
/* See tensormap.h. */
#include "tracer/inject/tensormap.h"

#include <stddef.h>
#include <string.h>

enum { FLOAT16 = 6, STRIDE_UNIT = 16, ADDRESS_UNIT = 16, FIRST_FREE_WORD = 2 };

static const uint8_t element_bytes[EMUV_TENSORMAP_TYPES] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};

struct learner {
  struct emuv_tensormap_layout *layout;
  emuv_tensormap_encode *encode;
  void *context;
  struct emuv_tensormap_spec spec; /* rank 5, what every variation starts from */
  uint32_t base[EMUV_TENSORMAP_WORDS];
};

/* Every stride divides the next one even after it is doubled, and no two numbers are equal. */
static struct emuv_tensormap_spec reference_spec(void)
{
  struct emuv_tensormap_spec s = {.type = FLOAT16,
                                  .rank = EMUV_TENSORMAP_RANKS,
                                  .address = 0x00007f1234560000,
                                  .dim = {328, 24, 10, 6, 3},
                                  .box = {16, 8, 4, 2, 1}};
  s.stride[0] = 4096; /* wider than a row of the widest type */
  for (int i = 1; i < EMUV_TENSORMAP_RANKS - 1; i++) s.stride[i] = s.stride[i - 1] * 4 * s.dim[i];
  return s;
}

static uint64_t address_of(const uint32_t *words)
{
  return words[0] | (uint64_t)words[1] << 32;
}

/* The only word from FIRST_FREE_WORD on in which a and b differ; -1: none, or several. */
static int changed_word(const uint32_t *a, const uint32_t *b)
{
  int found = -1;
  for (int i = FIRST_FREE_WORD; i < EMUV_TENSORMAP_USED_WORDS; i++) {
    if (a[i] == b[i]) continue;
    if (found >= 0) return -1;
    found = i;
  }
  return found;
}

static bool encodes(const struct learner *l, const struct emuv_tensormap_spec *spec, uint32_t *out)
{
  memset(out, 0, EMUV_TENSORMAP_BYTES);
  return l->encode(l->context, spec, out) == 0;
}

static bool learn_address(const struct learner *l)
{
  struct emuv_tensormap_spec s = l->spec;
  uint32_t words[EMUV_TENSORMAP_WORDS];
  s.address = 0x00005a9876543210;
  return encodes(l, &s, words) && address_of(l->base) == l->spec.address && address_of(words) == s.address &&
         memcmp(words + FIRST_FREE_WORD, l->base + FIRST_FREE_WORD, EMUV_TENSORMAP_USED_BYTES - 8) == 0;
}

static bool learn_sizes(const struct learner *l)
{
  for (int i = 0; i < EMUV_TENSORMAP_RANKS; i++) {
    struct emuv_tensormap_spec s = l->spec;
    uint32_t words[EMUV_TENSORMAP_WORDS];
    s.dim[i] += 64;
    if (!encodes(l, &s, words)) return false;
    const int word = changed_word(words, l->base);
    if (word < 0 || words[word] != s.dim[i] - 1 || l->base[word] != l->spec.dim[i] - 1) return false;
    l->layout->dim_word[i] = (uint8_t)word;
  }
  return true;
}

/* The bits that a stride of 64 GiB and more sets outside its word. */
static void learn_stride_overflow(const struct learner *l, int i)
{
  struct emuv_tensormap_spec s = l->spec;
  uint32_t words[EMUV_TENSORMAP_WORDS];
  s.stride[i] |= (uint64_t)0xf << 36;
  if (!encodes(l, &s, words)) return;
  for (int w = FIRST_FREE_WORD; w < EMUV_TENSORMAP_USED_WORDS; w++)
    if (w != l->layout->stride_word[i]) l->layout->zero[w] |= words[w] ^ l->base[w];
}

static bool learn_strides(const struct learner *l)
{
  for (int i = 0; i < EMUV_TENSORMAP_RANKS - 1; i++) {
    struct emuv_tensormap_spec s = l->spec;
    uint32_t words[EMUV_TENSORMAP_WORDS];
    s.stride[i] *= 2;
    if (!encodes(l, &s, words)) return false;
    const int word = changed_word(words, l->base);
    if (word < 0 || words[word] != s.stride[i] / STRIDE_UNIT || l->base[word] != l->spec.stride[i] / STRIDE_UNIT)
      return false;
    l->layout->stride_word[i] = (uint8_t)word;
    learn_stride_overflow(l, i);
  }
  return true;
}

/* The byte that holds the innermost box size. */
static bool learn_box(const struct learner *l)
{
  struct emuv_tensormap_spec s = l->spec;
  uint32_t words[EMUV_TENSORMAP_WORDS];
  s.box[0] *= 2;
  if (!encodes(l, &s, words)) return false;
  const int word = changed_word(words, l->base);
  if (word < 0) return false;
  for (uint8_t shift = 0; shift < 32; shift += 8) {
    if ((words[word] >> shift & 0xff) != s.box[0] - 1 || (l->base[word] >> shift & 0xff) != l->spec.box[0] - 1)
      continue;
    l->layout->box_word = (uint8_t)word;
    l->layout->box_shift = shift;
    return true;
  }
  return false;
}

/* The word that an element type of another size changes. The box is kept small enough for every type. */
static bool learn_mode_word(const struct learner *l)
{
  struct emuv_tensormap_spec s = l->spec;
  uint32_t words[EMUV_TENSORMAP_WORDS];
  s.type = 9; /* BFLOAT16: as wide as FLOAT16, so nothing else that is counted in bytes changes */
  if (!encodes(l, &s, words)) return false;
  const int word = changed_word(words, l->base);
  if (word < 0) return false;
  l->layout->mode_word = (uint8_t)word;
  return true;
}

static bool learn_types(const struct learner *l)
{
  struct emuv_tensormap_layout *const layout = l->layout;
  uint32_t value[EMUV_TENSORMAP_TYPES] = {0};
  for (uint32_t t = 0; t < EMUV_TENSORMAP_TYPES; t++) {
    struct emuv_tensormap_spec s = l->spec;
    uint32_t words[EMUV_TENSORMAP_WORDS];
    s.type = t;
    layout->type_known[t] = encodes(l, &s, words);
    if (!layout->type_known[t]) continue;
    value[t] = words[layout->mode_word];
    layout->type_mask |= value[t] ^ l->base[layout->mode_word];
  }
  for (uint32_t t = 0; t < EMUV_TENSORMAP_TYPES; t++) layout->type_value[t] = value[t] & layout->type_mask;
  return layout->type_known[FLOAT16] && layout->type_mask != 0;
}

/* Two types of different size with one code would make extents a guess. */
static bool types_are_distinct(const struct emuv_tensormap_layout *layout)
{
  for (int a = 0; a < EMUV_TENSORMAP_TYPES; a++)
    for (int b = 0; b < a; b++)
      if (layout->type_known[a] && layout->type_known[b] && layout->type_value[a] == layout->type_value[b] &&
          element_bytes[a] != element_bytes[b])
        return false;
  return true;
}

static bool learn_ranks(const struct learner *l)
{
  struct emuv_tensormap_layout *const layout = l->layout;
  uint32_t value[EMUV_TENSORMAP_RANKS];
  for (uint32_t r = 0; r < EMUV_TENSORMAP_RANKS; r++) {
    struct emuv_tensormap_spec s = l->spec;
    uint32_t words[EMUV_TENSORMAP_WORDS];
    s.rank = r + 1;
    if (!encodes(l, &s, words)) return false;
    value[r] = words[layout->mode_word];
    layout->rank_mask |= value[r] ^ l->base[layout->mode_word];
  }
  for (uint32_t r = 0; r < EMUV_TENSORMAP_RANKS; r++) {
    layout->rank_value[r] = value[r] & layout->rank_mask;
    for (uint32_t q = 0; q < r; q++)
      if (layout->rank_value[q] == layout->rank_value[r]) return false;
  }
  return (layout->rank_mask & layout->type_mask) == 0;
}

/* Bits of the mode word that one setting of *spec changes when `field` runs over 0 .. last. */
static uint32_t setting_mask(const struct learner *l, size_t field, uint32_t last)
{
  uint32_t mask = 0;
  for (uint32_t v = 1; v <= last; v++) {
    struct emuv_tensormap_spec s = l->spec;
    uint32_t words[EMUV_TENSORMAP_WORDS];
    memcpy((char *)&s + field, &v, sizeof v);
    if (encodes(l, &s, words)) mask |= words[l->layout->mode_word] ^ l->base[l->layout->mode_word];
  }
  return mask;
}

static void learn_settings(const struct learner *l)
{
  struct emuv_tensormap_layout *const layout = l->layout;
  const uint32_t base = l->base[layout->mode_word];
  const uint32_t others = setting_mask(l, offsetof(struct emuv_tensormap_spec, swizzle), 6) |
                          setting_mask(l, offsetof(struct emuv_tensormap_spec, promotion), 3) |
                          setting_mask(l, offsetof(struct emuv_tensormap_spec, fill), 1);
  layout->interleave_mask = setting_mask(l, offsetof(struct emuv_tensormap_spec, interleave), 2) & ~others;
  layout->interleave_none = base & layout->interleave_mask;
  layout->fixed_mask = ~(others | layout->interleave_mask | layout->type_mask | layout->rank_mask);
  layout->fixed_value = base & layout->fixed_mask;
}

static uint64_t spec_bytes(const struct emuv_tensormap_spec *s)
{
  uint64_t bytes = s->dim[0] * element_bytes[s->type];
  for (uint32_t i = 1; i < s->rank; i++) bytes += (s->dim[i] - 1) * s->stride[i - 1];
  return bytes;
}

/* What was learned must read back descriptors of every rank that it was not learned from. */
static bool reads_back(const struct learner *l)
{
  for (uint32_t rank = 1; rank <= EMUV_TENSORMAP_RANKS; rank++) {
    struct emuv_tensormap_spec s = l->spec;
    struct emuv_tensormap_extent e;
    uint32_t words[EMUV_TENSORMAP_WORDS];
    s.rank = rank;
    s.swizzle = 3;
    s.dim[0] = 2048;
    s.address += 4096 * rank;
    if (!encodes(l, &s, words) || !emuv_tensormap_decode(l->layout, words, &e)) return false;
    if (e.address != s.address || e.bytes != spec_bytes(&s) || e.rank != rank) return false;
  }
  return true;
}

static enum emuv_tensormap_step learn(struct learner *l)
{
  if (!l->encode || !encodes(l, &l->spec, l->base)) return EMUV_TENSORMAP_NO_ENCODER;
  if (!learn_address(l)) return EMUV_TENSORMAP_NO_ADDRESS;
  if (!learn_sizes(l)) return EMUV_TENSORMAP_NO_SIZES;
  if (!learn_strides(l)) return EMUV_TENSORMAP_NO_STRIDES;
  if (!learn_mode_word(l) || !learn_types(l) || !types_are_distinct(l->layout) || !learn_ranks(l))
    return EMUV_TENSORMAP_NO_MODES;
  learn_settings(l);
  if (!learn_box(l)) return EMUV_TENSORMAP_NO_BOX;
  l->layout->known = true;
  return reads_back(l) ? EMUV_TENSORMAP_LEARNED : EMUV_TENSORMAP_NO_MATCH;
}

enum emuv_tensormap_step emuv_tensormap_learn(struct emuv_tensormap_layout *layout, emuv_tensormap_encode *encode,
                                              void *context)
{
  struct learner l = {.layout = layout, .encode = encode, .context = context, .spec = reference_spec()};
  *layout = (struct emuv_tensormap_layout){0};
  const enum emuv_tensormap_step step = learn(&l);
  layout->known = step == EMUV_TENSORMAP_LEARNED;
  return step;
}

static uint32_t decode_rank(const struct emuv_tensormap_layout *layout, uint32_t mode)
{
  for (uint32_t r = 0; r < EMUV_TENSORMAP_RANKS; r++)
    if ((mode & layout->rank_mask) == layout->rank_value[r]) return r + 1;
  return 0;
}

static uint32_t decode_element_bytes(const struct emuv_tensormap_layout *layout, uint32_t mode)
{
  for (uint32_t t = 0; t < EMUV_TENSORMAP_TYPES; t++)
    if (layout->type_known[t] && (mode & layout->type_mask) == layout->type_value[t]) return element_bytes[t];
  return 0;
}

static bool has_forbidden_bits(const struct emuv_tensormap_layout *layout, const uint32_t *words)
{
  for (int i = 0; i < EMUV_TENSORMAP_USED_WORDS; i++)
    if (words[i] & layout->zero[i]) return true;
  return false;
}

static uint64_t decode_size(const struct emuv_tensormap_layout *layout, const uint32_t *words, uint32_t i)
{
  return (uint64_t)words[layout->dim_word[i]] + 1;
}

static uint64_t decode_stride(const struct emuv_tensormap_layout *layout, const uint32_t *words, uint32_t i)
{
  return (uint64_t)words[layout->stride_word[i - 1]] * STRIDE_UNIT;
}

/* What the hardware demands of a descriptor, and other bytes rarely obey. */
static bool obeys(const struct emuv_tensormap_layout *layout, const uint32_t *words,
                  const struct emuv_tensormap_extent *e)
{
  const uint32_t box = (words[layout->box_word] >> layout->box_shift & 0xff) + 1;
  const uint64_t row = decode_size(layout, words, 0) * e->element_bytes;
  if (e->address % ADDRESS_UNIT || box * e->element_bytes % ADDRESS_UNIT) return false;
  for (uint32_t i = 1; i < e->rank; i++)
    if (decode_size(layout, words, i) > 1 && decode_stride(layout, words, i) < row) return false;
  for (uint32_t i = e->rank; i < EMUV_TENSORMAP_RANKS; i++)
    if (decode_size(layout, words, i) > 1) return false;
  return true;
}

/* Bytes from the first element to the end of the last row; 0 when they do not fit 64 bits. */
static uint64_t decode_bytes(const struct emuv_tensormap_layout *layout, const uint32_t *words, uint32_t rank,
                             uint32_t element)
{
  uint64_t bytes = decode_size(layout, words, 0) * element;
  for (uint32_t i = 1; i < rank; i++) {
    uint64_t step;
    if (__builtin_mul_overflow(decode_stride(layout, words, i), decode_size(layout, words, i) - 1, &step)) return 0;
    if (__builtin_add_overflow(bytes, step, &bytes)) return 0;
  }
  return bytes;
}

/* Modes of a descriptor: rank and type are checked where they are decoded. */
static bool has_known_modes(const struct emuv_tensormap_layout *layout, uint32_t mode)
{
  const uint32_t strange = (mode ^ layout->fixed_value) & layout->fixed_mask;
  return (mode & layout->interleave_mask) == layout->interleave_none &&
         __builtin_popcount(strange) <= EMUV_TENSORMAP_FREE_BITS;
}

bool emuv_tensormap_decode(const struct emuv_tensormap_layout *layout, const void *descriptor,
                           struct emuv_tensormap_extent *extent)
{
  uint32_t words[EMUV_TENSORMAP_USED_WORDS];
  if (!layout->known) return false;
  memcpy(words, descriptor, sizeof words);
  const uint32_t mode = words[layout->mode_word];
  extent->address = address_of(words);
  if (!extent->address || !has_known_modes(layout, mode)) return false;
  extent->rank = decode_rank(layout, mode);
  extent->element_bytes = decode_element_bytes(layout, mode);
  if (!extent->rank || !extent->element_bytes || has_forbidden_bits(layout, words) || !obeys(layout, words, extent))
    return false;
  extent->bytes = decode_bytes(layout, words, extent->rank, extent->element_bytes);
  return extent->bytes != 0 && extent->address + extent->bytes > extent->address;
}
