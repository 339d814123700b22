// SPDX-License-Identifier: Apache-2.0
/* Rows of Nsight Systems' tables as records: see nsys_import.h. A query per table names its columns in a fixed order;
 * one that this version of the database lacks is NULL there. */
#include "tracer/format/export/nsys.h"
#include "tracer/format/export/nsys_import.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((void)(element))
#include <uthash.h>

struct nsys_live {
  uint64_t address, id;
  UT_hash_handle hh;
};

/* ---- values ---- */

/* A number of at most 32 bits; NULL is 0. False when it does not fit. */
static bool small(sqlite3_stmt *s, int column, uint32_t *value)
{
  int64_t v = sqlite3_column_int64(s, column);
  *value = (uint32_t)v;
  return v >= 0 && v <= UINT32_MAX;
}

/* A size; NULL is 0. False when negative. */
static bool size_of(sqlite3_stmt *s, int column, uint64_t *value)
{
  int64_t v = sqlite3_column_int64(s, column);
  *value = (uint64_t)v;
  return v >= 0;
}

static uint32_t string_of(const struct nsys_import *in, sqlite3_stmt *s, int column)
{
  return emuv_trace_writer_string(in->w, (const char *)sqlite3_column_text(s, column));
}

/* ---- launches, copies, sets ---- */

enum { /* the first columns of their queries */
       START,
       END,
       ENTER,
       EXIT,
       TID,
       CORRELATION,
       DEVICE,
       STREAM,
       NODE,
       REST
};

struct work {
  uint64_t correlation, enter_ns, exit_ns, start_ns, end_ns, stream, node;
  uint32_t tid, device;
};

static bool read_work(struct nsys_import *in, sqlite3_stmt *s, struct nsys_cursor *c, struct work *w)
{
  *w = (struct work){0};
  if (!emuv_nsys_time(in, s, START, &w->start_ns) || !emuv_nsys_time(in, s, END, &w->end_ns)) return false;
  if (w->end_ns < w->start_ns || !small(s, DEVICE, &w->device)) return false;
  if (emuv_nsys_time(in, s, ENTER, &w->enter_ns) && !emuv_nsys_time(in, s, EXIT, &w->exit_ns)) w->enter_ns = 0;
  if (w->exit_ns < w->enter_ns) w->exit_ns = w->enter_ns = 0;
  in->without_call += w->enter_ns == 0;
  w->tid = (uint32_t)(sqlite3_column_int64(s, TID) & EMUV_NSYS_ID_MASK);
  w->correlation = (uint64_t)sqlite3_column_int64(s, CORRELATION);
  w->stream = (uint64_t)sqlite3_column_int64(s, STREAM);
  w->node = (uint64_t)sqlite3_column_int64(s, NODE);
  c->key = w->enter_ns ? w->enter_ns : w->start_ns;
  return true;
}

#define SET_WORK(r, w)                                                                                                 \
  ((r)->correlation = (w)->correlation, (r)->enter_ns = (w)->enter_ns, (r)->exit_ns = (w)->exit_ns,                    \
   (r)->start_ns = (w)->start_ns, (r)->end_ns = (w)->end_ns, (r)->stream = (w)->stream, (r)->tid = (w)->tid,           \
   (r)->device = (w)->device, (r)->flags = (w)->node ? EMUV_TRACE_FLAG_GRAPH : 0)

enum { GRID = REST, BLOCK = GRID + 3, DYNAMIC = BLOCK + 3, STATIC, REGISTERS, LOCAL, NAME, NAME_ID };

static uint32_t kernel_of(const struct nsys_import *in, sqlite3_stmt *s, bool *ok)
{
  struct emuv_trace_kernel k = {0};
  char unnamed[48];
  const char *name = (const char *)sqlite3_column_text(s, NAME);
  snprintf(unnamed, sizeof unnamed, "(string %lld is missing)", (long long)sqlite3_column_int64(s, NAME_ID));
  *ok &= small(s, STATIC, &k.shared_bytes) && small(s, REGISTERS, &k.registers) && small(s, LOCAL, &k.local_bytes);
  k.name = emuv_trace_writer_string(in->w, name && *name ? name : unnamed);
  return *ok ? emuv_trace_writer_kernel(in->w, &k) : 0;
}

