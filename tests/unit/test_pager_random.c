// SPDX-License-Identifier: Apache-2.0
/* A million random operations on small pagers of every shape: each policy, RAM that holds everything or hardly
 * anything, with a disk and without, disks that turn out to be smaller than they were said to be, slots for every page
 * or not, write-back and write-through, fixed homes, few bounce frames or many. Each move is carried out when it is
 * asked for (pager_world.h). After each operation every invariant of pager.h is checked, and the contents of every
 * copy. A call that finds no space must leave a pager that goes on. */
#include "pager_world.h"

#include "runtime/core/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { OPERATIONS = 1000000, LIFE = 2000, RUNS = LIFE };

struct life {
  uint64_t seed;
  struct emuv_rng rng;
  struct world world;
  struct emuv_pager pager;
  struct emuv_pager_env env;
  uint8_t initial[WORLD_PAGES], on_disk[WORLD_PAGES];
  struct emuv_page_run runs[RUNS];
  uint32_t *next, first_use[WORLD_PAGES];
  uint32_t at, ref, slice, done; /* next run, its first reference; operations done */
  double now_ns;
  bool ended; /* a tier has failed */
};

struct totals {
  uint64_t operations, faults, births, ahead, written, nvme, pinned, full, ended, cancelled, wasted, refused;
};

static uint32_t below(struct life *l, uint32_t n)
{
  return (uint32_t)emuv_rng_below(&l->rng, n);
}

static void fail_life(const struct life *l, const char *what)
{
  const struct emuv_pager_env *e = &l->env;
  fail_msg("seed %llu, operation %u (%s, %u pages, %u + %u (%u) + %u of %u frames%s%s): %s",
           (unsigned long long)l->seed, l->done, e->policy->name, e->n_pages, e->vram_frames, e->ram_frames,
           e->bounce_frames, l->world.room, e->nvme_frames, e->write_through ? ", write-through" : "",
           e->on_disk ? ", fixed homes" : "", what);
}

static void check_life(struct life *l)
{
  struct emuv_err err = {0};
  char text[160];
  if (emuv_pager_check(&l->pager, &err)) fail_life(l, err.text);
  world_check(&l->world);
  if (l->world.wrong) {
    snprintf(text, sizeof text, "page %u: %s", l->world.wrong_page, l->world.wrong);
    fail_life(l, text);
  }
  bool deep = l->done % 64 == 0;
  if (deep && l->env.policy->check(l->pager.vram_policy, &err)) fail_life(l, err.text);
  if (deep && l->pager.ram_policy && l->env.policy->check(l->pager.ram_policy, &err)) fail_life(l, err.text);
}

/* Hot and cold runs, some of them longer than VRAM. */
static void make_string(struct life *l)
{
  uint32_t longest = 1 + below(l, l->env.n_pages);
  for (uint32_t i = 0; i < RUNS; i++) {
    uint32_t range = below(l, 3) ? 1 + l->env.n_pages / 3 : l->env.n_pages;
    uint32_t first = below(l, range), n = 1 + below(l, below(l, 2) ? longest : 2);
    if (first + n > l->env.n_pages) n = l->env.n_pages - first;
    l->runs[i] = (struct emuv_page_run){.first = first, .n = n, .flags = below(l, 3) == 0 ? EMUV_RUN_WRITE : 0};
    l->env.n_refs += n;
  }
}

static void make_future(struct life *l)
{
  if (!(l->env.policy->flags & EMUV_POLICY_NEEDS_FUTURE)) return;
  struct emuv_program p = {.n_pages = l->env.n_pages, .n_refs = l->env.n_refs, .runs = l->runs, .n_runs = RUNS};
  l->next = malloc(l->env.n_refs * sizeof *l->next);
  assert_non_null(l->next);
  emuv_program_next_uses(&p, l->next, l->first_use);
  l->env.first_use = l->first_use;
}

static uint32_t count_initial(struct life *l)
{
  uint32_t density = below(l, 5), n = 0;
  for (uint32_t i = 0; i < l->env.n_pages; i++) {
    l->initial[i] = below(l, 4) < density;
    l->on_disk[i] = below(l, 2) == 0;
    n += l->initial[i];
  }
  return n;
}

