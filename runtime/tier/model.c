// SPDX-License-Identifier: Apache-2.0
/* The virtual tier: one queue per direction (one for both on a disk), served in order, each copy at the bandwidth that
 * the curve gives for its size. The curve holds the per-copy cost, as measured with copies of that size back to back.
 */
#include "runtime/tier/tier.h"

static double move(struct emuv_tier *tier, struct emuv_channel *channel, const struct emuv_curve *curve, uint32_t n,
                   double earliest_ns)
{
  uint64_t bytes = n * tier->env.page_bytes;
  uint64_t copy = tier->env.coalesce_bytes > tier->env.page_bytes ? tier->env.coalesce_bytes : tier->env.page_bytes;
  return emuv_channel_move(channel, curve, bytes, copy, tier->env.latency_ns, earliest_ns);
}

/* Both directions of a link together reach less than twice one: where a transfer overlaps with the other direction's
 * queue, both take longer. */
static double share_link(struct emuv_tier *tier, struct emuv_channel *own, struct emuv_channel *other, double start_ns)
{
  const struct emuv_tier_env *e = &tier->env;
  double sum = emuv_curve_rate(&e->read, UINT64_MAX) + emuv_curve_rate(&e->write, UINT64_MAX);
  double until = own->free_ns < other->free_ns ? own->free_ns : other->free_ns;
  if (e->duplex_rate <= 0 || e->duplex_rate >= sum || until <= start_ns) return 0;
  double more = (until - start_ns) * (sum / e->duplex_rate - 1);
  own->free_ns += more;
  own->busy_ns += more;
  other->free_ns += more;
  return more;
}

static double transfer(struct emuv_tier *tier, struct emuv_channel *own, struct emuv_channel *other,
                       const struct emuv_curve *curve, uint32_t n, double earliest_ns)
{
  double start = earliest_ns > own->free_ns ? earliest_ns : own->free_ns;
  double done = move(tier, own, curve, n, earliest_ns);
  return done + share_link(tier, own, other, start);
}

static int model_read(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                      double *done_ns, struct emuv_err *err)
{
  (void)moves;
  (void)err;
  *done_ns = tier->env.half_duplex ? move(tier, &tier->read, &tier->env.read, n, earliest_ns)
                                   : transfer(tier, &tier->read, &tier->write, &tier->env.read, n, earliest_ns);
  return 0;
}

/* One device serves both: the write waits for the reads before it, and later reads wait for it. */
static double write_half_duplex(struct emuv_tier *tier, uint32_t n, double earliest_ns)
{
  double after_reads = tier->read.free_ns > earliest_ns ? tier->read.free_ns : earliest_ns;
  double done = move(tier, &tier->write, &tier->env.write, n, after_reads);
  tier->read.free_ns = tier->write.free_ns;
  return done;
}

static int model_write(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                       double *done_ns, struct emuv_err *err)
{
  (void)moves;
  (void)err;
  *done_ns = tier->env.half_duplex ? write_half_duplex(tier, n, earliest_ns)
                                   : transfer(tier, &tier->write, &tier->read, &tier->env.write, n, earliest_ns);
  return 0;
}

const struct emuv_tier_ops emuv_tier_model = {
    .name = "model",
    .summary = "virtual: times from bandwidth curves, one queue per direction",
    .read = model_read,
    .write = model_write,
};
