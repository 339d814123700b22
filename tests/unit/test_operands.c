// SPDX-License-Identifier: Apache-2.0
/* Finding the memory that a launch touches: interval map, descriptor layout, argument scan, correlation numbers. */
#include "tests/unit/fake_tensormap.h"
#include "tracer/inject/correlations.h"
#include "tracer/inject/operands.h"

#include "runtime/core/err.h"
#include "runtime/core/rng.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- intervals ---- */

static void put(struct emuv_intervals *map, uint64_t base, uint64_t bytes, uint64_t id)
{
  const struct emuv_interval range = {.base = base, .bytes = bytes, .id = id, .kind = EMUV_TRACE_MEMORY_DEVICE};
  assert_int_equal(emuv_intervals_insert(map, &range, NULL), 0);
}

static void intervals_find_edges(void **state)
{
  (void)state;
  struct emuv_intervals map = {0};
  assert_null(emuv_intervals_find(&map, 0));
  put(&map, 300, 100, 3);
  put(&map, 100, 100, 1);
  assert_null(emuv_intervals_find(&map, 99));
  assert_int_equal(emuv_intervals_find(&map, 100)->id, 1);
  assert_int_equal(emuv_intervals_find(&map, 199)->id, 1);
  assert_null(emuv_intervals_find(&map, 200));
  assert_int_equal(emuv_intervals_find(&map, 399)->id, 3);
  assert_null(emuv_intervals_find(&map, 400));
  assert_int_equal(emuv_intervals_remove(&map, 150, NULL), 0);
  assert_int_equal(emuv_intervals_remove(&map, 100, NULL), 1);
  assert_null(emuv_intervals_find(&map, 150));
  emuv_intervals_free(&map);
}

static void intervals_refuse_nonsense(void **state)
{
  (void)state;
  struct emuv_intervals map = {0};
  const struct emuv_interval empty = {.base = 1}, wraps = {.base = UINT64_MAX - 4, .bytes = 100};
  assert_int_equal(emuv_intervals_insert(&map, &empty, NULL), EMUV_ERR_RANGE);
  assert_int_equal(emuv_intervals_insert(&map, &wraps, NULL), EMUV_ERR_RANGE);
  assert_int_equal(map.n, 0);
}

static void intervals_displace_what_they_overlap(void **state)
{
  (void)state;
  struct emuv_intervals map = {0};
  size_t displaced = 0;
  for (uint64_t i = 0; i < 4; i++) put(&map, 100 * i + 100, 100, i);
  const struct emuv_interval wide = {.base = 250, .bytes = 100, .id = 9};
  assert_int_equal(emuv_intervals_insert(&map, &wide, &displaced), 0);
  assert_int_equal(displaced, 2);
  assert_int_equal(map.n, 3);
  assert_null(emuv_intervals_find(&map, 249));
  assert_int_equal(emuv_intervals_find(&map, 250)->id, 9);
  assert_int_equal(emuv_intervals_find(&map, 400)->id, 3);
  emuv_intervals_free(&map);
}

/* A byte map that does the same the slow way. */
static void intervals_agree_with_a_byte_map(void **state)
{
  (void)state;
  enum { SPACE = 2048, STEPS = 20000 };
  static uint64_t owner[SPACE];
  struct emuv_intervals map = {0};
  struct emuv_rng rng;
  emuv_rng_seed(&rng, 5);
  for (uint64_t id = 1; id <= STEPS; id++) {
    const uint64_t base = 1 + emuv_rng_below(&rng, SPACE - 65), bytes = 1 + emuv_rng_below(&rng, 64);
    if (id % 3) {
      for (uint64_t a = base; a < base + bytes; a++) { /* an overlapped range goes as a whole */
        const uint64_t old = owner[a];
        for (uint64_t b = 0; old && b < SPACE; b++)
          if (owner[b] == old) owner[b] = 0;
      }
      for (uint64_t a = base; a < base + bytes; a++) owner[a] = id;
      put(&map, base, bytes, id);
    } else {
      const uint64_t victim = owner[base];
      const int is_start = victim && owner[base - 1] != victim;
      assert_int_equal(emuv_intervals_remove(&map, base, NULL), is_start);
      for (uint64_t b = 0; is_start && b < SPACE; b++)
        if (owner[b] == victim) owner[b] = 0;
    }
    const uint64_t probe = emuv_rng_below(&rng, SPACE);
    const struct emuv_interval *found = emuv_intervals_find(&map, probe);
    assert_int_equal(found ? found->id : 0, owner[probe]);
  }
  emuv_intervals_free(&map);
}

