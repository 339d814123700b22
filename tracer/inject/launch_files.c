// SPDX-License-Identifier: Apache-2.0
/* See launch_files.h. */
#include "tracer/inject/launch_files.h"

#include "runtime/core/units.h"
#include "tracer/format/block.h"
#include "tracer/format/reader.h"
#include "tracer/inject/names.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORDS_READ = 64 }; /* where a capture says what it belongs to */

struct origin { /* "" where the trace does not tell */
  char run[64], output[NAME_MAX + 1];
};

static void note(struct origin *o, struct emuv_trace_reader *r, const struct emuv_trace_environment *e)
{
  const char *key = emuv_trace_reader_string(r, e->key), *value = emuv_trace_reader_string(r, e->value);
  if (strcmp(key, EMUV_NAMES_RUN) == 0) snprintf(o->run, sizeof o->run, "%s", value);
  if (strcmp(key, EMUV_NAMES_OUTPUT) == 0) snprintf(o->output, sizeof o->output, "%s", value);
}

static struct origin origin_of(const char *path)
{
  struct origin o = {0};
  struct emuv_trace_reader *r;
  struct emuv_trace_record record;
  struct emuv_err err = {0};
  if (emuv_trace_reader_open(&r, path, &err)) return o;
  for (int i = 0; i < RECORDS_READ && emuv_trace_reader_next(r, &record, &err) == 1; i++)
    if (record.type == EMUV_TRACE_ENVIRONMENT) note(&o, r, &record.u.environment);
  emuv_trace_reader_close(r);
  return o;
}

static const char *base_of(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* The file of this name in the folder of `path`; false when too long. */
static bool beside(char result[PATH_MAX], const char *path, const char *name)
{
  return snprintf(result, PATH_MAX, "%.*s%s", (int)(base_of(path) - path), path, name) < PATH_MAX;
}

typedef void visitor_fn(const char *path, void *context);

static const char *filter_wanted;

static int is_candidate(const struct dirent *entry)
{
  return emuv_names_belongs(filter_wanted, entry->d_name);
}

/* Every file whose name may be that of another process with this output, in the order of their numbers. */
static void visit(const char *output, visitor_fn *visitor, void *context)
{
  char folder[PATH_MAX], path[PATH_MAX];
  struct dirent **entry;
  if (!beside(folder, output, "")) return;
  filter_wanted = base_of(output);
  const int n = scandir(*folder ? folder : ".", &entry, is_candidate, versionsort);
  for (int i = 0; i < n; i++) {
    if (beside(path, output, entry[i]->d_name)) visitor(path, context);
    free(entry[i]);
  }
  if (n >= 0) free(entry);
}

static void remove_if_ours(const char *path, void *output)
{
  const struct origin o = origin_of(path);
  if (o.output[0] && strcmp(o.output, base_of(output)) == 0) unlink(path);
}

void emuv_launch_files_remove(const char *output)
{
  unlink(output);
  visit(output, remove_if_ours, (void *)(uintptr_t)output);
}

struct listing {
  const char *shown, *run;
  FILE *out;
  int n;
};

static bool is_whole(const char *path)
{
  unsigned char trailer[EMUV_TRAILER_BYTES];
  uint64_t footer;
  bool whole = false;
  FILE *file = fopen(path, "rbe");
  if (!file) return false;
  if (fseek(file, -(long)sizeof trailer, SEEK_END) == 0 && fread(trailer, sizeof trailer, 1, file) == 1)
    whole = emuv_trailer_get(trailer, &footer);
  fclose(file);
  return whole;
}

static void list(const char *path, void *context)
{
  struct listing *l = context;
  struct stat info;
  char name[PATH_MAX], size[32];
  if (stat(path, &info) != 0 || !beside(name, l->shown, base_of(path))) return;
  l->n++;
  if (!l->out) return;
  fprintf(l->out, "emuv-trace: %s, %s%s\n", name, emuv_units_human_bytes((double)info.st_size, size, sizeof size),
          is_whole(path) ? "" : ", ends early: its process was killed or replaced, or still runs");
}

static void list_if_ours(const char *path, void *context)
{
  const struct listing *l = context;
  const struct origin o = origin_of(path);
  if (strcmp(o.run, l->run) == 0) list(path, context);
}

int emuv_launch_files_list(const char *output, const char *shown, const char *run, FILE *out)
{
  struct listing l = {.shown = shown, .run = run, .out = out};
  list(output, &l); /* was removed before the run: whatever it is, it is new */
  visit(output, list_if_ours, &l);
  return l.n;
}
