// SPDX-License-Identifier: Apache-2.0
/* See align.h. */
#include "tracer/format/align.h"

#include <stdbool.h>

struct sequences {
  const uint64_t *a, *b;
  size_t n_a, n_b;
};

/* EMUV_ALIGN_RUN keys in a row are equal, or all to the end of one sequence, and at least one. */
static bool run_at(const struct sequences *s, size_t i, size_t j)
{
  size_t n = 0;
  while (n < EMUV_ALIGN_RUN && i + n < s->n_a && j + n < s->n_b && s->a[i + n] == s->b[j + n]) n++;
  return n == EMUV_ALIGN_RUN || (n > 0 && (i + n == s->n_a || j + n == s->n_b));
}

/* Moves *i and *j to where the sequences agree again, skipping as few keys as possible of both together. False when
 * they do not within the window. */
static bool resynchronise(const struct sequences *s, size_t *i, size_t *j)
{
  for (size_t skip = 1; skip <= EMUV_ALIGN_WINDOW; skip++)
    for (size_t of_a = 0; of_a <= skip; of_a++)
      if (run_at(s, *i + of_a, *j + skip - of_a)) {
        *i += of_a;
        *j += skip - of_a;
        return true;
      }
  return false;
}

size_t emuv_align(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b, size_t *pair)
{
  const struct sequences s = {.a = a, .b = b, .n_a = n_a, .n_b = n_b};
  size_t i = 0, j = 0, pairs = 0;
  for (size_t k = 0; k < n_a; k++) pair[k] = SIZE_MAX;
  while (i < n_a && j < n_b) {
    if (a[i] == b[j]) {
      pair[i++] = j++;
      pairs++;
    } else if (!resynchronise(&s, &i, &j)) {
      i++; /* one of each is given up, and the search goes on behind them */
      j++;
    }
  }
  return pairs;
}
