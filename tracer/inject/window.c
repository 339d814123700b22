// SPDX-License-Identifier: Apache-2.0
/* See window.h. */
#include "tracer/inject/window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char profiler_text[] = "cudaProfilerApi", nvtx_prefix[] = "nvtx:";

int emuv_window_parse_range(const char *text, struct emuv_window *w, struct emuv_err *err)
{
  const char *name = text + sizeof nvtx_prefix - 1;
  if (strcmp(text, profiler_text) == 0) {
    w->trigger = EMUV_WINDOW_PROFILER;
    return 0;
  }
  if (strncmp(text, nvtx_prefix, sizeof nvtx_prefix - 1) == 0 && *name && strlen(name) < EMUV_WINDOW_NAME) {
    w->trigger = EMUV_WINDOW_NVTX;
    strcpy(w->name, name);
    return 0;
  }
  emuv_err_set(err, EMUV_ERR_USAGE, "'%.64s' is no range", text);
  return emuv_err_hint(err, "write cudaProfilerApi (cudaProfilerStart to cudaProfilerStop) or nvtx:NAME (a range of "
                            "NVTX by its name)");
}

static uint64_t number_from(const char *variable)
{
  const char *text = getenv(variable);
  char *end;
  errno = 0;
  const uint64_t n = text ? strtoull(text, &end, 10) : 0;
  return text && *text && *end == '\0' && errno == 0 ? n : 0;
}

void emuv_window_from_environment(struct emuv_window *w)
{
  const char *range = getenv("EMUV_TRACE_CAPTURE_RANGE");
  struct emuv_err err = {0};
  *w = (struct emuv_window){.start_at_ns = number_from("EMUV_TRACE_START_AT_NS"),
                            .duration_ns = number_from("EMUV_TRACE_DURATION_NS")};
  if (range && *range) emuv_window_parse_range(range, w, &err);
}

bool emuv_window_is_set(const struct emuv_window *w)
{
  return w->start_at_ns || w->duration_ns || w->trigger != EMUV_WINDOW_NO_RANGE;
}

static bool ended(const struct emuv_window *w, uint64_t now_ns)
{
  return w->over || (w->begun_ns && w->duration_ns && now_ns >= w->begun_ns + w->duration_ns);
}

bool emuv_window_wants(const struct emuv_window *w, uint64_t now_ns)
{
  return !ended(w, now_ns) && now_ns >= w->start_at_ns && (w->trigger == EMUV_WINDOW_NO_RANGE || w->open > 0);
}

void emuv_window_update(struct emuv_window *w, uint64_t now_ns)
{
  const bool wanted = emuv_window_wants(w, now_ns);
  w->over = ended(w, now_ns);
  if (wanted == atomic_load(&w->recording)) return;
  if (wanted) atomic_store(&w->since_ns, now_ns);
  if (wanted && !w->begun_ns) w->begun_ns = now_ns;
  atomic_store(&w->recording, wanted);
}

uint64_t emuv_window_next_ns(const struct emuv_window *w, uint64_t now_ns)
{
  if (w->start_at_ns > now_ns) return w->start_at_ns;
  return w->begun_ns && w->duration_ns && !w->over ? w->begun_ns + w->duration_ns : 0;
}

bool emuv_window_contains(const struct emuv_window *w, uint64_t enter_ns)
{
  return enter_ns && enter_ns >= atomic_load_explicit(&w->since_ns, memory_order_relaxed);
}

void emuv_window_profiler(struct emuv_window *w, bool start)
{
  if (w->trigger == EMUV_WINDOW_PROFILER) w->open = start;
}

bool emuv_window_matches(const struct emuv_window *w, const char *text)
{
  return w->trigger == EMUV_WINDOW_NVTX && text && strcmp(text, w->name) == 0;
}

int emuv_window_push(const struct emuv_window *w, struct emuv_window_thread *t, const void *domain, const char *text)
{
  int unused = -1;
  for (int i = 0; i < EMUV_WINDOW_DOMAINS; i++) {
    if (t->open[i].depth == 0) {
      unused = i;
    } else if (t->open[i].domain == domain) {
      t->open[i].depth++;
      return 0;
    }
  }
  if (unused < 0 || !emuv_window_matches(w, text)) return 0;
  t->open[unused].domain = domain;
  t->open[unused].depth = 1;
  return 1;
}

int emuv_window_pop(struct emuv_window_thread *t, const void *domain)
{
  for (int i = 0; i < EMUV_WINDOW_DOMAINS; i++)
    if (t->open[i].depth && t->open[i].domain == domain) return --t->open[i].depth == 0 ? -1 : 0;
  return 0;
}
