// SPDX-License-Identifier: Apache-2.0
/* What holds between the keys of one configuration: its canonical form, its hash, and the checks that a single key's
 * bounds cannot make (scenario.h). Canonical form: keys that the strategy or the source does not read have fixed
 * values, so that equal work has equal hashes. No state; any thread. */
#include "simulator/scenario_internal.h"

#include "runtime/core/units.h"

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

enum { TEXT_SIZE = 32768 };
static const double MAX_FOOTPRINT = 0x1p50; /* 1 PiB */
static const double MAX_PAGES = 0x1p30;
#define UM_BLOCK_BYTES (UINT64_C(2) << 20) /* unified memory migrates blocks of 2 MiB */

static bool is(const char *text, const char *name)
{
  return strcmp(text, name) == 0;
}

/* Names outside the registries too: users cannot type them. Zero-fills, so that equal texts are equal bytes. */
static void set_name(emuv_text field, const char *name)
{
  memset(field, 0, EMUV_OPTION_STRING_SIZE);
  memcpy(field, name, strlen(name) + 1);
}

static void set_policy(struct emuv_config *c, const char *policy, const char *prefetch)
{
  set_name(c->policy, policy);
  set_name(c->prefetch, prefetch);
}

/* "slice" means that key, "model." all keys of the group. */
static bool matches(const char *key, const char *name)
{
  size_t n = strlen(name);
  return name[n - 1] == '.' ? strncmp(key, name, n) == 0 : strcmp(key, name) == 0;
}

/* Keys back to their defaults. */
static void reset_keys(struct emuv_config *c, const char *const *keys)
{
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  for (; *keys != NULL; keys++)
    for (size_t i = 0; i < n; i++)
      if (matches(table[i].key, *keys)) (void)emuv_option_parse(&table[i], c, table[i].def, NULL);
}

/* Only `paged` reads all keys of paging; `um` and `emuv` page too, in ways of their own; the others move no pages. */
static void canonical_strategy(struct emuv_config *c)
{
  static const char *const of_paging[] = {"slice", "write", NULL};
  if (!is(c->strategy, "emuv")) set_name(c->plans, "all");
  if (is(c->strategy, "paged")) return;
  if (!is(c->strategy, "emuv")) c->peer = 0;
  c->lookahead = c->coalesce = 0;
  set_name(c->pin, "none");
  if (is(c->strategy, "emuv"))
    set_policy(c, "auto", "auto");
  else if (is(c->strategy, "um")) {
    set_policy(c, "lru", "none");
    c->page_size = UM_BLOCK_BYTES;
  } else {
    set_policy(c, "static", "none");
    reset_keys(c, of_paging);
  }
}

static void canonical_source(struct emuv_config *c)
{
  static const char *const of_transformer[] = {
      "model.",           "weight_bits", "kv_bits",      "weight_group",   "batch",
      "context",          "prompt",      "routing_skew", "routing_repeat", "launches_per_layer",
      "activation_scale", NULL};
  static const char *const of_pattern[] = {"pattern.", NULL};
  static const char *const of_trace[] = {"unknown_access", NULL};
  if (!is(c->source, "trace")) {
    set_name(c->trace, "");
    reset_keys(c, of_trace);
  }
  if (!is(c->source, "pattern")) reset_keys(c, of_pattern);
  if (is(c->source, "transformer")) {
    if (c->model.kv_heads == 0) c->model.kv_heads = c->model.heads;
    if (c->model.head_dim == 0 && c->model.heads > 0) c->model.head_dim = c->model.hidden / c->model.heads;
    return;
  }
  reset_keys(c, of_transformer);
  set_name(c->model.preset, "");
  c->context = 0;
}

void emuv_config_canonical(struct emuv_config *config)
{
  canonical_strategy(config);
  canonical_source(config);
  if (config->peer == 0) config->hw.peer = (struct emuv_curve){.n = 0}; /* nobody takes that way */
  if (config->vram == 0) config->vram = config->hw.vram;
}

size_t emuv_config_text(const struct emuv_config *config, char *buf, size_t size)
{
  size_t n, used = 0;
  const struct emuv_option *table = emuv_config_options(&n);
  char value[2048];
  for (size_t i = 0; i < n; i++) {
    if ((table[i].flags & EMUV_OPTION_NO_HASH) != 0) continue;
    emuv_option_format(&table[i], config, value, sizeof value);
    if ((table[i].flags & EMUV_OPTION_ADDED) != 0 && is(value, table[i].def)) continue;
    int more = snprintf(buf + used, size - used, "%s=%s\n", table[i].key, value);
    if (more < 0 || (size_t)more >= size - used) break;
    used += (size_t)more;
  }
  return used;
}

