// SPDX-License-Identifier: Apache-2.0
/* RECUR: GPU programs repeat themselves, step by step, so their past tells when a page will be needed again. Evicts the
 * page whose predicted next use is the farthest away, as Belady's MIN does with the true one. Online: no future.
 *
 * Prediction. A trail (trail.h) tells to which place of the past the present corresponds. What the page did there, it
 * will do again: how long its burst lasted, and after how long it came back. Pages off the trail come back after the
 * shortest of their last intervals. A page that is not referenced when it was expected: what the trail says from there
 * on; else, after a while of grace, twice the time that it has been idle. A page seen once has no prediction: while a
 * trail holds it is expected after the trail's lag, the length of a step.
 *
 * Eviction by the distance |predicted use - now|, so that what is long overdue leaves as well. Among pages seen once
 * that nothing is known about, those that leave are spread evenly over all, and a page that had to be loaded for its
 * last use leaves a little before one that was there: so what is missing in each step comes in small parts all along
 * it. That moves the same bytes as one large part would, and they hide behind computation. A page that is inserted
 * while it is pinned is loaded ahead of its use: it is referenced at its first touch, not before. A page that is kept
 * for good has no place among those that may leave; it is set aside as soon as a search meets it.
 *
 * Ideas, not definitions, are from: Hawkeye (Jain, Lin, ISCA 2016: learn from what MIN would have done), Mockingjay
 * (Shah, Jain, Lin, HPCA 2022: time remaining, overdue included), LRB (Song et al., NSDI 2020), UBM (Kim et al., OSDI
 * 2000) and DLIRS (Li, SYSTOR 2018: loops).
 *
 * State: 25 bytes per page, 28 per place of the history, which has 8 places per page or more. An operation takes
 * constant time but for the levels of the ordered sets, and pinned pages, which are skipped (one fill passes them
 * once). Invariant: a resident page is in one of: the slots of predictions, newcomers (no prediction), late (overdue
 * for as long as the history is), ahead, aside (kept for good). */
#include "runtime/policy/list.h"
#include "runtime/policy/ordered_set.h"
#include "runtime/policy/trail.h"

enum {
  BONUS = 8,        /* of its interval: one part more that a page seems away that had to be loaded */
  INTERVALS = 4,    /* last intervals of a page of which the shortest counts */
  SLACK = 8,        /* references that a page may be late */
  GRACE = 8,        /* of the time it was idle: one part more before it is given up */
  GROUPS_BITS = 10, /* newcomers are kept or given up in 1024 groups */
  PASS = 8,         /* pages that a search among newcomers passes */
};

/* at[page]: a slot of predictions, or one of these. */
#define ABSENT UINT32_MAX
#define NEWCOMER (UINT32_MAX - 1)
#define LATE (UINT32_MAX - 2)
#define AHEAD (UINT32_MAX - 3)
#define ASIDE (UINT32_MAX - 4)

struct state {
  const struct emuv_policy_env *env;
  struct emuv_trail trail;
  struct emuv_set used;        /* slots that are not empty; a position's slot is it modulo 2 * trail.length */
  uint32_t *slot;              /* first page of each slot that is not empty */
  struct emuv_list_link *link; /* by page: neighbours in slot or list; then the ends of the three lists */
  uint32_t *at;                /* by page: where it is */
  uint32_t *due;               /* by page: position of its predicted next reference, 0 = none */
  uint8_t *failed;             /* by page: the prediction has failed once */
  struct emuv_set spread;      /* newcomers by turn_of() */
  unsigned bits, group_bits;   /* of page numbers; of pages with turns beside each other */
  struct emuv_list newcomers, late, ahead;
  uint32_t length;  /* of the history */
  uint32_t n;       /* resident pages */
  uint32_t highest; /* the last slot that got a page that may leave since the last search, EMUV_NO_PAGE = none did */
};

static unsigned page_bits(const struct emuv_policy_env *env)
{
  unsigned bits = 1;
  while (bits < 32 && (uint64_t)1 << bits < env->n_pages) bits++;
  return bits;
}

