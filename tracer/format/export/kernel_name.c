// SPDX-License-Identifier: Apache-2.0
/* Short kernel names: see kernel_name.h. A mangled name spells its identifiers as <length><text>; what stands between
 * them is skipped, except what ends the name of the function itself. */
#include "tracer/format/export/kernel_name.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct word {
  const char *text;
  size_t n;
};

/* The identifier at *p, which then points behind it. False: none there. */
static bool take_word(const char **p, struct word *w)
{
  size_t n = 0;
  const char *q = *p;
  while (isdigit((unsigned char)*q) && n < 4096) n = n * 10 + (size_t)(*q++ - '0');
  if (q == *p || n == 0 || strnlen(q, n) < n) return false;
  *w = (struct word){q, n};
  *p = q + n;
  return true;
}

/* Name of the function: the last identifier of its nested name. *rest points behind it. */
static bool base_word(const char *symbol, struct word *base, const char **rest)
{
  const char *p = symbol;
  if (p[0] != '_' || p[1] != 'Z') return false;
  p += 2;
  if (*p == 'L') p++; /* internal linkage */
  bool nested = *p == 'N';
  if (nested) p++;
  bool found = false;
  if (strncmp(p, "St", 2) == 0) p += 2;
  while (take_word(&p, base)) {
    found = true;
    if (!nested) break;
  }
  *rest = p;
  return found;
}

char *emuv_kernel_base_name(const char *symbol, char *buf, size_t size)
{
  struct word base;
  const char *rest;
  if (base_word(symbol, &base, &rest))
    snprintf(buf, size, "%.*s", (int)base.n, base.text);
  else
    snprintf(buf, size, "%s", symbol);
  return buf;
}

/* Behind what stands at *p and is no identifier: a number among the template arguments (Li128E), a reference to an
 * earlier part (S0_, T1_, St), or one letter. */
static const char *skip(const char *p)
{
  if (p[0] == 'L' && islower((unsigned char)p[1]) && (isdigit((unsigned char)p[2]) || p[2] == 'n')) {
    p += 3;
    while (isdigit((unsigned char)*p)) p++;
    return p;
  }
  if (p[0] != 'S' && p[0] != 'T') return p + 1;
  const char *end = p + 1;
  while (isdigit((unsigned char)*end) || isupper((unsigned char)*end)) end++;
  return *end == '_' ? end + 1 : p + 1;
}

/* Namespaces begin with a small letter and are no kernels; a type that all instances share tells nothing. */
static bool tells(const struct word *w)
{
  static const char *const common[] = {"TensorIteratorBase", "TensorIterator",  "GLOBAL__N",
                                       "OffsetCalculator",   "gpu_kernel_impl", "TrivialOffsetCalculator"};
  for (size_t i = 0; i < sizeof common / sizeof *common; i++)
    if (memmem(w->text, w->n, common[i], strlen(common[i]))) return false;
  return isupper((unsigned char)w->text[0]) || memmem(w->text, w->n, "kernel", 6) != NULL;
}

static bool has_word(const char *list, const struct word *w)
{
  for (const char *p = list; (p = memmem(p, strlen(p), w->text, w->n)); p++)
    if ((p == list || p[-1] == ' ') && (p[w->n] == ' ' || p[w->n] == '\0')) return true;
  return false;
}

char *emuv_kernel_short_name(const char *symbol, char *buf, size_t size)
{
  struct word w;
  const char *p;
  emuv_kernel_base_name(symbol, buf, size);
  if (!base_word(symbol, &w, &p)) return buf;
  size_t n = strlen(buf);
  while (*p) {
    if (!isdigit((unsigned char)*p) || !take_word(&p, &w)) {
      p = skip(p);
      continue;
    }
    if (tells(&w) && !has_word(buf, &w) && n + 1 < size)
      n += (size_t)snprintf(buf + n, size - n, " %.*s", (int)w.n, w.text);
    if (n >= size) break;
  }
  return buf;
}
