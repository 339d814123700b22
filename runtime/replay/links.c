// SPDX-License-Identifier: Apache-2.0
/* Links (links.h). The scans go through a pager with LRU, which keeps nothing of a cyclic scan that is larger than
 * VRAM:
 *
 *   up        pages are read: each comes up, none goes down
 *   down      pages are written for the first time: none comes up, each goes down when its frame is needed
 *   both      pages are read and written: each comes up and goes down
 *   peer      pages are read, and all lie in another GPU's memory
 *   disk      homes on disk, RAM only passes pages on; read, and read and written
 *
 * Bytes and time are taken between two moments at which nothing is in flight. A disk that reads and writes at once is
 * compared with the time that its bytes take at the rates of each. */
#include "runtime/replay/links.h"

#include "runtime/core/units.h"
#include "runtime/replay/calibrate_internal.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t VRAM_BYTES = UINT64_C(2) << 30, DATA_BYTES = UINT64_C(8) << 30, SLICE_BYTES = UINT64_C(64) << 20,
                      BOUNCE_BYTES = UINT64_C(512) << 20, PLAIN_COPY = UINT64_C(64) << 20,
                      PLAIN_SERIES = UINT64_C(1) << 30;
static const double NEEDED_LINK = 0.95, NEEDED_BOTH = 0.9, NEEDED_DISK = 0.9;
enum { MIN_BOUNCE = 8, MAX_SLICE = 1024, DISK_ROUNDS = 3, PLAIN_AHEAD = 32 };

struct scan {
  const struct emuv_links_options *options;
  uint64_t page_bytes, data_bytes;
  bool on_disk, unborn, at_peer;
  uint32_t n_pages, vram_frames, slice_pages, next_slice;
  struct emuv_engine *engine;
  struct emuv_tier ram, nvme;
  struct emuv_pager pager;
  bool has_pager;
  uint8_t *initial, *home; /* per page */
};

struct traffic {
  double up, down, disk_read, disk_write; /* bytes */
  double seconds, up_busy, down_busy;
};

static uint32_t bounce_of(const struct scan *s)
{
  const uint64_t n = BOUNCE_BYTES / s->page_bytes;
  if (!s->on_disk) return MIN_BOUNCE;
  return n < MIN_BOUNCE ? MIN_BOUNCE : n > s->n_pages ? s->n_pages : (uint32_t)n;
}

static int open_engine(struct scan *s, struct emuv_err *err)
{
  const struct emuv_links_options *o = s->options;
  const struct emuv_engine_env env = {.device = o->device,
                                      .device_index = o->device_index,
                                      .mapping = o->mapping,
                                      .page_bytes = s->page_bytes,
                                      .n_pages = s->n_pages,
                                      .vram_frames = s->vram_frames,
                                      .ram_frames = s->on_disk ? 0 : s->n_pages,
                                      .bounce_frames = bounce_of(s),
                                      .nvme_slots = s->on_disk ? s->n_pages : 0,
                                      .disk_path = s->on_disk ? o->nvme_path : NULL,
                                      .peer_bytes = s->at_peer ? s->data_bytes : 0,
                                      .peer_index = o->peer_index,
                                      .peer = o->peer,
                                      .verify = EMUV_VERIFY_OFF,
                                      .threads = o->threads,
                                      .up = o->up,
                                      .down = o->down};
  const int rc = emuv_engine_open(&env, &s->engine, err);
  if (rc == 0) emuv_engine_tiers(s->engine, &s->ram, &s->nvme);
  return rc;
}

