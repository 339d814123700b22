// SPDX-License-Identifier: Apache-2.0
/* The pager step by step: each transition of the state table in pager.h, with exact counts and times. Times come from
 * the tier `model` with flat curves: one page takes 100 ns over the link and 1000 ns from the disk. */
#include "runtime/core/pager.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { PAGES = 16, PAGE = 1000, LINK_NS = 100, DISK_NS = 1000 };

struct rig {
  struct emuv_pager pager;
  struct emuv_pager_env env;
  struct emuv_tier ram, nvme;
  uint8_t initial[PAGES];
};

static struct emuv_curve flat(double bytes_per_s)
{
  return (struct emuv_curve){.n = 1, .point = {{1, bytes_per_s}}};
}

/* Pages 0 .. with_data-1 have data at the start. */
static void rig_open(struct rig *r, uint32_t vram, uint32_t ram, uint32_t nvme, uint32_t with_data)
{
  struct emuv_err err = {0};
  memset(r, 0, sizeof *r);
  memset(r->initial, 1, with_data);
  r->ram = (struct emuv_tier){.ops = emuv_tier_find("model"), .env = {.page_bytes = PAGE}};
  r->nvme = r->ram;
  r->ram.env.read = r->ram.env.write = flat(PAGE * 1e9 / LINK_NS);
  r->nvme.env.read = r->nvme.env.write = flat(PAGE * 1e9 / DISK_NS);
  r->nvme.env.half_duplex = true;
  r->env = (struct emuv_pager_env){.n_pages = PAGES,
                                   .page_bytes = PAGE,
                                   .vram_frames = vram,
                                   .ram_frames = ram,
                                   .nvme_frames = nvme,
                                   .policy = emuv_policy_find("lru"),
                                   .initial = r->initial,
                                   .ram = &r->ram,
                                   .nvme = &r->nvme};
  assert_int_equal(emuv_pager_init(&r->pager, &r->env, &err), 0);
}

static void check(const struct rig *r)
{
  struct emuv_err err = {0};
  if (emuv_pager_check(&r->pager, &err)) fail_msg("%s", err.text);
}

static struct emuv_pager_outcome use(struct rig *r, uint32_t first, uint32_t n, bool write, uint32_t slice, double now)
{
  struct emuv_pager_outcome out = {0};
  struct emuv_err err = {0};
  if (emuv_pager_access(&r->pager, first, n, write, slice, NULL, now, &out, &err)) fail_msg("%s", err.text);
  check(r);
  return out;
}

static int64_t ahead(struct rig *r, uint32_t first, uint32_t n, uint32_t slice, double busy, double now)
{
  struct emuv_err err = {0};
  int64_t got = emuv_pager_prefetch(&r->pager, first, n, slice, busy, now, &err);
  if (got < 0) fail_msg("%s", err.text);
  check(r);
  return got;
}

static void test_fault_then_hit(void **unused)
{
  (void)unused;
  struct rig r;
  rig_open(&r, 4, PAGES, 0, PAGES);
  struct emuv_pager_outcome out = use(&r, 0, 3, false, 0, 50);
  assert_int_equal(out.faults, 3);
  assert_true(out.ready_ns == 50 + 3 * LINK_NS && !out.waits_for_nvme);
  out = use(&r, 0, 3, false, 1, 900);
  assert_int_equal(out.faults, 0);
  assert_true(out.ready_ns == 0);
  assert_int_equal(r.pager.count.hits, 3);
  assert_int_equal(r.pager.count.faults, 3);
  assert_int_equal(r.pager.state[0], EMUV_PAGE_VRAM | EMUV_PAGE_RAM);
  assert_int_equal(r.pager.peak_used, 3);
  emuv_pager_free(&r.pager);
}

