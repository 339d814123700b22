// SPDX-License-Identifier: Apache-2.0
/* The report of `emuv-trace info`, as text and as JSON: see export.h. */
#include "runtime/core/units.h"
#include "tracer/format/export/export.h"
#include "tracer/format/export/json.h"

#include <inttypes.h>

struct size_text {
  char s[32];
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

static const char *status_text(const struct emuv_trace_data *d, char buf[24])
{
  if (!d->state.has_verdict) return "no verdict: the writer was killed; whole blocks only";
  return emuv_trace_name(emuv_trace_status_names, EMUV_TRACE_STATUSES, d->state.verdict.status, buf);
}

static void text_head(const struct emuv_trace_data *d, FILE *out)
{
  char buf[24];
  fprintf(out, "file         %s, %s, %" PRIu64 " records, %s\n", d->path, human(d->state.file_bytes).s,
          d->state.records, status_text(d, buf));
  for (size_t i = 0; i < d->n_environment; i++)
    fprintf(out, "%-12s %s\n", emuv_trace_data_string(d, d->environment[i].key),
            emuv_trace_data_string(d, d->environment[i].value));
  for (size_t i = 0; i < d->n_processes; i++)
    fprintf(out, "process      %u: %s\n", d->processes[i].pid, emuv_trace_data_string(d, d->processes[i].command));
}

static void text_memory(const struct emuv_trace_info *info, FILE *out)
{
  fprintf(out, "memory       %" PRIu64 " allocations of device memory, %s at the peak, %s touched\n", info->allocations,
          human(info->peak_bytes).s, human(info->touched_bytes).s);
  fprintf(out, "copies       %s to the device, %s from it, %s inside\n", human(info->h2d_bytes).s,
          human(info->d2h_bytes).s, human(info->other_copy_bytes).s);
}

static void text_launches(const struct emuv_trace_data *d, const struct emuv_trace_info *info, FILE *out)
{
  uint64_t n = info->launches, ns = info->end_ns - info->begin_ns;
  fprintf(out, "time         %s, the device busy for %.1f %%\n", human_time((double)ns).s,
          percent(info->device_busy_ns, ns));
  fprintf(out, "launches     %" PRIu64 ": exact %.1f %%, bounded %.1f %%, gap %.1f %%, not classed %.1f %%\n", n,
          percent(info->exact, n), percent(info->bounded, n), percent(info->gap, n), percent(info->unknown, n));
  if (d->graph_launches)
    fprintf(out,
            "             %" PRIu64 " launches of CUDA graphs are counted by their nodes; device times of %" PRIu64
            " calls are estimated\n",
            d->graph_launches, d->estimated);
  if (n) fprintf(out, "             %.1f bytes of file per launch\n", (double)d->state.file_bytes / (double)n);
}

static void text_steps(const struct emuv_trace_info *info, FILE *out)
{
  if (info->how == EMUV_TRACE_STEPS_NONE) {
    fprintf(out, "steps        none found: no NVTX ranges named token or step, and no period\n");
    return;
  }
  fprintf(out, "steps        %zu (work unit %s), from ", info->steps, info->unit);
  if (info->how == EMUV_TRACE_STEPS_RANGES)
    fprintf(out, "NVTX ranges\n");
  else
    fprintf(out, "the period of %zu calls\n", info->period);
  fprintf(out, "             median %s, %" PRIu64 " launches, %s touched (%s by exact operands)\n",
          human_time(info->step_ns).s, info->step_launches, human(info->step_bytes).s, human(info->step_exact_bytes).s);
}

static void text_losses(const struct emuv_trace_data *d, const struct emuv_trace_info *info, FILE *out)
{
  uint64_t dropped = info->drops + (d->state.has_verdict ? d->state.verdict.dropped : 0);
  fprintf(out, "losses       %" PRIu64 " gaps, %" PRIu64 " records dropped, %" PRIu64 " calls without device times\n",
          info->gaps, dropped, d->untimed);
  for (size_t i = 0; i < d->n_gaps; i++) {
    char buf[24];
    if (d->gaps[i].sequence) continue; /* of one launch: counted above */
    fprintf(out, "             gap %s: %s\n",
            emuv_trace_name(emuv_trace_gap_names, EMUV_TRACE_GAP_WHYS, d->gaps[i].why, buf),
            emuv_trace_data_string(d, d->gaps[i].text));
  }
}

static void text_kernels(const struct emuv_trace_info *info, size_t top, FILE *out)
{
  uint64_t all = 0;
  for (size_t i = 0; i < info->n_kernels; i++) all += info->kernels[i].device_ns;
  if (info->n_kernels == 0) return;
  fprintf(out, "\n%8s %6s %9s %10s %10s %6s  %s\n", "launches", "time", "mean", "exact", "bounded", "gaps", "kernel");
  for (size_t i = 0; i < info->n_kernels && i < top; i++) {
    const struct emuv_trace_kernel_use *k = &info->kernels[i];
    fprintf(out, "%8" PRIu64 " %5.1f%% %9s %10s %10s %6" PRIu64 "  %.90s\n", k->launches, percent(k->device_ns, all),
            human_time((double)k->device_ns / (double)k->launches).s, human(k->exact_bytes).s,
            human(k->bounded_bytes).s, k->gaps, k->name);
  }
  if (info->n_kernels > top) fprintf(out, "         ... and %zu kernels more (--top N)\n", info->n_kernels - top);
}

static json_t *json_environment(const struct emuv_trace_data *d)
{
  json_t *object = json_object();
  for (size_t i = 0; object && i < d->n_environment; i++)
    json_object_set_new(object, emuv_trace_data_string(d, d->environment[i].key),
                        emuv_json_text(emuv_trace_data_string(d, d->environment[i].value)));
  return object;
}

static json_t *json_kernels(const struct emuv_trace_info *info, size_t top)
{
  json_t *list = json_array();
  for (size_t i = 0; list && i < info->n_kernels && i < top; i++) {
    const struct emuv_trace_kernel_use *k = &info->kernels[i];
    json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "name", emuv_json_text(k->name), "launches",
                                          emuv_json_number(k->launches), "device_ns", emuv_json_number(k->device_ns),
                                          "exact_bytes", emuv_json_number(k->exact_bytes), "bounded_bytes",
                                          emuv_json_number(k->bounded_bytes), "gaps", emuv_json_number(k->gaps)));
  }
  return list;
}

