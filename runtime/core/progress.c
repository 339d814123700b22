// SPDX-License-Identifier: Apache-2.0
/* Progress bar and time estimate (progress.h).
 *
 * The speed is a mean over finished work that is forgotten exponentially, with a time constant of half the elapsed
 * time: the first outliers fade, and a job whose parts differ from their estimates is judged by its recent half. A
 * thread redraws five times a second, so that the time runs down while a long item is worked on; it exists only on a
 * terminal. Lock order: `lock`, then the terminal's. */
#include "runtime/core/progress.h"

#include "runtime/core/terminal.h"
#include "runtime/core/units.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

static const double SHOW_AFTER_S = 2, LOOK_AFTER_S = 0.5;
static const long TICK_NS = 200000000;

void emuv_estimate_add(struct emuv_estimate *e, double cost, double now_s)
{
  double elapsed = now_s - e->last_s, constant = fmax(1, now_s / 2);
  double kept = exp(-elapsed / constant);
  e->recent_cost = e->recent_cost * kept + cost;
  e->recent_s = e->recent_s * kept + elapsed;
  e->done += cost;
  e->last_s = now_s;
}

double emuv_estimate_left_s(const struct emuv_estimate *e, double now_s)
{
  double cost_left = fmax(0, e->total - e->done), since = now_s - e->last_s;
  if (!(e->recent_cost > 0)) return cost_left > 0 ? -1 : 0;
  double left = cost_left * e->recent_s / e->recent_cost - since;
  if (left > 0 || cost_left <= 0) return fmax(0, left);
  /* Overdue: what has passed since counts as time without work done. */
  return cost_left * (e->recent_s + since) / e->recent_cost;
}

static double now_s(void)
{
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double share_done(const struct emuv_progress *p)
{
  double total = p->estimate.total;
  return total > 0 ? fmin(1, p->estimate.done / total) : 0;
}

/* "#####-----" */
static void bar(char *buf, int columns, double share)
{
  int full = (int)(share * columns);
  memset(buf, '#', (size_t)full);
  memset(buf + full, '-', (size_t)(columns - full));
  buf[columns] = '\0';
}

char *emuv_progress_render(const struct emuv_progress *p, double elapsed_s, int width, bool colour, char *buf,
                           size_t size)
{
  enum { MAX_BAR = 40 };
  char head[64], tail[160], left[40], cells[MAX_BAR + 1];
  double left_s = emuv_estimate_left_s(&p->estimate, elapsed_s);
  (void)snprintf(head, sizeof head, "%s %3d%%", p->label, (int)(share_done(p) * 100));
  (void)snprintf(tail, sizeof tail, "%" PRIu64 "/%" PRIu64 " %s%s%s", p->n_done, p->n_total, p->unit,
                 left_s < 0 ? "" : ", ", left_s < 0 ? "" : emuv_units_human_time(ceil(left_s), left, sizeof left));
  if (left_s >= 0) strncat(tail, " left", sizeof tail - strlen(tail) - 1);
  int room = width - 1 - (int)strlen(head) - (int)strlen(tail) - 4;
  bar(cells, room > MAX_BAR ? MAX_BAR : room < 0 ? 0 : room, share_done(p));
  if (room >= 4)
    (void)snprintf(buf, size, "%s %s[%s]%s %s", head, colour ? "\033[32m" : "", cells, colour ? "\033[0m" : "", tail);
  else
    (void)snprintf(buf, size, "%.*s", width > 1 ? width - 1 : 0, tail);
  return buf;
}

/* Worth a bar: it has taken two seconds, or it soon will have. */
static bool worth_showing(const struct emuv_progress *p, double elapsed_s)
{
  double left_s = emuv_estimate_left_s(&p->estimate, elapsed_s);
  return elapsed_s > SHOW_AFTER_S || (elapsed_s > LOOK_AFTER_S && left_s >= 0 && elapsed_s + left_s > SHOW_AFTER_S);
}

static void draw(struct emuv_progress *p)
{
  char line[512];
  double elapsed = now_s() - p->start_s;
  if (!p->drawn && !worth_showing(p, elapsed)) return;
  p->drawn = true;
  emuv_terminal_status(
      emuv_progress_render(p, elapsed, emuv_terminal_width(stderr), emuv_terminal_colour(stderr), line, sizeof line));
}

static void *tick(void *arg)
{
  struct emuv_progress *p = arg;
  pthread_mutex_lock(&p->lock);
  while (!p->stop) {
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_cond_timedwait(&p->wake, &p->lock, &until);
    if (!p->stop) draw(p);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

void emuv_progress_start(struct emuv_progress *p, const char *label, const char *unit, uint64_t n_total,
                         double total_cost, bool quiet)
{
  memset(p, 0, sizeof *p);
  (void)snprintf(p->label, sizeof p->label, "%s", label);
  (void)snprintf(p->unit, sizeof p->unit, "%s", unit);
  p->n_total = n_total;
  p->estimate.total = total_cost;
  p->quiet = quiet;
  p->start_s = now_s();
  pthread_mutex_init(&p->lock, NULL);
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&p->wake, &monotonic);
  pthread_condattr_destroy(&monotonic);
  if (!quiet && emuv_terminal_is(stderr)) p->ticking = pthread_create(&p->ticker, NULL, tick, p) == 0;
}

void emuv_progress_add(struct emuv_progress *p, uint64_t n, double cost)
{
  pthread_mutex_lock(&p->lock);
  p->n_done += n;
  emuv_estimate_add(&p->estimate, cost, now_s() - p->start_s);
  pthread_mutex_unlock(&p->lock);
}

static void final_line(const struct emuv_progress *p, double elapsed_s)
{
  char line[256], took[40];
  (void)snprintf(line, sizeof line, "%s: %" PRIu64 " of %" PRIu64 " %s in %s", p->label, p->n_done, p->n_total, p->unit,
                 emuv_units_human_time(elapsed_s, took, sizeof took));
  emuv_terminal_line(line);
}

void emuv_progress_finish(struct emuv_progress *p)
{
  pthread_mutex_lock(&p->lock);
  p->stop = true;
  pthread_cond_signal(&p->wake);
  pthread_mutex_unlock(&p->lock);
  if (p->ticking) (void)pthread_join(p->ticker, NULL);
  p->ticking = false;
  if (p->drawn) emuv_terminal_status("");
  double elapsed = now_s() - p->start_s;
  if (!p->quiet && elapsed > SHOW_AFTER_S) final_line(p, elapsed);
  pthread_cond_destroy(&p->wake);
  pthread_mutex_destroy(&p->lock);
}
