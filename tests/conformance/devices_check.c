// SPDX-License-Identifier: Apache-2.0
/* Devices: what kernels see, find and leave: parts of pages, flipped bits, versions, pages that move between frames. */
#include "tests/conformance/devices.h"

static const struct emuv_after at_once = {{0}};

enum { CHECK = EMUV_TOUCH_READ | EMUV_TOUCH_CHECK };

/* One kernel; its mismatches (at most 16 are kept) and how many there are. */
static uint64_t run_kernel(struct world *w, const struct emuv_touch *touches, uint32_t n,
                           struct emuv_mismatch *mismatches, uint32_t *taken)
{
  uint64_t total, seq = launch_touches(w, touches, n, at_once);
  *taken = 0;
  if (!finish(w, EMUV_STREAM_COMPUTE, seq)) return 0;
  *taken = w->ops->mismatches(w->device, mismatches, 16, &total);
  return seq;
}

/* Inverting one bit of a word is found there, in whole pages and at both ends of parts, and nowhere else. */
static void flip_at(struct world *w, uint64_t word, uint64_t bit, const struct emuv_touch *touch, bool seen)
{
  struct emuv_mismatch found[16];
  uint32_t n;
  EXPECT(w->ops->flip(w->device, touch->frame, word * 8, 1ull << bit, &w->err) == EMUV_OK);
  uint64_t kernel = run_kernel(w, touch, 1, found, &n), seed = emuv_content_seed(touch->page, touch->version);
  EXPECT(kernel > 0);
  EXPECT(n == (seen ? 1 : 0));
  if (seen) {
    EXPECT(found[0].page == touch->page && found[0].version == touch->version && found[0].kernel == kernel);
    EXPECT(found[0].offset == word * 8 && found[0].expected == emuv_content_word(seed, word));
    EXPECT((found[0].found ^ found[0].expected) == 1ull << bit);
  }
  EXPECT(w->ops->flip(w->device, touch->frame, word * 8, 1ull << bit, &w->err) == EMUV_OK);
  EXPECT(run_kernel(w, touch, 1, found, &n) == kernel + 1);
  EXPECT(n == 0);
}

static void flipped_bits(struct world *w)
{
  uint64_t words = w->env.page_bytes / 8;
  const uint64_t at[] = {0, 1, 511, 512, words / 2, words - 2, words - 1};
  EXPECT(put(w, 9, 4, 3));
  struct emuv_touch touch = whole(w, 9, 4, 3, CHECK);
  for (uint64_t i = 0; i < sizeof at / sizeof at[0]; i++) flip_at(w, at[i], i * 9, &touch, true);
}

static void parts(struct world *w)
{
  EXPECT(put(w, 5, 1, 0));
  struct emuv_touch touch = whole(w, 5, 1, 0, CHECK);
  touch.offset = 4096 + 16;
  touch.bytes = 8192 + 48;
  uint64_t first = touch.offset / 8, end = (touch.offset + touch.bytes) / 8;
  flip_at(w, first, 0, &touch, true);
  flip_at(w, end - 1, 63, &touch, true);
  flip_at(w, first - 1, 0, &touch, false);
  flip_at(w, end, 63, &touch, false);
  touch.offset = w->env.page_bytes - 16;
  touch.bytes = 16;
  flip_at(w, w->env.page_bytes / 8 - 1, 7, &touch, true);
  touch.bytes = 0;
  flip_at(w, w->env.page_bytes / 8 - 1, 7, &touch, false);
}

/* Reads that are not checked report nothing; what was not read is not reported. */
static void unchecked(struct world *w)
{
  struct emuv_mismatch found[16];
  uint32_t n;
  EXPECT(put(w, 1, 0, 1));
  struct emuv_touch touch = whole(w, 2, 7, 1, EMUV_TOUCH_READ);
  EXPECT(run_kernel(w, &touch, 1, found, &n) > 0);
  EXPECT(n == 0);
  EXPECT(holds(w, get(w, 1), 1, 0));
}

static void read_and_write(struct world *w)
{
  struct emuv_mismatch found[16];
  uint32_t n;
  EXPECT(put(w, 6, 3, 2));
  struct emuv_touch touch = whole(w, 6, 3, 2, CHECK | EMUV_TOUCH_WRITE);
  EXPECT(run_kernel(w, &touch, 1, found, &n) > 0);
  EXPECT(n == 0);
  EXPECT(holds(w, get(w, 2), 6, 4));
  EXPECT(run_kernel(w, &touch, 1, found, &n) > 0); /* version 3 is gone */
  EXPECT(n >= 1);
  EXPECT(found[0].page == 6 && found[0].version == 3 && found[0].offset == 0);
  EXPECT(found[0].found == emuv_content_word(emuv_content_seed(6, 4), 0));
  EXPECT(holds(w, get(w, 2), 6, 4));
}

