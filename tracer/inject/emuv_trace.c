// SPDX-License-Identifier: Apache-2.0
/* The command emuv-trace: captures a run (launch.h), and reads, checks and converts traces. argp parses; every function
 * returns an exit status. stdout carries data only. One thread. */
#include "emuv_version.h"
#include "runtime/core/log.h"
#include "runtime/core/option.h"
#include "runtime/core/terminal.h"
#include "runtime/core/units.h"
#include "tracer/format/export/export.h"
#include "tracer/format/export/figures.h"
#include "tracer/format/oracle.h"
#include "tracer/format/schema.h"
#include "tracer/inject/launch.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  KEY_JSON = 0x100,
  KEY_TOP,
  KEY_TYPES,
  KEY_LIMIT,
  KEY_FORMAT,
  KEY_PAGE,
  KEY_OBJECTS,
  KEY_OBJECT_SIZE,
  KEY_STRICT,
  KEY_PID,
  KEY_FROM,
  KEY_TO,
  KEY_KERNEL,
  KEY_SORT,
  KEY_REPORT
};
enum { TOP_KERNELS = 15 };

struct arguments {
  const char *path, *second, *output, *format;
  bool json, objects, strict, report;
  int quiet;
  enum emuv_trace_kernel_sort sort;
  struct emuv_export_selection selection;
  uint64_t top, page_bytes, object_bytes, pid;
  struct emuv_err err; /* first thing wrong with the arguments */
};

static int report(const struct emuv_err *err)
{
  emuv_err_print(err, stderr);
  return emuv_err_exit_status(err->code);
}

/* ---- arguments ---- */

static void wrong(struct arguments *a, struct emuv_err err, const char *option)
{
  if (a->err.code) return;
  emuv_err_set(&a->err, EMUV_ERR_USAGE, "%s: %.400s", option, err.text);
  if (err.hint[0]) emuv_err_hint(&a->err, "%s", err.hint);
}

static void parse_bytes(struct arguments *a, const char *option, const char *text, uint64_t *bytes)
{
  struct emuv_err err = {0};
  if (emuv_units_parse_bytes(text, bytes, &err) != 0) {
    wrong(a, err, option);
  } else if (*bytes == 0 || *bytes > (uint64_t)1 << 40) {
    emuv_err_set(&err, EMUV_ERR_USAGE, "must lie between 1 byte and 1 TiB");
    wrong(a, err, option);
  }
}

static void parse_count(struct arguments *a, const char *option, const char *text, uint64_t *n)
{
  struct emuv_err err = {0};
  char *end;
  errno = 0;
  *n = strtoull(text, &end, 10);
  if (errno == 0 && end != text && *end == '\0' && *text != '-') return;
  emuv_err_set(&err, EMUV_ERR_USAGE, "'%s' is not a number", text);
  wrong(a, err, option);
}

static void parse_time(struct arguments *a, const char *option, const char *text, uint64_t *ns)
{
  struct emuv_err err = {0};
  double value = 0;
  if (emuv_units_parse_time(text, &value, &err) != 0)
    wrong(a, err, option);
  else
    *ns = value < 9e18 ? (uint64_t)value : UINT64_MAX;
}

static const char *const *type_names(void)
{
  static const char *names[EMUV_TRACE_TYPES];
  for (uint32_t i = 1; i < EMUV_TRACE_TYPES; i++) names[i - 1] = emuv_trace_schemas[i].name;
  return names;
}

static void unknown_name(struct arguments *a, const char *option, const char *given, const char *const *names)
{
  struct emuv_err err = {0};
  emuv_err_set(&err, EMUV_ERR_USAGE, "unknown name '%s'", given);
  const char *near = emuv_option_suggest_name(names, given);
  if (near) {
    emuv_err_hint(&err, "did you mean '%s'?", near);
  } else {
    char list[256] = "";
    for (size_t n = 0; *names && n < sizeof list; names++)
      n += (size_t)snprintf(list + n, sizeof list - n, " %s", *names);
    emuv_err_hint(&err, "one of%s", list);
  }
  wrong(a, err, option);
}

