// SPDX-License-Identifier: Apache-2.0
/* See cupti_api.h. */
#include "tracer/inject/cupti_api.h"

#include "tracer/inject/inject.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char *const cupti_names[] = {"libcupti.so.13", "libcupti.so.12", "libcupti.so"};
static const char *const toolkit_folders[] = {"/usr/local/cuda/lib64", "/usr/local/cuda/extras/CUPTI/lib64",
                                              "/usr/local/cuda/lib"};

enum { CUPTI_NAMES = sizeof cupti_names / sizeof *cupti_names };

static void *open_in(const char *folder)
{
  for (int i = 0; i < CUPTI_NAMES; i++) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, cupti_names[i]) >= (int)sizeof path) continue;
    void *library = dlopen(path, RTLD_NOW);
    if (library) return library;
  }
  return NULL;
}

static void *open_by_name(int flags)
{
  for (int i = 0; i < CUPTI_NAMES; i++) {
    void *library = dlopen(cupti_names[i], RTLD_NOW | flags);
    if (library) return library;
  }
  return NULL;
}

/* pip puts CUPTI beside the other CUDA libraries or in a sibling package of theirs. */
static void *open_beside_cudart(void)
{
  char folder[PATH_MAX], path[PATH_MAX];
  void *cudart = dlopen("libcudart.so.13", RTLD_LAZY | RTLD_NOLOAD);
  if (!cudart) cudart = dlopen("libcudart.so.12", RTLD_LAZY | RTLD_NOLOAD);
  void *symbol = cudart ? dlsym(cudart, "cudaGetDevice") : NULL;
  if (!symbol) return NULL;
  emuv_injected_folder_of(symbol, folder);
  void *library = open_in(folder);
  if (!library && snprintf(path, sizeof path, "%s/../../cuda_cupti/lib", folder) < (int)sizeof path)
    library = open_in(path);
  return library;
}

/* The process's own copy first: two in one process would each miss the other's calls. */
static void *open_cupti(void)
{
  char folder[PATH_MAX];
  void *library = open_by_name(RTLD_NOLOAD);
  if (!library) library = open_beside_cudart();
  if (!library) library = open_by_name(0);
  emuv_injected_folder_of((const void *)&toolkit_folders, folder);
  if (!library) library = open_in(folder);
  for (size_t i = 0; !library && i < sizeof toolkit_folders / sizeof *toolkit_folders; i++)
    library = open_in(toolkit_folders[i]);
  return library;
}

/* The name of a required function that is not there, or NULL. */
static const char *find_cupti_functions(struct emuv_cupti_api *api, void *library)
{
  const char *missing = NULL;
#define FIND(name, required)                                                                                           \
  if (!emuv_injected_find(library, #name, &api->name) && (required)) missing = #name;
  EMUV_CUPTI_FUNCTIONS(FIND)
#undef FIND
  return missing;
}

static void find_driver_functions(struct emuv_cupti_api *api, void *library)
{
#define FIND(name) emuv_injected_find(library, #name, &api->name);
  EMUV_DRIVER_FUNCTIONS(FIND)
#undef FIND
}

int emuv_cupti_load(struct emuv_cupti_api *api, struct emuv_err *err)
{
  void *driver = dlopen("libcuda.so.1", RTLD_NOW);
  if (!driver) return emuv_err_set(err, EMUV_ERR_NODEV, "no CUDA driver: %s", dlerror());
  void *cupti = open_cupti();
  if (!cupti) {
    emuv_err_set(err, EMUV_ERR_NODEV, "libcupti.so.13 (or .12) was not found");
    return emuv_err_hint(err,
                         "install CUPTI (package cuda-cupti, or pip install nvidia-cuda-cupti), or add its folder to "
                         "LD_LIBRARY_PATH");
  }
  const char *missing = find_cupti_functions(api, cupti);
  if (missing) return emuv_err_set(err, EMUV_ERR_UNSUPPORTED, "this CUPTI has no %s", missing);
  find_driver_functions(api, driver);
  return 0;
}
