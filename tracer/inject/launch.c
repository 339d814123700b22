// SPDX-License-Identifier: Apache-2.0
/* See launch.h. What the capture is told goes through the environment, so that it reaches processes started by the
 * command too: EMUV_TRACE_OUTPUT, EMUV_TRACE_RUN, EMUV_TRACE_MAX_BYTES, EMUV_TRACE_PAGES,
 * EMUV_TRACE_GRAPH_NODES, EMUV_TRACE_SAMPLE_TIMES and what window.h names. */
#include "tracer/inject/launch.h"

#include "runtime/core/err.h"
#include "runtime/core/units.h"
#include "tracer/inject/launch_files.h"
#include "tracer/inject/launch_library.h"
#include "tracer/inject/window.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_NO_LIBRARY = 77, EXIT_CANNOT_RUN = 126, EXIT_NOT_FOUND = 127 };
enum {
  KEY_MAX_SIZE = 256,
  KEY_START_AFTER,
  KEY_DURATION,
  KEY_CAPTURE_RANGE,
  KEY_PAGES,
  KEY_GRAPH_NODES,
  KEY_SAMPLE_TIMES,
  MIN_BYTES = 4096
};

struct request {
  char output[PATH_MAX], shown[PATH_MAX]; /* absolute; as the user wrote it */
  uint64_t max_bytes, start_after_ns, duration_ns;
  uint64_t page_bytes; /* 0: the capture through CUPTI */
  const char *range;
  bool quiet, verbose, graph_nodes, sample_times;
  char **command; /* NULL-terminated, inside argv */
  char run[64];   /* identifies this run in the traces that it writes */
};

static volatile sig_atomic_t child; /* for the signal handler */

/* ---- arguments ---- */

static void wrong(struct argp_state *state, const char *option, const struct emuv_err *err)
{
  struct emuv_err whole = {0};
  emuv_err_set(&whole, EMUV_ERR_USAGE, "%s: %.400s", option, err->text);
  if (err->hint[0]) emuv_err_hint(&whole, "%s", err->hint);
  emuv_err_print(&whole, stderr);
  argp_state_help(state, stderr, ARGP_HELP_SEE | ARGP_HELP_EXIT_ERR);
}

static void parse_size(struct argp_state *state, const char *text, uint64_t *bytes)
{
  struct emuv_err err = {0};
  if (emuv_units_parse_bytes(text, bytes, &err) == 0 && *bytes < MIN_BYTES)
    emuv_err_set(&err, EMUV_ERR_USAGE, "'%.64s' is too little for a trace: at least 4KiB", text);
  if (err.code) wrong(state, "--max-size", &err);
}

static void parse_time(struct argp_state *state, const char *option, const char *text, uint64_t *ns)
{
  struct emuv_err err = {0};
  double value = 0;
  if (emuv_units_parse_time(text, &value, &err) != 0)
    emuv_err_hint(&err, "write e.g. 500ms, 30s or 2min");
  else if (value >= 1e18)
    emuv_err_set(&err, EMUV_ERR_USAGE, "'%.64s' is too long", text);
  if (err.code) wrong(state, option, &err);
  *ns = (uint64_t)value;
}

static void parse_duration(struct argp_state *state, const char *text, uint64_t *ns)
{
  struct emuv_err err = {0};
  parse_time(state, "--duration", text, ns);
  if (*ns) return;
  emuv_err_set(&err, EMUV_ERR_USAGE, "'%.64s' records nothing", text);
  wrong(state, "--duration", &err);
}

static void parse_range(struct argp_state *state, struct request *r, const char *text)
{
  struct emuv_window unused = {0};
  struct emuv_err err = {0};
  if (emuv_window_parse_range(text, &unused, &err)) wrong(state, "--capture-range", &err);
  r->range = text;
}

static void parse_output(struct argp_state *state, struct request *r, const char *text)
{
  struct emuv_err err = {0};
  struct stat info;
  if (snprintf(r->shown, sizeof r->shown, "%s", text) >= (int)sizeof r->shown)
    emuv_err_set(&err, EMUV_ERR_USAGE, "the name is too long");
  else if (!*text || (stat(text, &info) == 0 && !S_ISREG(info.st_mode)))
    emuv_err_set(&err, EMUV_ERR_USAGE, "'%.200s' is not the name of a file", text);
  if (err.code) wrong(state, "--output", &err);
}

static void parse_pages(struct argp_state *state, struct request *r, const char *text)
{
  struct emuv_err err = {0};
  if (emuv_launch_parse_pages(text, &r->page_bytes, &err)) wrong(state, "--pages", &err);
}

