// SPDX-License-Identifier: Apache-2.0
/* The report of `emuv-trace info` as JSON: see report.h. */
#include "tracer/format/export/report.h"

#include "tracer/format/export/json.h"

static void set(json_t *object, const char *key, uint64_t value)
{
  json_object_set_new(object, key, emuv_json_number(value));
}

static json_t *list_environment(const struct emuv_trace_data *d)
{
  json_t *object = json_object();
  for (size_t i = 0; object && i < d->n_environment; i++) {
    json_t *key = emuv_json_text(emuv_trace_data_string(d, d->environment[i].key));
    if (key)
      json_object_set_new(object, json_string_value(key),
                          emuv_json_text(emuv_trace_data_string(d, d->environment[i].value)));
    json_decref(key);
  }
  return object;
}

static json_t *list_processes(const struct emuv_trace_data *d)
{
  json_t *list = json_array();
  for (size_t i = 0; list && i < d->n_processes; i++) {
    const struct emuv_trace_process *p = &d->processes[i];
    json_array_append_new(list,
                          json_pack("{s:I, s:I, s:o, s:o}", "pid", (json_int_t)p->pid, "parent", (json_int_t)p->parent,
                                    "command", emuv_json_text(emuv_trace_data_string(d, p->command)), "executable",
                                    emuv_json_text(emuv_trace_data_string(d, p->executable))));
  }
  return list;
}

static json_t *verdict_of(const struct emuv_trace_data *d)
{
  const struct emuv_trace_verdict *v = &d->state.verdict;
  char buf[24];
  if (!d->state.has_verdict) return json_null();
  return json_pack("{s:s, s:o, s:o, s:o, s:I}", "status",
                   emuv_trace_name(emuv_trace_status_names, EMUV_TRACE_STATUSES, v->status, buf), "text",
                   emuv_json_text(v->text), "records", emuv_json_number(v->records), "dropped",
                   emuv_json_number(v->dropped), "exit_status", (json_int_t)v->exit_status);
}

static json_t *list_kernels(const struct emuv_trace_info *info, size_t top)
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

static json_t *steps_of(const struct emuv_trace_info *info)
{
  static const char *const how[] = {"none", "ranges", "period"};
  return json_pack("{s:s, s:s, s:o, s:o, s:f, s:o, s:o, s:o}", "how", how[info->how], "unit", info->unit, "count",
                   emuv_json_number(info->steps), "period_calls", emuv_json_number(info->period), "median_ns",
                   info->step_ns, "median_bytes", emuv_json_number(info->step_bytes), "median_exact_bytes",
                   emuv_json_number(info->step_exact_bytes), "median_launches", emuv_json_number(info->step_launches));
}

static json_t *numbers(const uint64_t *values, size_t n)
{
  json_t *list = json_array();
  for (size_t i = 0; list && i < n; i++) json_array_append_new(list, emuv_json_number(values[i]));
  return list;
}

static json_t *over_time(const struct emuv_trace_info *info)
{
  return json_pack("{s:s, s:o, s:o, s:o}", "unit", info->timed ? "ns" : "calls", "interval",
                   emuv_json_number(info->interval), "touched_bytes", numbers(info->touched, info->intervals),
                   "allocated_bytes", numbers(info->allocated, info->timed ? info->intervals : 0));
}

static json_t *list_ranges(const struct emuv_trace_info *info)
{
  json_t *list = json_array();
  for (size_t i = 0; list && i < info->n_ranges; i++) {
    const struct emuv_trace_range_use *r = &info->ranges[i];
    json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "name", emuv_json_text(r->name), "count",
                                          emuv_json_number(r->count), "launches", emuv_json_number(r->launches),
                                          "launches_exact", emuv_json_number(r->exact_launches), "device_ns",
                                          emuv_json_number(r->device_ns), "median_bytes", emuv_json_number(r->bytes)));
  }
  return list;
}

static json_t *list_gaps(const struct emuv_trace_info *info)
{
  json_t *list = json_array();
  char buf[24];
  for (size_t i = 0; list && i < info->n_gap_uses; i++) {
    const struct emuv_trace_gap_use *g = &info->gap_uses[i];
    json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "why",
                                          emuv_trace_name(emuv_trace_gap_names, EMUV_TRACE_GAP_WHYS, g->why, buf),
                                          "text", emuv_json_text(g->text), "count", emuv_json_number(g->count)));
  }
  return list;
}

static json_t *list_drops(const struct emuv_trace_data *d)
{
  json_t *list = json_array();
  for (size_t i = 0; list && i < d->n_drops; i++) {
    uint32_t what = d->drops[i].what;
    json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "what",
                                          what && what < EMUV_TRACE_TYPES ? emuv_trace_schemas[what].name : "", "text",
                                          emuv_json_text(emuv_trace_data_string(d, d->drops[i].text)), "count",
                                          emuv_json_number(d->drops[i].count)));
  }
  return list;
}

static json_t *bytes_of(const struct emuv_trace_info *info)
{
  const uint64_t *a = info->access_bytes;
  return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "exact", emuv_json_number(info->exact_bytes), "bounded",
                   emuv_json_number(info->bounded_bytes), "bounded_as_recorded",
                   emuv_json_number(info->bounded_recorded), "bounded_to_next_address",
                   emuv_json_number(info->bounded_next), "read", emuv_json_number(a[EMUV_TRACE_ACCESS_READ]), "written",
                   emuv_json_number(a[EMUV_TRACE_ACCESS_WRITE]), "read_and_written",
                   emuv_json_number(a[EMUV_TRACE_ACCESS_BOTH]), "access_unknown",
                   emuv_json_number(a[EMUV_TRACE_ACCESS_UNKNOWN]));
}

static void set_counts(json_t *o, const struct emuv_trace_data *d, const struct emuv_trace_info *info)
{
  set(o, "duration_ns", info->end_ns - info->begin_ns);
  set(o, "device_busy_ns", info->device_busy_ns);
  set(o, "threads", info->threads);
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
  set(o, "ranges_not_measured", info->ranges_skipped);
}

json_t *emuv_report_json(const struct emuv_trace_data *d, const struct emuv_trace_info *info, size_t top)
{
  char buf[24];
  json_t *o = json_object();
  if (!o) return NULL;
  json_object_set_new(o, "file", emuv_json_text(d->path));
  json_object_set_new(o, "status", json_string(emuv_report_status(d, buf)));
  set(o, "file_bytes", d->state.file_bytes);
  set(o, "valid_bytes", d->state.valid_bytes);
  set(o, "records", d->state.records);
  json_object_set_new(o, "environment", list_environment(d));
  json_object_set_new(o, "processes", list_processes(d));
  set_counts(o, d, info);
  json_object_set_new(o, "operand_bytes", bytes_of(info));
  json_object_set_new(o, "steps", steps_of(info));
  json_object_set_new(o, "over_time", over_time(info));
  json_object_set_new(o, "ranges", list_ranges(info));
  json_object_set_new(o, "gap_records", list_gaps(info));
  json_object_set_new(o, "drops", list_drops(d));
  json_object_set_new(o, "verdict", verdict_of(d));
  json_object_set_new(o, "kernels", list_kernels(info, top));
  return o;
}
