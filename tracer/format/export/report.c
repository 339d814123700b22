// SPDX-License-Identifier: Apache-2.0
/* The report of `emuv-trace info` as text of a given width: see export.h. A line has a name of 12 columns and its
 * text; lines of the same name have it once. */
#include "tracer/format/export/report.h"

#include "runtime/core/units.h"
#include "tracer/format/export/json.h"
#include "tracer/format/export/kernel_name.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct size_text {
  char s[32];
};

struct page {
  const struct emuv_trace_data *d;
  const struct emuv_trace_info *info;
  FILE *out;
  size_t width, top;
  bool utf8;
};

static struct size_text human(uint64_t bytes)
{
  struct size_text t;
  emuv_units_human_bytes((double)bytes, t.s, sizeof t.s);
  return t;
}

static struct size_text human_time(double ns)
{
  struct size_text t;
  emuv_units_human_time(ns * 1e-9, t.s, sizeof t.s);
  return t;
}

static double percent(uint64_t part, uint64_t whole)
{
  return whole ? 100.0 * (double)part / (double)whole : 0.0;
}

const char *emuv_report_status(const struct emuv_trace_data *d, char buf[24])
{
  if (!d->state.has_verdict) return "truncated";
  return emuv_trace_name(emuv_trace_status_names, EMUV_TRACE_STATUSES, d->state.verdict.status, buf);
}

enum { INDENT = 13 };

