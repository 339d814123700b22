// SPDX-License-Identifier: Apache-2.0
/* Where the present is in the past: programs repeat themselves step by step, and a trail follows how they did.
 *
 * Time counts references, bursts aside: a reference to a page that was touched shortly before belongs to the same burst
 * (neighbouring launches that use the same pages) and neither advances time nor enters the history. The history is a
 * ring of the last references, chained by page, each with the length of the burst that it began.
 *
 * The main trail is a place in the history: while each reference is to the page behind it, it moves on. When the
 * present leaves it (experts, caches that grow), it goes on beside the present and is set right by the next page that
 * is referenced only once around there; meanwhile another trail is tried, from the last place with the same few
 * references before it (a hash table, as in LZ77 coders), and takes over when it has held for longer.
 *
 * Used by policy `recur` and prefetcher `learned`. 28 bytes per place of the history and 8 per page; the memory belongs
 * to the user of the trail. A reference takes constant time. One thread. */
#ifndef EMUV_POLICY_TRAIL_H
#define EMUV_POLICY_TRAIL_H

#include "runtime/policy/state.h"

enum {
  EMUV_TRAIL_NEAR_SHARE = 12, /* touches of a burst are at most frames/12 references apart, */
  EMUV_TRAIL_NEAR_MOST = 64,  /* and at most this many; */
  EMUV_TRAIL_NEAR_FEW = 16,   /* where frames are few, up to this many and frames/8, */
  EMUV_TRAIL_FEW_SHARE = 8,   /* since a launch in the middle of a burst has as many pages beside it as elsewhere, */
  EMUV_TRAIL_FEW_EXCESS = 4,  /* but at most a quarter of the pages that find no frame */
  EMUV_TRAIL_REACH_SHARE = 8, /* a trail may be set right by at most pages/8 references, */
  EMUV_TRAIL_REACH_LEAST = 8, /* and by this many, at least */
  EMUV_TRAIL_REACH_MOST = 64, /* and at most */
  EMUV_TRAIL_LOOK_BACK = 64,  /* former references of a page that are looked at for that */
  EMUV_TRAIL_LOCK = 4,        /* references that a trail must have held to count; */
  EMUV_TRAIL_LOCK_MOST = 128, /* of more than this it knows no difference */
};

/* A reference of the past. Positions count references from 1; 0 = none. */
struct emuv_trail_reference {
  uint32_t page;
  uint32_t before, after; /* positions of the neighbouring references to the page */
  uint32_t burst;         /* references until the last touch of its burst */
};

struct emuv_trail_place {
  uint32_t at;   /* position that the last reference corresponds to */
  uint32_t held; /* references that it held for, less those that it missed; at most LOCK_MOST */
};

struct emuv_trail {
  struct emuv_trail_reference *past; /* ring of `length` */
  uint32_t *found;                   /* hash of the last few pages -> position */
  uint32_t *last, *touched;          /* by page: position of its last reference, and of its last touch */
  struct emuv_trail_place main, other;
  uint64_t context; /* the last few pages */
  uint32_t length;  /* a power of two */
  uint32_t reach;   /* references by which it may be set right */
  uint32_t near;    /* references that touches of a burst are apart at most */
  uint32_t now;     /* position of the last reference */
};

/* Places of a history for n_pages, of a program of n_refs references (0 = not known). */
static inline uint32_t emuv_trail_length(uint32_t n_pages, uint32_t n_refs)
{
  enum { PER_PAGE = 8 };                                    /* a page is in several launches of a step; */
  const uint64_t least = 1 << 16, most = UINT64_C(1) << 30; /* in more of them where pages are large and few */
  uint64_t wanted = PER_PAGE * (uint64_t)n_pages, length = 64;
  if (wanted < least) wanted = least;
  if (n_refs && wanted > n_refs) wanted = n_refs;
  while (length < wanted && length < most) length *= 2;
  return (uint32_t)length;
}

static inline size_t emuv_trail_bytes(uint32_t n_pages, uint32_t length)
{
  return emuv_policy_round((size_t)length * sizeof(struct emuv_trail_reference)) +
         emuv_policy_round((size_t)length * sizeof(uint32_t)) + 2 * emuv_policy_round(n_pages * sizeof(uint32_t));
}

