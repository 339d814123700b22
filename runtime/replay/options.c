// SPDX-License-Identifier: Apache-2.0
/* The command line of emuv-replay; see options.h. */
#include "runtime/replay/options.h"

#include "runtime/core/option.h"
#include "runtime/core/units.h"
#include "simulator/list.h"
#include "simulator/strategy/strategy.h"
#include "simulator/table.h"

#include <stdlib.h>
#include <string.h>

enum {
  KEY_DEVICE = EMUV_KEY_PROGRAM,
  KEY_GPU,
  KEY_THREADS,
  KEY_MAPPING,
  KEY_VERIFY,
  KEY_NVME_PATH,
  KEY_INJECT,
  KEY_REPEAT,
  KEY_WITH_SIM,
  KEY_CHECKPOINT,
  KEY_CHECKPOINT_EVERY,
  KEY_RESTORE,
  KEY_TIME_SCALE,
  KEY_WATCH_DISK,
  KEY_ON_DAMAGE,
  KEY_CALIBRATE,
  KEY_PEER_GPU,
  KEY_LINKS,
};
enum { DEFAULT_CHECKPOINT_S = 60 };
static const double DEFAULT_WATCH_S = 0.25;

static const struct argp_option own_options[] = {
    {"device", KEY_DEVICE, "NAME", 0, "Where VRAM is: cuda (default) or host, memory of this machine", 2},
    {"gpu", KEY_GPU, "N", 0, "Which GPU, from 0", 2},
    {"peer-gpu", KEY_PEER_GPU, "N", 0, "Which GPU lends its memory (--peer SIZE); default: the next one", 2},
    {"nvme-path", KEY_NVME_PATH, "PATH", 0, "Where disk space is: a folder, a file or a block device", 2},
    {"mapping", KEY_MAPPING, "NAME", 0, "How kernels find pages: table (default), or remap (an address for each page)",
     2},
    {"verify", KEY_VERIFY, "NAME", 0,
     "full (default): each page whole after it was moved or written; sample: what launches read; off", 2},
    {"on-damage", KEY_ON_DAMAGE, "NAME", 0, "A wrong page ends the run: stop (default), or is counted: count", 2},
    {"inject", KEY_INJECT, "RULE", 0, "Fault on purpose, e.g. nvme-read-eio:every=100 (--list faults); may be repeated",
     2},
    {"repeat", KEY_REPEAT, "N", 0, "Rows per configuration (default: 1)", 2},
    {"with-sim", KEY_WITH_SIM, NULL, 0, "Also predict the same configurations, as emuv-sim does", 2},
    {"checkpoint", KEY_CHECKPOINT, "FILE", 0, "Write state and data of the row that runs there, to go on after a crash",
     2},
    {"checkpoint-every", KEY_CHECKPOINT_EVERY, "TIME|STEPS", 0, "How often, e.g. 30s, or 5 (steps); default: 60s", 2},
    {"restore", KEY_RESTORE, "FILE", 0, "Go on from a checkpoint", 2},
    {"time-scale", KEY_TIME_SCALE, "X", 0, "Device host: kernels, host and link take X times their time", 2},
    {"watch-disk", KEY_WATCH_DISK, "SECONDS", 0,
     "Read the disk for so long before and after each row, and note where its speed has changed (0: not; default: "
     "0.25, "
     "with device host 0)",
     2},
    {"calibrate", KEY_CALIBRATE, NULL, 0,
     "Measure this machine (with --nvme PATH:SIZE its disk too); -o FILE.yaml: a hardware preset for emuv-sim", 2},
    {"links", KEY_LINKS, NULL, 0, "Compare the best plain copies with what the engine reaches in steady state", 2},
    {"threads", KEY_THREADS, "N", 0, "Threads that fill and pin memory (default: all cores, at most 32)", 2},
    {NULL, 0, NULL, 0, NULL, 0},
};