/* Mostly enough below VRAM for every page; in one life of eight just enough for the data at the start. */
static void make_tiers(struct life *l, uint32_t with_data)
{
  struct emuv_pager_env *e = &l->env;
  uint32_t need = below(l, 8) ? e->n_pages : with_data;
  switch (below(l, 4)) {
  case 0: e->ram_frames = e->n_pages; break;
  case 1: e->ram_frames = below(l, 2) ? 0 : 1; break;
  default: e->ram_frames = below(l, e->n_pages);
  }
  e->nvme_frames = need > e->ram_frames ? need - e->ram_frames : 0;
  if (below(l, 2)) e->nvme_frames += below(l, e->n_pages);
  e->ram = &l->world.ram;
  e->nvme = e->nvme_frames ? &l->world.nvme : NULL;
  if (e->nvme_frames && below(l, 4) == 0) e->on_disk = l->on_disk;
  e->bounce_frames = below(l, 3) ? 2 + below(l, below(l, 2) ? 2 : WORLD_PAGES - 2) : 0;
}

/* The disk: as large as it was said to be, or without room for some of the slots that are not used yet. */
static void make_disk(struct life *l)
{
  uint32_t used = l->pager.nvme_used, more = l->env.nvme_frames - used;
  if (below(l, 4) == 0) l->world.room = used + below(l, more + 1);
}

static void life_begin(struct life *l, const struct emuv_policy_ops *policy, uint64_t seed)
{
  struct emuv_err err = {0};
  memset(l, 0, sizeof *l);
  l->seed = seed;
  emuv_rng_seed(&l->rng, seed);
  l->env.policy = policy;
  l->env.n_pages = 8 + below(l, WORLD_PAGES - 7);
  l->env.vram_frames = 1 + below(l, below(l, 2) ? l->env.n_pages : 6);
  l->env.page_bytes = 4096;
  l->env.seed = seed;
  l->env.initial = l->initial;
  l->env.write_through = below(l, 3) == 0;
  l->env.always_write_back = below(l, 4) == 0;
  l->env.ahead_slices = below(l, 2) ? 1 + below(l, 20) : 0;
  l->env.evict = world_evict;
  l->env.evict_arg = &l->world;
  make_tiers(l, count_initial(l));
  make_string(l);
  make_future(l);
  world_tiers(&l->world, ~seed);
  if (emuv_pager_init(&l->pager, &l->env, &err)) fail_life(l, err.text);
  world_begin(&l->world, &l->pager, &l->env);
  make_disk(l);
  if (below(l, 16) == 0) l->world.fail_in = 1 + below(l, 1000);
  check_life(l);
}

static void life_end(struct life *l)
{
  emuv_pager_free(&l->pager);
  free(l->next);
}

/* A page that has nowhere to go is a finding only where the tiers below VRAM could not hold all pages. */
static void settle(struct life *l, int64_t rc, const struct emuv_err *err, struct totals *t)
{
  const struct emuv_pager_env *e = &l->env;
  uint32_t slots = l->world.room < e->nvme_frames ? l->world.room : e->nvme_frames;
  if (rc == EMUV_ERR_IO) {
    l->ended = true;
    return;
  }
  check_life(l);
  if (rc >= 0) return;
  if (rc != EMUV_ERR_NOSPACE || !(e->on_disk || e->ram_frames + slots < e->n_pages)) fail_life(l, err->text);
  t->full++;
}

