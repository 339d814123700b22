// SPDX-License-Identifier: Apache-2.0
/* Steps of a trace: see steps.h. */
#include "tracer/format/steps.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *name, *unit;
} known_ranges[] = {{"token", "token"},       {"decode", "token"},         {"decode_step", "token"},
                    {"decode step", "token"}, {"generate token", "token"}, {"step", "step"},
                    {"train_step", "step"},   {"training step", "step"},   {"iteration", "step"},
                    {"iter", "step"},         {"image", "image"}};

enum { KNOWN = sizeof known_ranges / sizeof *known_ranges };

static bool step_push(struct emuv_trace_steps *s, uint64_t begin_ns, bool prefill)
{
  struct emuv_trace_step *grown = realloc(s->step, (s->n + 1) * sizeof *grown);
  if (!grown) return false;
  s->step = grown;
  s->step[s->n++] = (struct emuv_trace_step){.begin_ns = begin_ns, .prefill = prefill};
  return true;
}

/* ---- ranges ---- */

/* Name without case, and without digits and punctuation at its end. */
static bool name_is(const char *text, const char *name)
{
  size_t n = strlen(text), m = strlen(name);
  while (n > 0 && !isalpha((unsigned char)text[n - 1])) n--;
  if (n != m) return false;
  for (size_t i = 0; i < n; i++)
    if (tolower((unsigned char)text[i]) != name[i]) return false;
  return true;
}

static bool range_opens(const struct emuv_trace_range *r)
{
  return r->kind == EMUV_TRACE_RANGE_PUSH || r->kind == EMUV_TRACE_RANGE_START;
}

/* When range i ends; 0 if the trace does not tell. */
static uint64_t range_end(const struct emuv_trace_data *d, size_t i)
{
  const struct emuv_trace_range *open = &d->ranges[i];
  long depth = 1;
  for (size_t k = i + 1; k < d->n_ranges; k++) {
    const struct emuv_trace_range *r = &d->ranges[k];
    if (open->kind == EMUV_TRACE_RANGE_START) {
      if (r->kind == EMUV_TRACE_RANGE_END && r->id == open->id) return r->ns;
      continue;
    }
    if (r->tid != open->tid) continue;
    depth += (r->kind == EMUV_TRACE_RANGE_PUSH) - (r->kind == EMUV_TRACE_RANGE_POP);
    if (depth == 0) return r->ns;
  }
  return 0;
}