static void test_clean_leaves_without_a_copy_and_dirty_with_one(void **unused)
{
  (void)unused;
  struct rig r;
  rig_open(&r, 2, PAGES, 0, PAGES);
  use(&r, 0, 1, false, 0, 0);
  use(&r, 1, 1, true, 1, 1000);
  use(&r, 2, 1, false, 2, 2000); /* takes page 0's frame */
  assert_int_equal(r.pager.count.down, 0);
  assert_int_equal(r.pager.state[0], EMUV_PAGE_RAM);
  struct emuv_pager_outcome out = use(&r, 3, 1, false, 3, 3000); /* page 1's: down first, then up */
  assert_true(out.ready_ns == 3000 + 2 * LINK_NS);
  assert_int_equal(r.pager.count.down, 1);
  assert_int_equal(r.pager.count.written_back, 1);
  assert_int_equal(r.pager.count.evicted, 2);
  assert_int_equal(r.pager.state[1], EMUV_PAGE_RAM);
  emuv_pager_free(&r.pager);
}

static void test_a_new_page_needs_no_copy_in(void **unused)
{
  (void)unused;
  struct rig r;
  rig_open(&r, 2, PAGES, 0, 0);
  struct emuv_pager_outcome out = use(&r, 5, 1, true, 0, 70);
  assert_int_equal(out.faults, 0);
  assert_int_equal(r.pager.count.births, 1);
  assert_int_equal(r.pager.count.up, 0);
  assert_int_equal(r.pager.state[5], EMUV_PAGE_VRAM | EMUV_PAGE_DIRTY);
  assert_int_equal(ahead(&r, 6, 2, 0, 0, 0), 0); /* nothing to load */
  use(&r, 6, 2, false, 1, 100);                  /* born too, and page 5 goes down */
  assert_int_equal(r.pager.count.births, 3);
  assert_int_equal(r.pager.state[5], EMUV_PAGE_RAM);
  emuv_pager_free(&r.pager);
}

static void test_loaded_ahead_is_pinned_until_used(void **unused)
{
  (void)unused;
  struct rig r;
  rig_open(&r, 3, PAGES, 0, PAGES);
  assert_int_equal(ahead(&r, 4, 8, 0, 0, 10), 2); /* one frame is left for faults */
  assert_int_equal(r.pager.state[4], EMUV_PAGE_VRAM | EMUV_PAGE_RAM | EMUV_PAGE_AHEAD);
  for (uint32_t page = 0; page < 4; page++) use(&r, page, 1, false, page, 10);
  assert_true(r.pager.state[4] & EMUV_PAGE_VRAM && r.pager.state[5] & EMUV_PAGE_VRAM);
  struct emuv_pager_outcome out = use(&r, 4, 2, false, 9, 15); /* waits for the second of them */
  assert_true(out.ready_ns == 10 + 2 * LINK_NS);
  assert_int_equal(out.faults, 0);
  assert_int_equal(r.pager.count.ahead_used, 2);
  assert_int_equal(r.pager.n_pinned, 0);
  assert_int_equal(r.pager.count.up, 6);
  assert_int_equal(r.pager.count.ahead_up, 2);
  emuv_pager_free(&r.pager);
}

/* A frame of the running slice is free only when that slice ends. */
static void test_frame_of_the_running_slice(void **unused)
{
  (void)unused;
  struct rig r;
  rig_open(&r, 2, PAGES, 0, PAGES);
  use(&r, 0, 2, false, 7, 0);
  assert_int_equal(ahead(&r, 2, 1, 7, 5000, 300), 1);
  assert_true(r.pager.ready_ns[2] == 5000 + LINK_NS);
  emuv_pager_free(&r.pager);
  rig_open(&r, 2, PAGES, 0, PAGES);
  use(&r, 0, 2, false, 6, 0);
  assert_int_equal(ahead(&r, 2, 1, 7, 5000, 300), 1); /* used by an earlier slice: free now */
  assert_true(r.pager.ready_ns[2] == 300 + LINK_NS);
  emuv_pager_free(&r.pager);
}