/* Names come from the traced program. */
static char *printable(char *text)
{
  for (char *c = text; *c; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
  return text;
}

/* At most `room` characters: the beginning and the end, which tells kernels of a family apart. */
static char *fit(char *text, int room)
{
  size_t n = strlen(printable(text)), most = room > 8 ? (size_t)room : 8;
  if (n <= most) return text;
  size_t tail = (most - 2) / 2, front = most - 2 - tail;
  text[front] = text[front + 1] = '.';
  memmove(text + front + 2, text + n - tail, tail + 1);
  return text;
}

/* A line, broken at blanks where it exceeds the width; what continues is indented. */
__attribute__((format(printf, 3, 4))) static void line(const struct page *p, const char *name, const char *fmt, ...)
{
  char text[2048];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  size_t room = p->width > INDENT + 20 ? p->width - INDENT : 20;
  char *rest = printable(text);
  do {
    size_t n = strlen(rest);
    if (n > room) {
      n = room;
      while (n > 0 && rest[n] != ' ') n--;
      if (n == 0) n = room; /* one long word */
    }
    fprintf(p->out, "%-*s%.*s\n", INDENT, name, (int)n, rest);
    rest += n + (rest[n] == ' ');
    name = "";
  } while (*rest);
}

/* ---- what it did, where ---- */

static const char *setting(const struct page *p, const char *key)
{
  const char *value = emuv_trace_data_environment(p->d, key);
  return value && *value ? value : NULL;
}

static void machine(const struct page *p)
{
  char text[400] = "", driver[48];
  struct size_text bytes = {""};
  size_t n = 0;
  const char *memory = setting(p, "gpu_memory_bytes"), *version = setting(p, "cuda_driver_version");
  if (memory) bytes = human(strtoull(memory, NULL, 10));
  const struct {
    const char *before, *value;
  } parts[] = {
      {"", setting(p, "gpu")},
      {"", memory ? bytes.s : NULL},
      {"compute capability ", setting(p, "gpu_compute_capability")},
      {"", version ? driver : NULL},
  };
  unsigned long v = version ? strtoul(version, NULL, 10) : 0;
  snprintf(driver, sizeof driver, "driver for CUDA %lu.%lu", v / 1000, v % 1000 / 10);
  for (size_t i = 0; i < sizeof parts / sizeof *parts && n < sizeof text; i++)
    if (parts[i].value)
      n += (size_t)snprintf(text + n, sizeof text - n, "%s%s%.100s", n ? ", " : "", parts[i].before, parts[i].value);
  if (n) line(p, "machine", "%s", text);
}

/* Settings that have a line of their own, or that only those who debug a capture need (they are in the JSON). */
static bool setting_is_told(const char *key)
{
  static const char *const told[] = {"gpu",
                                     "gpu_memory_bytes",
                                     "gpu_compute_capability",
                                     "emuv_version",
                                     "cuda_driver_version",
                                     "gpu_multiprocessors",
                                     "cupti_version",
                                     "realtime_at_start_s",
                                     "run",
                                     "run_output",
                                     "tensormap_sample",
                                     "tensormap_modes",
                                     "capture_clock_width_ns",
                                     "capture_nested_correlations",
                                     "capture_unknown_correlations",
                                     "nsys_schema",
                                     "nsys_utc_epoch_ns"};
  for (size_t i = 0; i < sizeof told / sizeof *told; i++)
    if (strcmp(key, told[i]) == 0) return true;
  return false;
}

static void head(const struct page *p)
{
  const struct emuv_trace_data *d = p->d;
  char buf[24];
  const char *version = setting(p, "emuv_version");
  uint64_t n = p->info->launches;
  char each[48] = "";
  if (n) snprintf(each, sizeof each, ", %.1f bytes per launch", (double)d->state.file_bytes / (double)n);
  line(p, "file", "%s", d->path);
  line(p, "", "%s, %" PRIu64 " records%s, %s", human(d->state.file_bytes).s, d->state.records, each,
       emuv_report_status(d, buf));
  for (size_t i = 0; i < d->n_processes; i++) {
    const struct emuv_trace_process *r = &d->processes[i];
    line(p, "command", "%s", emuv_trace_data_string(d, r->command));
    line(p, "process", "%u, %" PRIu64 " thread%s with device work%s%s", r->pid, p->info->threads,
         p->info->threads == 1 ? "" : "s", version ? ", emuv " : "", version ? version : "");
  }
  machine(p);
  for (size_t i = 0; i < d->n_environment; i++) {
    const char *key = emuv_trace_data_string(d, d->environment[i].key);
    const char *value = emuv_trace_data_string(d, d->environment[i].value);
    if (setting_is_told(key) || (strcmp(key, "tensormap_layout") == 0 && strcmp(value, "learned") == 0)) continue;
    char name[256];
    snprintf(name, sizeof name, "%.250s%s", key, strlen(key) < INDENT ? "" : " ");
    line(p, name, "%.200s", value);
  }
}

/* ---- sums ---- */

static void launches(const struct page *p)
{
  const struct emuv_trace_info *i = p->info;
  uint64_t n = i->launches, bytes = i->exact_bytes + i->bounded_bytes;
  char unknown[48] = "";
  if (i->unknown) snprintf(unknown, sizeof unknown, ", not classed %.1f %%", percent(i->unknown, n));
  uint64_t ns = i->end_ns - i->begin_ns;
  if (ns)
    line(p, "time", "%s, the device busy for %.1f %%", human_time((double)ns).s, percent(i->device_busy_ns, ns));
  else
    line(p, "time", "not known");
  line(p, "launches", "%" PRIu64 " of %zu kernels: exact %.1f %%, bounded %.1f %%, gap %.1f %%%s", n, i->n_kernels,
       percent(i->exact, n), percent(i->bounded, n), percent(i->gap, n), unknown);
  if (bytes)
    line(p, "", "of %s operand bytes exact %.1f %%, bounded %.1f %%", human(bytes).s, percent(i->exact_bytes, bytes),
         percent(i->bounded_bytes, bytes));
  if (p->d->graph_launches)
    line(p, "", "%" PRIu64 " launches of CUDA graphs are counted by their nodes", p->d->graph_launches);
  if (p->d->estimated) line(p, "", "device times of %" PRIu64 " calls are estimated", p->d->estimated);
}

static void memory(const struct page *p)
{
  const struct emuv_trace_info *i = p->info;
  const uint64_t *a = i->access_bytes;
  uint64_t all = a[0] + a[1] + a[2] + a[3];
  line(p, "memory", "%" PRIu64 " allocations, %s at the peak, %s touched", i->allocations, human(i->peak_bytes).s,
       human(i->touched_bytes).s);
  line(p, "copies", "%s to the device, %s from it, %s inside", human(i->h2d_bytes).s, human(i->d2h_bytes).s,
       human(i->other_copy_bytes).s);
  if (all && a[EMUV_TRACE_ACCESS_UNKNOWN] > all / 1000 * 999)
    line(p, "access", "read or write is not known, except of copies and sets");
  else if (all)
    line(p, "access", "read %.1f %%, written %.1f %%, both %.1f %%, not known %.1f %%",
         percent(a[EMUV_TRACE_ACCESS_READ], all), percent(a[EMUV_TRACE_ACCESS_WRITE], all),
         percent(a[EMUV_TRACE_ACCESS_BOTH], all), percent(a[EMUV_TRACE_ACCESS_UNKNOWN], all));
  if (i->bounded_recorded)
    line(p, "bounded",
         "%s to the ends of the allocations, %s to the next address that any call uses, %s in what the kernels' times "
         "allow: the last is what counts",
         human(i->bounded_recorded).s, human(i->bounded_next).s, human(i->bounded_bytes).s);
}

static void steps(const struct page *p)
{
  const struct emuv_trace_info *i = p->info;
  if (i->how == EMUV_TRACE_STEPS_NONE) {
    line(p, "steps", "none found: no NVTX ranges named token or step, and no period");
    return;
  }
  if (i->how == EMUV_TRACE_STEPS_RANGES)
    line(p, "steps", "%zu (work unit %s), from NVTX ranges", i->steps, i->unit);
  else
    line(p, "steps", "%zu (work unit %s), from the period of %zu calls", i->steps, i->unit, i->period);
  line(p, "", "median %s, %" PRIu64 " launches, %s touched, %s of it exact", human_time(i->step_ns).s, i->step_launches,
       human(i->step_bytes).s, human(i->step_exact_bytes).s);
}

static void losses(const struct page *p)
{
  const struct emuv_trace_data *d = p->d;
  const struct emuv_trace_verdict *v = &d->state.verdict;
  uint64_t dropped = p->info->drops + (d->state.has_verdict ? v->dropped : 0);
  char buf[24];
  if (p->info->gaps + dropped + d->untimed == 0)
    line(p, "losses", "none");
  else
    line(p, "losses", "%" PRIu64 " gaps, %" PRIu64 " records dropped, %" PRIu64 " calls without device times",
         p->info->gaps, dropped, d->untimed);
  for (size_t i = 0; i < p->info->n_gap_uses && i < p->top; i++) {
    const struct emuv_trace_gap_use *g = &p->info->gap_uses[i];
    line(p, "", "gap %s, %" PRIu64 "x: %.400s", emuv_trace_name(emuv_trace_gap_names, EMUV_TRACE_GAP_WHYS, g->why, buf),
         g->count, g->text);
  }
  if (p->info->n_gap_uses > p->top) line(p, "", "and gaps of %zu kinds more", p->info->n_gap_uses - p->top);
  for (size_t i = 0; i < d->n_drops && i < p->top; i++)
    line(p, "", "dropped %" PRIu64 "x: %.400s", d->drops[i].count, emuv_trace_data_string(d, d->drops[i].text));
  if (!d->state.has_verdict)
    line(p, "verdict", "none: the writer was killed, or still writes; whole blocks only");
  else if (v->text[0] || v->exit_status)
    line(p, "verdict", "%s, exit status %u%s%s", emuv_report_status(d, buf), v->exit_status, v->text[0] ? ": " : "",
         v->text);
}

/* ---- over time ---- */

static void curve(const struct page *p, const char *name, const uint64_t *values)
{
  static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static const char *const ascii[] = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};
  const char *const *level = p->utf8 ? blocks : ascii;
  uint64_t most = 0;
  for (size_t i = 0; i < p->info->intervals; i++) most = values[i] > most ? values[i] : most;
  if (most == 0) return;
  fprintf(p->out, "%-*s", INDENT, name);
  for (size_t i = 0; i < p->info->intervals; i++) {
    double share = (double)values[i] / (double)most;
    fputs(level[values[i] ? 1 + (int)(share * 7.0 + 0.5) : 0], p->out);
  }
  fprintf(p->out, " %s\n", human(most).s);
}