/* The capture of pages records all of the run. */
static void check_together(struct argp_state *state, const struct request *r)
{
  struct emuv_err err = {0};
  if (!r->page_bytes || !(r->start_after_ns || r->duration_ns || r->range)) return;
  emuv_err_set(&err, EMUV_ERR_USAGE, "cannot be combined with --start-after, --duration or --capture-range");
  wrong(state, "--pages", &err);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
  struct request *r = state->input;
  switch (key) {
  case 'o': parse_output(state, r, arg); return 0;
  case 'q': r->quiet = true; return 0;
  case 'v': r->verbose = true; return 0;
  case KEY_MAX_SIZE: parse_size(state, arg, &r->max_bytes); return 0;
  case KEY_START_AFTER: parse_time(state, "--start-after", arg, &r->start_after_ns); return 0;
  case KEY_DURATION: parse_duration(state, arg, &r->duration_ns); return 0;
  case KEY_CAPTURE_RANGE: parse_range(state, r, arg); return 0;
  case KEY_PAGES: parse_pages(state, r, arg); return 0;
  case KEY_GRAPH_NODES: r->graph_nodes = true; return 0;
  case KEY_SAMPLE_TIMES: r->sample_times = true; return 0;
  case ARGP_KEY_END: check_together(state, r); return 0;
  case ARGP_KEY_ARG:
    r->command = state->argv + state->next - 1;
    state->next = state->argc;
    return 0;
  case ARGP_KEY_NO_ARGS: argp_error(state, "no command to trace"); return EINVAL;
  default: return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0,
     "The trace (default: the name of the script or command, with .emuv). Replaces a trace of that name. Processes "
     "that "
     "the command starts write their own, with their pid before the extension",
     0},
    {"start-after", KEY_START_AFTER, "TIME", 0,
     "Begin to record so long after the start of the command: 500ms, 30s, 2min", 0},
    {"duration", KEY_DURATION, "TIME", 0, "Stop recording so long after it began, in each process; the command runs on",
     0},
    {"capture-range", KEY_CAPTURE_RANGE, "RANGE", 0,
     "Record only inside ranges, of any thread, as often as they come: cudaProfilerApi (from cudaProfilerStart to "
     "cudaProfilerStop) or nvtx:NAME. Allocations are always recorded, so that live memory is known",
     0},
    {"pages", KEY_PAGES, "SIZE", OPTION_ARG_OPTIONAL,
     "Observe on the GPU which pages each kernel reads and writes (default size 64KiB): slower, without device times; "
     "see merge",
     0},
    {"graph-nodes", KEY_GRAPH_NODES, NULL, 0,
     "Measure the time of each node of CUDA graphs: slower. Without it a graph is timed as a whole, and the times of "
     "its "
     "nodes are estimated from launches of the same kernels outside of graphs",
     0},
    {"sample-times", KEY_SAMPLE_TIMES, NULL, 0,
     "Measure the device times of a quarter of the launches, which halves what capturing a launch costs. The times of "
     "the others are estimated from launches of the same kernels",
     0},
    {"max-size", KEY_MAX_SIZE, "SIZE", 0, "Stop recording when the file has this size: 64MiB, 1GiB", 0},
    {"quiet", 'q', NULL, 0, "Say nothing on stderr unless something fails", 1},
    {"verbose", 'v', NULL, 0, "Say what is set up", 1},
    {0},
};

static const struct argp parser = {
    .options = options,
    .parser = parse_option,
    .args_doc = "[--] COMMAND [ARGUMENT...]\ninfo|dump|check|export|import|merge FILE... [OPTION...]",
    .doc =
        "Captures what a GPU program allocates, copies, launches and touches, as a trace (.emuv); or reports on, "
        "checks and converts traces.\n\nOptions of a capture:\v"
        "Options stand before COMMAND; what follows it is the command's. A command that has the name of a subcommand "
        "is run by emuv-trace -- NAME. Options of a subcommand: emuv-trace SUBCOMMAND --help.\n\n"
        "A process that is killed, or that ends by exec or _exit (children of Python's multiprocessing other than "
        "spawned ones do), leaves a trace without the last quarter of a second.\n\n"
        "Examples:\n"
        "  emuv-trace -o infer.emuv python infer.py\n"
        "  emuv-trace --start-after 30s --duration 5s python train.py\n"
        "  emuv-trace --capture-range nvtx:decode python infer.py\n"
        "  emuv-trace --pages -o pages.emuv python infer.py\n"
        "  emuv-trace info infer.emuv\n"
        "  emuv-trace export infer.emuv --format json -o infer.json   # open in ui.perfetto.dev\n"
        "  emuv-sim --trace infer.emuv --vram 8GiB,16GiB\n\n"
        "Exit status: that of the captured command, or the signal that ended it; 2 wrong usage, 77 no capture "
        "library, 126 or 127 the command cannot be run. Subcommands: 0 ok, 1 run-time failure, 2 usage, 3 invalid "
        "trace.",
};

