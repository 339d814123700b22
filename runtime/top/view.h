// SPDX-License-Identifier: Apache-2.0
/* A program's status as lines of text for people, and as JSON for programs. Unknown values are "-" and null, never 0.
 */
#ifndef EMUV_TOP_VIEW_H
#define EMUV_TOP_VIEW_H

#include "runtime/top/rates.h"

#include <stdio.h>

struct json_t;

/* One program that has a status page. */
struct emuv_top_program {
  int pid;
  struct emuv_status status;
  struct emuv_rates rates;
};

/* Lines of at most `width` columns (at least 40), each ended by a newline. */
void emuv_top_print(const struct emuv_top_program *program, int width, FILE *out);
/* All of it as one new JSON object; NULL without memory. */
struct json_t *emuv_top_json(const struct emuv_top_program *program);

#endif