static void parse_types(struct arguments *a, char *list)
{
  a->selection.types = 0;
  for (char *name; (name = strsep(&list, ","));) {
    uint32_t type = 1;
    while (type < EMUV_TRACE_TYPES && strcmp(name, emuv_trace_schemas[type].name) != 0) type++;
    if (type == EMUV_TRACE_TYPES) unknown_name(a, "--type", name, type_names());
    a->selection.types |= UINT64_C(1) << type;
  }
}

static void parse_sort(struct arguments *a, const char *name)
{
  static const char *const names[] = {"time", "bytes", "launches", "gap", NULL};
  for (size_t i = 0; names[i]; i++)
    if (strcmp(names[i], name) == 0) {
      a->sort = (enum emuv_trace_kernel_sort)i;
      return;
    }
  unknown_name(a, "--sort", name, names);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct arguments *a = state->input;
  switch (key) {
  case KEY_JSON: a->json = true; return 0;
  case KEY_TOP: parse_count(a, "--top", arg, &a->top); return 0;
  case KEY_TYPES: parse_types(a, arg); return 0;
  case KEY_LIMIT: parse_count(a, "--limit", arg, &a->selection.limit); return 0;
  case KEY_FROM: parse_time(a, "--from", arg, &a->selection.from_ns); return 0;
  case KEY_TO: parse_time(a, "--to", arg, &a->selection.to_ns); return 0;
  case KEY_KERNEL: a->selection.kernel = arg; return 0;
  case KEY_FORMAT: a->format = arg; return 0;
  case KEY_PAGE: parse_bytes(a, "--page-size", arg, &a->page_bytes); return 0;
  case KEY_OBJECTS: a->objects = true; return 0;
  case KEY_OBJECT_SIZE: parse_bytes(a, "--object-size", arg, &a->object_bytes); return 0;
  case KEY_STRICT: a->strict = true; return 0;
  case KEY_SORT: parse_sort(a, arg); return 0;
  case KEY_PID: parse_count(a, "--pid", arg, &a->pid); return 0;
  case 'o': a->output = arg; return 0;
  case 'q': a->quiet++; return 0;
  case ARGP_KEY_ARG:
    if (a->path) argp_error(state, "one file at a time: '%s' and '%s'", a->path, arg);
    a->path = arg;
    return 0;
  case ARGP_KEY_END:
    if (!a->path) argp_error(state, "give a file");
    return 0;
  default: return ARGP_ERR_UNKNOWN;
  }
}

/* Two files. */
static error_t parse_merge(int key, char *arg, struct argp_state *state)
{
  struct arguments *a = state->input;
  switch (key) {
  case KEY_REPORT: a->report = true; return 0;
  case ARGP_KEY_ARG:
    if (a->second) argp_error(state, "two files: '%s' is one too many", arg);
    *(a->path ? &a->second : &a->path) = arg;
    return 0;
  case ARGP_KEY_END:
    if (!a->second) argp_error(state, "give two files: the default trace and that of --pages");
    if (!a->output && !a->report) argp_error(state, "give --output FILE or --report");
    return 0;
  default: return parse(key, arg, state);
  }
}

/* ---- info, dump, check ---- */

/* The locale's characters are UTF-8. */
static bool is_utf8(void)
{
  locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
  if (!locale) return false;
  bool utf8 = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
  freelocale(locale);
  return utf8;
}

static int info(struct arguments *a)
{
  struct emuv_trace_data d;
  struct emuv_trace_info i;
  int code = emuv_trace_load(a->path, &d, &a->err);
  if (code) return report(&a->err);
  code = emuv_trace_info_compute(&d, &i, &a->err);
  if (code == 0) {
    static const char *const sorts[] = {"device time", "bytes", "launches", "gap launches"};
    struct emuv_export_report r = {.style = a->json ? EMUV_EXPORT_JSON : EMUV_EXPORT_TEXT, .top = (size_t)a->top};
    r.sort = sorts[a->sort];
    r.width = isatty(STDOUT_FILENO) ? (int)emuv_terminal_width(stdout) : 0;
    r.utf8 = is_utf8();
    emuv_trace_info_sort(&i, a->sort);
    code = emuv_export_info(&d, &i, &r, stdout, &a->err);
    emuv_trace_info_free(&i);
  }
  emuv_trace_data_free(&d);
  return code ? report(&a->err) : 0;
}