static uint64_t most_of(const uint64_t *values, size_t n)
{
  uint64_t most = 0;
  for (size_t i = 0; i < n; i++) most = values[i] > most ? values[i] : most;
  return most;
}

static void over_time(const struct page *p)
{
  const struct emuv_trace_info *i = p->info;
  char length[48];
  if (i->intervals < 2 || most_of(i->touched, i->intervals) + most_of(i->allocated, i->intervals) == 0) return;
  if (i->timed)
    snprintf(length, sizeof length, "%s", human_time((double)i->interval).s);
  else
    snprintf(length, sizeof length, "%" PRIu64 " calls", i->interval);
  fprintf(p->out, "\nover time, distinct bytes in %zu intervals of %s; right: the most\n", i->intervals, length);
  curve(p, "  touched", i->touched);
  if (i->timed) curve(p, "  allocated", i->allocated);
}

/* ---- tables ---- */

static void ranges(const struct page *p)
{
  const struct emuv_trace_info *i = p->info;
  if (i->n_ranges)
    fprintf(p->out, "\n%9s %9s %12s %8s %12s  %s\n", "ranges", "launches", "device time", "exact", "median bytes",
            "NVTX range");
  for (size_t k = 0; k < i->n_ranges && k < p->top; k++) {
    const struct emuv_trace_range_use *r = &i->ranges[k];
    char name[sizeof r->name];
    memcpy(name, r->name, sizeof name);
    fprintf(p->out, "%9" PRIu64 " %9" PRIu64 " %12s %6.1f %% %12s  %.*s\n", r->count, r->launches,
            human_time((double)r->device_ns).s, percent(r->exact_launches, r->launches), human(r->bytes).s,
            (int)p->width - 56, printable(name));
  }
  if (i->n_ranges > p->top) fprintf(p->out, "%9s and %zu names more (--top N)\n", "...", i->n_ranges - p->top);
  if (i->ranges_skipped) fprintf(p->out, "%9s %" PRIu64 " ranges were not measured\n", "", i->ranges_skipped);
}

