// SPDX-License-Identifier: Apache-2.0
/* RECUR: GPU programs repeat themselves, step by step, so their past tells when a page will be needed again. Evicts the
 * page whose predicted next use is the farthest away, as Belady's MIN does with the true one. Online: no future.
 *
 * Time counts references, bursts aside: a reference to a page that was referenced shortly before belongs to the same
 * burst (neighbouring launches that use the same pages) and neither advances time nor enters the history. The history
 * is a ring of the last references, chained by page, each with the length of the burst that it began.
 *
 * Prediction. A trail is a place in the history that the present follows: while each reference is to the page behind
 * it, it moves on. What the page did there, it will do again: how long its burst lasted, and after how long it came
 * back. When the present leaves the trail (experts, caches that grow), the trail goes on beside it and is set right by
 * the next page that is referenced only once around there; meanwhile a second trail is tried, from the last place with
 * the same few references before it (a hash table, as in LZ77 coders), and takes over when it has held for longer.
 * Pages off the trail come back after the shortest of their last intervals. A page that is not referenced when it was
 * expected: what the trail says from there on; else, after a while of grace, twice the time that it has been idle.
 * A page seen once has no prediction. While a trail holds it is expected after the trail's lag, the length of a step;
 * otherwise such pages leave in the order of lru.
 *
 * Eviction by the distance |predicted use - now|, so that what is long overdue leaves as well. A page that is inserted
 * while it is pinned is loaded ahead of its use: it is referenced at its first touch, not before.
 *
 * Ideas, not definitions, are from: Hawkeye (Jain, Lin, ISCA 2016: learn from what MIN would have done), Mockingjay
 * (Shah, Jain, Lin, HPCA 2022: time remaining, overdue included), LRB (Song et al., NSDI 2020), UBM (Kim et al., OSDI
 * 2000) and DLIRS (Li, SYSTOR 2018: loops).
 *
 * State: 25 bytes per page, 28 per place of the history, which has 8 places per page or more. An operation takes
 * constant time but for the levels of the ordered set, and pinned pages, which are skipped (one fill passes them once).
 * Invariant: a resident page is in one of: the slots of predictions, newcomers (no prediction), late (overdue for as
 * long as the history is), ahead. */
#include "runtime/policy/list.h"
#include "runtime/policy/ordered_set.h"

enum {
  HISTORY_PER_PAGE = 8,    /* a page is in several launches of a step */
  HISTORY_LEAST = 1 << 16, /* more so where pages are large and few */
  NEAR_SHARE = 12,
  NEAR_MOST = 64, /* a burst's references are at most frames/12 apart, and at most 64 */
  REACH = 64,     /* references by which a trail may be set right */
  LOOK_BACK = 64, /* former references of a page that are looked at for that */
  INTERVALS = 4,  /* last intervals of a page of which the shortest counts */
  LOCK = 4,
  LOCK_MOST = 128, /* references that a trail must have held to count; of more it knows no difference */
  SLACK = 8,       /* references that a page may be late */
  GRACE = 8,       /* of the time it was idle: one part more before it is given up */
  PASS = 8,        /* pages that a search among newcomers passes */
};

/* at[page]: a slot of predictions, or one of these. */
#define ABSENT UINT32_MAX
#define NEWCOMER (UINT32_MAX - 1)
#define LATE (UINT32_MAX - 2)
#define AHEAD (UINT32_MAX - 3)

/* A reference of the past. Positions count references from 1; 0 = none. */
struct reference {
  uint32_t page;
  uint32_t before, after; /* positions of the neighbouring references to the page */
  uint32_t burst;         /* references until the last touch of its burst */
};

struct trail {
  uint32_t at;   /* position that the last reference corresponds to */
  uint32_t held; /* references that it held for, less those that it missed; at most LOCK_MOST */
};

