// SPDX-License-Identifier: Apache-2.0
/* The virtual clock; see timeline.h. */
#include "simulator/timeline.h"

static double max2(double a, double b)
{
  return a > b ? a : b;
}

void emuv_timeline_init(struct emuv_timeline *t, const struct emuv_config *config)
{
  *t = (struct emuv_timeline){.config = config};
}

double emuv_timeline_kernel_ns(const struct emuv_config *config, const struct emuv_op *op)
{
  const struct emuv_hardware *hw = &config->hw;
  if (op->kernel_ns > 0) return op->kernel_ns;
  double flops_ns = hw->flops > 0 ? op->flops / (hw->flops * hw->flops_efficiency) * 1e9 : 0; /* 0: not known */
  double bytes_ns = op->bytes / (hw->vram_rate * hw->vram_efficiency) * 1e9;
  return op->launches * hw->launch + max2(flops_ns, bytes_ns);
}

double emuv_timeline_host_ns(const struct emuv_config *config, const struct emuv_op *op)
{
  return op->host_ns > 0 ? op->host_ns : op->launches * config->launch_host;
}

void emuv_timeline_mark(struct emuv_timeline *t)
{
  t->compute_ns = t->stall_link_ns = t->stall_disk_ns = t->stall_host_ns = 0;
  t->mark_ns = t->gpu_ns;
  t->timed = true;
}

double emuv_timeline_issue(struct emuv_timeline *t, const struct emuv_op *op)
{
  double cost = emuv_timeline_host_ns(t->config, op);
  t->issue_ns = t->host_ns + (op->launches ? cost / op->launches : cost);
  t->host_ns += cost;
  return max2(t->gpu_ns, t->issue_ns);
}

static void wait_for_host(struct emuv_timeline *t, double until_ns)
{
  if (until_ns <= t->gpu_ns) return;
  t->stall_host_ns += until_ns - t->gpu_ns;
  t->gpu_ns = until_ns;
}

static void wait_for_data(struct emuv_timeline *t, double until_ns, bool disk)
{
  if (until_ns <= t->gpu_ns) return;
  *(disk ? &t->stall_disk_ns : &t->stall_link_ns) += until_ns - t->gpu_ns;
  t->gpu_ns = until_ns;
}

void emuv_timeline_run(struct emuv_timeline *t, double ready_ns, bool disk, double kernel_ns, double extra_ns)
{
  wait_for_host(t, t->issue_ns);
  wait_for_data(t, ready_ns, disk);
  t->compute_ns += kernel_ns;
  t->gpu_ns += kernel_ns;
  wait_for_data(t, t->gpu_ns + extra_ns, false);
}

void emuv_timeline_block(struct emuv_timeline *t, double until_ns)
{
  wait_for_data(t, until_ns, false);
  if (until_ns > t->host_ns) t->host_ns = until_ns;
}

void emuv_timeline_finish(struct emuv_timeline *t, const struct emuv_op *op)
{
  if (op->launches > 1) wait_for_host(t, t->host_ns + emuv_timeline_kernel_ns(t->config, op) / op->launches);
  if (op->sync) t->host_ns = max2(t->host_ns, t->gpu_ns);
}

void emuv_timeline_step_begin(struct emuv_timeline *t, const struct emuv_workload *w, size_t step)
{
  if (step == w->warmup_steps) emuv_timeline_mark(t);
  t->step_ns = t->gpu_ns;
}

void emuv_timeline_step_end(struct emuv_timeline *t, const struct emuv_workload *w, size_t step, struct emuv_metrics *m)
{
  if (step < w->warmup_steps) return;
  double seconds = (t->gpu_ns - t->step_ns) * 1e-9;
  if (m->steps++ == 0) m->first_s = seconds;
  m->tokens += w->steps[step].tokens;
  if (w->steps[step].prefill) {
    m->prefill_s += seconds;
    return;
  }
  m->decode_s += seconds;
  m->decode_steps++;
  m->decode_tokens += w->steps[step].tokens;
}

void emuv_timeline_report(const struct emuv_timeline *t, struct emuv_metrics *m)
{
  m->compute_s = t->compute_ns * 1e-9;
  m->stall_link_s = t->stall_link_ns * 1e-9;
  m->stall_disk_s = t->stall_disk_ns * 1e-9;
  m->stall_host_s = t->stall_host_ns * 1e-9;
  m->stall_s = m->stall_link_s + m->stall_disk_s + m->stall_host_s;
  m->total_s = m->compute_s + m->stall_s;
  const struct emuv_hardware *hw = &t->config->hw;
  m->energy_j =
      hw->power_busy > 0 ? hw->power_idle * m->total_s + (hw->power_busy - hw->power_idle) * m->compute_s : -1;
}
