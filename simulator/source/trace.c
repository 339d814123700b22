// SPDX-License-Identifier: Apache-2.0
/* Source `trace`: a captured run (.emuv).
 *
 * Address space: tracer/format/space.h, one segment per extent that the run touches; what a launch does not touch, no
 * segment holds. An operand of class `bounded` is cut to what its launch has time for (tracer/format/touch.h).
 * Access: what the trace tells; an operand of which it does not tell counts as read, or as read and written (key
 * unknown_access). Extents that are written whole need no copy in; a page that was seen to be written (provenance page)
 * may have been written in part.
 * Kinds: WEIGHT is what is larger than 64 KiB, is touched in at least half of the timed steps, by at most two calls per
 * step, and is never written in them; everything else is OTHER: a trace does not tell the KV cache from activations.
 * Steps: tracer/format/steps.h. Step 0 holds what comes before the first one (loading, and prefill unless a range marks
 * it); it and the next config->warmup steps run before the clock starts. Of the rest, config->tokens are kept. A trace
 * without steps is one timed step whose work units are accesses.
 * Layers: trace_layers.h. Times: trace_time.h. One thread per build; only the name depends on the path. */
#include "simulator/source/trace.h"

#include "simulator/source/source.h"
#include "simulator/source/trace_estimate.h"
#include "simulator/source/trace_layers.h"
#include "simulator/source/trace_time.h"
#include "tracer/format/order.h"
#include "tracer/format/schema.h"
#include "tracer/format/space.h"
#include "tracer/format/steps.h"
#include "tracer/format/touch.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct emuv_source_ops emuv_source_trace;

static const uint64_t WEIGHT_LEAST_BYTES = 64 << 10;
enum { WEIGHT_CALLS_PER_STEP = 2, NO_LAYER = -2 };

/* What the timed steps do with an extent. */
struct use {
  uint32_t steps, calls;
  uint32_t last_step; /* 1 + index, 0 = none yet */
  size_t last_call;   /* 1 + index */
  bool written;
  int32_t layer; /* the only one whose calls touch it; NO_LAYER = none yet, -1 = several */
};

struct build {
  const struct emuv_config *config;
  const struct emuv_trace_data *data;
  struct emuv_workload *w;
  struct emuv_trace_space space;
  struct emuv_trace_order order;
  struct emuv_trace_steps steps;
  struct emuv_trace_cost *costs; /* by call */
  int32_t *layers;               /* by call */
  struct use *uses;              /* by extent */
  size_t first_timed, n_steps;   /* of steps.step */
  uint32_t unknown_access;       /* range flags of an operand whose access is not known */
};

/* ---- which steps ---- */

static size_t min_size(size_t a, size_t b)
{
  return a < b ? a : b;
}

/* Step 0 and `warmup` more come first, but at least one step stays timed. */
static void select_steps(struct build *b)
{
  b->n_steps = b->steps.n;
  b->first_timed = 0;
  if (b->steps.n < 2) return;
  b->first_timed = 1 + min_size((size_t)b->config->warmup, b->steps.n - 2);
  if (b->config->tokens) b->n_steps = min_size(b->steps.n, b->first_timed + (size_t)b->config->tokens);
}

/* ---- operands ---- */

static bool locate(const struct build *b, const struct emuv_trace_call *call, const struct emuv_trace_operand *o,
                   struct emuv_trace_place *place)
{
  return emuv_trace_touch_place(&b->space, call, o, place);
}

static bool writes_whole(const struct emuv_trace_operand *o)
{
  return o->cls == EMUV_TRACE_CLASS_EXACT && o->provenance != EMUV_TRACE_FROM_PAGE;
}

static uint32_t range_flags(const struct build *b, const struct emuv_trace_operand *o)
{
  switch (o->access) {
  case EMUV_TRACE_ACCESS_UNKNOWN: return b->unknown_access;
  case EMUV_TRACE_ACCESS_WRITE: return EMUV_RANGE_WRITE | (writes_whole(o) ? EMUV_RANGE_NEW : 0u);
  case EMUV_TRACE_ACCESS_BOTH: return EMUV_RANGE_READ | EMUV_RANGE_WRITE;
  default: return EMUV_RANGE_READ;
  }
}

