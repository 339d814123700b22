// SPDX-License-Identifier: Apache-2.0
/* Rows as CSV and JSON; see rows.h. */
#include "simulator/rows.h"

#include <string.h>

const char *emuv_rows_text(sqlite3_stmt *s, int column)
{
  const unsigned char *t = sqlite3_column_text(s, column);
  return t ? (const char *)t : "";
}

void emuv_rows_csv_field(FILE *out, const char *t)
{
  if (!strpbrk(t, ",\"\n\r")) {
    fputs(t, out);
    return;
  }
  fputc('"', out);
  for (; *t; t++) {
    if (*t == '"') fputc('"', out);
    fputc(*t, out);
  }
  fputc('"', out);
}

void emuv_rows_csv_names(sqlite3_stmt *s, FILE *out)
{
  for (int i = 0; i < sqlite3_column_count(s); i++) fprintf(out, "%s%s", i ? "," : "", sqlite3_column_name(s, i));
}

void emuv_rows_csv(sqlite3_stmt *s, FILE *out)
{
  for (int i = 0; i < sqlite3_column_count(s); i++) {
    if (i) fputc(',', out);
    if (sqlite3_column_type(s, i) == SQLITE_FLOAT)
      fprintf(out, "%.17g", sqlite3_column_double(s, i));
    else
      emuv_rows_csv_field(out, emuv_rows_text(s, i));
  }
}

static json_t *value_of(sqlite3_stmt *s, int i)
{
  switch (sqlite3_column_type(s, i)) {
  case SQLITE_INTEGER: return json_integer(sqlite3_column_int64(s, i));
  case SQLITE_FLOAT: return json_real(sqlite3_column_double(s, i));
  case SQLITE_NULL: return json_null();
  default: return json_string(emuv_rows_text(s, i));
  }
}

json_t *emuv_rows_json(sqlite3_stmt *s)
{
  json_t *row = json_object();
  for (int i = 0; row && i < sqlite3_column_count(s); i++)
    json_object_set_new(row, sqlite3_column_name(s, i), value_of(s, i));
  return row;
}
