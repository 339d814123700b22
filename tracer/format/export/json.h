// SPDX-License-Identifier: Apache-2.0
/* Fields of records as JSON values (jansson). Internal to the exporters. */
#ifndef EMUV_FORMAT_EXPORT_JSON_H
#define EMUV_FORMAT_EXPORT_JSON_H

#include "tracer/format/reader.h"
#include "tracer/format/schema.h"

#include <jansson.h>

/* A string; bytes that are not UTF-8 become '?'. */
json_t *emuv_json_text(const char *text);
/* An integer; beyond 2^63 - 1 a decimal string. */
json_t *emuv_json_number(uint64_t value);
/* The value of a field: numbers, enumerations by name, strings and kernels by their text. */
json_t *emuv_json_field(const struct emuv_trace_reader *reader, const struct emuv_trace_field *f, const void *base);
/* All fields of a struct, added to `object`. 0, or -1 when memory is short. */
int emuv_json_fields(json_t *object, const struct emuv_trace_reader *reader, const struct emuv_trace_schema *schema,
                     const void *base);
/* Writes value compactly and a newline, and releases it. 0, or -1 (also for a NULL value). */
int emuv_json_line(json_t *value, FILE *out);

#endif
