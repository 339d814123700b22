// SPDX-License-Identifier: Apache-2.0
/* emuv-replay --calibrate and --links; see measure.h. */
#include "runtime/replay/measure.h"

#include "runtime/core/units.h"
#include "runtime/replay/calibrate.h"
#include "runtime/replay/links.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t LITTLE = UINT64_C(64) << 20; /* so much data moves in no time: short measurements do */
static const double SHORT_S = 0.02;

static int apply(const char *text, struct emuv_config *config, struct emuv_err *err)
{
  size_t n = 0;
  const struct emuv_option *table = emuv_config_options(&n), *option = NULL;
  const char *value = strchr(text, '=');
  char key[128];
  if (!value) return emuv_err_set(err, EMUV_ERR_USAGE, "--set %s: write KEY=VALUE", text);
  (void)snprintf(key, sizeof key, "%.*s", (int)(value - text), text);
  option = emuv_option_find(table, n, key);
  if (!option) return emuv_err_set(err, EMUV_ERR_USAGE, "unknown key \"%s\"", key);
  if (strchr(value, ',')) return emuv_err_set(err, EMUV_ERR_USAGE, "%s: one value at a time here", key);
  if (strcmp(key, "hw.preset") == 0) return emuv_preset_load_hardware(value + 1, config, err);
  const int rc = emuv_option_parse(option, config, value + 1, err);
  if (rc != 0 && err) err->code = EMUV_ERR_USAGE;
  return rc != 0 ? EMUV_ERR_USAGE : 0;
}

/* The keys of the command line; a preset first, so that others refine it. */
static int configure(const struct emuv_replay_arguments *a, struct emuv_config *config, struct emuv_err *err)
{
  int rc = emuv_config_defaults(config, err);
  for (int preset = 1; preset >= 0; preset--)
    for (size_t i = 0; rc == 0 && i < a->common.n_overrides; i++)
      if ((strncmp(a->common.overrides[i], "hw.preset=", 10) == 0) == (preset == 1))
        rc = apply(a->common.overrides[i], config, err);
  return rc;
}

static int check(const struct emuv_replay_arguments *a, const struct emuv_config *config, struct emuv_err *err)
{
  struct emuv_device_info info;
  if (!a->how.device) {
    (void)emuv_err_set(err, EMUV_ERR_NODEV, "this emuV was built without device cuda");
    return emuv_err_hint(err, "--device host measures host memory, with a modelled link");
  }
  if (a->how.disk_path && config->nvme == 0)
    return emuv_err_set(err, EMUV_ERR_USAGE, "how much of the disk may be used? --nvme PATH:SIZE");
  if (config->nvme > 0 && !a->how.disk_path)
    return emuv_err_set(err, EMUV_ERR_USAGE, "where is the disk? --nvme PATH:SIZE");
  const int rc = a->how.device->probe(a->how.gpu, &info, err);
  if (rc == EMUV_ERR_NODEV) (void)emuv_err_hint(err, "--device host measures host memory, with a modelled link");
  return rc;
}

static bool is_modelled(const struct emuv_replay_arguments *a)
{
  return strcmp(a->how.device->name, "host") == 0 && emuv_arguments_overrides(&a->common, "hw.preset");
}

/* The other GPU: the one that was named, or the next one where there is one. */
static bool choose_peer(const struct emuv_replay_arguments *a, int *index)
{
  struct emuv_device_info info;
  *index = emuv_replay_peer(&a->how);
  if (a->how.peer_gpu >= 0) return true;
  return a->how.device->probe(a->how.gpu, &info, NULL) == 0 && *index < info.n_devices;
}

static int calibrate(const struct emuv_replay_arguments *a, const struct emuv_config *config, FILE *table, FILE *preset,
                     struct emuv_err *err)
{
  struct emuv_calibrate_options o = {.device = a->how.device,
                                     .device_index = a->how.gpu,
                                     .nvme_path = a->how.disk_path,
                                     .nvme_bytes = config->nvme,
                                     .largest_copy = config->vram ? config->vram / 16 : 0,
                                     .disk_seconds = config->nvme < LITTLE ? SHORT_S : 0,
                                     .threads = a->how.threads};
  while (o.largest_copy & (o.largest_copy - 1)) o.largest_copy &= o.largest_copy - 1;
  o.with_peer = choose_peer(a, &o.peer_index);
  if (o.largest_copy) o.series_bytes = 4 * o.largest_copy;
  if (is_modelled(a)) o.up = config->hw.h2d, o.down = config->hw.d2h;
  return emuv_calibrate(&o, table, preset, err);
}

/* A file that stands in its place only when it is whole. */
static int calibrate_to_file(const struct emuv_replay_arguments *a, const struct emuv_config *config,
                             struct emuv_err *err)
{
  char *name = NULL;
  if (asprintf(&name, "%s.part", a->common.output) < 0) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory");
  FILE *preset = fopen(name, "w");
  int rc = preset ? calibrate(a, config, stdout, preset, err)
                  : emuv_err_errno(err, EMUV_ERR_IO, "cannot write '%s'", a->common.output);
  if (preset && fclose(preset) != 0 && rc == 0) rc = emuv_err_errno(err, EMUV_ERR_IO, "cannot write '%s'", name);
  if (rc == 0 && rename(name, a->common.output) != 0)
    rc = emuv_err_errno(err, EMUV_ERR_IO, "cannot write '%s'", a->common.output);
  if (rc != 0 && preset) (void)unlink(name);
  free(name);
  return rc;
}

int emuv_measure_calibrate(const struct emuv_replay_arguments *a, struct emuv_err *err)
{
  struct emuv_config config;
  int rc = configure(a, &config, err);
  if (rc == 0) rc = check(a, &config, err);
  if (rc != 0) return rc;
  if (a->common.output) return calibrate_to_file(a, &config, err);
  return calibrate(a, &config, a->common.quiet ? NULL : stderr, stdout, err);
}

int emuv_measure_links(const struct emuv_replay_arguments *a, struct emuv_err *err)
{
  struct emuv_config config;
  bool reached = true;
  int rc = configure(a, &config, err);
  if (rc == 0) rc = check(a, &config, err);
  if (rc != 0) return rc;
  struct emuv_links_options o = {.device = a->how.device,
                                 .device_index = a->how.gpu,
                                 .mapping = a->how.mapping,
                                 .vram_bytes = config.vram,
                                 .data_bytes = emuv_arguments_overrides(&a->common, "ram") ? config.ram : 0,
                                 .nvme_path = a->how.disk_path,
                                 .nvme_bytes = config.nvme,
                                 .threads = a->how.threads};
  if (o.data_bytes > 0 && o.data_bytes < LITTLE) o.seconds = SHORT_S;
  if (is_modelled(a)) o.up = config.hw.h2d, o.down = config.hw.d2h, o.peer = config.hw.peer;
  o.with_peer = choose_peer(a, &o.peer_index);
  if (emuv_arguments_overrides(&a->common, "page_size")) {
    o.n_pages = 1;
    o.page_bytes[0] = config.page_size;
  }
  rc = emuv_links(&o, stdout, &reached, err);
  if (rc != 0 || reached) return rc;
  return emuv_err_set(err, EMUV_ERR_REGRESSION, "a link is used less than it should be");
}