void emuv_config_hash(const struct emuv_config *config, uint64_t trace_hash, char hex[33])
{
  char text[TEXT_SIZE];
  size_t used = emuv_config_text(config, text, sizeof text - 32);
  used += (size_t)snprintf(text + used, sizeof text - used, "trace=%016" PRIx64 "\n", trace_hash);
  XXH128_hash_t hash = XXH3_128bits(text, used);
  (void)snprintf(hex, 33, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64, (uint64_t)hash.low64);
}

/* A fault between keys: which keys, then the text, which starts with the first key. */
#define FAULT(code, key, other, ...) (keys[0] = (key), keys[1] = (other), emuv_err_set(err, (code), __VA_ARGS__))

/* A count or size that must not be 0; `preset` says in the hint where it usually comes from. */
struct needed {
  const char *key;
  bool missing;
};

static int check_needed(const struct needed *needed, size_t n, const char *preset, const char *keys[2],
                        struct emuv_err *err)
{
  for (size_t i = 0; i < n; i++) {
    if (!needed[i].missing) continue;
    (void)FAULT(EMUV_ERR_INPUT, needed[i].key, preset, "%s is not given", needed[i].key);
    (void)emuv_err_hint(err, "give it here or in the preset (%s)", preset);
    return EMUV_ERR_INPUT;
  }
  return EMUV_OK;
}

static int check_hardware(const struct emuv_config *c, const char *keys[2], struct emuv_err *err)
{
  const struct emuv_hardware *h = &c->hw;
  const bool disk = c->nvme > 0;
  const struct needed needed[] = {
      {"hw.vram", c->vram == 0},
      {"hw.vram_rate", h->vram_rate == 0},
      {"hw.flops", h->flops == 0 && is(c->source, "transformer")},
      {"hw.h2d", h->h2d.n == 0},
      {"hw.d2h", h->d2h.n == 0},
      {"hw.zero_copy_rate", h->zero_copy_rate == 0 && is(c->strategy, "uva")},
      {"hw.pageable_rate", h->pageable_rate == 0 && is(c->strategy, "layer-offload")},
      {"hw.nvme_read", h->nvme_read.n == 0 && disk},
      {"hw.nvme_write", h->nvme_write.n == 0 && disk},
  };
  return check_needed(needed, sizeof needed / sizeof needed[0], "hw.preset", keys, err);
}

/* Requests of a disk need memory that the CPU can reach. */
static int check_peer(const struct emuv_config *c, const char *keys[2], struct emuv_err *err)
{
  if (c->peer > 0 && c->hw.peer.n == 0) {
    (void)FAULT(EMUV_ERR_INPUT, "peer", "hw.preset",
                "peer: hw.peer, the speed of the link to another GPU, is not given");
    (void)emuv_err_hint(err, "emuv-replay --calibrate measures it; or set it by size, e.g. hw.peer=2MiB=20GB/s");
    return EMUV_ERR_INPUT;
  }
  if (c->peer == 0 || c->nvme == 0) return EMUV_OK;
  (void)FAULT(EMUV_ERR_INPUT, "peer", "nvme", "peer: memory of another GPU and a disk do not work together");
  (void)emuv_err_hint(err, "give one of them");
  return EMUV_ERR_INPUT;
}

static int check_page(const struct emuv_config *c, const char *keys[2], struct emuv_err *err)
{
  char page[32], vram[32];
  (void)emuv_units_format_bytes(c->page_size, page, sizeof page);
  (void)emuv_units_format_bytes(c->vram, vram, sizeof vram);
  if (c->page_size == 0 || c->page_size % 4096 != 0)
    return FAULT(EMUV_ERR_INPUT, "page_size", NULL, "page_size: %s is not a multiple of 4KiB", page);
  if (c->page_size <= c->vram) return EMUV_OK;
  (void)FAULT(EMUV_ERR_RANGE, "page_size", "vram", "page_size: a page of %s is larger than the %s of VRAM", page, vram);
  (void)emuv_err_hint(err, "smaller pages, or more vram");
  return EMUV_ERR_RANGE;
}

/* Bytes of weights and KV cache, roughly: enough to refuse what is absurd before anything is built. */
static double footprint(const struct emuv_config *c, double *kv)
{
  const struct emuv_model *m = &c->model;
  double hidden = (double)m->hidden, wide = (double)m->heads * (double)m->head_dim;
  double narrow = (double)m->kv_heads * (double)m->head_dim;
  double mlp = (double)m->experts * (double)m->mlp_matrices * hidden * (double)m->intermediate;
  double weights = (double)m->layers * (2 * hidden * (wide + narrow) + mlp) + 2 * hidden * (double)m->vocab;
  double length = (double)c->context + (double)c->prompt + (double)c->tokens + (double)c->warmup;
  *kv = 2.0 * (double)m->layers * narrow * (double)c->kv_bits / 8 * (double)c->batch * length;
  return weights * (double)c->weight_bits / 8 + *kv;
}

