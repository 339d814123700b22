// SPDX-License-Identifier: Apache-2.0
/* The command `emuv-sim mrc`: arguments, and the steps read, run, write. argp parses; what it cannot say well (a close
 * name, where a list is wrong) is said here. One call per process. */
#include "simulator/mrc.h"

#include "emuv_version.h"
#include "runtime/core/option.h"
#include "runtime/core/units.h"
#include "simulator/mrc_output.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_POLICIES = 64, MAX_CAPACITIES = 4096 };
enum { KEY_CSV = 0x100, KEY_JSON, KEY_FORMAT, KEY_SEED, KEY_PAGE_SIZE, KEY_VERSION };
enum { MIN_PAGE_BYTES = 512 };

struct arguments {
  const char *path, *output, *format;
  const struct emuv_policy_ops *policies[MAX_POLICIES];
  struct emuv_mrc_capacity capacities[MAX_CAPACITIES];
  size_t n_policies, n_capacities;
  enum emuv_mrc_style style;
  unsigned jobs;
  uint64_t seed, page_bytes;
  struct emuv_err err; /* first thing wrong; reported after parsing */
};

static const char doc[] =
    "Miss-ratio curves of a plain reference string: every reference is one page, a capacity is a number of pages. "
    "All capacities of lru come from one pass.\v"
    "Formats (by name or content when --format is not given; - is standard input):\n"
    "  emuv           captured trace, its memory cut into pages of --page-size\n"
    "  oracleGeneral  24-byte records: u32 time, u64 object, u32 size, i64 next\n"
    "                 (next uses are computed, not believed)\n"
    "  csv            one object id per line; or a header line that names the\n"
    "                 column: object, obj_id, id, key, page, block or address\n"
    "\n"
    "Examples:\n"
    "  emuv-sim mrc trace.oracleGeneral --policy lru,belady --capacity 1%,10%,50%\n"
    "  emuv-sim mrc decode.emuv --page-size 64KiB --policy all --capacity 25%,50%\n"
    "  emuv-sim mrc trace.csv --policy all --capacity 20000 --csv > curve.csv\n"
    "  zstd -dc trace.oracleGeneral.zst | emuv-sim mrc - --format oracleGeneral\n"
    "\n"
    "Exit status: 0 ok, 1 run-time failure, 2 usage, 3 invalid trace.\n";

static const struct argp_option options[] = {
    {"policy", 'p', "A,B", 0, "eviction policies, or \"all\" (default: lru)", 0},
    {"capacity", 'c', "C,D", 0,
     "pages (20000) or shares of the distinct pages (0.1%, 10%) (default: 1%,5%,10%,25%,50%,75%)", 0},
    {"format", KEY_FORMAT, "NAME", 0, "format of the trace", 0},
    {"page-size", KEY_PAGE_SIZE, "SIZE", 0, "captured traces: bytes per page (default: 2MiB)", 0},
    {"csv", KEY_CSV, NULL, 0, "comma-separated rows", 1},
    {"json", KEY_JSON, NULL, 0, "one JSON object", 1},
    {"output", 'o', "FILE", 0, "write there instead of standard output", 1},
    {"jobs", 'j', "N", 0, "threads, 1 to 64 (default: 1)", 2},
    {"seed", KEY_SEED, "S", 0, "seed of the policies that choose at random (default: 1)", 2},
    {"version", KEY_VERSION, NULL, 0, "version and source revision", 3},
    {0},
};

/* Keeps the first error. hint may be NULL. */
static __attribute__((format(printf, 3, 4))) void usage_error(struct arguments *a, const char *hint, const char *fmt,
                                                              ...)
{
  char text[256];
  va_list args;
  if (a->err.code != 0) return;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  emuv_err_set(&a->err, EMUV_ERR_USAGE, "%s", text);
  if (hint && *hint) emuv_err_hint(&a->err, "%s", hint);
}

static void suggest(struct arguments *a, const char *what, const char *given, const char *const *names)
{
  char hint[512] = "";
  const char *near = emuv_option_suggest_name(names, given);
  if (near) {
    snprintf(hint, sizeof hint, "did you mean '%s'?", near);
  } else {
    size_t at = (size_t)snprintf(hint, sizeof hint, "one of");
    for (; *names && at < sizeof hint; names++) at += (size_t)snprintf(hint + at, sizeof hint - at, " %s", *names);
  }
  usage_error(a, hint, "unknown %s '%s'", what, given);
}

