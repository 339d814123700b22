// SPDX-License-Identifier: Apache-2.0
/* The virtual tier: one queue per direction (on a disk they share the device), served in order, each copy at the
 * bandwidth that the curve gives for its size. The curve holds the per-copy cost, as measured with copies of that size
 * back to back.
 *
 * Batches: a batch of k pieces takes what one copy takes and (k - 1) times what another piece in a batch takes, which
 * follows from the rate of batches of 64. (H200, pieces of 64 KiB: 18 GB/s one by one, 53.5 in batches of 64; this says
 * 49 for batches of 16, as measured.) Requests join a batch until it has been submitted, by the rules of the engine
 * (runtime/engine/transfer.c): it is large enough; what leaves was written by a later kernel than the batch waits for;
 * pages come into frames that others leave in a batch that is still being gathered; or whoever owns the tier says so
 * (gathered_bytes = 0: a kernel needs it, or the slice is over). */
#include "runtime/tier/schedule.h"
#include "runtime/tier/tier.h"

enum { MEASURED_PIECES = 64 };

/* One direction of a tier. */
struct way {
  struct emuv_tier *tier;
  struct emuv_channel *own, *other; /* other: direction that shares the link */
  const struct emuv_curve *single, *batched;
  struct emuv_schedule *schedule;       /* NULL: requests are served in order */
  const struct emuv_tier_frame *leaves; /* copies wait for the kernels that wrote these; NULL: for none */
  uint64_t batch_bytes;
  uint64_t first_batch; /* of the call */
  double submitted_ns;  /* when the host has submitted that; 0 = nobody pays */
};

static double time_of(const struct emuv_curve *curve, uint64_t bytes)
{
  return (double)bytes / emuv_curve_rate(curve, bytes) * 1e9;
}

/* A piece within a batch, never faster than the largest copies. */
static double piece_ns(const struct way *w, uint64_t bytes)
{
  double alone = time_of(w->single, bytes), batch = MEASURED_PIECES * time_of(w->batched, bytes);
  double piece = (batch - alone) / (MEASURED_PIECES - 1);
  double least = (double)bytes / emuv_curve_rate(w->single, UINT64_MAX) * 1e9;
  return piece < least ? least : piece;
}

static uint32_t written_by(const struct way *w, const struct emuv_move *move)
{
  return w->leaves ? w->leaves[move->upper].written_by : 0;
}

/* Moves that adjoin in both memories and may be in one batch: how many from the first on. */
static uint32_t adjoining(const struct way *w, const struct emuv_move *moves, uint32_t n)
{
  uint32_t i = 1;
  while (i < n && moves[i].upper == moves[0].upper + i && moves[i].lower == moves[0].lower + i &&
         written_by(w, &moves[i]) <= written_by(w, &moves[0]))
    i++;
  return i;
}

/* The host adds pieces to a batch: to the one that is being gathered (true), or they are the first of another. */
static bool gather(struct way *w, uint32_t after, uint64_t bytes, uint64_t pieces)
{
  struct emuv_channel *c = w->own;
  struct emuv_tier_host *host = w->tier->host;
  bool joins = c->gathered_bytes && after <= c->gathered_after &&
               (!w->batch_bytes || c->gathered_bytes + bytes <= w->batch_bytes);
  c->gathered_bytes = (joins ? c->gathered_bytes : 0) + bytes;
  c->requests += pieces;
  if (!joins) c->gathered_after = after;
  if (!joins) c->batches++;
  if (!host) return joins;
  host->now_ns += (joins ? 0 : host->batch_ns) + host->piece_ns * (double)pieces;
  if (!w->first_batch) w->first_batch = c->batches;
  if (w->first_batch == c->batches) w->submitted_ns = host->now_ns;
  return joins;
}

static double batched_ns(struct way *w, const struct emuv_move *moves, uint32_t n)
{
  double sum = 0;
  for (uint32_t i = 0, m; i < n; i += m) {
    m = adjoining(w, moves + i, n - i);
    uint64_t bytes = m * w->tier->env.page_bytes;
    bool joins = gather(w, written_by(w, &moves[i]), bytes, 1);
    double alone = time_of(w->single, bytes), piece = piece_ns(w, bytes);
    sum += joins || alone < piece ? piece : alone;
  }
  return sum;
}

