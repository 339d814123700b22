// SPDX-License-Identifier: Apache-2.0
/* What goes wrong on purpose: inverted bits in each tier and torn transfers are found, named and repaired, once each;
 * other faults are survived or end in one named failure that every later call returns; checkpoints carry on. */
#include "engine_world.h"

static const char *disk_folder(void)
{
  const char *folder = getenv("TMPDIR");
  return folder ? folder : "/tmp";
}

static bool one_bit(uint64_t x)
{
  return x && !(x & (x - 1));
}

static void test_flips(void **state)
{
  static const char *const rules[] = {"flip-vram:every=7", "flip-ram:every=5", "flip-nvme:every=9"};
  static const char *const place[] = {"vram", "ram", "nvme"};
  struct emuv_engine_stats stats;
  struct emuv_damage damage;
  struct world w;
  (void)state;
  for (size_t i = 0; i < 4; i++) {
    bool seen = false;
    uint64_t copies, reports = 0;
    world_env(&w, disk_folder(), EMUV_VERIFY_FULL);
    world_inject(&w, i < 3 ? &rules[i] : rules, i < 3 ? 1 : 3);
    world_open(&w, 100 + i, WORLD_PAGES);
    world_run(&w, 250);
    assert_int_equal(w.rc, 0);
    assert_int_equal(emuv_engine_audit(w.engine, &w.pager, &copies, &w.err), 0);
    for (; emuv_engine_damage(w.engine, &damage, 1); reports++) {
      assert_true(one_bit(damage.expected ^ damage.found));
      assert_true(damage.expected ==
                  emuv_content_word(emuv_content_seed(damage.page, damage.version), damage.offset / 8));
      seen |= i == 3 || strstr(damage.path, place[i]) != NULL;
    }
    emuv_engine_stats(w.engine, &stats);
    assert_true(stats.flipped > 20 && seen);
    assert_int_equal(stats.flips_found, reports);
    assert_int_equal(stats.mismatches, reports);
    assert_int_equal(stats.flipped, stats.flips_found + stats.flips_overwritten);
    assert_true(stats.flips_found * 4 > stats.flipped);
    assert_int_equal(emuv_engine_audit(w.engine, &w.pager, &copies, &w.err), 0); /* all is repaired */
    assert_int_equal(emuv_engine_damage(w.engine, &damage, 1), 0);
    world_close(&w);
  }
}

/* A bit inverted on the disk is found by the kernel that uses the page, with the way that it came. */
static void test_path(void **state)
{
  static const char *const rules[] = {"flip-nvme:once"};
  struct emuv_use use = {.read = true, .bytes = 16};
  struct emuv_damage damage;
  uint8_t keep[WORLD_MAX] = {0};
  struct world w;
  (void)state;
  world_env(&w, disk_folder(), EMUV_VERIFY_FULL);
  w.env.n_pages = WORLD_RAM + 1; /* one is on the disk */
  world_inject(&w, rules, 1);
  world_open(&w, 1, WORLD_RAM + 1);
  assert_int_equal(emuv_engine_tend(w.engine, &w.pager, &w.err), 0);
  use.page = WORLD_RAM;
  world_bring(&w, use.page, keep);
  use.frame = w.vram_frame[use.page];
  assert_int_equal(emuv_engine_launch(w.engine, &use, 1, 0, &w.seq, &w.err), 0);
  uint64_t first = w.seq;
  for (int i = 0; i < 3; i++) assert_int_equal(emuv_engine_launch(w.engine, &use, 1, 0, &w.seq, &w.err), 0);
  assert_int_equal(emuv_engine_drain(w.engine, &w.err), 0);
  assert_int_equal(emuv_engine_damage(w.engine, &damage, 1), 1);
  assert_string_equal(damage.path, "nvme > ram > vram");
  assert_int_equal(damage.page, WORLD_RAM);
  assert_int_equal(damage.kernel, first);
  assert_int_equal(emuv_engine_damage(w.engine, &damage, 1), 0);
  world_close(&w);
}

