// SPDX-License-Identifier: Apache-2.0
/* Traces as Nsight Systems' tables: see nsys.h. Columns that a trace cannot fill are NULL. API calls get the name of
 * their kind, since a trace does not keep which variant was called. String ids are the trace's own, then the names of
 * API calls, then the base names of kernels. */
#include "tracer/format/export/kernel_name.h"
#include "tracer/format/export/nsys.h"
#include "tracer/format/ranges.h"

#include <stdlib.h>
#include <string.h>

static const char schema[] =
    "CREATE TABLE StringIds(id INTEGER NOT NULL PRIMARY KEY, value TEXT NOT NULL);"
    "CREATE TABLE META_DATA_EXPORT(name TEXT NOT NULL, value TEXT);"
    "CREATE TABLE TARGET_INFO_SESSION_START_TIME(utcEpochNs INTEGER, utcTime TEXT, localTime TEXT);"
    "CREATE TABLE TARGET_INFO_GPU(vmId INTEGER NOT NULL, id INTEGER NOT NULL, name TEXT, totalMemory INTEGER,"
    " smCount INTEGER, cuDevice INTEGER, computeMajor INTEGER, computeMinor INTEGER);"
    "CREATE TABLE PROCESSES(globalPid INTEGER, pid INTEGER, name TEXT);"
    "CREATE TABLE ThreadNames(nameId INTEGER NOT NULL, priority INTEGER, globalTid INTEGER);"
    "CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME(start INTEGER NOT NULL, end INTEGER NOT NULL,"
    " eventClass INTEGER NOT NULL, globalTid INTEGER, correlationId INTEGER, nameId INTEGER NOT NULL,"
    " returnValue INTEGER NOT NULL, callchainId INTEGER);"
    "CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL(start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL,"
    " contextId INTEGER NOT NULL, greenContextId INTEGER, streamId INTEGER NOT NULL, correlationId INTEGER,"
    " globalPid INTEGER, demangledName INTEGER NOT NULL, shortName INTEGER NOT NULL, mangledName INTEGER,"
    " launchType INTEGER, cacheConfig INTEGER, registersPerThread INTEGER NOT NULL, gridX INTEGER NOT NULL,"
    " gridY INTEGER NOT NULL, gridZ INTEGER NOT NULL, blockX INTEGER NOT NULL, blockY INTEGER NOT NULL,"
    " blockZ INTEGER NOT NULL, staticSharedMemory INTEGER NOT NULL, dynamicSharedMemory INTEGER NOT NULL,"
    " localMemoryPerThread INTEGER NOT NULL, localMemoryTotal INTEGER NOT NULL, gridId INTEGER NOT NULL,"
    " sharedMemoryExecuted INTEGER, graphNodeId INTEGER, sharedMemoryLimitConfig INTEGER);"
    "CREATE TABLE CUPTI_ACTIVITY_KIND_MEMCPY(start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL,"
    " contextId INTEGER NOT NULL, greenContextId INTEGER, streamId INTEGER NOT NULL, correlationId INTEGER,"
    " globalPid INTEGER, bytes INTEGER NOT NULL, copyKind INTEGER NOT NULL, deprecatedSrcId INTEGER,"
    " srcKind INTEGER, dstKind INTEGER, srcDeviceId INTEGER, srcContextId INTEGER, dstDeviceId INTEGER,"
    " dstContextId INTEGER, migrationCause INTEGER, graphNodeId INTEGER, virtualAddress INTEGER);"
    "CREATE TABLE CUPTI_ACTIVITY_KIND_MEMSET(start INTEGER NOT NULL, end INTEGER NOT NULL, deviceId INTEGER NOT NULL,"
    " contextId INTEGER NOT NULL, greenContextId INTEGER, streamId INTEGER NOT NULL, correlationId INTEGER,"
    " globalPid INTEGER, value INTEGER NOT NULL, bytes INTEGER NOT NULL, graphNodeId INTEGER, memKind INTEGER);"
    "CREATE TABLE CUPTI_ACTIVITY_KIND_SYNCHRONIZATION(start INTEGER NOT NULL, end INTEGER NOT NULL,"
    " deviceId INTEGER NOT NULL, contextId INTEGER NOT NULL, greenContextId INTEGER, streamId INTEGER NOT NULL,"
    " correlationId INTEGER, globalPid INTEGER, syncType INTEGER NOT NULL, eventId INTEGER NOT NULL);"
    "CREATE TABLE CUDA_GPU_MEMORY_USAGE_EVENTS(start INTEGER NOT NULL, globalPid INTEGER NOT NULL,"
    " deviceId INTEGER NOT NULL, contextId INTEGER NOT NULL, address INTEGER NOT NULL, pc INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, memKind INTEGER NOT NULL, memoryOperationType INTEGER NOT NULL, name TEXT,"
    " correlationId INTEGER, streamId INTEGER, localMemoryPoolAddress INTEGER,"
    " localMemoryPoolReleaseThreshold INTEGER, localMemoryPoolSize INTEGER, localMemoryPoolUtilizedSize INTEGER,"
    " importedMemoryPoolAddress INTEGER, importedMemoryPoolProcessId INTEGER);"
    "CREATE TABLE NVTX_EVENTS(start INTEGER NOT NULL, end INTEGER, eventType INTEGER NOT NULL, rangeId INTEGER,"
    " category INTEGER, color INTEGER, text TEXT, globalTid INTEGER, endGlobalTid INTEGER, textId INTEGER,"
    " domainId INTEGER, uint64Value INTEGER, int64Value INTEGER, doubleValue REAL, uint32Value INTEGER,"
    " int32Value INTEGER, floatValue REAL, jsonTextId INTEGER, jsonText TEXT, binaryData TEXT);";

