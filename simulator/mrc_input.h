// SPDX-License-Identifier: Apache-2.0
/* A file or standard input read in order through one buffer, and the readers that are built on it. */
#ifndef EMUV_SIMULATOR_MRC_INPUT_H
#define EMUV_SIMULATOR_MRC_INPUT_H

#include "simulator/mrc_ids.h"

#include <stdbool.h>

enum { EMUV_MRC_BUFFER = 3 << 16 }; /* a multiple of 24; stays in the second-level cache */

struct emuv_mrc_input {
  const char *path;    /* "-" = standard input */
  const char *name;    /* for messages */
  uint64_t page_bytes; /* 0 = not given; captured traces only */
  int fd;
  uint64_t size;     /* of a regular file, else 0 */
  char *buffer;      /* EMUV_MRC_BUFFER bytes */
  size_t start, end; /* unread bytes in the buffer */
  bool at_end;       /* nothing more comes from the file */
};

/* Moves the unread bytes to the front and fills the buffer. EMUV_ERR_IO when the file cannot be read. */
int emuv_mrc_input_fill(struct emuv_mrc_input *in, struct emuv_err *err);

/* Each reads the whole input into ids->trace. */
int emuv_mrc_read_oracle(struct emuv_mrc_input *in, struct emuv_mrc_ids *ids, struct emuv_err *err);
int emuv_mrc_read_emuv(struct emuv_mrc_input *in, struct emuv_mrc_ids *ids, struct emuv_err *err);
int emuv_mrc_read_csv(struct emuv_mrc_input *in, struct emuv_mrc_ids *ids, struct emuv_err *err);

#endif