static int open_pager(struct scan *s, struct emuv_err *err)
{
  s->initial = malloc(s->n_pages);
  s->home = malloc(s->n_pages);
  if (!s->initial || !s->home) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %u pages", s->n_pages);
  memset(s->initial, s->unborn ? 0 : 1, s->n_pages);
  memset(s->home, s->on_disk ? 1 : 0, s->n_pages);
  const struct emuv_pager_env env = {.n_pages = s->n_pages,
                                     .page_bytes = s->page_bytes,
                                     .vram_frames = s->vram_frames,
                                     .ram_frames = s->on_disk ? 0 : s->n_pages,
                                     .nvme_frames = s->on_disk ? s->n_pages : 0,
                                     .bounce_frames = bounce_of(s),
                                     .policy = emuv_policy_find("lru"),
                                     .initial = s->initial,
                                     .on_disk = s->on_disk ? s->home : NULL,
                                     .ram = &s->ram,
                                     .nvme = s->on_disk ? &s->nvme : NULL};
  const int rc = emuv_pager_init(&s->pager, &env, err);
  s->has_pager = rc == 0;
  return rc != 0 ? rc : emuv_engine_fill(s->engine, &s->pager, err);
}

static void close_scan(struct scan *s)
{
  emuv_engine_close(s->engine);
  if (s->has_pager) emuv_pager_free(&s->pager);
  free(s->initial);
  free(s->home);
}

static int open_scan(struct scan *s, struct emuv_err *err)
{
  const struct emuv_links_options *o = s->options;
  const uint64_t slice = SLICE_BYTES / s->page_bytes;
  s->n_pages = (uint32_t)(s->data_bytes / s->page_bytes);
  s->vram_frames = (uint32_t)(o->vram_bytes / s->page_bytes);
  s->slice_pages = slice < 1 ? 1 : slice > MAX_SLICE ? MAX_SLICE : (uint32_t)slice;
  if (s->slice_pages > s->vram_frames / 4) s->slice_pages = s->vram_frames / 4;
  if (s->slice_pages == 0 || s->n_pages < 2 * s->vram_frames)
    return emuv_err_set(err, EMUV_ERR_RANGE, "a scan needs VRAM for 4 pages or more, and data of twice VRAM or more");
  int rc = open_engine(s, err);
  if (rc == 0) rc = open_pager(s, err);
  return rc;
}

/* One slice from page `first` on. */
static int run_slice(struct scan *s, uint32_t first, bool read, bool write, struct emuv_err *err)
{
  struct emuv_use use[MAX_SLICE];
  struct emuv_pager_outcome outcome;
  const uint32_t n = s->n_pages - first < s->slice_pages ? s->n_pages - first : s->slice_pages;
  uint64_t seq = 0;
  int rc = emuv_pager_access(&s->pager, first, n, write, s->next_slice++, NULL, 0, &outcome, err);
  for (uint32_t i = 0; i < n; i++)
    use[i] = (struct emuv_use){.page = first + i,
                               .frame = s->pager.vram_frame[first + i],
                               .read = read,
                               .write = write,
                               .fresh = !read,
                               .bytes = s->page_bytes};
  if (rc == 0) rc = emuv_engine_launch(s->engine, use, n, 0, &seq, err);
  return rc != 0 ? rc : emuv_engine_tend(s->engine, &s->pager, err);
}

static int pass(struct scan *s, uint32_t from, uint32_t to, bool read, bool write, struct emuv_err *err)
{
  int rc = 0;
  for (uint32_t page = from; rc == 0 && page < to; page += s->slice_pages) rc = run_slice(s, page, read, write, err);
  return rc;
}

/* What has been moved up to now; nothing is in flight afterwards. */
static int take_stock(struct scan *s, struct traffic *t, struct emuv_err *err)
{
  struct emuv_engine_stats stats;
  const int rc = emuv_engine_drain(s->engine, err);
  const double now_s = emuv_calibrate_now_ns() * 1e-9;
  emuv_engine_stats(s->engine, &stats);
  *t = (struct traffic){.up = (double)stats.up_bytes,
                        .down = (double)stats.down_bytes,
                        .disk_read = (double)stats.disk_read_bytes,
                        .disk_write = (double)stats.disk_write_bytes,
                        .up_busy = stats.up_busy_ns * 1e-9,
                        .down_busy = stats.down_busy_ns * 1e-9,
                        .seconds = now_s};
  return rc;
}