/* ---- descriptors ---- */

static const struct emuv_tensormap_spec k_proj = {.type = 6,
                                                  .rank = 2,
                                                  .address = 0x7f0000400000,
                                                  .dim = {2048, 512},
                                                  .stride = {4096},
                                                  .box = {64, 64},
                                                  .swizzle = 3};

static struct emuv_tensormap_layout learned(void)
{
  struct emuv_tensormap_layout layout;
  assert_int_equal(emuv_tensormap_learn(&layout, fake_encode, NULL), EMUV_TENSORMAP_LEARNED);
  assert_true(layout.known);
  return layout;
}

static void the_layout_is_learned(void **state)
{
  (void)state;
  const struct emuv_tensormap_layout layout = learned();
  assert_int_equal(layout.mode_word, 2);
  assert_int_equal(layout.stride_word[0], 3);
  assert_int_equal(layout.dim_word[0], 8);
  assert_int_equal(layout.dim_word[4], 12);
  assert_int_equal(layout.rank_mask, 7u << FAKE_RANK_SHIFT);
  assert_int_equal(layout.type_mask, 15u << FAKE_TYPE_SHIFT);
}

static void descriptors_of_every_type_and_rank_decode(void **state)
{
  (void)state;
  static const uint32_t bytes[EMUV_TENSORMAP_TYPES] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};
  const struct emuv_tensormap_layout layout = learned();
  for (uint32_t type = 0; type < EMUV_TENSORMAP_TYPES; type++) {
    struct emuv_tensormap_spec s = {.type = type,
                                    .address = 0x7f0000001000,
                                    .dim = {100, 7, 5, 3, 2},
                                    .stride = {1024, 8192, 65536, 262144},
                                    .box = {16, 1, 1, 1, 1}};
    uint64_t expected = 0;
    for (s.rank = 1; s.rank <= EMUV_TENSORMAP_RANKS; s.rank++) {
      struct emuv_tensormap_extent e;
      uint32_t words[EMUV_TENSORMAP_WORDS];
      expected += s.rank == 1 ? 100 * bytes[type] : (s.dim[s.rank - 1] - 1) * s.stride[s.rank - 2];
      assert_int_equal(fake_encode(NULL, &s, words), 0);
      assert_true(emuv_tensormap_decode(&layout, words, &e));
      assert_int_equal(e.address, s.address);
      assert_int_equal(e.bytes, expected);
    }
  }
}

static void what_is_no_descriptor_is_refused(void **state)
{
  (void)state;
  const struct emuv_tensormap_layout layout = learned();
  struct emuv_tensormap_extent e;
  uint32_t words[EMUV_TENSORMAP_WORDS];
  fake_encode(NULL, &k_proj, words);
  assert_true(emuv_tensormap_decode(&layout, words, &e));
  words[2] ^= 0xeu << 28; /* modes that nobody has seen */
  assert_false(emuv_tensormap_decode(&layout, words, &e));
  fake_encode(NULL, &k_proj, words);
  words[2] |= 1u << FAKE_INTERLEAVE_SHIFT;
  assert_false(emuv_tensormap_decode(&layout, words, &e));
  fake_encode(NULL, &k_proj, words);
  words[7] = 1; /* a stride of 64 GiB and more */
  assert_false(emuv_tensormap_decode(&layout, words, &e));
  memset(words, 0, sizeof words);
  assert_false(emuv_tensormap_decode(&layout, words, &e));
}

/* A descriptor in all but one number that the hardware would refuse. */
static void what_the_hardware_refuses_is_refused(void **state)
{
  (void)state;
  const struct {
    int word;
    uint32_t value;
  } wrong[] = {{0, 0x00400008}, {3, 4095 / 16}, {10, 7}, {13, 0x3e000000}};
  const struct emuv_tensormap_layout layout = learned();
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct emuv_tensormap_extent e;
    uint32_t words[EMUV_TENSORMAP_WORDS];
    fake_encode(NULL, &k_proj, words);
    assert_true(emuv_tensormap_decode(&layout, words, &e));
    words[wrong[i].word] = wrong[i].value;
    assert_false(emuv_tensormap_decode(&layout, words, &e));
  }
}

