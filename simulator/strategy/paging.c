// SPDX-License-Identifier: Apache-2.0
/* The paging loop. For each slice of each launch: its pages are referenced (absent ones are faulted in while the
 * compute stream waits), the slice runs, and the prefetcher proposes what to load ahead while it runs. A frame that is
 * taken from a page of the running slice is free only when the slice has ended. The loop decides and keeps the counts;
 * the machine keeps the time.
 *
 * VRAM may hold less than a slice references. When the pager takes the frame of a page that the slice has referenced
 * and that has not run, all that is referenced by then runs first, as a part of the slice with its share of the work: a
 * launch needs one frame to run, whatever it references. */
#include "simulator/strategy/paging.h"

#include "runtime/core/pager.h"
#include "simulator/machine_virtual.h"
#include "simulator/program.h"
#include "simulator/strategy/keep.h"
#include "simulator/timeline.h"

#include <stdlib.h>

enum {
  LOOKAHEAD_SLICES = 8,
  LOOKAHEAD_SHARE = 64,
  PATIENCE_SHARE = 16,
  HOLD_SHARE = 32,
  SMALL_SLICES = 8,
  MAX_PROPOSALS = 4096,
  CHECK_EVERY = 256
};

/* The slice that is being referenced. References are counted from its first. */
struct now {
  uint32_t slice, faults;
  uint32_t part_ref;                 /* first reference that has not run */
  uint32_t run, run_ref;             /* page run that is being referenced, and its first reference */
  double share;                      /* of the launch's work that has not run */
  struct emuv_pager_outcome outcome; /* of the references that have not run */
  bool referencing;
};

struct run {
  const struct emuv_config *c;
  const struct emuv_workload *w;
  const struct emuv_paging *how;
  struct emuv_program program;
  struct emuv_pager pager;
  struct emuv_machine *machine;
  struct emuv_machine_run machine_run;
  bool machine_open;
  struct emuv_prefetch_env prefetch_env;
  void *prefetch_state;
  struct emuv_page_run *proposals;
  uint32_t *next, *first_use; /* policies that need the future */
  uint8_t *on_disk;           /* per page: fixed home on NVMe; NULL = RAM is managed */
  uint8_t *pinnable;          /* per page: the user wants it kept; NULL = none */
  double *slice_end_ns;       /* per slice: when it ended */
  uint32_t vram_frames, window_pages;
  uint64_t step_loads;            /* pages that the last step brought; before there was one: all of them */
  struct emuv_pager_counts start; /* counters at the start of the timed part */
  struct now now;
};

static uint32_t frames(uint64_t bytes, uint64_t page)
{
  uint64_t n = bytes / page;
  return n > INT32_MAX ? INT32_MAX : (uint32_t)n;
}

static int build_future(struct run *r, struct emuv_err *err)
{
  if (!(r->how->policy->flags & EMUV_POLICY_NEEDS_FUTURE)) return 0;
  r->next = malloc((r->program.n_refs + 1) * sizeof *r->next);
  r->first_use = malloc((r->program.n_pages + 1) * sizeof *r->first_use);
  if (!r->next || !r->first_use)
    return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %u references", r->program.n_refs);
  emuv_program_next_uses(&r->program, r->next, r->first_use); /* after the backward pass `last` is the first use */
  return 0;
}

static uint32_t end_ref(const struct run *r, uint32_t slice)
{
  return slice + 1 == r->program.n_slices ? r->program.n_refs : r->program.slices[slice + 1].first_ref;
}

/* References up to `to` run, those that have not yet. */
static int run_part(struct run *r, uint32_t to, double *end_ns, struct emuv_err *err)
{
  struct now *now = &r->now;
  const struct emuv_slice *s = &r->program.slices[now->slice];
  uint32_t n = end_ref(r, now->slice) - s->first_ref;
  bool rest = to == n, last = now->slice + 1 == r->program.n_slices;
  struct emuv_part part = {.slice = now->slice,
                           .first_ref = now->part_ref,
                           .n_refs = to - now->part_ref,
                           .share = rest ? now->share : s->share * (to - now->part_ref) / n,
                           .closes = rest && (last || s[1].opens_op)};
  now->part_ref = to;
  now->share -= part.share;
  int rc = r->machine->ops->run(r->machine, &part, &now->outcome, end_ns, err);
  if (!rc) r->slice_end_ns[now->slice] = *end_ns;
  return rc;
}

