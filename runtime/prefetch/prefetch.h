// SPDX-License-Identifier: Apache-2.0
/* Prefetchers: which absent pages to load ahead of their use.
 *
 * A prefetcher is one file ending in a const vtable, and one line in prefetch.def; copy skeleton.c to write one. State
 * is one block of state_bytes() bytes that the caller allocates zeroed and frees. Called once per slice; a prefetcher
 * looks at residency through env->state and proposes absent pages only, the most urgent first, never more than the
 * budget. A state belongs to one thread. */
#ifndef EMUV_PREFETCH_PREFETCH_H
#define EMUV_PREFETCH_PREFETCH_H

#include "runtime/core/program.h"

#include <stddef.h>
#include <stdint.h>

enum emuv_prefetch_flag {
  EMUV_PREFETCH_NEEDS_FUTURE = 1, /* reads slices that have not run yet: a yardstick */
};

struct emuv_prefetch_env {
  const struct emuv_program *program; /* slices up to the current one are history; later ones are the future */
  const uint8_t *state;               /* per page: bit EMUV_PAGE_VRAM (runtime/core/pager.h) = resident or on its way */
  uint32_t depth_pages;               /* how far ahead to look at most, in pages */
  const uint32_t *n_ahead;            /* pages loaded ahead that wait for their use; NULL = not known */
  bool skip_dynamic;                  /* leave out runs that are known only at launch */
};

struct emuv_prefetch_ops {
  const char *name;
  const char *summary;
  unsigned flags;
  size_t (*state_bytes)(const struct emuv_prefetch_env *env);
  void (*init)(void *state, const struct emuv_prefetch_env *env);
  /* `slice` has just been accessed; `missed` pages of it were absent. Writes at most max_runs runs with together at
   * most `budget` pages to out; returns how many runs. Every proposed page is absent, below n_pages, and proposed once.
   */
  uint32_t (*propose)(void *state, uint32_t slice, uint32_t missed, uint32_t budget, struct emuv_page_run *out,
                      uint32_t max_runs);
};

extern const struct emuv_prefetch_ops *const emuv_prefetchers[]; /* NULL-terminated */
const struct emuv_prefetch_ops *emuv_prefetch_find(const char *name);
const char *const *emuv_prefetch_names(void);

#endif
