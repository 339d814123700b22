// SPDX-License-Identifier: Apache-2.0
/* The real machine; see machine.h. Times as the simulator's virtual clock has them (simulator/timeline.c): the same
 * recorded costs, waited for instead of added up. */
#include "runtime/replay/machine.h"

#include "runtime/replay/disk_watch.h"
#include "runtime/replay/pace.h"
#include "runtime/replay/publish.h"
#include "runtime/replay/resume.h"
#include "simulator/timeline.h"

#include <string.h>

enum { WARMUP_KERNELS = 8, DAMAGE_BATCH = 16, SHARES = 256, BOUNCE_BYTES = 128 << 20 };

/* `machine` is the first member. */
static struct emuv_replay_machine *self(struct emuv_machine *machine)
{
  return (struct emuv_replay_machine *)machine;
}

static const struct emuv_op *op_of(const struct emuv_replay_machine *m, uint32_t slice)
{
  return &m->run->workload->ops[m->run->program->slices[slice].op];
}

static int check_stop(const struct emuv_replay_machine *m, struct emuv_err *err)
{
  if (!m->how->stop || !atomic_load_explicit(m->how->stop, memory_order_relaxed)) return 0;
  return emuv_err_set(err, EMUV_ERR_INTERRUPTED, "interrupted");
}

static struct emuv_curve scaled_curve(const struct emuv_curve *curve, double time_scale)
{
  struct emuv_curve c = *curve;
  if (time_scale <= 0) c.n = 0;
  for (uint32_t i = 0; i < c.n; i++) c.point[i].bytes_per_s /= time_scale;
  return c;
}

static int open_engine(struct emuv_replay_machine *m, struct emuv_err *err)
{
  const struct emuv_machine_run *run = m->run;
  const struct emuv_replay_how *how = m->how;
  const struct emuv_hardware *hw = &run->config->hw;
  struct emuv_engine_env env = {.device = how->device,
                                .device_index = how->gpu,
                                .mapping = how->mapping,
                                .page_bytes = run->page_bytes,
                                .n_pages = run->program->n_pages,
                                .vram_frames = run->vram_frames,
                                .ram_frames = run->ram_frames,
                                .bounce_frames = run->bounce_frames,
                                .nvme_slots = run->nvme_frames,
                                .disk_path = run->nvme_frames ? how->disk_path : NULL,
                                .verify = how->verify,
                                .threads = how->threads,
                                .peer_bytes = run->config->peer,
                                .peer_index = emuv_replay_peer(how),
                                .peer = scaled_curve(&hw->peer, how->time_scale),
                                .up = scaled_curve(&hw->h2d, how->time_scale),
                                .down = scaled_curve(&hw->d2h, how->time_scale),
                                .inject = how->inject,
                                .stop = how->stop};
  if (!run->vram_frames)
    return emuv_err_set(err, EMUV_ERR_RANGE, "VRAM of %llu bytes holds no page of %llu bytes",
                        (unsigned long long)run->config->vram, (unsigned long long)run->page_bytes);
  if (run->nvme_frames && !how->disk_path) {
    emuv_err_set(err, EMUV_ERR_USAGE, "disk space is asked for, but not where");
    return emuv_err_hint(err, "--nvme PATH:SIZE, or --nvme-path PATH: a folder, a file or a block device");
  }
  return emuv_engine_open(&env, &m->engine, err);
}

static void real_close(struct emuv_machine *machine)
{
  struct emuv_replay_machine *m = self(machine);
  if (m->engine) emuv_engine_close(m->engine);
  m->engine = NULL;
  emuv_uses_free(&m->uses);
  emuv_clock_free(&m->clock);
  emuv_refusals_free(&m->refusals);
}

