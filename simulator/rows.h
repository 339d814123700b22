// SPDX-License-Identifier: Apache-2.0
/* Rows of a SQLite statement as CSV (RFC 4180 quoting; NULL is an empty field) and JSON (NULL is null). */
#ifndef EMUV_SIMULATOR_ROWS_H
#define EMUV_SIMULATOR_ROWS_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdio.h>

/* Names of the columns, and the current row; neither ends the line. */
void emuv_rows_csv_names(sqlite3_stmt *s, FILE *out);
void emuv_rows_csv(sqlite3_stmt *s, FILE *out);
/* One field, quoted where it must be. */
void emuv_rows_csv_field(FILE *out, const char *text);
/* The current row as a new object, NULL without memory. */
json_t *emuv_rows_json(sqlite3_stmt *s);
/* Text of a column, "" for NULL; valid until the next step. */
const char *emuv_rows_text(sqlite3_stmt *s, int column);

#endif
