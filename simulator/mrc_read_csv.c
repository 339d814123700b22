// SPDX-License-Identifier: Apache-2.0
/* CSV: one reference per line. The first line is a header when one of its fields names the object column (object,
 * obj_id, object_id, obj, id, key, page, block, address); without a header a line has one field, the object id. Other
 * columns (time, size, ...) are ignored. Fields are separated by commas and may stand in double quotes. An object id is
 * an unsigned 64-bit number (decimal, or hexadecimal with 0x), or any other text, which is known by its 64-bit XXH3
 * hash from then on (with a million different texts two collide with probability 3e-8). Empty lines are skipped. */
#include "simulator/mrc_input.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

enum { BATCH = 1024 };

struct text {
  const char *at;
  size_t n;
};

struct csv {
  struct emuv_mrc_input *in;
  struct emuv_mrc_ids *ids;
  struct text line;
  long number;     /* of the line, from 1 */
  size_t object;   /* index of the object column */
  size_t n_fields; /* per line */
  size_t n;
  uint64_t objects[BATCH];
};

static int bad_line(const struct csv *c, size_t offset, const char *text, struct emuv_err *err)
{
  emuv_err_set(err, EMUV_ERR_INPUT, "%s", text);
  emuv_err_at(err, c->in->name, c->number, (long)offset + 1);
  if (err) snprintf(err->excerpt, sizeof err->excerpt, "%.*s", (int)c->line.n, c->line.at);
  return EMUV_ERR_INPUT;
}

/* 1 and the next line without its end, 0 at the end of the file. */
static int next_line(struct csv *c, struct emuv_err *err)
{
  struct emuv_mrc_input *in = c->in;
  char *end;
  while (!(end = memchr(in->buffer + in->start, '\n', in->end - in->start))) {
    if (in->at_end) break;
    if (in->end - in->start == EMUV_MRC_BUFFER) {
      c->number++;
      c->line = (struct text){in->buffer, 60};
      return bad_line(c, 0, "line without an end: is this a CSV file?", err);
    }
    int rc = emuv_mrc_input_fill(in, err);
    if (rc) return rc;
  }
  if (!end && in->start == in->end) return 0;
  c->line.at = in->buffer + in->start;
  c->line.n = end ? (size_t)(end - c->line.at) : in->end - in->start;
  in->start += c->line.n + (end != NULL);
  if (c->line.n > 0 && c->line.at[c->line.n - 1] == '\r') c->line.n--;
  c->number++;
  return 1;
}

/* The field that starts at *offset, which moves behind it and its comma (to line.n + 1 after the last field). */
static int next_field(const struct csv *c, size_t *offset, struct text *field, struct emuv_err *err)
{
  const char *at = c->line.at + *offset, *end = c->line.at + c->line.n;
  bool quoted = at < end && *at == '"';
  const char *stop = memchr(at + quoted, quoted ? '"' : ',', (size_t)(end - at) - quoted);
  if (quoted && !stop) return bad_line(c, *offset, "a quote that is not closed", err);
  if (!stop) stop = end;
  *field = (struct text){at + quoted, (size_t)(stop - at) - quoted};
  stop += quoted;
  if (stop < end && *stop != ',')
    return bad_line(c, (size_t)(stop - c->line.at), "expected a comma after the quote", err);
  *offset = (size_t)(stop - c->line.at) + 1;
  return 0;
}

static struct text trimmed(struct text f)
{
  while (f.n > 0 && (*f.at == ' ' || *f.at == '\t')) f = (struct text){f.at + 1, f.n - 1};
  while (f.n > 0 && (f.at[f.n - 1] == ' ' || f.at[f.n - 1] == '\t')) f.n--;
  return f;
}

static bool is_object_name(struct text f)
{
  static const char *const names[] = {"object", "obj_id", "object_id", "obj", "id", "key", "page", "block", "address"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strlen(names[i]) == f.n && strncasecmp(names[i], f.at, f.n) == 0) return true;
  }
  return false;
}

/* Counts the fields of the first line and looks for the object column. 1 = it is a header. */
static int read_header(struct csv *c, struct emuv_err *err)
{
  int header = 0;
  size_t offset = 0;
  for (c->n_fields = 0; offset <= c->line.n; c->n_fields++) {
    struct text field;
    int rc = next_field(c, &offset, &field, err);
    if (rc) return rc;
    if (!header && is_object_name(trimmed(field))) {
      header = 1;
      c->object = c->n_fields;
    }
  }
  if (header || c->n_fields == 1) return header;
  bad_line(c, 0, "several columns, and no header that names the object column", err);
  return emuv_err_hint(err, "put a first line such as: time,object,size");
}

static bool digit(char ch, unsigned base, unsigned *value)
{
  unsigned lower = (unsigned char)ch | 0x20u;
  *value = lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : (unsigned)((unsigned char)ch - '0');
  return *value < base;
}

static uint64_t object_id(struct text f)
{
  struct text digits = f;
  unsigned base = 10, value;
  uint64_t id = 0;
  if (f.n > 2 && f.at[0] == '0' && (f.at[1] | 0x20) == 'x') {
    base = 16;
    digits = (struct text){f.at + 2, f.n - 2};
  }
  for (size_t i = 0; i < digits.n; i++) {
    bool number = digit(digits.at[i], base, &value);
    if (!number || __builtin_mul_overflow(id, base, &id) || __builtin_add_overflow(id, value, &id)) {
      return XXH3_64bits(f.at, f.n);
    }
  }
  return id;
}

static int flush(struct csv *c, struct emuv_err *err)
{
  size_t n = c->n;
  c->n = 0;
  return emuv_mrc_ids_append(c->ids, c->objects, n, err);
}

static int read_row(struct csv *c, struct emuv_err *err)
{
  size_t offset = 0, fields = 0, object_offset = 0;
  struct text object = {NULL, 0};
  if (memchr(c->line.at, 0, c->line.n)) return bad_line(c, 0, "a zero byte: is this a CSV file?", err);
  for (; offset <= c->line.n; fields++) {
    struct text field;
    size_t start = offset;
    int rc = next_field(c, &offset, &field, err);
    if (rc) return rc;
    if (fields != c->object) continue;
    object = trimmed(field);
    object_offset = start;
  }
  if (fields != c->n_fields) {
    char text[96];
    snprintf(text, sizeof text, "%zu fields where the first line has %zu", fields, c->n_fields);
    return bad_line(c, fields < c->n_fields ? c->line.n : 0, text, err);
  }
  if (object.n == 0) return bad_line(c, object_offset, "empty object id", err);
  c->objects[c->n++] = object_id(object);
  return c->n == BATCH ? flush(c, err) : 0;
}

int emuv_mrc_read_csv(struct emuv_mrc_input *in, struct emuv_mrc_ids *ids, struct emuv_err *err)
{
  struct csv c = {.in = in, .ids = ids};
  int rc;
  while ((rc = next_line(&c, err)) == 1) {
    if (c.line.n == 0) continue;
    rc = c.n_fields == 0 ? read_header(&c, err) : 0;
    if (rc == 0) rc = read_row(&c, err);
    if (rc < 0) return rc;
  }
  return rc == 0 ? flush(&c, err) : rc;
}
