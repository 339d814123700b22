// SPDX-License-Identifier: Apache-2.0
/* Every prefetcher of the registry (and the skeleton) keeps the contract of prefetch.h on random programs and random
 * residency: within the budget, absent pages that hold data, none twice in a call, deterministic, and no look at the
 * future unless it is declared. No prefetcher is named but where its own promise is checked. */
#include "runtime/core/pager.h"
#include "runtime/core/rng.h"
#include "runtime/prefetch/prefetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern const struct emuv_prefetch_ops emuv_prefetch_skeleton;

enum { PAGES = 300, SLICES = 400, MAX_RUNS = 3 * SLICES, LAYERS = 6, MAX_OUT = 64 };

struct scene {
  struct emuv_rng rng;
  struct emuv_program program;
  struct emuv_page_run runs[MAX_RUNS], layer_runs[2 * LAYERS];
  struct emuv_slice slices[SLICES + 1];
  int32_t slice_layer[SLICES + 1];
  struct emuv_layer_pages layers[LAYERS];
  uint32_t step_first_slice[2];
  uint8_t initial[PAGES], state[PAGES];
};

static uint32_t below(struct scene *s, uint32_t n)
{
  return (uint32_t)emuv_rng_below(&s->rng, n);
}

static void add_slice(struct scene *s, uint32_t first, uint32_t n, uint32_t extra)
{
  struct emuv_program *p = &s->program;
  struct emuv_slice *slice = &s->slices[p->n_slices];
  *slice = (struct emuv_slice){.first_run = (uint32_t)p->n_runs, .first_ref = p->n_refs, .share = 1, .opens_op = true};
  s->slice_layer[p->n_slices++] = (int32_t)below(s, LAYERS + 1) - 1;
  for (uint32_t i = 0; i <= extra && n; i++) {
    if (first + n > PAGES) n = PAGES - first;
    s->runs[p->n_runs++] = (struct emuv_page_run){.first = first, .n = n, .flags = i ? EMUV_RUN_DYNAMIC : 0};
    slice->n_runs++;
    p->n_refs += n;
    first = below(s, PAGES);
  }
}

/* Slices that repeat with a period, march with a stride, jump, or touch nothing: each prefetcher finds its meat. */
static void make_slices(struct scene *s, size_t n)
{
  while (s->program.n_slices < n) {
    uint32_t at = (uint32_t)s->program.n_slices;
    switch (at / 100) {
    case 0:
    case 1: add_slice(s, at % 40 * 7, 5, 0); break;
    case 2: add_slice(s, at * 3 % PAGES, 2, 0); break;
    default: add_slice(s, below(s, PAGES), below(s, 6), below(s, 3));
    }
  }
}

static void make_layers(struct scene *s)
{
  struct emuv_program *p = &s->program;
  for (uint32_t i = 0; i < LAYERS; i++) {
    s->layers[i] = (struct emuv_layer_pages){.first_run = 2 * i, .n_runs = 2};
    s->layer_runs[2 * i] = (struct emuv_page_run){.first = i * 50, .n = 30};
    s->layer_runs[2 * i + 1] = (struct emuv_page_run){.first = i * 50 + 35, .n = 15};
  }
  p->layers = s->layers;
  p->layer_runs = s->layer_runs;
  p->n_layers = LAYERS;
  p->n_layer_runs = 2 * LAYERS;
}

static struct scene *scene_new(uint64_t seed)
{
  struct scene *s = calloc(1, sizeof *s);
  assert_non_null(s);
  emuv_rng_seed(&s->rng, seed);
  s->program = (struct emuv_program){.page_bytes = 4096, .n_pages = PAGES, .n_steps = 1};
  s->program.runs = s->runs;
  s->program.slices = s->slices;
  s->program.slice_layer = s->slice_layer;
  s->program.step_first_slice = s->step_first_slice;
  s->program.initial = s->initial;
  make_slices(s, SLICES);
  make_layers(s);
  s->step_first_slice[1] = SLICES;
  return s;
}

/* A share of the pages is in VRAM, some have no data anywhere. */
static void make_residency(struct scene *s, uint32_t percent)
{
  for (uint32_t i = 0; i < PAGES; i++)
    s->state[i] = below(s, 100) < percent ? EMUV_PAGE_VRAM | EMUV_PAGE_RAM
                  : below(s, 10) == 0     ? 0
                  : below(s, 4) == 0      ? EMUV_PAGE_NVME
                                          : EMUV_PAGE_RAM;
}

struct predictor {
  const struct emuv_prefetch_ops *ops;
  struct emuv_prefetch_env env;
  void *state;
};

