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

static double model_read(struct emuv_tier *tier, uint32_t first, uint32_t n, double earliest_ns)
{
  (void)first;
  return move(tier, &tier->read, &tier->env.read, n, earliest_ns);
}

static double model_write(struct emuv_tier *tier, uint32_t first, uint32_t n, double earliest_ns)
{
  (void)first;
  if (!tier->env.half_duplex) return move(tier, &tier->write, &tier->env.write, n, earliest_ns);
  /* One device serves both: the write waits for the reads before it, and later reads wait for it. */
  double after_reads = tier->read.free_ns > earliest_ns ? tier->read.free_ns : earliest_ns;
  double done = move(tier, &tier->write, &tier->env.write, n, after_reads);
  tier->read.free_ns = tier->write.free_ns;
  return done;
}

const struct emuv_tier_ops emuv_tier_model = {
    .name = "model",
    .summary = "virtual: times from bandwidth curves, one queue per direction",
    .read = model_read,
    .write = model_write,
};