/* Written without being read: what was there does not matter. */
static void write_only(struct world *w)
{
  struct emuv_mismatch found[16];
  uint32_t n;
  EXPECT(put(w, 1, 0, 5));
  struct emuv_touch touch = whole(w, 8, UINT32_MAX - 1, 5, EMUV_TOUCH_WRITE);
  EXPECT(run_kernel(w, &touch, 1, found, &n) > 0);
  EXPECT(n == 0);
  EXPECT(holds(w, get(w, 5), 8, UINT32_MAX));
}

/* More mismatches than a device keeps: all are counted, some are reported, and then it goes on. */
static void many_mismatches(struct world *w)
{
  enum { KERNELS = 600 };
  struct emuv_touch touches[WORLD_FRAMES];
  struct emuv_mismatch found[100];
  uint64_t total = 0, reported = 0, n, seq = 0;
  for (uint32_t i = 0; i < WORLD_FRAMES; i++) {
    touches[i] = whole(w, i, 2, i, CHECK);
    touches[i].bytes = 4096;
  }
  for (int k = 0; k < KERNELS; k++) seq = launch_touches(w, touches, WORLD_FRAMES, at_once);
  EXPECT(finish(w, EMUV_STREAM_COMPUTE, seq));
  while ((n = w->ops->mismatches(w->device, found, 100, &total)) > 0) {
    for (uint64_t i = 0; i < n; i++) EXPECT(found[i].page < WORLD_FRAMES && found[i].kernel <= KERNELS);
    reported += n;
  }
  EXPECT(total >= KERNELS * WORLD_FRAMES);
  EXPECT(reported >= 100 && reported <= total);
  EXPECT(put(w, 0, 2, 0));
  EXPECT(finish(w, EMUV_STREAM_COMPUTE, launch_touches(w, touches, 1, at_once)));
  EXPECT(count_mismatches(w) == total);
}

/* Pages change places; each kernel must see the present one. No wait between a kernel and the next but order. */
static void moving_pages(struct world *w)
{
  enum { ROUNDS = 24 };
  struct emuv_device_costs costs;
  uint64_t kernel = 0;
  uint32_t half = WORLD_FRAMES / 2;
  for (uint32_t i = 0; i < WORLD_SLOTS; i++) fill(w, slot(w, i), i, 0);
  for (uint32_t round = 0; round < ROUNDS; round++) {
    struct emuv_touch touches[WORLD_FRAMES];
    struct emuv_after after = {{[EMUV_STREAM_COMPUTE] = kernel}};
    for (uint32_t i = 0; i < half; i++) {
      uint32_t page = (round * 3 + i) % WORLD_PAGES, frame = (round + i * 2) % WORLD_FRAMES;
      uint64_t up = copy_page(w, EMUV_STREAM_UP, frame, page, after);
      EXPECT(up > 0);
      touches[i] = whole(w, page, 0, frame, CHECK);
    }
    after.seq[EMUV_STREAM_UP] = (round + 1) * half;
    kernel = launch_touches(w, touches, half, after);
    EXPECT(kernel == round + 1);
  }
  EXPECT(finish(w, EMUV_STREAM_COMPUTE, kernel));
  EXPECT(count_mismatches(w) == 0);
  w->ops->costs(w->device, &costs);
  EXPECT(costs.launches == ROUNDS && costs.copies == ROUNDS * half);
  if (w->env.mapping == EMUV_MAPPING_TABLE)
    EXPECT(costs.table_updates >= ROUNDS * half && costs.maps == 0);
  else
    EXPECT(costs.maps >= ROUNDS * half && costs.unmaps > 0 && costs.map_ns > 0 && costs.unmap_ns > 0);
}

/* Two pages of one kernel exchange their frames. */
static void exchange(struct world *w)
{
  EXPECT(put(w, 0, 0, 0) && put(w, 1, 0, 1));
  struct emuv_touch touches[] = {whole(w, 0, 0, 0, CHECK), whole(w, 1, 0, 1, CHECK)};
  EXPECT(finish(w, EMUV_STREAM_COMPUTE, launch_touches(w, touches, 2, at_once)));
  EXPECT(put(w, 0, 5, 1) && put(w, 1, 5, 0));
  for (uint32_t i = 0; i < 2; i++) touches[i] = whole(w, i, 5, 1 - i, CHECK | EMUV_TOUCH_WRITE);
  EXPECT(finish(w, EMUV_STREAM_COMPUTE, launch_touches(w, touches, 2, at_once)));
  EXPECT(count_mismatches(w) == 0);
  EXPECT(holds(w, get(w, 1), 0, 6));
  EXPECT(holds(w, get(w, 0), 1, 6));
}

