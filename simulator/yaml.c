// SPDX-License-Identifier: Apache-2.0
/* The YAML reader (yaml.h) over libyaml's event parser.
 *
 * Nothing here recurses deeper than base map > group map: deeper nesting is an error at its first bracket, so the stack
 * does not grow with the input. Anchors, aliases and tags are refused: a scenario says what it means where it stands.
 * Invariant of the reader: `event` is the current event and is owned by it until the next one is fetched. */
#include "simulator/yaml.h"

#include "simulator/config.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { KEY_SIZE = 128, SHOWN = 60 };

struct reader {
  yaml_parser_t parser;
  yaml_event_t event;
  const struct emuv_yaml_input *input;
  const struct emuv_yaml_grammar *grammar;
  struct emuv_yaml_document *document;
  struct emuv_config scratch; /* values are parsed into it to be checked */
  size_t n_values;
  struct emuv_err *err;
};

struct key {
  char name[KEY_SIZE]; /* with the prefix */
  long line, column;
};

static long event_line(const struct reader *r)
{
  return (long)r->event.start_mark.line + 1;
}

static long event_column(const struct reader *r)
{
  return (long)r->event.start_mark.column + 1;
}

/* Places the error that is set at the current event. */
static int here(struct reader *r)
{
  (void)emuv_yaml_place(r->input, event_line(r), event_column(r), r->err);
  return EMUV_ERR_INPUT;
}

static int at_key(struct reader *r, const struct key *key)
{
  (void)emuv_yaml_place(r->input, key->line, key->column, r->err);
  return EMUV_ERR_INPUT;
}

static int syntax_error(struct reader *r)
{
  const yaml_parser_t *p = &r->parser;
  if (p->error == YAML_MEMORY_ERROR) return emuv_err_set(r->err, EMUV_ERR_NOMEM, "no memory to parse the file");
  const char *problem = p->problem != NULL ? p->problem : "malformed";
  if (p->context != NULL)
    (void)emuv_err_set(r->err, EMUV_ERR_INPUT, "YAML: %s (%s)", problem, p->context);
  else
    (void)emuv_err_set(r->err, EMUV_ERR_INPUT, "YAML: %s", problem);
  if (strstr(problem, "cannot start any token") != NULL)
    (void)emuv_err_hint(r->err, "put the text in quotes; indent with spaces, not with tabs");
  /* What is never closed is shown where it opens. */
  const yaml_mark_t *mark = strstr(problem, "end of stream") != NULL ? &p->context_mark : &p->problem_mark;
  (void)emuv_yaml_place(r->input, (long)mark->line + 1, (long)mark->column + 1, r->err);
  return EMUV_ERR_INPUT;
}

static int refuse_decoration(struct reader *r)
{
  const yaml_event_t *e = &r->event;
  const yaml_char_t *anchor = NULL, *tag = NULL;
  switch (e->type) {
  case YAML_ALIAS_EVENT: anchor = e->data.alias.anchor; break;
  case YAML_SCALAR_EVENT: anchor = e->data.scalar.anchor, tag = e->data.scalar.tag; break;
  case YAML_SEQUENCE_START_EVENT: anchor = e->data.sequence_start.anchor, tag = e->data.sequence_start.tag; break;
  case YAML_MAPPING_START_EVENT: anchor = e->data.mapping_start.anchor, tag = e->data.mapping_start.tag; break;
  default: break;
  }
  if (anchor == NULL && tag == NULL) return EMUV_OK;
  (void)emuv_err_set(r->err, EMUV_ERR_INPUT, "%s are not supported here",
                     anchor != NULL ? "anchors and aliases (& and *)" : "tags (!)");
  (void)emuv_err_hint(r->err, anchor != NULL ? "write the value out, or use `sweep:` for variants of a scenario"
                                             : "put the text in quotes if it starts with \"!\"");
  (void)here(r);
  return EMUV_ERR_INPUT;
}

