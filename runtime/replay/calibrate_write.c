// SPDX-License-Identifier: Apache-2.0
/* What a calibration says (calibrate.h): the table for people and the hardware preset for emuv-sim. */
#include "runtime/core/units.h"
#include "runtime/replay/calibrate_internal.h"
#include "simulator/config.h"
#include "simulator/scenario.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = 48 };

/* "55.1GB/s", "820.5MB/s": parses back to within its last digit. */
static const char *rate_text(double bytes_per_s, char buf[RATE])
{
  if (bytes_per_s >= 1e9)
    (void)snprintf(buf, RATE, "%.2fGB/s", bytes_per_s / 1e9);
  else
    (void)snprintf(buf, RATE, "%.2fMB/s", bytes_per_s / 1e6);
  return buf;
}

static const char *time_text(double ns, char buf[RATE])
{
  if (ns >= 1e4)
    (void)snprintf(buf, RATE, "%.2fus", ns / 1e3);
  else
    (void)snprintf(buf, RATE, "%.0fns", ns);
  return buf;
}

/* The table */

static void print_line(FILE *table, const char *what, const char *size, const char *value, const struct emuv_figure *f)
{
  if (f->n == 0) return;
  (void)fprintf(table, "%-34s %8s %14s", what, size, value);
  if (f->n > 1) (void)fprintf(table, "  spread %4.1f %%", 100 * f->spread);
  (void)fputc('\n', table);
}

static void print_rate(FILE *table, const char *what, const char *size, const struct emuv_figure *f)
{
  char buf[RATE];
  print_line(table, what, size, rate_text(f->value, buf), f);
}

static void print_time(FILE *table, const char *what, const char *size, const struct emuv_figure *f)
{
  char buf[RATE];
  print_line(table, what, size, time_text(f->value, buf), f);
}

static void print_curve(FILE *table, const char *what, const struct emuv_figures *figures)
{
  char size[RATE];
  for (uint32_t i = 0; i < figures->n; i++)
    print_rate(table, what, emuv_units_format_bytes(figures->at[i].bytes, size, sizeof size), &figures->at[i].rate);
}

static void print_device(const struct emuv_calibration *c, FILE *table)
{
  print_curve(table, "host to device", &c->h2d);
  print_curve(table, "device to host", &c->d2h);
  print_curve(table, "host to device, 64 pages a call", &c->h2d_batched);
  print_curve(table, "device to host, 64 pages a call", &c->d2h_batched);
  print_curve(table, "another GPU to device", &c->peer);
  print_rate(table, "both directions at once, sum", "", &c->duplex);
  print_rate(table, "pageable copies, one by one", "", &c->pageable);
  print_rate(table, "kernel reads host memory in place", "", &c->zero_copy);
  print_rate(table, "kernel reads device memory", "", &c->vram);
  print_time(table, "gap between launches", "", &c->launch);
  print_time(table, "shortest kernel, with its gap", "", &c->shortest);
  print_time(table, "the same, of more than one block", "", &c->wide);
  print_time(table, "each wait for a copy that is done", "", &c->wait);
  print_time(table, "kernels beside copies to the device", "", &c->busy);
  print_rate(table, "kernel reads and writes memory", "", &c->writing);
  print_time(table, "host: submitting a kernel", "", &c->kernel_host);
  print_time(table, "host: each page of it", "", &c->page_host);
  print_time(table, "host: submitting a batch of copies", "", &c->copy_host);
  print_time(table, "host: each piece of it", "", &c->piece_host);
  print_time(table, "demand fault beyond its copy", "", &c->fault);
  print_time(table, "copy and wait for it", "4KiB", &c->copy_sync);
  print_rate(table, "touching and pinning host memory", "", &c->pin);
}

static void print_maps(const struct emuv_calibration *c, FILE *table)
{
  char size[RATE];
  for (uint32_t i = 0; i < c->n_maps; i++) {
    (void)emuv_units_format_bytes(c->maps[i].page_bytes, size, sizeof size);
    print_time(table, "map a page", size, &c->maps[i].map);
    print_time(table, "unmap a page", size, &c->maps[i].unmap);
  }
}

int emuv_calibrate_print(const struct emuv_calibration *c, FILE *table, struct emuv_err *err)
{
  (void)fprintf(table, "%s, %s%s%s\n", c->device.name, c->link, c->device.driver[0] ? ", driver " : "",
                c->device.driver);
  print_device(c, table);
  print_maps(c, table);
  print_curve(table, "disk reads, 32 in flight", &c->nvme_read);
  print_curve(table, "disk writes, 32 in flight", &c->nvme_write);
  print_time(table, "disk read beyond its bytes", "", &c->nvme_latency);
  if (c->watched[0]) (void)fprintf(table, "GPU: %s\n", c->watched);
  for (uint32_t i = 0; i < c->n_warnings; i++) (void)fprintf(table, "warning: %s\n", c->warnings[i]);
  if (fflush(table) == 0 && !ferror(table)) return 0;
  return emuv_err_errno(err, EMUV_ERR_IO, "the figures cannot be written");
}

/* The preset */