static int real_open(struct emuv_machine *machine, const struct emuv_machine_run *run, struct emuv_err *err)
{
  struct emuv_replay_machine *m = self(machine);
  m->run = run;
  int rc = emuv_uses_init(&m->uses, run, err);
  if (!rc) rc = emuv_clock_init(&m->clock, run->workload, run->config->hw.launch * m->how->time_scale, err);
  if (!rc) rc = emuv_resume_check(m, err);
  if (!rc) emuv_publish(m, "opening"); /* to touch and pin much memory takes a while */
  if (!rc) rc = open_engine(m, err);
  if (rc) {
    real_close(machine);
    return rc;
  }
  m->opened = true;
  emuv_resume_tiers(m);
  return 0;
}

/* Kernels before the clock starts: the first ones of a device are slow. */
static int warm_up(struct emuv_replay_machine *m, struct emuv_err *err)
{
  struct emuv_use none = {0};
  int rc = 0;
  for (int i = 0; i < WARMUP_KERNELS && !rc; i++) rc = emuv_engine_launch(m->engine, &none, 0, 0, &m->last_seq, err);
  return rc ? rc : emuv_engine_drain(m->engine, err);
}

static int real_placed(struct emuv_machine *machine, struct emuv_err *err)
{
  struct emuv_replay_machine *m = self(machine);
  m->placed = true;
  emuv_publish(m, "filling");
  m->skimming = emuv_resume_first_step(m) > 0;
  int rc = m->skimming ? 0 : emuv_engine_fill(m->engine, m->run->pager, err);
  if (!rc && !m->skimming) rc = emuv_disk_watch(m, &m->disk_before, err);
  if (!rc) rc = warm_up(m, err);
  if (!rc && m->skimming) emuv_engine_skim(m->engine, true);
  return rc;
}

/* Takes what is known of the kernels launched so far. */
static void collect(struct emuv_replay_machine *m)
{
  struct emuv_span span;
  double data_ns = 0;
  bool from_disk = false;
  for (uint64_t seq = emuv_clock_wants(&m->clock); seq; seq = emuv_clock_wants(&m->clock)) {
    if (!emuv_engine_span(m->engine, seq, &span, &data_ns, &from_disk)) return;
    emuv_clock_take(&m->clock, &span, data_ns, from_disk);
  }
}

/* The host is far ahead: waits for half of what is pending. */
static int make_room(struct emuv_replay_machine *m, struct emuv_err *err)
{
  int rc = emuv_engine_wait(m->engine, emuv_clock_middle(&m->clock), err);
  collect(m);
  if (rc || !emuv_clock_full(&m->clock)) return rc;
  return emuv_err_set(err, EMUV_ERR_INTERNAL, "nobody knows when kernel %llu ran",
                      (unsigned long long)emuv_clock_wants(&m->clock));
}

/* Waits for the last kernel and takes it. */
static int catch_up(struct emuv_replay_machine *m, struct emuv_err *err)
{
  int rc = m->last_seq ? emuv_engine_wait(m->engine, m->last_seq, err) : 0;
  if (!rc) collect(m);
  if (rc || !emuv_clock_wants(&m->clock)) return rc;
  return emuv_err_set(err, EMUV_ERR_INTERNAL, "nobody knows when kernel %llu ran",
                      (unsigned long long)emuv_clock_wants(&m->clock));
}

/* Wrong pages that kernels have found by now. */
static int look_for_damage(struct emuv_replay_machine *m, struct emuv_err *err)
{
  struct emuv_damage found[DAMAGE_BATCH];
  for (uint32_t n = DAMAGE_BATCH; n == DAMAGE_BATCH;) {
    n = emuv_engine_damage(m->engine, found, DAMAGE_BATCH);
    for (uint32_t i = 0; i < n; i++)
      if (m->how->on_damage) m->how->on_damage(m->how->arg, &found[i]);
    m->damages += n;
  }
  if (!m->damages || !m->how->stop_on_damage) return 0;
  return emuv_err_set(err, EMUV_ERR_IO, "a page is not what was written to it");
}

