// SPDX-License-Identifier: Apache-2.0
/* Text of a program's status; see view.h. A line is made whole and then cut to the width, so that a narrow terminal
 * loses the end of a line and nothing else. */
#include "runtime/top/view.h"

#include "runtime/core/units.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

enum { BAR_CELLS = 24, LINE = 256 };

/* All text is ASCII, what programs publish too (emuv_status_read): one byte, one column. */
static void __attribute__((format(printf, 3, 4))) line(FILE *out, int width, const char *fmt, ...)
{
  char text[LINE];
  va_list args;
  va_start(args, fmt);
  (void)vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  size_t n = strlen(text);
  while (n && text[n - 1] == ' ') n--;
  fprintf(out, "%.*s\n", (int)n < width ? (int)n : width, text);
}

static const char *bytes_text(uint64_t bytes, char *buf, size_t size)
{
  if (bytes == EMUV_STATUS_UNKNOWN) return "-";
  return emuv_units_human_bytes((double)bytes, buf, size);
}

static const char *share_text(double share, char *buf, size_t size)
{
  if (isnan(share)) return "-";
  (void)snprintf(buf, size, "%.*f %%", share < 0.0995 || (share > 0.9 && share < 1) ? 1 : 0, share * 100);
  return buf;
}

/* 1234 -> "1.2 k". */
static const char *count_text(double n, char *buf, size_t size)
{
  static const char *const suffix[] = {"", " k", " M", " G", " T"};
  size_t i = 0;
  if (isnan(n)) return "-";
  while (n >= 1000 && i + 1 < sizeof suffix / sizeof suffix[0]) {
    n /= 1000;
    i++;
  }
  (void)snprintf(buf, size, "%.*f%s", i && n < 100 ? 1 : 0, n, suffix[i]);
  return buf;
}

static const char *rate_text(double bytes_per_s, char *buf, size_t size)
{
  char number[24];
  if (isnan(bytes_per_s)) return "-";
  (void)snprintf(buf, size, "%sB/s", count_text(bytes_per_s, number, sizeof number));
  return buf;
}

static void print_tier(const struct emuv_status_tier *t, int width, FILE *out)
{
  char bar[BAR_CELLS + 1], used[32], capacity[32], dirty[32], pinned[32];
  bool known = t->used_bytes != EMUV_STATUS_UNKNOWN && t->capacity_bytes && t->capacity_bytes != EMUV_STATUS_UNKNOWN;
  double share = known ? (double)t->used_bytes / (double)t->capacity_bytes : 0;
  int cells = share >= 1 ? BAR_CELLS : (int)(share * BAR_CELLS + 0.5);
  memset(bar, '.', BAR_CELLS);
  memset(bar, '#', (size_t)cells);
  bar[BAR_CELLS] = '\0';
  line(out, width, "  %-6s [%s] %9s of %-9s  dirty %9s  pinned %9s", t->name, bar,
       bytes_text(t->used_bytes, used, sizeof used), bytes_text(t->capacity_bytes, capacity, sizeof capacity),
       bytes_text(t->dirty_bytes, dirty, sizeof dirty), bytes_text(t->pinned_bytes, pinned, sizeof pinned));
}

static void print_link(const struct emuv_status_link *l, const struct emuv_link_rate *r, int width, FILE *out)
{
  char rate[32], busy[32], moved[32];
  line(out, width, "  %-14s %11s  busy %6s  moved %9s", l->name, rate_text(r->bytes_per_s, rate, sizeof rate),
       share_text(r->busy, busy, sizeof busy), bytes_text(l->bytes, moved, sizeof moved));
}

static void print_head(const struct emuv_top_program *p, int width, FILE *out)
{
  const struct emuv_status *s = &p->status;
  char page[32], step[64] = "";
  line(out, width, "%d %s  %s", p->pid, s->program, s->title);
  if (s->n_steps)
    (void)snprintf(step, sizeof step, "  step %llu of %llu", (unsigned long long)s->step,
                   (unsigned long long)s->n_steps);
  line(out, width, "  %s  %s%s  pages of %s  policy %s  prefetch %s%s%s", s->device, s->phase, step,
       bytes_text(s->page_bytes, page, sizeof page), s->policy, s->prefetch, s->mapping[0] ? "  mapping " : "",
       s->mapping);
}

static void print_counts(const struct emuv_top_program *p, int width, FILE *out)
{
  const struct emuv_rates *r = &p->rates;
  const struct emuv_status *s = &p->status;
  char a[32], b[32], c[32], d[32];
  line(out, width, "  faults %8s/s  hits %7s  evicted %8s/s  launches %8s/s", count_text(r->faults, a, sizeof a),
       share_text(r->hit_share, b, sizeof b), count_text(r->evicted, c, sizeof c),
       count_text(r->launches, d, sizeof d));
  line(out, width, "  compute %6s  stall %6s  loaded ahead and used %6s", share_text(r->compute_share, a, sizeof a),
       share_text(r->stall_share, b, sizeof b), share_text(r->ahead_used_share, c, sizeof c));
  if (s->checked_bytes == EMUV_STATUS_UNKNOWN || !s->checked_bytes) return;
  line(out, width, "  checked %s, %llu wrong", bytes_text(s->checked_bytes, a, sizeof a),
       (unsigned long long)s->mismatches);
}

void emuv_top_print(const struct emuv_top_program *p, int width, FILE *out)
{
  if (width < 40) width = 40;
  print_head(p, width, out);
  for (int i = 0; i < EMUV_STATUS_TIERS; i++)
    if (p->status.tier[i].name[0]) print_tier(&p->status.tier[i], width, out);
  for (int i = 0; i < EMUV_STATUS_LINKS; i++)
    if (p->status.link[i].name[0]) print_link(&p->status.link[i], &p->rates.link[i], width, out);
  print_counts(p, width, out);
}