struct preset {
  FILE *file;
  const struct emuv_option *options;
  size_t n_options;
  bool written[128]; /* keys, by their place in the option table */
  bool known;        /* a shipped preset has the same GPU */
  struct emuv_config shipped;
};

/* The place of hw.NAME in the option table, -1 if the simulator has no such key. */
static int place_of(const struct preset *p, const char *name)
{
  char key[64];
  (void)snprintf(key, sizeof key, "hw.%s", name);
  const struct emuv_option *option = emuv_option_find(p->options, p->n_options, key);
  return option ? (int)(option - p->options) : -1;
}

static void put(struct preset *p, const char *name, const char *value, const char *comment)
{
  const int place = place_of(p, name);
  if (place < 0 || (size_t)place >= sizeof p->written) return;
  p->written[place] = true;
  (void)fprintf(p->file, "# %s\n%s: %s\n", comment, name, value);
}

static void put_figure(struct preset *p, const char *name, const char *value, const struct emuv_figure *f,
                       const char *what)
{
  char comment[240];
  if (f->n == 0) return;
  (void)snprintf(comment, sizeof comment, "Measured: %s; median of %u, spread %.1f %%.", what, f->n, 100 * f->spread);
  put(p, name, value, comment);
}

static void put_rate(struct preset *p, const char *name, const struct emuv_figure *f, const char *what)
{
  char value[RATE];
  put_figure(p, name, rate_text(f->value, value), f, what);
}

static void put_time(struct preset *p, const char *name, const struct emuv_figure *f, const char *what)
{
  char value[RATE];
  put_figure(p, name, time_text(f->value, value), f, what);
}

static void put_curve(struct preset *p, const char *name, const struct emuv_figures *figures, const char *what)
{
  char value[EMUV_CALIBRATION_SIZES * 40] = "", size[RATE], rate[RATE];
  struct emuv_figure worst = {0};
  size_t at = 0;
  for (uint32_t i = 0; i < figures->n; i++) {
    const struct emuv_figure *f = &figures->at[i].rate;
    if (worst.n == 0 || f->spread > worst.spread) worst = *f;
    at += (size_t)snprintf(value + at, sizeof value - at, "%s%s=%s", i ? " " : "",
                           emuv_units_format_bytes(figures->at[i].bytes, size, sizeof size), rate_text(f->value, rate));
  }
  put_figure(p, name, value, &worst, what);
}

/* Names come from drivers: only what needs no quotes in YAML. */
static void put_name(struct preset *p, const char *name, const char *text)
{
  char value[64];
  size_t n = 0;
  for (; text[n] && n + 1 < sizeof value; n++)
    value[n] = isalnum((unsigned char)text[n]) || strchr(" ._()/+-", text[n]) ? text[n] : '_';
  value[n] = '\0';
  if (value[0]) put(p, name, value, "As the driver says.");
}

static void find_shipped(struct preset *p, const char *gpu)
{
  char **names = NULL;
  if (emuv_preset_names("hardware", &names, NULL) != 0) return;
  for (size_t i = 0; !p->known && names[i]; i++) {
    if (emuv_config_defaults(&p->shipped, NULL) != 0) break;
    p->known = emuv_preset_load_hardware(names[i], &p->shipped, NULL) == 0 && strcmp(p->shipped.hw.gpu, gpu) == 0;
  }
  emuv_preset_free_names(names);
}

/* What device memory gives: as a share of what the data sheet promises, where that is known. */
static void put_vram(struct preset *p, const struct emuv_calibration *c)
{
  char value[RATE], comment[160];
  put(p, "vram", emuv_units_format_bytes(c->device.total_bytes, value, sizeof value), "As the driver says.");
  const double peak = p->shipped.hw.vram_rate;
  if (c->vram.n == 0) return;
  if (!p->known || peak <= 0) {
    put_rate(p, "vram_rate", &c->vram, "a kernel reads device memory (no peak is known)");
    put(p, "vram_efficiency", "1", "The rate above is what kernels reach.");
    return;
  }
  const double share = c->vram.value / peak;
  (void)snprintf(value, sizeof value, "%.3f", share > 1 ? 1 : share < 0.001 ? 0.001 : share);
  (void)snprintf(comment, sizeof comment, "a kernel reads device memory at %.0f GB/s, as a share of vram_rate",
                 c->vram.value / 1e9);
  put_figure(p, "vram_efficiency", value, &c->vram, comment);
}

