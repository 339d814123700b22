// SPDX-License-Identifier: Apache-2.0
/* The tiers that the pager calls. Copies between RAM and VRAM are gathered per direction and go to the device as one
 * piece of work; requests to the disk go to its queue one by one.
 *
 * A batch is submitted when it is large enough, when a piece must wait for another kernel than the batch does, before
 * anything that depends on one of its pieces, before the caller waits, and between slices unless its link has as much
 * to do anyway (each piece of work costs a GPU some microseconds, which a link that is behind should not spend). So no
 * batch ever waits for one that has not been submitted, and no batch for itself. */
#include "runtime/engine/internal.h"

#include <string.h>

enum { SOON = 8 };

static enum emuv_stream stream_of(int link)
{
  return (enum emuv_stream)(EMUV_STREAM_UP + link);
}

/* Numbers of a link that have finished give back their room. */
static void retire(struct emuv_engine *e, int link)
{
  struct emuv_engine_link *l = &e->link[link];
  uint64_t done = e->ops->done(e->device, stream_of(link));
  for (; l->oldest <= done && l->oldest <= e->board.given[stream_of(link)]; l->oldest++)
    l->bytes -= l->submitted[l->oldest % EMUV_ENGINE_IN_FLIGHT];
}

/* Is more in flight than there may be? The newest may always be. */
static bool is_full(const struct emuv_engine *e, int link)
{
  const struct emuv_engine_link *l = &e->link[link];
  uint64_t newest = e->board.given[stream_of(link)];
  if (l->oldest >= newest) return false;
  return (e->env.in_flight_bytes && l->bytes > e->env.in_flight_bytes) ||
         newest - l->oldest >= EMUV_ENGINE_IN_FLIGHT - 1;
}

/* Back-pressure. */
static int make_room(struct emuv_engine *e, int link, struct emuv_err *err)
{
  if (!is_full(e, link)) return 0;
  retire(e, link);
  while (is_full(e, link)) {
    struct emuv_err why;
    if (e->ops->wait(e->device, stream_of(link), e->link[link].oldest, &why)) return emuv_engine_fail(e, &why, err);
    retire(e, link);
  }
  return 0;
}

static int flush_link(struct emuv_engine *e, int link, struct emuv_err *err)
{
  struct emuv_engine_batch *b = &e->batch[link];
  struct emuv_err why;
  enum emuv_stream stream = stream_of(link);
  uint64_t seq = 0, bytes = b->bytes;
  if (!b->n) return 0;
  if (e->queue) emuv_disk_queue_kick(e->queue); /* the device may wait for room, and that for the disk */
  int rc = e->ops->copy(e->device, stream, b->piece, b->n, &b->after, &seq, &why);
  b->n = 0;
  b->bytes = 0;
  if (rc) return emuv_engine_fail(e, &why, err);
  if (seq != e->board.given[stream]) {
    emuv_err_set(&why, EMUV_ERR_INTERNAL, "a copy got another number than expected");
    return emuv_engine_fail(e, &why, err);
  }
  e->link[link].submitted[seq % EMUV_ENGINE_IN_FLIGHT] = bytes;
  e->link[link].bytes += bytes;
  emuv_engine_count_times(e, false);
  return make_room(e, link, err);
}

int emuv_engine_flush(struct emuv_engine *e, struct emuv_err *err)
{
  int rc = 0;
  for (int i = EMUV_ENGINE_N_LINKS - 1; i >= 0 && !rc; i--)
    rc = flush_link(e, i, err); /* down first: it frees frames */
  return rc;
}

int emuv_engine_flush_idle(struct emuv_engine *e, struct emuv_err *err)
{
  int rc = 0;
  for (int i = EMUV_ENGINE_N_LINKS - 1; i >= 0 && !rc; i--) {
    if (!e->batch[i].n) continue;
    retire(e, i);
    if (stream_of(i) == EMUV_STREAM_STAGED || e->link[i].bytes < e->merge_bytes[i]) rc = flush_link(e, i, err);
  }
  return rc;
}

/* Does work wait for a piece that has not been submitted? */
static bool waits_for_batch(const struct emuv_engine *e, const struct emuv_after *after)
{
  for (int i = 0; i < EMUV_ENGINE_N_LINKS; i++)
    if (e->batch[i].n && after->seq[stream_of(i)] == e->board.given[stream_of(i)]) return true;
  return false;
}

int emuv_engine_flush_before(struct emuv_engine *e, const struct emuv_after *after, struct emuv_err *err)
{
  return waits_for_batch(e, after) ? emuv_engine_flush(e, err) : 0;
}