static const char *choose(struct argp_state *state, const char *option, const char *arg, const char *const *names)
{
  for (size_t i = 0; names[i]; i++)
    if (strcmp(names[i], arg) == 0) return names[i];
  const char *near = emuv_option_suggest_name(names, arg);
  char all[128] = "";
  for (size_t i = 0; names[i]; i++) {
    if (i) strncat(all, names[i + 1] ? ", " : " or ", sizeof all - strlen(all) - 1);
    strncat(all, names[i], sizeof all - strlen(all) - 1);
  }
  argp_error(state, near ? "--%s %s: did you mean \"%s\"? (%s)" : "--%s %s: no such name%s; give %s", option, arg,
             near ? near : "", all);
  return NULL;
}

static int choose_number(struct argp_state *state, const char *option, const char *arg, const char *const *names)
{
  const char *name = choose(state, option, arg, names);
  int i = 0;
  while (names[i] != name) i++;
  return i;
}

static long number(struct argp_state *state, const char *option, const char *arg, long low, long high)
{
  char *end;
  long n = strtol(arg, &end, 10);
  if (*end || end == arg || n < low || n > high)
    argp_error(state, "--%s %s: give a number from %ld to %ld", option, arg, low, high);
  return n;
}

static void set_every(struct argp_state *state, struct emuv_replay_arguments *a, const char *arg)
{
  struct emuv_err err = {0};
  if (arg[strspn(arg, "0123456789")] == '\0') {
    a->checkpoint_every_steps = (uint64_t)number(state, "checkpoint-every", arg, 1, 1000000000);
    return;
  }
  a->checkpoint_every_steps = 0;
  if (emuv_units_parse_time(arg, &a->checkpoint_every_ns, &err) || a->checkpoint_every_ns < 0)
    argp_error(state, "--checkpoint-every %s: give a time (30s) or a number of steps", arg);
}

static void set_device(struct argp_state *state, struct emuv_replay_arguments *a, const char *arg)
{
  a->how.device = emuv_device_find(choose(state, "device", arg, emuv_device_names()));
}

static error_t parse_checkpoint(int key, char *arg, struct argp_state *state)
{
  struct emuv_replay_arguments *a = state->input;
  switch (key) {
  case KEY_CHECKPOINT: a->checkpoint = arg; return 0;
  case KEY_CHECKPOINT_EVERY: set_every(state, a, arg); return 0;
  case KEY_RESTORE: a->restore = arg; return 0;
  default: return ARGP_ERR_UNKNOWN;
  }
}

static void add_rule(struct argp_state *state, struct emuv_replay_arguments *a, const char *rule)
{
  if (a->n_inject == EMUV_REPLAY_MAX_RULES) argp_error(state, "more than %d faults", EMUV_REPLAY_MAX_RULES);
  a->inject[a->n_inject++] = rule;
}

static double scale(struct argp_state *state, const char *option, const char *arg)
{
  char *end;
  double x = strtod(arg, &end);
  if (*end || end == arg || !(x >= 0 && x <= 1000))
    argp_error(state, "--%s %s: give a number from 0 to 1000", option, arg);
  return x;
}