/* ---- segments ---- */

static void note_use(struct use *u, uint32_t step, size_t call, int32_t layer, bool write)
{
  if (u->layer == NO_LAYER) u->layer = layer;
  if (u->layer != layer) u->layer = -1;
  u->steps += u->last_step != step + 1;
  u->calls += u->last_call != call + 1;
  u->last_step = step + 1;
  u->last_call = call + 1;
  u->written |= write;
}

static void note_call(struct build *b, uint32_t step, size_t index)
{
  const struct emuv_trace_call *call = &b->order.calls[index];
  uint32_t n = emuv_trace_call_operands(b->data, call);
  for (uint32_t i = 0; i < n; i++) {
    struct emuv_trace_operand o = emuv_trace_call_operand(b->data, call, i);
    struct emuv_trace_place place;
    if (locate(b, call, &o, &place))
      note_use(&b->uses[place.extent], step, index, b->layers[index], o.access & EMUV_TRACE_ACCESS_WRITE);
  }
}

static enum emuv_segment_kind kind_of(const struct build *b, const struct use *u, uint64_t bytes)
{
  size_t timed = b->n_steps - b->first_timed;
  bool weight = b->steps.n > 1 && bytes > WEIGHT_LEAST_BYTES && !u->written && u->steps * 2 >= timed && u->steps > 0 &&
                u->calls <= (uint64_t)u->steps * WEIGHT_CALLS_PER_STEP;
  return weight ? EMUV_SEGMENT_WEIGHT : EMUV_SEGMENT_OTHER;
}

/* A tag that lies at the extent's start names it. */
static void segment_name(const struct build *b, const struct emuv_trace_extent *e, char name[56])
{
  uint64_t id = b->data->allocations[e->allocation].a.id;
  for (size_t i = 0; i < b->data->n_tags; i++) {
    const struct emuv_trace_tag *t = &b->data->tags[i];
    if (t->allocation != id || t->offset != e->offset) continue;
    snprintf(name, 56, "%s", emuv_trace_data_string(b->data, t->text));
    return;
  }
  snprintf(name, 56, "allocation-%" PRIu64 "+0x%" PRIx64, id, e->offset);
}

static int add_segments(struct build *b, struct emuv_err *err)
{
  for (size_t s = b->first_timed; s < b->n_steps; s++) {
    const struct emuv_trace_step *step = &b->steps.step[s];
    for (size_t i = step->first; i < step->first + step->n; i++) note_call(b, (uint32_t)s, i);
  }
  for (size_t i = 0; i < b->space.n_extents; i++) {
    const struct emuv_trace_extent *e = &b->space.extents[i];
    char name[56];
    segment_name(b, e, name);
    enum emuv_segment_kind kind = kind_of(b, &b->uses[i], e->bytes);
    int32_t layer = kind == EMUV_SEGMENT_WEIGHT && b->uses[i].layer >= 0 ? b->uses[i].layer : -1;
    int code = emuv_workload_segment(b->w, name, e->bytes, kind, layer, EMUV_TRACE_SPACE_ALIGN, NULL, err);
    if (code) return code;
  }
  return 0;
}

/* ---- ops ---- */

/* The last plain identifier of a mangled C++ name (Itanium ABI: a length and so many letters), else the name itself. */
static void short_name(const char *symbol, char name[24])
{
  const char *best = symbol;
  size_t length = strlen(symbol);
  if (strncmp(symbol, "_Z", 2) == 0) {
    for (const char *p = symbol + 2; *p && *p != 'I' && *p != 'E';) {
      char *end;
      unsigned long n = strtoul(p, &end, 10);
      if (end == p) {
        p++;
      } else if (n == 0 || n > strlen(end)) {
        break;
      } else {
        best = end;
        length = n;
        p = end + n;
      }
    }
  }
  snprintf(name, 24, "%.*s", (int)min_size(length, 23), best);
}