static void test_write_through_leaves_clean_pages(void **unused)
{
  (void)unused;
  struct rig r;
  struct emuv_err err = {0};
  rig_open(&r, 4, PAGES, 0, PAGES);
  use(&r, 0, 3, false, 0, 0);
  use(&r, 1, 1, true, 0, 0);
  assert_int_equal(emuv_pager_write_through(&r.pager, 0, 4, 900, &err), 0);
  assert_int_equal(r.pager.count.written_through, 1);
  assert_int_equal(r.pager.state[1], EMUV_PAGE_VRAM | EMUV_PAGE_RAM);
  assert_true(r.ram.write.free_ns == 900 + LINK_NS);
  check(&r);
  emuv_pager_free(&r.pager);
}

/* Two dirty pages and one RAM frame: the second copy costs the first, which must stay dirty. */
static void test_write_through_where_ram_is_tight(void **unused)
{
  (void)unused;
  struct rig r;
  struct emuv_err err = {0};
  rig_open(&r, 4, 1, PAGES, 0);
  use(&r, 0, 2, true, 0, 0);
  assert_int_equal(emuv_pager_write_through(&r.pager, 0, 2, 0, &err), 0);
  check(&r);
  assert_int_equal(r.pager.state[0], EMUV_PAGE_VRAM | EMUV_PAGE_DIRTY);
  assert_int_equal(r.pager.state[1], EMUV_PAGE_VRAM | EMUV_PAGE_RAM);
  emuv_pager_free(&r.pager);
}

static void test_unified_memory_writes_clean_pages_back(void **unused)
{
  (void)unused;
  struct rig r;
  rig_open(&r, 1, PAGES, 0, PAGES);
  r.pager.env.always_write_back = true;
  for (uint32_t i = 0; i < 5; i++) use(&r, i, 1, false, i, 0);
  assert_int_equal(r.pager.count.down, 4);
  emuv_pager_free(&r.pager);
}

static void test_pins_leave_room(void **unused)
{
  (void)unused;
  struct rig r;
  rig_open(&r, 4, PAGES, 0, PAGES);
  use(&r, 0, 4, false, 0, 0);
  assert_int_equal(emuv_pager_pin(&r.pager, 0, PAGES, 2), 2);
  assert_int_equal(emuv_pager_pin(&r.pager, 0, PAGES, 2), 0); /* never again, never more */
  check(&r);
  for (uint32_t i = 4; i < PAGES; i++) use(&r, i, 1, false, i, 0);
  assert_true(r.pager.state[0] & EMUV_PAGE_VRAM && r.pager.state[1] & EMUV_PAGE_VRAM);
  assert_int_equal(emuv_pager_pin(&r.pager, 4, PAGES - 4, 0), 2);
  struct emuv_pager_outcome out = {0};
  struct emuv_err err = {0};
  assert_int_equal(emuv_pager_access(&r.pager, 5, 1, false, 99, NULL, 0, &out, &err), EMUV_ERR_INTERNAL);
  assert_non_null(strstr(err.text, "pinned"));
  emuv_pager_free(&r.pager);
}

/* Pages 8.. lie on disk: through RAM, and the copy that came that way is given up first. */
static void test_a_page_from_disk(void **unused)
{
  (void)unused;
  struct rig r;
  rig_open(&r, 4, 8, PAGES, PAGES);
  assert_int_equal(r.pager.state[0], EMUV_PAGE_RAM | EMUV_PAGE_NVME);
  assert_int_equal(r.pager.state[8], EMUV_PAGE_NVME);
  struct emuv_pager_outcome out = use(&r, 8, 1, false, 0, 0);
  assert_true(out.waits_for_nvme && out.ready_ns == DISK_NS + LINK_NS);
  assert_int_equal(r.pager.count.faults_nvme, 1);
  assert_int_equal(r.pager.count.nvme_read, 1);
  assert_int_equal(r.pager.count.nvme_write, 0); /* the page that made room has a copy on disk */
  assert_int_equal(r.pager.state[8], EMUV_PAGE_VRAM | EMUV_PAGE_RAM | EMUV_PAGE_NVME);
  assert_int_equal(r.pager.shadows.n, 1);
  use(&r, 9, 1, false, 1, 0);
  assert_int_equal(r.pager.state[8], EMUV_PAGE_VRAM | EMUV_PAGE_NVME);
  emuv_pager_free(&r.pager);
}

