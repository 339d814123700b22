// SPDX-License-Identifier: Apache-2.0
/* Modules: patched when they are loaded, and searched for what patches do not see. Kernels: their entries in the
 * dictionary. See sanitizer_capture.h. */
#define HASH_NONFATAL_OOM 1
#include "tracer/inject/cubin.h"
#include "tracer/inject/sanitizer_capture.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* The patches, as bin2c makes them from pages_patch.fatbin. */
extern const unsigned long long emuv_pages_patches[];

struct unseen {
  UT_hash_handle hh;
  unsigned what; /* enum emuv_cubin_unseen */
  char name[];
};

struct module {
  UT_hash_handle hh;
  CUmodule handle;
  bool patched;
  unsigned all; /* what its device functions do: any kernel may call them */
  struct unseen *kernels;
};

static struct module *modules; /* under emuv_sanitizer.lock, with the names */
static const char **names;
static size_t n_names;

static const struct {
  Sanitizer_InstructionId id;
  const char *patch;
} instructions[] = {
    {SANITIZER_INSTRUCTION_GLOBAL_MEMORY_ACCESS, "emuv_pages_access"},
    {SANITIZER_INSTRUCTION_MEMCPY_ASYNC, "emuv_pages_copy_async"},
    {SANITIZER_INSTRUCTION_BULK_COPY_GLOBAL_TO_SHARED, "emuv_pages_bulk_load"},
    {SANITIZER_INSTRUCTION_BULK_COPY_SHARED_TO_GLOBAL, "emuv_pages_bulk_store"},
    {SANITIZER_INSTRUCTION_BULK_REDUCTION_SHARED_TO_GLOBAL, "emuv_pages_bulk_reduce"},
};

static bool failed(const char *what, SanitizerResult rc)
{
  static atomic_bool said;
  const char *text = NULL;
  if (rc == SANITIZER_SUCCESS) return false;
  emuv_sanitizer.api.sanitizerGetResultString(rc, &text);
  if (!atomic_exchange(&said, true))
    emuv_capture_say("%s: %s; launches of its kernels are gaps", what, text ? text : "unknown error");
  return true;
}

/* The patches are loaded once per context. The API wants these calls one after the other: `preparing` is not enough, so
 * one lock for all contexts. */
static bool patch_module(struct emuv_sanitizer_context *context, CUmodule module)
{
  static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
  const struct emuv_sanitizer_api *const api = &emuv_sanitizer.api;
  bool good = true;
  pthread_mutex_lock(&one_at_a_time);
  if (!context->patches)
    good = context->patches =
        !failed("loading the patches", api->sanitizerAddPatches(emuv_pages_patches, context->handle));
  for (size_t i = 0; good && i < sizeof instructions / sizeof *instructions; i++)
    good = !failed(instructions[i].patch,
                   api->sanitizerPatchInstructions(instructions[i].id, module, instructions[i].patch));
  if (good) good = !failed("patching a module", api->sanitizerPatchModule(module));
  pthread_mutex_unlock(&one_at_a_time);
  return good;
}

static void found_unseen(void *user, const char *name, bool kernel, unsigned what)
{
  struct module *const m = user;
  if (!kernel) {
    m->all |= what;
    return;
  }
  struct unseen *const u = calloc(1, sizeof *u + strlen(name) + 1);
  if (!u) {
    m->all |= what;
    return;
  }
  strcpy(u->name, name);
  u->what = what;
  HASH_ADD_STR(m->kernels, name, u);
}

static void module_free(struct module *m)
{
  struct unseen *u, *next;
  HASH_ITER(hh, m->kernels, u, next)
  {
    HASH_DEL(m->kernels, u);
    free(u);
  }
  free(m);
}

void emuv_sanitizer_patch(const Sanitizer_ResourceModuleData *data)
{
  struct emuv_sanitizer_context *const context = emuv_sanitizer_context(data->context);
  struct module *const m = calloc(1, sizeof *m), *old;
  if (!context || !m) {
    free(m);
    return;
  }
  m->handle = data->module;
  m->patched = patch_module(context, data->module);
  if (data->pCubin && !emuv_cubin_scan(data->pCubin, data->cubinSize, found_unseen, m)) m->all = EMUV_CUBIN_TENSOR;
  pthread_mutex_lock(&emuv_sanitizer.lock);
  HASH_FIND_PTR(modules, &data->module, old);
  if (old) HASH_DEL(modules, old);
  HASH_ADD_PTR(modules, handle, m);
  emuv_sanitizer.unpatched_modules += !m->patched;
  pthread_mutex_unlock(&emuv_sanitizer.lock);
  if (old) module_free(old);
}

void emuv_sanitizer_forget(const Sanitizer_ResourceModuleData *data)
{
  struct module *m;
  pthread_mutex_lock(&emuv_sanitizer.lock);
  HASH_FIND_PTR(modules, &data->module, m);
  if (m) HASH_DEL(modules, m);
  pthread_mutex_unlock(&emuv_sanitizer.lock);
  if (m) module_free(m);
}

static enum emuv_pages_why why_unseen(CUmodule handle, const char *name)
{
  struct module *m;
  struct unseen *u;
  HASH_FIND_PTR(modules, &handle, m);
  if (!m || !m->patched) return EMUV_PAGES_UNPATCHED;
  HASH_FIND_STR(m->kernels, name, u);
  const unsigned what = m->all | (u ? u->what : 0);
  if (what & EMUV_CUBIN_TENSOR) return EMUV_PAGES_TENSOR;
  return what & EMUV_CUBIN_TEXTURE ? EMUV_PAGES_TEXTURE : EMUV_PAGES_SEEN;
}

/* Names by kernel id, for the last words of the capture. */
static void remember(uint32_t id, const char *name)
{
  if (id < n_names && names[id]) return;
  if (id >= n_names) {
    const size_t n = (size_t)id * 2 + 64;
    const char **grown = realloc(names, n * sizeof *grown);
    if (!grown) return;
    memset(grown + n_names, 0, (n - n_names) * sizeof *grown);
    names = grown;
    n_names = n;
  }
  names[id] = strdup(name);
}

uint32_t emuv_sanitizer_kernel(CUmodule module, const char *name, enum emuv_pages_why *why)
{
  struct emuv_trace_kernel kernel = {.name = emuv_trace_writer_string(emuv_sanitizer.writer, name)};
  const uint32_t id = emuv_trace_writer_kernel(emuv_sanitizer.writer, &kernel);
  pthread_mutex_lock(&emuv_sanitizer.lock);
  *why = why_unseen(module, name);
  remember(id, name);
  pthread_mutex_unlock(&emuv_sanitizer.lock);
  return id;
}

const char *emuv_sanitizer_kernel_name(uint32_t id)
{
  return id < n_names ? names[id] : NULL;
}