static size_t state_bytes(const struct emuv_policy_env *env)
{
  size_t pages = env->n_pages, length = emuv_trail_length(env->n_pages, env->n_refs), word = sizeof(uint32_t);
  return emuv_policy_round(sizeof(struct state)) + emuv_trail_bytes(env->n_pages, (uint32_t)length) +
         emuv_set_bytes(2 * length) + emuv_policy_round(2 * length * word) +
         emuv_policy_round((pages + 3) * sizeof(struct emuv_list_link)) + 2 * emuv_policy_round(pages * word) +
         emuv_policy_round(pages) + emuv_set_bytes((uint64_t)1 << page_bits(env));
}

static void init_list(struct state *s, struct emuv_list *list, uint32_t end)
{
  *list = (struct emuv_list){.link = s->link, .end = end};
  s->link[end] = (struct emuv_list_link){.newer = end, .older = end};
}

static void init(struct state *s, const struct emuv_policy_env *env)
{
  size_t pages = env->n_pages, length = emuv_trail_length(env->n_pages, env->n_refs);
  char *at = (char *)s + emuv_policy_round(sizeof *s);
  emuv_trail_init(&s->trail, &at, env->n_pages, (uint32_t)length, env->capacity);
  emuv_set_init(&s->used, emuv_policy_carve(&at, emuv_set_bytes(2 * length)), 2 * length);
  s->slot = emuv_policy_carve(&at, 2 * length * sizeof *s->slot);
  s->link = emuv_policy_carve(&at, (pages + 3) * sizeof *s->link);
  s->at = emuv_policy_carve(&at, pages * sizeof *s->at);
  s->due = emuv_policy_carve(&at, pages * sizeof *s->due);
  s->failed = emuv_policy_carve(&at, pages);
  s->bits = page_bits(env);
  s->group_bits = s->bits > GROUPS_BITS ? s->bits - GROUPS_BITS : 0;
  emuv_set_init(&s->spread, emuv_policy_carve(&at, emuv_set_bytes((uint64_t)1 << s->bits)), (uint64_t)1 << s->bits);
  memset(s->at, 0xff, pages * sizeof *s->at);
  init_list(s, &s->newcomers, env->n_pages);
  init_list(s, &s->late, env->n_pages + 1);
  init_list(s, &s->ahead, env->n_pages + 2);
  s->length = (uint32_t)length;
  s->highest = EMUV_NO_PAGE;
}

static inline bool is_resident(const struct state *s, uint32_t page)
{
  return s->at[page] != ABSENT;
}

/* --- places --- */

static inline uint32_t slot_of(const struct state *s, uint32_t position)
{
  return position & (2 * s->length - 1);
}

/* Slots in the order of their positions: 0 is the most overdue, length - 1 is now. */
static inline uint32_t rank_of(const struct state *s, uint32_t slot)
{
  return slot_of(s, slot - (s->trail.now - s->length + 1));
}

static inline void slot_add(struct state *s, uint32_t page, uint32_t position)
{
  uint32_t slot = slot_of(s, position), second = EMUV_NO_PAGE;
  if (emuv_set_has(&s->used, slot)) {
    second = s->slot[slot];
    s->link[second].older = page;
  } else {
    emuv_set_add(&s->used, slot);
  }
  s->link[page] = (struct emuv_list_link){.newer = second, .older = EMUV_NO_PAGE};
  s->slot[slot] = page;
  s->at[page] = slot;
  if (s->env->pinned && s->env->pinned[page]) return; /* it stays pinned as long as `highest` counts */
  if (s->highest == EMUV_NO_PAGE || rank_of(s, slot) > rank_of(s, s->highest)) s->highest = slot;
}

static inline void slot_remove(struct state *s, uint32_t page)
{
  uint32_t slot = s->at[page], before = s->link[page].older, behind = s->link[page].newer;
  if (before != EMUV_NO_PAGE) {
    s->link[before].newer = behind;
  } else if (behind != EMUV_NO_PAGE) {
    s->slot[slot] = behind;
  } else {
    emuv_set_remove(&s->used, slot);
  }
  if (behind != EMUV_NO_PAGE) s->link[behind].older = before;
}

