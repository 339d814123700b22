// SPDX-License-Identifier: Apache-2.0
/* Text tables for terminals: columns as wide as their content, numbers to the right. Cells are appended row by row;
 * memory that runs out is reported once, by emuv_table_print. One thread per table. */
#ifndef EMUV_SIMULATOR_TABLE_H
#define EMUV_SIMULATOR_TABLE_H

#include "runtime/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { EMUV_TABLE_COLUMNS = 48, EMUV_TABLE_NAME = 40 };

enum emuv_table_flag {
  EMUV_TABLE_RIGHT = 1,    /* aligned to the right */
  EMUV_TABLE_VARYING = 2,  /* left out when all of its cells are the same */
  EMUV_TABLE_OPTIONAL = 4, /* left out when the table is too wide, the first such column first */
  EMUV_TABLE_FILLED = 8,   /* left out when all of its cells are empty */
  EMUV_TABLE_LATE = 16,    /* as OPTIONAL, after all of those */
};

struct emuv_table {
  struct {
    char name[EMUV_TABLE_NAME];
    unsigned flags;
  } column[EMUV_TABLE_COLUMNS];
  size_t n_columns;
  char **cells; /* row-major, owned */
  size_t n_cells, capacity;
  bool failed;
};

/* A zeroed struct is an empty table. Columns come first; more than EMUV_TABLE_COLUMNS are ignored. */
void emuv_table_column(struct emuv_table *table, const char *name, unsigned flags);
/* The next cell (printf-style), left to right. */
void emuv_table_cell(struct emuv_table *table, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Prints the names (unless all are empty) and the rows; width: columns of the terminal, 0 = any number. EMUV_ERR_NOMEM,
 * EMUV_ERR_IO. */
int emuv_table_print(const struct emuv_table *table, FILE *out, int width, struct emuv_err *err);
/* Column `column` is not left out at this width. */
bool emuv_table_shows(const struct emuv_table *table, size_t column, int width);
void emuv_table_free(struct emuv_table *table);

#endif