static void test_torn(void **state)
{
  static const char *const rules[] = {"nvme-read-torn:every=10", "nvme-write-torn:every=10"};
  struct emuv_engine_stats stats;
  struct emuv_damage damage;
  struct world w;
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    uint64_t copies;
    world_env(&w, disk_folder(), EMUV_VERIFY_FULL);
    world_inject(&w, &rules[i], 1);
    world_open(&w, 200 + i, WORLD_RAM);
    world_run(&w, 250);
    assert_int_equal(w.rc, 0);
    assert_int_equal(emuv_engine_audit(w.engine, &w.pager, &copies, &w.err), 0);
    emuv_engine_stats(w.engine, &stats);
    assert_true(stats.errors_injected > 0 && stats.mismatches > 0);
    assert_int_equal(emuv_engine_damage(w.engine, &damage, 1), 1);
    assert_non_null(strstr(damage.path, "nvme"));
    assert_true(damage.offset >= WORLD_PAGE / 2);
    world_close(&w);
  }
}

/* What is survived: the data is right, and what had to be done without is told. */
static void test_survived(void **state)
{
  static const char *const rules[] = {"nvme-direct",
                                      "nvme-uring",
                                      "pin-refused",
                                      "nvme-read-eio:every=50",
                                      "nvme-write-eio:every=50",
                                      "nvme-read-short:every=3",
                                      "nvme-write-short:every=3"};
  struct emuv_engine_stats stats;
  struct world w;
  (void)state;
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    world_env(&w, disk_folder(), EMUV_VERIFY_FULL);
    world_inject(&w, &rules[i], 1);
    world_open(&w, 300 + i, WORLD_PAGES);
    world_run(&w, 150);
    world_check(&w);
    emuv_engine_stats(w.engine, &stats);
    assert_true(stats.errors_injected > 0);
    if (i < 3) assert_true(stats.remark[0] != 0);
    world_close(&w);
  }
}

static void test_cannot_open(void **state)
{
  static const struct {
    const char *rule;
    int code;
  } cases[] = {{"nvme-open", EMUV_ERR_IO}, {"host-nomem", EMUV_ERR_NOMEM}, {"device-nomem", EMUV_ERR_NOMEM}};
  struct world w;
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    world_env(&w, disk_folder(), EMUV_VERIFY_FULL);
    world_inject(&w, &cases[i].rule, 1);
    assert_int_equal(world_try_open(&w, 0), cases[i].code);
    assert_true(w.err.text[0] != 0);
    world_close(&w);
  }
  world_env(&w, "/nonexistent/folder/file", EMUV_VERIFY_FULL);
  assert_int_equal(world_try_open(&w, 0), EMUV_ERR_IO);
  world_close(&w);
  world_env(&w, NULL, EMUV_VERIFY_FULL);
  w.env.page_bytes = 1000;
  assert_int_equal(world_try_open(&w, 0), EMUV_ERR_RANGE);
  world_close(&w);
}

