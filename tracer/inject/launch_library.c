// SPDX-License-Identifier: Apache-2.0
/* See launch_library.h. */
#include "tracer/inject/launch_library.h"

#include "runtime/core/units.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGES_MIN = 4 << 10, PAGES_MAX = 2 << 20, PAGES_DEFAULT = 64 << 10 };

static const char sanitizer_name[] = "libsanitizer-public.so";

int emuv_launch_parse_pages(const char *text, uint64_t *bytes, struct emuv_err *err)
{
  *bytes = PAGES_DEFAULT;
  if (!text) return 0;
  const int rc = emuv_units_parse_bytes(text, bytes, err);
  if (rc) return rc;
  if (*bytes >= PAGES_MIN && *bytes <= PAGES_MAX && (*bytes & (*bytes - 1)) == 0) return 0;
  return emuv_err_set(err, EMUV_ERR_USAGE, "'%.64s' is not a power of two from 4KiB to 2MiB", text);
}

/* The program's own folder; "" when the system does not tell. */
static void own_folder(char folder[PATH_MAX])
{
  const ssize_t n = readlink("/proc/self/exe", folder, PATH_MAX - 1);
  folder[n > 0 ? n : 0] = '\0';
  char *slash = strrchr(folder, '/');
  if (slash) *slash = '\0';
}

static bool try_library(char *path, const char *folder, const char *below, const char *name)
{
  char real[PATH_MAX];
  if (snprintf(path, PATH_MAX, "%s%s/%s", folder, below, name) >= PATH_MAX) return false;
  if (access(path, R_OK) != 0 || !realpath(path, real)) return false;
  strcpy(path, real);
  return true;
}

static bool find_ours(const char *variable, const char *name, char *path)
{
  const char *given = getenv(variable);
  char folder[PATH_MAX];
  if (given && *given) return access(given, R_OK) == 0 && realpath(given, path) != NULL;
  own_folder(folder);
  return try_library(path, folder, "/../lib/emuv", name) || try_library(path, folder, "/../lib", name);
}

/* Where the library in the command will look too (sanitizer_api.c). */
static bool sanitizer_is_there(const char *library)
{
  char folder[PATH_MAX], path[PATH_MAX];
  const char *given = getenv("EMUV_SANITIZER_LIBRARY"), *home = getenv("CUDA_HOME");
  if (given && *given) return access(given, R_OK) == 0;
  strcpy(folder, library);
  *strrchr(folder, '/') = '\0';
  if (try_library(path, folder, "", sanitizer_name)) return true;
  if (home && *home && try_library(path, home, "/compute-sanitizer", sanitizer_name)) return true;
  if (try_library(path, "/usr/local/cuda", "/compute-sanitizer", sanitizer_name)) return true;
  void *handle = dlopen(sanitizer_name, RTLD_LAZY);
  if (handle) dlclose(handle);
  return handle != NULL;
}

static int missing_sanitizer(struct emuv_err *err)
{
  emuv_err_set(err, EMUV_ERR_NODEV, "--pages needs NVIDIA's %s, which was not found", sanitizer_name);
  return emuv_err_hint(err,
                       "install the toolkit's package cuda-sanitizer; or pip install nvidia-cuda-sanitizer-api, and "
                       "name the file in EMUV_SANITIZER_LIBRARY");
}

int emuv_launch_find_library(bool pages, char *path, struct emuv_err *err)
{
  const char *const name = pages ? "libemuv_sanitizer.so" : "libemuv_cupti.so";
  const char *const variable = pages ? "EMUV_PAGES_LIBRARY" : "EMUV_CUPTI_LIBRARY";
  if (find_ours(variable, name, path)) return pages && !sanitizer_is_there(path) ? missing_sanitizer(err) : 0;
  emuv_err_set(err, EMUV_ERR_NODEV, "the capture library %s was not found", name);
  if (pages)
    return emuv_err_hint(
        err,
        "it is built where nvcc and the Sanitizer API's headers are: install the toolkit, or pip install "
        "nvidia-cuda-sanitizer-api and name its folder nvidia/cu13 in EMUV_SANITIZER_HOME; build and "
        "install emuV again, or name the file in %s",
        variable);
  return emuv_err_hint(err,
                       "it is built where CUDA's headers and CUPTI are: install the packages cuda-cudart-dev and "
                       "cuda-cupti-dev (or the toolkit), build and install emuV again, or name the file in %s",
                       variable);
}
