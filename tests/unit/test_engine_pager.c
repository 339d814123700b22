// SPDX-License-Identifier: Apache-2.0
/* The pager's decisions carried out by the engine on the device `host`: every policy, RAM that is large, tight, split
 * by fixed homes or absent, loading ahead and write-through, on links and a disk of finite speed. Every page that a
 * kernel reads is checked, every copy is audited, and what was moved is what the pager counted. */
#include "runtime/core/rng.h"
#include "runtime/engine/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PAGES = 40, REFS = 900, PER_SLICE = 4, PAGE = 4096, BOUNCE = 4 };

struct shape {
  const char *name;
  uint32_t vram, ram, slots;
  bool fixed_homes, write_through, ahead;
  uint32_t peer;
};

static const struct shape shapes[] = {
    {"all in RAM", 8, PAGES, 0, false, false, true, 0},
    {"tiny VRAM", 1, PAGES, 0, false, false, false, 0},
    {"write-through", 6, PAGES, 0, false, true, true, 0},
    {"RAM is tight", 7, 11, PAGES, false, false, true, 0},
    {"RAM is tight, write-through", 7, 11, PAGES, false, true, false, 0},
    {"fixed homes", 7, PAGES / 2 + 2, PAGES, true, false, true, 0},
    {"no RAM", 7, 0, PAGES, false, false, true, 0},
    {"a part in another GPU", 7, PAGES, 0, false, false, true, 13},
    {"all in another GPU", 7, PAGES, 0, false, true, true, PAGES},
};

struct trial {
  const struct shape *shape;
  struct emuv_engine *engine;
  struct emuv_pager pager;
  struct emuv_tier ram, nvme;
  struct emuv_use use[PER_SLICE];
  uint32_t n_uses;
  uint32_t page[REFS], next[REFS], first_use[PAGES], writes[PAGES];
  bool write[REFS];
  uint8_t initial[PAGES], on_disk[PAGES];
  uint64_t seq;
  struct emuv_err err;
};

static void must(struct trial *t, int rc)
{
  if (rc) print_error("%s: %s\n", t->shape->name, t->err.text);
  assert_int_equal(rc, 0);
}

static void make_program(struct trial *t, uint64_t seed)
{
  struct emuv_rng rng;
  emuv_rng_seed(&rng, seed);
  for (uint32_t i = 0; i < REFS; i++) {
    bool again;
    do {
      t->page[i] = (uint32_t)emuv_rng_below(&rng, emuv_rng_below(&rng, 2) ? PAGES : PAGES / 4);
      again = false;
      for (uint32_t k = i - i % PER_SLICE; k < i; k++) again |= t->page[k] == t->page[i];
    } while (again);
    t->write[i] = emuv_rng_below(&rng, 3) == 0;
  }
  for (uint32_t p = 0; p < PAGES; p++) {
    t->first_use[p] = EMUV_NEVER;
    t->initial[p] = p % 7 != 0;
    t->on_disk[p] = p & 1;
  }
  for (uint32_t i = REFS; i-- > 0;) {
    t->next[i] = t->first_use[t->page[i]];
    t->first_use[t->page[i]] = i;
  }
}

static int launch(struct trial *t, struct emuv_err *err)
{
  uint32_t n = t->n_uses;
  t->n_uses = 0;
  return n ? emuv_engine_launch(t->engine, t->use, n, 20000, &t->seq, err) : 0;
}

/* A page of the slice leaves: what has been gathered runs before its frame is used again. */
static int evicted(void *arg, uint32_t page, uint32_t frame, struct emuv_err *err)
{
  struct trial *t = arg;
  (void)frame;
  for (uint32_t i = 0; i < t->n_uses; i++)
    if (t->use[i].page == page) return launch(t, err);
  return 0;
}

static void open_trial(struct trial *t, const struct emuv_policy_ops *policy)
{
  const struct shape *s = t->shape;
  const char *folder = getenv("TMPDIR");
  struct emuv_curve link = {.n = 1, .point = {{.bytes = PAGE, .bytes_per_s = 4e8}}};
  struct emuv_engine_env env = {.device = emuv_device_find("host"),
                                .page_bytes = PAGE,
                                .n_pages = PAGES,
                                .vram_frames = s->vram,
                                .ram_frames = s->ram,
                                .bounce_frames = BOUNCE,
                                .nvme_slots = s->slots,
                                .disk_path = s->slots ? folder ? folder : "/tmp" : NULL,
                                .peer_bytes = (uint64_t)s->peer * PAGE,
                                .verify = EMUV_VERIFY_FULL,
                                .threads = 1,
                                .up = link,
                                .down = link};
  must(t, emuv_engine_open(&env, &t->engine, &t->err));
  emuv_engine_tiers(t->engine, &t->ram, &t->nvme);
  struct emuv_pager_env p = {.n_pages = PAGES,
                             .page_bytes = PAGE,
                             .vram_frames = s->vram,
                             .ram_frames = s->ram,
                             .nvme_frames = s->slots,
                             .bounce_frames = BOUNCE,
                             .policy = policy,
                             .n_refs = REFS,
                             .write_through = s->write_through,
                             .initial = t->initial,
                             .on_disk = s->fixed_homes ? t->on_disk : NULL,
                             .first_use = t->first_use,
                             .ram = &t->ram,
                             .nvme = &t->nvme,
                             .evict = evicted,
                             .evict_arg = t};
  must(t, emuv_pager_init(&t->pager, &p, &t->err));
  must(t, emuv_engine_fill(t->engine, &t->pager, &t->err));
}

