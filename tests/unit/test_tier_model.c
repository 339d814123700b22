// SPDX-License-Identifier: Apache-2.0
/* The virtual tier in numbers: queues, latency, merged copies, one channel for both directions, a shared link. */
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
      cmocka_unit_test(test_requests_queue),        cmocka_unit_test(test_latency_does_not_occupy),
      cmocka_unit_test(test_neighbours_are_merged), cmocka_unit_test(test_a_disk_is_one_channel),
      cmocka_unit_test(test_a_shared_link),         cmocka_unit_test(test_channel),
      cmocka_unit_test(test_null_takes_no_time),
  };
  return cmocka_run_group_tests_name("tier model", tests, NULL, NULL);
}
