// SPDX-License-Identifier: Apache-2.0
/* A traced program killed by SIGKILL at random moments: its trace opens, holds every launch that a flush had handed to
 * the kernel, with none missing in between, and `emuv-trace check` says that it ends early and nothing else.
 *
 *   test_killed [-n TIMES] [-s SEED] LIBRARY...      default: 100 times, shared among the libraries
 *
 * The program (fake_program.c) tells through a shared mapping what it launched and what was flushed. How many
 * milliseconds of records were lost is printed, not checked: that depends on how busy the machine is. */
#include "runtime/core/rng.h"
#include "tests/capture/fake.h"
#include "tracer/format/reader.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { AT_A_TIME = 4, LATEST_MS = 450, START_MS = 30000 };

struct victim {
  pid_t pid;
  char folder[64], trace[96], mapping_path[96];
  struct fake_mapping *mapping;
};

static uint64_t max_lost_ns;
static int failures;

static void fail(const struct victim *v, const char *what)
{
  fprintf(stderr, "FAIL: %s: %s (%" PRIu64 " launched, %" PRIu64 " flushed)\n", v->trace, what,
          (uint64_t)v->mapping->launched, (uint64_t)v->mapping->flushed);
  failures++;
}

static void run_program(const struct victim *v, const char *library)
{
  setenv("CUDA_INJECTION64_PATH", library, 1);
  setenv("EMUV_TRACE_OUTPUT", v->trace, 1);
  setenv("FAKE_MAPPING", v->mapping_path, 1);
  execl(EMUV_FAKE_PROGRAM, "fake_program", "init", "alloc:1", "forever", (char *)NULL);
  _exit(1);
}

static bool start(struct victim *v, const char *library)
{
  strcpy(v->folder, "/tmp/emuv-killed-XXXXXX");
  if (!mkdtemp(v->folder)) return false;
  snprintf(v->trace, sizeof v->trace, "%s/t.emuv", v->folder);
  snprintf(v->mapping_path, sizeof v->mapping_path, "%s/mapping", v->folder);
  const int fd = open(v->mapping_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof *v->mapping) != 0) return false;
  void *memory = mmap(NULL, sizeof *v->mapping, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (memory == MAP_FAILED) return false;
  v->mapping = memory;
  v->pid = fork();
  if (v->pid == 0) run_program(v, library);
  return v->pid > 0;
}

static void pause_ms(long ms)
{
  const struct timespec t = {.tv_nsec = ms * 1000000};
  nanosleep(&t, NULL);
}

/* Kills it `after_ms` from its first launch. */
static void kill_later(struct victim *v, uint64_t after_ms)
{
  for (int ms = 0; ms < START_MS && v->mapping->launched == 0; ms++) pause_ms(1);
  if (v->mapping->launched == 0) fail(v, "the program does not start");
  pause_ms((long)after_ms);
  kill(v->pid, SIGKILL);
}

struct found {
  uint64_t launches, last_ns;
  bool in_order;
  struct emuv_trace_reader_state state;
};

static int read_trace(const struct victim *v, struct found *f)
{
  struct emuv_trace_reader *r;
  struct emuv_trace_record record;
  struct emuv_err err = {0};
  int rc = emuv_trace_reader_open(&r, v->trace, &err);
  f->in_order = true;
  if (rc) return rc;
  while ((rc = emuv_trace_reader_next(r, &record, &err)) == 1) {
    if (record.type != EMUV_TRACE_LAUNCH) continue;
    f->in_order &= record.u.launch.sequence == ++f->launches;
    f->last_ns = record.u.launch.exit_ns;
  }
  f->state = *emuv_trace_reader_state(r);
  emuv_trace_reader_close(r);
  return rc;
}

/* Line number n of what `emuv-trace check` says about a file that ends early. */
static bool line_is_right(const struct victim *v, const char *line, int n)
{
  static const char *const says[] = {"truncated, ", "the file ends early: ", "records end "};
  char expected[160];
  snprintf(expected, sizeof expected, "%s: %s", v->trace, n < 3 ? says[n] : "");
  return n < 3 && strncmp(line, expected, strlen(expected)) == 0 && (n > 0 || strstr(line, " 0 dropped, 0 gaps"));
}

/* That it ends early, how much there is, and nothing else. */
static bool check_says_so(const struct victim *v)
{
  char command[256], line[512];
  int n = 0;
  bool right = true;
  snprintf(command, sizeof command, "%s check %s 2>&1", EMUV_TRACE_PROGRAM, v->trace);
  FILE *pipe = popen(command, "r");
  if (!pipe) return false;
  for (; fgets(line, sizeof line, pipe); n++) {
    const bool is_right = line_is_right(v, line, n);
    if (!is_right) fprintf(stderr, "%s", line);
    right &= is_right;
  }
  return pclose(pipe) == 0 && right && n >= 2;
}

static void examine(const struct victim *v)
{
  struct found f = {0};
  const uint64_t flushed = v->mapping->flushed, launched = v->mapping->launched;
  if (read_trace(v, &f) != 0) {
    fail(v, "does not open");
    return;
  }
  if (!f.in_order) fail(v, "launches are missing in between");
  if (f.launches < flushed) fail(v, "a flushed launch is missing");
  if (f.launches > launched + 1) fail(v, "more launches than there were");
  if (!f.state.truncated || f.state.has_verdict) fail(v, "not said to end early");
  if (!check_says_so(v)) fail(v, "check says something else");
  const uint64_t last = v->mapping->launched_ns, lost = f.last_ns && last > f.last_ns ? last - f.last_ns : 0;
  if (lost > max_lost_ns) max_lost_ns = lost;
}

static void clean_up(struct victim *v)
{
  munmap(v->mapping, sizeof *v->mapping);
  unlink(v->trace);
  unlink(v->mapping_path);
  rmdir(v->folder);
}

/* A few at a time: they sleep most of the time. */
static bool kill_some(struct emuv_rng *rng, const char *library, int n)
{
  struct victim v[AT_A_TIME];
  for (int i = 0; i < n; i++)
    if (!start(&v[i], library)) return false;
  for (int i = 0; i < n; i++) kill_later(&v[i], emuv_rng_below(rng, LATEST_MS / (uint64_t)(i + 1)));
  for (int i = 0; i < n; i++) {
    waitpid(v[i].pid, NULL, 0);
    examine(&v[i]);
    clean_up(&v[i]);
  }
  return true;
}

int main(int argc, char **argv)
{
  struct emuv_rng rng;
  int times = 100, option;
  uint64_t seed = 1;
  while ((option = getopt(argc, argv, "n:s:")) > 0) {
    if (option == '?') return 2;
    if (option == 'n') times = atoi(optarg);
    if (option == 's') seed = strtoull(optarg, NULL, 10);
  }
  if (optind == argc) return 2;
  emuv_rng_seed(&rng, seed);
  for (int done = 0, round = 0; done < times; done += AT_A_TIME, round++) {
    const int n = times - done < AT_A_TIME ? times - done : AT_A_TIME;
    if (!kill_some(&rng, argv[optind + round % (argc - optind)], n)) return fprintf(stderr, "FAIL: cannot start\n"), 1;
  }
  printf("%d kills, %d failures, at most %.1f ms of launches lost\n", times, failures, (double)max_lost_ns / 1e6);
  return failures != 0;
}