static void op_name(const struct build *b, const struct emuv_trace_call *call, char name[24])
{
  char number[24];
  if (call->type == EMUV_TRACE_LAUNCH)
    short_name(emuv_trace_data_kernel(b->data, b->data->launches[call->index].kernel), name);
  else if (call->type == EMUV_TRACE_COPY)
    snprintf(name, 24, "copy %s",
             emuv_trace_name(emuv_trace_copy_names, EMUV_TRACE_COPY_KINDS, b->data->copies[call->index].kind, number));
  else
    snprintf(name, 24, "set");
}

static int add_range(struct build *b, const struct emuv_trace_call *call, uint32_t i, struct emuv_err *err)
{
  struct emuv_trace_operand o = emuv_trace_call_operand(b->data, call, i);
  struct emuv_trace_place place;
  if (!locate(b, call, &o, &place)) return 0;
  int code = emuv_workload_range(b->w, (uint32_t)place.extent, place.offset, place.bytes, range_flags(b, &o), err);
  if (code == 0) b->w->ops[b->w->n_ops - 1].bytes += (double)place.bytes;
  return code;
}

static int add_op(struct build *b, size_t index, struct emuv_err *err)
{
  const struct emuv_trace_call *call = &b->order.calls[index];
  const struct emuv_trace_cost *cost = &b->costs[index];
  struct emuv_op op = {.layer = b->layers[index],
                       .launches = 1,
                       .sync = cost->sync,
                       .kernel_ns = cost->device_ns,
                       .host_ns = cost->host_ns};
  op_name(b, call, op.name);
  int code = emuv_workload_op(b->w, &op, err);
  uint32_t n = emuv_trace_call_operands(b->data, call);
  for (uint32_t i = 0; i < n && code == 0; i++) code = add_range(b, call, i, err);
  return code;
}

static uint64_t step_tokens(const struct build *b, size_t s)
{
  if (b->steps.n < 2) return b->order.n;
  return s > 0 && !b->steps.step[s].prefill;
}

static int add_steps(struct build *b, struct emuv_err *err)
{
  int code = 0;
  for (size_t s = 0; s < b->n_steps && code == 0; s++) {
    const struct emuv_trace_step *step = &b->steps.step[s];
    code = emuv_workload_step(b->w, step_tokens(b, s), step->prefill, err);
    for (size_t i = step->first; i < step->first + step->n && code == 0; i++) code = add_op(b, i, err);
  }
  b->w->warmup_steps = b->first_timed;
  snprintf(b->w->work_unit, sizeof b->w->work_unit, "%s", b->steps.unit);
  return code;
}

static int nothing_touched(const struct emuv_trace_data *d, struct emuv_err *err)
{
  uint64_t operands = 0;
  for (size_t i = 0; i < d->n_launches; i++) operands += d->launches[i].n_operands;
  if (d->n_launches == 0 || operands)
    return emuv_err_set(err, EMUV_ERR_INPUT, "%s holds no launch that touches device memory", d->path);
  emuv_err_set(err, EMUV_ERR_INPUT, "%s has no operands: it does not tell which memory its launches touch", d->path);
  const char *import = emuv_trace_data_environment(d, "import");
  if (import && strcmp(import, "nsys") == 0)
    return emuv_err_hint(err, "Nsight Systems does not record them; capture the program with: emuv-trace -o FILE.emuv "
                              "COMMAND");
  return emuv_err_hint(err, "emuv-trace info FILE says what was not captured, and why");
}

/* ---- remarks ---- */

