// SPDX-License-Identifier: Apache-2.0
/* oracleGeneral and CSV to traces: see oracle.h. References are collected first (32 bytes each), because an object's
 * allocation must be as large as its largest reference. */
#include "tracer/format/oracle.h"

#include "tracer/format/block.h"
#include "tracer/format/positions.h"
#include "tracer/format/writer.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct reference {
  uint64_t object, bytes;
  size_t first; /* place of the object's first reference */
  uint32_t time;
};

struct import {
  struct reference *r;
  uint64_t *largest;    /* by place of a first reference */
  uint64_t *allocation; /* the same; 0 = not written yet */
  size_t n, cap;
};

static int add(struct import *in, uint64_t object, uint64_t bytes, uint32_t time, struct emuv_err *err)
{
  if (in->n == in->cap) {
    size_t cap = in->cap * 2 + 4096;
    struct reference *grown = realloc(in->r, cap * sizeof *grown);
    if (!grown) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the references");
    in->r = grown;
    in->cap = cap;
  }
  in->r[in->n++] = (struct reference){.object = object, .bytes = bytes ? bytes : 1, .time = time};
  return 0;
}

/* ---- to a trace ---- */

static int find_objects(struct import *in, struct emuv_err *err)
{
  struct emuv_position *p = malloc((in->n + 1) * sizeof *p);
  in->largest = calloc(in->n + 1, sizeof *in->largest);
  in->allocation = calloc(in->n + 1, sizeof *in->allocation);
  if (!p || !in->largest || !in->allocation) {
    free(p);
    return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the objects");
  }
  for (size_t i = 0; i < in->n; i++) p[i] = (struct emuv_position){in->r[i].object, i};
  emuv_position_sort(p, in->n);
  for (size_t i = 0; i < in->n; i++) {
    size_t first = i && p[i - 1].object == p[i].object ? in->r[p[i - 1].place].first : p[i].place;
    struct reference *r = &in->r[p[i].place];
    r->first = first;
    if (r->bytes > in->largest[first]) in->largest[first] = r->bytes;
  }
  free(p);
  return 0;
}

static int write_reference(struct import *in, size_t i, uint64_t *objects, uint32_t kernel, struct emuv_trace_writer *w)
{
  const struct reference *r = &in->r[i];
  uint64_t ns = (uint64_t)r->time * 1000000000u;
  int code = 0;
  if (in->allocation[r->first] == 0) {
    struct emuv_trace_allocation a = {.address = r->object, .bytes = in->largest[r->first], .ns = ns};
    a.id = in->allocation[r->first] = ++*objects;
    a.kind = EMUV_TRACE_MEMORY_IMPORTED;
    code = emuv_trace_writer_allocation(w, &a);
  }
  struct emuv_trace_operand o = {.allocation = in->allocation[r->first], .bytes = r->bytes};
  o.access = EMUV_TRACE_ACCESS_READ;
  o.provenance = EMUV_TRACE_FROM_IMPORT;
  o.cls = EMUV_TRACE_CLASS_EXACT;
  struct emuv_trace_launch l = {.sequence = emuv_trace_writer_sequence(w), .enter_ns = ns, .exit_ns = ns};
  l.kernel = kernel;
  l.cls = EMUV_TRACE_CLASS_EXACT;
  l.operands = &o;
  l.n_operands = 1;
  return code ? code : emuv_trace_writer_launch(w, &l);
}

static int write_trace(struct import *in, const char *format, const char *path, struct emuv_err *err)
{
  int code = find_objects(in, err);
  if (code) return code;
  struct emuv_trace_writer_options options = {.reproducible = true};
  struct emuv_trace_writer *w;
  if ((code = emuv_trace_writer_open(&w, path, &options, err))) return code;
  emuv_trace_writer_environment(w, "import", format);
  struct emuv_trace_kernel k = {.name = emuv_trace_writer_string(w, "reference")};
  uint32_t kernel = emuv_trace_writer_kernel(w, &k);
  uint64_t objects = 0;
  for (size_t i = 0; i < in->n && code == 0; i++) code = write_reference(in, i, &objects, kernel, w);
  return emuv_trace_writer_close(w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, err);
}

static int finish(struct import *in, int code, const char *format, const char *path, uint64_t *references,
                  struct emuv_err *err)
{
  if (code == 0 && in->n == 0) code = emuv_err_set(err, EMUV_ERR_INPUT, "the input holds no reference");
  if (code == 0) code = write_trace(in, format, path, err);
  if (references) *references = in->n;
  free(in->r);
  free(in->largest);
  free(in->allocation);
  return code;
}

/* ---- oracleGeneral ---- */

int emuv_trace_import_oracle(FILE *file, const char *name, const char *path, uint64_t *references, struct emuv_err *err)
{
  struct import in = {0};
  uint8_t p[EMUV_ORACLE_RECORD_BYTES];
  size_t got;
  int code = 0;
  while (code == 0 && (got = fread(p, 1, sizeof p, file)) == sizeof p)
    code = add(&in, emuv_get64(p + 4), emuv_get32(p + 12), emuv_get32(p), err);
  if (code == 0 && ferror(file)) code = emuv_err_errno(err, EMUV_ERR_IO, "cannot read %s", name);
  if (code == 0 && got != 0) {
    size_t at = in.n * sizeof p;
    code = emuv_err_set(err, EMUV_ERR_INPUT, "a record of 24 bytes is cut at byte %zu: not oracleGeneral?", at);
    emuv_err_at(err, name, 0, (long)at);
  }
  return finish(&in, code, "oracleGeneral", path, references, err);
}