static inline struct emuv_list *list_of(struct state *s, uint32_t place)
{
  return place == NEWCOMER ? &s->newcomers : place == LATE ? &s->late : &s->ahead;
}

/* The turn of a page, bits of its group in reverse: the pages below any turn are evenly spread over all (van der
 * Corput's sequence), in groups of neighbours. Its own inverse. */
static inline uint32_t turn_of(const struct state *s, uint32_t page)
{
  uint32_t group = page >> s->group_bits, turn = 0;
  for (unsigned i = s->group_bits; i < s->bits; i++, group >>= 1) turn = turn << 1 | (group & 1);
  return turn << s->group_bits | (page & ((1u << s->group_bits) - 1));
}

static inline bool is_predicted(uint32_t place)
{
  return place < ASIDE;
}

static inline void leave(struct state *s, uint32_t page)
{
  if (s->at[page] == NEWCOMER) emuv_set_remove(&s->spread, turn_of(s, page));
  if (is_predicted(s->at[page])) {
    slot_remove(s, page);
  } else if (s->at[page] != ASIDE) {
    emuv_list_remove(list_of(s, s->at[page]), page);
  }
}

static inline void enter(struct state *s, uint32_t page, uint32_t place)
{
  emuv_list_push(list_of(s, place), page);
  s->at[page] = place;
  if (place == NEWCOMER) emuv_set_add(&s->spread, turn_of(s, page));
}

static inline bool is_kept(const uint8_t *pinned, uint32_t page)
{
  return pinned && (pinned[page] & EMUV_KEPT);
}

static inline void set_aside(struct state *s, uint32_t page)
{
  leave(s, page);
  s->at[page] = ASIDE;
}

/* --- prediction --- */

/* The shortest of `interval` and the last intervals of the page that end at `at` or before it. */
static uint32_t shortest(const struct state *s, uint32_t interval, uint32_t at)
{
  for (unsigned i = 0; i < INTERVALS && emuv_trail_knows(&s->trail, at) && emuv_trail_past(&s->trail, at)->before;
       i++) {
    uint32_t before = emuv_trail_past(&s->trail, at)->before;
    if (at - before > s->trail.reach && at - before < interval) interval = at - before;
    at = before;
  }
  return interval;
}

/* References until the page is referenced again; 0 = not known. at: what corresponds to the reference now. */
static uint32_t predict(const struct state *s, uint32_t at, uint32_t newest)
{
  if (!at) return 0;
  uint32_t interval = emuv_trail_past(&s->trail, at)->after - at;
  if (at == s->trail.main.at) return interval;
  uint32_t gap = emuv_trail_foreseen(&s->trail, newest);
  if (gap) return gap;
  return interval > s->trail.reach ? shortest(s, interval, newest) : interval;
}

/* When to expect a page again that was not referenced when it was due. */
static uint32_t predict_again(struct state *s, uint32_t page)
{
  uint32_t idle = s->trail.now - s->trail.last[page], gap = emuv_trail_foreseen(&s->trail, s->trail.last[page]);
  if (!gap) gap = s->failed[page] ? 2 * idle : idle / GRACE + 1;
  s->failed[page] = 1;
  return gap;
}

/* Time has come to pages that were expected, or whose burst was expected to end, SLACK references ago. */
static inline void renew(struct state *s)
{
  uint32_t slot = slot_of(s, s->trail.now - SLACK);
  if (!emuv_set_has(&s->used, slot)) return;
  for (uint32_t page = s->slot[slot], behind; page != EMUV_NO_PAGE; page = behind) {
    behind = s->link[page].newer;
    uint32_t gap = s->trail.near;
    if (s->trail.now - s->trail.touched[page] > s->trail.near)
      gap = s->due[page] > s->trail.now ? s->due[page] - s->trail.now : predict_again(s, page);
    slot_remove(s, page);
    if (gap < s->length) {
      slot_add(s, page, s->trail.now + gap);
    } else {
      enter(s, page, LATE);
    }
  }
}

