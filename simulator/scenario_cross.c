// SPDX-License-Identifier: Apache-2.0
/* Crossing the axes of a scenario into configurations (scenario_internal.h).
 *
 * One composition = the base block, one sweep block or none, and the overrides. Its columns stand in the order in which
 * keys appear (base, sweep, overrides; a key given again keeps its first place), and the last column varies fastest.
 * Precedence: defaults < presets < base < sweep < overrides; explicit hw.* and model.* keys win over presets wherever
 * they stand. Invariants: out->configs are canonical, checked, and distinct by hash. Presets are read once per name. */
#include "simulator/preset.h"
#include "simulator/scenario_internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) (failed = true)
#include <uthash.h>
#include <xxhash.h>

enum { MAX_COLUMNS = 128 };

struct column {
  const struct emuv_yaml_axis *axis;
  size_t at;     /* index of the current value */
  bool override; /* from the command line: has no place in the file */
};

struct composition {
  struct column column[MAX_COLUMNS];
  size_t n;
};

/* A preset that has been read. */
struct cached {
  char name[PATH_MAX];
  bool is_model;
  struct emuv_hardware hw;
  struct emuv_model model;
  struct cached *next;
};

struct seen {
  char hex[33];
  UT_hash_handle hh;
};

struct crossing {
  const struct emuv_yaml_input *input;
  struct emuv_config defaults;
  struct cached *cache;
  struct seen *seen;
  struct emuv_scenario *out;
  size_t capacity, n_crossed;
  struct emuv_err *err;
};

static const struct emuv_option *option(const char *key)
{
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  return emuv_option_find(table, n, key);
}

static struct column *find_column(struct composition *c, const char *key)
{
  for (size_t i = 0; key != NULL && i < c->n; i++)
    if (strcmp(c->column[i].axis->opt->key, key) == 0) return &c->column[i];
  return NULL;
}

static void compose(struct composition *c, const struct emuv_yaml_block *block, bool override)
{
  for (size_t i = 0; block != NULL && i < block->n; i++) {
    struct column *column = find_column(c, block->axes[i].opt->key);
    if (column == NULL) column = &c->column[c->n++];
    *column = (struct column){&block->axes[i], 0, override};
  }
}

static const char *text_of(const struct column *column)
{
  return column->axis->values[column->at].text;
}

/* Places the error that is set at the column's current value; an override makes it an error of the command line. */
static int fail_at(struct crossing *x, const struct column *column, int code)
{
  if (code == EMUV_ERR_NOMEM || (x->err != NULL && x->err->file[0] != '\0')) return code;
  const bool override = column != NULL && column->override;
  code = override ? EMUV_ERR_USAGE : code == EMUV_ERR_RANGE ? EMUV_ERR_RANGE : EMUV_ERR_INPUT;
  if (x->err == NULL) return code;
  x->err->code = code;
  if (override) return code;
  const struct emuv_yaml_value *value = column != NULL ? &column->axis->values[column->at] : NULL;
  (void)emuv_yaml_place(x->input, value != NULL ? value->line : 1, value != NULL ? value->column : 1, x->err);
  return code;
}

/* Paths in a scenario are relative to its folder when the file is there, else to the current directory. */
static int resolve_path(struct crossing *x, const struct column *column, const char *name, char *path, size_t size)
{
  const char *slash = strrchr(x->input->path, '/');
  int n;
  if (name[0] != '/' && slash != NULL && (column == NULL || !column->override)) {
    n = snprintf(path, size, "%.*s/%s", (int)(slash - x->input->path), x->input->path, name);
    if (n < (int)size && access(path, F_OK) == 0) return EMUV_OK;
  }
  n = snprintf(path, size, "%s", name);
  if (n < (int)size) return EMUV_OK;
  return emuv_err_set(x->err, EMUV_ERR_INPUT, "the path is too long");
}

static int load_preset(struct crossing *x, const struct column *column, const char *name, bool is_model,
                       struct cached **out)
{
  struct cached *entry = calloc(1, sizeof *entry);
  struct emuv_config config = x->defaults;
  if (entry == NULL) return emuv_err_set(x->err, EMUV_ERR_NOMEM, "no memory for a preset");
  int rc = is_model ? emuv_preset_load_model(name, &config, x->err) : emuv_preset_load_hardware(name, &config, x->err);
  if (rc != EMUV_OK) {
    free(entry);
    return fail_at(x, column, rc);
  }
  (void)snprintf(entry->name, sizeof entry->name, "%s", name);
  entry->is_model = is_model;
  entry->hw = config.hw;
  entry->model = config.model;
  entry->next = x->cache;
  *out = x->cache = entry;
  return EMUV_OK;
}

