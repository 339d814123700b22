// SPDX-License-Identifier: Apache-2.0
/* The virtual machine; see machine_virtual.h. */
#include "simulator/machine_virtual.h"

#include <stdlib.h>

enum { STAGED_BATCH_BYTES = 4 << 20 }; /* the engine submits so much at once (engine.c) */

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
  v->machine.ram = (struct emuv_tier){
      .ops = model, .schedule = v->link, .staging = v->staging, .host = &v->host, .frames = v->kernels.frame};
  v->machine.ram.env = (struct emuv_tier_env){.page_bytes = run->page_bytes,
                                              .coalesce_bytes = run->coalesce_bytes,
                                              .read = hw->h2d,
                                              .write = hw->d2h,
                                              .read_batched = hw->h2d_batched,
                                              .write_batched = hw->d2h_batched,
                                              .batch_bytes = emuv_tier_batch_bytes(run->vram_frames * run->page_bytes),
                                              .staged_batch_bytes = STAGED_BATCH_BYTES,
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
  emuv_kernels_free(&v->kernels);
  emuv_machine_virtual_init(v);
}

static int open_disk(struct emuv_machine_virtual *v, struct emuv_err *err)
{
  if (!v->run->nvme_frames) return 0;
  v->link = calloc(1, sizeof *v->link);
  v->disk = calloc(1, sizeof *v->disk);
  v->staging = calloc(v->run->program->n_pages + 1, 1);
  if (v->link && v->disk && v->staging) return 0;
  return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %u pages", v->run->program->n_pages);
}

static int open_kernels(struct emuv_machine_virtual *v, struct emuv_err *err)
{
  const struct emuv_hardware *hw = &v->run->config->hw;
  bool replayed = hw->kernel_min > 0 || hw->kernel_wait > 0 || hw->copy_host > 0 || hw->piece_host > 0;
  return replayed ? emuv_kernels_init(&v->kernels, v->run, err) : 0;
}

static int virtual_open(struct emuv_machine *machine, const struct emuv_machine_run *run, struct emuv_err *err)
{
  struct emuv_machine_virtual *v = self(machine);
  v->run = run;
  emuv_timeline_init(&v->t, run->config);
  v->host = (struct emuv_tier_host){.batch_ns = run->config->hw.copy_host, .piece_ns = run->config->hw.piece_host};
  int rc = open_disk(v, err);
  if (!rc) rc = open_kernels(v, err);
  if (rc)
    virtual_close(machine);
  else
    open_tiers(v);
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
  struct emuv_tier *ram = &v->machine.ram;
  ram->read.gathered_bytes = ram->staged.gathered_bytes = ram->write.gathered_bytes = 0;
  ram->peer_read.gathered_bytes = ram->peer_write.gathered_bytes = 0;
}

/* Between slices: what leaves is gathered on while its link has a batch to do anyway; what comes has another gate. */
static void submit_idle(struct emuv_machine_virtual *v)
{
  struct emuv_channel *down = &v->machine.ram.write;
  uint64_t gathered = down->gathered_bytes;
  if (!gathered) {
    submit(v);
    return;
  }
  uint64_t batch = v->machine.ram.env.batch_bytes;
  double batch_ns = (double)batch / emuv_curve_rate(&v->run->config->hw.d2h, batch) * 1e9;
  submit(v);
  if (down->free_ns - v->host.now_ns > batch_ns) down->gathered_bytes = gathered;
}

/* The host goes on when a launch is issued, or when it has submitted what came before. */
static void host_reaches(struct emuv_machine_virtual *v)
{
  if (v->t.issue_ns > v->host.now_ns) v->host.now_ns = v->t.issue_ns;
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
  submit_idle(v);
  if (v->run->program->slices[slice].opens_op) emuv_timeline_issue(&v->t, op_of(v, slice));
  host_reaches(v);
  v->t.issue_ns = v->host.now_ns;
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

/* The host needs a while for each part and its copies, beside what the launch took when it was recorded. */
static void issue_part(struct emuv_machine_virtual *v, const struct emuv_part *part)
{
  const struct emuv_hardware *hw = &v->run->config->hw;
  v->host.now_ns += hw->kernel_host + hw->page_host * part->n_refs;
  v->t.issue_ns = v->host.now_ns;
}

/* What the kernel of a replay takes at least (kernels.h), and what it loses by copies. 0 where the hardware is not
 * calibrated. */
static double part_ns(const struct emuv_machine_virtual *v, const struct emuv_op *op, const struct emuv_part *part,
                      const struct emuv_touched *touched)
{
  const struct emuv_hardware *hw = &v->run->config->hw;
  double kernel = emuv_timeline_kernel_ns(v->run->config, op) * part->share, least = hw->kernel_min;
  double rate = hw->vram_rate * hw->vram_efficiency, writing = hw->kernel_write_rate > 0 ? hw->kernel_write_rate : rate;
  if (least > 0 && rate > 0)
    least += (touched->wide ? hw->kernel_wide : 0) + (touched->bytes / rate + touched->written_bytes / writing) * 1e9;
  return (kernel > least ? kernel : least) + hw->kernel_gap;
}

/* What a kernel loses by copies that it need not wait for any more (it waits for those of its own faults anyhow), and
 * by others that are on the link. */
static double lost_ns(const struct emuv_machine_virtual *v, const struct emuv_touched *touched, uint32_t faults)
{
  const struct emuv_hardware *hw = &v->run->config->hw;
  const struct emuv_tier *ram = &v->machine.ram;
  double start_ns = v->t.gpu_ns > v->t.issue_ns ? v->t.gpu_ns : v->t.issue_ns;
  bool busy = !faults && (ram->read.free_ns > start_ns || ram->staged.free_ns > start_ns);
  return (faults ? 0 : touched->n_waits * hw->kernel_wait) + (busy ? hw->kernel_busy : 0);
}

static int virtual_run(struct emuv_machine *machine, const struct emuv_part *part,
                       const struct emuv_pager_outcome *outcome, double *end_ns, struct emuv_err *err)
{
  struct emuv_machine_virtual *v = self(machine);
  const struct emuv_op *op = op_of(v, part->slice);
  (void)err;
  struct emuv_touched touched = {0};
  if (outcome->faults) submit(v);
  if (v->kernels.frame) emuv_kernels_touch(&v->kernels, part, op->bytes, v->host.now_ns, &touched);
  issue_part(v, part);
  double ready = outcome->ready_ns + fault_cost(v->run, outcome->faults);
  double kernel = part_ns(v, op, part, &touched) + lost_ns(v, &touched, outcome->faults);
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
