// SPDX-License-Identifier: Apache-2.0
/* See launch.h. */
#include "tracer/inject/launch.h"

#include "runtime/core/err.h"
#include "runtime/core/units.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_NO_LIBRARY = 77, EXIT_CANNOT_RUN = 126, EXIT_NOT_FOUND = 127, KEY_MAX_SIZE = 256 };

static const char library_name[] = "libemuv_cupti.so";

struct request {
  char output[PATH_MAX];
  uint64_t max_bytes;
  bool quiet;
  char **command; /* NULL-terminated, inside argv */
};

static pid_t child; /* for the signal handler */

static error_t parse_size(struct argp_state *state, struct request *r, const char *text)
{
  struct emuv_err err = {0};
  if (emuv_units_parse_bytes(text, &r->max_bytes, &err))
    argp_error(state, "--max-size: %s%s%s", err.text, err.hint[0] ? "; " : "", err.hint);
  return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
  struct request *r = state->input;
  switch (key) {
  case 'o':
    if (snprintf(r->output, sizeof r->output, "%s", arg) >= (int)sizeof r->output) argp_error(state, "-o: too long");
    return 0;
  case 'q': r->quiet = true; return 0;
  case KEY_MAX_SIZE: return parse_size(state, r, arg);
  case ARGP_KEY_ARG:
    r->command = state->argv + state->next - 1;
    state->next = state->argc;
    return 0;
  case ARGP_KEY_NO_ARGS: argp_error(state, "no command to trace"); return EINVAL;
  default: return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0, "Where the trace goes (default: the script's or command's name with .emuv)", 0},
    {"max-size", KEY_MAX_SIZE, "SIZE", 0, "Stop recording at this size of the file, e.g. 1GiB", 0},
    {"quiet", 'q', NULL, 0, "Print nothing of our own unless something fails", 0},
    {0},
};
static const struct argp parser = {
    .options = options,
    .parser = parse_option,
    .args_doc = "[--] COMMAND [ARGUMENT...]",
    .doc = "Record what a CUDA program does with memory: emuv-trace -o infer.emuv python infer.py",
};

/* "infer" for "python /x/infer.py --n 3", else the command's own name. */
static void default_output(struct request *r)
{
  const char *name = r->command[0];
  for (char **arg = r->command + 1; *arg; arg++) {
    const size_t n = strlen(*arg);
    if (n > 3 && strcmp(*arg + n - 3, ".py") == 0) {
      name = *arg;
      break;
    }
  }
  const char *slash = strrchr(name, '/');
  const char *base = slash ? slash + 1 : name;
  const char *dot = strrchr(base, '.');
  const int n = (int)(dot && dot > base ? dot - base : (ptrdiff_t)strlen(base));
  snprintf(r->output, sizeof r->output, "%.*s.emuv", n, base);
}

/* The program's own folder; "" when the system does not tell. */
static void own_folder(char folder[PATH_MAX])
{
  const ssize_t n = readlink("/proc/self/exe", folder, PATH_MAX - 1);
  folder[n > 0 ? n : 0] = '\0';
  char *slash = strrchr(folder, '/');
  if (slash) *slash = '\0';
}

static bool try_library(char path[PATH_MAX], const char *folder, const char *below)
{
  char real[PATH_MAX];
  if (snprintf(path, PATH_MAX, "%s%s/%s", folder, below, library_name) >= PATH_MAX) return false;
  if (access(path, R_OK) != 0 || !realpath(path, real)) return false;
  strcpy(path, real);
  return true;
}

static bool find_library(char path[PATH_MAX])
{
  const char *given = getenv("EMUV_CUPTI_LIBRARY");
  char folder[PATH_MAX];
  if (given && *given) return access(given, R_OK) == 0 && realpath(given, path) != NULL;
  own_folder(folder);
  return try_library(path, folder, "/../lib/emuv") || try_library(path, folder, "/../lib");
}

