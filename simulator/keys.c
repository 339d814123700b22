// SPDX-License-Identifier: Apache-2.0
/* Keys as a reader of results sees them; see keys.h. */
#include "simulator/keys.h"

#include "runtime/core/units.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

static bool is_one_of(const char *key, const char *const *names)
{
  for (; *names; names++)
    if (strcmp(key, *names) == 0) return true;
  return false;
}

enum emuv_key_class emuv_key_class_of(const struct emuv_option *key)
{
  static const char *const names[] = {"hw.preset", "model.preset", "trace", NULL};
  static const char *const capacities[] = {"vram", "ram", "nvme", NULL};
  static const char *const choices[] = {"strategy", "policy",   "prefetch", "page_size", "lookahead", "plans",
                                        "slice",    "coalesce", "write",    "pin",       NULL};
  if (is_one_of(key->key, names)) return EMUV_KEY_WORK;
  if (key->flags & EMUV_OPTION_NO_HASH) return EMUV_KEY_LABEL;
  if (is_one_of(key->key, capacities)) return EMUV_KEY_CAPACITY;
  return is_one_of(key->key, choices) ? EMUV_KEY_CHOICE : EMUV_KEY_WORK;
}

const char *emuv_key_name(const struct emuv_option *key)
{
  static const char *const names[][2] = {{"hw.preset", "hardware"},
                                         {"model.preset", "model"},
                                         {"pattern.kind", "pattern"},
                                         {"vram", "VRAM"},
                                         {"ram", "RAM"},
                                         {"nvme", "disk"},
                                         {"page_size", "page"},
                                         {"weight_bits", "bits"},
                                         {"kv_bits", "KV bits"},
                                         {"routing_skew", "skew"},
                                         {"routing_repeat", "repeat"}};
  static const char pattern[] = "pattern.";
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(key->key, names[i][0]) == 0) return names[i][1];
  return strncmp(key->key, pattern, sizeof pattern - 1) == 0 ? key->key + sizeof pattern - 1 : key->key;
}

char *emuv_key_value(const struct emuv_option *key, const struct emuv_config *config, char *buf, size_t size)
{
  enum { ROUND = 7 }; /* "1536MiB" */
  emuv_option_format(key, config, buf, size);
  if (key->type == EMUV_OPTION_BYTES && strlen(buf) > ROUND)
    emuv_units_human_bytes((double)*(const uint64_t *)((const char *)config + key->offset), buf, size);
  return buf;
}

/* The bytes that a value consists of. */
static const void *value_of(const struct emuv_option *key, const struct emuv_config *config, size_t *bytes)
{
  const void *at = (const char *)config + key->offset;
  const struct emuv_curve *curve = at;
  switch (key->type) {
  case EMUV_OPTION_BOOL: *bytes = sizeof(bool); return at;
  case EMUV_OPTION_STRING:
  case EMUV_OPTION_NAME: *bytes = strlen(at); return at;
  case EMUV_OPTION_CURVE: *bytes = curve->n * sizeof curve->point[0]; return curve->point;
  default: *bytes = sizeof(uint64_t); return at;
  }
}

bool emuv_key_same(const struct emuv_option *key, const struct emuv_config *a, const struct emuv_config *b)
{
  size_t n, m;
  const void *left = value_of(key, a, &n), *right = value_of(key, b, &m);
  return n == m && memcmp(left, right, n) == 0;
}

bool emuv_key_is_default(const struct emuv_option *key, const struct emuv_config *config)
{
  struct emuv_config defaults;
  return key->def && emuv_option_parse(key, &defaults, key->def, NULL) == 0 && emuv_key_same(key, config, &defaults);
}

uint64_t emuv_keys_hash(const struct emuv_config *config, unsigned classes)
{
  size_t n;
  uint64_t hash = 0;
  const struct emuv_option *keys = emuv_config_options(&n);
  for (size_t i = 0; i < n; i++) {
    size_t bytes;
    if (!(emuv_key_class_of(&keys[i]) & classes)) continue;
    const void *value = value_of(&keys[i], config, &bytes);
    hash = XXH3_64bits_withSeed(value, bytes, hash + bytes);
  }
  return hash;
}

/* A difference of `key` between these two says something that no other key says. */
static bool comparable(const struct emuv_option *key, const struct emuv_config *a, const struct emuv_config *b)
{
  if (strncmp(key->key, "hw.", 3) == 0) return !strcmp(key->key, "hw.preset") || !strcmp(a->hw.preset, b->hw.preset);
  if (!strcmp(key->key, "source")) return true;
  if (strcmp(a->source, b->source) != 0) return false;
  if (!strcmp(key->key, "model.preset") || !strcmp(key->key, "pattern.kind")) return true;
  if (strncmp(key->key, "model.", 6) == 0) return !strcmp(a->model.preset, b->model.preset);
  if (strncmp(key->key, "pattern.", 8) == 0) return !strcmp(a->pattern.kind, b->pattern.kind);
  /* Strategies other than `paged` have fixed values in keys that they do not read. */
  if (emuv_key_class_of(key) == EMUV_KEY_CHOICE && strcmp(key->key, "strategy") != 0)
    return !strcmp(a->strategy, b->strategy);
  return true;
}

static bool varies(const struct emuv_option *key, const struct emuv_config *const *configs, size_t n)
{
  enum { MAX_KINDS = 64 };
  const struct emuv_config *first[MAX_KINDS]; /* one of each kind that cannot be compared with the others */
  size_t kinds = 0;
  for (size_t i = 0; i < n; i++) {
    size_t k = 0;
    while (k < kinds && !comparable(key, first[k], configs[i])) k++;
    if (k < kinds && !emuv_key_same(key, first[k], configs[i])) return true;
    if (k == kinds && kinds < MAX_KINDS) first[kinds++] = configs[i];
  }
  return false;
}

size_t emuv_keys_varying(const struct emuv_config *const *configs, size_t n, unsigned classes,
                         const struct emuv_option **keys)
{
  size_t n_options, found = 0;
  const struct emuv_option *options = emuv_config_options(&n_options);
  for (size_t i = 0; i < n_options && found < EMUV_KEYS_MAX; i++)
    if ((emuv_key_class_of(&options[i]) & classes) && varies(&options[i], configs, n)) keys[found++] = &options[i];
  return found;
}

bool emuv_key_varies_beside(const struct emuv_option *key, const struct emuv_config *config,
                            const struct emuv_config *const *configs, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (comparable(key, config, configs[i]) && !emuv_key_same(key, config, configs[i])) return true;
  return false;
}

static bool implies(const struct emuv_option *other, const struct emuv_option *key,
                    const struct emuv_config *const *configs, size_t n)
{
  enum { MAX_VALUES = 64 };
  const struct emuv_config *first[MAX_VALUES]; /* one of each value of `other` */
  size_t values = 0;
  for (size_t i = 0; i < n; i++) {
    size_t k = 0;
    while (k < values && !emuv_key_same(other, first[k], configs[i])) k++;
    if (k < values && !emuv_key_same(key, first[k], configs[i])) return false;
    if (k == MAX_VALUES) return false;
    if (k == values) first[values++] = configs[i];
  }
  return true;
}

bool emuv_key_is_implied(const struct emuv_option *key, const struct emuv_option *const *others, size_t n_others,
                         const struct emuv_config *const *configs, size_t n)
{
  for (size_t i = 0; i < n_others; i++)
    if (implies(others[i], key, configs, n)) return true;
  return false;
}
