// SPDX-License-Identifier: Apache-2.0
/* A copy of a trace through reader and writer, with records left out or changed on the way. */
#ifndef EMUV_TESTS_TRACE_COPY_H
#define EMUV_TESTS_TRACE_COPY_H

#include "trace_fixture.h"

/* False: the record is left out. It may be changed. */
typedef bool trace_copy_filter(struct emuv_trace_record *record);

static inline void trace_copy_ids(const struct emuv_trace_reader *r, struct emuv_trace_writer *w,
                                  const struct emuv_trace_schema *schema, void *base)
{
  for (uint32_t i = 0; i < schema->n_fields; i++) {
    const struct emuv_trace_field *f = &schema->fields[i];
    uint32_t id = (uint32_t)emuv_trace_field_get(f, base);
    const struct emuv_trace_kernel *kernel = f->show == EMUV_SHOW_KERNEL ? emuv_trace_reader_kernel(r, id) : NULL;
    if (f->show == EMUV_SHOW_STRING)
      emuv_trace_field_set(f, base, emuv_trace_writer_string(w, emuv_trace_reader_string(r, id)));
    if (!kernel) continue;
    struct emuv_trace_kernel copy = *kernel;
    trace_copy_ids(r, w, &emuv_trace_schema_kernel, &copy);
    emuv_trace_field_set(f, base, emuv_trace_writer_kernel(w, &copy));
  }
}

static inline void trace_copy(const char *from, const char *to, trace_copy_filter *keep)
{
  struct emuv_trace_writer_options options = {.reproducible = true};
  struct emuv_trace_reader *r;
  struct emuv_trace_writer *w;
  struct emuv_trace_record record;
  struct emuv_err err;
  int got;
  if (emuv_trace_reader_open(&r, from, &err) || emuv_trace_writer_open(&w, to, &options, &err))
    fail_msg("%s", err.text);
  while ((got = emuv_trace_reader_next(r, &record, &err)) > 0) {
    trace_copy_ids(r, w, &emuv_trace_schemas[record.type], &record.u);
    if (keep(&record)) assert_int_equal(emuv_trace_writer_append(w, &record), 0);
  }
  if (got < 0) fail_msg("%s", err.text);
  emuv_trace_reader_close(r);
  if (emuv_trace_writer_close(w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, &err)) fail_msg("%s", err.text);
}

#endif