/* Most copies are as large as the one before. */
static double copy_rate(const struct way *w, uint64_t bytes)
{
  if (w->own->copy_bytes != bytes) {
    w->own->copy_bytes = bytes;
    w->own->copy_rate = emuv_curve_rate(w->single, bytes);
  }
  return w->own->copy_rate;
}

static double merged_ns(struct way *w, uint32_t n)
{
  const struct emuv_tier_env *e = &w->tier->env;
  uint64_t bytes = n * e->page_bytes, copy = e->coalesce_bytes > e->page_bytes ? e->coalesce_bytes : e->page_bytes;
  if (copy > bytes) copy = bytes;
  gather(w, 0, bytes, (bytes + copy - 1) / copy);
  return (double)bytes / copy_rate(w, copy) * 1e9;
}

/* Queues n pages; returns when the last one has passed, *start_ns: when the first could. */
static double enqueue(struct way *w, const struct emuv_move *moves, uint32_t n, double earliest_ns, double *start_ns)
{
  double duration = w->batched->n ? batched_ns(w, moves, n) : merged_ns(w, n);
  if (w->submitted_ns > earliest_ns) earliest_ns = w->submitted_ns;
  *start_ns = earliest_ns > w->own->free_ns ? earliest_ns : w->own->free_ns;
  w->own->free_ns = w->schedule ? emuv_schedule_take(w->schedule, *start_ns, duration) : *start_ns + duration;
  w->own->busy_ns += duration;
  w->own->bytes += n * w->tier->env.page_bytes;
  return w->own->free_ns;
}

/* Both directions of a link together reach less than twice one: where a transfer overlaps with the other direction's
 * queue, both take longer. */
static double share_link(const struct way *w, double start_ns)
{
  const struct emuv_tier_env *e = &w->tier->env;
  double until = w->own->free_ns < w->other->free_ns ? w->own->free_ns : w->other->free_ns;
  if (e->duplex_rate <= 0 || until <= start_ns) return 0;
  double sum = emuv_curve_rate(&e->read, UINT64_MAX) + emuv_curve_rate(&e->write, UINT64_MAX);
  if (e->duplex_rate >= sum) return 0;
  double more = (until - start_ns) * (sum / e->duplex_rate - 1);
  w->own->free_ns = w->schedule ? emuv_schedule_take(w->schedule, w->own->free_ns, more) : w->own->free_ns + more;
  w->own->busy_ns += more;
  w->other->free_ns += more;
  return more;
}

static double transfer(struct way *w, const struct emuv_move *moves, uint32_t n, double earliest_ns)
{
  double start, done = enqueue(w, moves, n, earliest_ns, &start) + w->tier->env.latency_ns;
  return w->tier->env.half_duplex ? done : done + share_link(w, start);
}

/* When the frames of the faster tier are filled, or copied down. */
static void note(const struct way *w, const struct emuv_move *moves, uint32_t n, double done_ns)
{
  struct emuv_tier_frame *frames = w->tier->frames;
  for (uint32_t i = 0; frames && i < n; i++) {
    struct emuv_tier_frame *f = &frames[moves[i].upper];
    *(w->leaves ? &f->out_ns : &f->in_ns) = done_ns;
    if (!w->leaves) f->is_new = true;
  }
}

/* Another GPU's memory: a link of its own, on which pages that adjoin are one copy. */
static double peer_transfer(struct way *w, const struct emuv_move *moves, uint32_t n, double earliest_ns)
{
  const struct emuv_tier_env *e = &w->tier->env;
  double duration = 0;
  for (uint32_t i = 0, m; i < n; i += m) {
    m = adjoining(w, moves + i, n - i);
    gather(w, written_by(w, &moves[i]), m * e->page_bytes, 1);
    duration += time_of(&e->peer_curve, m * e->page_bytes);
  }
  double start = w->submitted_ns > earliest_ns ? w->submitted_ns : earliest_ns;
  if (w->own->free_ns > start) start = w->own->free_ns;
  w->own->busy_ns += duration;
  w->own->bytes += n * e->page_bytes;
  return w->own->free_ns = start + duration;
}

/* Moves from the first on that go to or come from the same memory. */
static uint32_t same_memory(const struct emuv_tier *t, const struct emuv_move *moves, uint32_t n, bool *peer)
{
  uint32_t i = 1;
  *peer = emuv_peer_holds(&t->env.peer, moves[0].lower);
  if (t->env.peer.peer == 0) return n;
  while (i < n && emuv_peer_holds(&t->env.peer, moves[i].lower) == *peer) i++;
  return i;
}