static void reference(struct trial *t, uint32_t i, uint32_t slice)
{
  struct emuv_pager_outcome out = {0};
  uint32_t page = t->page[i];
  bool unborn = t->pager.state[page] == 0, write = t->write[i] || unborn;
  must(t, emuv_pager_access(&t->pager, page, 1, write, slice, t->next + i, 0, &out, &t->err));
  t->use[t->n_uses++] = (struct emuv_use){.page = page,
                                          .frame = t->pager.vram_frame[page],
                                          .read = !unborn,
                                          .write = write,
                                          .fresh = unborn,
                                          .bytes = PAGE / 4};
  t->writes[page] += write;
}

static void slice(struct trial *t, uint32_t index)
{
  uint32_t first = index * PER_SLICE, end = first + PER_SLICE;
  emuv_engine_gate(t->engine, t->seq);
  for (uint32_t i = first; i < end; i++) reference(t, i, index);
  must(t, launch(t, &t->err));
  for (uint32_t i = first; i < end && t->shape->write_through; i++)
    must(t, emuv_pager_write_through(&t->pager, t->page[i], 1, 0, &t->err));
  for (uint32_t i = end; i < end + 2 && i < REFS && t->shape->ahead; i++)
    assert_true(emuv_pager_prefetch(&t->pager, t->page[i], 1, index, 0, 0, &t->err) >= 0);
  must(t, emuv_engine_tend(t->engine, &t->pager, &t->err));
}

static void check(struct trial *t)
{
  const struct emuv_pager_counts *c = &t->pager.count;
  struct emuv_engine_stats s;
  struct emuv_damage d;
  uint64_t copies = 0;
  must(t, emuv_engine_drain(t->engine, &t->err));
  must(t, emuv_pager_check(&t->pager, &t->err));
  emuv_engine_stats(t->engine, &s);
  assert_int_equal(s.up_bytes, c->up * PAGE);
  assert_int_equal(s.down_bytes, c->down * PAGE);
  assert_int_equal(s.disk_read_bytes, c->nvme_read * PAGE);
  assert_int_equal(s.disk_write_bytes, c->nvme_write * PAGE);
  assert_true(t->shape->peer < PAGES ? s.peer_up_bytes < s.up_bytes : s.peer_up_bytes == s.up_bytes);
  assert_int_equal(s.peer_up_bytes != 0 && s.peer_down_bytes != 0, t->shape->peer != 0);
  must(t, emuv_engine_audit(t->engine, &t->pager, &copies, &t->err));
  while (emuv_engine_damage(t->engine, &d, 1))
    print_error("%s, %s: page %u version %u kernel %llu offset %llu: %s\n", t->shape->name, t->pager.env.policy->name,
                d.page, d.version, (unsigned long long)d.kernel, (unsigned long long)d.offset, d.path);
  emuv_engine_stats(t->engine, &s);
  assert_int_equal(s.mismatches, 0);
  assert_true(s.checked_bytes > 0);
  uint32_t pages = 0;
  for (uint32_t p = 0; p < PAGES; p++) {
    assert_int_equal(emuv_engine_version(t->engine, p), t->writes[p]);
    pages += t->pager.state[p] != 0;
  }
  assert_true(copies >= pages);
}

static void run_shape(const struct shape *shape)
{
  struct trial *t = malloc(sizeof *t);
  assert_non_null(t);
  for (size_t i = 0; emuv_policies[i]; i++) {
    memset(t, 0, sizeof *t);
    t->shape = shape;
    make_program(t, i);
    open_trial(t, emuv_policies[i]);
    for (uint32_t k = 0; k < REFS / PER_SLICE; k++) slice(t, k);
    check(t);
    emuv_pager_free(&t->pager);
    emuv_engine_close(t->engine);
  }
  free(t);
}

static void test_ram_holds_all(void **state)
{
  (void)state;
  for (int i = 0; i < 3; i++) run_shape(&shapes[i]);
}

static void test_ram_is_tight(void **state)
{
  (void)state;
  for (int i = 3; i < 5; i++) run_shape(&shapes[i]);
}

static void test_fixed_homes(void **state)
{
  (void)state;
  run_shape(&shapes[5]);
}

static void test_no_ram(void **state)
{
  (void)state;
  run_shape(&shapes[6]);
}

static void test_another_gpu(void **state)
{
  (void)state;
  run_shape(&shapes[7]);
  run_shape(&shapes[8]);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ram_holds_all), cmocka_unit_test(test_ram_is_tight), cmocka_unit_test(test_fixed_homes),
      cmocka_unit_test(test_no_ram),        cmocka_unit_test(test_another_gpu),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
