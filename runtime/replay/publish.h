// SPDX-License-Identifier: Apache-2.0
/* What a replay tells emuv-top: tiers, links and counts of the running row, on the program's status page
 * (runtime/core/status.h). One thread. */
#ifndef EMUV_REPLAY_PUBLISH_H
#define EMUV_REPLAY_PUBLISH_H

#include "runtime/core/status.h"
#include "runtime/replay/machine.h"

/* Publishes how things stand; does nothing when there is no page, or when less than 50 ms have passed and `phase` is
 * NULL. phase: "opening", "filling", "running", "checking", "done". */
void emuv_publish(struct emuv_replay_machine *m, const char *phase);

#endif
