// SPDX-License-Identifier: Apache-2.0
/* What the two comparisons of results share: the command line, and which columns of a join tell its rows apart. Joins
 * begin with the columns of the table `runs` and `repetition`. No state. */
#ifndef EMUV_SIMULATOR_COMPARE_INTERNAL_H
#define EMUV_SIMULATOR_COMPARE_INTERNAL_H

#include "simulator/results.h"
#include "simulator/table.h"

#include <sqlite3.h>
#include <stdbool.h>

struct emuv_compare_options {
  const char *file[2];
  int n_files;
  double threshold; /* share */
  double max_error; /* share; < 0: none */
  bool exact, csv, json, all;
};

enum emuv_compare_cell { EMUV_CELL_TEXT, EMUV_CELL_SIZE, EMUV_CELL_NUMBER, EMUV_CELL_SECONDS };

struct emuv_compare_column {
  int column;
  enum emuv_compare_cell type;
  char name[EMUV_TABLE_NAME];
};

enum { EMUV_COMPARE_COLUMNS = 128 }; /* more than a join has */

/* Columns 0 .. n-1 by which the rows of a statement differ (varies[i]); walks over it and resets it. EMUV_ERR_NOMEM. */
int emuv_compare_varying(sqlite3_stmt *s, int n, bool *varies, struct emuv_err *err);
/* The columns up to and including `last` that vary and identify a row; returns how many. */
size_t emuv_compare_labels(sqlite3_stmt *s, const bool *varies, int last, struct emuv_compare_column *shown);
void emuv_compare_begin(const struct emuv_compare_column *shown, size_t n, struct emuv_table *table);
/* The cells of the current row. */
void emuv_compare_cells(sqlite3_stmt *s, const struct emuv_compare_column *shown, size_t n, struct emuv_table *table);
/* The value as text, "" when it is not known. */
const char *emuv_compare_number(bool known, const char *format, double value, char text[32]);
bool emuv_compare_has(sqlite3_stmt *s, int column);

/* Predictions (kind sim) against measurements (kind replay, run) of the same configuration, all in `main` or, with
 * `two`, one in `main` and the other in `other`. Prints them. *failed: --max-error or --exact does not hold.
 * EMUV_ERR_INPUT when there is no such pair. */
int emuv_fidelity_compare(const struct emuv_compare_options *o, struct emuv_results *a, bool two, bool *failed,
                          struct emuv_err *err);

#endif