static error_t parse_machine(int key, char *arg, struct argp_state *state)
{
  static const char *const mappings[] = {"table", "remap", NULL}, *const verify[] = {"off", "sample", "full", NULL},
                           *const on_damage[] = {"count", "stop", NULL};
  struct emuv_replay_arguments *a = state->input;
  switch (key) {
  case KEY_DEVICE: set_device(state, a, arg); return 0;
  case KEY_GPU: a->how.gpu = (int)number(state, "gpu", arg, 0, 1023); return 0;
  case KEY_PEER_GPU: a->how.peer_gpu = (int)number(state, "peer-gpu", arg, 0, 1023); return 0;
  case KEY_THREADS: a->how.threads = (int)number(state, "threads", arg, 1, 1024); return 0;
  case KEY_NVME_PATH: a->nvme_path = arg; return 0;
  case KEY_MAPPING: a->how.mapping = (enum emuv_mapping)choose_number(state, "mapping", arg, mappings); return 0;
  case KEY_VERIFY: a->how.verify = (enum emuv_verify)choose_number(state, "verify", arg, verify); return 0;
  case KEY_ON_DAMAGE: a->how.stop_on_damage = choose_number(state, "on-damage", arg, on_damage) == 1; return 0;
  case KEY_INJECT: add_rule(state, a, arg); return 0;
  case KEY_REPEAT: a->repeat = (int)number(state, "repeat", arg, 1, 1000); return 0;
  case KEY_WITH_SIM: a->with_sim = true; return 0;
  case KEY_CALIBRATE: a->calibrate = true; return 0;
  case KEY_LINKS: a->links = true; return 0;
  case KEY_TIME_SCALE: a->how.time_scale = scale(state, "time-scale", arg); return 0;
  case KEY_WATCH_DISK: a->how.watch_disk_s = scale(state, "watch-disk", arg); return 0;
  default: return parse_checkpoint(key, arg, state);
  }
}

static void check_together(struct argp_state *state, struct emuv_replay_arguments *a)
{
  const struct emuv_arguments *c = &a->common;
  const bool measures = a->calibrate || a->links;
  if (a->calibrate && a->links) argp_error(state, "--calibrate or --links, not both");
  if (measures && (c->scenario || c->trace)) argp_error(state, "--calibrate and --links take no workload");
  if (!c->scenario && !c->trace && !c->list && !measures) argp_error(state, "give a scenario file, or --trace FILE");
  if (c->scenario && c->trace)
    argp_error(state, "a scenario or --trace, not both (a scenario may name a trace itself)");
  if (c->nvme_path && a->nvme_path && strcmp(c->nvme_path, a->nvme_path) != 0)
    argp_error(state, "--nvme and --nvme-path name two places: '%s' and '%s'", c->nvme_path, a->nvme_path);
  a->how.disk_path = a->nvme_path ? a->nvme_path : c->nvme_path;
  const bool host = a->how.device && strcmp(a->how.device->name, "host") == 0;
  if (a->how.watch_disk_s < 0) a->how.watch_disk_s = host ? 0 : DEFAULT_WATCH_S;
  if (a->how.time_scale != 1 && a->how.device && !host)
    argp_error(state, "--time-scale is for --device host: a GPU keeps its own time");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct emuv_replay_arguments *a = state->input;
  switch (key) {
  case ARGP_KEY_INIT: state->child_inputs[0] = &a->common; return 0;
  case ARGP_KEY_END: check_together(state, a); return 0;
  default: return parse_machine(key, arg, state);
  }
}

static const struct argp_child children[] = {{&emuv_arguments_argp, 0, NULL, 0}, {NULL, 0, NULL, 0}};

static const struct argp replay_argp = {
    own_options,
    parse,
    "SCENARIO.yaml\nTRACE.emuv\n--trace FILE.emuv",
    "Runs a workload through emuV's pager on real memory: capped VRAM, pinned host memory, a disk. Moves the real "
    "bytes, checks them, and writes what it measured beside what emuv-sim predicts.\v"
    "Examples:\n"
    "  emuv-replay infer.emuv --vram 12GiB --ram 64GiB --nvme /mnt/nvme:200GiB\n"
    "  emuv-replay infer.emuv --vram 12GiB --policy lru,recur --with-sim \\\n"
    "      -o both.sqlite\n"
    "  emuv-sim compare both.sqlite\n"
    "  emuv-replay infer.emuv --vram 1GiB --device host     (no GPU needed)\n"
    "  emuv-replay infer.emuv --vram 1GiB --checkpoint run.ckpt\n"
    "  emuv-replay infer.emuv --vram 1GiB --checkpoint run.ckpt --restore run.ckpt\n"
    "  emuv-replay --calibrate --nvme /mnt/nvme:8GiB -o mine.yaml\n"
    "  emuv-sim --trace infer.emuv --hardware ./mine.yaml\n"
    "  emuv-replay --links --nvme /mnt/nvme:8GiB\n"
    "  emuv-replay --list faults\n\n"
    "Exit status: 0 ok, 1 run-time failure or a wrong page, 2 usage, 3 invalid scenario, trace or checkpoint, 4 a "
    "link is used less than it should be (--links), 77 no such device, 130 interrupted (run it again to go on).",
    children,
    NULL,
    NULL};

