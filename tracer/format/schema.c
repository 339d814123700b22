// SPDX-License-Identifier: Apache-2.0
/* The table of all records' fields and the generic coder: see schema.h. */
#include "tracer/format/schema.h"

#include "tracer/format/varint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

const char *const emuv_trace_memory_names[] = {"unknown",    "device", "pitched",  "async", "managed", "host",
                                               "registered", "vmm",    "vmm-host", "graph", "module",  "imported"};
const char *const emuv_trace_copy_names[] = {"unknown", "h2d", "d2h", "d2d", "p2p", "h2h"};
const char *const emuv_trace_access_names[] = {"unknown", "read", "write", "read-write"};
const char *const emuv_trace_provenance_names[] = {"unknown", "param", "extra", "tensormap", "page", "import"};
const char *const emuv_trace_class_names[] = {"unknown", "exact", "bounded", "gap"};
const char *const emuv_trace_range_names[] = {"unknown", "push",           "pop",          "start", "end",
                                              "mark",    "profiler-start", "profiler-stop"};
const char *const emuv_trace_sync_names[] = {"unknown",      "context",     "stream", "event",
                                             "event-record", "stream-wait", "memory"};
const char *const emuv_trace_gap_names[] = {"unknown", "unsupported", "no-params",  "indirect",
                                            "late",    "timestamp",   "subscriber", "unseen"};
const char *const emuv_trace_node_names[] = {"unknown", "launch", "copy",  "set", "allocation",
                                             "free",    "host",   "order", "off"};
const char *const emuv_trace_status_names[] = {"unknown", "complete", "size-limit", "no-space", "io-error", "stopped"};

/* One row: struct, member, coding, channel, how to show it. */
#define ROW(s, m, n, c, ch, sh)                                                                                        \
  {                                                                                                                    \
    n, offsetof(struct s, m), sizeof(((struct s *)0)->m), EMUV_CODING_##c, EMUV_CHANNEL_##ch, EMUV_SHOW_##sh, 0, NULL  \
  }
#define DEC(s, m) ROW(s, m, #m, PLAIN, NONE, DEC)
#define HEX(s, m) ROW(s, m, #m, PLAIN, NONE, HEX)
#define TEXT(s, m) ROW(s, m, #m, PLAIN, NONE, STRING)
#define HOST(s, m) ROW(s, m, #m, DELTA, HOST_NS, DEC)
#define DEVICE(s, m) ROW(s, m, #m, OPTIONAL, DEVICE_NS, DEC)
#define OBJECT(s, m) ROW(s, m, #m, DELTA, ALLOCATION, DEC)
#define ADDRESS(s, m) ROW(s, m, #m, DELTA, ADDRESS, HEX)
#define NAME(s, m, n, a)                                                                                               \
  {                                                                                                                    \
    n, offsetof(struct s, m), sizeof(((struct s *)0)->m), EMUV_CODING_PLAIN, EMUV_CHANNEL_NONE, EMUV_SHOW_NAME,        \
        COUNT(a), a                                                                                                    \
  }
#define WORK(s)                                                                                                        \
  ROW(s, sequence, "sequence", DELTA, SEQUENCE, DEC), ROW(s, correlation, "correlation", DELTA, CORRELATION, DEC),     \
      HOST(s, enter_ns), HOST(s, exit_ns), DEVICE(s, start_ns), DEVICE(s, end_ns), HEX(s, stream)

static const struct emuv_trace_field environment_fields[] = {TEXT(emuv_trace_environment, key),
                                                             TEXT(emuv_trace_environment, value)};

static const struct emuv_trace_field process_fields[] = {
    HOST(emuv_trace_process, ns),      DEC(emuv_trace_process, pid),         DEC(emuv_trace_process, parent),
    TEXT(emuv_trace_process, command), TEXT(emuv_trace_process, executable),
};

static const struct emuv_trace_field thread_fields[] = {HOST(emuv_trace_thread, ns), DEC(emuv_trace_thread, tid),
                                                        TEXT(emuv_trace_thread, name)};