static const char enumerations[] =
    "CREATE TABLE ENUM_CUDA_MEMCPY_OPER(id INTEGER NOT NULL PRIMARY KEY, name TEXT, label TEXT);"
    "INSERT INTO ENUM_CUDA_MEMCPY_OPER VALUES(0,'CUDA_MEMCPY_KIND_UNKNOWN','Unknown'),"
    "(1,'CUDA_MEMCPY_KIND_HTOD','Host-to-Device'),(2,'CUDA_MEMCPY_KIND_DTOH','Device-to-Host'),"
    "(8,'CUDA_MEMCPY_KIND_DTOD','Device-to-Device'),(9,'CUDA_MEMCPY_KIND_HTOH','Host-to-Host'),"
    "(10,'CUDA_MEMCPY_KIND_PTOP','Peer-to-Peer');"
    "CREATE TABLE ENUM_CUDA_MEM_KIND(id INTEGER NOT NULL PRIMARY KEY, name TEXT, label TEXT);"
    "INSERT INTO ENUM_CUDA_MEM_KIND VALUES(0,'CUDA_MEMOPR_MEMORY_KIND_PAGEABLE','Pageable'),"
    "(1,'CUDA_MEMOPR_MEMORY_KIND_PINNED','Pinned'),(2,'CUDA_MEMOPR_MEMORY_KIND_DEVICE','Device'),"
    "(3,'CUDA_MEMOPR_MEMORY_KIND_ARRAY','Array'),(4,'CUDA_MEMOPR_MEMORY_KIND_MANAGED','Managed'),"
    "(5,'CUDA_MEMOPR_MEMORY_KIND_DEVICE_STATIC','Device Static'),"
    "(6,'CUDA_MEMOPR_MEMORY_KIND_MANAGED_STATIC','Managed Static'),"
    "(7,'CUDA_MEMOPR_MEMORY_KIND_UNKNOWN','Unknown');"
    "CREATE TABLE ENUM_CUDA_DEV_MEM_EVENT_OPER(id INTEGER NOT NULL PRIMARY KEY, name TEXT, label TEXT);"
    "INSERT INTO ENUM_CUDA_DEV_MEM_EVENT_OPER VALUES(0,'CUDA_DEV_MEM_EVENT_OPR_ALLOCATION','Allocation'),"
    "(1,'CUDA_DEV_MEM_EVENT_OPR_DEALLOCATION','Deallocation');"
    "CREATE TABLE ENUM_CUPTI_SYNC_TYPE(id INTEGER NOT NULL PRIMARY KEY, name TEXT, label TEXT);"
    "INSERT INTO ENUM_CUPTI_SYNC_TYPE VALUES(0,'CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_UNKNOWN','Unknown'),"
    "(1,'CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_EVENT_SYNCHRONIZE','Event sync'),"
    "(2,'CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_STREAM_WAIT_EVENT','Stream wait sync'),"
    "(3,'CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_STREAM_SYNCHRONIZE','Stream sync'),"
    "(4,'CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_CONTEXT_SYNCHRONIZE','Context sync');"
    "CREATE TABLE ENUM_NSYS_EVENT_TYPE(id INTEGER NOT NULL PRIMARY KEY, name TEXT, label TEXT);"
    "INSERT INTO ENUM_NSYS_EVENT_TYPE VALUES(34,'NvtxMark','NvtxMark'),(59,'NvtxPushPopRange','NvtxPushPopRange'),"
    "(60,'NvtxStartEndRange','NvtxStartEndRange'),(75,'NvtxDomainCreate','NvtxDomainCreate');";

