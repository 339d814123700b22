// SPDX-License-Identifier: Apache-2.0
/* The tier that takes no time: counts what is moved, for testing the pager itself and for upper limits. */
#include "runtime/tier/tier.h"

static int count(struct emuv_tier *tier, struct emuv_channel *channel, uint32_t n, double earliest_ns, double *done_ns)
{
  channel->bytes += n * tier->env.page_bytes;
  channel->requests++;
  *done_ns = earliest_ns;
  return 0;
}

static int null_read(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                     double *done_ns, struct emuv_err *err)
{
  (void)moves;
  (void)err;
  return count(tier, &tier->read, n, earliest_ns, done_ns);
}

static int null_write(struct emuv_tier *tier, const struct emuv_move *moves, uint32_t n, double earliest_ns,
                      double *done_ns, struct emuv_err *err)
{
  (void)moves;
  (void)err;
  return count(tier, &tier->write, n, earliest_ns, done_ns);
}

const struct emuv_tier_ops emuv_tier_null = {
    .name = "null",
    .summary = "takes no time and counts bytes, for testing the pager itself",
    .read = null_read,
    .write = null_write,
};
