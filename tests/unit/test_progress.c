// SPDX-License-Identifier: Apache-2.0
/* Progress: the estimate against jobs whose end is known, the bar's text, and what appears on a terminal, on a pipe,
 * with NO_COLOR, and between log lines. Nothing here depends on how fast the machine is: sleeps are lower bounds only.
 */
#include "runtime/core/log.h"
#include "runtime/core/progress.h"
#include "runtime/core/terminal.h"

#include <fcntl.h>
#include <math.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void nothing_is_known_before_the_first_item(void **state)
{
  (void)state;
  struct emuv_estimate e = {.total = 10};
  assert_true(emuv_estimate_left_s(&e, 3) < 0);
  e.total = 0;
  assert_true(emuv_estimate_left_s(&e, 3) == 0);
}

static void a_steady_job_is_estimated_exactly(void **state)
{
  (void)state;
  struct emuv_estimate e = {.total = 100};
  for (int i = 1; i <= 50; i++) emuv_estimate_add(&e, 1, i * 0.2);
  assert_true(fabs(emuv_estimate_left_s(&e, 10) - 10) < 1e-9);
  assert_true(fabs(emuv_estimate_left_s(&e, 10.1) - 9.9) < 1e-9); /* it runs down between items */
}

/* Costs that are off by a constant factor do not matter; only their proportions do. */
static void parts_of_unequal_cost_are_weighed(void **state)
{
  (void)state;
  struct emuv_estimate e = {.total = 1000};
  emuv_estimate_add(&e, 10, 1);
  emuv_estimate_add(&e, 90, 10);
  assert_true(fabs(emuv_estimate_left_s(&e, 10) - 90) < 1e-9);
}

/* A first half three times as slow as estimated: soon after, the speed of the second half counts. */
static void recent_work_counts_more(void **state)
{
  (void)state;
  struct emuv_estimate e = {.total = 200};
  double now = 0;
  for (int i = 0; i < 50; i++) emuv_estimate_add(&e, 1, now += 3);
  for (int i = 0; i < 100; i++) emuv_estimate_add(&e, 1, now += 1);
  double left = emuv_estimate_left_s(&e, now), overall = 50 * now / 150;
  assert_true(left > 50 && left < (50 + overall) / 2);
}

static void an_overdue_item_makes_the_estimate_grow(void **state)
{
  (void)state;
  struct emuv_estimate e = {.total = 10};
  for (int i = 1; i <= 9; i++) emuv_estimate_add(&e, 1, i);
  double soon = emuv_estimate_left_s(&e, 12), later = emuv_estimate_left_s(&e, 40);
  assert_true(soon > 0);
  assert_true(later > soon);
  emuv_estimate_add(&e, 1, 50);
  assert_true(emuv_estimate_left_s(&e, 50) == 0);
}

static struct emuv_progress half_done(void)
{
  struct emuv_progress p = {.label = "llama70b", .unit = "rows", .n_total = 312, .n_done = 132};
  p.estimate.total = 100;
  emuv_estimate_add(&p.estimate, 42, 42);
  return p;
}

static void the_bar_fits_its_width(void **state)
{
  (void)state;
  struct emuv_progress p = half_done();
  char buf[512];
  assert_string_equal(emuv_progress_render(&p, 42, 64, false, buf, sizeof buf),
                      "llama70b  42% [#########--------------] 132/312 rows, 58 s left");
  assert_string_equal(emuv_progress_render(&p, 42, 30, false, buf, sizeof buf), "132/312 rows, 58 s left");
  for (int width = 1; width < 200; width++) {
    (void)emuv_progress_render(&p, 42, width, false, buf, sizeof buf);
    assert_true((int)strlen(buf) < width);
  }
  assert_non_null(strstr(emuv_progress_render(&p, 42, 64, true, buf, sizeof buf), "\033[32m[####"));
}

static void without_an_estimate_no_time_is_shown(void **state)
{
  (void)state;
  struct emuv_progress p = {.label = "x", .unit = "rows", .n_total = 3};
  char buf[512];
  p.estimate.total = 3;
  assert_string_equal(emuv_progress_render(&p, 1, 30, false, buf, sizeof buf), "x   0% [-----------] 0/3 rows");
}

/* Runs `job` in a child whose stderr is a terminal of 64 columns or a pipe; what it wrote, freed by the caller. */
static char *stderr_of(void (*job)(void), bool terminal)
{
  int fds[2];
  struct winsize size = {.ws_row = 24, .ws_col = 64};
  if (terminal)
    assert_int_equal(openpty(&fds[0], &fds[1], NULL, NULL, &size), 0);
  else
    assert_int_equal(pipe(fds), 0);
  (void)fflush(NULL);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    (void)dup2(fds[1], STDERR_FILENO);
    (void)close(fds[0]);
    (void)close(fds[1]);
    job();
    (void)fflush(stderr);
    exit(0); /* not _exit: coverage is written at exit */
  }
  (void)close(fds[1]);
  char *text = calloc(1, 1 << 16);
  size_t used = 0;
  assert_non_null(text);
  for (ssize_t n; used < (1 << 16) - 1 && (n = read(fds[0], text + used, (1 << 16) - 1 - used)) > 0;) used += (size_t)n;
  (void)close(fds[0]);
  assert_int_equal(waitpid(child, NULL, 0), child);
  return text;
}

static void sleep_ms(long ms)
{
  const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  (void)nanosleep(&t, NULL);
}

/* At most a minute, which only a terminal without a bar takes. */
static void wait_for_bar(struct emuv_progress *p)
{
  bool drawn = !emuv_terminal_is(stderr);
  for (int i = 0; i < 3000 && !drawn; i++) {
    sleep_ms(20);
    pthread_mutex_lock(&p->lock);
    drawn = p->drawn;
    pthread_mutex_unlock(&p->lock);
  }
}

