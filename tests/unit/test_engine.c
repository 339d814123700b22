// SPDX-License-Identifier: Apache-2.0
/* The engine on the device `host`: pages that wander at random over slow links and a slow disk keep their contents;
 * flips and torn transfers are found, named and repaired; every failure is named, sticky, and closes cleanly. */
#include "engine_world.h"

static const char *disk_folder(void)
{
  const char *folder = getenv("TMPDIR");
  return folder ? folder : "/tmp";
}

static void test_wander_in_ram(void **state)
{
  struct world w;
  (void)state;
  for (uint64_t seed = 0; seed < 3; seed++) {
    world_env(&w, NULL, EMUV_VERIFY_FULL);
    world_open(&w, seed, WORLD_PAGES - 4);
    world_run(&w, 400);
    world_check(&w);
    world_close(&w);
  }
}

/* RAM in another GPU's memory, a part of it or all; its link and the host's in turn are the slow one. */
static void test_wander_in_another_gpu(void **state)
{
  static const uint32_t frames[] = {1, 7, WORLD_PAGES};
  struct emuv_engine_stats stats;
  struct world w;
  (void)state;
  for (size_t i = 0; i < 2 * sizeof frames / sizeof *frames; i++) {
    world_env(&w, NULL, EMUV_VERIFY_FULL);
    w.env.peer_bytes = frames[i / 2] * (uint64_t)WORLD_PAGE;
    w.env.up = w.env.down = world_curve(i & 1 ? 1e9 : 5e7);
    w.env.peer = world_curve(i & 1 ? 5e7 : 1e9);
    world_open(&w, 60 + i, WORLD_PAGES - 4);
    world_run(&w, 300);
    world_check(&w);
    emuv_engine_stats(w.engine, &stats);
    assert_true(stats.peer_up_bytes > 0 && stats.peer_down_bytes > 0 && stats.peer_busy_ns > 0);
    assert_int_equal(stats.peer_up_bytes == stats.up_bytes, frames[i / 2] == WORLD_PAGES);
    assert_int_equal(stats.peer_up_bytes, stats.peer_ups * WORLD_PAGE);
    world_close(&w);
  }
}

/* Each link in turn is much slower than everything else: what depends on it is submitted long before it is done. */
static void test_slow_links(void **state)
{
  static const double rate[][2] = {{3e7, 0}, {0, 3e7}, {5e7, 5e7}, {0, 0}};
  struct world w;
  (void)state;
  for (size_t i = 0; i < sizeof rate / sizeof rate[0]; i++) {
    world_env(&w, disk_folder(), EMUV_VERIFY_FULL);
    if (rate[i][0] > 0) w.env.up = world_curve(rate[i][0]);
    if (rate[i][1] > 0) w.env.down = world_curve(rate[i][1]);
    world_open(&w, 10 + i, WORLD_PAGES - 4);
    world_run(&w, 600);
    world_check(&w);
    world_close(&w);
  }
}

static void test_slow_disk(void **state)
{
  static const char *const slow[] = {"nvme-slow:every=2,for=1ms"};
  struct world w;
  (void)state;
  for (uint64_t seed = 0; seed < 2; seed++) {
    world_env(&w, disk_folder(), EMUV_VERIFY_FULL);
    world_inject(&w, slow, 1);
    w.env.up = w.env.down = world_curve(2e8);
    world_open(&w, 20 + seed, WORLD_PAGES - 4);
    world_run(&w, 400);
    world_check(&w);
    world_close(&w);
  }
}

static void test_verify_levels(void **state)
{
  struct emuv_engine_stats stats[3];
  struct world w;
  (void)state;
  for (int verify = EMUV_VERIFY_OFF; verify <= EMUV_VERIFY_FULL; verify++) {
    world_env(&w, disk_folder(), (enum emuv_verify)verify);
    world_open(&w, 30, WORLD_PAGES);
    world_run(&w, 200);
    world_check(&w);
    emuv_engine_stats(w.engine, &stats[verify]);
    world_close(&w);
  }
  assert_int_equal(stats[EMUV_VERIFY_OFF].checked_bytes, 0);
  assert_true(stats[EMUV_VERIFY_SAMPLE].checked_bytes > 0);
  assert_true(stats[EMUV_VERIFY_FULL].checked_bytes > stats[EMUV_VERIFY_SAMPLE].checked_bytes);
  assert_int_equal(stats[EMUV_VERIFY_FULL].launches, stats[EMUV_VERIFY_OFF].launches);
}