/* Predictions as old as the history could not be told from those to come. */
static inline void expire(struct state *s)
{
  uint32_t slot = slot_of(s, s->trail.now - s->length);
  if (!emuv_set_has(&s->used, slot)) return;
  for (uint32_t page = s->slot[slot], behind; page != EMUV_NO_PAGE; page = behind) {
    behind = s->link[page].newer;
    enter(s, page, LATE);
  }
  emuv_set_remove(&s->used, slot);
}

/* --- references --- */

/* References until the page is looked at again: at the end of its burst, or when it is expected. came: it had to be
 * loaded for this use, so that it is the one to leave among pages that are expected at about the same time. */
static inline uint32_t first_gap(const struct state *s, uint32_t gap, uint32_t burst, bool came)
{
  if (burst && burst < gap) return burst;
  if (!came || gap <= s->trail.reach) return gap;
  return gap + gap / BONUS < s->length - 1 ? gap + gap / BONUS : s->length - 1;
}

/* A reference to a page that is in no place, or aside. */
static void refer(struct state *s, uint32_t page, bool came)
{
  struct emuv_trail *t = &s->trail;
  uint32_t newest = emuv_trail_begin(t, page);
  expire(s);
  renew(s);
  uint32_t at = emuv_trail_follow(t, page, newest), gap = predict(s, at, newest);
  uint32_t burst = at ? emuv_trail_past(t, at)->burst : 0;
  emuv_trail_end(t, page, newest);
  s->failed[page] = 0;
  s->due[page] = gap ? t->now + gap : 0;
  if (is_kept(s->env->pinned, page)) {
    s->at[page] = ASIDE;
  } else if (gap) {
    slot_add(s, page, t->now + first_gap(s, gap, burst, came));
  } else {
    enter(s, page, NEWCOMER);
  }
}

static inline void touch1(struct state *s, uint32_t page, uint32_t next)
{
  (void)next;
  if (!emuv_trail_in_burst(&s->trail, page)) {
    bool came = s->at[page] == AHEAD;
    leave(s, page);
    refer(s, page, came);
    return;
  }
  emuv_trail_prolong(&s->trail, page);
  if (s->at[page] == ASIDE) return;
  if (s->at[page] == NEWCOMER) {
    emuv_list_renew(&s->newcomers, page);
  } else if (!is_predicted(s->at[page]) || rank_of(s, s->at[page]) < s->length - 1) { /* else it is still to come */
    leave(s, page);
    slot_add(s, page, s->trail.now + s->trail.near);
  }
}

static inline void insert1(struct state *s, uint32_t page, uint32_t next)
{
  (void)next;
  s->n++;
  if (s->env->pinned && (s->env->pinned[page] & EMUV_PIN)) {
    enter(s, page, AHEAD);
  } else if (emuv_trail_in_burst(&s->trail, page)) {
    emuv_trail_prolong(&s->trail, page);
    slot_add(s, page, s->trail.now + s->trail.near);
  } else {
    refer(s, page, true);
  }
}

static inline void remove1(struct state *s, uint32_t page)
{
  leave(s, page);
  s->at[page] = ABSENT;
  s->n--;
}

/* --- eviction --- */

struct candidate {
  uint32_t page;
  int64_t distance; /* references from now to its predicted use, or since then */
};

static inline void offer(struct candidate *best, uint32_t page, int64_t distance)
{
  if (distance > best->distance) *best = (struct candidate){page, distance};
}

static inline uint32_t unpinned_in(struct state *s, uint32_t slot, const uint8_t *pinned)
{
  uint32_t page = s->slot[slot];
  while (pinned && page != EMUV_NO_PAGE && pinned[page]) {
    uint32_t behind = s->link[page].newer;
    if (is_kept(pinned, page)) set_aside(s, page);
    page = behind;
  }
  return page;
}