static int dump(struct arguments *a)
{
  enum emuv_export_style style = a->json ? EMUV_EXPORT_JSON : EMUV_EXPORT_TEXT;
  return emuv_export_dump(a->path, style, &a->selection, stdout, &a->err) ? report(&a->err) : 0;
}

static int check(struct arguments *a)
{
  bool whole;
  enum emuv_export_style style = a->json ? EMUV_EXPORT_JSON : EMUV_EXPORT_TEXT;
  if (emuv_export_check(a->path, style, stdout, &whole, &a->err) != 0) return report(&a->err);
  return a->strict && !whole ? emuv_err_exit_status(EMUV_ERR_INPUT) : 0;
}

/* ---- export, import ---- */

static const char *const export_formats[] = {"csv", "json", "sqlite", "nsys", "oracleGeneral", "figures", NULL};
static const char *const import_formats[] = {"oracleGeneral", "csv", "nsys", NULL};

static bool is(const char *a, const char *b)
{
  return strcmp(a, b) == 0;
}

static bool is_database(const struct arguments *a)
{
  return is(a->format, "sqlite") || is(a->format, "nsys") || is(a->format, "figures");
}

static int export_loaded(struct arguments *a, FILE *out)
{
  struct emuv_trace_data d;
  int code = emuv_trace_load(a->path, &d, &a->err);
  if (code) return code;
  if (is(a->format, "csv")) code = emuv_export_csv(&d, out, &a->err);
  if (is(a->format, "json")) code = emuv_export_chrome(&d, out, &a->err);
  if (is(a->format, "figures"))
    code = emuv_export_figures(&d, a->output, &a->err);
  else if (is_database(a))
    code = emuv_export_sqlite(&d, a->output, is(a->format, "nsys"), &a->err);
  emuv_trace_data_free(&d);
  return code;
}

static int export_oracle(struct arguments *a, FILE *out)
{
  if (!a->objects && a->page_bytes == 0)
    return emuv_err_set(&a->err, EMUV_ERR_USAGE, "oracleGeneral needs --page-size SIZE, or --objects");
  if (a->objects && a->page_bytes) return emuv_err_set(&a->err, EMUV_ERR_USAGE, "--page-size or --objects, not both");
  uint64_t references;
  int code = emuv_trace_export_oracle(a->path, a->page_bytes, out, &references, &a->err);
  if (code == 0 && references == 0) emuv_log(EMUV_LOG_WARNING, "%s: no call touches memory that is known", a->path);
  return code;
}

static int export_to(struct arguments *a)
{
  if (is_database(a)) {
    if (a->output) return export_loaded(a, NULL);
    return emuv_err_set(&a->err, EMUV_ERR_USAGE, "a database needs --output FILE");
  }
  FILE *out = a->output ? fopen(a->output, "wb") : stdout;
  if (!out) return emuv_err_errno(&a->err, EMUV_ERR_IO, "cannot create %s", a->output);
  int code = is(a->format, "oracleGeneral") ? export_oracle(a, out) : export_loaded(a, out);
  if (out != stdout && fclose(out) != 0 && code == 0)
    code = emuv_err_errno(&a->err, EMUV_ERR_IO, "cannot write %s", a->output);
  if (code && a->output) remove(a->output);
  return code;
}

static bool format_known(struct arguments *a, const char *const *names)
{
  if (!a->format) emuv_err_set(&a->err, EMUV_ERR_USAGE, "give --format");
  for (const char *const *n = names; a->format && *n; n++)
    if (is(a->format, *n)) return true;
  if (a->format) unknown_name(a, "--format", a->format, names);
  return false;
}

static int export_trace(struct arguments *a)
{
  if (!format_known(a, export_formats)) return report(&a->err);
  return export_to(a) ? report(&a->err) : 0;
}