static size_t first_call_at(const struct emuv_trace_order *order, uint64_t ns)
{
  size_t lo = 0, hi = order->n;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (order->calls[mid].enter_ns < ns)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

/* Calls of each step, from the begins: a step lasts until the next one begins, the last one until last_ns. */
static void assign_calls(struct emuv_trace_steps *s, const struct emuv_trace_order *order, uint64_t last_ns)
{
  for (size_t i = 0; i < s->n; i++) {
    struct emuv_trace_step *step = &s->step[i];
    step->first = i == 0 ? 0 : first_call_at(order, step->begin_ns);
    step->end_ns = i + 1 < s->n ? s->step[i + 1].begin_ns : last_ns;
    size_t next = i + 1 < s->n || last_ns != UINT64_MAX ? first_call_at(order, step->end_ns) : order->n;
    step->n = next > step->first ? next - step->first : 0;
  }
}

static size_t count_named(const struct emuv_trace_data *d, const char *name)
{
  size_t n = 0;
  for (size_t i = 0; i < d->n_ranges; i++)
    n += range_opens(&d->ranges[i]) && name_is(emuv_trace_data_string(d, d->ranges[i].text), name);
  return n;
}

static int from_ranges(const struct emuv_trace_data *d, const struct emuv_trace_order *order, const char *name,
                       struct emuv_trace_steps *s, struct emuv_err *err)
{
  uint64_t last_ns = 0;
  bool ok = step_push(s, 0, false);
  for (size_t i = 0; ok && i < d->n_ranges; i++) {
    const char *text = emuv_trace_data_string(d, d->ranges[i].text);
    bool prefill = name_is(text, "prefill");
    if (!range_opens(&d->ranges[i]) || !(prefill || name_is(text, name))) continue;
    if (d->ranges[i].ns < s->step[s->n - 1].begin_ns) continue; /* of another thread */
    ok = step_push(s, d->ranges[i].ns, prefill);
    last_ns = range_end(d, i);
  }
  if (!ok) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace's steps");
  s->how = EMUV_TRACE_STEPS_RANGES;
  assign_calls(s, order, last_ns ? last_ns : UINT64_MAX);
  return 0;
}

/* ---- period ---- */

uint32_t emuv_trace_symbol(const struct emuv_trace_data *d, const struct emuv_trace_call *call)
{
  if (call->type == EMUV_TRACE_LAUNCH) return d->launches[call->index].kernel + 16;
  return call->type == EMUV_TRACE_COPY ? 1 + d->copies[call->index].kind : 0;
}

/* What happens before a place in the period, in sum over all periods. */
struct phase {
  uint64_t pause_ns;         /* of the host, copies included */
  size_t periods, read_back; /* of them those in which a copy to the host comes right before */
};

static struct phase measure_phase(const struct emuv_trace_data *d, const struct emuv_trace_order *order, size_t first,
                                  size_t end, size_t period)
{
  struct phase p = {0};
  for (size_t i = first; i < end; i += period) {
    if (i == 0) continue;
    const struct emuv_trace_call *a = &order->calls[i - 1], *b = &order->calls[i];
    bool copy = a->type == EMUV_TRACE_COPY;
    p.pause_ns += b->enter_ns > a->exit_ns ? b->enter_ns - a->exit_ns : 0;
    p.pause_ns += copy && a->exit_ns > a->enter_ns ? a->exit_ns - a->enter_ns : 0;
    p.read_back += copy && d->copies[a->index].kind == EMUV_TRACE_COPY_D2H;
    p.periods++;
  }
  return p;
}

/* The place in the period where a step begins: after the copy to the host before whose successor the host pauses
 * longest, or without such copies where it pauses longest at all. */
static size_t find_phase(const struct emuv_trace_data *d, const struct emuv_trace_order *order, size_t begin,
                         size_t end, size_t period)
{
  size_t best = 0;
  uint64_t longest = 0;
  bool best_reads = false;
  for (size_t phase = 0; phase < period; phase++) {
    struct phase p = measure_phase(d, order, begin + phase, end, period);
    bool reads = p.read_back * 2 > p.periods;
    if (reads < best_reads || (reads == best_reads && p.pause_ns <= longest)) continue;
    best = phase;
    longest = p.pause_ns;
    best_reads = reads;
  }
  return best;
}

/* Steps of equal length from `first` to `end`. */
static bool cut(const struct emuv_trace_order *order, size_t first, size_t end, size_t period,
                struct emuv_trace_steps *s)
{
  if (!step_push(s, 0, false)) return false;
  s->step[0].n = first;
  s->step[0].end_ns = order->calls[first].enter_ns;
  for (size_t i = first; i + period <= end; i += period) {
    if (!step_push(s, order->calls[i].enter_ns, false)) return false;
    struct emuv_trace_step *step = &s->step[s->n - 1];
    step->first = i;
    step->n = period;
    const struct emuv_trace_call *last = &order->calls[i + period - 1];
    step->end_ns = i + period < order->n ? order->calls[i + period].enter_ns : last->exit_ns;
  }
  return true;
}

/* The last step ends with what the device still had to do, not with what the host did afterwards. */
static void end_last(const struct emuv_trace_order *order, struct emuv_trace_steps *s)
{
  struct emuv_trace_step *step = &s->step[s->n - 1];
  uint64_t end = 0;
  for (size_t i = step->first; i < step->first + step->n; i++) {
    const struct emuv_trace_call *c = &order->calls[i];
    uint64_t last = c->end_ns > c->exit_ns ? c->end_ns : c->exit_ns;
    if (last > end) end = last;
  }
  if (end < step->end_ns) step->end_ns = end;
}

static int from_period(const struct emuv_trace_data *d, const struct emuv_trace_order *order,
                       struct emuv_trace_steps *s, struct emuv_err *err)
{
  uint32_t *symbols = malloc((order->n + 1) * sizeof *symbols);
  if (!symbols) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace's steps");
  for (size_t i = 0; i < order->n; i++) symbols[i] = emuv_trace_symbol(d, &order->calls[i]);
  size_t begin, end, period = emuv_trace_period(symbols, order->n, &begin, &end);
  free(symbols);
  if (period == 0) return 0;
  size_t first = begin + find_phase(d, order, begin, end, period);
  if (!cut(order, first, end, period, s))
    return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace's steps");
  end_last(order, s);
  s->how = EMUV_TRACE_STEPS_PERIOD;
  s->period = period;
  s->unit = "token";
  return 0;
}

static int everything(const struct emuv_trace_order *order, struct emuv_trace_steps *s, struct emuv_err *err)
{
  if (!step_push(s, 0, false)) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace's steps");
  s->step[0].n = order->n;
  if (order->n) {
    s->step[0].begin_ns = order->calls[0].enter_ns;
    s->step[0].end_ns = order->calls[order->n - 1].exit_ns;
  }
  s->unit = "access";
  return 0;
}

int emuv_trace_steps_find(const struct emuv_trace_data *d, const struct emuv_trace_order *order,
                          struct emuv_trace_steps *steps, struct emuv_err *err)
{
  *steps = (struct emuv_trace_steps){0};
  int code = 0;
  for (size_t k = 0; k < KNOWN && steps->n == 0 && code == 0; k++) {
    if (count_named(d, known_ranges[k].name) < 2) continue;
    steps->unit = known_ranges[k].unit;
    code = from_ranges(d, order, known_ranges[k].name, steps, err);
  }
  if (code == 0 && steps->n == 0 && !emuv_trace_data_is_references(d)) code = from_period(d, order, steps, err);
  if (code == 0 && steps->n == 0) code = everything(order, steps, err);
  if (code) emuv_trace_steps_free(steps);
  return code;
}

void emuv_trace_steps_free(struct emuv_trace_steps *steps)
{
  free(steps->step);
  *steps = (struct emuv_trace_steps){0};
}
