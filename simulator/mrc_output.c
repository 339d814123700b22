// SPDX-License-Identifier: Apache-2.0
/* Table, CSV and JSON (jansson) of a miss-ratio curve. The caller owns the stream. */
#include "simulator/mrc_output.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

static double ratio(const struct emuv_mrc_row *row)
{
  return (double)row->misses / (double)row->accesses;
}

static void write_table(FILE *out, const struct emuv_mrc_row *rows, size_t n)
{
  int width = (int)strlen("policy");
  for (size_t i = 0; i < n; i++) {
    int length = (int)strlen(rows[i].policy->name);
    if (length > width) width = length;
  }
  fprintf(out, "%-*s  %14s  %12s  %12s  %10s\n", width, "policy", "capacity_pages", "accesses", "misses", "miss_ratio");
  for (size_t i = 0; i < n; i++) {
    fprintf(out, "%-*s  %14" PRIu64 "  %12" PRIu64 "  %12" PRIu64 "  %10.6f\n", width, rows[i].policy->name,
            rows[i].capacity_pages, rows[i].accesses, rows[i].misses, ratio(&rows[i]));
  }
}

static void write_csv(FILE *out, const struct emuv_mrc_row *rows, size_t n)
{
  fputs("policy,capacity_pages,accesses,misses,miss_ratio\n", out);
  for (size_t i = 0; i < n; i++) {
    fprintf(out, "%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%.9f\n", rows[i].policy->name, rows[i].capacity_pages,
            rows[i].accesses, rows[i].misses, ratio(&rows[i]));
  }
}

static json_t *row_object(const struct emuv_mrc_row *row)
{
  return json_pack("{s:s, s:I, s:I, s:I, s:f}", "policy", row->policy->name, "capacity_pages",
                   (json_int_t)row->capacity_pages, "accesses", (json_int_t)row->accesses, "misses",
                   (json_int_t)row->misses, "miss_ratio", ratio(row));
}

static int write_json(FILE *out, const char *path, const struct emuv_mrc_trace *t, const struct emuv_mrc_row *rows,
                      size_t n)
{
  json_t *array = json_array();
  for (size_t i = 0; i < n; i++) json_array_append_new(array, row_object(&rows[i]));
  json_t *name = json_string(path); /* NULL for a path that is not UTF-8 */
  json_t *root = json_pack("{s:o, s:I, s:I, s:o}", "trace", name ? name : json_null(), "accesses", (json_int_t)t->n,
                           "pages", (json_int_t)t->n_pages, "rows", array);
  int rc = root ? json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : -1;
  fputc('\n', out);
  json_decref(root);
  return rc;
}

int emuv_mrc_write(FILE *out, enum emuv_mrc_style style, const char *path, const struct emuv_mrc_trace *t,
                   const struct emuv_mrc_row *rows, size_t n, struct emuv_err *err)
{
  int rc = 0;
  switch (style) {
  case EMUV_MRC_TABLE: write_table(out, rows, n); break;
  case EMUV_MRC_CSV: write_csv(out, rows, n); break;
  case EMUV_MRC_JSON: rc = write_json(out, path, t, rows, n); break;
  }
  if (rc != 0 || fflush(out) != 0 || ferror(out)) return emuv_err_errno(err, EMUV_ERR_IO, "cannot write the result");
  return 0;
}