static inline uint32_t emuv_trail_near(uint32_t n_pages, uint32_t frames)
{
  uint32_t near = frames / EMUV_TRAIL_NEAR_SHARE, few = frames / EMUV_TRAIL_FEW_SHARE;
  uint32_t excess = n_pages > frames ? (n_pages - frames) / EMUV_TRAIL_FEW_EXCESS : 0;
  if (few > excess) few = excess;
  if (few > EMUV_TRAIL_NEAR_FEW) few = EMUV_TRAIL_NEAR_FEW;
  if (near < few) near = few;
  if (near > EMUV_TRAIL_NEAR_MOST) near = EMUV_TRAIL_NEAR_MOST;
  return near > 0 ? near : 1;
}

static inline uint32_t emuv_trail_reach(uint32_t n_pages)
{
  uint32_t reach = n_pages / EMUV_TRAIL_REACH_SHARE;
  if (reach < EMUV_TRAIL_REACH_LEAST) return EMUV_TRAIL_REACH_LEAST;
  return reach < EMUV_TRAIL_REACH_MOST ? reach : EMUV_TRAIL_REACH_MOST;
}

/* Takes emuv_trail_bytes() of zeroed memory from *at. */
static inline void emuv_trail_init(struct emuv_trail *t, char **at, uint32_t n_pages, uint32_t length, uint32_t frames)
{
  *t = (struct emuv_trail){
      .length = length, .near = emuv_trail_near(n_pages, frames), .reach = emuv_trail_reach(n_pages)};
  t->past = emuv_policy_carve(at, (size_t)length * sizeof *t->past);
  t->found = emuv_policy_carve(at, (size_t)length * sizeof *t->found);
  t->last = emuv_policy_carve(at, n_pages * sizeof *t->last);
  t->touched = emuv_policy_carve(at, n_pages * sizeof *t->touched);
}

static inline struct emuv_trail_reference *emuv_trail_past(const struct emuv_trail *t, uint32_t position)
{
  return &t->past[position & (t->length - 1)];
}

/* Still in the history, while the reference `now` is being entered. */
static inline bool emuv_trail_knows(const struct emuv_trail *t, uint32_t position)
{
  return position != 0 && t->now - position < t->length - 1;
}

static inline bool emuv_trail_holds(const struct emuv_trail *t, const struct emuv_trail_place *place, uint32_t page)
{
  return emuv_trail_knows(t, place->at) && place->at + 1 < t->now && emuv_trail_past(t, place->at + 1)->page == page;
}

static inline void emuv_trail_move_on(struct emuv_trail_place *place)
{
  place->at++;
  place->held += place->held < EMUV_TRAIL_LOCK_MOST;
}

static inline bool emuv_trail_is_locked(const struct emuv_trail *t)
{
  return t->main.held >= EMUV_TRAIL_LOCK && emuv_trail_knows(t, t->main.at);
}

/* The first reference to the page behind `position`; of those before it *before is the last. 0 = none, or too many. */
static inline uint32_t emuv_trail_first_behind(const struct emuv_trail *t, uint32_t position, uint32_t newest,
                                               uint32_t *before)
{
  uint32_t behind = 0, at = newest;
  for (unsigned i = 0; i < EMUV_TRAIL_LOOK_BACK && emuv_trail_knows(t, at) && at > position;
       i++, at = emuv_trail_past(t, at)->before)
    behind = at;
  bool all = !emuv_trail_knows(t, at) || at <= position;
  *before = all && emuv_trail_knows(t, at) ? at : 0;
  return all ? behind : 0;
}

/* The reference to the page that is nearest to the position, within reach; 0 if there is none. */
static inline uint32_t emuv_trail_nearest(const struct emuv_trail *t, uint32_t position, uint32_t newest)
{
  uint32_t before, behind = emuv_trail_first_behind(t, position, newest, &before);
  if (behind && behind - position > t->reach) behind = 0;
  if (before && position - before > t->reach) before = 0;
  if (!behind || !before) return behind ? behind : before;
  return behind - position < position - before ? behind : before;
}

/* The page is referenced only once around there. */
static inline bool emuv_trail_is_landmark(const struct emuv_trail *t, uint32_t position)
{
  const struct emuv_trail_reference *r = emuv_trail_past(t, position);
  return (!r->before || position - r->before > t->reach) && r->after - position > t->reach;
}