static int import_nsys(struct arguments *a)
{
  struct emuv_nsys_counts n;
  if (a->pid > UINT32_MAX) return emuv_err_set(&a->err, EMUV_ERR_USAGE, "--pid is too large"), report(&a->err);
  if (emuv_import_nsys(a->path, (uint32_t)a->pid, a->output, &n, &a->err) != 0) return report(&a->err);
  emuv_log(EMUV_LOG_INFO,
           "%s: %" PRIu64 " launches without operands, %" PRIu64 " copies, %" PRIu64 " sets, %" PRIu64
           " allocations, %" PRIu64 " ranges",
           a->output, n.launches, n.copies, n.sets, n.allocations, n.ranges);
  if (n.dropped) emuv_log(EMUV_LOG_WARNING, "%" PRIu64 " rows left out: see emuv-trace info %s", n.dropped, a->output);
  return 0;
}

static int import_from(struct arguments *a, FILE *in, uint64_t *n)
{
  if (is(a->format, "csv")) return emuv_trace_import_csv(in, a->path, a->object_bytes, a->output, n, &a->err);
  return emuv_trace_import_oracle(in, a->path, a->output, n, &a->err);
}

static int import_trace(struct arguments *a)
{
  if (!format_known(a, import_formats)) return report(&a->err);
  if (!a->output) emuv_err_set(&a->err, EMUV_ERR_USAGE, "give --output FILE.emuv");
  if (!a->output) return report(&a->err);
  if (is(a->format, "nsys")) return import_nsys(a);
  bool standard = is(a->path, "-");
  FILE *in = standard ? stdin : fopen(a->path, "rb");
  if (!in) return emuv_err_errno(&a->err, EMUV_ERR_IO, "cannot open %s", a->path), report(&a->err);
  uint64_t n = 0;
  int code = import_from(a, in, &n);
  if (!standard) fclose(in);
  if (code) return report(&a->err);
  emuv_log(EMUV_LOG_INFO, "%s: %" PRIu64 " references", a->output, n);
  return 0;
}

/* ---- merge ---- */

static int merge(struct arguments *a)
{
  struct emuv_merge m;
  int code = emuv_merge(a->path, a->second, a->output, &m, &a->err);
  if (code) return report(&a->err);
  emuv_log(EMUV_LOG_INFO, "%" PRIu64 " of %" PRIu64 " launches joined, %" PRIu64 " observed", m.joined, m.launches,
           m.observed);
  if (a->report) code = emuv_export_merge(&m, a->json ? EMUV_EXPORT_JSON : EMUV_EXPORT_TEXT, a->top, stdout, &a->err);
  emuv_merge_free(&m);
  return code ? report(&a->err) : 0;
}

/* ---- commands ---- */

#define QUIET                                                                                                          \
  {                                                                                                                    \
    "quiet", 'q', NULL, 0, "say less on stderr", 9                                                                     \
  }

static const struct argp_option info_options[] = {
    {"json", KEY_JSON, NULL, 0, "one JSON object", 0},
    {"top", KEY_TOP, "N", 0, "kernels and ranges to list (default: 15)", 0},
    {"sort", KEY_SORT, "KEY", 0, "sort kernels by time (default), bytes, launches or gap", 0},
    QUIET,
    {0}};
static const struct argp_option dump_options[] = {
    {"json", KEY_JSON, NULL, 0, "one JSON object per line", 0},
    {"type", KEY_TYPES, "A,B", 0, "only records of these types: launch, copy, allocation, ...", 0},
    {"kernel", KEY_KERNEL, "TEXT", 0, "only launches of kernels with TEXT in their symbol, or matching it (*, ?)", 0},
    {"from", KEY_FROM, "TIME", 0, "only from this time on: 1.5s, 200ms, counted from the first record", 0},
    {"to", KEY_TO, "TIME", 0, "only before this time", 0},
    {"limit", KEY_LIMIT, "N", 0, "stop after N records", 0},
    QUIET,
    {0}};
static const struct argp_option check_options[] = {
    {"json", KEY_JSON, NULL, 0, "one JSON object", 0},
    {"strict", KEY_STRICT, NULL, 0, "exit status 3 also when the trace ends early or records were dropped", 0},
    QUIET,
    {0}};