static int next(struct reader *r)
{
  yaml_event_delete(&r->event);
  if (!yaml_parser_parse(&r->parser, &r->event)) {
    memset(&r->event, 0, sizeof r->event);
    return syntax_error(r);
  }
  return refuse_decoration(r);
}

/* Names that exist only as keys of maps. */
static const char *const groups[][2] = {
    {"model", "model.preset"}, {"hw", "hw.preset"}, {"hardware", "hw.preset"}, {"pattern", "pattern.kind"}};
enum { N_GROUPS = sizeof groups / sizeof groups[0] };

/* The option that a group's scalar sets, or NULL if the key is no group. */
static const char *group_option(const char *key)
{
  for (size_t i = 0; i < N_GROUPS; i++)
    if (strcmp(groups[i][0], key) == 0) return groups[i][1];
  return NULL;
}

static void suggest(const char *key, const char *prefix, struct emuv_err *err)
{
  size_t n, skip = strlen(prefix);
  const struct emuv_option *table = emuv_config_options(&n);
  const char **names = calloc(n + N_GROUPS + 2, sizeof *names);
  const char *near = NULL;
  if (names != NULL) {
    for (size_t i = 0; i < n; i++) names[i] = table[i].key;
    for (size_t i = 0; i < N_GROUPS; i++) names[n + i] = groups[i][0];
    names[n + N_GROUPS] = "sweep";
    near = emuv_option_suggest_name(names, key);
  }
  free(names);
  if (near == NULL) near = emuv_option_suggest(table, n, key);
  if (near != NULL && strncmp(near, prefix, skip) == 0)
    (void)emuv_err_hint(err, "did you mean \"%s\"?", near + skip);
  else
    (void)emuv_err_hint(err, "`emuv-sim --schema` prints every key");
}

/* `key` starts with the grammar's prefix, which the file does not show. */
static int unknown_key(const char *key, const char *prefix, struct emuv_err *err)
{
  const char *typed = key + strlen(prefix);
  (void)emuv_err_set(err, EMUV_ERR_INPUT, "unknown key \"%.*s\"", SHOWN, typed);
  if (strcmp(typed, "<<") == 0)
    (void)emuv_err_hint(err, "merge keys are not supported: write the values out");
  else if (err != NULL)
    suggest(key, prefix, err);
  return EMUV_ERR_INPUT;
}

static const struct emuv_option *find_option(const char *key)
{
  char alias[KEY_SIZE];
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  if (strncmp(key, "hardware.", 9) == 0) {
    (void)snprintf(alias, sizeof alias, "hw.%s", key + 9);
    key = alias;
  }
  return emuv_option_find(table, n, key);
}

const struct emuv_option *emuv_yaml_resolve(const char *key, struct emuv_err *err)
{
  const char *of_group = group_option(key);
  const struct emuv_option *opt = find_option(of_group != NULL ? of_group : key);
  if (opt == NULL && strcmp(key, "sweep") == 0) {
    (void)emuv_err_set(err, EMUV_ERR_INPUT, "sweep cannot be given on the command line");
    (void)emuv_err_hint(err, "give the keys that it holds");
  } else if (opt == NULL)
    (void)unknown_key(key, "", err);
  return opt;
}

/* Makes room for element n of an array that grows by doubling. */
static int grow(void **array, size_t *capacity, size_t n, size_t element, struct emuv_err *err)
{
  if (n < *capacity) return EMUV_OK;
  size_t grown = *capacity > 0 ? *capacity * 2 : 4;
  void *moved = reallocarray(*array, grown, element);
  if (moved == NULL) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory");
  *array = moved;
  *capacity = grown;
  return EMUV_OK;
}

int emuv_yaml_add_value(struct emuv_yaml_axis *axis, const char *text, size_t length, long line, long column,
                        struct emuv_err *err)
{
  int rc = grow((void **)&axis->values, &axis->capacity, axis->n, sizeof *axis->values, err);
  if (rc != EMUV_OK) return rc;
  char *copy = strndup(text, length);
  if (copy == NULL) return emuv_err_set(err, EMUV_ERR_NOMEM, "out of memory");
  axis->values[axis->n++] = (struct emuv_yaml_value){copy, line, column};
  return EMUV_OK;
}