/* What cannot be survived fails once, by name, and for good. */
static void test_fails_for_good(void **state)
{
  static const struct {
    const char *rule, *text;
    int code;
  } cases[] = {
      {"nvme-read-eio:after=4", "read of slot", EMUV_ERR_IO},
      {"nvme-write-eio:after=30", "write of slot", EMUV_ERR_IO},
      {"nvme-write-enospc:after=30", "write of slot", EMUV_ERR_NOSPACE},
      {"copy-error:after=20", "", EMUV_ERR_IO},
      {"launch-error:after=20", "", EMUV_ERR_IO},
      {"device-lost:after=40", "", EMUV_ERR_IO},
  };
  struct emuv_move move = {0};
  struct emuv_use use = {.read = true, .bytes = 16};
  struct world w;
  uint64_t copies;
  double done;
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    world_env(&w, disk_folder(), EMUV_VERIFY_FULL);
    world_inject(&w, &cases[i].rule, 1);
    w.env.up = world_curve(2e8);
    world_open(&w, 400 + i, WORLD_PAGES);
    for (int k = 0; k < 20 && !w.rc; k++) {
      world_run(&w, 50);
      if (!w.rc) world_note(&w, emuv_engine_drain(w.engine, &w.err));
    }
    assert_int_equal(w.rc, cases[i].code);
    assert_non_null(strstr(w.err.text, cases[i].text));
    struct emuv_err first = w.err;
    assert_int_equal(emuv_engine_launch(w.engine, &use, 1, 0, &w.seq, &w.err), w.rc);
    assert_int_equal(w.ram.ops->read(&w.ram, &move, 1, 0, &done, &w.err), w.rc);
    assert_int_equal(w.nvme.ops->write(&w.nvme, &move, 1, 0, &done, &w.err), w.rc);
    assert_int_equal(emuv_engine_drain(w.engine, &w.err), w.rc);
    assert_int_equal(emuv_engine_tend(w.engine, &w.pager, &w.err), w.rc);
    assert_int_equal(emuv_engine_audit(w.engine, &w.pager, &copies, &w.err), w.rc);
    assert_string_equal(first.text, w.err.text);
    world_close(&w);
  }
}

/* A disk that is full says so before anything has moved, and the engine goes on. */
static void test_full_disk(void **state)
{
  static const char *const rules[] = {"nvme-reserve"};
  struct emuv_move move = {.page = 0, .upper = 0, .lower = 3};
  struct emuv_engine_stats stats;
  struct world w;
  double done;
  (void)state;
  world_env(&w, disk_folder(), EMUV_VERIFY_FULL);
  world_inject(&w, rules, 1);
  world_open(&w, 1, WORLD_RAM);
  assert_int_equal(w.nvme.ops->write(&w.nvme, &move, 1, 0, &done, &w.err), EMUV_ERR_NOSPACE);
  emuv_engine_stats(w.engine, &stats);
  assert_int_equal(stats.disk_write_bytes, 0);
  world_check(&w);
  world_close(&w);
}

/* At any moment, with all kinds of work in flight. */
static void test_close_at_any_moment(void **state)
{
  struct world w;
  (void)state;
  for (uint32_t slices = 1; slices < 200; slices += 13) {
    world_env(&w, slices & 1 ? disk_folder() : NULL, EMUV_VERIFY_FULL);
    w.env.up = w.env.down = world_curve(5e7);
    world_open(&w, slices, WORLD_PAGES);
    world_run(&w, slices);
    assert_int_equal(w.rc, 0);
    world_close(&w);
  }
}

static void save_all(struct world *w, uint64_t (*word)[WORLD_PAGE / 8])
{
  assert_int_equal(emuv_engine_drain(w->engine, &w->err), 0);
  for (uint32_t i = 0; i < w->env.n_pages; i++)
    if (w->state[i]) assert_int_equal(emuv_engine_save(w->engine, &w->pager, i, word[i], &w->err), 0);
}

/* The decisions again without moving anything, then the saved contents: the same state, and it runs on. */
static void check_checkpoint(const char *disk, uint64_t peer_bytes)
{
  static uint64_t word[WORLD_MAX][WORLD_PAGE / 8];
  struct emuv_engine_stats stats;
  struct world a, b;
  world_env(&a, disk, EMUV_VERIFY_FULL);
  a.env.peer_bytes = peer_bytes;
  world_open(&a, 77, WORLD_PAGES - 4);
  world_run(&a, 150);
  save_all(&a, word);
  world_env(&b, disk, EMUV_VERIFY_FULL);
  b.env.peer_bytes = peer_bytes;
  assert_int_equal(world_try_open(&b, 77), 0);
  world_place(&b, WORLD_PAGES - 4);
  emuv_engine_skim(b.engine, true);
  world_run(&b, 150);
  emuv_engine_skim(b.engine, false);
  assert_memory_equal(a.state, b.state, sizeof a.state);
  for (uint32_t i = 0; i < b.env.n_pages; i++) {
    assert_int_equal(emuv_engine_version(b.engine, i), emuv_engine_version(a.engine, i));
    if (b.state[i])
      assert_int_equal(emuv_engine_load(b.engine, &b.pager, i, emuv_engine_version(a.engine, i), word[i], &b.err), 0);
  }
  emuv_engine_stats(b.engine, &stats);
  assert_int_equal(stats.up_bytes + stats.down_bytes + stats.launches, 0);
  b.up = b.down = 0;
  world_run(&a, 150);
  world_run(&b, 150);
  world_check(&a);
  world_check(&b);
  assert_memory_equal(a.writes, b.writes, sizeof a.writes);
  world_close(&a);
  world_close(&b);
}

