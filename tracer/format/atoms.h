// SPDX-License-Identifier: Apache-2.0
/* A trace as a string of references to atoms: the coarsest cut of the compact address space in which every call touches
 * whole atoms. Measures over atoms, weighted by their bytes, are exact to the byte, and a matrix that is always touched
 * as a whole is one reference.
 *
 * A trace whose calls would make more than `most` references is cut at multiples of a grain (a power of two) instead,
 * large enough that they are fewer; touched bytes are then rounded to whole grains. Immutable once built. */
#ifndef EMUV_FORMAT_ATOMS_H
#define EMUV_FORMAT_ATOMS_H

#include "tracer/format/touch.h"

struct emuv_trace_run {
  uint32_t first, n; /* atoms */
};

struct emuv_trace_atoms {
  uint64_t *bounds;           /* atom i is bounds[i] .. bounds[i + 1]; some belong to nothing that is touched */
  uint32_t n;                 /* atoms */
  struct emuv_trace_run *run; /* as touches.intervals */
  uint64_t references;        /* sum of the runs' lengths */
  uint64_t grain;             /* 1 = exact */
};

enum { EMUV_TRACE_REFERENCES_MOST = 1 << 25 };

/* EMUV_ERR_NOMEM, EMUV_ERR_RANGE (more than 2^31 atoms). */
int emuv_trace_atoms_build(const struct emuv_trace_touches *touches, uint64_t most, struct emuv_trace_atoms *atoms,
                           struct emuv_err *err);
void emuv_trace_atoms_free(struct emuv_trace_atoms *atoms);

static inline uint64_t emuv_trace_atom_bytes(const struct emuv_trace_atoms *a, uint32_t atom)
{
  return a->bounds[atom + 1] - a->bounds[atom];
}

#endif
