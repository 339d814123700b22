// SPDX-License-Identifier: Apache-2.0
/* The virtual machine; see machine_virtual.h. */
#include "simulator/machine_virtual.h"

#include <stdlib.h>

/* `machine` is the first member. */
static struct emuv_machine_virtual *self(struct emuv_machine *machine)
{
  return (struct emuv_machine_virtual *)machine;
}

static void open_tiers(struct emuv_machine_virtual *v)
{
  const struct emuv_machine_run *run = v->run;
  const struct emuv_hardware *hw = &run->config->hw;
  const struct emuv_tier_ops *model = emuv_tier_find("model");
  v->machine.ram = (struct emuv_tier){.ops = model, .schedule = v->link, .staging = v->staging};
  v->machine.ram.env = (struct emuv_tier_env){.page_bytes = run->page_bytes,
                                              .coalesce_bytes = run->coalesce_bytes,
                                              .read = hw->h2d,
                                              .write = hw->d2h,
                                              .read_batched = hw->h2d_batched,
                                              .write_batched = hw->d2h_batched,
                                              .batch_bytes = emuv_tier_batch_bytes(run->vram_frames * run->page_bytes),
                                              .peer = run->peer,
                                              .peer_curve = hw->peer,
                                              .duplex_rate = hw->duplex_rate};
  v->machine.nvme = (struct emuv_tier){.ops = model, .schedule = v->disk, .staging = v->staging};
  v->machine.nvme.env = (struct emuv_tier_env){.page_bytes = run->page_bytes,
                                               .coalesce_bytes = run->coalesce_bytes,
                                               .read = hw->nvme_read,
                                               .write = hw->nvme_write,
                                               .latency_ns = hw->nvme_latency,
                                               .half_duplex = true};
}

static void virtual_close(struct emuv_machine *machine)
{
  struct emuv_machine_virtual *v = self(machine);
  free(v->link);
  free(v->disk);
  free(v->staging);
  emuv_machine_virtual_init(v);
}

static int open_disk(struct emuv_machine_virtual *v, struct emuv_err *err)
{
  if (!v->run->nvme_frames) return 0;
  v->link = calloc(1, sizeof *v->link);
  v->disk = calloc(1, sizeof *v->disk);
  v->staging = calloc(v->run->program->n_pages + 1, 1);
  if (v->link && v->disk && v->staging) return 0;
  virtual_close(&v->machine);
  return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %u pages", v->run->program->n_pages);
}

static int virtual_open(struct emuv_machine *machine, const struct emuv_machine_run *run, struct emuv_err *err)
{
  struct emuv_machine_virtual *v = self(machine);
  v->run = run;
  emuv_timeline_init(&v->t, run->config);
  int rc = open_disk(v, err);
  if (!rc) open_tiers(v);
  return rc;
}

/* How long a channel has worked up to now: what is queued beyond belongs to the time to come. */
static double busy_until_now(const struct emuv_machine_virtual *v, const struct emuv_channel *channel)
{
  double queued = channel->free_ns - v->t.gpu_ns;
  if (queued <= 0) return channel->busy_ns;
  return queued < channel->busy_ns ? channel->busy_ns - queued : 0;
}

static double link_busy_ns(const struct emuv_machine_virtual *v)
{
  const struct emuv_tier *ram = &v->machine.ram;
  if (!v->link) return busy_until_now(v, &ram->read);
  return ram->read.busy_ns + ram->staged.busy_ns - emuv_schedule_taken_after(v->link, v->t.gpu_ns);
}

static double disk_busy_ns(const struct emuv_machine_virtual *v)
{
  const struct emuv_tier *nvme = &v->machine.nvme;
  return v->disk ? nvme->read.busy_ns + nvme->write.busy_ns - emuv_schedule_taken_after(v->disk, v->t.gpu_ns) : 0;
}

/* Copies asked for from now on are another batch: those before have been submitted, so that nothing waits for them. */
static void submit(struct emuv_machine_virtual *v)
{
  v->machine.ram.read.gathered_bytes = v->machine.ram.staged.gathered_bytes = v->machine.ram.write.gathered_bytes = 0;
}

static int virtual_step_begin(struct emuv_machine *machine, size_t step, struct emuv_err *err)
{
  struct emuv_machine_virtual *v = self(machine);
  (void)err;
  if (step == v->run->workload->warmup_steps) {
    v->link_start_ns = link_busy_ns(v);
    v->disk_start_ns = disk_busy_ns(v);
    v->peer_start_ns = busy_until_now(v, &v->machine.ram.peer_read);
    v->peer_read_start = v->machine.ram.peer_read.bytes;
    v->peer_write_start = v->machine.ram.peer_write.bytes;
  }
  emuv_timeline_step_begin(&v->t, v->run->workload, step);
  return 0;
}

static int virtual_step_end(struct emuv_machine *machine, size_t step, struct emuv_metrics *m, struct emuv_err *err)
{
  struct emuv_machine_virtual *v = self(machine);
  (void)err;
  emuv_timeline_step_end(&v->t, v->run->workload, step, m);
  return 0;
}

static const struct emuv_op *op_of(const struct emuv_machine_virtual *v, uint32_t slice)
{
  return &v->run->workload->ops[v->run->program->slices[slice].op];
}