/* Names of API calls. */
enum api {
  API_LAUNCH,
  API_COOPERATIVE,
  API_GRAPH,
  API_COPY,
  API_COPY_ASYNC,
  API_SET,
  API_SET_ASYNC,
  API_CONTEXT,
  API_STREAM,
  API_EVENT,
  API_WAIT,
  API_OTHER,
  API_NAMES
};
static const char *const api_names[API_NAMES] = {"cuLaunchKernel",      "cuLaunchCooperativeKernel",
                                                 "cuGraphLaunch",       "cuMemcpy",
                                                 "cuMemcpyAsync",       "cuMemset",
                                                 "cuMemsetAsync",       "cuCtxSynchronize",
                                                 "cuStreamSynchronize", "cuEventSynchronize",
                                                 "cuStreamWaitEvent",   "(other wait)"};

static const int64_t ABSENT = INT64_MIN; /* NULL */
/* Where correlation numbers of calls begin that have none. */
static const uint64_t OWN_CORRELATIONS = (uint64_t)1 << 48;

enum table { RUNTIME, KERNEL, MEMCPY, MEMSET, SYNC, MEMORY, RANGE, TABLES };

struct tables {
  sqlite3 *db;
  sqlite3_stmt *insert[TABLES];
  const struct emuv_trace_data *d;
  uint32_t n_strings, n_kernels;
  uint64_t graph_call, last_own; /* correlation of the last graph launch; own correlations so far */
  struct emuv_err *err;
};

static int failed(const struct tables *t)
{
  return emuv_err_set(t->err, EMUV_ERR_IO, "cannot write the database: %s", sqlite3_errmsg(t->db));
}

static int step(const struct tables *t, sqlite3_stmt *s)
{
  int rc = sqlite3_step(s);
  sqlite3_reset(s);
  return rc == SQLITE_DONE ? 0 : failed(t);
}

static int insert(const struct tables *t, sqlite3_stmt *s, const int64_t *row, int n)
{
  for (int i = 0; i < n; i++)
    if (row[i] == ABSENT)
      sqlite3_bind_null(s, i + 1);
    else
      sqlite3_bind_int64(s, i + 1, row[i]);
  return step(t, s);
}
#define INSERT(t, table, ...)                                                                                          \
  insert(t, (t)->insert[table], (const int64_t[]){__VA_ARGS__},                                                        \
         (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))

static int64_t global_tid(const struct tables *t, uint32_t tid)
{
  uint64_t pid = t->d->n_processes ? t->d->processes[0].pid : 0;
  return (int64_t)((pid & EMUV_NSYS_ID_MASK) << EMUV_NSYS_ID_BITS | (tid & EMUV_NSYS_ID_MASK));
}

/* ---- names ---- */

static int64_t api_id(const struct tables *t, enum api api)
{
  return (int64_t)t->n_strings + 1 + api;
}

static int64_t base_name_id(const struct tables *t, uint32_t kernel)
{
  return (int64_t)t->n_strings + 1 + API_NAMES + kernel;
}

static int insert_text(const struct tables *t, sqlite3_stmt *s, int64_t id, const char *text)
{
  sqlite3_bind_int64(s, 1, id);
  sqlite3_bind_text(s, 2, text, -1, SQLITE_TRANSIENT);
  return step(t, s);
}

static int write_strings(const struct tables *t)
{
  char name[256];
  sqlite3_stmt *s;
  if (sqlite3_prepare_v2(t->db, "INSERT INTO StringIds VALUES(?,?)", -1, &s, NULL) != SQLITE_OK) return failed(t);
  int code = insert_text(t, s, 0, "");
  for (uint32_t i = 1; i <= t->n_strings && code == 0; i++)
    code = insert_text(t, s, i, emuv_trace_data_string(t->d, i));
  for (uint32_t i = 0; i < API_NAMES && code == 0; i++) code = insert_text(t, s, api_id(t, i), api_names[i]);
  for (uint32_t i = 0; i <= t->n_kernels && code == 0; i++)
    code = insert_text(t, s, base_name_id(t, i),
                       emuv_kernel_base_name(emuv_trace_data_kernel(t->d, i), name, sizeof name));
  sqlite3_finalize(s);
  return code;
}