/* Has the page been referenced, up to reference `to`, and not run since? */
static bool waits_to_run(const struct run *r, uint32_t page, uint32_t to)
{
  const struct emuv_slice *s = &r->program.slices[r->now.slice];
  uint32_t ref = r->now.run_ref;
  for (uint32_t i = r->now.run + 1; i-- > 0;) {
    const struct emuv_page_run *run = &r->program.runs[s->first_run + i];
    uint32_t at = ref + (page - run->first);
    if (page - run->first < run->n && at >= r->now.part_ref && at < to) return true;
    if (ref <= r->now.part_ref || !i) return false;
    ref -= run[-1].n;
  }
  return false;
}

/* The pager takes a page's frame. */
static int page_leaves(void *arg, uint32_t page, uint32_t frame, struct emuv_err *err)
{
  struct run *r = arg;
  struct now *now = &r->now;
  uint32_t reached = now->run_ref + r->pager.reached;
  int rc = 0;
  if (now->referencing && r->pager.used_in[page] == now->slice && waits_to_run(r, page, reached)) {
    double end_ns;
    rc = run_part(r, reached, &end_ns, err);
    now->faults += now->outcome.faults;
    now->outcome = (struct emuv_pager_outcome){.ready_ns = 0};
    r->pager.frame_wait_slice = now->slice;
    r->pager.frame_wait_ns = end_ns;
  }
  if (rc || !r->machine->ops->evict) return rc;
  return r->machine->ops->evict(r->machine, page, frame, err);
}

/* Pages that prefetchers look over: in a step of which most is there, what is missing lies far apart. */
static uint32_t depth_pages(const struct run *r)
{
  uint64_t pages = LOOKAHEAD_SLICES * r->c->slice / r->how->page_bytes;
  return pages > r->window_pages && !r->how->lookahead_bytes ? (uint32_t)pages : r->window_pages;
}

/* What has not been used when twice the look-ahead has passed was a mistake: so many slices, on average. Slices come in
 * bursts on the same pages where pages are large, so not before a 16th of a step. */
static uint32_t patience_slices(const struct run *r)
{
  uint64_t slices = 2 * (uint64_t)depth_pages(r) * r->program.n_slices / (r->program.n_refs ? r->program.n_refs : 1);
  uint64_t least = r->program.n_slices / (r->program.n_steps ? r->program.n_steps : 1) / PATIENCE_SHARE;
  if (slices < least) slices = least;
  return slices < UINT32_MAX - 1 ? (uint32_t)slices + 1 : UINT32_MAX;
}

static int open_pager(struct run *r, struct emuv_err *err)
{
  uint64_t page = r->how->page_bytes;
  struct emuv_pager_env env = {.n_pages = r->program.n_pages,
                               .page_bytes = page,
                               .vram_frames = r->vram_frames,
                               .ram_frames = r->machine_run.ram_frames,
                               .nvme_frames = r->machine_run.nvme_frames,
                               .policy = r->how->policy,
                               .seed = r->c->seed,
                               .n_refs = r->program.n_refs,
                               .write_through = r->c->write[0] == 't' && !r->how->all_resident,
                               .always_write_back = r->how->always_write_back,
                               .initial = r->program.initial,
                               .first_use = r->first_use,
                               .bounce_frames = r->machine_run.bounce_frames,
                               .on_disk = r->on_disk,
                               .ahead_slices = patience_slices(r),
                               .ram = &r->machine->ram,
                               .nvme = &r->machine->nvme,
                               .evict = page_leaves,
                               .evict_arg = r};
  int rc = emuv_pager_init(&r->pager, &env, err);
  r->slice_end_ns = calloc(r->program.n_slices + 1, sizeof *r->slice_end_ns);
  if (!rc && !r->slice_end_ns) rc = emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %zu slices", r->program.n_slices);
  if (!r->how->always_write_back) r->pager.slice_end_ns = r->slice_end_ns; /* unified memory copies on demand alone */
  return rc;
}