/* The preset that the composition names, or the default one; "none" leaves the defaults of the single keys. */
static int apply_preset(struct crossing *x, struct composition *c, bool is_model, struct emuv_config *config)
{
  const char *key = is_model ? "model.preset" : "hw.preset";
  const struct column *column = find_column(c, key);
  const char *name = column != NULL ? text_of(column) : option(key)->def;
  char path[PATH_MAX];
  if (strcmp(name, "none") == 0) return EMUV_OK;
  if (emuv_preset_is_path(name)) {
    int rc = resolve_path(x, column, name, path, sizeof path);
    if (rc != EMUV_OK) return fail_at(x, column, rc);
    name = path;
  }
  struct cached *entry = x->cache;
  while (entry != NULL && (entry->is_model != is_model || strcmp(entry->name, name) != 0)) entry = entry->next;
  if (entry == NULL) {
    int rc = load_preset(x, column, name, is_model, &entry);
    if (rc != EMUV_OK || entry == NULL) return rc;
  }
  if (is_model)
    config->model = entry->model;
  else
    config->hw = entry->hw;
  return EMUV_OK;
}

/* `trace:` or a pattern key without `source:` says which source is meant. */
static const char *source_of(struct composition *c)
{
  const struct column *source = find_column(c, "source");
  if (source != NULL) return text_of(source);
  if (find_column(c, "trace") != NULL) return "trace";
  for (size_t i = 0; i < c->n; i++)
    if (strncmp(c->column[i].axis->opt->key, "pattern.", 8) == 0) return "pattern";
  return option("source")->def;
}

static int apply_trace(struct crossing *x, struct composition *c, struct emuv_config *config)
{
  const struct column *column = find_column(c, "trace");
  if (column == NULL || strcmp(config->source, "trace") != 0) return EMUV_OK;
  emuv_text path = {0};
  int rc = resolve_path(x, column, text_of(column), path, sizeof path);
  if (rc == EMUV_OK && path[0] != '\0' && access(path, R_OK) != 0)
    rc = emuv_err_errno(x->err, EMUV_ERR_INPUT, "trace: cannot open %s", path);
  if (rc != EMUV_OK) return fail_at(x, column, rc);
  memcpy(config->trace, path, sizeof path);
  return EMUV_OK;
}

/* The default name of a scenario: its file's name. */
static void set_scenario_name(struct crossing *x, struct emuv_config *config)
{
  if (config->scenario[0] != '\0') return;
  const char *slash = strrchr(x->input->path, '/');
  const char *file = slash != NULL ? slash + 1 : x->input->path;
  const char *dot = strrchr(file, '.');
  size_t length = dot != NULL && dot > file ? (size_t)(dot - file) : strlen(file);
  (void)snprintf(config->scenario, sizeof config->scenario, "%.*s", (int)length, file);
}

/* The default prefetcher belongs to the default policy: who names a policy and no prefetcher means the policy alone. */
static int apply_prefetch(struct crossing *x, struct composition *c, struct emuv_config *config)
{
  if (find_column(c, "prefetch") != NULL || find_column(c, "policy") == NULL) return EMUV_OK;
  return emuv_option_parse(option("prefetch"), config, "none", x->err);
}

static int build(struct crossing *x, struct composition *c, struct emuv_config *config)
{
  *config = x->defaults;
  int rc = emuv_option_parse(option("source"), config, source_of(c), x->err);
  if (rc == EMUV_OK) rc = apply_preset(x, c, false, config);
  if (rc == EMUV_OK && strcmp(config->source, "transformer") == 0) rc = apply_preset(x, c, true, config);
  for (size_t i = 0; i < c->n && rc == EMUV_OK; i++) {
    const struct emuv_option *opt = c->column[i].axis->opt;
    if (strcmp(opt->key, "hw.preset") == 0 || strcmp(opt->key, "model.preset") == 0) continue;
    rc = emuv_option_parse(opt, config, text_of(&c->column[i]), x->err);
  }
  if (rc == EMUV_OK) rc = apply_trace(x, c, config);
  if (rc == EMUV_OK) rc = apply_prefetch(x, c, config);
  if (rc != EMUV_OK) return rc;
  set_scenario_name(x, config);
  emuv_config_canonical(config);
  const char *keys[2];
  rc = emuv_config_check_keys(config, keys, x->err);
  if (rc == EMUV_OK) return rc;
  struct column *column = find_column(c, keys[0]);
  return fail_at(x, column != NULL ? column : find_column(c, keys[1]), rc);
}

