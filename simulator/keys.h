// SPDX-License-Identifier: Apache-2.0
/* What the keys of a configuration are to a reader of results: labels, the work, what the machine has, and the choices
 * of how to run the work on it. Over the option table, so that a new key needs nothing here unless it is a choice.
 * No state; any thread. */
#ifndef EMUV_SIMULATOR_KEYS_H
#define EMUV_SIMULATOR_KEYS_H

#include "simulator/config.h"

#include <stdbool.h>

enum emuv_key_class {
  EMUV_KEY_LABEL = 1,    /* names; not part of the hash */
  EMUV_KEY_WORK = 2,     /* what is computed, on which machine */
  EMUV_KEY_CAPACITY = 4, /* how much memory there is */
  EMUV_KEY_CHOICE = 8,   /* how it is run: strategy, policy, page size, ... */
};

enum { EMUV_KEYS_MAX = 128 };

enum emuv_key_class emuv_key_class_of(const struct emuv_option *key);
/* "VRAM" for vram, "hardware" for hw.preset. */
const char *emuv_key_name(const struct emuv_option *key);
/* The value for people: sizes rounded where they are not round. Returns buf. */
char *emuv_key_value(const struct emuv_option *key, const struct emuv_config *config, char *buf, size_t size);
bool emuv_key_same(const struct emuv_option *key, const struct emuv_config *a, const struct emuv_config *b);
bool emuv_key_is_default(const struct emuv_option *key, const struct emuv_config *config);
/* Hash over the values of all keys of some classes (a union of enum emuv_key_class). */
uint64_t emuv_keys_hash(const struct emuv_config *config, unsigned classes);
/* The keys of some classes by which the configurations differ, in the order of the option table; returns how many, at
 * most EMUV_KEYS_MAX. A difference that another listed key implies (the link of another hardware preset, the layers of
 * another model, the skew of another source) does not count. */
size_t emuv_keys_varying(const struct emuv_config *const *configs, size_t n, unsigned classes,
                         const struct emuv_option **keys);
/* The key differs between `config` and one of the others that it can be compared with in this way. */
bool emuv_key_varies_beside(const struct emuv_option *key, const struct emuv_config *config,
                            const struct emuv_config *const *configs, size_t n);
/* One of `others` has the same value only where `key` has the same value too (the group size of quantised weights
 * follows from their bits). */
bool emuv_key_is_implied(const struct emuv_option *key, const struct emuv_option *const *others, size_t n_others,
                         const struct emuv_config *const *configs, size_t n);

#endif
