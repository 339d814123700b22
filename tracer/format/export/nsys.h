// SPDX-License-Identifier: Apache-2.0
/* Nsight Systems' SQLite export ("nsys export --type sqlite"): the part of its schema that traces and it have in
 * common. Source: NVIDIA, "SQLite Export Schema Reference" (Nsight Systems user guide, schema 3.16), and the
 * enumerations of CUPTI's activity API. Codes of ENUM_ tables have kept their values since the first documented
 * version.
 *
 *   times       nanoseconds; ours are CLOCK_MONOTONIC, and utcEpochNs is the UTC time of their zero
 *   globalTid   process << 24 | thread (above: hardware and machine ids); globalPid the same without the thread
 *   names       ids in StringIds
 *
 * Internal to the exporters; one thread per call. */
#ifndef EMUV_FORMAT_EXPORT_NSYS_H
#define EMUV_FORMAT_EXPORT_NSYS_H

#include "tracer/format/load.h"

#include <sqlite3.h>

enum { EMUV_NSYS_ID_BITS = 24, EMUV_NSYS_ID_MASK = (1 << EMUV_NSYS_ID_BITS) - 1 };
enum { EMUV_NSYS_RUNTIME_API, EMUV_NSYS_DRIVER_API }; /* eventClass of an API call */

enum emuv_nsys_event_type {
  EMUV_NSYS_MARK = 34,
  EMUV_NSYS_PUSH_POP = 59,
  EMUV_NSYS_START_END = 60,
  EMUV_NSYS_DOMAIN = 75,
};

enum emuv_nsys_mem_kind {
  EMUV_NSYS_PAGEABLE,
  EMUV_NSYS_PINNED,
  EMUV_NSYS_DEVICE,
  EMUV_NSYS_ARRAY,
  EMUV_NSYS_MANAGED,
  EMUV_NSYS_DEVICE_STATIC,
  EMUV_NSYS_MANAGED_STATIC,
  EMUV_NSYS_UNKNOWN,
};

enum emuv_nsys_copy_kind {
  EMUV_NSYS_COPY_UNKNOWN,
  EMUV_NSYS_HTOD,
  EMUV_NSYS_DTOH,
  EMUV_NSYS_HTOA,
  EMUV_NSYS_ATOH,
  EMUV_NSYS_ATOA,
  EMUV_NSYS_ATOD,
  EMUV_NSYS_DTOA,
  EMUV_NSYS_DTOD,
  EMUV_NSYS_HTOH,
  EMUV_NSYS_PTOP,
  EMUV_NSYS_UVM_FIRST, /* from here on: pages that the driver moved by itself */
};

enum emuv_nsys_sync_type {
  EMUV_NSYS_SYNC_UNKNOWN,
  EMUV_NSYS_SYNC_EVENT,
  EMUV_NSYS_SYNC_STREAM_WAIT,
  EMUV_NSYS_SYNC_STREAM,
  EMUV_NSYS_SYNC_CONTEXT,
};

/* Adds the tables to an open database. Part of a transaction of the caller. */
int emuv_nsys_write(const struct emuv_trace_data *d, sqlite3 *db, struct emuv_err *err);

#endif
