// SPDX-License-Identifier: Apache-2.0
/* Calibration (calibrate.h): the order of measurements, repetitions, and what the figures themselves warn of. */
#include "runtime/replay/calibrate_internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const double NOISE = 0.05;
static const uint64_t LARGEST_COPY = UINT64_C(64) << 20, SERIES_BYTES = UINT64_C(256) << 20,
                      SMALLEST_LARGEST = UINT64_C(64) << 10;
static const double DISK_SECONDS = 0.25;

double emuv_calibrate_now_ns(void)
{
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

struct emuv_figure emuv_calibrate_figure(double *values, uint32_t n)
{
  qsort(values, n, sizeof *values, ascending);
  const double median = values[n / 2], quartiles = values[3 * n / 4] - values[n / 4];
  return (struct emuv_figure){.value = median, .spread = median > 0 ? quartiles / median : 0, .n = n};
}

int emuv_calibrate_repeat(emuv_measure_fn measure, void *arg, struct emuv_figure *figure, struct emuv_err *err)
{
  double values[EMUV_CALIBRATE_REPETITIONS];
  int rc = measure(arg, &values[0], err);
  for (uint32_t i = 0; rc == 0 && i < EMUV_CALIBRATE_REPETITIONS; i++) rc = measure(arg, &values[i], err);
  if (rc == 0) *figure = emuv_calibrate_figure(values, EMUV_CALIBRATE_REPETITIONS);
  return rc;
}

void emuv_calibrate_warn(struct emuv_calibration *c, const char *fmt, ...)
{
  if (c->n_warnings == EMUV_CALIBRATION_WARNINGS) return;
  char *text = c->warnings[c->n_warnings++];
  va_list args;
  va_start(args, fmt);
  (void)vsnprintf(text, sizeof c->warnings[0], fmt, args);
  va_end(args);
}

static void warn_of_noise(struct emuv_calibration *c, const char *what, const struct emuv_figure *f)
{
  if (f->n > 1 && f->spread > NOISE)
    emuv_calibrate_warn(c, "noise: repetitions of %s differ by %.0f %%", what, 100 * f->spread);
}

/* One warning per curve, for its worst point. */
static void warn_of_noisy_curve(struct emuv_calibration *c, const char *what, const struct emuv_figures *figures)
{
  struct emuv_figure worst = {0};
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < figures->n; i++) {
    if (figures->at[i].rate.spread <= worst.spread) continue;
    worst = figures->at[i].rate;
    bytes = figures->at[i].bytes;
  }
  char text[96];
  (void)snprintf(text, sizeof text, "%s, at %llu KiB worst,", what, (unsigned long long)(bytes >> 10));
  warn_of_noise(c, text, &worst);
}

static void warn_of_all_noise(struct emuv_calibration *c)
{
  warn_of_noisy_curve(c, "host to device", &c->h2d);
  warn_of_noisy_curve(c, "device to host", &c->d2h);
  warn_of_noisy_curve(c, "host to device in batches", &c->h2d_batched);
  warn_of_noisy_curve(c, "device to host in batches", &c->d2h_batched);
  warn_of_noisy_curve(c, "from another GPU", &c->peer);
  warn_of_noise(c, "both directions at once", &c->duplex);
  warn_of_noise(c, "reading in place", &c->zero_copy);
  warn_of_noise(c, "reading device memory", &c->vram);
  warn_of_noise(c, "pageable copies", &c->pageable);
  warn_of_noise(c, "the gap between launches", &c->launch);
  warn_of_noise(c, "the shortest kernel", &c->shortest);
  warn_of_noise(c, "submitting a kernel", &c->kernel_host);
  warn_of_noise(c, "submitting copies", &c->copy_host);
  warn_of_noise(c, "a demand fault", &c->fault);
  warn_of_noise(c, "a small copy and its wait", &c->copy_sync);
  warn_of_noisy_curve(c, "disk reads", &c->nvme_read);
  warn_of_noisy_curve(c, "disk writes", &c->nvme_write);
  warn_of_noise(c, "the latency of the disk", &c->nvme_latency);
}

static int complete(struct emuv_calibrate_options *o, struct emuv_err *err)
{
  if (o->largest_copy == 0) o->largest_copy = LARGEST_COPY;
  if (o->series_bytes == 0) o->series_bytes = SERIES_BYTES;
  if (o->disk_seconds <= 0) o->disk_seconds = DISK_SECONDS;
  if (o->largest_copy < SMALLEST_LARGEST || (o->largest_copy & (o->largest_copy - 1)) != 0)
    return emuv_err_set(err, EMUV_ERR_RANGE, "the largest copy must be a power of two from 64 KiB");
  return 0;
}

static int measure_device(const struct emuv_calibrate_options *o, struct emuv_watch *watch, struct emuv_calibration *c,
                          struct emuv_err *err)
{
  struct emuv_rig rig;
  int rc = emuv_rig_open(o, o->largest_copy, NULL, &rig, err);
  if (rc != 0) return rc;
  rc = emuv_calibrate_links(o, &rig, c, err);
  if (rc == 0) rc = emuv_calibrate_peer(o, &rig, c, err);
  if (rc == 0 && watch) rc = emuv_calibrate_load(&rig, watch, err);
  if (rc == 0) rc = emuv_calibrate_kernels(&rig, c, err);
  emuv_rig_close(&rig);
  if (rc == 0) rc = emuv_calibrate_host(o, c, err);
  if (rc == 0) rc = emuv_calibrate_pageable(o, c, err);
  return rc != 0 ? rc : emuv_calibrate_maps(o, c, err);
}

int emuv_calibrate_measure(const struct emuv_calibrate_options *options, struct emuv_calibration *c,
                           struct emuv_err *err)
{
  struct emuv_calibrate_options o = *options;
  *c = (struct emuv_calibration){.n_warnings = 0};
  int rc = complete(&o, err);
  if (rc == 0) rc = o.device->probe(o.device_index, &c->device, err);
  if (rc != 0) return rc;
  emuv_environment_capture(&c->environment);
  (void)snprintf(c->link, sizeof c->link, "%s", c->device.link);
  if (o.nvme_path) rc = emuv_calibrate_disk(&o, c, err);
  if (rc != 0) return rc;
  struct emuv_watch *watch = emuv_watch_open(o.device, o.device_index);
  emuv_watch_sample(watch, false);
  rc = measure_device(&o, watch, c, err);
  emuv_watch_sample(watch, false);
  emuv_watch_report(watch, c);
  emuv_watch_close(watch);
  warn_of_all_noise(c);
  return rc;
}

int emuv_calibrate(const struct emuv_calibrate_options *options, FILE *table, FILE *preset, struct emuv_err *err)
{
  struct emuv_calibration c;
  int rc = emuv_calibrate_measure(options, &c, err);
  if (rc == 0 && table) rc = emuv_calibrate_print(&c, table, err);
  if (rc == 0 && preset) rc = emuv_calibrate_write(&c, preset, err);
  return rc;
}