static int encode_nothing(void *context, const struct emuv_tensormap_spec *s, uint32_t out[EMUV_TENSORMAP_WORDS])
{
  (void)context, (void)s, (void)out;
  return 801;
}

/* As if the driver scrambled sizes, so that no word holds one. */
static int encode_scrambled(void *context, const struct emuv_tensormap_spec *s, uint32_t out[EMUV_TENSORMAP_WORDS])
{
  const int rc = fake_encode(context, s, out);
  for (int i = 8; i < 13; i++) out[i] *= 2654435761u;
  return rc;
}

static void an_unclear_layout_stays_unknown(void **state)
{
  (void)state;
  struct emuv_tensormap_layout layout;
  struct emuv_tensormap_extent e;
  uint32_t words[EMUV_TENSORMAP_WORDS];
  assert_int_equal(emuv_tensormap_learn(&layout, encode_nothing, NULL), EMUV_TENSORMAP_NO_ENCODER);
  assert_int_equal(emuv_tensormap_learn(&layout, NULL, NULL), EMUV_TENSORMAP_NO_ENCODER);
  assert_int_equal(emuv_tensormap_learn(&layout, encode_scrambled, NULL), EMUV_TENSORMAP_NO_SIZES);
  fake_encode(NULL, &k_proj, words);
  assert_false(emuv_tensormap_decode(&layout, words, &e));
}

/* ---- argument blocks ---- */

#define SEGMENT 0x7f0000000000u
#define SEGMENT_BYTES (20u << 20)

static struct emuv_operands found;

static void scan(const struct emuv_intervals *live, const void *block, size_t bytes)
{
  const struct emuv_tensormap_layout layout = learned();
  emuv_operands_scan(live, &layout, block, bytes, EMUV_TRACE_FROM_EXTRA, &found);
}

static void gathering_keeps_places(void **state)
{
  (void)state;
  static unsigned char block[EMUV_OPERANDS_BLOCK_MAX];
  const struct emuv_param params[] = {{0, 8}, {8, 4}, {16, 24}};
  uint64_t a = 1, c[3] = {3, 4, 5};
  uint32_t b = 2;
  void *arguments[] = {&a, &b, c};
  memset(block, 0xff, sizeof block);
  assert_int_equal(emuv_operands_gather(params, 3, arguments, block), 40);
  const uint64_t expected[] = {1, 2, 3, 4, 5};
  assert_memory_equal(block, expected, sizeof expected);
  const struct emuv_param absurd[] = {{0, EMUV_OPERANDS_BLOCK_MAX + 1}};
  assert_int_equal(emuv_operands_gather(absurd, 1, arguments, block), 0);
}

static void words_give_bounded_operands(void **state)
{
  (void)state;
  struct emuv_intervals live = {0};
  put(&live, SEGMENT, SEGMENT_BYTES, 4);
  /* an address, the same again, one behind the segment, a number, one in a structure at an odd word */
  const uint64_t block[] = {SEGMENT + 512, SEGMENT + 512, SEGMENT + SEGMENT_BYTES, 42, SEGMENT + SEGMENT_BYTES - 8};
  scan(&live, block, sizeof block);
  assert_int_equal(found.n, 2);
  assert_int_equal(found.item[0].allocation, 4);
  assert_int_equal(found.item[0].offset, 512);
  assert_int_equal(found.item[0].bytes, SEGMENT_BYTES - 512);
  assert_int_equal(found.item[0].place, 0);
  assert_int_equal(found.item[1].bytes, 8);
  assert_int_equal(found.item[1].place, 32);
  assert_int_equal(emuv_operands_class(&found), EMUV_TRACE_CLASS_BOUNDED);
  emuv_intervals_free(&live);
}