static void kernels(const struct page *p, const char *sort)
{
  const struct emuv_trace_info *i = p->info;
  bool gaps = i->gap + i->unknown > 0;
  uint64_t all = 0;
  int room = (int)p->width - (gaps ? 50 : 42);
  if (i->n_kernels == 0) return;
  for (size_t k = 0; k < i->n_kernels; k++) all += i->kernels[k].device_ns;
  fprintf(p->out, "\n%8s %6s %8s %9s %5s %s kernel, by %s\n", "launches", "time", "mean", "bytes", "exact",
          gaps ? "   gaps " : "", sort ? sort : "device time");
  for (size_t n = 0; n < i->n_kernels && n < p->top; n++) {
    const struct emuv_trace_kernel_use *k = &i->kernels[n];
    char name[512];
    uint64_t bytes = k->exact_bytes + k->bounded_bytes;
    fprintf(p->out, "%8" PRIu64 " %5.1f%% %8s %9s %4.0f%% ", k->launches, percent(k->device_ns, all),
            human_time((double)k->device_ns / (double)k->launches).s, human(bytes).s, percent(k->exact_bytes, bytes));
    if (gaps) fprintf(p->out, "%7" PRIu64 " ", k->gaps);
    fprintf(p->out, " %s\n", fit(emuv_kernel_short_name(k->name, name, sizeof name), room));
  }
  if (i->n_kernels > p->top) fprintf(p->out, "%8s and %zu kernels more (--top N)\n", "...", i->n_kernels - p->top);
}

static void gap_kernels(const struct page *p)
{
  const struct emuv_trace_info *i = p->info;
  uint64_t all = i->gap + i->unknown;
  if (all == 0) return;
  fprintf(p->out, "\ngap launches may touch memory that is not listed:\n");
  struct emuv_trace_info copy = *i;
  copy.kernels = malloc(i->n_kernels * sizeof *copy.kernels);
  if (!copy.kernels) return;
  memcpy(copy.kernels, i->kernels, i->n_kernels * sizeof *copy.kernels);
  emuv_trace_info_sort(&copy, EMUV_TRACE_BY_GAP);
  for (size_t n = 0; n < i->n_kernels && n < p->top && copy.kernels[n].gaps; n++) {
    char name[512];
    const struct emuv_trace_kernel_use *k = &copy.kernels[n];
    fprintf(p->out, "%8" PRIu64 " %5.1f%%  %s\n", k->gaps, percent(k->gaps, all),
            fit(emuv_kernel_short_name(k->name, name, sizeof name), (int)p->width - 17));
  }
  free(copy.kernels);
}

int emuv_export_info(const struct emuv_trace_data *d, const struct emuv_trace_info *info,
                     const struct emuv_export_report *report, FILE *out, struct emuv_err *err)
{
  if (report->style == EMUV_EXPORT_JSON) {
    json_t *json = emuv_report_json(d, info, report->top);
    int rc = json ? json_dumpf(json, out, JSON_INDENT(2)) : -1;
    json_decref(json);
    fputc('\n', out);
    return rc ? emuv_err_set(err, EMUV_ERR_IO, "cannot write the report") : emuv_export_finish(out, err);
  }
  struct page p = {.d = d, .info = info, .out = out, .top = report->top, .utf8 = report->utf8};
  p.width = report->width <= 0 ? 80 : report->width < 72 ? 72 : (size_t)report->width;
  head(&p);
  launches(&p);
  memory(&p);
  steps(&p);
  losses(&p);
  over_time(&p);
  ranges(&p);
  kernels(&p, report->sort);
  gap_kernels(&p);
  return emuv_export_finish(out, err);
}
