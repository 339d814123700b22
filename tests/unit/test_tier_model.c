// SPDX-License-Identifier: Apache-2.0
/* The virtual tier in numbers: queues, latency, merged copies, one channel for both directions, a shared link. */
#include "runtime/core/rng.h"
#include "runtime/tier/schedule.h"
#include "runtime/tier/tier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { PAGE = 1000 };

/* 1 byte per ns for 1000 bytes, 2 for 4000 and more. */
static struct emuv_tier tier(void)
{
  struct emuv_tier t = {.ops = emuv_tier_find("model"), .env = {.page_bytes = PAGE}};
  assert_non_null(t.ops);
  t.env.read = (struct emuv_curve){.n = 2, .point = {{1000, 1e9}, {4000, 2e9}}};
  t.env.write = (struct emuv_curve){.n = 1, .point = {{1000, 1e9}}};
  return t;
}

static double moved(struct emuv_tier *t, bool up, uint32_t n, double earliest_ns)
{
  struct emuv_move moves[100] = {{0}};
  struct emuv_err err = {0};
  double done = -1;
  assert_int_equal((up ? t->ops->read : t->ops->write)(t, moves, n, earliest_ns, &done, &err), 0);
  return done;
}

static double up(struct emuv_tier *t, uint32_t n, double earliest_ns)
{
  return moved(t, true, n, earliest_ns);
}

static double down(struct emuv_tier *t, uint32_t n, double earliest_ns)
{
  return moved(t, false, n, earliest_ns);
}

static void check(double value, double expected)
{
  if (value < expected * (1 - 1e-12) || value > expected * (1 + 1e-12)) fail_msg("%f, %f expected", value, expected);
}

/* Frames of both kinds alternate, each memory's frames are used once and without holes. */
static void test_another_gpu_layout(void **unused)
{
  static const uint32_t frames[] = {1, 2, 7, 100, 1000}, peers[] = {1, 3, 8, 60, 999, 5000};
  const uint64_t page = 4 << 20; /* a grain is 4 pages */
  (void)unused;
  for (size_t f = 0; f < sizeof frames / sizeof *frames; f++)
    for (size_t k = 0; k < sizeof peers / sizeof *peers; k++) {
      struct emuv_peer_layout l = emuv_peer_layout(frames[f], peers[k] * page, page);
      uint8_t used[2][6000] = {{0}};
      uint32_t n = 0;
      for (uint32_t i = 0; i < frames[f] + 10; i++) {
        bool peer = emuv_peer_holds(&l, i);
        uint32_t place = emuv_peer_place(&l, i);
        assert_true(place < (peer ? emuv_peer_frames(&l) : emuv_peer_host_frames(&l) + 10));
        assert_int_equal(used[peer][place]++, 0);
        n += peer;
        if (l.n_grains && i < frames[f])
          assert_true(emuv_peer_before(&l, i / l.grain + 1) <= (uint64_t)(i / l.grain + 1) * l.peer / l.n_grains);
      }
      assert_true(n <= peers[k] && emuv_peer_frames(&l) <= peers[k]);
      assert_true(n + 4 > (peers[k] < frames[f] ? peers[k] : frames[f]));
    }
  struct emuv_peer_layout none = emuv_peer_layout(10, 100, page);
  assert_false(emuv_peer_holds(&none, 0));
  assert_int_equal(emuv_peer_place(&none, 7), 7);
}

/* Half of the frames at 10 bytes per ns on a link of their own: both links work at the same time. */
static void test_another_gpu_has_its_own_link(void **unused)
{
  (void)unused;
  struct emuv_tier t = tier();
  struct emuv_move moves[8];
  struct emuv_err err = {0};
  double done = -1;
  t.env.peer = (struct emuv_peer_layout){.n_frames = 8, .grain = 2, .n_grains = 4, .peer = 2};
  t.env.peer_curve = (struct emuv_curve){.n = 1, .point = {{1000, 1e10}}};
  for (uint32_t i = 0; i < 8; i++) moves[i] = (struct emuv_move){.page = i, .upper = i, .lower = i};
  assert_int_equal(t.ops->read(&t, moves, 8, 0, &done, &err), 0);
  check(done, 4000);
  check(t.peer_read.busy_ns, 400);
  assert_int_equal(t.peer_read.bytes, 4 * PAGE);
  assert_int_equal(t.read.bytes, 4 * PAGE);
  assert_int_equal(t.peer_read.requests, 2); /* neighbours are one */
  assert_int_equal(t.ops->write(&t, moves + 2, 2, 0, &done, &err), 0);
  check(done, 200);
  assert_int_equal(t.peer_write.bytes, 2 * PAGE);
}

