// SPDX-License-Identifier: Apache-2.0
/* See sanitizer_api.h. */
#include "tracer/inject/sanitizer_api.h"

#include "tracer/inject/inject.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

static const char library_name[] = "libsanitizer-public.so";

static void *open_in(const char *folder, const char *below)
{
  char path[PATH_MAX];
  if (!folder || !*folder) return NULL;
  if (snprintf(path, sizeof path, "%s%s/%s", folder, below, library_name) >= (int)sizeof path) return NULL;
  return dlopen(path, RTLD_NOW);
}

/* pip puts it beside the other CUDA libraries, or in a folder of its own beside theirs. */
static void *open_beside_cudart(void)
{
  char folder[PATH_MAX];
  void *cudart = dlopen("libcudart.so.13", RTLD_LAZY | RTLD_NOLOAD);
  if (!cudart) cudart = dlopen("libcudart.so.12", RTLD_LAZY | RTLD_NOLOAD);
  void *symbol = cudart ? dlsym(cudart, "cudaGetDevice") : NULL;
  if (!symbol) return NULL;
  emuv_injected_folder_of(symbol, folder);
  void *library = open_in(folder, "");
  if (!library) library = open_in(folder, "/../compute-sanitizer");
  return library;
}

static void *open_library(void)
{
  char folder[PATH_MAX];
  const char *given = getenv("EMUV_SANITIZER_LIBRARY");
  if (given && *given) return dlopen(given, RTLD_NOW);
  void *library = dlopen(library_name, RTLD_NOW | RTLD_NOLOAD);
  emuv_injected_folder_of((const void *)&library_name, folder);
  if (!library) library = open_in(folder, "");
  if (!library) library = dlopen(library_name, RTLD_NOW);
  if (!library) library = open_in(getenv("CUDA_HOME"), "/compute-sanitizer");
  if (!library) library = open_in("/usr/local/cuda", "/compute-sanitizer");
  if (!library) library = open_beside_cudart();
  return library;
}

int emuv_sanitizer_load(struct emuv_sanitizer_api *api, struct emuv_err *err)
{
  const char *missing = NULL;
  void *library = open_library();
  if (!library) {
    emuv_err_set(err, EMUV_ERR_NODEV, "%s was not found", library_name);
    return emuv_err_hint(err, "install the Compute Sanitizer (package cuda-sanitizer of the toolkit, or pip install "
                              "nvidia-cuda-sanitizer-api), or add its folder to LD_LIBRARY_PATH");
  }
#define FIND(name)                                                                                                     \
  if (!emuv_injected_find(library, #name, &api->name)) missing = #name;
  EMUV_SANITIZER_FUNCTIONS(FIND)
#undef FIND
  return missing ? emuv_err_set(err, EMUV_ERR_UNSUPPORTED, "this Sanitizer library has no %s", missing) : 0;
}
