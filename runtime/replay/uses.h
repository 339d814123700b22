// SPDX-License-Identifier: Apache-2.0
/* From the page references of a part of a slice to what its kernel does with each page: every page once, in the frame
 * in which it lies, at its share of the launch's recorded volume. A page that has no data yet is written whole at its
 * first use. One thread. */
#ifndef EMUV_REPLAY_USES_H
#define EMUV_REPLAY_USES_H

#include "runtime/engine/engine.h"
#include "simulator/machine.h"

struct emuv_uses {
  struct emuv_use *use; /* of the last part */
  uint32_t *at, *stamp; /* per page: its place in `use`, valid when stamp is `now` */
  uint8_t *has_data;    /* per page */
  double *bytes_of_op;  /* per launch: bytes that it touches, recorded or (where nothing is) those of its ranges */
  uint32_t n, now;
};

/* EMUV_ERR_NOMEM. */
int emuv_uses_init(struct emuv_uses *u, const struct emuv_machine_run *run, struct emuv_err *err);
void emuv_uses_free(struct emuv_uses *u);
/* Fills use[0..n-1]; `frame` says where pages lie. */
void emuv_uses_build(struct emuv_uses *u, const struct emuv_machine_run *run, const struct emuv_part *part,
                     const uint32_t *frame);

#endif
