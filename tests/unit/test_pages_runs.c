// SPDX-License-Identifier: Apache-2.0
/* Pages to operands, and what machine code tells of a kernel: without CUDA. */
#include "tests/unit/made_cubin.h"
#include "tracer/inject/cubin.h"
#include "tracer/inject/pages_runs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SHIFT = 16, READ = EMUV_TRACE_ACCESS_READ, WRITE = EMUV_TRACE_ACCESS_WRITE };
#define PAGE UINT64_C(65536)
#define BASE (UINT64_C(0x7f0000000000))

static struct emuv_intervals live;
static struct emuv_pages pages;
static struct emuv_page_runs runs;

static int empty(void **state)
{
  (void)state;
  emuv_intervals_free(&live);
  emuv_pages_free(&pages);
  emuv_page_runs_free(&runs);
  return 0;
}

static void allocate(uint64_t id, uint64_t offset, uint64_t bytes)
{
  const struct emuv_interval i = {.base = BASE + offset, .bytes = bytes, .id = id};
  assert_int_equal(emuv_intervals_insert(&live, &i, NULL), 0);
}

static void touch(uint64_t page, uint32_t access)
{
  assert_int_equal(emuv_pages_add(&pages, (BASE >> SHIFT) + page, access), 0);
}

static void build(size_t n)
{
  emuv_pages_sort(&pages);
  assert_int_equal(emuv_pages_build(&pages, SHIFT, &live, &runs), 0);
  assert_int_equal(runs.n, n);
}

static void expect(size_t i, uint64_t id, uint64_t offset, uint64_t bytes, uint32_t access)
{
  const struct emuv_trace_operand *const o = &runs.operand[i];
  assert_int_equal(o->allocation, id);
  assert_int_equal(o->offset, offset);
  assert_int_equal(o->bytes, bytes);
  assert_int_equal(o->access, access);
  assert_int_equal(o->provenance, EMUV_TRACE_FROM_PAGE);
}

static void neighbours_become_one_run(void **state)
{
  (void)state;
  allocate(1, 0, 64 * PAGE);
  for (uint64_t i = 10; i > 2; i--) touch(i, READ);
  touch(12, READ);
  build(2);
  expect(0, 1, 3 * PAGE, 8 * PAGE, READ);
  expect(1, 1, 12 * PAGE, PAGE, READ);
  assert_int_equal(runs.operand[0].cls, EMUV_TRACE_CLASS_EXACT);
  assert_false(runs.shared);
  assert_int_equal(runs.outside, 0);
}

static void reading_and_writing_are_told_apart(void **state)
{
  (void)state;
  allocate(1, 0, 64 * PAGE);
  touch(0, READ);
  touch(1, READ);
  touch(1, WRITE);
  touch(2, WRITE);
  touch(2, WRITE); /* two launches took turns on the page's word */
  touch(3, WRITE);
  build(3);
  expect(0, 1, 0, PAGE, READ);
  expect(1, 1, PAGE, PAGE, READ | WRITE);
  expect(2, 1, 2 * PAGE, 2 * PAGE, WRITE);
}

static void runs_end_with_their_allocation(void **state)
{
  (void)state;
  allocate(1, PAGE / 2, 3 * PAGE); /* begins and ends inside of pages 0 and 3 */
  allocate(2, 4 * PAGE, 100);      /* a part of page 4 */
  for (uint64_t i = 0; i < 5; i++) touch(i, READ);
  build(2);
  expect(0, 1, 0, 3 * PAGE, READ);
  expect(1, 2, 0, 100, READ);
  assert_int_equal(runs.operand[1].cls, EMUV_TRACE_CLASS_EXACT);
}

static void shared_pages_are_bounded_in_each(void **state)
{
  (void)state;
  allocate(1, 0, PAGE + 512);
  allocate(2, PAGE + 512, 512);
  allocate(3, PAGE + 2048, PAGE);
  touch(0, READ);
  touch(1, WRITE);
  build(4);
  expect(0, 1, 0, PAGE, READ);
  expect(1, 1, PAGE, 512, WRITE);
  expect(2, 2, 0, 512, WRITE);
  expect(3, 3, 0, PAGE - 2048, WRITE);
  assert_int_equal(runs.operand[0].cls, EMUV_TRACE_CLASS_EXACT);
  for (int i = 1; i < 4; i++) assert_int_equal(runs.operand[i].cls, EMUV_TRACE_CLASS_BOUNDED);
  assert_true(runs.shared);
}

static void pages_without_an_allocation_are_counted(void **state)
{
  (void)state;
  allocate(1, 2 * PAGE, PAGE);
  touch(0, READ);
  touch(2, READ);
  touch(3, WRITE);
  touch(4, READ | EMUV_PAGE_ASYNC); /* masked copies: no access */
  touch(5, READ | EMUV_PAGE_ASYNC);
  touch(5, READ); /* but this is one */
  build(1);
  expect(0, 1, 0, PAGE, READ);
  assert_int_equal(runs.outside, 3);
  assert_int_equal(runs.masked, 1);
  emuv_pages_free(&pages);
  build(0);
  assert_int_equal(runs.outside, 0);
}