/* ---- calls ---- */

static uint64_t correlation_of(struct tables *t, uint64_t correlation)
{
  return correlation ? correlation & INT64_MAX : OWN_CORRELATIONS + t->last_own++;
}

static int write_api(const struct tables *t, enum api api, uint64_t enter, uint64_t exit, uint32_t tid,
                     uint64_t correlation)
{
  if (enter == 0) return 0; /* not known */
  return INSERT(t, RUNTIME, (int64_t)enter, (int64_t)exit, EMUV_NSYS_DRIVER_API, global_tid(t, tid),
                (int64_t)correlation, api_id(t, api), 0);
}

/* The API call of a launch; the nodes of a graph share one. */
static int write_launch_api(struct tables *t, const struct emuv_trace_launch *l, uint64_t correlation)
{
  enum api api = l->flags & EMUV_TRACE_FLAG_COOPERATIVE ? API_COOPERATIVE : API_LAUNCH;
  if (l->flags & EMUV_TRACE_FLAG_GRAPH) {
    if (t->graph_call == correlation) return 0;
    t->graph_call = correlation;
    api = API_GRAPH;
  }
  return write_api(t, api, l->enter_ns, l->exit_ns, l->tid, correlation);
}

static int write_launch(struct tables *t, size_t i)
{
  static const struct emuv_trace_kernel unknown = {0};
  const struct emuv_trace_launch *l = &t->d->launches[i];
  const struct emuv_trace_kernel *k = emuv_trace_reader_kernel(t->d->reader, l->kernel);
  uint32_t base = k ? l->kernel : 0;
  if (!k) k = &unknown;
  uint64_t correlation = correlation_of(t, l->correlation);
  int code = write_launch_api(t, l, correlation);
  if (code || l->end_ns == 0) return code; /* the table is about device times */
  int64_t node = l->graph_node ? (int64_t)(l->graph_node & INT64_MAX) : ABSENT;
  return INSERT(t, KERNEL, (int64_t)l->start_ns, (int64_t)l->end_ns, l->device, 0, ABSENT,
                (int64_t)(l->stream & INT64_MAX), (int64_t)correlation, global_tid(t, 0),
                k->name <= t->n_strings ? k->name : 0, base_name_id(t, base), k->name <= t->n_strings ? k->name : 0,
                ABSENT, ABSENT, k->registers, l->grid[0], l->grid[1], l->grid[2], l->block[0], l->block[1], l->block[2],
                k->shared_bytes, l->shared_bytes, k->local_bytes, 0, (int64_t)i + 1, ABSENT, node, ABSENT);
}

static int64_t host_kind(uint32_t flags)
{
  return flags & EMUV_TRACE_FLAG_PAGEABLE ? EMUV_NSYS_PAGEABLE : EMUV_NSYS_PINNED;
}

static int write_copy(struct tables *t, size_t i)
{
  static const uint8_t kinds[EMUV_TRACE_COPY_KINDS] = {EMUV_NSYS_COPY_UNKNOWN, EMUV_NSYS_HTOD, EMUV_NSYS_DTOH,
                                                       EMUV_NSYS_DTOD,         EMUV_NSYS_PTOP, EMUV_NSYS_HTOH};
  const struct emuv_trace_copy *c = &t->d->copies[i];
  uint64_t correlation = correlation_of(t, c->correlation);
  enum api api = c->flags & EMUV_TRACE_FLAG_SYNC ? API_COPY : API_COPY_ASYNC;
  int code = c->flags & EMUV_TRACE_FLAG_GRAPH ? 0 : write_api(t, api, c->enter_ns, c->exit_ns, c->tid, correlation);
  if (code || c->end_ns == 0) return code;
  bool from_host = c->kind == EMUV_TRACE_COPY_H2D || c->kind == EMUV_TRACE_COPY_H2H;
  bool to_host = c->kind == EMUV_TRACE_COPY_D2H || c->kind == EMUV_TRACE_COPY_H2H;
  return INSERT(t, MEMCPY, (int64_t)c->start_ns, (int64_t)c->end_ns, c->device, 0, ABSENT,
                (int64_t)(c->stream & INT64_MAX), (int64_t)correlation, global_tid(t, 0),
                (int64_t)(c->bytes & INT64_MAX), c->kind < EMUV_TRACE_COPY_KINDS ? kinds[c->kind] : 0, ABSENT,
                from_host ? host_kind(c->flags) : EMUV_NSYS_DEVICE, to_host ? host_kind(c->flags) : EMUV_NSYS_DEVICE);
}