static enum nsys_row read_kernel(struct nsys_import *in, sqlite3_stmt *s, struct nsys_cursor *c)
{
  struct emuv_trace_launch *l = &c->record.u.launch;
  struct work w;
  if (!read_work(in, s, c, &w)) return NSYS_DROP;
  bool ok = small(s, DYNAMIC, &l->shared_bytes);
  for (int i = 0; i < 3; i++) ok &= small(s, GRID + i, &l->grid[i]) && small(s, BLOCK + i, &l->block[i]);
  if (ok) l->kernel = kernel_of(in, s, &ok);
  SET_WORK(l, &w);
  l->graph_node = w.node;
  l->cls = EMUV_TRACE_CLASS_GAP;
  in->counts.launches += ok;
  return ok ? NSYS_USE : NSYS_DROP;
}

enum { COPY_BYTES = REST, COPY_KIND, COPY_SRC, COPY_DST };

static enum nsys_row read_copy(struct nsys_import *in, sqlite3_stmt *s, struct nsys_cursor *c)
{
  static const uint8_t kinds[EMUV_NSYS_UVM_FIRST] = {
      [EMUV_NSYS_HTOD] = EMUV_TRACE_COPY_H2D, [EMUV_NSYS_DTOH] = EMUV_TRACE_COPY_D2H,
      [EMUV_NSYS_HTOA] = EMUV_TRACE_COPY_H2D, [EMUV_NSYS_ATOH] = EMUV_TRACE_COPY_D2H,
      [EMUV_NSYS_ATOA] = EMUV_TRACE_COPY_D2D, [EMUV_NSYS_ATOD] = EMUV_TRACE_COPY_D2D,
      [EMUV_NSYS_DTOA] = EMUV_TRACE_COPY_D2D, [EMUV_NSYS_DTOD] = EMUV_TRACE_COPY_D2D,
      [EMUV_NSYS_HTOH] = EMUV_TRACE_COPY_H2H, [EMUV_NSYS_PTOP] = EMUV_TRACE_COPY_P2P,
  };
  struct emuv_trace_copy *r = &c->record.u.copy;
  int64_t kind = sqlite3_column_int64(s, COPY_KIND);
  if (kind >= EMUV_NSYS_UVM_FIRST) {
    in->migrations++;
    return NSYS_SKIP;
  }
  struct work w;
  if (kind < 0 || !size_of(s, COPY_BYTES, &r->bytes) || !read_work(in, s, c, &w)) return NSYS_DROP;
  SET_WORK(r, &w);
  r->kind = kinds[kind];
  for (int i = COPY_SRC; i <= COPY_DST; i++)
    if (sqlite3_column_type(s, i) == SQLITE_INTEGER && sqlite3_column_int64(s, i) == EMUV_NSYS_PAGEABLE)
      r->flags |= EMUV_TRACE_FLAG_PAGEABLE;
  in->counts.copies++;
  return NSYS_USE;
}

enum { SET_BYTES = REST, SET_VALUE };

static enum nsys_row read_set(struct nsys_import *in, sqlite3_stmt *s, struct nsys_cursor *c)
{
  struct emuv_trace_set *r = &c->record.u.set;
  struct work w;
  if (!size_of(s, SET_BYTES, &r->bytes) || !read_work(in, s, c, &w)) return NSYS_DROP;
  SET_WORK(r, &w);
  r->value = (uint32_t)sqlite3_column_int64(s, SET_VALUE);
  in->counts.sets++;
  return NSYS_USE;
}

/* ---- memory ---- */

enum {
  MEMORY_START,
  MEMORY_ADDRESS,
  MEMORY_BYTES,
  MEMORY_KIND,
  MEMORY_FREED,
  MEMORY_DEVICE,
  MEMORY_STREAM,
  MEMORY_POOL
};

static uint32_t memory_kind(sqlite3_stmt *s)
{
  static const uint8_t kinds[] = {
      [EMUV_NSYS_PAGEABLE] = EMUV_TRACE_MEMORY_HOST,         [EMUV_NSYS_PINNED] = EMUV_TRACE_MEMORY_HOST,
      [EMUV_NSYS_DEVICE] = EMUV_TRACE_MEMORY_DEVICE,         [EMUV_NSYS_ARRAY] = EMUV_TRACE_MEMORY_DEVICE,
      [EMUV_NSYS_MANAGED] = EMUV_TRACE_MEMORY_MANAGED,       [EMUV_NSYS_DEVICE_STATIC] = EMUV_TRACE_MEMORY_MODULE,
      [EMUV_NSYS_MANAGED_STATIC] = EMUV_TRACE_MEMORY_MODULE, [EMUV_NSYS_UNKNOWN] = EMUV_TRACE_MEMORY_UNKNOWN,
  };
  int64_t kind = sqlite3_column_int64(s, MEMORY_KIND);
  if (kind < 0 || kind > EMUV_NSYS_UNKNOWN) kind = EMUV_NSYS_UNKNOWN;
  bool pool = kind == EMUV_NSYS_DEVICE && sqlite3_column_int64(s, MEMORY_POOL) != 0;
  return pool ? EMUV_TRACE_MEMORY_ASYNC : kinds[kind];
}