struct state {
  const struct emuv_policy_env *env;
  struct reference *past;      /* ring of `length` */
  uint32_t *found;             /* hash of the last few pages -> position */
  struct emuv_set used;        /* slots that are not empty; a position's slot is it modulo 2 * length */
  uint32_t *slot;              /* first page of each slot that is not empty */
  struct emuv_list_link *link; /* by page: neighbours in slot or list; then the ends of the three lists */
  uint32_t *at;                /* by page: where it is */
  uint32_t *last, *touched;    /* by page: position of its last reference, and of its last touch */
  uint32_t *due;               /* by page: position of its predicted next reference, 0 = none */
  uint8_t *failed;             /* by page: the prediction has failed once */
  struct emuv_list newcomers, late, ahead;
  struct trail main, other;
  uint64_t context; /* the last few pages */
  uint32_t length;  /* a power of two */
  uint32_t near;    /* references that a burst's touches are apart at most */
  uint32_t now;     /* position of the last reference */
  uint32_t n;       /* resident pages */
  uint32_t highest; /* the last slot that got a page since the last search, EMUV_NO_PAGE = none did */
};

static uint32_t history_length(const struct emuv_policy_env *env)
{
  uint64_t wanted = HISTORY_PER_PAGE * (uint64_t)env->n_pages, length = 64;
  if (wanted < HISTORY_LEAST) wanted = HISTORY_LEAST;
  if (env->n_refs && wanted > env->n_refs) wanted = env->n_refs;
  while (length < wanted && length < 1u << 30) length *= 2;
  return (uint32_t)length;
}

static size_t state_bytes(const struct emuv_policy_env *env)
{
  size_t pages = env->n_pages, length = history_length(env), word = sizeof(uint32_t);
  return emuv_policy_round(sizeof(struct state)) + emuv_policy_round(length * sizeof(struct reference)) +
         emuv_policy_round(length * word) + emuv_set_bytes(2 * length) + emuv_policy_round(2 * length * word) +
         emuv_policy_round((pages + 3) * sizeof(struct emuv_list_link)) + 4 * emuv_policy_round(pages * word) +
         emuv_policy_round(pages);
}

static void init_list(struct state *s, struct emuv_list *list, uint32_t end)
{
  *list = (struct emuv_list){.link = s->link, .end = end};
  s->link[end] = (struct emuv_list_link){.newer = end, .older = end};
}