struct emuv_yaml_axis *emuv_yaml_find(const struct emuv_yaml_block *block, const struct emuv_option *opt)
{
  for (size_t i = 0; i < block->n; i++)
    if (block->axes[i].opt == opt) return &block->axes[i];
  return NULL;
}

int emuv_yaml_add_axis(struct emuv_yaml_block *block, const struct emuv_option *opt, long line, long column,
                       struct emuv_yaml_axis **out, struct emuv_err *err)
{
  int rc = grow((void **)&block->axes, &block->capacity, block->n, sizeof *block->axes, err);
  if (rc != EMUV_OK) return rc;
  *out = &block->axes[block->n++];
  **out = (struct emuv_yaml_axis){.opt = opt, .line = line, .column = column};
  return EMUV_OK;
}

/* The current scalar as a value of the axis, checked. */
static int add_scalar(struct reader *r, struct emuv_yaml_axis *axis)
{
  const char *text = (const char *)r->event.data.scalar.value;
  size_t length = r->event.data.scalar.length;
  int rc = EMUV_OK;
  if (++r->n_values > EMUV_YAML_MAX_VALUES)
    rc = emuv_err_set(r->err, EMUV_ERR_INPUT, "more than %d values in one file", EMUV_YAML_MAX_VALUES);
  else if (strlen(text) != length)
    rc = emuv_err_set(r->err, EMUV_ERR_INPUT, "%s: a NUL character in the value", axis->opt->key);
  else if (length == 0 && r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
    rc = emuv_err_set(r->err, EMUV_ERR_INPUT, "%s has no value", axis->opt->key);
  else
    rc = emuv_option_parse(axis->opt, &r->scratch, text, r->err);
  if (rc == EMUV_OK) return emuv_yaml_add_value(axis, text, length, event_line(r), event_column(r), r->err);
  (void)here(r);
  return rc;
}

static int add_list(struct reader *r, struct emuv_yaml_axis *axis)
{
  const char *key = axis->opt->key;
  if (!r->grammar->scenario || (axis->opt->flags & EMUV_OPTION_NO_SWEEP) != 0) {
    (void)emuv_err_set(r->err, EMUV_ERR_INPUT, "%s takes one value, not a list", key);
    return here(r);
  }
  struct key list = {.line = event_line(r), .column = event_column(r)};
  for (;;) {
    int rc = next(r);
    if (rc != EMUV_OK) return rc;
    if (r->event.type == YAML_SEQUENCE_END_EVENT) break;
    if (r->event.type != YAML_SCALAR_EVENT) {
      (void)emuv_err_set(r->err, EMUV_ERR_INPUT, "%s: %s inside a list of values", key,
                         r->event.type == YAML_MAPPING_START_EVENT ? "a map" : "a list");
      if (r->event.type == YAML_MAPPING_START_EVENT)
        (void)emuv_err_hint(r->err, "variants of several keys at once go into `sweep:`, a list of maps");
      return here(r);
    }
    rc = add_scalar(r, axis);
    if (rc != EMUV_OK) return rc;
  }
  if (axis->n > 0) return EMUV_OK;
  (void)emuv_err_set(r->err, EMUV_ERR_INPUT, "%s: the list is empty", key);
  return at_key(r, &list);
}

static int duplicate_key(struct reader *r, const struct key *key, const struct emuv_yaml_axis *first)
{
  (void)emuv_err_set(r->err, EMUV_ERR_INPUT, "duplicate key \"%s\"", first->opt->key);
  (void)emuv_err_hint(r->err, "first given on line %ld; write a list to try several values", first->line);
  return at_key(r, key);
}

/* Value or list (the current event) of an option. */
static int add_option(struct reader *r, struct emuv_yaml_block *block, const struct key *key,
                      const struct emuv_option *opt)
{
  struct emuv_yaml_axis *axis = emuv_yaml_find(block, opt);
  if (axis != NULL) return duplicate_key(r, key, axis);
  int rc = emuv_yaml_add_axis(block, opt, key->line, key->column, &axis, r->err);
  if (rc != EMUV_OK) return rc;
  if (r->event.type == YAML_SCALAR_EVENT) return add_scalar(r, axis);
  if (r->event.type == YAML_SEQUENCE_START_EVENT) return add_list(r, axis);
  (void)emuv_err_set(r->err, EMUV_ERR_INPUT, "%s takes a value, not a map", opt->key);
  return here(r);
}

static int read_map(struct reader *r, struct emuv_yaml_block *block, const char *prefix);

static int read_sweep(struct reader *r)
{
  struct emuv_yaml_document *d = r->document;
  const struct key list = {.line = event_line(r), .column = event_column(r)};
  if (r->event.type != YAML_SEQUENCE_START_EVENT) {
    (void)emuv_err_set(r->err, EMUV_ERR_INPUT, "sweep takes a list of maps");
    return here(r);
  }
  for (;;) {
    int rc = next(r);
    if (rc != EMUV_OK) return rc;
    if (r->event.type == YAML_SEQUENCE_END_EVENT) break;
    if (r->event.type != YAML_MAPPING_START_EVENT) {
      (void)emuv_err_set(r->err, EMUV_ERR_INPUT, "sweep: each item is a map of keys");
      return here(r);
    }
    if (d->n_sweep >= EMUV_YAML_MAX_VALUES) {
      (void)emuv_err_set(r->err, EMUV_ERR_INPUT, "more than %d maps in sweep", EMUV_YAML_MAX_VALUES);
      return here(r);
    }
    rc = grow((void **)&d->sweep, &d->capacity, d->n_sweep, sizeof *d->sweep, r->err);
    if (rc != EMUV_OK) return rc;
    d->sweep[d->n_sweep++] = (struct emuv_yaml_block){0};
    rc = read_map(r, &d->sweep[d->n_sweep - 1], "");
    if (rc != EMUV_OK) return rc;
  }
  if (d->n_sweep > 0) return EMUV_OK;
  (void)emuv_err_set(r->err, EMUV_ERR_INPUT, "sweep: the list is empty");
  return at_key(r, &list);
}

/* The value of a key whose event has been read as `key`. */
static int read_value(struct reader *r, struct emuv_yaml_block *block, const struct key *key)
{
  const bool outer = block == &r->document->base;
  const char *shorthand = r->grammar->scenario ? group_option(key->name) : NULL;
  const bool sweep = r->grammar->scenario && strcmp(key->name, "sweep") == 0;
  const struct emuv_option *opt = find_option(shorthand != NULL ? shorthand : key->name);
  if (opt == NULL && !sweep) {
    (void)unknown_key(key->name, r->grammar->prefix, r->err);
    return at_key(r, key);
  }
  int rc = next(r);
  if (rc != EMUV_OK) return rc;
  if (sweep) {
    if (outer && r->document->n_sweep == 0) return read_sweep(r);
    (void)emuv_err_set(r->err, EMUV_ERR_INPUT, outer ? "duplicate key \"sweep\"" : "a sweep inside a sweep");
    return at_key(r, key);
  }
  if (shorthand == NULL || r->event.type != YAML_MAPPING_START_EVENT) return add_option(r, block, key, opt);
  char prefix[KEY_SIZE];
  (void)snprintf(prefix, sizeof prefix, "%.*s.", (int)strcspn(opt->key, "."), opt->key);
  return read_map(r, block, prefix);
}

static int read_key(struct reader *r, const char *prefix, struct key *key)
{
  if (r->event.type != YAML_SCALAR_EVENT) {
    (void)emuv_err_set(r->err, EMUV_ERR_INPUT, "a key must be a word, not a list or a map");
    return here(r);
  }
  const yaml_event_t *e = &r->event;
  if (strlen((const char *)e->data.scalar.value) != e->data.scalar.length) {
    (void)emuv_err_set(r->err, EMUV_ERR_INPUT, "a NUL character in the key");
    return here(r);
  }
  (void)snprintf(key->name, sizeof key->name, "%s%s", prefix, (const char *)e->data.scalar.value);
  key->line = event_line(r);
  key->column = event_column(r);
  return EMUV_OK;
}

/* The keys of a map whose start has been read, through its end. */
static int read_map(struct reader *r, struct emuv_yaml_block *block, const char *prefix)
{
  for (;;) {
    struct key key;
    int rc = next(r);
    if (rc != EMUV_OK || r->event.type == YAML_MAPPING_END_EVENT) return rc;
    rc = read_key(r, prefix, &key);
    if (rc == EMUV_OK) rc = read_value(r, block, &key);
    if (rc != EMUV_OK) return rc;
  }
}

/* Stream start, and the document's start if there is one. */
static int read_start(struct reader *r)
{
  int rc = next(r);
  if (rc == EMUV_OK) rc = next(r);
  if (rc == EMUV_OK && r->event.type == YAML_DOCUMENT_START_EVENT) rc = next(r);
  if (rc != EMUV_OK || r->event.type == YAML_MAPPING_START_EVENT) return rc;
  bool empty = r->event.type == YAML_STREAM_END_EVENT ||
               (r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0 &&
                r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE);
  (void)emuv_err_set(r->err, EMUV_ERR_INPUT, empty ? "the file is empty" : "the file is not a map of keys");
  (void)emuv_err_hint(r->err, r->grammar->scenario ? "write lines such as `model: llama-2-7b` and `vram: 12GiB`"
                                                   : "write lines such as `vram: 24GiB`");
  if (empty)
    (void)emuv_yaml_place(r->input, 1, 1, r->err);
  else
    (void)here(r);
  return EMUV_ERR_INPUT;
}

static int read_end(struct reader *r)
{
  int rc = next(r); /* the end of the document */
  if (rc == EMUV_OK) rc = next(r);
  if (rc != EMUV_OK || r->event.type == YAML_STREAM_END_EVENT) return rc;
  (void)emuv_err_set(r->err, EMUV_ERR_INPUT, "a second document starts here; one file holds one");
  return here(r);
}

int emuv_yaml_parse(const struct emuv_yaml_input *input, const struct emuv_yaml_grammar *grammar,
                    struct emuv_yaml_document *out, struct emuv_err *err)
{
  struct reader r = {.input = input, .grammar = grammar, .document = out, .err = err};
  memset(out, 0, sizeof *out);
  int rc = emuv_yaml_check_text(input, err);
  if (rc != EMUV_OK) return rc;
  if (!yaml_parser_initialize(&r.parser)) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory to parse the file");
  yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&r.parser, (const unsigned char *)input->text, input->length);
  rc = read_start(&r);
  if (rc == EMUV_OK) rc = read_map(&r, &out->base, grammar->prefix);
  if (rc == EMUV_OK) rc = read_end(&r);
  yaml_event_delete(&r.event);
  yaml_parser_delete(&r.parser);
  if (rc != EMUV_OK) emuv_yaml_free(out);
  return rc;
}

void emuv_yaml_free_block(struct emuv_yaml_block *block)
{
  for (size_t i = 0; i < block->n; i++) {
    for (size_t j = 0; j < block->axes[i].n; j++) free(block->axes[i].values[j].text);
    free(block->axes[i].values);
  }
  free(block->axes);
  *block = (struct emuv_yaml_block){0};
}

void emuv_yaml_free(struct emuv_yaml_document *document)
{
  emuv_yaml_free_block(&document->base);
  for (size_t i = 0; i < document->n_sweep; i++) emuv_yaml_free_block(&document->sweep[i]);
  free(document->sweep);
  *document = (struct emuv_yaml_document){0};
}
