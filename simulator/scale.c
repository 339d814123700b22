// SPDX-License-Identifier: Apache-2.0
/* Roofline scaling of measured times; see scale.h. */
#include "simulator/scale.h"

#include "simulator/scenario.h"
#include "tracer/format/reader.h"

#include <stdio.h>
#include <string.h>

static const char *without_maker(const char *gpu)
{
  return strncmp(gpu, "NVIDIA ", 7) == 0 ? gpu + 7 : gpu;
}

/* Drivers say "NVIDIA GeForce RTX 4090", presets may leave the maker out. Nothing else may differ: an A100 is no A10, a
 * 4070 Ti no 4070. */
static bool same_gpu(const char *a, const char *b)
{
  return a[0] && strcmp(without_maker(a), without_maker(b)) == 0;
}

/* The preset whose card is `gpu` into config->hw; *found says whether there is one. */
static int find_preset(const char *gpu, struct emuv_config *config, bool *found, struct emuv_err *err)
{
  char **names = NULL;
  int rc = emuv_preset_names("hardware", &names, err);
  *found = false;
  for (size_t i = 0; !rc && !*found && names[i]; i++) {
    rc = emuv_preset_load_hardware(names[i], config, err);
    *found = !rc && same_gpu(gpu, config->hw.gpu);
    if (*found) snprintf(config->hw.preset, sizeof config->hw.preset, "%s", names[i]);
  }
  emuv_preset_free_names(names);
  return rc;
}

/* Reads only as far as the record that names the card. */
static int trace_gpu(const char *path, char gpu[64], struct emuv_err *err)
{
  struct emuv_trace_reader *reader;
  struct emuv_trace_record r;
  int rc = emuv_trace_reader_open(&reader, path, err), got = 0;
  gpu[0] = '\0';
  if (rc) return rc;
  while (!gpu[0] && (got = emuv_trace_reader_next(reader, &r, err)) > 0) {
    if (r.type != EMUV_TRACE_ENVIRONMENT) continue;
    if (strcmp(emuv_trace_reader_string(reader, r.u.environment.key), "gpu") != 0) continue;
    snprintf(gpu, 64, "%.63s", emuv_trace_reader_string(reader, r.u.environment.value));
  }
  emuv_trace_reader_close(reader);
  return got < 0 ? got : 0;
}

int emuv_scale_trace_hardware(const char *trace_path, emuv_text preset, struct emuv_err *err)
{
  struct emuv_config config;
  char gpu[64];
  bool found = false;
  preset[0] = '\0';
  int rc = trace_gpu(trace_path, gpu, err);
  if (!rc) rc = emuv_config_defaults(&config, err);
  if (!rc && gpu[0]) rc = find_preset(gpu, &config, &found, err);
  if (!rc && found) memcpy(preset, config.hw.preset, sizeof config.hw.preset);
  return rc;
}

static double scaled_ns(double kernel_ns, double bytes, double from_rate, double to_rate)
{
  double traffic_ns = bytes / from_rate * 1e9;
  if (traffic_ns > kernel_ns) traffic_ns = kernel_ns;
  return kernel_ns - traffic_ns + traffic_ns * from_rate / to_rate;
}

int emuv_scale_times(const struct emuv_config *config, struct emuv_workload *w, struct emuv_err *err)
{
  struct emuv_config captured;
  bool found = false;
  if (!w->gpu[0] || same_gpu(w->gpu, config->hw.gpu)) return 0;
  int rc = emuv_config_defaults(&captured, err);
  if (!rc) rc = find_preset(w->gpu, &captured, &found, err);
  if (rc || !found) return rc;
  double from = captured.hw.vram_rate * captured.hw.vram_efficiency,
         to = config->hw.vram_rate * config->hw.vram_efficiency;
  for (size_t i = 0; i < w->n_ops; i++)
    if (w->ops[i].kernel_ns > 0) w->ops[i].kernel_ns = scaled_ns(w->ops[i].kernel_ns, w->ops[i].bytes, from, to);
  return 0;
}