static int virtual_reach(struct emuv_machine *machine, uint32_t slice, double *start_ns, struct emuv_err *err)
{
  struct emuv_machine_virtual *v = self(machine);
  (void)err;
  submit(v);
  if (v->run->program->slices[slice].opens_op) emuv_timeline_issue(&v->t, op_of(v, slice));
  *start_ns = v->t.gpu_ns > v->t.issue_ns ? v->t.gpu_ns : v->t.issue_ns;
  machine->issued_ns = v->t.issue_ns;
  return 0;
}

static double fault_cost(const struct emuv_machine_run *run, uint32_t faults)
{
  if (!faults) return 0;
  uint64_t bytes = faults * run->page_bytes, batch = run->fault_batch_bytes;
  return run->fault_ns * (double)(batch ? (bytes + batch - 1) / batch : 1);
}

/* The host needs a while for each part, beside what the launch took when it was recorded. */
static void issue_part(struct emuv_machine_virtual *v, const struct emuv_part *part)
{
  const struct emuv_hardware *hw = &v->run->config->hw;
  double host = hw->kernel_host + hw->page_host * part->n_refs;
  if (host <= 0) return;
  if (v->t.issue_ns > v->submitted_ns) v->submitted_ns = v->t.issue_ns;
  v->submitted_ns += host;
  v->t.issue_ns = v->submitted_ns;
}

/* Pages of a part that it writes. */
static uint32_t written_pages(const struct emuv_machine_virtual *v, const struct emuv_part *part)
{
  const struct emuv_program *p = v->run->program;
  const struct emuv_slice *s = &p->slices[part->slice];
  uint32_t skip = part->first_ref, left = part->n_refs, written = 0;
  for (uint32_t i = 0; i < s->n_runs && left; i++) {
    const struct emuv_page_run *run = &p->runs[s->first_run + i];
    uint32_t from = skip < run->n ? skip : run->n, n = run->n - from < left ? run->n - from : left;
    skip -= from;
    left -= n;
    if (run->flags & EMUV_RUN_WRITE) written += n;
  }
  return written;
}

/* What the kernel of a replay takes at least: it reads its recorded volume, reads pages whole that have just come, and
 * writes pages whole, since their contents tell the version (engine.h). 0 where the hardware is not calibrated. */
static double replayed_ns(const struct emuv_machine_virtual *v, const struct emuv_op *op, const struct emuv_part *part,
                          uint32_t faults)
{
  const struct emuv_hardware *hw = &v->run->config->hw;
  double rate = hw->vram_rate * hw->vram_efficiency, page = (double)v->run->page_bytes;
  if (hw->kernel_min <= 0 || rate <= 0) return hw->kernel_min;
  double whole = page * (2.0 * written_pages(v, part) + faults), volume = op->bytes * part->share;
  if (volume > page * part->n_refs) volume = page * part->n_refs;
  return hw->kernel_min + (whole > volume ? whole : volume) / rate * 1e9;
}

static double part_ns(const struct emuv_machine_virtual *v, const struct emuv_op *op, const struct emuv_part *part,
                      uint32_t faults)
{
  double kernel = emuv_timeline_kernel_ns(v->run->config, op) * part->share;
  double least = replayed_ns(v, op, part, faults);
  return (kernel > least ? kernel : least) + v->run->config->hw.kernel_gap;
}

static int virtual_run(struct emuv_machine *machine, const struct emuv_part *part,
                       const struct emuv_pager_outcome *outcome, double *end_ns, struct emuv_err *err)
{
  struct emuv_machine_virtual *v = self(machine);
  const struct emuv_op *op = op_of(v, part->slice);
  (void)err;
  submit(v);
  issue_part(v, part);
  double ready = outcome->ready_ns + fault_cost(v->run, outcome->faults);
  double kernel = part_ns(v, op, part, outcome->faults);
  emuv_timeline_run(&v->t, ready, outcome->waits_for_nvme, kernel, 0);
  if (part->closes) emuv_timeline_finish(&v->t, op);
  *end_ns = v->t.gpu_ns;
  return 0;
}

static int virtual_report(struct emuv_machine *machine, struct emuv_metrics *m, struct emuv_err *err)
{
  const struct emuv_machine_virtual *v = self(machine);
  (void)err;
  m->link_busy_s = (link_busy_ns(v) - v->link_start_ns) * 1e-9;
  m->disk_busy_s = (disk_busy_ns(v) - v->disk_start_ns) * 1e-9;
  m->peer_busy_s = (busy_until_now(v, &v->machine.ram.peer_read) - v->peer_start_ns) * 1e-9;
  m->peer_read_bytes = v->machine.ram.peer_read.bytes - v->peer_read_start;
  m->peer_write_bytes = v->machine.ram.peer_write.bytes - v->peer_write_start;
  emuv_timeline_report(&v->t, m);
  return 0;
}

static const struct emuv_machine_ops virtual_ops = {
    .name = "virtual",
    .open = virtual_open,
    .close = virtual_close,
    .step_begin = virtual_step_begin,
    .step_end = virtual_step_end,
    .reach = virtual_reach,
    .run = virtual_run,
    .report = virtual_report,
};

void emuv_machine_virtual_init(struct emuv_machine_virtual *v)
{
  *v = (struct emuv_machine_virtual){.machine.ops = &virtual_ops};
}
