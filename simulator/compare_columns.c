// SPDX-License-Identifier: Apache-2.0
/* Columns of comparisons; see compare_internal.h. */
#include "simulator/compare_internal.h"

#include "runtime/core/units.h"
#include "simulator/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int emuv_compare_varying(sqlite3_stmt *s, int n, bool *varies, struct emuv_err *err)
{
  char *first[EMUV_COMPARE_COLUMNS] = {NULL};
  int rc = 0;
  for (bool begun = false; !rc && sqlite3_step(s) == SQLITE_ROW; begun = true)
    for (int i = 0; i < n && !rc; i++) {
      if (begun)
        varies[i] |= strcmp(first[i], emuv_rows_text(s, i)) != 0;
      else if (!(first[i] = strdup(emuv_rows_text(s, i))))
        rc = emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the rows");
    }
  for (int i = 0; i < n; i++) free(first[i]);
  sqlite3_reset(s);
  return rc;
}

/* Labels that say nothing about why two rows differ. */
static bool is_quiet(const char *name)
{
  static const char *const names[] = {"run_id", "config_hash", "kind",      "scenario",        "model",
                                      "status", "version",     "work_unit", "footprint_bytes", "weight_bytes"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(names[i], name) == 0) return true;
  return false;
}

/* "vram_bytes" becomes a size under "vram". */
static struct emuv_compare_column label(sqlite3_stmt *s, int column)
{
  struct emuv_compare_column c = {.column = column, .type = EMUV_CELL_TEXT};
  (void)snprintf(c.name, sizeof c.name, "%s", sqlite3_column_name(s, column));
  char *unit = strstr(c.name, "_bytes");
  if (sqlite3_column_type(s, column) == SQLITE_INTEGER || sqlite3_column_type(s, column) == SQLITE_FLOAT)
    c.type = EMUV_CELL_NUMBER;
  if (unit && !unit[6]) {
    c.type = EMUV_CELL_SIZE;
    *unit = '\0';
  }
  return c;
}

size_t emuv_compare_labels(sqlite3_stmt *s, const bool *varies, int last, struct emuv_compare_column *shown)
{
  size_t n = 0;
  for (int i = 0; i <= last; i++)
    if (varies[i] && !is_quiet(sqlite3_column_name(s, i))) shown[n++] = label(s, i);
  return n;
}

void emuv_compare_begin(const struct emuv_compare_column *shown, size_t n, struct emuv_table *table)
{
  for (size_t i = 0; i < n; i++)
    emuv_table_column(table, shown[i].name, shown[i].type == EMUV_CELL_TEXT ? 0 : EMUV_TABLE_RIGHT);
}

const char *emuv_compare_number(bool known, const char *format, double value, char text[32])
{
  text[0] = '\0';
  if (known) (void)snprintf(text, 32, format, value);
  return text;
}

bool emuv_compare_has(sqlite3_stmt *s, int column)
{
  return sqlite3_column_type(s, column) != SQLITE_NULL;
}

void emuv_compare_cells(sqlite3_stmt *s, const struct emuv_compare_column *shown, size_t n, struct emuv_table *table)
{
  char text[32];
  for (size_t i = 0; i < n; i++) {
    int at = shown[i].column;
    double value = sqlite3_column_double(s, at);
    if (shown[i].type == EMUV_CELL_SECONDS)
      emuv_table_cell(table, "%s", emuv_compare_number(emuv_compare_has(s, at), "%.6g", value, text));
    else if (shown[i].type == EMUV_CELL_SIZE)
      emuv_table_cell(table, "%s", emuv_units_format_bytes((uint64_t)sqlite3_column_int64(s, at), text, sizeof text));
    else
      emuv_table_cell(table, "%s", emuv_rows_text(s, at));
  }
}
