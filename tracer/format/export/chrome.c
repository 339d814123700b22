// SPDX-License-Identifier: Apache-2.0
/* Chrome's Trace Event Format ("Trace Event Format", Google, 2016), which Perfetto reads: see export.h. One event is
 * built and written at a time. Times are microseconds since the first event. */
#include "tracer/format/export/export.h"
#include "tracer/format/export/json.h"
#include "tracer/format/space.h"

#include <inttypes.h>

enum { DEVICE_PID = 1000000 }; /* "process" number of device 0: above any host process id */

struct chrome {
  const struct emuv_trace_data *d;
  FILE *out;
  uint64_t zero_ns, live_bytes;
  uint64_t graph_call; /* correlation of the graph launch whose host side was written last */
  uint32_t pid;
  bool first;
  int rc; /* -1 after a failure */
};

static void put(struct chrome *c, json_t *event)
{
  if (!event || c->rc) {
    json_decref(event);
    c->rc = -1;
    return;
  }
  if (!c->first) fputc(',', c->out);
  c->first = false;
  c->rc = emuv_json_line(event, c->out);
}

static double us(const struct chrome *c, uint64_t ns)
{
  return ns > c->zero_ns ? (double)(ns - c->zero_ns) / 1000.0 : 0.0;
}

/* A complete event; takes args. */
static void put_span(struct chrome *c, const char *name, uint64_t pid, uint64_t tid, uint64_t begin, uint64_t end,
                     json_t *args)
{
  double duration = end > begin ? (double)(end - begin) / 1000.0 : 0.0;
  put(c, json_pack("{s:o, s:s, s:I, s:I, s:f, s:f, s:o}", "name", emuv_json_text(name), "ph", "X", "pid",
                   (json_int_t)pid, "tid", (json_int_t)tid, "ts", us(c, begin), "dur", duration, "args", args));
}

/* The calls of one graph launch have one host side. */
static bool host_is_new(struct chrome *c, uint32_t flags, uint64_t correlation)
{
  if (!(flags & EMUV_TRACE_FLAG_GRAPH)) return true;
  const bool is_new = c->graph_call != correlation;
  c->graph_call = correlation;
  return is_new;
}

static void put_launch(struct chrome *c, const struct emuv_trace_launch *l)
{
  const char *name = emuv_trace_data_kernel(c->d, l->kernel);
  char buf[24];
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < l->n_operands; i++) bytes += l->operands[i].bytes;
  const char *cls = emuv_trace_name(emuv_trace_class_names, EMUV_TRACE_CLASSES, l->cls, buf);
  if (host_is_new(c, l->flags, l->correlation))
    put_span(c, l->flags & EMUV_TRACE_FLAG_GRAPH ? "cuGraphLaunch" : "cuLaunchKernel", c->pid, l->tid, l->enter_ns,
             l->exit_ns, json_pack("{s:I}", "sequence", (json_int_t)l->sequence));
  if (l->end_ns)
    put_span(c, name, DEVICE_PID + l->device, l->stream & INT32_MAX, l->start_ns, l->end_ns,
             json_pack("{s:I, s:I, s:s, s:I}", "sequence", (json_int_t)l->sequence, "operand_bytes",
                       (json_int_t)(bytes & INT64_MAX), "class", cls, "operands", (json_int_t)l->n_operands));
}

static void put_transfer(struct chrome *c, const char *name, bool host, uint32_t tid, uint32_t device, uint64_t stream,
                         const uint64_t ns[4], uint64_t bytes)
{
  json_int_t n = (json_int_t)(bytes & INT64_MAX);
  if (host) put_span(c, name, c->pid, tid, ns[0], ns[1], json_pack("{s:I}", "bytes", n));
  if (ns[3]) put_span(c, name, DEVICE_PID + device, stream & INT32_MAX, ns[2], ns[3], json_pack("{s:I}", "bytes", n));
}

static void put_copy(struct chrome *c, const struct emuv_trace_copy *r)
{
  char name[32], buf[24];
  snprintf(name, sizeof name, "copy %s", emuv_trace_name(emuv_trace_copy_names, EMUV_TRACE_COPY_KINDS, r->kind, buf));
  put_transfer(c, name, host_is_new(c, r->flags, r->correlation), r->tid, r->device, r->stream,
               (const uint64_t[]){r->enter_ns, r->exit_ns, r->start_ns, r->end_ns}, r->bytes);
}

static void put_set(struct chrome *c, const struct emuv_trace_set *r)
{
  put_transfer(c, "set", host_is_new(c, r->flags, r->correlation), r->tid, r->device, r->stream,
               (const uint64_t[]){r->enter_ns, r->exit_ns, r->start_ns, r->end_ns}, r->bytes);
}