static const struct emuv_trace_field allocation_fields[] = {
    OBJECT(emuv_trace_allocation, id),
    ADDRESS(emuv_trace_allocation, address),
    DEC(emuv_trace_allocation, bytes),
    HOST(emuv_trace_allocation, ns),
    HEX(emuv_trace_allocation, stream),
    DEC(emuv_trace_allocation, parent),
    NAME(emuv_trace_allocation, kind, "kind", emuv_trace_memory_names),
    DEC(emuv_trace_allocation, device),
    DEC(emuv_trace_allocation, tid),
};

static const struct emuv_trace_field free_fields[] = {
    OBJECT(emuv_trace_free, id),  ADDRESS(emuv_trace_free, address), HOST(emuv_trace_free, ns),
    HEX(emuv_trace_free, stream), DEC(emuv_trace_free, tid),
};

static const struct emuv_trace_field copy_fields[] = {
    WORK(emuv_trace_copy),
    HEX(emuv_trace_copy, src),
    HEX(emuv_trace_copy, dst),
    DEC(emuv_trace_copy, src_allocation),
    DEC(emuv_trace_copy, dst_allocation),
    DEC(emuv_trace_copy, bytes),
    NAME(emuv_trace_copy, kind, "kind", emuv_trace_copy_names),
    HEX(emuv_trace_copy, flags),
    DEC(emuv_trace_copy, tid),
    DEC(emuv_trace_copy, device),
};

static const struct emuv_trace_field set_fields[] = {
    WORK(emuv_trace_set),       HEX(emuv_trace_set, address), DEC(emuv_trace_set, allocation),
    DEC(emuv_trace_set, bytes), HEX(emuv_trace_set, value),   DEC(emuv_trace_set, width),
    HEX(emuv_trace_set, flags), DEC(emuv_trace_set, tid),     DEC(emuv_trace_set, device),
};

static const struct emuv_trace_field launch_fields[] = {
    WORK(emuv_trace_launch),
    ROW(emuv_trace_launch, kernel, "kernel", PLAIN, NONE, KERNEL),
    ROW(emuv_trace_launch, grid[0], "grid_x", PLAIN, NONE, DEC),
    ROW(emuv_trace_launch, grid[1], "grid_y", PLAIN, NONE, DEC),
    ROW(emuv_trace_launch, grid[2], "grid_z", PLAIN, NONE, DEC),
    ROW(emuv_trace_launch, block[0], "block_x", PLAIN, NONE, DEC),
    ROW(emuv_trace_launch, block[1], "block_y", PLAIN, NONE, DEC),
    ROW(emuv_trace_launch, block[2], "block_z", PLAIN, NONE, DEC),
    DEC(emuv_trace_launch, shared_bytes),
    NAME(emuv_trace_launch, cls, "class", emuv_trace_class_names),
    HEX(emuv_trace_launch, flags),
    DEC(emuv_trace_launch, tid),
    DEC(emuv_trace_launch, device),
    HEX(emuv_trace_launch, graph),
    HEX(emuv_trace_launch, graph_node),
    DEC(emuv_trace_launch, page_set),
};

static const struct emuv_trace_field gpu_time_fields[] = {
    ROW(emuv_trace_gpu_time, correlation, "correlation", DELTA, LATE_CORRELATION, DEC),
    HEX(emuv_trace_gpu_time, graph_node),
    DEVICE(emuv_trace_gpu_time, start_ns),
    DEVICE(emuv_trace_gpu_time, end_ns),
    HEX(emuv_trace_gpu_time, stream),
};

static const struct emuv_trace_field range_fields[] = {
    HOST(emuv_trace_range, ns),   NAME(emuv_trace_range, kind, "kind", emuv_trace_range_names),
    TEXT(emuv_trace_range, text), DEC(emuv_trace_range, tid),
    HEX(emuv_trace_range, id),    TEXT(emuv_trace_range, domain),
};