/* Pages that are loaded ahead lie in frames that could keep others: as large a share of the excess over VRAM as the
 * window is, as much more is moved. So the default is small where little is missing. */
static void choose_window(struct run *r)
{
  uint64_t page = r->how->page_bytes, all = (r->w->address_bytes + page - 1) / page;
  r->vram_frames = frames(r->c->vram, page);
  if (r->vram_frames > all || r->how->all_resident)
    r->vram_frames = (uint32_t)all; /* more frames than pages change nothing */
  uint64_t bytes = r->how->lookahead_bytes ? r->how->lookahead_bytes : LOOKAHEAD_SLICES * r->c->slice;
  uint64_t pages = bytes / page, quarter = r->vram_frames / 4, share = (all - r->vram_frames) / LOOKAHEAD_SHARE;
  if (pages > quarter) pages = quarter;
  if (!r->how->lookahead_bytes && share > 0 && pages > share) pages = share;
  if (pages < 1) pages = 1;
  r->window_pages = (uint32_t)pages;
}

/* Where pages are loaded ahead, two slices fit into the window: one is on its way while the other waits to run. Pages
 * of a slice that is held fill frames as well, so it is no larger than the window, but not so small that launches cost.
 */
static uint64_t slice_bytes(const struct run *r)
{
  uint64_t window = r->window_pages * r->how->page_bytes, slice = r->c->slice, most = slice;
  if (r->how->prefetch != emuv_prefetch_find("none")) {
    most = r->window_pages / 2 * r->how->page_bytes;
  } else if (r->how->policy->flags & EMUV_POLICY_GIVES_UP_NEWEST) {
    most = window > slice / SMALL_SLICES ? window : slice / SMALL_SLICES;
  }
  return most < slice ? most : slice;
}

static int open_prefetcher(struct run *r, struct emuv_err *err)
{
  r->prefetch_env = (struct emuv_prefetch_env){.program = &r->program,
                                               .state = r->pager.state,
                                               .depth_pages = depth_pages(r),
                                               .n_ahead = &r->pager.n_ahead,
                                               .skip_dynamic = r->how->skip_dynamic};
  r->prefetch_state = calloc(1, r->how->prefetch->state_bytes(&r->prefetch_env) + 64);
  r->proposals = calloc(MAX_PROPOSALS, sizeof *r->proposals);
  if (!r->prefetch_state || !r->proposals) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the prefetcher");
  r->how->prefetch->init(r->prefetch_state, &r->prefetch_env);
  return 0;
}

/* Frames that pins leave to everything else. */
static uint32_t unpinned_frames(const struct run *r)
{
  uint32_t frames = r->vram_frames, slice = (uint32_t)(r->c->slice / r->how->page_bytes);
  uint32_t wanted = r->window_pages + (slice ? slice : 1) + (r->how->keep_spread ? 0 : frames / 8);
  return wanted < frames ? wanted : frames;
}

static int find_pinnable(struct run *r, struct emuv_err *err)
{
  bool by_kind = r->c->pin[0] != 'n'; /* none */
  if (!by_kind && !r->how->keep_spread) return 0;
  r->pinnable = calloc(r->program.n_pages + 1, 1);
  if (!r->pinnable) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %u pages", r->program.n_pages);
  if (by_kind)
    emuv_keep_kind(r->w, r->how->page_bytes, r->c->pin[0] == 'k' ? EMUV_SEGMENT_KV : EMUV_SEGMENT_WEIGHT, r->pinnable);
  if (!r->how->keep_spread) return 0;
  uint32_t group = (uint32_t)(r->how->coalesce_bytes / r->how->page_bytes);
  return emuv_keep_spread(&r->program, r->vram_frames - unpinned_frames(r), r->window_pages, group, r->pinnable, err);
}

