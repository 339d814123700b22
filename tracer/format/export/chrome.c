// SPDX-License-Identifier: Apache-2.0
/* Chrome's Trace Event Format ("Trace Event Format", Google, 2016), which Perfetto reads: see export.h. One event is
 * built and written at a time. Times are microseconds since the first event. */
#include "tracer/format/export/export.h"
#include "tracer/format/export/json.h"
#include "tracer/format/space.h"

#include <inttypes.h>
#include <stdlib.h>

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

/* An arrow from a call on the host to the work on the device; id: the call's place in the order of all calls. */
static void put_flow(struct chrome *c, uint64_t id, uint32_t tid, uint64_t enter, uint32_t device, uint64_t stream,
                     uint64_t start)
{
  const struct {
    const char *phase;
    uint64_t pid, tid, ns;
  } ends[] = {{"s", c->pid, tid, enter}, {"f", DEVICE_PID + device, stream & INT32_MAX, start}};
  for (size_t i = 0; i < 2; i++)
    put(c, json_pack("{s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:f}", "name", "launch", "cat", "launch", "ph", ends[i].phase,
                     "bp", "e", "id", emuv_json_number(id & INT64_MAX), "pid", (json_int_t)ends[i].pid, "tid",
                     (json_int_t)ends[i].tid, "ts", us(c, ends[i].ns)));
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
  if (l->end_ns && l->enter_ns) put_flow(c, l->sequence, l->tid, l->enter_ns, l->device, l->stream, l->start_ns);
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
  if (r->end_ns && r->enter_ns) put_flow(c, r->sequence, r->tid, r->enter_ns, r->device, r->stream, r->start_ns);
}

static void put_set(struct chrome *c, const struct emuv_trace_set *r)
{
  put_transfer(c, "set", host_is_new(c, r->flags, r->correlation), r->tid, r->device, r->stream,
               (const uint64_t[]){r->enter_ns, r->exit_ns, r->start_ns, r->end_ns}, r->bytes);
  if (r->end_ns && r->enter_ns) put_flow(c, r->sequence, r->tid, r->enter_ns, r->device, r->stream, r->start_ns);
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

/* ---- names of tracks ---- */

static void put_name(struct chrome *c, const char *what, uint64_t pid, uint64_t tid, const char *name)
{
  put(c, json_pack("{s:s, s:s, s:I, s:I, s:{s:o}}", "name", what, "ph", "M", "pid", (json_int_t)pid, "tid",
                   (json_int_t)tid, "args", "name", emuv_json_text(name)));
}

struct track {
  uint64_t pid, tid;
};

static int by_track(const void *a, const void *b)
{
  const struct track *x = a, *y = b;
  if (x->pid != y->pid) return x->pid < y->pid ? -1 : 1;
  return (x->tid > y->tid) - (x->tid < y->tid);
}

static struct track *add_calls(const struct chrome *c, struct track *t)
{
  const struct emuv_trace_data *d = c->d;
#define BOTH(array)                                                                                                    \
  for (size_t i = 0; i < d->n_##array; i++) {                                                                          \
    *t++ = (struct track){c->pid, d->array[i].tid};                                                                    \
    *t++ = (struct track){DEVICE_PID + d->array[i].device, d->array[i].stream & INT32_MAX};                            \
  }
  BOTH(launches)
  BOTH(copies)
  BOTH(sets)
#undef BOTH
  return t;
}

static const char *thread_name(const struct emuv_trace_data *d, uint64_t tid)
{
  const char *name = "";
  for (size_t i = 0; i < d->n_threads; i++)
    if (d->threads[i].tid == tid) name = emuv_trace_data_string(d, d->threads[i].name);
  return name;
}

static void put_track(struct chrome *c, const struct track *t)
{
  char name[256];
  if (t->pid >= DEVICE_PID)
    snprintf(name, sizeof name, "stream %llu", (unsigned long long)t->tid);
  else
    snprintf(name, sizeof name, "%.200s", thread_name(c->d, t->tid));
  if (*name) put_name(c, "thread_name", t->pid, t->tid, name);
}

/* Processes, GPUs, threads and streams that have something to show. */
static void put_tracks(struct chrome *c)
{
  const struct emuv_trace_data *d = c->d;
  struct track *tracks = malloc((2 * (d->n_launches + d->n_copies + d->n_sets) + 1) * sizeof *tracks);
  if (!tracks) {
    c->rc = -1;
    return;
  }
  const char *gpu = emuv_trace_data_environment(d, "gpu"), *command = "host";
  size_t n = (size_t)(add_calls(c, tracks) - tracks);
  qsort(tracks, n, sizeof *tracks, by_track);
  if (d->n_processes) command = emuv_trace_data_string(d, d->processes[0].command);
  put_name(c, "process_name", c->pid, 0, command);
  for (size_t i = 0; i < n; i++) {
    char name[128];
    if (tracks[i].pid >= DEVICE_PID && (i == 0 || tracks[i].pid != tracks[i - 1].pid)) {
      snprintf(name, sizeof name, "GPU %llu%s%.100s", (unsigned long long)(tracks[i].pid - DEVICE_PID), gpu ? ": " : "",
               gpu ? gpu : "");
      put_name(c, "process_name", tracks[i].pid, 0, name);
    }
    if (i == 0 || by_track(&tracks[i - 1], &tracks[i]) != 0) put_track(c, &tracks[i]);
  }
  free(tracks);
}

int emuv_export_chrome(const struct emuv_trace_data *d, FILE *out, struct emuv_err *err)
{
  struct chrome c = {.d = d, .out = out, .pid = d->n_processes ? d->processes[0].pid : 1, .first = true};
  for (size_t i = 0; i < d->n_events; i++) {
    uint64_t ns = event_ns(d, &d->events[i]);
    if (ns && (c.zero_ns == 0 || ns < c.zero_ns)) c.zero_ns = ns;
  }
  fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", out);
  put_tracks(&c);
  for (size_t i = 0; i < d->n_events && c.rc == 0; i++) put_event(&c, &d->events[i]);
  fputs("]}\n", out);
  return c.rc ? emuv_err_set(err, EMUV_ERR_IO, "cannot write the events") : emuv_export_finish(out, err);
}
