// SPDX-License-Identifier: Apache-2.0
/* A doubly linked list of pages in arrays: two 32-bit links per page, one sentinel (index n_pages). `newer` leads to
 * the front, `older` to the back. Invariant: a page is in the list exactly when its `newer` is not EMUV_NO_PAGE.
 * Pages that are kept for good can be set aside: they stay in the list but have no place in it (`newer` leads to the
 * page itself), so that a search does not meet them again and again.
 * The memory belongs to the policy's state block. One thread. */
#ifndef EMUV_POLICY_LIST_H
#define EMUV_POLICY_LIST_H

#include "runtime/policy/state.h"

#include <string.h>

struct emuv_list_link {
  uint32_t newer, older;
};

struct emuv_list {
  struct emuv_list_link *link;
  uint32_t end;     /* the sentinel */
  uint32_t n;       /* pages in the list */
  uint32_t n_aside; /* of them, set aside */
};

static inline size_t emuv_list_bytes(uint32_t n_pages)
{
  return ((size_t)n_pages + 1) * sizeof(struct emuv_list_link);
}

static inline void emuv_list_init(struct emuv_list *list, void *memory, uint32_t n_pages)
{
  list->link = memory;
  list->end = n_pages;
  memset(memory, 0xff, emuv_list_bytes(n_pages));
  list->link[n_pages] = (struct emuv_list_link){.newer = n_pages, .older = n_pages};
}

static inline bool emuv_list_has(const struct emuv_list *list, uint32_t page)
{
  return list->link[page].newer != EMUV_NO_PAGE;
}

/* The sentinel (list->end) when the list is empty, as for emuv_list_newest. */
static inline uint32_t emuv_list_oldest(const struct emuv_list *list)
{
  return list->link[list->end].newer;
}

static inline uint32_t emuv_list_newest(const struct emuv_list *list)
{
  return list->link[list->end].older;
}

static inline bool emuv_list_is_aside(const struct emuv_list *list, uint32_t page)
{
  return list->link[page].newer == page;
}

/* Harmless for a page that is set aside. */
static inline void emuv_list_unlink(struct emuv_list *list, uint32_t page)
{
  struct emuv_list_link at = list->link[page];
  list->link[at.newer].older = at.older;
  list->link[at.older].newer = at.newer;
}

static inline void emuv_list_link_newest(struct emuv_list *list, uint32_t page)
{
  uint32_t second = list->link[list->end].older;
  list->link[page] = (struct emuv_list_link){.newer = list->end, .older = second};
  list->link[second].newer = page;
  list->link[list->end].older = page;
}

static inline void emuv_list_push(struct emuv_list *list, uint32_t page)
{
  emuv_list_link_newest(list, page);
  list->n++;
}

static inline void emuv_list_remove(struct emuv_list *list, uint32_t page)
{
  list->n_aside -= emuv_list_is_aside(list, page);
  emuv_list_unlink(list, page);
  list->link[page].newer = EMUV_NO_PAGE;
  list->n--;
}

static inline void emuv_list_renew(struct emuv_list *list, uint32_t page)
{
  if (emuv_list_newest(list) == page || emuv_list_is_aside(list, page)) return;
  emuv_list_unlink(list, page);
  emuv_list_link_newest(list, page);
}

/* A pinned page that a search for the oldest meets is in use, so it becomes the newest: a long pinned stretch is passed
 * once, not once per victim. One that is kept for good is set aside. */
static inline void emuv_list_pass(struct emuv_list *list, uint32_t page, uint8_t pin)
{
  if (!(pin & EMUV_KEPT)) {
    emuv_list_renew(list, page);
    return;
  }
  emuv_list_unlink(list, page);
  list->link[page] = (struct emuv_list_link){.newer = page, .older = page};
  list->n_aside++;
}

/* Takes the oldest page that is not pinned out of the list; EMUV_NO_PAGE if every page is pinned. */
static inline uint32_t emuv_list_take_oldest(struct emuv_list *list, const uint8_t *pinned)
{
  for (uint32_t left = list->n - list->n_aside; left > 0; left--) {
    uint32_t page = emuv_list_oldest(list);
    if (!pinned || !pinned[page]) {
      emuv_list_remove(list, page);
      return page;
    }
    emuv_list_pass(list, page, pinned[page]);
  }
  return EMUV_NO_PAGE;
}

/* Both directions agree and hold n pages. */
int emuv_list_check(const struct emuv_list *list, const char *owner, struct emuv_err *err);

#endif