static int check_footprint(const struct emuv_config *c, const char *keys[2], struct emuv_err *err)
{
  double kv, all = footprint(c, &kv);
  char human[32];
  if (kv > MAX_FOOTPRINT)
    return FAULT(EMUV_ERR_RANGE, "context", "batch", "context: the KV cache would take %s, at most 1 PiB is accepted",
                 emuv_units_human_bytes(kv, human, sizeof human));
  if (all > MAX_FOOTPRINT)
    return FAULT(EMUV_ERR_RANGE, "model.layers", "model.preset", "model: it would take %s, at most 1 PiB is accepted",
                 emuv_units_human_bytes(all, human, sizeof human));
  if (all / (double)c->page_size > MAX_PAGES)
    return FAULT(EMUV_ERR_RANGE, "page_size", "context", "page_size: %.3g pages, at most %.3g are accepted",
                 all / (double)c->page_size, MAX_PAGES);
  return EMUV_OK;
}

static int check_transformer(const struct emuv_config *c, const char *keys[2], struct emuv_err *err)
{
  const struct emuv_model *m = &c->model;
  const struct needed needed[] = {
      {"model.layers", m->layers == 0},     {"model.hidden", m->hidden == 0},
      {"model.heads", m->heads == 0},       {"model.kv_heads", m->kv_heads == 0},
      {"model.head_dim", m->head_dim == 0}, {"model.intermediate", m->intermediate == 0},
      {"model.vocab", m->vocab == 0},
  };
  int rc = check_needed(needed, sizeof needed / sizeof needed[0], "model.preset", keys, err);
  if (rc != EMUV_OK) return rc;
  if (m->kv_heads == 0 || m->heads % m->kv_heads != 0)
    return FAULT(EMUV_ERR_INPUT, "model.kv_heads", "model.heads",
                 "model.kv_heads: %" PRIu64 " heads cannot share %" PRIu64 " key-value heads evenly", m->heads,
                 m->kv_heads);
  if (m->experts_per_token > m->experts)
    return FAULT(EMUV_ERR_INPUT, "model.experts_per_token", "model.experts",
                 "model.experts_per_token: %" PRIu64 " of %" PRIu64 " experts", m->experts_per_token, m->experts);
  if (c->context + c->prompt == 0)
    return FAULT(EMUV_ERR_INPUT, "context", "prompt", "context: there is neither a context nor a prompt");
  return check_footprint(c, keys, err);
}

static int check_pattern(const struct emuv_config *c, const char *keys[2], struct emuv_err *err)
{
  double bytes = (double)c->pattern.object * (double)c->pattern.objects;
  char human[32];
  if (bytes > MAX_FOOTPRINT)
    return FAULT(EMUV_ERR_RANGE, "pattern.objects", "pattern.object",
                 "pattern.objects: all together are %s, at most 1 PiB is accepted",
                 emuv_units_human_bytes(bytes, human, sizeof human));
  if (bytes / (double)c->page_size > MAX_PAGES)
    return FAULT(EMUV_ERR_RANGE, "page_size", "pattern.objects", "page_size: %.3g pages, at most %.3g are accepted",
                 bytes / (double)c->page_size, MAX_PAGES);
  return EMUV_OK;
}

/* The name becomes a file's name. */
static int check_name(const struct emuv_config *c, const char *keys[2], struct emuv_err *err)
{
  if (strchr(c->scenario, '/') == NULL && c->scenario[0] != '.') return EMUV_OK;
  return FAULT(EMUV_ERR_INPUT, "scenario", NULL, "scenario: \"%.60s\" cannot name a file of results", c->scenario);
}

int emuv_config_check_keys(const struct emuv_config *config, const char *keys[2], struct emuv_err *err)
{
  struct emuv_config c = *config;
  keys[0] = keys[1] = NULL;
  emuv_config_canonical(&c);
  int rc = check_name(&c, keys, err);
  if (rc == EMUV_OK) rc = check_hardware(&c, keys, err);
  if (rc == EMUV_OK) rc = check_peer(&c, keys, err);
  if (rc == EMUV_OK) rc = check_page(&c, keys, err);
  if (rc != EMUV_OK) return rc;
  if (is(c.source, "transformer")) return check_transformer(&c, keys, err);
  if (is(c.source, "pattern")) return check_pattern(&c, keys, err);
  if (!is(c.source, "trace") || c.trace[0] != '\0') return EMUV_OK;
  (void)FAULT(EMUV_ERR_INPUT, "trace", "source", "source: trace needs the key trace, the path of a trace file");
  (void)emuv_err_hint(err, "write `trace: FILE.emuv`");
  return EMUV_ERR_INPUT;
}

int emuv_config_check(const struct emuv_config *config, struct emuv_err *err)
{
  const char *keys[2];
  return emuv_config_check_keys(config, keys, err);
}
