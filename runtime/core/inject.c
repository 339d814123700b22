// SPDX-License-Identifier: Apache-2.0
/* Faults on purpose (inject.h): rules parsed by an option table, decided by counting calls.
 *
 * A point has at most one rule. What a rule does is fixed by its text and the number of the call: every Nth call, or a
 * random number made from the seed and the call's number (so that threads share no generator). Rules never change after
 * open; the counts are atomic: any thread may ask. Owner: who opened it. */
#include "runtime/core/inject.h"

#include "runtime/core/option.h"
#include "runtime/core/rng.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { RULE_TEXT = 256, DEFAULT_DELAY_NS = 10000000 };

struct rule {
  uint64_t every, after, times, seed;
  double rate, delay_ns;
  bool armed, seeded;
  _Atomic uint64_t asked, fired;
};

struct emuv_inject {
  struct rule rules[EMUV_INJECT_N_POINTS];
};

static const char *const names[] = {
#define EMUV_INJECT(id, name, summary) name,
#include "runtime/core/inject.def"
#undef EMUV_INJECT
    NULL,
};

static const char *const summaries[] = {
#define EMUV_INJECT(id, name, summary) summary,
#include "runtime/core/inject.def"
#undef EMUV_INJECT
};

#define FIELD(key, type, field, def, min, max, help)                                                                   \
  {                                                                                                                    \
    key, type, 0, offsetof(struct rule, field), def, min, max, NULL, help                                              \
  }

static const struct emuv_option keys[] = {
    FIELD("every", EMUV_OPTION_U64, every, "1", 1, 1e18, "at every Nth call"),
    FIELD("after", EMUV_OPTION_U64, after, "0", 0, 1e18, "not at the first N calls"),
    FIELD("times", EMUV_OPTION_U64, times, "1000000000000000000", 1, 1e18, "at most N times"),
    FIELD("rate", EMUV_OPTION_DOUBLE, rate, "1", 0, 1, "at random: the share of the calls"),
    FIELD("seed", EMUV_OPTION_U64, seed, "0", 0, 0, "of what is chosen at random"),
    FIELD("for", EMUV_OPTION_TIME, delay_ns, "10ms", 0, 3.6e12, "how long slow I/O takes"),
};

enum { N_KEYS = sizeof keys / sizeof keys[0] };

static const char *const words[] = {"every", "after", "times", "once", "rate", "seed", "for", NULL};

static int unknown(struct emuv_err *err, const char *what, const char *given, const char *const *valid)
{
  const char *near = emuv_option_suggest_name(valid, given);
  char list[440] = "";
  for (size_t used = 0; *valid && used < sizeof list; valid++)
    used += (size_t)snprintf(list + used, sizeof list - used, " %s", *valid);
  (void)emuv_err_set(err, EMUV_ERR_USAGE, "unknown %s '%.48s'", what, given);
  if (near)
    (void)emuv_err_hint(err, "did you mean '%s'?", near);
  else
    (void)emuv_err_hint(err, "known:%s", list);
  return EMUV_ERR_USAGE;
}

/* One "key=value" or "once". */
static int parse_key(struct rule *rule, char *text, struct emuv_err *err)
{
  if (strcmp(text, "once") == 0) {
    rule->times = 1;
    return EMUV_OK;
  }
  char *equals = strchr(text, '=');
  if (equals) *equals = '\0';
  if (equals && strcmp(text, "once") == 0) return emuv_err_set(err, EMUV_ERR_USAGE, "'once' takes no value");
  const struct emuv_option *key = emuv_option_find(keys, N_KEYS, text);
  if (!key) return unknown(err, "key", text, words);
  if (!equals) return emuv_err_set(err, EMUV_ERR_USAGE, "'%s' needs a value", text);
  rule->seeded |= strcmp(key->key, "seed") == 0;
  if (emuv_option_parse(key, rule, equals + 1, err) != EMUV_OK) {
    if (err) err->code = EMUV_ERR_USAGE;
    return EMUV_ERR_USAGE;
  }
  return EMUV_OK;
}

static int parse_keys(struct rule *rule, char *text, struct emuv_err *err)
{
  char *rest = text;
  while (rest) {
    char *key = strsep(&rest, ",");
    int rc = parse_key(rule, key, err);
    if (rc != EMUV_OK) return rc;
  }
  if (rule->rate < 1 && rule->every > 1)
    return emuv_err_set(err, EMUV_ERR_USAGE, "'every' and 'rate' exclude each other");
  return EMUV_OK;
}