/* RAM and disk together hold exactly the data: a page that goes up gives its slot to one that goes down. */
static void test_not_a_slot_to_spare(void **unused)
{
  (void)unused;
  struct rig r;
  rig_open(&r, 2, 8, 8, PAGES);
  for (uint32_t i = 0; i < 4 * PAGES; i++) use(&r, i % PAGES, 1, i % 3 == 0, i, i * 1e4);
  assert_true(r.pager.count.nvme_write > 0);
  emuv_pager_free(&r.pager);
}

static void test_no_ram_at_all(void **unused)
{
  (void)unused;
  struct rig r;
  rig_open(&r, 2, 0, PAGES, PAGES);
  struct emuv_pager_outcome out = use(&r, 0, 2, true, 0, 0);
  assert_true(out.waits_for_nvme);
  assert_int_equal(r.pager.state[0], EMUV_PAGE_VRAM | EMUV_PAGE_NVME | EMUV_PAGE_DIRTY);
  use(&r, 2, 2, false, 1, 1e6);
  assert_int_equal(r.pager.count.nvme_write, 2);
  assert_int_equal(r.pager.count.written_back, 2);
  assert_int_equal(r.pager.ram_used, 0);
  emuv_pager_free(&r.pager);
}

static void test_nowhere_to_go(void **unused)
{
  (void)unused;
  struct rig r;
  struct emuv_pager_outcome out = {0};
  struct emuv_err err = {0};
  rig_open(&r, 2, 1, 0, 0);
  use(&r, 0, 2, true, 0, 0);
  use(&r, 2, 1, true, 1, 0); /* page 0 takes the one RAM frame */
  assert_int_equal(emuv_pager_access(&r.pager, 3, 1, true, 2, NULL, 0, &out, &err), EMUV_ERR_NOSPACE);
  assert_non_null(strstr(err.text, "nowhere to go"));
  check(&r);
  struct emuv_pager_counts before = r.pager.count;
  assert_true(r.pager.state[1] & EMUV_PAGE_VRAM && r.pager.state[2] & EMUV_PAGE_VRAM && !r.pager.state[3]);
  use(&r, 1, 2, true, 3, 0); /* what needs no space goes on */
  assert_int_equal(r.pager.count.hits, before.hits + 2);
  emuv_pager_free(&r.pager);
}

/* A disk that is full before its last slot. */
static int refusing_write(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                          double *done_ns, struct emuv_err *err)
{
  uint32_t *left = tier->owner;
  (void)moves;
  if (n > *left) return emuv_err_set(err, EMUV_ERR_NOSPACE, "the disk is full");
  *left -= n;
  *done_ns = earliest_ns;
  return 0;
}

/* Four pages have to leave one frame of VRAM for one of RAM and a disk that takes two. */
static void test_a_disk_that_is_full_too_early(void **unused)
{
  (void)unused;
  struct rig r;
  struct emuv_pager_outcome out = {0};
  struct emuv_err err = {0};
  uint32_t left = 2;
  rig_open(&r, 1, 1, 8, 0);
  struct emuv_tier_ops ops = *r.nvme.ops;
  ops.write = refusing_write;
  r.nvme.ops = &ops;
  r.nvme.owner = &left;
  for (uint32_t page = 0; page < 4; page++) use(&r, page, 1, true, page, 0);
  assert_int_equal(r.pager.nvme_used, 2);
  assert_int_equal(emuv_pager_access(&r.pager, 4, 1, true, 4, NULL, 0, &out, &err), EMUV_ERR_NOSPACE);
  check(&r);
  assert_int_equal(r.pager.env.nvme_frames, 2);
  assert_int_equal(r.pager.count.demotions_refused, 1);
  assert_int_equal(r.pager.state[3], EMUV_PAGE_VRAM | EMUV_PAGE_DIRTY);
  use(&r, 3, 1, true, 5, 0);
  emuv_pager_free(&r.pager);
}