static void remark(struct build *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void remark(struct build *b, const char *format, ...)
{
  size_t used = strlen(b->w->remark);
  va_list arguments;
  if (used) used += (size_t)snprintf(b->w->remark + used, sizeof b->w->remark - used, "; ");
  if (used >= sizeof b->w->remark) return;
  va_start(arguments, format);
  vsnprintf(b->w->remark + used, sizeof b->w->remark - used, format, arguments);
  va_end(arguments);
}

/* What the trace lacks and the rows therefore do not show. */
static void add_remarks(struct build *b)
{
  const struct emuv_trace_data *d = b->data;
  uint64_t dropped = d->state.has_verdict ? d->state.verdict.dropped : 0, gaps = 0;
  for (size_t i = 0; i < d->n_launches; i++) gaps += d->launches[i].cls == EMUV_TRACE_CLASS_GAP;
  if (d->state.truncated) remark(b, "it ends early, so the run is simulated up to there");
  if (dropped) remark(b, "%" PRIu64 " records were dropped", dropped);
  if (gaps)
    remark(b, "%" PRIu64 " of %zu launches (%.1f %%) may touch memory that it does not list", gaps, d->n_launches,
           100.0 * (double)gaps / (double)d->n_launches);
  if (b->steps.n < 2 && !emuv_trace_data_is_references(d))
    remark(b, "it has no steps, so calls are counted: mark tokens with NVTX ranges named \"token\"");
}

static int prepare(struct build *b, struct emuv_err *err)
{
  int code = emuv_trace_space_build(b->data, &b->space, err);
  if (code == 0) code = emuv_trace_order_build(b->data, &b->order, err);
  if (code == 0 && (b->order.n == 0 || b->space.n_extents == 0)) code = nothing_touched(b->data, err);
  if (code == 0) code = emuv_trace_steps_find(b->data, &b->order, &b->steps, err);
  if (code) return code;
  b->costs = calloc(b->order.n, sizeof *b->costs);
  b->uses = calloc(b->space.n_extents, sizeof *b->uses);
  b->layers = malloc(b->order.n * sizeof *b->layers);
  if (!b->costs || !b->uses || !b->layers)
    return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace's workload");
  for (size_t i = 0; i < b->space.n_extents; i++) b->uses[i].layer = NO_LAYER;
  code = emuv_trace_layers_find(b->data, &b->order, &b->steps, b->layers, err);
  if (code == 0) code = emuv_trace_time_costs(b->data, &b->order, b->costs, err);
  return code ? code : emuv_trace_estimate_times(b->data, &b->order, b->costs, NULL, err);
}

static void release(struct build *b)
{
  emuv_trace_steps_free(&b->steps);
  emuv_trace_order_free(&b->order);
  emuv_trace_space_free(&b->space);
  free(b->costs);
  free(b->layers);
  free(b->uses);
}

int emuv_source_trace_convert(const struct emuv_config *config, const struct emuv_trace_data *data,
                              struct emuv_workload *w, struct emuv_err *err)
{
  struct build b = {.config = config, .data = data, .w = w, .unknown_access = EMUV_RANGE_READ};
  if (strcmp(config->unknown_access, "read-write") == 0) b.unknown_access |= EMUV_RANGE_WRITE;
  int code = prepare(&b, err);
  if (code == 0) {
    select_steps(&b);
    add_remarks(&b);
    code = add_segments(&b, err);
  }
  if (code == 0) code = add_steps(&b, err);
  release(&b);
  const char *slash = strrchr(data->path, '/');
  const char *gpu = emuv_trace_data_environment(data, "gpu");
  snprintf(w->gpu, sizeof w->gpu, "%.60s", gpu ? gpu : "");
  snprintf(w->name, sizeof w->name, "trace:%.50s", slash ? slash + 1 : data->path);
  if (code) emuv_workload_free(w);
  return code;
}

static int build(const struct emuv_config *config, struct emuv_workload *w, struct emuv_err *err)
{
  struct emuv_trace_data data;
  uint64_t hash;
  int code = emuv_trace_content_hash(config->trace, &hash, err);
  if (code == 0) code = emuv_trace_load(config->trace, &data, err);
  if (code) return code;
  code = emuv_source_trace_convert(config, &data, w, err);
  if (code == 0) w->content_hash = hash;
  emuv_trace_data_free(&data);
  return code;
}

const struct emuv_source_ops emuv_source_trace = {
    .name = "trace",
    .summary = "a run captured by emuv-trace: its launches, the memory they touch, and their measured times",
    .build = build,
};