static void init(struct state *s, const struct emuv_policy_env *env)
{
  size_t pages = env->n_pages, length = history_length(env);
  char *at = (char *)s + emuv_policy_round(sizeof *s);
  s->past = emuv_policy_carve(&at, length * sizeof *s->past);
  s->found = emuv_policy_carve(&at, length * sizeof *s->found);
  emuv_set_init(&s->used, emuv_policy_carve(&at, emuv_set_bytes(2 * length)), 2 * length);
  s->slot = emuv_policy_carve(&at, 2 * length * sizeof *s->slot);
  s->link = emuv_policy_carve(&at, (pages + 3) * sizeof *s->link);
  s->at = emuv_policy_carve(&at, pages * sizeof *s->at);
  s->last = emuv_policy_carve(&at, pages * sizeof *s->last);
  s->touched = emuv_policy_carve(&at, pages * sizeof *s->touched);
  s->due = emuv_policy_carve(&at, pages * sizeof *s->due);
  s->failed = emuv_policy_carve(&at, pages);
  memset(s->at, 0xff, pages * sizeof *s->at);
  init_list(s, &s->newcomers, env->n_pages);
  init_list(s, &s->late, env->n_pages + 1);
  init_list(s, &s->ahead, env->n_pages + 2);
  s->length = (uint32_t)length;
  s->near = env->capacity / NEAR_SHARE;
  if (s->near < 1) s->near = 1;
  if (s->near > NEAR_MOST) s->near = NEAR_MOST;
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
  return slot_of(s, slot - (s->now - s->length + 1));
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

static inline void leave(struct state *s, uint32_t page)
{
  if (s->at[page] < AHEAD) {
    slot_remove(s, page);
  } else {
    emuv_list_remove(list_of(s, s->at[page]), page);
  }
}

static inline void enter(struct state *s, uint32_t page, uint32_t place)
{
  emuv_list_push(list_of(s, place), page);
  s->at[page] = place;
}

/* --- history and trails --- */

static inline struct reference *past_at(const struct state *s, uint32_t position)
{
  return &s->past[position & (s->length - 1)];
}

/* Still in the history, while the reference `now` is being entered. */
static inline bool is_known(const struct state *s, uint32_t position)
{
  return position != 0 && s->now - position < s->length - 1;
}

static inline bool holds(const struct state *s, const struct trail *trail, uint32_t page)
{
  return is_known(s, trail->at) && trail->at + 1 < s->now && past_at(s, trail->at + 1)->page == page;
}

static inline void move_on(struct trail *trail)
{
  trail->at++;
  trail->held += trail->held < LOCK_MOST;
}

static inline bool is_locked(const struct state *s)
{
  return s->main.held >= LOCK && is_known(s, s->main.at);
}

/* The first reference to the page behind `position`; of those before it *before is the last. 0 = none, or too many. */
static uint32_t first_behind(const struct state *s, uint32_t position, uint32_t newest, uint32_t *before)
{
  uint32_t behind = 0, at = newest;
  for (unsigned i = 0; i < LOOK_BACK && is_known(s, at) && at > position; i++, at = past_at(s, at)->before) behind = at;
  bool all = !is_known(s, at) || at <= position;
  *before = all && is_known(s, at) ? at : 0;
  return all ? behind : 0;
}

/* The reference to the page that is nearest to the position, within reach; 0 if there is none. */
static uint32_t nearest(const struct state *s, uint32_t position, uint32_t newest)
{
  uint32_t before, behind = first_behind(s, position, newest, &before);
  if (behind && behind - position > REACH) behind = 0;
  if (before && position - before > REACH) before = 0;
  if (!behind || !before) return behind ? behind : before;
  return behind - position < position - before ? behind : before;
}

/* The page is referenced only once around there. */
static bool is_landmark(const struct state *s, uint32_t position)
{
  const struct reference *r = past_at(s, position);
  return (!r->before || position - r->before > REACH) && r->after - position > REACH;
}

static inline uint32_t *found_at(const struct state *s)
{
  return &s->found[(s->context * 0x9e3779b97f4a7c15u) >> 32 & (s->length - 1)];
}

/* The last reference with the same few references before it, else the last one to the page; 0 if there is none. */
static uint32_t look_up(const struct state *s, uint32_t page, uint32_t newest)
{
  uint32_t at = *found_at(s);
  return is_known(s, at) && past_at(s, at)->page == page ? at : newest;
}

/* The main trail does not hold: it goes on beside the present, as if one reference had been exchanged for another. The
 * position near it that corresponds to the reference, 0 if there is none. */
static uint32_t go_beside(struct state *s, uint32_t newest)
{
  s->main.held -= s->main.held > 0;
  if (!is_known(s, s->main.at) || s->main.at + 1 >= s->now) return 0;
  s->main.at++;
  uint32_t near = is_locked(s) ? nearest(s, s->main.at, newest) : 0;
  if (near && is_landmark(s, near)) s->main.at = near;
  return near;
}

/* The position of the past that corresponds to the reference `now` to the page; 0 if there is none. */
static uint32_t correspond(struct state *s, uint32_t page, uint32_t newest)
{
  bool other = holds(s, &s->other, page);
  if (other) {
    move_on(&s->other);
  } else {
    s->other.at = 0;
  }
  if (holds(s, &s->main, page)) {
    move_on(&s->main);
    return s->main.at;
  }
  if (!other) s->other = (struct trail){.at = look_up(s, page, newest)};
  uint32_t near = go_beside(s, newest);
  if (s->other.held >= LOCK && s->other.held > s->main.held) {
    s->main = s->other;
    s->other = (struct trail){0};
    return s->main.at;
  }
  return near && s->main.held >= s->other.held ? near : s->other.at;
}

/* --- prediction --- */

/* References from now to the next one to the page, if the present goes on as the past did behind the trail; 0 = not
 * known. */
static uint32_t foreseen(const struct state *s, uint32_t newest)
{
  uint32_t before, behind = is_locked(s) ? first_behind(s, s->main.at, newest, &before) : 0;
  return behind ? behind - s->main.at : 0;
}

/* The shortest of `interval` and the last intervals of the page that end at `at` or before it. */
static uint32_t shortest(const struct state *s, uint32_t interval, uint32_t at)
{
  for (unsigned i = 0; i < INTERVALS && is_known(s, at) && past_at(s, at)->before; i++) {
    uint32_t before = past_at(s, at)->before;
    if (at - before > REACH && at - before < interval) interval = at - before;
    at = before;
  }
  return interval;
}

/* References until the page is referenced again; 0 = not known. at: what corresponds to the reference now. */
static uint32_t predict(const struct state *s, uint32_t at, uint32_t newest)
{
  if (!at) return 0;
  uint32_t interval = past_at(s, at)->after - at;
  if (at == s->main.at) return interval;
  uint32_t gap = foreseen(s, newest);
  if (gap) return gap;
  return interval > REACH ? shortest(s, interval, newest) : interval;
}

/* When to expect a page again that was not referenced when it was due. */
static uint32_t predict_again(struct state *s, uint32_t page)
{
  uint32_t idle = s->now - s->last[page], gap = foreseen(s, s->last[page]);
  if (!gap) gap = s->failed[page] ? 2 * idle : idle / GRACE + 1;
  s->failed[page] = 1;
  return gap;
}

/* Time has come to pages that were expected, or whose burst was expected to end, SLACK references ago. */
static inline void renew(struct state *s)
{
  uint32_t slot = slot_of(s, s->now - SLACK);
  if (!emuv_set_has(&s->used, slot)) return;
  for (uint32_t page = s->slot[slot], behind; page != EMUV_NO_PAGE; page = behind) {
    behind = s->link[page].newer;
    uint32_t gap = s->near;
    if (s->now - s->touched[page] > s->near)
      gap = s->due[page] > s->now ? s->due[page] - s->now : predict_again(s, page);
    slot_remove(s, page);
    if (gap < s->length) {
      slot_add(s, page, s->now + gap);
    } else {
      enter(s, page, LATE);
    }
  }
}

/* Predictions as old as the history could not be told from those to come. */
static inline void expire(struct state *s)
{
  uint32_t slot = slot_of(s, s->now - s->length);
  if (!emuv_set_has(&s->used, slot)) return;
  for (uint32_t page = s->slot[slot], behind; page != EMUV_NO_PAGE; page = behind) {
    behind = s->link[page].newer;
    enter(s, page, LATE);
  }
  emuv_set_remove(&s->used, slot);
}

/* --- references --- */

static inline void remember(struct state *s, uint32_t page, uint32_t newest)
{
  *past_at(s, s->now) = (struct reference){.page = page, .before = newest};
  *found_at(s) = s->now;
  s->last[page] = s->touched[page] = s->now;
  s->failed[page] = 0;
}

/* A reference to a page that is in no place. */
static void refer(struct state *s, uint32_t page)
{
  s->now++;
  expire(s);
  uint32_t newest = is_known(s, s->last[page]) ? s->last[page] : 0;
  if (newest) past_at(s, newest)->after = s->now;
  renew(s);
  s->context = s->context << 8 ^ (page * 0x9e3779b9u) >> 8;
  uint32_t at = correspond(s, page, newest), gap = predict(s, at, newest);
  uint32_t burst = at ? past_at(s, at)->burst : 0;
  remember(s, page, newest);
  s->due[page] = gap ? s->now + gap : 0;
  if (gap) {
    slot_add(s, page, s->now + (burst && burst < gap ? burst : gap));
  } else {
    enter(s, page, NEWCOMER);
  }
}

static inline bool in_burst(const struct state *s, uint32_t page)
{
  return s->touched[page] && s->now - s->touched[page] <= s->near && is_known(s, s->last[page]);
}

static inline void prolong_burst(struct state *s, uint32_t page)
{
  s->touched[page] = s->now;
  past_at(s, s->last[page])->burst = s->now - s->last[page];
}

static inline void touch1(struct state *s, uint32_t page, uint32_t next)
{
  (void)next;
  if (!in_burst(s, page)) {
    leave(s, page);
    refer(s, page);
    return;
  }
  prolong_burst(s, page);
  if (s->at[page] == NEWCOMER) {
    emuv_list_renew(&s->newcomers, page);
  } else if (s->at[page] >= AHEAD || rank_of(s, s->at[page]) < s->length - 1) { /* else it is still to come */
    leave(s, page);
    slot_add(s, page, s->now + s->near);
  }
}

static inline void insert1(struct state *s, uint32_t page, uint32_t next)
{
  (void)next;
  s->n++;
  if (s->env->pinned && s->env->pinned[page]) {
    enter(s, page, AHEAD);
  } else if (in_burst(s, page)) {
    prolong_burst(s, page);
    slot_add(s, page, s->now + s->near);
  } else {
    refer(s, page);
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

static inline uint32_t unpinned_in(const struct state *s, uint32_t slot, const uint8_t *pinned)
{
  uint32_t page = s->slot[slot];
  while (pinned && page != EMUV_NO_PAGE && pinned[page]) page = s->link[page].newer;
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
  if (!pinned || cursor == EMUV_NO_PAGE) return slot_of(s, s->now + s->length);
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

static inline void offer_overdue(const struct state *s, const uint8_t *pinned, struct candidate *best)
{
  uint32_t slots = 2 * s->length;
  uint64_t slot = emuv_set_at_least(&s->used, slot_of(s, s->now - s->length + 1), slots);
  if (slot == EMUV_SET_NONE) slot = emuv_set_at_least(&s->used, 0, slots);
  if (slot == EMUV_SET_NONE) return;
  uint32_t page = unpinned_in(s, (uint32_t)slot, pinned);
  if (page != EMUV_NO_PAGE) offer(best, page, (int64_t)(s->length - 1) - rank_of(s, (uint32_t)slot));
}

/* The newest newcomer that is not in a burst, and the oldest. */
static inline void offer_newcomers(const struct state *s, const uint8_t *pinned, struct candidate *best)
{
  const struct emuv_list *list = &s->newcomers;
  uint32_t lag = is_locked(s) ? s->now - s->main.at : 0, page = emuv_list_newest(list);
  for (unsigned i = 0; lag && i < PASS && page != list->end; i++, page = list->link[page].older) {
    if ((pinned && pinned[page]) || s->now - s->touched[page] <= s->near) continue;
    offer(best, page, (int64_t)s->last[page] + lag - s->now);
    break;
  }
  page = emuv_list_oldest(list);
  for (unsigned i = 0; i < PASS && page != list->end; i++, page = list->link[page].newer) {
    if (pinned && pinned[page]) continue;
    offer(best, page, (int64_t)s->now - s->last[page] - lag);
    break;
  }
}

static inline uint32_t oldest_unpinned(const struct emuv_list *list, const uint8_t *pinned)
{
  uint32_t page = emuv_list_oldest(list);
  while (pinned && page != list->end && pinned[page]) page = list->link[page].newer;
  return page != list->end ? page : EMUV_NO_PAGE;
}

static inline uint32_t victim(struct state *s, const uint8_t *pinned, uint32_t *cursor)
{
  struct candidate best = {.page = oldest_unpinned(&s->late, pinned), .distance = -1};
  if (best.page == EMUV_NO_PAGE) {
    offer_farthest(s, pinned, cursor, &best);
    offer_overdue(s, pinned, &best);
    offer_newcomers(s, pinned, &best);
  }
  if (best.page == EMUV_NO_PAGE) best.page = oldest_unpinned(&s->newcomers, pinned);
  if (best.page == EMUV_NO_PAGE) best.page = oldest_unpinned(&s->ahead, pinned);
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
    if (slot >= AHEAD) continue;
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
#define POLICY_FLAGS 0
#include "runtime/policy/instantiate.h"
