// SPDX-License-Identifier: Apache-2.0
/* The common part of command lines; see arguments.h. */
#include "simulator/arguments.h"

#include "runtime/core/log.h"
#include "runtime/core/option.h"
#include "simulator/results.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_FRESH = 256, KEY_RESUME, KEY_JSON, KEY_CSV, KEY_DRY, KEY_LIST, KEY_VERSION, KEY_NVME, KEY_AXIS };
enum { MAX_LONG_OPTIONS = 256 };

/* Options that set a scenario key: --vram 8GiB,12GiB is --set vram=8GiB,12GiB. */
#define AXES(AXIS)                                                                                                     \
  AXIS(0, "hardware", "hw.preset", "NAME,..", "Hardware presets (--list hardware)")                                    \
  AXIS(1, "model", "model.preset", "NAME,..", "Model presets, or a Hugging Face config.json")                          \
  AXIS(2, "strategy", "strategy", "NAME,..", "How to run the workload (--list strategies)")                            \
  AXIS(3, "policy", "policy", "NAME,..", "Eviction policies (--list policies)")                                        \
  AXIS(4, "prefetch", "prefetch", "NAME,..", "Prefetchers (--list prefetchers)")                                       \
  AXIS(5, "page-size", "page_size", "SIZE,..", "Page sizes, e.g. 64KiB,2MiB")                                          \
  AXIS(6, "vram", "vram", "SIZE,..", "VRAM to use, e.g. 8GiB,12GiB")                                                   \
  AXIS(7, "ram", "ram", "SIZE,..", "Host memory")                                                                      \
  AXIS(8, "context", "context", "N,..", "Tokens in the KV cache")                                                      \
  AXIS(9, "batch", "batch", "N,..", "Sequences decoded together")                                                      \
  AXIS(10, "tokens", "tokens", "N", "Steps that are timed")                                                            \
  AXIS(11, "lookahead", "lookahead", "SIZE,..", "Bytes loaded ahead of use at most")                                   \
  AXIS(12, "seed", "seed", "N,..", "Seed of everything random")                                                        \
  AXIS(13, "peer", "peer", "SIZE,..", "Memory of another GPU, beside RAM")

#define AXIS_KEY(index, option, key, arg, help) key,
static const char *const axis_keys[] = {AXES(AXIS_KEY)};
enum { N_AXES = sizeof axis_keys / sizeof axis_keys[0] };

#define AXIS_OPTION(index, option, key, arg, help) {option, KEY_AXIS + (index), arg, 0, help, 1},
static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0, "Results database (default: results/SCENARIO.sqlite)", 0},
    {"set", 's', "KEY=VALUE[,VALUE..]", 0, "Replace a key of the scenario; several values make an axis", 0},
    {"trace", 't', "FILE", 0, "Take a captured run instead of a scenario", 0},
    {"resume", KEY_RESUME, NULL, 0, "Keep rows that are stored already (default)", 0},
    {"fresh", KEY_FRESH, NULL, 0, "Drop the stored rows of this scenario first", 0},
    {"dry-run", KEY_DRY, NULL, 0, "Check everything and list the configurations; run and write nothing", 0},
    {"csv", KEY_CSV, NULL, 0, "All rows as CSV on stdout instead of the table", 0},
    {"json", KEY_JSON, NULL, 0, "All rows as JSON on stdout instead of the table", 0},
    {"list", KEY_LIST, "WHAT", 0, "List policies, prefetchers, tiers, sources, hardware, models, strategies or keys",
     0},
    {"quiet", 'q', NULL, 0, "Less on stderr (twice: errors only)", 0},
    {"verbose", 'v', NULL, 0, "More on stderr", 0},
    {"version", KEY_VERSION, NULL, 0, "Print the version with the git revision", 0},
    AXES(AXIS_OPTION){"nvme", KEY_NVME, "SIZE,..", 0, "Disk space", 1},
    {NULL, 0, NULL, 0, NULL, 0},
};

void emuv_arguments_override(struct argp_state *state, struct emuv_arguments *a, const char *key, const char *value)
{
  if (a->n_overrides == EMUV_MAX_OVERRIDES) argp_error(state, "more than %d settings", EMUV_MAX_OVERRIDES);
  if (asprintf(&a->overrides[a->n_overrides++], key ? "%s=%s" : "%s%s", key ? key : "", value) < 0)
    argp_failure(state, 1, ENOMEM, "no memory");
}

bool emuv_arguments_overrides(const struct emuv_arguments *a, const char *key)
{
  for (size_t i = 0; i < a->n_overrides; i++)
    if (strncmp(a->overrides[i], key, strlen(key)) == 0 && a->overrides[i][strlen(key)] == '=') return true;
  return false;
}

/* One item of --nvme: the path before the last colon, if there is one, must be the same in all items. Returns the
 * size's text. */
static char *take_path(struct argp_state *state, struct emuv_arguments *a, char *item)
{
  char *colon = strrchr(item, ':');
  if (!colon) return item;
  *colon = '\0';
  if (!*item) argp_error(state, "--nvme: a path is missing before ':%s'", colon + 1);
  if (a->nvme_path && strcmp(a->nvme_path, item) != 0)
    argp_error(state, "--nvme: one place at a time: '%s' and '%s'", a->nvme_path, item);
  if (!a->nvme_path) a->nvme_path = strdup(item);
  if (!a->nvme_path) argp_failure(state, 1, ENOMEM, "no memory");
  return colon + 1;
}

