// SPDX-License-Identifier: Apache-2.0
/* Clocks, temperature, reasons for lower clocks and the link of an NVIDIA GPU, through NVML (NVIDIA Management Library
 * API reference). The library is loaded at run time and only read from; where it is missing, or shows another GPU under
 * the same number, nothing is watched. */
#include "runtime/replay/calibrate_internal.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef struct nvml_device *nvml_device;

enum { SM_CLOCK = 1, N_SAMPLES = 3 };

/* Reasons that make a machine slower than it can be; idleness and set clocks are none. */
static const struct {
  unsigned long long bit;
  const char *text;
} reasons[] = {{0x4, "the power limit"},
               {0x8, "a hardware slowdown"},
               {0x20, "software thermal slowdown"},
               {0x40, "hardware thermal slowdown"},
               {0x80, "the power brake"}};

struct sample {
  bool valid;
  unsigned clock_mhz, celsius, generation, width;
  unsigned long long reasons;
};

struct emuv_watch {
  void *library;
  nvml_device device;
  struct sample idle[2], busy; /* before, after */
  uint32_t n_idle;
  int (*shutdown)(void);
  int (*clock)(nvml_device, int, unsigned *);
  int (*temperature)(nvml_device, int, unsigned *);
  int (*clock_reasons)(nvml_device, unsigned long long *);
  int (*generation)(nvml_device, unsigned *), (*width)(nvml_device, unsigned *);
  int (*max_generation)(nvml_device, unsigned *), (*max_width)(nvml_device, unsigned *);
};

static bool find(void *library, const char *name, void *function)
{
  void *address = dlsym(library, name);
  memcpy(function, &address, sizeof address);
  return address != NULL;
}

static bool find_all(struct emuv_watch *w)
{
  return find(w->library, "nvmlShutdown", &w->shutdown) && find(w->library, "nvmlDeviceGetClockInfo", &w->clock) &&
         find(w->library, "nvmlDeviceGetTemperature", &w->temperature) &&
         (find(w->library, "nvmlDeviceGetCurrentClocksEventReasons", &w->clock_reasons) ||
          find(w->library, "nvmlDeviceGetCurrentClocksThrottleReasons", &w->clock_reasons)) &&
         find(w->library, "nvmlDeviceGetCurrPcieLinkGeneration", &w->generation) &&
         find(w->library, "nvmlDeviceGetCurrPcieLinkWidth", &w->width) &&
         find(w->library, "nvmlDeviceGetMaxPcieLinkGeneration", &w->max_generation) &&
         find(w->library, "nvmlDeviceGetMaxPcieLinkWidth", &w->max_width);
}

/* True when number `index` is the GPU that the device calls by this name too. */
static bool find_device(struct emuv_watch *w, const struct emuv_device_ops *ops, int index)
{
  int (*handle)(unsigned, nvml_device *) = NULL;
  int (*name_of)(nvml_device, char *, unsigned) = NULL;
  char name[96] = "";
  struct emuv_device_info info;
  return find(w->library, "nvmlDeviceGetHandleByIndex_v2", &handle) &&
         find(w->library, "nvmlDeviceGetName", &name_of) && handle((unsigned)index, &w->device) == 0 &&
         name_of(w->device, name, sizeof name) == 0 && ops->probe(index, &info, NULL) == 0 &&
         strncmp(name, info.name, sizeof info.name - 1) == 0;
}

struct emuv_watch *emuv_watch_open(const struct emuv_device_ops *ops, int index)
{
  if (strcmp(ops->name, "cuda") != 0) return NULL;
  struct emuv_watch *w = calloc(1, sizeof *w);
  int (*init)(void) = NULL;
  if (!w) return NULL;
  w->library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (w->library && find_all(w) && find(w->library, "nvmlInit_v2", &init) && init() == 0) {
    if (find_device(w, ops, index)) return w;
    (void)w->shutdown();
  }
  if (w->library) (void)dlclose(w->library);
  free(w);
  return NULL;
}

void emuv_watch_sample(struct emuv_watch *w, bool busy)
{
  if (!w) return;
  struct sample s = {.valid = false};
  s.valid = w->clock(w->device, SM_CLOCK, &s.clock_mhz) == 0 && w->temperature(w->device, 0, &s.celsius) == 0 &&
            w->clock_reasons(w->device, &s.reasons) == 0;
  if (w->generation(w->device, &s.generation) != 0 || w->width(w->device, &s.width) != 0) s.generation = 0;
  if (busy)
    w->busy = s;
  else if (w->n_idle < 2)
    w->idle[w->n_idle++] = s;
}

static void report_link(struct emuv_watch *w, struct emuv_calibration *c)
{
  unsigned generation = 0, width = 0;
  const struct sample *s = &w->busy;
  if (!s->generation || w->max_generation(w->device, &generation) != 0 || w->max_width(w->device, &width) != 0) return;
  (void)snprintf(c->link, sizeof c->link, "PCIe %u.0 x%u", s->generation, s->width);
  if (s->generation < generation || s->width < width)
    emuv_calibrate_warn(c, "the link runs as PCIe %u.0 x%u under load; the GPU can do PCIe %u.0 x%u", s->generation,
                        s->width, generation, width);
}

static void report_throttling(const struct emuv_watch *w, struct emuv_calibration *c)
{
  const unsigned long long seen = w->idle[0].reasons | w->busy.reasons | w->idle[1].reasons;
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
    if (seen & reasons[i].bit)
      emuv_calibrate_warn(c, "throttling: %s held the GPU's clock down (%u, %u, %u MHz before, under load, after)",
                          reasons[i].text, w->idle[0].clock_mhz, w->busy.clock_mhz, w->idle[1].clock_mhz);
}

void emuv_watch_report(struct emuv_watch *w, struct emuv_calibration *c)
{
  if (!w) return;
  report_link(w, c);
  report_throttling(w, c);
  if (!w->busy.valid) return;
  (void)snprintf(c->watched, sizeof c->watched, "%u MHz and %u C under load, %u C before, %u C after",
                 w->busy.clock_mhz, w->busy.celsius, w->idle[0].celsius, w->idle[1].celsius);
}

void emuv_watch_close(struct emuv_watch *w)
{
  if (!w) return;
  (void)w->shutdown();
  (void)dlclose(w->library);
  free(w);
}
