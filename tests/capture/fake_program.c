// SPDX-License-Identifier: Apache-2.0
/* A "CUDA program" for tests of the launcher: does what its arguments say, one after the other, calling the library
 * that CUDA_INJECTION64_PATH names as the driver would (fake.h). Without such a library it does the rest all the same.
 *
 *   init                 loads and initialises the library
 *   alloc:N launch:N     so many calls           free      of the last allocation
 *   push:NAME pop profiler:1 profiler:0          ranges
 *   sleep:MS  wait:FILE  (until the file exists)  touch:FILE
 *   out:TEXT err:TEXT    a line
 *   exit:N _exit:N raise:SIGNAL
 *   trap:SIGNAL:N        exits with N when that signal comes
 *   fork[ WORDS ]        a forked child does what is inside, and exits; the parent waits
 *   spawn[ WORDS ]       the same in a new program
 *   exec WORDS           replaces the program by one that does the rest
 *   forever              launches every 20 us until killed */
#include "tests/capture/fake.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MEMORY 0x7f0000000000u
enum { ALLOCATION = 1 << 20, WAIT_MS = 60000 };

static const struct fake *fake;
static uint64_t allocated;
static int trapped_status;
static volatile sig_atomic_t trapped;
static int forked;

/* Asked by the leak checker when a program that was built with it ends. It does not look at forked children: its
 * allocator's locks stay as another thread held them at the moment of the fork, and the child would wait for ever. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
  return forked;
}

static void pause_ns(long ns)
{
  const struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
  nanosleep(&t, NULL);
  if (trapped) exit(trapped_status);
}

static void load(void)
{
  const char *path = getenv("CUDA_INJECTION64_PATH");
  void *library = path ? dlopen(path, RTLD_NOW) : NULL;
  fake = library ? dlsym(library, FAKE_TABLE) : NULL;
}

static void initialize(void)
{
  if (!fake) load();
  if (fake) fake->initialize();
}

static void allocate(int n)
{
  for (int i = 0; fake && i < n; i++) fake->allocate(MEMORY + ALLOCATION * allocated++, ALLOCATION);
}

static void launch(int n)
{
  for (int i = 0; fake && i < n; i++) fake->launch(MEMORY + 64 * (uint64_t)(i % 64));
}

static void launch_forever(void)
{
  for (;;) {
    launch(1);
    pause_ns(20000);
  }
}

/* Not for ever: a test that fails leaves no program behind. */
static void wait_for_file(const char *path)
{
  for (int ms = 0; access(path, F_OK) != 0; ms++) {
    if (ms == WAIT_MS) exit(1);
    pause_ns(1000000);
  }
}

static void touch(const char *path)
{
  const int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
  if (fd >= 0) close(fd);
}

static void on_signal(int number)
{
  (void)number;
  trapped = 1;
}

static void trap(const char *text)
{
  const char *status = strchr(text, ':');
  trapped_status = status ? atoi(status + 1) : 0;
  signal(atoi(text), on_signal);
}

/* The word after the bracket that closes the one before `words`. */
static char **after_bracket(char **words)
{
  for (int depth = 1; *words; words++) {
    const size_t n = strlen(*words);
    depth += (*words)[n ? n - 1 : 0] == '[';
    if (strcmp(*words, "]") == 0 && --depth == 0) return words + 1;
  }
  return words;
}

static void do_words(char **words, const char *self);

static char **in_child(char **words, const char *self, int spawned)
{
  char **rest = after_bracket(words);
  fflush(NULL);
  const pid_t pid = fork();
  if (pid == 0) {
    forked = 1;
    rest[-1] = NULL;
    if (!spawned) do_words(words, self);
    if (!spawned) exit(0);
    *--words = (char *)(uintptr_t)self;
    execv("/proc/self/exe", words);
    _exit(1);
  }
  waitpid(pid, NULL, 0);
  return rest;
}

static int is(const char *word, const char *name, const char **value)
{
  const size_t n = strlen(name);
  *value = word + n;
  return strncmp(word, name, n) == 0;
}

static int do_range(const char *word)
{
  const char *v;
  if (!fake) load();
  if (!fake) return 0;
  if (is(word, "push:", &v))
    fake->push(v);
  else if (is(word, "pop", &v))
    fake->pop();
  else if (is(word, "profiler:", &v))
    fake->profiler(atoi(v));
  else
    return 0;
  return 1;
}

static int do_end(const char *word)
{
  const char *v;
  if (is(word, "exit:", &v)) exit(atoi(v));
  if (is(word, "_exit:", &v)) _exit(atoi(v));
  if (is(word, "raise:", &v)) return raise(atoi(v)) == 0;
  if (is(word, "forever", &v)) launch_forever();
  return 0;
}

static void do_word(const char *word)
{
  const char *v;
  if (is(word, "init", &v))
    initialize();
  else if (is(word, "alloc:", &v))
    allocate(atoi(v));
  else if (is(word, "free", &v) && fake)
    fake->release(MEMORY + ALLOCATION * --allocated);
  else if (is(word, "launch:", &v))
    launch(atoi(v));
  else if (is(word, "sleep:", &v))
    pause_ns(1000000L * atoi(v));
  else if (is(word, "wait:", &v))
    wait_for_file(v);
  else if (is(word, "touch:", &v))
    touch(v);
  else if (is(word, "out:", &v))
    printf("%s\n", v);
  else if (is(word, "err:", &v))
    fprintf(stderr, "%s\n", v);
  else if (is(word, "trap:", &v))
    trap(v);
  else if (!do_end(word) && !do_range(word))
    fprintf(stderr, "fake_program: what is '%s'?\n", word);
}

static void do_words(char **words, const char *self)
{
  while (*words) {
    char *word = *words++;
    if (strcmp(word, "fork[") == 0) {
      words = in_child(words, self, 0);
    } else if (strcmp(word, "spawn[") == 0) {
      words = in_child(words, self, 1);
    } else if (strcmp(word, "exec") == 0) {
      fflush(NULL);
      *--words = (char *)(uintptr_t)self;
      execv("/proc/self/exe", words);
      exit(1);
    } else {
      do_word(word);
    }
  }
}

int main(int argc, char **argv)
{
  (void)argc;
  do_words(argv + 1, argv[0]);
  return 0;
}
