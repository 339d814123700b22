// SPDX-License-Identifier: Apache-2.0
/* Which experts a mixture-of-experts layer uses for each token.
 *
 * Model: in each layer the experts have a popularity order of their own (a random permutation). A token keeps the
 * experts of the token before it in the same sequence and layer with probability `repeat`; else it draws
 * experts_per_token distinct experts, one after the other, each from the rest with probability ~ 1 / rank^skew.
 * skew 0 and repeat 0 give E(1-(1-k/E)^n) distinct experts for n tokens in the mean, the value for uniform routing.
 * State belongs to one thread. */
#ifndef EMUV_SIMULATOR_SOURCE_ROUTING_H
#define EMUV_SIMULATOR_SOURCE_ROUTING_H

#include "simulator/config.h"

struct emuv_routing;

/* For `batch` sequences; NULL when there is no memory. Freed with emuv_routing_free (NULL allowed). */
struct emuv_routing *emuv_routing_new(const struct emuv_config *config);
void emuv_routing_free(struct emuv_routing *routing);
/* Routes `tokens` successive tokens of every sequence through a layer; counts[e] = tokens that use expert e. */
void emuv_routing_next(struct emuv_routing *routing, uint64_t layer, uint64_t tokens, uint64_t *counts);

#endif
