// SPDX-License-Identifier: Apache-2.0
/* The operand scanner and the descriptor decoder over argument blocks that were recorded on an H200 (blocks/README.md):
 * every operand must be what blocks/expected.txt says, and every matrix that a cuBLAS kernel reads must be there with
 * the address and size that PyTorch gave for it. EMUV_UPDATE=1 writes expected.txt anew; look at the difference before
 * you commit it. */
#include "tests/unit/fake_tensormap.h"
#include "tracer/format/schema.h"
#include "tracer/inject/operands.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER EMUV_TEST_DIR "/golden/blocks/"
enum { LINE = 16384, BLOCKS = 64, WEIGHTS = 256 };

struct block {
  unsigned per_token; /* launches of its kernel in one token of the decode */
  char name[1024], provenance[16];
  unsigned char *bytes;
  size_t n;
  struct emuv_operands operands;
};

struct weight {
  uint64_t address, bytes;
  char name[64];
};

static struct {
  struct block block[BLOCKS];
  struct weight weight[WEIGHTS];
  size_t n_blocks, n_weights;
  struct emuv_intervals live;
  struct emuv_tensormap_layout layout;
} recorded;

static FILE *open_data(const char *name, const char *mode)
{
  char path[512];
  snprintf(path, sizeof path, FOLDER "%s", name);
  FILE *f = fopen(path, mode);
  if (!f) fail_msg("cannot open %s", path);
  return f;
}

static void read_allocations(void)
{
  FILE *f = open_data("allocations.txt", "r");
  struct emuv_interval range = {.kind = EMUV_TRACE_MEMORY_DEVICE};
  char kind[16];
  while (fscanf(f, "%" SCNx64 " %" SCNu64 " %15s", &range.base, &range.bytes, kind) == 3) {
    range.id++;
    range.kind = strcmp(kind, "host") == 0 ? EMUV_TRACE_MEMORY_HOST : EMUV_TRACE_MEMORY_DEVICE;
    size_t displaced = 0;
    assert_int_equal(emuv_intervals_insert(&recorded.live, &range, &displaced), 0);
    assert_int_equal(displaced, 0);
  }
  fclose(f);
}

static void read_weights(void)
{
  FILE *f = open_data("weights.txt", "r");
  struct weight *w = recorded.weight;
  while (fscanf(f, "%" SCNx64 " %" SCNu64 " %63s", &w->address, &w->bytes, w->name) == 3) w++;
  recorded.n_weights = (size_t)(w - recorded.weight);
  assert_in_range(recorded.n_weights, 100, WEIGHTS - 1);
  fclose(f);
}

static void read_blocks(void)
{
  static char hex[LINE];
  FILE *f = open_data("blocks.txt", "r");
  for (struct block *b = recorded.block;; b++) {
    if (fscanf(f, "%u %1023s %15s %zu %16383s", &b->per_token, b->name, b->provenance, &b->n, hex) != 5) break;
    assert_in_range(++recorded.n_blocks, 1, BLOCKS - 1);
    assert_int_equal(strlen(hex), 2 * b->n);
    b->bytes = malloc(b->n);
    assert_non_null(b->bytes);
    for (size_t i = 0; i < b->n; i++) assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &b->bytes[i]), 1);
  }
  fclose(f);
}

static int setup(void **state)
{
  (void)state;
  read_allocations();
  read_weights();
  read_blocks();
  if (emuv_tensormap_learn(&recorded.layout, fake_encode, NULL) != EMUV_TENSORMAP_LEARNED) return -1;
  for (size_t i = 0; i < recorded.n_blocks; i++) {
    struct block *b = &recorded.block[i];
    bool extra = strcmp(b->provenance, "extra") == 0;
    emuv_operands_scan(&recorded.live, &recorded.layout, b->bytes, b->n,
                       extra ? EMUV_TRACE_FROM_EXTRA : EMUV_TRACE_FROM_PARAM, &b->operands);
  }
  return 0;
}

static int teardown(void **state)
{
  (void)state;
  for (size_t i = 0; i < recorded.n_blocks; i++) free(recorded.block[i].bytes);
  emuv_intervals_free(&recorded.live);
  return 0;
}

/* The layout that fake_tensormap.h teaches is the one that was learned on that machine. */
static void the_layout_is_the_recorded_one(void **state)
{
  (void)state;
  const struct emuv_tensormap_layout *l = &recorded.layout;
  assert_int_equal(l->mode_word, 2);
  assert_int_equal(l->rank_mask, 0x00000070);
  assert_int_equal(l->type_mask, 0x00000780);
  assert_int_equal(l->interleave_mask, 0x00001800);
}

static const struct emuv_interval *allocation_of(uint64_t id)
{
  for (size_t i = 0; i < recorded.live.n; i++)
    if (recorded.live.item[i].id == id) return &recorded.live.item[i];
  fail_msg("no allocation %" PRIu64, id);
  return NULL;
}

static uint64_t address_of(const struct emuv_trace_operand *o)
{
  return allocation_of(o->allocation)->base + o->offset;
}

