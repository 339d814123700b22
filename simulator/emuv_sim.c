// SPDX-License-Identifier: Apache-2.0
/* emuv-sim: scenarios and captured traces through the simulator, results into SQLite, the answer on the terminal. */
#include "runtime/core/environment.h"
#include "runtime/core/log.h"
#include "runtime/core/progress.h"
#include "simulator/arguments.h"
#include "simulator/compare.h"
#include "simulator/list.h"
#include "simulator/load.h"
#include "simulator/mrc.h"
#include "simulator/schema.h"
#include "simulator/sweep.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_SCHEMA = EMUV_KEY_PROGRAM };

struct arguments {
  struct emuv_arguments common;
  int jobs;
  bool schema;
};

static atomic_bool interrupted; /* lock-free, so a handler may set it; threads read it */

static void on_signal(int number)
{
  (void)number;
  interrupted = true;
}

static int parse_jobs(struct argp_state *state, const char *arg)
{
  char *end;
  long n = strtol(arg, &end, 10);
  if (*end || end == arg || n < 1 || n > 256) argp_error(state, "--jobs %s: give a number from 1 to 256", arg);
  return (int)n;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct arguments *a = state->input;
  const struct emuv_arguments *c = &a->common;
  switch (key) {
  case ARGP_KEY_INIT: state->child_inputs[0] = &a->common; return 0;
  case 'j': a->jobs = parse_jobs(state, arg); return 0;
  case KEY_SCHEMA: a->schema = true; return 0;
  case ARGP_KEY_END:
    if (!c->scenario && !c->trace && !c->list && !a->schema) argp_error(state, "give a scenario file, or --trace FILE");
    if (c->scenario && c->trace)
      argp_error(state, "a scenario or --trace, not both (a scenario may name a trace itself)");
    return 0;
  default: return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp_option own_options[] = {
    {"jobs", 'j', "N", 0, "Threads (default: all cores)", 0},
    {"schema", KEY_SCHEMA, NULL, 0, "Print the JSON schema of scenario files", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static const struct argp_child children[] = {{&emuv_arguments_argp, 0, NULL, 0}, {NULL, 0, NULL, 0}};

static const struct argp argp = {
    own_options,
    parse,
    "SCENARIO.yaml\nTRACE.emuv\nmrc TRACE ...\ncompare A.sqlite [B.sqlite]",
    "Simulates GPU work that does not fit in VRAM: tiers, page sizes, eviction and prefetch policies, strategies.\v"
    "Examples:\n"
    "  emuv-sim scenarios/llama70b.yaml\n"
    "  emuv-sim scenarios/page-size.yaml --vram 8GiB,16GiB -o /tmp/mine.sqlite\n"
    "  emuv-sim scenarios/gpus.yaml --set model=llama-2-13b --set batch=1,8\n"
    "  emuv-sim --trace infer.emuv --hardware rtx-4070 --vram 4GiB,8GiB,12GiB\n"
    "  emuv-sim --list policies\n\n"
    "emuv-sim mrc --help and emuv-sim compare --help tell about those.\n\n"
    "Exit status: 0 ok, 1 run-time failure, 2 usage, 3 invalid scenario or trace, 130 interrupted (run it again to "
    "go on).",
    children,
    NULL,
    NULL};

struct bar {
  struct emuv_progress progress;
  const char *label;
  bool quiet, started;
};

static void bar_begin(void *arg, size_t n, double cost)
{
  struct bar *b = arg;
  emuv_progress_start(&b->progress, b->label, "configurations", n, cost, b->quiet);
  b->started = true;
}

static void bar_done(void *arg, double cost)
{
  struct bar *b = arg;
  emuv_progress_add(&b->progress, 1, cost);
}

static int sweep(const struct arguments *a, const struct emuv_scenario *s, struct emuv_results *r, struct emuv_err *err)
{
  const char *name = s->configs[0].scenario;
  struct bar bar = {.label = name, .quiet = a->common.quiet > 0};
  struct emuv_sweep_options options = {
      .jobs = a->jobs, .stop = &interrupted, .begin = bar_begin, .done = bar_done, .arg = &bar};
  struct emuv_sweep_summary summary;
  signal(SIGPIPE, SIG_IGN); /* whoever reads the log may go away; who reads the data ends the program */
  int rc = a->common.fresh ? emuv_results_forget(r, name, "sim", err) : 0;
  if (!rc) rc = emuv_sweep_run(s, r, &options, &summary, err);
  if (bar.started) emuv_progress_finish(&bar.progress);
  signal(SIGPIPE, SIG_DFL);
  if (rc) return rc;
  emuv_log(EMUV_LOG_INFO, "%zu configurations: %zu computed, %zu stored before", summary.total, summary.computed,
           summary.skipped);
  return emuv_load_answer(&a->common, s, "sim", r, err);
}

static int simulate(const struct arguments *a, const struct emuv_scenario *s, struct emuv_err *err)
{
  struct emuv_results r = {0};
  char path[PATH_MAX];
  int rc = emuv_load_output(&a->common, s->configs[0].scenario, path, sizeof path, err);
  if (!rc) rc = emuv_results_open(path, &r, err);
  if (!rc) rc = sweep(a, s, &r, err);
  emuv_results_close(&r);
  return rc;
}

static int run(const struct arguments *a, struct emuv_err *err)
{
  struct emuv_scenario s = {.n_configs = 0};
  int rc = emuv_load_scenario(&a->common, &s, err);
  if (rc) return rc;
  rc = emuv_load_check_traces(&s, err);
  if (!rc) emuv_load_notes(&s);
  if (!rc) rc = a->common.dry_run ? emuv_load_dry_run(&a->common, &s, err) : simulate(a, &s, err);
  emuv_scenario_free(&s);
  return rc;
}

static int print_schema(struct emuv_err *err)
{
  char *text = NULL;
  int rc = emuv_schema_text(&text, err);
  if (!rc) fputs(text, stdout);
  free(text);
  return rc;
}

static void catch_signals(void)
{
  struct sigaction act = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}; /* a second Ctrl-C ends at once */
  sigaction(SIGINT, &act, NULL);
  sigaction(SIGTERM, &act, NULL);
}

static int default_jobs(void)
{
  struct emuv_environment e;
  emuv_environment_capture(&e);
  return e.cores ? (int)e.cores : 1;
}

static int simulate_main(int argc, char **argv)
{
  struct arguments a = {.common.program = "emuv-sim"};
  struct emuv_err err = {0};
  int rc;
  emuv_arguments_parse(&argp, argc, argv, &a.common, &a);
  if (!a.jobs) a.jobs = default_jobs();
  catch_signals();
  if (a.common.list)
    rc = emuv_list_print(a.common.list, stdout, &err);
  else
    rc = a.schema ? print_schema(&err) : run(&a, &err);
  if (!rc && (fflush(stdout) != 0 || ferror(stdout)))
    rc = emuv_err_errno(&err, EMUV_ERR_IO, "cannot write to standard output");
  if (rc) emuv_err_print(&err, stderr);
  emuv_arguments_free(&a.common);
  return emuv_err_exit_status(rc);
}

int main(int argc, char **argv)
{
  if (argc > 1 && strcmp(argv[1], "mrc") == 0) {
    argv[1] = "emuv-sim mrc";
    return emuv_mrc_main(argc - 1, argv + 1);
  }
  if (argc > 1 && strcmp(argv[1], "compare") == 0) {
    argv[1] = "emuv-sim compare";
    return emuv_compare_main(argc - 1, argv + 1);
  }
  return simulate_main(argc, argv);
}