static int write_set(struct tables *t, size_t i)
{
  const struct emuv_trace_set *s = &t->d->sets[i];
  uint64_t correlation = correlation_of(t, s->correlation);
  enum api api = s->flags & EMUV_TRACE_FLAG_SYNC ? API_SET : API_SET_ASYNC;
  int code = s->flags & EMUV_TRACE_FLAG_GRAPH ? 0 : write_api(t, api, s->enter_ns, s->exit_ns, s->tid, correlation);
  if (code || s->end_ns == 0) return code;
  return INSERT(t, MEMSET, (int64_t)s->start_ns, (int64_t)s->end_ns, s->device, 0, ABSENT,
                (int64_t)(s->stream & INT64_MAX), (int64_t)correlation, global_tid(t, 0), s->value,
                (int64_t)(s->bytes & INT64_MAX), ABSENT, EMUV_NSYS_DEVICE);
}

static int write_sync(struct tables *t, size_t i)
{
  static const struct {
    uint8_t type, api;
  } kinds[EMUV_TRACE_SYNC_KINDS] = {
      [EMUV_TRACE_SYNC_UNKNOWN] = {EMUV_NSYS_SYNC_UNKNOWN, API_OTHER},
      [EMUV_TRACE_SYNC_CONTEXT] = {EMUV_NSYS_SYNC_CONTEXT, API_CONTEXT},
      [EMUV_TRACE_SYNC_STREAM] = {EMUV_NSYS_SYNC_STREAM, API_STREAM},
      [EMUV_TRACE_SYNC_EVENT] = {EMUV_NSYS_SYNC_EVENT, API_EVENT},
      [EMUV_TRACE_SYNC_STREAM_WAIT] = {EMUV_NSYS_SYNC_STREAM_WAIT, API_WAIT},
      [EMUV_TRACE_SYNC_MEMORY] = {EMUV_NSYS_SYNC_UNKNOWN, API_OTHER},
  };
  const struct emuv_trace_sync *s = &t->d->syncs[i];
  if (s->kind == EMUV_TRACE_SYNC_EVENT_RECORD || s->kind >= EMUV_TRACE_SYNC_KINDS) return 0; /* no table for these */
  uint64_t correlation = correlation_of(t, 0);
  int code = write_api(t, kinds[s->kind].api, s->enter_ns, s->exit_ns, s->tid, correlation);
  if (code) return code;
  return INSERT(t, SYNC, (int64_t)s->enter_ns, (int64_t)s->exit_ns, 0, 0, ABSENT, (int64_t)(s->stream & INT64_MAX),
                (int64_t)correlation, global_tid(t, 0), kinds[s->kind].type, (int64_t)(s->event & INT64_MAX));
}

/* ---- memory, ranges ---- */

static int64_t memory_kind(uint32_t kind)
{
  switch (kind) {
  case EMUV_TRACE_MEMORY_UNKNOWN: return EMUV_NSYS_UNKNOWN;
  case EMUV_TRACE_MEMORY_MANAGED: return EMUV_NSYS_MANAGED;
  case EMUV_TRACE_MEMORY_MODULE: return EMUV_NSYS_DEVICE_STATIC;
  case EMUV_TRACE_MEMORY_HOST:
  case EMUV_TRACE_MEMORY_REGISTERED:
  case EMUV_TRACE_MEMORY_VMM_HOST: return EMUV_NSYS_PINNED;
  default: return EMUV_NSYS_DEVICE;
  }
}

static int write_memory(const struct tables *t, uint64_t ns, uint64_t stream, const struct emuv_trace_allocation *a,
                        bool freed)
{
  return INSERT(t, MEMORY, (int64_t)ns, global_tid(t, 0), a->device, 0, (int64_t)a->address, 0,
                (int64_t)(a->bytes & INT64_MAX), memory_kind(a->kind), freed, ABSENT, ABSENT,
                stream ? (int64_t)(stream & INT64_MAX) : ABSENT);
}

