// SPDX-License-Identifier: Apache-2.0
/* Text tables; see table.h. */
#include "simulator/table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const int GAP = 2; /* blanks between columns */

void emuv_table_column(struct emuv_table *table, const char *name, unsigned flags)
{
  if (table->n_columns == EMUV_TABLE_COLUMNS) return;
  (void)snprintf(table->column[table->n_columns].name, EMUV_TABLE_NAME, "%s", name);
  table->column[table->n_columns++].flags = flags;
}

static bool grow(struct emuv_table *table)
{
  if (table->n_cells < table->capacity) return true;
  size_t more = table->capacity ? 2 * table->capacity : 64;
  char **cells = reallocarray(table->cells, more, sizeof *cells);
  if (!cells) return false;
  table->cells = cells;
  table->capacity = more;
  return true;
}

void emuv_table_cell(struct emuv_table *table, const char *fmt, ...)
{
  char *text = NULL;
  va_list args;
  va_start(args, fmt);
  int n = vasprintf(&text, fmt, args);
  va_end(args);
  if (n >= 0 && grow(table)) {
    table->cells[table->n_cells++] = text;
    return;
  }
  if (n >= 0) free(text);
  table->failed = true;
}

/* Characters, not bytes. */
static int width_of(const char *text)
{
  int n = 0;
  for (; *text; text++) n += ((unsigned char)*text & 0xc0u) != 0x80u;
  return n;
}

static const char *cell(const struct emuv_table *t, size_t row, size_t column)
{
  return t->cells[row * t->n_columns + column];
}

static size_t rows_of(const struct emuv_table *t)
{
  return t->n_columns ? t->n_cells / t->n_columns : 0;
}

static bool is_wanted(const struct emuv_table *t, size_t column)
{
  unsigned flags = t->column[column].flags;
  size_t n = rows_of(t), same = 1, empty = 0;
  while (same < n && strcmp(cell(t, same, column), cell(t, 0, column)) == 0) same++;
  while (empty < n && !cell(t, empty, column)[0]) empty++;
  if ((flags & EMUV_TABLE_VARYING) && same >= n) return false;
  return !((flags & EMUV_TABLE_FILLED) && empty == n);
}

static int measure(const struct emuv_table *t, size_t column)
{
  int most = width_of(t->column[column].name);
  for (size_t i = 0; i < rows_of(t); i++) {
    int w = width_of(cell(t, i, column));
    if (w > most) most = w;
  }
  return most;
}

static int total_width(const struct emuv_table *t, const int *width)
{
  int sum = -GAP;
  for (size_t i = 0; i < t->n_columns; i++)
    if (width[i]) sum += width[i] + GAP;
  return sum;
}

/* Width of each column, 0 for those that are left out. */
static void lay_out(const struct emuv_table *t, int limit, int *width)
{
  for (size_t i = 0; i < t->n_columns; i++) width[i] = is_wanted(t, i) ? measure(t, i) : 0;
  for (unsigned flag = EMUV_TABLE_OPTIONAL; limit && flag; flag = flag == EMUV_TABLE_OPTIONAL ? EMUV_TABLE_LATE : 0)
    for (size_t i = 0; i < t->n_columns && total_width(t, width) > limit; i++)
      if (t->column[i].flags & flag) width[i] = 0;
}

/* Blanks are kept back until something follows, so that no line ends in one. */
static int put(FILE *out, const char *text, int width, bool right, int blanks)
{
  int pad = width - width_of(text);
  if (!*text) return blanks + width;
  fprintf(out, "%*s%s", blanks + (right ? pad : 0), "", text);
  return right ? 0 : pad;
}

static void print_line(const struct emuv_table *t, const int *width, size_t row, FILE *out)
{
  int blanks = 0;
  bool first = true;
  for (size_t i = 0; i < t->n_columns; i++) {
    if (!width[i]) continue;
    const char *text = row == SIZE_MAX ? t->column[i].name : cell(t, row, i);
    blanks = put(out, text, width[i], t->column[i].flags & EMUV_TABLE_RIGHT, blanks + (first ? 0 : GAP));
    first = false;
  }
  fputc('\n', out);
}

static bool has_names(const struct emuv_table *t)
{
  for (size_t i = 0; i < t->n_columns; i++)
    if (t->column[i].name[0]) return true;
  return false;
}

int emuv_table_print(const struct emuv_table *table, FILE *out, int width, struct emuv_err *err)
{
  int widths[EMUV_TABLE_COLUMNS];
  if (table->failed) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for a table");
  if (!rows_of(table)) return 0;
  lay_out(table, width, widths);
  if (has_names(table)) print_line(table, widths, SIZE_MAX, out);
  for (size_t i = 0; i < rows_of(table); i++) print_line(table, widths, i, out);
  return ferror(out) ? emuv_err_errno(err, EMUV_ERR_IO, "cannot write") : 0;
}

bool emuv_table_shows(const struct emuv_table *table, size_t column, int width)
{
  int widths[EMUV_TABLE_COLUMNS];
  lay_out(table, width, widths);
  return column < table->n_columns && widths[column];
}

void emuv_table_free(struct emuv_table *table)
{
  for (size_t i = 0; i < table->n_cells; i++) free(table->cells[i]);
  free(table->cells);
  *table = (struct emuv_table){0};
}