static void test_requests_queue(void **unused)
{
  (void)unused;
  struct emuv_tier t = tier();
  check(up(&t, 1, 50), 1050);
  check(up(&t, 1, 60), 2050);   /* waits */
  check(up(&t, 1, 5000), 6000); /* nothing to wait for */
  check(down(&t, 1, 0), 1000);  /* the other direction is free */
  check(t.read.busy_ns, 3000);
  assert_int_equal(t.read.bytes, 3 * PAGE);
  assert_int_equal(t.read.requests, 3);
}

static void test_latency_does_not_occupy(void **unused)
{
  (void)unused;
  struct emuv_tier t = tier();
  t.env.latency_ns = 300;
  check(up(&t, 1, 0), 1300);
  check(up(&t, 1, 0), 2300);
}

static void test_neighbours_are_merged(void **unused)
{
  (void)unused;
  struct emuv_tier t = tier();
  check(up(&t, 8, 0), 8000); /* page by page */
  t = tier();
  t.env.coalesce_bytes = 4 * PAGE;
  check(up(&t, 8, 0), 4000);
  assert_int_equal(t.read.requests, 2);
  t = tier();
  t.env.coalesce_bytes = 4 * PAGE;
  check(up(&t, 1, 0), 1000); /* nothing to merge with */
  t = tier();
  t.env.coalesce_bytes = PAGE / 2; /* a page is never cut */
  check(up(&t, 1, 0), 1000);
}

static void test_a_disk_is_one_channel(void **unused)
{
  (void)unused;
  struct emuv_tier t = tier();
  t.env.half_duplex = true;
  check(up(&t, 1, 0), 1000);
  check(down(&t, 1, 0), 2000);
  check(up(&t, 1, 0), 3000);
}

/* 2 bytes per ns each way, 3 together: where both run, both take 4/3 of their time. */
static void test_a_shared_link(void **unused)
{
  (void)unused;
  struct emuv_tier t = tier();
  t.env.read = t.env.write = (struct emuv_curve){.n = 1, .point = {{1, 2e9}}};
  t.env.duplex_rate = 3e9;
  check(up(&t, 6, 0), 3000); /* alone */
  check(down(&t, 6, 0), 4000);
  check(t.read.free_ns, 4000); /* the read was held up as much */
  check(down(&t, 2, 9000), 10000);
  struct emuv_tier full = tier();
  full.env.duplex_rate = 1e12; /* more than both: no effect */
  check(up(&full, 2, 0), 2000);
  check(down(&full, 2, 0), 2000);
}

/* Pages 0 .. n-1 in frames from `upper` and `lower` on, `step` apart. */
static double moved_frames(struct emuv_tier *t, uint32_t n, uint32_t step, double earliest_ns)
{
  struct emuv_move moves[100];
  struct emuv_err err = {0};
  double done = -1;
  for (uint32_t i = 0; i < n; i++)
    moves[i] = (struct emuv_move){.page = i, .upper = 7 + step * i, .lower = 3 + step * i};
  assert_int_equal(t->ops->read(t, moves, n, earliest_ns, &done, &err), 0);
  return done;
}

/* A copy of 1000 bytes takes 1000 ns alone; 64 of them in a batch 64 x 520, so each after the first 32280/63. */
static void test_batches(void **unused)
{
  (void)unused;
  const double piece = (64 * 520.0 - 1000) / 63;
  struct emuv_tier t = tier();
  t.env.read_batched = (struct emuv_curve){.n = 2, .point = {{1000, 1000 / 520e-9}, {4000, 2e9}}};
  check(moved_frames(&t, 1, 2, 0), 1000);
  check(moved_frames(&t, 1, 2, 0), 1000 + piece); /* joins the batch */
  t.read.gathered_bytes = 0;                      /* submitted */
  check(moved_frames(&t, 64, 2, 10000), 10000 + 64 * 520);
  assert_int_equal(t.read.requests, 66);
  assert_true(t.read.busy_ns < 64 * 520 + 1000 + piece + 1e-6 && t.read.bytes == 66 * PAGE);
  t = tier();
  t.env.read_batched = (struct emuv_curve){.n = 1, .point = {{1000, 1000 / 520e-9}}};
  t.env.batch_bytes = 3 * PAGE;
  check(moved_frames(&t, 7, 2, 0), 3 * 1000 + 4 * piece); /* batches of 3, 3 and 1 */
  t = tier();
  t.env.read_batched = t.env.read;
  check(moved_frames(&t, 8, 1, 0), 4000); /* adjoining in both memories: one piece */
  assert_int_equal(t.read.requests, 1);
  check(moved_frames(&t, 8, 1, 9000), 13000); /* pieces as large as that gain nothing from a batch */
}

/* One page in frames `upper` and `lower`. */
static double moved_page(struct emuv_tier *t, bool is_up, uint32_t upper, uint32_t lower)
{
  struct emuv_move move = {.page = upper, .upper = upper, .lower = lower};
  struct emuv_err err = {0};
  double done = -1;
  assert_int_equal((is_up ? t->ops->read : t->ops->write)(t, &move, 1, 0, &done, &err), 0);
  return done;
}

