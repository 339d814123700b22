// SPDX-License-Identifier: Apache-2.0
/* Learned: the launch sequence of a step repeats, so what followed the last time this place was reached is loaded
 * again. Uses history only: a trail (runtime/policy/trail.h) tells to which place of the past the present corresponds,
 * and the pages that were referenced behind it then are the prediction, in the order in which they came. In the manner
 * of a Markov prefetcher with a long successor list (Joseph and Grunwald, ISCA 1997) whose states are sequences.
 *
 * Nothing is proposed while no trail holds. Runs known only at launch (experts) stay out of the history where the
 * look-ahead leaves them out. */
#include "runtime/policy/trail.h"
#include "runtime/prefetch/proposal.h"

struct learned {
  const struct emuv_prefetch_env *env;
  struct emuv_trail trail;
  uint32_t *ref; /* by position modulo the history's length: index of the reference in the program */
  uint32_t next; /* position of the history that is looked at next */
};

static uint32_t history_length(const struct emuv_prefetch_env *env)
{
  return emuv_trail_length(env->program->n_pages, env->program->n_refs);
}

static size_t learned_state_bytes(const struct emuv_prefetch_env *env)
{
  return emuv_policy_round(sizeof(struct learned)) + emuv_trail_bytes(env->program->n_pages, history_length(env)) +
         emuv_policy_round(history_length(env) * sizeof(uint32_t));
}

static void learned_init(void *state, const struct emuv_prefetch_env *env)
{
  struct learned *st = state;
  char *at = (char *)st + emuv_policy_round(sizeof *st);
  st->env = env;
  emuv_trail_init(&st->trail, &at, env->program->n_pages, history_length(env), env->program->n_pages / 2);
  st->ref = emuv_policy_carve(&at, history_length(env) * sizeof *st->ref);
}

static uint32_t *ref_at(const struct learned *st, uint32_t position)
{
  return &st->ref[position & (st->trail.length - 1)];
}

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
  *ref_at(st, t->now) = ref;
  bool jumped = t->main.at < before || t->main.at > before + EMUV_TRAIL_REACH;
  if (jumped || st->next <= t->main.at) st->next = t->main.at + 1;
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

/* Pages from position `at` on, within the look-ahead, that followed each other by number too. */
static uint32_t run_length(const struct learned *st, uint32_t at)
{
  const struct emuv_trail *t = &st->trail;
  uint32_t first = emuv_trail_past(t, at)->page, from = *ref_at(st, t->main.at), n = 0;
  while (at + n <= t->now && emuv_trail_past(t, at + n)->page == first + n &&
         *ref_at(st, at + n) - from <= st->env->depth_pages)
    n++;
  return n;
}

static uint32_t learned_propose(void *state, uint32_t slice, uint32_t missed, uint32_t budget,
                                struct emuv_page_run *out, uint32_t max_runs)
{
  struct learned *st = state;
  struct proposal p = {.env = st->env, .out = out, .max_runs = max_runs, .budget = budget};
  (void)missed;
  observe_slice(st, &st->env->program->slices[slice]);
  while (emuv_trail_is_locked(&st->trail) && st->next <= st->trail.now && !proposal_full(&p)) {
    uint32_t n = run_length(st, st->next), looked;
    if (!n) break;
    looked = proposal_add(&p, emuv_trail_past(&st->trail, st->next)->page, n);
    st->next += looked;
    if (looked < n) break;
  }
  return p.n;
}

const struct emuv_prefetch_ops emuv_prefetch_learned = {
    .name = "learned",
    .summary = "what followed the last time this place was reached",
    .state_bytes = learned_state_bytes,
    .init = learned_init,
    .propose = learned_propose,
};