/* Where RAM is too small for the pages that are not kept, they are spread over RAM and NVMe for good. */
static int find_homes(struct run *r, struct emuv_err *err)
{
  uint32_t ram = frames(r->c->ram, r->how->page_bytes);
  if (!r->how->keep_spread || ram >= r->program.n_pages || !r->c->nvme) return 0;
  r->on_disk = calloc(r->program.n_pages + 1, 1);
  if (!r->on_disk) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %u pages", r->program.n_pages);
  uint32_t group = (uint32_t)(r->how->coalesce_bytes / r->how->page_bytes);
  uint32_t bounce = group ? 2 * group : 2; /* one piece is read from the disk while the other goes up */
  return emuv_keep_homes(&r->program, r->pinnable, ram > bounce ? ram - bounce : 0, group, r->on_disk, err);
}

/* More frames than pages change nothing. */
static uint32_t useful_frames(const struct run *r, uint64_t bytes)
{
  uint32_t n = frames(bytes, r->how->page_bytes);
  return n < r->program.n_pages ? n : r->program.n_pages;
}

static uint32_t bounce_frames(const struct run *r)
{
  uint32_t n = useful_frames(r, r->machine->bounce_bytes);
  return r->machine->bounce_bytes && n < 2 ? 2 : n;
}

static int open_machine(struct run *r, struct emuv_err *err)
{
  uint64_t page = r->how->page_bytes;
  r->machine_run = (struct emuv_machine_run){.config = r->c,
                                             .workload = r->w,
                                             .program = &r->program,
                                             .pager = &r->pager,
                                             .page_bytes = page,
                                             .coalesce_bytes = r->how->coalesce_bytes,
                                             .vram_frames = r->vram_frames,
                                             .ram_frames = useful_frames(r, r->c->peer + r->c->ram),
                                             .bounce_frames = bounce_frames(r),
                                             .nvme_frames = useful_frames(r, r->c->nvme),
                                             .fault_ns = r->how->fault_ns,
                                             .fault_batch_bytes = r->how->fault_batch_bytes};
  r->machine_run.peer = emuv_peer_layout(r->machine_run.ram_frames, r->c->peer, page);
  int rc = r->machine->ops->open(r->machine, &r->machine_run, err);
  r->machine_open = !rc;
  return rc;
}

static int open_all(struct run *r, struct emuv_err *err)
{
  choose_window(r);
  int rc = emuv_program_build(r->w, r->how->page_bytes, slice_bytes(r), &r->program, err);
  if (!rc) rc = build_future(r, err);
  if (!rc) rc = find_pinnable(r, err);
  if (!rc) rc = find_homes(r, err);
  if (!rc) rc = open_machine(r, err);
  if (!rc) rc = open_pager(r, err);
  if (!rc) rc = open_prefetcher(r, err);
  if (!rc && r->machine->ops->placed) rc = r->machine->ops->placed(r->machine, err);
  return rc;
}

static void close_all(struct run *r)
{
  if (r->machine_open) r->machine->ops->close(r->machine);
  emuv_program_free(&r->program);
  emuv_pager_free(&r->pager);
  free(r->prefetch_state);
  free(r->proposals);
  free(r->next);
  free(r->first_use);
  free(r->pinnable);
  free(r->on_disk);
  free(r->slice_end_ns);
}

static void hold_slice(struct run *r, uint32_t slice, bool on)
{
  const struct emuv_slice *s = &r->program.slices[slice];
  const struct emuv_page_run *run = &r->program.runs[s->first_run];
  for (uint32_t i = 0; i < s->n_runs; i++) emuv_pager_hold(&r->pager, run[i].first, run[i].n, on);
}

/* Policies that give up what has just been used would take pages from the running slice, which would then run in parts
 * of one page. But while a page is held it fills a frame, as one that was loaded ahead does: so not for slices of more
 * than a 32nd of what a step moves, half of which is held on average. */