/* Homes are fixed, and the disk has no room for a page that has changed: a page that has a copy in RAM leaves. */
static void test_another_page_leaves(void **unused)
{
  (void)unused;
  struct rig r;
  struct emuv_err err = {0};
  uint8_t on_disk[PAGES] = {[8] = 1, [9] = 1};
  rig_open(&r, 1, PAGES, 0, PAGES);
  emuv_pager_free(&r.pager);
  memset(r.initial + 8, 0, 8);
  r.env.vram_frames = 2;
  r.env.ram_frames = 8;
  r.env.nvme_frames = 0;
  r.env.on_disk = on_disk;
  assert_int_equal(emuv_pager_init(&r.pager, &r.env, &err), 0);
  use(&r, 8, 1, true, 0, 0);  /* nowhere below for it */
  use(&r, 0, 1, false, 1, 0); /* has its copy in RAM */
  use(&r, 1, 1, false, 2, 0); /* page 8 is the oldest, and stays */
  assert_int_equal(r.pager.state[8], EMUV_PAGE_VRAM | EMUV_PAGE_DIRTY);
  assert_int_equal(r.pager.state[0], EMUV_PAGE_RAM);
  assert_int_equal(r.pager.count.demotions_refused, 1);
  assert_int_equal(r.pager.count.down, 0);
  emuv_pager_free(&r.pager);
}

static void test_what_is_not_used_in_time_is_cancelled(void **unused)
{
  (void)unused;
  struct rig r;
  struct emuv_err err = {0};
  rig_open(&r, 4, PAGES, 0, PAGES);
  emuv_pager_free(&r.pager);
  r.env.ahead_slices = 3;
  assert_int_equal(emuv_pager_init(&r.pager, &r.env, &err), 0);
  assert_int_equal(ahead(&r, 4, 3, 10, 0, 0), 3);
  use(&r, 4, 1, false, 13, 1000); /* in time */
  assert_int_equal(r.pager.n_pinned, 2);
  use(&r, 4, 1, false, 14, 1000);
  assert_int_equal(r.pager.n_pinned, 0);
  assert_int_equal(r.pager.count.ahead_cancelled, 2);
  assert_int_equal(r.pager.state[5], EMUV_PAGE_VRAM | EMUV_PAGE_RAM | EMUV_PAGE_LATE);
  use(&r, 5, 1, false, 15, 1000); /* late, but of use */
  use(&r, 0, 2, false, 16, 1000); /* page 6 is the oldest */
  assert_int_equal(r.pager.count.ahead_used, 2);
  assert_int_equal(r.pager.count.ahead_wasted, 1);
  assert_int_equal(r.pager.state[6], EMUV_PAGE_RAM);
  emuv_pager_free(&r.pager);
}

/* The order of what is asked of tiers and hook, as text. */
struct script {
  char text[200];
  size_t n;
};

static int note(struct script *s, char what, const struct emuv_move *moves, uint32_t n)
{
  for (uint32_t i = 0; i < n; i++)
    s->n += (size_t)snprintf(s->text + s->n, sizeof s->text - s->n, "%c%u", i ? ',' : what, moves[i].page);
  s->n += (size_t)snprintf(s->text + s->n, sizeof s->text - s->n, " ");
  return 0;
}

static int note_read(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                     double *done_ns, struct emuv_err *err)
{
  (void)err;
  *done_ns = earliest_ns;
  return note(tier->owner, tier->env.half_duplex ? 'r' : 'u', moves, n);
}

static int note_write(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                      double *done_ns, struct emuv_err *err)
{
  (void)err;
  *done_ns = earliest_ns;
  return note(tier->owner, tier->env.half_duplex ? 'w' : 'd', moves, n);
}

static int note_evict(void *arg, uint32_t page, uint32_t frame, struct emuv_err *err)
{
  struct emuv_move move = {.page = page, .upper = frame};
  (void)err;
  return note(arg, 'e', &move, 1);
}