/* A block as cuBLAS's: pointers in front, two descriptors, more copies of the addresses behind. */
static void descriptors_give_exact_operands(void **state)
{
  (void)state;
  struct emuv_intervals live = {0};
  _Alignas(64) uint64_t block[64] = {0};
  struct emuv_tensormap_spec x = k_proj;
  put(&live, SEGMENT, SEGMENT_BYTES, 4);
  x.address = SEGMENT + 64;
  x.dim[1] = 1;
  fake_encode(NULL, &k_proj, (uint32_t *)(void *)(block + 8));
  fake_encode(NULL, &x, (uint32_t *)(void *)(block + 24));
  block[1] = k_proj.address;
  block[50] = x.address;
  scan(&live, block, sizeof block);
  assert_int_equal(found.n, 2);
  assert_int_equal(found.item[0].offset, 0x400000);
  assert_int_equal(found.item[0].bytes, 2 << 20);
  assert_int_equal(found.item[0].provenance, EMUV_TRACE_FROM_TENSORMAP);
  assert_int_equal(found.item[1].bytes, 4096);
  assert_int_equal(emuv_operands_class(&found), EMUV_TRACE_CLASS_EXACT);
  emuv_intervals_free(&live);
}

/* What cuBLAS 13 passes to nvjet_sm90_hsh_8x64_64x16_4x1_v_bz_TNN for a decode step's k_proj: a 256 x 2048 fp16 matrix
 * (1 MiB) at 0x7f36a9e00000, one row of 2048 at 0x7f35e584b000, one of 256 at 0x7f36837ffe00. Descriptors without their
 * second halves, at 16 mod 64 of the block, and copies of both. Taken from a Llama decode on an H200, driver 580. */
static const uint32_t nvjet_block[430] = {
    [0] = 0x8,
    0x8,
    [3] = 0xffffff88,
    0x88888889,
    0x6,
    0xfffffff1,
    0x88888889,
    0x3,
    0xffffffff,
    [12] = 0x3020100,
    0x7060504,
    [44] = 0xa9e00000,
    0x7f36,
    0x46322,
    0x100,
    [49] = 0x10000000,
    [52] = 0x7ff,
    0xff,
    [57] = 0x3f000000,
    0x7,
    [60] = 0xe584b000,
    0x7f35,
    0x46322,
    0x100,
    [65] = 0x10000000,
    [68] = 0x7ff,
    [73] = 0x3f000000,
    0xf,
    [76] = 0xfffffff8,
    0x80000000,
    0x2,
    0x7,
    0x800,
    [82] = 0x837ffe00,
    0x7f36,
    [86] = 0x3f800000,
    [88] = 0x100,
    [104] = 0xff,
    [108] = 0xa9e00000,
    0x7f36,
    [124] = 0xe584b000,
    0x7f35,
    [140] = 0x837ffe00,
    0x7f36,
    0x46322,
    0x20,
    [145] = 0x10000000,
    [148] = 0xff,
    [153] = 0x3f000000,
    0x7,
    [156] = 0x837ffe00,
    0x7f36,
    0x46322,
    0x20,
    [161] = 0x10000000,
    [164] = 0xff,
    [169] = 0x7000000,
    0x7,
    [204] = 0xa9e00000,
    0x7f36,
    0x46322,
    0x100,
    [209] = 0x10000000,
    [212] = 0x7ff,
    0xff,
    [217] = 0x3f000000,
    0x7,
    [220] = 0xa9e00000,
    0x7f36,
    [236] = 0xe584b000,
    0x7f35,
    0x46322,
    0x100,
    [241] = 0x10000000,
    [244] = 0x7ff,
    [249] = 0x3f000000,
    0xf,
    [252] = 0xe584b000,
    0x7f35,
    [268] = 0x837ffe00,
    0x7f36,
    [284] = 0x837ffe00,
    0x7f36,
    [300] = 0x837ffe00,
    0x7f36,
    [316] = 0x837ffe00,
    0x7f36,
    [398] = 0xfffffff8,
    0x80000000,
    0x2,
    [416] = 0x100,
    [426] = 0xa9e00000,
    0x7f36,
    0xe584b000,
    0x7f35,
};

static void operands_of_cublas_kernels_are_exact(void **state)
{
  (void)state;
  struct emuv_intervals live = {0};
  put(&live, 0x7f36a9000000, SEGMENT_BYTES, 1);
  put(&live, 0x7f35e5800000, 2 << 20, 2);
  put(&live, 0x7f3683600000, 2 << 20, 3);
  scan(&live, nvjet_block, sizeof nvjet_block);
  assert_int_equal(found.n, 3);
  assert_int_equal(found.item[0].allocation, 1);
  assert_int_equal(found.item[0].offset, 0xe00000);
  assert_int_equal(found.item[0].bytes, 1 << 20);
  assert_int_equal(found.item[0].place, 176);
  assert_int_equal(found.item[1].bytes, 4096);
  assert_int_equal(found.item[2].bytes, 512);
  assert_int_equal(emuv_operands_class(&found), EMUV_TRACE_CLASS_EXACT);
  emuv_intervals_free(&live);
}

