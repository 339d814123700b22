// SPDX-License-Identifier: Apache-2.0
/* Records as lines of text or JSON: see export.h. */
#include "tracer/format/export/json.h"
#include "tracer/format/export/report.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>

int emuv_export_finish(FILE *out, struct emuv_err *err)
{
  if (fflush(out) == 0 && !ferror(out)) return 0;
  return emuv_err_errno(err, EMUV_ERR_IO, "cannot write the output");
}

/* Control characters and quotes as \xNN, so that a record stays one line. */
static void put_quoted(const char *text, FILE *out)
{
  fputc('"', out);
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f)
      fprintf(out, "\\x%02x", c);
    else
      fputc(c, out);
  }
  fputc('"', out);
}

static void put_field(const struct emuv_trace_reader *r, const struct emuv_trace_field *f, const void *base, FILE *out)
{
  uint64_t v = emuv_trace_field_get(f, base);
  char buf[24];
  fprintf(out, " %s=", f->name);
  if (f->show == EMUV_SHOW_NAME) {
    fputs(emuv_trace_field_name(f, v, buf), out);
  } else if (f->show == EMUV_SHOW_STRING) {
    put_quoted(emuv_trace_reader_string(r, (uint32_t)v), out);
  } else if (f->show == EMUV_SHOW_KERNEL) {
    const struct emuv_trace_kernel *k = emuv_trace_reader_kernel(r, (uint32_t)v);
    put_quoted(k ? emuv_trace_reader_string(r, k->name) : "", out);
  } else {
    fprintf(out, f->show == EMUV_SHOW_HEX ? "0x%" PRIx64 : "%" PRIu64, v);
  }
}

static void put_struct(const struct emuv_trace_reader *r, const struct emuv_trace_schema *schema, const void *base,
                       FILE *out)
{
  fputs(schema->name, out);
  for (uint32_t i = 0; i < schema->n_fields; i++) put_field(r, &schema->fields[i], base, out);
  fputc('\n', out);
}

static int dump_text(const struct emuv_trace_reader *r, const struct emuv_trace_record *record, FILE *out)
{
  put_struct(r, &emuv_trace_schemas[record->type], &record->u, out);
  uint32_t n;
  const struct emuv_trace_operand *operands = emuv_trace_record_operands(record, &n);
  for (uint32_t i = 0; i < n; i++) {
    fputs("  ", out);
    put_struct(r, &emuv_trace_schema_operand, &operands[i], out);
  }
  return 0;
}

static int add_operands(json_t *object, const struct emuv_trace_reader *r, const struct emuv_trace_record *record)
{
  uint32_t n;
  const struct emuv_trace_operand *operands = emuv_trace_record_operands(record, &n);
  json_t *list = json_array();
  int rc = json_object_set_new(object, "operands", list);
  for (uint32_t i = 0; i < n && rc == 0; i++) {
    json_t *o = json_object();
    rc = json_array_append_new(list, o);
    if (rc == 0) rc = emuv_json_fields(o, r, &emuv_trace_schema_operand, &operands[i]);
  }
  return rc;
}

static int dump_json(const struct emuv_trace_reader *r, const struct emuv_trace_record *record, FILE *out)
{
  const struct emuv_trace_schema *schema = &emuv_trace_schemas[record->type];
  json_t *object = json_object();
  if (!object) return -1;
  int rc = json_object_set_new(object, "type", json_string(schema->name));
  if (rc == 0) rc = emuv_json_fields(object, r, schema, &record->u);
  if (rc == 0 && emuv_trace_has_operands(record->type)) rc = add_operands(object, r, record);
  if (rc == 0) return emuv_json_line(object, out);
  json_decref(object);
  return -1;
}

/* ---- selection ---- */

static uint32_t kernel_of(const struct emuv_trace_record *record)
{
  if (record->type == EMUV_TRACE_LAUNCH) return record->u.launch.kernel;
  return record->type == EMUV_TRACE_GRAPH_NODE ? record->u.graph_node.kernel : 0;
}

static bool kernel_matches(const struct emuv_trace_reader *r, const struct emuv_trace_record *record,
                           const char *pattern)
{
  const struct emuv_trace_kernel *k = emuv_trace_reader_kernel(r, kernel_of(record));
  if (!k) return false;
  const char *name = emuv_trace_reader_string(r, k->name);
  return strpbrk(pattern, "*?[") ? fnmatch(pattern, name, 0) == 0 : strstr(name, pattern) != NULL;
}

/* *zero_ns: the first time in the file so far. */
static bool selected(const struct emuv_trace_reader *r, const struct emuv_trace_record *record,
                     const struct emuv_export_selection *s, uint64_t *zero_ns)
{
  uint64_t ns = emuv_report_record_ns(record);
  if (*zero_ns == 0) *zero_ns = ns;
  if (s->types && !(s->types >> record->type & 1)) return false;
  if (s->kernel && !kernel_matches(r, record, s->kernel)) return false;
  if (s->from_ns == 0 && s->to_ns == 0) return true;
  uint64_t at = ns > *zero_ns ? ns - *zero_ns : 0;
  return ns && at >= s->from_ns && (s->to_ns == 0 || at < s->to_ns);
}

int emuv_export_dump(const char *path, enum emuv_export_style style, const struct emuv_export_selection *selection,
                     FILE *out, struct emuv_err *err)
{
  struct emuv_trace_reader *r;
  int code = emuv_trace_reader_open(&r, path, err);
  if (code) return code;
  struct emuv_trace_record record;
  uint64_t n = 0, zero_ns = 0, limit = selection->limit;
  int got = 0, rc = 0;
  while (rc == 0 && (limit == 0 || n < limit) && (got = emuv_trace_reader_next(r, &record, err)) > 0) {
    if (!selected(r, &record, selection, &zero_ns)) continue;
    rc = style == EMUV_EXPORT_JSON ? dump_json(r, &record, out) : dump_text(r, &record, out);
    n++;
  }
  emuv_trace_reader_close(r);
  if (got < 0) return got;
  return rc ? emuv_err_set(err, EMUV_ERR_IO, "cannot write the records") : emuv_export_finish(out, err);
}
