// SPDX-License-Identifier: Apache-2.0
/* emuv-replay: scenarios and captured traces through the pager on real memory, every byte checked; results beside those
 * of emuv-sim. */
#include "runtime/core/inject.h"
#include "runtime/core/log.h"
#include "runtime/core/progress.h"
#include "runtime/core/status.h"
#include "runtime/core/units.h"
#include "runtime/replay/measure.h"
#include "runtime/replay/options.h"
#include "runtime/replay/series.h"
#include "simulator/list.h"
#include "simulator/load.h"
#include "simulator/sweep.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_DAMAGE_LINES = 20 };

static atomic_bool interrupted; /* lock-free, so a handler may set it; threads read it */

static void on_signal(int number)
{
  (void)number;
  interrupted = true;
}

static void catch_signals(void)
{
  struct sigaction act = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}; /* a second Ctrl-C ends at once */
  sigaction(SIGINT, &act, NULL);
  sigaction(SIGTERM, &act, NULL);
}

struct show {
  struct emuv_progress progress;
  const char *label;
  uint64_t damages;
  bool quiet, started;
};

static void show_begin(void *arg, size_t rows)
{
  struct show *s = arg;
  emuv_progress_start(&s->progress, s->label, "rows", rows, (double)rows, s->quiet);
  s->started = true;
}

static void show_step(void *arg, double share)
{
  struct show *s = arg;
  emuv_progress_add(&s->progress, 0, share);
}

static void show_done(void *arg, const struct emuv_metrics *m)
{
  struct show *s = arg;
  (void)m;
  emuv_progress_add(&s->progress, 1, 0);
}

static void show_restored(void *arg, uint64_t step, double seconds)
{
  char time[32];
  (void)arg;
  emuv_log(EMUV_LOG_INFO, "restored: goes on at step %llu, %s after the start", (unsigned long long)step,
           emuv_units_human_time(seconds, time, sizeof time));
}

static void show_damage(void *arg, const struct emuv_damage *d)
{
  struct show *s = arg;
  if (s->damages++ >= MAX_DAMAGE_LINES) return;
  emuv_log(EMUV_LOG_ERROR, "page %u, version %u (%s), is wrong at offset %llu: %016llx expected, %016llx found",
           d->page, d->version, d->path, (unsigned long long)d->offset, (unsigned long long)d->expected,
           (unsigned long long)d->found);
}

/* What the series did, beside its rows. */
static void log_summary(const struct emuv_replay_arguments *a, const struct emuv_series_summary *s,
                        const struct show *show)
{
  char checked[32];
  if (show->damages > MAX_DAMAGE_LINES)
    emuv_log(EMUV_LOG_ERROR, "%llu wrong pages in all", (unsigned long long)show->damages);
  emuv_log(EMUV_LOG_INFO, "%zu rows: %zu measured, %zu stored before", s->total, s->computed, s->skipped);
  if (s->infeasible) emuv_log(EMUV_LOG_INFO, "%zu rows cannot run: %s", s->infeasible, s->first_infeasible);
  if (s->computed)
    emuv_log(EMUV_LOG_INFO, "%llu kernels, %s checked, %llu wrong pages", (unsigned long long)s->kernels,
             emuv_units_human_bytes((double)s->checked_bytes, checked, sizeof checked), (unsigned long long)s->damages);
  if (s->flipped)
    emuv_log(EMUV_LOG_INFO, "%llu bits inverted: %llu found, %llu overwritten before they were read",
             (unsigned long long)s->flipped, (unsigned long long)s->flips_found,
             (unsigned long long)s->flips_overwritten);
  if (a->checkpoint) emuv_log(EMUV_LOG_INFO, "%llu checkpoints", (unsigned long long)s->checkpoints);
}

/* Faults that were asked for and how often they came. */
static void log_faults(struct emuv_inject *inject)
{
  for (int p = 0; inject && p < EMUV_INJECT_N_POINTS; p++) {
    uint64_t asked = 0, fired = 0;
    emuv_inject_counts(inject, (enum emuv_inject_point)p, &asked, &fired);
    if (fired)
      emuv_log(EMUV_LOG_INFO, "fault %s: %llu times in %llu calls", emuv_inject_name((enum emuv_inject_point)p),
               (unsigned long long)fired, (unsigned long long)asked);
  }
}

static int measure(const struct emuv_replay_arguments *a, const struct emuv_scenario *s, struct emuv_results *r,
                   struct emuv_inject *inject, struct emuv_err *err)
{
  struct show show = {.label = s->configs[0].scenario, .quiet = a->common.quiet > 0};
  struct emuv_err no_status = {0};
  struct emuv_series_summary summary;
  struct emuv_series_options options = {.how = a->how,
                                        .repeat = a->repeat,
                                        .inject_seed = EMUV_REPLAY_INJECT_SEED,
                                        .checkpoint = a->checkpoint,
                                        .restore = a->restore,
                                        .checkpoint_every_ns = a->checkpoint_every_ns,
                                        .checkpoint_every_steps = a->checkpoint_every_steps,
                                        .begin = show_begin,
                                        .step = show_step,
                                        .done = show_done,
                                        .restored = show_restored,
                                        .arg = &show};
  options.how.inject = inject;
  options.how.stop = &interrupted;
  if (emuv_status_create(&options.how.status, &no_status))
    emuv_log(EMUV_LOG_WARNING, "emuv-top will not see this run: %s", no_status.text);
  options.how.on_damage = show_damage;
  signal(SIGPIPE, SIG_IGN);
  int rc = a->common.fresh ? emuv_results_forget(r, show.label, "replay", err) : 0;
  if (!rc) rc = emuv_series_run(s, r, &options, &summary, err);
  if (show.started) emuv_progress_finish(&show.progress);
  signal(SIGPIPE, SIG_DFL);
  emuv_status_close(options.how.status);
  log_faults(inject);
  if (rc) return rc;
  log_summary(a, &summary, &show);
  if (!summary.damages) return 0;
  return emuv_err_set(err, EMUV_ERR_IO, "%llu wrong pages in %zu rows", (unsigned long long)summary.damages,
                      summary.damaged_rows);
}