static void test_back_pressure(void **state)
{
  struct emuv_engine_stats stats;
  struct world w;
  (void)state;
  world_env(&w, disk_folder(), EMUV_VERIFY_FULL);
  w.env.in_flight_bytes = 4 * WORLD_PAGE;
  w.env.up = w.env.down = world_curve(2e8);
  world_open(&w, 40, WORLD_PAGES);
  world_run(&w, 400);
  world_check(&w);
  emuv_engine_stats(w.engine, &stats);
  if (!strcmp(w.env.device->name, "host")) /* its link has the speed that is asked for */
    assert_true(stats.up_busy_ns >= (double)stats.up_bytes / 2e8 * 1e9 * 0.99);
  assert_true(stats.up_busy_ns > 0 && stats.down_busy_ns > 0);
  assert_true(stats.disk_busy_ns > 0 && stats.compute_ns > 0);
  world_close(&w);
}

/* A page read an eighth at a time is read in every part: a wrong bit anywhere is found in eight launches. */
static void test_parts_move_on(void **state)
{
  static const char *const flip[] = {"flip-vram:once"};
  struct emuv_use use = {.read = true, .bytes = WORLD_PAGE / 8};
  struct emuv_engine_stats stats;
  uint8_t keep[WORLD_MAX] = {0};
  struct world w;
  (void)state;
  for (uint64_t seed = 0; seed < 4; seed++) {
    world_env(&w, NULL, EMUV_VERIFY_SAMPLE);
    world_inject(&w, flip, 1);
    world_open(&w, seed, WORLD_PAGES);
    world_bring(&w, 0, keep);
    use.frame = w.vram_frame[0];
    assert_int_equal(emuv_engine_tend(w.engine, &w.pager, &w.err), 0);
    for (int i = 0; i < 8; i++) assert_int_equal(emuv_engine_launch(w.engine, &use, 1, 0, &w.seq, &w.err), 0);
    assert_int_equal(emuv_engine_drain(w.engine, &w.err), 0);
    emuv_engine_stats(w.engine, &stats);
    assert_int_equal(stats.flipped, 1);
    assert_int_equal(stats.flips_found, 1);
    assert_int_equal(stats.checked_bytes, WORLD_PAGE);
    world_close(&w);
  }
}

static void work_stopped(struct world *w)
{
  const uint8_t keep[WORLD_MAX] = {0};
  const int expected = !strcmp(w->env.device->name, "host") ? EMUV_ERR_INTERRUPTED : 0; /* others may ignore it */
  struct emuv_engine *engine = NULL;
  for (uint32_t page = 0; page < WORLD_VRAM; page++) world_bring(w, page, keep);
  assert_int_equal(emuv_engine_drain(w->engine, &w->err), expected);
  world_close(w);
  assert_int_equal(emuv_engine_open(&w->env, &engine, &w->err), expected);
  if (!expected) emuv_engine_close(engine);
}

/* Asked to stop: before it opens, before it fills, while work comes; with RAM alone, another GPU's memory, a disk. */
static void test_stopped(void **state)
{
  struct world w;
  (void)state;
  for (int kind = 0; kind < 3; kind++) {
    atomic_bool stop = false;
    world_env(&w, kind == 2 ? disk_folder() : NULL, EMUV_VERIFY_FULL);
    if (kind == 1) w.env.peer_bytes = 7 * WORLD_PAGE;
    w.env.stop = &stop;
    assert_int_equal(world_try_open(&w, 80), 0);
    world_place(&w, WORLD_PAGES);
    assert_int_equal(emuv_engine_fill(w.engine, &w.pager, &w.err), 0);
    stop = true;
    assert_int_equal(emuv_engine_fill(w.engine, &w.pager, &w.err), EMUV_ERR_INTERRUPTED);
    work_stopped(&w);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_wander_in_ram), cmocka_unit_test(test_wander_in_another_gpu),
      cmocka_unit_test(test_slow_links),    cmocka_unit_test(test_slow_disk),
      cmocka_unit_test(test_verify_levels), cmocka_unit_test(test_back_pressure),
      cmocka_unit_test(test_parts_move_on), cmocka_unit_test(test_stopped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
