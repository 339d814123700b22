// SPDX-License-Identifier: Apache-2.0
/* Fields of records as JSON values: see json.h. */
#include "tracer/format/export/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

json_t *emuv_json_text(const char *text)
{
  json_t *value = json_string(text);
  if (value) return value;
  char *copy = strdup(text);
  if (!copy) return NULL;
  for (char *p = copy; *p; p++)
    if ((unsigned char)*p >= 0x80) *p = '?';
  value = json_string(copy);
  free(copy);
  return value;
}

json_t *emuv_json_number(uint64_t value)
{
  if (value <= INT64_MAX) return json_integer((json_int_t)value);
  char text[24];
  snprintf(text, sizeof text, "%" PRIu64, value);
  return json_string(text);
}

json_t *emuv_json_field(const struct emuv_trace_reader *reader, const struct emuv_trace_field *f, const void *base)
{
  uint64_t v = emuv_trace_field_get(f, base);
  char buf[24];
  switch (f->show) {
  case EMUV_SHOW_NAME: return json_string(emuv_trace_field_name(f, v, buf));
  case EMUV_SHOW_STRING: return emuv_json_text(emuv_trace_reader_string(reader, (uint32_t)v));
  case EMUV_SHOW_KERNEL: {
    const struct emuv_trace_kernel *k = emuv_trace_reader_kernel(reader, (uint32_t)v);
    return emuv_json_text(k ? emuv_trace_reader_string(reader, k->name) : "");
  }
  default: return emuv_json_number(v);
  }
}

int emuv_json_fields(json_t *object, const struct emuv_trace_reader *reader, const struct emuv_trace_schema *schema,
                     const void *base)
{
  int rc = 0;
  for (uint32_t i = 0; i < schema->n_fields && rc == 0; i++)
    rc = json_object_set_new(object, schema->fields[i].name, emuv_json_field(reader, &schema->fields[i], base));
  return rc;
}

int emuv_json_line(json_t *value, FILE *out)
{
  if (!value) return -1;
  int rc = json_dumpf(value, out, JSON_COMPACT);
  json_decref(value);
  return rc == 0 && fputc('\n', out) != EOF ? 0 : -1;
}