static int write_free(const struct tables *t, const struct emuv_trace_free *f)
{
  const struct emuv_trace_life *life = emuv_trace_data_allocation(t->d, f->id);
  const struct emuv_trace_allocation unknown = {.address = f->address};
  return write_memory(t, f->ns, f->stream, life ? &life->a : &unknown, true);
}

static int write_allocation(const struct tables *t, const struct emuv_trace_allocation *a)
{
  return write_memory(t, a->ns, a->stream, a, false);
}

static int write_nvtx(const struct tables *t, const struct emuv_trace_range *r, int type, uint64_t end)
{
  bool known = r->text && r->text <= t->n_strings, domain = r->domain && r->domain <= t->n_strings;
  return INSERT(t, RANGE, (int64_t)r->ns, end ? (int64_t)end : ABSENT, type,
                type == EMUV_NSYS_START_END ? (int64_t)(r->id & INT64_MAX) : ABSENT, ABSENT, ABSENT, ABSENT,
                global_tid(t, r->tid), ABSENT, known ? (int64_t)r->text : ABSENT, domain ? (int64_t)r->domain : 0);
}

/* A domain's id is that of its name; the row that names it comes when its first range does. */
static int write_domains(const struct tables *t)
{
  uint8_t *told = calloc((size_t)t->n_strings + 1, 1);
  if (!told) return emuv_err_set(t->err, EMUV_ERR_NOMEM, "out of memory for the trace's ranges");
  int code = 0;
  for (size_t i = 0; i < t->d->n_ranges && code == 0; i++) {
    const struct emuv_trace_range *r = &t->d->ranges[i];
    if (r->domain == 0 || r->domain > t->n_strings || told[r->domain]++) continue;
    code = INSERT(t, RANGE, (int64_t)r->ns, ABSENT, EMUV_NSYS_DOMAIN, ABSENT, ABSENT, ABSENT, ABSENT, global_tid(t, 0),
                  ABSENT, r->domain, r->domain);
  }
  free(told);
  return code;
}

static int write_ranges(const struct tables *t)
{
  struct emuv_trace_spans spans;
  int code = emuv_trace_spans_find(t->d, &spans, t->err);
  if (code == 0) code = write_domains(t);
  for (size_t i = 0; i < spans.n && code == 0; i++) {
    const struct emuv_trace_range *r = &t->d->ranges[spans.span[i].range];
    int type = r->kind == EMUV_TRACE_RANGE_PUSH ? EMUV_NSYS_PUSH_POP : EMUV_NSYS_START_END;
    code = write_nvtx(t, r, type, spans.span[i].end_ns);
  }
  for (size_t i = 0; i < t->d->n_ranges && code == 0; i++)
    if (t->d->ranges[i].kind == EMUV_TRACE_RANGE_MARK) code = write_nvtx(t, &t->d->ranges[i], EMUV_NSYS_MARK, 0);
  emuv_trace_spans_free(&spans);
  return code;
}

/* ---- the whole ---- */