static const struct argp_option export_options[] = {
    {"format", KEY_FORMAT, "NAME", 0,
     "csv, json (Perfetto, Chrome), sqlite, nsys, oracleGeneral, or figures (what emuv-plot draws)", 0},
    {"output", 'o', "FILE", 0, "write there instead of standard output", 0},
    {"page-size", KEY_PAGE, "SIZE", 0, "oracleGeneral: references are pages of this size (64KiB, 2MiB)", 0},
    {"objects", KEY_OBJECTS, NULL, 0, "oracleGeneral: references are operands, known by their address", 0},
    QUIET,
    {0}};
static const struct argp_option import_options[] = {
    {"format", KEY_FORMAT, "NAME", 0, "oracleGeneral, csv or nsys (Nsight Systems' SQLite export)", 0},
    {"output", 'o', "FILE", 0, "the trace to write", 0},
    {"object-size", KEY_OBJECT_SIZE, "SIZE", 0, "csv: bytes of references that have no size (default: 4KiB)", 0},
    {"pid", KEY_PID, "PID", 0, "nsys: the process to import, of several", 0},
    QUIET,
    {0}};

static const struct argp_option merge_options[] = {
    {"output", 'o', "FILE", 0, "the merged trace", 0},
    {"report", KEY_REPORT, NULL, 0,
     "tell, by kernel, which pages the operands of DEFAULT do not cover, and which launches PAGES could not observe",
     0},
    {"json", KEY_JSON, NULL, 0, "the report as one JSON object", 0},
    {"top", KEY_TOP, "N", 0, "kernels to list (default: 15)", 0},
    QUIET,
    {0}};

