// SPDX-License-Identifier: Apache-2.0
/* Learned: the launch sequence of a step repeats, so what followed the last time this place was reached is loaded
 * again. Uses history only: a trail (runtime/policy/trail.h) tells to which place of the past the present corresponds,
 * and the pages that were referenced behind it then are the prediction, in the order in which they came. In the manner
 * of a Markov prefetcher with a long successor list (Joseph and Grunwald, ISCA 1997) whose states are sequences.
 *
 * It judges itself. Each prediction is a promise that is looked up when its time has passed: did the page come? While
 * what was absent and promised does come, all are loaded but pages that have only failed so far. Where a part of the
 * program is chosen anew each time (experts by a router) promises fail, and then a page is loaded only if its own have
 * been kept many times in a row, as those of the weights that every token uses. So inputs that mix both keep what can
 * be known. Confidence by counters that go up by one and fall by half: Jacobsen, Rotenberg and Smith, MICRO 1996, and
 * feedback from accuracy: Srinath, Mutlu, Kim and Patt, HPCA 2007.
 *
 * A page that is loaded ahead waits in a frame that could keep another one. By Little's law what that costs is the time
 * that pages wait, as a share of the time that they are away: so a page comes early by at most a 128th of the
 * references that it is away, or while no more wait than a 64th of those that were loaded meanwhile.
 *
 * Nothing is proposed while no trail holds. Runs known only at launch (experts) stay out of the history where the
 * look-ahead leaves them out. */
#include "runtime/policy/trail.h"
#include "runtime/prefetch/proposal.h"

enum {
  SHARE = 64,        /* of the pages that were loaded while a page was away, one part may wait, */
  EARLY_SHARE = 128, /* or the page comes early by one part of the references that it is away, */
  AWAY_LEAST = 16,   /* and by one reference if it is away for this many */
  RECORD_SHARE = 4,  /* older promises count half after pages/4 new ones, */
  RECORD_LEAST = 64, /* but after this many at least, */
  RECORD_MOST = 256, /* and at most */
  FAILURES = 16,     /* of the promises one part may fail */
  MOST_TRUST = 15,   /* kept promises of a page that are counted */
  TRUSTED = 8,       /* so many of them are enough where promises fail */
  FAILED = 0x80,     /* beside the count: a promise of the page has failed */
  PLACES = 8,        /* a promise whose place is taken gets one of so many behind it */
};

#define ABSENT 0x80000000u /* beside the page: it was not in VRAM when it was promised */

struct promise {
  uint32_t page;
  uint32_t since; /* position at which it was made, 0 = none */
};

struct note {
  uint32_t ref;   /* index of the reference in the program */
  uint32_t loads; /* pages that had been loaded before it */
};

struct learned {
  const struct emuv_prefetch_env *env;
  struct emuv_trail trail;
  struct note *note;        /* by position modulo the history's length */
  struct promise *promised; /* what is expected, by position modulo `horizon` */
  uint8_t *trust;           /* by page: kept promises */
  uint32_t next;            /* position of the history that is looked at next */
  uint32_t horizon;         /* a power of two, above the references that are looked ahead */
  uint32_t slack;           /* references by which a page may be late */
  uint32_t loads;           /* pages loaded so far */
  uint32_t failed, judged;  /* of promises of absent pages, recent ones: */
  uint32_t record;          /* as many */
};

static uint32_t history_length(const struct emuv_prefetch_env *env)
{
  return emuv_trail_length(env->program->n_pages, env->program->n_refs);
}

/* Promises are for so many references ahead at most, and looked up when the page has become late. */
static uint32_t horizon(const struct emuv_prefetch_env *env)
{
  uint32_t length = history_length(env), n = 64;
  uint64_t wanted = (uint64_t)env->depth_pages + EMUV_TRAIL_REACH_MOST + PLACES;
  while (n < length && n < wanted) n *= 2;
  return n;
}

static size_t learned_state_bytes(const struct emuv_prefetch_env *env)
{
  uint32_t length = history_length(env), pages = env->program->n_pages;
  return emuv_policy_round(sizeof(struct learned)) + emuv_trail_bytes(pages, length) +
         emuv_policy_round(length * sizeof(struct note)) + emuv_policy_round(horizon(env) * sizeof(struct promise)) +
         emuv_policy_round(pages);
}

static uint32_t record_length(uint32_t pages)
{
  uint32_t n = pages / RECORD_SHARE;
  return n < RECORD_LEAST ? RECORD_LEAST : n < RECORD_MOST ? n : RECORD_MOST;
}

static void learned_init(void *state, const struct emuv_prefetch_env *env)
{
  struct learned *st = state;
  uint32_t length = history_length(env), pages = env->program->n_pages;
  char *at = (char *)st + emuv_policy_round(sizeof *st);
  st->env = env;
  emuv_trail_init(&st->trail, &at, pages, length, pages / 2);
  st->note = emuv_policy_carve(&at, length * sizeof *st->note);
  st->horizon = horizon(env);
  st->promised = emuv_policy_carve(&at, st->horizon * sizeof *st->promised);
  st->trust = emuv_policy_carve(&at, pages);
  st->slack = st->trail.reach / 2;
  st->record = record_length(pages);
  st->judged = st->record; /* the benefit of the doubt */
}

static struct note *note_of(const struct learned *st, uint32_t position)
{
  return &st->note[position & (st->trail.length - 1)];
}

static struct promise *promise_for(const struct learned *st, uint32_t position)
{
  return &st->promised[position & (st->horizon - 1)];
}

/* --- promises --- */

static bool is_reliable(const struct learned *st)
{
  return st->failed * FAILURES <= st->judged;
}

