// SPDX-License-Identifier: Apache-2.0
/* emuv-sim: scenarios and captured traces through the simulator, results into SQLite, the answer on the terminal. */
#include "runtime/core/environment.h"
#include "runtime/core/log.h"
#include "runtime/core/progress.h"
#include "runtime/core/terminal.h"
#include "runtime/core/units.h"
#include "simulator/compare.h"
#include "simulator/configs.h"
#include "simulator/list.h"
#include "simulator/mrc.h"
#include "simulator/notes.h"
#include "simulator/report.h"
#include "simulator/scale.h"
#include "simulator/schema.h"
#include "simulator/simulate.h"
#include "simulator/sweep.h"

#include <argp.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  MAX_OVERRIDES = 256,
  KEY_FRESH = 256,
  KEY_RESUME,
  KEY_JSON,
  KEY_CSV,
  KEY_DRY,
  KEY_LIST,
  KEY_SCHEMA,
  KEY_VERSION,
  KEY_AXIS
};

/* Options that set a scenario key: --vram 8GiB,12GiB is --set vram=8GiB,12GiB. */
static const struct axis {
  const char *option, *key, *arg, *help;
} axes[] = {
    {"hardware", "hw.preset", "NAME,..", "Hardware presets (--list hardware)"},
    {"model", "model.preset", "NAME,..", "Model presets, or a Hugging Face config.json"},
    {"strategy", "strategy", "NAME,..", "How to run the workload (--list strategies)"},
    {"policy", "policy", "NAME,..", "Eviction policies (--list policies)"},
    {"prefetch", "prefetch", "NAME,..", "Prefetchers (--list prefetchers)"},
    {"page-size", "page_size", "SIZE,..", "Page sizes, e.g. 64KiB,2MiB"},
    {"vram", "vram", "SIZE,..", "VRAM to use, e.g. 8GiB,12GiB"},
    {"ram", "ram", "SIZE,..", "Host memory"},
    {"nvme", "nvme", "SIZE,..", "Disk space"},
    {"context", "context", "N,..", "Tokens in the KV cache"},
    {"batch", "batch", "N,..", "Sequences decoded together"},
    {"tokens", "tokens", "N", "Steps that are timed"},
    {"lookahead", "lookahead", "SIZE,..", "Bytes loaded ahead of use at most"},
    {"seed", "seed", "N,..", "Seed of everything random"},
};
enum { N_AXES = sizeof axes / sizeof axes[0] };

struct arguments {
  const char *scenario, *trace, *output, *list;
  char *overrides[MAX_OVERRIDES];
  size_t n_overrides;
  int jobs, quiet, verbose;
  bool fresh, json, csv, dry_run, schema;
};

static atomic_bool interrupted; /* lock-free, so a handler may set it; threads read it */

static void on_signal(int number)
{
  (void)number;
  interrupted = true;
}

