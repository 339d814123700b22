// SPDX-License-Identifier: Apache-2.0
/* The virtual tier: one queue per direction (on a disk they share the device), served in order, each copy at the
 * bandwidth that the curve gives for its size. The curve holds the per-copy cost, as measured with copies of that size
 * back to back.
 *
 * Batches: a batch of k pieces takes what one copy takes and (k - 1) times what another piece in a batch takes, which
 * follows from the rate of batches of 64. (H200, pieces of 64 KiB: 18 GB/s one by one, 53.5 in batches of 64; this says
 * 49 for batches of 16, as measured.) Requests join a batch until whoever owns the tier says that it has been submitted
 * (gathered_bytes = 0). */
#include "runtime/tier/schedule.h"
#include "runtime/tier/tier.h"

enum { MEASURED_PIECES = 64 };

/* One direction of a tier. */
struct way {
  struct emuv_tier *tier;
  struct emuv_channel *own, *other; /* other: direction that shares the link */
  const struct emuv_curve *single, *batched;
  struct emuv_schedule *schedule; /* NULL: requests are served in order */
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

/* Moves that adjoin in both memories: how many from the first on. */
static uint32_t adjoining(const struct emuv_move *moves, uint32_t n)
{
  uint32_t i = 1;
  while (i < n && moves[i].upper == moves[0].upper + i && moves[i].lower == moves[0].lower + i) i++;
  return i;
}

static double batched_ns(const struct way *w, const struct emuv_move *moves, uint32_t n)
{
  const struct emuv_tier_env *e = &w->tier->env;
  double sum = 0;
  for (uint32_t i = 0, m; i < n; i += m) {
    m = adjoining(moves + i, n - i);
    uint64_t bytes = m * e->page_bytes;
    bool joins = w->own->gathered_bytes && (!e->batch_bytes || w->own->gathered_bytes + bytes <= e->batch_bytes);
    double alone = time_of(w->single, bytes), piece = piece_ns(w, bytes);
    sum += joins || alone < piece ? piece : alone;
    w->own->gathered_bytes = (joins ? w->own->gathered_bytes : 0) + bytes;
    w->own->requests++;
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

static double merged_ns(const struct way *w, uint32_t n)
{
  const struct emuv_tier_env *e = &w->tier->env;
  uint64_t bytes = n * e->page_bytes, copy = e->coalesce_bytes > e->page_bytes ? e->coalesce_bytes : e->page_bytes;
  if (copy > bytes) copy = bytes;
  w->own->requests += (bytes + copy - 1) / copy;
  return (double)bytes / copy_rate(w, copy) * 1e9;
}

/* Queues n pages; returns when the last one has passed, *start_ns: when the first could. */
static double enqueue(const struct way *w, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                      double *start_ns)
{
  double duration = w->batched->n ? batched_ns(w, moves, n) : merged_ns(w, n);
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

static double transfer(const struct way *w, const struct emuv_move *moves, uint32_t n, double earliest_ns)
{
  double start, done = enqueue(w, moves, n, earliest_ns, &start) + w->tier->env.latency_ns;
  return w->tier->env.half_duplex ? done : done + share_link(w, start);
}

/* Another GPU's memory: a link of its own, on which pages that adjoin are one copy. */
static double peer_transfer(struct emuv_tier *t, struct emuv_channel *own, const struct emuv_move *moves, uint32_t n,
                            double earliest_ns)
{
  double duration = 0, start = earliest_ns > own->free_ns ? earliest_ns : own->free_ns;
  for (uint32_t i = 0, m; i < n; i += m) {
    m = adjoining(moves + i, n - i);
    duration += time_of(&t->env.peer_curve, m * t->env.page_bytes);
    own->requests++;
  }
  own->free_ns = start + duration;
  own->busy_ns += duration;
  own->bytes += n * t->env.page_bytes;
  return own->free_ns;
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

static double link_transfer(const struct way *w, struct emuv_channel *peer_way, const struct emuv_move *moves,
                            uint32_t n, double earliest_ns)
{
  double last = earliest_ns;
  for (uint32_t i = 0, m; i < n; i += m) {
    bool peer;
    m = same_memory(w->tier, moves + i, n - i, &peer);
    double done =
        peer ? peer_transfer(w->tier, peer_way, moves + i, m, earliest_ns) : transfer(w, moves + i, m, earliest_ns);
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

/* Pages that have just come from the disk, and others, each in their queue. */
static double read_link(struct emuv_tier *t, const struct emuv_move *moves, uint32_t n, double earliest_ns)
{
  struct way w = {t, &t->read, &t->write, &t->env.read, &t->env.read_batched, t->schedule};
  if (!t->staging) return link_transfer(&w, &t->peer_read, moves, n, earliest_ns);
  double last = earliest_ns;
  for (uint32_t i = 0, m; i < n; i += m) {
    m = same_source(t->staging, moves + i, n - i);
    w.own = t->staging[moves[i].page] ? &t->staged : &t->read;
    double done = transfer(&w, moves + i, m, earliest_ns);
    if (done > last) last = done;
    for (uint32_t k = 0; k < m; k++) t->staging[moves[i + k].page] = 0;
  }
  return last;
}

static double read_disk(struct emuv_tier *t, const struct emuv_move *moves, uint32_t n, double earliest_ns)
{
  struct way w = {t, &t->read, &t->write, &t->env.read, &t->env.read_batched, t->schedule};
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
static double write_disk(const struct way *w, const struct emuv_move *moves, uint32_t n, double earliest_ns)
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
  struct way w = {tier, &tier->write, &tier->read, &tier->env.write, &tier->env.write_batched, NULL};
  (void)err;
  if (tier->env.half_duplex) w.schedule = tier->schedule; /* the way down of a link is not that up */
  *done_ns = tier->env.half_duplex ? write_disk(&w, moves, n, earliest_ns)
                                   : link_transfer(&w, &tier->peer_write, moves, n, earliest_ns);
  return 0;
}

const struct emuv_tier_ops emuv_tier_model = {
    .name = "model",
    .summary = "virtual: times from bandwidth curves, one queue per direction",
    .read = model_read,
    .write = model_write,
};
