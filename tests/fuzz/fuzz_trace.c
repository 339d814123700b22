// SPDX-License-Identifier: Apache-2.0
/* The trace reader and everything that stands behind it, on hostile bytes. The first byte chooses: the input as a whole
 * file; or as payload of blocks whose checksums are right, since a fuzzer does not guess a CRC: records, a dictionary
 * with records, a verdict, a footer; or as CSV to import. What can be loaded goes through the summary and the source.
 */
#include "simulator/source/trace.h"
#include "tracer/format/block.h"
#include "tracer/format/crc32c.h"
#include "tracer/format/index.h"
#include "tracer/format/info.h"
#include "tracer/format/oracle.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

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

static void use(const struct emuv_trace_data *d)
{
  struct emuv_trace_info info;
  if (emuv_trace_info_compute(d, &info, NULL) == 0) emuv_trace_info_free(&info);
  struct emuv_config config = {.warmup = 1, .tokens = 2};
  struct emuv_workload w = {0};
  if (emuv_source_trace_convert(&config, d, &w, NULL) == 0) emuv_workload_free(&w);
}

static void read_file(const uint8_t *data, size_t n)
{
  struct emuv_trace_index index;
  if (emuv_trace_index_memory(data, n, "fuzz", &index, NULL) == 0) emuv_trace_index_free(&index);
  struct emuv_trace_data d;
  if (emuv_trace_load_memory(data, n, "fuzz", &d, NULL) != 0) return;
  use(&d);
  emuv_trace_data_free(&d);
}

static void read_blocks(uint8_t mode, const uint8_t *data, size_t n)
{
  struct file f = {.bytes = malloc(n + 1024)};
  if (!f.bytes) return;
  put_header(&f);
  if (mode == 2) {
    size_t part = n ? data[0] % n : 0;
    put_block(&f, EMUV_BLOCK_DICTIONARY, data, part);
    put_block(&f, EMUV_BLOCK_RECORDS, data + part, n - part);
  } else {
    static const uint8_t types[] = {0, EMUV_BLOCK_RECORDS, 0, EMUV_BLOCK_VERDICT, EMUV_BLOCK_FOOTER};
    put_block(&f, types[mode], data, n);
  }
  read_file(f.bytes, f.n);
  free(f.bytes);
}

static void read_csv(const uint8_t *data, size_t n)
{
  char path[64];
  snprintf(path, sizeof path, "/tmp/emuv-fuzz-trace-%ld.emuv", (long)getpid());
  FILE *in = n ? fmemopen((void *)(uintptr_t)data, n, "r") : NULL;
  if (!in) return;
  emuv_trace_import_csv(in, "fuzz", 4096, path, NULL, NULL);
  fclose(in);
  unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
  if (n == 0) return 0;
  uint8_t mode = data[0] % 6;
  if (mode == 0)
    read_file(data + 1, n - 1);
  else if (mode == 5)
    read_csv(data + 1, n - 1);
  else
    read_blocks(mode, data + 1, n - 1);
  return 0;
}