static enum nsys_row read_memory(struct nsys_import *in, sqlite3_stmt *s, struct nsys_cursor *c)
{
  struct emuv_trace_allocation a = {.address = (uint64_t)sqlite3_column_int64(s, MEMORY_ADDRESS)};
  if (!emuv_nsys_time(in, s, MEMORY_START, &a.ns) || !size_of(s, MEMORY_BYTES, &a.bytes)) return NSYS_DROP;
  if (!small(s, MEMORY_DEVICE, &a.device) || a.bytes > UINT64_MAX - a.address) return NSYS_DROP;
  c->key = a.ns;
  a.stream = (uint64_t)sqlite3_column_int64(s, MEMORY_STREAM);
  int64_t freed = sqlite3_column_int64(s, MEMORY_FREED);
  c->record.type = freed ? EMUV_TRACE_FREE : EMUV_TRACE_ALLOCATION;
  if (freed != 0 && freed != 1) return NSYS_DROP;
  if (freed) {
    c->record.u.free = (struct emuv_trace_free){.address = a.address, .ns = a.ns, .stream = a.stream};
  } else {
    a.kind = memory_kind(s);
    c->record.u.allocation = a;
    in->counts.allocations++;
  }
  return NSYS_USE;
}

/* ---- ranges, waits ---- */

enum { RANGE_NS, RANGE_PHASE, RANGE_TYPE = 4, RANGE_TID, RANGE_ID, RANGE_TEXT, RANGE_DOMAIN };
enum { PHASE_BEGIN = 1 };

static enum nsys_row read_range(struct nsys_import *in, sqlite3_stmt *s, struct nsys_cursor *c)
{
  struct emuv_trace_range *r = &c->record.u.range;
  if (!emuv_nsys_time(in, s, RANGE_NS, &r->ns)) return NSYS_DROP;
  bool begins = sqlite3_column_int(s, RANGE_PHASE) == PHASE_BEGIN;
  switch (sqlite3_column_int64(s, RANGE_TYPE)) {
  case EMUV_NSYS_PUSH_POP: r->kind = begins ? EMUV_TRACE_RANGE_PUSH : EMUV_TRACE_RANGE_POP; break;
  case EMUV_NSYS_START_END: r->kind = begins ? EMUV_TRACE_RANGE_START : EMUV_TRACE_RANGE_END; break;
  default: r->kind = EMUV_TRACE_RANGE_MARK; break;
  }
  c->key = r->ns;
  r->tid = (uint32_t)(sqlite3_column_int64(s, RANGE_TID) & EMUV_NSYS_ID_MASK);
  r->id = (uint64_t)sqlite3_column_int64(s, RANGE_ID);
  if (begins) r->text = string_of(in, s, RANGE_TEXT);
  if (begins) r->domain = string_of(in, s, RANGE_DOMAIN);
  in->counts.ranges += begins;
  return NSYS_USE;
}

enum { SYNC_TYPE = REST, SYNC_EVENT };