static void predictor_open(struct predictor *p, const struct emuv_prefetch_ops *ops, const struct scene *s,
                           uint32_t depth, bool skip_dynamic)
{
  *p = (struct predictor){.ops = ops};
  p->env = (struct emuv_prefetch_env){
      .program = &s->program, .state = s->state, .depth_pages = depth, .skip_dynamic = skip_dynamic};
  p->state = calloc(1, ops->state_bytes(&p->env) + 1);
  assert_non_null(p->state);
  ops->init(p->state, &p->env);
}

struct answer {
  struct emuv_page_run runs[MAX_OUT + 1];
  uint32_t n;
};

static struct answer propose(struct predictor *p, uint32_t slice, uint32_t missed, uint32_t budget, uint32_t max_runs)
{
  struct answer a;
  memset(&a, 0x5a, sizeof a);
  a.n = p->ops->propose(p->state, slice, missed, budget, a.runs, max_runs);
  assert_true(a.n <= max_runs);
  assert_int_equal(a.runs[max_runs].first, 0x5a5a5a5a); /* nothing behind the end */
  return a;
}

static uint32_t check_answer(const struct scene *s, const struct answer *a, uint32_t budget, const char *name)
{
  uint8_t seen[PAGES] = {0};
  uint32_t pages = 0;
  for (uint32_t i = 0; i < a->n; i++) {
    const struct emuv_page_run *run = &a->runs[i];
    if (run->n == 0 || run->first >= PAGES || run->n > PAGES - run->first) fail_msg("%s: a run outside memory", name);
    for (uint32_t page = run->first; page < run->first + run->n; page++, pages++) {
      if (s->state[page] & EMUV_PAGE_VRAM) fail_msg("%s: page %u is resident", name, page);
      if (!s->state[page]) fail_msg("%s: page %u holds nothing", name, page);
      if (seen[page]++) fail_msg("%s: page %u twice in one call", name, page);
    }
  }
  if (pages > budget) fail_msg("%s: %u pages, %u allowed", name, pages, budget);
  return pages;
}

static const struct emuv_prefetch_ops *prefetcher_at(size_t i)
{
  static size_t n;
  while (n == 0 || emuv_prefetchers[n]) n++;
  return i < n ? emuv_prefetchers[i] : i == n ? &emuv_prefetch_skeleton : NULL;
}

#define FOR_EACH(ops)                                                                                                  \
  for (size_t i_ = 0; prefetcher_at(i_); i_++)                                                                         \
    for (const struct emuv_prefetch_ops *ops = prefetcher_at(i_); ops; ops = NULL)

static void test_registry(void **unused)
{
  (void)unused;
  const char *const *names = emuv_prefetch_names();
  size_t n = 0;
  for (; emuv_prefetchers[n]; n++) {
    const struct emuv_prefetch_ops *ops = emuv_prefetchers[n];
    assert_string_equal(names[n], ops->name);
    assert_ptr_equal(emuv_prefetch_find(ops->name), ops); /* names are unique */
    assert_true(ops->summary && ops->summary[0] && !strchr(ops->summary, '\n') && strlen(ops->summary) <= 100);
    assert_true(ops->state_bytes && ops->init && ops->propose);
  }
  assert_true(n >= 5);
  assert_null(names[n]);
  assert_null(emuv_prefetch_find("skeleton"));
  assert_null(emuv_prefetch_find(""));
}

static void test_bounds(void **unused)
{
  (void)unused;
  FOR_EACH(ops)
  {
    for (uint64_t seed = 1; seed <= 12; seed++) {
      struct scene *s = scene_new(seed);
      struct predictor p;
      make_residency(s, (uint32_t)seed % 5 * 20);
      predictor_open(&p, ops, s, 1 + below(s, 2 * PAGES), seed % 2);
      for (uint32_t slice = 0; slice < SLICES; slice++) {
        uint32_t budget = below(s, 4) ? below(s, 40) : below(s, 2), max_runs = 1 + below(s, MAX_OUT);
        struct answer a = propose(&p, slice, below(s, 3), budget, max_runs);
        check_answer(s, &a, budget, ops->name);
        if (below(s, 8) == 0) make_residency(s, below(s, 101));
      }
      free(p.state);
      free(s);
    }
  }
}

static bool same_answer(const struct answer *a, const struct answer *b)
{
  return a->n == b->n && memcmp(a->runs, b->runs, a->n * sizeof *a->runs) == 0;
}