static const struct command {
  const char *name;
  int (*run)(struct arguments *);
  struct argp argp;
} commands[] = {
    {"info",
     info,
     {info_options, parse, "FILE",
      "What a trace holds: what the program did, on which machine, how its launches are classed, memory over time, "
      "steps, NVTX ranges, kernels, and what was not captured.\vClasses: a launch is exact when it touches the listed "
      "extents and nothing else, bounded when it touches parts of them, a gap when it may touch memory that is not "
      "listed. A bounded extent is recorded up to the end of its allocation; it counts up to the next address that any "
      "call uses, and no more than the kernel's time allows to read.\n"
      "\n"
      "over time: distinct bytes touched, and the most that was allocated, in each of 56 intervals. ranges: calls of "
      "all threads while a range was open; names without the numbers at their end; median bytes are the distinct bytes "
      "that one range touches. The same and more, whole, with --json.\n"
      "\n"
      "Examples:\n"
      "  emuv-trace info llama.emuv\n"
      "  emuv-trace info llama.emuv --sort bytes --top 30\n"
      "  emuv-trace info llama.emuv --json | jq '.over_time.touched_bytes'\n"
      "\n"
      "Exit status: 0, 1 cannot be read, 2 usage, 3 not a trace, or damaged.\n",
      NULL, NULL, NULL}},
    {"dump",
     dump,
     {dump_options, parse, "FILE",
      "The records of a trace in file order, one per line; operands below their launch.\vFields and types are those of "
      "FORMAT.md. Times are CLOCK_MONOTONIC; those of --from and --to count from the first record. A --kernel without "
      "*, ? and [ is looked for anywhere in the symbol.\n"
      "\n"
      "Examples:\n"
      "  emuv-trace dump llama.emuv --type launch,copy --limit 100\n"
      "  emuv-trace dump llama.emuv --kernel 'nvjet*' --from 1.5s --to 1.6s\n"
      "  emuv-trace dump llama.emuv --type allocation --json | jq -s 'map(.bytes)|add'\n"
      "\n"
      "Exit status: 0, 1 cannot be read, 2 usage, 3 not a trace, or damaged.\n",
      NULL, NULL, NULL}},
    {"check",
     check,
     {check_options, parse, "FILE",
      "Reads a whole trace and says whether it is valid, how it ended and what was lost, in records and "
      "milliseconds.\vThe first word is how the capture ended: complete, stopped, size-limit, no-space, io-error; "
      "truncated when it was killed: then whatever was written is whole, and only what it still held in memory is "
      "lost.\n"
      "\n"
      "Examples:\n"
      "  emuv-trace check llama.emuv\n"
      "  emuv-trace check --strict llama.emuv || echo 'not the whole run'\n"
      "\n"
      "Exit status: 0 valid, also when it ends early at a whole block; 3 damaged, with the offset; with --strict 3 "
      "unless it is complete and nothing was lost.\n",
      NULL, NULL, NULL}},
    {"export",
     export_trace,
     {export_options, parse, "FILE",
      "Converts a trace.\vFormats:\n"
      "  json           Chrome's trace events: open in ui.perfetto.dev\n"
      "  csv            a row per operand of each launch, copy and set\n"
      "  sqlite         a table per record type, and the tables of nsys\n"
      "  nsys           tables as `nsys export --type sqlite` names them\n"
      "  figures        what emuv-plot draws (SQLite)\n"
      "  oracleGeneral  reference string of libCacheSim, 24 bytes each\n"
      "\n"
      "Examples:\n"
      "  emuv-trace export llama.emuv --format json -o llama.json\n"
      "  emuv-trace export llama.emuv --format oracleGeneral --page-size 2MiB \\\n"
      "    -o llama.oracleGeneral\n"
      "  emuv-trace export llama.emuv --format sqlite -o llama.sqlite\n"
      "  sqlite3 llama.sqlite 'SELECT kernel, count(*) FROM launch GROUP BY 1'\n"
      "\n"
      "Exit status: 0, 1 run-time failure, 2 usage, 3 not a trace, or damaged.\n",
      NULL, NULL, NULL}},
    {"import",
     import_trace,
     {import_options, parse, "FILE",
      "Makes a trace of something else. FILE - is standard input (not for nsys).\vFormats:\n"
      "  oracleGeneral  reference string of libCacheSim: each reads one object\n"
      "  csv            the same as text: a header with object, and optionally\n"
      "                 size and time; or one object per line\n"
      "  nsys           SQLite export of an Nsight Systems report. Launches have\n"
      "                 names and times, copies, ranges and allocations are kept.\n"
      "                 There are no operands: Nsight Systems records none\n"
      "\n"
      "Examples:\n"
      "  emuv-trace import cache.csv --format csv --object-size 64KiB -o cache.emuv\n"
      "  nsys export --type sqlite report.nsys-rep\n"
      "  emuv-trace import report.sqlite --format nsys -o report.emuv\n"
      "\n"
      "Exit status: 0, 1 run-time failure, 2 usage, 3 input that cannot be used.\n",
      NULL, NULL, NULL}},
    {"merge",
     merge,
     {merge_options, parse_merge, "DEFAULT PAGES",
      "Joins the capture of pages of one run to the default capture of another run of the same program: the times of "
      "the one, the pages read and written of the other.\vExamples:\n"
      "  emuv-trace -o infer.emuv python infer.py\n"
      "  emuv-trace --pages -o pages.emuv python infer.py\n"
      "  emuv-trace merge infer.emuv pages.emuv -o exact.emuv --report\n",
      NULL, NULL, NULL}},
};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

static int run_command(const struct command *c, int argc, char **argv)
{
  char name[64];
  snprintf(name, sizeof name, "emuv-trace %s", c->name);
  argv[0] = name;
  argp_err_exit_status = 2;
  struct arguments a = {.top = TOP_KERNELS, .object_bytes = 4096};
  argp_parse(&c->argp, argc, argv, 0, NULL, &a);
  if (a.err.code) return report(&a.err);
  emuv_log_verbosity(a.quiet, 0);
  return c->run(&a);
}

int main(int argc, char **argv)
{
  if (argc < 2) {
    emuv_trace_help(stderr);
    return 2;
  }
  if (is(argv[1], "--help") || is(argv[1], "-?") || is(argv[1], "--usage")) {
    emuv_trace_help(stdout);
    return 0;
  }
  if (is(argv[1], "--version") || is(argv[1], "-V")) {
    printf("emuv-trace %s (%s%s)\n", EMUV_VERSION, EMUV_GIT_REVISION, EMUV_GIT_DIRTY ? "-dirty" : "");
    return 0;
  }
  for (size_t i = 0; i < N_COMMANDS; i++)
    if (is(argv[1], commands[i].name)) return run_command(&commands[i], argc - 1, argv + 1);
  return emuv_trace_run(argc, argv);
}