void emuv_trace_help(FILE *out)
{
  char name[] = "emuv-trace";
  argp_help(&parser, out, ARGP_HELP_STD_HELP & ~(unsigned)ARGP_HELP_EXIT_OK, name);
}

static bool has_suffix(const char *text, const char *suffix)
{
  const size_t n = strlen(text), m = strlen(suffix);
  return n > m && strcmp(text + n - m, suffix) == 0;
}

/* What names the run: "/x/infer.py" of "python /x/infer.py --n 3", "pkg.infer" of "python -m pkg.infer", else the
 * command itself. */
static const char *telling_word(char **command)
{
  for (char **arg = command + 1; *arg; arg++) {
    if (has_suffix(*arg, ".py")) return *arg;
    if (strcmp(*arg, "-m") == 0 && arg[1] && strstr(command[0], "python")) return arg[1];
  }
  return command[0];
}

static void default_output(struct request *r)
{
  const char *name = telling_word(r->command), *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
  const char *dot = strrchr(base, '.');
  const bool cut = dot && dot > base;
  snprintf(r->shown, sizeof r->shown, "%.*s.emuv", cut ? (int)(dot - base) : (int)strlen(base), base);
}

/* The output must be absolute: the command may change its folder. */
static int absolute_output(struct request *r)
{
  char folder[PATH_MAX];
  const bool absolute = r->shown[0] == '/';
  if (!absolute && !getcwd(folder, sizeof folder)) return -1;
  const int n = snprintf(r->output, sizeof r->output, "%s%s%s", absolute ? "" : folder, absolute ? "" : "/", r->shown);
  return n < (int)sizeof r->output ? 0 : -1;
}

/* ---- environment ---- */

static void set_number(const char *name, uint64_t value)
{
  char text[32];
  snprintf(text, sizeof text, "%" PRIu64, value);
  if (value)
    setenv(name, text, 1);
  else
    unsetenv(name);
}