static void add_policy(struct arguments *a, const char *name)
{
  bool all = strcmp(name, "all") == 0;
  const struct emuv_policy_ops *one[] = {emuv_policy_find(name), NULL};
  if (!all && !one[0]) {
    suggest(a, "policy", name, emuv_policy_names());
    return;
  }
  for (const struct emuv_policy_ops *const *p = all ? emuv_policies : one; *p; p++) {
    bool listed = false;
    for (size_t i = 0; i < a->n_policies; i++) listed |= a->policies[i] == *p;
    if (!listed && a->n_policies < MAX_POLICIES) a->policies[a->n_policies++] = *p;
  }
}

/* What is wrong with the text, NULL if nothing. */
static const char *parse_capacity(const char *text, struct emuv_mrc_capacity *c)
{
  char *end;
  size_t digits = strspn(text, "0123456789");
  errno = 0;
  if (digits > 0 && text[digits] == '\0') {
    c->pages = strtoull(text, &end, 10);
    return c->pages == 0 || errno == ERANGE ? "is out of range" : NULL;
  }
  if (strspn(text, "0123456789.") == 0) return "is not a number";
  c->share = strtod(text, &end) / 100;
  if (strcmp(end, "%") != 0) return "is neither a number of pages nor a percentage";
  return c->share > 0 && c->share <= 1 ? NULL : "is not above 0% and at most 100%";
}

static void add_capacity(struct arguments *a, const char *text)
{
  struct emuv_mrc_capacity c = {0, 0};
  const char *wrong = parse_capacity(text, &c);
  if (!wrong && a->n_capacities == MAX_CAPACITIES) wrong = "is one too many";
  if (wrong) {
    usage_error(a, "a number of pages such as 20000, or a share of the distinct pages such as 10%", "capacity '%s' %s",
                text, wrong);
    return;
  }
  a->capacities[a->n_capacities++] = c;
}

static void split(struct arguments *a, const char *list, void (*add)(struct arguments *, const char *))
{
  char item[128];
  for (const char *at = list;; at++) {
    size_t n = strcspn(at, ",");
    snprintf(item, sizeof item, "%.*s", (int)n, at);
    if (n == 0) {
      usage_error(a, NULL, "an empty entry in the list '%s'", list);
    } else {
      add(a, item);
    }
    at += n;
    if (*at == '\0') return;
  }
}

static uint64_t number(struct arguments *a, const char *option, const char *text, uint64_t min, uint64_t max)
{
  char *end;
  errno = 0;
  uint64_t value = strtoull(text, &end, 10);
  if (*text < '0' || *text > '9' || *end != '\0' || errno == ERANGE || value < min || value > max) {
    usage_error(a, NULL, "%s '%s' is not a number from %" PRIu64 " to %" PRIu64, option, text, min, max);
  }
  return value;
}

static void set_format(struct arguments *a, const char *name)
{
  for (const char *const *f = emuv_mrc_formats(); *f; f++) {
    if (strcmp(*f, name) == 0) a->format = *f;
  }
  if (!a->format) suggest(a, "format", name, emuv_mrc_formats());
}

static void print_version(void)
{
  printf("emuv-sim %s+g%s%s\n", EMUV_VERSION, EMUV_GIT_REVISION, EMUV_GIT_DIRTY ? "-dirty" : "");
}

static void set_page_size(struct arguments *a, const char *text)
{
  struct emuv_err err = {0};
  if (emuv_units_parse_bytes(text, &a->page_bytes, &err)) {
    usage_error(a, err.hint, "--page-size: %s", err.text);
  } else if (a->page_bytes < MIN_PAGE_BYTES) {
    usage_error(a, NULL, "--page-size %s: a page has at least %d bytes", text, MIN_PAGE_BYTES);
  }
}