/* Padding that holds half of an old pointer beside a flag; a tensor that begins where that would point. */
static void leftovers_in_padding_are_no_operands(void **state)
{
  (void)state;
  struct emuv_intervals live = {0};
  put(&live, 0x7f6900000000, SEGMENT_BYTES, 1);
  const uint64_t block[] = {0x7f6900000001, 0x7f690000039d, 0x7f6900000400};
  scan(&live, block, sizeof block);
  assert_int_equal(found.n, 1);
  assert_int_equal(found.item[0].offset, 0x400);
  emuv_intervals_free(&live);
}

static void a_descriptor_beyond_its_memory_is_not_believed(void **state)
{
  (void)state;
  struct emuv_intervals live = {0};
  _Alignas(64) uint64_t block[16];
  put(&live, k_proj.address, (2 << 20) - 1, 4);
  fake_encode(NULL, &k_proj, (uint32_t *)(void *)block);
  scan(&live, block, sizeof block);
  assert_int_equal(found.n, 1);
  assert_int_equal(found.item[0].cls, EMUV_TRACE_CLASS_BOUNDED);
  emuv_intervals_free(&live);
}

static void mappings_that_touch_are_one_buffer(void **state)
{
  (void)state;
  struct emuv_intervals live = {0};
  for (uint64_t i = 0; i < 3; i++) {
    const struct emuv_interval map = {
        .base = SEGMENT + (i << 21), .bytes = 2 << 20, .id = i + 1, .kind = EMUV_TRACE_MEMORY_VMM};
    assert_int_equal(emuv_intervals_insert(&live, &map, NULL), 0);
  }
  const uint64_t block[] = {SEGMENT + 4096};
  scan(&live, block, sizeof block);
  assert_int_equal(found.n, 3);
  assert_int_equal(found.item[0].bytes, (2 << 20) - 4096);
  assert_int_equal(found.item[2].allocation, 3);
  assert_int_equal(found.item[2].bytes, 2 << 20);
  emuv_intervals_free(&live);
}

static void too_many_operands_are_a_gap(void **state)
{
  (void)state;
  static uint64_t block[EMUV_OPERANDS_MAX + 1];
  struct emuv_intervals live = {0};
  put(&live, SEGMENT, SEGMENT_BYTES, 4);
  for (size_t i = 0; i <= EMUV_OPERANDS_MAX; i++) block[i] = SEGMENT + 16 * i;
  scan(&live, block, sizeof block);
  assert_int_equal(found.n, EMUV_OPERANDS_MAX);
  assert_true(found.truncated);
  assert_int_equal(emuv_operands_class(&found), EMUV_TRACE_CLASS_GAP);
  found.n = 0;
  found.truncated = false;
  assert_int_equal(emuv_operands_class(&found), EMUV_TRACE_CLASS_GAP);
  emuv_intervals_free(&live);
}

/* ---- correlation numbers ---- */

static struct emuv_correlations numbers;

static void equal_numbers_are_trusted_in_the_end(void **state)
{
  (void)state;
  memset(&numbers, 0, sizeof numbers);
  for (uint32_t i = 1; i <= EMUV_CORRELATIONS_PROOF; i++) {
    emuv_correlations_issue(&numbers, i, false);
    assert_int_equal(emuv_correlations_resolve(&numbers, i), i);
  }
  assert_true(numbers.trusted);
  assert_int_equal(emuv_correlations_resolve(&numbers, 4000000), 4000000);
}

static void numbers_of_outer_calls_find_the_inner_ones(void **state)
{
  (void)state;
  memset(&numbers, 0, sizeof numbers);
  /* outer 10, 11, 14; inner 13, 12 (two threads, ended in the other order), 15 */
  emuv_correlations_issue(&numbers, 13, false);
  emuv_correlations_issue(&numbers, 12, false);
  emuv_correlations_issue(&numbers, 15, false);
  assert_int_equal(emuv_correlations_resolve(&numbers, 10), 12);
  assert_int_equal(emuv_correlations_resolve(&numbers, 11), 13);
  assert_int_equal(emuv_correlations_resolve(&numbers, 14), 15);
  assert_int_equal(emuv_correlations_resolve(&numbers, 16), 16);
  assert_int_equal(numbers.nested, 3);
  assert_int_equal(numbers.unknown, 1);
}