/* r, w: disk; u, d: link; e: hook. */
static void check_script(const struct emuv_pager_env *shape, bool write, const char *expected)
{
  static const struct emuv_tier_ops ops = {.name = "script", .summary = "", .read = note_read, .write = note_write};
  struct script script = {.n = 0};
  struct emuv_err err = {0};
  struct emuv_pager_outcome out = {0};
  struct rig r;
  rig_open(&r, 1, PAGES, 0, PAGES);
  emuv_pager_free(&r.pager);
  r.ram = (struct emuv_tier){.ops = &ops, .owner = &script};
  r.nvme = (struct emuv_tier){.ops = &ops, .owner = &script, .env.half_duplex = true};
  r.env.vram_frames = shape->vram_frames;
  r.env.ram_frames = shape->ram_frames;
  r.env.nvme_frames = shape->nvme_frames;
  r.env.bounce_frames = shape->bounce_frames;
  r.env.policy = shape->policy;
  r.env.evict = note_evict;
  r.env.evict_arg = &script;
  assert_int_equal(emuv_pager_init(&r.pager, &r.env, &err), 0);
  assert_int_equal(emuv_pager_access(&r.pager, 0, 4, write, 0, NULL, 0, &out, &err), 0);
  check(&r);
  assert_string_equal(script.text, expected);
  emuv_pager_free(&r.pager);
}

/* Four pages through two frames, or one. */
static void test_order_of_the_data(void **unused)
{
  (void)unused;
  const struct emuv_policy_ops *lru = emuv_policy_find("lru"), *mru = emuv_policy_find("mru");
  struct emuv_pager_env shape = {.vram_frames = 2, .ram_frames = PAGES, .policy = lru};
  check_script(&shape, false, "u0,1 e0 e1 u2,3 ");
  check_script(&shape, true, "u0,1 e0 e1 d0,1 u2,3 ");
  shape.policy = mru; /* each takes the frame of the one before */
  check_script(&shape, true, "u0,1 e1 d1 u2 e2 d2 u3 ");
  shape = (struct emuv_pager_env){.vram_frames = 4, .nvme_frames = PAGES, .bounce_frames = 4, .policy = lru};
  check_script(&shape, false, "r0,1 u0,1 r2,3 u2,3 "); /* half of the bounce frames at a time */
  shape.vram_frames = 2;
  shape.bounce_frames = 2;
  check_script(&shape, true, "r0 u0 r1 u1 r2 e0 e1 d0 w0 d1 w1 u2 r3 u3 ");
}

static void test_what_cannot_be_opened(void **unused)
{
  (void)unused;
  struct rig r;
  struct emuv_err err = {0};
  struct emuv_pager p;
  rig_open(&r, 1, PAGES, 0, PAGES);
  emuv_pager_free(&r.pager);
  struct emuv_pager_env env = r.env;
  env.vram_frames = 0;
  assert_int_equal(emuv_pager_init(&p, &env, &err), EMUV_ERR_RANGE);
  env = r.env;
  env.n_pages = 0;
  assert_int_equal(emuv_pager_init(&p, &env, &err), EMUV_ERR_RANGE);
  env = r.env;
  env.nvme_frames = 1;
  env.nvme = NULL;
  assert_int_equal(emuv_pager_init(&p, &env, &err), EMUV_ERR_RANGE);
  env = r.env;
  env.bounce_frames = 1;
  assert_int_equal(emuv_pager_init(&p, &env, &err), EMUV_ERR_RANGE);
  env = r.env;
  env.ram_frames = PAGES - 1;
  assert_int_equal(emuv_pager_init(&p, &env, &err), EMUV_ERR_NOSPACE);
  assert_non_null(strstr(err.text, "page 15 of 16"));
  assert_null(p.block);
}