static void set_path(struct arguments *a, const char *path)
{
  if (a->path) usage_error(a, NULL, "one trace only: '%s' is too much", path);
  a->path = path;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct arguments *a = state->input;
  switch (key) {
  case 'p': split(a, arg, add_policy); break;
  case 'c': split(a, arg, add_capacity); break;
  case 'o': a->output = arg; break;
  case 'j': a->jobs = (unsigned)number(a, "--jobs", arg, 1, 64); break;
  case KEY_CSV: a->style = EMUV_MRC_CSV; break;
  case KEY_JSON: a->style = EMUV_MRC_JSON; break;
  case KEY_PAGE_SIZE: set_page_size(a, arg); break;
  case KEY_VERSION: print_version(); exit(0);
  case KEY_FORMAT: set_format(a, arg); break;
  case KEY_SEED: a->seed = number(a, "--seed", arg, 0, UINT64_MAX); break;
  case ARGP_KEY_ARG: set_path(a, arg); break;
  case ARGP_KEY_NO_ARGS: usage_error(a, "see emuv-sim mrc --help", "no trace given"); break;
  default: return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

static bool starts_with(const char *text, const char *start)
{
  while (*start && *text == *start) text++, start++;
  return *start == '\0';
}

/* argp takes any unambiguous beginning of a long option; what is no beginning of one gets a suggestion here. */
static void check_long_options(struct arguments *a, int argc, char **argv)
{
  static const char *const names[] = {"policy", "capacity", "format", "page-size", "csv",     "json", "output",
                                      "jobs",   "seed",     "help",   "usage",     "version", NULL};
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
    char name[64];
    bool known = strncmp(argv[i], "--", 2) != 0;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(argv[i], "="), argv[i]);
    for (size_t k = 0; names[k] && !known; k++) known = starts_with(names[k], name + 2);
    const char *near = known ? NULL : emuv_option_suggest_name(names, name + 2);
    char hint[96] = "see emuv-sim mrc --help";
    if (near) snprintf(hint, sizeof hint, "did you mean '--%s'?", near);
    if (!known) usage_error(a, hint, "unknown option '%s'", name);
  }
}

static struct emuv_mrc_row *make_rows(const struct arguments *a, const struct emuv_mrc_trace *t, size_t *n)
{
  *n = a->n_policies * a->n_capacities;
  struct emuv_mrc_row *rows = calloc(*n, sizeof *rows);
  for (size_t i = 0; rows && i < *n; i++) {
    rows[i].policy = a->policies[i / a->n_capacities];
    rows[i].capacity_pages = emuv_mrc_capacity_pages(&a->capacities[i % a->n_capacities], t->n_pages);
  }
  return rows;
}

static int write_rows(const struct arguments *a, const struct emuv_mrc_trace *t, const struct emuv_mrc_row *rows,
                      size_t n, struct emuv_err *err)
{
  if (!a->output) return emuv_mrc_write(stdout, a->style, a->path, t, rows, n, err);
  FILE *out = fopen(a->output, "w");
  if (!out) return emuv_err_errno(err, EMUV_ERR_IO, "cannot write %s", a->output);
  int rc = emuv_mrc_write(out, a->style, a->path, t, rows, n, err);
  if (fclose(out) != 0 && rc == 0) rc = emuv_err_errno(err, EMUV_ERR_IO, "cannot write %s", a->output);
  return rc;
}

static int run(const struct arguments *a, struct emuv_err *err)
{
  struct emuv_mrc_trace trace;
  size_t n;
  int rc = emuv_mrc_read(a->path, a->format, a->page_bytes, &trace, err);
  if (rc) return rc;
  struct emuv_mrc_row *rows = make_rows(a, &trace, &n);
  rc = rows ? emuv_mrc_run(&trace, rows, n, a->seed, a->jobs, err) : emuv_err_set(err, EMUV_ERR_NOMEM, "no memory");
  if (rc == 0) rc = write_rows(a, &trace, rows, n, err);
  free(rows);
  emuv_mrc_trace_free(&trace);
  return rc;
}

static void defaults(struct arguments *a)
{
  if (a->n_policies == 0) split(a, "lru", add_policy);
  if (a->n_capacities == 0) split(a, "1%,5%,10%,25%,50%,75%", add_capacity);
}

int emuv_mrc_main(int argc, char **argv)
{
  static const struct argp argp = {options, parse, "TRACE", doc, NULL, NULL, NULL};
  static struct arguments a; /* large */
  a = (struct arguments){.jobs = 1, .seed = 1};
  argp_err_exit_status = emuv_err_exit_status(EMUV_ERR_USAGE);
  check_long_options(&a, argc, argv);
  if (a.err.code == 0) {
    int bad = argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (bad) usage_error(&a, NULL, "%s", strerror(bad));
  }
  defaults(&a);
  int rc = a.err.code != 0 ? a.err.code : run(&a, &a.err);
  if (rc) emuv_err_print(&a.err, stderr);
  return emuv_err_exit_status(rc);
}