static void subtract(struct traffic *t, const struct traffic *before)
{
  t->up -= before->up;
  t->down -= before->down;
  t->disk_read -= before->disk_read;
  t->disk_write -= before->disk_write;
  t->seconds -= before->seconds;
  t->up_busy -= before->up_busy;
  t->down_busy -= before->down_busy;
}

/* Whole passes for the time that was asked for; nothing is in flight before or afterwards. */
static int passes(struct scan *s, bool write, struct traffic *t, struct emuv_err *err)
{
  struct traffic start;
  int rc = take_stock(s, &start, err);
  do {
    if (rc == 0) rc = pass(s, 0, s->n_pages, true, write, err);
  } while (rc == 0 && emuv_calibrate_now_ns() * 1e-9 - start.seconds < s->options->seconds);
  if (rc == 0) rc = take_stock(s, t, err);
  if (rc == 0) subtract(t, &start);
  return rc;
}

/* Passes in steady state, after one that does not count. */
static int steady(struct scan *s, bool write, struct traffic *t, struct emuv_err *err)
{
  const int rc = pass(s, 0, s->n_pages, true, write, err);
  return rc != 0 ? rc : passes(s, write, t, err);
}

/* Plain copy number k of a slice. What goes up lies in the first half of both memories, what goes down in the other. */
static int plain_slice(struct scan *s, enum emuv_stream stream, uint32_t k, uint64_t *seq, struct emuv_err *err)
{
  const uint32_t slice = s->slice_pages, half = stream == EMUV_STREAM_DOWN;
  const uint32_t in_vram = s->vram_frames / 2, in_ram = s->n_pages / 2;
  const uint32_t frame = half * in_vram + k % (in_vram / slice) * slice,
                 ram = half * in_ram + k % (in_ram / slice) * slice;
  struct emuv_copy copies[MAX_SLICE];
  const struct emuv_after after = {{0}};
  for (uint32_t i = 0; i < s->slice_pages; i++)
    copies[i] =
        (struct emuv_copy){.frame = frame + i, .bytes = s->page_bytes, .host = emuv_engine_memory(s->engine, ram + i)};
  return s->options->device->copy(emuv_engine_device(s->engine), stream, copies, s->slice_pages, &after, seq, err);
}

/* Plain copies both ways at once between the memories that the engine has used: what they give depends on where both
 * lie, which differs from one allocation to the next. The end of the scan. */
static int plain_both(struct scan *s, double *rate, struct emuv_err *err)
{
  const struct emuv_device_ops *ops = s->options->device;
  struct emuv_device *device = emuv_engine_device(s->engine);
  uint64_t up = 0, down = 0, bytes = 0;
  int rc = emuv_engine_drain(s->engine, err);
  const double start = emuv_calibrate_now_ns();
  for (uint32_t k = 0; rc == 0 && emuv_calibrate_now_ns() - start < s->options->seconds * 1e9; k++) {
    rc = plain_slice(s, EMUV_STREAM_UP, k, &up, err);
    if (rc == 0) rc = plain_slice(s, EMUV_STREAM_DOWN, k, &down, err);
    bytes += 2 * s->slice_pages * s->page_bytes;
    if (rc == 0 && up > PLAIN_AHEAD) rc = ops->wait(device, EMUV_STREAM_UP, up - PLAIN_AHEAD, err);
  }
  if (rc == 0) rc = ops->wait(device, EMUV_STREAM_UP, up, err);
  if (rc == 0) rc = ops->wait(device, EMUV_STREAM_DOWN, down, err);
  *rate = (double)bytes / (emuv_calibrate_now_ns() - start) * 1e9;
  return rc;
}