/* Host memory and another GPU's, each over its link. */
static double to_each_memory(const struct way *link, struct emuv_channel *peer_channel, const struct emuv_move *moves,
                             uint32_t n, double earliest_ns)
{
  double last = earliest_ns;
  for (uint32_t i = 0, m; i < n; i += m) {
    struct way w = *link;
    bool peer;
    m = same_memory(w.tier, moves + i, n - i, &peer);
    if (peer) w.own = peer_channel;
    double done = (peer ? peer_transfer : transfer)(&w, moves + i, m, earliest_ns);
    note(&w, moves + i, m, done);
    if (done > last) last = done;
  }
  return last;
}

static uint32_t same_source(const uint8_t *staging, const struct emuv_move *moves, uint32_t n)
{
  uint32_t i = 1;
  while (i < n && staging[moves[i].page] == staging[moves[0].page]) i++;
  return i;
}

static struct way way_of(struct emuv_tier *t, bool up)
{
  const struct emuv_tier_env *e = &t->env;
  return (struct way){.tier = t,
                      .own = up ? &t->read : &t->write,
                      .other = up ? &t->write : &t->read,
                      .single = up ? &e->read : &e->write,
                      .batched = up ? &e->read_batched : &e->write_batched,
                      .schedule = up || e->half_duplex ? t->schedule : NULL, /* the way down of a link is not that up */
                      .leaves = up ? NULL : t->frames,
                      .batch_bytes = e->batch_bytes};
}

static void submit(struct emuv_tier *t)
{
  t->read.gathered_bytes = t->staged.gathered_bytes = t->write.gathered_bytes = 0;
  t->peer_read.gathered_bytes = t->peer_write.gathered_bytes = 0;
}

/* Pages that have just come from the disk, and others, each in their queue. */
static double read_link(struct emuv_tier *t, const struct emuv_move *moves, uint32_t n, double earliest_ns)
{
  struct way w = way_of(t, true);
  if (t->write.gathered_bytes || t->peer_write.gathered_bytes)
    submit(t); /* what leaves is in frames that these pages take */
  if (!t->staging) return to_each_memory(&w, &t->peer_read, moves, n, earliest_ns);
  double last = earliest_ns;
  for (uint32_t i = 0, m; i < n; i += m) {
    m = same_source(t->staging, moves + i, n - i);
    bool staged = t->staging[moves[i].page];
    w.own = staged ? &t->staged : &t->read;
    w.batch_bytes = staged ? t->env.staged_batch_bytes : t->env.batch_bytes;
    w.submitted_ns = 0;
    w.first_batch = 0;
    double done = transfer(&w, moves + i, m, earliest_ns);
    note(&w, moves + i, m, done);
    if (done > last) last = done;
    for (uint32_t k = 0; k < m; k++) t->staging[moves[i + k].page] = 0;
  }
  return last;
}

static double read_disk(struct emuv_tier *t, const struct emuv_move *moves, uint32_t n, double earliest_ns)
{
  struct way w = way_of(t, true);
  for (uint32_t i = 0; t->staging && i < n; i++) t->staging[moves[i].page] = 1;
  return transfer(&w, moves, n, earliest_ns);
}

static int model_read(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                      double *done_ns, struct emuv_err *err)
{
  (void)err;
  *done_ns = tier->env.half_duplex ? read_disk(tier, moves, n, earliest_ns) : read_link(tier, moves, n, earliest_ns);
  return 0;
}

/* One device serves both. Without a schedule the write waits for the reads before it, and later reads wait for it. */
static double write_disk(struct way *w, const struct emuv_move *moves, uint32_t n, double earliest_ns)
{
  if (w->schedule) return transfer(w, moves, n, earliest_ns);
  double after_reads = w->other->free_ns > earliest_ns ? w->other->free_ns : earliest_ns;
  double done = transfer(w, moves, n, after_reads);
  w->other->free_ns = w->own->free_ns;
  return done;
}

static int model_write(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                       double *done_ns, struct emuv_err *err)
{
  struct way w = way_of(tier, false);
  (void)err;
  *done_ns = tier->env.half_duplex ? write_disk(&w, moves, n, earliest_ns)
                                   : to_each_memory(&w, &tier->peer_write, moves, n, earliest_ns);
  return 0;
}

const struct emuv_tier_ops emuv_tier_model = {
    .name = "model",
    .summary = "virtual: times from bandwidth curves, one queue per direction",
    .read = model_read,
    .write = model_write,
};
