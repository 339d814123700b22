// SPDX-License-Identifier: Apache-2.0
/* The trace reader and everything that stands behind it, on hostile bytes. The first byte chooses: the input as a whole
 * file; or as payload of blocks whose checksums are right, since a fuzzer does not guess a CRC: records, a dictionary
 * with records, a verdict, a footer; or as something to import: CSV, an SQLite database, oracleGeneral. What can be
 * loaded goes through the summary with both its forms, the page references, all exporters, the figures, and the
 * simulator's source. */
#include "simulator/source/trace.h"
#include "tracer/format/block.h"
#include "tracer/format/crc32c.h"
#include "tracer/format/export/export.h"
#include "tracer/format/export/nsys.h"
#include "tracer/format/figures.h"
#include "tracer/format/index.h"
#include "tracer/format/info.h"
#include "tracer/format/oracle.h"
#include "tracer/format/pages.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { WHOLE, RECORDS, DICTIONARY, VERDICT, FOOTER, CSV, DATABASE, ORACLE, MODES };
enum { REFERENCES_MOST = 20000, DATABASE_EVERY = 16, DRAW_EVERY = 4 }; /* what takes longer than all the rest */

struct file {
  uint8_t *bytes;
  size_t n, blocks;
};

static void put_header(struct file *f)
{
  struct emuv_file_header h = {.version = EMUV_FORMAT_VERSION, .header_bytes = EMUV_FILE_HEADER_BYTES};
  emuv_file_header_put(f->bytes, &h);
  f->n = EMUV_FILE_HEADER_BYTES;
}

static void put_block(struct file *f, uint8_t type, const uint8_t *data, size_t n)
{
  struct emuv_block_header h = {.type = type, .sequence = f->blocks++};
  h.stored_bytes = h.raw_bytes = (uint32_t)n;
  h.payload_crc = emuv_crc32c(0, data, n);
  emuv_block_header_put(f->bytes + f->n, &h);
  memcpy(f->bytes + f->n + EMUV_BLOCK_HEADER_BYTES, data, n);
  f->n += EMUV_BLOCK_HEADER_BYTES + n;
}

static FILE *nowhere(void)
{
  static FILE *f;
  if (!f) f = fopen("/dev/null", "w");
  return f;
}

/* ---- what is loaded ---- */

static void summarise(const struct emuv_trace_data *d)
{
  struct emuv_trace_info info;
  if (emuv_trace_info_compute(d, &info, NULL) != 0) return;
  struct emuv_export_report text = {.top = 5}, json = {.style = EMUV_EXPORT_JSON, .top = 5};
  emuv_export_info(d, &info, &text, nowhere(), NULL);
  emuv_export_info(d, &info, &json, nowhere(), NULL);
  emuv_trace_info_free(&info);
}

static void export_all(const struct emuv_trace_data *d, bool database)
{
  emuv_export_csv(d, nowhere(), NULL);
  emuv_export_chrome(d, nowhere(), NULL);
  sqlite3 *db = NULL;
  if (database && sqlite3_open(":memory:", &db) == SQLITE_OK) emuv_nsys_write(d, db, NULL);
  sqlite3_close(db);
}

/* Nothing that is touched may be missing in the heat map. */
static void draw(const struct emuv_trace_data *d)
{
  struct emuv_trace_figures f;
  uint64_t sum = 0;
  if (emuv_trace_figures_compute(d, &f, NULL) != 0) return;
  for (size_t i = 0; i < (size_t)f.heat.n_times * f.heat.n_spaces; i++) sum += f.heat.bytes[i];
  if (sum != f.touches.bytes) abort();
  emuv_trace_figures_free(&f);
}

static void simulate(const struct emuv_trace_data *d)
{
  struct emuv_config config = {.warmup = 1, .tokens = 2};
  struct emuv_workload w = {0};
  if (emuv_source_trace_convert(&config, d, &w, NULL) == 0) emuv_workload_free(&w);
}