static inline uint32_t *emuv_trail_found(const struct emuv_trail *t)
{
  return &t->found[(t->context * 0x9e3779b97f4a7c15u) >> 32 & (t->length - 1)];
}

/* The last reference with the same few references before it, else the last one to the page; 0 if there is none. */
static inline uint32_t emuv_trail_look_up(const struct emuv_trail *t, uint32_t page, uint32_t newest)
{
  uint32_t at = *emuv_trail_found(t);
  return emuv_trail_knows(t, at) && emuv_trail_past(t, at)->page == page ? at : newest;
}

/* The main trail does not hold: it goes on beside the present, as if one reference had been exchanged for another. The
 * position near it that corresponds to the reference, 0 if there is none. */
static inline uint32_t emuv_trail_go_beside(struct emuv_trail *t, uint32_t newest)
{
  t->main.held -= t->main.held > 0;
  if (!emuv_trail_knows(t, t->main.at) || t->main.at + 1 >= t->now) return 0;
  t->main.at++;
  uint32_t near = emuv_trail_is_locked(t) ? emuv_trail_nearest(t, t->main.at, newest) : 0;
  if (near && emuv_trail_is_landmark(t, near)) t->main.at = near;
  return near;
}

/* The position of the past that corresponds to the reference `now` to the page; 0 if there is none. */
static inline uint32_t emuv_trail_correspond(struct emuv_trail *t, uint32_t page, uint32_t newest)
{
  bool other = emuv_trail_holds(t, &t->other, page);
  if (other) {
    emuv_trail_move_on(&t->other);
  } else {
    t->other.at = 0;
  }
  if (emuv_trail_holds(t, &t->main, page)) {
    emuv_trail_move_on(&t->main);
    return t->main.at;
  }
  if (!other) t->other = (struct emuv_trail_place){.at = emuv_trail_look_up(t, page, newest)};
  uint32_t near = emuv_trail_go_beside(t, newest);
  if (t->other.held >= EMUV_TRAIL_LOCK && t->other.held > t->main.held) {
    t->main = t->other;
    t->other = (struct emuv_trail_place){0};
    return t->main.at;
  }
  return near && t->main.held >= t->other.held ? near : t->other.at;
}

/* References from now to the next one to the page, if the present goes on as the past did behind the trail; 0 = not
 * known. */
static inline uint32_t emuv_trail_foreseen(const struct emuv_trail *t, uint32_t newest)
{
  uint32_t before, behind = emuv_trail_is_locked(t) ? emuv_trail_first_behind(t, t->main.at, newest, &before) : 0;
  return behind ? behind - t->main.at : 0;
}

/* A reference outside of bursts: time moves on. Returns the position of the page's last reference, 0 if not known. */
static inline uint32_t emuv_trail_begin(struct emuv_trail *t, uint32_t page)
{
  t->now++;
  uint32_t newest = emuv_trail_knows(t, t->last[page]) ? t->last[page] : 0;
  if (newest) emuv_trail_past(t, newest)->after = t->now;
  return newest;
}

/* Finds what it corresponds to; 0 = nothing. newest: from emuv_trail_begin. */
static inline uint32_t emuv_trail_follow(struct emuv_trail *t, uint32_t page, uint32_t newest)
{
  t->context = t->context << 8 ^ (page * 0x9e3779b9u) >> 8;
  return emuv_trail_correspond(t, page, newest);
}

/* Enters it into the history. */
static inline void emuv_trail_end(struct emuv_trail *t, uint32_t page, uint32_t newest)
{
  *emuv_trail_past(t, t->now) = (struct emuv_trail_reference){.page = page, .before = newest};
  *emuv_trail_found(t) = t->now;
  t->last[page] = t->touched[page] = t->now;
}

/* A touch of the page now would belong to its last reference's burst. */
static inline bool emuv_trail_in_burst(const struct emuv_trail *t, uint32_t page)
{
  return t->touched[page] && t->now - t->touched[page] <= t->near && emuv_trail_knows(t, t->last[page]);
}

static inline void emuv_trail_prolong(struct emuv_trail *t, uint32_t page)
{
  t->touched[page] = t->now;
  emuv_trail_past(t, t->last[page])->burst = t->now - t->last[page];
}

#endif
