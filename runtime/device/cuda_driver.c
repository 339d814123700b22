// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/cuda_driver.h"

#include <dlfcn.h>
#include <string.h>

static void *find(PFN_cuGetProcAddress_v12000 get, const char *name, int version)
{
  void *function = NULL;
  if (get(name, &function, version, CU_GET_PROC_ADDRESS_DEFAULT, NULL) != CUDA_SUCCESS) return NULL;
  return function;
}

/* ISO C has no conversion from void * to a pointer to a function; POSIX has the same representation for both. */
static void set(void *member, void *function)
{
  memcpy(member, &function, sizeof function);
}

static int find_all(struct emuv_cuda_driver *d, PFN_cuGetProcAddress_v12000 get, struct emuv_err *err)
{
  static const struct {
    const char *name;
    int version;
    size_t offset;
  } functions[] = {
#define FN(member, name, version, type) {name, version, offsetof(struct emuv_cuda_driver, member)},
      EMUV_CUDA_FUNCTIONS(FN)
#undef FN
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    void *function = find(get, functions[i].name, functions[i].version);
    if (!function)
      return emuv_err_set(err, EMUV_ERR_NODEV, "the NVIDIA driver has no %s of version %d", functions[i].name,
                          functions[i].version);
    set((char *)d + functions[i].offset, function);
  }
  set(&d->copy_batch, find(get, "cuMemcpyBatchAsync", 13000));
  if (!d->copy_batch) set(&d->copy_batch_12, find(get, "cuMemcpyBatchAsync", 12080));
  return EMUV_OK;
}

static int load(struct emuv_cuda_driver *d, struct emuv_err *err)
{
  PFN_cuGetProcAddress_v12000 get;
  set(&get, dlsym(d->library, "cuGetProcAddress_v2"));
  if (!get) {
    emuv_err_set(err, EMUV_ERR_NODEV, "the NVIDIA driver is older than CUDA 12.0");
    return emuv_err_hint(err, "a driver of version 525 or newer is needed");
  }
  const int rc = find_all(d, get, err);
  if (rc) return rc;
  const CUresult result = d->init(0);
  return result == CUDA_SUCCESS ? EMUV_OK : emuv_cuda_driver_error(d, EMUV_ERR_NODEV, result, "cuInit", err);
}

int emuv_cuda_driver_open(struct emuv_cuda_driver *driver, struct emuv_err *err)
{
  *driver = (struct emuv_cuda_driver){.library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)};
  if (!driver->library) {
    emuv_err_set(err, EMUV_ERR_NODEV, "no NVIDIA driver: libcuda.so.1 cannot be loaded");
    return emuv_err_hint(err, "the device `host` needs no GPU");
  }
  const int rc = load(driver, err);
  if (rc) emuv_cuda_driver_close(driver);
  return rc;
}

void emuv_cuda_driver_close(struct emuv_cuda_driver *driver)
{
  if (driver->library) dlclose(driver->library);
  driver->library = NULL;
}

int emuv_cuda_driver_error(const struct emuv_cuda_driver *driver, int code, CUresult result, const char *what,
                           struct emuv_err *err)
{
  const char *name = NULL, *text = NULL;
  driver->error_name(result, &name);
  driver->error_string(result, &text);
  return emuv_err_set(err, code, "%s: %s (%s)", what, name ? name : "unknown error", text ? text : "no explanation");
}

/* The few functions of NVML that are used; they have had these signatures since its first versions. */
struct nvml {
  void *library;
  int (*init)(void);
  int (*shutdown)(void);
  int (*driver_version)(char *text, unsigned size);
  int (*by_bus_id)(const char *id, void **device);
  int (*generation)(void *device, unsigned *value);
  int (*width)(void *device, unsigned *value);
};

static int nvml_open(struct nvml *n)
{
  *n = (struct nvml){.library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)};
  if (!n->library) return EMUV_ERR_NODEV;
  set(&n->init, dlsym(n->library, "nvmlInit_v2"));
  set(&n->shutdown, dlsym(n->library, "nvmlShutdown"));
  set(&n->driver_version, dlsym(n->library, "nvmlSystemGetDriverVersion"));
  set(&n->by_bus_id, dlsym(n->library, "nvmlDeviceGetHandleByPciBusId_v2"));
  set(&n->generation, dlsym(n->library, "nvmlDeviceGetMaxPcieLinkGeneration"));
  set(&n->width, dlsym(n->library, "nvmlDeviceGetMaxPcieLinkWidth"));
  if (n->init && n->shutdown && n->driver_version && n->by_bus_id && n->generation && n->width && !n->init())
    return EMUV_OK;
  dlclose(n->library);
  return EMUV_ERR_NODEV;
}

void emuv_cuda_driver_describe(const struct emuv_cuda_driver *driver, CUdevice device, char *link, size_t link_size,
                               char *text, size_t text_size)
{
  struct nvml n;
  char bus[32] = "";
  void *handle = NULL;
  unsigned generation = 0, width = 0;
  int version = 0;
  if (driver->version(&version) == CUDA_SUCCESS)
    snprintf(text, text_size, "CUDA %d.%d", version / 1000, version % 1000 / 10);
  if (nvml_open(&n)) return;
  if (n.driver_version(text, (unsigned)text_size) && text_size) text[0] = '\0';
  if (driver->device_bus_id(bus, sizeof bus, device) == CUDA_SUCCESS && !n.by_bus_id(bus, &handle) &&
      !n.generation(handle, &generation) && !n.width(handle, &width))
    snprintf(link, link_size, "PCIe %u.0 x%u", generation, width);
  n.shutdown();
  dlclose(n.library);
}
