// SPDX-License-Identifier: Apache-2.0
/* Makes a false trace of a true one, to see that trace_truth notices.
 *
 *   trace_doctor TRACE OUTPUT PARAMETERS.json remove|shorten|lengthen|loosen|add NAME
 *
 * In every launch: operands that lie in the tensor NAME are left out, made half as long, longer by 4 KiB, or bounded;
 * or one exact operand over the whole tensor is added to each launch that has an operand in the same allocation. All
 * else is copied record by record. Status 0, 1 when nothing was changed, 2 for wrong usage, 3 when a file fails. */
#include "tracer/format/reader.h"
#include "tracer/format/writer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALLOCATIONS_MAX = 1 << 20, LONGER_BYTES = 4096 };

struct doctor {
  struct emuv_trace_reader *r;
  struct emuv_trace_writer *w;
  const char *how;
  uint64_t begin, end; /* of the tensor */
  uint64_t *address;   /* by allocation */
  uint64_t home;       /* the allocation that the tensor lies in */
  struct emuv_trace_operand operand[EMUV_TRACE_OPERANDS_MAX];
  uint64_t changed;
};

static bool does(const struct doctor *d, const char *how)
{
  return strcmp(d->how, how) == 0;
}

static uint32_t string(struct doctor *d, uint32_t id)
{
  return emuv_trace_writer_string(d->w, emuv_trace_reader_string(d->r, id));
}

/* False when the operand is to be left out. */
static bool treat(struct doctor *d, struct emuv_trace_operand *o)
{
  const uint64_t address = o->allocation < ALLOCATIONS_MAX ? d->address[o->allocation] + o->offset : 0;
  if (address < d->begin || address >= d->end || does(d, "add")) return true;
  d->changed++;
  if (does(d, "shorten")) o->bytes /= 2;
  if (does(d, "lengthen")) o->bytes += LONGER_BYTES;
  if (does(d, "loosen")) o->cls = EMUV_TRACE_CLASS_BOUNDED;
  return !does(d, "remove");
}

static void add(struct doctor *d, struct emuv_trace_launch *l)
{
  uint32_t i = 0;
  while (i < l->n_operands && d->operand[i].cls != EMUV_TRACE_CLASS_EXACT) i++;
  if (i == l->n_operands || l->n_operands == EMUV_TRACE_OPERANDS_MAX || !d->home) return;
  struct emuv_trace_operand *o = &d->operand[l->n_operands++];
  *o = d->operand[i];
  o->allocation = d->home;
  o->offset = d->begin - d->address[d->home];
  o->bytes = d->end - d->begin;
  d->changed++;
}

static void note_allocation(struct doctor *d, const struct emuv_trace_allocation *a)
{
  if (a->id >= ALLOCATIONS_MAX) return;
  d->address[a->id] = a->address;
  if (a->address <= d->begin && d->end <= a->address + a->bytes) d->home = a->id;
}

static void launch(struct doctor *d, struct emuv_trace_launch *l)
{
  const struct emuv_trace_operand *from = l->operands;
  const struct emuv_trace_kernel *known = emuv_trace_reader_kernel(d->r, l->kernel);
  uint32_t n = 0;
  for (uint32_t i = 0; i < l->n_operands; i++) {
    d->operand[n] = from[i];
    n += treat(d, &d->operand[n]);
  }
  l->operands = d->operand;
  l->n_operands = n;
  if (does(d, "add")) add(d, l);
  if (!known) return;
  struct emuv_trace_kernel kernel = *known;
  kernel.name = string(d, known->name);
  kernel.module = string(d, known->module);
  l->kernel = emuv_trace_writer_kernel(d->w, &kernel);
}

/* Ids of strings and kernels are the writer's own. */
static int copy(struct doctor *d, struct emuv_trace_record *r)
{
  switch (r->type) {
  case EMUV_TRACE_ENVIRONMENT:
    r->u.environment.key = string(d, r->u.environment.key);
    r->u.environment.value = string(d, r->u.environment.value);
    break;
  case EMUV_TRACE_PROCESS: r->u.process.command = r->u.process.executable = 0; break;
  case EMUV_TRACE_THREAD: r->u.thread.name = string(d, r->u.thread.name); break;
  case EMUV_TRACE_ALLOCATION: note_allocation(d, &r->u.allocation); break;
  case EMUV_TRACE_LAUNCH: launch(d, &r->u.launch); break;
  case EMUV_TRACE_RANGE:
    r->u.range.text = string(d, r->u.range.text);
    r->u.range.domain = string(d, r->u.range.domain);
    break;
  case EMUV_TRACE_GAP: r->u.gap.text = string(d, r->u.gap.text); break;
  default: break;
  }
  return emuv_trace_writer_append(d->w, r);
}

static int copy_all(struct doctor *d, struct emuv_err *err)
{
  struct emuv_trace_record record;
  int rc;
  while ((rc = emuv_trace_reader_next(d->r, &record, err)) == 1)
    if (copy(d, &record)) return emuv_err_set(err, EMUV_ERR_IO, "the trace cannot be written");
  return rc;
}

static bool find_tensor(struct doctor *d, const char *path, const char *name)
{
  size_t i;
  json_t *entry, *list = json_load_file(path, 0, NULL);
  json_array_foreach(list, i, entry)
  {
    const char *own = json_string_value(json_object_get(entry, "name"));
    if (!own || strcmp(own, name) != 0) continue;
    d->begin = (uint64_t)json_integer_value(json_object_get(entry, "address"));
    d->end = d->begin + (uint64_t)json_integer_value(json_object_get(entry, "bytes"));
  }
  json_decref(list);
  return d->begin != 0;
}

static int run(struct doctor *d, const char *from, const char *to)
{
  struct emuv_err err = {0};
  int rc = emuv_trace_reader_open(&d->r, from, &err);
  if (!rc) {
    rc = emuv_trace_writer_open(&d->w, to, NULL, &err);
    if (!rc) {
      rc = copy_all(d, &err);
      const int closed = emuv_trace_writer_close(d->w, EMUV_TRACE_STATUS_COMPLETE, 0, NULL, rc ? NULL : &err);
      if (!rc) rc = closed;
    }
    emuv_trace_reader_close(d->r);
  }
  if (rc) emuv_err_print(&err, stderr);
  return rc ? 3 : d->changed == 0;
}

int main(int argc, char **argv)
{
  struct doctor *d = calloc(1, sizeof *d);
  if (argc != 6 || !d) {
    fprintf(stderr, "usage: trace_doctor TRACE OUTPUT PARAMETERS.json remove|shorten|lengthen|loosen|add NAME\n");
    free(d);
    return 2;
  }
  d->how = argv[4];
  d->address = calloc(ALLOCATIONS_MAX, sizeof *d->address);
  int status = 3;
  if (!d->address || !find_tensor(d, argv[3], argv[5]))
    fprintf(stderr, "trace_doctor: %s has no tensor %s\n", argv[3], argv[5]);
  else
    status = run(d, argv[1], argv[2]);
  free(d->address);
  free(d);
  return status;
}