/* The predictions for the same configurations, into the same database. */
static int predict(const struct emuv_replay_arguments *a, const struct emuv_scenario *s, struct emuv_results *r,
                   struct emuv_err *err)
{
  struct emuv_sweep_summary summary;
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  struct emuv_sweep_options options = {.jobs = cores > 0 ? (int)cores : 1, .stop = &interrupted};
  if (!a->with_sim) return 0;
  int rc = a->common.fresh ? emuv_results_forget(r, s->configs[0].scenario, "sim", err) : 0;
  if (!rc) rc = emuv_sweep_run(s, r, &options, &summary, err);
  if (!rc)
    emuv_log(EMUV_LOG_INFO, "%zu predictions: %zu computed, %zu stored before", summary.total, summary.computed,
             summary.skipped);
  return rc;
}

static int replay_into(const struct emuv_replay_arguments *a, const struct emuv_scenario *s, struct emuv_inject *inject,
                       struct emuv_err *err)
{
  struct emuv_results r = {0};
  struct emuv_err damage = {0};
  char path[PATH_MAX];
  int rc = emuv_load_output(&a->common, s->configs[0].scenario, path, sizeof path, err);
  if (!rc) rc = emuv_results_open(path, &r, err);
  if (!rc) rc = predict(a, s, &r, err);
  if (!rc) rc = measure(a, s, &r, inject, &damage);
  if (rc && err && damage.code) *err = damage;
  if (!rc) rc = emuv_load_answer(&a->common, s, "replay", &r, err);
  emuv_results_close(&r);
  return rc;
}

/* The device must be there before anything is written. */
static int find_device(const struct emuv_replay_arguments *a, struct emuv_err *err)
{
  struct emuv_device_info info = {.n_devices = 0};
  if (!a->how.device) {
    emuv_err_set(err, EMUV_ERR_NODEV, "this emuV was built without device cuda");
    return emuv_err_hint(err, "--device host replays in host memory, with a modelled link");
  }
  int rc = a->how.device->probe(a->how.gpu, &info, err);
  if (!rc) emuv_log(EMUV_LOG_DEBUG, "device %s: %s", a->how.device->name, info.name);
  if (rc == EMUV_ERR_NODEV) emuv_err_hint(err, "--device host replays in host memory, with a modelled link");
  return rc;
}

/* So must the place of the disk and the GPU that lends its memory. */
static int find_places(const struct emuv_replay_arguments *a, const struct emuv_scenario *s, struct emuv_err *err)
{
  const struct emuv_config *disk = NULL, *peer = NULL;
  struct emuv_disk *opened = NULL;
  struct emuv_device_info info;
  for (size_t i = 0; i < s->n_configs; i++) {
    if (s->configs[i].nvme) disk = &s->configs[i];
    if (s->configs[i].peer) peer = &s->configs[i];
  }
  int rc = peer ? a->how.device->probe(emuv_replay_peer(&a->how), &info, err) : 0;
  if (rc || !disk) return rc;
  const struct emuv_disk_env env = {.path = a->how.disk_path, .slot_bytes = disk->page_size, .n_slots = 1};
  rc = emuv_disk_open(&env, &opened, err);
  emuv_disk_close(opened);
  return rc;
}

static int replay(const struct emuv_replay_arguments *a, const struct emuv_scenario *s, struct emuv_err *err)
{
  struct emuv_inject *inject = NULL;
  int rc = find_device(a, err);
  if (!rc) rc = find_places(a, s, err);
  if (!rc) rc = emuv_inject_open(a->inject, a->n_inject, EMUV_REPLAY_INJECT_SEED, &inject, err);
  if (!rc) rc = replay_into(a, s, a->n_inject ? inject : NULL, err);
  emuv_inject_close(inject);
  return rc;
}

static int run(const struct emuv_replay_arguments *a, struct emuv_err *err)
{
  struct emuv_scenario s = {.n_configs = 0};
  int rc = emuv_load_scenario(&a->common, &s, err);
  if (rc) return rc;
  rc = emuv_load_check_traces(&s, err);
  if (!rc) emuv_load_notes(&s);
  if (!rc) rc = emuv_replay_arguments_check(a, &s, err);
  if (!rc) rc = a->common.dry_run ? emuv_load_dry_run(&a->common, &s, err) : replay(a, &s, err);
  emuv_scenario_free(&s);
  return rc;
}

int main(int argc, char **argv)
{
  struct emuv_replay_arguments a;
  struct emuv_err err = {0};
  emuv_replay_arguments_parse(argc, argv, &a);
  catch_signals();
  int rc = a.common.list ? emuv_replay_list(a.common.list, stdout, &err)
           : a.calibrate ? emuv_measure_calibrate(&a, &err)
           : a.links     ? emuv_measure_links(&a, &err)
                         : run(&a, &err);
  if (!rc && (fflush(stdout) != 0 || ferror(stdout)))
    rc = emuv_err_errno(&err, EMUV_ERR_IO, "cannot write to standard output");
  if (rc) emuv_err_print(&err, stderr);
  emuv_arguments_free(&a.common);
  return emuv_err_exit_status(rc);
}
