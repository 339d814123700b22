// SPDX-License-Identifier: Apache-2.0
/* Says in FAKE_MAPPING what has been flushed: the library is linked with --wrap=emuv_trace_writer_flush. */
#ifndef EMUV_TESTS_FAKE_FLUSH_H
#define EMUV_TESTS_FAKE_FLUSH_H

#include "tests/capture/fake.h"
#include "tracer/format/writer.h"
#include "tracer/inject/inject.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct fake_mapping unshared, *mapping = &unshared;
static atomic_uint_fast64_t
    settled; /* launches before the last time that a log was settled; a library without one: 0 */

int __real_emuv_trace_writer_flush(struct emuv_trace_writer *w, struct emuv_err *err);
int __wrap_emuv_trace_writer_flush(struct emuv_trace_writer *w, struct emuv_err *err);

int __wrap_emuv_trace_writer_flush(struct emuv_trace_writer *w, struct emuv_err *err)
{
  const uint64_t log = atomic_load(&settled), before = log ? log : atomic_load(&mapping->launched);
  const int rc = __real_emuv_trace_writer_flush(w, err);
  if (rc == 0) atomic_store(&mapping->flushed, before);
  return rc;
}

static void map_file(void)
{
  const char *path = getenv("FAKE_MAPPING");
  const int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void *memory = mmap(NULL, sizeof *mapping, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (memory != MAP_FAILED) mapping = memory;
}

static void note_launch(void)
{
  atomic_store(&mapping->launched_ns, emuv_capture_now_ns());
  atomic_fetch_add(&mapping->launched, 1);
}

#endif