/* Adds a page to the batch of a link; *seq: its number. */
static int gather(struct emuv_engine *e, int link, const struct emuv_move *m, const struct emuv_after *after,
                  uint64_t *seq, struct emuv_err *err)
{
  struct emuv_engine_batch *b = &e->batch[link];
  enum emuv_stream stream = stream_of(link);
  int rc = emuv_engine_flush_before(e, after, err);
  if (!rc && b->n && after->seq[EMUV_STREAM_COMPUTE] > b->after.seq[EMUV_STREAM_COMPUTE]) rc = flush_link(e, link, err);
  if (rc) return rc;
  if (!b->n) {
    memset(&b->after, 0, sizeof b->after);
    e->board.given[stream]++;
  }
  for (int s = 0; s < EMUV_N_STREAMS; s++) emuv_scoreboard_later(&b->after.seq[s], after->seq[s]);
  b->after.seq[stream] = 0; /* a stream runs in order */
  b->piece[b->n++] = (struct emuv_copy){
      .frame = m->upper, .offset = 0, .bytes = e->env.page_bytes, .host = emuv_engine_ram(e, m->lower)};
  b->bytes += e->env.page_bytes;
  *seq = e->board.given[stream];
  return 0;
}

static int flush_if_large(struct emuv_engine *e, int link, struct emuv_err *err)
{
  struct emuv_engine_batch *b = &e->batch[link];
  bool large = b->n == EMUV_ENGINE_PIECES || b->bytes + e->env.page_bytes > e->merge_bytes[link];
  return large ? flush_link(e, link, err) : 0;
}

static int copy_up(struct emuv_engine *e, const struct emuv_move *m, struct emuv_err *err)
{
  struct emuv_after after = {.seq = {[EMUV_STREAM_COMPUTE] = e->gate}};
  emuv_scoreboard_before_up(&e->board, m->upper, m->lower, &after);
  uint64_t disk = after.seq[EMUV_STREAM_DISK_READ], seq;
  bool peer = emuv_engine_is_peer(e, m->lower);
  bool staged = peer || (disk && disk > emuv_disk_queue_done(e->queue, EMUV_STREAM_DISK_READ));
  int link = staged ? EMUV_STREAM_STAGED - EMUV_STREAM_UP : 0;
  int rc = gather(e, link, m, &after, &seq, err);
  if (rc) return rc;
  emuv_scoreboard_mark_up(&e->board, stream_of(link), m->upper, m->lower, seq);
  e->stats.up_bytes += e->env.page_bytes;
  if (peer)
    e->stats.peer_up_bytes += e->env.page_bytes;
  else if (staged)
    e->stats.staged_bytes += e->env.page_bytes;
  return flush_if_large(e, link, err);
}

static int copy_down(struct emuv_engine *e, const struct emuv_move *m, struct emuv_err *err)
{
  enum { LINK = EMUV_STREAM_DOWN - EMUV_STREAM_UP };
  struct emuv_after after = {{0}};
  uint64_t seq;
  emuv_scoreboard_before_down(&e->board, m->upper, m->lower, &after);
  int rc = gather(e, LINK, m, &after, &seq, err);
  if (rc) return rc;
  emuv_scoreboard_mark_down(&e->board, m->upper, m->lower, seq);
  e->stats.down_bytes += e->env.page_bytes;
  if (emuv_engine_is_peer(e, m->lower)) e->stats.peer_down_bytes += e->env.page_bytes;
  return flush_if_large(e, LINK, err);
}

/* Marks and paths of a page that comes soon: neighbours need not lie in neighbouring frames. */
static void fetch_books(const struct emuv_engine *e, const struct emuv_move *m)
{
  __builtin_prefetch(&e->board.vram[m->upper], 1);
  __builtin_prefetch(&e->board.ram[m->lower], 1);
  __builtin_prefetch(&e->books.vram[m->upper], 1);
  __builtin_prefetch(&e->books.ram[m->lower], 1);
}

static int read_up(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                   double *done_ns, struct emuv_err *err)
{
  struct emuv_engine *e = tier->owner;
  int rc = emuv_engine_check(e, err);
  *done_ns = earliest_ns;
  for (uint32_t i = 0; i < n && !rc; i++) {
    if (i + SOON < n) fetch_books(e, &moves[i + SOON]);
    e->books.vram[moves[i].upper] = emuv_path_add(e->books.ram[moves[i].lower], EMUV_STEP_VRAM);
    if (emuv_engine_is_peer(e, moves[i].lower)) e->stats.peer_ups++;
    if (!e->skim) rc = copy_up(e, &moves[i], err);
  }
  return rc;
}