/* Pages are born until VRAM is full; those after them push the first ones down. */
static int down_alone(struct scan *s, struct traffic *t, struct emuv_err *err)
{
  struct traffic start;
  const uint32_t full = s->vram_frames / s->slice_pages * s->slice_pages;
  int rc = pass(s, 0, full, false, true, err);
  if (rc == 0) rc = take_stock(s, &start, err);
  if (rc == 0) rc = pass(s, full, s->n_pages, false, true, err);
  if (rc == 0) rc = take_stock(s, t, err);
  if (rc == 0) subtract(t, &start);
  return rc;
}

struct table {
  struct emuv_links_row *rows;
  uint32_t n;
};

static struct emuv_links_row *add_row(struct table *t, const char *what, uint64_t page_bytes, double plain,
                                      double engine, double needed)
{
  t->rows[t->n] = (struct emuv_links_row){
      .what = what, .page_bytes = page_bytes, .plain = plain, .engine = engine, .needed = needed};
  return &t->rows[t->n++];
}

static double rate(double bytes, double seconds)
{
  return seconds > 0 ? bytes / seconds : 0;
}

struct plain {
  double up, down, both, peer;
};

static int measure_plain(const struct emuv_links_options *o, struct plain *p, struct emuv_err *err)
{
  const struct emuv_calibrate_options c = {
      .device = o->device, .device_index = o->device_index, .up = o->up, .down = o->down, .threads = o->threads};
  struct emuv_rig rig;
  const uint64_t most = o->vram_bytes / EMUV_CALIBRATE_FRAMES;
  const uint64_t copy = most < PLAIN_COPY ? most : PLAIN_COPY;
  int rc = emuv_rig_open(&c, copy, NULL, &rig, err);
  if (rc != 0) return rc;
  rc = emuv_calibrate_plain(&rig, copy < PLAIN_COPY ? 16 * copy : PLAIN_SERIES, &p->up, &p->down, &p->both, err);
  if (rc == 0 && o->with_peer)
    rc = emuv_calibrate_plain_peer(&rig, o->peer_index, 4 * (copy < PLAIN_COPY ? 16 * copy : PLAIN_SERIES), &p->peer,
                                   err);
  emuv_rig_close(&rig);
  return rc;
}

static int measure_peer(const struct emuv_links_options *o, const struct plain *p, uint64_t page_bytes,
                        struct table *table, struct emuv_err *err)
{
  struct scan s = {.options = o, .page_bytes = page_bytes, .data_bytes = o->data_bytes, .at_peer = true};
  struct traffic up = {0};
  int rc = open_scan(&s, err);
  if (rc == 0) rc = steady(&s, false, &up, err);
  close_scan(&s);
  if (rc == 0) add_row(table, "another GPU to device", page_bytes, p->peer, up.up / up.seconds, NEEDED_LINK);
  return rc;
}

static int measure_link(const struct emuv_links_options *o, const struct plain *p, uint64_t page_bytes,
                        struct table *table, struct emuv_err *err)
{
  struct scan s = {.options = o, .page_bytes = page_bytes, .data_bytes = o->data_bytes}, born = s;
  struct traffic up = {0}, both = {0}, down = {0};
  double both_here = 0;
  born.unborn = true;
  int rc = open_scan(&s, err);
  if (rc == 0) rc = steady(&s, false, &up, err);
  if (rc == 0) rc = steady(&s, true, &both, err);
  if (rc == 0) rc = plain_both(&s, &both_here, err);
  close_scan(&s);
  if (rc == 0) {
    rc = open_scan(&born, err);
    if (rc == 0) rc = down_alone(&born, &down, err);
    close_scan(&born);
  }
  if (rc != 0) return rc;
  add_row(table, "host to device", page_bytes, p->up, up.up / up.seconds, NEEDED_LINK)->busy = rate(up.up, up.up_busy);
  add_row(table, "device to host", page_bytes, p->down, down.down / down.seconds, NEEDED_LINK)->busy =
      rate(down.down, down.down_busy);
  add_row(table, "both at once, of both alone", page_bytes, p->up + p->down, (both.up + both.down) / both.seconds,
          NEEDED_BOTH);
  add_row(table, "both at once, of both plain", page_bytes, p->both, (both.up + both.down) / both.seconds, NEEDED_BOTH);
  add_row(table, "the same, plain in same memory", page_bytes, both_here, (both.up + both.down) / both.seconds,
          NEEDED_LINK);
  return 0;
}