/* *fresh = no configuration with the same hash has been seen. */
static int remember(struct crossing *x, const struct emuv_config *config, bool *fresh)
{
  char hex[33];
  struct seen *entry;
  bool failed = false;
  emuv_config_hash(config, config->trace[0] != '\0' ? XXH3_64bits(config->trace, strlen(config->trace)) : 0, hex);
  HASH_FIND_STR(x->seen, hex, entry);
  *fresh = entry == NULL;
  if (entry != NULL) return EMUV_OK;
  entry = calloc(1, sizeof *entry);
  if (entry == NULL) return emuv_err_set(x->err, EMUV_ERR_NOMEM, "no memory for configurations");
  memcpy(entry->hex, hex, sizeof hex);
  HASH_ADD_STR(x->seen, hex, entry);
  if (!failed) return EMUV_OK;
  free(entry);
  return emuv_err_set(x->err, EMUV_ERR_NOMEM, "no memory for configurations");
}

static int append(struct crossing *x, const struct emuv_config *config)
{
  bool fresh;
  int rc = remember(x, config, &fresh);
  if (rc != EMUV_OK || !fresh) return rc;
  struct emuv_scenario *s = x->out;
  if (s->n_configs == x->capacity) {
    size_t grown = x->capacity > 0 ? x->capacity * 2 : 16;
    void *moved = reallocarray(s->configs, grown, sizeof *s->configs);
    if (moved == NULL) return emuv_err_set(x->err, EMUV_ERR_NOMEM, "no memory for %zu configurations", grown);
    s->configs = moved;
    x->capacity = grown;
  }
  s->configs[s->n_configs++] = *config;
  return EMUV_OK;
}

/* Counts a composition against the bound before any of it is built. */
static int count(struct crossing *x, const struct composition *c)
{
  size_t product = 1, longest = 0;
  for (size_t i = 0; i < c->n; i++) {
    if (c->column[i].axis->n > c->column[longest].axis->n) longest = i;
    product *= c->column[i].axis->n;
    if (product > EMUV_SCENARIO_MAX_CONFIGS) break;
  }
  x->n_crossed += product;
  if (x->n_crossed <= EMUV_SCENARIO_MAX_CONFIGS) return EMUV_OK;
  (void)emuv_err_set(x->err, EMUV_ERR_INPUT, "the lists cross to more than %d configurations",
                     EMUV_SCENARIO_MAX_CONFIGS);
  (void)emuv_err_hint(x->err, "shorten lists, or split the scenario");
  return fail_at(x, c->n > 0 ? &c->column[longest] : NULL, EMUV_ERR_INPUT);
}

/* The next combination of values, the last column fastest; false after the last one. */
static bool advance(struct composition *c)
{
  for (size_t i = c->n; i-- > 0;) {
    if (++c->column[i].at < c->column[i].axis->n) return true;
    c->column[i].at = 0;
  }
  return false;
}

static int cross(struct crossing *x, const struct emuv_yaml_block *base, const struct emuv_yaml_block *sweep,
                 const struct emuv_yaml_block *overrides)
{
  struct composition c = {.n = 0};
  struct emuv_config config;
  compose(&c, base, false);
  compose(&c, sweep, false);
  compose(&c, overrides, true);
  int rc = count(x, &c);
  if (rc != EMUV_OK) return rc;
  do {
    rc = build(x, &c, &config);
    if (rc == EMUV_OK) rc = append(x, &config);
  } while (rc == EMUV_OK && advance(&c));
  return rc;
}

static void release(struct crossing *x)
{
  struct seen *entry = x->seen;
  HASH_CLEAR(hh, x->seen); /* frees the table; the entries stay linked */
  while (entry != NULL) {
    struct seen *rest = entry->hh.next;
    free(entry);
    entry = rest;
  }
  while (x->cache != NULL) {
    struct cached *rest = x->cache->next;
    free(x->cache);
    x->cache = rest;
  }
}

int emuv_scenario_cross(const struct emuv_yaml_input *input, const struct emuv_yaml_document *document,
                        const struct emuv_yaml_block *overrides, struct emuv_scenario *out, struct emuv_err *err)
{
  struct crossing x = {.input = input, .out = out, .err = err};
  int rc = emuv_config_defaults(&x.defaults, err);
  if (rc == EMUV_OK && document->n_sweep == 0) rc = cross(&x, &document->base, NULL, overrides);
  for (size_t i = 0; i < document->n_sweep && rc == EMUV_OK; i++)
    rc = cross(&x, &document->base, &document->sweep[i], overrides);
  release(&x);
  return rc;
}
