// SPDX-License-Identifier: Apache-2.0
/* emuv-top: what the emuV programs of this machine do right now. Reads their status pages (runtime/core/status.h) and
 * changes nothing. On a terminal a screen that refreshes itself (ncurses); --once prints once, --json for programs. */
#include "emuv_version.h"
#include "runtime/core/terminal.h"
#include "runtime/core/units.h"
#include "runtime/top/view.h"

#include <argp.h>
#include <jansson.h>
#include <math.h>
#include <ncurses.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { KEY_ONCE = 0x100, KEY_JSON, KEY_VERSION, MAX_PROGRAMS = 64, FILE_WIDTH = 100 };

struct arguments {
  int pid; /* 0 = all */
  double delay_ns;
  bool once, json;
  struct emuv_err err;
};

/* The programs that were found, and what they said last time. */
struct programs {
  struct emuv_top_program item[MAX_PROGRAMS];
  int n;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct arguments *a = state->input;
  char *end;
  switch (key) {
  case 'p':
    a->pid = (int)strtol(arg, &end, 10);
    if (*end || a->pid <= 0) argp_error(state, "--pid %s: give the number of a process", arg);
    return 0;
  case 'd':
    if (emuv_units_parse_time(arg, &a->delay_ns, &a->err) || a->delay_ns < 1e7 || a->delay_ns > 3.6e12)
      argp_error(state, "--delay %s: give a time from 10ms to 1h", arg);
    return 0;
  case KEY_ONCE: a->once = true; return 0;
  case KEY_JSON: a->json = a->once = true; return 0;
  case KEY_VERSION:
    printf("emuv-top %s+g%s%s\n", EMUV_VERSION, EMUV_GIT_REVISION, EMUV_GIT_DIRTY ? "-dirty" : "");
    exit(0);
  case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", arg); return EINVAL;
  default: return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp_option options[] = {
    {"once", KEY_ONCE, NULL, 0, "Print once, as text, and leave", 0},
    {"json", KEY_JSON, NULL, 0, "The same as JSON: an array with one object per program", 0},
    {"pid", 'p', "PID", 0, "Only this process", 0},
    {"delay", 'd', "TIME", 0, "Between two looks, e.g. 500ms (default 1s; with --once 250ms)", 0},
    {"version", KEY_VERSION, NULL, 0, "Print the version with the git revision", 0},
    {0},
};

static const struct argp argp = {
    options,
    parse,
    NULL,
    "Shows what the emuV programs of this machine do: tiers, links, faults, policy.\v"
    "Examples:\n"
    "  emuv-top\n"
    "  emuv-top --once\n"
    "  emuv-top --once --json | jq '.[0].tiers'\n\n"
    "On the screen: q leaves, + and - change the delay.\n\n"
    "Exit status: 0 ok (also when no program runs), 1 run-time failure or no such process, 2 usage.",
    NULL,
    NULL,
    NULL};

static void look(struct emuv_top_program *p, const struct programs *before)
{
  const struct emuv_status *last = NULL;
  for (int i = 0; before && i < before->n; i++)
    if (before->item[i].pid == p->pid && before->item[i].status.start_ns == p->status.start_ns)
      last = &before->item[i].status;
  emuv_rates_between(last, &p->status, &p->rates);
}

/* All programs now; rates since `before` (or since their start). A process that ends meanwhile is left out. */
static int look_at_all(const struct arguments *a, const struct programs *before, struct programs *now,
                       struct emuv_err *err)
{
  int pids[MAX_PROGRAMS] = {a->pid}, n = 1;
  now->n = 0;
  if (!a->pid) n = emuv_status_find(pids, MAX_PROGRAMS, err);
  if (n < 0) return n;
  for (int i = 0; i < n && i < MAX_PROGRAMS; i++) {
    struct emuv_top_program *p = &now->item[now->n];
    p->pid = pids[i];
    int rc = emuv_status_read(pids[i], &p->status, err);
    if (rc && a->pid) return rc;
    if (rc) continue;
    look(p, before);
    now->n++;
  }
  return 0;
}

static void sleep_ns(double ns)
{
  struct timespec t = {.tv_sec = (time_t)(ns * 1e-9)};
  t.tv_nsec = (long)(ns - (double)t.tv_sec * 1e9);
  nanosleep(&t, NULL);
}

static void print_all(const struct programs *programs, int width, FILE *out)
{
  for (int i = 0; i < programs->n; i++) {
    if (i) fputc('\n', out);
    emuv_top_print(&programs->item[i], width, out);
  }
  if (!programs->n) fprintf(out, "no emuV program is running\n");
}

static int print_json(const struct programs *programs, struct emuv_err *err)
{
  json_t *all = json_array();
  for (int i = 0; i < programs->n; i++) json_array_append_new(all, emuv_top_json(&programs->item[i]));
  int rc = all ? json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : -1;
  json_decref(all);
  if (rc) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the JSON text");
  putchar('\n');
  return 0;
}

/* Two looks: the second one's rates are those of the time between. */
static int once(const struct arguments *a, struct programs now[2], struct emuv_err *err)
{
  int rc = look_at_all(a, NULL, &now[0], err);
  if (rc) return rc;
  if (now[0].n) sleep_ns(a->delay_ns > 0 ? a->delay_ns : 250e6);
  rc = look_at_all(a, &now[0], &now[1], err);
  if (rc) return rc;
  if (a->json) return print_json(&now[1], err);
  print_all(&now[1], emuv_terminal_is(stdout) ? emuv_terminal_width(stdout) : FILE_WIDTH, stdout);
  return 0;
}

static void draw(const struct programs *programs, double delay_ns)
{
  char *text = NULL, delay[32], clock[16] = "";
  size_t bytes = 0;
  time_t now = time(NULL);
  struct tm tm;
  if (localtime_r(&now, &tm)) (void)strftime(clock, sizeof clock, "%H:%M:%S", &tm);
  FILE *out = open_memstream(&text, &bytes);
  if (!out) return;
  fprintf(out, "emuv-top  %s  %d program%s  every %s  (q leaves)\n\n", clock, programs->n, programs->n == 1 ? "" : "s",
          emuv_units_human_time(delay_ns * 1e-9, delay, sizeof delay));
  print_all(programs, COLS, out);
  fclose(out);
  erase();
  int row = 0;
  for (char *save = NULL, *line = text; line && row < LINES; row++) {
    save = strchr(line, '\n');
    if (save) *save = '\0';
    mvaddnstr(row, 0, line, COLS);
    line = save ? save + 1 : NULL;
  }
  refresh();
  free(text);
}

static int screen(const struct arguments *a, struct programs now[2], struct emuv_err *err)
{
  double delay_ns = a->delay_ns > 0 ? a->delay_ns : 1e9;
  int rc = look_at_all(a, NULL, &now[0], err), key = ERR;
  if (rc) return rc;
  if (!newterm(NULL, stdout, stdin))
    return emuv_err_set(err, EMUV_ERR_UNSUPPORTED, "this terminal (TERM) is not known; use --once");
  (void)cbreak();
  (void)noecho();
  (void)curs_set(0);
  for (int turn = 1; !rc && key != 'q' && key != 'Q'; turn++) {
    draw(&now[(turn + 1) % 2], delay_ns);
    timeout((int)(delay_ns * 1e-6));
    key = getch();
    if (key == '+' && delay_ns < 60e9) delay_ns *= 2;
    if (key == '-' && delay_ns > 50e6) delay_ns /= 2;
    rc = look_at_all(a, &now[(turn + 1) % 2], &now[turn % 2], err);
  }
  (void)endwin();
  return rc;
}

int main(int argc, char **argv)
{
  struct arguments a = {0};
  struct emuv_err err = {0};
  argp_err_exit_status = 2;
  argp_parse(&argp, argc, argv, 0, NULL, &a);
  struct programs *now = calloc(2, sizeof *now);
  int rc = now ? 0 : emuv_err_set(&err, EMUV_ERR_NOMEM, "no memory");
  if (!rc && !a.once && !emuv_terminal_is(stdout)) a.once = true;
  if (!rc) rc = a.once ? once(&a, now, &err) : screen(&a, now, &err);
  free(now);
  if (!rc) return 0;
  emuv_err_print(&err, stderr);
  return rc == EMUV_ERR_NODEV ? 1 : emuv_err_exit_status(rc); /* a process without a page is no missing hardware */
}