static void a_graphs_activities_share_a_number(void **state)
{
  (void)state;
  memset(&numbers, 0, sizeof numbers);
  emuv_correlations_issue(&numbers, 21, true);
  for (int i = 0; i < 3; i++) assert_int_equal(emuv_correlations_resolve(&numbers, 20), 21);
}

static void old_numbers_are_forgotten(void **state)
{
  (void)state;
  memset(&numbers, 0, sizeof numbers);
  for (uint32_t i = 1; i <= EMUV_CORRELATIONS_KEPT + 10; i++) emuv_correlations_issue(&numbers, 2 * i, false);
  assert_int_equal(numbers.n, EMUV_CORRELATIONS_KEPT);
  assert_int_equal(emuv_correlations_resolve(&numbers, 2 * (EMUV_CORRELATIONS_KEPT + 10)),
                   2 * (EMUV_CORRELATIONS_KEPT + 10));
  assert_int_equal(emuv_correlations_resolve(&numbers, 22), 22);
}

static void strict_numbers_belong_to_recorded_calls(void **state)
{
  (void)state;
  memset(&numbers, 0, sizeof numbers);
  numbers.strict = true;
  emuv_correlations_issue(&numbers, 102, false);
  emuv_correlations_issue(&numbers, 110, true);
  assert_int_equal(emuv_correlations_resolve(&numbers, 101), 102); /* this CUPTI may give the outer call's number */
  assert_int_equal(emuv_correlations_resolve(&numbers, 100), 0);   /* of a call before the window */
  assert_int_equal(emuv_correlations_resolve(&numbers, 101), 0);   /* a second one */
  assert_int_equal(emuv_correlations_resolve(&numbers, 110), 110);
  assert_int_equal(emuv_correlations_resolve(&numbers, 109), 0); /* it does not: an exact number was seen */
  assert_int_equal(emuv_correlations_resolve(&numbers, 110), 110);
  assert_int_equal(emuv_correlations_resolve(&numbers, 120), 0);
  for (uint32_t i = 1; i < 2 * EMUV_CORRELATIONS_PROOF; i++) {
    emuv_correlations_issue(&numbers, 1000 + 2 * i, false);
    assert_int_equal(emuv_correlations_resolve(&numbers, 1000 + 2 * i), 1000 + 2 * i);
    assert_int_equal(emuv_correlations_resolve(&numbers, 1001 + 2 * i), 0);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(intervals_find_edges),
      cmocka_unit_test(intervals_refuse_nonsense),
      cmocka_unit_test(intervals_displace_what_they_overlap),
      cmocka_unit_test(intervals_agree_with_a_byte_map),
      cmocka_unit_test(the_layout_is_learned),
      cmocka_unit_test(descriptors_of_every_type_and_rank_decode),
      cmocka_unit_test(what_is_no_descriptor_is_refused),
      cmocka_unit_test(what_the_hardware_refuses_is_refused),
      cmocka_unit_test(an_unclear_layout_stays_unknown),
      cmocka_unit_test(gathering_keeps_places),
      cmocka_unit_test(words_give_bounded_operands),
      cmocka_unit_test(descriptors_give_exact_operands),
      cmocka_unit_test(operands_of_cublas_kernels_are_exact),
      cmocka_unit_test(leftovers_in_padding_are_no_operands),
      cmocka_unit_test(a_descriptor_beyond_its_memory_is_not_believed),
      cmocka_unit_test(mappings_that_touch_are_one_buffer),
      cmocka_unit_test(too_many_operands_are_a_gap),
      cmocka_unit_test(equal_numbers_are_trusted_in_the_end),
      cmocka_unit_test(numbers_of_outer_calls_find_the_inner_ones),
      cmocka_unit_test(a_graphs_activities_share_a_number),
      cmocka_unit_test(old_numbers_are_forgotten),
      cmocka_unit_test(strict_numbers_belong_to_recorded_calls),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
