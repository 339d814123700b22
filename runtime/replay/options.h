// SPDX-License-Identifier: Apache-2.0
/* The command line of emuv-replay: what it shares with emuv-sim (simulator/arguments.h) and its own options. */
#ifndef EMUV_REPLAY_OPTIONS_H
#define EMUV_REPLAY_OPTIONS_H

#include "runtime/replay/machine.h"
#include "simulator/arguments.h"
#include "simulator/scenario.h"

enum { EMUV_REPLAY_MAX_RULES = 64, EMUV_REPLAY_INJECT_SEED = 1 };

struct emuv_replay_arguments {
  struct emuv_arguments common;
  struct emuv_replay_how how; /* device, gpu, threads, mapping, verify, disk_path, time_scale, stop_on_damage */
  const char *nvme_path, *checkpoint, *restore;
  double checkpoint_every_ns;
  uint64_t checkpoint_every_steps;
  const char *inject[EMUV_REPLAY_MAX_RULES];
  size_t n_inject;
  int repeat;
  bool with_sim, calibrate, links;
};

/* Wrong usage ends the program with status 2. */
void emuv_replay_arguments_parse(int argc, char **argv, struct emuv_replay_arguments *a);
/* What cannot be known before the scenario: strategies that only exist as models (EMUV_ERR_UNSUPPORTED), disk space
 * without a place (EMUV_ERR_USAGE). */
int emuv_replay_arguments_check(const struct emuv_replay_arguments *a, const struct emuv_scenario *s,
                                struct emuv_err *err);
/* --list: devices and faults, and what emuv-sim lists. */
int emuv_replay_list(const char *what, FILE *out, struct emuv_err *err);

#endif