static int launch(struct emuv_replay_machine *m, const struct emuv_use *use, uint32_t n, double duration_ns,
                  double issue_ns, struct emuv_err *err)
{
  double net = duration_ns - m->clock.launch_ns;
  int rc = emuv_clock_full(&m->clock) ? make_room(m, err) : 0;
  if (!rc) rc = emuv_engine_launch(m->engine, use, n, net > 0 ? net : 0, &m->last_seq, err);
  if (!rc) emuv_clock_launched(&m->clock, m->last_seq, issue_ns);
  return rc;
}

static int wait_until(struct emuv_replay_machine *m, double at_ns, struct emuv_err *err)
{
  int rc = emuv_pace_now() < at_ns ? emuv_engine_flush(m->engine, err) : 0;
  return rc || emuv_pace_until(at_ns, m->how->stop) ? rc : check_stop(m, err);
}

/* The last kernel of a launch of many, held back until the host issues it. */
static int launch_tail(struct emuv_replay_machine *m, struct emuv_err *err)
{
  struct emuv_use none = {0};
  double duration = m->tail_ns;
  if (duration <= 0) return 0;
  m->tail_ns = 0;
  int rc = wait_until(m, m->tail_at_ns, err);
  return rc ? rc : launch(m, &none, 0, duration, m->tail_at_ns, err);
}

static int start_clocks(struct emuv_replay_machine *m, size_t step, struct emuv_err *err)
{
  int rc = emuv_engine_drain(m->engine, err);
  if (rc) return rc;
  m->started = true;
  m->host_ns = m->issue_ns = emuv_pace_now();
  emuv_clock_start(&m->clock, step, m->host_ns);
  return 0;
}

static int real_step_begin(struct emuv_machine *machine, size_t step, struct emuv_err *err)
{
  struct emuv_replay_machine *m = self(machine);
  m->step = step;
  if (step == m->run->workload->warmup_steps) emuv_engine_stats(m->engine, &m->timed);
  if (m->skimming && step < emuv_resume_first_step(m)) return 0;
  int rc = m->skimming ? emuv_resume_load(m, err) : 0;
  if (rc) return rc;
  if (step == m->run->workload->warmup_steps || (m->skimming && step > m->run->workload->warmup_steps))
    emuv_engine_stats(m->engine, &m->start);
  m->skimming = false;
  if (m->started) return 0;
  emuv_publish(m, "running");
  return start_clocks(m, step, err);
}

static int host_issues(struct emuv_replay_machine *m, const struct emuv_op *op, struct emuv_err *err)
{
  double cost = emuv_timeline_host_ns(m->run->config, op) * m->how->time_scale;
  int rc = launch_tail(m, err);
  if (rc) return rc;
  double issue = m->host_ns + (op->launches ? cost / op->launches : cost);
  m->host_ns += cost;
  rc = wait_until(m, issue, err);
  m->issue_ns = emuv_pace_now();
  return rc;
}

/* Rows can take minutes, and so can their steps. */
static void show_share(struct emuv_replay_machine *m, uint32_t slices)
{
  uint32_t n = m->run->program->n_slices;
  if (!m->how->on_share || (slices - m->shown < n / SHARES && slices < n)) return;
  m->how->on_share(m->how->arg, (double)(slices - m->shown) / n);
  m->shown = slices;
}

static int real_reach(struct emuv_machine *machine, uint32_t slice, double *start_ns, struct emuv_err *err)
{
  struct emuv_replay_machine *m = self(machine);
  int rc = check_stop(m, err);
  *start_ns = 0;
  show_share(m, slice + 1);
  if (rc || m->skimming) return rc;
  rc = emuv_engine_tend(m->engine, m->run->pager, err);
  collect(m);
  emuv_publish(m, NULL);
  if (!rc && m->run->program->slices[slice].opens_op) rc = host_issues(m, op_of(m, slice), err);
  emuv_engine_gate(m->engine, m->last_seq);
  *start_ns = m->issue_ns;
  return rc;
}

/* A launch of many kernels cannot end before the host has issued the last of them: where the GPU would be done by then,
 * that kernel is held back. Returns the time of the rest. */