static int write_down(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                      double *done_ns, struct emuv_err *err)
{
  struct emuv_engine *e = tier->owner;
  int rc = emuv_engine_check(e, err);
  *done_ns = earliest_ns;
  for (uint32_t i = 0; i < n && !rc; i++) {
    if (i + SOON < n) fetch_books(e, &moves[i + SOON]);
    e->books.ram[moves[i].lower] =
        emuv_path_add(e->books.vram[moves[i].upper], emuv_engine_ram_step(e, moves[i].lower));
    if (emuv_engine_is_peer(e, moves[i].lower)) e->stats.peer_downs++;
    if (!e->skim) rc = copy_down(e, &moves[i], err);
  }
  return rc;
}

/* The disk. */

int emuv_engine_reserve(struct emuv_engine *e, uint32_t slot, struct emuv_err *err)
{
  if (slot < e->reserved_slots) return 0;
  uint64_t ahead = (uint64_t)slot + 1 + e->scratch_pages; /* some at a time: the file grows in large pieces */
  uint32_t room = ahead < e->env.nvme_slots ? (uint32_t)ahead : e->env.nvme_slots;
  uint32_t reserved = e->reserved_slots;
  struct emuv_err why;
  int rc = emuv_disk_reserve(e->disk, room, &reserved, &why);
  if (rc && rc != EMUV_ERR_NOSPACE) return emuv_engine_fail(e, &why, err);
  if (!rc) reserved = room;
  if (reserved > e->reserved_slots) e->reserved_slots = reserved;
  if (slot < e->reserved_slots) return 0;
  if (err) *err = why;
  return rc;
}

static int disk_stopped(struct emuv_engine *e, struct emuv_err *err)
{
  struct emuv_err why;
  emuv_err_set(&why, EMUV_ERR_INTERNAL, "the disk's queue has stopped");
  return emuv_engine_fail(e, &why, err);
}

static int disk_request(struct emuv_engine *e, enum emuv_stream stream, uint32_t frame, uint32_t slot,
                        const struct emuv_after *after, uint64_t *seq, struct emuv_err *err)
{
  int rc = emuv_engine_flush_before(e, after, err);
  if (rc) return rc;
  if (!emuv_disk_queue_push(e->queue, stream, slot, emuv_engine_ram(e, frame), after, seq)) return disk_stopped(e, err);
  e->board.given[stream] = *seq;
  return 0;
}

static int read_page(struct emuv_engine *e, const struct emuv_move *m, struct emuv_err *err)
{
  struct emuv_after after = {.seq = {[EMUV_STREAM_COMPUTE] = e->gate}};
  uint64_t seq;
  emuv_scoreboard_before_disk_read(&e->board, m->upper, m->lower, &after);
  int rc = disk_request(e, EMUV_STREAM_DISK_READ, m->upper, m->lower, &after, &seq, err);
  if (rc) return rc;
  emuv_scoreboard_mark_disk_read(&e->board, m->upper, m->lower, seq);
  e->stats.disk_read_bytes += e->env.page_bytes;
  return 0;
}

static int write_page(struct emuv_engine *e, const struct emuv_move *m, struct emuv_err *err)
{
  struct emuv_after after = {{0}};
  uint64_t seq;
  emuv_scoreboard_before_disk_write(&e->board, m->upper, m->lower, &after);
  int rc = disk_request(e, EMUV_STREAM_DISK_WRITE, m->upper, m->lower, &after, &seq, err);
  if (rc) return rc;
  emuv_scoreboard_mark_disk_write(&e->board, m->upper, m->lower, seq);
  e->stats.disk_write_bytes += e->env.page_bytes;
  return 0;
}

static int read_disk(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                     double *done_ns, struct emuv_err *err)
{
  struct emuv_engine *e = tier->owner;
  int rc = emuv_engine_check(e, err);
  *done_ns = earliest_ns;
  for (uint32_t i = 0; i < n && !rc; i++) {
    e->books.ram[moves[i].upper] = emuv_path_add(e->books.slot[moves[i].lower], EMUV_STEP_RAM);
    if (!e->skim) rc = read_page(e, &moves[i], err);
  }
  if (!e->skim) emuv_disk_queue_kick(e->queue);
  return rc;
}

static int write_disk(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                      double *done_ns, struct emuv_err *err)
{
  struct emuv_engine *e = tier->owner;
  uint32_t last = 0;
  int rc = emuv_engine_check(e, err);
  *done_ns = earliest_ns;
  for (uint32_t i = 0; i < n; i++)
    if (moves[i].lower > last) last = moves[i].lower;
  if (!rc && n) rc = emuv_engine_reserve(e, last, err);
  for (uint32_t i = 0; i < n && !rc; i++) {
    e->books.slot[moves[i].lower] = emuv_path_add(e->books.ram[moves[i].upper], EMUV_STEP_NVME);
    if (!e->skim) rc = write_page(e, &moves[i], err);
  }
  if (!e->skim) emuv_disk_queue_kick(e->queue);
  return rc;
}

