// SPDX-License-Identifier: Apache-2.0
/* JSON schema (draft 2020-12) of scenario files (schema.h). Each option becomes one property whose value is a scalar
 * or, where it may be swept, a list of them; groups become objects as well as dotted keys. jansson keeps the order of
 * insertion, so the text is stable. jansson's setters steal references and fail when handed NULL, so a single check of
 * the finished text finds every failed allocation. */
#include "simulator/schema.h"

#include "simulator/config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_PATTERN "[0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]+)?"

/* Texts of a type that is written with a unit. */
static const char *pattern_of(enum emuv_option_type type)
{
  switch (type) {
  case EMUV_OPTION_BYTES: return "^[0-9]+(\\.[0-9]+)? *([KMGTP]iB|[kKMGTP]B|B)?$";
  case EMUV_OPTION_RATE: return "^(0|" NUMBER_PATTERN " *([KMGT]i|[kKMGT])?B/s)$";
  case EMUV_OPTION_TIME: return "^(0|" NUMBER_PATTERN " *(ns|us|ms|s|min|h))$";
  case EMUV_OPTION_FLOPS: return "^(0|" NUMBER_PATTERN " *[kMGTP]?FLOP/s)$";
  default: return NULL;
  }
}

static json_t *number_schema(const struct emuv_option *opt, const char *type)
{
  json_t *schema = json_pack("{s:s}", "type", type);
  if (!(opt->max > opt->min)) return schema;
  bool whole = opt->type == EMUV_OPTION_U64;
  json_object_set_new(schema, "minimum", whole ? json_integer((json_int_t)opt->min) : json_real(opt->min));
  json_object_set_new(schema, "maximum", whole ? json_integer((json_int_t)opt->max) : json_real(opt->max));
  return schema;
}

static json_t *name_schema(const struct emuv_option *opt)
{
  json_t *names = json_array();
  for (const char *const *name = opt->names(); *name != NULL; name++) json_array_append_new(names, json_string(*name));
  return json_pack("{s:o}", "enum", names);
}

/* One value of the option. */
static json_t *value_schema(const struct emuv_option *opt)
{
  switch (opt->type) {
  case EMUV_OPTION_U64: return number_schema(opt, "integer");
  case EMUV_OPTION_DOUBLE: return number_schema(opt, "number");
  case EMUV_OPTION_BOOL: return json_pack("{s:s}", "type", "boolean");
  case EMUV_OPTION_NAME: return name_schema(opt);
  case EMUV_OPTION_STRING: return json_pack("{s:s, s:i}", "type", "string", "maxLength", EMUV_OPTION_STRING_SIZE - 1);
  case EMUV_OPTION_CURVE: return json_pack("{s:s}", "type", "string");
  case EMUV_OPTION_BYTES:
    return json_pack("{s:[{s:s, s:s}, {s:s, s:i}]}", "anyOf", "type", "string", "pattern", pattern_of(opt->type),
                     "type", "integer", "minimum", 0);
  default:
    return json_pack("{s:[{s:s, s:s}, {s:i}]}", "anyOf", "type", "string", "pattern", pattern_of(opt->type), "const",
                     0);
  }
}

static json_t *option_schema(const struct emuv_option *opt)
{
  json_t *schema = json_pack("{s:s}", "description", opt->help);
  if (opt->def != NULL && opt->def[0] != '\0') json_object_set_new(schema, "default", json_string(opt->def));
  if ((opt->flags & EMUV_OPTION_NO_SWEEP) != 0) {
    json_t *value = value_schema(opt);
    json_object_update(schema, value);
    json_decref(value);
    return schema;
  }
  json_object_set_new(
      schema, "anyOf",
      json_pack("[o, {s:s, s:o, s:i}]", value_schema(opt), "type", "array", "items", value_schema(opt), "minItems", 1));
  return schema;
}

static json_t *reference(const char *definition)
{
  char path[128];
  (void)snprintf(path, sizeof path, "#/$defs/%s", definition);
  return json_pack("{s:s}", "$ref", path);
}

struct group {
  const char *name, *prefix, *shorthand;
};
static const struct group groups[] = {
    {"model", "model.", "model.preset"},
    {"hardware", "hw.", "hw.preset"},
    {"pattern", "pattern.", "pattern.kind"},
};
enum { N_GROUPS = sizeof groups / sizeof groups[0] };

/* The map of one group, e.g. `model: {layers: 40}`, or its shorthand, e.g. `model: llama-2-7b`. */
static json_t *group_schema(const struct group *group)
{
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  json_t *members = json_object();
  for (size_t i = 0; i < n; i++)
    if (strncmp(table[i].key, group->prefix, strlen(group->prefix)) == 0)
      json_object_set_new(members, table[i].key + strlen(group->prefix), reference(table[i].key));
  return json_pack("{s:[o, {s:s, s:o, s:b}]}", "anyOf", reference(group->shorthand), "type", "object", "properties",
                   members, "additionalProperties", 0);
}

static json_t *definitions(void)
{
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  json_t *all = json_object();
  for (size_t i = 0; i < N_GROUPS; i++) json_object_set_new(all, groups[i].name, group_schema(&groups[i]));
  for (size_t i = 0; i < n; i++) json_object_set_new(all, table[i].key, option_schema(&table[i]));
  return all;
}

/* Every key of a map, as references. */
static json_t *properties(void)
{
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  json_t *all = json_object();
  for (size_t i = 0; i < N_GROUPS; i++) json_object_set_new(all, groups[i].name, reference(groups[i].name));
  json_object_set_new(all, "hw", reference("hardware"));
  for (size_t i = 0; i < n; i++) json_object_set_new(all, table[i].key, reference(table[i].key));
  return all;
}

static json_t *sweep_schema(void)
{
  return json_pack("{s:s, s:s, s:{s:s, s:o, s:b}, s:i}", "description",
                   "maps that are crossed one by one on top of the other keys", "type", "array", "items", "type",
                   "object", "properties", properties(), "additionalProperties", 0, "minItems", 1);
}

int emuv_schema_text(char **text, struct emuv_err *err)
{
  json_t *top = properties();
  json_object_set_new(top, "sweep", sweep_schema());
  json_t *root = json_pack("{s:s, s:s, s:s, s:o, s:b, s:o}", "$schema", "https://json-schema.org/draft/2020-12/schema",
                           "title", "emuV scenario", "type", "object", "properties", top, "additionalProperties", 0,
                           "$defs", definitions());
  char *dumped = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
  json_decref(root);
  size_t length = dumped != NULL ? strlen(dumped) : 0;
  char *out = dumped != NULL ? realloc(dumped, length + 2) : NULL;
  if (out == NULL) {
    free(dumped);
    return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the schema");
  }
  memcpy(out + length, "\n", 2);
  *text = out;
  return EMUV_OK;
}