/* "PATH:SIZE,PATH:SIZE" -> the path, and nvme=SIZE,SIZE. */
static void set_disk(struct argp_state *state, struct emuv_arguments *a, const char *arg)
{
  char *items = strdup(arg), *sizes = calloc(1, strlen(arg) + 2), *rest = NULL;
  if (!items || !sizes) argp_failure(state, 1, ENOMEM, "no memory");
  for (char *item = strtok_r(items, ",", &rest); item; item = strtok_r(NULL, ",", &rest)) {
    if (*sizes) strcat(sizes, ",");
    strcat(sizes, a->disk_paths ? take_path(state, a, item) : item);
  }
  emuv_arguments_override(state, a, "nvme", sizes);
  free(items);
  free(sizes);
}

static error_t parse_mode(int key, char *arg, struct argp_state *state)
{
  struct emuv_arguments *a = state->input;
  switch (key) {
  case KEY_FRESH: a->fresh = true; return 0;
  case KEY_RESUME: a->fresh = false; return 0;
  case KEY_JSON: a->json = true; return 0;
  case KEY_CSV: a->csv = true; return 0;
  case KEY_DRY: a->dry_run = true; return 0;
  case KEY_LIST: a->list = arg; return 0;
  case KEY_NVME: set_disk(state, a, arg); return 0;
  case KEY_VERSION: printf("%s %s\n", a->program, emuv_results_version()); exit(0);
  default: return ARGP_ERR_UNKNOWN;
  }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct emuv_arguments *a = state->input;
  if (key >= KEY_AXIS && key < KEY_AXIS + N_AXES) {
    emuv_arguments_override(state, a, axis_keys[key - KEY_AXIS], arg);
    return 0;
  }
  switch (key) {
  case 'o': a->output = arg; return 0;
  case 's': emuv_arguments_override(state, a, NULL, arg); return 0;
  case 't': a->trace = arg; return 0;
  case 'q': a->quiet++; return 0;
  case 'v': a->verbose++; return 0;
  case ARGP_KEY_ARG:
    if (a->scenario) argp_error(state, "one scenario at a time: '%s' and '%s'", a->scenario, arg);
    a->scenario = arg;
    return 0;
  default: return parse_mode(key, arg, state);
  }
}

static char *filter_help(int key, const char *text, void *input)
{
  const struct emuv_arguments *a = input;
  if (key != KEY_NVME || !a || !a->disk_paths) return (char *)text;
  return strdup("Disk space, PATH:SIZE,..: a folder (a nameless file in it), a file or a block device");
}

const struct argp emuv_arguments_argp = {options, parse, NULL, NULL, NULL, filter_help, NULL};

/* Long options of a parser and its children. */
static size_t collect(const struct argp *argp, const struct argp_option **all, size_t n)
{
  for (const struct argp_option *o = argp->options; o && (o->name || o->key || o->doc); o++)
    if (o->name && n < MAX_LONG_OPTIONS) all[n++] = o;
  for (const struct argp_child *c = argp->children; c && c->argp; c++) n = collect(c->argp, all, n);
  return n;
}

static const struct argp_option *find_option(const struct argp_option *const *all, size_t n, const char *name,
                                             size_t length)
{
  static const char *const builtin[] = {"help", "usage"};
  static const struct argp_option known = {.name = "help"};
  for (size_t i = 0; i < sizeof builtin / sizeof builtin[0]; i++)
    if (strncmp(builtin[i], name, length) == 0) return &known;
  for (size_t i = 0; i < n; i++)
    if (strncmp(all[i]->name, name, length) == 0) return all[i]; /* whole, or a prefix that argp judges */
  return NULL;
}

/* Says which option was meant and exits, where an unknown one looks like a known one. */
static void refuse_option(const struct argp_option *const *all, size_t n, const char *program, const char *arg,
                          size_t length)
{
  const char *names[MAX_LONG_OPTIONS + 1] = {NULL};
  char given[64];
  for (size_t i = 0; i < n; i++) names[i] = all[i]->name;
  (void)snprintf(given, sizeof given, "%.*s", (int)length, arg + 2);
  const char *near = emuv_option_suggest_name(names, given);
  if (!near) return; /* argp says it */
  fprintf(stderr, "%s: unrecognized option '--%s'\nhint: did you mean \"--%s\"?\n", program, given, near);
  fprintf(stderr, "Try `%s --help' for more information.\n", program);
  exit(2);
}

static void check_options(const struct argp *argp, int argc, char **argv, const char *program)
{
  const struct argp_option *all[MAX_LONG_OPTIONS];
  size_t n = collect(argp, all, 0);
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
    if (strncmp(argv[i], "--", 2) != 0) continue;
    size_t length = strcspn(argv[i] + 2, "=");
    const struct argp_option *o = find_option(all, n, argv[i] + 2, length);
    if (!o)
      refuse_option(all, n, program, argv[i], length);
    else if (o->arg && !argv[i][2 + length])
      i++; /* its argument */
  }
}

void emuv_arguments_parse(const struct argp *argp, int argc, char **argv, struct emuv_arguments *a, void *input)
{
  argp_err_exit_status = 2;
  check_options(argp, argc, argv, a->program);
  argp_parse(argp, argc, argv, 0, NULL, input);
  emuv_log_verbosity(a->quiet, a->verbose);
}

void emuv_arguments_free(struct emuv_arguments *a)
{
  for (size_t i = 0; i < a->n_overrides; i++) free(a->overrides[i]);
  free(a->nvme_path);
}