static void test_checkpoint(void **state)
{
  (void)state;
  check_checkpoint(disk_folder(), 0);
  check_checkpoint(NULL, 9 * WORLD_PAGE);
}

/* Every bit that is inverted in another GPU's memory is found, by name, and repaired there. */
static void test_flips_in_another_gpu(void **state)
{
  static const char *const rules[] = {"flip-ram:every=3"};
  struct emuv_engine_stats stats;
  struct emuv_damage damage;
  struct world w;
  uint64_t copies, seen = 0;
  (void)state;
  world_env(&w, NULL, EMUV_VERIFY_FULL);
  world_inject(&w, rules, 1);
  w.env.peer_bytes = WORLD_PAGES * (uint64_t)WORLD_PAGE;
  world_open(&w, 500, WORLD_PAGES);
  for (uint32_t i = 0; i < 300; i++) {
    world_run(&w, 1);
    for (; emuv_engine_damage(w.engine, &damage, 1); seen++)
      if (!strstr(damage.path, "peer") || strstr(damage.path, "> ram") || damage.path[0] == 'r')
        fail_msg("%s", damage.path);
  }
  assert_int_equal(w.rc, 0);
  assert_int_equal(emuv_engine_audit(w.engine, &w.pager, &copies, &w.err), 0);
  for (; emuv_engine_damage(w.engine, &damage, 1); seen++) assert_non_null(strstr(damage.path, "peer"));
  emuv_engine_stats(w.engine, &stats);
  assert_true(stats.flipped > 50 && seen > 50);
  assert_int_equal(stats.flipped, stats.flips_found + stats.flips_overwritten);
  assert_int_equal(seen, stats.flips_found);
  assert_int_equal(emuv_engine_audit(w.engine, &w.pager, &copies, &w.err), 0);
  assert_false(emuv_engine_damage(w.engine, &damage, 1)); /* repaired */
  world_close(&w);
}

/* Requests of a disk cannot reach another GPU's memory, and a device may have no such memory. */
static void test_another_gpu_is_refused(void **state)
{
  struct world w;
  (void)state;
  world_env(&w, disk_folder(), EMUV_VERIFY_FULL);
  w.env.peer_bytes = WORLD_PAGE;
  assert_int_equal(world_try_open(&w, 1), EMUV_ERR_UNSUPPORTED);
  world_env(&w, NULL, EMUV_VERIFY_FULL);
  w.env.peer_bytes = WORLD_PAGE;
  w.env.peer_index = 99;
  assert_int_equal(world_try_open(&w, 1), EMUV_ERR_NODEV);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_flips),
      cmocka_unit_test(test_path),
      cmocka_unit_test(test_torn),
      cmocka_unit_test(test_survived),
      cmocka_unit_test(test_cannot_open),
      cmocka_unit_test(test_fails_for_good),
      cmocka_unit_test(test_full_disk),
      cmocka_unit_test(test_close_at_any_moment),
      cmocka_unit_test(test_checkpoint),
      cmocka_unit_test(test_flips_in_another_gpu),
      cmocka_unit_test(test_another_gpu_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
