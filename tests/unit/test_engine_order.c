// SPDX-License-Identifier: Apache-2.0
/* Orders that wandering pages hardly ever need, each provoked on purpose: a request is made to fail once and is tried
 * again later, or a copy is held up, and what comes after it must wait all the same. */
#include "engine_world.h"

enum { LONG_NS = 30000000 };

static const char *disk_folder(void)
{
  const char *folder = getenv("TMPDIR");
  return folder ? folder : "/tmp";
}

static void begin(struct world *w, const char *rule)
{
  world_env(w, disk_folder(), EMUV_VERIFY_FULL);
  if (rule) world_inject(w, &rule, 1);
  world_open(w, 1, WORLD_RAM); /* all in RAM: the disk has not been used yet */
}

static void write_slot(struct world *w, uint32_t page, uint32_t slot)
{
  world_move(w, &w->nvme, false, page, w->ram_frame[page], slot);
  w->nvme_slot[page] = slot;
  w->state[page] |= EMUV_PAGE_NVME;
}

static void read_slot(struct world *w, uint32_t page, uint32_t frame)
{
  world_move(w, &w->nvme, true, page, frame, w->nvme_slot[page]);
  w->ram_frame[page] = frame;
  w->state[page] |= EMUV_PAGE_RAM;
}

static void give_up(struct world *w, uint32_t page, uint8_t bits)
{
  w->state[page] &= (uint8_t)~bits;
}

/* The copies that the state names are right. */
static void end(struct world *w)
{
  struct emuv_engine_stats stats;
  uint64_t copies;
  assert_int_equal(w->rc, 0);
  assert_int_equal(emuv_engine_audit(w->engine, &w->pager, &copies, &w->err), 0);
  emuv_engine_stats(w->engine, &stats);
  assert_int_equal(stats.mismatches, 0);
  world_close(w);
}

static void test_two_writes_of_a_slot(void **state)
{
  struct world w;
  (void)state;
  begin(&w, "nvme-write-eio:once");
  write_slot(&w, 0, 5);
  give_up(&w, 0, EMUV_PAGE_NVME);
  write_slot(&w, 1, 5);
  end(&w);
}

static void test_write_after_read_into_the_frame(void **state)
{
  struct world w;
  (void)state;
  begin(&w, "nvme-read-eio:once");
  write_slot(&w, 0, 5);
  write_slot(&w, 1, 6);
  give_up(&w, 1, EMUV_PAGE_RAM);
  read_slot(&w, 1, 0); /* into the frame that held page 0 */
  give_up(&w, 0, EMUV_PAGE_RAM);
  give_up(&w, 1, EMUV_PAGE_NVME);
  write_slot(&w, 1, 9);
  end(&w);
}

static void test_two_reads_into_a_frame(void **state)
{
  struct world w;
  (void)state;
  begin(&w, "nvme-read-eio:once");
  write_slot(&w, 0, 5);
  write_slot(&w, 1, 6);
  assert_int_equal(emuv_engine_drain(w.engine, &w.err), 0);
  give_up(&w, 0, EMUV_PAGE_RAM);
  read_slot(&w, 0, 12);
  give_up(&w, 0, EMUV_PAGE_RAM);
  give_up(&w, 1, EMUV_PAGE_RAM);
  read_slot(&w, 1, 12);
  end(&w);
}

static void launch(struct world *w, uint32_t page, uint32_t frame, double duration_ns)
{
  struct emuv_use use = {.page = page, .frame = frame, .read = true, .bytes = WORLD_PAGE};
  assert_int_equal(emuv_engine_launch(w->engine, &use, 1, duration_ns, &w->seq, &w->err), 0);
}

/* A frame of RAM goes up twice, first held up on the stream of pages from the disk, then at once on the other; both
 * must have read it before it is filled again. True: that is how it went; the disk may have been too slow for it. */
static bool two_streams_read_a_frame(void)
{
  struct emuv_engine_stats stats;
  struct world w;
  begin(&w, "nvme-slow:after=2,once,for=5ms"); /* the read of page 0 */
  world_move(&w, &w.ram, true, 2, 0, w.ram_frame[2]);
  write_slot(&w, 0, 5);
  write_slot(&w, 1, 6);
  give_up(&w, 0, EMUV_PAGE_RAM);
  give_up(&w, 1, EMUV_PAGE_RAM);
  assert_int_equal(emuv_engine_drain(w.engine, &w.err), 0);
  launch(&w, 2, 0, LONG_NS);
  read_slot(&w, 0, 12);
  emuv_engine_gate(w.engine, w.seq);
  world_move(&w, &w.ram, true, 0, 4, 12);
  launch(&w, 0, 4, 0);
  emuv_engine_gate(w.engine, 0);
  usleep(10000); /* the disk is done; the copy still waits for the long kernel */
  world_move(&w, &w.ram, true, 0, 5, 12);
  give_up(&w, 0, EMUV_PAGE_RAM);
  read_slot(&w, 1, 12);
  emuv_engine_stats(w.engine, &stats);
  assert_int_equal(stats.up_bytes, 3 * WORLD_PAGE);
  w.vram_frame[0] = 5;
  w.state[0] |= EMUV_PAGE_VRAM;
  end(&w);
  return stats.staged_bytes == WORLD_PAGE;
}

static void test_two_streams_read_a_frame(void **state)
{
  int tries = 0;
  (void)state;
  while (!two_streams_read_a_frame()) assert_true(++tries < 50);
}

/* A device that carries out the pieces of one copy in the order that suits it would have trouble with pieces that
 * overlap; there must be none. */
static struct watch {
  struct emuv_device_ops ops;
  const struct emuv_device_ops *host;
  uint32_t most, overlaps;
} * watch;

static int watch_copy(struct emuv_device *device, enum emuv_stream stream, const struct emuv_copy *copies, uint32_t n,
                      const struct emuv_after *after, uint64_t *seq, struct emuv_err *err)
{
  if (n > watch->most) watch->most = n;
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t k = 0; k < i; k++)
      watch->overlaps +=
          copies[i].frame == copies[k].frame || (stream == EMUV_STREAM_DOWN && copies[i].host == copies[k].host);
  return watch->host->copy(device, stream, copies, n, after, seq, err);
}

static void test_pieces_of_a_copy_are_apart(void **state)
{
  struct watch here = {.host = world_device()};
  struct world w;
  (void)state;
  here.ops = *here.host;
  here.ops.copy = watch_copy;
  watch = &here;
  world_env(&w, disk_folder(), EMUV_VERIFY_FULL);
  w.env.device = &here.ops;
  world_open(&w, 7, WORLD_PAGES);
  world_run(&w, 300);
  world_check(&w);
  world_move(&w, &w.ram, false, 0, 0, 12); /* twice into one frame of RAM */
  world_move(&w, &w.ram, false, 1, 1, 12);
  world_move(&w, &w.ram, true, 0, 3, 12); /* twice into one frame of VRAM */
  world_move(&w, &w.ram, true, 0, 3, 13);
  assert_int_equal(emuv_engine_drain(w.engine, &w.err), 0);
  world_close(&w);
  assert_true(here.most > 1);
  assert_int_equal(here.overlaps, 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_two_writes_of_a_slot),       cmocka_unit_test(test_write_after_read_into_the_frame),
      cmocka_unit_test(test_two_reads_into_a_frame),     cmocka_unit_test(test_two_streams_read_a_frame),
      cmocka_unit_test(test_pieces_of_a_copy_are_apart),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