/* The slot in use before this one in the order of positions, EMUV_NO_PAGE if there is none. */
static inline uint32_t slot_before(const struct state *s, uint32_t slot)
{
  uint32_t rank = rank_of(s, slot);
  if (rank == 0) return EMUV_NO_PAGE;
  uint64_t found = emuv_set_at_most(&s->used, slot_of(s, slot - 1));
  if (found == EMUV_SET_NONE) found = emuv_set_max(&s->used);
  return found != EMUV_SET_NONE && rank_of(s, (uint32_t)found) < rank ? (uint32_t)found : EMUV_NO_PAGE;
}

/* Where the search for the farthest begins: at the end, or where the last search of this fill ended (the cursor), if
 * nothing was put behind that. */
static inline uint32_t search_from(const struct state *s, const uint8_t *pinned, uint32_t cursor)
{
  if (!pinned || cursor == EMUV_NO_PAGE) return slot_of(s, s->trail.now + s->length);
  return s->highest != EMUV_NO_PAGE && rank_of(s, s->highest) > rank_of(s, cursor) ? s->highest : cursor;
}

/* The page whose predicted use is the farthest. */
static inline void offer_farthest(struct state *s, const uint8_t *pinned, uint32_t *cursor, struct candidate *best)
{
  uint32_t slot = search_from(s, pinned, *cursor), page = EMUV_NO_PAGE;
  if (!emuv_set_has(&s->used, slot)) slot = slot_before(s, slot);
  while (slot != EMUV_NO_PAGE && (page = unpinned_in(s, slot, pinned)) == EMUV_NO_PAGE) slot = slot_before(s, slot);
  if (slot == EMUV_NO_PAGE) return;
  *cursor = slot;
  s->highest = EMUV_NO_PAGE;
  int64_t distance = (int64_t)rank_of(s, slot) - (s->length - 1);
  offer(best, page, distance < 0 ? -distance : distance);
}

static inline void offer_overdue(struct state *s, const uint8_t *pinned, struct candidate *best)
{
  uint32_t slots = 2 * s->length;
  uint64_t slot = emuv_set_at_least(&s->used, slot_of(s, s->trail.now - s->length + 1), slots);
  if (slot == EMUV_SET_NONE) slot = emuv_set_at_least(&s->used, 0, slots);
  if (slot == EMUV_SET_NONE) return;
  uint32_t page = unpinned_in(s, (uint32_t)slot, pinned);
  if (page != EMUV_NO_PAGE) offer(best, page, (int64_t)(s->length - 1) - rank_of(s, (uint32_t)slot));
}

static inline bool may_leave(const struct state *s, uint32_t page, const uint8_t *pinned)
{
  return !(pinned && pinned[page]) && s->trail.now - s->trail.touched[page] > s->trail.near;
}

/* A newcomer whose turn it is to leave, else `other`. */
static inline uint32_t one_of_the_spread(struct state *s, const uint8_t *pinned, uint32_t other)
{
  uint64_t turn = emuv_set_max(&s->spread);
  for (unsigned i = 0; i < EMUV_TRAIL_NEAR_MOST + PASS && turn != EMUV_SET_NONE; i++) {
    uint32_t page = turn_of(s, (uint32_t)turn);
    if (may_leave(s, page, pinned)) return page;
    if (is_kept(pinned, page)) set_aside(s, page);
    turn = turn > 0 ? emuv_set_at_most(&s->spread, turn - 1) : EMUV_SET_NONE;
  }
  return other;
}

/* While a trail holds: the newest newcomer that is not in a burst; and the oldest. Before anything has repeated itself,
 * those that leave are spread evenly: what is missing in the next step then comes in small parts all along it, which
 * hide behind computation better than one large part. */