static void test_deterministic(void **unused)
{
  (void)unused;
  FOR_EACH(ops)
  {
    struct scene *s = scene_new(5);
    struct predictor p, q;
    make_residency(s, 30);
    predictor_open(&p, ops, s, 50, false);
    predictor_open(&q, ops, s, 50, false);
    for (uint32_t slice = 0; slice < SLICES; slice++) {
      struct answer a = propose(&p, slice, 1, 20, 16), b = propose(&q, slice, 1, 20, 16);
      assert_true(same_answer(&a, &b));
    }
    free(p.state);
    free(q.state);
    free(s);
  }
}

/* The same past and another future: what does not need the future must not tell them apart. */
static void test_the_future_is_not_read(void **unused)
{
  (void)unused;
  FOR_EACH(ops)
  {
    bool differs = false;
    for (uint32_t cut = 150; cut < SLICES - 50; cut += 25) {
      struct scene *s = scene_new(9), *other = scene_new(9);
      struct predictor p, q;
      other->program.n_slices = cut + 1;
      other->program.n_runs = other->slices[cut].first_run + other->slices[cut].n_runs;
      other->program.n_refs = s->slices[cut + 1].first_ref;
      emuv_rng_seed(&other->rng, 1000);
      while (other->program.n_slices < SLICES) add_slice(other, below(other, PAGES), 1 + below(other, 4), 0);
      make_residency(s, 10);
      memcpy(other->state, s->state, sizeof s->state);
      predictor_open(&p, ops, s, 60, false);
      predictor_open(&q, ops, other, 60, false);
      for (uint32_t slice = 0; slice <= cut; slice++) {
        struct answer a = propose(&p, slice, 0, 30, 32), b = propose(&q, slice, 0, 30, 32);
        differs = differs || !same_answer(&a, &b);
      }
      free(p.state);
      free(q.state);
      free(s);
      free(other);
    }
    bool declared = ops->flags & EMUV_PREFETCH_NEEDS_FUTURE;
    if (differs != declared) fail_msg("%s %s the future", ops->name, differs ? "reads" : "declares but does not read");
  }
}

/* Launch-time operands are left out on request by those that walk the program. */
static void test_dynamic_runs_are_skipped(void **unused)
{
  (void)unused;
  struct scene *s = scene_new(3);
  struct predictor p;
  for (uint32_t i = 0; i < PAGES; i++) s->state[i] = EMUV_PAGE_RAM;
  for (size_t r = 0; r < s->program.n_runs; r++) s->runs[r].flags = EMUV_RUN_DYNAMIC;
  predictor_open(&p, emuv_prefetch_find("oracle"), s, 100, true);
  for (uint32_t slice = 0; slice < SLICES; slice++) assert_int_equal(propose(&p, slice, 0, 50, 32).n, 0);
  free(p.state);
  free(s);
}

/* A program whose slices each read one run. */
static struct scene *scene_of(const uint32_t *first, size_t n, uint32_t length)
{
  struct scene *s = scene_new(1);
  s->program.n_slices = s->program.n_runs = 0;
  s->program.n_refs = 0;
  for (size_t i = 0; i < n; i++) {
    add_slice(s, first[i], length, 0);
    s->slice_layer[i] = (int32_t)(i % LAYERS);
  }
  for (uint32_t i = 0; i < PAGES; i++) s->state[i] = EMUV_PAGE_RAM;
  return s;
}

static void expect(struct predictor *p, uint32_t slice, uint32_t budget, uint32_t first, uint32_t n)
{
  struct answer a = propose(p, slice, 0, budget, 8);
  if (a.n < 1 || a.runs[0].first != first || a.runs[0].n != n)
    fail_msg("%s after slice %u: %u runs, first %u + %u; expected %u + %u", p->ops->name, slice, a.n, a.runs[0].first,
             a.runs[0].n, first, n);
}

