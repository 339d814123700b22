// SPDX-License-Identifier: Apache-2.0
/* LFU: evicts the page with the fewest references since it was loaded (loading counts as one); among equals the least
 * recently used. Constant time per operation: pages of equal count hang in one bucket, buckets form a list in order of
 * count (Matani, Shah, Mitra, "An O(1) algorithm for implementing the LFU cache eviction scheme", 2010).
 * State: three 32-bit words per page, five per frame. Pinned pages keep their place, and one fill passes them once;
 * those that are kept for good are set aside when they are met.
 *
 * Invariants: counts rise strictly from bucket to bucket; no bucket in the list is empty; inside a bucket pages stand
 * in the order of their last reference. Bucket 0 is the list's sentinel. */
#include "runtime/policy/state.h"

#define NO_BUCKET 0u
#define ASIDE UINT32_MAX /* in place of the bucket of a page that is kept for good */

struct page {
  uint32_t newer, older; /* in the bucket; EMUV_NO_PAGE at the ends */
  uint32_t bucket;       /* NO_BUCKET = not resident */
};

struct bucket {
  uint32_t count;
  uint32_t oldest, newest; /* pages */
  uint32_t less, more;     /* neighbours in order of count; `more` chains the unused buckets */
};

struct state {
  const struct emuv_policy_env *env;
  struct page *page;
  struct bucket *bucket;
  uint32_t n;
  uint32_t unused;   /* first unused bucket that was in use before */
  uint32_t fresh;    /* first bucket never used */
  uint32_t inserted; /* the page inserted last */
  uint32_t n_aside;
};

/* While a page moves up, its old and its new bucket can both exist. */
static inline size_t bucket_bytes(const struct emuv_policy_env *env)
{
  return ((size_t)emuv_policy_frames(env) + 2) * sizeof(struct bucket);
}

static size_t state_bytes(const struct emuv_policy_env *env)
{
  return emuv_policy_round(sizeof(struct state)) + emuv_policy_round((size_t)env->n_pages * sizeof(struct page)) +
         emuv_policy_round(bucket_bytes(env));
}

static void init(struct state *s, const struct emuv_policy_env *env)
{
  char *at = (char *)s + emuv_policy_round(sizeof *s);
  s->page = emuv_policy_carve(&at, (size_t)env->n_pages * sizeof(struct page));
  s->bucket = emuv_policy_carve(&at, bucket_bytes(env));
  s->fresh = 1;
}

static inline bool is_resident(const struct state *s, uint32_t page)
{
  return s->page[page].bucket != NO_BUCKET;
}

/* A new bucket for `count` behind the bucket `less`. */
static inline uint32_t bucket_after(struct state *s, uint32_t less, uint32_t count)
{
  uint32_t b = s->unused, more = s->bucket[less].more;
  if (b != NO_BUCKET) {
    s->unused = s->bucket[b].more;
  } else {
    b = s->fresh++;
  }
  s->bucket[b] = (struct bucket){count, EMUV_NO_PAGE, EMUV_NO_PAGE, less, more};
  s->bucket[less].more = b;
  s->bucket[more].less = b;
  return b;
}

static inline void bucket_release(struct state *s, uint32_t b)
{
  struct bucket *old = &s->bucket[b];
  s->bucket[old->less].more = old->more;
  s->bucket[old->more].less = old->less;
  old->more = s->unused;
  s->unused = b;
}

static inline void append(struct state *s, uint32_t b, uint32_t page)
{
  struct bucket *to = &s->bucket[b];
  s->page[page] = (struct page){.newer = EMUV_NO_PAGE, .older = to->newest, .bucket = b};
  if (to->newest != EMUV_NO_PAGE) {
    s->page[to->newest].newer = page;
  } else {
    to->oldest = page;
  }
  to->newest = page;
}

static inline void detach(struct state *s, uint32_t page)
{
  struct page at = s->page[page];
  struct bucket *from = &s->bucket[at.bucket];
  *(at.older != EMUV_NO_PAGE ? &s->page[at.older].newer : &from->oldest) = at.newer;
  *(at.newer != EMUV_NO_PAGE ? &s->page[at.newer].older : &from->newest) = at.older;
  if (from->oldest == EMUV_NO_PAGE) bucket_release(s, at.bucket);
}