/* Against a slow model: the set of (allocation, byte, access) that operands cover. */
static void many_random_pages(void **state)
{
  (void)state;
  enum { PAGES = 300, ROUNDS = 200 };
  srandom(5);
  for (int round = 0; round < ROUNDS; round++) {
    uint32_t access[PAGES] = {0};
    uint64_t want[4] = {0}, got[4] = {0};
    empty(NULL);
    allocate(1, 0, 100 * PAGE);
    allocate(2, 100 * PAGE, (PAGES - 100) * PAGE);
    for (int i = 0; i < 400; i++) {
      const uint64_t page = (uint64_t)random() % PAGES;
      const uint32_t how = 1 + (uint32_t)random() % 2;
      touch(page, how);
      access[page] |= how;
    }
    emuv_pages_sort(&pages);
    assert_int_equal(emuv_pages_build(&pages, SHIFT, &live, &runs), 0);
    for (int i = 0; i < PAGES; i++) want[access[i]] += PAGE;
    for (size_t i = 0; i < runs.n; i++) {
      const struct emuv_trace_operand *o = &runs.operand[i];
      const uint64_t first = (o->allocation == 2 ? 100 : 0) + o->offset / PAGE;
      got[o->access] += o->bytes;
      for (uint64_t k = first; k < first + o->bytes / PAGE; k++) assert_int_equal(access[k], o->access);
    }
    for (int i = 1; i < 4; i++) assert_int_equal(got[i], want[i]);
  }
}

/* ---- machine code ---- */

struct findings {
  int n;
  char name[4][32];
  bool kernel[4];
  unsigned unseen[4];
};

static void find(void *context, const char *name, bool kernel, unsigned unseen)
{
  struct findings *f = context;
  assert_in_range(f->n, 0, 3);
  strcpy(f->name[f->n], name);
  f->kernel[f->n] = kernel;
  f->unseen[f->n++] = unseen;
}

static void operations_are_found(void **state)
{
  (void)state;
  static uint8_t image[8192];
  const struct made_function functions[] = {{"plain", true, {0x981, 0x986, 0x7ae, 0x3ba}},
                                            {"tensor", true, {0x981, 0x5b4, 0x3b5}},
                                            {"texture", true, {0xb60}},
                                            {"helper", false, {0x3b6}}};
  struct findings f = {0};
  const size_t n = made_cubin(image, functions, 4);
  assert_true(emuv_cubin_scan(image, n, find, &f));
  assert_int_equal(f.n, 3);
  assert_string_equal(f.name[0], "tensor");
  assert_int_equal(f.unseen[0], EMUV_CUBIN_TENSOR);
  assert_true(f.kernel[0]);
  assert_string_equal(f.name[1], "texture");
  assert_int_equal(f.unseen[1], EMUV_CUBIN_TEXTURE);
  assert_string_equal(f.name[2], "helper");
  assert_false(f.kernel[2]);
}

static void ignore(void *context, const char *name, bool kernel, unsigned unseen)
{
  (void)context, (void)kernel, (void)unseen;
  assert_in_range(strlen(name), 0, 4096);
}

static void damaged_images_are_survived(void **state)
{
  (void)state;
  static uint8_t image[8192];
  const struct made_function functions[] = {{"tensor", true, {0x5b4}}, {"helper", false, {0x3b6}}};
  const size_t n = made_cubin(image, functions, 2);
  for (size_t cut = 0; cut < n; cut++) {
    uint8_t *copy = malloc(cut + 1); /* exact size, so that reading beyond it is seen */
    memcpy(copy, image, cut);
    emuv_cubin_scan(copy, cut, ignore, NULL);
    free(copy);
  }
  uint8_t *copy = malloc(n);
  for (size_t bit = 0; bit < n * 8; bit++) {
    memcpy(copy, image, n);
    copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
    emuv_cubin_scan(copy, n, ignore, NULL);
  }
  assert_false(emuv_cubin_scan("no ELF file, though long enough for a header of one: 0123456789", 64, ignore, NULL));
  free(copy);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(neighbours_become_one_run, empty),
      cmocka_unit_test_teardown(reading_and_writing_are_told_apart, empty),
      cmocka_unit_test_teardown(runs_end_with_their_allocation, empty),
      cmocka_unit_test_teardown(shared_pages_are_bounded_in_each, empty),
      cmocka_unit_test_teardown(pages_without_an_allocation_are_counted, empty),
      cmocka_unit_test_teardown(many_random_pages, empty),
      cmocka_unit_test(operations_are_found),
      cmocka_unit_test(damaged_images_are_survived),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