/* 5000 ns of the host for each batch, 300 for each piece: the link is faster. */
static void test_the_host_submits(void **unused)
{
  (void)unused;
  struct emuv_tier_host host = {.batch_ns = 5000, .piece_ns = 300};
  struct emuv_tier t = tier();
  t.host = &host;
  for (int i = 1; i <= 10; i++) { /* one by one: the host is the limit */
    check(up(&t, 1, 0), i * 5300 + 1000);
    t.read.gathered_bytes = 0;
  }
  check(up(&t, 1, 90000), 91000); /* not before it can start anyhow */
  check(host.now_ns, 11 * 5300);
  check(moved_frames(&t, 4, 2, 0), 92000 + 3000); /* joins; copies go one by one where there is no curve of batches */
  t = tier();
  t.host = &host;
  t.env.read_batched = (struct emuv_curve){.n = 2, .point = {{1000, 1000 / 520e-9}, {4000, 2e9}}};
  host.now_ns = 0;
  check(moved_frames(&t, 8, 1, 0), 5300 + 4000);                                /* adjoining: one piece */
  check(moved_frames(&t, 8, 2, 0), 5300 + 4000 + 8 * (64 * 520 - 1000) / 63.0); /* joins, and is submitted by then */
  check(host.now_ns, 5000 + 9 * 300);
  assert_int_equal(t.read.batches, 1);
}

/* As the engine does it: what leaves and was written later is another batch; what comes sends what leaves on its way.
 */
static void test_what_makes_a_batch(void **unused)
{
  (void)unused;
  struct emuv_tier_host host = {.batch_ns = 1};
  struct emuv_tier_frame frames[8] = {
      {.written_by = 4}, {.written_by = 4}, {.written_by = 2}, {.written_by = 5}, {.written_by = 5}};
  struct emuv_tier t = tier();
  t.host = &host;
  t.frames = frames;
  t.env.write_batched = t.env.read_batched = t.env.read;
  for (uint32_t i = 0; i < 5; i++) moved_page(&t, false, i, 7 - i);
  assert_int_equal(t.write.batches, 2); /* of frames 0 to 2, 3 and 4 */
  check(frames[4].out_ns, t.write.free_ns);
  moved_page(&t, true, 4, 0);
  moved_page(&t, false, 4, 1);
  assert_int_equal(t.write.batches, 3);
  assert_int_equal(t.read.batches, 1);
  assert_true(frames[4].is_new && !frames[3].is_new);
  check(frames[4].in_ns, t.read.free_ns);
  moved_page(&t, true, 5, 2); /* sends the page that leaves, and with it what has been gathered to come */
  assert_int_equal(t.read.batches, 2);
  check(host.now_ns, 5);
}

/* Pages that come from the disk go in smaller batches, of their own. */
static void test_staged_batches(void **unused)
{
  (void)unused;
  struct emuv_schedule link = {0};
  uint8_t staging[100] = {1, 1, 1, 1, 1, 0, 0, 0, 0, 0};
  struct emuv_tier_host host = {.batch_ns = 1};
  struct emuv_tier t = tier();
  t.host = &host;
  t.schedule = &link;
  t.staging = staging;
  t.env.read_batched = t.env.read;
  t.env.batch_bytes = 8 * PAGE;
  t.env.staged_batch_bytes = 2 * PAGE;
  moved_frames(&t, 10, 2, 0);
  assert_int_equal(t.staged.batches, 3);
  assert_int_equal(t.read.batches, 1);
}

static struct emuv_tier beside(struct emuv_tier t, struct emuv_schedule *schedule, uint8_t *staging)
{
  t.schedule = schedule;
  t.staging = staging;
  return t;
}

/* A page whose bytes come from the disk at 5000 leaves the link to others until then, and its books are exact. */
static void test_pages_from_the_disk_hold_nobody_up(void **unused)
{
  (void)unused;
  struct emuv_schedule link = {0}, device = {0};
  uint8_t staging[100] = {0};
  struct emuv_tier ram = beside(tier(), &link, staging), disk = beside(tier(), &device, staging);
  disk.env.half_duplex = true;
  disk.env.latency_ns = 4000;
  double there = up(&disk, 1, 0);
  check(there, 5000);
  check(up(&ram, 1, there), 6000);
  check(up(&ram, 3, 0), 3000); /* before it */
  check(up(&ram, 3, 0), 7000); /* around it: 3000 to 5000, 6000 to 7000 */
  check(up(&ram, 1, 0), 8000); /* after it */
  check(ram.read.busy_ns, 7000);
  check(ram.staged.busy_ns, 1000);
  assert_int_equal(ram.read.bytes + ram.staged.bytes, 8 * PAGE);
  check(emuv_schedule_taken_after(&link, 0), 8000);
  check(emuv_schedule_taken_after(&link, 7500), 500);
}