static const struct emuv_trace_field sync_fields[] = {
    HOST(emuv_trace_sync, enter_ns),
    HOST(emuv_trace_sync, exit_ns),
    NAME(emuv_trace_sync, kind, "kind", emuv_trace_sync_names),
    DEC(emuv_trace_sync, tid),
    HEX(emuv_trace_sync, stream),
    HEX(emuv_trace_sync, event),
};

static const struct emuv_trace_field gap_fields[] = {
    HOST(emuv_trace_gap, ns),
    ROW(emuv_trace_gap, sequence, "sequence", DELTA, SEQUENCE, DEC),
    NAME(emuv_trace_gap, why, "why", emuv_trace_gap_names),
    TEXT(emuv_trace_gap, text),
    DEC(emuv_trace_gap, count),
};

static const struct emuv_trace_field drop_fields[] = {HOST(emuv_trace_drop, ns), DEC(emuv_trace_drop, count),
                                                      DEC(emuv_trace_drop, what), TEXT(emuv_trace_drop, text)};

static const struct emuv_trace_field tag_fields[] = {
    HOST(emuv_trace_tag, ns),   OBJECT(emuv_trace_tag, allocation), DEC(emuv_trace_tag, offset),
    DEC(emuv_trace_tag, bytes), TEXT(emuv_trace_tag, text),
};

static const struct emuv_trace_field graph_node_fields[] = {
    HEX(emuv_trace_graph_node, graph),
    HEX(emuv_trace_graph_node, base),
    HEX(emuv_trace_graph_node, node),
    DEC(emuv_trace_graph_node, index),
    DEC(emuv_trace_graph_node, nodes),
    NAME(emuv_trace_graph_node, kind, "kind", emuv_trace_node_names),
    ROW(emuv_trace_graph_node, kernel, "kernel", PLAIN, NONE, KERNEL),
    ROW(emuv_trace_graph_node, grid[0], "grid_x", PLAIN, NONE, DEC),
    ROW(emuv_trace_graph_node, grid[1], "grid_y", PLAIN, NONE, DEC),
    ROW(emuv_trace_graph_node, grid[2], "grid_z", PLAIN, NONE, DEC),
    ROW(emuv_trace_graph_node, block[0], "block_x", PLAIN, NONE, DEC),
    ROW(emuv_trace_graph_node, block[1], "block_y", PLAIN, NONE, DEC),
    ROW(emuv_trace_graph_node, block[2], "block_z", PLAIN, NONE, DEC),
    DEC(emuv_trace_graph_node, shared_bytes),
    NAME(emuv_trace_graph_node, cls, "class", emuv_trace_class_names),
    HEX(emuv_trace_graph_node, flags),
    DEC(emuv_trace_graph_node, device),
    HEX(emuv_trace_graph_node, src),
    HEX(emuv_trace_graph_node, dst),
    DEC(emuv_trace_graph_node, src_allocation),
    DEC(emuv_trace_graph_node, dst_allocation),
    DEC(emuv_trace_graph_node, bytes),
    NAME(emuv_trace_graph_node, copy_kind, "copy_kind", emuv_trace_copy_names),
    HEX(emuv_trace_graph_node, value),
    DEC(emuv_trace_graph_node, width),
};

static const struct emuv_trace_field operand_fields[] = {
    OBJECT(emuv_trace_operand, allocation),
    DEC(emuv_trace_operand, offset),
    DEC(emuv_trace_operand, bytes),
    NAME(emuv_trace_operand, access, "access", emuv_trace_access_names),
    NAME(emuv_trace_operand, provenance, "provenance", emuv_trace_provenance_names),
    NAME(emuv_trace_operand, cls, "class", emuv_trace_class_names),
    DEC(emuv_trace_operand, place),
};

static const struct emuv_trace_field kernel_fields[] = {
    TEXT(emuv_trace_kernel, name),       TEXT(emuv_trace_kernel, module),   DEC(emuv_trace_kernel, n_params),
    DEC(emuv_trace_kernel, param_bytes), DEC(emuv_trace_kernel, registers), DEC(emuv_trace_kernel, shared_bytes),
    DEC(emuv_trace_kernel, local_bytes), HEX(emuv_trace_kernel, flags),
};

