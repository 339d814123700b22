// SPDX-License-Identifier: Apache-2.0
/* Model sizes from a Hugging Face config.json (preset.h). Only architectures whose layers are what the transformer
 * source builds are accepted: attention with q, k, v, o and a gated MLP, dense or Mixtral's experts. Field names and
 * defaults: the configuration classes of the transformers library, 4.x. No state. */
#include "simulator/preset.h"

#include <jansson.h>
#include <string.h>

struct architecture {
  const char *model_type;
  bool experts;
  bool tied; /* default of tie_word_embeddings */
};
static const struct architecture architectures[] = {
    {"llama", false, false}, {"mistral", false, false}, {"mixtral", true, false},
    {"qwen2", false, false}, {"qwen3", false, false},   {"gemma", false, true},
};

struct field {
  const char *name, *key;
  bool required;
};
static const struct field dense_fields[] = {
    {"num_hidden_layers", "model.layers", true},  {"hidden_size", "model.hidden", true},
    {"num_attention_heads", "model.heads", true}, {"num_key_value_heads", "model.kv_heads", false},
    {"head_dim", "model.head_dim", false},        {"intermediate_size", "model.intermediate", true},
    {"vocab_size", "model.vocab", true},
};
static const struct field expert_fields[] = {
    {"num_local_experts", "model.experts", true},
    {"num_experts_per_tok", "model.experts_per_token", true},
};
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* Places the error that is set at the first mention of the field, else at the start of the file. */
static int at_field(const struct emuv_yaml_input *input, const char *name, struct emuv_err *err)
{
  char quoted[64];
  long line = 1, column = 1;
  (void)snprintf(quoted, sizeof quoted, "\"%s\"", name);
  const char *found = memmem(input->text, input->length, quoted, strlen(quoted));
  for (const char *s = input->text; found != NULL && s < found; s++, column++)
    if (*s == '\n') line++, column = 0;
  (void)emuv_yaml_place(input, line, column, err);
  return EMUV_ERR_INPUT;
}

/* The architecture, or NULL with an error. */
static const struct architecture *find_architecture(const struct emuv_yaml_input *input, const json_t *root,
                                                    struct emuv_err *err)
{
  const char *type = json_string_value(json_object_get(root, "model_type"));
  char list[200] = "";
  for (size_t i = 0; i < COUNT_OF(architectures); i++) {
    if (type != NULL && strcmp(architectures[i].model_type, type) == 0) return &architectures[i];
    size_t used = strlen(list);
    (void)snprintf(list + used, sizeof list - used, " %s", architectures[i].model_type);
  }
  if (type == NULL)
    (void)emuv_err_set(err, EMUV_ERR_INPUT, "missing field \"model_type\"");
  else
    (void)emuv_err_set(err, EMUV_ERR_INPUT, "unsupported architecture \"%.60s\"", type);
  (void)emuv_err_hint(err, "known:%s; for another, write a preset with layers, hidden, heads, ...", list);
  (void)at_field(input, "model_type", err);
  return NULL;
}

/* Reads one whole number through the option's own parser, so that its bounds hold here too. */
static int read_field(const struct emuv_yaml_input *input, const json_t *root, const struct field *field,
                      struct emuv_config *config, struct emuv_err *err)
{
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  const json_t *value = json_object_get(root, field->name);
  if (value == NULL || json_is_null(value)) {
    if (!field->required) return EMUV_OK;
    (void)emuv_err_set(err, EMUV_ERR_INPUT, "missing field \"%s\"", field->name);
    return at_field(input, field->name, err);
  }
  if (!json_is_integer(value)) {
    (void)emuv_err_set(err, EMUV_ERR_INPUT, "field \"%s\" is not a whole number", field->name);
    return at_field(input, field->name, err);
  }
  char text[32];
  (void)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
  int rc = emuv_option_parse(emuv_option_find(table, n, field->key), config, text, err);
  if (rc != EMUV_OK) (void)at_field(input, field->name, err);
  return rc;
}

static int read_fields(const struct emuv_yaml_input *input, const json_t *root, struct emuv_config *config,
                       struct emuv_err *err)
{
  const struct architecture *architecture = find_architecture(input, root, err);
  if (architecture == NULL) return EMUV_ERR_INPUT;
  int rc = EMUV_OK;
  for (size_t i = 0; i < COUNT_OF(dense_fields) && rc == EMUV_OK; i++)
    rc = read_field(input, root, &dense_fields[i], config, err);
  for (size_t i = 0; architecture->experts && i < COUNT_OF(expert_fields) && rc == EMUV_OK; i++)
    rc = read_field(input, root, &expert_fields[i], config, err);
  const json_t *tied = json_object_get(root, "tie_word_embeddings");
  config->model.tied_embeddings = tied != NULL && json_is_boolean(tied) ? json_is_true(tied) : architecture->tied;
  return rc;
}

static int syntax_error(const struct emuv_yaml_input *input, const json_error_t *error, struct emuv_err *err)
{
  (void)emuv_err_set(err, EMUV_ERR_INPUT, "JSON: %s", error->text);
  (void)emuv_yaml_place(input, error->line > 0 ? error->line : 1, error->column > 0 ? error->column : 1, err);
  return EMUV_ERR_INPUT;
}

int emuv_preset_parse_huggingface(const struct emuv_yaml_input *input, struct emuv_model *model, struct emuv_err *err)
{
  json_error_t error;
  struct emuv_config config = {.model = *model};
  int rc = emuv_yaml_check_text(input, err);
  if (rc != EMUV_OK) return rc;
  json_t *root = json_loadb(input->text, input->length, JSON_REJECT_DUPLICATES, &error);
  if (root == NULL) return syntax_error(input, &error, err);
  if (json_is_object(root))
    rc = read_fields(input, root, &config, err);
  else {
    rc = emuv_err_set(err, EMUV_ERR_INPUT, "the file is not a JSON object");
    (void)emuv_yaml_place(input, 1, 1, err);
  }
  json_decref(root);
  if (rc == EMUV_OK) *model = config.model;
  return rc;
}