static bool must_hold(const struct run *r)
{
  uint32_t pages = end_ref(r, r->now.slice) - r->program.slices[r->now.slice].first_ref;
  if (!(r->how->policy->flags & EMUV_POLICY_GIVES_UP_NEWEST)) return false;
  return pages <= r->step_loads / HOLD_SHARE && pages < r->vram_frames - r->pager.n_pinned;
}

static int touch_slice(struct run *r, double start_ns, struct emuv_err *err)
{
  struct now *now = &r->now;
  const struct emuv_slice *s = &r->program.slices[now->slice];
  const bool hold = must_hold(r);
  int rc = 0;
  if (hold) hold_slice(r, now->slice, true);
  now->referencing = true;
  for (now->run = 0; !rc && now->run < s->n_runs; now->run++) {
    const struct emuv_page_run *run = &r->program.runs[s->first_run + now->run];
    rc = emuv_pager_access(&r->pager, run->first, run->n, run->flags & EMUV_RUN_WRITE, now->slice,
                           r->next ? r->next + s->first_ref + now->run_ref : NULL, start_ns, &now->outcome, err);
    now->run_ref += run->n;
  }
  now->referencing = false;
  if (hold) hold_slice(r, now->slice, false);
  now->faults += now->outcome.faults;
  r->pager.frame_wait_slice = UINT32_MAX;
  return rc;
}

static void pin_wanted(struct run *r, const struct emuv_page_run *run)
{
  for (uint32_t i = 0; i < run->n;) {
    uint32_t m = 0;
    while (i + m < run->n && r->pinnable[run->first + i + m]) m++;
    if (m) emuv_pager_pin(&r->pager, run->first + i, m, unpinned_frames(r));
    i += m + 1;
  }
}

static int after_slice(struct run *r, const struct emuv_slice *s, double end_ns, struct emuv_err *err)
{
  for (uint32_t i = 0; i < s->n_runs; i++) {
    const struct emuv_page_run *run = &r->program.runs[s->first_run + i];
    if (r->pager.env.write_through && (run->flags & EMUV_RUN_WRITE)) {
      int rc = emuv_pager_write_through(&r->pager, run->first, run->n, end_ns, err);
      if (rc) return rc;
    }
    if (r->pinnable) pin_wanted(r, run);
  }
  return 0;
}

static uint32_t prefetch_budget(const struct run *r)
{
  uint32_t pinned = r->pager.n_pinned, spare = r->pager.env.vram_frames - 1;
  uint32_t window = r->window_pages > r->pager.n_ahead ? r->window_pages - r->pager.n_ahead : 0;
  uint32_t room = spare > pinned ? spare - pinned : 0;
  return window < room ? window : room;
}

/* A page of the running slice is busy until it ends: a copy into its frame would only begin then, and others behind it.
 */
static int prefetch(struct run *r, uint32_t slice, uint32_t faults, double issue_ns, double busy_ns,
                    struct emuv_err *err)
{
  const struct emuv_prefetch_ops *ops = r->how->prefetch;
  uint32_t n = ops->propose(r->prefetch_state, slice, faults, prefetch_budget(r), r->proposals, MAX_PROPOSALS);
  if (!n) return 0;
  int64_t got = 0;
  hold_slice(r, slice, true);
  for (uint32_t i = 0; i < n && got >= 0; i++)
    got = emuv_pager_prefetch(&r->pager, r->proposals[i].first, r->proposals[i].n, slice, busy_ns, issue_ns, err);
  hold_slice(r, slice, false);
  return got < 0 ? (int)got : 0;
}

static int run_slice(struct run *r, uint32_t index, struct emuv_err *err)
{
  const struct emuv_slice *s = &r->program.slices[index];
  double start_ns, end_ns;
  r->now = (struct now){.slice = index, .share = s->share};
  int rc = r->machine->ops->reach(r->machine, index, &start_ns, err);
  r->pager.decided_ns = r->machine->issued_ns;
  if (!rc) rc = touch_slice(r, start_ns, err);
  if (!rc) rc = run_part(r, end_ref(r, index) - s->first_ref, &end_ns, err);
  if (!rc) rc = after_slice(r, s, end_ns, err);
  if (!rc) rc = prefetch(r, index, r->now.faults, start_ns, end_ns, err);
#ifdef EMUV_CHECK_INVARIANTS
  if (!rc && (index % CHECK_EVERY == 0 || r->program.n_pages < 64)) rc = emuv_pager_check(&r->pager, err);
#endif
  return rc;
}