/* Disks change their speed by themselves, virtual ones by a quarter within a minute: plain requests and the engine take
 * turns, plain ones first and last. */
struct turns {
  struct emuv_disk_raw *raw;
  double best_raw[2], raw_before[2]; /* reads, writes */
  double best_engine, share[DISK_ROUNDS];
  uint32_t n;
  struct traffic moved; /* by the engine in the last turn */
};

static int take_raw(struct turns *t, bool write, double seconds, struct emuv_err *err)
{
  double *const rate = &t->raw_before[write];
  const int rc = emuv_disk_raw_rate(t->raw, write, seconds, rate, err);
  if (*rate > t->best_raw[write]) t->best_raw[write] = *rate;
  return rc;
}

/* Bytes per second that plain requests need for the same bytes, one direction after the other. */
static double plain_rate(const struct traffic *moved, const double raw[2])
{
  const double seconds = moved->disk_read / raw[0] + moved->disk_write / raw[1];
  return (moved->disk_read + moved->disk_write) / seconds;
}

static int one_turn(struct turns *t, struct scan *s, bool write, struct emuv_err *err)
{
  const double before[2] = {t->raw_before[0], t->raw_before[1]};
  struct traffic moved = {0};
  int rc = passes(s, write, &moved, err);
  if (rc == 0) rc = take_raw(t, false, s->options->seconds, err);
  if (rc == 0 && write) rc = take_raw(t, true, s->options->seconds, err);
  if (rc != 0) return rc;
  const double beside[2] = {(before[0] + t->raw_before[0]) / 2, (before[1] + t->raw_before[1]) / 2};
  const double engine = (moved.disk_read + moved.disk_write) / moved.seconds;
  if (engine > t->best_engine) t->best_engine = engine;
  t->share[t->n++] = engine / plain_rate(&moved, beside);
  t->moved = moved;
  return 0;
}

static int take_turns(struct turns *t, struct scan *s, bool write, struct emuv_err *err)
{
  int rc = pass(s, 0, s->n_pages, true, write, err);
  if (rc == 0) rc = take_raw(t, false, s->options->seconds, err);
  if (rc == 0) rc = take_raw(t, true, s->options->seconds, err);
  t->n = 0;
  t->best_engine = 0;
  while (rc == 0 && t->n < DISK_ROUNDS) rc = one_turn(t, s, write, err);
  return rc;
}

static void add_disk_row(struct table *table, const char *what, const struct scan *s, struct turns *t)
{
  struct emuv_links_row *row =
      add_row(table, what, s->page_bytes, plain_rate(&t->moved, t->best_raw), t->best_engine, NEEDED_DISK);
  row->in_turn = emuv_calibrate_figure(t->share, t->n).value;
}

static int measure_disk(const struct emuv_links_options *o, uint64_t page_bytes, struct table *table,
                        struct emuv_err *err)
{
  const struct emuv_calibrate_options c = {
      .nvme_path = o->nvme_path, .nvme_bytes = o->nvme_bytes / 2, .disk_seconds = o->seconds / 4};
  struct scan s = {.options = o, .page_bytes = page_bytes, .data_bytes = o->nvme_bytes / 2, .on_disk = true};
  struct turns t = {0};
  int rc = emuv_disk_raw_open(&c, page_bytes, &t.raw, err);
  if (rc != 0) return rc;
  rc = open_scan(&s, err);
  if (rc == 0) rc = take_turns(&t, &s, false, err);
  if (rc == 0) add_disk_row(table, "disk to device", &s, &t);
  if (rc == 0) rc = take_turns(&t, &s, true, err);
  if (rc == 0) add_disk_row(table, "disk, reads and writes", &s, &t);
  close_scan(&s);
  emuv_disk_raw_close(t.raw);
  return rc;
}