static inline void touch1(struct state *s, uint32_t page, uint32_t next)
{
  (void)next;
  if (s->page[page].bucket == ASIDE) return;
  uint32_t b = s->page[page].bucket, more = s->bucket[b].more, count = s->bucket[b].count + 1;
  bool up = more != NO_BUCKET && s->bucket[more].count == count;
  if (!up && s->bucket[b].oldest == s->bucket[b].newest) {
    s->bucket[b].count = count;
    return;
  }
  if (!up) more = bucket_after(s, b, count);
  detach(s, page);
  append(s, more, page);
}

static inline void insert1(struct state *s, uint32_t page, uint32_t next)
{
  (void)next;
  uint32_t b = s->bucket[0].more;
  if (b == NO_BUCKET || s->bucket[b].count != 1) b = bucket_after(s, 0, 1);
  append(s, b, page);
  s->inserted = page;
  s->n++;
}

static inline void remove1(struct state *s, uint32_t page)
{
  if (s->page[page].bucket != ASIDE) {
    detach(s, page);
  } else {
    s->n_aside--;
  }
  s->page[page].bucket = NO_BUCKET;
  s->n--;
}

/* The page that leaves after `page`, EMUV_NO_PAGE behind the last. */
static inline uint32_t following(const struct state *s, uint32_t page)
{
  if (s->page[page].newer != EMUV_NO_PAGE) return s->page[page].newer;
  uint32_t more = s->bucket[s->page[page].bucket].more;
  return more != NO_BUCKET ? s->bucket[more].oldest : EMUV_NO_PAGE;
}

static inline void set_aside(struct state *s, uint32_t page)
{
  detach(s, page);
  s->page[page].bucket = ASIDE;
  s->n_aside++;
}

/* The cursor is a page: of those in front of it only the one inserted last can be unpinned. */
static uint32_t unpinned(struct state *s, const uint8_t *pinned, uint32_t *cursor)
{
  uint32_t page = s->bucket[s->bucket[0].more].oldest;
  if (*cursor != EMUV_NO_PAGE) {
    bool behind = s->page[s->inserted].bucket != s->page[*cursor].bucket;
    if (behind && !pinned[s->inserted]) return s->inserted;
    page = *cursor;
  }
  while (page != EMUV_NO_PAGE && pinned[page]) {
    uint32_t next = following(s, page);
    if (pinned[page] & EMUV_KEPT) set_aside(s, page);
    page = next;
  }
  if (page != EMUV_NO_PAGE) *cursor = following(s, page);
  return page;
}

static inline uint32_t victim(struct state *s, const uint8_t *pinned, uint32_t *cursor)
{
  if (s->n == 0) return EMUV_NO_PAGE;
  uint32_t page = pinned ? unpinned(s, pinned, cursor) : s->bucket[s->bucket[0].more].oldest;
  if (page != EMUV_NO_PAGE) remove1(s, page);
  return page;
}

static inline uint32_t size(const struct state *s)
{
  return s->n;
}

static int check_bucket(const struct state *s, uint32_t b, uint32_t *n, struct emuv_err *err)
{
  uint32_t older = EMUV_NO_PAGE, page = s->bucket[b].oldest;
  for (; page != EMUV_NO_PAGE && *n <= s->n; older = page, page = s->page[page].newer, ++*n) {
    if (s->page[page].bucket != b || s->page[page].older != older) {
      return emuv_err_set(err, EMUV_ERR_INTERNAL, "lfu: page %u is not linked into bucket %u", page, b);
    }
  }
  if (older == EMUV_NO_PAGE || s->bucket[b].newest != older) {
    return emuv_err_set(err, EMUV_ERR_INTERNAL, "lfu: bucket %u is empty or ends wrongly", b);
  }
  return 0;
}

static int check(const struct state *s, struct emuv_err *err)
{
  uint32_t n = 0, less = 0;
  for (uint32_t b = s->bucket[0].more; b != NO_BUCKET; less = b, b = s->bucket[b].more) {
    if (s->bucket[b].less != less || s->bucket[b].count <= s->bucket[less].count) {
      return emuv_err_set(err, EMUV_ERR_INTERNAL, "lfu: bucket %u is out of order", b);
    }
    int rc = check_bucket(s, b, &n, err);
    if (rc) return rc;
  }
  n += s->n_aside;
  if (n != s->n) return emuv_err_set(err, EMUV_ERR_INTERNAL, "lfu: %u pages in buckets, not %u", n, s->n);
  return 0;
}

#define POLICY lfu
#define POLICY_SUMMARY "least frequently used while resident, ties by LRU (Matani et al. 2010)"
#define POLICY_FLAGS 0
#include "runtime/policy/instantiate.h"
