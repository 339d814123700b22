// SPDX-License-Identifier: Apache-2.0
/* Choice of pages to keep; see keep.h. */
#include "simulator/strategy/keep.h"

#include <stdlib.h>
#include <string.h>

void emuv_keep_kind(const struct emuv_workload *w, uint64_t page_bytes, enum emuv_segment_kind kind, uint8_t *keep)
{
  for (size_t i = 0; i < w->n_segments; i++) {
    const struct emuv_segment *s = &w->segments[i];
    if (s->kind != kind || !s->bytes) continue;
    for (uint64_t page = s->offset / page_bytes; page * page_bytes < s->offset + s->bytes; page++) keep[page] = 1;
  }
}

/* Per page: 0 = not used in the step, 1 = used, 2 = used again after a while. */
struct use {
  uint8_t *times;
  uint32_t *last; /* reference */
  uint32_t distinct, again;
};

static int open_use(struct use *u, const struct emuv_program *program, struct emuv_err *err)
{
  u->times = calloc(program->n_pages, sizeof *u->times);
  u->last = calloc(program->n_pages, sizeof *u->last);
  if (u->times && u->last) return 0;
  free(u->times);
  free(u->last);
  return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %u pages", program->n_pages);
}

static void close_use(struct use *u)
{
  free(u->times);
  free(u->last);
}

static void count_run(struct use *u, const struct emuv_page_run *run, uint32_t ref, uint32_t window)
{
  for (uint32_t i = 0; i < run->n; i++) {
    uint32_t page = run->first + i;
    if (!u->times[page]) {
      u->times[page] = 1;
      u->distinct++;
    } else if (u->times[page] == 1 && ref + i - u->last[page] > window) {
      u->times[page] = 2;
      u->again++;
    }
    u->last[page] = ref + i;
  }
}

static void each_run(const struct emuv_program *p,
                     void (*visit)(void *arg, const struct emuv_page_run *run, uint32_t ref), void *arg)
{
  uint32_t from = p->step_first_slice[p->n_steps - 1], to = p->step_first_slice[p->n_steps];
  for (uint32_t s = from; s < to; s++) {
    uint32_t ref = p->slices[s].first_ref;
    for (uint32_t r = 0; r < p->slices[s].n_runs; r++) {
      const struct emuv_page_run *run = &p->runs[p->slices[s].first_run + r];
      visit(arg, run, ref);
      ref += run->n;
    }
  }
}

struct spread {
  struct use use;
  uint8_t *keep, *on_disk;
  uint32_t window, room;
  uint32_t group, in_group; /* pages decided together; how many of the current group have been seen */
  bool keep_group;
  double share, credit; /* of the pages used once; what has accumulated since the last kept group */
};

static void visit_count(void *arg, const struct emuv_page_run *run, uint32_t ref)
{
  struct spread *s = arg;
  count_run(&s->use, run, ref, s->window);
}

/* Pages used once are decided in groups, so that neighbours stay together and are copied together. */
static bool keep_this_one(struct spread *s)
{
  if (s->in_group == 0) {
    s->credit += s->share;
    s->keep_group = s->credit >= 1;
    if (s->keep_group) s->credit -= 1;
  }
  s->in_group = s->in_group + 1 == s->group ? 0 : s->in_group + 1;
  return s->keep_group;
}

static void visit_choose(void *arg, const struct emuv_page_run *run, uint32_t ref)
{
  struct spread *s = arg;
  (void)ref;
  for (uint32_t page = run->first; page < run->first + run->n; page++) {
    uint8_t times = s->use.times[page];
    if (!times) continue;
    s->use.times[page] = 0; /* decided */
    if ((times == 1 && !keep_this_one(s)) || !s->room) continue;
    s->keep[page] = 1;
    s->room--;
  }
}

static void choose(struct spread *s, const struct emuv_program *program)
{
  uint32_t once = s->use.distinct - s->use.again, for_once = s->room > s->use.again ? s->room - s->use.again : 0;
  s->share = once ? (double)for_once / once : 0;
  if (s->share > 1) s->share = 1;
  s->credit = 1e-6; /* rounding must not cost a page */
  each_run(program, visit_choose, s);
}

int emuv_keep_spread(const struct emuv_program *program, uint32_t room, uint32_t window, uint32_t group, uint8_t *keep,
                     struct emuv_err *err)
{
  enum { NEIGHBOURS = 3 }; /* launches next to each other share the page at their border: that is no second use */
  struct spread s = {
      .keep = keep, .window = window > NEIGHBOURS ? window : NEIGHBOURS, .room = room, .group = group ? group : 1};
  if (!program->n_steps) return 0;
  int rc = open_use(&s.use, program, err);
  if (rc) return rc;
  each_run(program, visit_count, &s);
  choose(&s, program);
  close_use(&s.use);
  return 0;
}

static void visit_home(void *arg, const struct emuv_page_run *run, uint32_t ref)
{
  struct spread *s = arg;
  (void)ref;
  for (uint32_t page = run->first; page < run->first + run->n; page++) {
    if (!s->use.times[page]) continue;
    s->use.times[page] = 0; /* decided */
    if (s->keep[page] || !keep_this_one(s) || !s->room) continue;
    s->on_disk[page] = 0;
    s->room--;
  }
}

static uint32_t count_not_kept(const struct spread *s, uint32_t n_pages)
{
  uint32_t n = 0;
  for (uint32_t page = 0; page < n_pages; page++) n += s->use.times[page] && !s->keep[page];
  return n;
}

int emuv_keep_homes(const struct emuv_program *program, const uint8_t *keep, uint32_t room, uint32_t group,
                    uint8_t *on_disk, struct emuv_err *err)
{
  struct spread s = {
      .keep = (uint8_t *)keep, .on_disk = on_disk, .room = room, .group = group ? group : 1, .credit = 1e-6};
  if (!program->n_steps) return 0;
  int rc = open_use(&s.use, program, err);
  if (rc) return rc;
  memset(on_disk, 1, program->n_pages);
  each_run(program, visit_count, &s);
  uint32_t others = count_not_kept(&s, program->n_pages);
  s.share = others > room ? (double)room / others : 1;
  each_run(program, visit_home, &s);
  close_use(&s.use);
  return 0;
}
