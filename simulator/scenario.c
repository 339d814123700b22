// SPDX-License-Identifier: Apache-2.0
/* Loading scenarios (scenario.h): the file is read into a document (yaml.h), the overrides into a block of their own,
 * and both are crossed into configurations (scenario_cross.c). Nothing is written anywhere. One thread per call. */
#include "simulator/scenario_internal.h"

#include <stdlib.h>
#include <string.h>

/* Fails as a command line does: status 2, no place. */
static int bad_override(struct emuv_err *err)
{
  if (err != NULL) err->code = EMUV_ERR_USAGE;
  return EMUV_ERR_USAGE;
}

/* A value without the spaces around it, parsed once to be checked. */
static int add_override_value(struct emuv_yaml_axis *axis, const char *text, size_t length, struct emuv_config *scratch,
                              struct emuv_err *err)
{
  while (length > 0 && *text == ' ') text++, length--;
  while (length > 0 && text[length - 1] == ' ') length--;
  int rc = emuv_yaml_add_value(axis, text, length, 0, 0, err);
  if (rc != EMUV_OK) return rc;
  rc = emuv_option_parse(axis->opt, scratch, axis->values[axis->n - 1].text, err);
  return rc == EMUV_OK ? rc : bad_override(err);
}

static int add_override_values(struct emuv_yaml_axis *axis, const char *text, struct emuv_config *scratch,
                               struct emuv_err *err)
{
  if ((axis->opt->flags & EMUV_OPTION_NO_SWEEP) != 0) return add_override_value(axis, text, strlen(text), scratch, err);
  for (;;) {
    size_t length = strcspn(text, ",");
    int rc = add_override_value(axis, text, length, scratch, err);
    if (rc != EMUV_OK || text[length] == '\0') return rc;
    text += length + 1;
  }
}

/* "key=a,b" into the block; a key given twice keeps the last. */
static int add_override(struct emuv_yaml_block *block, const char *text, struct emuv_config *scratch,
                        struct emuv_err *err)
{
  char key[128];
  const char *equals = strchr(text, '=');
  if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof key) {
    (void)emuv_err_set(err, EMUV_ERR_USAGE, "\"%.60s\" is not of the form key=value", text);
    return emuv_err_hint(err, "e.g. page_size=64KiB,2MiB"), EMUV_ERR_USAGE;
  }
  (void)snprintf(key, sizeof key, "%.*s", (int)(equals - text), text);
  const struct emuv_option *opt = emuv_yaml_resolve(key, err);
  if (opt == NULL) return bad_override(err);
  struct emuv_yaml_axis *axis = emuv_yaml_find(block, opt);
  int rc = axis != NULL ? EMUV_OK : emuv_yaml_add_axis(block, opt, 0, 0, &axis, err);
  if (rc != EMUV_OK) return rc;
  while (axis->n > 0) free(axis->values[--axis->n].text);
  return add_override_values(axis, equals + 1, scratch, err);
}

static int read_overrides(const char *const *texts, size_t n, struct emuv_yaml_block *block, struct emuv_err *err)
{
  struct emuv_config scratch;
  int rc = emuv_config_defaults(&scratch, err);
  for (size_t i = 0; i < n && rc == EMUV_OK; i++) rc = add_override(block, texts[i], &scratch, err);
  return rc;
}

int emuv_scenario_parse(const char *path, const char *text, size_t length, const char *const *overrides,
                        size_t n_overrides, struct emuv_scenario *out, struct emuv_err *err)
{
  const struct emuv_yaml_input input = {path, text, length};
  const struct emuv_yaml_grammar grammar = {.prefix = "", .scenario = true};
  struct emuv_yaml_document document = {0};
  struct emuv_yaml_block block = {0};
  memset(out, 0, sizeof *out);
  (void)snprintf(out->path, sizeof out->path, "%s", path);
  int rc = read_overrides(overrides, n_overrides, &block, err);
  if (rc == EMUV_OK) rc = emuv_yaml_parse(&input, &grammar, &document, err);
  if (rc == EMUV_OK) rc = emuv_scenario_cross(&input, &document, &block, out, err);
  if (rc != EMUV_OK) emuv_scenario_free(out);
  emuv_yaml_free(&document);
  emuv_yaml_free_block(&block);
  return rc;
}

int emuv_scenario_load(const char *path, const char *const *overrides, size_t n_overrides, struct emuv_scenario *out,
                       struct emuv_err *err)
{
  char *text;
  size_t length;
  memset(out, 0, sizeof *out);
  int rc = emuv_yaml_read(path, &text, &length, err);
  if (rc != EMUV_OK) return rc;
  rc = emuv_scenario_parse(path, text, length, overrides, n_overrides, out, err);
  free(text);
  return rc;
}

void emuv_scenario_free(struct emuv_scenario *s)
{
  free(s->configs);
  s->configs = NULL;
  s->n_configs = 0;
}
