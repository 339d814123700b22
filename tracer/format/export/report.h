// SPDX-License-Identifier: Apache-2.0
/* What the two forms of the report of `emuv-trace info` share. Internal to the exporters. */
#ifndef EMUV_FORMAT_EXPORT_REPORT_H
#define EMUV_FORMAT_EXPORT_REPORT_H

#include "tracer/format/export/export.h"
#include "tracer/format/schema.h"

#include <jansson.h>

/* When a record's call was made, or its work began; 0 for records without a time. */
uint64_t emuv_report_record_ns(const struct emuv_trace_record *record);
/* "complete", "truncated", ... */
const char *emuv_report_status(const struct emuv_trace_data *d, char buf[24]);
/* NULL when memory is short. */
json_t *emuv_report_json(const struct emuv_trace_data *d, const struct emuv_trace_info *info, size_t top);

#endif