static void operate_access(struct life *l, struct totals *t)
{
  const struct emuv_page_run *run = &l->runs[l->at];
  struct emuv_pager_outcome out = {0};
  struct emuv_pager_counts before = l->pager.count;
  struct emuv_err err = {0};
  bool write = run->flags & EMUV_RUN_WRITE;
  world_call(&l->world, l->now_ns, run->first, run->n, write);
  uint64_t up = l->world.up;
  double arrival_ns = world_arrival(&l->world, run->first, run->n);
  int rc = emuv_pager_access(&l->pager, run->first, run->n, write, l->slice, l->next ? l->next + l->ref : NULL,
                             l->now_ns, &out, &err);
  world_finish(&l->world);
  settle(l, rc, &err, t);
  l->at++;
  l->ref += run->n;
  if (rc) return;
  const struct emuv_pager_counts *c = &l->pager.count;
  if (c->accesses - before.accesses != run->n) fail_life(l, "an access is not as long as its run");
  if (out.faults != c->faults - before.faults || out.faults != l->world.up - up)
    fail_life(l, "faults and copies differ");
  if (out.ready_ns < arrival_ns) fail_life(l, "ready before a page that was on its way");
  if (out.ready_ns < l->world.down_ns) fail_life(l, "ready before the frames were free");
  bool through = l->env.write_through && write;
  if (!through || below(l, 4) == 0) return;
  world_call(&l->world, l->now_ns, 0, 0, false);
  settle(l, emuv_pager_write_through(&l->pager, run->first, run->n, l->now_ns, &err), &err, t);
}

static void operate_prefetch(struct life *l, struct totals *t)
{
  struct emuv_err err = {0};
  uint32_t first = below(l, l->env.n_pages), n = 1 + below(l, l->env.n_pages - first);
  uint64_t up = l->world.up;
  double busy_ns = l->now_ns + below(l, 100);
  if (n > 8) n = 8;
  world_call(&l->world, l->now_ns, 0, 0, false);
  int64_t rc = emuv_pager_prefetch(&l->pager, first, n, l->slice, busy_ns, l->now_ns, &err);
  if (rc >= 0 && (uint64_t)rc != l->world.up - up) fail_life(l, "pages issued and pages copied differ");
  settle(l, rc, &err, t);
}

static void operate_pin(struct life *l)
{
  uint32_t first = below(l, l->env.n_pages), n = 1 + below(l, l->env.n_pages - first), before = l->pager.n_pinned;
  uint32_t leave = 1 + below(l, l->env.vram_frames), pinned = emuv_pager_pin(&l->pager, first, n, leave);
  if (l->pager.n_pinned != before + pinned) fail_life(l, "pages pinned are not counted");
  if (pinned && l->pager.n_pinned + leave > l->env.vram_frames) fail_life(l, "more pages pinned than allowed");
  check_life(l);
}

static void operate(struct life *l, struct totals *t)
{
  uint32_t dice = below(l, 64);
  l->done++;
  l->slice += dice % 4 == 0;
  l->now_ns += dice % 3 ? below(l, 500) : 0;
  if (dice < 12) {
    operate_prefetch(l, t);
  } else if (dice == 12 && below(l, 8) == 0) {
    operate_pin(l);
  } else {
    operate_access(l, t);
  }
}

static void live(struct life *l, struct totals *t)
{
  while (l->done < LIFE && l->at < RUNS && !l->ended) operate(l, t);
  t->operations += l->done;
  t->faults += l->pager.count.faults;
  t->births += l->pager.count.births;
  t->ahead += l->pager.count.ahead_used;
  t->written += l->pager.count.written_back + l->pager.count.written_through;
  t->nvme += l->pager.count.nvme_read + l->pager.count.nvme_write;
  t->pinned += l->pager.n_pinned;
  t->ended += l->ended;
  t->cancelled += l->pager.count.ahead_cancelled;
  t->wasted += l->pager.count.ahead_wasted;
  t->refused += l->pager.count.demotions_refused;
}

static void test_a_million_operations(void **unused)
{
  (void)unused;
  struct life *l = malloc(sizeof *l);
  struct totals t = {0};
  assert_non_null(l);
  for (uint64_t seed = 1; t.operations < OPERATIONS; seed++)
    for (size_t i = 0; emuv_policies[i]; i++) {
      life_begin(l, emuv_policies[i], seed);
      live(l, &t);
      life_end(l);
    }
  free(l);
  /* Every path has been taken many times. */
  assert_true(t.faults > OPERATIONS / 4 && t.births > 1000 && t.ahead > 10000 && t.written > OPERATIONS / 4);
  assert_true(t.nvme > OPERATIONS / 4 && t.pinned > 100 && t.full > 1000 && t.ended > 10);
  assert_true(t.cancelled > 1000 && t.wasted > 100 && t.refused > 100);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_million_operations),
  };
  return cmocka_run_group_tests_name("pager under random operations", tests, NULL, NULL);
}
