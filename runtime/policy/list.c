// SPDX-License-Identifier: Apache-2.0
/* Consistency check of a page list (list.h). */
#include "runtime/policy/list.h"

int emuv_list_check(const struct emuv_list *list, const char *owner, struct emuv_err *err)
{
  uint32_t n = 0, page = list->end;
  do {
    uint32_t older = list->link[page].older;
    if (older > list->end || list->link[older].newer != page) {
      return emuv_err_set(err, EMUV_ERR_INTERNAL, "%s: list links of page %u and %u disagree", owner, page, older);
    }
    page = older;
    n += page != list->end;
  } while (page != list->end && n <= list->n);
  n += list->n_aside;
  if (n != list->n) return emuv_err_set(err, EMUV_ERR_INTERNAL, "%s: list holds %u pages, not %u", owner, n, list->n);
  return 0;
}