/* A write that must wait until 9000 does not keep reads from the disk that can go at once. */
static void test_a_disk_serves_who_is_ready(void **unused)
{
  (void)unused;
  struct emuv_schedule device = {0};
  struct emuv_tier disk = beside(tier(), &device, NULL);
  disk.env.half_duplex = true;
  check(down(&disk, 1, 9000), 10000);
  check(up(&disk, 1, 0), 1000);
  check(up(&disk, 1, 8500), 10500); /* half before, half after it */
  check(down(&disk, 1, 0), 11500);  /* in order of the writes */
  check(disk.read.busy_ns + disk.write.busy_ns, 4000);
}

/* Against a slow model: an array of the time units that are taken. */
static void test_schedule(void **unused)
{
  (void)unused;
  enum { UNITS = 4000 };
  static bool taken[UNITS];
  struct emuv_schedule s = {0};
  struct emuv_rng rng;
  emuv_rng_seed(&rng, 5);
  for (int i = 0; i < 400; i++) {
    uint32_t at = (uint32_t)emuv_rng_below(&rng, 2000), n = (uint32_t)emuv_rng_below(&rng, 8), left = n, end = at;
    for (uint32_t u = at; left; u++)
      if (!taken[u]) taken[u] = true, left--, end = u + 1;
    check(emuv_schedule_take(&s, at, n), end);
    for (uint32_t k = 0; k < s.n; k++) {
      assert_true(s.busy[k].from_ns < s.busy[k].to_ns);
      assert_true(k == 0 || s.busy[k - 1].to_ns < s.busy[k].from_ns);
    }
    uint32_t from = (uint32_t)emuv_rng_below(&rng, UNITS), after = 0;
    for (uint32_t u = from; u < UNITS; u++) after += taken[u];
    assert_true(emuv_schedule_taken_after(&s, from) == after);
  }
}

/* More intervals than there is room for: time between old ones is given up, later work still fits. */
static void test_a_full_schedule(void **unused)
{
  (void)unused;
  struct emuv_schedule s = {0};
  const int n = 2 * EMUV_SCHEDULE_INTERVALS;
  for (int i = 0; i < n; i++) check(emuv_schedule_take(&s, 10.0 * i, 1), 10.0 * i + 1);
  assert_true(s.n <= EMUV_SCHEDULE_INTERVALS);
  check(emuv_schedule_take(&s, 10.0 * (n - 1), 10), 10.0 * n + 1);
  assert_true(emuv_schedule_take(&s, 0, 5) >= 5 + n);
}

static void test_channel(void **unused)
{
  (void)unused;
  struct emuv_channel c = {.free_ns = 100};
  struct emuv_curve curve = {.n = 1, .point = {{1, 1e9}}};
  check(emuv_channel_move(&c, &curve, 500, 200, 10, 0), 610);
  assert_int_equal(c.requests, 3);
  check(emuv_channel_move(&c, &curve, 500, 0, 0, 2000), 2500);
  assert_int_equal(c.requests, 4);
  assert_int_equal(c.bytes, 1000);
  check(c.busy_ns, 1000);
  assert_int_equal(emuv_channel_move(&c, &curve, 0, 0, 0, 7000), 7000);
  assert_int_equal(c.requests, 4);
}

static void test_null_takes_no_time(void **unused)
{
  (void)unused;
  struct emuv_tier t = tier();
  t.ops = emuv_tier_find("null");
  check(up(&t, 100, 42), 42);
  check(down(&t, 100, 43), 43);
  assert_int_equal(t.read.bytes, 100 * PAGE);
  assert_int_equal(t.write.requests, 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_another_gpu_layout),
      cmocka_unit_test(test_another_gpu_has_its_own_link),
      cmocka_unit_test(test_requests_queue),
      cmocka_unit_test(test_latency_does_not_occupy),
      cmocka_unit_test(test_neighbours_are_merged),
      cmocka_unit_test(test_a_disk_is_one_channel),
      cmocka_unit_test(test_a_shared_link),
      cmocka_unit_test(test_batches),
      cmocka_unit_test(test_the_host_submits),
      cmocka_unit_test(test_what_makes_a_batch),
      cmocka_unit_test(test_staged_batches),
      cmocka_unit_test(test_pages_from_the_disk_hold_nobody_up),
      cmocka_unit_test(test_a_disk_serves_who_is_ready),
      cmocka_unit_test(test_schedule),
      cmocka_unit_test(test_a_full_schedule),
      cmocka_unit_test(test_channel),
      cmocka_unit_test(test_null_takes_no_time),
  };
  return cmocka_run_group_tests_name("tier model", tests, NULL, NULL);
}
