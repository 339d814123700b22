// SPDX-License-Identifier: Apache-2.0
/* What the command lines of emuv-sim and emuv-replay have in common: the workload, the axes (--vram, --policy, ...),
 * the form of the answer. An argp parser that programs take as a child of their own, with a struct emuv_arguments as
 * its input. For programs: it prints usage errors and exits with status 2, as argp does. */
#ifndef EMUV_SIMULATOR_ARGUMENTS_H
#define EMUV_SIMULATOR_ARGUMENTS_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>

enum { EMUV_MAX_OVERRIDES = 256, EMUV_KEY_PROGRAM = 0x1000 }; /* keys of programs' own long options start there */

struct emuv_arguments {
  const char *program; /* for --version */
  bool disk_paths;     /* --nvme takes PATH:SIZE; the first path is in nvme_path */
  const char *scenario, *trace, *output, *list;
  char *nvme_path;
  char *overrides[EMUV_MAX_OVERRIDES]; /* "key=a,b": what replaces keys of the scenario */
  size_t n_overrides;
  int quiet, verbose;
  bool fresh, json, csv, dry_run;
};

extern const struct argp emuv_arguments_argp;

/* Adds "key=value" ("value" when key is NULL). Ends the program when there are too many. */
void emuv_arguments_override(struct argp_state *state, struct emuv_arguments *a, const char *key, const char *value);
/* Is this key of scenarios set on the command line? */
bool emuv_arguments_overrides(const struct emuv_arguments *a, const char *key);
/* argp_parse with exit status 2 for wrong usage and a "did you mean" for unknown long options; sets the log's level. */
void emuv_arguments_parse(const struct argp *argp, int argc, char **argv, struct emuv_arguments *a, void *input);
void emuv_arguments_free(struct emuv_arguments *a);

#endif