/* As a file: the kernel's class and name, then a line per operand. */
static void write_found(FILE *f)
{
  char buf[24];
  for (size_t i = 0; i < recorded.n_blocks; i++) {
    const struct emuv_operands *all = &recorded.block[i].operands;
    fprintf(f, "%s %s\n", emuv_trace_name(emuv_trace_class_names, EMUV_TRACE_CLASSES, emuv_operands_class(all), buf),
            recorded.block[i].name);
    for (uint32_t k = 0; k < all->n; k++) {
      const struct emuv_trace_operand *o = &all->item[k];
      fprintf(f, "  %4u %" PRIx64 " %" PRIu64, o->place, address_of(o), o->bytes);
      fprintf(f, " %s", emuv_trace_name(emuv_trace_class_names, EMUV_TRACE_CLASSES, o->cls, buf));
      fprintf(f, " %s\n", emuv_trace_name(emuv_trace_provenance_names, EMUV_TRACE_PROVENANCES, o->provenance, buf));
    }
  }
}

static void operands_are_those_expected(void **state)
{
  (void)state;
  static char want[LINE], got[LINE];
  if (getenv("EMUV_UPDATE")) {
    FILE *f = open_data("expected.txt", "w");
    write_found(f);
    fclose(f);
  }
  FILE *expected = open_data("expected.txt", "r"), *found = tmpfile();
  assert_non_null(found);
  write_found(found);
  rewind(found);
  for (unsigned line = 1; fgets(want, sizeof want, expected); line++) {
    if (!fgets(got, sizeof got, found)) fail_msg("expected.txt:%u: nothing found, expected: %s", line, want);
    if (strcmp(want, got) != 0) fail_msg("expected.txt:%u:\n%s found:\n%s", line, want, got);
  }
  if (fgets(got, sizeof got, found)) fail_msg("more than expected: %s", got);
  fclose(expected);
  fclose(found);
}

static void shares_of_a_token_are_those_of_the_trace(void **state)
{
  (void)state;
  unsigned all = 0, exact = 0, gap = 0;
  for (size_t i = 0; i < recorded.n_blocks; i++) {
    const struct block *b = &recorded.block[i];
    enum emuv_trace_class cls = emuv_operands_class(&b->operands);
    all += b->per_token;
    exact += cls == EMUV_TRACE_CLASS_EXACT ? b->per_token : 0;
    gap += cls == EMUV_TRACE_CLASS_GAP ? b->per_token : 0;
  }
  assert_int_equal(all, 925);
  assert_int_equal(exact, 155);
  assert_int_equal(gap, 0);
}

static const char *weight_at(const struct emuv_trace_operand *o)
{
  for (size_t i = 0; i < recorded.n_weights; i++)
    if (recorded.weight[i].address == address_of(o) && recorded.weight[i].bytes == o->bytes)
      return recorded.weight[i].name;
  return NULL;
}

/* One of the matrices that a cuBLAS kernel reads is a parameter of the model, to the byte. */
static void cublas_kernels_read_whole_parameters(void **state)
{
  (void)state;
  unsigned kernels = 0;
  for (size_t i = 0; i < recorded.n_blocks; i++) {
    const struct block *b = &recorded.block[i];
    if (strncmp(b->name, "nvjet", 5) != 0) continue;
    const char *name = NULL;
    for (uint32_t k = 0; k < b->operands.n && !name; k++) name = weight_at(&b->operands.item[k]);
    if (!name) fail_msg("%s reads no parameter", b->name);
    assert_int_equal(emuv_operands_class(&b->operands), EMUV_TRACE_CLASS_EXACT);
    kernels++;
  }
  assert_int_equal(kernels, 9);
}

/* cuBLAS's descriptors lie at 48 mod 64 in the block (which begins at 16 mod 64 on the device), packed without their
 * second halves, and have rank 3 or 4. */
static void descriptors_are_found_where_they_lie(void **state)
{
  (void)state;
  unsigned ranks[EMUV_TENSORMAP_RANKS + 1] = {0};
  for (size_t i = 0; i < recorded.n_blocks; i++) {
    const struct block *b = &recorded.block[i];
    if (strncmp(b->name, "nvjet", 5) != 0) continue;
    for (uint32_t k = 0; k < b->operands.n; k++) {
      const struct emuv_trace_operand *o = &b->operands.item[k];
      if (o->provenance != EMUV_TRACE_FROM_TENSORMAP) continue;
      struct emuv_tensormap_extent extent;
      assert_true(emuv_tensormap_decode(&recorded.layout, b->bytes + o->place, &extent));
      assert_int_equal(o->place % 64, 48);
      ranks[extent.rank]++;
    }
  }
  const unsigned want[] = {0, 0, 0, 27, 2, 0};
  assert_memory_equal(ranks, want, sizeof want);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_layout_is_the_recorded_one),
      cmocka_unit_test(operands_are_those_expected),
      cmocka_unit_test(shares_of_a_token_are_those_of_the_trace),
      cmocka_unit_test(cublas_kernels_read_whole_parameters),
      cmocka_unit_test(descriptors_are_found_where_they_lie),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