/* Pages read where they lie in host memory, together with one in VRAM. */
static void in_place(struct world *w)
{
  struct emuv_mismatch found[16];
  uint32_t n;
  EXPECT(put(w, 0, 0, 0));
  for (uint32_t i = 1; i < 4; i++) fill(w, slot(w, i), i, i);
  struct emuv_touch touches[4] = {whole(w, 0, 0, 0, CHECK)};
  for (uint32_t i = 1; i < 4; i++) {
    touches[i] = whole(w, i, i, UINT32_MAX, CHECK | EMUV_TOUCH_IN_PLACE);
    touches[i].host = slot(w, i);
  }
  EXPECT(run_kernel(w, touches, 4, found, &n) > 0);
  EXPECT(n == 0);
  uint64_t *word = (uint64_t *)slot(w, 2) + 513;
  *word ^= 1ull << 40;
  EXPECT(run_kernel(w, touches, 4, found, &n) > 0);
  EXPECT(n == 1);
  EXPECT(found[0].page == 2 && found[0].version == 2 && found[0].offset == 513 * 8 && found[0].found == *word);
  touches[2].offset = 514 * 8;
  touches[2].bytes = 4096;
  EXPECT(run_kernel(w, touches, 4, found, &n) > 0);
  EXPECT(n == 0);
}

/* Memory of a GPU in place of host memory (here: its own, or what stands for another): by the host's copies, by copies
 * on every stream, and read in place. */
static void peer_memory(struct world *w)
{
  const uint64_t page = w->env.page_bytes;
  struct emuv_after after = {{0}};
  uint64_t seq = 0;
  void *memory;
  if (!w->ops->peer_alloc) return;
  EXPECT(w->ops->peer_alloc(w->device, 99, page, &memory, &w->err) == EMUV_ERR_NODEV);
  EXPECT(w->ops->peer_alloc(w->device, w->env.index, 3 * page, &memory, &w->err) == EMUV_OK);
  char *const peer = memory;
  fill(w, w->host, 0, 1);
  EXPECT(w->ops->peer_copy(w->device, peer + page, w->host, page, &w->err) == EMUV_OK);
  struct emuv_copy copy = {.frame = 3, .bytes = page, .host = peer + page};
  EXPECT(w->ops->copy(w->device, EMUV_STREAM_STAGED, &copy, 1, &after, &seq, &w->err) == EMUV_OK);
  after.seq[EMUV_STREAM_STAGED] = seq;
  copy.host = peer + 2 * page;
  EXPECT(w->ops->copy(w->device, EMUV_STREAM_DOWN, &copy, 1, &after, &seq, &w->err) == EMUV_OK);
  after.seq[EMUV_STREAM_DOWN] = seq;
  struct emuv_touch touch = whole(w, 0, 1, UINT32_MAX, CHECK | EMUV_TOUCH_IN_PLACE);
  touch.host = peer + 2 * page;
  struct emuv_kernel kernel = {.touch = &touch, .n_touches = 1};
  EXPECT(w->ops->launch(w->device, &kernel, &after, &seq, &w->err) == EMUV_OK);
  EXPECT(w->ops->wait(w->device, EMUV_STREAM_COMPUTE, seq, &w->err) == EMUV_OK);
  EXPECT(count_mismatches(w) == 0);
  EXPECT(w->ops->peer_copy(w->device, w->host + page, peer + 2 * page, page, &w->err) == EMUV_OK);
  EXPECT(memcmp(w->host, w->host + page, page) == 0);
  w->ops->host_free(w->device, memory);
}

const struct device_case device_check_cases[] = {
    {"each flipped bit is found, where it is", flipped_bits, false},
    {"parts of pages", parts, false},
    {"reads without a check", unchecked, false},
    {"reading and writing in one kernel", read_and_write, false},
    {"writing without reading", write_only, false},
    {"more mismatches than are kept", many_mismatches, false},
    {"pages that move between frames", moving_pages, false},
    {"pages that exchange frames", exchange, false},
    {"reading in place", in_place, false},
    {"memory of another GPU", peer_memory, false},
    {NULL, NULL, false},
};
