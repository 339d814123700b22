// SPDX-License-Identifier: Apache-2.0
/* Kernels, and waiting. A launch turns uses of pages into touches: what is checked, which part is read, what it comes
 * after. A launch that writes a page leaves the whole of it in the next version (contents depend on the version); one
 * that reads without checking the page whole reads its recorded volume, each time the part behind the last one, so that
 * in time all parts are read. */
#include "runtime/engine/internal.h"

#include <stdlib.h>
#include <string.h>

enum { UNIT = 16, SOON = 8 };

struct launch {
  struct emuv_engine *e;
  uint64_t seq;
  struct emuv_after all, data; /* data: of pages that are read */
};

static int make_touches(struct emuv_engine *e, uint32_t n, struct emuv_err *err)
{
  if (n <= e->touch_room) return 0;
  uint32_t room = n + n / 2 + 64;
  struct emuv_touch *touch = realloc(e->touch, room * sizeof *touch);
  if (!touch) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for a launch with %u pages", n);
  e->touch = touch;
  e->touch_room = room;
  return 0;
}

/* The next `bytes` of a page after those that were read last; the last part again where it would not fit. */
static void choose_part(struct emuv_engine *e, const struct emuv_use *use, struct emuv_touch *t)
{
  struct emuv_page_book *book = &e->books.page[use->page];
  uint64_t page = e->env.page_bytes, bytes = (use->bytes + UNIT - 1) / UNIT * UNIT;
  t->bytes = bytes < UNIT ? UNIT : bytes > page ? page : bytes;
  t->offset = (uint64_t)book->cursor * UNIT;
  if (t->offset + t->bytes > page) t->offset = page - t->bytes;
  uint64_t next = t->offset + t->bytes;
  book->cursor = next == page ? 0 : (next / UNIT) & 0x7fffffff;
}

static void note_write(struct emuv_engine *e, const struct emuv_use *use)
{
  struct emuv_page_book *book = &e->books.page[use->page];
  book->version++;
  book->known = 1;
  e->books.vram[use->frame] = EMUV_STEP_VRAM | EMUV_PATH_NEW;
}

static void note_check(struct launch *l, const struct emuv_use *use, const struct emuv_touch *t)
{
  uint32_t *path = &l->e->books.vram[use->frame];
  if ((*path & (EMUV_PATH_STEPS | EMUV_PATH_CUT)) != EMUV_STEP_VRAM)
    emuv_books_note_check(&l->e->books, use->page, l->seq, *path);
  if (t->bytes == l->e->env.page_bytes) *path = EMUV_STEP_VRAM;
  l->e->stats.checked_bytes += t->bytes;
}

static void prepare(struct launch *l, const struct emuv_use *use, struct emuv_touch *t)
{
  struct emuv_engine *e = l->e;
  const struct emuv_page_book *book = &e->books.page[use->page];
  bool read = use->read && !use->fresh, check = read && book->known && e->env.verify != EMUV_VERIFY_OFF;
  bool moved = e->env.verify == EMUV_VERIFY_FULL && (e->books.vram[use->frame] & EMUV_PATH_NEW);
  *t = (struct emuv_touch){.page = use->page, .version = book->version, .frame = use->frame};
  t->flags = (read ? EMUV_TOUCH_READ : 0u) | (use->write ? EMUV_TOUCH_WRITE : 0u) | (check ? EMUV_TOUCH_CHECK : 0u);
  if (use->write || (check && moved))
    t->bytes = e->env.page_bytes;
  else
    choose_part(e, use, t);
  emuv_scoreboard_before_use(&e->board, use->frame, use->write, read ? &l->data : &l->all);
  emuv_scoreboard_mark_use(&e->board, use->frame, use->write, l->seq);
  if (check) note_check(l, use, t);
  if (use->write) note_write(e, use);
}

int emuv_engine_submit(struct emuv_engine *e, const struct emuv_kernel *kernel, const struct emuv_after *after,
                       struct emuv_err *err)
{
  struct emuv_err why;
  uint64_t seq;
  if (e->ops->launch(e->device, kernel, after, &seq, &why)) return emuv_engine_fail(e, &why, err);
  if (seq != ++e->board.given[EMUV_STREAM_COMPUTE]) {
    emuv_err_set(&why, EMUV_ERR_INTERNAL, "a kernel got another number than expected");
    return emuv_engine_fail(e, &why, err);
  }
  e->stats.launches++;
  emuv_engine_count_times(e, false);
  return 0;
}

/* The copy whose data a kernel has to wait for; 0: it is there. */
static uint64_t awaited(const struct launch *l, enum emuv_stream stream)
{
  uint64_t seq = l->data.seq[stream];
  return seq > l->e->ops->done(l->e->device, stream) ? seq : 0;
}