static enum nsys_row read_sync(struct nsys_import *in, sqlite3_stmt *s, struct nsys_cursor *c)
{
  static const uint8_t kinds[] = {[EMUV_NSYS_SYNC_UNKNOWN] = EMUV_TRACE_SYNC_UNKNOWN,
                                  [EMUV_NSYS_SYNC_EVENT] = EMUV_TRACE_SYNC_EVENT,
                                  [EMUV_NSYS_SYNC_STREAM_WAIT] = EMUV_TRACE_SYNC_STREAM_WAIT,
                                  [EMUV_NSYS_SYNC_STREAM] = EMUV_TRACE_SYNC_STREAM,
                                  [EMUV_NSYS_SYNC_CONTEXT] = EMUV_TRACE_SYNC_CONTEXT};
  struct emuv_trace_sync *r = &c->record.u.sync;
  int64_t type = sqlite3_column_int64(s, SYNC_TYPE);
  if (!emuv_nsys_time(in, s, START, &r->enter_ns) || !emuv_nsys_time(in, s, END, &r->exit_ns)) return NSYS_DROP;
  if (r->exit_ns < r->enter_ns) return NSYS_DROP;
  c->key = r->enter_ns;
  r->kind = type >= 0 && type <= EMUV_NSYS_SYNC_CONTEXT ? kinds[type] : EMUV_TRACE_SYNC_UNKNOWN;
  r->tid = (uint32_t)(sqlite3_column_int64(s, TID) & EMUV_NSYS_ID_MASK);
  r->stream = (uint64_t)sqlite3_column_int64(s, STREAM);
  r->event = (uint64_t)sqlite3_column_int64(s, SYNC_EVENT);
  in->counts.syncs++;
  return NSYS_USE;
}

/* ---- what depends on the order ---- */

static void add_live(struct nsys_import *in, struct emuv_trace_allocation *a)
{
  struct nsys_live *live = NULL;
  a->id = ++in->allocations;
  HASH_FIND(hh, in->live, &a->address, sizeof a->address, live);
  if (!live) {
    live = calloc(1, sizeof *live);
    if (!live) return; /* its free will have no id */
    live->address = a->address;
    HASH_ADD(hh, in->live, address, sizeof live->address, live);
  }
  live->id = a->id;
}

static void end_live(struct nsys_import *in, struct emuv_trace_free *f)
{
  struct nsys_live *live = NULL;
  HASH_FIND(hh, in->live, &f->address, sizeof f->address, live);
  if (!live) return;
  f->id = live->id;
  HASH_DEL(in->live, live);
  free(live);
}

void emuv_nsys_finish_record(struct nsys_import *in, struct emuv_trace_record *r)
{
  switch (r->type) {
  case EMUV_TRACE_LAUNCH: r->u.launch.sequence = emuv_trace_writer_sequence(in->w); break;
  case EMUV_TRACE_COPY: r->u.copy.sequence = emuv_trace_writer_sequence(in->w); break;
  case EMUV_TRACE_SET: r->u.set.sequence = emuv_trace_writer_sequence(in->w); break;
  case EMUV_TRACE_ALLOCATION: add_live(in, &r->u.allocation); break;
  case EMUV_TRACE_FREE: end_live(in, &r->u.free); break;
  default: break;
  }
}

void emuv_nsys_forget(struct nsys_import *in)
{
  struct nsys_live *live = in->live;
  HASH_CLEAR(hh, in->live);
  while (live) {
    struct nsys_live *next = live->hh.next;
    free(live);
    live = next;
  }
}

/* ---- queries ---- */

struct query {
  const struct nsys_import *in;
  const char *table;
  sqlite3_str *sql;
};

/* ", t.column", or ", NULL". */
static void add_column(const struct query *q, const char *column)
{
  if (emuv_nsys_has_column(q->in, q->table, column))
    sqlite3_str_appendf(q->sql, ", t.[%s]", column);
  else
    sqlite3_str_appendall(q->sql, ", NULL");
}

static void add_columns(const struct query *q, const char *const *columns)
{
  for (; *columns; columns++) add_column(q, *columns);
}

/* Rows of the chosen process; those that do not tell belong to it. */
static void add_filter(const struct query *q, const char *global, const char *word)
{
  if (q->in->pid >= 0 && emuv_nsys_has_column(q->in, q->table, global))
    sqlite3_str_appendf(q->sql, " %s coalesce((t.%s >> 24) & 0xffffff, %lld) = %lld", word, global,
                        (long long)q->in->pid, (long long)q->in->pid);
}

static bool has_calls(const struct nsys_import *in)
{
  static const char table[] = "CUPTI_ACTIVITY_KIND_RUNTIME";
  return emuv_nsys_has_table(in, table) && emuv_nsys_has_column(in, table, "correlationId") &&
         emuv_nsys_has_column(in, table, "start") && emuv_nsys_has_column(in, table, "end") &&
         emuv_nsys_has_column(in, table, "globalTid");
}

