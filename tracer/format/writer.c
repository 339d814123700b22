// SPDX-License-Identifier: Apache-2.0
/* Writer of traces: see writer.h for the contract, FORMAT.md for the bytes.
 *
 * Locks: append_lock guards the open batch, the dictionaries and the counters; io_lock guards the descriptor, the index
 * and the compressor. Order: io_lock before append_lock. A full batch is swapped for the empty one under both, then
 * compressed and written under io_lock alone. An appending thread writes a full batch itself unless another thread is
 * writing; only when the open batch has grown to BACKLOG blocks does it wait. */
#include "tracer/format/writer.h"

#include "tracer/format/block.h"
#include "tracer/format/crc32c.h"
#include "tracer/format/dictionary.h"
#include "tracer/format/schema.h"
#include "tracer/format/varint.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

enum { BLOCK_BYTES = 256 << 10, BLOCK_BYTES_MAX = 16 << 20, BACKLOG = 4, LEVEL = 3 };

struct batch {
  struct emuv_buffer records, entries;
  uint32_t n_records, n_entries;
  uint64_t first_ns;
  uint64_t channels[EMUV_CHANNELS];
};

struct emuv_trace_writer {
  pthread_mutex_t append_lock, io_lock;
  atomic_bool disowned;
  atomic_int failure; /* enum emuv_errc, 0 = none */
  atomic_uint_fast64_t sequence, dropped;
  struct batch batches[2]; /* [open] under append_lock, the other one under io_lock */
  int open;
  struct emuv_dictionary dictionary;
  struct emuv_trace_writer_options options;
  /* io_lock: */
  int fd;
  uint64_t offset;               /* end of the last whole block */
  uint64_t records;              /* in the file */
  enum emuv_trace_status status; /* of the failure */
  int error_number;
  struct emuv_block_header *index;
  size_t n_blocks, cap_blocks;
  struct emuv_buffer out;
  ZSTD_CCtx *zstd;
};