static int run(struct launch *l, uint32_t n, double duration_ns, struct emuv_err *err)
{
  struct emuv_engine *e = l->e;
  struct emuv_kernel kernel = {.touch = e->touch, .n_touches = n, .duration_ns = duration_ns};
  e->launched[l->seq % EMUV_ENGINE_HISTORY] = (struct emuv_engine_launched){
      .seq = l->seq, .up = awaited(l, EMUV_STREAM_UP), .staged = awaited(l, EMUV_STREAM_STAGED)};
  for (int s = 0; s < EMUV_N_STREAMS; s++) emuv_scoreboard_later(&l->all.seq[s], l->data.seq[s]);
  int rc = emuv_engine_flush_before(e, &l->all, err);
  return rc ? rc : emuv_engine_submit(e, &kernel, &l->all, err);
}

/* What is known of a page that comes soon: it need not lie near the last one. */
static void fetch_books(const struct emuv_engine *e, const struct emuv_use *use)
{
  __builtin_prefetch(&e->books.page[use->page], 1);
  __builtin_prefetch(&e->books.vram[use->frame], 1);
  __builtin_prefetch(&e->board.vram[use->frame], 1);
}

int emuv_engine_launch(struct emuv_engine *e, const struct emuv_use *use, uint32_t n, double duration_ns, uint64_t *seq,
                       struct emuv_err *err)
{
  struct launch l = {.e = e, .seq = e->board.given[EMUV_STREAM_COMPUTE] + 1};
  int rc = emuv_engine_check(e, err);
  if (!rc) rc = make_touches(e, n, err);
  if (rc) return rc;
  *seq = e->skim ? 0 : l.seq;
  if (e->skim) {
    for (uint32_t i = 0; i < n; i++)
      if (use[i].write) note_write(e, &use[i]);
    return 0;
  }
  for (uint32_t i = 0; i < n; i++) {
    if (i + SOON < n) fetch_books(e, &use[i + SOON]);
    prepare(&l, &use[i], &e->touch[i]);
  }
  return run(&l, n, duration_ns, err);
}

int emuv_engine_wait(struct emuv_engine *e, uint64_t seq, struct emuv_err *err)
{
  struct emuv_err why;
  int rc = emuv_engine_flush(e, err);
  if (rc) return rc;
  if (e->ops->wait(e->device, EMUV_STREAM_COMPUTE, seq, &why)) return emuv_engine_fail(e, &why, err);
  return emuv_engine_check(e, err);
}

int emuv_engine_drain(struct emuv_engine *e, struct emuv_err *err)
{
  struct emuv_err why;
  int rc = emuv_engine_check(e, err);
  if (!rc) rc = emuv_engine_flush(e, err);
  for (int s = 0; s < EMUV_STREAM_DISK_READ && !rc; s++)
    if (e->ops->wait(e->device, (enum emuv_stream)s, e->board.given[s], &why)) rc = emuv_engine_fail(e, &why, err);
  for (int write = 0; write < 2 && e->queue && !rc; write++)
    rc = emuv_engine_disk_wait(e, write, e->board.given[EMUV_STREAM_DISK_READ + write], err);
  if (!rc) rc = emuv_engine_check(e, err);
  return rc ? rc : emuv_engine_take_reports(e, err);
}

bool emuv_engine_span(struct emuv_engine *e, uint64_t seq, struct emuv_span *span, double *data_ns, bool *from_disk)
{
  const struct emuv_engine_launched *l = &e->launched[seq % EMUV_ENGINE_HISTORY];
  struct emuv_span up = {0}, staged = {0};
  if (l->seq != seq || !e->ops->span(e->device, EMUV_STREAM_COMPUTE, seq, span)) return false;
  if (l->up) e->ops->span(e->device, EMUV_STREAM_UP, l->up, &up);
  if (l->staged) e->ops->span(e->device, EMUV_STREAM_STAGED, l->staged, &staged);
  bool staged_last = staged.end_ns > up.end_ns;
  *from_disk = staged_last && !e->layout.peer;
  *data_ns = staged_last ? staged.end_ns : up.end_ns;
  return true;
}

int emuv_engine_tend(struct emuv_engine *e, const struct emuv_pager *pager, struct emuv_err *err)
{
  bool due[EMUV_N_PLACES] = {false};
  int rc = emuv_engine_check(e, err);
  if (!rc) rc = emuv_engine_flush_idle(e, err);
  if (!rc) rc = emuv_engine_take_reports(e, err);
  if (rc || e->skim) return rc;
  bool harm = emuv_engine_flips_due(e, due);
  if (!harm && !e->n_wrong) return 0;
  rc = emuv_engine_drain(e, err);
  if (!rc) rc = emuv_engine_repair(e, pager, err);
  emuv_engine_flips_settle(e, false);
  return rc || !harm ? rc : emuv_engine_flip(e, pager, due, err);
}