static int run(const struct tables *t, const char *sql)
{
  return sqlite3_exec(t->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed(t);
}

/* One statement from a printf-style text (sqlite3_mprintf's: %Q quotes). */
#define RUN(t, ...) run_text(t, sqlite3_mprintf(__VA_ARGS__))
static int run_text(const struct tables *t, char *sql)
{
  int code = sql ? run(t, sql) : emuv_err_set(t->err, EMUV_ERR_NOMEM, "out of memory");
  sqlite3_free(sql);
  return code;
}

static long long number_of(const struct emuv_trace_data *d, const char *key)
{
  const char *text = emuv_trace_data_environment(d, key);
  return text ? strtoll(text, NULL, 10) : 0;
}

static int write_target(const struct tables *t)
{
  const struct emuv_trace_data *d = t->d;
  const char *gpu = emuv_trace_data_environment(d, "gpu");
  const char *capability = emuv_trace_data_environment(d, "gpu_compute_capability");
  const char *minor = capability ? strchr(capability, '.') : NULL;
  const char *version = emuv_trace_data_environment(d, "emuv_version");
  int code =
      RUN(t, "INSERT INTO META_DATA_EXPORT VALUES('EXPORT_PRODUCT_VERSION',%Q),('EXPORT_SCHEMA_VERSION','3.16.1')",
          version ? version : "emuV");
  if (code == 0 && d->state.created_unix_ns)
    code = RUN(t, "INSERT INTO TARGET_INFO_SESSION_START_TIME(utcEpochNs) VALUES(%lld)",
               (long long)(d->state.created_unix_ns - d->state.created_ns));
  if (code == 0 && gpu)
    code = RUN(t, "INSERT INTO TARGET_INFO_GPU VALUES(0,0,%Q,%lld,%lld,0,%d,%d)", gpu, number_of(d, "gpu_memory_bytes"),
               number_of(d, "gpu_multiprocessors"), capability ? atoi(capability) : 0, minor ? atoi(minor + 1) : 0);
  for (size_t i = 0; i < d->n_processes && code == 0; i++)
    code = RUN(t, "INSERT INTO PROCESSES VALUES(%lld,%lld,%Q)",
               (long long)(d->processes[i].pid & EMUV_NSYS_ID_MASK) << EMUV_NSYS_ID_BITS,
               (long long)d->processes[i].pid, emuv_trace_data_string(d, d->processes[i].command));
  for (size_t i = 0; i < d->n_threads && code == 0; i++)
    code = RUN(t, "INSERT INTO ThreadNames VALUES(%lld,NULL,%lld)",
               d->threads[i].name <= t->n_strings ? (long long)d->threads[i].name : 0LL,
               (long long)global_tid(t, d->threads[i].tid));
  return code;
}

static int prepare(struct tables *t)
{
  static const struct {
    const char *table;
    int columns, given; /* the rest is NULL */
  } all[TABLES] = {
      [RUNTIME] = {"CUPTI_ACTIVITY_KIND_RUNTIME", 8, 7},
      [KERNEL] = {"CUPTI_ACTIVITY_KIND_KERNEL", 28, 28},
      [MEMCPY] = {"CUPTI_ACTIVITY_KIND_MEMCPY", 20, 13},
      [MEMSET] = {"CUPTI_ACTIVITY_KIND_MEMSET", 12, 12},
      [SYNC] = {"CUPTI_ACTIVITY_KIND_SYNCHRONIZATION", 10, 10},
      [MEMORY] = {"CUDA_GPU_MEMORY_USAGE_EVENTS", 18, 12},
      [RANGE] = {"NVTX_EVENTS", 20, 11},
  };
  int code = 0;
  for (size_t i = 0; i < TABLES && code == 0; i++) {
    sqlite3_str *sql = sqlite3_str_new(t->db);
    sqlite3_str_appendf(sql, "INSERT INTO %s VALUES(", all[i].table);
    for (int k = 0; k < all[i].columns; k++)
      sqlite3_str_appendf(sql, "%s%s", k ? "," : "", k < all[i].given ? "?" : "NULL");
    sqlite3_str_appendall(sql, ")");
    char *text = sqlite3_str_finish(sql);
    if (!text || sqlite3_prepare_v2(t->db, text, -1, &t->insert[i], NULL) != SQLITE_OK) code = failed(t);
    sqlite3_free(text);
  }
  return code;
}

static int write_event(struct tables *t, const struct emuv_trace_event *e)
{
  switch (e->type) {
  case EMUV_TRACE_ALLOCATION: return write_allocation(t, &t->d->allocations[e->index].a);
  case EMUV_TRACE_FREE: return write_free(t, &t->d->frees[e->index]);
  case EMUV_TRACE_LAUNCH: return write_launch(t, e->index);
  case EMUV_TRACE_COPY: return write_copy(t, e->index);
  case EMUV_TRACE_SET: return write_set(t, e->index);
  case EMUV_TRACE_SYNC: return write_sync(t, e->index);
  default: return 0;
  }
}

int emuv_nsys_write(const struct emuv_trace_data *d, sqlite3 *db, struct emuv_err *err)
{
  struct tables t = {.db = db, .d = d, .err = err};
  t.n_strings = emuv_trace_reader_n_strings(d->reader);
  t.n_kernels = emuv_trace_reader_n_kernels(d->reader);
  int code = run(&t, schema);
  if (code == 0) code = run(&t, enumerations);
  if (code == 0) code = prepare(&t);
  if (code == 0) code = write_strings(&t);
  if (code == 0) code = write_target(&t);
  for (size_t i = 0; i < d->n_events && code == 0; i++) code = write_event(&t, &d->events[i]);
  if (code == 0) code = write_ranges(&t);
  for (size_t i = 0; i < TABLES; i++) sqlite3_finalize(t.insert[i]);
  return code;
}