void emuv_replay_arguments_parse(int argc, char **argv, struct emuv_replay_arguments *a)
{
  *a = (struct emuv_replay_arguments){.common = {.program = "emuv-replay", .disk_paths = true},
                                      .how = {.device = emuv_device_find("cuda"),
                                              .peer_gpu = -1,
                                              .verify = EMUV_VERIFY_FULL,
                                              .time_scale = 1,
                                              .watch_disk_s = -1,
                                              .stop_on_damage = true},
                                      .checkpoint_every_ns = DEFAULT_CHECKPOINT_S * 1e9,
                                      .repeat = 1};
  emuv_arguments_parse(&replay_argp, argc, argv, &a->common, a);
}

int emuv_replay_arguments_check(const struct emuv_replay_arguments *a, const struct emuv_scenario *s,
                                struct emuv_err *err)
{
  for (size_t i = 0; i < s->n_configs; i++) {
    const struct emuv_config *c = &s->configs[i];
    struct emuv_plan plan;
    const struct emuv_strategy_ops *strategy = emuv_strategy_find(c->strategy);
    if (!strategy || !strategy->plan) return emuv_strategy_plan(c, NULL, &plan, err);
    if (!c->nvme || a->how.disk_path) continue;
    emuv_err_set(err, EMUV_ERR_USAGE, "disk space is asked for, but not where");
    return emuv_err_hint(err, "--nvme PATH:SIZE, or --nvme-path PATH: a folder, a file or a block device");
  }
  return 0;
}

static int print(struct emuv_table *t, FILE *out, struct emuv_err *err)
{
  int rc = emuv_table_print(t, out, 0, err);
  emuv_table_free(t);
  return rc;
}

static int list_devices(FILE *out, struct emuv_err *err)
{
  struct emuv_table t = {0};
  emuv_table_column(&t, "", 0);
  emuv_table_column(&t, "", 0);
  for (size_t i = 0; emuv_devices[i]; i++) {
    emuv_table_cell(&t, "%s", emuv_devices[i]->name);
    emuv_table_cell(&t, "%s", emuv_devices[i]->summary);
  }
  return print(&t, out, err);
}

static int list_faults(FILE *out, struct emuv_err *err)
{
  struct emuv_table t = {0};
  emuv_table_column(&t, "", 0);
  emuv_table_column(&t, "", 0);
  for (int p = 0; p < EMUV_INJECT_N_POINTS; p++) {
    emuv_table_cell(&t, "%s", emuv_inject_name((enum emuv_inject_point)p));
    emuv_table_cell(&t, "%s", emuv_inject_summary((enum emuv_inject_point)p));
  }
  return print(&t, out, err);
}

int emuv_replay_list(const char *what, FILE *out, struct emuv_err *err)
{
  static const char *const own[] = {"devices", "faults", NULL};
  if (strcmp(what, "devices") == 0) return list_devices(out, err);
  if (strcmp(what, "faults") == 0) return list_faults(out, err);
  int rc = emuv_list_print(what, out, err);
  if (rc != EMUV_ERR_USAGE || (err && strstr(err->hint, "did you mean"))) return rc;
  const char *near = emuv_option_suggest_name(own, what);
  if (near) return emuv_err_hint(err, "did you mean \"%s\"?", near);
  return emuv_err_hint(err,
                       "devices, faults, policies, prefetchers, tiers, sources, hardware, models, strategies or keys");
}