static double hold_back_tail(struct emuv_replay_machine *m, const struct emuv_op *op, double kernel_ns,
                             double duration_ns)
{
  if (op->launches < 2) return duration_ns;
  double last = kernel_ns / op->launches;
  if (last > duration_ns) last = duration_ns;
  if (last <= 0 || emuv_pace_now() + duration_ns >= m->host_ns + last) return duration_ns;
  m->tail_ns = last;
  m->tail_at_ns = m->host_ns;
  return duration_ns - last;
}

static int host_waits(struct emuv_replay_machine *m, struct emuv_err *err)
{
  int rc = launch_tail(m, err);
  if (!rc) rc = catch_up(m, err);
  if (!rc && m->clock.now_ns > m->host_ns) m->host_ns = m->clock.now_ns;
  return rc;
}

static int real_run(struct emuv_machine *machine, const struct emuv_part *part,
                    const struct emuv_pager_outcome *outcome, double *end_ns, struct emuv_err *err)
{
  struct emuv_replay_machine *m = self(machine);
  const struct emuv_op *op = op_of(m, part->slice);
  (void)outcome;
  *end_ns = 0;
  emuv_uses_build(&m->uses, m->run, part, m->run->pager->vram_frame);
  if (m->skimming) return emuv_engine_launch(m->engine, m->uses.use, m->uses.n, 0, &m->last_seq, err);
  double kernel_ns = emuv_timeline_kernel_ns(m->run->config, op) * m->how->time_scale;
  double duration_ns = kernel_ns * part->share;
  if (part->closes) duration_ns = hold_back_tail(m, op, kernel_ns, duration_ns);
  int rc = launch(m, m->uses.use, m->uses.n, duration_ns, m->issue_ns, err);
  if (!rc && part->closes && op->sync) rc = host_waits(m, err);
  return rc;
}

static int real_step_end(struct emuv_machine *machine, size_t step, struct emuv_metrics *metrics, struct emuv_err *err)
{
  struct emuv_replay_machine *m = self(machine);
  (void)metrics;
  if (m->how->on_step) m->how->on_step(m->how->arg, step);
  if (m->skimming) return 0;
  int rc = launch_tail(m, err);
  if (!rc) rc = emuv_engine_tend(m->engine, m->run->pager, err);
  if (rc) return rc;
  emuv_clock_step_end(&m->clock, m->last_seq);
  collect(m);
  rc = look_for_damage(m, err);
  if (rc || !emuv_resume_due(m, step + 1)) return rc;
  rc = emuv_engine_drain(m->engine, err);
  if (!rc) rc = catch_up(m, err);
  if (!rc) rc = emuv_resume_save(m, step + 1, err);
  m->started = false; /* the time that it took is nobody's */
  return rc;
}

/* What was moved is what the pager counted. */
static int check_books(const struct emuv_replay_machine *m, const struct emuv_engine_stats *s, struct emuv_err *err)
{
  const struct emuv_pager_counts *c = &m->run->pager->count;
  uint64_t page = m->run->page_bytes;
  if (emuv_resume_first_step(m) || m->how->inject)
    return 0; /* not everything was moved by this process, or some of it again */
  if (s->up_bytes == c->up * page && s->down_bytes == c->down * page) return 0;
  return emuv_err_set(err, EMUV_ERR_INTERNAL, "%llu bytes up and %llu down were moved, but %llu and %llu counted",
                      (unsigned long long)s->up_bytes, (unsigned long long)s->down_bytes,
                      (unsigned long long)(c->up * page), (unsigned long long)(c->down * page));
}

/* What the engine had to do without, and a disk whose speed is not the calibrated one. */
static void note_remarks(struct emuv_replay_machine *m, const struct emuv_engine_stats *s)
{
  char disk[128];
  double calibrated = emuv_curve_rate(&m->run->config->hw.nvme_read, m->run->page_bytes);
  emuv_disk_watch_note(m->disk_before, m->disk_after, calibrated, disk, sizeof disk);
  (void)snprintf(m->remark, sizeof m->remark, "%s", s->remark);
  size_t used = strlen(m->remark);
  (void)snprintf(m->remark + used, sizeof m->remark - used, "%s%s", used && disk[0] ? "; " : "", disk);
}