static const struct emuv_tier_ops ram_tier = {
    .name = "ram", .summary = "frames of RAM, copied to VRAM and back", .read = read_up, .write = write_down};
static const struct emuv_tier_ops disk_tier = {.name = "disk",
                                               .summary = "slots of a disk, read into RAM and written from it",
                                               .read = read_disk,
                                               .write = write_disk};

void emuv_engine_tiers(struct emuv_engine *e, struct emuv_tier *ram, struct emuv_tier *nvme)
{
  *ram = (struct emuv_tier){.ops = &ram_tier, .env = {.page_bytes = e->env.page_bytes}, .owner = e};
  *nvme = (struct emuv_tier){.ops = &disk_tier, .env = {.page_bytes = e->env.page_bytes}, .owner = e};
}

/* At once, for the engine itself: nothing that concerns the page is in flight. */

static int peer_copy(struct emuv_engine *e, void *to, const void *from, uint64_t bytes, struct emuv_err *err)
{
  struct emuv_err why;
  return e->ops->peer_copy(e->device, to, from, bytes, &why) ? emuv_engine_fail(e, &why, err) : 0;
}

int emuv_engine_ram_read(struct emuv_engine *e, uint32_t frame, uint64_t offset, void *into, uint64_t bytes,
                         struct emuv_err *err)
{
  const char *from = emuv_engine_ram(e, frame) + offset;
  if (emuv_engine_is_peer(e, frame)) return peer_copy(e, into, from, bytes, err);
  memcpy(into, from, bytes);
  return 0;
}

int emuv_engine_ram_write(struct emuv_engine *e, uint32_t frame, uint64_t offset, const void *from, uint64_t bytes,
                          struct emuv_err *err)
{
  char *to = emuv_engine_ram(e, frame) + offset;
  if (emuv_engine_is_peer(e, frame)) return peer_copy(e, to, from, bytes, err);
  memcpy(to, from, bytes);
  return 0;
}

int emuv_engine_disk_start(struct emuv_engine *e, bool write, uint32_t slot, void *memory, uint64_t *seq,
                           struct emuv_err *err)
{
  enum emuv_stream stream = write ? EMUV_STREAM_DISK_WRITE : EMUV_STREAM_DISK_READ;
  struct emuv_after after = {{0}};
  if (!emuv_disk_queue_push(e->queue, stream, slot, memory, &after, seq)) return disk_stopped(e, err);
  e->board.given[stream] = *seq;
  emuv_disk_queue_kick(e->queue);
  return 0;
}

int emuv_engine_disk_wait(struct emuv_engine *e, bool write, uint64_t seq, struct emuv_err *err)
{
  enum emuv_stream stream = write ? EMUV_STREAM_DISK_WRITE : EMUV_STREAM_DISK_READ;
  return emuv_disk_queue_wait(e->queue, stream, seq) ? 0 : disk_stopped(e, err);
}

int emuv_engine_disk_now(struct emuv_engine *e, bool write, uint32_t slot, void *memory, struct emuv_err *err)
{
  uint64_t seq;
  int rc = emuv_engine_disk_start(e, write, slot, memory, &seq, err);
  return rc ? rc : emuv_engine_disk_wait(e, write, seq, err);
}

int emuv_engine_copy_now(struct emuv_engine *e, bool up, uint32_t frame, void *memory, struct emuv_err *err)
{
  enum emuv_stream stream = up ? EMUV_STREAM_UP : EMUV_STREAM_DOWN;
  struct emuv_copy copy = {.frame = frame, .bytes = e->env.page_bytes, .host = memory};
  struct emuv_after after = {{0}};
  struct emuv_err why;
  uint64_t seq;
  int rc = emuv_engine_flush(e, err);
  if (rc) return rc;
  rc = e->ops->copy(e->device, stream, &copy, 1, &after, &seq, &why);
  if (!rc) rc = e->ops->wait(e->device, stream, seq, &why);
  if (rc) return emuv_engine_fail(e, &why, err);
  e->board.given[stream] = seq;
  e->link[stream - EMUV_STREAM_UP].submitted[seq % EMUV_ENGINE_IN_FLIGHT] = 0;
  retire(e, stream - EMUV_STREAM_UP);
  return 0;
}