static void put_measured(struct preset *p, const struct emuv_calibration *c)
{
  put_name(p, "gpu", c->device.name);
  put_name(p, "link", c->link);
  put_vram(p, c);
  put_time(p, "launch", &c->launch, "gap between kernels that are queued");
  put_curve(p, "h2d", &c->h2d, "pinned copies by size, one per piece of work (the worst spread)");
  put_curve(p, "d2h", &c->d2h, "the same from device to host");
  put_curve(p, "h2d_batched", &c->h2d_batched, "64 pages that do not adjoin in one call, by the size of the page");
  put_curve(p, "d2h_batched", &c->d2h_batched, "the same from device to host");
  put_curve(p, "peer", &c->peer, "copies from another GPU's memory by size, one per piece of work");
  put_rate(p, "duplex_rate", &c->duplex, "both directions at once");
  put_rate(p, "zero_copy_rate", &c->zero_copy, "a kernel reads pinned host memory in place");
  put_time(p, "kernel_min", &c->shortest, "from start to start of queued kernels with nothing to do");
  put_time(p, "kernel_wide", &c->wide, "what they take beyond that if they read 4 MiB, without its bytes");
  put_rate(p, "kernel_write_rate", &c->writing, "a kernel reads pages and writes them whole, both counted");
  put_time(p, "kernel_wait", &c->wait, "between kernels, where each waits for a copy that is done");
  put_time(p, "kernel_busy", &c->busy, "between kernels, while copies to the device are on the link");
  put_time(p, "kernel_host", &c->kernel_host, "host time to submit a kernel through the engine");
  put_time(p, "page_host", &c->page_host, "and for each page that it uses");
  put_time(p, "copy_host", &c->copy_host, "host time to submit a batch of copies through the engine");
  put_time(p, "piece_host", &c->piece_host, "and for each piece of it");
  put(p, "kernel_gap", "0ns", "Nothing beyond launch, which is the gap between such kernels.");
  put_rate(p, "pageable_rate", &c->pageable, "copies from pageable memory, each waited for");
  put_time(p, "copy_sync", &c->copy_sync, "a copy of 4 KiB and the wait for it");
  put_time(p, "fault", &c->fault, "kernel, copy, kernel, each after the other, without copy and launch");
  put_curve(p, "nvme_read", &c->nvme_read, "disk reads by request size, 32 in flight (the worst spread)");
  put_curve(p, "nvme_write", &c->nvme_write, "disk writes by request size, 32 in flight");
  put_time(p, "nvme_latency", &c->nvme_latency, "one disk read at a time, without its bytes at the rate above");
}

/* What cannot be measured, from the preset of the same GPU. */
static void put_shipped(struct preset *p)
{
  bool first = true;
  for (size_t i = 0; p->known && i < p->n_options && i < sizeof p->written; i++) {
    const struct emuv_option *option = &p->options[i];
    char value[EMUV_OPTION_STRING_SIZE * 4];
    if (strncmp(option->key, "hw.", 3) != 0 || strcmp(option->key, "hw.preset") == 0 || p->written[i]) continue;
    (void)emuv_option_format(option, &p->shipped, value, sizeof value);
    if (value[0] == '\0') continue;
    if (first) (void)fprintf(p->file, "# Not measured; from the shipped preset %s:\n", p->shipped.hw.preset);
    (void)fprintf(p->file, "%s: %s\n", option->key + 3, value);
    first = false;
  }
  if (!p->known) (void)fputs("# Not measured, and no shipped preset has this GPU: flops, power and others.\n", p->file);
}

static void put_costs(const struct emuv_calibration *c, FILE *file)
{
  char size[RATE], map[RATE], unmap[RATE];
  for (uint32_t i = 0; i < c->n_maps; i++)
    (void)fprintf(file, "# A page of %s: mapping %s, unmapping %s of host time.\n",
                  emuv_units_format_bytes(c->maps[i].page_bytes, size, sizeof size),
                  time_text(c->maps[i].map.value, map), time_text(c->maps[i].unmap.value, unmap));
  if (c->pin.n) (void)fprintf(file, "# Touching and pinning host memory: %s.\n", rate_text(c->pin.value, size));
}

static void put_head(const struct emuv_calibration *c, FILE *file)
{
  const struct emuv_environment *e = &c->environment;
  (void)fprintf(file, "# Measured by emuv-replay --calibrate, emuV %s (%s), on %s.\n", e->version, e->revision,
                e->started);
  (void)fprintf(file, "# %s, %u cores, Linux %s%s%s\n", e->cpu, e->cores, e->kernel,
                c->device.driver[0] ? ", driver " : "", c->device.driver);
  if (c->nvme_read.n)
    (void)fprintf(file, "# Disk: %s, %s, %s, over %llu MiB.\n", c->disk.uring ? "io_uring" : "threads",
                  c->disk.direct ? "O_DIRECT" : "page cache", c->disk.registered ? "registered" : "not registered",
                  (unsigned long long)(c->disk_bytes >> 20));
  if (c->watched[0]) (void)fprintf(file, "# GPU: %s.\n", c->watched);
  for (uint32_t i = 0; i < c->n_warnings; i++) (void)fprintf(file, "# WARNING: %s\n", c->warnings[i]);
}

int emuv_calibrate_write(const struct emuv_calibration *c, FILE *file, struct emuv_err *err)
{
  struct preset *p = calloc(1, sizeof *p);
  if (!p) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for a preset");
  p->file = file;
  p->options = emuv_config_options(&p->n_options);
  find_shipped(p, c->device.name);
  put_head(c, file);
  put_measured(p, c);
  put_shipped(p);
  put_costs(c, file);
  free(p);
  if (fflush(file) == 0 && !ferror(file)) return 0;
  return emuv_err_errno(err, EMUV_ERR_IO, "the preset cannot be written");
}