static uint64_t clock_ns(clockid_t id)
{
  struct timespec t;
  clock_gettime(id, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* errno. A write beyond RLIMIT_FSIZE also raises SIGXFSZ, which would end the host program. */
static int pwrite_quiet(int fd, const uint8_t *p, size_t n, uint64_t offset, ssize_t *written)
{
  sigset_t xfsz, before;
  sigemptyset(&xfsz);
  sigaddset(&xfsz, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &xfsz, &before);
  *written = pwrite(fd, p, n, (off_t)offset);
  int error_number = *written < 0 ? errno : 0;
  if (error_number == EFBIG) sigtimedwait(&xfsz, NULL, &(struct timespec){0});
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error_number;
}

static int pwrite_all(int fd, const uint8_t *p, size_t n, uint64_t offset)
{
  while (n > 0) {
    ssize_t r;
    int error_number = pwrite_quiet(fd, p, n, offset, &r);
    if (error_number == EINTR) continue;
    if (error_number) return error_number;
    if (r == 0) return ENOSPC;
    p += r;
    n -= (size_t)r;
    offset += (uint64_t)r;
  }
  return 0;
}

static int write_file_header(struct emuv_trace_writer *w)
{
  uint8_t bytes[EMUV_FILE_HEADER_BYTES];
  struct emuv_file_header h = {.version = EMUV_FORMAT_VERSION, .header_bytes = EMUV_FILE_HEADER_BYTES};
  if (!w->options.reproducible) {
    h.created_unix_ns = clock_ns(CLOCK_REALTIME);
    h.created_ns = clock_ns(CLOCK_MONOTONIC);
  }
  emuv_file_header_put(bytes, &h);
  w->offset = sizeof bytes;
  return pwrite_all(w->fd, bytes, sizeof bytes, 0);
}

static void writer_free(struct emuv_trace_writer *w)
{
  for (int i = 0; i < 2; i++) {
    emuv_buffer_free(&w->batches[i].records);
    emuv_buffer_free(&w->batches[i].entries);
  }
  emuv_buffer_free(&w->out);
  emuv_dictionary_free(&w->dictionary);
  ZSTD_freeCCtx(w->zstd);
  free(w->index);
  pthread_mutex_destroy(&w->append_lock);
  pthread_mutex_destroy(&w->io_lock);
  free(w);
}

static void options_complete(struct emuv_trace_writer_options *o)
{
  if (o->block_bytes == 0) o->block_bytes = BLOCK_BYTES;
  if (o->block_bytes > BLOCK_BYTES_MAX) o->block_bytes = BLOCK_BYTES_MAX;
  if (o->level == 0) o->level = LEVEL;
}

int emuv_trace_writer_open(struct emuv_trace_writer **out, const char *path,
                           const struct emuv_trace_writer_options *options, struct emuv_err *err)
{
  *out = NULL;
  struct emuv_trace_writer *w = calloc(1, sizeof *w);
  if (!w) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace writer");
  if (options) w->options = *options;
  options_complete(&w->options);
  pthread_mutex_init(&w->append_lock, NULL);
  pthread_mutex_init(&w->io_lock, NULL);
  w->zstd = ZSTD_createCCtx();
  w->fd = -1;
  int code = 0;
  if (!w->zstd)
    code = emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the trace writer");
  else if ((w->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) < 0)
    code = emuv_err_errno(err, EMUV_ERR_IO, "cannot create %s", path);
  else if ((errno = write_file_header(w)) != 0)
    code = emuv_err_errno(err, EMUV_ERR_IO, "cannot write %s", path);
  if (code == 0) {
    *out = w;
    return 0;
  }
  if (w->fd >= 0) close(w->fd);
  writer_free(w);
  return code;
}

static int unusable(struct emuv_trace_writer *w)
{
  if (atomic_load_explicit(&w->disowned, memory_order_relaxed)) return EMUV_ERR_UNSUPPORTED;
  int failure = atomic_load_explicit(&w->failure, memory_order_relaxed);
  if (failure) atomic_fetch_add_explicit(&w->dropped, 1, memory_order_relaxed);
  return failure;
}

/* ---- appending ---- */

static uint8_t *encode_payload(const struct emuv_trace_record *r, uint64_t *channels, uint8_t *p)
{
  if (emuv_trace_has_operands(r->type)) {
    uint64_t own[EMUV_CHANNELS] = {0}; /* a reader that skips graph nodes must not miss a step of a channel */
    uint32_t n;
    const struct emuv_trace_operand *operands = emuv_trace_record_operands(r, &n);
    p = emuv_varint_put(p, n);
    p = emuv_varint_put(p, emuv_trace_schema_operand.n_fields);
    for (uint32_t i = 0; i < n; i++)
      p = emuv_trace_encode(&emuv_trace_schema_operand, &operands[i], r->type == EMUV_TRACE_GRAPH_NODE ? own : channels,
                            p);
  }
  return emuv_trace_encode(&emuv_trace_schemas[r->type], &r->u, channels, p);
}

static size_t record_bound(const struct emuv_trace_record *r)
{
  size_t fields = emuv_trace_schemas[r->type].n_fields + 4u;
  uint32_t n_operands;
  emuv_trace_record_operands(r, &n_operands);
  return (fields + (size_t)n_operands * emuv_trace_schema_operand.n_fields) * EMUV_VARINT_MAX;
}

/* A record is its type, the length of its payload, the payload. The payload is encoded first, at its latest possible
 * place, then moved against its length. */
static int batch_append(struct batch *b, const struct emuv_trace_record *r)
{
  enum { HEAD = 2 * EMUV_VARINT_MAX };
  if (!emuv_buffer_reserve(&b->records, HEAD + record_bound(r))) return EMUV_ERR_NOMEM;
  uint8_t *start = b->records.data + b->records.n, *payload = start + HEAD;
  size_t n = (size_t)(encode_payload(r, b->channels, payload) - payload);
  uint8_t *p = emuv_varint_put(emuv_varint_put(start, r->type), n);
  memmove(p, payload, n);
  b->records.n += (size_t)(p - start) + n;
  b->n_records++;
  if (b->first_ns == 0) b->first_ns = b->channels[EMUV_CHANNEL_HOST_NS];
  return 0;
}

static bool record_valid(const struct emuv_trace_record *r)
{
  if (r->type == 0 || r->type >= EMUV_TRACE_TYPES) return false;
  uint32_t n_operands;
  emuv_trace_record_operands(r, &n_operands);
  return n_operands <= EMUV_TRACE_OPERANDS_MAX;
}

static int write_batch(struct emuv_trace_writer *w);

static void relieve(struct emuv_trace_writer *w, size_t pending)
{
  if (pending < (size_t)w->options.block_bytes * BACKLOG) {
    if (pthread_mutex_trylock(&w->io_lock) != 0) return;
  } else {
    pthread_mutex_lock(&w->io_lock);
  }
  write_batch(w);
  pthread_mutex_unlock(&w->io_lock);
}

int emuv_trace_writer_append(struct emuv_trace_writer *w, const struct emuv_trace_record *record)
{
  int code = unusable(w);
  if (code) return code;
  if (!record_valid(record)) return EMUV_ERR_RANGE;
  pthread_mutex_lock(&w->append_lock);
  struct batch *b = &w->batches[w->open];
  code = batch_append(b, record);
  size_t pending = b->records.n;
  pthread_mutex_unlock(&w->append_lock);
  if (code) atomic_fetch_add(&w->dropped, 1);
  if (pending >= w->options.block_bytes) relieve(w, pending);
  return code;
}

#define TYPED(member, TYPE)                                                                                            \
  int emuv_trace_writer_##member(struct emuv_trace_writer *w, const struct emuv_trace_##member *r)                     \
  {                                                                                                                    \
    struct emuv_trace_record record;                                                                                   \
    record.type = EMUV_TRACE_##TYPE;                                                                                   \
    record.u.member = *r;                                                                                              \
    return emuv_trace_writer_append(w, &record);                                                                       \
  }

TYPED(process, PROCESS)
TYPED(thread, THREAD)
TYPED(allocation, ALLOCATION)
TYPED(free, FREE)
TYPED(copy, COPY)
TYPED(set, SET)
TYPED(launch, LAUNCH)
TYPED(gpu_time, GPU_TIME)
TYPED(range, RANGE)
TYPED(sync, SYNC)
TYPED(gap, GAP)
TYPED(drop, DROP)
TYPED(tag, TAG)
TYPED(graph_node, GRAPH_NODE)

int emuv_trace_writer_gpu_times(struct emuv_trace_writer *w, const struct emuv_trace_gpu_time *r, uint32_t n)
{
  struct emuv_trace_record record = {.type = EMUV_TRACE_GPU_TIME};
  if (n == 0) return 0;
  int code = unusable(w);
  if (code) atomic_fetch_add(&w->dropped, n - 1); /* the first one is counted */
  if (code) return code;
  pthread_mutex_lock(&w->append_lock);
  struct batch *b = &w->batches[w->open];
  uint32_t done = 0;
  for (; done < n && code == 0; done += code == 0) {
    record.u.gpu_time = r[done];
    code = batch_append(b, &record);
  }
  const size_t pending = b->records.n;
  pthread_mutex_unlock(&w->append_lock);
  if (code) atomic_fetch_add(&w->dropped, n - done);
  if (pending >= w->options.block_bytes) relieve(w, pending);
  return code;
}

int emuv_trace_writer_environment(struct emuv_trace_writer *w, const char *key, const char *value)
{
  struct emuv_trace_record r = {.type = EMUV_TRACE_ENVIRONMENT};
  r.u.environment.key = emuv_trace_writer_string(w, key);
  r.u.environment.value = emuv_trace_writer_string(w, value);
  return emuv_trace_writer_append(w, &r);
}

uint32_t emuv_trace_writer_string(struct emuv_trace_writer *w, const char *text)
{
  if (!text || !*text || atomic_load(&w->disowned)) return 0;
  pthread_mutex_lock(&w->append_lock);
  struct batch *b = &w->batches[w->open];
  bool added = false;
  uint32_t id = emuv_dictionary_string(&w->dictionary, text, &b->entries, &added);
  b->n_entries += added;
  pthread_mutex_unlock(&w->append_lock);
  return id;
}

uint32_t emuv_trace_writer_kernel(struct emuv_trace_writer *w, const struct emuv_trace_kernel *kernel)
{
  if (atomic_load(&w->disowned)) return 0;
  pthread_mutex_lock(&w->append_lock);
  struct batch *b = &w->batches[w->open];
  bool added = false;
  uint32_t id = emuv_dictionary_kernel(&w->dictionary, kernel, &b->entries, &added);
  b->n_entries += added;
  pthread_mutex_unlock(&w->append_lock);
  return id;
}

uint32_t emuv_trace_writer_page_set(struct emuv_trace_writer *w, const struct emuv_trace_operand *operands, uint32_t n)
{
  if (n == 0 || n > EMUV_TRACE_OPERANDS_MAX || atomic_load(&w->disowned) || atomic_load(&w->failure)) return 0;
  pthread_mutex_lock(&w->append_lock);
  struct batch *b = &w->batches[w->open];
  bool added = false;
  uint32_t id = emuv_dictionary_page_set(&w->dictionary, operands, n, &b->entries, &added);
  b->n_entries += added;
  size_t pending = b->entries.n;
  pthread_mutex_unlock(&w->append_lock);
  if (pending >= w->options.block_bytes) relieve(w, pending);
  return id;
}

uint64_t emuv_trace_writer_sequence(struct emuv_trace_writer *w)
{
  return emuv_trace_writer_sequences(w, 1);
}

uint64_t emuv_trace_writer_sequences(struct emuv_trace_writer *w, uint64_t n)
{
  return atomic_fetch_add_explicit(&w->sequence, n, memory_order_relaxed) + 1;
}

/* ---- writing ---- */

static bool index_reserve(struct emuv_trace_writer *w, size_t more)
{
  if (w->n_blocks + more <= w->cap_blocks) return true;
  size_t cap = w->cap_blocks * 2 + 64;
  struct emuv_block_header *index = realloc(w->index, cap * sizeof *index);
  if (!index) return false;
  w->index = index;
  w->cap_blocks = cap;
  return true;
}

/* Appends a whole block to w->out and its header to the index; zstd where it saves something. */
static int block_build(struct emuv_trace_writer *w, struct emuv_block_header h, const uint8_t *data, size_t n)
{
  size_t bound = ZSTD_compressBound(n);
  if (!index_reserve(w, 1) || !emuv_buffer_reserve(&w->out, EMUV_BLOCK_HEADER_BYTES + bound)) return EMUV_ERR_NOMEM;
  uint8_t *head = w->out.data + w->out.n, *payload = head + EMUV_BLOCK_HEADER_BYTES;
  size_t stored =
      h.codec == EMUV_CODEC_ZSTD ? ZSTD_compressCCtx(w->zstd, payload, bound, data, n, w->options.level) : n;
  if (ZSTD_isError(stored) || stored >= n) {
    h.codec = EMUV_CODEC_NONE;
    stored = n;
    memcpy(payload, data, n);
  }
  h.stored_bytes = (uint32_t)stored;
  h.raw_bytes = (uint32_t)n;
  h.payload_crc = emuv_crc32c(0, payload, stored);
  h.sequence = w->n_blocks;
  h.offset = w->offset + w->out.n;
  emuv_block_header_put(head, &h);
  w->index[w->n_blocks++] = h;
  w->out.n += EMUV_BLOCK_HEADER_BYTES + stored;
  return 0;
}

/* Bytes that verdict, footer and trailer take at most. */
static size_t end_bytes(const struct emuv_trace_writer *w)
{
  return 1024 + 2 * EMUV_BLOCK_HEADER_BYTES + EMUV_TRAILER_BYTES + (w->n_blocks + 2) * EMUV_INDEX_ENTRY_BYTES;
}

static void fail(struct emuv_trace_writer *w, int code, enum emuv_trace_status status, int error_number)
{
  w->status = status;
  w->error_number = error_number;
  atomic_store(&w->failure, code);
}

static bool no_space(int error_number)
{
  return error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
}

static void fail_errno(struct emuv_trace_writer *w, int error_number)
{
  bool full = no_space(error_number);
  fail(w, full ? EMUV_ERR_NOSPACE : EMUV_ERR_IO, full ? EMUV_TRACE_STATUS_NO_SPACE : EMUV_TRACE_STATUS_IO_ERROR,
       error_number);
}

static int batch_build(struct emuv_trace_writer *w, const struct batch *b)
{
  w->out.n = 0;
  int code = 0;
  if (b->entries.n) {
    struct emuv_block_header h = {
        .type = EMUV_BLOCK_DICTIONARY, .codec = EMUV_CODEC_ZSTD, .flags = EMUV_BLOCK_CRITICAL, .records = b->n_entries};
    code = block_build(w, h, b->entries.data, b->entries.n);
  }
  if (code == 0 && b->records.n) {
    struct emuv_block_header h = {.type = EMUV_BLOCK_RECORDS,
                                  .codec = EMUV_CODEC_ZSTD,
                                  .flags = EMUV_BLOCK_CRITICAL,
                                  .records = b->n_records,
                                  .first_ns = b->first_ns};
    code = block_build(w, h, b->records.data, b->records.n);
  }
  return code;
}

static void batch_store(struct emuv_trace_writer *w, const struct batch *b)
{
  size_t blocks_before = w->n_blocks;
  int code = batch_build(w, b), error_number = 0;
  if (code) {
    fail(w, code, EMUV_TRACE_STATUS_IO_ERROR, ENOMEM);
  } else if (w->options.max_bytes && w->offset + w->out.n + end_bytes(w) > w->options.max_bytes) {
    fail(w, EMUV_ERR_NOSPACE, EMUV_TRACE_STATUS_SIZE_LIMIT, 0);
  } else if ((error_number = pwrite_all(w->fd, w->out.data, w->out.n, w->offset)) != 0) {
    fail_errno(w, error_number);
  } else {
    w->offset += w->out.n;
    w->records += b->n_records;
    return;
  }
  w->n_blocks = blocks_before;
  atomic_fetch_add(&w->dropped, b->n_records);
}

static void batch_reset(struct batch *b)
{
  b->records.n = b->entries.n = 0;
  b->n_records = b->n_entries = 0;
  b->first_ns = 0;
  memset(b->channels, 0, sizeof b->channels);
}

/* io_lock is held. */
static int write_batch(struct emuv_trace_writer *w)
{
  pthread_mutex_lock(&w->append_lock);
  struct batch *b = &w->batches[w->open];
  w->open ^= 1;
  pthread_mutex_unlock(&w->append_lock);
  if (b->records.n || b->entries.n) {
    if (atomic_load(&w->failure))
      atomic_fetch_add(&w->dropped, b->n_records);
    else
      batch_store(w, b);
    batch_reset(b);
  }
  return atomic_load(&w->failure);
}

static int report(const struct emuv_trace_writer *w, struct emuv_err *err)
{
  int code = w->failure;
  if (code == 0) return 0;
  if (w->status == EMUV_TRACE_STATUS_SIZE_LIMIT) return emuv_err_set(err, code, "the trace has reached its size limit");
  errno = w->error_number;
  return emuv_err_errno(err, code, "cannot write the trace");
}

int emuv_trace_writer_flush(struct emuv_trace_writer *w, struct emuv_err *err)
{
  if (atomic_load(&w->disowned))
    return emuv_err_set(err, EMUV_ERR_UNSUPPORTED, "the trace belongs to the parent process");
  pthread_mutex_lock(&w->io_lock);
  write_batch(w);
  int code = report(w, err);
  pthread_mutex_unlock(&w->io_lock);
  return code;
}

/* ---- the end ---- */

static int build_verdict(struct emuv_trace_writer *w, struct emuv_trace_verdict *v)
{
  uint8_t bytes[EMUV_VARINT_MAX * 8 + sizeof v->text];
  uint64_t channels[EMUV_CHANNELS] = {0};
  v->records = w->records;
  v->dropped = atomic_load(&w->dropped);
  uint8_t *p = emuv_varint_put(bytes, emuv_trace_schema_verdict.n_fields);
  p = emuv_trace_encode(&emuv_trace_schema_verdict, v, channels, p);
  size_t n = strnlen(v->text, sizeof v->text);
  memcpy(p, v->text, n);
  struct emuv_block_header h = {.type = EMUV_BLOCK_VERDICT, .records = 1};
  return block_build(w, h, bytes, (size_t)(p - bytes) + n);
}

static int build_footer(struct emuv_trace_writer *w)
{
  size_t n = w->n_blocks * EMUV_INDEX_ENTRY_BYTES;
  uint8_t *entries = malloc(n ? n : 1);
  if (!entries) return EMUV_ERR_NOMEM;
  for (size_t i = 0; i < w->n_blocks; i++) emuv_index_entry_put(entries + i * EMUV_INDEX_ENTRY_BYTES, &w->index[i]);
  struct emuv_block_header h = {.type = EMUV_BLOCK_FOOTER, .codec = EMUV_CODEC_ZSTD, .records = (uint32_t)w->n_blocks};
  int code = block_build(w, h, entries, n);
  free(entries);
  if (code || !emuv_buffer_reserve(&w->out, EMUV_TRAILER_BYTES)) return EMUV_ERR_NOMEM;
  emuv_trailer_put(w->out.data + w->out.n, w->index[w->n_blocks - 1].offset);
  w->out.n += EMUV_TRAILER_BYTES;
  return 0;
}

/* errno, 0 when verdict, footer and trailer are in the file. */
static int write_end(struct emuv_trace_writer *w, struct emuv_trace_verdict *v)
{
  size_t blocks_before = w->n_blocks;
  w->out.n = 0;
  int error_number = ENOMEM;
  if (build_verdict(w, v) == 0 && build_footer(w) == 0)
    error_number = pwrite_all(w->fd, w->out.data, w->out.n, w->offset);
  uint64_t end = w->offset + (error_number ? 0 : w->out.n);
  w->n_blocks = blocks_before;
  if (ftruncate(w->fd, (off_t)end) != 0 && error_number == 0) error_number = errno;
  return error_number;
}

/* Gives up the last block, so that a full disk has room for the verdict. */
static bool drop_last_block(struct emuv_trace_writer *w)
{
  if (w->n_blocks == 0) return false;
  const struct emuv_block_header *h = &w->index[--w->n_blocks];
  w->offset = h->offset;
  if (h->type == EMUV_BLOCK_RECORDS) {
    w->records -= h->records;
    atomic_fetch_add(&w->dropped, h->records);
  }
  return ftruncate(w->fd, (off_t)w->offset) == 0;
}

static void verdict_text(const struct emuv_trace_writer *w, struct emuv_trace_verdict *v, const char *text)
{
  if (w->status == EMUV_TRACE_STATUS_SIZE_LIMIT)
    text = "the size limit was reached";
  else if (w->status)
    text = strerror(w->error_number);
  if (text) strncpy(v->text, text, sizeof v->text - 1);
}

int emuv_trace_writer_close(struct emuv_trace_writer *w, enum emuv_trace_status status, uint32_t exit_status,
                            const char *text, struct emuv_err *err)
{
  if (atomic_load(&w->disowned))
    return emuv_err_set(err, EMUV_ERR_UNSUPPORTED, "the trace belongs to the parent process");
  pthread_mutex_lock(&w->io_lock);
  write_batch(w);
  struct emuv_trace_verdict v = {.status = w->status ? w->status : status, .exit_status = exit_status};
  if (!w->options.reproducible) v.ns = clock_ns(CLOCK_MONOTONIC);
  verdict_text(w, &v, text);
  int error_number = write_end(w, &v);
  for (int attempt = 0; no_space(error_number) && attempt < 4 && drop_last_block(w); attempt++) {
    v.status = EMUV_TRACE_STATUS_NO_SPACE;
    error_number = write_end(w, &v);
  }
  if (error_number && !w->failure) fail_errno(w, error_number);
  if (close(w->fd) != 0 && !w->failure) fail_errno(w, errno);
  int code = report(w, err);
  pthread_mutex_unlock(&w->io_lock);
  writer_free(w);
  return code;
}

void emuv_trace_writer_disown(struct emuv_trace_writer *w)
{
  if (!atomic_exchange(&w->disowned, true)) close(w->fd);
}
