// SPDX-License-Identifier: Apache-2.0
/* Configurations as text; see configs.h. Values are in canonical text: what is printed can be written in a scenario. */
#include "simulator/configs.h"

#include "simulator/keys.h"
#include "simulator/rows.h"
#include "simulator/table.h"

#include <stdlib.h>

enum { VALUE = 2048 };

static int no_memory(struct emuv_err *err, size_t n)
{
  return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory to list %zu configurations", n);
}

static void fill_table(const struct emuv_scenario *s, const struct emuv_option *const *keys, size_t n_keys,
                       struct emuv_table *t)
{
  char value[VALUE];
  emuv_table_column(t, "#", EMUV_TABLE_RIGHT);
  for (size_t k = 0; k < n_keys; k++)
    emuv_table_column(t, keys[k]->key, keys[k]->type < EMUV_OPTION_BOOL ? EMUV_TABLE_RIGHT : 0);
  for (size_t i = 0; i < s->n_configs; i++) {
    emuv_table_cell(t, "%zu", i + 1);
    for (size_t k = 0; k < n_keys && k + 1 < EMUV_TABLE_COLUMNS; k++)
      emuv_table_cell(t, "%s", emuv_option_format(keys[k], &s->configs[i], value, sizeof value));
  }
}

static int print_table(const struct emuv_scenario *s, FILE *out, struct emuv_err *err)
{
  const struct emuv_option *keys[EMUV_KEYS_MAX];
  const struct emuv_config **configs = calloc(s->n_configs + 1, sizeof(void *));
  struct emuv_table t = {0};
  if (!configs) return no_memory(err, s->n_configs);
  for (size_t i = 0; i < s->n_configs; i++) configs[i] = &s->configs[i];
  size_t n = emuv_keys_varying(configs, s->n_configs, EMUV_KEY_WORK | EMUV_KEY_CAPACITY | EMUV_KEY_CHOICE, keys);
  free(configs);
  fill_table(s, keys, n, &t);
  int rc = emuv_table_print(&t, out, 0, err);
  emuv_table_free(&t);
  return rc;
}

static void print_csv(const struct emuv_scenario *s, FILE *out)
{
  char value[VALUE];
  size_t n;
  const struct emuv_option *keys = emuv_config_options(&n);
  for (size_t k = 0; k < n; k++) fprintf(out, "%s%c", keys[k].key, k + 1 < n ? ',' : '\n');
  for (size_t i = 0; i < s->n_configs; i++)
    for (size_t k = 0; k < n; k++) {
      emuv_rows_csv_field(out, emuv_option_format(&keys[k], &s->configs[i], value, sizeof value));
      fputc(k + 1 < n ? ',' : '\n', out);
    }
}

static json_t *json_config(const struct emuv_config *config)
{
  char value[VALUE];
  size_t n;
  const struct emuv_option *keys = emuv_config_options(&n);
  json_t *object = json_object();
  for (size_t k = 0; k < n; k++)
    json_object_set_new(object, keys[k].key, json_string(emuv_option_format(&keys[k], config, value, sizeof value)));
  return object;
}

static int print_json(const struct emuv_scenario *s, FILE *out, struct emuv_err *err)
{
  json_t *all = json_array();
  bool complete = all != NULL;
  for (size_t i = 0; i < s->n_configs && complete; i++)
    complete = json_array_append_new(all, json_config(&s->configs[i])) == 0;
  if (complete) json_dumpf(all, out, JSON_INDENT(1));
  fputc('\n', out);
  json_decref(all);
  return complete ? 0 : no_memory(err, s->n_configs);
}

int emuv_configs_print(const struct emuv_scenario *scenario, enum emuv_configs_format format, FILE *out,
                       struct emuv_err *err)
{
  int rc = 0;
  switch (format) {
  case EMUV_CONFIGS_TABLE: rc = print_table(scenario, out, err); break;
  case EMUV_CONFIGS_CSV: print_csv(scenario, out); break;
  case EMUV_CONFIGS_JSON: rc = print_json(scenario, out, err); break;
  }
  if (!rc && (fflush(out) != 0 || ferror(out))) rc = emuv_err_errno(err, EMUV_ERR_IO, "cannot write the list");
  return rc;
}
