// SPDX-License-Identifier: Apache-2.0
/* Traces to oracleGeneral: see oracle.h. Two passes: references into memory (16 bytes each), then next uses from the
 * end by sorting the places of each object. */
#include "tracer/format/oracle.h"

#include "tracer/format/block.h"
#include "tracer/format/pages.h"
#include "tracer/format/positions.h"

#include <stdlib.h>
#include <string.h>

struct reference {
  uint64_t object;
  uint32_t time, bytes;
};

struct references {
  struct reference *r;
  int64_t *next;
  size_t n, cap;
};

static bool add(struct references *list, uint64_t object, uint64_t ns, uint64_t bytes)
{
  if (list->n == list->cap) {
    size_t cap = list->cap * 2 + 4096;
    struct reference *grown = realloc(list->r, cap * sizeof *grown);
    if (!grown) return false;
    list->r = grown;
    list->cap = cap;
  }
  list->r[list->n++] = (struct reference){.object = object,
                                          .time = (uint32_t)(ns / 1000000000u),
                                          .bytes = bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes};
  return true;
}

static bool collect(struct emuv_trace_pages *pages, bool objects, struct references *list)
{
  struct emuv_page_reference r;
  bool ok = true;
  while (ok && emuv_trace_pages_next(pages, &r)) {
    if (objects)
      ok = add(list, r.object, r.ns, r.bytes);
    else
      for (uint64_t i = 0; ok && i < r.n; i++) ok = add(list, r.first + i, r.ns, pages->page_bytes);
  }
  return ok;
}

/* Sorted by object and place, each position's successor is its next use. */
static bool find_next(struct references *list)
{
  struct emuv_position *p = malloc((list->n + 1) * sizeof *p);
  list->next = malloc((list->n + 1) * sizeof *list->next);
  bool ok = p && list->next;
  if (ok && list->n) {
    for (size_t i = 0; i < list->n; i++) p[i] = (struct emuv_position){list->r[i].object, i};
    emuv_position_sort(p, list->n);
    for (size_t i = 0; i < list->n; i++) {
      bool again = i + 1 < list->n && p[i + 1].object == p[i].object;
      list->next[p[i].place] = again ? (int64_t)p[i + 1].place + 1 : -1;
    }
  }
  free(p);
  return ok;
}

static int write_all(const struct references *list, FILE *out, struct emuv_err *err)
{
  for (size_t i = 0; i < list->n; i++) {
    uint8_t bytes[EMUV_ORACLE_RECORD_BYTES];
    emuv_put32(bytes, list->r[i].time);
    emuv_put64(bytes + 4, list->r[i].object);
    emuv_put32(bytes + 12, list->r[i].bytes);
    emuv_put64(bytes + 16, (uint64_t)list->next[i]);
    if (fwrite(bytes, 1, sizeof bytes, out) != sizeof bytes) break;
  }
  if (fflush(out) != 0 || ferror(out)) return emuv_err_errno(err, EMUV_ERR_IO, "cannot write the references");
  return 0;
}

int emuv_trace_export_oracle(const char *path, uint64_t page_bytes, FILE *out, uint64_t *references,
                             struct emuv_err *err)
{
  struct emuv_trace_pages pages;
  struct references list = {0};
  int code = emuv_trace_pages_open(path, page_bytes ? page_bytes : 1, &pages, err);
  if (code) return code;
  if (collect(&pages, page_bytes == 0, &list) && find_next(&list))
    code = write_all(&list, out, err);
  else
    code = emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory for the references");
  if (references) *references = list.n;
  free(list.r);
  free(list.next);
  emuv_trace_pages_close(&pages);
  return code;
}