/* Longer than two seconds by its estimate, though not in fact: the bar comes after half a second. */
static void long_job(void)
{
  struct emuv_progress p;
  (void)setenv("TERM", "xterm", 1);
  emuv_progress_start(&p, "job", "rows", 100000, 100000, false);
  sleep_ms(100);
  emuv_progress_add(&p, 10, 10);
  wait_for_bar(&p);
  emuv_log(EMUV_LOG_WARNING, "look");
  emuv_progress_finish(&p);
}

static void long_job_without_colour(void)
{
  (void)setenv("NO_COLOR", "1", 1);
  long_job();
}

static void quiet_job(void)
{
  struct emuv_progress p;
  (void)setenv("TERM", "xterm", 1);
  emuv_progress_start(&p, "job", "rows", 100000, 100000, true);
  for (int i = 0; i < 8; i++) {
    sleep_ms(100);
    emuv_progress_add(&p, 1, 1);
  }
  emuv_progress_finish(&p);
}

static void slow_job(void)
{
  struct emuv_progress p;
  emuv_progress_start(&p, "job", "rows", 2, 2, false);
  sleep_ms(2050);
  emuv_progress_add(&p, 2, 2);
  emuv_progress_finish(&p);
}

static void short_job(void)
{
  struct emuv_progress p;
  (void)setenv("TERM", "xterm", 1);
  emuv_progress_start(&p, "job", "rows", 2, 2, false);
  emuv_progress_add(&p, 2, 2);
  emuv_progress_finish(&p);
}

static void assert_on_stderr(void (*job)(void), bool terminal, const char *expected)
{
  char *text = stderr_of(job, terminal);
  if (strstr(text, expected) == NULL) fail_msg("no \"%s\" in \"%s\"", expected, text);
  free(text);
}

static void assert_nothing_on_stderr(void (*job)(void), bool terminal)
{
  char *text = stderr_of(job, terminal);
  assert_string_equal(text, "");
  free(text);
}

static void a_terminal_gets_a_bar_that_log_lines_do_not_tear(void **state)
{
  (void)state;
  assert_on_stderr(long_job, true, "\r\033[Kjob   0% \033[32m[---");
  assert_on_stderr(long_job, true, "/100000 rows, ");
  assert_on_stderr(long_job, true, "\r\033[K\033[1;35mwarning:\033[0m look\r\n\r\033[Kjob ");
  assert_on_stderr(long_job_without_colour, true, "\r\033[Kjob   0% [---");
  assert_on_stderr(long_job_without_colour, true, "\r\033[Kwarning: look\r\n\r\033[Kjob ");
}

static void a_pipe_gets_plain_lines_only(void **state)
{
  (void)state;
  char *text = stderr_of(long_job, false);
  assert_string_equal(text, "warning: look\n");
  free(text);
  assert_on_stderr(slow_job, false, "job: 2 of 2 rows in ");
}

static void short_and_quiet_jobs_write_nothing(void **state)
{
  (void)state;
  assert_nothing_on_stderr(short_job, true);
  assert_nothing_on_stderr(quiet_job, true);
}

static void *add_many(void *arg)
{
  for (int i = 0; i < 10000; i++) emuv_progress_add(arg, 1, 0.5);
  return NULL;
}

static void threads_may_add_at_once(void **state)
{
  (void)state;
  struct emuv_progress p;
  pthread_t thread[4];
  emuv_progress_start(&p, "x", "rows", 40000, 20000, true);
  for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&thread[i], NULL, add_many, &p), 0);
  for (int i = 0; i < 4; i++) assert_int_equal(pthread_join(thread[i], NULL), 0);
  assert_int_equal(p.n_done, 40000);
  assert_true(p.estimate.done == 20000);
  emuv_progress_finish(&p);
}

static void log_everything(void)
{
  static const int levels[][2] = {{2, 0}, {1, 0}, {0, 0}, {0, 1}, {9, 0}, {0, 9}};
  for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
    emuv_log_verbosity(levels[i][0], levels[i][1]);
    for (int level = EMUV_LOG_ERROR; level <= EMUV_LOG_DEBUG; level++)
      emuv_log((enum emuv_log_level)level, "%d", (int)emuv_log_level());
  }
}

static void verbosity_chooses_the_lines(void **state)
{
  (void)state;
  char *text = stderr_of(log_everything, false);
  assert_string_equal(text, "error: 0\n"
                            "error: 1\nwarning: 1\n"
                            "error: 2\nwarning: 2\n2\n"
                            "error: 3\nwarning: 3\n3\ndebug: 3\n"
                            "error: 0\n"
                            "error: 3\nwarning: 3\n3\ndebug: 3\n");
  free(text);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_known_before_the_first_item),
      cmocka_unit_test(a_steady_job_is_estimated_exactly),
      cmocka_unit_test(parts_of_unequal_cost_are_weighed),
      cmocka_unit_test(recent_work_counts_more),
      cmocka_unit_test(an_overdue_item_makes_the_estimate_grow),
      cmocka_unit_test(the_bar_fits_its_width),
      cmocka_unit_test(without_an_estimate_no_time_is_shown),
      cmocka_unit_test(a_terminal_gets_a_bar_that_log_lines_do_not_tear),
      cmocka_unit_test(a_pipe_gets_plain_lines_only),
      cmocka_unit_test(short_and_quiet_jobs_write_nothing),
      cmocka_unit_test(threads_may_add_at_once),
      cmocka_unit_test(verbosity_chooses_the_lines),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