/* " FROM table t", joined to the first API call with the same correlation number in the same process. */
static void add_source(const struct query *q, bool calls)
{
  sqlite3_str_appendf(q->sql, " FROM %s t", q->table);
  if (!calls) return;
  bool pid = emuv_nsys_has_column(q->in, q->table, "globalPid");
  sqlite3_str_appendf(q->sql,
                      " LEFT JOIN (SELECT correlationId AS c, %s AS p, min(start) AS enter_ns, [end] AS exit_ns,"
                      " globalTid AS thread FROM CUPTI_ACTIVITY_KIND_RUNTIME GROUP BY 1, 2) r"
                      " ON r.c = t.correlationId%s",
                      pid ? "globalTid >> 24" : "0", pid ? " AND r.p = t.globalPid >> 24" : "");
}

/* The query of launches, copies, sets and waits. */
static void add_work(const struct query *q, const char *const *columns, const char *names)
{
  static const char *const common[] = {"correlationId", "deviceId", "streamId", "graphNodeId", NULL};
  bool calls = has_calls(q->in) && emuv_nsys_has_column(q->in, q->table, "correlationId");
  sqlite3_str_appendf(q->sql, "SELECT t.start, t.[end], %s",
                      calls ? "r.enter_ns, r.exit_ns, r.thread" : "NULL, NULL, NULL");
  add_columns(q, common);
  add_columns(q, columns);
  sqlite3_str_appendall(q->sql, names);
  add_source(q, calls);
  add_filter(q, "globalPid", "WHERE");
  sqlite3_str_appendall(q->sql, calls ? " ORDER BY coalesce(r.enter_ns, t.start), t.start, t.rowid"
                                      : " ORDER BY t.start, t.rowid");
}

static void add_kernels(const struct query *q)
{
  static const char *const columns[] = {"gridX",
                                        "gridY",
                                        "gridZ",
                                        "blockX",
                                        "blockY",
                                        "blockZ",
                                        "dynamicSharedMemory",
                                        "staticSharedMemory",
                                        "registersPerThread",
                                        "localMemoryPerThread",
                                        NULL};
  static const char *const names[] = {"mangledName", "demangledName", "shortName"};
  char text[400] = ", coalesce(NULL", ids[200] = ", coalesce(NULL";
  size_t n = strlen(text), m = strlen(ids);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (!emuv_nsys_has_column(q->in, q->table, names[i])) continue;
    n += (size_t)snprintf(text + n, sizeof text - n, ", (SELECT nullif(value, '') FROM StringIds WHERE id = t.%s)",
                          names[i]);
    m += (size_t)snprintf(ids + m, sizeof ids - m, ", t.%s", names[i]);
  }
  snprintf(text + n, sizeof text - n, ", NULL)%.200s, NULL)", ids);
  add_work(q, columns, text);
}

static void add_copies(const struct query *q)
{
  static const char *const columns[] = {"bytes", "copyKind", "srcKind", "dstKind", NULL};
  add_work(q, columns, "");
}

static void add_sets(const struct query *q)
{
  static const char *const columns[] = {"bytes", "value", NULL};
  add_work(q, columns, "");
}

static void add_syncs(const struct query *q)
{
  static const char *const columns[] = {"syncType", "eventId", NULL};
  add_work(q, columns, "");
}

static void add_memory(const struct query *q)
{
  static const char *const columns[] = {
      "address", "bytes", "memKind", "memoryOperationType", "deviceId", "streamId", "localMemoryPoolAddress", NULL};
  sqlite3_str_appendall(q->sql, "SELECT t.start");
  add_columns(q, columns);
  sqlite3_str_appendf(q->sql, " FROM %s t", q->table);
  add_filter(q, "globalPid", "WHERE");
  sqlite3_str_appendall(q->sql, " ORDER BY t.start, t.rowid");
}

/* One half of the ranges: their begins or their ends. At equal times inner ranges end before outer ones, ranges end
 * before others begin, outer ones begin before inner ones, and an empty range begins before it ends. */