/* The checker itself: each kind of damage is found. */
static void test_the_checker_finds_damage(void **unused)
{
  (void)unused;
  static const struct damage {
    const char *expected;
    uint32_t page;
    uint8_t state, pinned;
  } damages[] = {
      {"only copy", 0, EMUV_PAGE_VRAM, 0},
      {"dirty or ahead", 9, EMUV_PAGE_RAM | EMUV_PAGE_DIRTY, 0},
      {"not pinned", 0, EMUV_PAGE_VRAM | EMUV_PAGE_RAM | EMUV_PAGE_AHEAD, 0},
      {"pinned but not", 9, EMUV_PAGE_RAM, 1},
      {"its data is gone", 9, 0, 0},
      {"pages in VRAM", 9, EMUV_PAGE_VRAM | EMUV_PAGE_RAM, 0},
      {"pages on NVMe", 9, EMUV_PAGE_RAM | EMUV_PAGE_NVME, 0},
      {"pages loaded ahead", 0, EMUV_PAGE_VRAM | EMUV_PAGE_RAM | EMUV_PAGE_AHEAD, 1},
      {"pinned pages", 0, EMUV_PAGE_VRAM | EMUV_PAGE_RAM, 1},
  };
  for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
    struct rig r;
    struct emuv_err err = {0};
    rig_open(&r, 4, PAGES, 0, PAGES);
    use(&r, 0, 4, false, 0, 0);
    r.pager.state[damages[i].page] = damages[i].state;
    r.pager.pinned[damages[i].page] = damages[i].pinned;
    assert_int_equal(emuv_pager_check(&r.pager, &err), EMUV_ERR_INTERNAL);
    if (!strstr(err.text, damages[i].expected)) fail_msg("'%s' instead of '%s'", err.text, damages[i].expected);
    emuv_pager_free(&r.pager);
  }
}

static void test_the_checker_finds_wrong_books(void **unused)
{
  (void)unused;
  for (int i = 0; i < 12; i++) {
    struct rig r;
    struct emuv_err err = {0};
    rig_open(&r, 4, 6, PAGES, PAGES);
    use(&r, 0, 4, false, 0, 0);
    struct emuv_pager *p = &r.pager;
    uint64_t *const counts[] = {&p->count.hits, &p->count.fault_up, &p->count.written_back, &p->count.ahead_used};
    if (i < 4) *counts[i] += 1;
    if (i == 4) p->env.vram_frames = 3;
    if (i == 5) p->env.ram_frames = 5;
    if (i == 6) p->env.nvme_frames = 9;
    if (i == 7) p->vram_frame[0] = p->vram_frame[1];
    if (i == 8) p->vram_frame[0] = 4;
    if (i == 9) p->ram_frame[1] = p->ram_frame[0];
    if (i == 10) p->ram_free.n--;
    if (i == 11) p->nvme_slot[3] = p->nvme_slot[2];
    assert_int_equal(emuv_pager_check(p, &err), EMUV_ERR_INTERNAL);
    emuv_pager_free(p);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fault_then_hit),
      cmocka_unit_test(test_clean_leaves_without_a_copy_and_dirty_with_one),
      cmocka_unit_test(test_a_new_page_needs_no_copy_in),
      cmocka_unit_test(test_loaded_ahead_is_pinned_until_used),
      cmocka_unit_test(test_frame_of_the_running_slice),
      cmocka_unit_test(test_write_through_leaves_clean_pages),
      cmocka_unit_test(test_write_through_where_ram_is_tight),
      cmocka_unit_test(test_unified_memory_writes_clean_pages_back),
      cmocka_unit_test(test_pins_leave_room),
      cmocka_unit_test(test_a_page_from_disk),
      cmocka_unit_test(test_not_a_slot_to_spare),
      cmocka_unit_test(test_no_ram_at_all),
      cmocka_unit_test(test_nowhere_to_go),
      cmocka_unit_test(test_a_disk_that_is_full_too_early),
      cmocka_unit_test(test_another_page_leaves),
      cmocka_unit_test(test_what_is_not_used_in_time_is_cancelled),
      cmocka_unit_test(test_order_of_the_data),
      cmocka_unit_test(test_what_cannot_be_opened),
      cmocka_unit_test(test_the_checker_finds_damage),
      cmocka_unit_test(test_the_checker_finds_wrong_books),
  };
  return cmocka_run_group_tests_name("pager", tests, NULL, NULL);
}