static bool is_trusted(const struct learned *st, uint32_t page)
{
  uint8_t trust = st->trust[page];
  return (trust & MOST_TRUST) >= TRUSTED || (is_reliable(st) && trust != FAILED);
}

/* The page is expected when the present has come to what corresponds to position `at`. */
static void promise(struct learned *st, uint32_t page, uint32_t at, bool absent)
{
  const struct emuv_trail *t = &st->trail;
  uint32_t ahead = at - t->main.at;
  if (ahead + st->slack + PLACES >= st->horizon) return;
  for (uint32_t i = 0; i < PLACES; i++) {
    struct promise *p = promise_for(st, t->now + ahead + i);
    if (p->since) continue;
    *p = (struct promise){.page = page | (absent ? ABSENT : 0), .since = t->now};
    return;
  }
}

static void record(struct learned *st, bool kept)
{
  st->judged++;
  st->failed += !kept;
  if (st->judged < 2 * st->record) return;
  st->judged /= 2;
  st->failed /= 2;
}

/* The time of a promise has passed. */
static void judge(struct learned *st)
{
  struct promise *p = promise_for(st, st->trail.now - st->slack);
  if (!p->since) return;
  uint32_t page = p->page & ~ABSENT, trust = st->trust[page] & MOST_TRUST, failed = st->trust[page] & FAILED;
  bool kept = st->trail.touched[page] >= p->since;
  if (p->page & ABSENT) record(st, kept);
  st->trust[page] = (uint8_t)(kept ? (trust + (trust < MOST_TRUST)) | failed : trust / 2 | FAILED);
  p->since = 0;
}

/* --- history --- */

static void observe(struct learned *st, uint32_t page, uint32_t ref)
{
  struct emuv_trail *t = &st->trail;
  if (emuv_trail_in_burst(t, page)) {
    emuv_trail_prolong(t, page);
    return;
  }
  uint32_t before = t->main.at, newest = emuv_trail_begin(t, page);
  emuv_trail_follow(t, page, newest);
  emuv_trail_end(t, page, newest);
  *note_of(st, t->now) = (struct note){.ref = ref, .loads = st->loads};
  bool jumped = t->main.at < before || t->main.at > before + t->reach;
  if (jumped || st->next <= t->main.at) st->next = t->main.at + 1;
  judge(st);
}

static void observe_slice(struct learned *st, const struct emuv_slice *slice)
{
  uint32_t ref = slice->first_ref;
  for (uint32_t r = 0; r < slice->n_runs; ref += st->env->program->runs[slice->first_run + r++].n) {
    const struct emuv_page_run *run = &st->env->program->runs[slice->first_run + r];
    if (st->env->skip_dynamic && (run->flags & EMUV_RUN_DYNAMIC)) continue;
    for (uint32_t page = run->first; page < run->first + run->n; page++) observe(st, page, ref + (page - run->first));
  }
}

/* --- proposals --- */

/* It is not too early for the page that followed at position `at`, when `waiting` others wait already. */
static bool is_time(const struct learned *st, uint32_t page, uint32_t at, uint32_t waiting)
{
  const struct emuv_trail *t = &st->trail;
  uint32_t early = at - t->main.at, away = t->now - t->last[page] + early;
  if ((uint64_t)early * EARLY_SHARE <= away || (early == 1 && away >= AWAY_LEAST)) return true;
  return (uint64_t)(waiting + 1) * SHARE <= st->loads - note_of(st, t->last[page])->loads;
}

/* Pages from position `at` on, within the look-ahead, that followed each other by number too and are all trusted, or
 * all not. */
static uint32_t run_length(struct learned *st, uint32_t at, uint32_t waiting)
{
  const struct emuv_trail *t = &st->trail;
  uint32_t first = emuv_trail_past(t, at)->page, from = note_of(st, t->main.at)->ref, n = 0;
  bool trusted = is_trusted(st, first);
  for (; at + n <= t->now; n++) {
    uint32_t page = first + n;
    if (emuv_trail_past(t, at + n)->page != page || note_of(st, at + n)->ref - from > st->env->depth_pages) break;
    if (is_trusted(st, page) != trusted) break;
    bool absent = proposal_wants(st->env, page);
    if (absent && !is_time(st, page, at + n, waiting + n)) break;
    promise(st, page, at + n, absent);
  }
  return n;
}

static uint32_t learned_propose(void *state, uint32_t slice, uint32_t missed, uint32_t budget,
                                struct emuv_page_run *out, uint32_t max_runs)
{
  struct learned *st = state;
  struct proposal p = {.env = st->env, .out = out, .max_runs = max_runs, .budget = budget};
  uint32_t waiting = st->env->n_ahead ? *st->env->n_ahead : 0;
  observe_slice(st, &st->env->program->slices[slice]);
  while (emuv_trail_is_locked(&st->trail) && st->next <= st->trail.now && !proposal_full(&p)) {
    uint32_t n = run_length(st, st->next, waiting + (budget - p.budget));
    if (!n) break;
    uint32_t page = emuv_trail_past(&st->trail, st->next)->page;
    uint32_t looked = is_trusted(st, page) ? proposal_add(&p, page, n) : n;
    st->next += looked;
    if (looked < n) break;
  }
  st->loads += missed + (budget - p.budget);
  return p.n;
}

const struct emuv_prefetch_ops emuv_prefetch_learned = {
    .name = "learned",
    .summary = "what followed the last time this place was reached, where that can be relied on",
    .state_bytes = learned_state_bytes,
    .init = learned_init,
    .propose = learned_propose,
};