static const struct emuv_trace_field verdict_fields[] = {
    DEC(emuv_trace_verdict, ns),          DEC(emuv_trace_verdict, records),
    DEC(emuv_trace_verdict, dropped),     NAME(emuv_trace_verdict, status, "status", emuv_trace_status_names),
    DEC(emuv_trace_verdict, exit_status),
};

/* ---- the tables as code ---- */

/* Each table gets its own encoder and decoder: the loops over its fields are unrolled, and what a field is becomes
 * constants. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif
#define INLINE static inline __attribute__((always_inline))

INLINE uint64_t encode_optional(uint64_t value, uint64_t *channel)
{
  if (value == 0 || value >> 63) return 0;
  uint64_t z = emuv_zigzag(value - *channel) + 1;
  *channel = value;
  return z;
}

INLINE uint8_t *encode_fields(const struct emuv_trace_field *fields, uint32_t n, const void *base, uint64_t *channels,
                              uint8_t *p)
{
  UNROLL
  for (uint32_t i = 0; i < n; i++) {
    const struct emuv_trace_field *f = &fields[i];
    uint64_t v = emuv_trace_field_get(f, base), *c = &channels[f->channel];
    if (f->coding == EMUV_CODING_DELTA) {
      uint64_t delta = v - *c;
      *c = v;
      v = emuv_zigzag(delta);
    } else if (f->coding == EMUV_CODING_OPTIONAL) {
      v = encode_optional(v, c);
    }
    p = emuv_varint_put(p, v);
  }
  return p;
}

INLINE const uint8_t *decode_fields(const struct emuv_trace_field *fields, uint32_t n, void *base, uint64_t *channels,
                                    const uint8_t *p)
{
  uint64_t beyond = 0; /* bits above those that 32-bit fields have */
  UNROLL
  for (uint32_t i = 0; i < n; i++) {
    const struct emuv_trace_field *f = &fields[i];
    uint64_t v;
    p = emuv_varint_get_inside(p, &v);
    if (__builtin_expect(!p, 0)) return NULL;
    uint64_t *c = &channels[f->channel];
    if (f->coding == EMUV_CODING_DELTA)
      v = *c += emuv_unzigzag(v);
    else if (f->coding == EMUV_CODING_OPTIONAL && v)
      v = *c += emuv_unzigzag(v - 1);
    if (f->size == 4) beyond |= v >> 32;
    emuv_trace_field_set(f, base, v);
  }
  return beyond ? NULL : p;
}