static json_t *json_steps(const struct emuv_trace_info *info)
{
  static const char *const how[] = {"none", "ranges", "period"};
  return json_pack("{s:s, s:s, s:o, s:o, s:f, s:o, s:o, s:o}", "how", how[info->how], "unit", info->unit, "count",
                   emuv_json_number(info->steps), "period_calls", emuv_json_number(info->period), "median_ns",
                   info->step_ns, "median_bytes", emuv_json_number(info->step_bytes), "median_exact_bytes",
                   emuv_json_number(info->step_exact_bytes), "median_launches", emuv_json_number(info->step_launches));
}

static void set(json_t *object, const char *key, uint64_t value)
{
  json_object_set_new(object, key, emuv_json_number(value));
}

static json_t *json_report(const struct emuv_trace_data *d, const struct emuv_trace_info *info, size_t top)
{
  char buf[24];
  json_t *o = json_object();
  if (!o) return NULL;
  json_object_set_new(o, "file", emuv_json_text(d->path));
  json_object_set_new(o, "status", json_string(d->state.has_verdict ? status_text(d, buf) : "truncated"));
  set(o, "file_bytes", d->state.file_bytes);
  set(o, "records", d->state.records);
  json_object_set_new(o, "environment", json_environment(d));
  set(o, "duration_ns", info->end_ns - info->begin_ns);
  set(o, "device_busy_ns", info->device_busy_ns);
  set(o, "launches", info->launches);
  set(o, "launches_exact", info->exact);
  set(o, "launches_bounded", info->bounded);
  set(o, "launches_gap", info->gap);
  set(o, "launches_unknown", info->unknown);
  set(o, "allocations", info->allocations);
  set(o, "allocated_bytes", info->allocated_bytes);
  set(o, "peak_bytes", info->peak_bytes);
  set(o, "touched_bytes", info->touched_bytes);
  set(o, "h2d_bytes", info->h2d_bytes);
  set(o, "d2h_bytes", info->d2h_bytes);
  set(o, "other_copy_bytes", info->other_copy_bytes);
  set(o, "gaps", info->gaps);
  set(o, "dropped", info->drops + (d->state.has_verdict ? d->state.verdict.dropped : 0));
  set(o, "untimed", d->untimed);
  set(o, "graph_launches", d->graph_launches);
  set(o, "estimated_times", d->estimated);
  json_object_set_new(o, "steps", json_steps(info));
  json_object_set_new(o, "kernels", json_kernels(info, top));
  return o;
}

int emuv_export_info(const struct emuv_trace_data *d, const struct emuv_trace_info *info, enum emuv_export_style style,
                     size_t top, FILE *out, struct emuv_err *err)
{
  if (style == EMUV_EXPORT_JSON) {
    json_t *report = json_report(d, info, top);
    int rc = report ? json_dumpf(report, out, JSON_INDENT(2)) : -1;
    json_decref(report);
    fputc('\n', out);
    return rc ? emuv_err_set(err, EMUV_ERR_IO, "cannot write the report") : emuv_export_finish(out, err);
  }
  text_head(d, out);
  text_launches(d, info, out);
  text_memory(info, out);
  text_steps(info, out);
  text_losses(d, info, out);
  text_kernels(info, top, out);
  return emuv_export_finish(out, err);
}
