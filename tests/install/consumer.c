// SPDX-License-Identifier: Apache-2.0
/* A program of somebody else, in plain C17: pages a cyclic scan with the pager core, and writes and reads a trace.
 * Argument: a path to write to. Prints what came out; run.sh knows what that must be. */
#include "runtime/core/pager.h"
#include "runtime/core/rng.h"
#include "runtime/core/units.h"
#include "tracer/format/reader.h"
#include "tracer/format/writer.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAGES = 100, FRAMES = 60, ROUNDS = 5 };

/* Misses of a policy on ROUNDS passes over PAGES pages. */
static int scan(const char *policy, uint64_t *misses, struct emuv_err *err)
{
  static uint8_t in_ram[PAGES];
  struct emuv_tier tier = {.ops = emuv_tier_find("null"), .env = {.page_bytes = 2 << 20}};
  if (tier.ops == NULL) return emuv_err_set(err, EMUV_ERR_INPUT, "no tier \"null\"");
  for (int i = 0; i < PAGES; i++) in_ram[i] = 1;
  struct emuv_pager_env env = {.n_pages = PAGES,
                               .page_bytes = 2 << 20,
                               .vram_frames = FRAMES,
                               .ram_frames = PAGES,
                               .policy = emuv_policy_find(policy),
                               .initial = in_ram,
                               .ram = &tier};
  struct emuv_pager pager;
  int rc = emuv_pager_init(&pager, &env, err);
  if (rc != 0) return rc;
  for (uint32_t round = 0; round < ROUNDS && rc == 0; round++) {
    for (uint32_t page = 0; page < PAGES && rc == 0; page++) {
      struct emuv_pager_outcome out;
      rc = emuv_pager_access(&pager, page, 1, false, round * PAGES + page, NULL, 0, &out, err);
    }
  }
  if (rc == 0) rc = emuv_pager_check(&pager, err);
  *misses = pager.count.faults;
  emuv_pager_free(&pager);
  return rc;
}

static int write_trace(const char *path, struct emuv_err *err)
{
  struct emuv_trace_writer *writer;
  int rc = emuv_trace_writer_open(&writer, path, NULL, err);
  if (rc != 0) return rc;
  struct emuv_trace_sync sync = {0};
  for (int i = 0; i < 1000 && rc == 0; i++) rc = emuv_trace_writer_sync(writer, &sync);
  int closed = emuv_trace_writer_close(writer, EMUV_TRACE_STATUS_COMPLETE, 0, "fine", err);
  return rc != 0 ? rc : closed;
}

static int read_trace(const char *path, uint64_t *records, struct emuv_err *err)
{
  struct emuv_trace_reader *reader;
  struct emuv_trace_record record;
  int rc = emuv_trace_reader_open(&reader, path, err);
  if (rc != 0) return rc;
  do rc = emuv_trace_reader_next(reader, &record, err);
  while (rc > 0);
  *records = emuv_trace_reader_state(reader)->records;
  emuv_trace_reader_close(reader);
  return rc;
}

static int report(const char *path, struct emuv_err *err)
{
  uint64_t lru = 0, mru = 0, records = 0, bytes = 0;
  int rc = emuv_units_parse_bytes("12GiB", &bytes, err);
  if (rc == 0) rc = scan("lru", &lru, err);
  if (rc == 0) rc = scan("mru", &mru, err);
  if (rc == 0) rc = write_trace(path, err);
  if (rc == 0) rc = read_trace(path, &records, err);
  if (rc == 0)
    printf("bytes %llu lru %llu mru %llu records %llu\n", (unsigned long long)bytes, (unsigned long long)lru,
           (unsigned long long)mru, (unsigned long long)records);
  return rc;
}

int main(int argc, char **argv)
{
  struct emuv_err err = {0};
  if (argc != 2) return EXIT_FAILURE;
  if (report(argv[1], &err) == 0) return EXIT_SUCCESS;
  fprintf(stderr, "consumer: %s\n", err.text);
  return EXIT_FAILURE;
}