static inline void offer_newcomers(struct state *s, const uint8_t *pinned, struct candidate *best)
{
  const struct emuv_list *list = &s->newcomers;
  bool locked = emuv_trail_is_locked(&s->trail);
  uint32_t lag = locked ? s->trail.now - s->trail.main.at : 0, page = emuv_list_newest(list), next;
  for (unsigned i = 0; locked && i < PASS && page != list->end; i++, page = next) {
    next = list->link[page].older;
    if (is_kept(pinned, page)) set_aside(s, page);
    if (!may_leave(s, page, pinned)) continue;
    offer(best, page, (int64_t)s->trail.last[page] + lag - s->trail.now);
    break;
  }
  page = emuv_list_oldest(list);
  for (unsigned i = 0; i < PASS && page != list->end; i++, page = next) {
    next = list->link[page].newer;
    if (is_kept(pinned, page)) set_aside(s, page);
    if (pinned && pinned[page]) continue;
    int64_t idle = s->trail.now - s->trail.last[page];
    if (idle - lag > best->distance && idle > lag && idle <= s->env->n_pages) page = one_of_the_spread(s, pinned, page);
    offer(best, page, idle - lag);
    break;
  }
}

static inline uint32_t oldest_unpinned(struct state *s, const struct emuv_list *list, const uint8_t *pinned)
{
  uint32_t page = emuv_list_oldest(list);
  while (pinned && page != list->end && pinned[page]) {
    uint32_t newer = list->link[page].newer;
    if (is_kept(pinned, page)) set_aside(s, page);
    page = newer;
  }
  return page != list->end ? page : EMUV_NO_PAGE;
}

/* The page that was loaded ahead the longest ago, if it is not waited for any more: it was a mistake. */
static inline uint32_t given_up(const struct state *s, const uint8_t *pinned)
{
  uint32_t page = emuv_list_oldest(&s->ahead);
  return page != s->ahead.end && !(pinned && pinned[page]) ? page : EMUV_NO_PAGE;
}

static inline uint32_t victim(struct state *s, const uint8_t *pinned, uint32_t *cursor)
{
  struct candidate best = {.page = given_up(s, pinned), .distance = -1};
  if (best.page == EMUV_NO_PAGE) best.page = oldest_unpinned(s, &s->late, pinned);
  if (best.page == EMUV_NO_PAGE) {
    offer_farthest(s, pinned, cursor, &best);
    offer_overdue(s, pinned, &best);
    offer_newcomers(s, pinned, &best);
  }
  if (best.page == EMUV_NO_PAGE) best.page = oldest_unpinned(s, &s->newcomers, pinned);
  if (best.page == EMUV_NO_PAGE) best.page = oldest_unpinned(s, &s->ahead, pinned);
  if (best.page != EMUV_NO_PAGE) remove1(s, best.page);
  return best.page;
}

static inline uint32_t size(const struct state *s)
{
  return s->n;
}

static int check_slots(const struct state *s, uint32_t *n, struct emuv_err *err)
{
  for (uint32_t page = 0; page < s->env->n_pages; page++) {
    uint32_t slot = s->at[page], before = s->link[page].older;
    *n += slot == ASIDE;
    if (!is_predicted(slot)) continue;
    bool linked = before == EMUV_NO_PAGE ? s->slot[slot] == page : s->link[before].newer == page;
    if (slot >= 2 * s->length || !emuv_set_has(&s->used, slot) || !linked)
      return emuv_err_set(err, EMUV_ERR_INTERNAL, "recur: the prediction of page %u is not where it should be", page);
    ++*n;
  }
  return 0;
}

static int check(const struct state *s, struct emuv_err *err)
{
  uint32_t n = 0;
  int rc = emuv_list_check(&s->newcomers, "recur", err);
  if (!rc) rc = emuv_list_check(&s->late, "recur", err);
  if (!rc) rc = emuv_list_check(&s->ahead, "recur", err);
  if (!rc) rc = check_slots(s, &n, err);
  n += s->newcomers.n + s->late.n + s->ahead.n;
  if (!rc && n != s->n) rc = emuv_err_set(err, EMUV_ERR_INTERNAL, "recur: %u pages in all places, not %u", n, s->n);
  return rc;
}

#define POLICY recur
#define POLICY_SUMMARY "the farthest predicted next use, from how the program repeats itself"
#define POLICY_FLAGS EMUV_POLICY_GIVES_UP_NEWEST
#include "runtime/policy/instantiate.h"
