// SPDX-License-Identifier: Apache-2.0
/* Reference strings: memory, and the next use of every reference by one backward pass. */
#include "simulator/mrc_trace.h"

#include "runtime/policy/policy.h"

#include <string.h>
#include <sys/mman.h>

enum { SMALL_BYTES = 1 << 12, HUGE_BYTES = 1 << 21 };

static char *map(size_t bytes)
{
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

static void unmap(char *at, size_t bytes)
{
  if (bytes > 0) munmap(at, bytes);
}

/* Huge pages need an aligned start: maps more, and gives back both ends. */
static char *map_aligned(size_t bytes)
{
  char *memory = map(bytes + HUGE_BYTES);
  if (!memory) return NULL;
  size_t before = (size_t)(-(uintptr_t)memory & (HUGE_BYTES - 1));
  unmap(memory, before);
  unmap(memory + before + bytes, HUGE_BYTES - before);
  madvise(memory + before, bytes, MADV_HUGEPAGE);
  return memory + before;
}

static size_t rounded(size_t bytes)
{
  return bytes > 0 ? (bytes + SMALL_BYTES - 1) & ~(size_t)(SMALL_BYTES - 1) : SMALL_BYTES;
}

void *emuv_mrc_alloc(size_t bytes)
{
  return bytes < HUGE_BYTES ? map(rounded(bytes)) : map_aligned(rounded(bytes));
}

void emuv_mrc_free(void *memory, size_t bytes)
{
  if (memory) munmap(memory, rounded(bytes));
}

void emuv_mrc_trace_free(struct emuv_mrc_trace *t)
{
  emuv_mrc_free(t->refs, t->allocated * sizeof *t->refs);
  *t = (struct emuv_mrc_trace){0};
}

uint32_t *emuv_mrc_next_uses(const struct emuv_mrc_trace *t)
{
  enum { AHEAD = 24 };
  uint32_t *next = emuv_mrc_alloc(t->n * sizeof *next);
  uint32_t *seen = emuv_mrc_alloc(t->n_pages * sizeof *seen);
  if (next && seen) {
    memset(seen, 0xff, t->n_pages * sizeof *seen);
    for (size_t i = t->n; i-- > 0;) {
      if (i >= AHEAD) __builtin_prefetch(&seen[t->refs[i - AHEAD]], 1);
      next[i] = seen[t->refs[i]];
      seen[t->refs[i]] = (uint32_t)i;
    }
  } else {
    emuv_mrc_free(next, t->n * sizeof *next);
    next = NULL;
  }
  emuv_mrc_free(seen, t->n_pages * sizeof *seen);
  return next;
}