static void add_range_half(const struct query *q, bool begins)
{
  static const char *const columns[] = {"eventType", "globalTid", "rangeId", NULL};
  bool ids = emuv_nsys_has_column(q->in, q->table, "textId");
  sqlite3_str_appendall(
      q->sql, begins
                  ? "SELECT t.start, 1, -coalesce(t.[end], 1 << 61), t.rowid"
                  : "SELECT max(t.start, t.[end]), CASE WHEN t.[end] > t.start THEN 0 ELSE 2 END, -t.start, -t.rowid");
  add_columns(q, columns);
  sqlite3_str_appendall(q->sql, ", coalesce(NULL");
  add_column(q, "text");
  sqlite3_str_appendf(q->sql, ", %s)", ids ? "(SELECT value FROM StringIds WHERE id = t.textId)" : "NULL");
  bool named = emuv_nsys_has_column(q->in, q->table, "domainId");
  sqlite3_str_appendall(q->sql, named ? ", d.name" : ", NULL");
  sqlite3_str_appendf(q->sql, " FROM %s t", q->table);
  if (named)
    sqlite3_str_appendf(q->sql,
                        " LEFT JOIN (SELECT domainId AS id, min(coalesce(%s%s)) AS name FROM NVTX_EVENTS t WHERE"
                        " eventType = %d GROUP BY 1) d ON d.id = t.domainId",
                        emuv_nsys_has_column(q->in, q->table, "text") ? "t.text" : "NULL",
                        ids ? ", (SELECT value FROM StringIds WHERE id = t.textId)" : ", NULL", EMUV_NSYS_DOMAIN);
  if (begins)
    sqlite3_str_appendf(q->sql, " WHERE t.eventType IN (%d, %d, %d)", EMUV_NSYS_PUSH_POP, EMUV_NSYS_START_END,
                        EMUV_NSYS_MARK);
  else
    sqlite3_str_appendf(q->sql,
                        " WHERE t.eventType IN (%d, %d) AND typeof(t.start) = 'integer' AND typeof(t.[end]) ="
                        " 'integer'",
                        EMUV_NSYS_PUSH_POP, EMUV_NSYS_START_END);
  add_filter(q, "globalTid", "AND");
}

static void add_ranges(const struct query *q)
{
  add_range_half(q, true);
  sqlite3_str_appendall(q->sql, " UNION ALL ");
  add_range_half(q, false);
  sqlite3_str_appendall(q->sql, " ORDER BY 1, 2, 3, 4");
}

static int open_cursor(struct nsys_import *in, struct nsys_cursor *c, void (*add)(const struct query *),
                       const char *const *required)
{
  if (!emuv_nsys_has_table(in, c->table)) return 0;
  for (; *required; required++)
    if (!emuv_nsys_has_column(in, c->table, *required))
      return emuv_err_set(in->err, EMUV_ERR_INPUT, "%s: table %s has no column %s", in->name, c->table, *required);
  struct query q = {.in = in, .table = c->table, .sql = sqlite3_str_new(in->db)};
  add(&q);
  char *sql = sqlite3_str_finish(q.sql);
  int rc = sql ? sqlite3_prepare_v2(in->db, sql, -1, &c->s, NULL) : SQLITE_NOMEM;
  sqlite3_free(sql);
  return rc == SQLITE_OK ? 0 : emuv_nsys_damaged(in);
}

int emuv_nsys_open_cursors(struct nsys_import *in)
{
  static const char *const period[] = {"start", "end", NULL}, *const moment[] = {"start", NULL},
                           *const range[] = {"start", "end", "eventType", NULL};
  static const struct {
    struct nsys_cursor cursor;
    void (*add)(const struct query *);
    const char *const *required;
  } all[EMUV_NSYS_CURSORS] = {
      {{.table = "CUDA_GPU_MEMORY_USAGE_EVENTS", .type = EMUV_TRACE_ALLOCATION, .read = read_memory},
       add_memory,
       moment},
      {{.table = "NVTX_EVENTS", .type = EMUV_TRACE_RANGE, .read = read_range}, add_ranges, range},
      {{.table = "CUPTI_ACTIVITY_KIND_KERNEL", .type = EMUV_TRACE_LAUNCH, .read = read_kernel}, add_kernels, period},
      {{.table = "CUPTI_ACTIVITY_KIND_MEMCPY", .type = EMUV_TRACE_COPY, .read = read_copy}, add_copies, period},
      {{.table = "CUPTI_ACTIVITY_KIND_MEMSET", .type = EMUV_TRACE_SET, .read = read_set}, add_sets, period},
      {{.table = "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION", .type = EMUV_TRACE_SYNC, .read = read_sync}, add_syncs, period},
  };
  int code = 0;
  for (size_t i = 0; i < EMUV_NSYS_CURSORS && code == 0; i++) {
    in->cursors[i] = all[i].cursor;
    code = open_cursor(in, &in->cursors[i], all[i].add, all[i].required);
  }
  return code;
}
