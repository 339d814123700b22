// SPDX-License-Identifier: Apache-2.0
/* The measured timeline; see clock.h. */
#include "runtime/replay/clock.h"

#include <stdlib.h>

int emuv_clock_init(struct emuv_clock *c, const struct emuv_workload *w, double launch_ns, struct emuv_err *err)
{
  *c = (struct emuv_clock){.workload = w, .launch_ns = launch_ns};
  c->last_of_step = calloc(w->n_steps + 1, sizeof *c->last_of_step);
  return c->last_of_step ? 0 : emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %zu steps", w->n_steps);
}

void emuv_clock_free(struct emuv_clock *c)
{
  free(c->last_of_step);
  c->last_of_step = NULL;
}

void emuv_clock_start(struct emuv_clock *c, size_t step, double now_ns)
{
  c->step = c->open_step = step;
  c->timed = step >= c->workload->warmup_steps;
  c->now_ns = c->step_ns = now_ns;
  c->head = c->n = 0;
}

bool emuv_clock_full(const struct emuv_clock *c)
{
  return c->n == EMUV_CLOCK_PENDING;
}

uint64_t emuv_clock_wants(const struct emuv_clock *c)
{
  return c->n ? c->pending[c->head].seq : 0;
}

uint64_t emuv_clock_middle(const struct emuv_clock *c)
{
  return c->n ? c->pending[(c->head + c->n / 2) % EMUV_CLOCK_PENDING].seq : 0;
}

void emuv_clock_launched(struct emuv_clock *c, uint64_t seq, double issue_ns)
{
  c->pending[(c->head + c->n++) % EMUV_CLOCK_PENDING] = (struct emuv_clock_pending){seq, issue_ns};
}

/* The part of a gap up to until_ns; the clock goes there. */
static double wait_until(double *now_ns, double until_ns, double end_ns)
{
  if (until_ns > end_ns) until_ns = end_ns;
  if (until_ns <= *now_ns) return 0;
  double waited = until_ns - *now_ns;
  *now_ns = until_ns;
  return waited;
}

/* From the end of the last kernel to the start of this one. */
static void account_gap(struct emuv_clock *c, double issue_ns, double start_ns, double data_ns, bool from_disk)
{
  double now = c->now_ns;
  double *data = from_disk ? &c->sum.stall_disk_ns : &c->sum.stall_link_ns;
  bool data_last = data_ns > issue_ns && data_ns > now;
  c->sum.stall_host_ns += wait_until(&now, issue_ns, start_ns);
  *data += wait_until(&now, data_ns, start_ns);
  c->sum.compute_ns += wait_until(&now, now + c->launch_ns, start_ns);
  *(data_last ? data : &c->sum.stall_host_ns) += wait_until(&now, start_ns, start_ns);
}

static void end_step(struct emuv_clock *c)
{
  const struct emuv_step *step = &c->workload->steps[c->step];
  double took = c->now_ns - c->step_ns;
  c->step_ns = c->now_ns;
  c->step++;
  if (!c->timed) {
    c->timed = c->step >= c->workload->warmup_steps;
    return;
  }
  if (c->sum.steps++ == 0) c->sum.first_ns = took;
  c->sum.tokens += step->tokens;
  if (step->prefill) {
    c->sum.prefill_ns += took;
    return;
  }
  c->sum.decode_ns += took;
  c->sum.decode_steps++;
  c->sum.decode_tokens += step->tokens;
}

/* Steps whose kernels are all known. */
static void end_steps(struct emuv_clock *c)
{
  uint64_t wanted = emuv_clock_wants(c);
  while (c->step < c->open_step && (!wanted || wanted > c->last_of_step[c->step])) end_step(c);
}

void emuv_clock_take(struct emuv_clock *c, const struct emuv_span *span, double data_ns, bool from_disk)
{
  const struct emuv_clock_pending p = c->pending[c->head];
  c->head = (c->head + 1) % EMUV_CLOCK_PENDING;
  c->n--;
  if (c->timed) {
    account_gap(c, p.issue_ns, span->start_ns, data_ns, from_disk);
    double start = span->start_ns > c->now_ns ? span->start_ns : c->now_ns;
    if (span->end_ns > start) c->sum.compute_ns += span->end_ns - start;
    c->sum.kernels++;
  }
  if (span->end_ns > c->now_ns) c->now_ns = span->end_ns;
  end_steps(c);
}

void emuv_clock_step_end(struct emuv_clock *c, uint64_t last_seq)
{
  c->last_of_step[c->open_step++] = last_seq;
  end_steps(c);
}

void emuv_clock_report(const struct emuv_clock *c, double power_idle, double power_busy, struct emuv_metrics *m)
{
  const struct emuv_clock_sums *s = &c->sum;
  m->compute_s = s->compute_ns * 1e-9;
  m->stall_link_s = s->stall_link_ns * 1e-9;
  m->stall_disk_s = s->stall_disk_ns * 1e-9;
  m->stall_host_s = s->stall_host_ns * 1e-9;
  m->stall_s = m->stall_link_s + m->stall_disk_s + m->stall_host_s;
  m->total_s = m->compute_s + m->stall_s;
  m->prefill_s = s->prefill_ns * 1e-9;
  m->decode_s = s->decode_ns * 1e-9;
  m->first_s = s->first_ns * 1e-9;
  m->steps = s->steps;
  m->tokens = s->tokens;
  m->decode_steps = s->decode_steps;
  m->decode_tokens = s->decode_tokens;
  m->energy_j = power_busy > 0 ? power_idle * m->total_s + (power_busy - power_idle) * m->compute_s : -1;
}
