// SPDX-License-Identifier: Apache-2.0
/* The reference program: next uses (one backward pass, as for Belady's MIN, IBM Systems Journal 1966) and release. */
#include "runtime/core/program.h"

#include "runtime/policy/policy.h"

#include <stdlib.h>
#include <string.h>

static void next_uses_of_run(const struct emuv_page_run *run, uint32_t ref, uint32_t *next, uint32_t *last)
{
  for (uint32_t i = run->n; i-- > 0;) {
    next[ref + i] = last[run->first + i];
    last[run->first + i] = ref + i;
  }
}

void emuv_program_next_uses(const struct emuv_program *program, uint32_t *next, uint32_t *last)
{
  memset(last, 0xff, sizeof *last * program->n_pages);
  uint32_t ref = program->n_refs;
  for (size_t r = program->n_runs; r-- > 0;) {
    ref -= program->runs[r].n;
    next_uses_of_run(&program->runs[r], ref, next, last);
  }
}

void emuv_program_free(struct emuv_program *program)
{
  free(program->runs);
  free(program->slices);
  free(program->slice_layer);
  free(program->step_first_slice);
  free(program->initial);
  free(program->layers);
  free(program->layer_runs);
  *program = (struct emuv_program){0};
}