static int report_missing_library(void)
{
  fprintf(
      stderr,
      "emuv-trace: the capture library %s was not found\n"
      "hint: it is built where CUDA's headers and CUPTI are: install the packages cuda-cudart-dev and cuda-cupti-dev "
      "(or the toolkit), build and install emuV again, or name the file in EMUV_CUPTI_LIBRARY\n",
      library_name);
  return EXIT_NO_LIBRARY;
}

/* The output must be absolute: the command may change its folder. */
static int absolute_output(struct request *r)
{
  char folder[PATH_MAX], joined[2 * PATH_MAX];
  if (r->output[0] == '/') return 0;
  if (!getcwd(folder, sizeof folder)) return -1;
  if (snprintf(joined, sizeof joined, "%s/%s", folder, r->output) >= PATH_MAX) return -1;
  strcpy(r->output, joined);
  return 0;
}

/* NVTX of the command hands its ranges to the library too, unless another tool has that place. */
static void set_environment(const struct request *r, const char *library)
{
  char number[32];
  setenv("CUDA_INJECTION64_PATH", library, 1);
  setenv("NVTX_INJECTION64_PATH", library, 0);
  setenv("EMUV_TRACE_OUTPUT", r->output, 1);
  if (!r->max_bytes) return;
  snprintf(number, sizeof number, "%" PRIu64, r->max_bytes);
  setenv("EMUV_TRACE_MAX_BYTES", number, 1);
}

static void pass_on(int signal_number)
{
  const int saved = errno;
  if (child > 0) kill(child, signal_number);
  errno = saved;
}

/* The terminal sends SIGINT and SIGQUIT to the command as well: here they are waited out. */
static void arrange_signals(void)
{
  static const int passed[] = {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
  struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
  for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) sigaction(passed[i], &action, NULL);
  action.sa_handler = SIG_IGN;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGQUIT, &action, NULL);
}

static void run_command(const struct request *r, const char *library)
{
  set_environment(r, library);
  execvp(r->command[0], r->command);
  const int error = errno;
  fprintf(stderr, "emuv-trace: %s: %s\n", r->command[0], strerror(error));
  _exit(error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN);
}

static void report(const struct request *r)
{
  struct stat info;
  char size[32];
  if (stat(r->output, &info) != 0)
    fprintf(stderr, "emuv-trace: no trace was written: the command did not use CUDA, or could not load the library\n");
  else if (!r->quiet)
    fprintf(stderr, "emuv-trace: %s, %s\n", r->output, emuv_units_human_bytes((double)info.st_size, size, sizeof size));
}

/* Ends as the command ended. */
static int end_like(int status)
{
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  const int signal_number = WTERMSIG(status);
  struct sigaction action = {.sa_handler = SIG_DFL};
  sigset_t set;
  sigaction(signal_number, &action, NULL);
  sigemptyset(&set);
  sigaddset(&set, signal_number);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  raise(signal_number);
  return 128 + signal_number;
}

/* Signals wait until both sides are ready for them. */
static int start(const struct request *r, const char *library)
{
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  child = fork();
  if (child > 0) arrange_signals();
  sigprocmask(SIG_SETMASK, &before, NULL);
  if (child == 0) run_command(r, library);
  if (child < 0) fprintf(stderr, "emuv-trace: fork: %s\n", strerror(errno));
  return child < 0;
}

static int run(const struct request *r, const char *library)
{
  int status;
  unlink(r->output);
  fflush(NULL);
  if (start(r, library)) return 1;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return 1;
  child = 0;
  if (!(WIFEXITED(status) && WEXITSTATUS(status) >= EXIT_CANNOT_RUN)) report(r);
  return end_like(status);
}

int emuv_trace_run(int argc, char **argv)
{
  struct request r = {0};
  char library[PATH_MAX];
  argp_err_exit_status = EXIT_USAGE;
  const error_t rc = argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &r);
  if (rc) return EXIT_USAGE;
  if (!r.output[0]) default_output(&r);
  if (!find_library(library)) return report_missing_library();
  if (absolute_output(&r)) {
    fprintf(stderr, "emuv-trace: the path of %s is too long\n", r.output);
    return EXIT_USAGE;
  }
  return run(&r, library);
}