static void test_what_each_promises(void **unused)
{
  (void)unused;
  const uint32_t march[] = {10, 30, 50, 70, 90, 10, 30, 50};
  struct scene *s = scene_of(march, 8, 3);
  struct predictor p;
  predictor_open(&p, emuv_prefetch_find("none"), s, 10, false);
  for (uint32_t i = 0; i < 8; i++) assert_int_equal(propose(&p, i, 1, 10, 8).n, 0);
  free(p.state);
  predictor_open(&p, emuv_prefetch_find("next-n"), s, 4, false);
  expect(&p, 0, 10, 13, 4); /* as far as the look-ahead */
  expect(&p, 1, 2, 33, 2);  /* or the budget */
  free(p.state);
  predictor_open(&p, emuv_prefetch_find("stride"), s, 6, false);
  for (uint32_t i = 0; i < 3; i++) assert_int_equal(propose(&p, i, 0, 10, 8).n, 0); /* not confirmed yet */
  expect(&p, 3, 10, 90, 3);
  free(p.state);
  predictor_open(&p, emuv_prefetch_find("layer"), s, 6, false);
  expect(&p, 0, 200, 50, 30); /* layer 1 */
  expect(&p, 5, 200, 0, 30);  /* after the last one the first */
  free(p.state);
  predictor_open(&p, emuv_prefetch_find("oracle"), s, 300, false);
  expect(&p, 0, 3, 30, 3);
  expect(&p, 4, 3, 10, 3);
  assert_int_equal(propose(&p, 7, 0, 3, 8).n, 0); /* nothing follows */
  free(p.state);
  free(s);
}

/* What learned loads ahead: what followed the last time, as early as the frames that it takes are worth it. */
static void test_learned_follows_the_past(void **unused)
{
  (void)unused;
  const uint32_t march[] = {10, 30, 50, 70, 90, 10, 30, 50};
  struct scene *s = scene_of(march, 8, 4);
  struct predictor p;
  for (uint32_t missed = 0; missed <= 100; missed += 100) {
    predictor_open(&p, emuv_prefetch_find("learned"), s, 300, false);
    for (uint32_t i = 0; i < 5; i++) assert_int_equal(propose(&p, i, missed, 3, 8).n, 0); /* never been here */
    assert_int_equal(propose(&p, 5, missed, 3, 8).n, 0);                                  /* four pages may be chance */
    struct answer a = propose(&p, 6, missed, 3, 8);
    assert_int_equal(a.n, 1);
    assert_int_equal(a.runs[0].first, 50);
    assert_int_equal(a.runs[0].n, missed ? 3 : 1); /* where nothing else is loaded, one page is a large share */
    free(p.state);
  }
  free(s);
}

enum { FIXED = 20, CHOICES = 8, STEPS = 60 };

/* A step: pages that are always the same, then those of one of eight experts, by chance. */
static struct scene *scene_of_experts(void)
{
  uint32_t first[2 * STEPS];
  struct scene *s = scene_new(4);
  for (uint32_t i = 0; i < STEPS; i++) {
    first[2 * i] = 0;
    first[2 * i + 1] = FIXED + below(s, CHOICES) * FIXED;
  }
  free(s);
  return scene_of(first, 2 * STEPS, FIXED);
}

/* Nobody can know the experts: most of what is proposed once that is clear are the pages that every step uses. */
static void test_learned_judges_itself(void **unused)
{
  (void)unused;
  struct scene *s = scene_of_experts();
  struct predictor p;
  uint32_t fixed = 0, chosen = 0;
  predictor_open(&p, emuv_prefetch_find("learned"), s, 300, false);
  for (uint32_t i = 0; i < 2 * STEPS; i++) {
    struct answer a = propose(&p, i, 500, 8, 8); /* so much is loaded that eight pages are a small share */
    for (uint32_t r = 0; r < a.n && i >= STEPS; r++) *(a.runs[r].first < FIXED ? &fixed : &chosen) += a.runs[r].n;
  }
  free(p.state);
  free(s);
  assert_true(fixed > 2 * STEPS); /* of 8 for each of the last STEPS / 2 steps */
  assert_true(chosen < fixed / 10);
}

static void test_programs_without_layers_or_pages(void **unused)
{
  (void)unused;
  FOR_EACH(ops)
  {
    const uint32_t one[] = {0};
    struct scene *s = scene_of(one, 1, 1);
    struct predictor p;
    s->program.n_layers = 0;
    s->slices[0].n_runs = 0;
    s->slice_layer[0] = -1;
    predictor_open(&p, ops, s, 5, false);
    struct answer a = propose(&p, 0, 0, 5, 8);
    check_answer(s, &a, 5, ops->name);
    free(p.state);
    free(s);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_registry),
      cmocka_unit_test(test_bounds),
      cmocka_unit_test(test_deterministic),
      cmocka_unit_test(test_the_future_is_not_read),
      cmocka_unit_test(test_dynamic_runs_are_skipped),
      cmocka_unit_test(test_what_each_promises),
      cmocka_unit_test(test_learned_follows_the_past),
      cmocka_unit_test(test_learned_judges_itself),
      cmocka_unit_test(test_programs_without_layers_or_pages),
  };
  return cmocka_run_group_tests_name("prefetchers", tests, NULL, NULL);
}