static void measure(struct emuv_replay_machine *m, const struct emuv_engine_stats *s, struct emuv_metrics *metrics)
{
  static const char *const verify[] = {"off", "sample", "full"};
  const struct emuv_checkpoint_sums *kept = emuv_resume_sums(m);
  const struct emuv_hardware *hw = &m->run->config->hw;
  emuv_clock_report(&m->clock, hw->power_idle, hw->power_busy, metrics);
  metrics->link_busy_s = (s->up_busy_ns - m->start.up_busy_ns + kept->up_busy_ns) * 1e-9;
  metrics->peer_busy_s = (s->peer_busy_ns - m->start.peer_busy_ns + kept->peer_busy_ns) * 1e-9;
  metrics->peer_read_bytes = (s->peer_ups - m->timed.peer_ups) * m->run->page_bytes;
  metrics->peer_write_bytes = (s->peer_downs - m->timed.peer_downs) * m->run->page_bytes;
  metrics->disk_busy_s = (s->disk_busy_ns - m->start.disk_busy_ns + kept->disk_busy_ns) * 1e-9;
  note_remarks(m, s);
  m->measured = (struct emuv_measured){
      .device = m->how->device->name,
      .mapping = m->how->mapping == EMUV_MAPPING_REMAP ? "remap" : "table",
      .verify = verify[m->how->verify],
      .remark = m->remark,
      .time_scale = m->how->time_scale,
      .kernels = m->clock.sum.kernels,
      .checked_bytes = s->checked_bytes + kept->checked_bytes,
      .mismatches = s->mismatches + kept->mismatches,
      .map_s = (s->device.map_ns - m->start.device.map_ns + kept->map_ns) * 1e-9,
      .unmap_s = (s->device.unmap_ns - m->start.device.unmap_ns + kept->unmap_ns) * 1e-9,
  };
}

static int real_report(struct emuv_machine *machine, struct emuv_metrics *metrics, struct emuv_err *err)
{
  struct emuv_replay_machine *m = self(machine);
  struct emuv_engine_stats stats;
  int rc = emuv_engine_drain(m->engine, err);
  if (!rc) rc = catch_up(m, err);
  emuv_engine_stats(m->engine, &stats);
  if (!rc) rc = emuv_disk_watch(m, &m->disk_after, err);
  emuv_publish(m, "checking");
  if (!rc && m->how->verify == EMUV_VERIFY_FULL) rc = emuv_engine_audit(m->engine, m->run->pager, &m->audited, err);
  if (!rc) rc = look_for_damage(m, err);
  if (!rc) rc = check_books(m, &stats, err);
  if (rc) return rc;
  measure(m, &stats, metrics);
  emuv_engine_stats(m->engine, &stats); /* the audit's findings count, its copies do not */
  m->measured.mismatches = stats.mismatches + emuv_resume_sums(m)->mismatches;
  m->measured.checked_bytes = stats.checked_bytes + emuv_resume_sums(m)->checked_bytes;
  m->flipped = stats.flipped;
  m->flips_found = stats.flips_found;
  m->flips_overwritten = stats.flips_overwritten;
  emuv_publish(m, "done");
  return 0;
}

static const struct emuv_machine_ops real_ops = {
    .name = "real",
    .open = real_open,
    .close = real_close,
    .placed = real_placed,
    .step_begin = real_step_begin,
    .step_end = real_step_end,
    .reach = real_reach,
    .run = real_run,
    .report = real_report,
};

void emuv_replay_machine_init(struct emuv_replay_machine *m, const struct emuv_replay_how *how,
                              struct emuv_resume *resume)
{
  memset(m, 0, sizeof *m);
  m->machine.ops = &real_ops;
  m->machine.bounce_bytes = BOUNCE_BYTES;
  m->how = how;
  m->resume = resume;
}