#define CODE(name)                                                                                                     \
  _Static_assert(COUNT(name##_fields) <= EMUV_DECODE_FIELDS, "EMUV_DECODE_SLACK is too small");                        \
  static uint8_t *name##_encode(const void *base, uint64_t *channels, uint8_t *p)                                      \
  {                                                                                                                    \
    return encode_fields(name##_fields, COUNT(name##_fields), base, channels, p);                                      \
  }                                                                                                                    \
  static const uint8_t *name##_decode(void *base, uint64_t *channels, const uint8_t *p)                                \
  {                                                                                                                    \
    return decode_fields(name##_fields, COUNT(name##_fields), base, channels, p);                                      \
  }

CODE(environment)
CODE(process)
CODE(thread)
CODE(allocation)
CODE(free)
CODE(copy)
CODE(set)
CODE(launch)
CODE(gpu_time)
CODE(range)
CODE(sync)
CODE(gap)
CODE(drop)
CODE(tag)
CODE(graph_node)
CODE(operand)
CODE(kernel)
CODE(verdict)

#define SCHEMA(name)                                                                                                   \
  {                                                                                                                    \
#name, name##_fields, COUNT(name##_fields), name##_encode, name##_decode                                           \
  }

const struct emuv_trace_schema emuv_trace_schemas[EMUV_TRACE_TYPES] = {
    [EMUV_TRACE_ENVIRONMENT] = SCHEMA(environment),
    [EMUV_TRACE_PROCESS] = SCHEMA(process),
    [EMUV_TRACE_THREAD] = SCHEMA(thread),
    [EMUV_TRACE_ALLOCATION] = SCHEMA(allocation),
    [EMUV_TRACE_FREE] = SCHEMA(free),
    [EMUV_TRACE_COPY] = SCHEMA(copy),
    [EMUV_TRACE_SET] = SCHEMA(set),
    [EMUV_TRACE_LAUNCH] = SCHEMA(launch),
    [EMUV_TRACE_GPU_TIME] = SCHEMA(gpu_time),
    [EMUV_TRACE_RANGE] = SCHEMA(range),
    [EMUV_TRACE_SYNC] = SCHEMA(sync),
    [EMUV_TRACE_GAP] = SCHEMA(gap),
    [EMUV_TRACE_DROP] = SCHEMA(drop),
    [EMUV_TRACE_TAG] = SCHEMA(tag),
    [EMUV_TRACE_GRAPH_NODE] = SCHEMA(graph_node),
};
const struct emuv_trace_schema emuv_trace_schema_operand = SCHEMA(operand);
const struct emuv_trace_schema emuv_trace_schema_kernel = SCHEMA(kernel);
const struct emuv_trace_schema emuv_trace_schema_verdict = SCHEMA(verdict);

uint8_t *emuv_trace_encode(const struct emuv_trace_schema *schema, const void *base, uint64_t *channels, uint8_t *p)
{
  return schema->encode(base, channels, p);
}

const uint8_t *emuv_trace_decode(const struct emuv_trace_schema *schema, uint64_t n, void *base, uint64_t *channels,
                                 const uint8_t *p, const uint8_t *end)
{
  for (uint32_t i = 0; i < schema->n_fields; i++) {
    const struct emuv_trace_field *f = &schema->fields[i];
    uint64_t v = 0;
    if (i < n && (p < end || n != EMUV_FIELDS_TO_END)) {
      p = emuv_varint_get(p, end, &v);
      if (!p) return NULL;
      uint64_t *c = &channels[f->channel];
      if (f->coding == EMUV_CODING_DELTA)
        v = *c += emuv_unzigzag(v);
      else if (f->coding == EMUV_CODING_OPTIONAL && v)
        v = *c += emuv_unzigzag(v - 1);
      if (f->size == 4 && v >> 32) return NULL;
    }
    emuv_trace_field_set(f, base, v);
  }
  if (n == EMUV_FIELDS_TO_END) return end;
  for (uint64_t skip = schema->n_fields, v; skip < n; skip++)
    if (!(p = emuv_varint_get(p, end, &v))) return NULL;
  return p;
}

/* Runs over the end when there are fewer fields than the table has (an older writer): then once more, with care. */
const uint8_t *emuv_trace_decode_inside(const struct emuv_trace_schema *schema, uint64_t n, void *base,
                                        uint64_t *channels, const uint8_t *p, const uint8_t *end)
{
  uint64_t before[EMUV_CHANNELS];
  if (n != EMUV_FIELDS_TO_END && n != schema->n_fields) return emuv_trace_decode(schema, n, base, channels, p, end);
  memcpy(before, channels, sizeof before);
  const uint8_t *q = schema->decode(base, channels, p);
  if (q && q <= end) return n == EMUV_FIELDS_TO_END ? end : q;
  memcpy(channels, before, sizeof before);
  return emuv_trace_decode(schema, n, base, channels, p, end);
}

const char *emuv_trace_name(const char *const *names, uint32_t n_names, uint64_t value, char buf[24])
{
  if (value < n_names) return names[value];
  snprintf(buf, 24, "%" PRIu64, value);
  return buf;
}

const char *emuv_trace_field_name(const struct emuv_trace_field *f, uint64_t value, char buf[24])
{
  return emuv_trace_name(f->names, f->n_names, value, buf);
}