static void put_range(struct chrome *c, const struct emuv_trace_range *r)
{
  static const char *const phases[EMUV_TRACE_RANGE_KINDS] = {
      NULL, "B", "E", "b", "e", "i", NULL, NULL,
  };
  const char *phase = r->kind < EMUV_TRACE_RANGE_KINDS ? phases[r->kind] : NULL;
  if (!phase) return;
  json_t *event =
      json_pack("{s:o, s:s, s:s, s:I, s:I, s:f}", "name", emuv_json_text(emuv_trace_data_string(c->d, r->text)), "cat",
                "nvtx", "ph", phase, "pid", (json_int_t)c->pid, "tid", (json_int_t)r->tid, "ts", us(c, r->ns));
  if (event && (r->kind == EMUV_TRACE_RANGE_START || r->kind == EMUV_TRACE_RANGE_END))
    json_object_set_new(event, "id", json_integer((json_int_t)(r->id & INT64_MAX)));
  put(c, event);
}

static void put_sync(struct chrome *c, const struct emuv_trace_sync *s)
{
  char name[32], buf[24];
  snprintf(name, sizeof name, "sync %s", emuv_trace_name(emuv_trace_sync_names, EMUV_TRACE_SYNC_KINDS, s->kind, buf));
  put_span(c, name, c->pid, s->tid, s->enter_ns, s->exit_ns, json_object());
}

static void put_memory(struct chrome *c, uint64_t ns)
{
  put(c, json_pack("{s:s, s:s, s:I, s:f, s:{s:I}}", "name", "device memory", "ph", "C", "pid", (json_int_t)c->pid, "ts",
                   us(c, ns), "args", "allocated_bytes", (json_int_t)(c->live_bytes & INT64_MAX)));
}

static void put_allocation(struct chrome *c, const struct emuv_trace_event *e)
{
  const struct emuv_trace_life *life;
  uint64_t ns;
  if (e->type == EMUV_TRACE_ALLOCATION) {
    life = &c->d->allocations[e->index];
    ns = life->a.ns;
  } else {
    life = emuv_trace_data_allocation(c->d, c->d->frees[e->index].id);
    ns = c->d->frees[e->index].ns;
  }
  if (!life || !emuv_trace_memory_on_device(life->a.kind)) return;
  c->live_bytes += e->type == EMUV_TRACE_ALLOCATION ? life->a.bytes : UINT64_C(0) - life->a.bytes;
  put_memory(c, ns);
}

static void put_event(struct chrome *c, const struct emuv_trace_event *e)
{
  const struct emuv_trace_data *d = c->d;
  switch (e->type) {
  case EMUV_TRACE_ALLOCATION:
  case EMUV_TRACE_FREE: put_allocation(c, e); break;
  case EMUV_TRACE_LAUNCH: put_launch(c, &d->launches[e->index]); break;
  case EMUV_TRACE_COPY: put_copy(c, &d->copies[e->index]); break;
  case EMUV_TRACE_SET: put_set(c, &d->sets[e->index]); break;
  case EMUV_TRACE_RANGE: put_range(c, &d->ranges[e->index]); break;
  case EMUV_TRACE_SYNC: put_sync(c, &d->syncs[e->index]); break;
  default: break;
  }
}

static uint64_t event_ns(const struct emuv_trace_data *d, const struct emuv_trace_event *e)
{
  switch (e->type) {
  case EMUV_TRACE_ALLOCATION: return d->allocations[e->index].a.ns;
  case EMUV_TRACE_LAUNCH: return d->launches[e->index].enter_ns;
  case EMUV_TRACE_COPY: return d->copies[e->index].enter_ns;
  case EMUV_TRACE_SET: return d->sets[e->index].enter_ns;
  case EMUV_TRACE_RANGE: return d->ranges[e->index].ns;
  case EMUV_TRACE_SYNC: return d->syncs[e->index].enter_ns;
  default: return 0;
  }
}

static void put_process(struct chrome *c, uint64_t pid, const char *name)
{
  put(c, json_pack("{s:s, s:s, s:I, s:{s:o}}", "name", "process_name", "ph", "M", "pid", (json_int_t)pid, "args",
                   "name", emuv_json_text(name)));
}

int emuv_export_chrome(const struct emuv_trace_data *d, FILE *out, struct emuv_err *err)
{
  struct chrome c = {.d = d, .out = out, .pid = d->n_processes ? d->processes[0].pid : 1, .first = true};
  for (size_t i = 0; i < d->n_events; i++) {
    uint64_t ns = event_ns(d, &d->events[i]);
    if (ns && (c.zero_ns == 0 || ns < c.zero_ns)) c.zero_ns = ns;
  }
  fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", out);
  const char *gpu = emuv_trace_data_environment(d, "gpu");
  put_process(&c, DEVICE_PID, gpu ? gpu : "GPU 0");
  put_process(&c, c.pid, d->n_processes ? emuv_trace_data_string(d, d->processes[0].command) : "host");
  for (size_t i = 0; i < d->n_events && c.rc == 0; i++) put_event(&c, &d->events[i]);
  fputs("]}\n", out);
  return c.rc ? emuv_err_set(err, EMUV_ERR_IO, "cannot write the events") : emuv_export_finish(out, err);
}