static int complete(struct emuv_links_options *o, struct emuv_err *err)
{
  if (o->vram_bytes == 0) o->vram_bytes = VRAM_BYTES;
  if (o->data_bytes == 0) o->data_bytes = DATA_BYTES;
  if (o->seconds <= 0) o->seconds = 1;
  if (o->n_pages == 0) {
    o->n_pages = 2;
    o->page_bytes[0] = UINT64_C(2) << 20;
    o->page_bytes[1] = UINT64_C(16) << 20;
  }
  if (o->n_pages > EMUV_LINKS_PAGES)
    return emuv_err_set(err, EMUV_ERR_RANGE, "links are measured with %d page sizes at most", EMUV_LINKS_PAGES);
  return 0;
}

int emuv_links_measure(const struct emuv_links_options *options, struct emuv_links_row rows[EMUV_LINKS_ROWS],
                       uint32_t *n, struct emuv_err *err)
{
  struct emuv_links_options o = *options;
  struct table table = {.rows = rows};
  struct plain plain;
  int rc = complete(&o, err);
  if (rc == 0) rc = measure_plain(&o, &plain, err);
  for (uint32_t i = 0; rc == 0 && i < o.n_pages; i++) {
    rc = measure_link(&o, &plain, o.page_bytes[i], &table, err);
    if (rc == 0 && o.with_peer) rc = measure_peer(&o, &plain, o.page_bytes[i], &table, err);
    if (rc == 0 && o.nvme_path) rc = measure_disk(&o, o.page_bytes[i], &table, err);
  }
  *n = table.n;
  return rc;
}

static bool reaches(const struct emuv_links_row *row)
{
  const double share = row->in_turn > 0 ? row->in_turn : row->engine / row->plain;
  return share >= row->needed;
}

void emuv_links_print(const struct emuv_links_row *rows, uint32_t n, FILE *table)
{
  char size[32], busy[32], in_turn[32];
  (void)fprintf(table, "%-30s %8s %16s %12s %14s %8s %10s\n", "link", "page", "best plain GB/s", "engine GB/s",
                "while busy", "share", "in turn");
  for (uint32_t i = 0; i < n; i++) {
    busy[0] = in_turn[0] = 0;
    if (rows[i].in_turn > 0) (void)snprintf(in_turn, sizeof in_turn, "%.1f %%", 100 * rows[i].in_turn);
    if (rows[i].busy > 0) (void)snprintf(busy, sizeof busy, "%.2f", rows[i].busy / 1e9);
    (void)fprintf(table, "%-30s %8s %16.2f %12.2f %14s %6.1f %% %10s%s\n", rows[i].what,
                  emuv_units_format_bytes(rows[i].page_bytes, size, sizeof size), rows[i].plain / 1e9,
                  rows[i].engine / 1e9, busy, 100 * rows[i].engine / rows[i].plain, in_turn,
                  reaches(&rows[i]) ? "" : "  (less than it should be)");
  }
}

int emuv_links(const struct emuv_links_options *options, FILE *table, bool *reached, struct emuv_err *err)
{
  struct emuv_links_row rows[EMUV_LINKS_ROWS];
  uint32_t n = 0;
  const int rc = emuv_links_measure(options, rows, &n, err);
  if (rc != 0) return rc;
  emuv_links_print(rows, n, table);
  *reached = true;
  for (uint32_t i = 0; i < n; i++) *reached = *reached && reaches(&rows[i]);
  return 0;
}