static bool is_folder(const char *path)
{
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void add_override(struct argp_state *state, struct arguments *a, const char *key, const char *value)
{
  if (a->n_overrides == MAX_OVERRIDES) argp_error(state, "more than %d settings", MAX_OVERRIDES);
  if (asprintf(&a->overrides[a->n_overrides++], key ? "%s=%s" : "%s%s", key ? key : "", value) < 0)
    argp_failure(state, 1, ENOMEM, "no memory");
}

static int parse_jobs(struct argp_state *state, const char *arg)
{
  char *end;
  long n = strtol(arg, &end, 10);
  if (*end || end == arg || n < 1 || n > 256) argp_error(state, "--jobs %s: give a number from 1 to 256", arg);
  return (int)n;
}

static error_t parse_mode(int key, char *arg, struct argp_state *state)
{
  struct arguments *a = state->input;
  switch (key) {
  case KEY_FRESH: a->fresh = true; return 0;
  case KEY_RESUME: a->fresh = false; return 0;
  case KEY_JSON: a->json = true; return 0;
  case KEY_CSV: a->csv = true; return 0;
  case KEY_DRY: a->dry_run = true; return 0;
  case KEY_LIST: a->list = arg; return 0;
  case KEY_SCHEMA: a->schema = true; return 0;
  case KEY_VERSION: printf("emuv-sim %s\n", emuv_results_version()); exit(0);
  default: return ARGP_ERR_UNKNOWN;
  }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct arguments *a = state->input;
  if (key >= KEY_AXIS && key < KEY_AXIS + N_AXES) {
    add_override(state, a, axes[key - KEY_AXIS].key, arg);
    return 0;
  }
  switch (key) {
  case 'o': a->output = arg; return 0;
  case 'j': a->jobs = parse_jobs(state, arg); return 0;
  case 's': add_override(state, a, NULL, arg); return 0;
  case 't': a->trace = arg; return 0;
  case 'q': a->quiet++; return 0;
  case 'v': a->verbose++; return 0;
  case ARGP_KEY_ARG:
    if (a->scenario) argp_error(state, "one scenario at a time: '%s' and '%s'", a->scenario, arg);
    a->scenario = arg;
    return 0;
  case ARGP_KEY_END:
    if (!a->scenario && !a->trace && !a->list && !a->schema) argp_error(state, "give a scenario file, or --trace FILE");
    if (a->scenario && a->trace)
      argp_error(state, "a scenario or --trace, not both (a scenario may name a trace itself)");
    return 0;
  default: return parse_mode(key, arg, state);
  }
}

static const struct argp_option fixed_options[] = {
    {"output", 'o', "FILE", 0, "Results database (default: results/SCENARIO.sqlite)", 0},
    {"jobs", 'j', "N", 0, "Threads (default: all cores)", 0},
    {"set", 's', "KEY=VALUE[,VALUE..]", 0, "Replace a key of the scenario; several values make an axis", 0},
    {"trace", 't', "FILE", 0, "Simulate a captured run instead of a scenario", 0},
    {"resume", KEY_RESUME, NULL, 0, "Keep rows that are stored already (default)", 0},
    {"fresh", KEY_FRESH, NULL, 0, "Drop the stored rows of this scenario first", 0},
    {"dry-run", KEY_DRY, NULL, 0, "Check everything and list the configurations; run and write nothing", 0},
    {"csv", KEY_CSV, NULL, 0, "All rows as CSV on stdout instead of the table", 0},
    {"json", KEY_JSON, NULL, 0, "All rows as JSON on stdout instead of the table", 0},
    {"list", KEY_LIST, "WHAT", 0, "List policies, prefetchers, tiers, sources, hardware, models, strategies or keys",
     0},
    {"schema", KEY_SCHEMA, NULL, 0, "Print the JSON schema of scenario files", 0},
    {"quiet", 'q', NULL, 0, "Less on stderr (twice: errors only)", 0},
    {"verbose", 'v', NULL, 0, "More on stderr", 0},
    {"version", KEY_VERSION, NULL, 0, "Print the version with the git revision", 0},
};
enum { N_FIXED = sizeof fixed_options / sizeof fixed_options[0] };

static void parse_arguments(int argc, char **argv, struct arguments *a)
{
  static struct argp_option all[N_FIXED + N_AXES + 1];
  memcpy(all, fixed_options, sizeof fixed_options);
  for (int i = 0; i < N_AXES; i++)
    all[N_FIXED + i] = (struct argp_option){axes[i].option, KEY_AXIS + i, axes[i].arg, 0, axes[i].help, 1};
  static const struct argp argp = {
      all,
      parse,
      "SCENARIO.yaml\n--trace FILE.emuv\nmrc TRACE ...\ncompare A.sqlite B.sqlite",
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
      NULL,
      NULL,
      NULL};
  argp_err_exit_status = 2;
  argp_parse(&argp, argc, argv, 0, NULL, a);
  emuv_log_verbosity(a->quiet, a->verbose);
}

static bool overrides_key(const struct arguments *a, const char *key)
{
  for (size_t i = 0; i < a->n_overrides; i++)
    if (strncmp(a->overrides[i], key, strlen(key)) == 0 && a->overrides[i][strlen(key)] == '=') return true;
  return false;
}

/* A scenario in memory: the whole trace, on the card that it was captured on unless another is asked for. */
static int load_trace(const struct arguments *a, struct emuv_scenario *s, struct emuv_err *err)
{
  char text[1024];
  emuv_text hardware = "";
  if (is_folder(a->trace)) return emuv_err_set(err, EMUV_ERR_INPUT, "%s is a folder, not a trace", a->trace);
  if (access(a->trace, R_OK) != 0) return emuv_err_errno(err, EMUV_ERR_INPUT, "cannot read %s", a->trace);
  int rc = overrides_key(a, "hw.preset") ? 0 : emuv_scale_trace_hardware(a->trace, hardware, err);
  if (rc) return rc;
  if (hardware[0])
    emuv_log(EMUV_LOG_INFO, "hardware %s: what the trace was captured on; --hardware takes another", hardware);
  int n = snprintf(text, sizeof text, "source: trace\ntrace: \"%s\"\ntokens: 1000000\n%s%s\n", a->trace,
                   hardware[0] ? "hardware: " : "", hardware);
  if (n < 0 || n >= (int)sizeof text || strpbrk(a->trace, "\"\\\n"))
    return emuv_err_set(err, EMUV_ERR_USAGE, "cannot use this trace name: %s", a->trace);
  return emuv_scenario_parse(a->trace, text, (size_t)n, (const char *const *)a->overrides, a->n_overrides, s, err);
}

static int load(const struct arguments *a, struct emuv_scenario *s, struct emuv_err *err)
{
  const char *const *overrides = (const char *const *)a->overrides;
  if (a->scenario) return emuv_scenario_load(a->scenario, overrides, a->n_overrides, s, err);
  return load_trace(a, s, err);
}

/* The folder of a file that is to be written. */
static int check_folder(const char *path, struct emuv_err *err)
{
  char copy[PATH_MAX];
  if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
    return emuv_err_set(err, EMUV_ERR_USAGE, "the name of the database is too long");
  const char *folder = dirname(copy);
  if (is_folder(folder)) return 0;
  emuv_err_set(err, EMUV_ERR_IO, "cannot write %s: there is no folder %s", path, folder);
  return emuv_err_hint(err, "make it, or use --output with a file in a folder that you can write");
}

/* results/NAME.sqlite in the current folder. */
static int output_path(const struct arguments *a, const char *scenario, char *path, size_t size, struct emuv_err *err)
{
  if (a->output) {
    (void)snprintf(path, size, "%s", a->output);
    return check_folder(a->output, err);
  }
  (void)snprintf(path, size, "results/%s.sqlite", scenario);
  if (mkdir("results", 0777) == 0 || is_folder("results")) return 0;
  if (errno == EEXIST) errno = ENOTDIR;
  emuv_err_errno(err, EMUV_ERR_IO, "cannot make the folder results");
  return emuv_err_hint(err, "use --output with a file in a folder that you can write");
}

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

static int dry_run(const struct arguments *a, const struct emuv_scenario *s, struct emuv_err *err)
{
  enum emuv_configs_format format = a->json ? EMUV_CONFIGS_JSON : a->csv ? EMUV_CONFIGS_CSV : EMUV_CONFIGS_TABLE;
  int rc = emuv_configs_print(s, format, stdout, err);
  if (!rc) emuv_log(EMUV_LOG_INFO, "%zu configurations; nothing was run", s->n_configs);
  return rc;
}

/* The terminal's, or what fits in most editors and pages. */
static int table_width(void)
{
  return emuv_terminal_is(stdout) ? emuv_terminal_width(stdout) : 100;
}

static void print_notes(const struct emuv_scenario *s)
{
  char text[512];
  if (emuv_note_small_vram(s, text, sizeof text)) emuv_log(EMUV_LOG_WARNING, "%s", text);
}

static int print_answer(const struct arguments *a, const struct emuv_scenario *s, struct emuv_results *r,
                        struct emuv_err *err)
{
  int rc = emuv_report_select(r, s, err);
  if (rc) return rc;
  if (a->csv) return emuv_report_csv(r, stdout, err);
  if (a->json) return emuv_report_json(r, stdout, err);
  rc = emuv_report_table(r, s, stdout, table_width(), err);
  if (!rc) emuv_log(EMUV_LOG_INFO, "database: %s   figures: emuv-plot %s", r->path, r->path);
  return rc;
}

static int sweep(const struct arguments *a, const struct emuv_scenario *s, struct emuv_results *r, struct emuv_err *err)
{
  const char *name = s->configs[0].scenario;
  struct bar bar = {.label = name, .quiet = a->quiet > 0};
  struct emuv_sweep_options options = {
      .jobs = a->jobs, .stop = &interrupted, .begin = bar_begin, .done = bar_done, .arg = &bar};
  struct emuv_sweep_summary summary;
  signal(SIGPIPE, SIG_IGN); /* whoever reads the log may go away; who reads the data ends the program */
  int rc = a->fresh ? emuv_results_forget(r, name, "sim", err) : 0;
  if (!rc) rc = emuv_sweep_run(s, r, &options, &summary, err);
  if (bar.started) emuv_progress_finish(&bar.progress);
  signal(SIGPIPE, SIG_DFL);
  if (rc) return rc;
  emuv_log(EMUV_LOG_INFO, "%zu configurations: %zu computed, %zu stored before", summary.total, summary.computed,
           summary.skipped);
  return print_answer(a, s, r, err);
}

static void note_trace(const struct emuv_scenario *s, const char *trace, const struct emuv_workload *w)
{
  char text[512];
  const char *slash = strrchr(trace, '/');
  if (w->remark[0]) emuv_log(EMUV_LOG_WARNING, "%s: %s", slash ? slash + 1 : trace, w->remark);
  if (emuv_note_small_launch(s, trace, emuv_launch_bytes(w), text, sizeof text)) emuv_log(EMUV_LOG_WARNING, "%s", text);
}

/* Traces are read before anything is written: a damaged one must not leave a database. */
static int check_traces(const struct emuv_scenario *s, struct emuv_err *err)
{
  const char *checked = "";
  int rc = 0;
  for (size_t i = 0; i < s->n_configs && !rc; i++) {
    struct emuv_workload w;
    const struct emuv_config *c = &s->configs[i];
    if (strcmp(c->source, "trace") != 0 || strcmp(c->trace, checked) == 0) continue;
    checked = c->trace;
    rc = emuv_workload_build(c, &w, err);
    if (rc) break;
    note_trace(s, c->trace, &w);
    emuv_workload_free(&w);
  }
  return rc;
}

static int simulate(const struct arguments *a, const struct emuv_scenario *s, struct emuv_err *err)
{
  struct emuv_results r = {0};
  char path[PATH_MAX];
  int rc = output_path(a, s->configs[0].scenario, path, sizeof path, err);
  if (!rc) rc = emuv_results_open(path, &r, err);
  if (!rc) rc = sweep(a, s, &r, err);
  emuv_results_close(&r);
  return rc;
}

static int run(const struct arguments *a, struct emuv_err *err)
{
  struct emuv_scenario s = {.n_configs = 0};
  int rc = load(a, &s, err);
  if (rc) return rc;
  rc = check_traces(&s, err);
  if (!rc) print_notes(&s);
  if (!rc) rc = a->dry_run ? dry_run(a, &s, err) : simulate(a, &s, err);
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
  struct arguments a = {0};
  struct emuv_err err = {0};
  int rc;
  parse_arguments(argc, argv, &a);
  if (!a.jobs) a.jobs = default_jobs();
  catch_signals();
  if (a.list)
    rc = emuv_list_print(a.list, stdout, &err);
  else
    rc = a.schema ? print_schema(&err) : run(&a, &err);
  if (!rc && (fflush(stdout) != 0 || ferror(stdout)))
    rc = emuv_err_errno(&err, EMUV_ERR_IO, "cannot write to standard output");
  if (rc) emuv_err_print(&err, stderr);
  for (size_t i = 0; i < a.n_overrides; i++) free(a.overrides[i]);
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