static int find_point(const char *name, struct emuv_err *err)
{
  for (int i = 0; names[i]; i++)
    if (strcmp(names[i], name) == 0) return i;
  return unknown(err, "fault", name, names);
}

static int parse_rule(struct emuv_inject *inject, const char *given, uint64_t seed, struct emuv_err *err)
{
  char text[RULE_TEXT];
  if (strlen(given) >= sizeof text) return emuv_err_set(err, EMUV_ERR_USAGE, "too long: '%.64s...'", given);
  memcpy(text, given, strlen(given) + 1);
  char *colon = strchr(text, ':');
  if (colon) *colon = '\0';
  int point = find_point(text, err);
  if (point < 0) return point;
  struct rule *rule = &inject->rules[point];
  if (rule->armed) return emuv_err_set(err, EMUV_ERR_USAGE, "'%s' is given twice", text);
  int rc = emuv_option_defaults(keys, N_KEYS, rule, err);
  if (rc == EMUV_OK && colon) rc = parse_keys(rule, colon + 1, err);
  /* Points with the same seed must not choose the same. */
  uint64_t own = (rule->seeded ? rule->seed : seed) + (uint64_t)point * 0x9e3779b97f4a7c15u;
  rule->seed = emuv_rng_splitmix64(&own);
  rule->armed = true;
  return rc;
}

/* Puts the rule before the text, so that the user sees which of several is meant. */
static void name_rule(struct emuv_err *err, const char *rule)
{
  char text[sizeof err->text];
  if (!err) return;
  (void)snprintf(text, sizeof text, "%s", err->text);
  (void)snprintf(err->text, sizeof err->text, "fault '%.100s': %.380s", rule, text);
}

int emuv_inject_open(const char *const *rules, size_t n, uint64_t seed, struct emuv_inject **inject,
                     struct emuv_err *err)
{
  *inject = NULL;
  if (n == 0) return EMUV_OK;
  struct emuv_inject *made = calloc(1, sizeof *made);
  if (!made) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory");
  for (size_t i = 0; i < n; i++) {
    int rc = parse_rule(made, rules[i], seed, err);
    if (rc == EMUV_OK) continue;
    name_rule(err, rules[i]);
    free(made);
    return rc;
  }
  *inject = made;
  return EMUV_OK;
}

void emuv_inject_close(struct emuv_inject *inject)
{
  free(inject);
}

/* Numbers that belong to the rule and the n-th of something, the same in every run. */
static void numbers(const struct rule *rule, uint64_t n, struct emuv_rng *rng)
{
  emuv_rng_seed(rng, rule->seed + n * 0xd1342543de82ef95u);
}

static bool due(const struct rule *rule, uint64_t call)
{
  struct emuv_rng rng;
  if (call <= rule->after) return false;
  if (rule->rate >= 1) return (call - rule->after) % rule->every == 0;
  numbers(rule, call, &rng);
  return emuv_rng_unit(&rng) < rule->rate;
}

bool emuv_inject_now(struct emuv_inject *inject, enum emuv_inject_point point)
{
  if (!inject || !inject->rules[point].armed) return false;
  struct rule *rule = &inject->rules[point];
  if (!due(rule, atomic_fetch_add(&rule->asked, 1) + 1)) return false;
  uint64_t fired = atomic_load(&rule->fired);
  do {
    if (fired >= rule->times) return false;
  } while (!atomic_compare_exchange_weak(&rule->fired, &fired, fired + 1));
  return true;
}

uint64_t emuv_inject_choose(struct emuv_inject *inject, enum emuv_inject_point point, uint64_t n)
{
  struct emuv_rng rng;
  if (!inject) return 0;
  const struct rule *rule = &inject->rules[point];
  numbers(rule, ~atomic_load(&rule->fired), &rng);
  return emuv_rng_below(&rng, n);
}

uint64_t emuv_inject_delay_ns(const struct emuv_inject *inject, enum emuv_inject_point point)
{
  if (!inject || !inject->rules[point].armed) return DEFAULT_DELAY_NS;
  return (uint64_t)inject->rules[point].delay_ns;
}

void emuv_inject_counts(const struct emuv_inject *inject, enum emuv_inject_point point, uint64_t *asked,
                        uint64_t *fired)
{
  *asked = inject ? atomic_load(&inject->rules[point].asked) : 0;
  *fired = inject ? atomic_load(&inject->rules[point].fired) : 0;
}

const char *emuv_inject_name(enum emuv_inject_point point)
{
  return names[point];
}

const char *emuv_inject_summary(enum emuv_inject_point point)
{
  return summaries[point];
}