static uint64_t clock_ns(clockid_t clock)
{
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* NVTX of the command hands its ranges to the library too, unless another tool has that place. Whatever is not asked
 * for is unset: a traced program may call emuv-trace itself. */
static void set_environment(const struct request *r, const char *library)
{
  setenv("CUDA_INJECTION64_PATH", library, 1);
  if (!r->page_bytes) setenv("NVTX_INJECTION64_PATH", library, 0);
  setenv("EMUV_TRACE_OUTPUT", r->output, 1);
  setenv("EMUV_TRACE_RUN", r->run, 1);
  set_number("EMUV_TRACE_MAX_BYTES", r->max_bytes);
  set_number("EMUV_TRACE_START_AT_NS", r->start_after_ns ? clock_ns(CLOCK_MONOTONIC) + r->start_after_ns : 0);
  set_number("EMUV_TRACE_DURATION_NS", r->duration_ns);
  set_number("EMUV_TRACE_PAGES", r->page_bytes);
  set_number("EMUV_TRACE_GRAPH_NODES", r->graph_nodes);
  set_number("EMUV_TRACE_SAMPLE_TIMES", r->sample_times);
  if (r->range)
    setenv("EMUV_TRACE_CAPTURE_RANGE", r->range, 1);
  else
    unsetenv("EMUV_TRACE_CAPTURE_RANGE");
}

static void warn_about_nvtx(const struct request *r, const char *library)
{
  const char *other = getenv("NVTX_INJECTION64_PATH");
  if (other && *other && strcmp(other, library) != 0 && r->range && strncmp(r->range, "nvtx:", 5) == 0)
    fprintf(stderr, "emuv-trace: NVTX ranges go to %s (NVTX_INJECTION64_PATH): %s will not be seen\n", other, r->range);
}

/* ---- signals ---- */

/* Those that the terminal sends go to the command as well; those that somebody sends reach the launcher alone. */
static void pass_on(int signal_number, siginfo_t *info, void *context)
{
  (void)context;
  const int saved = errno;
  const bool from_terminal = (signal_number == SIGINT || signal_number == SIGQUIT) && info->si_code > 0;
  if (child > 0 && !from_terminal) kill((pid_t)child, signal_number);
  errno = saved;
}

static void arrange_signals(void)
{
  static const int passed[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
  struct sigaction action = {.sa_sigaction = pass_on, .sa_flags = SA_RESTART | SA_SIGINFO};
  for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) sigaction(passed[i], &action, NULL);
}

/* Ends as the command ended; a core dump is the command's, not ours. */
static int end_like(int status)
{
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  const int signal_number = WTERMSIG(status);
  const struct rlimit none = {0};
  struct sigaction action = {.sa_handler = SIG_DFL};
  sigset_t set;
  setrlimit(RLIMIT_CORE, &none);
  sigaction(signal_number, &action, NULL);
  sigemptyset(&set);
  sigaddset(&set, signal_number);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  raise(signal_number);
  return 128 + signal_number;
}

/* ---- the command ---- */

static int cannot_run(const char *name, int error)
{
  fprintf(stderr, "emuv-trace: %s: %s\n", name, error == ENOENT ? "command not found" : strerror(error));
  return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}

static int executable(const char *path)
{
  struct stat info;
  if (stat(path, &info) != 0) return errno == ENOTDIR ? ENOENT : errno;
  if (!S_ISREG(info.st_mode)) return EACCES;
  return access(path, X_OK) == 0 ? 0 : errno;
}

/* errno of what execvp would find; 0: something to run. Asked before the trace of an earlier run is removed. */
static int look_up(const char *name)
{
  const char *search = getenv("PATH");
  char path[PATH_MAX];
  int first = ENOENT;
  if (strchr(name, '/') || !search) return executable(name);
  while (*search) {
    const size_t n = strcspn(search, ":");
    const int fits = snprintf(path, sizeof path, "%.*s%s%s", (int)n, search, n ? "/" : "", name);
    const int error = fits < (int)sizeof path ? executable(path) : ENOENT;
    if (error == 0) return 0;
    if (error == EACCES) first = EACCES;
    search += n + (search[n] == ':');
  }
  return first;
}

static void become_command(const struct request *r, const char *library, int failure)
{
  set_environment(r, library);
  execvp(r->command[0], r->command);
  const int error = errno;
  if (write(failure, &error, sizeof error) != sizeof error) _exit(EXIT_NOT_FOUND);
  _exit(EXIT_CANNOT_RUN);
}

/* 0 once the command runs, else the launcher's exit status. Signals wait until both sides are ready for them. */
static int start(const struct request *r, const char *library)
{
  sigset_t all, before;
  int failure[2], error = 0;
  if (pipe2(failure, O_CLOEXEC) != 0) return fprintf(stderr, "emuv-trace: pipe: %s\n", strerror(errno)), 1;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  const pid_t pid = fork();
  child = pid;
  if (pid > 0) arrange_signals();
  sigprocmask(SIG_SETMASK, &before, NULL);
  if (pid == 0) become_command(r, library, failure[1]);
  close(failure[1]);
  if (pid < 0) return fprintf(stderr, "emuv-trace: fork: %s\n", strerror(errno)), 1;
  ssize_t n;
  do n = read(failure[0], &error, sizeof error);
  while (n < 0 && errno == EINTR);
  close(failure[0]);
  return n == sizeof error ? cannot_run(r->command[0], error) : 0;
}

/* A signal that comes between the end of the command and its reaping must not reach another process. */
static int wait_for_child(int *status)
{
  const pid_t pid = (pid_t)child;
  siginfo_t info;
  while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) != 0)
    if (errno != EINTR) return -1;
  child = 0;
  return waitpid(pid, status, 0) == pid ? 0 : -1;
}

static void report(const struct request *r)
{
  if (emuv_launch_files_list(r->output, r->shown, r->run, r->quiet ? NULL : stderr) == 0)
    fprintf(stderr, "emuv-trace: no trace was written: the command did not use CUDA, or could not load the library\n");
}

static int run(const struct request *r, const char *library)
{
  int status;
  const int missing = look_up(r->command[0]);
  if (missing) return cannot_run(r->command[0], missing);
  emuv_launch_files_remove(r->output);
  if (r->verbose) fprintf(stderr, "emuv-trace: %s records %s to %s\n", library, r->command[0], r->output);
  warn_about_nvtx(r, library);
  fflush(NULL);
  const int failed = start(r, library);
  if (failed) return failed;
  if (wait_for_child(&status) != 0) return 1;
  report(r);
  return end_like(status);
}

int emuv_trace_run(int argc, char **argv)
{
  struct request r = {0};
  char library[PATH_MAX];
  argp_err_exit_status = EXIT_USAGE;
  const error_t rc = argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &r);
  if (rc) return EXIT_USAGE;
  if (!r.shown[0]) default_output(&r);
  struct emuv_err err = {0};
  if (emuv_launch_find_library(r.page_bytes != 0, library, &err)) {
    fprintf(stderr, "emuv-trace: %s\nhint: %s\n", err.text, err.hint);
    return EXIT_NO_LIBRARY;
  }
  if (absolute_output(&r)) {
    fprintf(stderr, "emuv-trace: the path of %s is too long\n", r.shown);
    return EXIT_USAGE;
  }
  snprintf(r.run, sizeof r.run, "%ld-%" PRIx64, (long)getpid(), clock_ns(CLOCK_REALTIME));
  return run(&r, library);
}