/* ---- CSV ---- */

enum { LINE_MAX_BYTES = 4096, FIELDS_MAX = 64 };

struct csv {
  const char *name;
  char line[LINE_MAX_BYTES];
  char *fields[FIELDS_MAX];
  size_t n_fields;
  long number;
  int object, size, time; /* columns, -1 = none */
};

static int csv_error(const struct csv *c, const char *at, const char *text, struct emuv_err *err)
{
  emuv_err_set(err, EMUV_ERR_INPUT, "%s", text);
  emuv_err_at(err, c->name, c->number, at ? (long)(at - c->line) + 1 : 1);
  return EMUV_ERR_INPUT;
}

static char *trim(char *s)
{
  while (isspace((unsigned char)*s)) s++;
  size_t n = strlen(s);
  while (n && isspace((unsigned char)s[n - 1])) s[--n] = '\0';
  if (n >= 2 && s[0] == '"' && s[n - 1] == '"') {
    s[n - 1] = '\0';
    s++;
  }
  return s;
}

/* 1 and the fields of the next line that is not empty, 0 at the end. */
static int csv_line(struct csv *c, FILE *file, struct emuv_err *err)
{
  do {
    if (!fgets(c->line, sizeof c->line, file)) return 0;
    c->number++;
    size_t n = strlen(c->line);
    if (n + 1 == sizeof c->line && c->line[n - 1] != '\n')
      return csv_error(c, NULL, "the line is too long for CSV", err);
  } while (*trim(c->line) == '\0');
  c->n_fields = 0;
  char *rest = c->line, *field;
  while ((field = strsep(&rest, ",")) && c->n_fields < FIELDS_MAX) c->fields[c->n_fields++] = trim(field);
  return 1;
}

static bool number(const char *text, uint64_t *value)
{
  char *end;
  if (!isdigit((unsigned char)*text)) return false;
  errno = 0;
  bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
  *value = strtoull(text, &end, hex ? 16 : 10);
  return errno == 0 && *end == '\0';
}

static int column(const struct csv *c, const char *const *names)
{
  for (size_t i = 0; i < c->n_fields; i++)
    for (const char *const *n = names; *n; n++)
      if (strcasecmp(c->fields[i], *n) == 0) return (int)i;
  return -1;
}

/* True when the first line is a header. */
static bool csv_header(struct csv *c)
{
  static const char *const objects[] = {"object", "obj_id", "object_id", "obj",     "id",
                                        "key",    "page",   "block",     "address", NULL};
  static const char *const sizes[] = {"size", "bytes", "obj_size", NULL};
  static const char *const times[] = {"time", "timestamp", NULL};
  c->object = column(c, objects);
  c->size = column(c, sizes);
  c->time = column(c, times);
  if (c->object >= 0) return true;
  c->object = 0;
  c->size = c->time = -1;
  return false;
}

static int csv_value(const struct csv *c, int index, uint64_t otherwise, uint64_t *value, struct emuv_err *err)
{
  *value = otherwise;
  if (index < 0) return 0;
  if ((size_t)index >= c->n_fields) return csv_error(c, NULL, "the line has too few fields", err);
  if (number(c->fields[index], value)) return 0;
  return csv_error(c, c->fields[index], "not an unsigned number", err);
}

static int csv_reference(const struct csv *c, uint64_t object_bytes, struct import *in, struct emuv_err *err)
{
  uint64_t object = 0, bytes = 0, time = 0;
  int code = csv_value(c, c->object, 0, &object, err);
  if (code == 0) code = csv_value(c, c->size, object_bytes, &bytes, err);
  if (code == 0) code = csv_value(c, c->time, 0, &time, err);
  if (code == 0 && time > UINT32_MAX)
    code = csv_error(c, c->fields[c->time], "the time does not fit 32 bits of seconds", err);
  return code ? code : add(in, object, bytes, (uint32_t)time, err);
}

int emuv_trace_import_csv(FILE *file, const char *name, uint64_t object_bytes, const char *path, uint64_t *references,
                          struct emuv_err *err)
{
  struct import in = {0};
  struct csv c = {.name = name};
  int code = 0, got;
  bool first = true;
  while (code == 0 && (got = csv_line(&c, file, err)) != 0) {
    bool header = got > 0 && first && csv_header(&c);
    if (got < 0)
      code = got;
    else if (first && !header && c.n_fields > 1)
      code = csv_error(&c, NULL, "several columns, and no header that names one of them object", err);
    else if (!header)
      code = csv_reference(&c, object_bytes, &in, err);
    first = false;
  }
  if (code == 0 && ferror(file)) code = emuv_err_errno(err, EMUV_ERR_IO, "cannot read %s", name);
  return finish(&in, code, "csv", path, references, err);
}