/* The same by path, as the commands do. */
static void read_path(const char *path, uint64_t page_bytes)
{
  bool whole;
  struct emuv_export_selection part = {.types = 0x7fe, .from_ns = 1, .kernel = "a*"};
  emuv_export_check(path, EMUV_EXPORT_TEXT, nowhere(), &whole, NULL);
  emuv_export_check(path, EMUV_EXPORT_JSON, nowhere(), &whole, NULL);
  emuv_export_dump(path, EMUV_EXPORT_TEXT, &(struct emuv_export_selection){0}, nowhere(), NULL);
  emuv_export_dump(path, EMUV_EXPORT_JSON, &part, nowhere(), NULL);
  struct emuv_trace_pages pages;
  if (emuv_trace_pages_open(path, page_bytes, &pages, NULL) != 0) return;
  struct emuv_page_reference r;
  for (int i = 0; i < REFERENCES_MOST && emuv_trace_pages_next(&pages, &r); i++)
    if (r.n == 0 || r.first + r.n > pages.n_pages) abort();
  emuv_trace_pages_close(&pages);
}

/* A file in memory that has a path. */
static int memory_file(const uint8_t *data, size_t n, char path[64])
{
  int fd = memfd_create("fuzz", MFD_CLOEXEC);
  snprintf(path, 64, "/proc/self/fd/%d", fd);
  if (fd < 0 || write(fd, data, n) != (ssize_t)n) abort();
  return fd;
}

static void read_file(const uint8_t *data, size_t n)
{
  struct emuv_trace_index index;
  if (emuv_trace_index_memory(data, n, "fuzz", &index, NULL) == 0) emuv_trace_index_free(&index);
  struct emuv_trace_data d;
  if (emuv_trace_load_memory(data, n, "fuzz", &d, NULL) != 0) return;
  uint32_t hash = emuv_crc32c(0, data, n);
  summarise(&d);
  export_all(&d, hash % DATABASE_EVERY == 0);
  simulate(&d);
  if (hash % DRAW_EVERY == 0) draw(&d);
  emuv_trace_data_free(&d);
  char path[64];
  int fd = memory_file(data, n, path);
  read_path(path, (uint64_t)1 << (12 + hash % 12));
  close(fd);
}

static void read_blocks(uint8_t mode, const uint8_t *data, size_t n)
{
  struct file f = {.bytes = malloc(n + 1024)};
  if (!f.bytes) return;
  put_header(&f);
  if (mode == DICTIONARY) {
    size_t part = n ? data[0] % n : 0;
    put_block(&f, EMUV_BLOCK_DICTIONARY, data, part);
    put_block(&f, EMUV_BLOCK_RECORDS, data + part, n - part);
  } else {
    static const uint8_t types[] = {
        [RECORDS] = EMUV_BLOCK_RECORDS, [VERDICT] = EMUV_BLOCK_VERDICT, [FOOTER] = EMUV_BLOCK_FOOTER};
    put_block(&f, types[mode], data, n);
  }
  read_file(f.bytes, f.n);
  free(f.bytes);
}

/* ---- imports ---- */

static void import_file(uint8_t mode, const uint8_t *data, size_t n)
{
  char in_path[64], out_path[64];
  int in_fd = memory_file(data, n, in_path), out_fd = memory_file(data, 0, out_path);
  FILE *in = fopen(in_path, "rb");
  struct emuv_trace_data d;
  int code = -1;
  if (mode == CSV && in) code = emuv_trace_import_csv(in, "fuzz", 4096, out_path, NULL, NULL);
  if (mode == ORACLE && in) code = emuv_trace_import_oracle(in, "fuzz", out_path, NULL, NULL);
  if (mode == DATABASE) code = emuv_import_nsys(in_path, 0, out_path, NULL, NULL);
  if (in) fclose(in);
  if (code == 0 && emuv_trace_load(out_path, &d, NULL) != 0) abort(); /* what we write can be read */
  if (code == 0) {
    summarise(&d);
    emuv_trace_data_free(&d);
  }
  close(in_fd);
  close(out_fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
  if (n == 0) return 0;
  uint8_t mode = data[0] % MODES;
  if (mode == WHOLE)
    read_file(data + 1, n - 1);
  else if (mode >= CSV)
    import_file(mode, data + 1, n - 1);
  else
    read_blocks(mode, data + 1, n - 1);
  return 0;
}