/* Everything that has data into VRAM, before the clock starts. */
static int load_all(struct run *r, struct emuv_err *err)
{
  struct emuv_pager_outcome out = {.ready_ns = 0};
  int rc = 0;
  for (uint32_t page = 0; !rc && r->how->all_resident && page < r->program.n_pages; page++)
    if (r->program.initial[page]) rc = emuv_pager_access(&r->pager, page, 1, false, UINT32_MAX, NULL, 0, &out, err);
  return rc;
}

static int run_steps(struct run *r, struct emuv_metrics *m, struct emuv_err *err)
{
  const struct emuv_machine_ops *ops = r->machine->ops;
  int rc = load_all(r, err);
  r->step_loads = r->program.n_pages;
  for (size_t s = 0; !rc && s < r->w->n_steps; s++) {
    if (s == r->w->warmup_steps) r->start = r->pager.count;
    uint64_t before = r->pager.count.up;
    rc = ops->step_begin(r->machine, s, err);
    for (uint32_t i = r->program.step_first_slice[s]; !rc && i < r->program.step_first_slice[s + 1]; i++)
      rc = run_slice(r, i, err);
    r->step_loads = r->pager.count.up - before;
    if (!rc) rc = ops->step_end(r->machine, s, m, err);
  }
  return rc ? rc : emuv_pager_check(&r->pager, err);
}

static void report(const struct run *r, struct emuv_metrics *m)
{
  const struct emuv_pager_counts *c = &r->pager.count, *s = &r->start;
  uint64_t page = r->how->page_bytes;
  uint64_t used = c->ahead_used - s->ahead_used;
  uint64_t carried = s->ahead_issued - s->ahead_used - s->ahead_wasted; /* loaded in the warm-up, not used there */
  m->accesses = c->accesses - s->accesses;
  m->hits = c->hits - s->hits;
  m->faults = c->faults - s->faults;
  m->births = c->births - s->births;
  m->fault_bytes = (c->fault_up - s->fault_up) * page;
  m->prefetch_bytes = (c->ahead_up - s->ahead_up) * page;
  m->h2d_bytes = (c->up - s->up) * page - m->peer_read_bytes;
  m->d2h_bytes = (c->down - s->down) * page - m->peer_write_bytes;
  m->writeback_bytes = (c->down - s->down) * page;
  m->nvme_read_bytes = (c->nvme_read - s->nvme_read) * page;
  m->nvme_write_bytes = (c->nvme_write - s->nvme_write) * page;
  m->prefetch_issued = c->ahead_issued - s->ahead_issued;
  m->prefetch_used = used > carried ? used - carried : 0;
  m->evicted = c->evicted - s->evicted;
  m->peak_vram_bytes = r->pager.peak_used * page;
}

int emuv_paging_run(const struct emuv_config *config, const struct emuv_workload *workload,
                    const struct emuv_paging *paging, struct emuv_machine *machine, struct emuv_metrics *m,
                    struct emuv_err *err)
{
  struct emuv_machine_virtual virtual;
  struct run *r = calloc(1, sizeof *r);
  if (!r) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for a run");
  if (!machine) emuv_machine_virtual_init(&virtual);
  r->c = config;
  r->w = workload;
  r->how = paging;
  r->machine = machine ? machine : &virtual.machine;
  int rc = open_all(r, err);
  if (!rc) rc = run_steps(r, m, err);
  if (!rc) rc = r->machine->ops->report(r->machine, m, err);
  if (!rc) report(r, m);
  close_all(r);
  free(r);
  return rc ? rc : emuv_bound_compute(config, workload, paging->all_resident, m, err);
}
